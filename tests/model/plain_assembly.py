"""From the plain network's blocks to the Hamiltonian as its own program stores it (HamGNN layout).

Orbitals are in OpenMX's order; a row per site, then per edge. All matrices are (n, width, width).
"""

from __future__ import annotations

import torch

from hamexplorer.model.spin_channels import MatrixBlocks

__all__ = [
    "antisymmetrised",
    "folded",
    "in_openmx_order",
    "openmx_order",
    "spin_orbit_rows",
    "symmetrised",
]

_ORDER = {0: [0], 1: [2, 0, 1], 2: [2, 4, 0, 3, 1], 3: [3, 4, 2, 5, 1, 6, 0]}


def openmx_order(shells: tuple[int, ...]) -> list[int]:
    """Place m = −l … l of each of OpenMX's orbitals."""
    order, start = [], 0
    for momentum in shells:
        order += [start + k for k in _ORDER[momentum]]
        start += 2 * momentum + 1
    return order


def in_openmx_order(matrix: torch.Tensor, shells: tuple[int, ...]) -> torch.Tensor:
    """Rows and columns reordered."""
    order = openmx_order(shells)
    return matrix[..., order, :][..., order]


def folded(
    onsite: torch.Tensor, offsite: torch.Tensor, inverse: torch.Tensor, sign: int
) -> torch.Tensor:
    """(M[R] ± M[−R]ᵀ)/2 of all sites, then all edges."""
    return torch.cat(
        [onsite + sign * onsite.mT, offsite + sign * offsite[..., inverse, :, :].mT], dim=-3
    ) / 2  # fmt: skip


def spin_orbit_rows(
    scalar: torch.Tensor, coupling: torch.Tensor, h0: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary part of the stored spinor blocks.

    ``scalar`` H with its H0 (n, w, w); ``coupling`` (3, n, w, w) the antisymmetric ξ∘L; ``h0``
    (2, n, 2w, 2w) real and imaginary, of whose real part only ↑↓ and ↓↑ count. What stands at ↓↑
    is the conjugate of ↑↓, not its adjoint: the published trap.
    """
    w = scalar.shape[-1]
    x, y, z = coupling
    spinless = h0[0].clone()
    spinless[:, :w, :w] = 0
    spinless[:, w:, w:] = 0
    return _square(scalar, y, y, scalar) + spinless, _square(z, x, -x, -z) + h0[1]


def _square(uu: torch.Tensor, ud: torch.Tensor, du: torch.Tensor, dd: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.cat([uu, ud], dim=-1), torch.cat([du, dd], dim=-1)], dim=-2)


def symmetrised(blocks: MatrixBlocks, inverse: torch.Tensor) -> MatrixBlocks:
    """(M[R] + M[−R]ᵀ)/2; ``inverse`` (n_edges,) is the edge of (j, i, −R)."""
    return MatrixBlocks(
        (blocks.onsite + blocks.onsite.mT) / 2,
        (blocks.offsite + blocks.offsite[..., inverse, :, :].mT) / 2,
    )


def antisymmetrised(blocks: MatrixBlocks, inverse: torch.Tensor) -> MatrixBlocks:
    """(M[R] − M[−R]ᵀ)/2."""
    return MatrixBlocks(
        (blocks.onsite - blocks.onsite.mT) / 2,
        (blocks.offsite - blocks.offsite[..., inverse, :, :].mT) / 2,
    )
