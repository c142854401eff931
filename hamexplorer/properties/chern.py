"""Chern and spin Chern numbers of the filled bands of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState, checked_kpoints, default_device
from hamexplorer.properties.berry import band_geometry, interband_velocity, plane_axes
from hamexplorer.properties.derivative import BlochGradient
from hamexplorer.properties.fermi import occupied_bands
from hamexplorer.properties.solver import BandSolver
from hamexplorer.structures.zone import planar_zone

__all__ = ["ChernNumbers", "chern_numbers", "spin_berry_curvature"]

_BLOCK_BYTES = 1.5e8


@dataclass(frozen=True)
class ChernNumbers:
    """Topological charges of the filled bands, by integration on an n × n mesh.

    Attributes:
        chern: C = (1/2π) ∫ Ω d²k; an integer for an insulator.
        spin_chern: C_s = (1/4π) ∫ Ω^σ d²k, Ω^σ the spin Berry curvature: (C↑ − C↓)/2 where the
            spin along the layer's normal is conserved, and no integer otherwise.
        n: divisions of the mesh.
    """

    chern: float
    spin_chern: float
    n: int


def chern_numbers(h: Hamiltonian, n: int = 60, state: SpinState | None = None) -> ChernNumbers:
    """Chern and spin Chern number of the filled bands of a layer.

    The curvature is smooth and periodic, so that the sum over the mesh converges exponentially
    once its spacing resolves the smallest gap.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: the electrons fill no whole bands, or n is out of range.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= 400:
        raise SettingsError(f"The mesh has 2 … 400 divisions, not {n!r}.")
    filled = occupied_bands(h.n_electrons)
    if not filled:
        raise SettingsError(f"{h.n_electrons:g} electrons per cell fill no whole bands.")
    zone = planar_zone(h.structure)
    mesh = np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"), -1).reshape(-1, 2)
    k = mesh @ zone.embedding
    geometry = band_geometry(h, k, state, bands=[filled - 1], occupied=filled, normal=zone.normal)
    assert geometry.occupied_curvature is not None
    spin = spin_berry_curvature(h, k, filled, state, normal=zone.normal)
    cell = zone.area / len(k)
    return ChernNumbers(
        float(geometry.occupied_curvature.sum() * cell / (2 * np.pi)),
        float(spin.sum() * cell / (4 * np.pi)),
        n,
    )


def spin_berry_curvature(
    h: Hamiltonian,
    kpoints: ArrayLike,
    occupied: int,
    state: SpinState | None = None,
    *,
    normal: ArrayLike = (0.0, 0.0, 1.0),
) -> NDArray[np.float64]:
    """Ω^σ summed over the ``occupied`` lowest bands, Å², (nk,).

    Ω^σ = −2 Im Σ_{n occupied, m empty} j_nm v²_mn/(E_n − E_m)² with the spin current
    j = ½ {σ_normal, v¹} (J. Sinova et al., Rev. Mod. Phys. 87, 1213 (2015), eq. 10; σ has the
    eigenvalues ±1 here).
    """
    state = state or SpinState()
    k = checked_kpoints(kpoints)
    axes = plane_axes(normal)
    across = np.cross(axes[0], axes[1])
    device = default_device()
    gradient = BlochGradient(h, axes, position=True, device=device)
    block = max(1, int(_BLOCK_BYTES / (160.0 * (2 * h.basis.n_orbitals) ** 2)))
    result = np.empty(len(k))
    for start in range(0, len(k), block):
        part = slice(start, start + block)
        states = BandSolver(h, k[part], device, max_bytes=0).states(state)
        energies = torch.as_tensor(states.energies, device=device)
        c = torch.as_tensor(states.coefficients, device=device)
        derivative = gradient(k[part], state)
        v1, v2 = (interband_velocity(derivative, a, energies, c) for a in range(2))
        spin = _spin_matrix(c, torch.as_tensor(states.duals, device=device), across)
        current = (spin @ v1 + v1 @ spin) / 2
        gap = energies[:, occupied:, None] - energies[:, None, :occupied]  # E_m − E_n
        pairs = current[:, :occupied, occupied:] * v2[:, occupied:, :occupied].mT
        curvature = -2 * (pairs.mT.imag / gap**2).sum((-1, -2))
        result[part] = curvature.cpu().numpy()
    return result


def _spin_matrix(
    c: torch.Tensor, duals: torch.Tensor, direction: NDArray[np.float64]
) -> torch.Tensor:
    """⟨n|σ·u|m⟩ between all states, (nk, nb, nb)."""
    n = c.shape[1] // 2
    up, down = c[:, :n].mH, c[:, n:].mH
    dual_up, dual_down = duals[:, :n], duals[:, n:]
    x, y, z = (float(u) for u in direction)
    flips = complex(x, -y) * (up @ dual_down) + complex(x, y) * (down @ dual_up)
    return flips + z * (up @ dual_up - down @ dual_down)
