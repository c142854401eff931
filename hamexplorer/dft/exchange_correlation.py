"""PBE exchange-correlation on the grid, by libxc through PySCF; atomic units."""

from __future__ import annotations

import numpy as np
import torch
from pyscf.dft import libxc

from hamexplorer.dft.grid import PlaneWaveGrid

__all__ = ["exchange_correlation"]

_FUNCTIONAL = "PBE"
_DENSITY_FLOOR = 1e-10


def exchange_correlation(
    grid: PlaneWaveGrid, densities: torch.Tensor
) -> tuple[float, torch.Tensor]:
    """E_xc (Ha) and v_xc (Ha) of ``densities`` (n_spin, *mesh), 1 or 2 spins.

    Gradients and divergences are Fourier derivatives, so that v is the derivative of the discrete
    energy (White, Bird, Phys. Rev. B 50, 4954 (1994)): v = ∂f/∂ρ − ∇·(∂f/∂∇ρ). Where the density
    is under 1e-10 bohr⁻³ it is set to that value with no gradient.
    """
    n_spin = densities.shape[0]
    gradients = torch.stack([grid.gradient(grid.to_reciprocal(d)) for d in densities])
    empty = densities.sum(dim=0) < _DENSITY_FLOOR
    density = torch.clamp(densities, min=_DENSITY_FLOOR / n_spin)
    gradients = torch.where(empty, torch.zeros_like(gradients), gradients)
    rho = torch.cat([density[:, None], gradients], dim=1).reshape(n_spin, 4, -1).cpu().numpy()
    exc, vxc = libxc.eval_xc(_FUNCTIONAL, rho[0] if n_spin == 1 else rho, spin=n_spin - 1, deriv=1)[
        :2
    ]
    v_rho = np.asarray(vxc[0]).reshape(grid.size, n_spin).T
    v_sigma = np.asarray(vxc[1]).reshape(grid.size, -1).T
    device = densities.device
    potential = torch.as_tensor(v_rho.copy(), device=device).reshape(n_spin, *grid.mesh)
    sigma = torch.as_tensor(v_sigma.copy(), device=device).reshape(-1, *grid.mesh)
    if n_spin == 1:
        flux = 2 * sigma[0] * gradients
    else:
        flux = torch.stack(
            [
                2 * sigma[0] * gradients[0] + sigma[1] * gradients[1],
                2 * sigma[2] * gradients[1] + sigma[1] * gradients[0],
            ]
        )
    potential = potential - torch.stack([grid.divergence(f) for f in flux])
    energy_density = torch.as_tensor(exc, device=device).reshape(grid.mesh) * density.sum(dim=0)
    return grid.integral(energy_density), potential
