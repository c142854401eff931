"""The torque on the magnetisation: an independent way to the anisotropy."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.observables import exchange_by_band, thermal_by_k
from hamexplorer.properties.anisotropy.symmetry import magnetic_symmetry
from hamexplorer.properties.mesh import KMesh

__all__ = ["Torque", "torque"]


@dataclass(frozen=True, eq=False)
class Torque:
    """Derivatives of the free energy with respect to the direction.

    ``theta`` = ∂F/∂θ and ``phi`` = ∂F/∂φ, eV per radian and cell, (nd,), at ``directions``;
    ``state``, ``mesh`` and ``smearing`` (eV) as computed.
    """

    directions: Directions
    theta: NDArray[np.float64]
    phi: NDArray[np.float64]
    state: SpinState
    mesh: tuple[int, int, int]
    smearing: float

    def to_dataframe(self) -> pd.DataFrame:
        """One row per direction; torques in meV per radian and cell."""
        return pd.DataFrame(
            {
                "theta_deg": self.directions.theta,
                "phi_deg": self.directions.phi,
                "dE_dtheta_meV_per_rad": 1e3 * self.theta,
                "dE_dphi_meV_per_rad": 1e3 * self.phi,
            }
        )


def torque(
    h: Hamiltonian,
    directions: Directions,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    soc: float = 1.0,
    exchange: float = 1.0,
    monitor: Monitor | None = None,
) -> Torque:
    """∂F/∂θ = Σ f ⟨ψ| Σ_ab (∂R_ab/∂θ) σ_a ⊗ B_b |ψ⟩, and the same for φ.

    Only the exchange field depends on the direction, and the free energy at a fixed number of
    electrons is stationary in states, occupations and level (Hellmann–Feynman); X. Wang, R. Wu,
    D. Wang, A. J. Freeman, Phys. Rev. B 54, 61 (1996) for uniaxial crystals at θ = 45°.

    Arguments and errors as :func:`magnetic_anisotropy`'s.
    """
    shape, kt = checked(h, mesh, smearing, exchange)
    monitor = monitor or Monitor()
    monitor.report("Symmetry", 0.0)
    group = magnetic_symmetry(h, shape)
    full = KMesh(shape).full_kpoints
    state = SpinState(soc=soc, exchange=exchange)
    count = len(directions)
    theta, phi = np.empty(count), np.empty(count)
    for index in range(count):
        turned = replace(
            state, theta=float(directions.theta[index]), phi=float(directions.phi[index])
        )
        operations = group.little_group(directions.vectors[index])
        reduction = group.reduction(operations)
        by_k = thermal_by_k(
            h,
            full[reduction.representatives],
            reduction.weights,
            turned,
            kt,
            exchange_by_band,
            _reporter(monitor, index, count),
        )
        field = exchange * np.einsum("k,kac->ac", reduction.weights, by_k)
        if group.order > 1:  # the gradient turns with the operation that brings k to another
            field = group.n[operations].mean(axis=0) @ field
        first = 3 - field.shape[1]
        by_theta, by_phi = _rotation_derivatives(turned)
        theta[index] = float((by_theta[:, first:] * field).sum())
        phi[index] = float((by_phi[:, first:] * field).sum())
    return Torque(directions, theta, phi, state, shape, kt)


def _reporter(monitor: Monitor, index: int, count: int) -> Any:
    return lambda part: monitor.report("Torque", (index + part) / count)


def _rotation_derivatives(
    state: SpinState,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """∂R/∂θ and ∂R/∂φ of R_z(φ) R_y(θ), (3, 3) each, per radian."""
    t, p = math.radians(state.theta), math.radians(state.phi)
    around_y = np.array([[math.cos(t), 0, math.sin(t)], [0, 1, 0], [-math.sin(t), 0, math.cos(t)]])
    d_y = np.array([[-math.sin(t), 0, math.cos(t)], [0, 0, 0], [-math.cos(t), 0, -math.sin(t)]])
    around_z = np.array([[math.cos(p), -math.sin(p), 0], [math.sin(p), math.cos(p), 0], [0, 0, 1]])
    d_z = np.array([[-math.sin(p), -math.cos(p), 0], [math.cos(p), -math.sin(p), 0], [0, 0, 0]])
    return around_z @ d_y, d_z @ around_y
