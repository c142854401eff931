"""Anisotropy energies against closed forms, exact limits and each other."""

from __future__ import annotations

from dataclasses import replace

import magnets
import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from hamexplorer.errors import CalculationCancelled, HamexplorerError, SettingsError
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.properties.anisotropy import (
    Directions,
    SecondVariation,
    anisotropy_units,
    convergence,
    magnetic_anisotropy,
    site_resolution,
    torque,
)
from hamexplorer.properties.anisotropy.exact import exact_anisotropy
from hamexplorer.properties.anisotropy.free_energy import (
    chemical_potential,
    free_energy,
    grand_potential,
)

MESH = (4, 4, 4)
ARC = Directions.arc(np.linspace(0, 180, 13), 25.0)
ALL = (1e3, 1e3)


# --- closed forms and exact limits -----------------------------------------------------------


@pytest.mark.parametrize("soc", [0.3, 1.0, 2.5])
def test_two_level_model_follows_its_closed_form(soc: float) -> None:
    h = magnets.doublet()
    expected = magnets.doublet_energy(ARC.theta, soc)
    for method in ("exact", "second variation"):
        found = magnetic_anisotropy(h, ARC, (1, 1, 1), 0.01, soc, method=method, window=ALL)
        assert np.abs(found.energies - expected).max() < 1e-8
    assert np.ptp(expected) > 1e-3


def test_a_free_atom_has_none() -> None:
    h = replace(models.p_atom(xi=0.6, field=0.7), n_electrons=1.0)
    found = magnetic_anisotropy(h, Directions.sphere(20), (1, 1, 1), 0.05)
    assert np.ptp(found.energies) < 1e-12


def test_none_without_spin_orbit_coupling_and_the_result_says_so() -> None:
    h = magnets.tetragonal()
    for method in ("exact", "second variation"):
        found = magnetic_anisotropy(h, ARC, MESH, soc=0.0, method=method)
        assert np.ptp(found.energies) < 1e-12
        assert any("does not depend on the direction" in text for text in found.warnings)


def test_cubic_axes_are_equal_and_others_are_not() -> None:
    h = magnets.p_crystal()
    axes = Directions([0, 90, 90, 90, 180], [0, 0, 90, 180, 0])
    found = exact_anisotropy(h, axes, MESH, 0.05, symmetry=False)
    assert np.ptp(found.energies) < 1e-10
    diagonal = Directions([0, np.degrees(np.arccos(1 / np.sqrt(3)))], [0, 45])
    assert abs(magnetic_anisotropy(h, diagonal, MESH, 0.05).mae_meV) > 0.1


@pytest.mark.parametrize("make", [magnets.tetragonal, magnets.orthorhombic])
def test_reversal_costs_nothing(make) -> None:
    n = Directions([10, 65, 120], [20, 200, 75])
    minus = Directions(180 - n.theta, n.phi + 180)
    h = make()
    plus_energy = exact_anisotropy(h, n, MESH, 0.05, symmetry=False).energies
    minus_energy = exact_anisotropy(h, minus, MESH, 0.05, symmetry=False).energies
    assert np.abs(plus_energy - minus_energy).max() < 1e-8


def test_reversal_costs_nothing_without_any_symmetry() -> None:
    h = models.random_crystal(2, [models.S, models.P], seed=5, magnetic=True)
    found = exact_anisotropy(h, Directions([40, 140], [20, 200]), (3, 3, 2), 0.05, symmetry=False)
    assert np.ptp(found.energies) < 1e-8


def test_grows_with_the_square_of_a_small_coupling() -> None:
    h = magnets.tetragonal()
    strengths = np.array([0.02, 0.04, 0.08])
    values = [
        magnetic_anisotropy(h, Directions.arc([0, 90]), MESH, 0.1, s).mae_meV for s in strengths
    ]
    slopes = np.diff(np.log(np.abs(values))) / np.diff(np.log(strengths))
    assert np.abs(slopes - 2.0).max() < 0.05


