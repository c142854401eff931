"""The Fermi level by filling a k mesh."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.mesh import KMesh, automatic_mesh, checked_mesh, has_time_reversal
from hamexplorer.properties.solver import BandSolver

__all__ = ["FermiLevel", "FermiSolver", "fermi_level", "fill", "occupied_bands"]

_INSULATING_GAP = 1e-3
_WHOLE = 1e-6


@dataclass(frozen=True)
class FermiLevel:
    """Where the electrons end.

    Attributes:
        energy: eV. In a metal the level at which Fermi–Dirac occupations sum to the number of
            electrons; in an insulator the middle of the gap, whatever the smearing.
        mesh: divisions of the Γ-centred mesh it was found on; (0, 0, 0): k-points of a list.
        smearing: kT, eV.
        n_electrons: electrons per cell.
        is_metal: False if the number of electrons fills whole bands and the mesh shows a gap of
            more than 1 meV above them.
        vbm, cbm: highest occupied and lowest empty energy on the mesh, eV; None in a metal, and
            where there is no such band.
    """

    energy: float
    mesh: tuple[int, int, int]
    smearing: float
    n_electrons: float
    is_metal: bool
    vbm: float | None
    cbm: float | None

    def to_dataframe(self) -> pd.DataFrame:
        """One row; energies in eV."""
        return pd.DataFrame([asdict(self)])


class FermiSolver:
    """Fermi levels of one Hamiltonian for many spin states, its mesh reduced once.

    Args:
        h: the Hamiltonian.
        mesh: divisions of the Γ-centred mesh; default: spacing 0.25 1/Å, 1 across a vacuum.
        smearing: kT in eV, positive.
        time_reversal: keep one of k and −k; default: where it holds with the exchange field on.

    Raises:
        SettingsError: ``mesh`` or ``smearing`` is out of range.
    """

    def __init__(
        self,
        h: Hamiltonian,
        mesh: tuple[int, int, int] | None = None,
        smearing: float = 0.01,
        *,
        time_reversal: bool | None = None,
    ) -> None:
        if not (np.isfinite(smearing) and smearing > 0):
            raise SettingsError(f"The smearing must be a positive number of eV, not {smearing!r}.")
        reduced = h.is_time_reversal_symmetric() if time_reversal is None else time_reversal
        shape = automatic_mesh(h) if mesh is None else checked_mesh(mesh)
        self.mesh = KMesh(shape, reduced)
        self.smearing = float(smearing)
        self._solver = BandSolver(h, self.mesh.kpoints)

    def level(self, state: SpinState | None = None) -> FermiLevel:
        """The Fermi level in ``state``."""
        energies = self._solver.energies(state)
        n_electrons = self._solver.hamiltonian.n_electrons
        return fill(energies, self.mesh.weights, n_electrons, self.mesh.shape, self.smearing)


def fermi_level(
    h: Hamiltonian,
    state: SpinState | None = None,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.01,
) -> FermiLevel:
    """Fermi level of ``h`` in ``state``.

    Solves Σ_k w_k Σ_b f((E_kb − E_F)/kT) = n_electrons, f Fermi–Dirac, to 1e-10 electrons.
    ``mesh``, ``smearing`` and errors as in :class:`FermiSolver`.
    """
    state = state or SpinState()
    return FermiSolver(h, mesh, smearing, time_reversal=has_time_reversal(h, state)).level(state)


def fill(
    energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_electrons: float,
    mesh: tuple[int, int, int],
    smearing: float,
) -> FermiLevel:
    """The Fermi level of ``energies`` (nk, nb), eV, with k ``weights`` (nk,) that sum to 1."""
    bands = occupied_bands(n_electrons)
    if bands is not None:
        vbm = float(energies[:, bands - 1].max()) if bands > 0 else None
        cbm = float(energies[:, bands].min()) if bands < energies.shape[1] else None
        if vbm is None or cbm is None or cbm - vbm > _INSULATING_GAP:
            edges = [e for e in (vbm, cbm) if e is not None]
            middle = sum(edges) / len(edges)
            return FermiLevel(middle, mesh, smearing, n_electrons, False, vbm, cbm)

    def excess(level: float) -> float:
        occupation = expit((level - energies) / smearing)
        return float(weights @ occupation.sum(axis=1)) - n_electrons

    low, high = energies.min() - 60 * smearing, energies.max() + 60 * smearing
    level = float(brentq(excess, low, high, xtol=1e-14, rtol=1e-15, maxiter=500))
    return FermiLevel(level, mesh, smearing, n_electrons, True, None, None)


def occupied_bands(n_electrons: float) -> int | None:
    """The number of spinor bands that the electrons fill, None if it is not whole."""
    bands = round(n_electrons)
    return bands if abs(n_electrons - bands) < _WHOLE else None
