"""Points and weights of an integral over space: a uniform grid, and balls about the atoms.

With a smooth window w_I(r) = exp(−(|r − R_I|/a)⁴) about each atom,

    ∫ f dr = ∫ f (1 − Σ_I w_I) dr  +  Σ_I ∫ f w_I dr.

The first integrand has lost what is sharp at the nuclei (it starts with the fourth power of the
distance) and is summed over the points of the uniform grid, the others in spherical coordinates.
So the grid need not resolve the cores, whose errors would move with the atoms' place on it: at
0.25 bohr MoS2's elements without balls are in error by up to 20 meV, with them by 0.2 meV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from ase.neighborlist import primitive_neighbor_list
from scipy.integrate import lebedev_rule

from hamexplorer.dft.superposed.tiles import Images, Tile, UniformGrid
from hamexplorer.dft.system import CrystalSystem

__all__ = ["Quadrature", "window_radius"]

_LARGEST_WINDOW = 1.4
_SMALLEST_WINDOW = 0.4
"""Bounds of a, bohr."""
_OF_DISTANCE = 0.43
_END = 2.0
"""In units of a: there w is 1e-7."""
_RADII = 32
_CROWDING = 1.5
"""Radii are Gauss–Legendre nodes to this power: denser towards the nucleus."""
_ORDERS = ((0.25, 9), (0.6, 13), (_END, 21))
"""Orders of the Lebedev rules up to radii in units of a."""


def window_radius(system: CrystalSystem) -> float:
    """a, bohr: such that no ball holds a neighbour's core, which its points would not resolve."""
    distances = primitive_neighbor_list(
        "d",
        system.periodic,
        system.lattice,
        system.positions,
        _LARGEST_WINDOW / _OF_DISTANCE,
    )
    shortest = float(distances.min()) if len(distances) else np.inf
    return min(_LARGEST_WINDOW, max(_SMALLEST_WINDOW, _OF_DISTANCE * shortest))


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Patches of points: tiles of ``grid`` with about ``tile_points`` points, then a ball for
    each atom.
    """

    system: CrystalSystem
    grid: UniformGrid
    tile_points: int
    device: torch.device

    @cached_property
    def patches(self) -> list[Tile | int]:
        """What :meth:`points` accepts: a tile, or the atom of a ball."""
        return [*self.grid.tiles(self.tile_points), *range(self.system.n_atoms)]

    def points(self, patch: Tile | int) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (n, 3), bohr, and weights (n,), bohr³, of one patch."""
        if isinstance(patch, int):
            points, weights = self._ball
            # the images about the home cell are those that are known
            place = self.system.fractional[patch]
            cell = np.where(self.system.periodic, np.floor(place), 0)
            centre = torch.as_tensor((place - cell) @ self.system.lattice, device=self.device)
            return points + centre, weights
        points = self.grid.points(patch, self.device)
        weights = torch.ones_like(points[:, 0])
        for near in self._images.near(points):
            centres = torch.as_tensor(self._images.centres[near], device=self.device)
            squared = ((points.T - centres[:, :, None]) ** 2).sum(dim=1) / self._window**2
            weights -= torch.exp(-squared.square()).sum(dim=0)
        return points, weights * self.grid.weight

    @cached_property
    def _window(self) -> float:
        return window_radius(self.system)

    @cached_property
    def _images(self) -> Images:
        return Images(self.system, dict.fromkeys(self.system.shells, _END * self._window))

    @cached_property
    def _ball(self) -> tuple[torch.Tensor, torch.Tensor]:
        """About the origin: Lebedev rules on spheres, those of small radii with fewer points."""
        nodes, node_weights = np.polynomial.legendre.leggauss(_RADII)
        x, dx = (nodes + 1) / 2, node_weights / 2
        radii = _END * x**_CROWDING
        dr = _END * _CROWDING * x ** (_CROWDING - 1) * dx
        points, weights = [], []
        for radius, weight in zip(radii, dr * radii**2 * np.exp(-(radii**4)), strict=True):
            directions, angular = lebedev_rule(next(o for end, o in _ORDERS if radius <= end))
            points.append(radius * directions.T)
            weights.append(weight * angular)
        return (
            torch.as_tensor(np.concatenate(points) * self._window, device=self.device),
            torch.as_tensor(np.concatenate(weights) * self._window**3, device=self.device),
        )
