"""Bands, gaps, splittings and masses."""

import models
import numpy as np
import pytest

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.bands import band_structure, bands_on_mesh
from hamexplorer.properties.fermi import fermi_level
from hamexplorer.properties.gap import gap, splittings
from hamexplorer.properties.masses import effective_masses, masses_dataframe
from hamexplorer.properties.solver import BandSolver
from hamexplorer.units import HBAR2_OVER_ME


def graphene_bands(**options):
    h = models.graphene(stagger=0.3, kane_mele=0.02)
    return band_structure(h, models.line_path(h, models.GRAPHENE_PATH), **options)


def test_table_holds_source_energies_unless_asked_otherwise():
    bands = graphene_bands(weights="site", spin=True)
    frame = bands.to_dataframe()
    assert list(frame.columns[:6]) == ["k_index", "k1", "k2", "k3", "band", "energy_eV"]
    np.testing.assert_array_equal(frame["energy_eV"], bands.energies.ravel())
    assert frame["label"].iloc[0] == "Γ"
    assert frame["label"].iloc[40 * 4] == "K"
    np.testing.assert_allclose(frame["weight C1"] + frame["weight C2"], 1)
    from_vbm = bands.to_dataframe(zero="vbm")
    occupied = from_vbm[from_vbm["band"] < 2]
    assert occupied["energy_eV"].max() == pytest.approx(0)
    assert bands.zero_energy("fermi") == bands.fermi.energy


def test_metal_has_no_vbm_and_unknown_zero_is_refused():
    h = models.square()
    bands = band_structure(h, models.line_path(h, (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0)))))
    with pytest.raises(SettingsError, match="metal"):
        bands.zero_energy("vbm")
    with pytest.raises(SettingsError, match="source"):
        bands.zero_energy("top")
    with pytest.raises(SettingsError, match="spin_x"):
        bands.column("spin_x")


def test_kept_solver_and_window_give_the_same_bands():
    h = models.graphene(kane_mele=0.1)
    path = models.line_path(h, models.GRAPHENE_PATH)
    fermi = fermi_level(h, mesh=(6, 6, 1))
    solver = BandSolver(h, path.kpoints)
    state = SpinState(soc=0.4)
    fresh = band_structure(h, path, state, fermi=fermi)
    kept = band_structure(h, path, state, fermi=fermi, solver=solver, window=(1, 2))
    np.testing.assert_allclose(kept.energies, fresh.energies[:, 1:3], atol=1e-12)
    assert kept.first_band == 1


def test_gap_and_splitting_of_kane_mele_with_staggering():
    bands = graphene_bands()
    edge = 3 * np.sqrt(3) * 0.02
    found = gap(bands, bands_on_mesh(models.graphene(stagger=0.3, kane_mele=0.02), (6, 6, 1)))
    assert found.value == pytest.approx(2 * (0.3 - edge), abs=1e-9)
    assert found.is_direct
    assert found.vbm_label == found.cbm_label == "K"
    assert found.direct == pytest.approx(found.value)
    table = splittings(bands)
    assert table["K"].valence == pytest.approx(2e3 * edge, abs=1e-6)
    assert table["K"].conduction == pytest.approx(2e3 * edge, abs=1e-6)
    assert table["Γ"].valence == pytest.approx(0, abs=1e-6)
    assert list(table.to_dataframe()["label"]) == ["Γ", "M", "K"]
    with pytest.raises(SettingsError, match="Γ, M, K"):
        table["X"]


def test_indirect_gap_of_silicon():
    h = models.silicon()
    path = models.line_path(h, (("L", (0.5, 0.5, 0.5)), ("Γ", (0, 0, 0)), ("X", (0.5, 0, 0.5))))
    found = gap(band_structure(h, path))
    assert (found.vbm_label, found.cbm_label) == ("Γ", "L")
    assert not found.is_direct
    assert found.direct > found.value > 0


