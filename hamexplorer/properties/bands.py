"""Bands along a path and on a mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.fermi import FermiLevel, fermi_level, occupied_bands
from hamexplorer.properties.mesh import KMesh, automatic_mesh, checked_mesh, has_time_reversal
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.weights import (
    Grouping,
    band_weights,
    orbital_groups,
    spin_expectation,
)
from hamexplorer.structures.kpath import KPath

__all__ = ["BandStructure", "MeshBands", "Zero", "band_structure", "bands_on_mesh"]

Zero = Literal["source", "fermi", "vbm"]

_BLOCK_BYTES = 7e7
"""Of states at a time on a mesh: a magnet's dense mesh would take gigabytes."""


@dataclass(frozen=True, eq=False)
class BandStructure:
    """Bands along a path.

    Attributes:
        path: the k-points, their distances and labels.
        energies: (nk, nb), eV, absolute as in the source, ascending.
        state: λ and the magnetisation they belong to.
        fermi: the Fermi level from a mesh.
        first_band: index of the first band of ``energies`` among all.
        groups: names of the orbital groups in ``weights``.
        weights: None or Mulliken weights (nk, nb, n_groups), summing to 1.
        spin: None or ⟨σ⟩ (nk, nb, 3), −1 … 1.
        title: chemical formula.
        method: how the bands were computed, where they are not part of a whole diagonalisation.
    """

    path: KPath
    energies: NDArray[np.float64]
    state: SpinState
    fermi: FermiLevel
    first_band: int = 0
    groups: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    spin: NDArray[np.float64] | None = None
    title: str = ""
    method: str = ""

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """(nk, 3), fractional."""
        return self.path.kpoints

    @property
    def n_electrons(self) -> float:
        """Electrons per cell."""
        return self.fermi.n_electrons

    def zero_energy(self, zero: Zero = "source") -> float:
        """The energy, in the source's scale, that a plot puts at 0 (eV).

        ``source``: 0; ``fermi``: the Fermi level; ``vbm``: the highest occupied energy on path
        and mesh.

        Raises:
            SettingsError: an unknown name, or ``vbm`` of a metal.
        """
        if zero == "source":
            return 0.0
        if zero == "fermi":
            return self.fermi.energy
        if zero != "vbm":
            raise SettingsError(f"The zero of energy is {', '.join(get_args(Zero))}; not {zero!r}.")
        if self.fermi.vbm is None:
            raise SettingsError("A metal has no valence band maximum; choose the zero 'fermi'.")
        top = (occupied_bands(self.n_electrons) or 0) - 1 - self.first_band
        inside = 0 <= top < self.energies.shape[1]
        return max(self.fermi.vbm, float(self.energies[:, top].max()) if inside else -np.inf)

    def column(self, name: str) -> NDArray[np.float64]:
        """``spin_x``, ``spin_y``, ``spin_z``, ``spin_n`` (along the magnetisation n of ``state``)
        or the weight of a group, (nk, nb).

        Raises:
            SettingsError: it was not computed.
        """
        if name in ("spin_x", "spin_y", "spin_z") and self.spin is not None:
            return self.spin[..., "xyz".index(name[-1])]
        if name == "spin_n" and self.spin is not None:
            return self.spin @ self.state.direction
        if name in self.groups and self.weights is not None:
            return self.weights[..., self.groups.index(name)]
        spins = [f"spin_{axis}" for axis in "xyzn"]
        known = [*(spins if self.spin is not None else []), *self.groups]
        raise SettingsError(
            f"These bands carry no {name!r}; there are: {', '.join(known) or 'none'}."
        )

    def to_dataframe(self, zero: Zero = "source") -> pd.DataFrame:
        """One row per k and band: k, distance (1/Å), label, band, energy (eV), spin, weights."""
        nk, nb = self.energies.shape
        labels = np.full(nk, "", dtype=object)
        for index, label in self.path.ticks:
            labels[index] = label
        columns: dict[str, NDArray[np.generic]] = {"k_index": np.repeat(np.arange(nk), nb)}
        columns |= {f"k{a + 1}": np.repeat(self.kpoints[:, a], nb) for a in range(3)}
        columns["band"] = np.tile(np.arange(nb) + self.first_band, nk)
        columns["energy_eV"] = (self.energies - self.zero_energy(zero)).ravel()
        columns["distance_per_A"] = np.repeat(self.path.distances, nb)
        columns["label"] = np.repeat(labels, nb)
        if self.spin is not None:
            columns |= {f"spin_{axis}": self.spin[..., a].ravel() for a, axis in enumerate("xyz")}
        if self.weights is not None:
            columns |= {
                f"weight {name}": self.weights[..., g].ravel() for g, name in enumerate(self.groups)
            }
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class MeshBands:
    """Bands on a mesh.

    ``kpoints`` (nk, 3), fractional, are the mesh's computed points; ``energies`` (nk, nb), eV;
    ``groups`` and ``weights`` (nk, nb, n_groups) as in :class:`BandStructure`.
    """

    mesh: KMesh
    energies: NDArray[np.float64]
    n_electrons: float
    first_band: int = 0
    groups: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """(nk, 3), fractional."""
        return self.mesh.kpoints

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k and band; energies in eV, ``k_weight`` sums to 1 over k."""
        nk, nb = self.energies.shape
        columns: dict[str, NDArray[np.generic]] = {"k_index": np.repeat(np.arange(nk), nb)}
        columns |= {f"k{a + 1}": np.repeat(self.kpoints[:, a], nb) for a in range(3)}
        columns["k_weight"] = np.repeat(self.mesh.weights, nb)
        columns["band"] = np.tile(np.arange(nb) + self.first_band, nk)
        columns["energy_eV"] = self.energies.ravel()
        return pd.DataFrame(columns)


def band_structure(
    h: Hamiltonian,
    path: KPath,
    state: SpinState | None = None,
    *,
    fermi: FermiLevel | None = None,
    weights: Grouping | None = None,
    spin: bool = False,
    window: tuple[int, int] | None = None,
    solver: BandSolver | None = None,
) -> BandStructure:
    """Bands of ``h`` along ``path``.

    Args:
        h: the Hamiltonian.
        path: from :func:`hamexplorer.structures.kpath.standard_path`.
        state: λ and the magnetisation.
        fermi: the Fermi level; default: :func:`fermi_level` on the automatic mesh.
        weights: group orbitals by this and return their weights.
        spin: return ⟨σ⟩ of every state.
        window: (first, last) band, both included.
        solver: a :class:`BandSolver` on ``path.kpoints`` kept from before (λ moved).

    Raises:
        SettingsError: an unknown grouping, or a window out of range.
        HamiltonianError: S(k) is not positive definite somewhere on the path.
    """
    state = state or SpinState()
    solver = solver or BandSolver(h, path.kpoints)
    groups = orbital_groups(h.basis, weights) if weights is not None else None
    shares = expectation = None
    if groups is not None or spin:
        states = solver.states(state, window=window)
        energies = states.energies
        shares = band_weights(states, groups) if groups is not None else None
        expectation = spin_expectation(states) if spin else None
    else:
        energies = solver.energies(state, window=window)
    return BandStructure(
        path=path,
        energies=energies,
        state=state,
        fermi=fermi or fermi_level(h, state),
        first_band=window[0] if window else 0,
        groups=groups.names if groups is not None else (),
        weights=shares,
        spin=expectation,
        title=h.structure.composition.reduced_formula,
    )


def bands_on_mesh(
    h: Hamiltonian,
    mesh: tuple[int, int, int] | None = None,
    state: SpinState | None = None,
    *,
    weights: Grouping | None = None,
    window: tuple[int, int] | None = None,
    monitor: Monitor | None = None,
) -> MeshBands:
    """Bands on a Γ-centred mesh (default: spacing 0.25 1/Å), reduced by E(k) = E(−k) if it holds.

    Raises:
        SettingsError: mesh, grouping or window out of range.
    """
    state = state or SpinState()
    shape = automatic_mesh(h) if mesh is None else checked_mesh(mesh)
    k_mesh = KMesh(shape, has_time_reversal(h, state))
    groups = orbital_groups(h.basis, weights) if weights is not None else None
    bloch = BlochSum(h)
    block = max(1, int(_BLOCK_BYTES / (32.0 * (2 * h.basis.n_orbitals) ** 2)))
    energies, shares = [], []
    for start in range(0, len(k_mesh.kpoints), block):
        if monitor is not None:
            monitor.report("Bands on a mesh", start / len(k_mesh.kpoints))
        k = k_mesh.kpoints[start : start + block]
        solver = BandSolver(h, k, bloch.device, max_bytes=0, bloch=bloch)
        if groups is None:
            energies.append(solver.energies(state, window=window))
        else:
            states = solver.states(state, window=window)
            energies.append(states.energies)
            shares.append(band_weights(states, groups))
    return MeshBands(
        k_mesh,
        np.concatenate(energies),
        h.n_electrons,
        window[0] if window else 0,
        groups.names if groups is not None else (),
        np.concatenate(shares) if shares else None,
    )
