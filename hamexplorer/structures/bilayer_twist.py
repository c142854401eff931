"""Angles at which a hexagonal or square lattice and its rotated copy have a common cell.

With the lattice as complex numbers a (x + y ζ), ζ = exp(iπ/3) or i, and z = m + n ζ for coprime
m ≥ n ≥ 1, the copy turned by θ = arg ζ − 2 arg z carries z onto n + m ζ, so that

    hexagonal  cos θ = (m² + 4mn + n²) / (2 (m² + mn + n²))     N = m² + mn + n²
    square     cos θ = 2mn / (m² + n²)                          N = m² + n²

primitive cells of each layer lie in the common cell; where 3 divides m − n (2 divides it, on
square lattices) N is three (two) times smaller. Every θ strictly between 0 and 60° (90°) that has
a common cell is met once; m = n = 1 is the untwisted one. S. Shallcross, S. Sharma, E. Kandelaki
and O. A. Pankratov, Phys. Rev. B 81, 165105 (2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hamexplorer.errors import SettingsError

__all__ = ["PERIOD", "Twist", "commensurate_twists", "nearest_twist"]

PERIOD = {"hexagonal": 60, "square": 90}
"""Degrees after which a lattice is itself again."""
_ROUNDED = 0.01
"""Angles are quoted to two decimals: the smallest cell within this many degrees is meant."""


@dataclass(frozen=True)
class Twist:
    """A common cell: ``angle`` in degrees, ``cells`` primitive cells in each layer."""

    m: int
    n: int
    angle: float
    cells: int


def commensurate_twists(max_cells: int, lattice: str = "hexagonal") -> tuple[Twist, ...]:
    """All common cells of at most ``max_cells`` primitive cells per layer with 0 ≤ θ < 60° (90°),
    smallest first, equal ones by angle.

    Raises:
        SettingsError: ``lattice`` is neither hexagonal nor square.
    """
    if lattice not in PERIOD:
        raise SettingsError(
            f"lattice = {lattice!r}: a rotated copy has a common cell with its original for "
            "hexagonal and square lattices; others match under strain only."
        )
    mixed, factor = (1, 3) if lattice == "hexagonal" else (0, 2)
    found = []
    for m in range(1, math.isqrt(factor * max(max_cells, 0)) + 1):
        for n in range(1, m + 1):
            cells = m * m + mixed * m * n + n * n
            if (m - n) % factor == 0:
                cells //= factor
            if cells <= max_cells and math.gcd(m, n) == 1:
                found.append(Twist(m, n, _angle(m, n, mixed), cells))
    return tuple(sorted(found, key=lambda twist: (twist.cells, twist.angle)))


def nearest_twist(
    angle: float, max_cells: int, lattice: str = "hexagonal", tolerance: float = 0.5
) -> Twist:
    """The smallest common cell within 0.01° of ``angle``, else the one nearest to it.

    ``angle`` is taken modulo 60° (90°); the result's is in the same turn as ``angle``.

    Raises:
        SettingsError: none of at most ``max_cells`` primitive cells per layer is within
            ``tolerance`` degrees; the nearest one is named, and the size that is needed.
    """
    twists = commensurate_twists(max_cells, lattice)
    found = _nearest(angle, twists, lattice)
    if found is not None and abs(found.angle - angle) <= tolerance:
        return found
    larger = None
    limit = max(max_cells, 1)
    while larger is None and limit < 20_000:
        limit *= 4
        candidate = _nearest(angle, commensurate_twists(limit, lattice), lattice)
        if candidate is not None and abs(candidate.angle - angle) <= tolerance:
            larger = candidate
    there = "there is none" if found is None else f"the nearest is {found.angle:.4f}°"
    hint = (
        ""
        if larger is None
        else f"; {larger.angle:.4f}° would take {larger.cells} cells in each layer"
    )
    raise SettingsError(
        f"No common cell within {tolerance:g}° of {angle:g}° has {max_cells} or fewer primitive "
        f"cells in each layer: {there}{hint}. Give another angle, a larger "
        "tolerance, or more atoms."
    )


def _nearest(angle: float, twists: tuple[Twist, ...], lattice: str) -> Twist | None:
    period = PERIOD[lattice]
    turned = [
        Twist(t.m, t.n, t.angle + period * round((angle - t.angle) / period), t.cells)
        for t in twists
    ]
    near = [t for t in turned if abs(t.angle - angle) <= _ROUNDED]
    if near:
        return min(near, key=lambda t: (t.cells, abs(t.angle - angle)))
    twisted = [t for t in turned if t.cells > 1]  # who asks for 0.3° does not mean 0
    return min(twisted, key=lambda t: (abs(t.angle - angle), t.cells), default=None)


def _angle(m: int, n: int, mixed: int) -> float:
    """By the sine too: the cosine alone loses half the digits of small angles."""
    if mixed:
        sine, cosine = math.sqrt(3) * (m * m - n * n), m * m + 4 * m * n + n * n
    else:
        sine, cosine = float(m * m - n * n), 2 * m * n
    return math.degrees(math.atan2(sine, cosine))
