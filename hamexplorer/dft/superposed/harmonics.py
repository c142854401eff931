"""Solid harmonics and their derivatives at many points; torch.

Z_lm = r^l P_l^m(cos θ) e^{imφ} without the Condon–Shortley phase; Y_l±m = N_lm Re, Im Z_lm are the
real harmonics of CONVENTIONS.md with ∫|Y|² dΩ = 1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["directional_derivatives", "solid_harmonics"]


def _norm(l: int, m: int) -> float:  # noqa: E741
    factorials = math.factorial(l - m) / math.factorial(l + m)
    return math.sqrt((1 if m == 0 else 2) * (2 * l + 1) / (4 * math.pi) * factorials)


def solid_harmonics(l_max: int, vectors: torch.Tensor, squared: torch.Tensor) -> list[torch.Tensor]:
    """|r|^l Y_lm for l = 0 … ``l_max``, m = −l … l; (n, 2l + 1, n_points) each.

    ``vectors`` (n, 3, n_points), ``squared`` (n, n_points) = |r|². With Z_lm = Π_lm (x + iy)^m and
    (l − m) Π_lm = (2l − 1) z Π_{l−1,m} − (l + m − 1) r² Π_{l−2,m}, Π_mm = (2m − 1)!!.
    """
    x, y, z = vectors.unbind(dim=1)
    result = [
        vectors.new_empty(len(vectors), 2 * k + 1, vectors.shape[2]) for k in range(l_max + 1)
    ]
    cosine, sine = torch.ones_like(z), torch.zeros_like(z)
    start = 1.0
    for m in range(l_max + 1):
        if m:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
            start *= 2 * m - 1
        before, legendre = torch.zeros_like(z), torch.full_like(z, start)
        for l in range(m, l_max + 1):  # noqa: E741
            if l > m:
                following = ((2 * l - 1) * z * legendre - (l + m - 1) * squared * before) / (l - m)
                before, legendre = legendre, following
            scaled = _norm(l, m) * legendre
            if m == 0:
                result[l][:, l] = scaled
            else:
                result[l][:, l + m] = scaled * cosine
                result[l][:, l - m] = scaled * sine
    return result


def directional_derivatives(
    harmonics: list[torch.Tensor], direction: torch.Tensor
) -> list[torch.Tensor]:
    """u·∇(|r|^l Y_lm) for a vector field u (3, n_points), in the shapes of ``harmonics``."""
    result = [torch.zeros_like(harmonics[0])]
    for l, lower in enumerate(harmonics[:-1], start=1):  # noqa: E741
        matrix = torch.as_tensor(_gradient_matrix(l), device=lower.device, dtype=lower.dtype)
        products = (direction[:, None] * lower[:, None]).reshape(len(lower), -1, lower.shape[2])
        result.append(matrix @ products)
    return result


@lru_cache(maxsize=16)
def _gradient_matrix(l: int) -> NDArray[np.float64]:  # noqa: E741
    """D with ∂_a (|r|^l Y_lm) = Σ_m' D[m, (a, m')] |r|^(l−1) Y_{l−1,m'}, (2l + 1, 3 (2l − 1)).

    ∂_z Z_lm = (l + m) Z_{l−1,m}, (∂_x + i∂_y) Z_lm = −Z_{l−1,m+1} and, for m > 0,
    (∂_x − i∂_y) Z_lm = (l + m)(l + m − 1) Z_{l−1,m−1}.
    """
    matrix = np.zeros((2 * l + 1, 3, 2 * l - 1))

    def put(row: int, axis: int, column: int, factor: float) -> None:
        # rows and columns: +m is Re Z_lm, −m is Im Z_lm
        if abs(column) < l:
            ratio = _norm(l, abs(row)) / _norm(l - 1, abs(column))
            matrix[l + row, axis, l - 1 + column] += factor * ratio

    for m in range(l + 1):
        put(m, 2, m, l + m)
        if m == 0:
            put(0, 0, 1, -1.0)
            put(0, 1, -1, -1.0)
            continue
        put(-m, 2, -m, l + m)
        lowering = (l + m) * (l + m - 1) / 2
        put(m, 0, m + 1, -0.5)
        put(m, 0, m - 1, lowering)
        put(-m, 0, -m - 1, -0.5)
        put(m, 1, -m - 1, -0.5)
        put(-m, 1, m + 1, 0.5)
        put(-m, 1, m - 1, lowering)
        if m > 1:  # the imaginary part of Z_l0 is none
            put(-m, 0, 1 - m, lowering)
            put(m, 1, 1 - m, -lowering)
    return matrix.reshape(2 * l + 1, -1)
