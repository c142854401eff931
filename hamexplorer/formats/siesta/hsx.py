"""``.HSX``: the layouts of Siesta up to 4 (single precision, no crystal) and of Siesta 5.

Siesta 5 (versions 1 and 2), record by record: version; whether in double precision; n_atoms,
n_orbitals, n_components, n_species, number of cells along each axis; lattice, Fermi energy,
electrons, temperature; R of the cells, positions, species and last orbital of the atoms; label,
charge and orbitals of each species; n, l, zeta of a species's orbitals, one record each; in
version 2 the k mesh; elements by row; columns row by row; H by component and row; S by row.

Up to 4: n_orbitals, orbitals of the supercell, components, elements; whether Γ alone; the unit
cell's orbital of each of the supercell's (not for Γ alone); elements by row; columns; H; S;
electrons, temperature; r_column − r_row of each element; species; n, l, zeta, one record for each
orbital; number of atoms; their species; (not used: atom and number of each orbital).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.shells import NamedOrbital
from hamexplorer.formats.siesta.fortran import FLOAT, INT, SINGLE, Records
from hamexplorer.formats.siesta.matrix import (
    CODATA,
    LEGACY,
    SPINS,
    SiestaMatrix,
    Species,
    checked_columns,
)

__all__ = ["looks_like_hsx", "looks_like_old_hsx", "parse_hsx"]

_LABEL = np.dtype("S20")
_SPECIES = np.dtype([("label", "S20"), ("charge", "<f8"), ("count", "<i4")])
_MAX_ATOMS = 10**7
_MAX_CELLS = 10**6
_NO_FERMI = 1e6  # Ry; Siesta writes its largest number where it has none


def looks_like_hsx(head: bytes) -> bool:
    """Whether the first bytes are those of a version 1 or 2: then a record of one logical."""
    marks = np.frombuffer(head[:36], INT) if len(head) >= 36 else np.zeros(9, INT)
    return bool(marks[0] == 4 and marks[1] in (1, 2) and marks[3] == 4 and marks[6] == 28)


def looks_like_old_hsx(head: bytes) -> bool:
    """Whether the first bytes are those of Siesta up to 4: four counts, then one logical."""
    if len(head) < 40:
        return False
    marks = np.frombuffer(head[:40], INT)
    n_orbitals, in_supercell, components, _ = marks[1:5].tolist()
    return bool(
        marks[0] == 16
        and marks[5] == 16
        and marks[6] == 4
        and components in SPINS
        and 0 < n_orbitals <= in_supercell
        and in_supercell % n_orbitals == 0
    )


def parse_hsx(data: NDArray[np.uint8], name: str) -> SiestaMatrix:
    """Content of a file of either layout (``name`` is for messages).

    Raises:
        FileFormatError: truncated, damaged, or of another layout.
    """
    file = Records(data, name)
    return _new(file, name) if looks_like_hsx(data[:64].tobytes()) else _old(file, name)


def _new(file: Records, name: str) -> SiestaMatrix:
    version = int(file.one("the version", 1, INT)[0])
    number = FLOAT if file.one("the precision", 1, INT)[0] else SINGLE
    sizes = file.one("the sizes", 7, INT).astype(np.int64)
    n_atoms = file.whole("the number of atoms", sizes[0], 1, _MAX_ATOMS)
    n_orbitals = file.whole("the number of orbitals", sizes[1], n_atoms, 2**31)
    components = _components(file, int(sizes[2]))
    n_species = file.whole("the number of species", sizes[3], 1, n_atoms)
    along = [file.whole("a number of cells", n, 1, _MAX_CELLS) for n in sizes[4:]]
    n_cells = file.whole("the number of cells", along[0] * along[1] * along[2], 1, _MAX_CELLS)
    lattice, numbers = file.take("the lattice", (9, FLOAT), (3, FLOAT))
    cells, positions, of_species, _ = file.take(
        "the atoms", (3 * n_cells, INT), (3 * n_atoms, FLOAT), (n_atoms, INT), (n_atoms, INT)
    )
    species = file.one("the species", n_species, _SPECIES)
    kinds = tuple(_species(file, entry) for entry in species)
    if version == 2:
        file.take("the k mesh", (9, INT), (3, FLOAT))
    atom_species = _atom_species(file, of_species, n_species)
    counts = _counts(file, n_orbitals)
    columns = file.rows("columns of row", counts, INT)
    h = np.stack([file.rows("H of row", counts, number) for _ in range(components)])
    s = file.rows("S of row", counts, number)
    file.finish()
    orbital, cell = checked_columns(columns, n_orbitals, n_cells, name)
    fermi, charge, temperature = numbers.tolist()
    # what sisl writes: no electrons, no temperature, energies from the Fermi energy on
    told = charge > 0 or temperature > 0
    return SiestaMatrix(
        kind="HSX",
        constants=CODATA,
        n_orbitals=n_orbitals,
        counts=counts,
        columns=orbital,
        cell=cell,
        cells=cells.reshape(-1, 3).astype(np.int64),
        vectors=None,
        hamiltonian=h.astype(np.float64, copy=False),
        overlap=s.astype(np.float64, copy=False),
        lattice=lattice.reshape(3, 3),
        positions=positions.reshape(-1, 3),
        species=kinds,
        atom_species=atom_species,
        atom_orbitals=_atom_orbitals(species["count"], atom_species, n_orbitals, name),
        fermi_energy=fermi if abs(fermi) < _NO_FERMI else None,
        n_electrons=charge if told and charge > 0 else None,
        single=number is SINGLE,
    )


def _old(file: Records, name: str) -> SiestaMatrix:
    sizes = file.one("the sizes", 4, INT).astype(np.int64)
    n_orbitals = file.whole("the number of orbitals", sizes[0], 1, 2**31)
    supercell = file.whole("the supercell's orbitals", sizes[1], n_orbitals, 2**31)
    components = _components(file, int(sizes[2]))
    n_elements = file.whole("the number of elements", sizes[3], 1, 2**31)
    gamma = bool(file.one("the Γ switch", 1, INT)[0])
    if not gamma:
        in_cell = file.one("the supercell's index", supercell, INT).astype(np.int64)
    counts = _counts(file, n_orbitals)
    file.whole("the number of elements in all rows", int(counts.sum()), n_elements, n_elements)
    columns = file.rows("columns of row", counts, INT).astype(np.int64)
    h = np.stack([file.rows("H of row", counts, SINGLE) for _ in range(components)])
    s = file.rows("S of row", counts, SINGLE)
    charge, _ = file.one("electrons", 2, FLOAT).tolist()
    vectors = None
    # Siesta's versions differ in whether they write them for Γ alone
    if not gamma or file.next_length() == 3 * SINGLE.itemsize * int(counts[0]):
        vectors = file.rows("vectors of row", 3 * counts, SINGLE).reshape(-1, 3)
    n_species = file.whole(
        "the number of species", int(file.one("the number of species", 1, INT)[0]), 1, n_orbitals
    )
    species = file.one("the species", n_species, _SPECIES)
    kinds = tuple(_old_species(file, entry) for entry in species)
    n_atoms = file.whole(
        "the number of atoms", int(file.one("the number of atoms", 1, INT)[0]), 1, n_orbitals
    )
    atom_species = _atom_species(file, file.one("the atoms", n_atoms, INT), n_species)
    while file.next_length() is not None:
        file.skip("the orbitals' atoms")
    orbital, cell = checked_columns(columns, supercell, 1, name)
    if gamma:
        file.whole("orbitals of a supercell at Γ", supercell, n_orbitals, n_orbitals)
    elif (in_cell < 1).any() or (in_cell > n_orbitals).any():
        raise FileFormatError(f"{name} is damaged: the supercell's index leaves the cell.")
    else:
        orbital = in_cell[orbital] - 1
    return SiestaMatrix(
        kind="HSX",
        constants=LEGACY,
        n_orbitals=n_orbitals,
        counts=counts,
        columns=orbital,
        cell=cell if gamma else None,
        cells=np.zeros((1, 3), dtype=np.int64) if gamma else None,
        vectors=None if gamma or vectors is None else vectors.astype(np.float64),
        hamiltonian=h.astype(np.float64),
        overlap=s.astype(np.float64),
        lattice=None,
        positions=None,
        species=kinds,
        atom_species=atom_species,
        atom_orbitals=_atom_orbitals(species["count"], atom_species, n_orbitals, name),
        fermi_energy=None,
        n_electrons=charge if charge > 0 else None,
        single=True,
    )


def _components(file: Records, count: int) -> int:
    if count not in SPINS:
        file.whole("the number of spin components (1, 2, 4 or 8)", count, 1, 0)
    return count


def _counts(file: Records, n_orbitals: int) -> NDArray[np.int64]:
    counts = file.one("elements by row", n_orbitals, INT).astype(np.int64)
    file.whole("a row's number of elements", int(counts.min()), 0, 2**29)
    file.whole("a row's number of elements", int(counts.max()), 0, 2**29)
    return counts


def _species(file: Records, entry: Any) -> Species:
    """A species whose orbitals stand in one record."""
    count = file.whole("a species's number of orbitals", int(entry["count"]), 1, 10**6)
    numbers = file.one("a species's orbitals", 3 * count, INT).reshape(-1, 3)
    return Species(_label(entry), _named(numbers.tolist()))


def _old_species(file: Records, entry: Any) -> Species:
    """A species whose orbitals stand in a record each."""
    count = file.whole("a species's number of orbitals", int(entry["count"]), 1, 10**6)
    each = np.full(count, 3, dtype=np.int64)
    numbers = file.rows("orbital of a species", each, INT).reshape(-1, 3)
    return Species(_label(entry), _named(numbers.tolist()))


def _named(numbers: list[list[int]]) -> tuple[NamedOrbital, ...]:
    """Orbitals from n, l, zeta of each: within a shell m runs from −l to l.

    Where a writer knew nothing, l is negative.
    """
    if any(momentum < 0 for _, momentum, _ in numbers):
        return ()
    named: list[NamedOrbital] = []
    before, m = (0, 0, 0), 0
    for n, momentum, zeta in numbers:
        if (n, momentum, zeta) != before or m > momentum:
            before, m = (n, momentum, zeta), -momentum
        named.append(NamedOrbital(l=momentum, m=m, n=n if n > 0 else None, zeta=zeta))
        m += 1
    return tuple(named)


def _label(entry: Any) -> str:
    return bytes(entry["label"]).decode("latin-1").strip(" \0")


def _atom_species(file: Records, values: NDArray[Any], n_species: int) -> NDArray[np.int64]:
    for value in (int(values.min()), int(values.max())):
        file.whole("an atom's species", value, 1, n_species)
    return values.astype(np.int64) - 1


def _atom_orbitals(
    by_species: NDArray[Any], atom_species: NDArray[np.int64], n_orbitals: int, name: str
) -> NDArray[np.int64]:
    by_atom = by_species.astype(np.int64)[atom_species]
    if int(by_atom.sum()) != n_orbitals:
        raise FileFormatError(
            f"{name} is damaged: its atoms have {int(by_atom.sum())} orbitals, its matrices "
            f"{n_orbitals}."
        )
    return by_atom
