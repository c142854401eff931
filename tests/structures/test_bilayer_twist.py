"""Twisted bilayers against published cells, rigid rotations and their point groups."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import ResourceLimitError, SettingsError, StructureError
from hamexplorer.structures import load_gallery, load_structure, slab_geometry, symmetry_info
from hamexplorer.structures.bilayer import (
    STACKINGS,
    Bilayer,
    layer_of,
    named_layer,
    twist_list,
    twisted_bilayer,
)
from hamexplorer.structures.bilayer_assembly import CHALCOGEN_GAP
from hamexplorer.structures.bilayer_coincidence import coincidence_cells
from hamexplorer.structures.bilayer_text import structure_text
from hamexplorer.structures.bilayer_twist import commensurate_twists, nearest_twist

MOS2 = load_gallery("mos2-1h")
GRAPHENE = load_gallery("graphene")


def square_layer(a: float = 4.0) -> Structure:
    """A buckled square lattice, one atom on each kind of fourfold axis."""
    return Structure(Lattice.tetragonal(a, 20.0), ["Pb", "S"], [[0, 0, 0.5], [0.5, 0.5, 0.52]])


def layer_atoms(built: Bilayer, index: int) -> Structure:
    """One layer of a bilayer, in the bilayer's cell."""
    owner = built.structure.site_properties["layer"]
    return Structure.from_sites(
        [s for s, n in zip(built.structure, owner, strict=True) if n == index]
    )


def distances_from_each_atom(structure: Structure, reach: float) -> list[NDArray[np.float64]]:
    """Sorted distances to all neighbours within ``reach``, atom by atom."""
    centers, _, _, lengths = structure.get_neighbor_list(reach)
    return [np.sort(lengths[centers == i]) for i in range(len(structure))]


def same(first: Structure, second: Structure) -> bool:
    """Up to a rotation, translation and reflection, within 0.01 Å or so."""
    matcher = StructureMatcher(
        ltol=1e-3, stol=5e-3, angle_tol=0.1, primitive_cell=False, scale=False
    )
    return bool(matcher.fit(first, second))


# --- angles ---------------------------------------------------------------------------------

# Angles and cells per layer of commensurate bilayers as the literature has them, (m, m − 1).
PUBLISHED = [(21.79, 7), (13.17, 19), (9.43, 37), (7.34, 61), (6.01, 91), (5.09, 127)]


@pytest.mark.parametrize(("angle", "cells"), PUBLISHED)
def test_published_twists(angle: float, cells: int) -> None:
    twist = nearest_twist(angle, 400)
    assert twist.cells == cells
    assert twist.angle == pytest.approx(angle, abs=0.005)
    assert twist.m == twist.n + 1


def test_the_magic_angle_has_11908_atoms() -> None:
    built = twisted_bilayer(GRAPHENE, 1.05, max_atoms=12_000)
    assert built.report.atoms == len(built.structure) == 11_908
    assert built.report.angle == pytest.approx(1.0501, abs=5e-5)
    assert built.report.layers[0].cells == 2977


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60))
def test_every_coprime_pair_is_a_twist_of_the_formula(m: int, n: int) -> None:
    m, n = max(m, n), min(m, n)
    divisor = np.gcd(m, n)
    m, n = m // divisor, n // divisor
    index = m * m + m * n + n * n
    cosine = (m * m + 4 * m * n + n * n) / (2 * index)
    cells = index // 3 if (m - n) % 3 == 0 else index
    found = [t for t in commensurate_twists(cells) if (t.m, t.n) == (m, n)]
    assert len(found) == 1
    assert found[0].cells == cells
    assert np.cos(np.radians(found[0].angle)) == pytest.approx(cosine, abs=1e-14)


