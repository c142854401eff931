"""A layer as bilayers are made of it: its primitive plane lattice, heights, and axes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Composition, Structure

from hamexplorer.errors import StructureError
from hamexplorer.structures.bilayer_lattices import Reals, Wholes, rotation
from hamexplorer.structures.checks import check_structure
from hamexplorer.structures.gallery import entries, load_gallery
from hamexplorer.structures.moments import plain_moments
from hamexplorer.structures.slab import slab_geometry
from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, site_kinds
from hamexplorer.structures.symmetry import standard_primitive

__all__ = ["Axis", "Layer", "layer_of", "named_layer"]

_LONGEST_NAME = 40
_ON_AXIS = 0.3
"""Å: atoms nearer to an axis than this lie on it."""


@dataclass(frozen=True)
class Axis:
    """A rotation axis along the normal: where (fractional, in [0, 1)), its order, and whether an
    atom lies on it.
    """

    point: tuple[float, float]
    order: int
    occupied: bool


@dataclass(frozen=True, eq=False)
class Layer:
    """The primitive cell of a layer, its first vector along x, its normal along z.

    ``vectors`` (2, 2) in Å (hexagonal lattices: 120°), right-handed; ``fractions`` (n, 2) of the
    atoms in them; ``heights`` (n,) in Å from the middle between the outermost atoms; ``moments``
    in µB, numbers or Cartesian vectors, or None. ``lattice`` is the name of its Bravais lattice,
    ``order`` the order of its rotations about the normal, ``mirror`` whether a plane (or glide
    plane) through the normal maps it onto itself.
    """

    name: str
    lattice: str
    vectors: Reals
    symbols: tuple[str, ...]
    fractions: Reals
    heights: Reals
    moments: tuple[Any, ...] | None
    order: int
    mirror: bool
    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def thickness(self) -> float:
        """Distance of the outermost atoms' planes, Å."""
        return float(np.ptp(self.heights))

    @property
    def turn(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Whole W: the lattice turned by 360°/order is W @ vectors."""
        turned = self.vectors @ rotation(360.0 / self.order) @ np.linalg.inv(self.vectors)
        (a, b), (c, d) = np.rint(turned).astype(int).tolist()
        return (a, b), (c, d)

    def facing(self, up: bool, depth: float = 0.3) -> list[str]:
        """Elements of the atoms within ``depth`` Å of the uppermost (or lowest) one."""
        heights = self.heights if up else -self.heights
        return [self.symbols[i] for i in np.flatnonzero(heights > heights.max() - depth)]


def named_layer(text: str) -> Structure | None:
    """The gallery's structure called ``text``, or its only layer of that formula.

    None where there is none, or a file of that name, which comes first.
    """
    key = text.strip()
    if len(text) > _LONGEST_NAME or Path(text).exists():
        return None
    for item in entries():
        if item.name == key.lower():
            return load_gallery(item.name)
    try:
        wanted = Composition(key).reduced_formula
    except (ValueError, KeyError, TypeError):
        return None
    found = [
        structure
        for structure in (load_gallery(item.name) for item in entries())
        if structure.composition.reduced_formula == wanted and slab_geometry(structure) is not None
    ]
    return found[0] if len(found) == 1 else None


def layer_of(structure: Structure, name: str = "") -> Layer:
    """The layer in ``structure``, reduced to its primitive cell.

    Raises:
        StructureError: it is no crystal that can be computed, or not periodic in exactly two
            directions; ``name`` begins the message.
    """
    name = name or structure.composition.reduced_formula
    check_structure(structure, name)
    slab = slab_geometry(structure)
    if slab is None:
        raise StructureError(
            f"{name} is not a layer: exactly one of its cell vectors must cross a vacuum of at "
            "least 7 Å. Bulk crystals, chains and molecules cannot be stacked."
        )
    structure = structure.copy()
    moments = plain_moments(structure, name)
    if moments is not None:
        structure.add_site_property("magmom", moments)
    primitive = standard_primitive(structure)
    up = structure.lattice.matrix[slab.axis]
    return _in_its_frame(primitive, up, name)


def _in_its_frame(primitive: Structure, up: Reals, name: str) -> Layer:
    """``primitive`` has its vacuum along c and its atoms in one piece there."""
    first, second = primitive.lattice.matrix[:2]
    normal = np.cross(first, second)
    normal *= np.sign(normal @ up) / np.linalg.norm(normal)
    along = first / np.linalg.norm(first)
    frame = np.array([along, np.cross(normal, along), normal])
    vectors = (np.array([first, second]) @ frame.T)[:, :2]
    lattice = _bravais(vectors)
    if np.linalg.det(vectors) < 0:
        vectors[1] = -vectors[1] - (vectors[0] if lattice == "hexagonal" else 0.0)
    places = primitive.cart_coords @ frame.T
    heights = places[:, 2] - (places[:, 2].max() + places[:, 2].min()) / 2
    fractions = places[:, :2] @ np.linalg.inv(vectors)
    moments = primitive.site_properties.get("magmom")
    if moments is not None and any(np.ndim(moment) for moment in moments):
        moments = [np.asarray(moment) @ frame.T for moment in moments]
    symbols = tuple(site.specie.symbol for site in primitive)
    rotations, shifts = _operations(primitive, vectors, fractions, heights)
    proper = [np.linalg.det(w) > 0 for w in rotations]
    turns = [(w, t) for w, t, yes in zip(rotations, shifts, proper, strict=True) if yes]
    return Layer(
        name=name,
        lattice=lattice,
        vectors=vectors,
        symbols=symbols,
        fractions=fractions,
        heights=heights,
        moments=None if moments is None else tuple(moments),
        order=max(_order(w) for w, _ in turns),
        mirror=not all(proper),
        axes=_axes(turns, vectors, fractions),
    )


def _bravais(vectors: Reals) -> str:
    """``hexagonal``, ``square`` or ``other``, of a lattice in its standard setting."""
    u, v = vectors
    lengths = np.linalg.norm([u, v, u + v], axis=1)
    if np.ptp(lengths) < 2 * SYMPREC:
        return "hexagonal"
    right = abs(lengths[2] - np.linalg.norm(u - v)) < 4 * SYMPREC
    return "square" if right and abs(lengths[0] - lengths[1]) < 2 * SYMPREC else "other"


def _operations(
    primitive: Structure, vectors: Reals, fractions: Reals, heights: Reals
) -> tuple[list[Wholes], list[Reals]]:
    """Symmetries that keep up above: W and t with f' = W f + t in the plane's fractions.

    spglib's t are good to its tolerance; each is made as exact as the positions are.
    """
    numbers = site_kinds(primitive)[0]
    height = float(np.ptp(heights)) + 20.0
    lattice = np.zeros((3, 3))
    lattice[:2, :2], lattice[2, 2] = vectors, height
    cell = (lattice, np.column_stack([fractions, heights / height]), numbers)
    found = call_spglib(primitive, spglib.get_symmetry, cell, symprec=SYMPREC)
    rotations, shifts = [], []
    for w3, t3 in zip(found["rotations"], found["translations"], strict=True):
        if w3[2, 2] != 1 or w3[2, :2].any() or w3[:2, 2].any():
            continue
        w, t = w3[:2, :2].astype(np.int64), np.asarray(t3[:2], dtype=float)
        # (from, to): each image's nearest site of its kind
        away = (fractions @ w.T + t)[:, None] - fractions[None]
        away -= np.rint(away)
        distance = np.linalg.norm(away @ vectors, axis=2) + np.abs(heights[:, None] - heights[None])
        distance[numbers[:, None] != numbers[None]] = np.inf
        nearest = distance.argmin(axis=1)
        rotations.append(w)
        shifts.append(t - away[np.arange(len(nearest)), nearest].mean(axis=0))
    return rotations, shifts


def _order(w: Wholes) -> int:
    """Of a proper rotation of a plane lattice, by its trace."""
    return {2: 1, -2: 2, -1: 3, 0: 4, 1: 6}[int(np.trace(w))]


def _axes(turns: list[tuple[Wholes, Reals]], vectors: Reals, fractions: Reals) -> tuple[Axis, ...]:
    """Axes in one cell, of the highest order at each place; highest orders first."""
    found: list[Axis] = []
    grid = np.stack(np.meshgrid(*[np.arange(-1, 3)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    for w, t in sorted(turns, key=lambda turn: -_order(turn[0])):
        if _order(w) == 1:
            continue
        points = (t + grid) @ np.linalg.inv(np.eye(2) - w).T
        for point in points:
            # the nearest lattice translation, so that 1 − 1e-12 becomes 0
            point = point - np.floor(point + 1e-6)
            if any(_distances(point, np.array([a.point]), vectors)[0] < _ON_AXIS for a in found):
                continue
            near = _distances(point, fractions, vectors).min() < _ON_AXIS
            found.append(Axis((float(point[0]), float(point[1])), _order(w), bool(near)))
    return tuple(sorted(found, key=lambda axis: (-axis.order, np.round(axis.point, 4).tolist())))


def _distances(point: Reals, others: Reals, vectors: Reals) -> Reals:
    """In the plane, Å, to the nearest image of each of ``others``; both fractional."""
    away = others - point
    away -= np.rint(away)
    images = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    lengths: Reals = np.linalg.norm((away[:, None] + images[None]) @ vectors, axis=2).min(axis=1)
    return lengths
