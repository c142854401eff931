"""Mulliken weights and spin expectation."""

import models
import numpy as np
import pytest

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.weights import (
    GROUPINGS,
    band_weights,
    degenerate_mean,
    orbital_groups,
    spin_expectation,
)

K = np.random.default_rng(5).random((6, 3))


@pytest.mark.parametrize("by", GROUPINGS)
def test_weights_sum_to_one_in_an_overlapping_basis(by):
    h = models.random_crystal(2, [models.S, models.P], magnetic=True)
    groups = orbital_groups(h.basis, by)
    states = BandSolver(h, K).states()
    weights = band_weights(states, groups)
    assert weights.shape == (6, 16, len(groups.names))
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-12)


def test_groups_are_named_as_people_name_them():
    basis = models.silicon().basis
    assert orbital_groups(basis, "element").names == ("Si",)
    assert orbital_groups(basis, "site").names == ("Si1", "Si2")
    assert orbital_groups(basis, "shell").names == ("Si s", "Si p")
    assert orbital_groups(basis, "l").names == ("Si s", "Si p")
    assert orbital_groups(basis, "orbital").names[2] == "Si1 p z"
    with pytest.raises(SettingsError, match="colour"):
        orbital_groups(basis, "colour")


def test_silicon_at_gamma_has_pure_shells():
    h = models.silicon()
    weights = band_weights(BandSolver(h, [[0, 0, 0]]).states(), orbital_groups(h.basis, "l"))[0]
    np.testing.assert_allclose(weights[:2], [[1, 0]] * 2, atol=1e-12)
    np.testing.assert_allclose(weights[2:8], [[0, 1]] * 6, atol=1e-12)


def test_zeeman_spin_follows_the_field():
    state = SpinState(theta=50, phi=120)
    solver = BandSolver(models.square(zeeman=0.3), K)
    spin = spin_expectation(solver.states(state))
    np.testing.assert_allclose(spin[:, 1], np.tile(state.direction, (6, 1)), atol=1e-12)
    np.testing.assert_allclose(spin[:, 0], -np.tile(state.direction, (6, 1)), atol=1e-12)


def test_rashba_spin_is_locked_at_right_angles_to_k():
    k = np.array([[0.05, 0.02, 0]])
    spin = spin_expectation(BandSolver(models.square(rashba=0.2), k).states())[0]
    x, y = np.sin(2 * np.pi * k[0, :2])
    expected = np.array([-y, x, 0]) / np.hypot(x, y)
    sign = np.sign(spin[0] @ expected)
    np.testing.assert_allclose(spin[0], sign * expected, atol=1e-12)
    np.testing.assert_allclose(spin[1], -spin[0], atol=1e-12)
    # H = 2α (sin k_y σ_x − sin k_x σ_y): the upper band's spin lies along that field.
    np.testing.assert_allclose(spin[1], np.array([y, -x, 0]) / np.hypot(x, y), atol=1e-12)


def test_spin_of_an_overlapping_crystal_is_bounded_and_summed_to_nothing():
    h = models.random_crystal(2, [models.S, models.P])
    spin = spin_expectation(BandSolver(h, K).states())
    assert np.linalg.norm(spin, axis=-1).max() <= 1 + 1e-10
    np.testing.assert_allclose(spin.sum(axis=1), 0, atol=1e-9)
    reversed_ = spin_expectation(BandSolver(h, -K).states())
    np.testing.assert_allclose(reversed_, -spin, atol=1e-8)


def test_kramers_pairs_of_a_centrosymmetric_crystal_have_no_spin():
    h = models.silicon(xi=0.1)
    np.testing.assert_allclose(spin_expectation(BandSolver(h, K).states()), 0, atol=1e-9)


def test_mean_over_degenerate_states():
    energies = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    values = np.arange(6.0).reshape(2, 3, 1)
    expected = [[0.5, 0.5, 2.0], [3.0, 4.5, 4.5]]
    np.testing.assert_allclose(degenerate_mean(energies, values)[..., 0], expected)
