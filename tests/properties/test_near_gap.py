"""Bands around the gap of large cells: against whole diagonalisations and folded bands."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import models
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import torch
from models import P, S, random_crystal, with_time_odd
from supercells import folded_kpoints, supercell

from hamexplorer.assets_path import asset
from hamexplorer.errors import (
    CalculationCancelled,
    HamiltonianError,
    ResourceLimitError,
    SettingsError,
)
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState, load_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties import memory, near_gap, solver
from hamexplorer.properties.block_lanczos import BlockLanczos
from hamexplorer.properties.hermitian_factor import (
    SingularMatrix,
    factorise,
    hermitian_product,
)
from hamexplorer.properties.level_search import Window, levels_in_window
from hamexplorer.properties.near_gap import near_gap_states
from hamexplorer.properties.pencil import pencils
from hamexplorer.properties.shift_invert import ShiftedPoint, Workspace
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.sparse_factor import factorise_sparse
from hamexplorer.properties.weights import band_weights, orbital_groups, spin_expectation

GENERAL = (0.13, 0.21, 0.0)
POINTS = np.array([[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0], GENERAL])
SLANTED = SpinState(0.7, 35.0, 50.0, 1.3)


@pytest.fixture(autouse=True)
def no_cell_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_gap, "FULL_SIZE", 0)


@pytest.fixture(scope="module")
def mos2() -> Hamiltonian:
    return load_hamiltonian(asset("examples/mos2.h5"))


def columns(matrix: torch.Tensor) -> torch.Tensor:
    """The same with contiguous columns."""
    return matrix.mT.contiguous().mT.clone(memory_format=torch.preserve_format)


def folded(h: Hamiltonian, k: Any, divisions: tuple[int, int, int], state: SpinState) -> Any:
    """All levels of the supercell at k, from the primitive cell's solver."""
    return np.sort(BandSolver(h, folded_kpoints(k, divisions)).energies(state).ravel())


def check(h: Hamiltonian, divisions: tuple[int, int, int], state: SpinState, n_bands: int) -> None:
    """Energies, indices and states of the supercell are those of folded bands."""
    large = supercell(h, divisions)
    found = near_gap_states(large, POINTS, n_bands, state)
    bands = slice(found.first_band, found.first_band + n_bands)
    for k, energies, sigma, below in zip(
        POINTS, found.energies, found.shifts, found.below, strict=True
    ):
        expected = folded(h, k, divisions, state)
        assert np.abs(energies - expected[bands]).max() < 1e-8
        assert below == np.count_nonzero(expected < sigma)
    residual(large, found.states, state)


def residual(h: Hamiltonian, states: Any, state: SpinState) -> None:
    """The states solve the dense matrices and are orthonormal in S."""
    matrices = BlochSum(h)(states.kpoints)
    for hk, sk, e, c, sc in zip(
        matrices.spinor(state).numpy(),
        matrices.spinor_overlap().numpy(),
        states.energies,
        states.coefficients,
        states.duals,
        strict=True,
    ):
        assert np.abs(hk @ c - (sk @ c) * e).max() < 1e-6
        assert np.abs(sk @ c - sc).max() < 1e-9
        assert np.abs(c.conj().T @ sc - np.eye(len(e))).max() < 1e-9


# --- factors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 130, 301])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_factor_solves_and_counts(n: int, dtype: torch.dtype) -> None:
    torch.manual_seed(n)
    a = torch.randn(n, n, dtype=dtype)
    a = a + a.mH
    b = torch.randn(n, 3, dtype=dtype)
    assert torch.allclose(hermitian_product(columns(a.tril()), b), a @ b)
    factor = factorise(columns(a))
    x = factor.solve(b)
    assert float((a @ x - b).abs().max()) < 1e-11 * n * float(x.abs().max() + 1)
    assert factor.n_negative == int((torch.linalg.eigvalsh(a) < 0).sum())


def test_factor_without_a_diagonal_needs_two_by_two_pivots() -> None:
    torch.manual_seed(0)
    half = torch.randn(40, 40, dtype=torch.complex128)
    zero = torch.zeros_like(half)
    a = torch.cat([torch.cat([zero, half]), torch.cat([half.mH, zero])], dim=1)
    factor = factorise(columns(a))
    assert factor.n_negative == 40
    b = torch.randn(80, 2, dtype=torch.complex128)
    assert float((a @ factor.solve(b) - b).abs().max()) < 1e-10


