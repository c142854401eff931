"""What the plots of the anisotropy energy have in common: units, curves, the hemisphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy import AnisotropyEnergy

__all__ = [
    "UNITS",
    "AngleCurve",
    "DirectionalEnergy",
    "Unit",
    "angle_curve",
    "energy_label",
    "hemisphere",
    "polar_outline",
    "projected",
    "unit_factor",
]

Unit = Literal["meV_per_cell", "meV_per_atom", "ueV_per_atom", "MJ_per_m3"]
UNITS: dict[Unit, str] = {
    "meV_per_cell": "meV/cell",
    "meV_per_atom": "meV/atom",
    "ueV_per_atom": "µeV/atom",
    "MJ_per_m3": "MJ/m³",
}
"""Units of anisotropy energies and how they are written."""

_STEPS = 181
_Array = NDArray[np.float64]


class DirectionalEnergy(Protocol):
    """A smooth E(θ, φ), such as fitted anisotropy constants."""

    def energy(self, theta: ArrayLike, phi: ArrayLike) -> _Array:
        """Energy in meV per cell of angles in degrees, up to a constant."""
        ...


@dataclass(frozen=True, eq=False)
class AngleCurve:
    """Energy against one angle, in one unit, from a common zero.

    Attributes:
        angle: the one that runs, ``theta`` or ``phi``.
        fixed: the other one's value, degrees.
        x: angles of the points, degrees, (n,).
        energy: of the points, (n,).
        fit_x: angles of the smooth curve; without a fit those of the points.
        fit_energy: of the smooth curve.
    """

    angle: Literal["theta", "phi"]
    fixed: float
    x: _Array
    energy: _Array
    fit_x: _Array
    fit_energy: _Array


def unit_factor(result: AnisotropyEnergy, unit: Unit) -> float:
    """What one meV per cell is in ``unit``.

    Raises:
        SettingsError: an unknown unit.
    """
    if unit not in UNITS:
        raise SettingsError(f"Anisotropies are given in {', '.join(UNITS)}; not in {unit!r}.")
    return result.units(1.0)[unit]


def energy_label(unit: Unit) -> str:
    """Axis label of energies from the smallest one."""
    return f"E − E_min ({UNITS[unit]})"


def angle_curve(
    result: AnisotropyEnergy,
    constants: DirectionalEnergy | None = None,
    unit: Unit = "meV_per_cell",
    zero: float | None = None,
) -> AngleCurve:
    """The points of an arc or a ring and the curve through them.

    ``zero``, eV, is the energy that counts as 0; default: the smallest of ``result``. A fit, whose
    own zero means nothing, is shifted onto the points.

    Raises:
        SettingsError: one direction only, or both angles change.
    """
    theta, phi = result.directions.theta, result.directions.phi
    if len(theta) < 2:
        raise SettingsError(
            "A curve needs at least two directions; this result holds one "
            f"(θ = {theta[0]:g}°, φ = {phi[0]:g}°). Give several angles, such as 0, 15 … 90."
        )
    if np.ptp(phi) and np.ptp(theta):
        raise SettingsError(
            "A curve needs directions in which only θ or only φ changes; these change both. "
            "Draw them as a sphere."
        )
    runs_theta = bool(np.ptp(theta)) or not np.ptp(phi)
    factor = unit_factor(result, unit)
    x = theta if runs_theta else phi
    order = np.argsort(x, kind="stable")
    x = x[order]
    reference = result.energies.min() if zero is None else zero
    energy = factor * 1e3 * (result.energies - reference)[order]
    fit_x, fit_energy = x, energy
    if constants is not None:
        fit_x = np.linspace(x[0], x[-1], _STEPS)
        angles = (fit_x, phi[0]) if runs_theta else (theta[0], fit_x)
        shift = energy.mean() - factor * constants.energy(theta, phi).mean()
        fit_energy = factor * constants.energy(*np.broadcast_arrays(*angles)) + shift
    return AngleCurve(
        angle="theta" if runs_theta else "phi",
        fixed=float(phi[0] if runs_theta else theta[0]),
        x=x,
        energy=energy,
        fit_x=fit_x,
        fit_energy=fit_energy,
    )


def polar_outline(curve: AngleCurve) -> tuple[_Array, _Array]:
    """The curve as a closed one, (angle in degrees, energy), by E(n) = E(−n).

    A curve over less than 180° stays the piece that it is, one over 360° is closed already.
    """
    x, energy = curve.fit_x, curve.fit_energy
    if not 179.9 <= np.ptp(x) < 359.9:
        return x, energy
    inside = x < x[0] + 180.0 - 1e-9
    x, energy = x[inside], energy[inside]
    angle = np.concatenate([x, x + 180.0, x[:1] + 360.0])
    return angle, np.concatenate([energy, energy, energy[:1]])


def projected(theta: ArrayLike, phi: ArrayLike) -> tuple[_Array, _Array]:
    """Directions on the map of the upper hemisphere: its middle is z, its rim θ = 90°.

    The distance from the middle is θ/90°. A direction below the plane is drawn where its
    opposite is, which has the same energy.
    """
    t, p = np.broadcast_arrays(np.asarray(theta, float), np.asarray(phi, float))
    below = t > 90.0
    radius = np.where(below, 180.0 - t, t) / 90.0
    azimuth = np.radians(np.where(below, p + 180.0, p))
    return radius * np.cos(azimuth), radius * np.sin(azimuth)


def hemisphere(constants: DirectionalEnergy, steps: int = 121) -> _Array:
    """Energies on the map of :func:`projected`, from the smallest one, meV per cell.

    (steps, steps), rows from y = −1 to 1, columns from x = −1 to 1; NaN beside the disc.
    """
    axis = np.linspace(-1.0, 1.0, steps)
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    theta = 90.0 * np.minimum(radius, 1.0)
    values: _Array = np.array(constants.energy(theta, np.degrees(np.arctan2(y, x))))
    inside = radius <= 1.0 + 1.0 / steps
    values -= values[inside].min()
    values[~inside] = np.nan
    return values
