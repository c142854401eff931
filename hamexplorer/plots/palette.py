"""Colours: one colour-blind safe set for light and dark, and what each quantity wears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bokeh.palettes import Viridis256

__all__ = [
    "CATEGORIES",
    "COMPONENT_COLOURS",
    "DARK",
    "LIGHT",
    "SOC_OFF",
    "SOC_ON",
    "Theme",
    "diverging",
    "energy_map",
    "group_colours",
    "ramp",
    "sequential",
    "spin_map",
    "theme",
    "weight_map",
]

CATEGORIES = (
    "#2f86d1",  # blue
    "#d9611e",  # vermillion
    "#16966f",  # green
    "#b765a9",  # purple
    "#a98300",  # ochre
    "#0f97ab",  # cyan
    "#b0655a",  # brick
    "#7f8792",  # grey
)
"""Categorical colours, at least 3:1 against both backgrounds (WCAG 2.1, graphical objects)."""

SOC_ON = CATEGORIES[0]
SOC_OFF = "#868e97"
COMPONENT_COLOURS = {
    "S": CATEGORIES[7],
    "H": CATEGORIES[0],
    "A": "#d6457c",  # pink
    "B": CATEGORIES[4],
    "Bx": CATEGORIES[4],
    "By": CATEGORIES[5],
    "Bz": CATEGORIES[6],
    "Lx": CATEGORIES[1],
    "Ly": CATEGORIES[2],
    "Lz": CATEGORIES[3],
}
_SPIN_ENDS = ("#2f7de0", "#868686", "#dc5a1a")


@dataclass(frozen=True)
class Theme:
    """Colours of what surrounds the data."""

    background: str
    text: str
    grid: str
    fermi: str
    middle: str


LIGHT = Theme("#ffffff", "#1f2933", "#d3d9df", "#5b6570", "#dfe3e7")
DARK = Theme("#121212", "#e6e8eb", "#3b4149", "#a3abb5", "#41474e")


def theme(dark: bool) -> Theme:
    """The surroundings for a dark or a light page."""
    return DARK if dark else LIGHT


def group_colours(names: Sequence[str]) -> dict[str, str]:
    """Colours of orbital groups, in the order that the basis names them."""
    return {name: CATEGORIES[index % len(CATEGORIES)] for index, name in enumerate(names)}


def ramp(colours: Sequence[str], steps: int = 255) -> list[str]:
    """``steps`` colours interpolated linearly (sRGB) between the given ones."""
    points = [_rgb(colour) for colour in colours]
    result = []
    for step in range(steps):
        place = step / (steps - 1) * (len(points) - 1)
        index = min(int(place), len(points) - 2)
        part = place - index
        mixed = [
            round(a + (b - a) * part) for a, b in zip(points[index], points[index + 1], strict=True)
        ]
        result.append("#{:02x}{:02x}{:02x}".format(*mixed))
    return result


def spin_map() -> list[str]:
    """Spin from −1 (blue) over 0 (grey) to +1 (vermillion), visible on both backgrounds."""
    return ramp(_SPIN_ENDS)


def weight_map(colour: str) -> list[str]:
    """A weight from 0 (grey) to 1 (the group's own colour)."""
    return ramp((SOC_OFF, colour))


def diverging(dark: bool, *, spin_orbit: bool = False) -> list[str]:
    """Signed matrix elements: blue–red; for the spin-orbit part purple–green.

    Zero is a grey that stands out from the background.
    """
    low, high = ("#9a4fb0", "#12895f") if spin_orbit else ("#2272cc", "#d1511a")
    return ramp((low, theme(dark).middle, high))


def sequential(dark: bool, *, spin_orbit: bool = False) -> list[str]:
    """Absolute values of matrix elements, from the zero of :func:`diverging` on."""
    return ramp((theme(dark).middle, "#12895f" if spin_orbit else "#d1511a"))


def energy_map() -> list[str]:
    """Energies over a plane: viridis, dark violet for the lowest to yellow."""
    return list(Viridis256)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
