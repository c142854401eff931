"""Angular momentum in real spherical harmonics of the order m = −l … l (CONVENTIONS.md)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.linalg
import torch
from e3nn import o3
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hamexplorer.errors import HamiltonianError

__all__ = [
    "angular_momentum",
    "axis_rotations",
    "real_harmonics",
    "rotation_generators",
    "rotation_matrix",
]


@lru_cache(maxsize=16)
def rotation_generators(l: int) -> NDArray[np.float64]:  # noqa: E741
    """G_x, G_y, G_z with D^l(ω) = exp(ω·G), real antisymmetric, (3, 2l+1, 2l+1).

    Rotated coefficients are c' = D c for f = Σ_m c_m Y_lm. G_a = −i L_a, with L_z and L_±
    written for complex harmonics and taken to the real ones by :func:`_real_from_complex`.
    """
    m = np.arange(-l, l + 1)
    raising = np.diag(np.sqrt(l * (l + 1.0) - m[:-1] * (m[:-1] + 1.0)), -1)
    momentum = np.stack(
        [(raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m).astype(complex)]
    )
    u = _real_from_complex(l)
    generators = (-1j * (u.conj() @ momentum @ u.T)).real
    result: NDArray[np.float64] = (generators - generators.transpose(0, 2, 1)) / 2
    result.setflags(write=False)
    return result


def _real_from_complex(l: int) -> NDArray[np.complex128]:  # noqa: E741
    """U with S_m = Σ_m' U_mm' Y_l^m', complex harmonics with the Condon–Shortley phase."""
    u = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        u[l + m, [l - m, l + m]] = np.array([1, (-1) ** m]) / np.sqrt(2)
        u[l - m, [l - m, l + m]] = np.array([1j, -1j * (-1) ** m]) / np.sqrt(2)
    return u


def angular_momentum(l: int) -> NDArray[np.complex128]:  # noqa: E741
    """L_x, L_y, L_z = i G_x, i G_y, i G_z, ħ, (3, 2l+1, 2l+1); [L_x, L_y] = i L_z."""
    return np.asarray(1j * rotation_generators(l), dtype=np.complex128)


def axis_rotations(
    l: int,  # noqa: E741
    axis: int,
    angles: NDArray[np.float64],
) -> NDArray[np.float64]:
    """D^l of rotations by ``angles`` (n,) about x, y or z (``axis`` 0, 1, 2), (n, 2l+1, 2l+1).

    exp(ωG) = U exp(−iωm) U† with the eigenvectors of iG, whose eigenvalues are m = −l … l.
    """
    m, u = _axis_eigenvectors(l, axis)
    phases = np.exp(-1j * np.asarray(angles)[:, None] * m)
    return np.ascontiguousarray(((u * phases[:, None]) @ u.conj().T).real)


@lru_cache(maxsize=32)
def _axis_eigenvectors(
    l: int,  # noqa: E741
    axis: int,
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    values, vectors = np.linalg.eigh(1j * rotation_generators(l)[axis])
    return np.round(values), vectors


def rotation_matrix(l: int, operation: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: E741
    """D^l of an orthogonal matrix, (2l+1, 2l+1): Y_lm(O⁻¹ r) = Σ_m' D_m'm Y_lm'(r).

    ``operation`` (3, 3) Cartesian, proper or improper (inversion gives (−1)^l).

    Raises:
        HamiltonianError: ``operation`` is not orthogonal.
    """
    operation = np.asarray(operation, dtype=float)
    # written so that NaN fails, too
    if operation.shape != (3, 3) or not np.allclose(
        operation @ operation.T, np.eye(3), rtol=0, atol=1e-5
    ):
        raise HamiltonianError(
            f"A symmetry operation must be an orthogonal 3 × 3 matrix, not {operation.tolist()}."
        )
    sign = np.sign(np.linalg.det(operation))
    rotation = Rotation.from_matrix(sign * operation).as_rotvec()
    matrix: NDArray[np.float64] = scipy.linalg.expm(
        np.einsum("a,aij->ij", rotation, rotation_generators(l))
    )
    return matrix * sign**l


def real_harmonics(l: int, vectors: torch.Tensor) -> torch.Tensor:  # noqa: E741
    """Solid harmonics |r|^l Y_lm(r̂), ∫|Y|² dΩ = 1, of ``vectors`` (n, 3); (n, 2l+1)."""
    harmonics: torch.Tensor = o3.spherical_harmonics(
        l, vectors[:, [1, 2, 0]], normalize=False, normalization="integral"
    )
    return harmonics
