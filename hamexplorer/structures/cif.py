"""CIF and magnetic CIF by pymatgen's parser, with the losses it keeps to itself made errors."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.cif import CifParser, str2float

from hamexplorer.errors import FileFormatError, ResourceLimitError, StructureError
from hamexplorer.structures.checks import MIN_DISTANCE

__all__ = ["read_cif"]

_CELL_KEYS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_OPERATION_KEYS = (
    "_space_group_symop_operation_xyz",
    "_space_group_symop_magn_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
_UNSTATED = {".", "?"}
_MAX_ROWS = 3000
_MAX_IMAGES = 20_000


def read_cif(text: str, name: str) -> Structure:
    """The one structure of a CIF; fractional coordinates as 0.3333 become ideal (pymatgen).

    pymatgen drops sites and species it cannot read and merges coincident atoms with a warning;
    here each is an error, as are partial occupancies, a file that breaks off, atoms fewer than
    the file's own formula says, and more than one structure.
    """
    parser = CifParser.from_str(text)
    blocks = [
        block
        for block in parser.as_dict().values()
        if "_atom_site_fract_x" in block or "_cell_length_a" in block
    ]
    if not blocks:
        raise FileFormatError(
            f"{name}: a CIF without cell and atoms (truncated?); _cell_length_a ... and a loop of "
            "_atom_site_fract_x ... are needed."
        )
    if len(blocks) > 1:
        raise StructureError(
            f"{name}: {len(blocks)} structures in one CIF; give a file with one data block."
        )
    data = blocks[0]
    _check_block(data, name)
    structure = parser.parse_structures(primitive=False, on_error="raise")[0]
    if "_chemical_formula_sum" in data or "_chemical_formula_structural" in data:
        complaint = parser.check(structure)
        if complaint is not None:
            raise FileFormatError(
                f"{name}: the atoms do not add up to the file's own formula (truncated, or atoms "
                f"left out such as hydrogen?): {' '.join(complaint.split())}."
            )
    return structure


def _check_block(data: Any, name: str) -> None:
    for key in _CELL_KEYS:
        _number(data.get(f"_cell_{key}"), f"_cell_{key}", name)
    columns = [data.get(f"_atom_site_fract_{axis}") for axis in "xyz"]
    if not all(isinstance(column, list) and column for column in columns):
        raise FileFormatError(
            f"{name}: no complete loop of atoms (truncated?); a loop with _atom_site_fract_x, "
            "_atom_site_fract_y and _atom_site_fract_z is needed."
        )
    _check_cost(data, len(columns[0]), name)
    coords = np.array(
        [
            [_number(value, f"_atom_site_fract_{axis}", name) for value in column]
            for axis, column in zip("xyz", columns, strict=True)
        ]
    ).T
    labels = data.get("_atom_site_label") or data.get("_atom_site_type_symbol")
    if not isinstance(labels, list):
        raise FileFormatError(f"{name}: the loop of atoms lacks _atom_site_label.")
    _check_symbols(data, labels, name)
    _check_occupancies(data, labels, name)
    _check_coincident(data, labels, coords, name)


def _check_cost(data: Any, rows: int, name: str) -> None:
    """Refuse what would keep pymatgen busy for minutes.

    It compares every image of every atom with all atoms: 0.6 s at 2000 rows without symmetry.
    """
    operations = max(
        len(data[key]) if isinstance(data.get(key), list) else 1 for key in _OPERATION_KEYS
    )
    if rows > _MAX_ROWS or rows * operations > _MAX_IMAGES:
        raise ResourceLimitError(
            f"{name}: a CIF of {rows} atoms under {operations} symmetry operations; at most "
            f"{_MAX_ROWS} atoms and {_MAX_IMAGES} images are read. Give a smaller cell, or a "
            "POSCAR or extxyz file."
        )


def _check_symbols(data: Any, labels: list[str], name: str) -> None:
    """Refuse unknown symbols: pymatgen reads "Foo" as the element it begins with (F)."""
    symbols = data.get("_atom_site_type_symbol")
    strict = isinstance(symbols, list)
    for index, text in enumerate(symbols if strict else labels):
        match = re.match(r"[A-Za-z]+", text)
        letters = match.group() if match else ""
        known = Element.is_valid_symbol(letters.title())
        # A label may go on after the symbol ("CA1", "Ow"): its beginning tells.
        if not strict:
            known = known or any(
                Element.is_valid_symbol(letters[:size].title()) for size in (2, 1) if letters
            )
        if letters.title() in {"D", "T"} or not known:
            hint = "write deuterium as H" if letters.title() in {"D", "T"} else "an element symbol"
            raise StructureError(
                f"{name}: atom {labels[index]} has the unknown species {text!r}; {hint} is needed."
            )


def _check_occupancies(data: Any, labels: list[str], name: str) -> None:
    values = data.get("_atom_site_occupancy")
    if not isinstance(values, list):
        return
    for label, value in zip(labels, values, strict=True):
        if value in _UNSTATED:
            continue
        occupancy = _number(value, "_atom_site_occupancy", name)
        if abs(occupancy - 1.0) > 1e-3:
            raise StructureError(
                f"{name}: partial occupancy, atom {label} has occupancy {occupancy:g}; only "
                "ordered crystals can be computed: give an ordered cell."
            )


def _check_coincident(data: Any, labels: list[str], coords: Any, name: str) -> None:
    """Listed atoms at one place; symmetry images are checked after parsing."""
    lattice = Lattice.from_parameters(*(str2float(data[f"_cell_{key}"]) for key in _CELL_KEYS))
    if not np.isfinite(lattice.matrix).all():
        raise StructureError(f"{name}: the cell angles span no volume.")
    if len(coords) > 400:  # the check after parsing finds them as well, without the labels
        return
    for i, j in itertools.combinations(range(len(coords)), 2):
        delta = coords[i] - coords[j]
        distance = float(np.linalg.norm((delta - np.round(delta)) @ lattice.matrix))
        if distance < MIN_DISTANCE:
            raise StructureError(
                f"{name}: atoms {labels[i]} and {labels[j]} are {distance:.3f} Å apart; two atoms "
                f"nearer than {MIN_DISTANCE} Å are taken for duplicates: remove one."
            )


def _number(value: Any, key: str, name: str) -> float:
    try:
        number = float(str2float(value))
    except (TypeError, ValueError, AttributeError) as error:
        shown = "missing" if value is None else repr(value)[:40]
        raise FileFormatError(
            f"{name}: {key} is {shown} (truncated?); a number is needed."
        ) from error
    if not np.isfinite(number):
        raise FileFormatError(f"{name}: {key} is {number}; a finite number is needed.")
    return number
