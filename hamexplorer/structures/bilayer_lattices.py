"""Plane lattices and their superlattices: reduction, sublattices of an index, strain of a match.

Vectors are rows. A superlattice of the lattice A, shape (2, 2), is M @ A with whole M.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SHARES",
    "Reals",
    "Wholes",
    "area",
    "cell_translations",
    "common_cell",
    "deformation",
    "is_primitive_pair",
    "polar_angle",
    "principal_strains",
    "reduced",
    "reduced_angle",
    "rotation",
    "stretch",
    "sublattices",
]

Reals = NDArray[np.float64]
Wholes = NDArray[np.int64]

SHARES = {"shared": 0.5, "first": 1.0, "second": 0.0}
"""The first layer's share s of the strain, by the layer that gives way: with F = R V from the
second to the first, they stretch by V^(−s) and V^(1 − s)."""


def rotation(degrees: float) -> Reals:
    """R, shape (2, 2), that turns rows anticlockwise: r @ R."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, s], [-s, c]])


def area(vectors: Reals | Wholes) -> Reals:
    """Signed area of cells, shape (..., 2, 2) → (...); positive: the second turned to the left."""
    v = np.asarray(vectors, dtype=np.float64)
    result: Reals = v[..., 0, 0] * v[..., 1, 1] - v[..., 0, 1] * v[..., 1, 0]
    return result


def reduced(vectors: Reals) -> Reals:
    """Right-handed shortest bases of lattices, shape (..., 2, 2): |u| ≤ |v|, |u·v| ≤ |u|²/2."""
    cells = np.array(vectors, dtype=float)
    u, v = cells[..., 0, :], cells[..., 1, :]
    while True:
        swap = (u * u).sum(-1) > (v * v).sum(-1) * (1 + 1e-12)
        u, v = np.where(swap[..., None], v, u), np.where(swap[..., None], u, v)
        ratio = (u * v).sum(-1) / (u * u).sum(-1)
        # ±1/2 within rounding is reduced already: else the two would be exchanged for ever
        steps = np.where(np.abs(ratio) <= 0.5 + 1e-9, 0.0, np.rint(ratio))
        if not steps.any():
            break
        v = v - steps[..., None] * u
    cells = np.stack([u, v], axis=-2)
    cells[..., 1, :] *= np.sign(area(cells))[..., None]
    return cells


@lru_cache(maxsize=4096)
def sublattices(index: int, turn: tuple[tuple[int, int], tuple[int, int]]) -> Wholes:
    """Sublattices of ``index``, one of each orbit under the lattice's rotation ``turn``.

    Rows of M = [[p, q], [0, r]] with p r = index and 0 ≤ q < r (Hermite's normal form) span each
    sublattice once; ``turn`` is the whole W with A rotated = W @ A. Returns shape (n, 2, 2).
    """
    seen: set[tuple[int, int, int]] = set()
    kept = []
    for p in (p for p in range(1, index + 1) if index % p == 0):
        r = index // p
        for q in range(r):
            if (p, q, r) in seen:
                continue
            kept.append([[p, q], [0, r]])
            form = (p, q, r)
            while form not in seen:
                seen.add(form)
                form = _hermite(np.array([[form[0], form[1]], [0, form[2]]]) @ np.array(turn))
    return np.array(kept, dtype=np.int64)


def _hermite(m: Wholes) -> tuple[int, int, int]:
    """(p, q, r) of the normal form of a 2 × 2 matrix of whole numbers that is not singular."""
    (a, b), (c, d) = m.tolist()
    while c:  # Euclid on the first column, rows carried along
        k = a // c
        a, b, c, d = c, d, a - k * c, b - k * d
    if a < 0:
        a, b = -a, -b
    return a, b % abs(d), abs(d)


def cell_translations(matrix: Wholes) -> Wholes:
    """The det M lattice points (i, j) of one cell of M @ A, shape (|det M|, 2)."""
    p, _, r = _hermite(matrix)
    i, j = np.meshgrid(np.arange(p), np.arange(r), indexing="ij")
    return np.column_stack([i.ravel(), j.ravel()]).astype(np.int64)


def is_primitive_pair(first: Wholes, second: Wholes) -> NDArray[np.bool_]:
    """Whether the cells M_1 A_1 = M_2 A_2 F are the smallest that both lattices share; (...).

    The rows of [M_1 | M_2] are all whole vectors of their plane if, and only if, their six
    2 × 2 minors have no common divisor.
    """
    rows = np.concatenate([first, second], axis=-1)
    divisor = np.zeros(rows.shape[:-2], dtype=np.int64)
    for i in range(4):
        for j in range(i):
            minor = rows[..., 0, i] * rows[..., 1, j] - rows[..., 0, j] * rows[..., 1, i]
            divisor = np.gcd(divisor, minor)
    return np.asarray(divisor == 1)


def reduced_angle(angle: float, order: int, other: int) -> float:
    """``angle`` between two layers in (−T/2, T/2], T = 360°/lcm of their axes' orders: rotations
    that map either layer onto itself do not change the bilayer.
    """
    period = 360.0 / math.lcm(order, other)
    result = angle - period * round(angle / period)
    if abs(abs(result) - period / 2) < 1e-6:
        return period / 2
    return result if abs(result) > 1e-9 else 0.0


def deformation(start: Reals, end: Reals) -> Reals:
    """F with ``start`` @ F = ``end``, all of shape (2, 2)."""
    return np.asarray(np.linalg.solve(start, end), dtype=np.float64)


def polar_angle(f: Reals) -> Reals:
    """Angle in degrees, in (−180, 180], of the rotation in F, shape (..., 2, 2) with det F > 0."""
    return np.asarray(
        np.degrees(np.arctan2(f[..., 0, 1] - f[..., 1, 0], f[..., 0, 0] + f[..., 1, 1]))
    )


def principal_strains(f: Reals) -> Reals:
    """Stretches less one, descending, of F, shape (..., 2, 2), det F > 0 → (..., 2)."""
    total = np.hypot(f[..., 0, 0] + f[..., 1, 1], f[..., 0, 1] - f[..., 1, 0])
    difference = np.hypot(f[..., 0, 0] - f[..., 1, 1], f[..., 0, 1] + f[..., 1, 0])
    stretches: Reals = np.stack([total + difference, total - difference], axis=-1) / 2
    return stretches - 1.0


def stretch(f: Reals) -> Reals:
    """V − 1 with F = R V for rows (r → r R V): Biot's strain in the frame of the result, (2, 2)."""
    values, vectors = np.linalg.eigh(f.T @ f)
    result: Reals = vectors @ np.diag(np.sqrt(values)) @ vectors.T - np.eye(2)
    return result


def common_cell(first: Reals, second: Reals, strained: str) -> Reals:
    """The cell C, shape (2, 2), that two matching cells P and Q become, in P's orientation.

    Q F = P with F = R V. ``strained`` is the layer that gives way: ``second`` C = P, ``first``
    C = P V⁻¹ = Q R, ``shared`` C = P V^(−1/2), so that the two stretch by V^(∓1/2).
    """
    f = deformation(second, first)
    values, vectors = np.linalg.eigh(f.T @ f)
    part = vectors @ np.diag(values ** (-SHARES[strained] / 2)) @ vectors.T
    result: Reals = first @ part
    return result
