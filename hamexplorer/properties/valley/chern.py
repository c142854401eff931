"""How much Berry curvature each half of the zone holds: valley Chern contributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.berry import band_geometry
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.structures.zone import PlanarZone, planar_zone

__all__ = ["ValleyChern", "valley_chern"]

# Radon's rule of degree 5 on a triangle: barycentric coordinates and weights.
_A, _B = (6 - np.sqrt(15)) / 21, (6 + np.sqrt(15)) / 21
_PLACES = np.array(
    [[1 / 3] * 3]
    + [[1 - 2 * t if i == j else t for j in range(3)] for t in (_A, _B) for i in range(3)]
)
_WEIGHTS = np.array([0.225] + [(155 - np.sqrt(15)) / 1200] * 3 + [(155 + np.sqrt(15)) / 1200] * 3)


@dataclass(frozen=True, eq=False)
class ValleyChern:
    """(1/2π) ∫ Ω d²k of the filled bands over the half of the zone around each valley.

    Attributes:
        k, k_prime: the two contributions.
        error: estimate of the integration's error in each.
        n_kpoints: k-points used.
        state: λ and the magnetisation.
        position: ``exact`` or ``diagonal``: the position operator used.
    """

    k: float
    k_prime: float
    error: float
    n_kpoints: int
    state: SpinState
    position: str

    @property
    def total(self) -> float:
        """The Chern number of the filled bands."""
        return self.k + self.k_prime

    @property
    def valley(self) -> float:
        """C_v = (C_K − C_K′)/2; ±1/2 per spin for a small gap at the valleys."""
        return (self.k - self.k_prime) / 2

    def to_dataframe(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame(
            [{"C_K": self.k, "C_K_prime": self.k_prime, "C": self.total, "C_valley": self.valley}]
        )


def valley_chern(
    h: Hamiltonian,
    state: SpinState | None = None,
    *,
    tolerance: float = 2e-3,
    max_kpoints: int = 20_000,
    monitor: Monitor | None = None,
) -> ValleyChern:
    """Berry curvature of the filled bands integrated around K and around K′.

    Each half is the triangle of :meth:`~hamexplorer.structures.zone.PlanarZone.half`, halved
    again and again where the curvature is sharp (Radon's 7-point rule; a triangle's error is the
    difference to its four parts).

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: no valleys, no whole number of filled bands, a tolerance that is not
            positive, or the limit of k-points is reached before it (a gap that is nearly closed).
    """
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise SettingsError(f"A tolerance is a positive number, not {tolerance!r}.")
    state = state or SpinState()
    zone = planar_zone(h.structure)
    if not zone.has_valleys:
        raise SettingsError(f"A {zone.lattice} lattice has no two valleys K and K′.")
    integral = _Integral(h, state, zone, edge_bands(h)[2], max_kpoints, monitor)
    symmetric = h.is_time_reversal_symmetric(state)
    halves = 1 if symmetric else 2
    k, error = integral.over(zone.half("K"), tolerance, 0.0, 1 / halves)
    if symmetric:
        k_prime, other = -k, error  # Ω(−k) = −Ω(k)
    else:
        k_prime, other = integral.over(zone.half("K′"), tolerance, 0.5, 0.5)
    return ValleyChern(k, k_prime, max(error, other), integral.used, state, integral.position)


class _Integral:
    """Adaptive integration of the filled bands' curvature over triangles."""

    def __init__(
        self,
        h: Hamiltonian,
        state: SpinState,
        zone: PlanarZone,
        filled: int,
        limit: int,
        monitor: Monitor | None,
    ) -> None:
        self._h, self._state, self._zone, self._filled = h, state, zone, filled
        self._limit, self._monitor = limit, monitor
        self.used = 0
        self._done = 0.0
        self.position = "exact" if h.has_position else "diagonal"

    def over(
        self, triangle: NDArray[np.float64], tolerance: float, begin: float, share: float
    ) -> tuple[float, float]:
        """(1/2π) ∫ Ω over ``triangle`` (3, 2), and its error.

        It is reported as the part ``share`` of the whole, from ``begin`` on.
        """
        self._done = begin
        triangles = _parts(_parts(triangle[None]))
        values = self._rule(triangles)
        total = error = 0.0
        while len(triangles):
            children = _parts(triangles)
            finer = self._rule(children)
            change = np.abs(finer.reshape(4, -1).sum(axis=0) - values)
            # the finer value is much better than the difference says
            allowed = tolerance * _area(triangles) / _area(triangle[None])
            good = change < allowed
            self._done += share * float(_area(triangles)[good].sum() / _area(triangle[None])[0])
            total += float(finer.reshape(4, -1)[:, good].sum())
            error += float(change[good].sum())
            bad = np.tile(~good, 4)
            triangles, values = children[bad], finer[bad]
        return total, error

    def _rule(self, triangles: NDArray[np.float64]) -> NDArray[np.float64]:
        self.used += 7 * len(triangles)
        if self.used > self._limit:
            raise SettingsError(
                f"The Berry curvature is too sharp for {self._limit} k-points: the gap nearly "
                "closes somewhere. Allow more k-points or a larger tolerance."
            )
        if self._monitor is not None:
            self._monitor.report("Valley Chern numbers", self._done, f"{self.used} k-points")
        points = np.einsum("pv,tvx->tpx", _PLACES, triangles).reshape(-1, 2)
        geometry = band_geometry(
            self._h,
            self._zone.kpoints(points),
            self._state,
            bands=[self._filled - 1],
            occupied=self._filled,
            normal=self._zone.normal,
        )
        assert geometry.occupied_curvature is not None
        curvature = geometry.occupied_curvature.reshape(len(triangles), -1)
        return curvature @ _WEIGHTS * _area(triangles) / (2 * np.pi)


def _parts(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each triangle (nt, 3, 2) cut into four; part p of triangle t is row p nt + t."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.concatenate([np.stack(corners, axis=1) for corners in quarters])


def _area(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