# --- symmetry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "order", "mesh"),
    [
        (magnets.p_crystal, 96, (4, 4, 4)),
        (magnets.tetragonal, 32, (4, 4, 2)),
        (magnets.orthorhombic, 16, (4, 3, 2)),
        (magnets.antiferromagnet, 32, (4, 4, 2)),
    ],
)
@pytest.mark.parametrize(
    "directions",
    [ARC, Directions.ring(np.arange(0, 360, 30), 70.0), Directions.sphere(9)],
    ids=["arc", "ring", "sphere"],
)
def test_reduction_by_symmetry_changes_nothing(make, order, mesh, directions) -> None:
    h = make()
    reduced = exact_anisotropy(h, directions, mesh, 0.05, by_k=True)
    plain = exact_anisotropy(h, directions, mesh, 0.05, by_k=True, symmetry=False)
    assert reduced.n_operations == order
    assert plain.n_kpoints == np.prod(mesh)
    assert reduced.n_kpoints <= 0.65 * plain.n_kpoints
    assert np.abs(reduced.energies - plain.energies).max() < 1e-9
    assert reduced.by_k is not None
    assert plain.by_k is not None
    assert np.abs(reduced.by_k - plain.by_k).max() < 1e-9


def test_operations_that_the_field_breaks_are_not_used() -> None:
    # the structure is cubic, the field acts on p_x and p_y differently
    h = magnets.p_crystal()
    field = h.exchange.copy()
    block = h.pairs.block(field, h.pairs.index(0, 0))
    block[...] = np.diag([0.8, 0.8, 0.5])
    h = replace(h, exchange=field)
    reduced = exact_anisotropy(h, ARC, MESH, 0.05)
    assert reduced.n_operations == 32
    plain = exact_anisotropy(h, ARC, MESH, 0.05, symmetry=False)
    assert np.abs(reduced.energies - plain.energies).max() < 1e-9


def test_a_mesh_that_breaks_the_symmetry_drops_operations() -> None:
    h = magnets.tetragonal()
    found = exact_anisotropy(h, ARC, (4, 3, 2), 0.05)
    assert found.n_operations == 16
    plain = exact_anisotropy(h, ARC, (4, 3, 2), 0.05, symmetry=False)
    assert np.abs(found.energies - plain.energies).max() < 1e-9


# --- second variation --------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    soc=st.floats(0.0, 3.0),
    exchange=st.floats(0.2, 2.0),
    theta=st.floats(0, 180),
    phi=st.floats(0, 360),
)
def test_the_whole_window_is_exact(
    seed: int, soc: float, exchange: float, theta: float, phi: float
) -> None:
    h = models.random_crystal(1, [models.S, models.P], seed=seed, magnetic=True)
    directions = Directions([0, theta, 90], [0, phi, 30])
    exact = exact_anisotropy(h, directions, (2, 2, 1), 0.05, soc, exchange, by_k=True)
    prepared = SecondVariation(h, (2, 2, 1), 0.05, ALL, exchange)
    fast = prepared.energies(directions, soc, by_k=True)
    assert np.abs(exact.energies - fast.energies).max() < 1e-9
    assert np.abs(exact.by_k - fast.by_k).max() < 1e-9
    assert np.abs(exact.fermi - fast.fermi).max() < 1e-7


def three_component() -> models.Hamiltonian:
    h = models.random_crystal(2, [models.S, models.P], seed=3, magnetic=True)
    field = np.stack([h.exchange, 0.3 * h.exchange, 0.05 * h.scalar])
    return replace(h, exchange=field)


def test_a_three_component_field_is_turned_rigidly() -> None:
    h = three_component()
    # at θ = 0 the field turns about z with φ: not the same state
    directions = Directions([0, 0, 50, 90], [0, 40, 20, 20])
    exact = exact_anisotropy(h, directions, (2, 2, 2), 0.05)
    fast = SecondVariation(h, (2, 2, 2), 0.05, ALL).energies(directions)
    assert np.abs(exact.energies - fast.energies).max() < 1e-9
    assert abs(exact.energies[1] - exact.energies[0]) > 1e-5


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.random_crystal(2, [models.S, models.P], seed=3, magnetic=True),
        three_component,
    ],
)
def test_a_narrow_window_is_near_and_its_check_knows(make) -> None:
    h = make()
    directions = Directions.arc([0, 45, 90])
    exact = exact_anisotropy(h, directions, (3, 3, 3), 0.05, soc=0.3)
    prepared = SecondVariation(h, (3, 3, 3), 0.05, (2.5, 2.5))
    assert prepared.n_active < 2 * h.basis.n_orbitals
    fast = prepared.energies(directions, soc=0.3)
    apart = fast.energies - exact.energies
    error = 1e3 * np.abs(apart - apart[0]).max()
    assert 0 < error < 0.2 * np.ptp(exact.relative_meV)
    assert error <= 3 * prepared.window_check(directions, soc=0.3)


