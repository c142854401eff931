"""Bloch sums and spinors against loops over the definition, and symmetries that must hold."""

# ruff: noqa: E741 - l is the quantum number's own name

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import models
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from random_hamiltonians import hamiltonians, kpoints, momenta, random_hamiltonian, seeds

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import (
    Basis,
    BlochSum,
    Hamiltonian,
    Pairs,
    Shell,
    SpinState,
    default_device,
)
from hamexplorer.hamiltonian.angular import angular_momentum, rotation_generators
from hamexplorer.provenance import Provenance

SIGMA = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
TRIM = np.array(list(itertools.product((0, 0.5), repeat=3)))
angle = st.floats(-360, 360)
states = st.builds(SpinState, st.floats(-2, 2), angle, angle, st.floats(-2, 2))


def _loop(h: Hamiltonian, flat: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray:
    """Σ_R exp(2πi k·R) M[R], element by element."""
    start = [sum(s.size for shells in h.basis.shells[:i] for s in shells) for i in range(9)]
    n = h.basis.n_orbitals
    result = np.zeros((n, n), dtype=complex)
    position = 0
    for i, j, cell in zip(h.pairs.first, h.pairs.second, h.pairs.cell, strict=True):
        for a in range(h.pairs.sizes[i]):
            for b in range(h.pairs.sizes[j]):
                phase = np.exp(2j * np.pi * (k[0] * cell[0] + k[1] * cell[1] + k[2] * cell[2]))
                result[start[i] + a, start[j] + b] += phase * flat[position]
                position += 1
    return result


def _spinless(h: Hamiltonian) -> NDArray:
    return h.scalar if h.time_odd is None else h.scalar + 1j * h.time_odd


def _spinor_by_definition(h: Hamiltonian, k: NDArray[np.float64], state: SpinState) -> NDArray:
    """(H + iA) ⊗ 1 + Σ_a σ_a ⊗ (n_a B + λ i Λ_a), with the angles written out."""
    theta, phi = np.radians([state.theta, state.phi])
    n = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    turn = np.array(
        [
            [np.cos(theta) * np.cos(phi), -np.sin(phi), n[0]],
            [np.cos(theta) * np.sin(phi), np.cos(phi), n[1]],
            [-np.sin(theta), 0, n[2]],
        ]
    )
    result = np.kron(np.eye(2), _loop(h, _spinless(h), k))
    for a in range(3):
        if h.exchange is not None:
            field = n[a] * h.exchange if h.exchange.ndim == 1 else turn[a] @ h.exchange
            result = result + state.exchange * np.kron(SIGMA[a], _loop(h, field, k))
        if h.spin_orbit is not None:
            result = result + state.soc * np.kron(SIGMA[a], 1j * _loop(h, h.spin_orbit[a], k))
    return result


def _levels(h: Hamiltonian, k: NDArray[np.float64], state: SpinState) -> NDArray[np.float64]:
    matrices = BlochSum(h, "cpu")(k)
    return np.array(
        [
            scipy.linalg.eigh(a, b, eigvals_only=True)
            for a, b in zip(
                matrices.spinor(state).numpy(), matrices.spinor_overlap().numpy(), strict=True
            )
        ]
    )


# --- the sums ------------------------------------------------------------------------------


@given(h=hamiltonians(), k=st.lists(kpoints, min_size=1, max_size=2))
def test_sums_equal_the_loop_over_the_definition(h: Hamiltonian, k: list[list[float]]) -> None:
    matrices = BlochSum(h, "cpu")(k)
    assert matrices.n_kpoints == len(k)
    assert matrices.n_orbitals == h.basis.n_orbitals
    for index, point in enumerate(np.array(k)):
        expected = {name: _loop(h, h.component(name), point) for name in h.components}
        np.testing.assert_allclose(matrices.overlap[index], expected["S"], atol=1e-11)
        scalar = expected["H"] + 1j * expected.get("A", 0)
        np.testing.assert_allclose(matrices.scalar[index], scalar, atol=1e-11)
        fields = [expected[name] for name in h.components if name[0] == "B"]
        if fields:
            np.testing.assert_allclose(matrices.exchange[index], fields, atol=1e-11)
        coupling = [1j * expected[name] for name in h.components if name[0] == "L"]
        if coupling:
            np.testing.assert_allclose(matrices.spin_orbit[index], coupling, atol=1e-11)
    assert (matrices.exchange is None) == (h.exchange is None)
    assert (matrices.spin_orbit is None) == (h.spin_orbit is None)


@given(h=hamiltonians(), k=kpoints, state=states)
def test_dense_and_sparse_spinors_equal_the_definition(
    h: Hamiltonian, k: list[float], state: SpinState
) -> None:
    expected = _spinor_by_definition(h, np.array(k), state)
    sums = BlochSum(h, "cpu")
    dense = sums([k]).spinor(state)[0].numpy()
    np.testing.assert_allclose(dense, expected, atol=1e-10)
    np.testing.assert_allclose(dense, dense.conj().T, atol=1e-11)
    sparse, overlap = sums.sparse(k, state)
    np.testing.assert_allclose(sparse.toarray(), expected, atol=1e-10)
    doubled = np.kron(np.eye(2), _loop(h, h.overlap, np.array(k)))
    np.testing.assert_allclose(overlap.toarray(), doubled, atol=1e-11)
    np.testing.assert_allclose(sums([k]).spinor_overlap()[0], doubled, atol=1e-11)


@given(h=hamiltonians(), state=states)
def test_spinor_blocks_are_those_of_the_definition(h: Hamiltonian, state: SpinState) -> None:
    # at Γ the blocks of a pair of sites add up to the sum's
    total = BlochSum(h, "cpu")([0, 0, 0]).spinor(state)[0].numpy()
    n = h.basis.n_orbitals
    found = np.zeros_like(total)
    for p in range(h.pairs.n_pairs):
        i, j = int(h.pairs.first[p]), int(h.pairs.second[p])
        rows, columns = (
            np.r_[h.basis.site_orbitals(site), n + np.arange(n)[h.basis.site_orbitals(site)]]
            for site in (i, j)
        )
        block = h.spinor_block(i, j, tuple(h.pairs.cell[p].tolist()), state)
        found[np.ix_(rows, columns)] += block
    np.testing.assert_allclose(found, total, atol=1e-10)


def test_transformed_matrices() -> None:
    sums = BlochSum(random_hamiltonian(1, exchange="vector"), "cpu")([[0.1, 0.2, 0.3], [0, 0, 0]])
    x = torch.randn(2, sums.n_orbitals, 4, dtype=torch.complex128)
    new = sums.transformed(x)
    assert new.spinor().shape == (2, 8, 8)
    expected = torch.einsum("kia,kcij,kjb->kcab", x.conj(), sums.spin_orbit, x)
    torch.testing.assert_close(new.spin_orbit, expected)
    doubled = torch.block_diag(x[0], x[0])
    torch.testing.assert_close(new.spinor()[0], doubled.mH @ sums.spinor()[0] @ doubled)


def test_closed_form_of_a_chain() -> None:
    k = np.linspace(-1, 1, 17)
    levels = _levels(models.chain(-1.3, 0.2), np.outer(k, [1, 0, 0]), SpinState())
    expected = 2 * -1.3 * np.cos(2 * np.pi * k) / (1 + 0.4 * np.cos(2 * np.pi * k))
    np.testing.assert_allclose(levels, np.stack([expected] * 2, axis=1), atol=1e-12)


# --- spin ----------------------------------------------------------------------------------


def _su2(theta: float, phi: float) -> NDArray[np.complex128]:
    t, p = np.radians([theta, phi])
    return scipy.linalg.expm(-0.5j * p * SIGMA[2]) @ scipy.linalg.expm(-0.5j * t * SIGMA[1])


@given(h=hamiltonians(exchange="collinear", spin_orbit=False), k=kpoints, theta=angle, phi=angle)
def test_a_turned_collinear_field_is_u_sigma_z_u_dagger(
    h: Hamiltonian, k: list[float], theta: float, phi: float
) -> None:
    sums = BlochSum(h, "cpu")([k])
    u = np.kron(_su2(theta, phi), np.eye(h.basis.n_orbitals))
    along_z = sums.spinor()[0].numpy()
    turned = sums.spinor(SpinState(theta=theta, phi=phi))[0].numpy()
    np.testing.assert_allclose(turned, u @ along_z @ u.conj().T, atol=1e-10)


@given(h=hamiltonians(exchange="vector", spin_orbit=False), k=kpoints, theta=angle, phi=angle)
def test_levels_do_not_depend_on_the_direction_without_spin_orbit(
    h: Hamiltonian, k: list[float], theta: float, phi: float
) -> None:
    point = np.array([k])
    turned = _levels(h, point, SpinState(theta=theta, phi=phi))
    np.testing.assert_allclose(turned, _levels(h, point, SpinState()), atol=1e-10)


@given(seed=seeds, k=kpoints, state=states)
def test_a_vector_field_along_z_equals_a_collinear_one(
    seed: int, k: list[float], state: SpinState
) -> None:
    h = random_hamiltonian(seed, ((0, 1), (1,)), exchange="collinear")
    zero = np.zeros_like(h.scalar)
    vector = replace(h, exchange=np.stack([zero, zero, h.exchange]))
    one, three = (BlochSum(x, "cpu")([k]).spinor(state) for x in (h, vector))
    torch.testing.assert_close(one, three, atol=1e-11, rtol=0)


def test_a_collinear_field_splits_up_and_down() -> None:
    h = random_hamiltonian(5, exchange="collinear", spin_orbit=False)
    k = [0.1, 0.2, 0.3]
    n = h.basis.n_orbitals
    spinor = BlochSum(h, "cpu")([k]).spinor()[0].numpy()
    np.testing.assert_allclose(spinor[:n, :n], _loop(h, h.scalar + h.exchange, k), atol=1e-12)
    np.testing.assert_allclose(spinor[n:, n:], _loop(h, h.scalar - h.exchange, k), atol=1e-12)
    assert not spinor[:n, n:].any()


@given(seed=seeds, shells=momenta, soc=st.floats(-2, 2))
def test_kramers_pairs_at_time_reversal_invariant_points(
    seed: int, shells: tuple[tuple[int, ...], ...], soc: float
) -> None:
    levels = _levels(random_hamiltonian(seed, shells), TRIM, SpinState(soc=soc))
    np.testing.assert_allclose(levels[:, ::2], levels[:, 1::2], atol=1e-9)


@given(seed=seeds, k=kpoints)
def test_time_reversal_turns_spin_and_k(seed: int, k: list[float]) -> None:
    h = random_hamiltonian(seed)
    at_k, at_minus_k = BlochSum(h, "cpu")([k, [-x for x in k]]).spinor().numpy()
    t = np.kron(1j * SIGMA[1], np.eye(h.basis.n_orbitals))  # T = iσ_y K
    np.testing.assert_allclose(t @ at_k.conj() @ t.conj().T, at_minus_k, atol=1e-10)


def test_up_at_k_is_down_at_minus_k() -> None:
    h = models.graphene(kane_mele=0.05, stagger=0.1)  # s_z is conserved
    k = np.array([[0.33, 0.32, 0.0], [-0.33, -0.32, 0.0]])
    matrices = BlochSum(h, "cpu")(k).spinor().numpy()
    up, down = matrices[0, :2, :2], matrices[1, 2:, 2:]
    np.testing.assert_allclose(np.linalg.eigvalsh(up), np.linalg.eigvalsh(down), atol=1e-12)
    assert np.abs(np.linalg.eigvalsh(up) - np.linalg.eigvalsh(matrices[1, :2, :2])).max() > 0.1


@given(h=hamiltonians(exchange=None), k=kpoints)
def test_lambda_zero_is_the_spinless_spectrum_twice(h: Hamiltonian, k: list[float]) -> None:
    point = np.array(k)
    spinless = scipy.linalg.eigh(
        _loop(h, _spinless(h), point), _loop(h, h.overlap, point), eigvals_only=True
    )
    levels = _levels(h, point[None], SpinState(soc=0))[0]
    np.testing.assert_allclose(levels, np.repeat(spinless, 2), atol=1e-10)


@pytest.mark.parametrize("l", [1, 2, 3])
def test_spin_orbit_levels_of_a_shell(l: int) -> None:
    # ξ L·S: +ξ l/2 for j = l + 1/2 (2l + 2 states), −ξ (l + 1)/2 for j = l − 1/2 (2l states)
    xi = 0.6
    h = _atom(l, xi / 2 * rotation_generators(l))
    levels = _levels(h, np.zeros((1, 3)), SpinState())[0]
    expected = [-xi * (l + 1) / 2] * (2 * l) + [xi * l / 2] * (2 * l + 2)
    np.testing.assert_allclose(levels, expected, atol=1e-12)


def test_the_sign_is_that_of_plus_half_xi_l_sigma() -> None:
    # L_a = i G_a, and Λ_a enters as iΛ_a, so that Λ = (ξ/2) G is +(ξ/2) L·σ: in the lower level
    # of a p shell, j = 1/2, spin and orbit stand against each other.
    h = models.p_atom(0.6)
    spinor = BlochSum(h, "cpu")([0, 0, 0]).spinor()[0].numpy()
    expected = sum(0.3 * np.kron(SIGMA[a], angular_momentum(1)[a]) for a in range(3))
    np.testing.assert_allclose(spinor, expected, atol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh(spinor), [-0.6] * 2 + [0.3] * 4, atol=1e-14)
    y, x, up = 0, 2, 0
    assert spinor[3 * up + y, 3 * up + x] == pytest.approx(0.3j)  # ⟨y↑|(ξ/2) L_z σ_z|x↑⟩


def _atom(l: int, coupling: NDArray[np.float64]) -> Hamiltonian:
    here = (0, 0, (0, 0, 0))
    return models.build(
        Structure(Lattice.cubic(10), ["Bi"], [[0, 0, 0]]),
        [[Shell("x", l)]],
        1.0,
        scalar={here: np.zeros((2 * l + 1, 2 * l + 1))},
        spin_orbit={here: coupling},
    )


@given(theta=angle, phi=angle)
def test_direction_and_rotation(theta: float, phi: float) -> None:
    state = SpinState(theta=theta, phi=phi)
    t, p = np.radians([theta, phi])
    expected = [np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)]
    np.testing.assert_allclose(state.direction, expected, atol=1e-12)
    np.testing.assert_allclose(state.rotation @ [0, 0, 1], expected, atol=1e-12)
    np.testing.assert_allclose(state.rotation @ state.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(state.rotation) == pytest.approx(1)


@pytest.mark.parametrize("name", ["soc", "theta", "phi", "exchange"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "strong", None, 10**400])
def test_spin_states_are_finite_numbers(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be a finite number"):
        SpinState(**{name: value})


@pytest.mark.parametrize("name", ["soc", "exchange"])
def test_factors_have_a_range(name: str) -> None:
    with pytest.raises(SettingsError, match="accepted are −100 … 100"):
        SpinState(**{name: 101})


# --- limits and bad input ------------------------------------------------------------------


@pytest.mark.parametrize(
    "k", [[], [0.1, 0.2], [[0, 0, np.nan]], "ΓK", [[[0, 0, 0]]], [0, 0, None], [[0, 0], [0, 0, 0]]]
)
def test_k_points_must_be_triples(k: object) -> None:
    sums = BlochSum(models.chain(), "cpu")
    for call in (sums, sums.sparse):
        with pytest.raises(SettingsError, match="k-points must be"):
            call(k)


def test_sparse_takes_one_k_point() -> None:
    with pytest.raises(SettingsError, match="one k-point at a time, not 2"):
        BlochSum(models.chain(), "cpu").sparse([[0, 0, 0], [0.5, 0, 0]])


def test_no_k_points_give_no_matrices() -> None:
    assert BlochSum(models.chain(), "cpu")(np.zeros((0, 3))).spinor().shape == (0, 2, 2)


def test_dense_matrices_are_limited() -> None:
    sums = BlochSum(random_hamiltonian(0), "cpu", max_bytes=1e4)
    with pytest.raises(ResourceLimitError, match=r"at 100 k-points need .* GB, the limit is"):
        sums(np.zeros((100, 3)))


@pytest.mark.parametrize("device", ["abacus", "cuda:97", "meta:x"])
def test_a_device_that_is_not_here_is_named(device: str) -> None:
    with pytest.raises(SettingsError, match=f"Device '{device}' cannot be used here"):
        BlochSum(models.chain(), device)


def test_nothing_dense_over_cells_or_orbitals_is_made() -> None:
    # 3001 sites in a ring: a dense matrix has 144 MB, one over 3 cells three times that, the
    # stored pairs 72 kB a component
    n = 3001
    h = _ring(n)
    tracemalloc.start()
    try:
        sums = BlochSum(h, "cpu")
        matrix, overlap = sums.sparse([0.25, 0, 0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert matrix.shape == (2 * n, 2 * n)
    assert matrix.nnz <= 12 * n
    assert overlap.nnz <= 6 * n
    assert peak < 20e6
    assert sums._sum.nbytes < 1e6


def _ring(n: int) -> Hamiltonian:
    """An s orbital a site; site i hops to i + 1, the last to the first in the next cell."""
    sites = np.arange(n)
    onward = np.zeros((n, 3), dtype=int)
    onward[-1, 0] = 1
    pairs = Pairs(
        np.r_[sites, sites, np.roll(sites, -1)],
        np.r_[sites, np.roll(sites, -1), sites],
        np.r_[np.zeros((n, 3), dtype=int), onward, -onward],
        np.ones(n, dtype=int),
    )
    line = np.c_[sites / n, np.zeros((n, 2))]
    hop = np.r_[np.zeros(n), np.full(2 * n, -1.0)]
    return Hamiltonian(
        structure=Structure(Lattice.orthorhombic(2.0 * n, 9, 9), ["H"] * n, line),
        basis=Basis(("H",) * n, ((Shell("1s", 0),),) * n),
        pairs=pairs,
        overlap=np.r_[np.ones(n), np.zeros(2 * n)],
        scalar=hop,
        exchange=None,
        spin_orbit=None,
        n_electrons=float(n),
        provenance=Provenance("test", "ring"),
    )


def test_cuda_gives_what_the_cpu_gives() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    h = random_hamiltonian(2, exchange="vector")
    k = np.random.default_rng(0).random((7, 3))
    cuda, cpu = (BlochSum(h, device)(k) for device in ("cuda", "cpu"))
    assert default_device().type == "cuda"
    state = SpinState(0.7, 30, 40)
    torch.testing.assert_close(cuda.spinor(state).cpu(), cpu.spinor(state), atol=1e-12, rtol=0)
    torch.testing.assert_close(cuda.overlap.cpu(), cpu.overlap, atol=1e-12, rtol=0)
