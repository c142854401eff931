"""What a state is made of: Mulliken weights by orbital groups, and its spin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis
from hamexplorer.properties.solver import BandStates

__all__ = [
    "GROUPINGS",
    "Grouping",
    "OrbitalGroups",
    "band_weights",
    "degenerate_mean",
    "orbital_groups",
    "spin_expectation",
]

Grouping = Literal["element", "site", "shell", "l", "orbital"]
GROUPINGS: tuple[str, ...] = get_args(Grouping)
"""Accepted names of groupings."""

DEGENERACY = 1e-6
"""States of one k whose energies lie closer than this (eV) are taken for degenerate."""


@dataclass(frozen=True, eq=False)
class OrbitalGroups:
    """Orbitals in named groups: ``names`` and ``index`` (n_orbitals,), the group of each."""

    names: tuple[str, ...]
    index: NDArray[np.int64]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Membership, (n_groups, n_orbitals), ones and zeros."""
        return (self.index == np.arange(len(self.names))[:, None]).astype(float)


def orbital_groups(basis: Basis, by: Grouping = "element") -> OrbitalGroups:
    """Orbitals grouped by ``element`` (Mo), ``site`` (Mo1), ``shell`` (Mo 4d), ``l`` (Mo d) or
    ``orbital`` (Mo1 4d z²), groups in order of first appearance.

    Raises:
        SettingsError: ``by`` is none of these.
    """
    element = [basis.symbols[site] for site in basis.orbital_site]
    if by == "element":
        labels = element
    elif by == "site":
        labels = [basis.site_labels[site] for site in basis.orbital_site]
    elif by == "shell":
        labels = [f"{e} {shell}" for e, shell in zip(element, basis.orbital_shell, strict=True)]
    elif by == "l":
        letters = "spdfghik"
        labels = [f"{e} {letters[m]}" for e, m in zip(element, basis.orbital_l, strict=True)]
    elif by == "orbital":
        labels = list(basis.labels)
    else:
        raise SettingsError(f"Orbitals are grouped by {', '.join(GROUPINGS)}; not by {by!r}.")
    names = tuple(dict.fromkeys(labels))
    place = {name: index for index, name in enumerate(names)}
    return OrbitalGroups(names, np.array([place[label] for label in labels], dtype=np.int64))


def band_weights(states: BandStates, groups: OrbitalGroups) -> NDArray[np.float64]:
    """Mulliken weights (nk, nb, n_groups), dimensionless, that sum to 1 over the groups.

    w_g = Σ_{μ∈g} Σ_s Re c*_{μs} (S c)_{μs}, averaged over degenerate states so that they do not
    depend on the basis that the eigensolver happened to choose. Diffuse, overlapping orbitals
    can make single weights slightly negative or larger than 1.
    """
    gross = (states.coefficients.conj() * states.duals).real
    n = gross.shape[1] // 2
    by_orbital = gross[:, :n] + gross[:, n:]
    return degenerate_mean(states.energies, (groups.matrix @ by_orbital).swapaxes(1, 2))


def spin_expectation(states: BandStates) -> NDArray[np.float64]:
    """⟨σ_x⟩, ⟨σ_y⟩, ⟨σ_z⟩ of every state, (nk, nb, 3): spin in units of ħ/2, −1 … 1.

    ⟨σ_a⟩ = c† (σ_a ⊗ S) c, averaged over degenerate states: a Kramers pair of a crystal with
    inversion has spin 0, because any direction could be chosen within it.
    """
    n = states.coefficients.shape[1] // 2
    up, down = states.coefficients[:, :n].conj(), states.coefficients[:, n:].conj()
    dual_up, dual_down = states.duals[:, :n], states.duals[:, n:]
    mixed = 2 * np.einsum("kib,kib->kb", up, dual_down)
    z = np.einsum("kib,kib->kb", up, dual_up) - np.einsum("kib,kib->kb", down, dual_down)
    return degenerate_mean(states.energies, np.stack([mixed.real, mixed.imag, z.real], axis=-1))


def degenerate_mean(
    energies: NDArray[np.float64], values: NDArray[np.float64], tolerance: float = DEGENERACY
) -> NDArray[np.float64]:
    """``values`` (nk, nb, m) averaged over states of one k that are degenerate in ``energies``.

    A set of degenerate states that a band window cuts is averaged over what is inside.
    """
    nk, nb = energies.shape
    new = np.diff(energies, axis=1, prepend=-np.inf) > tolerance
    label = np.cumsum(new.ravel()) - 1
    flat = values.reshape(nk * nb, -1)
    starts = np.flatnonzero(new.ravel())
    means = np.add.reduceat(flat, starts, axis=0) / np.bincount(label)[:, None]
    result: NDArray[np.float64] = means[label].reshape(values.shape)
    return result
