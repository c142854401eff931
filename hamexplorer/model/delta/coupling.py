"""Blocks between shells as coupled irreps, y_L = Σ_ab √(2L + 1) w3j(l_a, l_b, L) B_ab.

The matrices here are orthogonal: K Kᵀ = 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Shell
from hamexplorer.model.paths import w3j

__all__ = [
    "Coupling",
    "edge_coupling",
    "edge_sizes",
    "frame_order",
    "irreps_of_block",
    "site_coupling",
    "site_sizes",
]


@dataclass(frozen=True, eq=False)
class Coupling:
    """From blocks to coupled irreps.

    Attributes:
        matrix: K, (n_components, n_a n_b).
        irrep: irrep of every component, (n_components,).
    """

    matrix: NDArray[np.float64]
    irrep: NDArray[np.int64]


def irreps_of_block(first: Sequence[Shell], second: Sequence[Shell]) -> list[tuple[int, int, int]]:
    """(shell a, shell b, L) of every coupled irrep of a block."""
    return [
        (a, b, big)
        for a, s in enumerate(first)
        for b, t in enumerate(second)
        for big in range(abs(s.l - t.l), s.l + t.l + 1)
    ]


def frame_order(l: int) -> list[int]:  # noqa: E741
    """Places of m = 0, 1, −1, 2, −2, … among m = −l … l."""
    return [l, *(l + sign * m for m in range(1, l + 1) for sign in (1, -1))]


def edge_sizes(first: Sequence[Shell], second: Sequence[Shell], max_m: int) -> tuple[int, ...]:
    """``sizes`` of :func:`edge_coupling`, without its matrix."""
    irreps = irreps_of_block(first, second)
    even = sum(_natural(first, second, *irrep) for irrep in irreps)
    outer = (sum(big >= m for _, _, big in irreps) for m in range(1, max_m + 1))
    return even, len(irreps) - even, *outer


def site_sizes(shells: Sequence[Shell], max_l: int) -> tuple[int, ...]:
    """``sizes`` of :func:`site_coupling`, without its matrix."""
    irreps = irreps_of_block(shells, shells)
    kinds = Counter((irrep[2], _natural(shells, shells, *irrep)) for irrep in irreps)
    return tuple(kinds[big, even] for big in range(max_l + 1) for even in (True, False))


def edge_coupling(first: Sequence[Shell], second: Sequence[Shell], max_m: int) -> Coupling:
    """K of blocks in an edge's frame, orbitals of a shell m = 0, 1, −1, …; |m| ≤ ``max_m``."""
    irreps = irreps_of_block(first, second)
    tensors = [_tensor(first, second, *irrep, framed=True) for irrep in irreps]
    natural = [_natural(first, second, *irrep) for irrep in irreps]
    rows: list[NDArray[np.float64]] = []
    numbers: list[int] = []
    for even in (True, False):
        chosen = [k for k in range(len(irreps)) if natural[k] == even]
        rows += [tensors[k][irreps[k][2]] for k in chosen]
        numbers += chosen
    for m in range(1, max_m + 1):
        chosen = [k for k, (_, _, big) in enumerate(irreps) if big >= m]
        plus = {k: tensors[k][irreps[k][2] + m] for k in chosen}
        minus = {k: tensors[k][irreps[k][2] - m] for k in chosen}
        rows += [plus[k] if natural[k] else minus[k] for k in chosen]
        rows += [minus[k] if natural[k] else -plus[k] for k in chosen]
        numbers += [*chosen, *chosen]
    return Coupling(np.stack(rows), np.array(numbers))


def site_coupling(shells: Sequence[Shell], max_l: int) -> Coupling:
    """K of an atom's own block, parts L = 0 natural, unnatural, L = 1 …; rows (m, irrep) in each.

    Irreps of L beyond ``max_l`` are left out.
    """
    irreps = irreps_of_block(shells, shells)
    rows: list[NDArray[np.float64]] = []
    numbers: list[int] = []
    for big in range(max_l + 1):
        for even in (True, False):
            chosen = [
                k
                for k, i in enumerate(irreps)
                if i[2] == big and _natural(shells, shells, *i) == even
            ]
            tensors = [_tensor(shells, shells, *irreps[k], framed=False) for k in chosen]
            for m in range(2 * big + 1):
                rows += [t[m] for t in tensors]
                numbers += chosen
    return Coupling(np.stack(rows), np.array(numbers))


def _natural(first: Sequence[Shell], second: Sequence[Shell], a: int, b: int, big: int) -> bool:
    return (first[a].l + second[b].l + big) % 2 == 0


def _tensor(
    first: Sequence[Shell], second: Sequence[Shell], a: int, b: int, big: int, *, framed: bool
) -> NDArray[np.float64]:
    """The irrep's components m = −L … L as flat blocks, (2L + 1, n_a n_b)."""
    l_a, l_b = first[a].l, second[b].l
    coupling = math.sqrt(2 * big + 1) * w3j(l_a, l_b, big).transpose(2, 0, 1)
    if framed:
        coupling = coupling[:, frame_order(l_a)][:, :, frame_order(l_b)]
    row = sum(s.size for s in first[:a])
    column = sum(s.size for s in second[:b])
    block = np.zeros(
        (2 * big + 1, sum(s.size for s in first), sum(s.size for s in second)), dtype=float
    )
    block[:, row : row + 2 * l_a + 1, column : column + 2 * l_b + 1] = coupling
    return block.reshape(2 * big + 1, -1)
