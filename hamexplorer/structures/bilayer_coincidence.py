"""Supercells in which two different layers fit each other under a small strain.

For every pair of sublattices P = M_A A and Q = M_B B of suitable index, and every basis of Q that
could become P's shortest one, Q F = P gives the deformation F = R V: its rotation is the angle
between the layers, its principal stretches are the misfit. All angles are searched at once. Pairs
of sublattices as in A. Zur and T. C. McGill, J. Appl. Phys. 55, 378 (1984).

pymatgen's ``ZSLGenerator`` limits lengths, angle and area of reduced cells, not principal strains,
names a cell many times, and does not give the angle between the layers. For graphene on MoS2, 200
atoms and 2 %, it took 4.6 s for 381 matches, of which 89 within the limits were 14 cells; this
search 0.08 s for those and one more (MoS2/WSe2: 1.3 s, 11 cells; here 0.09 s, those and two more).
The tests hold it against pymatgen's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.structures.bilayer_lattices import (
    SHARES,
    Reals,
    Wholes,
    area,
    deformation,
    is_primitive_pair,
    polar_angle,
    principal_strains,
    reduced,
    reduced_angle,
    sublattices,
)
from hamexplorer.structures.bilayer_layer import Layer
from hamexplorer.structures.bilayer_numbers import check_reals, check_wholes

__all__ = ["MAX_SEARCHED_ATOMS", "MAX_STRAIN", "STRAINED", "CoincidenceCell", "coincidence_cells"]

MAX_SEARCHED_ATOMS = 1000
MAX_STRAIN = 10.0
"""%; beyond it a match says little about the layers."""
STRAINED = tuple(SHARES)
"""Which layer gives way."""

_BASES = np.array(
    [m for m in itertools.product((-1, 0, 1), repeat=4) if m[0] * m[3] - m[1] * m[2] == 1],
    dtype=np.int64,
).reshape(-1, 2, 2)
"""Changes of a shortest basis (u, v) that may become the shortest one of a slightly strained
lattice."""
_KINDS = [
    [1 if x == 0 else 0 if y == 0 else 2 if x == y else 3 for x, y in basis.tolist()]
    for basis in _BASES
]
"""Which of u, v, u + v, u − v the rows of each are, but for the sign."""


@dataclass(frozen=True, eq=False)
class CoincidenceCell:
    """A common cell: whole matrices (2, 2) of both layers' primitive vectors, the angle between
    those vectors in degrees, principal ``strains`` in % of each layer (2, 2), atoms, and area of
    the cell in Å².
    """

    first: Wholes
    second: Wholes
    angle: float
    strains: Reals
    atoms: int
    area: float

    @property
    def cells(self) -> tuple[int, int]:
        """Primitive cells of each layer."""
        return round(float(area(self.first))), round(float(area(self.second)))

    @property
    def max_strain(self) -> float:
        """Largest magnitude of a principal strain, %."""
        return float(np.abs(self.strains).max())

    @property
    def mean_strain(self) -> float:
        """Mean magnitude of the four principal strains, %."""
        return float(np.abs(self.strains).mean())


def coincidence_cells(
    first: Layer,
    second: Layer,
    *,
    max_strain: float = 2.0,
    max_atoms: int = 200,
    angle: float | None = None,
    angle_tolerance: float = 0.5,
    strained: str = "shared",
    limit: int = 50,
) -> tuple[CoincidenceCell, ...]:
    """The smallest common cells, by atoms, then by strain; at most ``limit``.

    Angles are those between the first primitive vectors, reduced to the ones that differ for
    these layers: rotations that map a layer onto itself make no difference, and where both have a
    mirror plane through the normal θ and −θ are mirror images.

    Args:
        first: the lower layer.
        second: the upper layer.
        max_strain: largest principal strain of either layer, %.
        max_atoms: in the cell.
        angle: degrees; None: any.
        angle_tolerance: degrees by which the angle may miss.
        strained: the layer that gives way: ``first``, ``second``, or ``shared``.
        limit: number of cells.

    Raises:
        SettingsError: a parameter outside its range.
        ResourceLimitError: ``max_atoms`` above :data:`MAX_SEARCHED_ATOMS`.
    """
    _check(max_strain, max_atoms, angle, angle_tolerance, strained, limit)
    found: dict[tuple[float, ...], CoincidenceCell] = {}
    window = None if angle is None else (_folded(angle, first, second), angle_tolerance)
    smallest = math.inf  # atoms of the largest cell that is still wanted
    share = _share(strained)
    for p in range(1, max_atoms // len(first) + 1):
        if p * len(first) >= smallest:
            break
        for cell in _of_index(first, second, p, max_atoms, max_strain / 100, share, window):
            key = (
                *cell.cells,
                round(cell.angle, 4),
                *np.round(cell.strains, 5).ravel().tolist(),
                *np.round(np.linalg.norm(reduced(cell.first @ first.vectors), axis=1), 4).tolist(),
            )
            found.setdefault(key, cell)
        if len(found) >= limit:
            smallest = sorted(cell.atoms for cell in found.values())[limit - 1]
    order = sorted(
        found.values(), key=lambda c: (c.atoms, round(c.max_strain, 6), abs(c.angle), c.cells)
    )
    return tuple(order[:limit])


def _check(
    max_strain: float,
    max_atoms: int,
    angle: float | None,
    angle_tolerance: float,
    strained: str,
    limit: int,
) -> None:
    check_reals(max_strain=max_strain, angle_tolerance=angle_tolerance)
    if angle is not None:
        check_reals(angle=angle)
    check_wholes(max_atoms=max_atoms, limit=limit)
    if not 0 <= max_strain <= MAX_STRAIN:
        raise SettingsError(f"max_strain = {max_strain:g} %: 0 … {MAX_STRAIN:g} % are accepted.")
    if max_atoms > MAX_SEARCHED_ATOMS:
        raise ResourceLimitError(
            f"max_atoms = {max_atoms}: common cells of two layers are searched up to "
            f"{MAX_SEARCHED_ATOMS} atoms."
        )
    if max_atoms < 2:
        raise SettingsError(f"max_atoms = {max_atoms}: at least 2 are needed.")
    if angle is not None and not abs(angle) <= 360:
        raise SettingsError(f"angle = {angle}°: −360 … 360 are accepted.")
    if not 0 < angle_tolerance <= 180:
        raise SettingsError(f"angle_tolerance = {angle_tolerance}°: above 0, up to 180.")
    if strained not in STRAINED:
        raise SettingsError(f"strained = {strained!r}: one of {', '.join(STRAINED)}.")
    if limit < 1:
        raise SettingsError(f"limit = {limit}: at least 1.")


def _share(strained: str) -> tuple[float, float]:
    """Powers of V, in Q F = P with F = R V, by which the two layers stretch."""
    return 0.0 - SHARES[strained], 1.0 - SHARES[strained]


def _of_index(
    first: Layer,
    second: Layer,
    p: int,
    max_atoms: int,
    max_strain: float,
    share: tuple[float, float],
    window: tuple[float, float] | None,
) -> Iterator[CoincidenceCell]:
    """Common cells with ``p`` primitive cells of the first layer; angles within ``window``:
    a folded one, whose mirror image is as good, and by how much it may be missed.
    """
    # stretches of V that leave each layer's own within the limit
    low, high = -math.inf, math.inf
    for power in share:
        if power:
            bounds = sorted(math.log1p(sign * max_strain) / power for sign in (-1, 1))
            low, high = max(low, bounds[0]), min(high, bounds[1])
    low, high = low - 1e-9, high + 1e-9
    ratio = p * area(first.vectors) / area(second.vectors)
    most = (max_atoms - p * len(first)) // len(second)
    least = max(1, math.ceil(ratio * math.exp(-2 * high) - 1e-6))
    indices = range(least, min(most, math.floor(ratio * math.exp(-2 * low) + 1e-6)) + 1)
    if not indices:
        return
    whole_p = sublattices(p, first.turn)
    whole_q = np.concatenate([sublattices(q, second.turn) for q in indices])
    cells_p, cells_q = reduced(whole_p @ first.vectors), reduced(whole_q @ second.vectors)
    # strained by V, lengths change within V's stretches: the three shortest ones do …
    lengths_p, lengths_q = _lengths(cells_p), _lengths(cells_q)
    shortest = [np.sort(lengths, axis=1)[:, :3] for lengths in (lengths_p, lengths_q)]
    change = shortest[0][:, None] - shortest[1][None]
    i, j = np.nonzero(((change >= low) & (change <= high)).all(axis=2))
    # … and so do those of the vectors that become P's basis
    change = lengths_p[i, :2, None] - lengths_q[j, None]
    becomes = (change >= low) & (change <= high)
    for basis, (a, b) in zip(_BASES, _KINDS, strict=True):
        pairs = np.flatnonzero(becomes[:, 0, a] & becomes[:, 1, b])
        inverse = np.linalg.inv(basis @ cells_q)
        deformations: Reals = inverse[j[pairs]] @ cells_p[i[pairs]]
        stretches = np.log1p(principal_strains(deformations))
        fits = ((stretches >= low) & (stretches <= high)).all(axis=1)
        if window is not None:
            period = 360.0 / math.lcm(first.order, second.order)
            off = polar_angle(deformations) - window[0]
            off -= period * np.rint(off / period)
            fits &= np.abs(off) <= window[1] + 1e-6
        pairs, stretches = pairs[fits], stretches[fits]
        m_p = np.rint(cells_p[i[pairs]] @ np.linalg.inv(first.vectors)).astype(np.int64)
        m_q = np.rint(basis @ cells_q[j[pairs]] @ np.linalg.inv(second.vectors)).astype(np.int64)
        for n in np.flatnonzero(is_primitive_pair(m_p, m_q)):
            strains = [100 * np.expm1(power * stretches[n]) for power in share]
            yield from _canonical(first, second, m_p[n], m_q[n], np.array(strains))


def _lengths(cells: Reals) -> Reals:
    """Logarithms of |u|, |v|, |u + v| and |u − v| of reduced cells, (n, 2, 2) → (n, 4); the three
    shortest primitive vectors are among them.
    """
    u, v = cells[:, 0], cells[:, 1]
    return np.log(np.stack([np.linalg.norm(w, axis=1) for w in (u, v, u + v, u - v)], axis=1))


def _canonical(
    first: Layer, second: Layer, m_p: Wholes, m_q: Wholes, strains: Reals
) -> Iterator[CoincidenceCell]:
    """The cell with its angle in the range of distinct ones; none if its mirror image is there."""
    raw = float(polar_angle(deformation(m_q @ second.vectors, m_p @ first.vectors)))
    wanted = reduced_angle(raw, first.order, second.order)
    if first.mirror and second.mirror and wanted < -1e-6:
        return
    back = [_inverse(layer.turn) for layer in (first, second)]
    for a, b in itertools.product(range(first.order), range(second.order)):
        # the first layer turned by its own rotation lowers the angle, the second's raises it
        angle = raw - a * 360 / first.order + b * 360 / second.order
        if abs((angle - wanted + 180) % 360 - 180) < 1e-6:
            whole_p = m_p @ np.linalg.matrix_power(back[0], a)
            whole_q = m_q @ np.linalg.matrix_power(back[1], b)
            size = round(float(area(m_p))) * len(first) + round(float(area(m_q))) * len(second)
            surface = float(area(m_p @ first.vectors)) * float(np.prod(1 + strains[0] / 100))
            yield CoincidenceCell(whole_p, whole_q, wanted, strains, size, surface)
            return


def _inverse(turn: tuple[tuple[int, int], tuple[int, int]]) -> Wholes:
    """Of whole W with det 1."""
    (a, b), (c, d) = turn
    return np.array([[d, -b], [-c, a]], dtype=np.int64)


def _folded(angle: float, first: Layer, second: Layer) -> float:
    """The angle's place among the distinct ones."""
    back = reduced_angle(angle, first.order, second.order)
    return abs(back) if first.mirror and second.mirror else back
