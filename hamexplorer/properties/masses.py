"""Effective masses at band edges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.mesh import dispersive_axes
from hamexplorer.properties.solver import BandSolver
from hamexplorer.units import HBAR2_OVER_ME

__all__ = ["EffectiveMass", "effective_masses", "masses_dataframe"]


@dataclass(frozen=True, eq=False)
class EffectiveMass:
    """Curvature of one band at one k-point.

    Attributes:
        band: index of the band, from 0.
        k: (3,), fractional.
        energy: eV.
        masses: (d,), in m_e, negative for holes; principal values, d dispersive directions.
        directions: (d, 3), unit Cartesian vectors of ``masses``.
        curvature: ∂²E/∂k_a∂k_b, (3, 3), eV Å².
        slope: |∂E/∂k|, eV Å; 0 at an extremum.
        nonparabolicity: how much the curvature changes, relative to its largest value, between
            one step and two and between the diagonals of each plane.
        step: step of the differences, 1/Å.
    """

    band: int
    k: NDArray[np.float64]
    energy: float
    masses: NDArray[np.float64]
    directions: NDArray[np.float64]
    curvature: NDArray[np.float64]
    slope: float
    nonparabolicity: float
    step: float

    @property
    def is_parabolic(self) -> bool:
        """Whether one mass tensor describes the band.

        That is, at the step's size, an extremum with the curvature of a quadratic form, both
        within 10 %.
        """
        largest = np.abs(self.curvature).max()
        return self.nonparabolicity < 0.1 and self.slope < 0.1 * largest * self.step


def effective_masses(
    h: Hamiltonian,
    k: ArrayLike,
    bands: Sequence[int],
    state: SpinState | None = None,
    *,
    step: float = 0.01,
) -> tuple[EffectiveMass, ...]:
    """Effective mass tensors m = ħ² (∂²E/∂k∂k)⁻¹ of ``bands`` at ``k`` (3,), fractional.

    The second derivatives are five-point differences in Cartesian k with ``step`` (1/Å), within
    the plane of a slab or along a chain. Bands are followed in order of energy: at a degeneracy
    with a warped or linear splitting no tensor exists, which
    :attr:`EffectiveMass.is_parabolic` says.

    Raises:
        SettingsError: bands or step out of range, or a Hamiltonian without any dispersion.
    """
    centre = np.asarray(k, dtype=np.float64)
    if centre.shape != (3,) or not np.isfinite(centre).all():
        raise SettingsError(f"One k-point (3 numbers) is needed, not {k!r}.")
    if not (np.isfinite(step) and 0 < step < 1):
        raise SettingsError(f"The step must lie between 0 and 1 1/Å, not {step!r}.")
    chosen = [int(b) for b in bands]
    if not chosen or min(chosen) < 0 or max(chosen) >= 2 * h.basis.n_orbitals:
        raise SettingsError(f"Bands are counted 0 … {2 * h.basis.n_orbitals - 1}, not {chosen}.")
    lattice = np.asarray(h.structure.lattice.matrix)
    axes = lattice[list(dispersive_axes(h))]
    if len(axes) == 0:
        raise SettingsError("No band disperses: no block leads to another cell.")
    frame = np.linalg.qr(axes.T)[0].T
    directions, planes = _directions(frame)
    offsets = step * np.array([-2, -1, 1, 2])[:, None, None] * directions
    fractions = np.concatenate([np.zeros((1, 3)), offsets.reshape(-1, 3)]) @ lattice.T / (2 * np.pi)
    energies = BandSolver(h, centre + fractions).energies(state)[:, chosen]
    sampled = energies[1:].reshape(4, len(directions), len(chosen))
    return tuple(
        _mass(band, centre, float(energies[0, column]), sampled[:, :, column], frame, planes, step)
        for column, band in enumerate(chosen)
    )


def _directions(
    frame: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """The axes, then both diagonals of every plane, as unit vectors (n, 3)."""
    planes = list(itertools.combinations(range(len(frame)), 2))
    diagonals = [(frame[i] + s * frame[j]) / np.sqrt(2) for i, j in planes for s in (1, -1)]
    return np.array([*frame, *diagonals]), planes


def _mass(
    band: int,
    k: NDArray[np.float64],
    energy: float,
    sampled: NDArray[np.float64],
    frame: NDArray[np.float64],
    planes: list[tuple[int, int]],
    step: float,
) -> EffectiveMass:
    far_minus, minus, plus, far_plus = sampled
    near = (plus + minus - 2 * energy) / step**2
    far = (far_plus + far_minus - 2 * energy) / (4 * step**2)
    second = (4 * near - far) / 3
    first = (8 * (plus - minus) - (far_plus - far_minus)) / (12 * step)
    d = len(frame)
    form = np.diag(second[:d])
    mismatch = [0.0]
    for index, (i, j) in enumerate(planes):
        along, across = second[d + 2 * index], second[d + 2 * index + 1]
        form[i, j] = form[j, i] = (along - across) / 2
        mismatch.append(abs(along + across - second[i] - second[j]))
    largest = max(float(np.abs(second).max()), 1e-12)
    change = max(float(np.abs(near - far).max()), *mismatch) / largest
    values, vectors = np.linalg.eigh(form)
    with np.errstate(divide="ignore"):
        masses = HBAR2_OVER_ME / values
    return EffectiveMass(
        band,
        k,
        energy,
        masses,
        vectors.T @ frame,
        frame.T @ form @ frame,
        float(np.linalg.norm(first[:d])),
        change,
        step,
    )


def masses_dataframe(masses: Sequence[EffectiveMass]) -> pd.DataFrame:
    """One row per band and principal direction; masses in m_e, energies in eV."""
    return pd.DataFrame(
        [
            {
                "band": m.band,
                "k1": m.k[0],
                "k2": m.k[1],
                "k3": m.k[2],
                "energy_eV": m.energy,
                "mass_me": mass,
                "dir_x": way[0],
                "dir_y": way[1],
                "dir_z": way[2],
                "is_parabolic": m.is_parabolic,
            }
            for m in masses
            for mass, way in zip(m.masses, m.directions, strict=True)
        ]
    )