def test_interpolated_directions_are_what_they_would_be_computed() -> None:
    h = magnets.tetragonal()
    prepared = SecondVariation(h, MESH, 0.1)
    directions = Directions.sphere(120)
    found = prepared.energies(directions)
    plain = prepared.energies(directions, interpolate=False)
    assert found.n_computed is not None
    assert plain.n_computed is not None
    assert found.n_computed < plain.n_computed / 3
    assert found.interpolation_error is not None
    assert plain.interpolation_error is None
    error = 1e3 * np.abs(found.energies - plain.energies).max()
    assert error < 1e-3 * np.ptp(plain.relative_meV)


def test_what_few_harmonics_do_not_describe_is_computed() -> None:
    h = magnets.tetragonal(n_electrons=3.3, xi=2.0)
    prepared = SecondVariation(h, (3, 3, 3), 0.0005)
    directions = Directions.arc(np.linspace(0, 90, 31))
    found = prepared.energies(directions)
    plain = prepared.energies(directions, interpolate=False)
    assert found.n_computed == 31
    assert found.interpolation_error is None
    assert np.abs(found.energies - plain.energies).max() < 1e-12


# --- resolution, torque, convergence -------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        magnets.tetragonal,
        magnets.antiferromagnet,
        lambda: models.random_crystal(2, [models.S, models.P], seed=3, magnetic=True),
    ],
)
def test_sites_sum_to_the_whole(make) -> None:
    h = make()
    whole = magnetic_anisotropy(h, Directions.pair((0, 0), (90, 20)), (3, 3, 2), 0.1).mae_meV
    parts = site_resolution(h, (0, 0), (90, 20), (3, 3, 2), 0.1, points=8)
    assert parts.total == pytest.approx(whole, rel=1e-6)
    assert parts.labels == h.basis.site_labels
    coarse = site_resolution(h, (0, 0), (90, 20), (3, 3, 2), 0.1)
    assert coarse.total == pytest.approx(whole, rel=1e-3)


def test_sites_with_symmetry_are_those_without(monkeypatch: pytest.MonkeyPatch) -> None:
    h = magnets.antiferromagnet()
    reduced = site_resolution(h, (0, 0), (60, 20), (3, 3, 2), 0.1, points=2)
    from hamexplorer.properties.anisotropy import sites, symmetry

    monkeypatch.setattr(sites, "magnetic_symmetry", lambda _, mesh: symmetry.trivial_symmetry(mesh))
    plain = site_resolution(h, (0, 0), (60, 20), (3, 3, 2), 0.1, points=2)
    assert np.abs(reduced.values - plain.values).max() < 1e-8
    assert reduced.values[0] == pytest.approx(reduced.values[1], abs=1e-8)


def test_k_points_sum_to_the_whole_up_to_second_order() -> None:
    h = magnets.tetragonal()
    found = magnetic_anisotropy(h, ARC, (6, 6, 6), 0.2, by_k=True)
    assert found.by_k is not None
    assert found.by_k.shape == (len(ARC), 216)
    apart = found.by_k.sum(axis=1) - found.energies
    levels = (found.fermi - found.fermi.mean()) ** 2
    # δF = −N(E_F) (δμ)²/2, and N(E_F) of six bands of a few eV is a few per eV
    assert np.all(apart <= 1e-12)
    assert np.all(np.abs(apart) <= 3 * levels + 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        magnets.tetragonal,
        lambda: models.random_crystal(2, [models.S, models.P], seed=3, magnetic=True),
        three_component,
    ],
)
def test_torque_is_the_derivative_and_integrates_to_the_force_theorem(make) -> None:
    h = make()
    step = 0.05
    at = [(50.0, 30.0), (0.0, 10.0), (120.0, 250.0)]
    found = torque(h, Directions(*np.array(at).T), (3, 3, 2), 0.1)
    for index, (theta, phi) in enumerate(at):
        around = Directions(
            [theta - step, theta + step, theta, theta], [phi, phi, phi - step, phi + step]
        )
        f = exact_anisotropy(h, around, (3, 3, 2), 0.1).energies
        width = np.radians(2 * step)
        assert found.theta[index] == pytest.approx((f[1] - f[0]) / width, rel=1e-4, abs=1e-8)
        assert found.phi[index] == pytest.approx((f[3] - f[2]) / width, rel=1e-4, abs=1e-8)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    along = torque(h, Directions.arc((nodes + 1) * 45, 20.0), (3, 3, 2), 0.1)
    integral = 1e3 * np.pi / 4 * (weights @ along.theta)
    whole = magnetic_anisotropy(h, Directions.arc([0, 90], 20.0), (3, 3, 2), 0.1).mae_meV
    assert integral == pytest.approx(whole, rel=1e-4)


