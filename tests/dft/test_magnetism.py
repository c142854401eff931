"""Magnetic starts: what is read, which symmetry is left, which order comes out."""

from __future__ import annotations

from dataclasses import replace

import crystals
import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from pymatgen.electronic_structure.core import Magmom

from hamexplorer.dft import engine
from hamexplorer.dft.initial_moments import initial_moments
from hamexplorer.dft.kpoints import image_atoms
from hamexplorer.dft.populations import moment_warnings
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.system import crystal_system
from hamexplorer.errors import StructureError
from hamexplorer.progress import Monitor
from hamexplorer.units import HARTREE_EV

SETTINGS = DftSettings(
    kmesh=(2, 2, 2),
    cutoff=50.0,
    precision="double",
    density_tolerance=1e-6,
    energy_tolerance=1e-8,
    range_angstrom=7.0,
    threads=1,
)


def hydrogen(moments):
    """Body-centred hydrogen so wide (2.77 Å) that each atom keeps its electron's spin."""
    return Structure(
        Lattice.cubic(3.2),
        ["H", "H"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": moments},
    )


@pytest.fixture(scope="module")
def antiferromagnet():
    structure = hydrogen([1.0, -1.0])
    state = engine.ground_state(engine.plan(structure, SETTINGS), Monitor())
    return state, engine.hamiltonian_of(structure, state)


# --- an antiferromagnet ----------------------------------------------------------------------


def test_an_antiferromagnet_keeps_its_order(antiferromagnet):
    results = antiferromagnet[1].provenance.results
    first, second = results["site_moments_muB"]
    assert 0.7 < first < 1.0
    assert second == pytest.approx(-first, abs=1e-5)
    assert results["moment_muB"] == pytest.approx(0.0, abs=1e-8)
    assert antiferromagnet[1].provenance.warnings == ()


def test_both_spins_of_an_antiferromagnet_have_the_same_levels(antiferromagnet):
    rng = np.random.default_rng(3)
    for point in rng.random((3, 3)):
        up, down = crystals.spin_levels(antiferromagnet[1], point)
        assert np.abs(up - down)[:6].max() < 1e-4
    # while on one atom the spins differ by electronvolts
    assert antiferromagnet[1].block("B", 0, 0)[0, 0] < -2.0


def test_exchange_is_odd_and_h_even_under_the_swap_of_sublattices(antiferromagnet):
    h = antiferromagnet[1]
    step = np.array([[0, 0, 0], [1, 1, 1]])  # t: site 0 → site 1, site 1 → site 0 + (1, 1, 1)
    largest = 0.0
    for p in range(h.pairs.n_pairs):
        i, j, cell = int(h.pairs.first[p]), int(h.pairs.second[p]), h.pairs.cell[p]
        there = tuple((cell + step[j] - step[i]).tolist())
        swapped = h.pairs.index(1 - i, 1 - j, there)
        b, image = (h.pairs.block(h.exchange, x) for x in (p, swapped))
        np.testing.assert_allclose(b, -image, atol=2e-4)
        np.testing.assert_allclose(
            h.pairs.block(h.scalar, p), h.pairs.block(h.scalar, swapped), atol=2e-4
        )
        largest = max(largest, np.abs(b).max())
    assert largest > 2.0


def test_the_exchange_field_reaches_as_far_as_the_rest(antiferromagnet):
    state, h = antiferromagnet
    assert h.exchange.shape == h.scalar.shape
    pair = h.pairs.element_pair

    def beyond(flat, distance):
        return np.abs(flat[h.distances[pair] > distance]).max() / np.abs(flat).max()

    assert beyond(h.exchange, 4.0) > 1e-4
    assert beyond(h.exchange, 8.0) < 2e-3
    assert beyond(h.exchange, 8.0) < 3 * beyond(h.scalar, 8.0)
    fermi = state.result.occupations.fermi * HARTREE_EV
    rng = np.random.default_rng(4)
    for point in rng.random((6, 3)):
        assert crystals.interpolation_error(h, state, point, fermi) < 1e-3


def test_symmetry_of_an_antiferromagnet_changes_no_number():
    # on a mesh of odd numbers, where every plane wave has its whole star
    finer = replace(SETTINGS, cutoff=100.0)
    reduced, full = (
        engine.ground_state(
            engine.plan(hydrogen([1.0, -1.0]), replace(finer, symmetry=symmetry)), Monitor()
        )
        for symmetry in (True, False)
    )
    assert (len(reduced.plan.kmesh.kpoints), len(full.plan.kmesh.kpoints)) == (4, 8)
    assert reduced.result.energy == pytest.approx(full.result.energy, abs=1e-9)
    np.testing.assert_allclose(reduced.result.populations, full.result.populations, atol=1e-6)
    point = np.array([0.31, 0.12, -0.27])
    for one, two in zip(reduced.potential_at(point), full.potential_at(point), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize(
    ("moments", "order"), [([1.0, 1.0], 96), ([1.0, -1.0], 48), ([1.0, 0.4], 48), (None, 96)]
)
def test_no_operation_takes_a_site_to_one_of_another_moment(moments, order):
    structure = hydrogen([0.0, 0.0] if moments is None else moments)
    chosen = engine.plan(structure, SETTINGS)
    assert chosen.group.order == chosen.final_group.order == order
    if moments is None:
        assert chosen.system.moments is None
        return
    for w, t in zip(chosen.group.rotations, chosen.group.translations, strict=True):
        atoms, _ = image_atoms(chosen.system, w, t)
        np.testing.assert_array_equal(chosen.system.moments[atoms], moments)


# --- other orders ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_ferrimagnet_keeps_its_order():
    structure = Structure(
        Lattice.tetragonal(3.4, 7.8),
        ["H"] * 3,
        [[0, 0, 0], [0, 0, 1 / 3], [0, 0, 2 / 3]],
        site_properties={"magmom": [1.0, -1.0, 1.0]},
    )
    results = engine.run(structure, replace(SETTINGS, kmesh=(2, 2, 1))).provenance.results
    assert results["moment_muB"] == pytest.approx(1.0, abs=1e-3)
    first, middle, last = results["site_moments_muB"]
    assert first == pytest.approx(last, abs=1e-6)
    assert first > 0.8
    assert middle < -0.8


@pytest.mark.slow
def test_manganese_oxide_is_an_antiferromagnet():
    # rock salt, a = 4.445 Å, Mn layers along [111] alternate; measured 4.58 µB (A. K. Cheetham,
    # D. A. O. Hope, Phys. Rev. B 27, 6964 (1983))
    a = 4.445
    structure = Structure(
        Lattice(a / 2 * (np.ones((3, 3)) + np.eye(3))),
        ["Mn", "Mn", "O", "O"],
        [[0, 0, 0], [0.5] * 3, [0.25] * 3, [0.75] * 3],
        site_properties={"magmom": [5.0, -5.0, 0.0, 0.0]},
    )
    settings = DftSettings(
        kmesh=(2, 2, 2), cutoff=120.0, spin_orbit=False, range_angstrom=6.0, threads=1
    )
    h = engine.run(structure, settings)
    first, second, *oxygen = h.provenance.results["site_moments_muB"]
    assert first == pytest.approx(4.58, abs=0.15)
    assert second == pytest.approx(-first, abs=1e-3)
    assert np.abs(oxygen).max() < 0.01
    assert h.provenance.results["moment_muB"] == pytest.approx(0.0, abs=1e-3)
    assert h.provenance.warnings == ()
    up, down = crystals.spin_levels(h, np.array([0.31, 0.12, -0.27]))
    n = int(h.n_electrons) // 2
    assert np.abs(up - down)[:n].max() < 2e-3
    assert up[n] - up[n - 1] > 0.5


def test_a_lost_order_is_said():
    lithium = Structure(
        Lattice.cubic(4.5),
        ["Li", "Li"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": [1.0, -1.0]},
    )
    h = engine.run(lithium, SETTINGS)
    (warning,) = h.provenance.warnings
    assert "started magnetic and ended without a moment" in warning
    assert np.abs(h.provenance.results["site_moments_muB"]).max() < 0.05


@pytest.mark.parametrize(
    ("final", "words"),
    [
        ([2.0, -2.0, 0.1], ()),
        ([0.01, -0.04, 0.0], ("ended without a moment: no site has more than 0.040",)),
        ([2.0, -0.02, -0.1], ("lost it: Fe2.",)),
        ([2.0, 1.5, -0.1], ("opposite moment: Fe2.",)),
        ([0.02, 1.5, -0.1], ("lost it: Fe1.", "opposite moment: Fe2.")),
    ],
)
def test_changes_of_the_order_are_named(final, words):
    structure = Structure(
        Lattice.cubic(3.0),
        ["Fe", "Fe", "O"],
        [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]],
        site_properties={"magmom": [2.0, -2.0, 0.1]},
    )
    warnings = moment_warnings(crystal_system(structure, DftSettings()), np.array(final))
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning


# --- what is read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([2.2, -2.2], [2.2, -2.2]),
        ([-2.2, 2.2], [-2.2, 2.2]),
        ([2.2, None], [2.2, 0.0]),
        ([Magmom(2.2), Magmom(-1.1)], [2.2, -1.1]),
        ([Magmom(-2.2), Magmom(1.1)], [-2.2, 1.1]),
        ([[0, 0, -2.2], [0, 0, 1.1]], [-2.2, 1.1]),
        ([[1.0, 1.0, 0], [-2.0, -2.0, 0]], [2**0.5, -(8**0.5)]),
        # both lie along x, each in a frame of its own
        ([Magmom(2.0, saxis=[1, 0, 0]), Magmom([-2.0, 0, 0])], [2.0, -2.0]),
    ],
)
def test_collinear_moments_in_every_form(given, expected):
    moments, warnings = initial_moments(hydrogen(given), DftSettings())
    np.testing.assert_allclose(moments, expected, atol=1e-9)
    assert warnings == ()


