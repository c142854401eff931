"""LDLᴴ of a really sparse Hermitian matrix, without pivoting, by SuperLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch

__all__ = ["SparseFactor", "factorise_sparse"]

_RESIDUAL = 1e-9


@dataclass(frozen=True, eq=False)
class SparseFactor:
    """Solves, and the number of negative eigenvalues: the signs of the pivots (Sylvester)."""

    lu: Any
    n_negative: int

    def solve(self, b: torch.Tensor) -> torch.Tensor:
        """A⁻¹ b for columns b (n, m)."""
        return torch.from_numpy(self.lu.solve(np.asfortranarray(b.numpy())))


def factorise_sparse(a: scipy.sparse.csc_array) -> SparseFactor | None:
    """Factorise a Hermitian matrix with its diagonal as pivots, P A Pᵀ = L D Lᴴ.

    None where that is not to be trusted: a pivot off the diagonal was needed (then the signs say
    nothing), or small pivots spoil the solution. A dense factor with pivoting has neither limit.
    """
    try:
        lu = scipy.sparse.linalg.splu(
            a,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:  # exactly singular
        return None
    if not np.array_equal(lu.perm_r, lu.perm_c):
        return None
    rng = np.random.default_rng(0)
    b = rng.normal(size=a.shape[0]).astype(a.dtype)
    x = lu.solve(b)
    size = np.abs(a.data).max() * np.abs(x).max()
    if not np.abs(a @ x - b).max() <= _RESIDUAL * max(size, 1.0):
        return None
    return SparseFactor(lu, int(np.count_nonzero(lu.U.diagonal().real < 0)))
