"""Radial tables of free atoms: what an H0 from superposed atoms is made of; atomic units.

An atom is spherical, spin-unpolarised and neutral, and ends: its density ρ(r) and the potential
V_na(r) = V_loc(r) + V_H[ρ](r) of its pseudo-ion and electrons vanish from its reach on, with their
slopes. So a sum over the atoms of a crystal is finite, without an Ewald sum.

The tables of all elements lie in one HDF5 file, layout version 1:

    /            attributes: format = "hamexplorer-free-atoms", version = 1
    /record      (1,) string: JSON of {"generator": …, "versions": …, "elements": {"Mo": {"step": …,
                 "occupations": [["4s", 2.0], …], "eigenvalues": […], "confinement": …}, …}}
    /Mo, …       (3, n) float64: density, potential, magnetic

``assets/dft/free_atoms.h5`` is made by ``hamexplorer atoms build`` (:mod:`.atom_recipes`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.assets_path import asset
from hamexplorer.errors import (
    FileFormatError,
    HamexplorerError,
    ResourceLimitError,
    UnsupportedElementError,
)
from hamexplorer.hamiltonian.arrays import owned
from hamexplorer.hamiltonian.checked_hdf5 import Field, attribute, read_fields

__all__ = ["FORMAT", "VERSION", "AtomLibrary", "FreeAtom", "free_atom", "load_atoms", "save_atoms"]

FORMAT = "hamexplorer-free-atoms"
VERSION = 1

_CHARGE_TOLERANCE = 1e-6
_MAX_BYTES = 1e8
_TABLES = ("density", "potential", "magnetic")
_SHELL = re.compile(r"[1-9][spdf]")


@dataclass(frozen=True, eq=False)
class FreeAtom:
    """Tables of one element at r_k = k · ``step``, k = 0 … n − 1; atomic units.

    Attributes:
        element: chemical symbol.
        step: distance of the radii, bohr.
        density: (n,) ρ(r), valence electrons per bohr³, 0 at the last radius.
        potential: (n,) V_na(r) = V_loc(r) + V_H[ρ](r), Ha, 0 at the last radius.
        magnetic: (n,) density of the magnetic shell, normalised to one electron: spin density per
            µB; 0 at the last radius.
        occupations: electrons by shell, such as ``("4d", 4.0)``.
        eigenvalues: Ha, in the order of ``occupations``.
        confinement: radius of the soft confinement, bohr; inf without.

    Raises:
        HamexplorerError: the tables are not what is said here, or do not hold the charge of the
            occupations.
    """

    element: str
    step: float
    density: NDArray[np.float64]
    potential: NDArray[np.float64]
    magnetic: NDArray[np.float64]
    occupations: tuple[tuple[str, float], ...]
    eigenvalues: tuple[float, ...]
    confinement: float

    def __post_init__(self) -> None:
        self._check_numbers()
        for name in _TABLES:
            self._check_table(name)
            object.__setattr__(self, name, owned(getattr(self, name)))
        for name, electrons in (("density", self.charge), ("magnetic", 1.0)):
            table = getattr(self, name)
            if table.min() < 0:
                self._refuse(f"its table {name!r} is negative at {table.argmin() * self.step:g}")
            found = 4 * np.pi * self.step * float(np.sum(table * self.radii**2))
            if abs(found - electrons) > _CHARGE_TOLERANCE:
                self._refuse(
                    f"its table {name!r} holds {found:.8f} electrons instead of {electrons:g}"
                )

    @property
    def radii(self) -> NDArray[np.float64]:
        """r_k, bohr, (n,)."""
        return self.step * np.arange(len(self.density), dtype=np.float64)

    @property
    def reach(self) -> float:
        """The last radius, bohr: density and potential are 0 from there on."""
        return self.step * (len(self.density) - 1)

    @property
    def charge(self) -> float:
        """Valence electrons."""
        return math.fsum(electrons for _, electrons in self.occupations)

    def _check_numbers(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            self._refuse(f"its step must be a positive number of bohr, not {self.step}")
        if not self.confinement > 0:
            self._refuse(f"its confinement must be a positive radius or inf: {self.confinement}")
        if not self.occupations or len(self.occupations) != len(self.eigenvalues):
            self._refuse(
                f"it has {len(self.occupations)} shells and {len(self.eigenvalues)} eigenvalues"
            )
        for shell, electrons in self.occupations:
            room = 2 * (2 * "spdf".find(shell[-1:]) + 1)
            if not _SHELL.fullmatch(shell) or not 0 <= electrons <= room:
                self._refuse(f"{electrons} electrons in {shell!r} are no occupation like 4d 0–10")
        if not np.all(np.isfinite(self.eigenvalues)):
            self._refuse("an eigenvalue is not finite")

    def _check_table(self, name: str) -> None:
        table = getattr(self, name)
        if table.dtype != np.float64 or table.ndim != 1 or len(table) < 4:
            self._refuse(f"its table {name!r} must hold at least four 64-bit floats in a row")
        if len(table) != len(self.density):
            self._refuse(f"its tables {name!r} and 'density' differ in length")
        if not np.all(np.isfinite(table)):
            self._refuse(f"its table {name!r} holds what is not a finite number")
        if table[-1] != 0:
            self._refuse(f"its table {name!r} must end at 0, not at {table[-1]:g}")

    def _refuse(self, reason: str) -> NoReturn:
        raise HamexplorerError(f"The free atom {self.element} is refused: {reason}.")


@dataclass(frozen=True, eq=False)
class AtomLibrary:
    """Atoms by element, how they were made (plain JSON data), and with which packages."""

    atoms: Mapping[str, FreeAtom]
    generator: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=128)
def free_atom(element: str) -> FreeAtom:
    """The element's shipped tables.

    Raises:
        UnsupportedElementError: there are none.
    """
    return load_atoms(asset("dft/free_atoms.h5"), [element]).atoms[element]


def save_atoms(library: AtomLibrary, path: str | Path) -> None:
    """Write ``library`` (layout above), replacing a file; the same atoms give the same bytes.

    Raises:
        OSError: the file cannot be written.
    """
    elements = {
        name: {
            "step": atom.step,
            "occupations": atom.occupations,
            "eigenvalues": atom.eigenvalues,
            "confinement": atom.confinement if math.isfinite(atom.confinement) else None,
        }
        for name, atom in library.atoms.items()
    }
    record = {
        "generator": dict(library.generator),
        "versions": dict(library.versions),
        "elements": elements,
    }
    text = json.dumps(record, ensure_ascii=False).encode()
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        kind = h5py.string_dtype("utf-8", len(text))
        file.create_dataset("record", data=np.array([text], dtype=kind), fletcher32=True)
        for name, atom in library.atoms.items():
            file.create_dataset(
                name,
                data=np.array([getattr(atom, table) for table in _TABLES]),
                chunks=(1, len(atom.density)),
                compression="gzip",
                compression_opts=9,
                shuffle=True,
                fletcher32=True,
            )


def load_atoms(path: str | Path, elements: Collection[str] | None = None) -> AtomLibrary:
    """Read atoms written by :func:`save_atoms`, checking them anew; all, or ``elements`` alone.

    Raises:
        FileFormatError: not a file, not of this format, of a newer version, or damaged.
        UnsupportedElementError: it lacks one of ``elements``.
        ResourceLimitError: it declares more than 100 MB.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path.name}: there is no such file.")
    try:
        with h5py.File(path, "r") as file:
            return _library(file, elements)
    except (ResourceLimitError, UnsupportedElementError) as error:
        raise type(error)(f"{path.name}: {error}") from error
    except HamexplorerError as error:
        raise FileFormatError(f"{path.name}: {error}") from error
    except Exception as error:  # on damaged input HDF5 may raise anything
        raise FileFormatError(f"{path.name} is no file of free atoms, or damaged: {error}.") from (
            error
        )


