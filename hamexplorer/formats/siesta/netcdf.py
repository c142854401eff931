"""Siesta's ``.nc``: a netCDF-4 file, which is HDF5.

At the root: cell and xa in bohr, lasto, nsc, Ef in Ry, Qtot. In SPARSE: n_col (elements by row),
list_col (columns of the supercell, from 1), isc_off (R of the cells), S, and H (components,
elements) in Ry. In BASIS: ``basis`` (species of the atoms, from 1) and a group for each species
with its label, atomic number and, if Siesta wrote it, n, l, zeta of each radial function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import MAX_FILE_BYTES, Member
from hamexplorer.formats.siesta.matrix import (
    CODATA,
    SPINS,
    SiestaMatrix,
    Species,
    checked_columns,
    expanded,
)
from hamexplorer.hamiltonian.checked_hdf5 import Field, read_fields

__all__ = ["looks_like_nc", "parse_nc"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FIELDS = (
    Field("cell", "number", (2,)),
    Field("xa", "number", (2,)),
    Field("lasto", "index"),
    Field("Ef", "number", required=False),
    Field("Qtot", "number", required=False),
    Field("SPARSE/n_col", "index"),
    Field("SPARSE/list_col", "index"),
    Field("SPARSE/isc_off", "index", (2,)),
    Field("SPARSE/S", "number"),
    Field("SPARSE/H", "number", (2,)),
    Field("BASIS/basis", "index", required=False),
)
_SHELLS = ("orbnl_n", "orbnl_l", "orbnl_z", "orbnl_ispol")
_MAX_SPECIES = 1000


def looks_like_nc(member: Member) -> bool:
    """Whether it is HDF5 with a sparse H of Siesta's; only its table of contents is read."""
    if not member.head.startswith(_SIGNATURE):
        return False
    try:
        with _opened(member) as file:
            return all(f"SPARSE/{name}" in file for name in ("n_col", "list_col", "H"))
    except Exception:  # whatever HDF5 raises on a damaged file: then it is none of these
        return False


def parse_nc(member: Member) -> SiestaMatrix:
    """Content of a file.

    Raises:
        FileFormatError: damaged, or of another layout.
        ResourceLimitError: it declares more than can be read.
    """
    with _opened(member) as file:
        data = read_fields(file, _FIELDS, MAX_FILE_BYTES)
        unit = file["SPARSE/H"].attrs.get("unit", b"Ry")
        if _text(unit) != "Ry":
            raise FileFormatError(f"{member.name} holds H in {_text(unit)!r}; accepted is 'Ry'.")
        species, numbers = _species(file) if "BASIS/basis" in data else (None, None)
    return _matrix(data, species, numbers, member.name)


