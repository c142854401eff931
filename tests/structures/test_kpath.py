"""Named points are the true ones in every setting of the cell; paths are what they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from hamexplorer.errors import SettingsError
from hamexplorer.structures import (
    KPath,
    load_gallery,
    named_points,
    path_from_points,
    path_from_text,
    standard_path,
)
from hamexplorer.structures.special_points import canonical_label, special_points

ORDERS = [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)]


def turned(structure: Structure, seed: int) -> Structure:
    """The crystal rotated in space, its cell's shape unchanged."""
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return Structure(
        Lattice(structure.lattice.matrix @ rotation.T), structure.species, structure.frac_coords
    )


def cartesian(structure: Structure, point: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(point @ structure.lattice.reciprocal_lattice.matrix)


def tight_binding(structure: Structure, point: NDArray[np.float64], length: float) -> float:
    """Σ_T cos(k·T) over the lattice translations T of one length: an s band with hopping 1.

    It knows nothing of cells or labels, so its textbook values at named points test both.
    """
    site = structure[-1]
    shifts = [
        neighbour.coords - site.coords
        for neighbour in structure.get_neighbors(site, length + 0.02)
        if neighbour.species == site.species
        and abs(np.linalg.norm(neighbour.coords - site.coords) - length) < 0.02
    ]
    return float(np.cos(np.array(shifts) @ cartesian(structure, point)).sum())


def fcc(a: float = 4.05) -> Structure:
    return Structure(Lattice(a / 2 * (np.ones((3, 3)) - np.eye(3))), ["Al"], [[0, 0, 0]])


def bcc(a: float = 2.866) -> Structure:
    return Structure(Lattice(a / 2 * (np.ones((3, 3)) - 2 * np.eye(3))), ["Fe"], [[0, 0, 0]])


BULK = {
    "fcc": (fcc(), 4.05 / np.sqrt(2), {"Γ": 12, "X": -4, "L": 0, "W": -4}),
    "bcc": (bcc(), 2.866 * np.sqrt(3) / 2, {"Γ": 8, "H": -8, "N": 0, "P": 0}),
    "tetragonal": (
        load_gallery("fept-l10"), 2.72, {"Γ": 4, "X": 0, "M": -4, "Z": 4, "R": 0, "A": -4},
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize("kind", ["primitive", "conventional", "supercell", "odd cell"])
@pytest.mark.parametrize("case", BULK)
def test_bulk_points_carry_their_textbook_energies(case: str, kind: str, seed: int | None) -> None:
    structure, length, expected = BULK[case]
    structure = structure.copy()
    if kind == "conventional":
        structure = structure.to_conventional()
    elif kind == "supercell":
        structure.make_supercell([2, 1, 2])
    elif kind == "odd cell":
        structure.make_supercell([[1, 1, 0], [0, 1, 0], [2, -1, 1]])
    if seed is not None:
        structure = turned(structure, seed)
    points = named_points(structure)
    found = {label: tight_binding(structure, points[label], length) for label in expected}
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["primitive", "hexagonal cell"])
def test_rhombohedral_points(kind: str) -> None:
    structure = load_gallery("bi2se3")
    if kind == "hexagonal cell":
        structure = structure.to_conventional()
        assert len(structure) == 15
    points = named_points(structure)
    # In-plane triangular lattice: Γ and T lie over each other, L and F over its M points.
    found = {label: tight_binding(structure, points[label], 4.143) for label in "ΓTLF"}
    assert found == pytest.approx({"Γ": 6, "T": 6, "L": -2, "F": -2}, abs=1e-3)
    assert np.linalg.norm(cartesian(structure, points["T"])) == pytest.approx(
        3 * np.pi / 28.636, rel=1e-6
    )


def test_points_of_a_primitive_cell_are_exact_fractions() -> None:
    points = named_points(fcc())
    np.testing.assert_array_equal(np.abs(points["L"]), [0.5, 0.5, 0.5])
    assert sorted(np.abs(points["X"])) == [0.0, 0.5, 0.5]


def test_magnets_without_inversion_show_minus_k(gaas: Structure) -> None:
    magnet = gaas.copy()
    magnet.add_site_property("magmom", [3.0, 0.0])
    assert "X′" in named_points(magnet)
    assert "X′" not in named_points(gaas)


def hexagonal_layer(gamma: float, order: tuple[int, ...] = (0, 1, 2)) -> Structure:
    lattice = Lattice.from_parameters(3.18, 3.18, 15, 90, 90, gamma)
    cell = Structure(
        lattice,
        ["Mo", "S", "S"],
        [[0, 0, 7.5], [0, 1.836, 9.06], [0, 1.836, 5.94]],
        coords_are_cartesian=True,
    )
    columns = list(order)
    return Structure(
        Lattice(cell.lattice.matrix[columns]), cell.species, cell.frac_coords[:, columns]
    )


@pytest.mark.parametrize("gamma", [60.0, 120.0])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_k_is_a_corner_of_the_hexagon(
    gamma: float, order: tuple[int, ...], size: tuple[int, int]
) -> None:
    cell = hexagonal_layer(gamma) * (*size, 1)
    structure = Structure(
        Lattice(cell.lattice.matrix[list(order)]), cell.species, cell.frac_coords[:, list(order)]
    )
    vacuum = order.index(2)
    points = named_points(structure)
    k = cartesian(structure, points["K"])
    assert np.linalg.norm(k) == pytest.approx(4 * np.pi / (3 * 3.18), rel=1e-9)
    np.testing.assert_array_equal(points["K′"], -points["K"])
    assert points["K"][vacuum] == 0.0
    # Threefold turns about the vacuum direction change K by a vector of the primitive
    # reciprocal lattice only: the phases along the primitive translations stay.
    normal = structure.lattice.matrix[vacuum] / 15.0
    turn = Rotation.from_rotvec(2 * np.pi / 3 * normal).as_matrix()
    translations = [
        neighbour.coords - structure[0].coords
        for neighbour in structure.get_neighbors(structure[0], 3.2)
        if neighbour.specie == structure[0].specie
    ]
    assert len(translations) == 6
    phases = np.exp(1j * np.array(translations) @ np.array([k, turn @ k, -k]).T)
    np.testing.assert_allclose(phases[:, 1], phases[:, 0], atol=1e-9)
    assert np.abs(phases[:, 2] - phases[:, 0]).max() > 1
    # M is the middle of the edge next to K.
    m = cartesian(structure, points["M"])
    assert np.linalg.norm(m) == pytest.approx(2 * np.pi / (np.sqrt(3) * 3.18), rel=1e-9)
    assert np.linalg.norm(m - k) == pytest.approx(np.linalg.norm(k) / 2, rel=1e-9)


def test_60_and_120_degree_cells_agree_on_k() -> None:
    acute, obtuse = hexagonal_layer(60.0), hexagonal_layer(120.0)
    # from_parameters turns the first vector with γ; compare in the frame of the first vector.
    ends = []
    for structure in (acute, obtuse):
        first, second = structure.lattice.matrix[:2]
        k = cartesian(structure, named_points(structure)["K"])
        sense = np.cross(first, second)
        ends.append((k @ first, np.cross(first, k) @ sense / np.linalg.norm(sense)))
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-9)
    np.testing.assert_allclose(named_points(obtuse)["K"], [1 / 3, 1 / 3, 0], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(2.5, 5.0),
    st.floats(2.5, 5.0),
    st.floats(35.0, 145.0),
    st.booleans(),
    st.sampled_from(ORDERS),
)
def test_planar_points_lie_on_the_zone_boundary(
    a: float, b: float, gamma: float, equal: bool, order: tuple[int, ...]
) -> None:
    lattice = Lattice.from_parameters(a, a if equal else b, 15, 90, 90, gamma)
    structure = Structure(Lattice(lattice.matrix[list(order)]), ["C"], [[0, 0, 0]])
    vacuum = order.index(2)
    integers = np.array(
        [n for n in itertools.product(range(-4, 5), repeat=3) if n[vacuum] == 0 and any(n)]
    )
    vectors = cartesian(structure, integers)
    for label, point in named_points(structure).items():
        k = cartesian(structure, point)
        excess = np.linalg.norm(k - vectors, axis=1).min() - np.linalg.norm(k)
        if label == "Γ":
            assert not k.any()
        else:
            assert excess == pytest.approx(0.0, abs=2e-2), label


def test_default_paths() -> None:
    path = standard_path(load_gallery("mos2-1h"))
    assert [label for _, label in path.axis_ticks] == ["Γ", "M", "K", "Γ", "K′"]
    assert path.breaks == ()
    bulk = standard_path(load_gallery("gaas"))
    assert [label for _, label in bulk.axis_ticks] == ["Γ", "X", "U|K", "Γ", "L", "W", "X"]
    assert len(bulk.segments) == 2
    square = Structure(Lattice.tetragonal(3, 15), ["C"], [[0, 0, 0]])
    assert [label for _, label in standard_path(square).axis_ticks] == ["Γ", "X", "M", "Γ"]
    assert special_points(square).lattice == "square"


@pytest.mark.parametrize("name", ["mos2-1h", "gaas", "bi2se3", "fe-bcc"])
@pytest.mark.parametrize("spacing", [0.02, 0.1, 5.0])
def test_sampling(name: str, spacing: float) -> None:
    structure = load_gallery(name)
    path = standard_path(structure, spacing)
    assert path.kpoints.shape == (len(path), 3)
    for segment in path.segments:
        k = cartesian(structure, path.kpoints[segment])
        steps = np.linalg.norm(np.diff(k, axis=0), axis=1)
        assert steps.max() <= spacing * (1 + 1e-9)
        np.testing.assert_allclose(np.diff(path.distances[segment]), steps, atol=1e-12)
    for index in path.breaks:
        assert path.distances[index] == path.distances[index - 1]
    points = named_points(structure)
    for index, label in path.ticks:
        np.testing.assert_allclose(path.kpoints[index], points[label], atol=1e-12)


def test_text_and_points_give_the_same_path() -> None:
    structure = load_gallery("mos2-1h")
    third = 1 / 3
    expected = path_from_points(
        structure,
        [("G", (0, 0, 0)), ("M", (0.5, 0, 0)), ("K", (third, third, 0)), ("Γ", (0, 0, 0)),
         ("K'", (-third, -third, 0))],
    )  # fmt: skip
    for text in ("G-M-K-G-K'", "Γ M K Γ K′", "Gamma → M → K → Γ → K’", "GMKGK'", "ΓMKΓK′"):
        path = path_from_text(text, structure)
        np.testing.assert_allclose(path.kpoints, expected.kpoints, atol=1e-12)
        assert path.ticks == expected.ticks
    assert expected.index_of("K'") == len(expected) - 1
    jump = path_from_text("G-K|M-G", structure)
    assert jump.axis_ticks[1][1] == "K|M"
    assert len(jump.breaks) == 1
    with pytest.raises(SettingsError, match="labels are Γ, K, M"):
        jump.index_of("X")


def test_labels() -> None:
    forms = {
        "GAMMA": "Γ", "g": "Γ", "SIGMA_0": "Σ₀", "X_1": "X₁", "X1": "X₁", "H_12": "H₁₂",
        "K'": "K′", "DELTA_0": "Δ₀", "M": "M", "C_2'": "C₂′",
    }  # fmt: skip
    assert {name: canonical_label(name) for name in forms} == forms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G-Q", "no point 'Q' in this lattice; its points are Γ, M, K"),
        ("G", "at least two points"),
        ("", "at least two points"),
        ("G-K|", "at least two points"),
        ("G-G-K", "equal"),
        ("GMxK", "no point 'GMxK'"),
    ],
)
def test_bad_texts(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        path_from_text(text, load_gallery("mos2-1h"))


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_bad_spacings(spacing: float) -> None:
    with pytest.raises(SettingsError, match="spacing"):
        standard_path(load_gallery("gaas"), spacing)


@pytest.mark.parametrize(
    "points",
    [[("G", (0, 0)), ("K", (1, 0, 0))], [("G", (0, 0, float("nan"))), ("K", (1, 0, 0))],
     [("G", "abc"), ("K", (1, 0, 0))], [("G",), ("K", (1, 0, 0))]],
)  # fmt: skip
def test_bad_points(points: list[tuple[str, object]]) -> None:
    with pytest.raises(SettingsError, match="path point"):
        path_from_points(load_gallery("gaas"), points)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_random_text_is_a_path_or_our_error(text: str) -> None:
    try:
        path = path_from_text(text, hexagonal_layer(120.0))
    except SettingsError:
        return
    assert isinstance(path, KPath)
