"""High-symmetry k-points and default paths of a crystal, in the *given* cell's reciprocal vectors.

Points are defined for the primitive lattice. The given vectors are integer sums of the primitive
ones, A = M P, so the fractional coordinates k·a_i follow exactly, f_given = M f_primitive,
whatever the orientation and whether the given cell is primitive, conventional or a supercell.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import seekpath
from ase.lattice import CRECT, OBL
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import StructureError
from hamexplorer.structures.planar import PlanarLattice, planar_lattice
from hamexplorer.structures.slab import SlabGeometry, slab_geometry
from hamexplorer.structures.spglib_cell import SYMPREC, spglib_cell

__all__ = ["SpecialPoints", "canonical_label", "special_points"]

_GREEK = {
    "G": "Γ",
    "GM": "Γ",
    "GAMMA": "Γ",
    "SIGMA": "Σ",
    "DELTA": "Δ",
    "LAMBDA": "Λ",
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_PRIMES = str.maketrans({"'": "′", "’": "′", "`": "′"})


@dataclass(frozen=True)
class SpecialPoints:
    """``points``: label → (3,) fractional in the given cell's reciprocal vectors; ``path``: the
    default path as continuous pieces of labels; ``lattice``: the Bravais lattice's name.
    """

    lattice: str
    points: Mapping[str, NDArray[np.float64]]
    path: tuple[tuple[str, ...], ...]


def canonical_label(name: str) -> str:
    """``G``, ``Gamma`` → ``Γ``; ``X_1``, ``X1`` → ``X₁``; ``K'`` → ``K′``."""
    text = name.strip().translate(_PRIMES)
    match = re.fullmatch(r"(\w+?)_?([0-9₀-₉]*)(′*)", text)
    if match is None:
        return text
    letters, digits, primes = match.groups()
    letters = letters.rstrip("_")
    letters = _GREEK.get(letters.upper(), letters)
    return letters + digits.translate(_SUBSCRIPTS) + primes


def special_points(structure: Structure, symprec: float = SYMPREC) -> SpecialPoints:
    """Named points and default path of ``structure``.

    Bulk crystals: Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), by seekpath; magnets count
    as without time reversal, so that −k (primed labels) is shown where it is not equivalent.

    Slabs, all in the layer's plane: hexagonal Γ–M–K–Γ–K′ with K = (1/3, 1/3) of the 120° setting
    and K′ = −K, so that both valleys stand beside Γ; square Γ–X–M–Γ; rectangular Γ–X–S–Y–Γ–S;
    centred rectangular and oblique as ASE's 2D lattices (after Setyawan and Curtarolo, Comput.
    Mater. Sci. 49, 299 (2010)). Which of two opposite corners is K is a matter of the cell: it
    follows from the first in-plane vector and the sense of the second (see
    :class:`~hamexplorer.structures.planar.PlanarLattice`).

    Raises :class:`StructureError` if no symmetry is found.
    """
    slab = slab_geometry(structure)
    if slab is not None:
        return _slab_points(slab, planar_lattice(structure, slab, symprec))
    return _bulk_points(structure, symprec)


def _slab_points(slab: SlabGeometry, plane: PlanarLattice) -> SpecialPoints:
    flat, path = _planar_points(plane)
    points = {}
    for label, point in flat.items():
        full = np.zeros(3)
        full[list(slab.in_plane)] = plane.multiples @ np.asarray(point)
        points[label] = full
    return SpecialPoints(plane.name, points, (tuple(path),))


def _planar_points(
    plane: PlanarLattice,
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    third = 1 / 3
    if plane.name == "hexagonal":
        return {
            "Γ": (0.0, 0.0),
            "M": (0.5, 0.0),
            "K": (third, third),
            "K′": (-third, -third),
            "M′": (-0.5, 0.0),
        }, ("Γ", "M", "K", "Γ", "K′")
    if plane.name == "square":
        return {"Γ": (0.0, 0.0), "X": (0.5, 0.0), "Y": (0.0, 0.5), "M": (0.5, 0.5)}, (
            "Γ",
            "X",
            "M",
            "Γ",
        )
    if plane.name == "rectangular":
        return {"Γ": (0.0, 0.0), "X": (0.5, 0.0), "S": (0.5, 0.5), "Y": (0.0, 0.5)}, (
            "Γ",
            "X",
            "S",
            "Y",
            "Γ",
            "S",
        )
    u, v = plane.vectors
    a, b = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    angle = float(np.degrees(np.arccos(u @ v / (a * b))))
    lattice: CRECT | OBL
    path: tuple[str, ...]
    if plane.name == "centred rectangular":
        lattice = CRECT(a=(a + b) / 2, alpha=angle)
        path = ("Γ", "X", "A₁", "Y", "Γ")
    else:
        lattice = OBL(a=a, b=b, alpha=angle)
        path = ("Γ", "Y", "H", "C", "H₁", "X", "Γ")
    points = {
        canonical_label(name): (float(point[0]), float(point[1]))
        for name, point in lattice.get_special_points().items()
    }
    return points, path


def _bulk_points(structure: Structure, symprec: float) -> SpecialPoints:
    magnetic = bool(np.any(structure.site_properties.get("magmom", [0.0])))
    try:
        with warnings.catch_warnings():
            # EdgeCaseWarning: two settings fit; seekpath takes one, and either is right.
            warnings.simplefilter("ignore")
            found = seekpath.get_path(
                spglib_cell(structure), with_time_reversal=not magnetic, symprec=symprec
            )
    except Exception as error:  # seekpath raises its own, ValueError or spglib's by version
        raise StructureError(
            f"{structure.composition.reduced_formula}: no standard k-path "
            f"({' '.join(str(error).split())[:160]}); give the path's points yourself."
        ) from error
    # x_standard = R x_given, so the given rows in the standard orientation are A Rᵀ.
    given = structure.lattice.matrix @ np.array(found["rotation_matrix"]).T
    exact = given @ np.linalg.inv(np.array(found["primitive_lattice"]))
    multiples = np.rint(exact)
    if np.abs(multiples - exact).max() > 0.05:
        raise StructureError(
            f"{structure.composition.reduced_formula}: the standard cell does not fit the given "
            "one (symmetry found within too loose a tolerance); give the path's points yourself."
        )
    points = {
        canonical_label(name): multiples @ np.array(point, dtype=float)
        for name, point in found["point_coords"].items()
    }
    pieces: list[list[str]] = []
    for first, last in found["path"]:
        first, last = canonical_label(first), canonical_label(last)
        if pieces and pieces[-1][-1] == first:
            pieces[-1].append(last)
        else:
            pieces.append([first, last])
    return SpecialPoints(
        str(found["bravais_lattice"]), points, tuple(tuple(piece) for piece in pieces)
    )
