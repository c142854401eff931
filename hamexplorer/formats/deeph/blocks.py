"""Blocks of a file in its own sequence, and the way from them to our pairs and orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.orders import HarmonicOrder, site_order
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["StoredBlocks", "arranged", "checked_index", "common_pairs", "stored_pairs"]

_MAX_CELL = 10**6
_BATCH = 1 << 21
"""Elements that are copied at once."""


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
    """Complain of a site that is not, a cell beyond reason, a block that is stored twice, or one
    whose reverse is missing although others have theirs.

    A file may store one direction of all pairs, or of those between different sites.

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
    codes = _codes(np.concatenate([index, _reversed(index)]))
    forward, backward = np.split(codes, 2)
    ordered, count = np.unique(forward, return_counts=True)
    twice = np.flatnonzero(np.isin(forward, ordered[count > 1]))
    if twice.size:
        raise FileFormatError(f"{name} stores block {_named(index[twice[0]])} twice.")
    lonely = ~np.isin(backward, forward)
    same_site = index[:, 3] == index[:, 4]
    for kind in (~same_site, same_site & cells.any(axis=1)):
        if (lonely & kind).any() and not lonely[kind].all():
            alone = np.flatnonzero(lonely & kind)[0]
            raise FileFormatError(
                f"{name} has no reverse of block {_named(index[alone])}, although it stores the "
                "reverse of others."
            )


def _reversed(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """−R1, −R2, −R3, j, i."""
    return np.concatenate([-index[:, :3], index[:, 4:], index[:, 3:4]], axis=1)


def common_pairs(matrices: Sequence[StoredBlocks], sizes: NDArray[np.int64]) -> Pairs:
    """All pairs that one of the matrices stores, in one direction at least, and (i, i, 0)."""
    forward = np.concatenate([matrix.index for matrix in matrices])
    here = np.zeros((len(sizes), 5), dtype=np.int64)
    here[:, 3:] = np.arange(len(sizes))[:, None]
    all_ = np.concatenate([forward, _reversed(forward), here])
    _, first = np.unique(_codes(all_), return_index=True)
    kept = all_[first]
    return Pairs(kept[:, 3], kept[:, 4], kept[:, :3], sizes)


def stored_pairs(stored: StoredBlocks, pairs: Pairs) -> NDArray[np.int64]:
    """Place of each pair's block in ``stored``, −1 where it has none, (n_pairs,)."""
    wanted = np.column_stack([pairs.cell, pairs.first, pairs.second])
    n = len(stored.index)
    codes = _codes(np.concatenate([stored.index, wanted]))
    order = np.argsort(codes[:n])
    at = np.minimum(np.searchsorted(codes[:n], codes[n:], sorter=order), n - 1)
    place = order[at]
    return np.where(codes[place] == codes[n:], place, -1)


def _codes(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each row of ``index``, equal where the rows are."""
    low = index.min(axis=0)
    spans = (index.max(axis=0) - low + 1).tolist()
    if math.prod(spans) < 2**62:
        return np.ravel_multi_index(tuple((index - low).T), spans)
    return np.unique(index, axis=0, return_inverse=True)[1].reshape(-1)


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
    kind = np.array([kinds.index(of_site) for of_site in momenta])
    code = np.where(place >= 0, kind[pairs.first] * len(kinds) + kind[pairs.second], -1)
    for value in np.unique(code[code >= 0]):
        a, b = kinds[value // len(kinds)], kinds[value % len(kinds)]
        take, signs = _places(a, b, spins, order)
        n = len(take) // spins**2
        # windows over the flat arrays: whole blocks are copied, no index of elements is made
        source = sliding_window_view(stored.values, len(take))
        targets = [
            sliding_window_view(part, n, writeable=True) for part in flat.reshape(-1, flat.shape[2])
        ]
        members = np.flatnonzero(code == value)
        for some in np.array_split(members, len(members) * len(take) // _BATCH + 1):
            blocks = source[stored.starts[place[some]]][:, take]
            if signs is not None:
                blocks *= signs.astype(blocks.real.dtype)
            for part, target in enumerate(targets):
                target[pairs.offsets[some]] = blocks[:, part * n : (part + 1) * n]
    missing = (place < 0) & (place[pairs.reverse] >= 0)
    if missing.any():
        elements = np.flatnonzero(missing[pairs.element_pair])
        other = flat[:, :, pairs.transposition[elements]]
        flat[:, :, elements] = other.conj().transpose(1, 0, 2)
    return flat


def _places(
    first: tuple[int, ...], second: tuple[int, ...], spins: int, order: HarmonicOrder
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Where the elements of ↑↑, ↑↓, ↓↑, ↓↓, each in our order, stand in a block of the file, and
    their signs (None: all +1); (spins² n m,) each.
    """
    rows, row_signs = site_order(first, order)
    columns, column_signs = site_order(second, order)
    n, m = len(rows), len(columns)
    file = np.arange(spins**2 * n * m).reshape(spins, n, spins, m)
    ours = file[:, rows][..., columns].transpose(0, 2, 1, 3)
    signs = np.broadcast_to(np.outer(row_signs, column_signs), ours.shape)
    return ours.ravel(), signs.ravel() if (signs < 0).any() else None


def _named(index: NDArray[np.int64]) -> str:
    *cell, i, j = index.tolist()
    return f"R = {tuple(cell)}, i = {i + 1}, j = {j + 1} (counted from 1)"
