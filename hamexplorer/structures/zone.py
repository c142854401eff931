"""The Brillouin zone of a layer: its outline, its corners, and its halves around K and K′."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Structure
from scipy.spatial import Voronoi

from hamexplorer.errors import StructureError
from hamexplorer.structures.planar import PlanarLattice, planar_lattice
from hamexplorer.structures.slab import SlabGeometry, slab_geometry

__all__ = ["PlanarZone", "planar_zone"]


@dataclass(frozen=True, eq=False)
class PlanarZone:
    """The first Brillouin zone of a layer's primitive plane lattice.

    In-plane vectors have two components along ``axes``: x and y for a layer that lies in the xy
    plane. Lengths are 1/Å, 2π included.

    Attributes:
        axes: two orthonormal Cartesian vectors in the plane, (2, 3).
        reciprocal: the plane's primitive reciprocal vectors, as rows, (2, 2).
        embedding: (2, 3): ``k @ embedding``, k fractional in ``reciprocal``, is the k-point in
            the cell's own reciprocal vectors.
        polygon: corners of the zone, anticlockwise, (4 or 6, 2).
        lattice: the plane lattice's name.
        valley: the corner called K, (2,): in a hexagonal lattice the one that
            :func:`~hamexplorer.structures.special_points.special_points` calls so; straining a
            crystal does not change it. None for a zone of four corners.
    """

    axes: NDArray[np.float64]
    reciprocal: NDArray[np.float64]
    embedding: NDArray[np.float64]
    polygon: NDArray[np.float64]
    lattice: str
    valley: NDArray[np.float64] | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the layer, (3,)."""
        return np.cross(self.axes[0], self.axes[1])

    @property
    def area(self) -> float:
        """Of the zone, 1/Å²."""
        return float(abs(np.linalg.det(self.reciprocal)))

    @property
    def has_valleys(self) -> bool:
        """Whether the zone has six corners, of which every second is the same point."""
        return self.valley is not None

    def fractional(self, points: ArrayLike) -> NDArray[np.float64]:
        """In-plane vectors (..., 2), 1/Å, in the primitive reciprocal vectors, (..., 2)."""
        return np.asarray(points, dtype=float) @ np.linalg.inv(self.reciprocal)

    def kpoints(self, points: ArrayLike) -> NDArray[np.float64]:
        """In-plane vectors (..., 2), 1/Å, as fractional k-points of the cell, (..., 3)."""
        return self.fractional(points) @ self.embedding

    def folded(self, points: ArrayLike) -> NDArray[np.float64]:
        """In-plane vectors (..., 2) moved into the zone by reciprocal lattice vectors."""
        given = np.asarray(points, dtype=float)
        fractional = self.fractional(given)
        base = (fractional - np.floor(fractional)) @ self.reciprocal
        shifts = np.stack(np.meshgrid(*[np.arange(-2, 2)] * 2, indexing="ij"), -1).reshape(-1, 2)
        images = base[..., None, :] + shifts @ self.reciprocal
        nearest = np.round(np.linalg.norm(images, axis=-1), 9).argmin(axis=-1)
        result: NDArray[np.float64] = np.take_along_axis(images, nearest[..., None, None], axis=-2)[
            ..., 0, :
        ]
        return result

    @property
    def corners(self) -> dict[str, NDArray[np.float64]]:
        """K and K′ = −K, (2,) each; empty for a zone of four corners."""
        return {} if self.valley is None else {"K": self.valley, "K′": -self.valley}

    @cached_property
    def named(self) -> tuple[tuple[str, NDArray[np.float64]], ...]:
        """What a picture of the zone is lettered with: Γ, the corners, the edges' middles."""
        edges = (self.polygon + np.roll(self.polygon, -1, axis=0)) / 2
        letters = [("Γ", np.zeros(2))]
        if self.has_valleys:
            first = self.fractional(self.corners["K"])
            for corner in self.polygon:
                step = self.fractional(corner) - first
                same = np.abs(step - np.round(step)).max() < 1e-6
                letters.append(("K" if same else "K′", corner))
            letters.append(("M", edges[0]))
            return tuple(letters)
        return (*letters, ("M", self.polygon[0]), ("X", edges[0]), ("Y", edges[1]))

    def half(self, corner: str) -> NDArray[np.float64]:
        """The half of the zone that belongs to ``K`` or ``K′``, as a triangle, (3, 2).

        Its corners are the three reciprocal lattice points nearest to the valley, so that the
        two halves meet along Γ–M–Γ and fill the zone, folded back.
        """
        centre = self.corners[corner]
        steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 2, indexing="ij"), -1).reshape(-1, 2)
        lattice = steps @ self.reciprocal
        order = np.argsort(np.linalg.norm(lattice - centre, axis=1), kind="stable")
        return lattice[order[:3]]


