"""Which periodic images of the sites are drawn, and what the camera should frame."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.app.viewer.bonds import Bonds, Image
from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.structures.checks import plane_spacings

__all__ = ["MAX_DRAWN_ATOMS", "Placement", "place"]

MAX_DRAWN_ATOMS = 20_000
"""More atoms than a browser draws and a websocket carries in comfort."""

_VACUUM_ANGSTROM = 7.0  # a wider gap along a lattice vector is vacuum
_FACE_ANGSTROM = 0.15  # atoms this close to a face are drawn on the opposite face too
_MOST_COMPLETED = 6  # neighbours; a metal's twelve would hide the cell


@dataclass(frozen=True)
class Placement:
    """The drawn atoms: (site, R), R such that the position is (frac_site + R) · lattice.

    ``supercell`` are the cells drawn along each vector; ``vacuum`` tells along which of them the
    crystal is not periodic; ``low`` and ``high`` bound what is filled with atoms, in fractional
    coordinates: the cells, or the layer's extent across vacuum.
    """

    atoms: tuple[tuple[int, Image], ...]
    supercell: Image
    vacuum: tuple[bool, bool, bool]
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def place(structure: Structure, bonds: Bonds, supercell: Image = (1, 1, 1)) -> Placement:
    """Choose the images to draw.

    Sites are wrapped into the cell, but a layer stays in one piece where it crosses a face into
    vacuum. Atoms on a face, edge or corner are repeated on the opposite ones; atoms inside have
    their bonded neighbours completed if they have at most six. Raises :class:`SettingsError` for
    a supercell that is not three positive integers and :class:`ResourceLimitError` beyond
    ``MAX_DRAWN_ATOMS``.
    """
    cells = _checked(structure, supercell)
    heights = plane_spacings(structure.lattice.matrix)
    home, vacuum = np.zeros_like(structure.frac_coords), []
    for axis in range(3):
        home[:, axis], empty = _wrapped(structure.frac_coords[:, axis], heights[axis])
        vacuum.append(empty)
    offsets = np.rint(home - structure.frac_coords).astype(int)
    near = _FACE_ANGSTROM / heights

    drawn: dict[tuple[int, Image], None] = {}
    inside: list[tuple[int, Image]] = []
    for site in range(len(structure)):
        ranges = []
        for axis, count in enumerate(cells):
            first, last = 0, count
            if not vacuum[axis]:
                last += int(home[site, axis] < near[axis])
                first -= int(home[site, axis] > 1 - near[axis])
            ranges.append(range(first, last))
        for steps in itertools.product(*ranges):
            image = _sum(tuple(offsets[site]), steps)
            drawn[site, image] = None
            if all(0 <= step < count for step, count in zip(steps, cells, strict=True)):
                inside.append((site, image))
    for site, image in inside:
        neighbours = bonds.neighbours[site]
        if len(neighbours) <= _MOST_COMPLETED:
            for other, step in neighbours:
                drawn[other, _sum(image, step)] = None

    low = [float(home[:, axis].min()) if vacuum[axis] else 0.0 for axis in range(3)]
    high = [
        float(home[:, axis].max()) + cells[axis] - 1 if vacuum[axis] else float(cells[axis])
        for axis in range(3)
    ]
    return Placement(
        atoms=tuple(drawn),
        supercell=cells,
        vacuum=(vacuum[0], vacuum[1], vacuum[2]),
        low=(low[0], low[1], low[2]),
        high=(high[0], high[1], high[2]),
    )


def _checked(structure: Structure, supercell: Image) -> Image:
    cells = tuple(int(n) for n in supercell)
    if len(cells) != 3 or cells != tuple(supercell) or min(cells) < 1:
        raise SettingsError(
            f"supercell = {supercell}: three positive integers are needed, such as (3, 3, 1)."
        )
    count = len(structure) * cells[0] * cells[1] * cells[2]
    if count > MAX_DRAWN_ATOMS:
        raise ResourceLimitError(
            f"supercell = {supercell} holds {count} atoms; at most {MAX_DRAWN_ATOMS} are drawn."
        )
    return cells[0], cells[1], cells[2]


def _wrapped(coordinates: NDArray[np.float64], height: float) -> tuple[NDArray[np.float64], bool]:
    """Fractional coordinates along one vector put into the cell, and whether it crosses vacuum."""
    wrapped = coordinates % 1.0
    wrapped[wrapped > 1.0 - 1e-4] -= 1.0  # rounding below a face, not another side of the cell
    ordered = np.sort(wrapped)
    gaps = np.diff(ordered, append=ordered[0] + 1.0)
    widest = int(gaps.argmax())
    if gaps[widest] * height < _VACUUM_ANGSTROM:
        return wrapped, False
    start = ordered[(widest + 1) % len(ordered)]
    layer = start + (wrapped - start) % 1.0
    return layer - np.floor((layer.min() + layer.max()) / 2 + 1e-6), True


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> Image:
    return int(one[0] + other[0]), int(one[1] + other[1]), int(one[2] + other[2])
