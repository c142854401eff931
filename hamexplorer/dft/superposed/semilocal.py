"""PBE at single points: ∂f/∂ρ and the flux ∂f/∂∇ρ; libxc through PySCF, atomic units.

The matrix elements need no more than these two,

    ⟨χ| v_xc |χ'⟩ = ∫ [ ∂f/∂ρ χχ' + ∂f/∂∇ρ · ∇(χχ') ] dr

(Pople, Gill, Johnson, Chem. Phys. Lett. 199, 557 (1992)). The potential itself, with second
derivatives of ρ, is no choice here: in the hollow middle of a pseudo-atom it has spikes far
narrower than any grid, and measured with it MoS2's and WSe2's elements at 0.25 bohr moved by up
to 50 meV with the atoms' place on the grid.
"""

from __future__ import annotations

import numpy as np
import pyscf.lib
from numpy.typing import NDArray
from pyscf.dft import libxc

__all__ = ["DENSITY_FLOOR", "pbe_derivatives"]

DENSITY_FLOOR = 1e-10
"""bohr⁻³; as in the engine's own exchange-correlation."""

_FUNCTIONAL = "PBE"
_Array = NDArray[np.float64]


def pbe_derivatives(density: _Array, gradient: _Array) -> tuple[_Array, _Array]:
    """∂f/∂ρ_s (n_spin, n), Ha, and ∂f/∂∇ρ_s (n_spin, 3, n), Ha·bohr, of one or two spins.

    ``density`` (n_spin, n), bohr⁻³; ``gradient`` (n_spin, 3, n). Where a spin's density is under
    its share of 1e-10 bohr⁻³ it is set to that, and its gradient to zero.
    """
    n_spin = len(density)
    floor = DENSITY_FLOOR / n_spin
    gradient = np.where((density < floor)[:, None], 0.0, gradient)
    density = np.maximum(density, floor)
    variables = [np.concatenate([d[None], g]) for d, g in zip(density, gradient, strict=True)]
    spins = variables[0] if n_spin == 1 else tuple(variables)
    with pyscf.lib.with_omp_threads(1):  # callers are threads themselves
        derivatives = libxc.eval_xc(_FUNCTIONAL, spins, spin=n_spin - 1, deriv=1)[1]
    by_density, by_sigma = derivatives[:2]
    potential = np.asarray(by_density).reshape(-1, n_spin).T
    if n_spin == 1:
        return potential, 2 * np.asarray(by_sigma).reshape(-1) * gradient
    same_up, mixed, same_down = np.asarray(by_sigma).T
    up, down = gradient
    return potential, np.stack([2 * same_up * up + mixed * down, 2 * same_down * down + mixed * up])
