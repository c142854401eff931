"""A crystal as the plain JSON that the viewer draws.

The scene is columnar, so that a browser can draw it with a few instanced meshes::

    key          same key: the same crystal, whose camera is kept
    source       "crystal-toolkit" or "direct": who laid the scene out
    description  one sentence for screen readers
    palette      ["#rrggbb", ...]
    atoms        position [3N] Å, radius [N] Å, color [N] palette index, site [N], image [3N]
    sites        label [n], element [n], fractional [3n]
    sticks       half bonds: position [6M] (from, to) Å, color [M], radius Å
    bonds        number of whole bonds
    edges        [3E] Å, pairs of points: the cell's lines
    lattice      three vectors, Å, or none
    moments      per site a number or a vector in µB, or null; [] if the structure has none
    center, radius, extent   sphere for the camera to frame; reach of everything drawn, Å
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.app.viewer import toolkit
from hamexplorer.app.viewer.appearance import BOND_RADIUS, element_color, element_radius
from hamexplorer.app.viewer.bonds import Bonds, Image, find_bonds
from hamexplorer.app.viewer.placement import Placement, place
from hamexplorer.errors import StructureError
from hamexplorer.provenance import structure_hash

__all__ = ["crystal_scene"]

_SMALLEST_FRAME = 2.2  # Å; a single atom does not fill the window
_DIGITS = 4  # of positions in Å


def crystal_scene(
    structure: Structure,
    supercell: Image = (1, 1, 1),
    *,
    bonds: Bonds | None = None,
    use_toolkit: bool | None = None,
) -> dict[str, Any]:
    """The scene of a structure, plain JSON (layout: this module's docstring).

    ``bonds`` are those of the unit cell, found if not given (give them when only the supercell
    changes). ``use_toolkit`` True lays the scene out by crystal-toolkit, False directly; None
    takes crystal-toolkit if :func:`~hamexplorer.app.viewer.warm_up` has finished and the scene is
    small enough for it to take under a second. Both show the same atoms and bonds. Raises
    :class:`StructureError` for partial occupancies, :class:`SettingsError` for a bad supercell and
    :class:`ResourceLimitError` for one too large to draw.
    """
    if not structure.is_ordered:
        raise StructureError("The viewer draws ordered crystals; this one has partial occupancies.")
    bonds = find_bonds(structure) if bonds is None else bonds
    placement = place(structure, bonds, supercell)
    if use_toolkit is None:
        use_toolkit = toolkit.is_warm() and len(placement.atoms) <= toolkit.MAX_ATOMS
    if use_toolkit:
        drawn = toolkit.scene_from_toolkit(
            toolkit.toolkit_scene(structure, bonds, placement).to_json(), structure
        )
    else:
        drawn = _direct(structure, bonds, placement)
    return drawn | _surroundings(structure, placement, drawn)


def _direct(structure: Structure, bonds: Bonds, placement: Placement) -> dict[str, Any]:
    """Atoms and half bonds without crystal-toolkit."""
    numbers = [site.specie.Z for site in structure]
    palette = sorted({element_color(z) for z in numbers})
    colors = [palette.index(element_color(z)) for z in numbers]
    sites = np.array([site for site, _ in placement.atoms])
    images = np.array([image for _, image in placement.atoms])
    positions = (structure.frac_coords[sites] + images) @ structure.lattice.matrix
    where = {atom: n for n, atom in enumerate(placement.atoms)}
    starts, ends = [], []
    for n, (site, image) in enumerate(placement.atoms):
        for other, step in bonds.neighbours[site]:
            cell = (image[0] + step[0], image[1] + step[1], image[2] + step[2])
            partner = where.get((other, cell))
            if partner is not None:
                starts.append(n)
                ends.append(partner)
    halves = np.hstack([positions[starts], (positions[starts] + positions[ends]) / 2])
    return {
        "source": "direct",
        "palette": palette,
        "atoms": {
            "position": _flat(positions),
            "radius": [round(element_radius(numbers[site]), 3) for site in sites],
            "color": [colors[site] for site in sites],
            "site": sites.tolist(),
            "image": images.ravel().tolist(),
        },
        "sticks": {
            "position": _flat(halves),
            "color": [colors[sites[n]] for n in starts],
            "radius": BOND_RADIUS,
        },
        "bonds": len(starts) // 2,
    }


def _surroundings(
    structure: Structure, placement: Placement, drawn: dict[str, Any]
) -> dict[str, Any]:
    """All that does not depend on who laid the atoms out: sites, cell, frame, description."""
    positions = np.array(drawn["atoms"]["position"]).reshape(-1, 3)
    corners = [
        np.array(corner) @ structure.lattice.matrix
        for corner in itertools.product(*zip(placement.low, placement.high, strict=True))
    ]
    edges = _edges(structure.lattice.matrix, placement.supercell)
    framed = np.vstack([positions, corners])
    center = (framed.min(axis=0) + framed.max(axis=0)) / 2
    reach = np.linalg.norm(positions - center, axis=1) + drawn["atoms"]["radius"]
    radius = max(reach.max(), np.linalg.norm(corners - center, axis=1).max(), _SMALLEST_FRAME)
    formula = structure.composition.reduced_formula
    counts = Counter(site.specie.symbol for site in structure)
    contents = ", ".join(f"{count} {symbol}" for symbol, count in counts.items())
    description = (
        f"Crystal structure of {formula}: {contents} in the cell; drawn are "
        f"{len(positions)} atoms and {drawn['bonds']} bonds of "
        f"{' × '.join(map(str, placement.supercell))} cells."
    )
    return {
        "key": structure_hash(structure),
        "description": description,
        "sites": {
            "label": _labels(structure),
            "element": [site.specie.symbol for site in structure],
            "fractional": np.round(structure.frac_coords.ravel(), _DIGITS).tolist(),
        },
        "edges": _flat(edges),
        "lattice": np.round(structure.lattice.matrix, _DIGITS).tolist(),
        "moments": _moments(structure),
        "center": np.round(center, _DIGITS).tolist(),
        "radius": round(float(radius), _DIGITS),
        "extent": round(float(np.linalg.norm(edges - center, axis=1).max()), _DIGITS),
    }


def _edges(lattice: NDArray[np.float64], supercell: Image) -> NDArray[np.float64]:
    """The 12 lines of the cell, and those of the supercell if it is another, shape (2·lines, 3)."""
    boxes = {(1, 1, 1), supercell}
    points = []
    for box in sorted(boxes):
        for axis in range(3):
            for others in itertools.product((0, 1), repeat=2):
                start = np.insert(np.array(others), axis, 0) * box
                end = np.insert(np.array(others), axis, 1) * box
                points += [start @ lattice, end @ lattice]
    return np.array(points)


def _labels(structure: Structure) -> list[str]:
    """``Mo1``, ``S1``, ``S2``: as the basis labels its sites."""
    seen: Counter[str] = Counter()
    labels = []
    for site in structure:
        symbol = site.specie.symbol
        seen[symbol] += 1
        labels.append(f"{symbol}{seen[symbol]}")
    return labels


def _moments(structure: Structure) -> list[Any]:
    from pymatgen.electronic_structure.core import Magmom

    given = structure.site_properties.get("magmom")
    if given is None:
        return []
    moments: list[Any] = []
    for moment in given:
        if isinstance(moment, Magmom):
            moment = moment.moment
        value = None if moment is None else np.asarray(moment, dtype=float).tolist()
        moments.append(value)
    return moments


def _flat(points: NDArray[np.float64]) -> list[float]:
    return [float(x) for x in np.round(points.ravel(), _DIGITS) + 0.0]
