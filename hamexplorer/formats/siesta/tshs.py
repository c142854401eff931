"""``.TSHS`` of TranSiesta, version 1.

Record by record: version; n_atoms, n_orbitals, orbitals of the supercell, components, elements;
cells along each axis; lattice and positions; Γ alone, (TranSiesta's) Γ alone, S alone; k mesh;
Fermi energy, electrons, temperature; step and first atom; last orbital of each atom, from 0;
elements by row; columns by row; S by row; H by component and row; R of the cells (not for Γ).
Species and orbitals are not in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.siesta.fortran import FLOAT, INT, Records
from hamexplorer.formats.siesta.matrix import CODATA, SPINS, SiestaMatrix, checked_columns

__all__ = ["looks_like_tshs", "parse_tshs"]

_FROM_SISL = (0.0, 1.0, 0.001)
"""Fermi energy, electrons and temperature of every file that sisl writes."""


def looks_like_tshs(head: bytes) -> bool:
    """Whether the first bytes are version 1, then a record of five counts."""
    marks = np.frombuffer(head[:40], INT) if len(head) >= 40 else np.zeros(10, INT)
    return bool(marks[0] == 4 and marks[1] == 1 and marks[3] == 20 and marks[9] == 20)


def parse_tshs(data: NDArray[np.uint8], name: str) -> SiestaMatrix:
    """Content of a file (``name`` is for messages).

    Raises:
        FileFormatError: truncated, damaged, or without a Hamiltonian.
    """
    file = Records(data, name)
    file.one("the version", 1, INT)
    sizes = file.one("the sizes", 5, INT).astype(np.int64)
    n_atoms = file.whole("the number of atoms", sizes[0], 1, 10**7)
    n_orbitals = file.whole("the number of orbitals", sizes[1], n_atoms, 2**31)
    supercell = file.whole("the supercell's orbitals", sizes[2], n_orbitals, 2**31)
    n_cells, rest = divmod(supercell, n_orbitals)
    components = int(sizes[3])
    if rest or components not in SPINS:
        raise FileFormatError(
            f"{name} is damaged: {supercell} orbitals in the supercell, {n_orbitals} in the cell, "
            f"{components} spin components."
        )
    n_elements = file.whole("the number of elements", sizes[4], 1, 2**31)
    file.one("cells along the axes", 3, INT)
    lattice, positions = file.take("the crystal", (9, FLOAT), (3 * n_atoms, FLOAT))
    gamma, _, only_overlap = file.one("the switches", 3, INT).tolist()
    if only_overlap:
        raise FileFormatError(f"{name} holds the overlap alone, no Hamiltonian.")
    file.take("the k mesh", (9, INT), (3, FLOAT))
    numbers = tuple(file.one("the Fermi energy", 3, FLOAT).tolist())
    file.one("the step", 2, INT)
    last = file.one("the atoms' orbitals", n_atoms + 1, INT).astype(np.int64)
    atom_orbitals = np.diff(last)
    if last[0] != 0 or last[-1] != n_orbitals or (atom_orbitals < 1).any():
        raise FileFormatError(f"{name} is damaged: its atoms' orbitals are {last[:20].tolist()}.")
    counts = file.one("elements by row", n_orbitals, INT).astype(np.int64)
    file.whole("a row's number of elements", int(counts.min()), 0, n_elements)
    file.whole("the number of elements in all rows", int(counts.sum()), n_elements, n_elements)
    columns = file.rows("columns of row", counts, INT)
    overlap = file.rows("S of row", counts, FLOAT)
    h = np.stack([file.rows("H of row", counts, FLOAT) for _ in range(components)])
    if gamma and n_cells > 1:
        raise FileFormatError(f"{name} is damaged: {n_cells} cells, but Γ alone.")
    cells = np.zeros(3, dtype=np.int64)
    if not gamma:
        cells = file.one("the cells", 3 * n_cells, INT).astype(np.int64)
    file.finish()
    orbital, cell = checked_columns(columns, n_orbitals, n_cells, name)
    fermi, charge, _ = numbers
    told = numbers != _FROM_SISL
    return SiestaMatrix(
        kind="TSHS",
        constants=CODATA,
        n_orbitals=n_orbitals,
        counts=counts,
        columns=orbital,
        cell=cell,
        cells=cells.reshape(-1, 3),
        vectors=None,
        hamiltonian=h,
        overlap=overlap,
        lattice=lattice.reshape(3, 3),
        positions=positions.reshape(-1, 3),
        species=None,
        atom_species=None,
        atom_orbitals=atom_orbitals,
        fermi_energy=fermi,
        n_electrons=charge if told and charge > 0 else None,
    )
