"""Group velocities against closed forms and finite differences."""

import models
import numpy as np
import pytest

from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.velocity import group_velocity

K = np.random.default_rng(3).random((5, 3))


def test_chain():
    h = models.chain(t=-1, s=0.2, a=3.0)
    k = 0.17
    angle = 2 * np.pi * k
    expected = 3.0 * 2 * np.sin(angle) / (1 + 0.4 * np.cos(angle)) ** 2
    found = group_velocity(h, [[k, 0, 0]])
    np.testing.assert_allclose(found.slopes[0], [[expected, 0, 0]] * 2, atol=1e-12)


def test_graphene_dirac_velocity():
    found = group_velocity(models.graphene(t=-2.7), [[1 / 3, 1 / 3, 0]])
    expected = np.sqrt(3) / 2 * 2.46 * 2.7
    np.testing.assert_allclose(found.slopes[0, :, 0], expected * np.array([-1, -1, 1, 1]))
    assert found.metres_per_second[0, 3, 0] == pytest.approx(8.74e5, rel=1e-3)


@pytest.mark.parametrize(
    "state", [SpinState(), SpinState(0.5, 30, 70, 0.8), SpinState(soc=0, theta=20)]
)
def test_finite_differences(state):
    h = models.random_crystal(2, [models.S, models.P], magnetic=True)
    found = group_velocity(h, K, state)
    to_fractional = np.asarray(h.structure.lattice.matrix) / (2 * np.pi)
    step = 1e-4
    for axis in range(3):
        shift = step * to_fractional[:, axis]
        plus, minus = (BandSolver(h, K + s * shift).energies(state) for s in (1, -1))
        np.testing.assert_allclose(found.slopes[..., axis], (plus - minus) / (2 * step), atol=2e-5)


def test_degenerate_bands_have_the_slopes_of_the_split_bands():
    h = models.square(rashba=0.3)
    found = group_velocity(h, [[0, 0, 0]])
    np.testing.assert_allclose(found.slopes[0, :, 0], [-1.8, 1.8], atol=1e-12)


def test_window_and_table():
    found = group_velocity(models.silicon(), K, window=(2, 5))
    frame = found.to_dataframe()
    assert len(frame) == 20
    assert set(frame["band"]) == {2, 3, 4, 5}
    assert frame["hbar_vz_eV_A"].iloc[7] == found.slopes[1, 3, 2]
