"""The first density: superposed free atoms, polarised as the initial moments say."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyscf.scf import hf

from hamexplorer.dft.basis_sets import atomic_cell, atomic_shells, valence_charge
from hamexplorer.dft.integrals import convention_order
from hamexplorer.dft.system import CrystalSystem

__all__ = ["atomic_density_matrices"]


@lru_cache(maxsize=256)
def _atom(element: str, basis_name: str) -> NDArray[np.float64]:
    """Density matrix of the spherical Hartree-Fock atom, renormalised to its electrons."""
    cell = atomic_cell(element, basis_name)
    order = convention_order([s.l for s in atomic_shells(element, basis_name).shells])
    density = np.asarray(hf.init_guess_by_atom(cell))[np.ix_(order, order)]
    overlap = cell.to_mol().intor("int1e_ovlp")[np.ix_(order, order)]
    matrix: NDArray[np.float64] = density * (valence_charge(element) / np.sum(density * overlap))
    return matrix


def atomic_density_matrices(system: CrystalSystem) -> list[NDArray[np.float64]]:
    """Block-diagonal density matrices (n_orbitals, n_orbitals) of each spin, or of both together.

    A moment m polarises the atom's highest-l occupied shell as far as its electrons allow, then
    all of its electrons.
    """
    n = system.basis.n_orbitals
    total, spin = np.zeros((n, n)), np.zeros((n, n))
    for atom, element in enumerate(system.symbols):
        block = system.basis.site_orbitals(atom)
        density = _atom(element, system.basis_name)
        total[block, block] = density
        if system.moments is not None:
            spin[block, block] = _polarised(density, system, atom, float(system.moments[atom]))
    if system.moments is None:
        return [total]
    return [(total + spin) / 2, (total - spin) / 2]


def _polarised(
    density: NDArray[np.float64], system: CrystalSystem, atom: int, moment: float
) -> NDArray[np.float64]:
    l = system.basis.orbital_l[system.basis.site_orbitals(atom)]  # noqa: E741
    cell = atomic_cell(system.symbols[atom], system.basis_name)
    order = convention_order([s.l for s in system.shells[system.symbols[atom]].shells])
    overlap = cell.to_mol().intor("int1e_ovlp")[np.ix_(order, order)]
    for highest in range(int(l.max()), -1, -1):
        inside = np.outer(l == highest, l == highest)
        electrons = float(np.sum(density * overlap * inside))
        if electrons > 0.5:
            break
    part = density * inside
    if abs(moment) > electrons:
        part, electrons = density, float(np.sum(density * overlap))
    polarised: NDArray[np.float64] = part * float(np.clip(moment / electrons, -1.0, 1.0))
    return polarised
