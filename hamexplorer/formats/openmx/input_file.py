"""Species and basis from the input file that OpenMX embeds in its output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pymatgen.core import Element

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Shell

__all__ = ["InputFile", "Species", "parse_input"]

_BASIS = re.compile(r"(?P<element>[A-Z][a-z]?)(?P<radius>\d+(?:\.\d+)?)\w*-(?P<shells>\S+)")
_SHELLS = re.compile(r"([spdfg])(\d+)(?:>(\d+))?")


@dataclass(frozen=True)
class Species:
    """One line of ``Definition.of.Atomic.Species``: element, basis as written, its shells."""

    symbol: str
    basis: str
    pseudopotential: str
    shells: tuple[Shell, ...]


@dataclass(frozen=True)
class InputFile:
    """What the reader needs: the species of every atom, and keywords for the record."""

    species: tuple[Species, ...]
    keywords: dict[str, str]


def parse_input(lines: Sequence[str]) -> InputFile:
    """Species of the atoms, in their order, and the keywords that stand on one line.

    Raises:
        FileFormatError: a block is missing, or a line of one is not understood.
    """
    kinds = {}
    for line in _block(lines, "Definition.of.Atomic.Species"):
        words = line.split()
        if len(words) < 3:
            raise FileFormatError(f"Species line {line!r} of the embedded input has no basis.")
        kinds[words[0]] = _species(words[1], words[2])
    atoms = []
    for line in _block(lines, "Atoms.SpeciesAndCoordinates"):
        words = line.split()
        if len(words) < 5 or words[1] not in kinds:
            raise FileFormatError(
                f"Atom line {line!r} of the embedded input names no species of "
                f"{', '.join(kinds) or 'the (empty) list'}."
            )
        atoms.append(kinds[words[1]])
    return InputFile(tuple(atoms), _keywords(lines))


def _block(lines: Sequence[str], name: str) -> list[str]:
    """Lines between ``<name`` and ``name>``, comments and blanks left out."""
    low = name.lower()
    inside = False
    found: list[str] = []
    for line in lines:
        text = line.split("#")[0].strip()
        if text.lower().replace(" ", "") == f"<{low}":
            inside = True
        elif text.lower().replace(" ", "") == f"{low}>":
            return found
        elif inside and text:
            found.append(text)
    raise FileFormatError(f"The embedded input file has no complete block <{name} … {name}>.")


def _keywords(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    inside = False
    for line in lines:
        text = line.split("#")[0].strip()
        if text.startswith("<"):
            inside = True
        elif text.endswith(">"):
            inside = False
        elif not inside and len(words := text.split(None, 1)) == 2:
            found[words[0]] = words[1]
    return found


def _species(basis: str, pseudopotential: str) -> Species:
    match = _BASIS.fullmatch(basis)
    if match is None or not Element.is_valid_symbol(match["element"]):
        raise FileFormatError(
            f"Basis {basis!r} of the embedded input is not of the form W7.0-s2p1d1 with an "
            "element's symbol; empty atoms are not supported."
        )
    shells: list[Shell] = []
    parts = _SHELLS.findall(match["shells"])
    if "".join(f"{s}{n}{'>' + c if c else ''}" for s, n, c in parts) != match["shells"]:
        raise FileFormatError(f"The shells of basis {basis!r} of the embedded input are unclear.")
    for letter, number, contracted in parts:
        # s4>2: two contracted functions of four primitive ones
        count = int(contracted or number)
        if not 0 < count <= 15:
            raise FileFormatError(f"Basis {basis!r} of the embedded input has {count} {letter}.")
        shells += [Shell(f"{letter}{k + 1}", "spdfg".index(letter)) for k in range(count)]
    return Species(match["element"], basis, pseudopotential, tuple(shells))
