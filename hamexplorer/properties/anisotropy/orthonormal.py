"""Bloch matrices between orthonormal orbitals."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.hamiltonian import BlochMatrices, BlochSum
from hamexplorer.properties.solver import BandSolver

__all__ = ["inverse_factor", "orthonormal_matrices"]

_SMALLEST_PIVOT = 1e-9


def orthonormal_matrices(bloch: BlochSum, kpoints: NDArray[np.float64]) -> BlochMatrices:
    """L⁻¹ M L⁻† of every matrix at ``kpoints`` (nk, 3), with S = L L†.

    Raises:
        HamiltonianError: S(k) is not positive definite, or nearly singular.
    """
    matrices = bloch(kpoints)
    return matrices.transformed(inverse_factor(bloch, kpoints, matrices.overlap).mH)


def inverse_factor(
    bloch: BlochSum, kpoints: NDArray[np.float64], overlap: torch.Tensor
) -> torch.Tensor:
    """L⁻¹ (nk, n, n) of S(k) = L L†.

    Raises:
        HamiltonianError: S(k) is not positive definite, or nearly singular.
    """
    lower, info = torch.linalg.cholesky_ex(overlap)
    pivot = torch.diagonal(lower, dim1=-2, dim2=-1).real.square().amin(-1)
    if bool(((info != 0) | ~(pivot > _SMALLEST_PIVOT)).any()):
        BandSolver(bloch.hamiltonian, kpoints, "cpu")  # raises, and says where
    identity = torch.eye(lower.shape[-1], dtype=lower.dtype)
    return torch.linalg.solve_triangular(lower, identity.expand_as(lower), upper=False)