def test_gap_refuses_what_has_none():
    h = models.chain(n_electrons=0.5)
    path = models.line_path(h, (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0))))
    bands = band_structure(h, path)
    with pytest.raises(SettingsError, match=r"0\.5 electrons"):
        gap(bands)
    with pytest.raises(SettingsError, match="pairs"):
        splittings(bands)
    with pytest.raises(SettingsError, match="window"):
        gap(graphene_bands(window=(0, 1)))
    with pytest.raises(SettingsError, match="at least one"):
        gap()


def test_metal_gap_is_not_positive():
    h = models.square(zeeman=0.5)
    path = models.line_path(h, (("Γ", (0, 0, 0)), ("M", (0.5, 0.5, 0))))
    found = gap(band_structure(h, path))
    assert found.is_metal
    assert found.value == pytest.approx(-7)


def test_spin_along_the_magnetisation():
    # without spin-orbit coupling every state of a magnet has its spin along n or against it
    h = models.chain(field=0.4)
    path = models.line_path(h, (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0))))
    bands = band_structure(h, path, SpinState(theta=50, phi=110), spin=True)
    np.testing.assert_allclose(np.abs(bands.column("spin_n")), 1, atol=1e-9)
    assert (bands.column("spin_n")[:, 0] < 0).all()
    assert np.abs(bands.column("spin_z")).max() < 0.7


def test_spin_orbit_splits_the_valence_top_of_silicon():
    h = models.silicon(xi=0.09)
    levels = BandSolver(h, [[0, 0, 0]]).energies()[0]
    assert levels[4] - levels[3] == pytest.approx(1.5 * 0.09, abs=1e-9)


def test_square_lattice_mass():
    [lower, upper] = effective_masses(models.square(t=-1), [0, 0, 0], [0, 1])
    expected = HBAR2_OVER_ME / (2 * 1.0 * 3.0**2)
    np.testing.assert_allclose(lower.masses, [expected] * 2, rtol=1e-6)
    assert lower.is_parabolic
    assert upper.is_parabolic
    assert np.abs(lower.directions[:, 2]).max() < 1e-12
    [top] = effective_masses(models.square(t=-1), [0.5, 0.5, 0], [1])
    np.testing.assert_allclose(top.masses, [-expected] * 2, rtol=1e-6)
    assert len(masses_dataframe([lower, upper])) == 4


def test_conduction_minimum_at_l_has_one_longitudinal_and_two_transverse_masses():
    h = models.silicon()
    [mass] = effective_masses(h, [0.5, 0.5, 0.5], [8])
    assert mass.is_parabolic
    assert mass.slope < 1e-8
    along = np.abs(mass.directions @ np.ones(3)) / np.sqrt(3)
    longitudinal = int(along.argmax())
    assert along[longitudinal] == pytest.approx(1, abs=1e-6)
    transverse = np.delete(mass.masses, longitudinal)
    assert transverse[0] == pytest.approx(transverse[1], rel=1e-6)
    assert abs(mass.masses[longitudinal] / transverse[0] - 1) > 0.1


def test_rashba_point_and_warped_bands_are_not_called_parabolic():
    [rashba, _] = effective_masses(models.square(rashba=0.3), [0, 0, 0], [0, 1])
    assert not rashba.is_parabolic
    [heavy] = effective_masses(models.silicon(), [0, 0, 0], [7])
    assert not heavy.is_parabolic
    [slope] = effective_masses(models.square(), [0.2, 0.1, 0], [0])
    assert not slope.is_parabolic


@pytest.mark.parametrize(
    ("k", "bands", "step", "word"),
    [([0, 0], [0], 0.01, "k-point"), ([0, 0, 0], [9], 0.01, "Bands"), ([0, 0, 0], [0], 0, "step")],
)
def test_masses_refuse(k, bands, step, word):
    with pytest.raises(SettingsError, match=word):
        effective_masses(models.square(), k, bands, step=step)
