"""From structure to Hamiltonian: published splittings, symmetries, slabs, refusals."""

from __future__ import annotations

import crystals
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from hamexplorer.dft import engine
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import (
    CalculationCancelled,
    ConvergenceError,
    ResourceLimitError,
    SettingsError,
    StructureError,
    UnsupportedElementError,
)
from hamexplorer.hamiltonian import BlochSum
from hamexplorer.progress import Monitor
from hamexplorer.units import HARTREE_EV

K = np.array([1 / 3, 1 / 3, 0.0])
GAMMA = np.zeros(3)


@pytest.fixture(scope="module")
def mos2():
    return engine.run(crystals.mos2(), DftSettings(kmesh=(6, 6, 1), cutoff=100.0))


def splittings_at_k(h):
    """Gap without, valence and conduction splitting with spin-orbit coupling at K, eV."""
    n = int(h.n_electrons)
    bare = crystals.eigenvalues(h, K, soc=0.0)
    full = crystals.eigenvalues(h, K)
    return bare[n] - bare[n - 1], full[n - 1] - full[n - 2], full[n + 1] - full[n]


def test_mos2_gap_and_splittings_are_those_of_the_reference(mos2):
    gap, valence, conduction = splittings_at_k(mos2)
    assert gap == pytest.approx(1.709, abs=0.010)
    assert valence == pytest.approx(0.144, abs=0.002)
    assert conduction == pytest.approx(0.0030, abs=0.0005)


def test_wse2_splittings_are_those_of_the_reference():
    h = engine.run(crystals.wse2(), DftSettings(kmesh=(6, 6, 1)))
    _, valence, conduction = splittings_at_k(h)
    assert valence == pytest.approx(0.4529, abs=0.005)
    assert conduction == pytest.approx(0.0358, abs=0.002)


def test_gallium_arsenide_split_off_energy():
    h = engine.run(crystals.gallium_arsenide(), DftSettings(kmesh=(4, 4, 4)))
    n = int(h.n_electrons)
    levels = crystals.eigenvalues(h, GAMMA)
    assert levels[n - 1] - levels[n - 5] == pytest.approx(0.329, abs=0.005)


@pytest.mark.slow
def test_iron_platinum_moment():
    settings = DftSettings(kmesh=(6, 6, 4), smearing=0.004, cutoff=180.0)
    h = engine.run(crystals.iron_platinum(), settings)
    assert h.provenance.results["moment_muB"] == pytest.approx(3.38, abs=0.05)


def test_kramers_pairs_and_time_reversal(mos2):
    for point in ([0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]):
        levels = crystals.eigenvalues(mos2, point)
        assert np.abs(levels[::2] - levels[1::2]).max() < 1e-8
    rng = np.random.default_rng(5)
    for point in rng.random((4, 3)) * [1, 1, 0]:
        forward, backward = spin_levels(mos2, point), spin_levels(mos2, -point)
        # the mirror plane of the layer keeps S_z: each spin is a problem of its own
        assert np.abs(forward[0] - backward[1]).max() < 1e-8
        assert np.abs(forward[1] - backward[0]).max() < 1e-8
        assert np.abs(forward[0] - forward[1]).max() > 1e-3


def spin_levels(h, kpoint):
    """Levels of the ↑ and ↓ blocks of H with L_z S_z alone, eV."""
    import scipy.linalg

    matrices = BlochSum(h, "cpu")(kpoint)
    overlap = matrices.overlap[0].numpy()
    scalar, lz = matrices.scalar[0].numpy(), matrices.spin_orbit[0, 2].numpy()
    return [scipy.linalg.eigh(scalar + s * lz, overlap, eigvals_only=True) for s in (1, -1)]


def test_without_coupling_the_spinor_bands_are_the_spinless_ones(mos2):
    import scipy.linalg

    matrices = BlochSum(mos2, "cpu")(K)
    spinless = scipy.linalg.eigh(
        matrices.scalar[0].numpy(), matrices.overlap[0].numpy(), eigvals_only=True
    )
    assert np.abs(crystals.eigenvalues(mos2, K, soc=0.0) - np.repeat(spinless, 2)).max() < 1e-8


def coarse(**changes):
    """Cheap settings whose numbers agree with each other, not with nature."""
    defaults = {
        "kmesh": (2, 2, 2),
        "cutoff": 40.0,
        "precision": "double",
        "density_tolerance": 1e-8,
        "energy_tolerance": 1e-9,
        "range_angstrom": 7.0,
    }
    return DftSettings(**{**defaults, **changes})


