"""From what the channels give to a matrix's rows in HamGNN's layout.

Without spin–orbit H = mask ∘ ((Δ[R] + Δ[−R]ᵀ)/2 + H0). With it, from ξ and the real matrices L_a,

    A_a[R] = (M_a[R] − M_a[−R]ᵀ)/2,   M_a = ξ ∘ L_a

    Re = [[H, A_y], [A_y, H]] + Re H0′       H0′: H0 of the calculation with spin–orbit without its
    Im = [[A_z, A_x], [−A_x, −A_z]] + Im H0  ↑↑ and ↓↓, which are in H

This is the published layout with its trap: ↓↑ of an edge is the complex conjugate of ↑↓ of the same
edge and not its adjoint over the reverse edge. A_a is odd under that exchange, so that the two
differ by a sign, and what the rows say is not Hermitian. Whoever diagonalises must read one
triangle, or take ↑↓ alone, as :func:`~hamexplorer.formats.hamgnn.conversion.crystal_hamiltonian`
does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.hamgnn.rows import Rows

__all__ = ["scalar_rows", "spinor_rows"]

_Array = NDArray[np.floating]
_AT_ONCE = 1024
"""Rows that are worked on together, so that copies stay small beside the result."""


def scalar_rows(
    blocks: _Array,
    reverse: NDArray[np.int64],
    order: NDArray[np.int64],
    zero: _Array,
    mask: NDArray[np.bool_],
    species: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> _Array:
    """H without spin–orbit, (n_rows, n²), Ha.

    Args:
        blocks: Δ as the network gives it, (n_rows, n, n), rows and columns m = −l … l.
        reverse: row of (j, i, −R), (n_rows,).
        order: which of ours stands at every place of HamGNN's order, (n,).
        zero: H0, (n_rows, n²).
        mask: orbitals that each kind of atom has, in HamGNN's order, (n_kinds, n).
        species: kind of the atoms i and j of every row, (n_rows,) each.
    """
    n = len(order)
    result = np.empty((len(blocks), n * n), dtype=blocks.dtype)
    for part in _parts(len(blocks)):
        h = (blocks[part] + blocks[reverse[part]].transpose(0, 2, 1)) / 2
        h = h[:, order[:, None], order]
        h += zero[part].reshape(-1, n, n)
        first, second = (mask[kind[part]] for kind in species)
        h *= first[:, :, None] & second[:, None, :]
        result[part] = h.reshape(-1, n * n)
    return result


def spinor_rows(
    strengths: _Array,
    reverse: NDArray[np.int64],
    momentum: tuple[_Array, _Array],
    scalar: _Array,
    zero: Rows,
) -> Rows:
    """H with spin–orbit, (n_rows, (2n)²) real and imaginary, Ha.

    Args:
        strengths: ξ, constant within each pair of shells, (n_rows, n, n).
        reverse: row of (j, i, −R), (n_rows,).
        momentum: L of sites (n_sites, n², 3) and of edges (n_edges, n², 3).
        scalar: H without spin–orbit, (n_rows, n²).
        zero: H0 of spinors.
    """
    assert zero.imaginary is not None
    rows, n = len(strengths), strengths.shape[1]
    dtype = strengths.dtype
    sites = len(momentum[0])
    real = np.zeros((rows, 2 * n, 2 * n), dtype=dtype)
    imaginary = np.empty_like(real)

    def product(chosen: NDArray[np.int64]) -> _Array:
        """M_a = ξ ∘ L_a, (3, n_chosen, n, n)."""
        l = np.empty((len(chosen), n * n, 3), dtype=dtype)  # noqa: E741
        on = chosen < sites
        l[on] = momentum[0][chosen[on]]
        l[~on] = momentum[1][chosen[~on] - sites]
        m: _Array = l.reshape(-1, n, n, 3) * strengths[chosen][..., None]
        return m.transpose(3, 0, 1, 2)

    up, down = slice(0, n), slice(n, 2 * n)
    for part in _parts(rows):
        chosen = np.arange(part.start, part.stop)
        x, y, z = (product(chosen) - product(reverse[part]).transpose(0, 1, 3, 2)) / 2
        re, im = real[part], imaginary[part]
        im[:] = zero.imaginary[part].reshape(-1, 2 * n, 2 * n)
        im[:, up, up] += z
        im[:, up, down] += x
        im[:, down, up] -= x
        im[:, down, down] -= z
        first = zero.real[part].reshape(-1, 2 * n, 2 * n)
        re[:, up, up] = re[:, down, down] = scalar[part].reshape(-1, n, n)
        re[:, up, down] = y + first[:, up, down]
        re[:, down, up] = y + first[:, down, up]
    return Rows(real.reshape(rows, -1), imaginary.reshape(rows, -1))


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, count))
