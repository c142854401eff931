"""Files that Siesta writes beside its matrices: crystal, species, orbitals.

``NAME.XV``: three lattice vectors in bohr (each with its velocity), the number of atoms, then for
each its species, atomic number, position in bohr, velocity. ``NAME.STRUCT_OUT``: lattice in Å, the
number of atoms, species, atomic number, fractional position. Atomic numbers of ghosts are negative.
``NAME.ORB_INDX``: one line for each orbital. ``NAME.fdf``: the input; its block
ChemicalSpeciesLabel gives atomic numbers to labels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.shells import NamedOrbital
from hamexplorer.formats.siesta.matrix import Constants

__all__ = ["Crystal", "OrbitalIndex", "find_crystal", "find_orbitals", "find_species"]

_MAX_BYTES = 200e6
_SPECIES_LINE = re.compile(r"\s*(\d+)\s+([-+]?\d+)\s+(\S+)")


@dataclass(frozen=True, eq=False)
class Crystal:
    """Lattice (rows) and positions in Å, atomic numbers (ghosts' are negative), from ``member``."""

    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    atomic_numbers: tuple[int, ...]
    member: Member


@dataclass(frozen=True)
class OrbitalIndex:
    """Species label and orbitals of every atom, from ``member``."""

    labels: tuple[str, ...]
    orbitals: tuple[tuple[NamedOrbital, ...], ...]
    member: Member


def find_crystal(bundle: Bundle, matrix: Member, constants: Constants) -> Crystal | None:
    """The ``.XV`` or ``.STRUCT_OUT`` of the same run; None if there is none.

    Raises:
        FileFormatError: it is damaged.
    """
    member = _beside(bundle, matrix, ".xv", ".struct_out")
    if member is None:
        return None
    lines = member.text(_MAX_BYTES).splitlines()
    cartesian = member.basename.lower().endswith(".xv")
    try:
        lattice = np.array([[float(w) for w in line.split()[:3]] for line in lines[:3]])
        count = int(lines[3])
        if count != len([line for line in lines[4:] if line.strip()]):
            raise ValueError(f"{count} atoms are announced")
        atoms = [line.split() for line in lines[4 : 4 + count]]
        numbers = tuple(int(words[1]) for words in atoms)
        positions = np.array([[float(w) for w in words[2:5]] for words in atoms])
        if lattice.shape != (3, 3) or positions.shape != (count, 3):
            raise ValueError("a line is too short")
        if not (np.isfinite(lattice).all() and np.isfinite(positions).all()):
            raise ValueError("a number is not finite")
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{member.name} is damaged: {error}.") from error
    if cartesian:
        return Crystal(lattice * constants.bohr, positions * constants.bohr, numbers, member)
    return Crystal(lattice, positions @ lattice, numbers, member)


def find_species(bundle: Bundle, matrix: Member) -> dict[str, int]:
    """Atomic numbers by label from the input file beside it; empty if there is none."""
    member = _beside(bundle, matrix, ".fdf")
    if member is None:
        return {}
    found = {}
    inside = False
    for line in member.text(_MAX_BYTES).splitlines():
        words = re.sub("[-_.]", "", line.lower()).split()
        if words[:2] == ["%block", "chemicalspecieslabel"]:
            inside = True
        elif words[:1] == ["%endblock"]:
            inside = False
        elif inside and (match := _SPECIES_LINE.match(line)):
            found[match[3]] = int(match[2])
    return found


def find_orbitals(bundle: Bundle, matrix: Member, n_orbitals: int) -> OrbitalIndex | None:
    """The ``.ORB_INDX`` of the same run; None if there is none.

    Its lines are orbital, atom, species, label, number in the atom, n, l, m, zeta, polarised, …

    Raises:
        FileFormatError: it is damaged, or of another number of orbitals.
    """
    member = _beside(bundle, matrix, ".orb_indx")
    if member is None:
        return None
    lines = [line.split() for line in member.text(_MAX_BYTES).splitlines()]
    # the first line, which begins with both counts, has as many words
    rows = [w for w in lines[1:] if len(w) >= 12 and w[0].isdecimal()][:n_orbitals]
    try:
        total = int(lines[0][0])
        if total != n_orbitals or len(rows) != n_orbitals:
            raise ValueError(f"it lists {len(rows)} of {total} orbitals, the matrix {n_orbitals}")
        labels: list[str] = []
        orbitals: list[list[NamedOrbital]] = []
        for number, words in enumerate(rows):
            atom = int(words[1])
            if int(words[0]) != number + 1 or atom not in (len(labels), len(labels) + 1):
                raise ValueError(f"orbital {words[0]} of atom {atom} is out of sequence")
            if atom == len(labels) + 1:
                labels.append(words[3])
                orbitals.append([])
            n, l, m, zeta = (int(w) for w in words[5:9])  # noqa: E741
            orbitals[-1].append(NamedOrbital(l, m, n, zeta, words[9].upper().startswith("T")))
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{member.name} does not fit: {error}.") from error
    return OrbitalIndex(tuple(labels), tuple(tuple(o) for o in orbitals), member)


def _beside(bundle: Bundle, matrix: Member, *endings: str) -> Member | None:
    """A file with one of these endings: that of the same name, else the only one there is."""
    stem = PurePosixPath(matrix.basename).stem
    for ending in endings:
        found = bundle.ending(ending)
        same = [m for m in found if PurePosixPath(m.basename).stem == stem]
        if same or len(found) == 1:
            return (same or found)[0]
    return None
