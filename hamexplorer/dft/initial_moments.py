"""The collinear magnetic moments that a calculation starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.dft.settings import DftSettings
from hamexplorer.structures.moments import along_main_axis, plain_moments

__all__ = ["initial_moments"]

_LEAST = 1e-3
"""µB: a structure whose moments are all smaller is not magnetic."""
_HIGH_SPIN = {"V": 2.0, "Cr": 3.0, "Mn": 4.0, "Fe": 3.0, "Co": 2.0, "Ni": 1.0}
_OTHERS = 0.3


def initial_moments(
    structure: Structure, settings: DftSettings
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Moment of every site in µB, or None for a spinless calculation, and warnings.

    Moments that the structure carries are taken as they are; those that do not lie along one
    line are laid along their main axis, each with its length and the sign of its component
    there, and a warning says so. If ``settings.spin`` asks for a collinear calculation and the
    structure carries none, the start is ferromagnetic (high spin), with a warning.

    Raises:
        StructureError: a moment is neither a number nor three, or not finite.
    """
    if settings.spin == "none":
        return None, ()
    given = plain_moments(structure)
    if given is None:
        if settings.spin == "auto":
            return None, ()
        start = np.array([_HIGH_SPIN.get(site.specie.symbol, _OTHERS) for site in structure])
        return start, ("No moments were given: the calculation started ferromagnetic, high spin.",)
    if not any(isinstance(moment, list) for moment in given):
        moments = np.array(given, dtype=np.float64)
        if settings.spin == "auto" and np.abs(moments).max() <= _LEAST:
            return None, ()
        return moments, ()
    moments, axis, off = along_main_axis(np.array(given, dtype=np.float64))
    direction = ", ".join(f"{x:.2f}" for x in axis)
    return moments, (
        f"The moments given are not collinear (up to {off:.0f}° off one line). The calculation is "
        f"collinear: every moment was laid along the main axis ({direction}), with its length.",
    )
