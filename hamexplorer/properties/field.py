"""An exchange or Zeeman field from outside, on all atoms or on some: proximity and magnets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.units import BOHR_MAGNETON_EV_T

__all__ = ["ELECTRON_G", "spin_splitting_of_tesla", "with_field"]

ELECTRON_G = 2.00231930436
"""Magnitude of the free electron's g factor (CODATA 2018)."""


def with_field(h: Hamiltonian, splitting: float, sites: Iterable[int] | None = None) -> Hamiltonian:
    """``h`` in a field that splits the spins of chosen atoms by ``splitting`` meV.

    ΔH = (Δ/2) n·σ ⊗ W with W_ij = ½ (w_i + w_j) S_ij, w = 1 on the chosen atoms and 0 elsewhere:
    for all atoms every state's two spins move by ±Δ/2 exactly. The field is added to the exchange
    part, so that it lies along n(θ, φ) of the spin dial (for a collinear magnet: along its
    magnetisation). Positive Δ raises the states whose spin points along n, as the field of a
    ferromagnet whose moments point along −n does, or a magnetic field along n.

    Args:
        h: the Hamiltonian.
        splitting: Δ, meV.
        sites: indices of the atoms; default all.

    Raises:
        SettingsError: Δ is not finite or beyond ±10 eV, or a site is not there.
    """
    if not np.isfinite(splitting) or abs(splitting) > 1e4:
        raise SettingsError(f"A field splits by −10000 … 10000 meV, not {splitting!r}.")
    weight = np.ones(h.basis.n_sites)
    if sites is not None:
        chosen = np.array(sorted(set(sites)), dtype=np.int64)
        if not chosen.size or chosen[0] < 0 or chosen[-1] >= h.basis.n_sites:
            raise SettingsError(
                f"A field needs one or more sites of 0 … {h.basis.n_sites - 1}, "
                f"not {chosen.tolist()}."
            )
        weight[:] = 0
        weight[chosen] = 1
    mean = (weight[h.pairs.first] + weight[h.pairs.second]) / 2
    added = splitting * 1e-3 / 2 * mean[h.pairs.element_pair] * h.overlap
    if h.exchange is None:
        return replace(h, exchange=added)
    if h.exchange.ndim == 1:
        return replace(h, exchange=h.exchange + added)
    # its own frame's z is what the dial turns to n
    total = h.exchange.copy()
    total[2] += added
    return replace(h, exchange=total)


def spin_splitting_of_tesla(field: float) -> float:
    """Zeeman splitting of the spins by a magnetic field: g µB B, meV for tesla.

    The orbital moment's part is not in it; it shifts a band by −m·B.
    """
    if not np.isfinite(field):
        raise SettingsError(f"A magnetic field is a finite number of tesla, not {field!r}.")
    return ELECTRON_G * BOHR_MAGNETON_EV_T * field * 1e3
