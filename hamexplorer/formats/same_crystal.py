"""Whether the crystal that is given beside a file is the file's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError

__all__ = ["check_same_crystal"]

_LATTICE, _PLACE = 0.02, 0.1
"""Å: what rounding, and a step of a relaxation, may make of a cell vector and of a site."""

Vectors = NDArray[np.float64]


def check_same_crystal(
    own: tuple[Vectors, Vectors], other: tuple[Vectors, Vectors], name: str
) -> None:
    """Compare lattice (rows) and positions, Å, of two crystals site by site; images do not count.

    Raises:
        FileFormatError: ``other``, called ``name``, is another crystal, or lists its sites in
            another order: elements would stand on wrong sites.
    """
    lattice, positions = own
    if len(positions) != len(other[1]):
        raise FileFormatError(f"{name} has {len(other[1])} atoms, the matrix {len(positions)}.")
    apart = float(np.abs(other[0] - lattice).max())
    away = (other[1] - positions) @ np.linalg.inv(lattice)
    distance = np.linalg.norm((away - np.round(away)) @ lattice, axis=1)
    worst = int(distance.argmax())
    # written so that NaN fails, too
    if not (apart <= _LATTICE and distance[worst] <= _PLACE):
        what = (
            f"its cell differs by {apart:.3g} Å"
            if not apart <= _LATTICE
            else f"its site {worst + 1} lies {distance[worst]:.3g} Å from the matrix's"
        )
        raise FileFormatError(
            f"{name} is not the crystal of the matrices, or lists its sites in another order: "
            f"{what}."
        )
