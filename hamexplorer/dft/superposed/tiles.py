"""The real-space grid of a home cell in tiles, and the atoms near a tile; atomic units.

The grid is commensurate with the lattice: r = (k_a/n_a, k_b/n_b, k_c/n_c) in lattice vectors. A
tile is a block of its points, about cubic. Along a slab's normal nothing has images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError

__all__ = ["AROUND", "Images", "Tile", "UniformGrid", "uniform_grid"]

AROUND = 3.0
"""How far from the home cell points may lie, bohr: those of balls about atoms at its faces do."""
_LARGEST_TILE = 100_000
_MOST_POINTS = 10**10


@dataclass(frozen=True)
class Tile:
    """Grid indices ``start`` … ``stop`` − 1 along each lattice vector."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class UniformGrid:
    """``mesh`` points along the rows of ``lattice`` (bohr)."""

    lattice: NDArray[np.float64]
    mesh: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.mesh)

    @cached_property
    def weight(self) -> float:
        """Volume per point, bohr³."""
        return float(abs(np.linalg.det(self.lattice))) / self.size

    @cached_property
    def aliases(self) -> NDArray[np.float64]:
        """Lengths of the shortest waves that the grid takes for a constant, 1/bohr.

        |Σ_i k_i n_i b_i| for k_i = −2 … 2, the zero left out.
        """
        vectors = 2 * np.pi * np.linalg.inv(self.lattice).T * np.array(self.mesh)[:, None]
        steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
        lengths = np.linalg.norm(steps @ vectors, axis=1)
        return np.sort(lengths[np.any(steps != 0, axis=1)])

    def tiles(self, points: int) -> list[Tile]:
        """The grid cut into blocks of about ``points`` points with edges of about one length.

        Raises:
            SettingsError: a number of points that is not from 1 to 100 000.
        """
        if not 1 <= points <= _LARGEST_TILE:
            raise SettingsError(f"A tile must hold 1 … {_LARGEST_TILE} points, not {points}.")
        steps = np.linalg.norm(self.lattice, axis=1) / self.mesh
        edge = (points * math.prod(steps)) ** (1 / 3)
        bounds = []
        for n, step in zip(self.mesh, steps, strict=True):
            parts = min(n, max(1, round(n * step / edge)))
            bounds.append([n * part // parts for part in range(parts + 1)])
        return [
            Tile((a, b, c), (a_stop, b_stop, c_stop))
            for a, a_stop in zip(bounds[0], bounds[0][1:], strict=False)
            for b, b_stop in zip(bounds[1], bounds[1][1:], strict=False)
            for c, c_stop in zip(bounds[2], bounds[2][1:], strict=False)
        ]

    def points(self, tile: Tile, device: torch.device | None = None) -> torch.Tensor:
        """Cartesian points of a tile, (n, 3), bohr."""
        axes = [
            np.arange(start, stop) / n
            for start, stop, n in zip(tile.start, tile.stop, self.mesh, strict=True)
        ]
        fractional = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return torch.as_tensor(fractional @ self.lattice, device=device)


def uniform_grid(system: CrystalSystem, spacing: float) -> UniformGrid:
    """The coarsest grid whose points are at most ``spacing`` (bohr) apart along each vector.

    It holds the waves |G| ≤ π/spacing: 0.25 bohr are 79 Ha.

    Raises:
        SettingsError: a spacing outside 0.02 … 2 bohr, or a grid of more than 10¹⁰ points.
    """
    if not (math.isfinite(spacing) and 0.02 <= spacing <= 2.0):
        raise SettingsError(f"The grid's spacing must lie in 0.02 … 2 bohr, not {spacing!r}.")
    lengths = np.linalg.norm(system.lattice, axis=1)
    a, b, c = (max(1, math.ceil(length / spacing - 1e-9)) for length in lengths)
    if a * b * c > _MOST_POINTS:
        raise SettingsError(
            f"A spacing of {spacing:g} bohr makes a grid of {a} × {b} × {c} points; at most "
            f"{_MOST_POINTS:.0e} are accepted."
        )
    return UniformGrid(system.lattice, (a, b, c))


class Images:
    """The periodic images of a system's atoms that reach its home cell or :data:`AROUND` of it.

    Attributes:
        atom: (n,) site of each image.
        cell: (n, 3) its R.
        centres: (n, 3) bohr.
        kind: (n,) index of its element in ``elements``.
        elements: the elements, sorted.
    """

    def __init__(self, system: CrystalSystem, reach: Mapping[str, float]) -> None:
        """``reach`` (bohr) by element; an element without reach has no images."""
        self.elements = sorted(reach)
        kinds = {element: k for k, element in enumerate(self.elements)}
        self._reach = np.array([reach[element] for element in self.elements])
        kind = np.array([kinds.get(symbol, -1) for symbol in system.symbols])
        heights = 1 / np.linalg.norm(np.linalg.inv(system.lattice), axis=0)
        atoms, cells = [], []
        for k in range(len(self.elements)):
            own = np.flatnonzero(kind == k)
            margin = (self._reach[k] + AROUND) / heights
            for atom in own.tolist():
                place = system.fractional[atom]
                low = np.where(system.periodic, np.ceil(-margin - place), 0).astype(int)
                high = np.where(system.periodic, np.floor(1 + margin - place), 0).astype(int)
                ranges = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
                cell = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
                cells.append(cell)
                atoms.append(np.full(len(cell), atom))
        self.atom = np.concatenate([np.zeros(0, dtype=np.int64), *atoms]).astype(np.int64)
        self.cell = np.concatenate([np.zeros((0, 3), dtype=np.int64), *cells]).astype(np.int64)
        self.kind = kind[self.atom]
        self.centres = system.positions[self.atom] + self.cell @ system.lattice
        self._tree = cKDTree(self.centres)

    def near(self, points: torch.Tensor) -> list[NDArray[np.int64]]:
        """Images within reach of the sphere around ``points`` (n, 3), by element, ascending."""
        corners = torch.stack([points.amin(dim=0), points.amax(dim=0)]).cpu().numpy()
        centre = corners.mean(axis=0)
        radius = float((points - torch.as_tensor(centre, device=points.device)).norm(dim=1).max())
        if not len(self.atom):
            return [np.zeros(0, dtype=np.int64)] * len(self.elements)
        found = np.array(
            self._tree.query_ball_point(centre, radius + float(self._reach.max())), dtype=np.int64
        )
        found.sort()
        distance = np.linalg.norm(self.centres[found] - centre, axis=1)
        found = found[distance <= radius + self._reach[self.kind[found]]]
        return [found[self.kind[found] == k] for k in range(len(self.elements))]
