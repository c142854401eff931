"""The primitive 2D lattice of a slab: its vectors and which of the five Bravais lattices it is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.structures.slab import SlabGeometry
from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, spglib_cell

__all__ = ["PlanarLattice", "planar_lattice"]


@dataclass(frozen=True)
class PlanarLattice:
    """A primitive 2D lattice in its standard setting.

    ``name`` is ``hexagonal``, ``square``, ``rectangular``, ``centred rectangular`` or
    ``oblique``; ``vectors`` (2, 3) are Cartesian, in Å; ``multiples`` (2, 2) holds integers with
    (given in-plane vectors) = multiples @ vectors.

    Settings: hexagonal 120°, square and rectangular 90°, each with the first vector as near to
    the first given one as can be and the second turned from it in the sense in which the given
    second is turned from the given first; centred rectangular two equal vectors under an acute
    angle; oblique the two shortest vectors, the shorter first, under an acute angle.
    """

    name: str
    vectors: NDArray[np.float64]
    multiples: NDArray[np.intp]


def planar_lattice(
    structure: Structure, slab: SlabGeometry, symprec: float = SYMPREC
) -> PlanarLattice:
    """The primitive in-plane lattice of ``structure``, a slab.

    Pure translations (of atoms with like moments) are found by spglib within ``symprec`` Å, the
    shortest basis by Lagrange's and Gauss's reduction; its metric names the lattice, within
    2 ``symprec``.
    """
    given = structure.lattice.matrix[list(slab.in_plane)]
    basis = _reduced(_translations(structure, slab, symprec) @ given, given)
    name, vectors = _standard_setting(basis, given, 2 * symprec)
    exact = given @ np.linalg.pinv(vectors)
    multiples = np.rint(exact).astype(np.intp)
    # spglib's translations are off by up to symprec; the given vectors are the exact ones.
    vectors = np.linalg.solve(multiples.astype(float), given)
    return PlanarLattice(name, vectors, multiples)


def _translations(structure: Structure, slab: SlabGeometry, symprec: float) -> NDArray[np.float64]:
    """In-plane translations, fractional in the given in-plane vectors, shape (n, 2), zero first."""
    found = call_spglib(structure, spglib.get_symmetry, spglib_cell(structure), symprec=symprec)
    pure = (found["rotations"] == np.eye(3, dtype=int)).all(axis=(1, 2))
    shifts = found["translations"][pure]
    along = shifts[:, slab.axis] - np.round(shifts[:, slab.axis])
    height = abs(structure.lattice.matrix[slab.axis]).max()
    in_plane = shifts[np.abs(along) * height < 10 * symprec][:, list(slab.in_plane)] % 1.0
    # Translations form a group of order n: n t is a lattice vector, so t is a multiple of 1/n.
    n = max(len(in_plane), 1)
    return np.unique(np.vstack([np.zeros((1, 2)), np.rint(in_plane * n) / n % 1.0]), axis=0)


def _reduced(shifts: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two shortest independent vectors of the lattice spanned by ``shifts`` and ``given``."""
    first, second = _gauss(*given)
    area = np.linalg.norm(np.cross(first, second)) / len(shifts)
    if len(shifts) > 1:
        cell = np.array([first, second])
        images = np.array(list(itertools.product((-1, 0, 1), repeat=2))) @ cell
        folded = shifts @ np.linalg.pinv(cell)
        folded = (folded - np.round(folded)) @ cell
        points = (folded[:, None] + images[None]).reshape(-1, 3)
        lengths = np.linalg.norm(points, axis=1)
        points = points[np.argsort(lengths, kind="stable")][1:]
        first = points[0]
        crosses = np.linalg.norm(np.cross(first, points), axis=1)
        second = points[np.flatnonzero(np.abs(crosses - area) < 0.05 * area)[0]]
        first, second = _gauss(first, second)
    return np.array([first, second])


def _gauss(
    u: NDArray[np.float64], v: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shortest basis with |u| ≤ |v| and 0 ≤ u·v ≤ |u|²/2."""
    while True:
        if u @ u > v @ v:
            u, v = v, u
        steps = np.rint((u @ v) / (u @ u))
        if steps == 0:
            return u, (v if u @ v >= 0 else -v)
        v = v - steps * u
        if v @ v >= (u @ u) * (1 - 1e-12):
            return u, (v if u @ v >= 0 else -v)


def _standard_setting(
    basis: NDArray[np.float64], given: NDArray[np.float64], tolerance: float
) -> tuple[str, NDArray[np.float64]]:
    u, v = basis
    short, long_ = np.linalg.norm(u), np.linalg.norm(v)
    difference = np.linalg.norm(v - u)
    equal = long_ - short < tolerance
    right = abs(np.linalg.norm(v + u) - difference) < 2 * tolerance
    if equal and abs(difference - long_) < tolerance:
        return "hexagonal", _turned([u, v, v - u], given, 120.0)
    if right:
        return ("square" if equal else "rectangular"), _turned([u, v], given, 90.0)
    if equal:
        return "centred rectangular", np.array([u, v])
    if abs(difference - long_) < tolerance:
        # 2 u·v = |u|²: v and v − u are equally long, under an angle below 60°.
        return "centred rectangular", np.array([v, v - u])
    return "oblique", np.array([u, v])


def _turned(
    vectors: list[NDArray[np.float64]], given: NDArray[np.float64], angle: float
) -> NDArray[np.float64]:
    """The pair at ``angle`` degrees, the first nearest in direction to the first given vector."""
    star = np.array([*vectors, *(-vector for vector in vectors)])
    lengths = np.linalg.norm(star, axis=1)
    first = star[int(np.argmax(np.round(star @ given[0] / lengths, 6)))]
    normal = np.cross(given[0], given[1])
    sense = np.cross(first, star) @ normal / np.linalg.norm(normal)
    cosines = star @ first / lengths / np.linalg.norm(first)
    target = np.cos(np.radians(angle))
    off = np.where(sense > 0, np.abs(cosines - target), np.inf)
    return np.array([first, star[int(np.argmin(off))]])
