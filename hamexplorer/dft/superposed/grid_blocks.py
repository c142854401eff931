"""⟨χ_i 0| V |χ_j R⟩ of local potentials, tile by tile of a real-space grid; Ha, bohr.

V[i, j, R] = w Σ_r χ_i(r) V(r) χ_j(r − R), r over all of space and w the volume per point, and for
a semilocal potential w Σ_r [v χχ' + F·∇(χχ')]. The sum over r is one over the points of the home
cell and the images of the atoms that reach them: the images (i, R₁) and (j, R₂) add to the pair
(i, j, R₂ − R₁). Each unordered couple of orbitals on a
tile is computed once; what it adds to a pair is added, transposed, to the reverse at the end.

The cost is linear in the number of atoms; memory is the blocks, a copy of one potential's, and a
few tiles. Partial sums are added in the order of the tiles whatever the number of workers, so
that the result does not depend on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyscf.lib
import torch
from numpy.typing import NDArray

from hamexplorer.dft.superposed.orbitals import Orbitals, TileOrbitals
from hamexplorer.dft.superposed.potential import LocalPotentials
from hamexplorer.dft.superposed.quadrature import Quadrature
from hamexplorer.dft.superposed.tiles import Tile, uniform_grid
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Pairs
from hamexplorer.progress import Monitor

__all__ = ["GridBlocks", "GridSettings", "grid_blocks"]

_PANEL = 128
"""Orbitals that are multiplied with the weaker ones at once."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class GridSettings:
    """How finely space is sampled.

    Attributes:
        spacing: largest distance of grid points along a lattice vector, bohr.
        orbital_cutoff: an orbital enters a tile if it exceeds this there, bohr^−3/2.
        product_cutoff: so does a product of two, bohr⁻³.
        precision: of the orbitals and their products, ``single`` or ``double``.
        tile_points: points of a tile.

    Raises:
        SettingsError: a value outside its range, named.
    """

    spacing: float = 0.3
    orbital_cutoff: float = 1e-6
    product_cutoff: float = 1e-7
    precision: str = "single"
    tile_points: int = 800

    def __post_init__(self) -> None:
        if self.precision not in ("single", "double"):
            raise SettingsError(f"precision must be single or double, not {self.precision!r}.")
        for name in ("orbital_cutoff", "product_cutoff"):
            value = getattr(self, name)
            if not 1e-16 <= value <= 1e-2:
                raise SettingsError(f"{name} must lie in 1e-16 … 1e-2, not {value!r}.")

    @property
    def dtype(self) -> torch.dtype:
        """Of the orbitals."""
        return torch.float32 if self.precision == "single" else torch.float64


@dataclass(frozen=True, eq=False)
class GridBlocks:
    """Matrix elements of local potentials.

    Attributes:
        blocks: (n_potentials, n_elements), Ha, exactly symmetric: V[i, j, R] = V[j, i, −R]ᵀ.
        dropped: no element of a pair that is not stored exceeds this, Ha; many times the truth.
    """

    blocks: NDArray[np.float64]
    dropped: float


def grid_blocks(
    system: CrystalSystem,
    pairs: Pairs,
    potentials: LocalPotentials,
    settings: GridSettings | None = None,
    *,
    workers: int = 1,
    device: torch.device | str = "cpu",
    monitor: Monitor | None = None,
) -> GridBlocks:
    """Blocks of all ``potentials`` on ``pairs`` in one sweep over the grid.

    ``workers`` threads share the tiles. ``potentials`` is called with points on ``device``.

    Raises:
        SettingsError: as :class:`GridSettings`; fewer than one worker.
        CalculationCancelled: ``monitor`` says so.
    """
    settings = settings or GridSettings()
    monitor = monitor or Monitor()
    if workers < 1:
        raise SettingsError(f"There must be at least one worker, not {workers}.")
    device = torch.device(device)
    grid = uniform_grid(system, settings.spacing)
    quadrature = Quadrature(system, grid, settings.tile_points, device)
    sweep = _Sweep(system, pairs, potentials, settings, quadrature)
    total = torch.zeros(potentials.count, pairs.n_elements, dtype=torch.float64, device=device)
    dropped = np.zeros(int(pairs.sizes.sum()))
    for done, result in enumerate(_in_order(sweep.products, quadrature.patches, workers)):
        for panel in result:
            if panel.dropped is not None:
                np.add.at(dropped, *panel.dropped)
            for flat, values in zip(total, panel.values, strict=True):
                flat.scatter_add_(0, panel.target, values.to(torch.float64))
        monitor.report("Potential on the grid", (done + 1) / len(quadrature.patches))
    blocks = total.cpu().numpy()
    for flat in blocks:
        flat += flat[pairs.transposition]
    # an element has its share from either orbital's row
    return GridBlocks(blocks, 2 * float(dropped.max()))


