"""Spin and orbital moments of the atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import expit

from hamexplorer.hamiltonian import Basis, Hamiltonian, SpinState
from hamexplorer.hamiltonian.angular import angular_momentum
from hamexplorer.progress import Monitor
from hamexplorer.properties.fermi import FermiLevel, fermi_level
from hamexplorer.properties.mesh import KMesh, automatic_mesh, checked_mesh
from hamexplorer.properties.solver import BandSolver, BandStates

__all__ = ["SiteMoments", "site_moments"]

_BLOCK_BYTES = 4e8


@dataclass(frozen=True, eq=False)
class SiteMoments:
    """Magnetic moments by atom, µB; their direction is that of the (majority) spin.

    Attributes:
        labels: ``Fe1``, … (n_sites,).
        spin: ⟨σ⟩ of each site, (n_sites, 3).
        orbital: ⟨L⟩ of each site, (n_sites, 3).
        fermi: the Fermi level used.
        state: λ and the magnetisation.
    """

    labels: tuple[str, ...]
    spin: NDArray[np.float64]
    orbital: NDArray[np.float64]
    fermi: FermiLevel
    state: SpinState

    def to_dataframe(self) -> pd.DataFrame:
        """One row per site, µB."""
        frame = pd.DataFrame({"site": self.labels})
        for kind, values in (("spin", self.spin), ("orbital", self.orbital)):
            for a, axis in enumerate("xyz"):
                frame[f"{kind}_{axis}_muB"] = values[:, a]
        return frame


def site_moments(
    h: Hamiltonian,
    state: SpinState | None = None,
    *,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.01,
    monitor: Monitor | None = None,
) -> SiteMoments:
    """Mulliken spin and orbital moments of every site.

    With P = Σ_k w_k Σ_b f_b ½ (c d† + d c†), d = (S ⊗ 1) c, the moments of site i are
    Tr_i(σ_a P) and Tr_i(L_a P), L_a the angular momentum of the site's own real harmonics: exact
    for orbitals around the site, without what lies between the sites.

    Args:
        h: the Hamiltonian.
        state: λ and the magnetisation.
        mesh: divisions of the Γ-centred mesh; default: spacing 0.25 1/Å.
        smearing: kT, eV.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: mesh or smearing out of range.
    """
    state = state or SpinState()
    shape = automatic_mesh(h) if mesh is None else checked_mesh(mesh)
    # E(k) = E(−k) is not enough here: the two states have opposite moments.
    k_mesh = KMesh(shape, time_reversal=False)
    if h.is_time_reversal_symmetric(state):
        level = fermi_level(h, state, shape, smearing)
        zero = np.zeros((h.basis.n_sites, 3))
        return SiteMoments(h.basis.site_labels, zero, zero, level, state)
    n = h.basis.n_orbitals
    block = max(1, int(_BLOCK_BYTES / (128.0 * n * n)))
    level = fermi_level(h, state, shape, smearing)
    density = np.zeros((2, 2, n, n), dtype=complex)
    for start in range(0, len(k_mesh.kpoints), block):
        if monitor is not None:
            monitor.report("Moments", start / len(k_mesh.kpoints))
        part = slice(start, start + block)
        states = BandSolver(h, k_mesh.kpoints[part], max_bytes=0).states(state)
        density += _site_density(states, level, k_mesh.weights[part], h.basis)
    spin = np.stack(
        [
            (density[0, 1] + density[1, 0]).diagonal().real,
            (1j * (density[0, 1] - density[1, 0])).diagonal().real,
            (density[0, 0] - density[1, 1]).diagonal().real,
        ],
        axis=1,
    )
    both = density[0, 0] + density[1, 1]
    momentum = _momentum(h.basis)
    orbital = np.einsum("aij,ji->ia", momentum, both).real
    by_site = (h.basis.orbital_site == np.arange(h.basis.n_sites)[:, None]).astype(float)
    return SiteMoments(h.basis.site_labels, by_site @ spin, by_site @ orbital, level, state)


def _site_density(
    states: BandStates, level: FermiLevel, weights: NDArray[np.float64], basis: Basis
) -> NDArray[np.complex128]:
    """P between spins, (2, 2, n, n), with what lies between sites left out."""
    n = basis.n_orbitals
    filling = weights[:, None] * expit((level.energy - states.energies) / level.smearing)
    same = basis.orbital_site[:, None] == basis.orbital_site
    c = (states.coefficients * filling[:, None]).reshape(len(filling), 2, n, -1)
    d = states.duals.conj().reshape(len(filling), 2, n, -1)
    mixed = np.einsum("ksib,ktjb->stij", c, d, optimize=True)
    return (mixed + mixed.conj().transpose(1, 0, 3, 2)) / 2 * same


def _momentum(basis: Basis) -> NDArray[np.complex128]:
    """L_x, L_y, L_z of all orbitals, (3, n, n), block-diagonal in shells."""
    blocks = [angular_momentum(shell.l) for of_site in basis.shells for shell in of_site]
    return np.stack([scipy.linalg.block_diag(*(b[a] for b in blocks)) for a in range(3)])
