"""Spin textures: the spin of each band over k, on paths and over the zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.tables import band_table
from hamexplorer.properties.weights import spin_expectation

__all__ = ["SpinTexture", "spin_texture"]


@dataclass(frozen=True, eq=False)
class SpinTexture:
    """Spin by band, so that a picture never jumps from one band to another.

    Attributes:
        kpoints: (nk, 3), fractional.
        bands: index of each band among all, (nb,).
        energies: (nk, nb), eV.
        spin: ⟨σ_x,y,z⟩, (nk, nb, 3), −1 … 1; the spin itself is half of it, in ħ. Averaged over
            degenerate states.
        state: λ and the magnetisation.
    """

    kpoints: NDArray[np.float64]
    bands: NDArray[np.int64]
    energies: NDArray[np.float64]
    spin: NDArray[np.float64]
    state: SpinState

    def along(self, direction: ArrayLike) -> NDArray[np.float64]:
        """⟨σ·u⟩ along ``direction`` (3,), which is made a unit vector; (nk, nb)."""
        u = np.asarray(direction, dtype=float)
        return self.spin @ (u / np.linalg.norm(u))

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k and band: energy in eV, ⟨σ⟩."""
        frame = band_table(self.kpoints, self.bands, self.energies)
        for a, axis in enumerate("xyz"):
            frame[f"spin_{axis}"] = self.spin[..., a].ravel()
        return frame


def spin_texture(
    h: Hamiltonian,
    kpoints: ArrayLike,
    state: SpinState | None = None,
    *,
    window: tuple[int, int] | None = None,
) -> SpinTexture:
    """⟨σ_a⟩ = c† (σ_a ⊗ S) c of every band at ``kpoints`` (nk, 3).

    ``window`` = (first, last) band, both included. A set of degenerate bands that the window cuts
    is averaged whole.

    Raises:
        SettingsError: k-points or window out of range.
    """
    state = state or SpinState()
    solver = BandSolver(h, kpoints)
    chosen = solver.band_slice(window)
    first, last = chosen.start, chosen.stop - 1
    wide = (max(first - 3, 0), min(last + 3, solver.n_bands - 1))
    states = solver.states(state, window=wide)
    inside = slice(first - wide[0], last - wide[0] + 1)
    return SpinTexture(
        states.kpoints,
        np.arange(first, last + 1),
        states.energies[:, inside],
        spin_expectation(states)[:, inside],
        state,
    )