@pytest.mark.parametrize("structure", [MOS2, GRAPHENE, square_layer()], ids=["MoS2", "C", "PbS"])
def test_an_exhaustive_search_finds_the_same_cells(structure: Structure) -> None:
    """The search over pairs of sublattices knows nothing of m and n."""
    layer = layer_of(structure)
    searched = coincidence_cells(
        layer, layer, max_strain=0, max_atoms=2 * len(layer) * 65, limit=200
    )
    assert all(c.cells[0] == c.cells[1] for c in searched)
    # a sixfold axis takes θ to θ + 60°, a mirror plane to −θ; of MX2, 60° is a cell of its own
    period = 360 / layer.order
    lattice = 60 if layer.lattice == "hexagonal" else 90
    by_formula = set()
    for twist in commensurate_twists(65, layer.lattice):
        for turns in range(round(period / lattice)):
            angle = (twist.angle + lattice * turns) % period
            by_formula.add((twist.cells, round(min(angle, period - angle), 6)))
    assert {(c.cells[0], round(c.angle, 6)) for c in searched} == by_formula


def test_angles_are_taken_beyond_one_turn_and_with_their_sign() -> None:
    plain, beyond = nearest_twist(7.34, 100), nearest_twist(67.34, 100)
    assert beyond.angle == pytest.approx(plain.angle + 60, abs=1e-12)
    assert nearest_twist(-7.34, 100).angle == pytest.approx(-plain.angle, abs=1e-12)
    assert nearest_twist(36.87, 5, "square").cells == 5


def test_the_smallest_cell_is_meant_among_equals() -> None:
    # (12, 11) … have cells that are nearer to the rounded number than (5, 4) is
    assert nearest_twist(7.34, 20_000).cells == 61
    assert nearest_twist(7.34, 20_000).angle == pytest.approx(7.340993, abs=1e-6)


# --- cells ----------------------------------------------------------------------------------

CASES = [(MOS2, 7.34), (MOS2, 38.21), (GRAPHENE, 13.17), (square_layer(), 22.62), (MOS2, 67.34)]


@pytest.mark.parametrize(("structure", "angle"), CASES)
def test_both_layers_are_the_parent_turned_rigidly(structure: Structure, angle: float) -> None:
    built = twisted_bilayer(structure, angle, shift=(0.13, 0.4))
    report = built.report
    assert report.max_strain < 1e-10
    for index in (0, 1):
        parent = distances_from_each_atom(structure, 6.0)
        atoms = layer_atoms(built, index)
        found = distances_from_each_atom(atoms, 6.0)
        assert (
            report.layers[index].atoms == len(atoms) == report.layers[index].cells * len(structure)
        )
        for n, (site, lengths) in enumerate(zip(atoms, found, strict=True)):
            assert site.specie == structure[n % len(structure)].specie
            wanted = parent[n % len(structure)]
            assert len(lengths) == len(wanted)
            assert np.abs(lengths - wanted).max() < 1e-10


@settings(max_examples=20)
@given(
    st.sampled_from([(t.angle, t.cells) for t in commensurate_twists(40)[1:]]),
    st.floats(2.2, 4.5),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_a_rotation_is_rigid_for_every_lattice_constant(
    twist: tuple[float, int], a: float, shift: tuple[float, float]
) -> None:
    parent = Structure(
        Lattice.hexagonal(a, 25.0), ["C", "C"], [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]
    )
    built = twisted_bilayer(parent, twist[0], shift=shift, distance=4.0)
    report = built.report
    assert report.layers[0].cells == report.layers[1].cells == twist[1]
    assert report.max_strain < 1e-10
    bonds = np.array([built.structure.get_neighbor_list(a * 0.6)[3]])
    assert np.abs(bonds - a / np.sqrt(3)).max() < 1e-10
    assert bonds.size == 3 * len(built.structure)


def test_each_layer_is_periodic_with_its_own_lattice_and_angle() -> None:
    """The upper layer's atoms are the lower one's, turned by the exact angle about one point."""
    built = twisted_bilayer(MOS2, 21.79)
    theta = np.radians(built.report.twist)
    turn = np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])
    lattice = built.structure.lattice
    lower, upper = layer_atoms(built, 0), layer_atoms(built, 1)
    center = np.zeros(2)  # the hollow of the gallery's cell is at the origin, which stays there
    for site in lower:
        place = (site.coords[:2] - center) @ turn + center
        height = site.coords[2] + built.report.distance
        away = upper.lattice.get_all_distances(
            lattice.get_fractional_coords([*place, height]), upper.frac_coords
        )[0]
        assert away.min() < 1e-6
        assert upper[int(away.argmin())].specie == site.specie


