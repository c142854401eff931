"""Hartree potential, local pseudopotential and ion-ion energy: periodic, or open along a normal.

The kernel of a slab is 1/r cut off in height at |z| = L, the box's length, on a grid of twice that
length: then every pair of charges in the box sees the bare Coulomb interaction and none of its
images, so that no vacuum has to converge, polar layers show their own potential step, and the
zero of energy is the vacuum level (midway, for a polar layer). For sin(G_z L) = 0,

    v(G) = 4π/G² [1 − cos(G_z L) e^{−G_∥ L}],   v(0) = −2π L²

(Rozzi et al., Phys. Rev. B 73, 205119 (2006), with both parts of the G_∥ = 0 limit kept).
Periodic crystals follow PySCF: the G = 0 terms of Hartree and long-range ion potential are dropped.
Atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import NDArray
from pyscf.pbc.gto.pseudo import load as load_pseudo

from hamexplorer.dft.basis_sets import PSEUDOPOTENTIAL
from hamexplorer.dft.grid import PlaneWaveGrid
from hamexplorer.dft.system import CrystalSystem

__all__ = ["Electrostatics"]


@dataclass(frozen=True, eq=False)
class Electrostatics:
    """Coulomb interactions of a system on a grid.

    ``local_potential`` is Σ_a V_loc(r − τ_a) on the grid (Ha), ``ion_energy`` the ions' own
    energy (Ha), ``kernel`` v(G) on the grid it is applied on (doubled along a slab's normal).
    """

    system: CrystalSystem
    grid: PlaneWaveGrid
    kernel_grid: PlaneWaveGrid
    kernel: torch.Tensor
    local_potential: torch.Tensor
    ion_energy: float

    @classmethod
    def create(cls, system: CrystalSystem, grid: PlaneWaveGrid) -> Electrostatics:
        """Set up kernel, local potential and ion energy."""
        axis = system.vacuum_axis
        kernel_grid = grid if axis is None else _doubled(grid, axis)
        kernel = _kernel(kernel_grid, axis)
        local = _local_potential(system, kernel_grid, kernel)
        return cls(
            system,
            grid,
            kernel_grid,
            kernel,
            _cut(local, grid, axis),
            _ion_energy(system, kernel_grid.lattice),
        )

    def hartree(self, density: torch.Tensor) -> torch.Tensor:
        """V_H of an electron density on the grid, Ha."""
        axis = self.system.vacuum_axis
        if axis is None:
            return self.grid.to_real(self.kernel * self.grid.to_reciprocal(density))
        padded = torch.zeros(self.kernel_grid.mesh, dtype=density.dtype, device=density.device)
        padded.narrow(axis, 0, self.grid.mesh[axis]).copy_(density)
        potential = self.kernel_grid.to_real(self.kernel * self.kernel_grid.to_reciprocal(padded))
        return _cut(potential, self.grid, axis)


def _doubled(grid: PlaneWaveGrid, axis: int) -> PlaneWaveGrid:
    lattice = grid.lattice.copy()
    lattice[axis] *= 2
    mesh = list(grid.mesh)
    mesh[axis] *= 2
    return PlaneWaveGrid(lattice, (mesh[0], mesh[1], mesh[2]), grid.device)


def _cut(field: torch.Tensor, grid: PlaneWaveGrid, axis: int | None) -> torch.Tensor:
    return field if axis is None else field.narrow(axis, 0, grid.mesh[axis]).contiguous()


def _kernel(grid: PlaneWaveGrid, axis: int | None) -> torch.Tensor:
    squared = grid.squared.clone()
    squared.view(-1)[0] = 1.0
    kernel = 4 * torch.pi / squared
    if axis is None:
        kernel.view(-1)[0] = 0.0
        return kernel
    length = float(np.linalg.norm(grid.lattice[axis])) / 2
    normal = torch.as_tensor(grid.lattice[axis] / (2 * length), device=grid.device)
    height = (grid.vectors @ normal).reshape(grid.mesh)
    in_plane = torch.sqrt(torch.clamp(grid.squared - height**2, min=0.0))
    kernel = kernel * (1 - torch.cos(height * length) * torch.exp(-in_plane * length))
    kernel.view(-1)[0] = -2 * torch.pi * length**2
    return kernel


def _local_potential(
    system: CrystalSystem, grid: PlaneWaveGrid, kernel: torch.Tensor
) -> torch.Tensor:
    """Σ_a V_loc of the GTH pseudopotentials on the (kernel's) grid.

    V_loc(G) = e^{−x²/2} [−Z v(G) + √(8π³) r³ P(x)], x = G r_loc,
    P = C₁ + C₂(3−x²) + C₃(15−10x²+x⁴) + C₄(105−105x²+21x⁴−x⁶)
    (Goedecker, Teter, Hutter 1996, eq. 5).
    """
    squared = grid.squared.reshape(-1)
    total = torch.zeros(grid.size, dtype=torch.complex128, device=grid.device)
    for element in system.shells:
        data = load_pseudo(PSEUDOPOTENTIAL, element)
        radius, count, coefficients = data[1], data[2], data[3]
        c = np.zeros(4)
        c[:count] = coefficients[:count]
        x2 = squared * radius**2
        polynomial = (
            c[0]
            + c[1] * (3 - x2)
            + c[2] * (15 - 10 * x2 + x2**2)
            + c[3] * (105 - 105 * x2 + 21 * x2**2 - x2**3)
        )
        charge = float(sum(data[0]))
        long_range = -charge * kernel.reshape(-1)
        if system.vacuum_axis is None:
            # the limit of −4πZ/G² e^{−x²/2} without its divergent part
            long_range[0] = 2 * np.pi * charge * radius**2
        profile = torch.exp(-x2 / 2) * (long_range + np.sqrt(8 * np.pi**3) * radius**3 * polynomial)
        total += profile * _structure_factor(system, grid, element)
    return grid.to_real(total.reshape(grid.mesh)) / grid.volume


def _structure_factor(system: CrystalSystem, grid: PlaneWaveGrid, element: str) -> torch.Tensor:
    """Σ_a e^{−iG·τ_a} over the atoms of an element, (size,)."""
    total = torch.zeros(grid.size, dtype=torch.complex128, device=grid.device)
    for atom, symbol in enumerate(system.symbols):
        if symbol == element:
            angle = -(grid.vectors @ torch.as_tensor(system.positions[atom], device=grid.device))
            total += torch.polar(torch.ones_like(angle), angle)
    return total


def _ion_energy(system: CrystalSystem, lattice: NDArray[np.float64]) -> float:
    """Ewald sum of the ions' point charges with the same kernel, Ha.

    E = ½Ω⁻¹ Σ_G v(G) e^{−G²/4η²} |Σ_a Z_a e^{−iG·τ_a}|² + ½ Σ' Z Z' erfc(ηr)/r − η/√π Σ Z²
    (− π Z_tot²/2η²Ω for periodic crystals).
    """
    eta = 1.2
    charges = system.charges
    g_max = 2 * eta * np.sqrt(np.log(1e14))
    mesh = [2 * int(g_max * np.linalg.norm(v) / (2 * np.pi)) + 1 for v in lattice]
    grid = PlaneWaveGrid(lattice, (mesh[0], mesh[1], mesh[2]), torch.device("cpu"))
    kernel = _kernel(grid, system.vacuum_axis).reshape(-1)
    factor = sum(
        float(charges[system.symbols.index(element)]) * _structure_factor(system, grid, element)
        for element in system.shells
    )
    gaussian = torch.exp(-grid.squared.reshape(-1) / (4 * eta**2))
    assert isinstance(factor, torch.Tensor)
    energy = 0.5 / grid.volume * float((kernel * gaussian * factor.abs() ** 2).sum())
    i, j, distance = primitive_neighbor_list(
        "ijd", system.periodic, system.lattice, system.positions, 6.0 / eta
    )
    energy += 0.5 * float(
        np.sum(charges[i] * charges[j] * scipy.special.erfc(eta * distance) / distance)
    )
    energy -= eta / np.sqrt(np.pi) * float(np.sum(charges**2))
    if system.vacuum_axis is None:
        energy -= np.pi * float(charges.sum()) ** 2 / (2 * eta**2 * system.volume)
    return energy
