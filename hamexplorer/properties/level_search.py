"""Levels of given indices at one k-point: where to shift, and whether none is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hamexplorer.errors import ConvergenceError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.block_lanczos import ON_LEVEL, BlockLanczos, Nearest, Tolerance
from hamexplorer.properties.hermitian_factor import SingularMatrix
from hamexplorer.properties.pencil import Pencil
from hamexplorer.properties.shift_invert import ShiftedPoint, Workspace

__all__ = ["Levels", "Window", "levels_in_window", "rough_level"]

_EXACT = Tolerance(energy=1e-9, state=1e-6, guard=1e-5)
_ROUGH = Tolerance(energy=1e-3, state=1e-2, guard=1e-2)
_GUARD = 4
"""Levels beyond the window that are found with it: an edge is put between two of them."""
_REACH = 100
"""Levels between σ and the window that Lanczos still bridges: cheaper than another factor."""
_ASIDE = 1e-3
"""eV; a shift that lies on a level moves by so much."""
_SPACED = 1e-4
"""eV; no edge is put between levels nearer than this: guards are known to 1e-5."""
_STEPS = 60
_BLOCK = 16
"""Lanczos vectors at a time: a level of that many copies is still found whole."""

_Array = NDArray[Any]
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Window:
    """Indices of the first and last level, from 0, both included."""

    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of a window.

    Attributes:
        energies: (m,), eV, ascending.
        c, sc: (size, m), states and S times states; c† S c = 1.
        sigma: the shift, eV.
        below: levels below it.
        residual: largest ‖H c − E S c‖₂, eV; NaN if it was not computed.
    """

    energies: NDArray[np.float64]
    c: torch.Tensor
    sc: torch.Tensor
    sigma: float
    below: int
    residual: float


def levels_in_window(
    at: ShiftedPoint, window: Window, sigma: float, check: bool, tell: Tell
) -> Levels:
    """The levels ``window`` at one k-point, beginning with the shift ``sigma``.

    With ``check`` levels are also counted (by inertia) at an edge below and one above; if a level
    is missing between, it is looked for with more and other starting vectors.

    Raises:
        ConvergenceError: they are not found.
    """
    share = 1 / 3 if check else 1.0
    for attempt in range(3):
        found = _found(
            at, window, sigma, attempt, check, lambda what, part: tell(what, share * part)
        )
        sigma = found.sigma
        begin = window.first - found.start
        chosen = slice(begin, begin + window.last - window.first + 1)
        c, sc = found.lanczos.states(found.near.weights[:, chosen])
        energies = found.near.energies[chosen]
        if not check:
            return Levels(energies, c, sc, sigma, found.below, float("nan"))
        residual = float(at.residuals(energies, c, sc).max())
        if _complete(at, found, lambda what, part: tell(what, share + (1 - share) * part)):
            return Levels(energies, c, sc, sigma, found.below, residual)
    raise ConvergenceError(
        f"Levels are missing near {sigma:.3f} eV at k = {at.k.round(6).tolist()}: fewer are found "
        "than are counted. Ask for another number of bands, or move the k-point."
    )


def rough_level(h: Hamiltonian, workspace: Workspace, tell: Tell) -> tuple[float, int]:
    """An energy (eV) near the gap, and how many factorisations it took: the middle between the
    highest occupied and lowest empty level at Γ without spin-orbit coupling and exchange.

    There H is real and of half the size, and a factorisation costs 1/32 of a spinor's.
    """
    part = Pencil(h, SpinState(soc=0.0, exchange=0.0), None)
    at = ShiftedPoint((part,), np.zeros(3), workspace)
    at.prepare()
    filled = min(max(round(h.n_electrons / 2), 1), part.size - 1)
    window = Window(filled - 1, filled)
    found = _found(at, window, _site_level(h, filled), 0, False, tell, _ROUGH)
    top = filled - 1 - found.start
    return float(found.near.energies[top : top + 2].mean()), at.n_factorisations


# --- one shift -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Found:
    """Levels number ``start`` … around a shift, ``below`` of all lying below it, and the two
    edges (number of levels below, energy) at which that can be checked; None at an end of the
    spectrum.
    """

    lanczos: BlockLanczos
    near: Nearest
    sigma: float
    below: int
    start: int
    edges: tuple[tuple[int, float] | None, tuple[int, float] | None]


