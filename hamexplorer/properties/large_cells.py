"""Cells too large to diagonalise along a whole path: which they are, and bands around their gap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.bands import BandStructure
from hamexplorer.properties.fermi import FermiLevel, fill
from hamexplorer.properties.near_gap import Check, NearGap, near_gap_states
from hamexplorer.properties.solver import BandStates
from hamexplorer.properties.weights import (
    Grouping,
    band_weights,
    orbital_groups,
    spin_expectation,
)
from hamexplorer.structures.kpath import KPath, standard_path

__all__ = [
    "LONG_SECONDS",
    "WHOLE_PIECES",
    "PathStates",
    "check_not_large",
    "full_seconds",
    "is_large",
    "labelled_points",
    "near_gap_bands",
]

WHOLE_PIECES = 1e3
"""1/Å; a spacing that no piece of a path exceeds: of its points the named ones are left."""
LONG_SECONDS = 120.0
"""A path that takes longer than this is left to :func:`near_gap_bands`."""
_REFUSED_SECONDS = 1200.0
_SECONDS_PER_CUBE = 6e-10
"""One core's seconds for one k-point, divided by (order of H)³: measured at orders 416 and 936."""
_PAGE_SPACING = 0.04
_SMEARING = 0.01
_SAME_K = 1e-10


def full_seconds(h: Hamiltonian, n_kpoints: int) -> float:
    """Seconds, roughly, that all bands at so many k-points take on this machine's cores."""
    n = h.basis.n_orbitals
    spinors = h.has_spin_orbit or (h.exchange is not None and h.exchange.ndim == 2)
    cubes = (2 * n) ** 3 if spinors else (2 if h.is_magnetic else 1) * n**3
    return n_kpoints * _SECONDS_PER_CUBE * cubes / min(usable_cores(), max(n_kpoints, 1))


def is_large(h: Hamiltonian, limit: float | None = None) -> bool:
    """Whether all bands along the lattice's own path, at the spacing of the Bands page, take more
    than ``limit`` seconds; default: two minutes.
    """
    limit = LONG_SECONDS if limit is None else limit
    if full_seconds(h, 1000) <= limit:  # spares the search for the path
        return False
    return full_seconds(h, len(standard_path(h.structure, _PAGE_SPACING))) > limit


def check_not_large(h: Hamiltonian, what: str) -> None:
    """Raise :class:`ResourceLimitError` if ``h`` is too large for something that needs all bands
    at many k-points: where those along the lattice's own path take more than twenty minutes.
    """
    if is_large(h, limit=_REFUSED_SECONDS):
        raise ResourceLimitError(
            f"{what} needs all bands at many k-points: too much for {len(h.structure)} atoms with "
            f"{h.basis.n_orbitals} orbitals. Bands around the gap are computed for such a cell."
        )


def labelled_points(structure: Any) -> KPath:
    """The lattice's own path with its named points alone."""
    return standard_path(structure, WHOLE_PIECES)


def near_gap_bands(
    h: Hamiltonian,
    path: KPath,
    n_bands: int = 40,
    state: SpinState | None = None,
    *,
    weights: Grouping | None = None,
    spin: bool = False,
    check: Check = "edges",
    guess: float | None = None,
    monitor: Monitor | None = None,
) -> BandStructure:
    """The ``n_bands`` bands around the gap along ``path``.

    Points that are equal but for a reciprocal vector, or where time reversal holds opposite, are
    computed once. The Fermi level and the gap are those of these k-points alone: between the
    highest band number n_electrons and the lowest of the next; in a metal the level below which
    n_electrons states lie on the average of these k-points, counted with the bands' exact indices.

    Args:
        h: the Hamiltonian.
        path: from :func:`labelled_points` or :func:`hamexplorer.structures.kpath.standard_path`.
        n_bands: both spins counted.
        state: λ and the magnetisation.
        weights: group orbitals by this and return their weights.
        spin: return ⟨σ⟩ of every state.
        check: as in :func:`~hamexplorer.properties.near_gap.near_gap_states`.
        guess: likewise.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: an argument is out of range, or a metal's Fermi level lies outside the bands.
        ResourceLimitError: the matrices do not fit into the memory that is free.
        HamiltonianError: S(k) is not positive definite.
        ConvergenceError: the states were not found.
    """
    if weights is not None:
        orbital_groups(h.basis, weights)
    found = PathStates.computed(h, path, n_bands, state, check=check, guess=guess, monitor=monitor)
    return found.bands(weights=weights, spin=spin)


