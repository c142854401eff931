"""Which atoms are drawn with a bond between them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Structure

__all__ = ["CRYSTAL_NN_MAX_SITES", "Bonds", "find_bonds"]

CRYSTAL_NN_MAX_SITES = 60
"""Larger cells get bonds by distance: CrystalNN takes 4.8 s for 512 sites."""

_LONGEST = 1.2  # of the sum of covalent radii
_SPREAD = 1.1  # of the shortest such ratio at either end
_CUTOFF_ANGSTROM = 6.0

Image = tuple[int, int, int]
Edge = tuple[int, int, Image]


@dataclass(frozen=True)
class Bonds:
    """The bonds of one cell.

    ``neighbours[i]`` lists what site i is bonded to, as (site j, lattice translation R): the bond
    runs from site i in cell 0 to site j in cell R. Symmetric: (j, R) of i is (i, −R) of j.
    ``method`` says how they were found: ``CrystalNN`` or ``distance``.
    """

    neighbours: tuple[tuple[tuple[int, Image], ...], ...]
    method: str

    def edges(self) -> Iterator[Edge]:
        """Every bond of the cell once, as (i, j, R)."""
        for i, found in enumerate(self.neighbours):
            for j, image in found:
                if _canonical(i, j, image) == (i, j, image):
                    yield i, j, image


def find_bonds(structure: Structure) -> Bonds:
    """Bonds of a crystal, by CrystalNN or, for large cells, by distance.

    Up to ``CRYSTAL_NN_MAX_SITES`` sites: CrystalNN (Pan et al., Inorg. Chem. 60, 1590 (2021)).
    Beyond that, and where CrystalNN's Voronoi construction fails: sites are bonded
    if their distance over the sum of their covalent radii is at most 1.2 and at most 1.1 times
    the smallest such ratio of either site. The crystal must be ordered.
    """
    if len(structure) <= CRYSTAL_NN_MAX_SITES:
        # Voronoi cells of planar or isolated atoms may not close: qhull's error, or ours to skip.
        try:
            return _symmetric(len(structure), _crystal_nn_edges(structure), "CrystalNN")
        # It knows no sites X of Wannier functions, either: AttributeError.
        except (ValueError, RuntimeError, IndexError, AttributeError):
            pass
    return _symmetric(len(structure), _distance_edges(structure), "distance")


def _canonical(i: int, j: int, image: Image) -> Edge:
    reverse = (-image[0], -image[1], -image[2])
    return min((i, j, image), (j, i, reverse))


def _symmetric(n_sites: int, edges: Iterator[Edge], method: str) -> Bonds:
    neighbours: list[list[tuple[int, Image]]] = [[] for _ in range(n_sites)]
    for i, j, image in sorted({_canonical(*edge) for edge in edges}):
        neighbours[i].append((j, image))
        neighbours[j].append((i, (-image[0], -image[1], -image[2])))
    return Bonds(tuple(map(tuple, neighbours)), method)


def _crystal_nn_edges(structure: Structure) -> Iterator[Edge]:
    from pymatgen.analysis.local_env import CrystalNN

    finder = CrystalNN()
    with warnings.catch_warnings():
        # It asks for oxidation states; guessed ones would not be better than atomic radii.
        warnings.simplefilter("ignore")
        found = finder.get_all_nn_info(structure)
    for i, infos in enumerate(found):
        for info in infos:
            a, b, c = (int(n) for n in info["image"])
            yield i, int(info["site_index"]), (a, b, c)


def _distance_edges(structure: Structure) -> Iterator[Edge]:
    # a site X, which is no element, is taken for as large as carbon
    numbers = [site.specie.Z for site in structure]
    radii = np.array([covalent_radii[z if 0 < z < len(covalent_radii) else 6] for z in numbers])
    reach = min(_CUTOFF_ANGSTROM, 2 * _LONGEST * float(radii.max()))
    first, second, images, distances = structure.get_neighbor_list(reach)
    ratio = distances / (radii[first] + radii[second])
    nearest = np.full(len(structure), np.inf)
    np.minimum.at(nearest, first, ratio)
    limit = _SPREAD * np.maximum(nearest[first], nearest[second])
    for n in np.flatnonzero((ratio <= _LONGEST) & (ratio <= limit)):
        a, b, c = (int(x) for x in images[n])
        yield int(first[n]), int(second[n]), (a, b, c)
