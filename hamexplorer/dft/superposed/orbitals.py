"""Values of the orbitals that reach a tile, strongest first; atomic units, torch.

χ(r) = Y_lm(d) Σ_p c_p exp(−α_p d²) with solid harmonics Y_lm and d = r − R. The shells of one
element share most exponents, so that the radial parts of all its shells are one matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.dft.basis_sets import AtomicShells
from hamexplorer.dft.superposed.tiles import Images
from hamexplorer.dft.system import CrystalSystem

__all__ = ["Orbitals", "TileOrbitals", "solid_harmonics"]

_STEP = 0.02
_FARTHEST = 60.0


@dataclass(frozen=True, eq=False)
class TileOrbitals:
    """Orbitals on a tile's points, in falling order of their bound.

    Attributes:
        values: (n_orbitals, n_points).
        image: (n_orbitals,) which of the tile's images (rows of ``atom``, ``cell``).
        local: (n_orbitals,) the orbital's place in its atom.
        bound: (n_orbitals,) |χ| is not larger on the tile.
        atom: (n_images,) sites of the images that carry them.
        cell: (n_images, 3) their R.
    """

    values: torch.Tensor
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

    def on(self, points: torch.Tensor) -> TileOrbitals:
        """The orbitals that exceed the cutoff at the nearest of ``points`` (n, 3)."""
        members, parts, image, local, bound = [], [], [], [], []
        count = 0
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            element = self._elements[symbol]
            centres = torch.as_tensor(self._images.centres[near], device=points.device)
            vectors = points.T - centres[:, :, None]
            squared = (vectors * vectors).sum(dim=1)
            nearest = squared.amin(dim=1).sqrt().cpu().numpy() if len(near) else np.zeros(0)
            bounds = element.bounds(nearest)
            keep = bounds > self._cutoff
            used = np.flatnonzero(keep.any(axis=1))
            if not len(used):
                continue
            index = torch.as_tensor(used, device=points.device)
            parts += element.values(
                vectors[index].to(self._dtype), squared[index].to(self._dtype), keep[used]
            )
            for shell, (l, start) in enumerate(zip(element.momenta, element.starts, strict=True)):
                of_shell = np.flatnonzero(keep[used, shell])
                image.append(np.repeat(count + of_shell, 2 * l + 1))
                local.append(np.tile(np.arange(start, start + 2 * l + 1), len(of_shell)))
                bound.append(np.repeat(bounds[used[of_shell], shell], 2 * l + 1))
            members.append(near[used])
            count += len(used)
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            empty = points.new_zeros(0, len(points), dtype=self._dtype)
            return TileOrbitals(empty, none, none, np.zeros(0), none, none.reshape(0, 3))
        bounds = np.concatenate(bound)
        order = np.argsort(-bounds, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        rows = torch.as_tensor(rank, device=points.device)
        values = points.new_empty(len(order), len(points), dtype=self._dtype)
        start = 0
        for part in parts:
            values.index_copy_(0, rows[start : start + len(part)], part)
            start += len(part)
        chosen = np.concatenate(members)
        return TileOrbitals(
            values,
            np.concatenate(image)[order],
            np.concatenate(local)[order],
            bounds[order],
            self._images.atom[chosen],
            self._images.cell[chosen],
        )


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
        self.starts = np.cumsum([0] + [2 * l + 1 for l in self.momenta])[:-1].tolist()
        self._exponents = torch.as_tensor(-exponents, device=device, dtype=dtype)
        self._coefficients = torch.as_tensor(coefficients, device=device, dtype=dtype)
        radii = np.arange(0.0, _FARTHEST, _STEP)
        momenta = np.array(self.momenta)[:, None]
        # Σ_m Y_lm² = (2l + 1)/4π
        envelope = np.abs(coefficients @ np.exp(-np.outer(exponents, radii**2)))
        envelope *= radii**momenta * np.sqrt((2 * momenta + 1) / (4 * np.pi))
        # what is not exceeded from this radius on
        self._bounds = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
        self.reach = float(radii[np.argmax((self._bounds <= cutoff).all(axis=0))])

    def bounds(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest |χ| of each shell at and beyond ``distances`` (n,), (n, n_shells)."""
        index = np.minimum((distances / _STEP).astype(int), self._bounds.shape[1] - 1)
        return self._bounds[:, index].T

    def values(
        self, vectors: torch.Tensor, squared: torch.Tensor, keep: NDArray[np.bool_]
    ) -> list[torch.Tensor]:
        """Orbitals of the kept (image, shell), by shell: (n_kept (2l+1), n_points).

        ``vectors`` (n_images, 3, n_points) from the images, ``squared`` their squares.
        """
        gaussians = torch.exp(self._exponents[:, None] * squared[:, None, :])
        radial = self._coefficients @ gaussians
        harmonics = solid_harmonics(max(self.momenta), vectors, squared)
        parts = []
        for shell, l in enumerate(self.momenta):
            images = torch.as_tensor(np.flatnonzero(keep[:, shell]), device=squared.device)
            part = harmonics[l][images] * radial[images, shell, None, :]
            parts.append(part.reshape(-1, squared.shape[1]))
        return parts


def solid_harmonics(
    l_max: int, vectors: torch.Tensor, squared: torch.Tensor
) -> list[torch.Tensor]:
    """|r|^l Y_lm for l = 0 … ``l_max``, m = −l … l; (n, 2l + 1, n_points) each.

    ``vectors`` (n, 3, n_points), ``squared`` (n, n_points) = |r|². No Condon–Shortley phase,
    ∫|Y|² dΩ = 1: Y_l±m = N Π_lm(z, r²) Re, Im (x + iy)^m with the recurrence of the Legendre
    functions, (l − m) Π_lm = (2l − 1) z Π_{l−1,m} − (l + m − 1) r² Π_{l−2,m},
    Π_mm = (2m − 1)!!.
    """
    x, y, z = vectors.unbind(dim=1)
    result = [
        vectors.new_empty(len(vectors), 2 * l + 1, vectors.shape[2]) for l in range(l_max + 1)
    ]
    cosine, sine = torch.ones_like(z), torch.zeros_like(z)
    start = 1.0
    for m in range(l_max + 1):
        if m:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
            start *= 2 * m - 1
        before, legendre = torch.zeros_like(z), torch.full_like(z, start)
        for l in range(m, l_max + 1):
            if l > m:
                following = ((2 * l - 1) * z * legendre - (l + m - 1) * squared * before) / (l - m)
                before, legendre = legendre, following
            norm = math.sqrt(
                (2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m)
            )
            if m == 0:
                result[l][:, l] = norm * legendre
            else:
                scaled = (math.sqrt(2) * norm) * legendre
                result[l][:, l + m] = scaled * cosine
                result[l][:, l - m] = scaled * sine
    return result
