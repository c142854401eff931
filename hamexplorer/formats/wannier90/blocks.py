"""Wannier90's matrices as flat blocks of pairs of sites, exactly.

A function whose nearest atom lies in another cell t is replaced by its translate |n, −t⟩, which
only changes phases of Bloch states: ⟨0m'|M|Rn'⟩ of the translates is ⟨0m|M|(R − t_n + t_m) n⟩.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.wannier90.matrices import RealSpace
from hamexplorer.formats.wannier90.ws_distance import Images
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["Placement", "SpinBlock", "common_pairs", "shares"]


@dataclass(frozen=True, eq=False)
class Placement:
    """The functions of one spin in a file: ``orbital`` (n_functions,) ours, −1 if of another
    spin; ``shift`` t (n_functions, 3), the cell of the atom at which the function lies.
    """

    orbital: NDArray[np.int64]
    shift: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpinBlock:
    """Shares of elements between functions of two spins.

    Attributes:
        index: in the file's flat matrices, (n_shares,).
        weight: of each share.
        row, column: our orbitals.
        cell: R between the sites' cells, (n_shares, 3).
    """

    index: NDArray[np.int64]
    weight: NDArray[np.float64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    cell: NDArray[np.int64]

    def flat(
        self, matrices: NDArray[np.complex128], pairs: Pairs, basis: Basis
    ) -> NDArray[np.complex128]:
        """``matrices`` (n_r, n, n) as flat blocks of ``pairs``, (n_elements,)."""
        values = matrices.reshape(-1)[self.index] * self.weight
        place = _places(self, pairs, basis)
        result = np.empty(pairs.n_elements, dtype=np.complex128)
        result.real = np.bincount(place, values.real, pairs.n_elements)
        result.imag = np.bincount(place, values.imag, pairs.n_elements)
        return result


def shares(raw: RealSpace, images: Images, row: Placement, column: Placement) -> SpinBlock:
    """The elements ⟨0m|M|Rn⟩ with m of one spin and n of another (or the same); no zeros."""
    n = raw.n_functions
    m, k = images.index // n % n, images.index % n
    chosen = (row.orbital[m] >= 0) & (column.orbital[k] >= 0) & _stored(raw)[images.index]
    m, k = m[chosen], k[chosen]
    return SpinBlock(
        images.index[chosen],
        images.weight[chosen],
        row.orbital[m],
        column.orbital[k],
        images.cell[chosen] + column.shift[k] - row.shift[m],
    )


def _stored(raw: RealSpace) -> NDArray[np.bool_]:
    """Which elements are on-site levels or not zero, (n_r · n · n,): files list zeros, too."""
    stored = raw.hamiltonian != 0
    if raw.position is not None:
        stored |= (raw.position != 0).any(axis=0)
    stored[~raw.cells.any(axis=1)] |= np.eye(raw.n_functions, dtype=bool)
    return stored.ravel()


def common_pairs(blocks: Sequence[SpinBlock], basis: Basis) -> Pairs:
    """All pairs of sites in which a block has a share, both directions."""
    reach = max(int(abs(block.cell).max(initial=0)) for block in blocks)
    codes = np.unique(np.concatenate([np.unique(_code(block, basis, reach)) for block in blocks]))
    rest, cell = codes, np.empty((len(codes), 3), dtype=np.int64)
    width = 2 * reach + 1
    for axis in (2, 1, 0):
        rest, cell[:, axis] = np.divmod(rest, width)
    cell -= reach
    first, second = np.divmod(rest, basis.n_sites)
    forward = np.column_stack([first, second, cell])
    both = np.unique(np.concatenate([forward, np.column_stack([second, first, -cell])]), axis=0)
    return Pairs(both[:, 0], both[:, 1], both[:, 2:], basis.sizes)


def _code(block: SpinBlock, basis: Basis, reach: int) -> NDArray[np.int64]:
    """One integer for (i, j, R) of every share; ascending as (i, j, R) is."""
    site = basis.orbital_site
    code: NDArray[np.int64] = site[block.row] * basis.n_sites + site[block.column]
    for axis in range(3):
        code = code * (2 * reach + 1) + (block.cell[:, axis] + reach)
    return code


def _places(block: SpinBlock, pairs: Pairs, basis: Basis) -> NDArray[np.int64]:
    """Place of every share in a flat array; ``pairs`` are sorted as :func:`common_pairs` does."""
    reach = int(abs(pairs.cell).max())
    code = pairs.first * basis.n_sites + pairs.second
    for axis in range(3):
        code = code * (2 * reach + 1) + (pairs.cell[:, axis] + reach)
    pair = np.searchsorted(code, _code(block, basis, reach))
    site, start = basis.orbital_site, basis.offsets
    row = block.row - start[site[block.row]]
    column = block.column - start[site[block.column]]
    place: NDArray[np.int64] = pairs.offsets[pair] + row * pairs.sizes[pairs.second[pair]] + column
    return place