def test_rotating_the_crystal_changes_no_eigenvalue():
    structure = crystals.silicon()
    rotation = Rotation.from_rotvec([0.4, -0.9, 0.3]).as_matrix()
    turned = Structure(
        Lattice(structure.lattice.matrix @ rotation.T), structure.species, structure.frac_coords
    )
    first, second = (engine.run(s, coarse()) for s in (structure, turned))
    for point in ([0, 0, 0], [0.5, 0, 0], [0.31, 0.12, -0.27]):
        difference = crystals.eigenvalues(first, point) - crystals.eigenvalues(second, point)
        assert np.abs(difference).max() < 1e-6


def test_the_choice_of_cell_changes_no_eigenvalue():
    structure = crystals.silicon()
    transform = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]])
    other = Structure(
        Lattice(transform @ structure.lattice.matrix),
        structure.species,
        structure.cart_coords,
        coords_are_cartesian=True,
    )
    settings = coarse(cutoff=60.0, range_angstrom=11.5)
    first, second = (engine.run(s, settings) for s in (structure, other))
    for point in (np.array([0.5, 0, 0]), np.array([0.31, 0.12, -0.27])):
        difference = crystals.eigenvalues(first, point) - crystals.eigenvalues(
            second, transform @ point
        )
        # a box of another shape samples exchange-correlation on other points
        assert np.abs(difference[:16]).max() < 2e-5


def test_a_slanting_cell_is_reduced_and_given_back_as_it_came():
    structure = crystals.silicon()
    transform = np.array([[1, 0, 0], [1, 1, 0], [0, 2, 1]])
    slanting = Structure(
        Lattice(transform @ structure.lattice.matrix),
        structure.species,
        structure.cart_coords,
        coords_are_cartesian=True,
    )
    automatic = coarse(kmesh=None, kspacing=0.9)
    first, second = (engine.run(s, automatic) for s in (structure, slanting))
    assert second.structure.lattice == slanting.lattice
    assert np.sort(second.distances)[2] == pytest.approx(2.351, abs=0.001)
    for point in (np.array([0.5, 0, 0]), np.array([0.31, 0.12, -0.27])):
        difference = crystals.eigenvalues(first, point) - crystals.eigenvalues(
            second, transform @ point
        )
        assert np.abs(difference[:16]).max() < 1e-4


def test_symmetry_reduces_work_not_accuracy():
    structure = crystals.silicon()
    reduced = engine.run(structure, coarse(cutoff=60.0))
    full = engine.run(structure, coarse(cutoff=60.0, symmetry=False))
    assert (
        reduced.provenance.settings["irreducible_kpoints"]
        < full.provenance.settings["irreducible_kpoints"]
    )
    for point in ([0.5, 0, 0], [0.31, 0.12, -0.27]):
        difference = crystals.eigenvalues(reduced, point) - crystals.eigenvalues(full, point)
        assert np.abs(difference[:16]).max() < 1e-5


@pytest.mark.parametrize("name", ["mos2", "gallium_arsenide"])
def test_interpolated_bands_are_the_direct_ones(name):
    structure = getattr(crystals, name)()
    settings = DftSettings(
        kmesh=(3, 3, 1) if name == "mos2" else (2, 2, 2), cutoff=60.0 if name == "mos2" else 150.0
    )
    chosen = engine.plan(structure, settings)
    state = engine.ground_state(chosen, Monitor())
    h = engine.hamiltonian_of(structure, state)
    rng = np.random.default_rng(11)
    fermi = state.result.occupations.fermi * HARTREE_EV
    worst = 0.0
    for point in rng.random((20, 3)) * np.where(chosen.system.periodic, 1.0, 0.0):
        worst = max(worst, crystals.interpolation_error(h, state, point, fermi))
    assert worst < 1e-3


@pytest.mark.slow
def test_interpolated_bands_of_iron_platinum():
    structure = crystals.iron_platinum()
    settings = DftSettings(kmesh=(4, 4, 3), smearing=0.004, cutoff=150.0)
    state = engine.ground_state(engine.plan(structure, settings), Monitor())
    h = engine.hamiltonian_of(structure, state)
    fermi = state.result.occupations.fermi * HARTREE_EV
    rng = np.random.default_rng(12)
    assert max(crystals.interpolation_error(h, state, p, fermi) for p in rng.random((20, 3))) < 1e-3


# --- slabs ---------------------------------------------------------------------------------


SLAB = {"kmesh": (2, 2, 1), "cutoff": 80.0}


def test_vacuum_of_the_input_changes_nothing():
    thin = engine.run(crystals.mos2(12.0), DftSettings(**SLAB))
    thick = engine.run(crystals.mos2(24.0), DftSettings(**SLAB))
    n = int(thin.n_electrons)
    difference = crystals.eigenvalues(thin, K) - crystals.eigenvalues(thick, K)
    assert np.abs(difference[: n + 12]).max() < 1e-3