@pytest.mark.parametrize(
    ("structure", "options", "group"),
    [
        (GRAPHENE, {}, "622"),
        (GRAPHENE, {"center": "hexagon"}, "622"),
        (GRAPHENE, {"center": "atom"}, "32"),
        (GRAPHENE, {"center": "atom", "stacking": "AB"}, "32"),
        (MOS2, {}, "32"),
        (MOS2, {"center": "Mo"}, "32"),
        (MOS2, {"center": "S"}, "32"),
        (MOS2, {"stacking": "2H"}, "32"),
        # where 3 divides m − n the layers' threefold axes meet alike or nowhere
        (MOS2, {"angle": 38.21}, "32"),
        (MOS2, {"angle": 38.21, "stacking": "AB", "center": "Mo"}, "3"),
        (MOS2, {"shift": (0.1, 0.23)}, "1"),
    ],
)
def test_point_groups(structure: Structure, options: dict[str, Any], group: str) -> None:
    built = twisted_bilayer(structure, **{"angle": 21.79, **options})
    assert symmetry_info(built.structure).point_group == group


def test_a_twist_of_the_list_is_built_as_it_is() -> None:
    for twist in twist_list(MOS2, 120):
        report = twisted_bilayer(MOS2, twist).report
        assert (report.twist, report.layers[1].cells) == (twist.angle, twist.cells)
    with pytest.raises(SettingsError, match="not among"):
        twisted_bilayer(MOS2, twist_list(MOS2, 120)[-1], max_atoms=60)


def test_square_twists_keep_the_fourfold_axis() -> None:
    plane = Structure(Lattice.tetragonal(4.0, 20.0), ["Pb", "S"], [[0, 0, 0.5], [0.5, 0.5, 0.5]])
    built = twisted_bilayer(plane, 36.87, center="Pb")
    assert built.report.atoms == 20
    assert symmetry_info(built.structure).point_group == "422"


# --- stackings ------------------------------------------------------------------------------


def test_untwisted_stackings_are_those_of_their_names() -> None:
    groups = {"AA": "p-6m2", "AB": "p3m1", "BA": "p3m1", "2H": "p-3m1"}
    for stacking in STACKINGS:
        built = twisted_bilayer(MOS2, 0, stacking=stacking)
        assert built.report.atoms == 6
        assert symmetry_info(built.structure).layer_group == groups[stacking]
    # 2H: each metal above or below the chalcogens of the other layer
    built = twisted_bilayer(MOS2, 0, stacking="2H")
    metal = [s for s in built.structure if s.specie.symbol == "Mo"]
    sulphur = [s for s in built.structure if s.specie.symbol == "S"]
    for m, s in itertools.product(metal, sulphur):
        if m.properties["layer"] != s.properties["layer"]:
            away = (m.frac_coords - s.frac_coords)[:2]
            assert np.abs(away - np.rint(away)).max() < 1e-7


def test_2h_turned_is_aa_turned_by_60_degrees_more() -> None:
    first = twisted_bilayer(MOS2, 21.79, stacking="2H")
    second = twisted_bilayer(MOS2, 81.79)
    assert first.report.angle == pytest.approx(second.report.angle, abs=1e-9)
    assert same(first.structure, second.structure)
    assert not same(first.structure, twisted_bilayer(MOS2, 21.79).structure)


