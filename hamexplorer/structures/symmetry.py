"""Space groups, layer groups and standard primitive cells, by spglib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.structures.planar import planar_lattice
from hamexplorer.structures.slab import SlabGeometry, slab_geometry
from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, site_kinds, spglib_cell

__all__ = ["SymmetryInfo", "standard_primitive", "symmetry_info"]

_CRYSTAL_SYSTEMS = (
    (2, "triclinic"),
    (15, "monoclinic"),
    (74, "orthorhombic"),
    (142, "tetragonal"),
    (167, "trigonal"),
    (194, "hexagonal"),
    (230, "cubic"),
)


@dataclass(frozen=True)
class SymmetryInfo:
    """Symmetry of the atoms' arrangement (moments are not regarded) and the given cell's shape.

    ``a, b, c`` in Å, ``alpha, beta, gamma`` in degrees, ``volume`` in Å^3, all of the cell as
    given. For slabs ``slab`` is its geometry, ``plane_lattice`` the name of the primitive 2D
    lattice and ``layer_group`` / ``layer_group_number`` the layer group (1 to 80); for bulk
    crystals the four are None.
    """

    spacegroup_symbol: str
    spacegroup_number: int
    point_group: str
    crystal_system: str
    centrosymmetric: bool
    a: float
    b: float
    c: float
    alpha: float
    beta: float
    gamma: float
    volume: float
    slab: SlabGeometry | None = None
    plane_lattice: str | None = None
    layer_group: str | None = None
    layer_group_number: int | None = None


def symmetry_info(structure: Structure, symprec: float = SYMPREC) -> SymmetryInfo:
    """Space group (and layer group of a slab) of ``structure``, within ``symprec`` Å.

    Raises :class:`StructureError` if spglib finds no symmetry, which happens for cells with
    overlapping atoms only.
    """
    cell = spglib_cell(structure, magnetic=False)
    dataset = call_spglib(structure, spglib.get_symmetry_dataset, cell, symprec=symprec)
    number = int(dataset.number)
    inversion = any(np.array_equal(rotation, -np.eye(3)) for rotation in dataset.rotations)
    lattice = structure.lattice
    slab = slab_geometry(structure)
    layer = None
    if slab is not None:
        layer = call_spglib(
            structure,
            spglib.get_symmetry_layerdataset,
            cell,
            aperiodic_dir=slab.axis,
            symprec=symprec,
        )
    return SymmetryInfo(
        spacegroup_symbol=str(dataset.international),
        spacegroup_number=number,
        point_group=str(dataset.pointgroup).strip(),
        crystal_system=next(name for last, name in _CRYSTAL_SYSTEMS if number <= last),
        centrosymmetric=inversion,
        a=float(lattice.a),
        b=float(lattice.b),
        c=float(lattice.c),
        alpha=float(lattice.alpha),
        beta=float(lattice.beta),
        gamma=float(lattice.gamma),
        volume=float(abs(lattice.volume)),
        slab=slab,
        plane_lattice=None if slab is None else planar_lattice(structure, slab, symprec).name,
        layer_group=None if layer is None else str(layer.international).strip(),
        layer_group_number=None if layer is None else int(layer.number),
    )


def standard_primitive(structure: Structure, symprec: float = SYMPREC) -> Structure:
    """The standard primitive cell; atoms that differ in moment stay different.

    Bulk: spglib's standard primitive cell, idealised and in spglib's orientation; with vector
    moments neither idealised nor rotated, so that the moments keep their meaning. Slabs: the
    smallest in-plane cell (hexagonal: 120° setting) with the vacuum vector as c, in the given
    orientation; nothing is changed along c. A chain or a molecule in a box is treated as bulk.
    Raises :class:`StructureError` if spglib finds no symmetry.
    """
    slab = slab_geometry(structure)
    if slab is not None:
        return _primitive_slab(structure, slab, symprec)
    _, kinds = site_kinds(structure)
    vectors = any(np.ndim(moment) > 0 for _, moment in kinds.values())
    lattice, frac, found = call_spglib(
        structure,
        spglib.standardize_cell,
        spglib_cell(structure),
        to_primitive=True,
        no_idealize=vectors,
        symprec=symprec,
    )
    return _build(structure, lattice, frac, [kinds[int(number)] for number in found])


def _primitive_slab(structure: Structure, slab: SlabGeometry, symprec: float) -> Structure:
    plane = planar_lattice(structure, slab, symprec)
    vacuum = structure.lattice.matrix[slab.axis]
    lattice = np.vstack([plane.vectors, vacuum])
    if np.linalg.det(lattice) < 0:
        lattice[2] = -vacuum
    frac = structure.cart_coords @ np.linalg.inv(lattice)
    # Keep the layer in one piece around its own middle, then wrap in the plane only.
    middle = slab.center if lattice[2] @ vacuum > 0 else 1.0 - slab.center
    frac[:, 2] -= np.floor(frac[:, 2] - middle + 0.5)
    numbers, kinds = site_kinds(structure)
    kept: list[int] = []
    for index in range(len(structure)):
        same = [other for other in kept if numbers[other] == numbers[index]]
        delta = frac[same] - frac[index]
        delta[:, :2] -= np.round(delta[:, :2])
        if not (np.linalg.norm(delta @ lattice, axis=1) < 10 * symprec).any():
            kept.append(index)
    frac[:, :2] -= np.floor(frac[:, :2] + 1e-9)
    return _build(structure, lattice, frac[kept], [kinds[int(numbers[index])] for index in kept])


def _build(
    structure: Structure,
    lattice: NDArray[np.float64],
    frac: NDArray[np.float64],
    sites: list[tuple[str, Any]],
) -> Structure:
    moments = [moment for _, moment in sites]
    magnetic = "magmom" in structure.site_properties
    return Structure(
        Lattice(lattice),
        [symbol for symbol, _ in sites],
        frac,
        site_properties={"magmom": moments} if magnetic else None,
    )
