"""Blocks of a file in its own sequence, and the way from them to our pairs and orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.orders import HarmonicOrder, site_order
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["StoredBlocks", "arranged", "checked_index", "common_pairs", "stored_pairs"]

_MAX_CELL = 10**6


@dataclass(frozen=True, eq=False)
class StoredBlocks:
    """One matrix as its file has it.

    Attributes:
        name: of the file, for messages.
        index: R1, R2, R3, i, j of every block, i and j from 0, (n, 5).
        starts: where each block begins in ``values``, (n,).
        spins: 2 if a block is [[↑↑, ↑↓], [↓↑, ↓↓]] of (2 n_i, 2 n_j), else 1.
        values: blocks, row-major, real or complex.
    """

    name: str
    index: NDArray[np.int64]
    starts: NDArray[np.int64]
    spins: int
    values: NDArray[Any]


def checked_index(name: str, index: NDArray[np.int64], n_sites: int) -> None:
    """Complain of a site that is not, a cell beyond reason, or a block that is stored twice.

    Args:
        name: of the file.
        index: R1, R2, R3, i, j from 0, (n, 5).
        n_sites: sites of the crystal.

    Raises:
        FileFormatError: naming the first such block.
    """
    if not len(index):
        raise FileFormatError(f"{name} holds no block.")
    sites, cells = index[:, 3:], index[:, :3]
    # written without abs, which has none for the smallest integer
    wrong = (sites < 0) | (sites >= n_sites)
    far = (cells < -_MAX_CELL) | (cells > _MAX_CELL)
    bad = np.flatnonzero(wrong.any(axis=1) | far.any(axis=1))
    if bad.size:
        raise FileFormatError(
            f"{name} has a block {_named(index[bad[0]])}; the crystal has {n_sites} sites, and R "
            f"within ±{_MAX_CELL} is accepted."
        )
    ordered = index[np.lexsort(index.T)]
    twice = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
    if twice.size:
        raise FileFormatError(f"{name} stores block {_named(ordered[twice[0]])} twice.")


def common_pairs(matrices: Sequence[StoredBlocks], sizes: NDArray[np.int64]) -> Pairs:
    """All pairs that one of the matrices stores, in one direction at least, and (i, i, 0)."""
    forward = np.concatenate([matrix.index for matrix in matrices])
    backward = np.concatenate([-forward[:, :3], forward[:, 4:], forward[:, 3:4]], axis=1)
    sites = np.arange(len(sizes))
    here = np.zeros((len(sizes), 5), dtype=np.int64)
    here[:, 3:] = sites[:, None]
    all_ = np.unique(np.concatenate([forward, backward, here]), axis=0)
    return Pairs(all_[:, 3], all_[:, 4], all_[:, :3], sizes)


def stored_pairs(stored: StoredBlocks, pairs: Pairs) -> NDArray[np.int64]:
    """Place of each pair's block in ``stored``, −1 where it has none, (n_pairs,)."""
    wanted = np.column_stack([pairs.cell, pairs.first, pairs.second])
    both = np.concatenate([stored.index, wanted])
    _, found = np.unique(both, axis=0, return_inverse=True)
    found = found.reshape(-1)
    place = np.full(int(found.max()) + 1, -1, dtype=np.int64)
    place[found[: len(stored.index)]] = np.arange(len(stored.index))
    return place[found[len(stored.index) :]]


def arranged(
    stored: StoredBlocks, pairs: Pairs, basis: Basis, order: HarmonicOrder
) -> NDArray[Any]:
    """Flat blocks in our sequence of pairs and of orbitals, (spins, spins, n_elements).

    Of pairs stored in one direction the other is the adjoint; of others it is zero.
    """
    spins = stored.spins
    place = stored_pairs(stored, pairs)
    flat = np.zeros((spins, spins, pairs.n_elements), dtype=stored.values.dtype)
    momenta = [tuple(shell.l for shell in shells) for shells in basis.shells]
    kinds = list(dict.fromkeys(momenta))
    orders = [site_order(kind, order) for kind in kinds]
    kind = np.array([kinds.index(of_site) for of_site in momenta])
    code = np.where(place >= 0, kind[pairs.first] * len(kinds) + kind[pairs.second], -1)
    for value in np.unique(code[code >= 0]):
        rows, row_signs = orders[value // len(kinds)]
        columns, column_signs = orders[value % len(kinds)]
        members = np.flatnonzero(code == value)
        n, m = len(rows), len(columns)
        starts = stored.starts[place[members]][:, None]
        blocks = stored.values[starts + np.arange(spins * n * spins * m)]
        blocks = blocks.reshape(-1, spins, n, spins, m)
        signs = np.outer(row_signs, column_signs)
        target = pairs.offsets[members][:, None] + np.arange(n * m)
        for s in range(spins):
            for t in range(spins):
                ours = blocks[:, s, rows[:, None], t, columns]
                if (signs < 0).any():
                    ours = ours * signs.astype(ours.real.dtype)
                flat[s, t, target] = ours.reshape(len(members), -1)
    missing = (place < 0) & (place[pairs.reverse] >= 0)
    if missing.any():
        elements = np.flatnonzero(missing[pairs.element_pair])
        source = flat[:, :, pairs.transposition[elements]]
        flat[:, :, elements] = source.conj().transpose(1, 0, 2)
    return flat


def _named(index: NDArray[np.int64]) -> str:
    *cell, i, j = index.tolist()
    return f"R = {tuple(cell)}, i = {i + 1}, j = {j + 1} (counted from 1)"
