"""Anisotropy constants: known ones are recovered in the crystal's own axes."""

from __future__ import annotations

import re

import magnets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy import Directions, fit_constants, magnetic_anisotropy
from hamexplorer.properties.anisotropy.crystal_axes import conventional_vectors, crystal_axes

SPHERE = Directions.sphere(60)
FINE = Directions.sphere(400)


def structure(kind: str, turn: NDArray[np.float64] | None = None) -> Structure:
    """A crystal of each system; ``turn`` rotates the whole cell."""
    hexagonal = Lattice.hexagonal(3.0, 5.0)
    lattice, species, sites = {
        "tetragonal": (Lattice.tetragonal(3.0, 4.0), ["Fe"], [[0, 0, 0]]),
        "hexagonal": (hexagonal, ["Co", "Co"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]),
        "trigonal": (Lattice.rhombohedral(4.0, 70.0), ["Bi", "Bi"], [[0.23] * 3, [-0.23] * 3]),
        "cubic": (
            Lattice([[-1.4, 1.4, 1.4], [1.4, -1.4, 1.4], [1.4, 1.4, -1.4]]),
            ["Fe"],
            [[0, 0, 0]],
        ),
        "orthorhombic": (Lattice.orthorhombic(3.0, 3.5, 4.0), ["Fe"], [[0, 0, 0]]),
        "general": (Lattice.monoclinic(3.0, 3.5, 4.0, 100), ["Fe"], [[0, 0, 0]]),
    }[kind]
    matrix = lattice.matrix if turn is None else lattice.matrix @ turn.T
    return Structure(Lattice(matrix), species, sites)


FORMS = {
    "tetragonal": lambda n, k: (
        k[0] * s2(n) + k[1] * s2(n) ** 2 + k[2] * ((n[:, 0] + 1j * n[:, 1]) ** 4).real
    ),
    "hexagonal": lambda n, k: (
        k[0] * s2(n)
        + k[1] * s2(n) ** 2
        + k[2] * s2(n) ** 3
        + k[3] * ((n[:, 0] + 1j * n[:, 1]) ** 6).real
    ),
    "trigonal": lambda n, k: (
        k[0] * s2(n)
        + k[1] * s2(n) ** 2
        + k[2] * ((n[:, 0] + 1j * n[:, 1]) ** 3).real * n[:, 2]
        + k[3] * s2(n) ** 3
        + k[4] * ((n[:, 0] + 1j * n[:, 1]) ** 6).real
    ),
    "cubic": lambda n, k: (
        k[0] * (n[:, 0] ** 2 * n[:, 1] ** 2 + n[:, 1] ** 2 * n[:, 2] ** 2)
        + k[0] * n[:, 2] ** 2 * n[:, 0] ** 2
        + k[1] * np.prod(n**2, axis=1)
    ),
    "orthorhombic": lambda n, k: k[0] * n[:, 0] ** 2 + k[1] * n[:, 1] ** 2,
    "general": lambda n, k: (
        k[0] * n[:, 0] ** 2
        + k[1] * n[:, 1] ** 2
        + 2 * k[2] * n[:, 0] * n[:, 1]
        + 2 * k[3] * n[:, 1] * n[:, 2]
        + 2 * k[4] * n[:, 0] * n[:, 2]
    ),
}
NAMES = {
    "tetragonal": ("K1", "K2", "K3"),
    "hexagonal": ("K1", "K2", "K3", "K4"),
    "trigonal": ("K1", "K2", "Kt", "K3", "K4"),
    "cubic": ("K1", "K2"),
    "orthorhombic": ("Ka", "Kb"),
    "general": ("Axx", "Ayy", "Axy", "Ayz", "Axz"),
}


