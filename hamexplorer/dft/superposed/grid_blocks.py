"""⟨χ_i 0| V |χ_j R⟩ of local potentials, tile by tile of a real-space grid; Ha, bohr.

V[i, j, R] = w Σ_r χ_i(r) V(r) χ_j(r − R), r over all of space and w the volume per point, and for
a semilocal potential w Σ_r [v χχ' + F·∇(χχ')]. The sum over r is one over the points of the home
cell and the images of the atoms that reach them: the images (i, R₁) and (j, R₂) add to the pair
(i, j, R₂ − R₁). Each unordered couple of orbitals on a tile is computed once; what it adds to a
pair is added, transposed, to the reverse at the end.

The cost is linear in the number of atoms; memory is the blocks and a few tiles. Partial sums are
added in the order of the tiles whatever the number of workers, so that the result does not depend
on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.dft.superposed.orbitals import Orbitals
from hamexplorer.dft.superposed.pair_places import Panel, Places, TileIndex
from hamexplorer.dft.superposed.potential import LocalPotentials
from hamexplorer.dft.superposed.quadrature import Quadrature
from hamexplorer.dft.superposed.tiles import Tile, uniform_grid
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Pairs
from hamexplorer.hamiltonian.reversal import opposite_places
from hamexplorer.ordered_work import in_order
from hamexplorer.progress import Monitor

__all__ = ["GridBlocks", "GridSettings", "grid_blocks"]

_PANEL = 128
"""Orbitals that are multiplied with the weaker ones at once."""


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
        SettingsError: as :class:`GridSettings`; fewer than one worker, or no such device.
        CalculationCancelled: ``monitor`` says so.
    """
    settings = settings or GridSettings()
    monitor = monitor or Monitor()
    if workers < 1:
        raise SettingsError(f"There must be at least one worker, not {workers}.")
    device = _checked_device(device)
    grid = uniform_grid(system, settings.spacing)
    quadrature = Quadrature(system, grid, settings.tile_points, device)
    sweep = _Sweep(system, pairs, potentials, settings, quadrature)
    total = torch.zeros(potentials.count, pairs.n_elements, dtype=torch.float64, device=device)
    dropped = np.zeros(int(pairs.sizes.sum()))
    for done, result in enumerate(in_order(sweep.products, quadrature.patches, workers)):
        for panel in result:
            if panel.dropped is not None:
                np.add.at(dropped, *panel.dropped)
            for flat, values in zip(total, panel.values, strict=True):
                flat.scatter_add_(0, panel.target, values.to(torch.float64))
        monitor.report("Potential on the grid", (done + 1) / len(quadrature.patches))
    blocks = total.cpu().numpy()
    for here, there in opposite_places(pairs):
        for flat in blocks:
            both = flat[here] + flat[there]
            flat[here] = both
            flat[there] = both
    # an element has its share from either orbital's row
    return GridBlocks(blocks, 2 * float(dropped.max()))


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
        self._places = Places(pairs)

    def products(self, patch: Tile | int) -> list[Panel]:
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
        index = TileIndex(orbitals, self._places, self._sizes)
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


def _checked_device(given: torch.device | str) -> torch.device:
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"There is no device {given!r} here; accepted are cpu and, with a GPU, cuda."
        ) from error
    return device
