"""The free energy of a band structure at a fixed number of electrons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hamexplorer.errors import SettingsError

__all__ = ["chemical_potential", "free_energy", "grand_potential"]

_ENOUGH = 1e-13
_WHOLE = 1e-6


def grand_potential(
    energies: NDArray[np.float64], level: float, smearing: float
) -> NDArray[np.float64]:
    """Ω_k = −kT Σ_b ln(1 + exp((μ − ε_kb)/kT)), eV, (nk,), of ``energies`` (nk, nb), eV.

    kT = ``smearing``; written so that neither tail overflows.
    """
    x = (level - energies) / smearing
    result: NDArray[np.float64] = -smearing * (
        np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    ).sum(axis=1)
    return result


def chemical_potential(
    energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_electrons: float,
    smearing: float,
    guess: float | None = None,
) -> float:
    """The μ at which Σ_k w_k Σ_b f((ε_kb − μ)/kT) = ``n_electrons``, f Fermi–Dirac, eV.

    Newton's method, kept inside a bracket, from the middle of the gap where there is one: in a
    gap much wider than kT any level gives the number of electrons.

    Raises:
        SettingsError: the bands are empty or full: nothing depends on a level.
    """
    if not 0 < n_electrons < energies.shape[1]:
        raise SettingsError(
            f"{n_electrons:g} electrons in {energies.shape[1]} bands: the bands are empty or full, "
            "and their energy does not depend on the direction of the magnetisation."
        )
    low, high = energies.min() - 60 * smearing, energies.max() + 60 * smearing
    level = _gap_middle(energies, n_electrons)
    if level is None:
        level = guess if guess is not None and low < guess < high else (low + high) / 2
    for _ in range(200):
        filled = expit((level - energies) / smearing)
        by_k = filled.sum(axis=1)
        excess = float(weights @ by_k) - n_electrons
        if abs(excess) < _ENOUGH * max(1.0, n_electrons) or high - low < 1e-15 * abs(level):
            break
        low, high = (level, high) if excess < 0 else (low, level)
        slope = float(weights @ (by_k - (filled * filled).sum(axis=1))) / smearing
        step = level - excess / slope if slope > 1e-12 else low - 1.0
        level = step if low < step < high else (low + high) / 2
    return float(level)


def _gap_middle(energies: NDArray[np.float64], n_electrons: float) -> float | None:
    """Middle of the gap above as many bands as there are electrons; None if there is none."""
    bands = round(n_electrons)
    if abs(n_electrons - bands) > _WHOLE:
        return None
    ordered = np.sort(energies, axis=1)
    top, bottom = ordered[:, bands - 1].max(), ordered[:, bands].min()
    return float((top + bottom) / 2) if bottom > top else None


def free_energy(
    energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_electrons: float,
    smearing: float,
    guess: float | None = None,
) -> tuple[float, float]:
    """F = Σ_k w_k Ω_k(μ) + μ N, eV, and μ, eV, where μ fixes the number of electrons.

    ``energies`` (nk, nb), eV; ``weights`` (nk,) sum to 1. ∂F/∂μ = 0 at the solution: an error
    δμ, or one level used for several directions, costs only (δμ)² N(E_F)/2.
    """
    level = chemical_potential(energies, weights, n_electrons, smearing, guess)
    omega = float(weights @ grand_potential(energies, level, smearing))
    return omega + level * n_electrons, level