def _matrix(
    data: dict[str, NDArray[Any]],
    species: tuple[Species, ...] | None,
    numbers: tuple[int, ...] | None,
    name: str,
) -> SiestaMatrix:
    counts = data["SPARSE/n_col"].astype(np.int64)
    columns, overlap, h = (data[f"SPARSE/{k}"] for k in ("list_col", "S", "H"))
    cells = data["SPARSE/isc_off"].astype(np.int64)
    last = data["lasto"].astype(np.int64)
    atom_orbitals = np.diff(last, prepend=0)
    n_orbitals, n_atoms = len(counts), len(last)
    shapes = {
        "cell": (data["cell"].shape, (3, 3)),
        "xa": (data["xa"].shape, (n_atoms, 3)),
        "isc_off": (cells.shape, (len(cells), 3)),
        "S": (overlap.shape, columns.shape),
        "H": (h.shape[1:], columns.shape),
    }
    for key, (found, expected) in shapes.items():
        if found != expected:
            raise FileFormatError(f"{name}: {key} has shape {found}; expected is {expected}.")
    if (counts < 0).any() or int(counts.sum()) != len(columns) or not len(columns):
        raise FileFormatError(
            f"{name} is damaged: its rows have {int(counts.sum())} elements, list_col has "
            f"{len(columns)}."
        )
    if not n_atoms or (atom_orbitals < 1).any() or last[-1] != n_orbitals:
        raise FileFormatError(f"{name} is damaged: lasto is {last[:20].tolist()}.")
    if len(h) not in SPINS or any(np.iscomplexobj(m) for m in data.values()):
        raise FileFormatError(
            f"{name} has {len(h)} spin components of {h.dtype}; accepted are "
            f"{', '.join(map(str, SPINS))} real ones."
        )
    orbital, cell = checked_columns(columns, n_orbitals, len(cells), name)
    atom_species = None
    if species is not None:
        atom_species = data["BASIS/basis"].astype(np.int64) - 1
        if (
            atom_species.shape != (n_atoms,)
            or (atom_species < 0).any()
            or (atom_species >= len(species)).any()
        ):
            raise FileFormatError(f"{name} is damaged: its atoms' species are not in BASIS.")
    fermi = data.get("Ef", np.empty(0))
    charge = float(data["Qtot"][0]) if data.get("Qtot", np.empty(0)).size else 0.0
    return SiestaMatrix(
        kind="nc",
        constants=CODATA,
        n_orbitals=n_orbitals,
        counts=counts,
        columns=orbital,
        cell=cell,
        cells=cells,
        vectors=None,
        hamiltonian=h.astype(np.float64, copy=False),
        overlap=overlap.astype(np.float64, copy=False),
        lattice=data["cell"].astype(np.float64),
        positions=data["xa"].astype(np.float64),
        species=species,
        atom_species=atom_species,
        atom_orbitals=atom_orbitals,
        # with a fixed moment there are two
        fermi_energy=float(fermi[0]) if fermi.size == 1 else None,
        n_electrons=charge if charge > 0 else None,
        atomic_numbers=numbers,
    )


def _species(file: h5py.File) -> tuple[tuple[Species, ...], tuple[int, ...]]:
    """Species in the order of their IDs, and their atomic numbers."""
    basis = file["BASIS"]
    found: dict[int, tuple[Species, int]] = {}
    for key in basis:
        if key == "basis":
            continue
        if (
            len(found) == _MAX_SPECIES
            or basis.get(key, getlink=True).__class__ is not h5py.HardLink
        ):
            raise FileFormatError(f"group BASIS holds more than {_MAX_SPECIES} species, or links.")
        group = basis[key]
        number = _number(group, "ID")
        found[number] = (
            Species(_text(group.attrs.get("Label", key)), _orbitals(group)),
            _number(group, "Atomic_number"),
        )
    if sorted(found) != list(range(1, len(found) + 1)):
        raise FileFormatError(f"the species of group BASIS have the IDs {sorted(found)[:20]}.")
    ordered = [found[i + 1] for i in range(len(found))]
    return tuple(s for s, _ in ordered), tuple(z for _, z in ordered)


def _orbitals(group: h5py.Group) -> tuple[Any, ...]:
    if "orbnl_l" not in group:
        return ()
    fields = [Field(name, "index") for name in _SHELLS]
    data = read_fields(group, fields, 1e6)
    if len({data[name].shape for name in _SHELLS}) > 1:
        raise FileFormatError(f"{group.name}: n, l and zeta are of different length.")
    n, momentum, zeta, polarised = (data[name].tolist() for name in _SHELLS)
    return expanded(list(zip(n, momentum, zeta, [p > 0 for p in polarised], strict=True)))


def _number(group: h5py.Group, name: str) -> int:
    value = np.asarray(group.attrs.get(name, ()))
    if value.size != 1 or value.dtype.kind not in "iu":
        raise FileFormatError(f"{group.name}: attribute {name!r} must be one integer.")
    return int(value.reshape(-1)[0])


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise FileFormatError(f"an attribute holds {type(value).__name__}, not text.")
    return value.strip()


@contextmanager
def _opened(member: Member) -> Iterator[h5py.File]:
    with member.path() as path, h5py.File(path, "r") as file:
        yield file
