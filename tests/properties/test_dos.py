"""Densities of states against closed forms and exact counts."""

import models
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import ellipk

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.dos import density_of_states
from hamexplorer.properties.simplex import corner_fractions, mesh_simplices


def test_chain_against_its_closed_form():
    dos = density_of_states(models.chain(t=-1), mesh=(400, 1, 1), step=0.02)
    inside = np.abs(dos.energies) < 1.9
    expected = 2 / (np.pi * np.sqrt(4 - dos.energies[inside] ** 2))
    np.testing.assert_allclose(dos.total[inside], expected, rtol=2e-2)
    assert np.abs(dos.total[inside] / expected - 1).mean() < 2e-3


def test_square_lattice_against_the_elliptic_integral():
    dos = density_of_states(models.square(t=-1), mesh=(120, 120, 1), step=0.05)
    x = dos.energies / 4
    inside = (np.abs(x) < 0.95) & (np.abs(x) > 0.05)
    expected = 2 * ellipk(1 - x[inside] ** 2) / (2 * np.pi**2)
    np.testing.assert_allclose(dos.total[inside], expected, rtol=5e-3)


def test_integrated_states_at_the_fermi_level_are_the_electrons():
    h = models.silicon()
    dos = density_of_states(h, mesh=(8, 8, 8), step=0.05)
    assert dos.integrated[-1] == pytest.approx(16, abs=1e-9)
    at_level = np.interp(dos.fermi.energy, dos.energies + 0.025, dos.integrated)
    assert at_level == pytest.approx(8, abs=1e-9)


@pytest.mark.parametrize("method", ["tetrahedron", "gaussian"])
@pytest.mark.parametrize(
    "h",
    [
        models.silicon(xi=0.1),
        models.graphene(kane_mele=0.05),
        models.p_atom(),
        models.random_crystal(2, [models.S, models.P], magnetic=True),
    ],
    ids=["silicon", "graphene", "atom", "magnet"],
)
def test_every_state_is_counted_once(h, method):
    dos = density_of_states(
        h, SpinState(theta=40), mesh=(3, 4, 2), method=method, groups="orbital", step=0.03
    )
    states = 2 * h.basis.n_orbitals
    assert dos.total.sum() * 0.03 == pytest.approx(states, rel=1e-8)
    np.testing.assert_allclose(dos.projected.sum(axis=0), dos.total, atol=1e-9)
    np.testing.assert_allclose(dos.projected.sum(axis=1) * 0.03, 2.0, rtol=2e-1)
    np.testing.assert_allclose(dos.projected.sum() * 0.03, states, rtol=1e-8)
    assert dos.total.min() > -1e-9


def test_projection_follows_the_states():
    h = models.graphene(stagger=1.0)
    dos = density_of_states(h, mesh=(12, 12, 1), groups="site")
    above = dos.energies > 0
    upper, lower = dos.projected[:, above].sum(1), dos.projected[:, ~above].sum(1)
    assert upper[0] > upper[1]
    assert lower[1] > lower[0]
    assert list(dos.to_dataframe().columns)[-2:] == ["C1 per_eV", "C2 per_eV"]


def test_gaussian_and_tetrahedra_agree_on_a_fine_mesh():
    h = models.square(rashba=0.2)
    fine = density_of_states(h, mesh=(80, 80, 1), method="gaussian", broadening=0.1)
    linear = density_of_states(h, mesh=(80, 80, 1), energy_range=(-5, 5))
    smooth = np.interp(fine.energies, linear.energies, linear.integrated)
    assert np.abs(smooth - fine.integrated).max() < 0.05


@given(
    st.lists(st.floats(-2, 2), min_size=2, max_size=4),
    st.floats(-3, 3),
    st.integers(0, 10**6),
)
def test_corner_fractions_against_sampling(energies, level, seed):
    corners = np.sort(np.round(energies, 1))[None]
    assume(np.ptp(corners) > 0 or level != corners[0, 0])
    d = corners.shape[1] - 1
    found = corner_fractions(corners, np.array([level]))[0]
    points = np.random.default_rng(seed).dirichlet(np.ones(d + 1), size=20_000)
    expected = (points * ((points @ corners[0]) <= level)[:, None]).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert (found >= -1e-12).all()
    assert found.sum() <= 1 + 1e-12


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 2, 2), (4, 3, 1), (1, 5, 1), (1, 1, 1)])
def test_simplices_cover_every_point_equally(shape):
    reciprocal = np.array([[1, 0.3, 0], [0, 1, 0.2], [0.4, 0, 1.1]])
    simplices = mesh_simplices(shape, reciprocal)
    d = sum(n > 1 for n in shape)
    assert simplices.shape[1] == d + 1
    counts = np.bincount(simplices.ravel(), minlength=np.prod(shape))
    assert (counts == counts[0]).all()
    assert len(simplices) == np.prod(shape) * [1, 1, 2, 6][d]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"step": 0}, "step"),
        ({"broadening": -1.0}, "broadening"),
        ({"method": "magic"}, "method"),
        ({"energy_range": (1, 0)}, "range"),
        ({"step": 1e-9}, "energies"),
        ({"smearing": 0}, "smear"),
        ({"mesh": (0, 1, 1)}, "mesh"),
    ],
)
def test_bad_settings(options, word):
    with pytest.raises(SettingsError, match=word):
        density_of_states(models.chain(), **options)
