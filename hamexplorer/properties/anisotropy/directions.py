"""Directions of the magnetisation: arcs, rings and the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError

__all__ = ["Directions", "angles", "unit_vectors"]

_MAX_DIRECTIONS = 10_000
_GOLDEN_ANGLE = 180.0 * (3.0 - math.sqrt(5.0))


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions n(θ, φ) of the magnetisation.

    ``theta`` (nd,) polar angles from z and ``phi`` (nd,) azimuths from x, degrees.

    Raises:
        SettingsError: no direction, too many, lengths that differ, or an angle that is not a
            finite number.
    """

    theta: NDArray[np.float64]
    phi: NDArray[np.float64]

    def __post_init__(self) -> None:
        theta, phi = _numbers("theta", self.theta), _numbers("phi", self.phi)
        if len(theta) != len(phi):
            raise SettingsError(
                f"Every direction has a theta and a phi; given are {len(theta)} and {len(phi)}."
            )
        object.__setattr__(self, "theta", theta)
        object.__setattr__(self, "phi", phi)

    @classmethod
    def pair(cls, n1: tuple[float, float], n2: tuple[float, float]) -> Directions:
        """Two directions, each (θ, φ) in degrees."""
        try:
            (t1, p1), (t2, p2) = n1, n2
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"A direction is (theta, phi) in degrees; given are {n1!r} and {n2!r}."
            ) from error
        return cls(_numbers("theta", [t1, t2]), _numbers("phi", [p1, p2]))

    @classmethod
    def arc(cls, theta: ArrayLike, phi: float = 0.0) -> Directions:
        """Polar angles ``theta`` (degrees) at one azimuth."""
        values = _numbers("theta", theta)
        return cls(values, np.full(len(values), _number("phi", phi)))

    @classmethod
    def ring(cls, phi: ArrayLike, theta: float = 90.0) -> Directions:
        """Azimuths ``phi`` (degrees) at one polar angle."""
        values = _numbers("phi", phi)
        return cls(np.full(len(values), _number("theta", theta)), values)

    @classmethod
    def sphere(cls, n: int) -> Directions:
        """``n`` directions spread evenly: a Fibonacci spiral over the upper half and its
        antipodes, which have the same energy and cost nothing if the field is collinear.
        """
        count = _number("n", n)
        if count != int(count) or not 2 <= count <= _MAX_DIRECTIONS:
            raise SettingsError(
                f"A sphere has 2 … {_MAX_DIRECTIONS} directions (a whole number), not {n!r}."
            )
        upper = math.ceil(count / 2)
        index = np.arange(upper)
        theta = np.degrees(np.arccos(1.0 - (index + 0.5) / upper))
        phi = (index * _GOLDEN_ANGLE) % 360.0
        lower = int(count) - upper
        return cls(
            np.concatenate([theta, 180.0 - theta[:lower]]),
            np.concatenate([phi, (phi[:lower] + 180.0) % 360.0]),
        )

    def __len__(self) -> int:
        return len(self.theta)

    @cached_property
    def vectors(self) -> NDArray[np.float64]:
        """Unit vectors, (nd, 3), Cartesian."""
        return unit_vectors(self.theta, self.phi)


def unit_vectors(theta: ArrayLike, phi: ArrayLike) -> NDArray[np.float64]:
    """(sin θ cos φ, sin θ sin φ, cos θ) of angles in degrees, (..., 3)."""
    t, p = np.radians(np.asarray(theta, float)), np.radians(np.asarray(phi, float))
    return np.stack(
        np.broadcast_arrays(np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)), axis=-1
    )


def angles(vectors: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """θ and φ in degrees of vectors (..., 3); φ = 0 at the poles."""
    v = np.asarray(vectors, dtype=float)
    across = np.hypot(v[..., 0], v[..., 1])
    theta = np.degrees(np.arctan2(across, v[..., 2]))
    phi = np.where(across > 1e-12, np.degrees(np.arctan2(v[..., 1], v[..., 0])), 0.0)
    return theta, phi


def _number(name: str, value: object) -> float:
    values = _numbers(name, value)
    if len(values) != 1:
        raise SettingsError(f"{name} must be one number, not {len(values)}.")
    return float(values[0])


def _numbers(name: str, value: object) -> NDArray[np.float64]:
    """A copy as (n,) finite numbers that nobody can change."""
    try:
        array = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name} must be angles in degrees, not {value!r}.") from error
    if array.ndim != 1 or not len(array):
        raise SettingsError(f"{name} must be a list of at least one angle, not {value!r}.")
    if len(array) > _MAX_DIRECTIONS:
        raise SettingsError(f"Up to {_MAX_DIRECTIONS} directions are accepted, not {len(array)}.")
    if not np.isfinite(array).all():
        wrong = array[~np.isfinite(array)][0]
        raise SettingsError(f"{name} must be finite angles in degrees; one of them is {wrong}.")
    array.setflags(write=False)
    return array
