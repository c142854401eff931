"""Group velocities v = ∂E/∂(ħk)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.derivative import BlochGradient
from hamexplorer.properties.parallel import single_threaded_blas
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.tables import band_table
from hamexplorer.properties.weights import DEGENERACY
from hamexplorer.units import HBAR_EV_S

__all__ = ["GroupVelocity", "group_velocity"]

_CHUNK = 16


@dataclass(frozen=True, eq=False)
class GroupVelocity:
    """Slopes of bands.

    Attributes:
        kpoints: (nk, 3), fractional.
        energies: (nk, nb), eV.
        slopes: ħv = ∂E/∂k, (nk, nb, 3), Cartesian, eV Å.
        first_band: index of the first band.
    """

    kpoints: NDArray[np.float64]
    energies: NDArray[np.float64]
    slopes: NDArray[np.float64]
    first_band: int

    @property
    def metres_per_second(self) -> NDArray[np.float64]:
        """v, (nk, nb, 3), m/s."""
        return self.slopes * 1e-10 / HBAR_EV_S

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k and band: energy in eV, ħv in eV Å."""
        bands = np.arange(self.energies.shape[1]) + self.first_band
        frame = band_table(self.kpoints, bands, self.energies)
        for a, axis in enumerate("xyz"):
            frame[f"hbar_v{axis}_eV_A"] = self.slopes[..., a].ravel()
        return frame


def group_velocity(
    h: Hamiltonian,
    kpoints: ArrayLike,
    state: SpinState | None = None,
    *,
    window: tuple[int, int] | None = None,
) -> GroupVelocity:
    """ħv_a = c† (∂H/∂k_a − E ∂S/∂k_a) c at ``kpoints`` (nk, 3).

    Within degenerate states each Cartesian component is diagonalised by itself: the slopes, in
    ascending order, are those of the bands on moving from k along that axis.

    Raises:
        SettingsError: ``kpoints`` or ``window`` is out of range.
    """
    states = BandSolver(h, kpoints).states(state, window=window)
    slopes = np.empty((*states.energies.shape, 3))
    gradient = BlochGradient(h, device=torch.device("cpu"))
    with single_threaded_blas():
        for start in range(0, len(states.kpoints), _CHUNK):
            part = slice(start, start + _CHUNK)
            derivative = gradient(states.kpoints[part], state)
            slopes[part] = _slopes(
                derivative.hamiltonian.numpy(),
                derivative.overlap.numpy(),
                states.energies[part],
                states.coefficients[part],
            )
    return GroupVelocity(states.kpoints, states.energies, slopes, states.first_band)


def _slopes(
    dh: NDArray[np.complex128],
    ds: NDArray[np.complex128],
    energies: NDArray[np.float64],
    c: NDArray[np.complex128],
) -> NDArray[np.float64]:
    nk, nb = energies.shape
    spins = c.reshape(nk, 2, -1, nb)
    moved = (ds[:, :, None] @ spins[:, None]).reshape(nk, 3, -1, nb)
    operator = dh @ c[:, None] - moved * energies[:, None, None]
    result = np.einsum("kib,kaib->kba", c.conj(), operator).real
    for k, level in enumerate(energies):
        edges = np.flatnonzero(np.diff(level, prepend=-np.inf, append=np.inf) > DEGENERACY)
        for start, stop in itertools.pairwise(edges):
            if stop - start < 2:
                continue
            inner = c[k, :, start:stop].conj().T @ operator[k, :, :, start:stop]
            hermitian = (inner + inner.conj().swapaxes(1, 2)) / 2
            result[k, start:stop] = np.linalg.eigvalsh(hermitian).T
    return result
