"""``seed.win``: cell, atoms, projections and what else of Wannier90's input tells about a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Lattice, Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.wannier90.projections import Projection, parse_projections

__all__ = ["BOHR", "ELECTRONS_NOTE", "WinFile", "parse_win"]

BOHR = 0.52917720859
"""Å; CODATA 2006, with which Wannier90 3 is built by default."""
ELECTRONS_NOTE = "electrons per cell ="
"""In a comment of files that we wrote."""

_Row = tuple[str, list[float]]
_MAX_LINES = 2_000_000
_BLOCK = re.compile(r"\s*(begin|end)\s+(\w+)", re.IGNORECASE)
_KEYWORD = re.compile(r"\s*(\w+)\s*[=:\s]\s*(.*)")
_NOTE = re.compile(re.escape(ELECTRONS_NOTE) + r"\s*(\S+)")


@dataclass(frozen=True, eq=False)
class WinFile:
    """What is used of a ``seed.win``.

    Attributes:
        lattice: rows, Å, (3, 3); None if there is no unit_cell_cart.
        structure: cell and atoms; None if one is missing.
        spinors: the keyword; None if it is not given.
        fermi_energy: eV, or None.
        n_electrons: of a comment of ours, or None.
        projections: trial orbitals in Wannier90's order; None if there are none, or unclear ones.
        keywords: all keywords, lower case.
    """

    lattice: NDArray[np.float64] | None
    structure: Structure | None
    spinors: bool | None
    fermi_energy: float | None
    n_electrons: float | None
    projections: tuple[Projection, ...] | None
    keywords: dict[str, str]


def parse_win(text: str, name: str) -> WinFile:
    """What a file's text tells.

    Raises:
        FileFormatError: a block without end, numbers that are none, a flat cell.
    """
    keywords, blocks, note = _split(text, name)
    lattice = None
    if "unit_cell_cart" in blocks:
        rows, scale = _vectors(blocks["unit_cell_cart"], name, "unit_cell_cart")
        lattice = np.array([values for _, values in rows]) * scale
        if lattice.shape != (3, 3) or not abs(np.linalg.det(lattice)) > 1e-3:
            raise FileFormatError(f"{name}: unit_cell_cart holds no three vectors of a cell.")
    labels, fractional = _atoms(blocks, lattice, name)
    spinors = keywords.get("spinors")
    is_spinor = None if spinors is None else spinors.strip(".").lower().startswith("t")
    projections = None
    if lattice is not None and "projections" in blocks:
        sites: dict[str, list[list[float]]] = {}
        for label, position in zip(labels, fractional.tolist(), strict=True):
            sites.setdefault(label.lower(), []).append(position)
        projections = parse_projections(
            blocks["projections"], sites, lattice, BOHR, spinors=bool(is_spinor)
        )
    return WinFile(
        lattice=lattice,
        structure=_structure(lattice, labels, fractional),
        spinors=is_spinor,
        fermi_energy=_number(keywords, "fermi_energy", name),
        n_electrons=note,
        projections=projections or None,
        keywords=keywords,
    )


def _split(text: str, name: str) -> tuple[dict[str, str], dict[str, list[str]], float | None]:
    keywords: dict[str, str] = {}
    blocks: dict[str, list[str]] = {}
    inside: str | None = None
    note = None
    for line in text.splitlines()[:_MAX_LINES]:
        if match := _BLOCK.match(line):
            edge, block = match[1].lower(), match[2].lower()
            if edge == "begin" and inside is None:
                inside = block
                blocks[block] = []
                continue
            if edge == "end" and inside == block:
                inside = None
                continue
            raise FileFormatError(f"{name}: '{line.strip()}' stands in or closes another block.")
        if inside is not None:
            blocks[inside].append(line)
            continue
        plain = re.split("[!#]", line, maxsplit=1)[0]
        if match := _KEYWORD.fullmatch(plain.rstrip()):
            keywords[match[1].lower()] = match[2].strip()
        if match := _NOTE.search(line):
            note = _float(match[1], name)
    if inside is not None:
        raise FileFormatError(f"{name} is truncated: block {inside} has no end.")
    return keywords, blocks, note


def _float(word: str, name: str) -> float:
    try:
        value = float(word.lower().replace("d", "e"))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise FileFormatError(f"{name}: {word[:40]!r} stands where a number is needed.")
    return value


def _number(keywords: dict[str, str], key: str, name: str) -> float | None:
    words = keywords.get(key, "").split()
    return _float(words[0], name) if words else None


def _vectors(lines: list[str], name: str, block: str) -> tuple[list[_Row], float]:
    """(label or "", three numbers) of every line, and Å per unit."""
    scale, found = 1.0, []
    for line in lines:
        words = re.split("[!#]", line, maxsplit=1)[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) == 1 and words[0].lower() in ("ang", "angstrom", "bohr"):
            scale = BOHR if words[0].lower() == "bohr" else 1.0
            continue
        label = "" if block == "unit_cell_cart" else words.pop(0)
        if len(words) < 3:
            raise FileFormatError(f"{name}: {line.strip()[:60]!r} in {block} lacks coordinates.")
        found.append((label, [_float(word, name) for word in words[:3]]))
    return found, scale


def _atoms(
    blocks: dict[str, list[str]], lattice: NDArray[np.float64] | None, name: str
) -> tuple[list[str], NDArray[np.float64]]:
    for block in ("atoms_frac", "atoms_cart"):
        if block in blocks and lattice is not None:
            rows, scale = _vectors(blocks[block], name, block)
            positions = np.array([values for _, values in rows]).reshape(-1, 3)
            if block == "atoms_cart":
                positions = np.linalg.solve(lattice.T, scale * positions.T).T
            return [label for label, _ in rows], positions
    return [], np.empty((0, 3))


def _structure(
    lattice: NDArray[np.float64] | None, labels: list[str], fractional: NDArray[np.float64]
) -> Structure | None:
    if lattice is None or not labels:
        return None
    return Structure(Lattice(lattice), [_species(label) for label in labels], fractional)


def _species(label: str) -> Element | DummySpecies:
    """The element of a label such as ``Fe``, ``Fe1``, ``fe_up``; X where it names none."""
    for length in (2, 1):
        symbol = label[:length].capitalize()
        if symbol.isalpha() and Element.is_valid_symbol(symbol):
            return Element(symbol)
    return DummySpecies("X")
