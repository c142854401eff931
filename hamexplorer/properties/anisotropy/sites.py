"""Where in the cell the anisotropy comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.observables import spin_orbit_by_site, thermal_by_k
from hamexplorer.properties.anisotropy.symmetry import magnetic_symmetry
from hamexplorer.properties.mesh import KMesh

__all__ = ["SiteAnisotropy", "site_resolution"]

_MAX_POINTS = 16


@dataclass(frozen=True, eq=False)
class SiteAnisotropy:
    """F(n₂) − F(n₁) in parts that belong to the sites.

    ``labels`` (``Fe1``, ``Pt1``), ``values`` (n_sites,) meV per cell, ``directions`` the two
    directions, ``state``, ``mesh``, ``smearing`` (eV) as computed, ``n_points`` Gauss points.
    """

    labels: tuple[str, ...]
    values: NDArray[np.float64]
    directions: Directions
    state: SpinState
    mesh: tuple[int, int, int]
    smearing: float
    n_points: int

    @property
    def total(self) -> float:
        """Their sum, meV per cell: F(n₂) − F(n₁) up to the error of the λ integral."""
        return float(self.values.sum())

    def to_dataframe(self) -> pd.DataFrame:
        """One row per site, meV per cell."""
        return pd.DataFrame({"site": self.labels, "meV": self.values})


def site_resolution(
    h: Hamiltonian,
    n1: tuple[float, float],
    n2: tuple[float, float],
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    soc: float = 1.0,
    exchange: float = 1.0,
    points: int = 4,
    monitor: Monitor | None = None,
) -> SiteAnisotropy:
    """F(n₂) − F(n₁) by site through coupling-constant integration.

    F(λ) − F(0) = ∫₀^λ dλ' ⟨∂H/∂λ'⟩ and F(0) does not depend on n, so that

        F(n₂) − F(n₁) = ∫₀^λ dλ' [⟨Σ_a σ_a ⊗ iΛ_a⟩_{λ', n₂} − ⟨…⟩_{λ', n₁}],

    with thermal occupations at a fixed number of electrons. The expectation value is a sum over
    pairs of sites; each gets half of a pair's. This is exact to all orders of λ but for the
    Gauss–Legendre quadrature.

    Args:
        h: a magnetic Hamiltonian with spin-orbit part.
        n1: θ and φ of the first direction, degrees.
        n2: θ and φ of the second.
        mesh: divisions of the Γ-centred mesh; default: spacing 0.25 1/Å.
        smearing: kT, eV.
        soc: λ, the upper limit of the integral.
        exchange: factor on the exchange field.
        points: Gauss points, 1 … 16.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, or a parameter out of range.
    """
    shape, kt = checked(h, mesh, smearing, exchange)
    directions = Directions.pair(n1, n2)
    if points not in range(1, _MAX_POINTS + 1):
        raise SettingsError(f"Gauss points are 1 … {_MAX_POINTS}, not {points!r}.")
    monitor = monitor or Monitor()
    monitor.report("Symmetry", 0.0)
    group = magnetic_symmetry(h, shape)
    full = KMesh(shape).full_kpoints
    state = SpinState(soc=soc, exchange=exchange)
    nodes, quadrature = np.polynomial.legendre.leggauss(points)
    strengths, quadrature = soc * (nodes + 1) / 2, soc * quadrature / 2
    measure = spin_orbit_by_site(h)
    values = np.zeros((2, h.basis.n_sites))
    steps = 2 * points
    for index in (0, 1):
        turned = replace(
            state, theta=float(directions.theta[index]), phi=float(directions.phi[index])
        )
        allowed = group.little_group(directions.vectors[index]) & group.keeps_sites
        reduction = group.reduction(allowed)
        for step, (strength, weight) in enumerate(zip(strengths, quadrature, strict=True)):
            base = index * points + step
            by_k = thermal_by_k(
                h,
                full[reduction.representatives],
                reduction.weights,
                replace(turned, soc=float(strength)),
                kt,
                measure,
                _reporter(monitor, base, steps),
            )
            values[index] += weight * (reduction.weights @ by_k)
    return SiteAnisotropy(
        h.basis.site_labels, 1e3 * (values[1] - values[0]), directions, state, shape, kt, points
    )


def _reporter(monitor: Monitor, base: int, steps: int) -> Any:
    return lambda part: monitor.report("Sites", (base + part) / steps)
