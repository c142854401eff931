"""Colour and size of the elements."""

from __future__ import annotations

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from numpy.typing import NDArray

__all__ = ["BOND_RADIUS", "element_color", "element_radius"]

BOND_RADIUS = 0.11
"""Radius of a drawn bond, Å."""

_BALL = 0.4  # of the covalent radius: bonds stay visible between the atoms
_SMALLEST = 0.22  # Å
# CIE luminance Y of the palest and the darkest colour that stand out on white and on near-black
# pages (L* = 92 and 38). Jmol's hydrogen is pure white, its sulphur nearly so in lightness.
_PALEST = 0.80
_DARKEST = 0.10
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB, IEC 61966-2-1


def element_color(atomic_number: int) -> str:
    """Jmol's colour of an element as ``#rrggbb``, kept visible on light and dark pages.

    The hue is Jmol's; linear RGB is scaled down, or mixed with white, until the luminance lies
    between 0.10 and 0.80. Atomic numbers without a colour get grey.
    """
    known = 0 < atomic_number < len(jmol_colors)
    rgb = np.asarray(jmol_colors[atomic_number] if known else (0.55, 0.55, 0.55), dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(_LUMINANCE @ linear)
    if luminance > _PALEST:
        linear = linear * (_PALEST / luminance)
    elif luminance < _DARKEST:
        linear = linear + (1.0 - linear) * (_DARKEST - luminance) / (1.0 - luminance)
    return _hex(linear)


def element_radius(atomic_number: int) -> float:
    """Radius in Å of an element's ball: 0.4 covalent radii (Cordero 2008), at least 0.22."""
    known = 0 < atomic_number < len(covalent_radii)
    return max(_SMALLEST, _BALL * float(covalent_radii[atomic_number if known else 6]))


def _hex(linear: NDArray[np.float64]) -> str:
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(255 * x) for x in np.clip(rgb, 0.0, 1.0))
    return f"#{red:02x}{green:02x}{blue:02x}"
