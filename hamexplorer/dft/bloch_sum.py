"""Bloch sums of flat blocks at one k-point, dense."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Pairs

__all__ = ["bloch_sum"]


def bloch_sum(
    pairs: Pairs, flat: NDArray[np.float64], kpoint: NDArray[np.float64], n: int
) -> NDArray[np.complex128]:
    """M(k) = Σ_R e^{2πik·R} M[R] of flat blocks at one k-point, (n, n)."""
    rows, columns = pairs.element_orbitals
    phase = np.exp(2j * np.pi * (pairs.cell @ kpoint))[pairs.element_pair]
    values = flat * phase
    position = rows * n + columns
    summed = np.bincount(position, values.real, n * n) + 1j * np.bincount(
        position, values.imag, n * n
    )
    matrix: NDArray[np.complex128] = summed.reshape(n, n)
    return matrix