def s2(n: NDArray[np.float64]) -> NDArray[np.float64]:
    return n[:, 0] ** 2 + n[:, 1] ** 2


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(FORMS)),
    seed=st.integers(0, 10**6),
    turned=st.booleans(),
    offset=st.floats(-1e4, 1e4),
)
def test_known_constants_come_back(kind: str, seed: int, turned: bool, offset: float) -> None:
    rng = np.random.default_rng(seed)
    k = rng.normal(size=len(NAMES[kind]))
    turn = Rotation.random(rng=seed).as_matrix() if turned and kind != "general" else None
    crystal = structure(kind, turn)
    axes = crystal_axes(crystal)
    assert np.allclose(axes.frame @ axes.frame.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes.frame) == pytest.approx(1)
    energy = FORMS[kind](SPHERE.vectors @ axes.frame.T, k)
    fit = fit_constants(magnets.energies_of(crystal, SPHERE, offset + 1e-3 * energy), crystal)
    assert fit.form == kind
    assert fit.names == NAMES[kind]
    assert fit.undetermined == ()
    assert np.allclose(fit.values, k, atol=1e-7)
    assert fit.residual_meV < 1e-7
    finer = FORMS[kind](FINE.vectors @ axes.frame.T, k)
    assert np.allclose(fit.energy(FINE.theta, FINE.phi), finer - energy.min(), atol=1e-6)
    assert fit.easy_energy <= (finer - energy.min()).min() + 1e-6
    assert fit.hard_energy >= (finer - energy.min()).max() - 1e-6
    at_easy = fit.energy(*fit.easy_angles)
    assert at_easy == pytest.approx(fit.easy_energy, abs=1e-7)


@pytest.mark.parametrize("kind", ["tetragonal", "hexagonal", "cubic", "orthorhombic"])
def test_axes_are_found_wherever_the_crystal_lies(kind: str) -> None:
    turn = Rotation.from_euler("xyz", [30, 50, 10], degrees=True).as_matrix()
    for rotation in (np.eye(3), turn):
        found = crystal_axes(structure(kind, rotation)).frame @ rotation
        if kind == "cubic":  # any fourfold axis may come first
            assert np.sort(np.abs(found), axis=1) == pytest.approx(np.eye(3)[[2, 2, 2]], abs=1e-9)
        else:
            assert np.abs(found) == pytest.approx(np.eye(3), abs=1e-9)


def test_trigonal_axis_is_the_body_diagonal() -> None:
    crystal = structure("trigonal")
    main = crystal_axes(crystal).frame[2]
    diagonal = crystal.lattice.matrix.sum(axis=0)
    assert abs(main @ diagonal) / np.linalg.norm(diagonal) == pytest.approx(1)


def test_a_lone_threefold_or_fourfold_axis_has_sine_terms_too() -> None:
    lattice = Lattice.tetragonal(4.0, 5.0)
    sites = [[0, 0, 0], [0.3, 0.1, 0.2], [0.9, 0.3, 0.2], [0.7, 0.9, 0.2], [0.1, 0.7, 0.2]]
    crystal = Structure(lattice, ["Fe", "O", "O", "O", "O"], sites)
    axes = crystal_axes(crystal)
    assert axes.form == "tetragonal"
    assert not axes.has_twofold
    n = SPHERE.vectors @ axes.frame.T
    energy = 0.4 * s2(n) + 0.1 * ((n[:, 0] + 1j * n[:, 1]) ** 4).imag
    fit = fit_constants(magnets.energies_of(crystal, SPHERE, 1e-3 * energy), crystal)
    assert fit.names == ("K1", "K2", "K3", "K3'")
    assert np.allclose(fit.values, [0.4, 0, 0, 0.1], atol=1e-9)


def test_only_what_an_arc_determines_is_fitted() -> None:
    crystal = structure("tetragonal")
    arc = Directions.arc(np.linspace(0, 90, 10))
    n = arc.vectors
    energy = 1e-3 * FORMS["tetragonal"](n, [1.0, 0.3, 0.2])
    fit = fit_constants(magnets.energies_of(crystal, arc, energy), crystal)
    assert fit.names == ("K1", "K2")
    assert fit.undetermined == ("K3",)
    # at φ = 0, K3 sin⁴θ cos 4φ is K3 sin⁴θ
    assert np.allclose(fit.values, [1.0, 0.5], atol=1e-9)
    two = Directions.arc([0, 90])
    fit = fit_constants(magnets.energies_of(crystal, two, [0, 2e-3]), crystal)
    assert fit.names == ("K1",)
    assert fit.values[0] == pytest.approx(2)
    assert np.isnan(fit.errors).all()


def test_a_cubic_arc_between_axes_has_no_second_constant() -> None:
    crystal = structure("cubic")
    arc = Directions.arc(np.linspace(0, 90, 10))
    energy = 1e-3 * FORMS["cubic"](arc.vectors, [1.0, 5.0])
    fit = fit_constants(magnets.energies_of(crystal, arc, energy), crystal)
    assert fit.names == ("K1",)
    assert fit.undetermined == ("K2",)


