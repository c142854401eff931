"""The anisotropy energy: F(n) in the units that people compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.anisotropy.directions import Directions

__all__ = ["AnisotropyEnergy", "Method", "anisotropy_units"]

Method = Literal["exact", "second variation"]

EV_PER_CUBIC_ANGSTROM_IN_MJ_PER_M3 = 1.602176634e5
"""1 eV/Å³ = 1.602176634e-19 J / 1e-30 m³."""

_SAME_DIRECTION = 1e-9


def anisotropy_units(energy_mev: float, n_sites: int, volume: float) -> dict[str, float]:
    """An energy per cell (meV) in the units in use; ``volume`` of the cell in Å³.

    Returns ``meV_per_cell``, ``meV_per_atom``, ``ueV_per_atom`` and ``MJ_per_m3``. The last
    depends on the vacuum where the cell is a slab's.
    """
    return {
        "meV_per_cell": energy_mev,
        "meV_per_atom": energy_mev / n_sites,
        "ueV_per_atom": 1e3 * energy_mev / n_sites,
        "MJ_per_m3": 1e-3 * energy_mev / volume * EV_PER_CUBIC_ANGSTROM_IN_MJ_PER_M3,
    }


@dataclass(frozen=True, eq=False)
class AnisotropyEnergy:
    """Free energy against the direction of the magnetisation, by the magnetic force theorem.

    Attributes:
        directions: nd directions.
        energies: F(n) = Σ_k w_k Ω_k + μN, eV per cell, (nd,); only differences have a meaning.
        fermi: μ(n), eV, (nd,).
        state: spin-orbit strength and exchange factor (its angles are not used).
        mesh: divisions of the Γ-centred mesh.
        smearing: kT of the Fermi–Dirac occupations, eV.
        n_electrons: electrons per cell.
        method: ``exact`` diagonalisation at every direction, or ``second variation``.
        window: energies below and above the Fermi level between which the second variation
            keeps states, eV; None: exact.
        window_error: estimated error of energy differences by the window, meV, if checked.
        title: formula of the crystal.
        n_sites: atoms in the cell.
        volume: of the cell, Å³.
        area: of a slab's cell, Å²; None in bulk.
        n_kpoints: k-points computed for the direction that needs most.
        n_operations: symmetry operations of the magnet that were used, time reversal included.
        kpoints: the full mesh, (n₁n₂n₃, 3), fractional.
        by_k: None or (nd, n₁n₂n₃), eV: every k's part w (Ω_k(μ₀) + μ₀ N) at one common level
            μ₀; sums to ``energies`` up to second order in μ(n) − μ₀.
        n_computed: directions that were computed; the others follow by symmetry, or (second
            variation) by interpolation.
        interpolation_error: deviation at held-out directions, meV, where the energies between
            the computed directions were interpolated; else None.
        collinear: whether only the main component of the exchange field was asked for.
        warnings: what the reader must know.
        timings: seconds by stage.
    """

    directions: Directions
    energies: NDArray[np.float64]
    fermi: NDArray[np.float64]
    state: SpinState
    mesh: tuple[int, int, int]
    smearing: float
    n_electrons: float
    method: Method
    title: str
    n_sites: int
    volume: float
    n_kpoints: int
    n_operations: int
    kpoints: NDArray[np.float64]
    area: float | None = None
    window: tuple[float, float] | None = None
    window_error: float | None = None
    by_k: NDArray[np.float64] | None = None
    n_computed: int | None = None
    interpolation_error: float | None = None
    collinear: bool = False
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_slab(self) -> bool:
        """Whether the cell is a layer with vacuum."""
        return self.area is not None

    @property
    def relative_meV(self) -> NDArray[np.float64]:
        """F(n) from its smallest value, meV per cell, (nd,)."""
        return 1e3 * (self.energies - self.energies.min())

    @property
    def mae_meV(self) -> float:
        """F(last direction) − F(first direction), meV per cell.

        Raises:
            SettingsError: there is only one direction.
        """
        if len(self.directions) < 2:
            raise SettingsError(
                "An anisotropy energy is a difference: it needs at least two directions, such as "
                "theta 0 and 90; given is one."
            )
        return float(1e3 * (self.energies[-1] - self.energies[0]))

    @property
    def reversal_meV(self) -> float | None:
        """Largest |F(n) − F(−n)|, meV per cell, of directions that are there with their
        opposites; None if there are none. Zero unless the exchange field has three components.
        """
        vectors = self.directions.vectors
        distance, opposite = KDTree(vectors).query(-vectors, distance_upper_bound=_SAME_DIRECTION)
        there = np.isfinite(distance)
        if not there.any():
            return None
        partner = np.asarray(opposite)[there]
        return float(1e3 * np.abs(self.energies[there] - self.energies[partner]).max())

    def units(self, energy_mev: float) -> dict[str, float]:
        """:func:`anisotropy_units` of this cell."""
        return anisotropy_units(energy_mev, self.n_sites, self.volume)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per direction; the last three columns are from the smallest energy."""
        relative = self.relative_meV
        scale = self.units(1.0)
        return pd.DataFrame(
            {
                "theta_deg": self.directions.theta,
                "phi_deg": self.directions.phi,
                "energy_eV": self.energies,
                "fermi_eV": self.fermi,
                "relative_meV": relative,
                "meV_per_atom": relative * scale["meV_per_atom"],
                "ueV_per_atom": relative * scale["ueV_per_atom"],
                "MJ_per_m3": relative * scale["MJ_per_m3"],
            }
        )
