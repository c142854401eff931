"""What Siesta's matrix files hold, in Siesta's own units and sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.shells import NamedOrbital
from hamexplorer.formats.spinor import NEGLIGIBLE
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

__all__ = [
    "CODATA",
    "LEGACY",
    "SPINS",
    "Constants",
    "SiestaMatrix",
    "Species",
    "checked_columns",
    "expanded",
]

SPINS = {1: "without spin", 2: "collinear", 4: "non-collinear", 8: "spin–orbit"}
"""By the number of stored components."""


@dataclass(frozen=True)
class Constants:
    """One rydberg in eV and one bohr in Å."""

    rydberg: float
    bohr: float


LEGACY = Constants(13.60580, 0.529177)
"""Those of Siesta up to 4."""
CODATA = Constants(HARTREE_EV / 2, BOHR_ANGSTROM)
"""Those of Siesta 5, CODATA 2018."""


@dataclass(frozen=True)
class Species:
    """A species of Siesta: its label and orbitals, m = −l … l of each shell; () if not told."""

    label: str
    orbitals: tuple[NamedOrbital, ...] = ()


@dataclass(frozen=True, eq=False)
class SiestaMatrix:
    """H and S element by element; element e is ⟨column[e], cells[cell[e]]| H |row[e], 0⟩.

    Attributes:
        kind: of the file: ``HSX``, ``TSHS``, ``nc``.
        constants: with which its numbers become eV and Å.
        n_orbitals: in the cell.
        counts: elements by row, (n_orbitals,).
        columns: orbital in its own cell, from 0, (nnz,).
        cell: index to ``cells``, (nnz,); None until ``vectors`` and positions have told it.
        cells: R, (n_cells, 3); None likewise.
        vectors: r_column − r_row, (nnz, 3) bohr, of files that have no cells.
        hamiltonian: Ry, (1, 2, 4 or 8 components, nnz).
        overlap: (nnz,).
        lattice: rows, bohr; None: not in the file.
        positions: (n_atoms, 3) bohr; None: not in the file.
        species: None: not in the file.
        atom_species: index to ``species`` by atom; None: not in the file.
        atom_orbitals: number by atom, (n_atoms,).
        fermi_energy: Ry; None: not in the file.
        n_electrons: None: not in the file.
        atomic_numbers: by species, negative for ghosts; None: not in the file.
        single: whether H and S were written in single precision.
    """

    kind: str
    constants: Constants
    n_orbitals: int
    counts: NDArray[np.int64]
    columns: NDArray[np.int64]
    cell: NDArray[np.int64] | None
    cells: NDArray[np.int64] | None
    vectors: NDArray[np.float64] | None
    hamiltonian: NDArray[np.float64]
    overlap: NDArray[np.float64]
    lattice: NDArray[np.float64] | None
    positions: NDArray[np.float64] | None
    species: tuple[Species, ...] | None
    atom_species: NDArray[np.int64] | None
    atom_orbitals: NDArray[np.int64]
    fermi_energy: float | None
    n_electrons: float | None
    atomic_numbers: tuple[int, ...] | None = None
    single: bool = False

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the cell."""
        return len(self.atom_orbitals)

    @property
    def rounding(self) -> float:
        """Components no larger (eV) are what the file's digits leave of zero."""
        largest = float(np.abs(self.hamiltonian).max()) * self.constants.rydberg
        eps = float(np.finfo(np.float32).eps) if self.single else 0.0
        return max(NEGLIGIBLE, eps * largest)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of every element, (nnz,)."""
        return np.repeat(np.arange(self.n_orbitals), self.counts)


def expanded(shells: Sequence[tuple[int, int, int, bool]]) -> tuple[NamedOrbital, ...]:
    """Orbitals m = −l … l of shells (n, l, zeta, polarised); n < 1 is unknown."""
    return tuple(
        NamedOrbital(l=momentum, m=m, n=n if n > 0 else None, zeta=zeta, polarised=polarised)
        for n, momentum, zeta, polarised in shells
        for m in range(-momentum, momentum + 1)
    )


def checked_columns(
    columns: NDArray[np.integer], n_orbitals: int, n_cells: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Orbital and cell, from 0, of Siesta's columns of the supercell, which count from 1.

    Raises:
        FileFormatError: a column outside the supercell.
    """
    end = n_orbitals * n_cells
    if columns.size and not 1 <= int(columns.min()) <= int(columns.max()) <= end:
        raise FileFormatError(
            f"{name} is damaged: a column is {int(columns.min())} or {int(columns.max())}; "
            f"possible is 1 … {end}."
        )
    cell, orbital = np.divmod(columns.astype(np.int64) - 1, n_orbitals)
    return orbital, cell