def test_bands_do_not_depend_on_the_engines_own_box(monkeypatch):
    own = engine.run(crystals.mos2(24.0), DftSettings(**SLAB))
    monkeypatch.setattr("hamexplorer.dft.system.SLAB_MARGIN", 14.0)
    wide = engine.run(crystals.mos2(24.0), DftSettings(**SLAB))
    n = int(own.n_electrons)
    levels = [crystals.eigenvalues(h, k)[n - 4 : n + 4] for h in (own, wide) for k in (K, GAMMA)]
    assert np.abs(np.concatenate(levels[:2]) - np.concatenate(levels[2:])).max() < 1e-3


def test_a_layer_across_the_cells_face_is_the_same_layer():
    whole = engine.run(crystals.mos2(15.0), DftSettings(**SLAB))
    split = engine.run(crystals.mos2(15.0, height=0.98), DftSettings(**SLAB))
    wrapped = crystals.mos2(15.0, height=0.98)
    wrapped.translate_sites([1], [0, 0, 0], to_unit_cell=True)
    across = engine.run(wrapped, DftSettings(**SLAB))
    for other in (split, across):
        difference = crystals.eigenvalues(whole, K) - crystals.eigenvalues(other, K)
        assert np.abs(difference[: int(whole.n_electrons) + 12]).max() < 1e-3
        # the stored cells belong to the user's images: neighbours are where they should be
        nearest = np.sort(other.distances[(other.pairs.first == 0) & (other.pairs.second == 1)])
        assert nearest[0] == pytest.approx(2.41, abs=0.02)


def test_a_polar_layer_keeps_its_potential_step():
    h = engine.run(crystals.janus_wsse(), DftSettings(**SLAB))
    step = h.provenance.results["vacuum_step_eV"]
    assert 0.5 < abs(step) < 0.9
    assert any("Polar" in warning for warning in h.provenance.warnings)
    flipped = crystals.janus_wsse()
    flipped = Structure(
        flipped.lattice, flipped.species, flipped.frac_coords * [1, 1, -1] + [0, 0, 1]
    )
    other = engine.run(flipped, DftSettings(**SLAB)).provenance.results["vacuum_step_eV"]
    assert other == pytest.approx(-step, abs=0.01)


# --- refusals ------------------------------------------------------------------------------


def test_unknown_elements_are_named_with_the_reason():
    for element, word in (("Eu", "basis"), ("U", "pseudopotential")):
        structure = Structure(Lattice.cubic(4.0), [element], [[0, 0, 0]])
        with pytest.raises(UnsupportedElementError, match=rf"{word}.*{element}|{element}.*{word}"):
            engine.check(structure)


def test_too_many_atoms_are_refused_with_the_numbers():
    large = crystals.silicon() * (5, 5, 6)
    with pytest.raises((StructureError, ResourceLimitError), match=r"300.*100"):
        engine.check(large)


def test_too_much_memory_is_refused_before_it_is_taken():
    with pytest.raises(ResourceLimitError, match="GB"):
        engine.check(crystals.mos2(), DftSettings(memory_limit=3e8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"smearing": -0.01},
        {"smearing": float("nan")},
        {"kmesh": (0, 2, 2)},
        {"kmesh": (2, 2)},
        {"cutoff": -5.0},
        {"basis": "sto-3g"},
        {"spin": "up"},
        {"max_iterations": 0},
        {"smearing": "0.002"},
        {"cutoff": "fine"},
        {"kmesh": 6},
        {"threads": "2"},
    ],
)
def test_settings_outside_their_range_are_named(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        engine.check(crystals.silicon(), DftSettings(**wrong))


def test_an_unconverged_calculation_is_an_error_with_its_last_state():
    with pytest.raises(ConvergenceError, match="3 iterations") as caught:
        engine.run(crystals.silicon(), coarse(max_iterations=3))
    assert len(caught.value.state.history) == 3


def test_a_calculation_can_be_cancelled_and_says_where_it_stood():
    events = []
    monitor = Monitor(events.append)

    def listen(event):
        events.append(event)
        if event.iteration == 2:
            monitor.cancel()

    monitor = Monitor(listen)
    with pytest.raises(CalculationCancelled):
        engine.run(crystals.silicon(), coarse(), monitor)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert {"Integrals", "Self-consistency"} <= {event.stage for event in events}
    assert any(event.residual for event in events)


def test_the_same_input_gives_the_same_numbers():
    first, second = (engine.run(crystals.silicon(), coarse()) for _ in range(2))
    assert np.array_equal(first.scalar, second.scalar)


def test_the_record_says_what_was_chosen(mos2):
    record = mos2.provenance
    assert record.settings["cutoff"] == 100.0
    assert record.settings["interpolation_kmesh"] == [8, 8, 1]
    assert record.results["iterations"] == len(record.results["history"])
    assert {"pyscf", "torch", "hamexplorer"} <= set(record.versions)
    assert any("Krack" in line for line in record.citations)
    assert all(value == value for value in record.timings.values())
