"""Vacuum detection, 2D lattices, space groups, primitive cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import ResourceLimitError, SettingsError, StructureError
from hamexplorer.structures import (
    check_size,
    check_structure,
    slab_geometry,
    standard_primitive,
    symmetry_info,
)
from hamexplorer.structures.planar import planar_lattice


def permuted(structure: Structure, order: tuple[int, ...]) -> Structure:
    """The same crystal with its lattice vectors in another order."""
    columns = list(order)
    return Structure(
        Lattice(structure.lattice.matrix[columns]),
        structure.species,
        structure.frac_coords[:, columns],
    )


def layer(a: float, b: float, gamma: float, c: float = 15.0) -> Structure:
    return Structure(Lattice.from_parameters(a, b, c, 90, 90, gamma), ["C"], [[0.1, 0.2, 0.5]])


@pytest.mark.parametrize(("order", "axis"), [((0, 1, 2), 2), ((2, 0, 1), 0), ((1, 2, 0), 1)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 0.47, -3.2])
def test_a_slab_is_found_along_any_axis_and_across_the_cell_boundary(
    mos2: Structure, order: tuple[int, ...], axis: int, shift: float
) -> None:
    moved = Structure(mos2.lattice, mos2.species, mos2.frac_coords + np.array([0, 0, shift]))
    slab = slab_geometry(permuted(moved, order))
    assert slab is not None
    assert slab.axis == axis
    assert slab.thickness_angstrom == pytest.approx(3.12, abs=1e-9)
    assert slab.vacuum_angstrom == pytest.approx(11.88, abs=1e-9)
    off = slab.center - (0.5 + shift)
    assert off - round(off) == pytest.approx(0.0, abs=1e-9)
    assert 0 <= slab.center < 1


def test_the_gap_is_measured_along_the_normal(mos2: Structure) -> None:
    matrix = mos2.lattice.matrix.copy()
    matrix[2] += 3 * matrix[0]
    tilted = Structure(Lattice(matrix), mos2.species, mos2.cart_coords, coords_are_cartesian=True)
    slab = slab_geometry(tilted)
    assert slab is not None
    assert slab.axis == 2
    assert slab.vacuum_angstrom == pytest.approx(11.88, abs=1e-9)


def test_bulk_chain_and_molecule_are_no_slabs(gaas: Structure, mos2: Structure) -> None:
    assert slab_geometry(gaas) is None
    assert slab_geometry(gaas * (3, 3, 3)) is None
    chain = Structure(Lattice.orthorhombic(12, 12, 2.5), ["C"], [[0, 0, 0]])
    molecule = Structure(Lattice.cubic(12), ["H", "H"], [[0, 0, 0], [0, 0, 0.06]])
    assert slab_geometry(chain) is None
    assert slab_geometry(molecule) is None
    assert slab_geometry(mos2, min_vacuum=12.0) is None
    with pytest.raises(SettingsError, match="min_vacuum"):
        slab_geometry(mos2, min_vacuum=0.0)


@pytest.mark.parametrize(
    ("a", "b", "gamma", "name"),
    [
        (3.0, 3.0, 120.0, "hexagonal"),
        (3.0, 3.0, 60.0, "hexagonal"),
        (3.0, 3.0, 90.0, "square"),
        (3.0, 4.0, 90.0, "rectangular"),
        (3.0, 3.0, 75.0, "centred rectangular"),
        (3.0, 3.0, 110.0, "centred rectangular"),
        (3.0, 3.0, 40.0, "centred rectangular"),
        (3.0, 3.7, 80.0, "oblique"),
        (3.0, 5.0, 104.0, "oblique"),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_2d_lattices_whatever_the_cell(
    a: float, b: float, gamma: float, name: str, order: tuple[int, ...]
) -> None:
    cell = layer(a, b, gamma)
    sheared = cell.copy()
    sheared.make_supercell([[1, 2, 0], [0, 1, 0], [0, 0, 1]], to_unit_cell=False)
    larger = cell.copy()
    larger.make_supercell([[2, 1, 0], [0, 2, 0], [0, 0, 1]])
    for structure, ratio in ((cell, 1), (sheared, 1), (larger, 4)):
        given_cell = permuted(structure, order)
        slab = slab_geometry(given_cell)
        assert slab is not None
        plane = planar_lattice(given_cell, slab)
        assert plane.name == name
        assert abs(round(np.linalg.det(plane.multiples))) == ratio
        in_plane = given_cell.lattice.matrix[list(slab.in_plane)]
        np.testing.assert_allclose(plane.multiples @ plane.vectors, in_plane, atol=1e-9)
        area = np.linalg.norm(np.cross(*plane.vectors))
        assert area == pytest.approx(a * b * np.sin(np.radians(gamma)), rel=1e-9)


def test_symmetry_of_a_monolayer_and_of_its_bulk_like_neighbours(
    mos2: Structure, gaas: Structure
) -> None:
    info = symmetry_info(mos2)
    assert (info.spacegroup_symbol, info.spacegroup_number) == ("P-6m2", 187)
    assert (info.layer_group, info.layer_group_number) == ("p-6m2", 78)
    assert info.point_group == "-6m2"
    assert info.crystal_system == "hexagonal"
    assert info.plane_lattice == "hexagonal"
    assert not info.centrosymmetric
    assert info.volume == pytest.approx(3.18**2 * np.sqrt(3) / 2 * 15)
    bulk = symmetry_info(gaas)
    assert (bulk.spacegroup_symbol, bulk.crystal_system) == ("F-43m", "cubic")
    assert bulk.slab is None
    assert bulk.layer_group is None
    silicon = symmetry_info(Structure(gaas.lattice, ["Si", "Si"], gaas.frac_coords))
    assert silicon.spacegroup_symbol == "Fd-3m"
    assert silicon.centrosymmetric


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 3)] * 2),
    st.integers(-2, 2),
    st.tuples(*[st.floats(-2, 2)] * 3),
)
@example((2, 1), 1, (0.0, 0.0, 0.45))
def test_the_primitive_slab_is_the_same_from_every_supercell(
    size: tuple[int, int], shear: int, shift: tuple[float, ...]
) -> None:
    mos2 = Structure(
        Lattice.hexagonal(3.18, 15.0),
        ["Mo", "S", "S"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.604], [2 / 3, 1 / 3, 0.396]],
    )
    cell = Structure(mos2.lattice, mos2.species, (mos2.frac_coords + np.array(shift)) % 1.0)
    cell.make_supercell([[size[0], shear, 0], [0, size[1], 0], [0, 0, 1]], to_unit_cell=False)
    primitive = standard_primitive(cell)
    check_structure(primitive)
    assert len(primitive) == 3
    assert primitive.lattice.abc == pytest.approx((3.18, 3.18, 15.0), abs=1e-8)
    assert primitive.lattice.gamma == pytest.approx(120.0, abs=1e-8)
    assert symmetry_info(primitive).layer_group == "p-6m2"
    # Sulphur stays at its height over its own metal: the layer was not torn apart.
    heights = primitive.cart_coords[1:, 2] - primitive.cart_coords[0, 2]
    assert sorted(heights) == pytest.approx([-1.56, 1.56], abs=1e-6)


def test_primitive_bulk_cells(gaas: Structure) -> None:
    conventional = gaas.to_conventional()
    primitive = standard_primitive(conventional)
    assert len(primitive) == 2
    assert primitive.volume == pytest.approx(gaas.volume, rel=1e-9)
    assert "magmom" not in primitive.site_properties


def test_vector_moments_keep_their_direction() -> None:
    iron = Structure(
        Lattice.cubic(2.87),
        ["Fe", "Fe"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": [[1.0, 0.0, 2.0]] * 2},
    )
    primitive = standard_primitive(iron)
    assert len(primitive) == 1
    assert list(primitive.site_properties["magmom"][0]) == [1.0, 0.0, 2.0]
    # Unrotated: the primitive vectors are translations of the given crystal.
    steps = primitive.lattice.matrix / (2.87 / 2)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-8)


def test_check_size_names_the_numbers(mos2: Structure) -> None:
    check_size(mos2, 3, "the embedded DFT engine")
    with pytest.raises(ResourceLimitError, match=r"MoS2: 300 atoms.*engine takes at most 64"):
        check_size(mos2 * (10, 10, 1), 64, "the embedded DFT engine")


def test_huge_and_tiny_cells_are_checked_at_once() -> None:
    check_structure(Structure(Lattice.cubic(1e5), ["H", "H"], [[0, 0, 0], [0, 0, 1e-5]]))
    with pytest.raises(StructureError, match="no volume"):
        check_structure(Structure(Lattice.cubic(1e-4), ["H"], [[0, 0, 0]]))
    with pytest.raises(StructureError, match=r"0\.100 Å apart"):
        check_structure(Structure(Lattice.cubic(10), ["H", "He"], [[0, 0, 0.995], [0, 0, 0.005]]))


def test_many_coincident_atoms_name_two_different_ones() -> None:
    pile = Structure(Lattice.cubic(5), ["H"] * 4, [[0, 0, 0]] * 4)
    with pytest.raises(StructureError, match=r"are 0\.000 Å apart") as caught:
        check_structure(pile)
    words = str(caught.value).split()
    numbers = [words[i + 1] for i, word in enumerate(words) if word == "atom"]
    assert len(set(numbers)) == 2