def test_convergence_rows_are_single_calculations() -> None:
    h = magnets.tetragonal()
    meshes, widths = [(2, 2, 2), (4, 4, 3)], [0.05, 0.2]
    for method in ("exact", "second variation"):
        table = convergence(h, (0, 0), (90, 0), meshes, widths, method=method)
        for row, mesh in enumerate(meshes):
            for column, width in enumerate(widths):
                single = magnetic_anisotropy(h, Directions.arc([0, 90]), mesh, width, method=method)
                assert table.mae_meV[row, column] == pytest.approx(single.mae_meV, abs=1e-7)
        assert list(table.to_dataframe()["mesh"]) == ["2×2×2", "2×2×2", "4×4×3", "4×4×3"]


# --- filling -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bands=st.integers(2, 12),
    part=st.floats(0.02, 0.98),
    smearing=st.floats(1e-3, 2.0),
    offset=st.floats(-500, 500),
)
def test_free_energy_has_the_electrons_and_is_stationary(
    seed: int, bands: int, part: float, smearing: float, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    energies = np.sort(rng.normal(size=(4, bands)), axis=1) + offset
    weights = rng.random(4)
    weights /= weights.sum()
    n = part * bands
    value, level = free_energy(energies, weights, n, smearing)
    occupation = expit((level - energies) / smearing)
    assert weights @ occupation.sum(axis=1) == pytest.approx(n, abs=1e-9)
    # F = E − TS, by the entropy's own formula
    p = np.clip(occupation, 1e-300, 1 - 1e-16)
    entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum(axis=1)
    direct = weights @ ((occupation * energies).sum(axis=1) - smearing * entropy)
    assert value == pytest.approx(direct, abs=1e-9 * max(1, abs(offset) * bands))
    shifted = weights @ grand_potential(energies, level + 1e-4, smearing) + (level + 1e-4) * n
    assert shifted <= value + 1e-12 * max(1, abs(value))


def test_an_insulator_has_its_level_in_mid_gap() -> None:
    energies = np.array([[-1.0, 0.0, 3.0, 5.0], [-2.0, -0.5, 2.0, 4.0]])
    level = chemical_potential(energies, np.array([0.5, 0.5]), 2.0, 0.01)
    assert level == pytest.approx(1.0)


@pytest.mark.parametrize("n", [0.0, 4.0])
def test_empty_and_full_bands_are_refused(n: float) -> None:
    with pytest.raises(SettingsError, match="empty or full"):
        free_energy(np.arange(4.0)[None], np.ones(1), n, 0.1)


# --- results, progress and bad input ---------------------------------------------------------


def test_units() -> None:
    # 1 meV in a cell of 10 Å³: 1.602e-22 J / 1e-29 m³ = 16.02 MJ/m³
    units = anisotropy_units(1.0, 2, 10.0)
    assert units["meV_per_atom"] == 0.5
    assert units["ueV_per_atom"] == 500.0
    assert units["MJ_per_m3"] == pytest.approx(16.02176634)


def test_table_and_differences() -> None:
    h = magnets.tetragonal()
    found = magnetic_anisotropy(h, Directions.arc([0, 30, 90]), MESH)
    assert found.mae_meV == pytest.approx(1e3 * (found.energies[2] - found.energies[0]))
    table = found.to_dataframe()
    assert list(table.columns) == [
        "theta_deg",
        "phi_deg",
        "energy_eV",
        "fermi_eV",
        "relative_meV",
        "meV_per_atom",
        "ueV_per_atom",
        "MJ_per_m3",
    ]
    assert table["relative_meV"].min() == 0
    assert not found.is_slab


def test_one_direction_has_an_energy_but_no_anisotropy() -> None:
    found = magnetic_anisotropy(magnets.tetragonal(), Directions.arc([30]), (2, 2, 2))
    assert np.isfinite(found.energies).all()
    with pytest.raises(SettingsError, match="at least two directions"):
        _ = found.mae_meV


@pytest.mark.parametrize("method", ["exact", "second variation"])
def test_progress_rises_and_can_be_cancelled(method) -> None:
    h = magnets.tetragonal()
    heard: list[ProgressEvent] = []
    magnetic_anisotropy(h, ARC, MESH, method=method, monitor=Monitor(heard.append))
    fractions = [event.fraction for event in heard]
    assert len(heard) >= 3
    assert fractions == sorted(fractions)
    for stage in {event.stage for event in heard}:
        with pytest.raises(CalculationCancelled):
            magnetic_anisotropy(h, ARC, MESH, method=method, monitor=cancelled_in(stage))


def cancelled_in(stage: str) -> Monitor:
    """A monitor that asks to stop at the first report of a stage."""
    monitor = Monitor(lambda event: monitor.cancel() if event.stage == stage else None)
    return monitor


def test_long_functions_can_be_cancelled() -> None:
    h = magnets.tetragonal()
    for call in (
        lambda m: site_resolution(h, (0, 0), (90, 0), MESH, monitor=m),
        lambda m: torque(h, ARC, MESH, monitor=m),
        lambda m: convergence(h, (0, 0), (90, 0), [MESH], [0.1], monitor=m),
    ):
        monitor = Monitor()
        monitor.cancel()
        with pytest.raises(CalculationCancelled):
            call(monitor)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.silicon(0.04), "Si is not magnetic"),
        (lambda: models.p_atom(0.5, 0.0), "not magnetic"),
        (lambda: replace(magnets.tetragonal(), exchange=np.zeros(7 * 9)), "not magnetic"),
        (lambda: models.chain(field=0.3), "stores no spin-orbit part"),
    ],
)
def test_what_has_no_anisotropy_is_told(make, message: str) -> None:
    h = make()
    for call in (
        lambda: magnetic_anisotropy(h, ARC),
        lambda: SecondVariation(h),
        lambda: site_resolution(h, (0, 0), (90, 0)),
        lambda: torque(h, ARC),
        lambda: convergence(h, (0, 0), (90, 0), [(1, 1, 1)], [0.1]),
    ):
        with pytest.raises(SettingsError, match=message):
            call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mesh": (0, 1, 1)}, "k mesh"),
        ({"mesh": (1000, 1000, 1000)}, "k mesh"),
        ({"mesh": 4}, "k mesh"),
        ({"smearing": 0.0}, "smearing"),
        ({"smearing": -0.1}, "smearing"),
        ({"smearing": float("nan")}, "smearing"),
        ({"smearing": "wide"}, "smearing"),
        ({"soc": float("nan")}, "soc"),
        ({"exchange": float("inf")}, "exchange"),
        ({"exchange": 0.0}, "switched off"),
        ({"method": "guess"}, "method"),
        ({"method": "second variation", "window": (0, 1)}, "window"),
        ({"method": "second variation", "window": (1,)}, "window"),
    ],
)
def test_bad_settings_are_told(options, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        magnetic_anisotropy(magnets.tetragonal(), ARC, **{"mesh": (2, 2, 2), **options})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Directions.arc([]),
        lambda: Directions.arc([0, float("nan")]),
        lambda: Directions.arc([0, 90], float("inf")),
        lambda: Directions.arc("up"),
        lambda: Directions.arc([[0, 90]]),
        lambda: Directions.ring([0, 90], [1, 2]),
        lambda: Directions([0, 90], [0]),
        lambda: Directions.sphere(1),
        lambda: Directions.sphere(2.5),
        lambda: Directions.sphere(10**6),
        lambda: Directions.arc(np.zeros(20_000)),
        lambda: Directions.pair((0, 0), 90),
    ],
)
def test_bad_directions_are_told(make) -> None:
    with pytest.raises(HamexplorerError):
        make()


@given(n=st.integers(2, 400))
@settings(deadline=None, max_examples=20)
def test_a_sphere_is_even_and_closed_under_reversal(n: int) -> None:
    directions = Directions.sphere(n)
    assert len(directions) == n
    v = directions.vectors
    assert np.allclose(np.linalg.norm(v, axis=1), 1)
    half = n // 2
    assert np.allclose(v[:half], -v[len(v) - half :], atol=1e-12)
    if n >= 6:  # evenly spread: second moments are a third, up to what falls as 1/n
        assert np.abs((v.T @ v) / n - np.eye(3) / 3).max() < 1 / n