def test_factor_reads_the_lower_triangle_alone() -> None:
    torch.manual_seed(1)
    a = torch.randn(100, 100, dtype=torch.complex128)
    a = a + a.mH
    spoiled = columns(a.tril() + 1e3 * torch.ones_like(a).triu(1))
    assert factorise(spoiled).n_negative == factorise(columns(a)).n_negative


def test_a_zero_matrix_is_singular() -> None:
    with pytest.raises(SingularMatrix):
        factorise(torch.zeros(70, 70, dtype=torch.float64).mT)


# --- matrices --------------------------------------------------------------------------------


@pytest.mark.parametrize("magnetic", [False, True])
@pytest.mark.parametrize("time_odd", [False, True])
@pytest.mark.parametrize("state", [SpinState(), SpinState(0.0), SLANTED])
def test_pencil_is_the_bloch_sum(magnetic: bool, time_odd: bool, state: SpinState) -> None:
    h = random_crystal(3, [S, P], seed=3, magnetic=magnetic)
    if time_odd:
        h = with_time_odd(h)
    k = np.array(GENERAL)
    matrices = BlochSum(h)(k)
    whole = (matrices.spinor(state) - 0.3 * matrices.spinor_overlap())[0]
    n = h.basis.n_orbitals
    for part in pencils(h, state):
        if part.spin == 0:
            expected = whole
        else:
            field = 0.0 if part.spin is None else part.spin * state.exchange
            expected = (matrices.scalar - 0.3 * matrices.overlap)[0]
            if field:
                assert matrices.exchange is not None
                expected = expected + field * matrices.exchange[0, 0]
        out = torch.full((part.size, part.size), 7.0, dtype=torch.complex128).mT
        part.shifted(k, 0.3, out)
        assert torch.allclose(out.tril(), expected.tril(), atol=1e-12)
        sparse, overlap = part.sparse(k, 0.3)
        assert np.allclose(sparse.toarray(), expected, atol=1e-12)
        assert np.allclose(overlap.toarray(), matrices.overlap[0], atol=1e-12)
        assert torch.allclose(part.overlap(k), matrices.overlap[0], atol=1e-12)
        assert part.overlap(k).shape == (n, n)


# --- bands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("soc", [1.0, 0.0])
def test_mos2_of_twelve_atoms(mos2: Hamiltonian, soc: float) -> None:
    check(mos2, (2, 2, 1), SpinState(soc), 40)


def test_mos2_against_a_dense_solver_with_weights_and_spins(
    mos2: Hamiltonian, monkeypatch: pytest.MonkeyPatch
) -> None:
    h, k, state = supercell(mos2, (2, 1, 1)), np.array([GENERAL]), SpinState()
    found = near_gap_states(h, k, 20, state)
    matrices = BlochSum(h)(k)
    dense = scipy.linalg.eigh(
        matrices.spinor(state)[0].numpy(), matrices.spinor_overlap()[0].numpy(), eigvals_only=True
    )
    bands = slice(found.first_band, found.first_band + 20)
    assert found.first_band == 42
    assert np.abs(found.energies[0] - dense[bands]).max() < 1e-8
    monkeypatch.setattr(near_gap, "FULL_SIZE", 500)
    small = near_gap_states(h, k, 20, state)
    assert small.method.startswith("all")
    groups = orbital_groups(h.basis, "l")
    for of in (lambda s: band_weights(s, groups), spin_expectation):
        assert np.abs(of(found.states) - of(small.states)).max() < 1e-6


@pytest.mark.slow
def test_mos2_of_48_atoms_against_a_dense_solver(mos2: Hamiltonian) -> None:
    h = supercell(mos2, (4, 4, 1))
    found = near_gap_states(h, POINTS, 40)
    for k, energies in zip(POINTS, found.energies, strict=True):
        matrices = BlochSum(h)(k)
        dense = scipy.linalg.eigh(
            matrices.spinor()[0].numpy(),
            matrices.spinor_overlap()[0].numpy(),
            subset_by_index=(found.first_band, found.first_band + 39),
            eigvals_only=True,
        )
        assert np.abs(energies - dense).max() < 1e-8


@pytest.mark.parametrize("electrons", [4.0, 9.0, 14.5])
@pytest.mark.parametrize("state", [SpinState(), SpinState(0.0), SLANTED])
def test_magnets_and_metals(electrons: float, state: SpinState) -> None:
    h = random_crystal(2, [S, P], seed=5, magnetic=True, planar=True)
    check(replace(h, n_electrons=electrons), (3, 2, 1), state, 15)


