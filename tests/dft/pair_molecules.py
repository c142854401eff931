"""Pairs of a crystal's atoms as molecules of PySCF, whose integrals are the oracle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyscf import gto

from hamexplorer.dft.basis_sets import pyscf_basis
from hamexplorer.dft.integrals import convention_order
from hamexplorer.dft.system import CrystalSystem


def pair_molecule(
    system: CrystalSystem, i: int, j: int, cell: tuple[int, int, int]
) -> tuple[gto.Mole, NDArray[np.int64], int]:
    """The two atoms of a pair, their midpoint at the origin, as PySCF's molecule.

    With the conventions' order of its orbitals and the number of the first atom's.
    """
    places = [system.positions[i], system.positions[j] + np.array(cell) @ system.lattice]
    places = [place - (places[0] + places[1]) / 2 for place in places]
    symbols = [system.symbols[i], system.symbols[j]]
    mol = gto.M(
        atom=[(f"{s}@{a}", x) for a, (s, x) in enumerate(zip(symbols, places, strict=True))],
        basis={f"{s}@{a}": pyscf_basis(s, system.basis_name) for a, s in enumerate(symbols)},
        unit="B",
        spin=None,
        charge=0,
        verbose=0,
    )
    momenta = [[s.l for s in system.shells[symbol].shells] for symbol in symbols]
    return mol, convention_order(momenta[0] + momenta[1]), system.basis.sizes[i]
