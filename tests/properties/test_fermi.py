"""Filling: insulators, metals and the mesh."""

import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.fermi import FermiSolver, fermi_level, fill
from hamexplorer.properties.mesh import KMesh, automatic_mesh, has_time_reversal
from hamexplorer.properties.solver import BandSolver


def test_half_filled_chain_is_a_metal_at_zero():
    found = fermi_level(models.chain(), mesh=(40, 1, 1))
    assert found.is_metal
    assert found.vbm is None
    assert found.cbm is None
    assert found.energy == pytest.approx(0, abs=1e-10)


def test_quarter_filled_chain_tends_to_the_analytic_level():
    # N/2 = k_F a / π electrons per spin: k_F = π/4 a, E_F = 2t cos(π/4).
    h = models.chain(n_electrons=0.5)
    found = fermi_level(h, mesh=(2000, 1, 1), smearing=0.002)
    assert found.energy == pytest.approx(-2 * np.cos(np.pi / 4), abs=1e-4)


def test_staggered_graphene_is_an_insulator_with_the_level_in_mid_gap():
    h = models.graphene(stagger=0.3).shifted(1.5)
    for smearing in (0.001, 0.5):
        found = fermi_level(h, mesh=(6, 6, 1), smearing=smearing)
        assert not found.is_metal
        assert found.vbm == pytest.approx(1.2)
        assert found.cbm == pytest.approx(1.8)
        assert found.energy == pytest.approx(1.5)


def test_graphene_is_no_insulator():
    assert fermi_level(models.graphene(), mesh=(6, 6, 1)).is_metal


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 5.99), st.floats(1e-4, 0.5), st.integers(0, 1000), st.integers(1, 7))
def test_occupations_sum_to_the_electrons(n_electrons, smearing, seed, nk):
    energies = np.sort(np.random.default_rng(seed).normal(size=(nk, 6)), axis=1)
    weights = np.full(nk, 1 / nk)
    found = fill(energies, weights, n_electrons, (nk, 1, 1), smearing)
    if found.is_metal:
        filled = weights @ expit((found.energy - energies) / smearing).sum(axis=1)
        assert filled == pytest.approx(n_electrons, abs=1e-10)
    else:
        assert found.energy == pytest.approx((found.vbm + found.cbm) / 2)


def test_no_electrons_and_full_bands():
    energies = np.array([[0.0, 1.0]])
    empty = fill(energies, np.ones(1), 0.0, (1, 1, 1), 0.1)
    full = fill(energies, np.ones(1), 2.0, (1, 1, 1), 0.1)
    assert (empty.vbm, empty.cbm) == (None, 0.0)
    assert (full.vbm, full.cbm) == (1.0, None)


@pytest.mark.parametrize("smearing", [0, -0.1, np.nan, np.inf])
def test_bad_smearing(smearing):
    with pytest.raises(SettingsError, match="smearing"):
        fermi_level(models.chain(), smearing=smearing)


@pytest.mark.parametrize(
    "mesh",
    [(0, 1, 1), (2, 2), (1.5, 1, 1), 3, "abc", (1, 1, -2), (10**6, 10**6, 1), (np.inf, 1, 1)],
)
def test_bad_mesh(mesh):
    with pytest.raises(SettingsError, match="mesh"):
        fermi_level(models.chain(), mesh=mesh)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 4, 1), (3, 5, 2), (6, 1, 4)])
def test_time_reversal_keeps_one_of_each_pair(shape):
    mesh = KMesh(shape, time_reversal=True)
    assert mesh.weights.sum() == pytest.approx(1)
    represented = mesh.kpoints[mesh.expansion]
    plus = mesh.full_kpoints - represented
    minus = mesh.full_kpoints + represented
    same = np.abs(plus - plus.round()).max(1) < 1e-12
    opposite = np.abs(minus - minus.round()).max(1) < 1e-12
    assert (same | opposite).all()
    assert len(mesh.kpoints) <= len(mesh.full_kpoints) / 2 + 4


def test_reduction_does_not_change_the_level():
    h = models.random_crystal(1, [models.S, models.P], seed=1)
    reduced, full = (FermiSolver(h, (3, 3, 2), time_reversal=t).level() for t in (True, False))
    assert reduced.energy == pytest.approx(full.energy, abs=1e-9)


def test_magnets_with_spin_orbit_are_not_reduced():
    h = models.random_crystal(1, [models.P], magnetic=True)
    k = np.array([[0.21, 0.13, 0.34]])
    assert not has_time_reversal(h, SpinState())
    assert np.abs(BandSolver(h, k).energies() - BandSolver(h, -k).energies()).max() > 1e-4
    assert has_time_reversal(h, SpinState(soc=0))
    assert has_time_reversal(h, SpinState(exchange=0))


def test_automatic_mesh_follows_the_reciprocal_lattice():
    assert automatic_mesh(models.graphene()) == (12, 12, 1)
    assert automatic_mesh(models.chain()) == (9, 1, 1)
    n = automatic_mesh(models.silicon(), 0.25)
    assert n[0] == n[1] == n[2] == 9
    with pytest.raises(SettingsError, match="spacing"):
        automatic_mesh(models.silicon(), 0)
