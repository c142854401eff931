"""Bilayers of two crystals: strains, smallest cells, and an independent search."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.interfaces.zsl import ZSLGenerator
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import ResourceLimitError, SettingsError, StructureError
from hamexplorer.structures import load_gallery, symmetry_info
from hamexplorer.structures.bilayer import (
    Bilayer,
    coincidence_cells,
    heterobilayer,
    layer_of,
)
from hamexplorer.structures.bilayer_lattices import (
    area,
    cell_translations,
    common_cell,
    deformation,
    is_primitive_pair,
    polar_angle,
    principal_strains,
    reduced,
    rotation,
    stretch,
    sublattices,
)

MOS2, WSE2 = load_gallery("mos2-1h"), load_gallery("wse2-1h")
GRAPHENE, HBN = load_gallery("graphene"), load_gallery("hbn")
PHOSPHORENE = Structure(
    Lattice.orthorhombic(3.31, 4.38, 20.0),
    ["P"] * 4,
    [[0, 0.08, 0.5], [0.5, 0.42, 0.5], [0.5, 0.58, 0.605], [0, 0.92, 0.605]],
)


def of_layer(built: Bilayer, index: int) -> Structure:
    owner = built.structure.site_properties["layer"]
    sites = [s for s, n in zip(built.structure, owner, strict=True) if n == index]
    return Structure.from_sites(sites)


# --- the built structure ----------------------------------------------------------------------


def test_the_gallerys_bilayer_is_built_again() -> None:
    built = heterobilayer(MOS2, WSE2, max_strain=2.5)
    report, gallery = built.report, load_gallery("mos2-wse2-bilayer")
    assert report.atoms == 6
    assert report.angle == 0
    # a shared strain meets at the geometric mean of 3.18 and 3.32 Å, the gallery at 3.25
    assert built.structure.lattice.a == pytest.approx(np.sqrt(3.18 * 3.32), abs=1e-9)
    assert report.layers[0].principal == pytest.approx([100 * (np.sqrt(3.32 / 3.18) - 1)] * 2)
    assert report.layers[1].principal == pytest.approx([100 * (np.sqrt(3.18 / 3.32) - 1)] * 2)
    for mine, theirs in itertools.product(built.structure, gallery):
        if mine.specie == theirs.specie and mine.specie.symbol in ("Mo", "W"):
            away = (mine.frac_coords - theirs.frac_coords)[:2]
            assert np.abs(away - np.rint(away)).max() < 1e-6
    assert report.distance == pytest.approx(6.5, abs=1e-4)
    assert built.structure.site_properties["layer"] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("strained", ["shared", "first", "second"])
@pytest.mark.parametrize(
    ("lower", "upper", "limits"),
    [
        (MOS2, WSE2, {}),
        (MOS2, WSE2, {"angle": 17.62, "max_strain": 3.5}),
        (GRAPHENE, MOS2, {}),
        (PHOSPHORENE, GRAPHENE, {"max_strain": 3.0}),
        (PHOSPHORENE, PHOSPHORENE, {"max_strain": 3.0, "angle": 70, "angle_tolerance": 15}),
    ],
    ids=["MX2", "MX2 sheared", "C on MoS2", "P on C", "P on P"],
)
def test_the_strain_tensor_makes_each_layer_of_its_parent(
    lower: Structure, upper: Structure, limits: dict[str, Any], strained: str
) -> None:
    """Every atom is found where rotation and strain of the report put one of the parent's."""
    built = heterobilayer(lower, upper, strained=strained, **limits)
    report = built.report
    assert report.max_strain <= limits.get("max_strain", 2.0)
    if strained != "shared":
        rigid = report.layers[1 if strained == "first" else 0]
        assert rigid.max_strain < 1e-9
    cell = built.structure.lattice.matrix
    assert report.area == pytest.approx(np.linalg.norm(np.cross(cell[0], cell[1])))
    for index, parent in enumerate((lower, upper)):
        told, layer, atoms = report.layers[index], layer_of(parent), of_layer(built, index)
        assert len(atoms) == told.atoms == told.cells * len(parent)
        assert round(np.linalg.det(told.matrix)) == told.cells
        change = rotation(told.angle) @ (np.eye(2) + np.array(told.strain) / 100)
        vectors = layer.vectors @ change
        assert np.array(told.matrix) @ vectors == pytest.approx(cell[:2, :2], abs=1e-8)
        # differences from the first atom are differences in the parent
        free = layer.fractions - layer.fractions[0]
        for n, site in enumerate(atoms):
            away = (site.coords - atoms[0].coords)[:2] @ np.linalg.inv(vectors)
            away -= free[n % len(parent)]
            assert np.abs(away - np.rint(away)).max() < 1e-8
            height = site.coords[2] - atoms[0].coords[2]
            assert height == pytest.approx(layer.heights[n % len(parent)] - layer.heights[0])
    turned = report.layers[1].angle - report.layers[0].angle
    period = 360 / np.lcm(layer_of(lower).order, layer_of(upper).order)
    assert abs((turned - report.angle + period / 2) % period - period / 2) < 1e-6
    assert symmetry_info(built.structure).slab is not None