def test_shift_moves_the_upper_layer_alone() -> None:
    plain, moved = (twisted_bilayer(MOS2, 21.79, shift=s) for s in ((0, 0), (0.5, 0)))
    step = moved.structure.cart_coords - plain.structure.cart_coords
    step = plain.structure.lattice.get_fractional_coords(step)
    step = (step - np.rint(step)) @ plain.structure.lattice.matrix
    owner = np.array(plain.structure.site_properties["layer"])
    assert np.abs(step[owner == 0]).max() < 1e-9
    assert np.ptp(step[owner == 1], axis=0).max() < 1e-9
    assert np.linalg.norm(step[owner == 1][0]) == pytest.approx(3.18 / 2, abs=1e-6)


def test_distances_follow_the_stated_rules() -> None:
    gallery = load_gallery("mos2-wse2-bilayer")
    heights = {s.specie.symbol: [] for s in gallery}
    for site in gallery:
        heights[site.specie.symbol].append(site.coords[2])
    assert min(heights["Se"]) - max(heights["S"]) == pytest.approx(CHALCOGEN_GAP, abs=1e-4)
    for name in ("mos2-1h", "wse2-1h", "ws2-1h"):
        report = twisted_bilayer(load_gallery(name), 21.79).report
        assert 6.1 < report.distance < 6.7
        assert report.gap == pytest.approx(CHALCOGEN_GAP)
    report = twisted_bilayer(GRAPHENE, 21.79).report
    assert report.distance == pytest.approx(3.4)  # twice 1.70 Å
    report = twisted_bilayer(MOS2, 21.79, distance=6.15).report
    assert (report.distance, report.gap) == (pytest.approx(6.15), pytest.approx(6.15 - 3.12))
    assert report.distance_rule == "given"


def test_the_result_is_a_layer_with_its_vacuum_that_opens_again() -> None:
    built = twisted_bilayer(MOS2, 13.17, vacuum=11.0)
    slab = slab_geometry(built.structure)
    assert slab is not None
    assert slab.vacuum_angstrom == pytest.approx(11.0, abs=1e-9)
    assert slab.center == pytest.approx(0.5)
    assert built.structure.lattice.angles == pytest.approx((90, 90, 120))
    assert built.report.closest > 3.2
    for suffix, accuracy in ((".cif", 1e-7), (".vasp", 1e-9), (".json", 1e-12)):
        again = load_structure(structure_text(built.structure, suffix))
        assert again.composition == built.structure.composition
        assert again.lattice.matrix == pytest.approx(built.structure.lattice.matrix, abs=accuracy)
        for site in again:
            away = again.lattice.get_all_distances(
                site.frac_coords,
                [s.frac_coords for s in built.structure if s.specie == site.specie],
            )
            assert away.min() < 20 * accuracy


# --- parents --------------------------------------------------------------------------------


def test_parents_in_other_settings_give_the_same_bilayer() -> None:
    wanted = twisted_bilayer(MOS2, 21.79).structure
    matrix = MOS2.lattice.matrix
    axis = Lattice(matrix[[2, 0, 1]])  # vacuum along a
    turned = Structure(axis, MOS2.species, MOS2.frac_coords[:, [2, 0, 1]])
    acute = Structure(
        Lattice([matrix[0], matrix[0] + matrix[1], matrix[2]]),
        MOS2.species,
        MOS2.cart_coords,
        coords_are_cartesian=True,
    )
    left = Structure(
        Lattice([matrix[1], matrix[0], matrix[2]]), MOS2.species, MOS2.frac_coords[:, [1, 0, 2]]
    )
    for parent in (MOS2 * (2, 2, 1), turned, acute, left):
        built = twisted_bilayer(parent, 21.79)
        assert built.report.atoms == 42
        assert same(built.structure, wanted)


def test_the_upper_side_stays_up() -> None:
    janus = load_gallery("mosse-janus")
    left = janus.lattice.matrix[[1, 0, 2]]
    mirrored = Structure(Lattice(left), janus.species, janus.frac_coords[:, [1, 0, 2]])
    for parent in (janus, mirrored):
        top = max(parent, key=lambda s: s.coords[2]).specie.symbol
        built = twisted_bilayer(parent, 0)
        assert max(built.structure, key=lambda s: s.coords[2]).specie.symbol == top


