"""Where the products of a tile's orbitals belong in the flat blocks of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.dft.superposed.orbitals import TileOrbitals
from hamexplorer.hamiltonian import Pairs

__all__ = ["Panel", "Places", "TileIndex"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Products of some orbitals with others: where in a flat array, and of each potential.

    ``dropped``: rows' orbitals in the whole basis, and the largest product of each that belongs
    to no stored pair.
    """

    target: torch.Tensor
    values: list[torch.Tensor]
    dropped: tuple[NDArray[np.int64], NDArray[np.float64]] | None


class Places:
    """Finds the blocks of pairs of images, by bisection of the pairs' sorted keys."""

    def __init__(self, pairs: Pairs) -> None:
        self._reach = np.abs(pairs.cell).max(axis=0)
        self._spans = 2 * self._reach + 1
        self._n_sites = len(pairs.sizes)
        keys = self._key(pairs.first, pairs.second, pairs.cell)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._offsets = pairs.offsets[:-1][order]

    def of(self, atom: NDArray[np.int64], cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """Starts of the blocks (i, j, R_j − R_i) of all couples of images; −1: not stored."""
        difference = cell[None] - cell[:, None]
        inside = np.all(np.abs(difference) <= self._reach, axis=2)
        keys = self._key(atom[:, None], atom[None], difference)
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(inside & (self._keys[found] == keys), self._offsets[found], -1)

    def _key(
        self, first: NDArray[np.int64], second: NDArray[np.int64], cell: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        key = first * self._n_sites + second
        for axis in range(3):
            key = key * self._spans[axis] + (cell[..., axis] + self._reach[axis])
        return key


class TileIndex:
    """Where the products of a tile's orbitals belong."""

    def __init__(
        self,
        orbitals: TileOrbitals,
        places: Places,
        sizes: NDArray[np.int64],
    ) -> None:
        device = orbitals.values.device
        self._bound = orbitals.bound
        self._orbital = (np.cumsum(sizes) - sizes)[orbitals.atom][orbitals.image] + orbitals.local
        starts = places.of(orbitals.atom, orbitals.cell)
        self._complete = bool((starts >= 0).all())
        self._starts = torch.as_tensor(starts, device=device)
        self._image = torch.as_tensor(orbitals.image, device=device)
        self._local = torch.as_tensor(orbitals.local, device=device)
        self._width = torch.as_tensor(sizes[orbitals.atom][orbitals.image], device=device)

    def partners(self, start: int, cutoff: float) -> int:
        """End of the orbitals whose product with orbital ``start`` may exceed ``cutoff``."""
        return int(np.searchsorted(-self._bound, -cutoff / self._bound[start]))

    def panel(self, rows: slice, columns: slice, values: list[torch.Tensor]) -> Panel:
        """The products with their places; those of pairs not stored are dropped."""
        starts = self._starts.index_select(0, self._image[rows])
        starts = starts.index_select(1, self._image[columns])
        target = torch.addcmul(starts, self._local[rows, None], self._width[columns])
        target += self._local[columns]
        dropped = None
        if not self._complete:
            missing = starts < 0
            lost = [(missing * product).abs().amax(dim=1) for product in values]
            largest = torch.stack(lost).amax(dim=0).cpu().numpy().astype(np.float64)
            dropped = self._orbital[rows], largest
            # zeros at the first place cost less than leaving them out
            target.masked_fill_(missing, 0)
            for product in values:
                product.masked_fill_(missing, 0.0)
        return Panel(target.reshape(-1), [product.reshape(-1) for product in values], dropped)
