"""Fermi-Dirac filling of the SCF's levels; Hartree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError

__all__ = ["Occupations", "fermi_occupations"]


@dataclass(frozen=True, eq=False)
class Occupations:
    """Filling of levels.

    ``numbers`` are electrons in each level, 0 … degeneracy (shape of the levels), ``fermi`` the
    chemical potential (Ha), ``entropy_energy`` −TS per cell (Ha).
    """

    numbers: NDArray[np.float64]
    fermi: float
    entropy_energy: float


def fermi_occupations(
    levels: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_electrons: float,
    smearing: float,
) -> Occupations:
    """Fill ``levels`` (n_spin, nk, nb) with ``weights`` (nk,) by f = 1/(e^{(ε−µ)/kT} + 1).

    A level holds two electrons for one spin and one for two; µ solves Σ w f = N to 1e-12.

    Raises:
        SettingsError: the levels cannot hold the electrons.
    """
    degeneracy = 2.0 / levels.shape[0]
    capacity = degeneracy * levels.shape[0] * levels.shape[2]
    if not 0 < n_electrons < capacity:
        raise SettingsError(f"{n_electrons:g} electrons do not fit into a basis for {capacity:g}.")

    def excess(mu: float) -> float:
        filled = scipy.special.expit((mu - levels) / smearing)
        return float(degeneracy * np.einsum("skb,k->", filled, weights) - n_electrons)

    margin = 100 * smearing + 1
    mu = scipy.optimize.brentq(
        excess, levels.min() - margin, levels.max() + margin, xtol=1e-14, rtol=1e-15
    )
    filled = scipy.special.expit((mu - levels) / smearing)
    mixing = scipy.special.xlogy(filled, filled) + scipy.special.xlogy(1 - filled, 1 - filled)
    entropy = degeneracy * smearing * np.einsum("skb,k->", mixing, weights)
    return Occupations(degeneracy * filled, float(mu), float(entropy))