def test_layers_lie_alike_over_the_whole_cell() -> None:
    """No atom of a supercell is missing or double."""
    built = heterobilayer(MOS2, WSE2)
    for index, bond in ((0, 2.41), (1, 2.54)):
        atoms = of_layer(built, index)
        centers, _, _, lengths = atoms.get_neighbor_list(3.0)
        metals = [i for i, s in enumerate(atoms) if s.specie.symbol in ("Mo", "W")]
        for metal in metals:
            around = lengths[centers == metal]
            assert len(around) == 6
            assert around == pytest.approx([bond] * 6, abs=0.02)


# --- the search --------------------------------------------------------------------------------


def test_cells_come_by_size_and_hold_the_limits() -> None:
    cells = coincidence_cells(layer_of(MOS2), layer_of(WSE2), max_strain=1.0, max_atoms=200)
    assert [c.atoms for c in cells] == sorted(c.atoms for c in cells)
    assert all(c.max_strain <= 1.0 and c.atoms <= 200 for c in cells)
    assert all(c.mean_strain <= c.max_strain for c in cells)
    assert cells[0].cells == (13, 12)  # 3.18 √13 = 11.466 and 3.32 √12 = 11.501 Å
    free = np.sqrt(12 * 3.32**2 / (13 * 3.18**2))
    assert cells[0].strains[0] == pytest.approx([100 * (np.sqrt(free) - 1)] * 2, abs=1e-4)
    assert cells[0].angle == pytest.approx(16.1021, abs=1e-4)
    assert is_primitive_pair(
        np.array([c.first for c in cells]), np.array([c.second for c in cells])
    ).all()


def test_known_cells_of_graphene_on_mos2_and_boron_nitride() -> None:
    """5 × 5 graphene on 4 × 4 MoS2; a lattice match of 1.8 % for boron nitride."""
    cells = coincidence_cells(
        layer_of(GRAPHENE), layer_of(MOS2), max_strain=2.0, max_atoms=100, angle=0
    )
    five = [c for c in cells if c.cells == (25, 16)]
    assert len(five) == 1
    ratio = np.sqrt(4 * 3.18 / (5 * 2.46))
    assert five[0].strains[0] == pytest.approx([100 * (ratio - 1)] * 2, abs=1e-4)
    assert five[0].strains[1] == pytest.approx([100 * (1 / ratio - 1)] * 2, abs=1e-4)
    (first, *_) = coincidence_cells(layer_of(GRAPHENE), layer_of(HBN), max_strain=1.0)
    assert first.cells == (1, 1)
    assert first.strains[0] == pytest.approx([100 * (np.sqrt(2.504 / 2.46) - 1)] * 2, abs=1e-3)


