"""Supercells of a Hamiltonian, whose levels are those of the primitive cell at folded k-points."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs
from hamexplorer.provenance import Provenance

__all__ = ["folded_kpoints", "supercell"]


def supercell(h: Hamiltonian, divisions: tuple[int, int, int]) -> Hamiltonian:
    """The same crystal in a cell of n₁n₂n₃ primitive ones: site i of cell t stands at
    t · n_sites + i.
    """
    n = np.array(divisions)
    inside = np.array(list(itertools.product(*(range(m) for m in divisions))))
    number = {tuple(t): index for index, t in enumerate(inside.tolist())}
    count, sites = len(inside), h.basis.n_sites
    basis = Basis(h.basis.symbols * count, h.basis.shells * count)
    target = inside[:, None] + h.pairs.cell[None]  # (cells, pairs, 3)
    outer, inner = np.divmod(target, n)
    places = np.ravel_multi_index(tuple(inner.reshape(-1, 3).T), divisions)
    assert number[tuple(inside[-1])] == count - 1
    first = (np.arange(count)[:, None] * sites + h.pairs.first).ravel()
    second = places * sites + np.tile(h.pairs.second, count)
    pairs = Pairs(first, second, outer.reshape(-1, 3), basis.sizes)

    def repeated(flat: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        return None if flat is None else np.tile(flat, count)

    lattice = Lattice(h.structure.lattice.matrix * n[:, None])
    coordinates = (h.structure.frac_coords[None] + inside[:, None]) / n
    structure = Structure(
        lattice, [site.specie for site in h.structure] * count, coordinates.reshape(-1, 3)
    )
    return Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=np.tile(h.overlap, count),
        scalar=np.tile(h.scalar, count),
        exchange=repeated(h.exchange),
        spin_orbit=repeated(h.spin_orbit),
        n_electrons=h.n_electrons * count,
        provenance=Provenance(source="test", title="supercell"),
        time_odd=repeated(h.time_odd),
    )


def folded_kpoints(k: ArrayLike, divisions: tuple[int, int, int]) -> NDArray[np.float64]:
    """The primitive cell's k-points that fold to the supercell's ``k``: (k + m)/n."""
    steps = np.array(list(itertools.product(*(range(m) for m in divisions))))
    return (np.asarray(k, dtype=float) + steps) / np.array(divisions)
