"""Is a cell a slab (periodic in two directions), and which way does its vacuum lie?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from hamexplorer.errors import SettingsError
from hamexplorer.structures.checks import plane_spacings

__all__ = ["SlabGeometry", "slab_geometry"]


@dataclass(frozen=True)
class SlabGeometry:
    """A layer and the vacuum around it; lengths in Å along the normal of the layer's plane.

    ``axis`` is the index (0, 1, 2) of the lattice vector that crosses the vacuum,
    ``thickness_angstrom`` the extent of the atoms' centres, ``vacuum_angstrom`` the widest gap
    between centres of the layer and its periodic image, ``center`` the fractional coordinate, in
    [0, 1), of the layer's middle along ``axis``.
    """

    axis: int
    thickness_angstrom: float
    vacuum_angstrom: float
    center: float

    @property
    def in_plane(self) -> tuple[int, int]:
        """Indices of the two periodic vectors, in cyclic order after ``axis``."""
        return (self.axis + 1) % 3, (self.axis + 2) % 3


def slab_geometry(structure: Structure, min_vacuum: float = 7.0) -> SlabGeometry | None:
    """The slab that ``structure`` is, or None if it is not periodic in exactly two directions.

    For each lattice vector i the atoms' fractional coordinates are put on a circle and the
    widest empty arc is measured along the normal of the other two vectors (h_i = V/|a_j × a_k|).
    A slab has exactly one direction with a gap of at least ``min_vacuum`` Å; a bulk crystal has
    none, a chain two, a molecule in a box three. Raises :class:`SettingsError` for a
    ``min_vacuum`` that is not positive.
    """
    if not (np.isfinite(min_vacuum) and min_vacuum > 0):
        raise SettingsError(f"min_vacuum = {min_vacuum}: a positive length in Å is needed.")
    heights = plane_spacings(structure.lattice.matrix)
    wrapped = np.sort(structure.frac_coords % 1.0, axis=0)
    gaps = np.diff(wrapped, axis=0, append=wrapped[:1] + 1.0)
    widest = gaps.argmax(axis=0)
    gap = gaps.max(axis=0)
    empty = np.flatnonzero(gap * heights >= min_vacuum)
    if empty.size != 1:
        return None
    axis = int(empty[0])
    extent = 1.0 - gap[axis]
    # The layer begins where the widest gap ends.
    start = wrapped[(widest[axis] + 1) % len(wrapped), axis]
    return SlabGeometry(
        axis=axis,
        thickness_angstrom=float(extent * heights[axis]),
        vacuum_angstrom=float(gap[axis] * heights[axis]),
        center=float((start + extent / 2) % 1.0),
    )