def _found(
    at: ShiftedPoint,
    window: Window,
    sigma: float,
    attempt: int,
    check: bool,
    tell: Tell,
    tolerance: Tolerance = _EXACT,
) -> _Found:
    """Shift until the window is in reach and no level lies on the shift; ``check``: with edges."""
    lower: tuple[float, int] | None = None
    upper: tuple[float, int] | None = None
    step = 1.0
    for _ in range(_STEPS):
        below = _count(at, sigma, tell, (0.0, 0.8))
        if below is None:
            sigma += _ASIDE
            continue
        if max(window.first - below, below - window.last - 1) > _REACH:
            if below < window.first:
                lower = (sigma, below)
            else:
                upper = (sigma, below)
            sigma = _next_shift(lower, upper, (window.first + window.last + 1) / 2, step)
            step *= 2
            continue
        lanczos = BlockLanczos(
            at.solve, at.overlap, at.size, sigma, at.dtype, _BLOCK << attempt, attempt
        )
        try:
            found = _around(lanczos, window, sigma, below, at.size, check, tell, tolerance)
            if np.abs(found.near.energies - sigma).min() > ON_LEVEL:
                return found
        except SingularMatrix:
            pass
        sigma += _ASIDE
    raise ConvergenceError(
        f"No shift was found near levels {window.first} … {window.last} at k = "
        f"{at.k.round(6).tolist()}: the last one was {sigma:.4f} eV."
    )


def _around(
    lanczos: BlockLanczos,
    window: Window,
    sigma: float,
    below: int,
    size: int,
    check: bool,
    tell: Tell,
    tolerance: Tolerance,
) -> _Found:
    """The window and some levels beyond; with ``check`` so many that an edge fits between two."""
    guard = _GUARD
    n_low, n_high = max(below - window.first, 0), max(window.last + 1 - below, 0)
    while True:
        guards = min(guard, below - n_low), min(guard, size - below - n_high)
        near = lanczos.nearest(
            n_low,
            n_high,
            tolerance,
            guards,
            lambda m: tell(f"levels around {sigma:.3f} eV, subspace of {m}", 0.9),
        )
        start = below - n_low - guards[0]
        if not check:
            return _Found(lanczos, near, sigma, below, start, (None, None))
        edges = (
            _edge(near.energies, start, max(window.first - guard, start + 1), window.first),
            _edge(near.energies, start, window.last + 1, window.last + guard),
        )
        fits = [
            edge is not None or end
            for edge, end in zip(edges, (window.first == 0, window.last == size - 1), strict=True)
        ]
        if all(fits) or (start == 0 and below + n_high + guards[1] == size):
            return _Found(lanczos, near, sigma, below, start, edges)
        guard *= 2


def _edge(energies: _Array, start: int, begin: int, end: int) -> tuple[int, float] | None:
    """The widest spacing below one of the levels number ``begin`` … ``end``, of those that are
    known from number ``start`` on: how many levels lie below it, and its middle.
    """
    numbers = [n for n in range(begin, end + 1) if 0 < n - start < len(energies)]
    spacings = [energies[n - start] - energies[n - start - 1] for n in numbers]
    if not numbers or max(spacings) < _SPACED:
        return None
    n = numbers[int(np.argmax(spacings))]
    return n, float(energies[n - start] + energies[n - start - 1]) / 2


def _complete(at: ShiftedPoint, found: _Found, tell: Tell) -> bool:
    """Whether as many levels lie below each edge as were found."""
    for index, edge in enumerate(found.edges):
        if edge is None:
            continue
        number, energy = edge
        if _count(at, energy, tell, (index / 2, index / 2 + 0.5)) != number:
            return False
    return True


def _count(at: ShiftedPoint, sigma: float, tell: Tell, share: tuple[float, float]) -> int | None:
    begin, end = share
    try:
        return at.count_below(
            sigma,
            lambda done: tell(
                f"counting levels below {sigma:.3f} eV", begin + (end - begin) * done
            ),
        )
    except SingularMatrix:
        return None


def _next_shift(
    lower: tuple[float, int] | None, upper: tuple[float, int] | None, wanted: float, step: float
) -> float:
    """Where about ``wanted`` levels should lie below: interpolated between shifts on both sides,
    or a step away from those on one.
    """
    if lower is not None and upper is not None:
        part = (wanted - lower[1]) / max(upper[1] - lower[1], 1)
        return lower[0] + min(max(part, 0.1), 0.9) * (upper[0] - lower[0])
    if lower is not None:
        return lower[0] + step
    assert upper is not None
    return upper[0] - step


def _site_level(h: Hamiltonian, filled: int) -> float:
    """Level number ``filled`` of the sites taken by themselves, eV: within some eV of the gap."""
    pairs = h.pairs
    home = np.flatnonzero((pairs.first == pairs.second) & ~pairs.cell.any(axis=1))
    levels = np.concatenate(
        [
            scipy.linalg.eigh(
                pairs.block(h.scalar, int(pair)),
                pairs.block(h.overlap, int(pair)),
                eigvals_only=True,
            )
            for pair in home
        ]
    )
    return float(np.sort(levels)[filled - 1])