@dataclass(frozen=True, eq=False)
class PathStates:
    """Bands around the gap along a path with their states, for any projection.

    Attributes:
        hamiltonian: whose they are.
        path: the k-points.
        state: λ and the magnetisation.
        states: at all points of the path.
        method: in words.
    """

    hamiltonian: Hamiltonian
    path: KPath
    state: SpinState
    states: BandStates
    method: str

    @classmethod
    def computed(
        cls,
        h: Hamiltonian,
        path: KPath,
        n_bands: int,
        state: SpinState | None = None,
        *,
        check: Check = "edges",
        guess: float | None = None,
        monitor: Monitor | None = None,
    ) -> PathStates:
        """Arguments and errors as in :func:`near_gap_bands`."""
        state = state or SpinState()
        chosen, index, turned = _different(path.kpoints, h.is_time_reversal_symmetric(state))
        found = near_gap_states(
            h, path.kpoints[chosen], n_bands, state, check=check, guess=guess, monitor=monitor
        )
        states = _spread(found.states, path.kpoints, index, turned)
        return cls(h, path, state, states, _told(found, len(chosen)))

    def bands(self, *, weights: Grouping | None = None, spin: bool = False) -> BandStructure:
        """As a band structure, with what is asked for.

        Raises:
            SettingsError: an unknown grouping, or a metal's Fermi level lies outside the bands.
        """
        h, states = self.hamiltonian, self.states
        groups = orbital_groups(h.basis, weights) if weights is not None else None
        return BandStructure(
            path=self.path,
            energies=states.energies,
            state=self.state,
            fermi=_level(h, states),
            first_band=states.first_band,
            groups=groups.names if groups is not None else (),
            weights=band_weights(states, groups) if groups is not None else None,
            spin=spin_expectation(states) if spin else None,
            title=h.structure.composition.reduced_formula,
            method=self.method,
        )


def _different(
    k: NDArray[np.float64], time_reversal: bool
) -> tuple[list[int], list[int], list[bool]]:
    """Points to compute; for every point which of these it is, and whether turned by time
    reversal.
    """

    def same(difference: NDArray[np.float64]) -> bool:
        return bool((np.abs(difference - np.round(difference)) < _SAME_K).all())

    chosen: list[int] = []
    index: list[int] = []
    turned: list[bool] = []
    for i, point in enumerate(k):
        place, flip = len(chosen), False
        for known, j in enumerate(chosen):
            if same(point - k[j]):
                place, flip = known, False
                break
            if time_reversal and same(point + k[j]):
                place, flip = known, True
                break
        else:
            chosen.append(i)
        index.append(place)
        turned.append(flip)
    return chosen, index, turned


def _spread(
    states: BandStates, k: NDArray[np.float64], index: list[int], turned: list[bool]
) -> BandStates:
    """States at all points; time reversal iσ_y K takes (c↑, c↓) at k to (c↓*, −c↑*) at −k."""

    def partner(x: NDArray[Any]) -> NDArray[Any]:
        n = len(x) // 2
        return np.concatenate([x[n:].conj(), -x[:n].conj()])

    pieces = [
        np.stack([partner(x[i]) if t else x[i] for i, t in zip(index, turned, strict=True)])
        for x in (states.coefficients, states.duals)
    ]
    return BandStates(k, states.energies[index], pieces[0], pieces[1], states.first_band)


def _level(h: Hamiltonian, states: BandStates) -> FermiLevel:
    """The Fermi level of these k-points, each of the same weight."""
    energies = states.energies
    weights = np.full(len(energies), 1 / len(energies))
    inside = h.n_electrons - states.first_band
    if not 0 <= inside <= energies.shape[1]:
        raise SettingsError(
            f"{h.n_electrons:g} electrons are not among these bands; ask for more of them."
        )
    level = fill(energies, weights, inside, (0, 0, 0), _SMEARING)
    low, high = energies[:, 0].max(), energies[:, -1].min()
    total = 2 * h.basis.n_orbitals
    covered = (states.first_band == 0 or level.energy > low) and (
        states.first_band + energies.shape[1] == total or level.energy < high
    )
    if not covered:
        raise SettingsError(
            f"The Fermi level, {level.energy:.3f} eV, lies outside the {energies.shape[1]} bands "
            f"at some k-point (they hold {low:.3f} … {high:.3f} eV at all of them); ask for more "
            "bands."
        )
    return replace(level, n_electrons=h.n_electrons)


def _told(found: NearGap, n_kpoints: int) -> str:
    n_bands = found.energies.shape[1]
    counted = ""
    if found.n_factorisations:
        ends = " and at both ends" if found.checked else " alone, so a missing level is not noticed"
        counted = f"; band numbers counted at the shift{ends}"
    return (
        f"{n_bands} bands around the gap, {found.method}{counted}; Fermi level and gap are those "
        f"of {'this k-point' if n_kpoints == 1 else f'these {n_kpoints} k-points'} alone"
    )
