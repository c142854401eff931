"""The index of stored matrix blocks: site i in cell 0 with site j in cell R."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian.arrays import owned, read_only

__all__ = ["Pairs"]

_MAX_CELL = 10**6
"""Far beyond any cutoff, and small enough that 2π k·R keeps its digits."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs (i, j, R) and where each pair's block lies in a flat array.

    ``first``, ``second`` (n_pairs,) are sites, ``cell`` (n_pairs, 3) the integers R,
    ``sizes`` (n_sites,) orbitals per site. The block of pair p is
    ``flat[offsets[p]:offsets[p + 1]].reshape(sizes[first[p]], sizes[second[p]])``, row-major.
    Both directions (i, j, R) and (j, i, −R) must be present.

    Raises:
        HamiltonianError: arrays of another shape or not integers, a pair that is stored twice,
            has no reverse, or names a site that is not.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    cell: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("first", "second", "cell", "sizes"):
            object.__setattr__(self, name, _integers(name, getattr(self, name)))
        n = len(self.first)
        if self.first.shape != (n,) or self.second.shape != (n,) or self.cell.shape != (n, 3):
            raise HamiltonianError(
                f"Pair arrays disagree: first {self.first.shape}, second {self.second.shape}, "
                f"cell {self.cell.shape}; expected (n,), (n,), (n, 3)."
            )
        if n == 0:
            raise HamiltonianError("A Hamiltonian needs at least one pair of sites.")
        if self.sizes.ndim != 1 or (self.sizes < 1).any():
            raise HamiltonianError(
                f"Orbitals per site must be a list of positive numbers, not {self.sizes.tolist()}."
            )
        sites = np.concatenate([self.first, self.second])
        wrong = sites[(sites < 0) | (sites >= len(self.sizes))]
        if wrong.size:
            raise HamiltonianError(
                f"A pair names site {wrong[0]}; accepted are 0 … {len(self.sizes) - 1}."
            )
        if np.abs(self.cell.astype(float)).max() > _MAX_CELL:
            raise HamiltonianError(
                f"A pair's R has a component beyond ±{_MAX_CELL}: the index is damaged."
            )
        _ = self.reverse

    @property
    def n_pairs(self) -> int:
        """Number of stored pairs, both directions counted."""
        return len(self.first)

    @property
    def n_elements(self) -> int:
        """Length of a flat array of blocks."""
        return int(self.offsets[-1])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each block in a flat array and its length at the end, (n_pairs + 1,)."""
        lengths = self.sizes[self.first] * self.sizes[self.second]
        return read_only(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @cached_property
    def _key(self) -> NDArray[np.int64]:
        return np.column_stack([self.first, self.second, self.cell])

    @cached_property
    def _lookup(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): index for index, row in enumerate(self._key.tolist())}

    @cached_property
    def reverse(self) -> NDArray[np.int64]:
        """Index of (j, i, −R) for every pair (i, j, R), (n_pairs,)."""
        forward = self._key
        backward = np.column_stack([self.second, self.first, -self.cell])
        order = np.lexsort(forward.T[::-1])
        order_back = np.lexsort(backward.T[::-1])
        ordered = forward[order]
        if len(ordered) > 1:
            same = np.all(ordered[1:] == ordered[:-1], axis=1)
            if same.any():
                i, j, *cell = ordered[1:][same][0].tolist()
                raise HamiltonianError(f"Pair ({i}, {j}, R = {tuple(cell)}) is stored twice.")
        wrong = np.any(ordered != backward[order_back], axis=1)
        if wrong.any():
            missing = next(
                tuple(row) for row in backward.tolist() if tuple(row) not in self._lookup
            )
            i, j, *cell = missing
            raise HamiltonianError(
                f"Pair ({i}, {j}, R = {tuple(cell)}) is missing although its reverse is stored; "
                "both directions are needed."
            )
        result = np.empty(self.n_pairs, dtype=np.int64)
        result[order_back] = order
        return read_only(result)

    def index(self, i: int, j: int, cell: tuple[int, int, int] = (0, 0, 0)) -> int:
        """Index of the pair (i, j, R).

        Raises:
            HamiltonianError: the pair is not stored.
        """
        try:
            return self._lookup[(int(i), int(j), *(int(c) for c in cell))]
        except KeyError:
            raise HamiltonianError(
                f"No block is stored for sites {i} and {j} with R = {tuple(cell)}."
            ) from None

    def shape(self, pair: int) -> tuple[int, int]:
        """Shape of the pair's block."""
        return int(self.sizes[self.first[pair]]), int(self.sizes[self.second[pair]])

    def block(self, flat: NDArray[np.float64], pair: int) -> NDArray[np.float64]:
        """The pair's block as a view; ``flat`` is (..., n_elements)."""
        part = flat[..., self.offsets[pair] : self.offsets[pair + 1]]
        return part.reshape(*flat.shape[:-1], *self.shape(pair))

    @cached_property
    def element_pair(self) -> NDArray[np.int64]:
        """Pair of every element of a flat array, (n_elements,)."""
        return read_only(np.repeat(np.arange(self.n_pairs), np.diff(self.offsets)))

    @cached_property
    def element_orbitals(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column orbital (in the whole basis) of every element, each (n_elements,)."""
        local = np.arange(self.n_elements) - self.offsets[self.element_pair]
        width = self.sizes[self.second][self.element_pair]
        start = np.concatenate([[0], np.cumsum(self.sizes)])
        rows = start[self.first[self.element_pair]] + local // width
        columns = start[self.second[self.element_pair]] + local % width
        return read_only(rows), read_only(columns)

    @cached_property
    def transposition(self) -> NDArray[np.int64]:
        """Permutation t with ``flat[t]`` the flat array of M[j, i, −R]ᵀ, (n_elements,)."""
        result = np.empty(self.n_elements, dtype=np.int64)
        heights, widths = self.sizes[self.first], self.sizes[self.second]
        # blocks of one shape at once: a few additions instead of divisions for every element
        for height, width in np.unique(np.column_stack([heights, widths]), axis=0).tolist():
            alike = np.flatnonzero((heights == height) & (widths == width))
            place = (np.arange(height)[:, None] + np.arange(width) * height).ravel()
            index = self.offsets[self.reverse[alike], None] + place
            if len(alike) == self.n_pairs:
                result = index.ravel()
            else:
                result[self.offsets[alike, None] + np.arange(height * width)] = index
        return read_only(result)

    def subset(self, keep: NDArray[np.bool_]) -> tuple[Pairs, NDArray[np.bool_]]:
        """The pairs where ``keep`` (n_pairs,) holds, and the mask over flat arrays."""
        chosen = Pairs(self.first[keep], self.second[keep], self.cell[keep], self.sizes)
        return chosen, keep[self.element_pair]

    def same_as(self, other: Pairs) -> bool:
        """Whether both list the same pairs in the same order with the same blocks."""
        return np.array_equal(self._key, other._key) and np.array_equal(self.sizes, other.sizes)


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(values)
    if given.dtype.kind not in "iu":
        raise HamiltonianError(f"Pair array {name!r} must hold integers, not {given.dtype}.")
    return owned(given.astype(np.int64, copy=False))