@dataclass(frozen=True, eq=False)
class _Panel:
    """Products of some orbitals with others: where in a flat array, and of each potential.

    ``dropped``: rows' orbitals in the whole basis, and the largest product of each that belongs
    to no stored pair.
    """

    target: torch.Tensor
    values: list[torch.Tensor]
    dropped: tuple[NDArray[np.int64], NDArray[np.float64]] | None


class _Sweep:
    """What the work on a tile needs."""

    def __init__(
        self,
        system: CrystalSystem,
        pairs: Pairs,
        potentials: LocalPotentials,
        settings: GridSettings,
        quadrature: Quadrature,
    ) -> None:
        self._sizes = pairs.sizes
        self._potentials = potentials
        self._settings = settings
        self._quadrature = quadrature
        self._orbitals = Orbitals(
            system, settings.orbital_cutoff, settings.dtype, quadrature.device
        )
        self._places = _Places(pairs)

    def products(self, patch: Tile | int) -> list[_Panel]:
        """∫ of V χ_p χ_q over a patch, p ≤ q in the orbitals' order; half of it for both where
        (p, q) and (q, p) are in one panel.

        With a flux F: Σ_r (χ_p B_q + B_p χ_q), B = ½ v χ + F·∇χ.
        """
        points, quadrature_weights = self._quadrature.points(patch)
        fields = self._potentials(points)
        flux = None if fields.flux is None else fields.flux * quadrature_weights
        orbitals = self._orbitals.on(points, flux)
        if not len(orbitals.values):
            return []
        weights = (fields.value * quadrature_weights).to(self._settings.dtype)
        chi = orbitals.values
        bent = orbitals.slopes
        for slope, w in zip(bent, weights, strict=False):  # no slopes without a flux
            slope.addcmul_(chi, w, value=0.5)
        index = _TileIndex(orbitals, self._places, self._sizes)
        panels = []
        for start in range(0, len(chi), _PANEL):
            end = index.partners(start, self._settings.product_cutoff)
            if end <= start:
                break
            rows, columns = slice(start, min(start + _PANEL, end)), slice(start, end)
            if flux is None:
                values = [(chi[rows] * w) @ chi[columns].T for w in weights]
            else:
                values = [(chi[rows] @ b[columns].T).addmm_(b[rows], chi[columns].T) for b in bent]
            for product in values:
                product[:, : rows.stop - rows.start] *= 0.5
            panels.append(index.panel(rows, columns, values))
        return panels


class _TileIndex:
    """Where the products of a tile's orbitals belong."""

    def __init__(
        self,
        orbitals: TileOrbitals,
        places: _Places,
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

    def panel(self, rows: slice, columns: slice, values: list[torch.Tensor]) -> _Panel:
        """The products with their places; those of pairs not stored are dropped."""
        starts = self._starts.index_select(0, self._image[rows])
        starts = starts.index_select(1, self._image[columns])
        target = torch.addcmul(starts, self._local[rows, None], self._width[columns])
        target += self._local[columns]
        dropped = None
        if not self._complete:
            stored = starts >= 0
            lost = [(~stored * product).abs().amax(dim=1) for product in values]
            largest = torch.stack(lost).amax(dim=0).cpu().numpy().astype(np.float64)
            dropped = self._orbital[rows], largest
            target = target[stored]
            values = [product[stored] for product in values]
        return _Panel(target.reshape(-1), [product.reshape(-1) for product in values], dropped)


class _Places:
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


def _in_order(
    work: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Iterator[_Result]:
    """``work`` of every item, in order, on ``workers`` threads; few results wait at a time."""
    with _one_torch_thread():
        if workers == 1:
            yield from map(work, items)
            return
        with ThreadPoolExecutor(workers, initializer=_use_one_thread) as pool:
            waiting: deque[Future[_Result]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > 2 * workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    pyscf.lib.num_threads(1)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    torch_threads, pyscf_threads = torch.get_num_threads(), pyscf.lib.num_threads()
    _use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        pyscf.lib.num_threads(pyscf_threads)
