"""The PBE potential at single points, from ρ, ∇ρ and ∇∇ρ; libxc through PySCF, atomic units.

Without a neighbouring point: the divergence in v = ∂f/∂ρ − ∇·(∂f/∂∇ρ) is carried out by the
chain rule with libxc's second derivatives (Perdew, Burke, Ernzerhof, Phys. Rev. Lett. 77, 3865
(1996), in the form of Pople, Gill, Johnson, Chem. Phys. Lett. 199, 557 (1992)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyscf.dft import libxc

__all__ = ["DENSITY_FLOOR", "pbe_potential"]

DENSITY_FLOOR = 1e-10
"""bohr⁻³; as in the engine's own exchange-correlation."""

_FUNCTIONAL = "PBE"
_Array = NDArray[np.float64]


def pbe_potential(density: _Array, gradient: _Array, hessian: _Array) -> _Array:
    """v_xc of one or two spins, Ha, (n_spin, n).

    Args:
        density: (n_spin, n), bohr⁻³.
        gradient: (n_spin, 3, n).
        hessian: (n_spin, 3, 3, n).

    Where the density of a spin is under its share of 1e-10 bohr⁻³ it is set to that, and its
    derivatives to zero.
    """
    floor = DENSITY_FLOOR / len(density)
    empty = density < floor
    density = np.maximum(density, floor)
    gradient = np.where(empty[:, None], 0.0, gradient)
    hessian = np.where(empty[:, None, None], 0.0, hessian)
    if len(density) == 1:
        return _unpolarised(density[0], gradient[0], hessian[0])[None]
    return _polarised(density, gradient, hessian)


def _unpolarised(density: _Array, gradient: _Array, hessian: _Array) -> _Array:
    """v = f_ρ − 2 f_σ ∇²ρ − 2 ∇f_σ·∇ρ with ∇f_σ = f_ρσ ∇ρ + 2 f_σσ (∇∇ρ) ∇ρ."""
    first, second = libxc.eval_xc(
        _FUNCTIONAL, np.concatenate([density[None], gradient]), spin=0, deriv=2
    )[1:3]
    square = (gradient**2).sum(axis=0)
    bent = np.einsum("an,abn,bn->n", gradient, hessian, gradient)
    laplacian = hessian[0, 0] + hessian[1, 1] + hessian[2, 2]
    potential: _Array = first[0] - 2 * (
        first[1] * laplacian + second[1] * square + 2 * second[2] * bent
    )
    return potential


def _polarised(density: _Array, gradient: _Array, hessian: _Array) -> _Array:
    """v_s = f_s − ∇·(2 f_ss ∇ρ_s + f_st ∇ρ_t), with f by ρ_↑, ρ_↓ and σ_↑↑, σ_↑↓, σ_↓↓."""
    variables = [np.concatenate([d[None], g]) for d, g in zip(density, gradient, strict=True)]
    first, second = libxc.eval_xc(_FUNCTIONAL, tuple(variables), spin=1, deriv=2)[1:3]
    by_density, by_sigma = first[0].T, first[1].T
    # rows: the three σ; columns: ρ_↑, ρ_↓, σ_↑↑, σ_↑↓, σ_↓↓
    mixed, pure = second[1].T, second[2].T
    changes = [
        [mixed[0], mixed[3], pure[0], pure[1], pure[2]],
        [mixed[1], mixed[4], pure[1], pure[3], pure[4]],
        [mixed[2], mixed[5], pure[2], pure[4], pure[5]],
    ]
    up, down = gradient
    bend = np.einsum("sabn,tbn->stan", hessian, gradient)
    variable_gradients = [up, down, 2 * bend[0, 0], bend[0, 1] + bend[1, 0], 2 * bend[1, 1]]
    slopes = [
        sum(change * vector for change, vector in zip(row, variable_gradients, strict=True))
        for row in changes
    ]
    laplacian = np.einsum("saan->sn", hessian)
    potential = np.empty_like(density)
    for s, (own, other) in enumerate(((0, 1), (1, 0))):
        same, cross = 2 * s, 1
        potential[s] = by_density[s] - (
            2 * by_sigma[same] * laplacian[own]
            + by_sigma[cross] * laplacian[other]
            + (2 * slopes[same] * gradient[own] + slopes[cross] * gradient[other]).sum(axis=0)
        )
    return potential
