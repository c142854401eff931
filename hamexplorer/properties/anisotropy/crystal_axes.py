"""The crystal's own axes and what form its symmetry gives to the anisotropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, spglib_cell

__all__ = ["CrystalAxes", "Form", "conventional_vectors", "crystal_axes"]

Form = Literal["tetragonal", "hexagonal", "trigonal", "cubic", "orthorhombic", "general"]
_PARALLEL = 1e-3


@dataclass(frozen=True, eq=False)
class CrystalAxes:
    """What the point group says about a function that is even in the axial vector n.

    Attributes:
        form: named after the crystal system; ``general`` for monoclinic and triclinic ones.
        frame: right-handed axes as rows, (3, 3), Cartesian. Tetragonal, hexagonal, trigonal: the
            main axis comes last, the first is an in-plane twofold axis (trigonal: perpendicular
            to one), the one nearest to the first lattice vector. Cubic and orthorhombic: the
            fourfold or twofold axes in the order of the cell vectors. General: the Cartesian axes.
        has_twofold: whether there is a twofold axis perpendicular to the main one.
    """

    form: Form
    frame: NDArray[np.float64]
    has_twofold: bool = True


def crystal_axes(structure: Structure) -> CrystalAxes:
    """Form and axes from the point operations; moments are not regarded.

    n is an axial vector and E(n) = E(−n), so that only the operations' proper parts count.

    Raises:
        StructureError: spglib finds no symmetry.
    """
    found = call_spglib(
        structure, spglib.get_symmetry, spglib_cell(structure, magnetic=False), symprec=SYMPREC
    )
    cell = structure.lattice.matrix.T
    rotations = np.unique(np.asarray(found["rotations"]), axis=0)
    proper = [np.linalg.det(w) * (cell @ w @ np.linalg.inv(cell)) for w in rotations]
    axes = {order: _axes(proper, order) for order in (2, 3, 4, 6)}
    first = structure.lattice.matrix[0] / np.linalg.norm(structure.lattice.matrix[0])
    if len(axes[3]) > 1:
        three = axes[4] if len(axes[4]) == 3 else axes[2]
        return CrystalAxes("cubic", _ordered(np.array(three), structure.lattice.matrix))
    uniaxial: tuple[tuple[int, Form], ...] = (
        (6, "hexagonal"),
        (4, "tetragonal"),
        (3, "trigonal"),
    )
    for order, form in uniaxial:
        if axes[order]:
            main = _upward(axes[order][0])
            across = [a for a in axes[2] if abs(a @ main) < _PARALLEL]
            return CrystalAxes(form, _frame(main, first, across, form), bool(across))
    if len(axes[2]) == 3:
        return CrystalAxes("orthorhombic", _ordered(np.array(axes[2]), structure.lattice.matrix))
    return CrystalAxes("general", np.eye(3))


def conventional_vectors(structure: Structure) -> NDArray[np.float64] | None:
    """Rows: the vectors of the conventional cell, (3, 3), Å, as the structure lies; None where
    the given cell has its volume already.

    Vectors along the Cartesian axes come in the order x, y, z and point upwards.

    Raises:
        StructureError: spglib finds no symmetry.
    """
    found = call_spglib(
        structure,
        spglib.get_symmetry_dataset,
        spglib_cell(structure, magnetic=False),
        symprec=SYMPREC,
    )
    # spglib: (a_s b_s c_s) = (a b c) P⁻¹, vectors as columns
    inverse = np.linalg.inv(np.asarray(found.transformation_matrix, dtype=float))
    if np.linalg.det(inverse) < 1.5:
        return None
    vectors: NDArray[np.float64] = inverse.T @ structure.lattice.matrix
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.abs(vectors).argmax(axis=1)
    largest = vectors[np.arange(3), order]
    if (np.abs(largest) > (1.0 - _PARALLEL) * lengths).all():
        vectors = (vectors * np.sign(largest)[:, None])[np.argsort(order)]
    return vectors


def _axes(proper: list[NDArray[np.float64]], order: int) -> list[NDArray[np.float64]]:
    """Axes of the rotations of this order, each once and regardless of sign."""
    found: list[NDArray[np.float64]] = []
    trace = 1.0 + 2.0 * np.cos(2 * np.pi / order)
    for rotation in proper:
        if abs(np.trace(rotation) - trace) > _PARALLEL:
            continue
        values, vectors = np.linalg.eig(rotation)
        axis = vectors[:, np.argmin(np.abs(values - 1.0))].real
        axis = axis / np.linalg.norm(axis)
        if all(abs(abs(axis @ other) - 1.0) > _PARALLEL for other in found):
            found.append(axis)
    return found


def _upward(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The axis with its last component that is not zero positive."""
    rounded = axis.round(6)
    sign = np.sign(rounded[np.flatnonzero(rounded)[-1]])
    result: NDArray[np.float64] = axis * sign
    return result


def _frame(
    main: NDArray[np.float64],
    first: NDArray[np.float64],
    across: list[NDArray[np.float64]],
    form: Form,
) -> NDArray[np.float64]:
    candidates = [np.cross(main, a) for a in across] if form == "trigonal" else across
    flat = first - (first @ main) * main
    if np.linalg.norm(flat) < _PARALLEL:  # the first lattice vector is the main axis
        flat = np.cross(main, np.eye(3)[np.argmin(np.abs(main))])
    x = flat / np.linalg.norm(flat)
    if candidates:
        near = max(candidates, key=lambda a: abs(float(a @ x)))
        x = near * (1.0 if near @ x >= 0 else -1.0)
    x = x - (x @ main) * main
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(main, x), main])


def _ordered(axes: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three perpendicular axes in the order of the cell vectors that they are nearest to."""
    rest = list(range(3))
    rows = []
    for vector in cell:
        near = max(rest, key=lambda i: round(abs(float(axes[i] @ vector)), 6))
        rest.remove(near)
        rows.append(axes[near] * (1.0 if axes[near] @ vector >= 0 else -1.0))
    if np.linalg.det(rows) < 0:
        rows[2] = -rows[2]
    return np.array(rows)
