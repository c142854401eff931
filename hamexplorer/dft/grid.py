"""The real-space grid, its plane waves, and Bloch orbitals on it; atomic units, torch.

Orbital values come from the analytic Fourier transform of the Gaussians,

    χ(q) = ∫ e^{−iq·r} χ(r) dr = (−i)^l e^{−iq·τ} |q|^l Y_lm(q̂) f(q),
    f(q) = Σ_p c_p (π/α_p)^{3/2} (2α_p)^{−l} e^{−q²/4α_p},

and one FFT: the periodic part of the Bloch sum is u_k(r) = Ω⁻¹ Σ_G χ(k+G) e^{iG·r} (Poisson's
summation), so that no lattice sum of orbital values is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian.angular import real_harmonics

__all__ = ["PlaneWaveGrid", "bloch_orbitals", "mesh_for_cutoff"]

_FFT_BATCH = 8


def mesh_for_cutoff(lattice: NDArray[np.float64], cutoff: float) -> tuple[int, int, int]:
    """Smallest fast FFT mesh that holds the sphere |G|²/2 ≤ ``cutoff`` (Ha)."""
    largest = np.sqrt(2 * cutoff) * np.linalg.norm(lattice, axis=1) / (2 * np.pi)
    a, b, c = (scipy.fft.next_fast_len(2 * int(m) + 1, real=False) for m in largest)
    return int(a), int(b), int(c)


@dataclass(frozen=True, eq=False)
class PlaneWaveGrid:
    """A uniform grid over the box and the plane waves on it.

    Fields on the grid are real tensors of shape ``mesh``; their Fourier coefficients
    f(G) = N⁻¹ Σ_r f(r) e^{−iG·r} are complex tensors of the same shape in FFT order.
    """

    lattice: NDArray[np.float64]
    mesh: tuple[int, int, int]
    device: torch.device

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.mesh))

    @cached_property
    def volume(self) -> float:
        """bohr³."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def integers(self) -> torch.Tensor:
        """Integer coordinates of G, (size, 3), float64."""
        axes = [np.fft.fftfreq(n, 1.0 / n) for n in self.mesh]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return torch.as_tensor(grid, device=self.device)

    @cached_property
    def reciprocal(self) -> torch.Tensor:
        """Rows are the reciprocal vectors, 1/bohr."""
        return torch.as_tensor(2 * np.pi * np.linalg.inv(self.lattice).T, device=self.device)

    @cached_property
    def vectors(self) -> torch.Tensor:
        """Cartesian G, (size, 3), 1/bohr."""
        return self.integers @ self.reciprocal

    @cached_property
    def squared(self) -> torch.Tensor:
        """|G|², shape ``mesh``."""
        return (self.vectors**2).sum(dim=1).reshape(self.mesh)

    @cached_property
    def _derivative(self) -> torch.Tensor:
        # the highest frequency of an even mesh has no sign: its derivative is zero
        integers = self.integers.clone()
        for axis, n in enumerate(self.mesh):
            if n % 2 == 0:
                integers[integers[:, axis] == -n // 2, axis] = 0
        return 1j * (integers @ self.reciprocal).T.reshape(3, *self.mesh)

    def to_reciprocal(self, field: torch.Tensor) -> torch.Tensor:
        """f(r) → f(G)."""
        return torch.fft.fftn(field.to(torch.complex128), dim=(-3, -2, -1)) / self.size

    def to_real(self, coefficients: torch.Tensor) -> torch.Tensor:
        """f(G) → f(r), real."""
        return torch.fft.ifftn(coefficients, dim=(-3, -2, -1)).real * self.size

    def gradient(self, coefficients: torch.Tensor) -> torch.Tensor:
        """∇f on the grid from f(G), (3, *mesh)."""
        return self.to_real(self._derivative * coefficients)

    def divergence(self, field: torch.Tensor) -> torch.Tensor:
        """∇·F on the grid from F on the grid, (3, *mesh)."""
        return self.to_real((self._derivative * self.to_reciprocal(field)).sum(dim=0))

    def integral(self, field: torch.Tensor) -> float:
        """∫ f dr over the box."""
        return float(field.sum() * (self.volume / self.size))


def bloch_orbitals(
    system: CrystalSystem, grid: PlaneWaveGrid, kpoint: NDArray[np.float64], dtype: torch.dtype
) -> torch.Tensor:
    """u_k of every orbital on the grid, (n_orbitals, size), ``dtype`` complex64 or complex128.

    The normalisation is ⟨u|u⟩ = (Ω/N) Σ_r |u(r)|² = S(k).
    """
    real = torch.float32 if dtype == torch.complex64 else torch.float64
    device = grid.device
    q = (grid.integers + torch.as_tensor(kpoint, device=device)) @ grid.reciprocal
    q2 = (q**2).sum(dim=1)
    l_max = max(s.l for a in system.shells.values() for s in a.shells)
    harmonics = [real_harmonics(l, q).T.to(real) for l in range(l_max + 1)]  # noqa: E741
    radial = {element: _radial_transforms(system, element, q2, real) for element in system.shells}
    result = torch.empty(system.basis.n_orbitals, grid.size, dtype=dtype, device=device)
    row = 0
    for atom, element in enumerate(system.symbols):
        angle = -(q @ torch.as_tensor(system.positions[atom], device=device))
        phase = torch.polar(torch.ones_like(angle), angle).to(dtype)
        for shell, profile in zip(system.shells[element].shells, radial[element], strict=True):
            values = profile * harmonics[shell.l]
            result[row : row + shell.size] = values * (phase * (-1j) ** shell.l)
            row += shell.size
    field = result.reshape(-1, *grid.mesh)
    for start in range(0, len(field), _FFT_BATCH):
        # in batches, as the transform needs as much work space as it is given
        batch = slice(start, start + _FFT_BATCH)
        field[batch] = torch.fft.ifftn(field[batch], dim=(1, 2, 3)) * (grid.size / grid.volume)
    return result


def _radial_transforms(
    system: CrystalSystem, element: str, q2: torch.Tensor, real: torch.dtype
) -> list[torch.Tensor]:
    shells = system.shells[element]
    gaussians: dict[bytes, torch.Tensor] = {}
    profiles = []
    for shell, exponents, coefficients in zip(
        shells.shells, shells.exponents, shells.coefficients, strict=True
    ):
        key = exponents.tobytes()
        if key not in gaussians:
            width = torch.as_tensor(-0.25 / exponents, device=q2.device)
            gaussians[key] = torch.exp(width[:, None] * q2).to(real)
        weights = coefficients * (np.pi / exponents) ** 1.5 / (2 * exponents) ** shell.l
        profiles.append(torch.as_tensor(weights, device=q2.device).to(real) @ gaussians[key])
    return profiles