@pytest.mark.parametrize(
    ("lower", "upper", "size"),
    [(MOS2, WSE2, 250), (GRAPHENE, MOS2, 200), (PHOSPHORENE, MOS2, 250)],
    ids=["WSe2", "C", "P"],
)
def test_nothing_smaller_is_overlooked(lower: Structure, upper: Structure, size: int) -> None:
    """Every common cell of the Zur–McGill search (pymatgen's) has one of ours of equal cells and
    no more strain.
    """
    first, second = layer_of(lower), layer_of(upper)
    limit = 1.5
    ours = coincidence_cells(
        first, second, max_strain=limit, max_atoms=size, strained="second", limit=5000
    )
    best: dict[tuple[int, int], float] = {}
    for cell in ours:
        best[cell.cells] = min(best.get(cell.cells, np.inf), cell.max_strain)
    planes = [np.column_stack([layer.vectors, np.zeros(2)]) for layer in (first, second)]
    most = size / (len(first) / area(first.vectors) + len(second) / area(second.vectors))
    found = 0
    for match in ZSLGenerator(
        max_area_ratio_tol=0.04, max_area=most * 1.02, max_length_tol=0.02, max_angle_tol=0.02
    )(planes[1], planes[0]):
        counts = [
            round(abs(float(np.linalg.det(np.array(m)))))
            for m in (match.substrate_transformation, match.film_transformation)
        ]
        p, q = (
            np.array(match.substrate_sl_vectors)[:, :2],
            np.array(match.film_sl_vectors)[:, :2],
        )
        if area(p) < 0:
            p = p[::-1]
        if area(q) < 0:
            q = q[::-1]
        strain = 100 * np.abs(principal_strains(deformation(q, p))).max()
        atoms = counts[0] * len(first) + counts[1] * len(second)
        first_minors = np.rint(p @ np.linalg.inv(first.vectors)).astype(np.int64)
        second_minors = np.rint(q @ np.linalg.inv(second.vectors)).astype(np.int64)
        if atoms > size or strain > limit or not is_primitive_pair(first_minors, second_minors):
            continue
        found += 1
        assert best[(counts[0], counts[1])] <= strain + 1e-6
    assert found > 10


def test_angles_that_mean_the_same_find_the_same() -> None:
    layers = layer_of(MOS2), layer_of(WSE2)
    wanted = coincidence_cells(*layers, angle=17.62, angle_tolerance=0.1)
    assert wanted
    for angle in (17.62 + 120, 17.62 - 240, -17.62):
        found = coincidence_cells(*layers, angle=angle, angle_tolerance=0.1)
        assert [c.cells for c in found] == [c.cells for c in wanted]
        assert found[0].angle == pytest.approx(17.62, abs=0.1)
    other = coincidence_cells(*layers, angle=17.62 + 60, angle_tolerance=0.1)
    assert other[0].angle == pytest.approx(42.38, abs=0.1)  # 120 − 77.62


def test_the_first_of_a_list_is_what_is_built() -> None:
    layers = layer_of(GRAPHENE), layer_of(MOS2)
    cells = coincidence_cells(*layers, max_strain=1.8, max_atoms=120)
    assert len(cells) > 3
    chosen = heterobilayer(GRAPHENE, MOS2, max_strain=1.8, max_atoms=120).report
    assert (chosen.atoms, chosen.angle) == (cells[0].atoms, pytest.approx(cells[0].angle))
    for cell in cells:
        report = heterobilayer(GRAPHENE, MOS2, cell=cell).report
        assert report.atoms == cell.atoms
        assert report.max_strain == pytest.approx(cell.max_strain, abs=1e-6)
        assert report.angle == pytest.approx(cell.angle, abs=1e-6)
        assert report.area == pytest.approx(cell.area, rel=1e-9)


def test_a_cell_of_other_layers_is_refused() -> None:
    (cell, *_) = coincidence_cells(layer_of(MOS2), layer_of(WSE2), max_strain=1.0)
    for lower, upper in ((GRAPHENE, WSE2), (MOS2, GRAPHENE), (WSE2, MOS2)):
        with pytest.raises(SettingsError, match="in this order"):
            heterobilayer(lower, upper, cell=cell)


# --- the arithmetic of lattices ------------------------------------------------------------------


def test_sublattices_are_as_many_as_the_sum_of_divisors() -> None:
    for index in range(1, 25):
        divisors = sum(d for d in range(1, index + 1) if index % d == 0)
        assert len(sublattices(index, ((1, 0), (0, 1)))) == divisors
        # orbits under the threefold rotation, by Burnside's lemma
        turn = np.array([[0, 1], [-1, -1]])
        turned = [m @ turn @ np.linalg.inv(m) for m in sublattices(index, ((1, 0), (0, 1)))]
        fixed = sum(bool(np.abs(m - np.rint(m)).max() < 1e-9) for m in turned)
        orbits = sublattices(index, ((0, 1), (-1, -1)))
        assert 3 * len(orbits) == divisors + 2 * fixed