def test_a_field_of_three_components_and_orbital_currents() -> None:
    h = with_time_odd(random_crystal(2, [S, P], seed=6, magnetic=True, planar=True))
    assert h.exchange is not None
    field = np.stack([0.3 * h.exchange, -0.5 * h.exchange, h.exchange])
    check(replace(h, exchange=field), (3, 2, 1), SLANTED, 14)
    check(replace(h, exchange=None, spin_orbit=None), (3, 2, 1), SpinState(), 14)


def test_an_odd_window_cuts_spin_pairs_as_the_dense_one_does() -> None:
    h = random_crystal(2, [S, P], seed=7, planar=True)
    for n_bands in (1, 2, 7):
        check(h, (3, 2, 1), SpinState(0.0), n_bands)


@pytest.mark.parametrize("electrons", [0.0, 1.0, 95.0, 96.0])
def test_the_ends_of_the_spectrum(electrons: float) -> None:
    h = replace(random_crystal(2, [S, P], seed=8, planar=True), n_electrons=electrons / 6)
    check(h, (3, 2, 1), SpinState(), 12)


def test_all_bands_or_too_many(mos2: Hamiltonian) -> None:
    k = np.array([GENERAL])
    found = near_gap_states(mos2, k, 104)
    assert np.abs(found.energies - BandSolver(mos2, k).energies()).max() < 1e-8
    for wrong in (105, 0, -3):
        with pytest.raises(SettingsError, match=r"1 … 104"):
            near_gap_states(mos2, k, wrong)
    with pytest.raises(SettingsError, match="edges or none"):
        near_gap_states(mos2, k, 10, check="both")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="finite"):
        near_gap_states(mos2, k, 10, guess=np.nan)


def test_many_copies_of_one_level() -> None:
    """A lattice of separate atoms: every level is 2 × 24-fold, more than the Lanczos block."""
    h = models.square(t=0.0, n_electrons=1.0)
    h = supercell(replace(h, n_electrons=1.0), (6, 4, 1))
    found = near_gap_states(h, [GENERAL], 10, check="none")
    assert np.abs(found.energies).max() < 1e-8
    h = supercell(models.graphene(stagger=0.4, t=0.0), (7, 6, 1))
    found = near_gap_states(h, [GENERAL], 12)
    assert found.checked
    assert found.first_band == 78
    assert np.allclose(found.energies[0], [-0.4] * 6 + [0.4] * 6, atol=1e-9)


@pytest.mark.parametrize("guess", [0.0, 2.7 * 3, -2.7])
def test_a_shift_on_an_eigenvalue_moves(guess: float) -> None:
    """Graphene at Γ: levels at 0 (four, at K and K′), ±t and ±3t."""
    h, divisions = models.graphene(), (3, 3, 1)
    found = near_gap_states(supercell(h, divisions), np.zeros((1, 3)), 12, guess=guess)
    expected = folded(h, np.zeros(3), divisions, SpinState())
    assert np.abs(found.energies[0] - expected[12:24]).max() < 1e-8
    assert np.abs(found.shifts[0] - expected).min() > 1e-6


def test_a_far_guess_is_moved_to_the_gap(mos2: Hamiltonian) -> None:
    h = supercell(mos2, (2, 2, 1))
    bare = SpinState(0.0)
    near = near_gap_states(h, [GENERAL], 12, bare)
    for guess in (-300.0, 40.0):
        far = near_gap_states(h, [GENERAL], 12, bare, guess=guess)
        assert np.abs(far.energies - near.energies).max() < 1e-8
    assert near.n_factorisations < 8


