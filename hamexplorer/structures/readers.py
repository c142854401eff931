"""One small reader per text format: ``(text, file name) -> Structure``.

Parsing is pymatgen's or ASE's. A reader here adds what they leave out: what they would guess or
drop becomes an error, and counts in a file are checked before memory is taken for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.io.aims import read_aims
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar

from hamexplorer.errors import FileFormatError, StructureError
from hamexplorer.structures.cif import read_cif

__all__ = ["READERS", "from_ase"]


def from_ase(atoms: Atoms, name: str) -> Structure:
    """Cell, elements, positions and moments (initial ones, else calculated) of an ASE ``Atoms``.

    A cell is needed; ``pbc`` is not asked, every structure here is periodic.
    """
    if not np.any(atoms.cell[:], axis=1).all():
        raise StructureError(
            f"{name}: no lattice; a molecule cannot be computed. Give three cell vectors "
            '(extxyz: Lattice="ax ay az bx by bz cx cy cz" in the second line).'
        )
    moments = atoms.get_initial_magnetic_moments()
    if not np.any(moments) and atoms.calc is not None:
        # a column "magmoms" of extxyz is read as a result
        moments = np.asarray(getattr(atoms.calc, "results", {}).get("magmoms", moments))
    symbols = atoms.get_chemical_symbols()
    if "X" in symbols:
        raise StructureError(
            f"{name}: atom {symbols.index('X') + 1} has the unknown species 'X'; chemical element "
            "symbols are accepted."
        )
    return Structure(
        Lattice(atoms.cell[:]),
        symbols,
        atoms.get_scaled_positions(wrap=False),
        site_properties={"magmom": moments.tolist()} if np.any(moments) else None,
    )


def _read_json(text: str, name: str) -> Structure:
    data = json.loads(text)
    if not isinstance(data, dict) or not {"lattice", "sites"} <= data.keys():
        raise FileFormatError(
            f"{name}: JSON, but not a pymatgen Structure: an object with 'lattice' and 'sites' "
            "(Structure.as_dict) is needed."
        )
    return Structure.from_dict(_without_classes(data))


def _without_classes(value: Any) -> Any:
    """The data without any ``@module``, so that no class is looked up by a name in the file."""
    if isinstance(value, dict):
        return {
            key: _without_classes(item) for key, item in value.items() if not key.startswith("@")
        }
    if isinstance(value, list):
        return [_without_classes(item) for item in value]
    return value


def _read_poscar(text: str, name: str) -> Structure:
    lines = text.splitlines()
    if len(lines) < 7:
        raise FileFormatError(
            f"{name}: a POSCAR of {len(lines)} lines (truncated?); comment, scale, three vectors, "
            "symbols, counts, mode and positions are needed."
        )
    first_counts = lines[5].split()
    if first_counts and all(word.isdigit() for word in first_counts):
        lines.insert(5, _symbols_from_comment(lines[0], len(first_counts), lines, name))
    counts: list[int] = []
    for line in lines[6:]:
        words = line.split("!")[0].split("#")[0].split()
        if not words or not all(word.isdigit() for word in words):
            if counts:
                break
            continue
        counts.extend(int(word) for word in words)
    if sum(counts) > len(lines):
        raise FileFormatError(
            f"{name}: the POSCAR announces {sum(counts)} atoms but has {len(lines)} lines "
            "(truncated?)."
        )
    return Poscar.from_str("\n".join(lines), read_velocities=False).structure


def _symbols_from_comment(comment: str, kinds: int, lines: list[str], name: str) -> str:
    """VASP 4 files have no line of symbols: the comment or the position lines may name them."""
    words = comment.split()[:kinds]
    if len(words) == kinds and all(Element.is_valid_symbol(word) for word in words):
        return " ".join(words)
    raise StructureError(
        f"{name}: a POSCAR without element symbols (VASP 4); add a line with one symbol per count "
        f"({lines[5].strip()}) before it, as VASP 5 writes."
    )


def _read_xyz(text: str, name: str) -> Structure:
    lines = text.splitlines()
    count = int(lines[0])
    comment = lines[1] if len(lines) > 1 else ""
    if len(lines) < count + 2:
        raise FileFormatError(
            f"{name}: the xyz file announces {count} atoms but has {max(len(lines) - 2, 0)} lines "
            "of atoms (truncated?)."
        )
    if re.search(r"\blattice\s*=", comment, re.IGNORECASE) is None:
        raise StructureError(
            f"{name}: an xyz file without a lattice; a molecule cannot be computed. Add "
            'Lattice="ax ay az bx by bz cx cy cz" (Å) to its second line, or give a CIF or POSCAR.'
        )
    if any(line.strip() for line in lines[count + 2 :]):
        raise StructureError(
            f"{name}: more than one structure in the xyz file; give a file with one."
        )
    return _by_ase("extxyz")(text, name)


def _by_pymatgen(fmt: Any) -> Callable[[str, str], Structure]:
    def read(text: str, _name: str) -> Structure:
        return Structure.from_str(text, fmt=fmt)

    return read


def _by_ase(fmt: str) -> Callable[[str, str], Structure]:
    def read(text: str, name: str) -> Structure:
        found = ase.io.read(StringIO(text), format=fmt, index=-1)
        assert isinstance(found, Atoms)
        return from_ase(found, name)

    return read


def _read_xsf(text: str, name: str) -> Structure:
    if re.search(r"^\s*PRIMVEC", text, re.MULTILINE) is None:
        raise StructureError(
            f"{name}: an XSF file without PRIMVEC (a molecule); give one with a lattice."
        )
    return _by_pymatgen("xsf")(text, name)


def _read_aims(text: str, name: str) -> Structure:
    if len(re.findall(r"^\s*lattice_vector\s", text, re.MULTILINE)) != 3:
        raise StructureError(
            f"{name}: an FHI-aims geometry without three lattice_vector lines; a molecule cannot "
            "be computed."
        )
    # Called directly: ASE's dispatcher takes this format from files only.
    return from_ase(read_aims(StringIO(text)), name)


def _read_gen(text: str, name: str) -> Structure:
    words = text.split(maxsplit=2)
    if words[1] == "C":
        raise StructureError(
            f"{name}: a DFTB+ gen file of a cluster (C) without lattice; S or F is needed."
        )
    _check_count(int(words[0]), text, name)
    return _by_ase("gen")(text, name)


def _read_pdb(text: str, name: str) -> Structure:
    if re.search(r"^CRYST1", text, re.MULTILINE) is None:
        raise StructureError(f"{name}: a PDB file without CRYST1; a lattice is needed.")
    return _by_ase("proteindatabank")(text, name)


def _read_cfg(text: str, name: str) -> Structure:
    match = re.search(r"Number of particles\s*=\s*(\d+)", text)
    _check_count(int(match.group(1)) if match else 0, text, name)
    return _by_ase("cfg")(text, name)


def _read_vasprun(text: str, name: str) -> Structure:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FileFormatError(f"{name}: XML with a DOCTYPE or entities is not accepted.")
    return _by_ase("vasp-xml")(text, name)


def _read_castep(_text: str, name: str) -> Structure:
    raise FileFormatError(
        f"{name}: CASTEP cell files are not read; convert it, for example to CIF."
    )


def _check_count(count: int, text: str, name: str) -> None:
    lines = text.count("\n") + 1
    if count > lines:
        raise FileFormatError(
            f"{name}: the file announces {count} atoms but has {lines} lines (truncated?)."
        )


READERS: dict[str, Callable[[str, str], Structure]] = {
    "cif": read_cif,
    "poscar": _read_poscar,
    "xyz": _read_xyz,
    "json": _read_json,
    "xsf": _read_xsf,
    "cssr": _by_pymatgen("cssr"),
    "res": _by_pymatgen("res"),
    "espresso": _by_ase("espresso-in"),
    "aims": _read_aims,
    "gen": _read_gen,
    "pdb": _read_pdb,
    "cfg": _read_cfg,
    "vasprun": _read_vasprun,
    "castep": _read_castep,
}