def test_spins_of_species_are_moments():
    species = [Species("Fe", spin=3), Species("Fe", spin=-3)]
    structure = Structure(Lattice.cubic(3.0), species, [[0, 0, 0], [0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(initial_moments(structure, DftSettings())[0], [3, -3])


def test_moments_that_are_not_collinear_are_laid_along_their_axis_and_said():
    canted = hydrogen([[0.3, 0, 2.0], [0.3, 0, -2.0]])
    moments, (warning,) = initial_moments(canted, DftSettings())
    length = np.hypot(0.3, 2.0)
    np.testing.assert_allclose(moments, [length, -length])
    assert "not collinear (up to 9° off one line)" in warning
    assert "(0.00, 0.00, 1.00)" in warning
    chosen = engine.plan(canted, SETTINGS)
    assert chosen.system.warnings == (warning,)
    # at right angles no axis is the main one: the first moment's, always
    for _ in range(2):
        moments, (warning,) = initial_moments(hydrogen([[2.0, 0, 0], [0, 0, 2.0]]), DftSettings())
        np.testing.assert_allclose(moments, [2.0, 2.0])
        assert "(1.00, 0.00, 0.00)" in warning


def test_no_moments_mean_no_magnet_unless_asked_for():
    assert initial_moments(crystals.silicon(), DftSettings()) == (None, ())
    assert initial_moments(hydrogen([0.0, 0.0]), DftSettings()) == (None, ())
    assert initial_moments(hydrogen([1.0, -1.0]), DftSettings(spin="none")) == (None, ())
    start, (warning,) = initial_moments(crystals.silicon(), DftSettings(spin="collinear"))
    np.testing.assert_array_equal(start, [0.3, 0.3])
    assert "started ferromagnetic" in warning


@pytest.mark.parametrize("wrong", [[float("nan"), 1.0], [[1.0, 2.0], 1.0], ["up", "down"]])
def test_moments_that_are_none_are_refused(wrong):
    with pytest.raises(StructureError, match="magnetic moment is"):
        initial_moments(hydrogen(wrong), DftSettings())
