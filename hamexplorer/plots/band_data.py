"""Band structures as the arrays that every renderer draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.plots.palette import group_colours, spin_map, weight_map
from hamexplorer.properties import BandStructure
from hamexplorer.properties.bands import Zero

__all__ = ["ColourScale", "Lines", "Segments", "axis_label", "colour_scale", "lines", "segments"]

_DEGENERATE = 1e-7
_ENERGY_LABELS = {
    "source": "Energy (eV)",
    "fermi": "Energy from the Fermi level (eV)",
    "vbm": "Energy from the valence band top (eV)",
}


@dataclass(frozen=True, eq=False)
class Lines:
    """One polyline per band and continuous piece of the path: lists of x (1/Å) and y (eV)."""

    xs: list[NDArray[np.float64]]
    ys: list[NDArray[np.float64]]

    def joined(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All of them as one x and one y, with a NaN after each."""

        def join(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
            gap = np.array([np.nan])
            return np.concatenate([piece for part in parts for piece in (part, gap)])

        return join(self.xs), join(self.ys)


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of bands between neighbouring k-points: arrays x0, y0, x1, y1 and a value each."""

    x0: NDArray[np.float64]
    y0: NDArray[np.float64]
    x1: NDArray[np.float64]
    y1: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class ColourScale:
    """What colours mean: ``label``, range ``low`` … ``high``, and the ``palette``."""

    label: str
    low: float
    high: float
    palette: tuple[str, ...]


def axis_label(zero: Zero) -> str:
    """Label of the energy axis."""
    return _ENERGY_LABELS[zero]


def lines(result: BandStructure, zero: float) -> Lines:
    """Polylines of all bands; bands that are twofold everywhere are drawn once."""
    energies = result.energies - zero
    if energies.shape[1] % 2 == 0:
        lower, upper = energies[:, ::2], energies[:, 1::2]
        if np.abs(upper - lower).max(initial=0.0) < _DEGENERATE:
            energies = lower
    pieces = result.path.segments
    columns = range(energies.shape[1])
    return Lines(
        [result.path.distances[piece] for piece in pieces for _ in columns],
        [np.ascontiguousarray(energies[piece, b]) for piece in pieces for b in columns],
    )


def segments(result: BandStructure, zero: float, colour_by: str) -> Segments:
    """Segments of all bands, valued with the mean of ``colour_by`` at their two ends."""
    last = np.array(result.path.breaks, dtype=np.int64) - 1
    start = np.setdiff1d(np.arange(len(result.path.distances) - 1), last)
    energies, column = result.energies - zero, result.column(colour_by)
    nb = energies.shape[1]
    x = result.path.distances
    return Segments(
        np.repeat(x[start], nb),
        energies[start].ravel(),
        np.repeat(x[start + 1], nb),
        energies[start + 1].ravel(),
        ((column[start] + column[start + 1]) / 2).ravel(),
    )


def colour_scale(result: BandStructure, colour_by: str) -> ColourScale:
    """The scale of ``spin_x`` … or of a group's weight."""
    result.column(colour_by)
    if colour_by.startswith("spin_"):
        axis = colour_by[-1]
        label = "⟨σ·n⟩" if axis == "n" else f"⟨σ{axis}⟩"
        return ColourScale(label, -1.0, 1.0, tuple(spin_map()))
    colour = group_colours(result.groups)[colour_by]
    return ColourScale(f"weight of {colour_by}", 0.0, 1.0, tuple(weight_map(colour)))
