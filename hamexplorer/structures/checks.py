"""What every structure must be before anything is computed from it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Structure
from scipy.spatial import cKDTree

from hamexplorer.errors import ResourceLimitError, StructureError

__all__ = ["MIN_DISTANCE", "check_size", "check_structure", "plane_spacings"]

MIN_DISTANCE = 0.5
"""Two atoms nearer than this (Å) are one atom written twice; H–H in H2 is 0.74 Å."""


def plane_spacings(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the cell over each of its faces, h_i = V / |a_j × a_k|, shape (3,), in Å.

    ``lattice`` holds the vectors as rows. A flat cell has zero heights; the result is finite for
    every finite input.
    """
    normals = np.cross(np.roll(lattice, -1, axis=0), np.roll(lattice, -2, axis=0))
    areas = np.linalg.norm(normals, axis=1)
    volume = abs(float(np.linalg.det(lattice)))
    return np.divide(volume, areas, out=np.zeros(3), where=areas > 0)


def check_structure(structure: Structure, name: str = "structure") -> None:
    """Raise :class:`StructureError` unless ``structure`` is a crystal that can be computed.

    It must have atoms, finite numbers, a cell with volume, whole elements (no partial occupancy,
    no dummy species, H written as H and not D), and no two atoms within ``MIN_DISTANCE`` of each
    other, periodic images included. ``name`` (a file name) begins the message.
    """
    if len(structure) == 0:
        raise StructureError(f"{name}: no atoms; give at least one atom in the cell.")
    _check_cell(structure, name)
    _check_species(structure, name)
    _check_distances(structure, name)


def check_size(structure: Structure, max_atoms: int, engine: str) -> None:
    """Raise :class:`ResourceLimitError` if the cell has more than ``max_atoms`` atoms."""
    if len(structure) > max_atoms:
        raise ResourceLimitError(
            f"{structure.composition.reduced_formula}: {len(structure)} atoms in the cell; "
            f"{engine} takes at most {max_atoms}. Use the primitive cell or a smaller supercell."
        )


def _check_cell(structure: Structure, name: str) -> None:
    lattice = structure.lattice.matrix
    if not np.isfinite(lattice).all():
        raise StructureError(f"{name}: the cell vectors hold NaN or infinite numbers.")
    bad = np.flatnonzero(~np.isfinite(structure.frac_coords).all(axis=1))
    if bad.size:
        raise StructureError(
            f"{name}: the position of {_label(structure, int(bad[0]))} is NaN or infinite."
        )
    heights = plane_spacings(lattice)
    if heights.min() < MIN_DISTANCE:
        raise StructureError(
            f"{name}: the cell has (nearly) no volume: {abs(structure.volume):.3g} Å^3, "
            f"{heights.min():.3g} Å high along vector {'abc'[int(heights.argmin())]}; the three "
            f"cell vectors must span at least {MIN_DISTANCE} Å in every direction."
        )


def _check_species(structure: Structure, name: str) -> None:
    for index, site in enumerate(structure):
        if not site.is_ordered:
            raise StructureError(
                f"{name}: partial occupancy at atom {index + 1} ({site.species_string}, fractional "
                f"{_triple(site.frac_coords)}); only ordered crystals can be computed: "
                "give an ordered cell (for example a supercell with whole atoms)."
            )
        symbol = getattr(site.specie, "symbol", str(site.specie))
        # pymatgen gives deuterium the symbol H; only the enum's own name still tells.
        symbol = getattr(getattr(site.specie, "element", site.specie), "name", symbol)
        if symbol in {"D", "T"}:
            raise StructureError(
                f"{name}: atom {index + 1} is {symbol} (heavy hydrogen); write it as H, the "
                "electronic structure is the same."
            )
        if not Element.is_valid_symbol(symbol):
            raise StructureError(
                f"{name}: atom {index + 1} has the unknown species {symbol!r}; chemical element "
                "symbols (H, He, Li, ...) are accepted."
            )


def _check_distances(structure: Structure, name: str) -> None:
    """The nearest pair over all periodic images, by a k-d tree of the cell and its rim.

    pymatgen's neighbour list bins space by the cutoff, so that 0.5 Å in a huge sparse cell would
    exhaust the memory; a tree grows with the atoms alone.
    """
    lattice = structure.lattice.matrix
    frac = structure.frac_coords % 1.0
    rim = MIN_DISTANCE / plane_spacings(lattice)
    points, owners = [], []
    for shift in itertools.product((-1, 0, 1), repeat=3):
        image = frac + np.array(shift)
        near = ((image >= -rim) & (image <= 1 + rim)).all(axis=1)
        points.append(image[near])
        owners.append(np.flatnonzero(near))
    owner = np.concatenate(owners)
    tree = cKDTree(np.concatenate(points) @ lattice)
    found = tree.query(frac @ lattice, k=2, distance_upper_bound=MIN_DISTANCE)
    distance, neighbour = np.asarray(found[0]), np.asarray(found[1])
    # The point itself is one of the two; among coincident points it may come second.
    worst = int(np.argmin(distance[:, 1]))
    if not np.isfinite(distance[worst, 1]):
        return
    partners = owner[neighbour[worst]]
    other = int(partners[1] if partners[0] == worst else partners[0])
    raise StructureError(
        f"{name}: {_label(structure, worst)} and {_label(structure, other)} are "
        f"{distance[worst, 1]:.3f} Å apart; two atoms nearer than {MIN_DISTANCE} Å are taken for "
        "duplicates: remove one, or check units and cell."
    )


def _label(structure: Structure, index: int) -> str:
    site = structure[index]
    return f"atom {index + 1} ({site.species_string} at {_triple(site.frac_coords)})"


def _triple(values: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.4f}" for value in values) + ")"