def _library(file: h5py.File, elements: Collection[str] | None) -> AtomLibrary:
    found, version = attribute(file, "format"), attribute(file, "version")
    if found != FORMAT:
        raise FileFormatError(f"its attribute 'format' is {found!r}, accepted is {FORMAT!r}.")
    if not isinstance(version, np.integer) or version != VERSION:
        raise FileFormatError(f"it has layout version {version}; this release reads {VERSION}.")
    record = _record(file)
    missing = sorted(set(elements or ()) - set(record["elements"]))
    if missing:
        raise UnsupportedElementError(
            f"there is no free atom {', '.join(missing)}; there are "
            f"{', '.join(record['elements']) or 'none'}."
        )
    wanted = [name for name in record["elements"] if elements is None or name in elements]
    data = read_fields(file, [Field(name, "real", (2,)) for name in wanted], _MAX_BYTES)
    atoms = {name: _atom(name, record["elements"][name], data[name]) for name in wanted}
    return AtomLibrary(atoms, record["generator"], record["versions"])


def _record(file: h5py.File) -> dict[str, dict[str, Any]]:
    text = read_fields(file, [Field("record", "text")], _MAX_BYTES)["record"]
    if len(text) != 1:
        raise FileFormatError(f"'record' must hold one string, not {len(text)}.")
    record = json.loads(text[0].decode())
    parts = ("generator", "versions", "elements")
    if not isinstance(record, dict) or not all(isinstance(record.get(p), dict) for p in parts):
        raise FileFormatError(f"'record' must be an object with {', '.join(parts)}.")
    return record


def _atom(element: str, facts: Any, tables: NDArray[np.float64]) -> FreeAtom:
    if len(tables) != len(_TABLES):
        raise FileFormatError(f"{element!r} must hold {len(_TABLES)} rows, not {len(tables)}.")
    try:
        confinement = facts["confinement"]
        step = float(facts["step"])
        occupations = tuple((str(shell), float(f)) for shell, f in facts["occupations"])
        eigenvalues = tuple(float(e) for e in facts["eigenvalues"])
        radius = math.inf if confinement is None else float(confinement)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"'record' must tell step, occupations, eigenvalues and confinement of {element}."
        ) from error
    density, potential, magnetic = tables
    return FreeAtom(element, step, density, potential, magnetic, occupations, eigenvalues, radius)
