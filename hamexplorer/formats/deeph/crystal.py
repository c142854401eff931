"""The small files of a set: structure, shells and what is known of the calculation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.deeph.fileset import FileSet
from hamexplorer.hamiltonian import Basis, Shell
from hamexplorer.structures import check_structure, load_structure

__all__ = ["MAX_L", "Crystal", "read_crystal", "shells_of"]

MAX_L = 6
"""Largest angular momentum that is read."""
_MAX_TEXT = 2e8


@dataclass(frozen=True, eq=False)
class Crystal:
    """All but the matrices.

    Attributes:
        structure: sites as the matrices count them, in the images that R counts from.
        basis: shells with running labels (``d1``): the format keeps l alone.
        spinful: what ``info.json`` says; None: nothing.
        orthogonal: whether the orbitals are orthogonal.
        fermi_energy: eV, None if not told.
        n_electrons: per cell, both spins, None if not told.
        files: those that were read.
    """

    structure: Structure
    basis: Basis
    spinful: bool | None
    orthogonal: bool
    fermi_energy: float | None
    n_electrons: float | None
    files: tuple[Member, ...]


def read_crystal(files: FileSet) -> Crystal:
    """Structure, basis and ``info.json`` of a set.

    Raises:
        FileFormatError: a file is missing or not what it should be.
        StructureError: no computable crystal.
    """
    return _new(files) if files.layout == "new" else _old(files)


def _new(files: FileSet) -> Crystal:
    poscar, info_file = files.need("POSCAR"), files.need("info.json")
    structure = load_structure(poscar.data(_MAX_TEXT).tobytes(), filename="POSCAR")
    info = _Info(info_file)
    shells = {
        symbol: _momenta(symbol, given) for symbol, given in info.table("elements_orbital_map")
    }
    symbols = [site.specie.symbol for site in structure]
    missing = sorted(set(symbols) - shells.keys())
    if missing:
        raise FileFormatError(
            f"info.json: 'elements_orbital_map' has no {', '.join(missing)}, which POSCAR has."
        )
    basis = _basis(symbols, [shells[symbol] for symbol in symbols])
    info.must_be("atoms_quantity", basis.n_sites, "POSCAR")
    info.must_be("orbits_quantity", basis.n_orbitals, "'elements_orbital_map'")
    return Crystal(
        structure,
        basis,
        info.flag("spinful"),
        info.flag("orthogonal_basis") or False,
        info.number("fermi_energy_eV"),
        info.number("occupation"),
        (poscar, info_file),
    )


def _old(files: FileSet) -> Crystal:
    names = ("lat.dat", "site_positions.dat", "element.dat", "orbital_types.dat")
    lattice, positions, elements, orbitals = (files.need(name) for name in names)
    vectors = _numbers(lattice)
    sites = _numbers(positions)
    numbers = _numbers(elements).ravel()
    n = len(numbers)
    if vectors.shape != (3, 3) or sites.shape != (3, n):
        raise FileFormatError(
            f"lat.dat has {vectors.shape} and site_positions.dat {sites.shape} numbers; expected "
            f"are (3, 3) and (3, {n}), one column for each of element.dat's atoms."
        )
    wrong = numbers[~np.isin(numbers, np.arange(1, 119))]
    if wrong.size:
        raise FileFormatError(f"element.dat: {wrong[0]:g} is no atomic number (1 … 118).")
    symbols = [Element.from_Z(int(z)).symbol for z in numbers]
    lines = [line.split() for line in _text(orbitals).splitlines() if line.strip()]
    if len(lines) != n:
        raise FileFormatError(
            f"orbital_types.dat has {len(lines)} lines; expected is one for each of {n} atoms."
        )
    shells = [_momenta(f"line {k + 1}", words) for k, words in enumerate(lines)]
    if abs(np.linalg.det(vectors)) < 1e-6:
        raise FileFormatError("lat.dat: the three vectors, one in each column, span no volume.")
    structure = Structure(Lattice(vectors.T), symbols, sites.T, coords_are_cartesian=True)
    check_structure(structure, "site_positions.dat")
    read = [lattice, positions, elements, orbitals]
    info = None
    if "info.json" in files.files:
        info = _Info(files.files["info.json"])
        read.append(files.files["info.json"])
    return Crystal(
        structure,
        _basis(symbols, shells),
        info.flag("isspinful") if info else None,
        bool(info and info.flag("isorthogonal")),
        info.number("fermi_level") if info else None,
        info.number("occupation") if info else None,
        tuple(read),
    )


def _basis(symbols: list[str], momenta: list[tuple[int, ...]]) -> Basis:
    shells = {of_site: shells_of(of_site) for of_site in set(momenta)}
    return Basis(tuple(symbols), tuple(shells[of_site] for of_site in momenta))


def shells_of(momenta: tuple[int, ...]) -> tuple[Shell, ...]:
    """``s1``, ``s2``, ``p1``: letter and running number."""
    return tuple(
        Shell(f"{'spdfghi'[l]}{momenta[: k + 1].count(l)}", l)
        for k, l in enumerate(momenta)  # noqa: E741
    )


def _momenta(where: str, words: Any) -> tuple[int, ...]:
    """The angular momenta of a site's shells."""
    listed = words if isinstance(words, list) and words else ["none"]
    found = [int(w) if str(w).isdecimal() and len(str(w)) < 3 else -1 for w in listed]
    wrong = [w for w, l in zip(listed, found, strict=True) if not 0 <= l <= MAX_L]  # noqa: E741
    if wrong or len(found) > 200:
        raise FileFormatError(
            f"Shells of {where}: {str(wrong[0] if wrong else listed)[:80]!r}; expected is a list "
            f"of angular momenta 0 … {MAX_L}."
        )
    return tuple(found)