def planar_zone(structure: Structure) -> PlanarZone:
    """The zone of ``structure``, a slab.

    Raises:
        StructureError: ``structure`` is not a layer with vacuum along one direction.
    """
    slab = slab_geometry(structure)
    if slab is None:
        raise StructureError(
            f"{structure.composition.reduced_formula} is not a layer: no direction has at least "
            "7 Å of vacuum. Valleys are shown for two-dimensional crystals."
        )
    plane = planar_lattice(structure, slab)
    axes = _axes(plane, structure, slab)
    direct = plane.vectors @ axes.T
    reciprocal: NDArray[np.float64] = np.asarray(
        2 * np.pi * np.linalg.inv(direct).T, dtype=np.float64
    )
    embedding = np.zeros((2, 3))
    embedding[:, list(slab.in_plane)] = plane.multiples.T
    polygon = _polygon(reciprocal)
    valley = None
    if len(polygon) == 6:
        valley = _corner(polygon, reciprocal, embedding[:, list(slab.in_plane)], direct)
    return PlanarZone(axes, reciprocal, embedding, polygon, plane.name, valley)


def _corner(
    polygon: NDArray[np.float64],
    reciprocal: NDArray[np.float64],
    embedding: NDArray[np.float64],
    direct: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The corner nearest, up to a reciprocal vector, to K of the hexagonal lattice.

    K is (1/3, 1/3) where the direct vectors stand at about 120°, which is (1/3, 2/3) at 60°; the
    given vectors are taken where they are primitive, as those of the reduced cell may turn when
    a crystal is strained.
    """
    vectors, to_given = direct, np.eye(2)
    if abs(abs(np.linalg.det(embedding)) - 1) < 1e-6:
        vectors, to_given = embedding.T @ direct, embedding
    target = np.array([1, 1 if vectors[0] @ vectors[1] < 0 else 2]) / 3
    off = polygon @ np.linalg.inv(reciprocal) @ to_given - target
    away = np.linalg.norm((off - np.round(off)) @ np.linalg.inv(to_given) @ reciprocal, axis=1)
    # of three equal corners the first one anticlockwise from x
    angle = np.arctan2(polygon[:, 1], polygon[:, 0]) % (2 * np.pi)
    return polygon[np.lexsort((angle.round(6), away.round(6)))[0]]


def _axes(plane: PlanarLattice, structure: Structure, slab: SlabGeometry) -> NDArray[np.float64]:
    normal = np.cross(plane.vectors[0], plane.vectors[1])
    normal /= np.linalg.norm(normal)
    # towards the side to which the vacuum vector points, so that the sign of Ω is the cell's
    if normal @ structure.lattice.matrix[slab.axis] < 0:
        normal = -normal
    start = np.eye(3)[0] if abs(normal[0]) < 0.9 else np.eye(3)[1]
    first = start - (start @ normal) * normal
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(normal, first)])


def _polygon(reciprocal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wigner–Seitz cell of the reciprocal lattice around Γ, anticlockwise, doubles removed."""
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 2, indexing="ij"), -1).reshape(-1, 2)
    points = steps @ reciprocal
    diagram = Voronoi(points)
    centre = int(np.flatnonzero((steps == 0).all(axis=1))[0])
    corners = diagram.vertices[diagram.regions[diagram.point_region[centre]]]
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    size = np.linalg.norm(reciprocal, axis=1).max()
    apart = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) > 1e-6 * size
    return np.asarray(corners[apart], dtype=np.float64)
