"""Which file format a text is: by its content first, by its name second."""

from __future__ import annotations

import re
from pathlib import PurePath

from hamexplorer.errors import FileFormatError

__all__ = ["ACCEPTED", "detect_format"]

ACCEPTED = (
    "CIF/mCIF, POSCAR/CONTCAR, xyz/extxyz with a Lattice, pymatgen JSON, XSF, CSSR, SHELX res, "
    "Quantum ESPRESSO input, FHI-aims geometry.in, DFTB+ gen, PDB, AtomEye cfg, vasprun.xml"
)
"""The formats, as error messages name them."""

_FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?"
_THREE_FLOATS = re.compile(rf"^\s*{_FLOAT}\s+{_FLOAT}\s+{_FLOAT}\b")

# The first that matches wins, so the most telling come first.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("vasprun", re.compile(r"\A\s*(?:<\?xml[^>]*>\s*)?<modeling>")),
    ("cif", re.compile(r"^\s*(?:data_\S*\s*$|_cell_length_a\b|_atom_site_\w+)", re.I | re.M)),
    ("espresso", re.compile(r"^\s*&(?:control|system)\b", re.I | re.M)),
    ("aims", re.compile(r"^\s*(?:lattice_vector|atom_frac|atom)\s+" + _FLOAT, re.M)),
    ("castep", re.compile(r"^\s*%block\s+(?:lattice|positions)_", re.I | re.M)),
    ("xsf", re.compile(r"^\s*(?:CRYSTAL|SLAB|POLYMER|MOLECULE|PRIMVEC|ANIMSTEPS.*)\s*$", re.M)),
    ("res", re.compile(r"^TITL\b[\s\S]*^CELL\b", re.M)),
    ("pdb", re.compile(r"^(?:CRYST1|ATOM  |HETATM)\s*\S+", re.M)),
    ("cfg", re.compile(r"^\s*Number of particles\s*=", re.M)),
)

_SUFFIXES = {
    ".cif": "cif",
    ".mcif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".json": "json",
    ".xsf": "xsf",
    ".cssr": "cssr",
    ".res": "res",
    ".pwi": "espresso",
    ".gen": "gen",
    ".pdb": "pdb",
    ".cell": "castep",
    ".cfg": "cfg",
}


def detect_format(text: str, name: str) -> str:
    """The key of the reader for ``text``; ``name`` is asked only if the content does not tell.

    Raises :class:`FileFormatError` if neither tells.
    """
    if text.lstrip()[:1] in {"{", "["}:
        return "json"
    for key, pattern in _PATTERNS:
        if pattern.search(text):
            return key
    lines = text.splitlines()
    first = lines[0].split()
    if len(first) == 2 and first[0].isdigit() and first[1] in {"C", "S", "F"}:
        return "gen"
    if _looks_like_poscar(lines):
        return "poscar"
    if len(first) == 1 and first[0].isdigit():
        return "xyz"
    by_name = _by_name(name)
    if by_name is not None:
        return by_name
    raise FileFormatError(
        f"{name}: not recognised as a structure file, neither by its content nor by its name. "
        f"Accepted: {ACCEPTED}."
    )


def _by_name(name: str) -> str | None:
    path = PurePath(name)
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    upper = path.name.upper()
    if any(word in upper for word in ("POSCAR", "CONTCAR")):
        return "poscar"
    return None


def _looks_like_poscar(lines: list[str]) -> bool:
    """Line 2 one scale (VASP 6: or three), lines 3 to 5 three numbers each."""
    if len(lines) < 7 or re.match(rf"^\s*{_FLOAT}(?:\s|$)", lines[1]) is None:
        return False
    return all(_THREE_FLOATS.match(line) for line in lines[2:5])