def test_moments_come_along() -> None:
    magnet = load_gallery("cri3-monolayer")
    built = twisted_bilayer(magnet, 21.79)
    moments = built.structure.site_properties["magmom"]
    of_parent = sum(magnet.site_properties["magmom"])
    assert sum(moments) == pytest.approx(14 * of_parent)
    vectors = magnet.copy()
    vectors.add_site_property(
        "magmom", [[3.0, 0, 0] if s.specie.symbol == "Cr" else [0, 0.1, 0] for s in magnet]
    )
    built = twisted_bilayer(vectors, 21.79)
    cr = [np.array(s.properties["magmom"]) for s in built.structure if s.specie.symbol == "Cr"]
    assert np.dot(cr[0], cr[-1]) / 9 == pytest.approx(np.cos(np.radians(built.report.twist)))


def test_layers_are_known_by_name_and_formula() -> None:
    for text in ("MoS2", "mos2-1h", "S2Mo"):
        found = named_layer(text)
        assert found is not None
        assert found.composition.reduced_formula == "MoS2"
    assert named_layer("C") == GRAPHENE
    assert named_layer("FePt") is None
    assert named_layer("no formula!") is None
    assert named_layer("C" * 5000) is None  # too long for a file's name as well


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"angle": float("nan")}, SettingsError, "angle = nan"),
        ({"angle": "7"}, SettingsError, "angle must be a number, not '7'"),
        ({"angle": None}, SettingsError, "angle must be a number"),
        ({"vacuum": "wide"}, SettingsError, "vacuum must be a number"),
        ({"distance": "6.5"}, SettingsError, "distance must be a number"),
        ({"max_atoms": float("nan")}, SettingsError, "max_atoms must be a whole number"),
        ({"angle": 1e6}, SettingsError, "−360 to 360"),
        ({"angle": 0.3}, SettingsError, "would take"),
        ({"angle": 1.05}, SettingsError, "2977 cells"),
        ({"max_atoms": 5}, SettingsError, "at least 6"),
        ({"max_atoms": 10**7}, ResourceLimitError, "20000"),
        ({"tolerance": 0.0}, SettingsError, "tolerance"),
        ({"stacking": "ABC"}, SettingsError, "AA, AB, BA, 2H"),
        ({"center": "W"}, SettingsError, "Mo, S"),
        ({"center": (1.0,)}, SettingsError, "two fractions"),
        ({"shift": (0.0, float("inf"))}, SettingsError, "shift = inf"),
        ({"vacuum": 3.0}, SettingsError, "between 7 and 200"),
        ({"distance": -1.0}, SettingsError, "more than 0"),
        ({"distance": 50.0}, SettingsError, "at most 13.12"),
        ({"distance": 2.0}, StructureError, "The layers overlap"),
        ({"distance": 4.2}, StructureError, r"S .* S .* are 1\.\d+ Å apart"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"angle": 21.79, **options}
    with pytest.raises(error, match=message):
        twisted_bilayer(MOS2, **given)


def test_what_is_no_layer_is_refused() -> None:
    with pytest.raises(StructureError, match="not a layer"):
        twisted_bilayer(load_gallery("gaas"), 21.79)
    with pytest.raises(StructureError, match="neither hexagonal nor square"):
        twist_list(Structure(Lattice.orthorhombic(3.3, 4.6, 20), ["P"], [[0, 0, 0.5]]), 100)
    crowded = Structure(
        Lattice.hexagonal(3, 20),
        ["C", "N", "B"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]],
    )
    with pytest.raises(StructureError, match="no rotation axis"):
        twisted_bilayer(crowded, 21.79, center="hollow")
    assert twisted_bilayer(crowded, 21.79).report.center == "C"