@given(st.lists(st.integers(-9, 9), min_size=4, max_size=4))
def test_a_cell_holds_one_point_of_every_coset(entries: list[int]) -> None:
    matrix = np.array(entries).reshape(2, 2)
    determinant = round(np.linalg.det(matrix))
    if determinant == 0:
        return
    points = cell_translations(matrix)
    assert len(points) == abs(determinant)
    fractions = points @ np.linalg.inv(matrix)
    fractions = np.rint((fractions - np.floor(fractions + 1e-9)) * determinant)
    assert len({tuple(row) for row in fractions.tolist()}) == len(points)


@given(
    st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    st.sampled_from(["shared", "first", "second"]),
)
def test_strain_is_shared_as_asked(entries: list[float], strained: str) -> None:
    q = np.array(entries).reshape(2, 2)
    if area(q) < 0.5 or np.linalg.cond(q) > 50:
        return
    p = q @ rotation(33.0) @ (np.eye(2) + np.array([[0.03, 0.01], [0.01, -0.02]]))
    c = common_cell(p, q, strained)
    of_p, of_q = principal_strains(deformation(p, c)), principal_strains(deformation(q, c))
    assert abs(float(polar_angle(deformation(p, c)))) < 1e-7  # P is not turned
    assert float(polar_angle(deformation(q, c))) == pytest.approx(33.0, abs=1e-7)
    if strained == "first":
        assert np.abs(of_q).max() < 1e-12
    elif strained == "second":
        assert np.abs(of_p).max() < 1e-12
    else:
        assert np.sort((1 + of_p) * (1 + of_q[::-1])) == pytest.approx([1, 1], abs=1e-12)
    v = np.eye(2) + stretch(deformation(q, c))
    f = deformation(q, c)
    assert rotation(float(polar_angle(f))) @ v == pytest.approx(f, abs=1e-12)


@settings(max_examples=50)
@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_reduction_keeps_the_lattice(entries: list[float]) -> None:
    cell = np.array(entries).reshape(2, 2)
    if abs(area(cell)) < 1e-2:
        return
    short = reduced(cell)
    change = short @ np.linalg.inv(cell)
    assert change == pytest.approx(np.rint(change), abs=1e-6)
    assert abs(round(np.linalg.det(change))) == 1
    u, v = short
    assert area(short) > 0
    assert u @ u <= v @ v * (1 + 1e-9)
    assert abs(u @ v) <= 0.5 * (u @ u) * (1 + 1e-6)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_strain": -1.0}, SettingsError, "max_strain = -1"),
        ({"max_strain": float("nan")}, SettingsError, "max_strain"),
        ({"max_strain": 30.0}, SettingsError, "0 … 10 %"),
        ({"max_atoms": 10**6}, ResourceLimitError, "up to 1000 atoms"),
        ({"max_atoms": 0}, SettingsError, "at least 2"),
        ({"max_atoms": 5}, StructureError, "no common cell of at most 5 atoms"),
        ({"max_strain": 0.0}, StructureError, "strain of at most 0 %"),
        ({"angle": float("nan")}, SettingsError, "angle"),
        ({"angle": 1.0, "angle_tolerance": 0.01}, StructureError, "no common cell at 1°"),
        ({"angle_tolerance": 0.0}, SettingsError, "angle_tolerance"),
        ({"strained": "both"}, SettingsError, "shared, first, second"),
        ({"center": "Mo"}, SettingsError, "element of WSe2"),
        ({"distance": 3.0}, StructureError, "layers overlap"),
        ({"cell": 3}, SettingsError, "take it from"),
        ({"angle": "7"}, SettingsError, "angle must be a number"),
        ({"max_strain": None}, SettingsError, "max_strain"),
        ({"max_atoms": 100.5}, SettingsError, "max_atoms must be a whole number"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        heterobilayer(MOS2, WSE2, **options)


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_unlike_lattices_are_said_to_be() -> None:
    square = Structure(Lattice.tetragonal(4.0, 20.0), ["Pb"], [[0, 0, 0.5]])
    with pytest.raises(StructureError, match=r"MoS2 and Pb \(hexagonal and square lattices\)"):
        heterobilayer(MOS2, square, max_strain=0.1, max_atoms=30)
    with pytest.raises(StructureError, match="not a layer"):
        heterobilayer(MOS2, load_gallery("si"))
    unknown = Structure(Lattice.hexagonal(3.2, 20.0), ["Rf"], [[0, 0, 0.5]])
    with pytest.raises(SettingsError, match="No van der Waals radius of Rf"):
        heterobilayer(unknown, MOS2)