class _Info:
    """``info.json``, whose values are asked with their types."""

    def __init__(self, member: Member) -> None:
        try:
            self._data = json.loads(_text(member))
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"info.json is no JSON: {error}.") from error
        if not isinstance(self._data, dict):
            raise FileFormatError("info.json must be an object.")

    def flag(self, key: str) -> bool | None:
        value = self._data.get(key)
        if value is not None and not isinstance(value, bool):
            raise FileFormatError(f"info.json: {key!r} must be true or false, not {value!r:.80}.")
        return value

    def number(self, key: str) -> float | None:
        value = self._data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _sane(value):
            raise FileFormatError(f"info.json: {key!r} must be a number, not {value!r:.80}.")
        return float(value)

    def table(self, key: str) -> list[tuple[str, Any]]:
        value = self._data.get(key)
        if not isinstance(value, Mapping):
            raise FileFormatError(f"info.json: {key!r} must be an object, not {value!r:.80}.")
        return list(value.items())

    def must_be(self, key: str, expected: int, by: str) -> None:
        """Complain if it is told, but otherwise."""
        if self._data.get(key, expected) != expected:
            raise FileFormatError(
                f"info.json: {key!r} is {self._data[key]!r:.80}, but {expected} by {by}."
            )


def _sane(value: float) -> bool:
    return math.isfinite(value) and abs(value) < 1e9


def _text(member: Member) -> str:
    return member.text(_MAX_TEXT)


def _numbers(member: Member) -> NDArray[np.float64]:
    """A table of numbers, (rows, columns), all finite."""
    rows = [line.split() for line in _text(member).splitlines() if line.strip()]
    try:
        table = np.array(rows, dtype=float)
    except ValueError as error:
        raise FileFormatError(
            f"{member.basename} must be rows of numbers, as many in each: {error}."
        ) from error
    if table.ndim != 2 or not np.isfinite(table).all():
        raise FileFormatError(f"{member.basename} must be rows of finite numbers.")
    return table
