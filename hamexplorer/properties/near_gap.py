"""Some bands around the gap of a large cell, with their exact indices; docs/large-cells.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.hamiltonian.bloch import checked_kpoints
from hamexplorer.progress import Monitor
from hamexplorer.properties.fermi import occupied_bands
from hamexplorer.properties.level_search import Window, levels_in_window, rough_level
from hamexplorer.properties.memory import check_memory
from hamexplorer.properties.pencil import Pencil, pencils
from hamexplorer.properties.shift_invert import ShiftedPoint, Workspace, all_cores, point_memory
from hamexplorer.properties.solver import BandSolver, BandStates

__all__ = ["FULL_SIZE", "Check", "NearGap", "near_gap_states", "window_around_gap"]

Check = Literal["edges", "none"]

FULL_SIZE = 500
"""Up to this order of H(k) everything is diagonalised: it takes less than a second."""
_Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class NearGap:
    """Bands around the gap at some k-points.

    Attributes:
        states: energies, eV, and states; ``first_band`` is the index of the first among all 2n.
        method: in words: what was diagonalised, and how.
        shifts: (nk,), σ of every k-point, eV; NaN where everything was diagonalised.
        below: (nk,), bands below σ, counted by the inertia of H(k) − σS(k).
        residuals: (nk,), largest ‖H c − E S c‖₂, eV; NaN where it was not computed.
        checked: whether the counts at the window's edges were compared, too.
        n_factorisations: in all, the search included.
    """

    states: BandStates
    method: str
    shifts: NDArray[np.float64]
    below: NDArray[np.int64]
    residuals: NDArray[np.float64]
    checked: bool
    n_factorisations: int

    @property
    def energies(self) -> NDArray[np.float64]:
        """(nk, n_bands), eV, ascending."""
        return self.states.energies

    @property
    def first_band(self) -> int:
        """Index of the first band, from 0."""
        return self.states.first_band


def near_gap_states(
    h: Hamiltonian,
    kpoints: ArrayLike,
    n_bands: int = 40,
    state: SpinState | None = None,
    *,
    guess: float | None = None,
    check: Check = "edges",
    monitor: Monitor | None = None,
) -> NearGap:
    """The ``n_bands`` bands around number n_electrons at every k-point.

    H(k) − σS(k) is factorised, L D Lᴴ, at a shift σ near the gap; the signs of D count the bands
    below σ exactly (Sylvester), and block Lanczos on (H − σS)⁻¹S gives those next to it, to
    1e-9 eV. So a band's index is known and not guessed (``check="none"``: unless a level is
    missing between it and σ). σ is found by counting at Γ without
    spin-orbit coupling, where H is real and half the size. Half of the bands lie below the gap, in
    a metal below the band that the last electron enters; an odd one counts as empty.

    Args:
        h: the Hamiltonian.
        kpoints: (nk, 3), fractional.
        n_bands: bands, both spins counted.
        state: λ and the magnetisation.
        guess: an energy near the gap, eV, which saves the search.
        check: ``edges``: count also at both ends of the window, two more factorisations at every
            k-point: then no state between can be missing. ``none``: only at σ; a missing state is
            unlikely then, but for levels that are more than 16-fold degenerate.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: ``n_bands`` is not 1 … 2n, or another argument is out of range.
        ResourceLimitError: the matrices do not fit into the memory that is free.
        HamiltonianError: S(k) is not positive definite.
        ConvergenceError: the states were not found.
        CalculationCancelled: stopped by ``monitor``.
    """
    k = checked_kpoints(kpoints)
    state = state or SpinState()
    first, last = window_around_gap(h, n_bands)
    if check not in get_args(Check):
        raise SettingsError(f"check is {' or '.join(get_args(Check))}, not {check!r}.")
    if guess is not None and not math.isfinite(guess):
        raise SettingsError(f"The guess must be a finite energy in eV, not {guess!r}.")
    parts = pencils(h, state)
    monitor = monitor or Monitor()
    if sum(part.size for part in parts) <= FULL_SIZE:
        return _all_bands(h, k, (first, last), state)
    real = all(parts[0].is_real(point) for point in k)
    need = point_memory(parts, n_bands, real=real)
    check_memory(
        need,
        f"{n_bands} bands of {h.basis.n_orbitals} orbitals",
        "A smaller cell fits, or the same without spin-orbit coupling and exchange.",
    )
    with all_cores():
        return _by_shifts(h, parts, k, (first, last), guess, check, monitor)


def window_around_gap(h: Hamiltonian, n_bands: int) -> tuple[int, int]:
    """Indices of the first and last of ``n_bands`` bands around number n_electrons.

    Raises:
        SettingsError: ``n_bands`` is not an integer from 1 to 2n.
    """
    total = 2 * h.basis.n_orbitals
    if not isinstance(n_bands, (int, np.integer)) or not 1 <= n_bands <= total:
        raise SettingsError(
            f"The number of bands around the gap is 1 … {total} for this Hamiltonian of "
            f"{h.basis.n_orbitals} orbitals, not {n_bands}."
        )
    filled = occupied_bands(h.n_electrons)
    middle = filled if filled is not None else round(h.n_electrons)
    first = min(max(middle - int(n_bands) // 2, 0), total - int(n_bands))
    return first, first + int(n_bands) - 1


def _all_bands(h: Hamiltonian, k: _Array, window: tuple[int, int], state: SpinState) -> NearGap:
    states = BandSolver(h, k).states(state, window=window)
    nothing = np.full(len(k), np.nan)
    return NearGap(
        states,
        f"all {2 * h.basis.n_orbitals} bands were diagonalised",
        nothing,
        np.zeros(len(k), dtype=np.int64),
        nothing,
        True,
        0,
    )


def _by_shifts(
    h: Hamiltonian,
    parts: tuple[Pencil, ...],
    k: _Array,
    window: tuple[int, int],
    guess: float | None,
    check: Check,
    monitor: Monitor,
) -> NearGap:
    twofold = parts[0].spin is None
    first, last = (index // 2 if twofold else index for index in window)
    filled = max(1, min(round(h.n_electrons / (1 + twofold)), sum(p.size for p in parts) - 1))
    workspace, factorisations = Workspace(), 0
    if guess is None:
        monitor.report("Bands near the gap", 0.0, "looking for the gap")
        guess, factorisations = rough_level(h, workspace, _teller(monitor, 0.0, 0.1))
    sigma = guess
    energies, vectors, duals, shifts, below, residuals = [], [], [], [], [], []
    method = ""
    for index, point in enumerate(k):
        tell = _teller(
            monitor, 0.1 + 0.9 * index / len(k), 0.9 / len(k), f"k-point {index + 1} of {len(k)}"
        )
        at = ShiftedPoint(parts, point, workspace)
        at.prepare()
        found = levels_in_window(at, Window(first, last), sigma, check == "edges", tell)
        factorisations += at.n_factorisations
        states = _lab_frame(found.c, found.sc, parts)
        energy = found.energies
        if twofold:
            energy = np.repeat(energy, 2)
            cut = slice(window[0] - 2 * first, window[0] - 2 * first + window[1] - window[0] + 1)
            energy, states = energy[cut], (states[0][:, cut], states[1][:, cut])
        energies.append(energy)
        vectors.append(states[0])
        duals.append(states[1])
        shifts.append(found.sigma)
        below.append(found.below * (1 + twofold))
        residuals.append(found.residual)
        method = method or _method(at)
        sigma = _middle(found.energies, first, filled, sigma)
    return NearGap(
        BandStates(k, np.stack(energies), np.stack(vectors), np.stack(duals), window[0]),
        method,
        np.array(shifts),
        np.array(below),
        np.array(residuals),
        check == "edges",
        factorisations,
    )


def _teller(
    monitor: Monitor, start: float, share: float, message: str = ""
) -> Callable[[str, float], None]:
    def tell(what: str, fraction: float) -> None:
        text = f"{message}, {what}" if message else what
        monitor.report("Bands near the gap", start + share * fraction, text)

    return tell


def _middle(energies: _Array, first: int, filled: int, before: float) -> float:
    """Middle of the gap at one k-point, to begin with at the next."""
    top = filled - 1 - first
    if 0 <= top < len(energies) - 1:
        return float(energies[top] + energies[top + 1]) / 2
    return before


def _lab_frame(
    c: torch.Tensor, sc: torch.Tensor, parts: tuple[Pencil, ...]
) -> tuple[_Array, _Array]:
    """States and duals as spinors along z, from spinors or from spin up and down along n."""
    spin = parts[0].spin
    if spin == 0:
        return c.numpy(), sc.numpy()
    state, n = parts[0].state, parts[0].n_orbitals
    half, turn = math.radians(state.theta) / 2, np.exp(1j * math.radians(state.phi))
    up = (math.cos(half), math.sin(half) * turn)
    down = (-math.sin(half) / turn, math.cos(half))
    result = []
    for x in (c.numpy(), sc.numpy()):
        if spin is None:
            pairs = np.stack([np.concatenate([x * s[0], x * s[1]]) for s in (up, down)], axis=2)
            result.append(pairs.reshape(2 * n, -1))
        else:
            along, against = x[:n], x[n:]
            spinor = [along * up[i] + against * down[i] for i in (0, 1)]
            result.append(np.concatenate(spinor).astype(np.complex128))
    return result[0], result[1]


def _method(at: ShiftedPoint) -> str:
    size = " + ".join(str(n) for n in at.sizes)
    how = "sparse LDLᴴ (SuperLU)" if at.is_sparse else "dense LDLᴴ"
    return f"shift-invert block Lanczos, {how} of order {size}"
