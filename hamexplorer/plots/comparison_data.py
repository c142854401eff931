"""Comparisons of two Hamiltonians as the arrays that every renderer draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.plots.band_data import Lines, axis_label, lines
from hamexplorer.plots.palette import CATEGORIES, theme
from hamexplorer.properties import BandStructure
from hamexplorer.properties.bands import Zero
from hamexplorer.properties.comparison import Comparison

__all__ = [
    "BANDS_AXIS",
    "DISTANCE_AXIS",
    "ELEMENT_AXIS",
    "SECOND",
    "DistanceErrors",
    "KErrors",
    "Overlay",
    "ShellErrors",
    "distance_errors",
    "k_errors",
    "overlay",
    "reference_colour",
    "shell_errors",
    "short_names",
    "symbol",
]

SECOND = CATEGORIES[1]
"""Colour of the second Hamiltonian's bands, and of largest errors."""
BANDS_AXIS = "|ΔE| (meV)"
DISTANCE_AXIS = "distance (Å)"
ELEMENT_AXIS = "|Δ element| (meV)"
_REACH = 4.0  # eV beyond the window for which bands are drawn
_MARGIN = 0.03  # of the window, above and below
_FLOOR = 1e-7  # meV
_LONG = 34
_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Overlay:
    """Bands of both: ``first`` and ``second`` polylines (1/Å, eV from ``zero``).

    ``window`` is the range of energies to show, ``label`` of the energy axis, ``fermi`` the
    reference's Fermi level; ``worst`` None or the place (1/Å, eV) of the largest error in the
    second's bands.
    """

    first: Lines
    second: Lines
    window: tuple[float, float]
    label: str
    fermi: float
    worst: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class KErrors:
    """Mean and largest |ΔE| along the path, meV; NaN between its pieces and where none is."""

    x: _Array
    mean: _Array
    largest: _Array


@dataclass(frozen=True, eq=False)
class DistanceErrors:
    """Mean and largest |Δ| of coordination shells, meV, by distance, Å; zeros are left out."""

    distance: _Array
    mean: _Array
    largest: _Array
    count: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShellErrors:
    """Mean |Δ| of pairs of shells, meV, (n, n); NaN where there is no block."""

    shells: tuple[str, ...]
    values: _Array
    component: str

    @property
    def largest(self) -> float:
        """Upper end of the colours, meV."""
        return float(np.nanmax(self.values, initial=0.0)) or 1.0

    @property
    def caption(self) -> str:
        """What the colours mean."""
        return f"mean |Δ{symbol(self.component)}| (meV)"


def reference_colour(dark: bool) -> str:
    """Of the reference's bands."""
    return theme(dark).fermi


def overlay(result: Comparison) -> Overlay:
    """Both ones' bands near the window, from the reference's valence top or Fermi level."""
    bands = result.bands
    metal = bands.first.gap is None
    origin = bands.first.edges[0]
    zero: Zero = "fermi" if metal else "vbm"
    low, high = (limit - origin for limit in bands.limits)
    margin = _MARGIN * (high - low)
    reach = bands.limits[0] - _REACH, bands.limits[1] + _REACH
    worst = None
    if bands.worst is not None and bands.largest > 0:
        k, band = bands.worst
        energy = float(bands.second.path.energies[k, band + bands.offset])
        worst = float(bands.first.path.path.distances[k]), energy - origin
    return Overlay(
        lines(_near(bands.first.path, reach), origin),
        lines(_near(bands.second.path, reach), origin),
        (low - margin, high + margin),
        axis_label(zero),
        bands.first.fermi.energy - origin,
        worst,
    )


def _near(bands: BandStructure, reach: tuple[float, float]) -> BandStructure:
    """The bands that enter ``reach``, in whole spin pairs."""
    energies = bands.energies
    entering = np.flatnonzero(
        (energies.max(axis=0) >= reach[0]) & (energies.min(axis=0) <= reach[1])
    )
    if not len(entering):
        return replace(bands, energies=energies[:, :0])
    first = int(entering[0]) - int(entering[0]) % 2
    last = int(entering[-1]) + 1 - int(entering[-1]) % 2
    return replace(bands, energies=energies[:, first : last + 1])


def k_errors(result: Comparison) -> KErrors:
    """The errors at every k-point of the path."""
    path = result.bands.first.path.path
    mean, largest = result.bands.by_k()

    def parted(values: _Array) -> _Array:
        return np.concatenate([np.append(values[piece], np.nan) for piece in path.segments])

    return KErrors(parted(path.distances), parted(mean), parted(largest))


def distance_errors(result: Comparison, component: str = "H") -> DistanceErrors | None:
    """The errors of one component by distance; None where the bases differ.

    Raises:
        SettingsError: the component was not compared.
    """
    if result.elements is None:
        return None
    table = result.elements.distance
    row = table.index(component)
    assert table.distances is not None
    shown = table.largest[row] > _FLOOR
    return DistanceErrors(
        table.distances[shown],
        np.maximum(table.mean[row, shown], _FLOOR),
        table.largest[row, shown],
        table.count[shown],
    )


def shell_errors(result: Comparison, component: str = "H") -> ShellErrors | None:
    """The mean errors of one component by pairs of shells; None where the bases differ.

    Raises:
        SettingsError: the component was not compared.
    """
    if result.elements is None:
        return None
    shells, values = result.elements.shells.square(component)
    return ShellErrors(shells, values, component)


def short_names(result: Comparison) -> tuple[str, str]:
    """What the two are called in a legend; told apart where both have one name."""
    first, second = (
        name if len(name) <= _LONG else f"{name[: _LONG - 1]}…" for name in result.names
    )
    if first == second:
        return f"{first} (reference)", f"{second} (second)"
    return first, second


def symbol(component: str) -> str:
    """As it is written: Λ_x for ``Lx``."""
    return component.replace("L", "Λ")
