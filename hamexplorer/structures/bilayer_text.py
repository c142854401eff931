"""A built structure as the text of a file."""

from __future__ import annotations

import json

from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from hamexplorer.errors import SettingsError

__all__ = ["SUFFIXES", "structure_text"]

SUFFIXES = (".cif", ".vasp", ".json")
"""Of files that are written: CIF (10 decimals), POSCAR, and pymatgen's JSON, which keeps the
number of each atom's layer."""


def structure_text(structure: Structure, suffix: str) -> str:
    """The text of a file with that suffix, one of :data:`SUFFIXES`.

    Raises:
        SettingsError: another suffix.
    """
    kind = suffix.lower()
    if kind == ".cif":
        return str(CifWriter(structure, significant_figures=10))
    if kind == ".vasp":
        # by elements, as programs that read POSCAR expect
        return Poscar(structure.get_sorted_structure(key=lambda site: site.specie.Z)).get_str()
    if kind == ".json":
        return json.dumps(structure.as_dict())
    raise SettingsError(f"{suffix!r}: structures are written as {', '.join(SUFFIXES)}.")
