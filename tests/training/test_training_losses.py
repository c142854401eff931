"""Losses against perturbation theory, finite differences and constants that must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from training_crystals import hexagonal, sample

from hamexplorer.hamiltonian import BlochSum, Hamiltonian
from hamexplorer.training.crystals import Crystal, crystal, within
from hamexplorer.training.loss import (
    band_errors,
    band_loss,
    element_loss,
    near_gap,
    without_constant,
)
from hamexplorer.training.states import drawn_kpoints

CUTOFF = 4.0
K = np.array([[0.11, 0.27, 0.0], [-0.31, 0.05, 0.0], [0.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def made() -> tuple[Hamiltonian, Crystal, Crystal]:
    one = sample(hexagonal())
    learned = crystal(one, CUTOFF, torch.float64, K)
    return one.reference, learned, crystal(one, CUTOFF, torch.float64, K, validation=True)


def _perturbation(h: Hamiltonian, seed: int = 5) -> NDArray[np.float64]:
    """A Hermitian change of the elements within the cutoff, (n_elements,), eV."""
    change = np.random.default_rng(seed).normal(size=h.pairs.n_elements)
    change = (change + change[h.pairs.transposition]) / 2
    return np.where(within(h, CUTOFF)[h.pairs.element_pair], change, 0.0)


def _inside(h: Hamiltonian, flat: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(flat[within(h, CUTOFF)[h.pairs.element_pair]])


def _eigenvalues(
    h: Hamiltonian, change: NDArray[np.float64], k: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By dense sums over pairs, written out, and scipy."""
    n = h.basis.n_orbitals
    total, overlap = np.zeros((n, n), complex), np.zeros((n, n), complex)
    rows, columns = h.pairs.element_orbitals
    phase = np.exp(2j * np.pi * (h.pairs.cell @ k))[h.pairs.element_pair]
    np.add.at(total, (rows, columns), phase * (h.scalar + change))
    np.add.at(overlap, (rows, columns), phase * h.overlap)
    return np.asarray(scipy.linalg.eigh(total, overlap, eigvals_only=True))


def test_sums_are_those_of_the_bloch_sum(made: tuple[Hamiltonian, Crystal, Crystal]) -> None:
    h, learned, _ = made
    change = _perturbation(h)
    matrices = learned.places.matrices(_inside(h, change), torch.from_numpy(K))
    moved = replace(h, scalar=h.scalar + change)
    expected = BlochSum(moved, "cpu")(K).scalar - BlochSum(h, "cpu")(K).scalar
    assert torch.allclose(matrices, expected, atol=1e-12)


def test_band_errors_are_the_derivatives_of_eigenvalues(
    made: tuple[Hamiltonian, Crystal, Crystal],
) -> None:
    h, learned, _ = made
    assert learned.states is not None
    change, step = _perturbation(h), 1e-4
    predicted = learned.target + _inside(h, change)
    n = h.basis.n_orbitals
    found = band_errors(predicted, learned, learned.states, n)
    slope = np.array(
        [
            (_eigenvalues(h, step * change, k) - _eigenvalues(h, -step * change, k)) / (2 * step)
            for k in K
        ]
    )
    diagonal = torch.diagonal(found, dim1=1, dim2=2)
    assert float(diagonal.imag.abs().max()) < 1e-12
    assert np.allclose(diagonal.real.numpy(), slope - slope.mean(), atol=1e-6)


def test_band_loss_is_its_formula_and_zero_at_the_target(
    made: tuple[Hamiltonian, Crystal, Crystal],
) -> None:
    h, learned, _ = made
    states = learned.states
    assert states is not None
    predicted = learned.target + _inside(h, _perturbation(h))
    found = band_errors(predicted, learned, states, 6).numpy()
    e = states.energies.numpy()
    expected = 0.0
    for k in range(len(K)):
        for j in range(6):
            for i in range(h.basis.n_orbitals):
                expected += abs(found[k, i, j]) ** 2 / (1 + abs(e[k, i] - e[k, j]) / 5.0)
    loss = band_loss(predicted, learned, states, 0.5, 5.0)  # 4 occupied, 2 above
    assert float(loss) == pytest.approx(np.sqrt(expected / (len(K) * 6)), rel=1e-9)
    assert float(band_loss(learned.target, learned, states, 0.5, 5.0)) < 1e-6


def test_a_constant_changes_no_loss(made: tuple[Hamiltonian, Crystal, Crystal]) -> None:
    h, learned, _ = made
    assert learned.states is not None
    predicted = learned.target + 0.01 * _inside(h, _perturbation(h))
    moved = predicted + 0.37 * learned.overlap
    assert float(element_loss(moved, learned)) == pytest.approx(
        float(element_loss(predicted, learned)), rel=1e-9
    )
    # without the removal the losses would differ by this much
    plain = (predicted - learned.target).abs().mean(), (moved - learned.target).abs().mean()
    assert abs(float(plain[1] - plain[0])) > 1e-3
    rest = float(without_constant(0.37 * learned.overlap, learned.overlap).abs().max())
    assert rest < 1e-12
    # S beyond the cutoff is not predicted, so that c·S of these elements alone moves bands a little
    with_all = crystal(sample(hexagonal()), 6.0, torch.float64, K)
    assert with_all.states is not None
    shift = with_all.target + 0.37 * with_all.overlap
    assert float(band_loss(shift, with_all, with_all.states, 0.5, 5.0)) < 1e-6


def test_the_target_has_no_constant(made: tuple[Hamiltonian, Crystal, Crystal]) -> None:
    _, learned, _ = made
    assert abs(float(learned.overlap @ learned.target)) < 1e-10


def test_gradients_are_finite_differences(made: tuple[Hamiltonian, Crystal, Crystal]) -> None:
    h, learned, _ = made
    states = learned.states
    assert states is not None
    point = learned.target + 0.1 * _inside(h, _perturbation(h))
    way = _inside(h, _perturbation(h, seed=6))
    for loss in (
        lambda p: element_loss(p, learned),
        lambda p: band_loss(p, learned, states, 0.4, 5.0),
    ):
        at = point.clone().requires_grad_()
        loss(at).backward()
        assert at.grad is not None
        slope = (loss(point + 1e-6 * way) - loss(point - 1e-6 * way)) / 2e-6
        assert float(at.grad @ way) == pytest.approx(float(slope), rel=1e-5)


def test_near_gap_errors_are_those_of_the_whole_hamiltonian(
    made: tuple[Hamiltonian, Crystal, Crystal],
) -> None:
    h, _, validating = made
    one = sample(hexagonal())
    change = _perturbation(h) * 0.05
    # H0 alone beyond the cutoff, and both up to c·S, as the targets are
    keep = within(h, CUTOFF)[h.pairs.element_pair]
    difference = h.scalar - one.zero
    c = (h.overlap[keep] @ difference[keep]) / (h.overlap[keep] @ h.overlap[keep])
    wrong = np.where(keep, change, -(difference - c * h.overlap))
    bands = slice(1, 7)  # 4 are occupied
    error = np.array(
        [(_eigenvalues(h, wrong, k) - _eigenvalues(h, 0 * wrong, k))[bands] for k in K]
    )
    found = near_gap(validating.target + _inside(h, change), validating, 3, 3)
    assert np.allclose(found.numpy(), error - error.mean(), atol=1e-9)


def test_kpoints_are_drawn_by_their_key() -> None:
    h = sample(hexagonal()).reference
    first, again, other = (drawn_kpoints(h, 12, key) for key in ("1 a", "1 a", "1 b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert any(np.allclose(k, 0) for k in first), "Γ is among them"
