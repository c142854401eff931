"""Values of the orbitals that reach a tile, strongest first; atomic units, torch.

χ(r) = Y_lm(d) F(d²) with solid harmonics Y_lm, F(d²) = Σ_p c_p exp(−α_p d²), d = r − R. The
shells of one element share most exponents, so that the radial parts of all its shells are one
matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.dft.basis_sets import AtomicShells
from hamexplorer.dft.superposed.harmonics import directional_derivatives, solid_harmonics
from hamexplorer.dft.superposed.tiles import Images
from hamexplorer.dft.system import CrystalSystem

__all__ = ["Orbitals", "TileOrbitals"]

_STEP = 0.02
_FARTHEST = 60.0
"""bohr: step and end of the tables of bounds."""


@dataclass(frozen=True, eq=False)
class TileOrbitals:
    """Orbitals on a tile's points, in falling order of their bound.

    Attributes:
        values: (n_orbitals, n_points).
        slopes: F·∇χ for each vector field F that was given, (n_fields, n_orbitals, n_points).
        image: (n_orbitals,) which of the tile's images (rows of ``atom``, ``cell``).
        local: (n_orbitals,) the orbital's place in its atom.
        bound: (n_orbitals,) |χ| is not larger on the tile.
        atom: (n_images,) sites of the images that carry them.
        cell: (n_images, 3) their R.
    """

    values: torch.Tensor
    slopes: torch.Tensor
    image: NDArray[np.int64]
    local: NDArray[np.int64]
    bound: NDArray[np.float64]
    atom: NDArray[np.int64]
    cell: NDArray[np.int64]


class Orbitals:
    """The orbitals of a system; those of an atom are seen as far as |χ| > ``cutoff``."""

    def __init__(
        self, system: CrystalSystem, cutoff: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._cutoff = cutoff
        self._elements = {
            symbol: _ElementOrbitals(shells, cutoff, dtype, device)
            for symbol, shells in system.shells.items()
        }
        self._images = Images(system, {s: e.reach for s, e in self._elements.items()})
        self._dtype = dtype

    def on(self, points: torch.Tensor, fields: torch.Tensor | None = None) -> TileOrbitals:
        """The orbitals that exceed the cutoff at the nearest of ``points`` (n, 3).

        ``fields`` (n_fields, 3, n): along which their slopes are wanted.
        """
        fields = points.new_zeros(0, 3, len(points)) if fields is None else fields
        fields = fields.to(self._dtype)
        images = [np.zeros(0, dtype=np.int64)]
        image, local = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        bound = [np.zeros(0)]
        parts: list[torch.Tensor] = []
        count = 0
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            element = self._elements[symbol]
            centres = torch.as_tensor(self._images.centres[near], device=points.device)
            vectors = points.T - centres[:, :, None]
            squared = (vectors * vectors).sum(dim=1)
            nearest = squared.amin(dim=1).sqrt().cpu().numpy()
            # nearest first: then a shell is kept at the first so many images
            by_distance = np.argsort(nearest, kind="stable")
            bounds = element.bounds(nearest[by_distance])
            kept = (bounds > self._cutoff).sum(axis=0)
            used = by_distance[: kept.max()]
            if not len(used):
                continue
            index = torch.as_tensor(used, device=points.device)
            parts += element.values(
                vectors[index].to(self._dtype), squared[index].to(self._dtype), kept, fields
            )
            for shell, (start, size) in enumerate(zip(element.starts, element.sizes, strict=True)):
                n = int(kept[shell])
                image.append(np.repeat(np.arange(count, count + n), size))
                local.append(np.tile(np.arange(start, start + size), n))
                bound.append(np.repeat(bounds[:n, shell], size))
            images.append(near[used])
            count += len(used)
        chosen, bounds = np.concatenate(images), np.concatenate(bound)
        order = np.argsort(-bounds, kind="stable")
        values = _ordered(parts, order, points.new_empty(0, dtype=self._dtype), fields)
        return TileOrbitals(
            values[0],
            values[1:],
            np.concatenate(image)[order],
            np.concatenate(local)[order],
            bounds[order],
            self._images.atom[chosen],
            self._images.cell[chosen],
        )


def _ordered(
    parts: list[torch.Tensor], order: NDArray[np.int64], like: torch.Tensor, fields: torch.Tensor
) -> torch.Tensor:
    """Rows of all ``parts`` (1 + n_fields, n, n_points) in their new order."""
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rows = torch.as_tensor(rank, device=like.device)
    result = like.new_empty(1 + len(fields), len(order), fields.shape[2])
    start = 0
    for part in parts:
        result.index_copy_(1, rows[start : start + part.shape[1]], part)
        start += part.shape[1]
    return result


class _ElementOrbitals:
    """Radial parts, their bounds and reach of one element."""

    def __init__(
        self, shells: AtomicShells, cutoff: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        exponents = np.unique(np.concatenate(shells.exponents))
        coefficients = np.zeros((len(shells.shells), len(exponents)))
        for row, own, contraction in zip(
            coefficients, shells.exponents, shells.coefficients, strict=True
        ):
            np.add.at(row, np.searchsorted(exponents, own), contraction)
        self.momenta = [shell.l for shell in shells.shells]
        self.sizes = [shell.size for shell in shells.shells]
        self.starts = (np.cumsum(self.sizes) - self.sizes).tolist()
        self._exponents = torch.as_tensor(-exponents, device=device, dtype=dtype)
        # F and 2 dF/d(d²)
        both = np.stack([coefficients, -2 * coefficients * exponents])
        self._coefficients = torch.as_tensor(both, device=device, dtype=dtype)
        radii = np.arange(0.0, _FARTHEST, _STEP)
        momenta = np.array(self.momenta)[:, None]
        # Σ_m Y_lm² = (2l + 1)/4π
        envelope = np.abs(coefficients @ np.exp(-np.outer(exponents, radii**2)))
        envelope *= radii**momenta * np.sqrt((2 * momenta + 1) / (4 * np.pi))
        # what is not exceeded from this radius on
        self._bounds = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
        seen = int(np.count_nonzero((self._bounds > cutoff).any(axis=0)))
        self.reach = float(radii[min(seen, len(radii) - 1)])

    def bounds(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest |χ| of each shell at and beyond ``distances`` (n,), (n, n_shells)."""
        index = np.minimum((distances / _STEP).astype(int), self._bounds.shape[1] - 1)
        return self._bounds[:, index].T

    def values(
        self,
        vectors: torch.Tensor,
        squared: torch.Tensor,
        kept: NDArray[np.int64],
        fields: torch.Tensor,
    ) -> list[torch.Tensor]:
        """χ and u·∇χ for each of ``fields`` u, by shell of the first ``kept`` images:
        (1 + n_fields, n_kept (2l + 1), n_points).

        ``vectors`` (n_images, 3, n_points) from the images, ``squared`` their squares.
        u·∇χ = F (u·∇Y_lm) + 2F′ (u·d) Y_lm.
        """
        gaussians = torch.exp(self._exponents[:, None] * squared[:, None, :])
        radial = self._coefficients[0] @ gaussians
        harmonics = solid_harmonics(max(self.momenta), vectors, squared)
        turned = [directional_derivatives(harmonics, field) for field in fields]
        outward = [torch.einsum("an,ian->in", field, vectors)[:, None] for field in fields]
        radial_slopes = [self._coefficients[1] @ gaussians * along for along in outward]
        parts = []
        for shell, (momentum, n) in enumerate(zip(self.momenta, kept.tolist(), strict=True)):
            angular = harmonics[momentum][:n]
            profile = radial[:n, shell, None]
            part = squared.new_empty(1 + len(fields), *angular.shape)
            torch.mul(angular, profile, out=part[0])
            for slope, derivative, radial_slope in zip(
                part[1:], turned, radial_slopes, strict=True
            ):
                torch.mul(angular, radial_slope[:n, shell, None], out=slope)
                slope.addcmul_(derivative[momentum][:n], profile)
            parts.append(part.reshape(1 + len(fields), -1, squared.shape[1]))
        return parts
