"""What a prediction is worth: errors of matrix elements, and of the states made of them.

H and H + c·S have the same states, and where the potential's zero lies is no property of the
crystal: c is fitted away, for each crystal, in every loss.
"""

from __future__ import annotations

import torch

from hamexplorer.training.crystals import Crystal
from hamexplorer.training.states import StatePool, in_states

__all__ = [
    "band_errors",
    "band_loss",
    "element_loss",
    "near_gap",
    "without_constant",
]

_FLOOR = 1e-7
"""eV: roots of mean squares are rounded off here, so that their gradient stays finite."""


def without_constant(difference: torch.Tensor, overlap: torch.Tensor) -> torch.Tensor:
    """δ − c·S with c = ⟨S, δ⟩ / ⟨S, S⟩, (n_elements,), eV."""
    return difference - (overlap @ difference) / (overlap @ overlap) * overlap


def element_loss(predicted: torch.Tensor, crystal: Crystal) -> torch.Tensor:
    """Mean |δ| + root of mean δ² of one crystal, eV, with the constant removed.

    The mean decides over the many small elements, the root over the few large ones.
    """
    error = without_constant(predicted - crystal.target, crystal.overlap)
    return error.abs().mean() + (error.square().mean() + _FLOOR**2).sqrt()


def band_errors(
    predicted: torch.Tensor, crystal: Crystal, states: StatePool, count: int
) -> torch.Tensor:
    """D(k) = C† δH(k) C between all states and the lowest ``count``, (nk, n, count), eV.

    Its diagonal is the error of the energies to first order, the rest what second order is made
    of. The mean diagonal, which is the constant of δH, is removed.
    """
    matrices = crystal.places.matrices(predicted - crystal.target, states.kpoints)
    found = in_states(matrices, states.vectors.to(matrices.dtype), count)
    diagonal = torch.eye(found.shape[1], count, dtype=found.dtype, device=found.device)
    constant = (found * diagonal).sum() / (len(found) * count)
    return found - constant * diagonal


def band_loss(
    predicted: torch.Tensor, crystal: Crystal, states: StatePool, empty: float, width: float
) -> torch.Tensor:
    """Root of the mean over k and states j of Σ_i |D_ij|² / (1 + |E_i − E_j| / width), eV.

    Args:
        predicted: ΔH, (n_elements,), eV.
        crystal: target and places.
        states: those k-points of the pool that are taken.
        empty: states j are the occupied ones and ``empty`` times as many above.
        width: eV.
    """
    count = _counted(states, empty)
    found = band_errors(predicted, crystal, states, count)
    energies = states.energies.to(predicted.dtype)
    apart = (energies[:, :, None] - energies[:, None, :count]).abs()
    squares = (found.real.square() + found.imag.square()) / (1 + apart / width)
    return (squares.sum(1).mean() + _FLOOR**2).sqrt()


def near_gap(
    predicted: torch.Tensor, crystal: Crystal, below: int = 4, above: int = 4
) -> torch.Tensor:
    """Errors of the highest ``below`` occupied and the lowest ``above`` empty bands, (nk, nb), eV.

    Exact eigenvalues of H0 + ΔH at the crystal's k-points against those of the reference, what H0
    leaves beyond the cutoff included; one constant for all is removed.
    """
    states = crystal.states
    if states is None or states.rest is None:
        raise ValueError("The crystal was made without states to validate at.")
    difference = predicted.double() - crystal.target.double()
    matrices = crystal.places.matrices(difference, states.kpoints)
    c = states.vectors
    full = c.mH @ matrices @ c + states.rest + torch.diag_embed(states.energies).to(c.dtype)
    n = states.energies.shape[1]
    bands = slice(max(0, states.n_occupied - below), min(n, states.n_occupied + above))
    error = (torch.linalg.eigvalsh(full) - states.energies)[:, bands]
    return error - error.mean()


def _counted(states: StatePool, empty: float) -> int:
    more = max(1, round(empty * states.n_occupied))
    return min(states.energies.shape[1], states.n_occupied + more)