def test_standard_errors_are_those_of_the_scatter() -> None:
    crystal = structure("tetragonal")
    rng = np.random.default_rng(0)
    clean = FORMS["tetragonal"](SPHERE.vectors, [1.0, 0.3, 0.2])
    found, said = [], []
    for _ in range(200):
        noisy = 1e-3 * (clean + 0.01 * rng.normal(size=len(SPHERE)))
        fit = fit_constants(magnets.energies_of(crystal, SPHERE, noisy), crystal)
        found.append(fit.values)
        said.append(fit.errors)
    scatter = np.std(found, axis=0)
    assert np.allclose(np.mean(said, axis=0), scatter, rtol=0.2)
    assert fit.residual_meV == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize(
    ("constants", "easy", "theta"),
    [
        ([1.0, 0.0, 0.0], "axis", 0.0),
        ([-1.0, 0.0, 0.0], "plane", 90.0),
        ([-1.0, 0.0, 0.1], "axis", 90.0),
        ([-1.0, 1.0, 0.0], "cone", 45.0),
        ([0.0, 0.0, 0.0], "isotropic", 0.0),
    ],
)
def test_kind_of_the_minimum(constants, easy: str, theta: float) -> None:
    crystal = structure("tetragonal")
    energy = 1e-3 * FORMS["tetragonal"](SPHERE.vectors, constants)
    fit = fit_constants(magnets.energies_of(crystal, SPHERE, energy), crystal)
    assert fit.easy == easy
    assert fit.easy_angles[0] == pytest.approx(theta, abs=0.01)
    if constants[2] > 0:
        assert fit.easy_angles[1] % 90 == pytest.approx(45, abs=0.1)


def test_iron_like_and_nickel_like_cubic_axes() -> None:
    crystal = structure("cubic")
    for k1, expected in ((1.0, [0, 0, 1]), (-1.0, np.ones(3) / np.sqrt(3))):
        energy = 1e-3 * FORMS["cubic"](SPHERE.vectors, [k1, 0.0])
        axis = fit_constants(magnets.energies_of(crystal, SPHERE, energy), crystal).easy_axis
        assert np.sort(np.abs(axis)) == pytest.approx(np.sort(np.abs(expected)), abs=1e-4)


@pytest.mark.parametrize("theta", [[30.0], [30.0, 30.0], [30.0, 150.0, 210.0]])
def test_one_direction_is_not_enough(theta) -> None:
    crystal = structure("tetragonal")
    arc = Directions.arc(theta)
    with pytest.raises(SettingsError, match="at least two directions"):
        fit_constants(magnets.energies_of(crystal, arc, np.zeros(len(theta))), crystal)


def test_a_computed_surface_is_fitted_and_tabulated() -> None:
    h = magnets.tetragonal()
    result = magnetic_anisotropy(h, Directions.sphere(40), (4, 4, 4), 0.3)
    fit = fit_constants(result, h.structure)
    assert fit.residual_meV < 0.02 * np.ptp(result.relative_meV)
    table = fit.to_dataframe()
    assert list(table["name"]) == ["K1", "K2", "K3"]
    assert table["ueV_per_atom"].to_numpy() == pytest.approx(1e3 * fit.values)


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_what_the_message_names_would_have_been_enough(kind: str) -> None:
    crystal = structure(kind, None)
    same = Directions([30.0, 30.0], [20.0, 20.0])
    with pytest.raises(SettingsError, match=f"{kind} symmetry does not connect") as told:
        fit_constants(magnets.energies_of(crystal, same, np.zeros(2)), crystal)
    found = re.search(r"theta ([\d., ]+) with phi ([\d., ]+);", str(told.value))
    assert found is not None
    theta, phi = ([float(x) for x in part.split(", ")] for part in found.groups())
    if kind == "cubic":
        assert (theta, phi) == ([0, 45, 54.74], [0, 0, 45])
    named = Directions(theta, phi)
    fit = fit_constants(magnets.energies_of(crystal, named, np.arange(len(theta))), crystal)
    assert len(fit.names) == len(theta) - 1


def test_conventional_vectors_of_a_primitive_body_centred_cell() -> None:
    a = 2.87
    primitive = a / 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    found = conventional_vectors(Structure(primitive, ["Fe"], [[0, 0, 0]]))
    np.testing.assert_allclose(found, a * np.eye(3), atol=1e-9)
    assert conventional_vectors(Structure(Lattice.cubic(a), ["Fe"], [[0, 0, 0]])) is None
