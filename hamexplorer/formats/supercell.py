"""Blocks of a Born–von Kármán supercell on pairs of sites: each at its nearest image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, Pairs

__all__ = ["Supercell", "supercell_pairs"]

_TIE = 1e-5
"""Å; images whose distances differ by less share a block."""


@dataclass(frozen=True, eq=False)
class Supercell:
    """Where the blocks M[i, j, R mod N] of a mesh of N k-points go.

    Attributes:
        pairs: (i, j, R), both directions.
        index: of the mesh's cell (C order) for every pair, (n_pairs,).
        weight: 1/number of images that share the block, (n_pairs,).
    """

    pairs: Pairs
    index: NDArray[np.int64]
    weight: NDArray[np.float64]


def supercell_pairs(h: Hamiltonian, mesh: tuple[int, int, int]) -> Supercell:
    """The nearest images of all sites of the supercell of ``mesh`` around each site of ``h``.

    An axis of one division keeps R = 0 along it.
    """
    divisions = np.array(mesh)
    lattice, sites = h.structure.lattice.matrix, h.structure.cart_coords
    around = [(-2, -1, 0, 1, 2) if m > 1 else (0,) for m in mesh]
    steps = np.array(list(itertools.product(*around)))
    inside = np.stack(np.meshgrid(*(np.arange(m) for m in mesh), indexing="ij"), axis=-1)
    cells = inside.reshape(-1, 3)
    # to −N/2 … N/2, so that two steps reach all near images
    cells = cells - divisions * np.round(cells / divisions).astype(np.int64)
    candidates = cells[:, None] + steps * divisions
    rows: list[NDArray[np.int64]] = []
    shares: list[NDArray[np.float64]] = []
    n_sites = len(sites)
    for i in range(n_sites):
        for j in range(i, n_sites):
            offset = h.structure.frac_coords[j] - h.structure.frac_coords[i]
            # sites may be given in other cells than the first
            here = candidates - np.where(divisions > 1, np.round(offset), 0).astype(np.int64)
            distance = np.linalg.norm(here @ lattice + (sites[j] - sites[i]), axis=2)
            near = distance < distance.min(axis=1, keepdims=True) + _TIE
            which, step = np.nonzero(near)
            found = here[which, step]
            cell = np.ravel_multi_index(tuple((found % divisions).T), mesh)
            ends = np.broadcast_to([i, j], (len(found), 2))
            share = 1.0 / near.sum(axis=1)[which]
            rows.append(np.column_stack([ends, found, cell]))
            shares.append(share)
            if i != j:
                back = np.ravel_multi_index(tuple((-found % divisions).T), mesh)
                rows.append(np.column_stack([ends[:, ::-1], -found, back]))
                shares.append(share)
    table = np.concatenate(rows)
    pairs = Pairs(table[:, 0], table[:, 1], table[:, 2:5], h.basis.sizes)
    return Supercell(pairs, table[:, 5], np.concatenate(shares))