def test_a_missing_level_is_noticed_at_the_edges(
    mos2: Hamiltonian, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first start is orthogonal to a level of the window: counting finds that, and another
    start the level.
    """
    state = SpinState(0.0)
    part = pencils(mos2, state)
    at = ShiftedPoint(part, np.array(GENERAL), Workspace())
    at.prepare()
    complete = levels_in_window(at, Window(10, 15), -5.0, True, lambda *_: None)
    lost = complete.c[:, 2:3], complete.sc[:, 2:3]
    made = []
    original = BlockLanczos._new

    def without(self: BlockLanczos, columns: int) -> torch.Tensor:
        rows = original(self, columns)
        made.append(len(rows))
        if len(made) > 1:
            return rows
        return rows - (rows @ lost[1].conj()) @ lost[0].mT

    solve = at.solve

    def solved(b: torch.Tensor) -> torch.Tensor:
        x = solve(b)
        return x - lost[0] @ (lost[1].mH @ x) if len(made) < 2 else x

    monkeypatch.setattr(BlockLanczos, "_new", without)
    monkeypatch.setattr(at, "solve", solved)
    found = levels_in_window(at, Window(10, 15), -5.0, True, lambda *_: None)
    assert len(made) >= 2
    assert np.abs(found.energies - complete.energies).max() < 1e-8


def test_sparse_factors_of_a_large_flake() -> None:
    h, divisions = models.graphene(stagger=0.2), (33, 31, 1)
    large = supercell(h, divisions)
    found = near_gap_states(large, POINTS[[0, 3]], 24)
    assert "SuperLU" in found.method
    for k, energies in zip(POINTS[[0, 3]], found.energies, strict=True):
        expected = folded(h, k, divisions, SpinState())
        bands = slice(found.first_band, found.first_band + 24)
        assert np.abs(energies - expected[bands]).max() < 1e-8


# --- refusals --------------------------------------------------------------------------------


def test_an_indefinite_overlap_is_counted() -> None:
    """S(k) = 1 + 2s cos 2πk of a chain; beyond 1200 orbitals nobody looked at it before."""
    s, n = 0.5005, 1203
    with pytest.raises(HamiltonianError):
        models.chain(s=s)
    fine = models.chain(s=0.4)
    large = supercell(fine, (n, 1, 1))
    overlap = large.overlap * np.where(np.isclose(large.overlap, 0.4), s / 0.4, 1.0)
    broken = replace(large, overlap=overlap)
    expected = np.count_nonzero(1 + 2 * s * np.cos(2 * np.pi * np.arange(n) / n) < 1e-9)
    assert expected > 2
    with pytest.raises(HamiltonianError, match=f"{expected} of its {n} eigenvalues"):
        near_gap_states(broken, np.zeros((1, 3)), 10)


def test_what_does_not_fit_is_refused(mos2: Hamiltonian, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1e8)
    with pytest.raises(ResourceLimitError, match=r"GB are free"):
        near_gap_states(supercell(mos2, (2, 2, 1)), [GENERAL], 10)
    with pytest.raises(ResourceLimitError, match=r"2000.0 GB"):
        memory.check_memory(2e12, "It", "Less.")


def test_available_memory_is_that_of_this_machine() -> None:
    assert 1e8 < memory.available_memory() < 1e14


def test_progress_and_cancelling(mos2: Hamiltonian) -> None:
    seen = []
    monitor = Monitor(lambda event: seen.append((event.fraction, event.message)))
    h = supercell(mos2, (2, 2, 1))
    near_gap_states(h, POINTS[:2], 12, monitor=monitor)
    fractions = [fraction for fraction, _ in seen]
    assert all(b >= a - 0.1 for a, b in itertools.pairwise(fractions))
    assert fractions[-1] > 0.8
    assert any("k-point 2 of 2" in message for _, message in seen)
    stopping = Monitor(lambda _: stopping.cancel())
    with pytest.raises(CalculationCancelled):
        near_gap_states(h, POINTS[:2], 12, monitor=stopping)


def test_all_bands_of_a_cell_that_does_not_fit_are_refused(
    mos2: Hamiltonian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1e5)
    BandSolver(mos2, POINTS)  # small enough not to ask
    monkeypatch.setattr(solver, "_ALWAYS_FITS", 0.0)
    with pytest.raises(ResourceLimitError, match=r"52 orbitals .* --near-gap 40"):
        BandSolver(mos2, POINTS)


def test_pivots_off_the_diagonal_fall_back_to_a_dense_factor() -> None:
    """H − σS of a chain of dimers with nothing on the diagonal: SuperLU's signs mean nothing."""
    pairs = np.kron(np.eye(40), [[0.0, 1.0], [1.0, 0.0]])
    assert factorise_sparse(scipy.sparse.csc_array(pairs)) is None
    rng = np.random.default_rng(0)
    a = scipy.sparse.random_array((200, 200), density=0.02, rng=rng)
    a = (a + a.T + scipy.sparse.diags_array(rng.normal(size=200) * 3)).tocsc()
    factor = factorise_sparse(a)
    assert factor is not None
    assert factor.n_negative == np.count_nonzero(np.linalg.eigvalsh(a.toarray()) < 0)
