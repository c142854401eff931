"""The solver against closed forms and against scipy on the full generalised problem."""

import models
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from hamexplorer.errors import HamiltonianError, SettingsError
from hamexplorer.hamiltonian import BlochSum, SpinState
from hamexplorer.properties.solver import BandSolver, spin_structure

K = np.random.default_rng(1).random((7, 3))


def test_chain_with_overlap_has_its_closed_form():
    k = np.linspace(0, 1, 11)[:, None] * [1, 0, 0]
    cosine = np.cos(2 * np.pi * k[:, 0])
    expected = -2 * cosine / (1 + 0.6 * cosine)
    found = BandSolver(models.chain(t=-1, s=0.3), k).energies()
    assert found.shape == (11, 2)
    np.testing.assert_allclose(found, expected[:, None] * [1, 1], atol=1e-12)


def test_collinear_chain_splits_along_any_axis():
    solver = BandSolver(models.chain(field=0.4, s=0.2), [[0.2, 0, 0]])
    cosine = np.cos(0.4 * np.pi)
    expected = (np.array([-0.4, 0.4]) - 2 * cosine) / (1 + 0.4 * cosine)
    for state in (SpinState(), SpinState(theta=63, phi=210)):
        np.testing.assert_allclose(solver.energies(state)[0], expected, atol=1e-12)


def test_rashba_square():
    k = np.array([[0.1, 0.2, 0], [0.3, 0.05, 0]])
    x, y, _ = (2 * np.pi * k).T
    centre, split = -2 * (np.cos(x) + np.cos(y)), 0.6 * np.hypot(np.sin(x), np.sin(y))
    found = BandSolver(models.square(rashba=0.3), k).energies()
    np.testing.assert_allclose(found, np.stack([centre - split, centre + split], 1), atol=1e-12)


def test_p_shell_levels_and_soc_scale():
    solver = BandSolver(models.p_atom(xi=0.6), [[0, 0, 0]])
    for soc in (0.5, 1.0, 2.0):
        found = solver.energies(SpinState(soc=soc))[0]
        np.testing.assert_allclose(
            found, 0.6 * soc * np.array([-1, -1, 0.5, 0.5, 0.5, 0.5]), atol=1e-12
        )


def test_kane_mele_gap_at_k():
    found = BandSolver(models.graphene(kane_mele=0.05), [[1 / 3, 1 / 3, 0]]).energies()[0]
    assert found[2] - found[1] == pytest.approx(6 * np.sqrt(3) * 0.05, abs=1e-12)


def test_kramers_pairs_at_invariant_momenta():
    h = models.random_crystal(2, [models.S, models.P], seed=4)
    corners = np.array(np.meshgrid([0, 0.5], [0, 0.5], [0, 0.5])).reshape(3, -1).T
    found = BandSolver(h, corners).energies()
    np.testing.assert_allclose(found[:, ::2], found[:, 1::2], atol=1e-9)
    assert np.abs(np.diff(BandSolver(h, K).energies(), axis=1)[:, ::2]).min() > 1e-5


def test_time_reversal_maps_spin_and_momentum():
    h = models.random_crystal(1, [models.P], seed=2)
    np.testing.assert_allclose(
        BandSolver(h, K).energies(), BandSolver(h, -K).energies(), atol=1e-10
    )


@pytest.mark.parametrize(
    ("state", "structure"),
    [
        (SpinState(), "spinor"),
        (SpinState(soc=0, theta=40, phi=70), "collinear"),
        (SpinState(soc=0, exchange=0), "degenerate"),
        (SpinState(0.7, 30, 20, -0.5), "spinor"),
    ],
)
def test_states_solve_the_generalised_problem(state, structure):
    h = models.random_crystal(2, [models.S, models.P], magnetic=True)
    assert spin_structure(h, state) == structure
    solver = BandSolver(h, K)
    found = solver.states(state)
    matrices = BlochSum(h)(K)
    hk, sk = matrices.spinor(state).numpy(), matrices.spinor_overlap().numpy()
    expected = [scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(hk, sk, strict=True)]
    np.testing.assert_allclose(found.energies, expected, atol=1e-11)
    np.testing.assert_allclose(solver.energies(state), expected, atol=1e-11)
    c, e = found.coefficients, found.energies[:, None]
    np.testing.assert_allclose(hk @ c, sk @ c * e, atol=1e-11)
    np.testing.assert_allclose(found.duals, sk @ c, atol=1e-12)
    unit = np.broadcast_to(np.eye(16), (len(K), 16, 16))
    np.testing.assert_allclose(np.einsum("kib,kic->kbc", c.conj(), found.duals), unit, atol=1e-11)


def test_window_is_a_slice_and_both_ends_count():
    h = models.random_crystal(1, [models.S, models.P], magnetic=True)
    solver = BandSolver(h, K)
    for state in (SpinState(), SpinState(soc=0)):
        whole, part = solver.states(state), solver.states(state, window=(2, 4))
        np.testing.assert_allclose(part.energies, whole.energies[:, 2:5], atol=1e-12)
        np.testing.assert_allclose(part.coefficients, whole.coefficients[:, :, 2:5], atol=1e-10)
        assert part.first_band == 2
        one = solver.energies(state, window=(3, 3))
        np.testing.assert_allclose(one, whole.energies[:, 3:4], atol=1e-12)
    for window in ((-1, 2), (3, 2), (0, 8)):
        with pytest.raises(SettingsError, match="window"):
            solver.energies(window=window)


def test_matrices_that_are_not_kept_give_the_same():
    h = models.random_crystal(1, [models.S, models.P], magnetic=True)
    lean = BandSolver(h, K, max_bytes=0)
    np.testing.assert_array_equal(lean.energies(), BandSolver(h, K).energies())


def test_many_chunks_keep_their_order(monkeypatch):
    h = models.random_crystal(1, [models.P], seed=3)
    expected = BandSolver(h, K).energies()
    monkeypatch.setattr("hamexplorer.properties.solver._CHUNK_BYTES", {"cpu": 1.0})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    solver = BandSolver(h, K)
    assert len(solver._edges) == len(K) + 1
    np.testing.assert_allclose(solver.energies(), expected, atol=1e-12)


def test_singular_overlap_names_its_k():
    h = models.chain(s=0.49999999999)
    with pytest.raises(HamiltonianError, match=r"k = \[0\.5, 0\.0, 0\.0\]"):
        BandSolver(h, [[0.1, 0, 0], [0.5, 0, 0]])


@pytest.mark.parametrize("k", [[[0, 0]], [[np.nan, 0, 0]], np.zeros((0, 3))])
def test_bad_kpoints(k):
    with pytest.raises(SettingsError, match="k-points"):
        BandSolver(models.chain(), k)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 180), st.floats(0, 360), st.integers(0, 50))
def test_direction_of_the_field_does_not_matter_without_soc(theta, phi, seed):
    h = models.random_crystal(1, [models.S, models.P], seed=seed, magnetic=True)
    solver = BandSolver(h, K[:2])
    np.testing.assert_allclose(
        solver.energies(SpinState(0, theta, phi)), solver.energies(SpinState(0)), atol=1e-11
    )
    matrix = BlochSum(h)(K[:2])
    spinor = matrix.spinor(SpinState(0, theta, phi)).numpy()
    expected = [
        scipy.linalg.eigh(a, b, eigvals_only=True)
        for a, b in zip(spinor, matrix.spinor_overlap().numpy(), strict=True)
    ]
    np.testing.assert_allclose(solver.energies(SpinState(0, theta, phi)), expected, atol=1e-11)
