"""Our file: one Hamiltonian in one HDF5 file, lossless.

Layout, version 3 (row-major, little-endian as HDF5 stores it):

    /                     attributes: format = "hamexplorer-hamiltonian", version = 3,
                          n_electrons (float)
    /provenance           (1,) string: JSON of the record
    /structure            (1,) string: pymatgen JSON of the structure
    /basis/symbols        (n_sites,) strings
    /basis/shells         (n_sites,) strings: "4s:0 5s:0 4p:1", shell label and l
    /pairs/first, second  (n_pairs,) int64, sites i and j
    /pairs/cell           (n_pairs, 3) int64, R
    /blocks/overlap       (n_elements,) float64: blocks one after the other, each row-major
    /blocks/scalar        (n_elements,) float64, eV
    /blocks/exchange      optional, (n_elements,) or (3, n_elements), eV
    /blocks/spin_orbit    optional, (3, n_elements), eV: Λ_x, Λ_y, Λ_z
    /blocks/uncertainty   optional, (n_elements,), eV
    /blocks/position      optional, (3, n_elements), Å: X_x, X_y, X_z, midpoint-centred
    /blocks/time_odd      optional, (n_elements,), eV: A

Version 2 has no /blocks/time_odd, version 1 no /blocks/position either; they are read as
Hamiltonians without.

Strings are UTF-8 of fixed length. Every data set is chunked, compressed (shuffle, gzip) and
checksummed (Fletcher 32); the file's own structures are those of HDF5 1.10, which are checksummed
too. So a changed byte is found, not read. The same Hamiltonian gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.electronic_structure.core import Magmom

from hamexplorer.errors import FileFormatError, HamexplorerError, ResourceLimitError
from hamexplorer.hamiltonian.arrays import read_only
from hamexplorer.hamiltonian.basis import Basis, Shell
from hamexplorer.hamiltonian.checked_hdf5 import Field, attribute, read_fields
from hamexplorer.hamiltonian.core import Hamiltonian
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.provenance import Provenance

__all__ = [
    "FORMAT",
    "LIBRARY",
    "MAX_BYTES",
    "VERSION",
    "load_hamiltonian",
    "save_hamiltonian",
    "write_text",
    "write_values",
]

FORMAT = "hamexplorer-hamiltonian"
VERSION = 3
MAX_BYTES = 16e9
"""Most data, uncompressed, that is read from one file by default."""

_BLOCKS = ("overlap", "scalar", "exchange", "spin_orbit", "uncertainty", "position", "time_odd")
_SINCE = {"blocks/position": 2, "blocks/time_odd": 3}
"""The version that brought a field; older files are read without it (None)."""
_FIELDS = (
    Field("provenance", "text"),
    Field("structure", "text"),
    Field("basis/symbols", "text"),
    Field("basis/shells", "text"),
    Field("pairs/first", "integer"),
    Field("pairs/second", "integer"),
    Field("pairs/cell", "integer", (2,)),
    *(Field(f"blocks/{name}", "real", (1, 2), name in ("overlap", "scalar")) for name in _BLOCKS),
)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
LIBRARY = ("v110", "v110")
"""Versions of HDF5's own structures that are written: those with checksums."""
_CHUNK = 131072
"""Values in a chunk, 1 MiB: a fifth smaller and no slower than h5py's own choice."""


def save_hamiltonian(h: Hamiltonian, path: str | Path) -> None:
    """Write ``h`` to ``path`` (HDF5, layout above), replacing a file that is there.

    Raises:
        HamexplorerError: the structure or the provenance holds what no file can keep.
        OSError: the file cannot be written.
    """
    try:
        provenance = h.provenance.to_json()
        structure = json.dumps(h.structure.as_dict(), default=_plain)
    except (TypeError, ValueError) as error:
        raise HamexplorerError(f"The Hamiltonian cannot be saved: {error}.") from error
    shells = [" ".join(f"{s.label}:{s.l}" for s in of_site) for of_site in h.basis.shells]
    with h5py.File(path, "w", libver=LIBRARY) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        file.attrs["n_electrons"] = h.n_electrons
        write_text(file, "provenance", [provenance])
        write_text(file, "structure", [structure])
        write_text(file, "basis/symbols", h.basis.symbols)
        write_text(file, "basis/shells", shells)
        for name in ("first", "second", "cell"):
            write_values(file, f"pairs/{name}", getattr(h.pairs, name))
        for name in _BLOCKS:
            value = getattr(h, name)
            if value is not None:
                write_values(file, f"blocks/{name}", value)


def load_hamiltonian(path: str | Path, max_bytes: float = MAX_BYTES) -> Hamiltonian:
    """Read a Hamiltonian written by :func:`save_hamiltonian`, checking it anew.

    ``max_bytes`` is the most data, uncompressed, that is read; unpacking one chunk may take the
    same once more, or 2 GB.

    Raises:
        FileFormatError: not a file, not HDF5, of another program, of a newer version, or damaged.
        ResourceLimitError: the file declares more data than ``max_bytes``, or than there is
            memory.
    """
    path = Path(path)
    _check_signature(path)
    try:
        with h5py.File(path, "r") as file:
            return _hamiltonian(file, _checked_version(file), max_bytes)
    except ResourceLimitError as error:
        raise ResourceLimitError(f"{path.name}: {error}") from error
    except HamexplorerError as error:
        raise FileFormatError(f"{path.name}: {error}") from error
    except MemoryError as error:
        raise ResourceLimitError(f"{path.name} needs more memory than there is.") from error
    except Exception as error:  # on damaged input HDF5 and pymatgen may raise anything
        raise FileFormatError(f"{path.name} is truncated or damaged: {error}.") from error


def _check_signature(path: Path) -> None:
    if path.is_dir():
        raise FileFormatError(f"{path.name} is a directory, not an HDF5 file.")
    if not path.is_file():
        raise FileFormatError(f"{path.name}: there is no such file.")
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_SIGNATURE))
    except OSError as error:
        raise FileFormatError(f"{path.name} cannot be read: {error.strerror}.") from error
    if not start:
        raise FileFormatError(f"{path.name} is empty.")
    if start != _SIGNATURE:
        raise FileFormatError(
            f"{path.name} is not an HDF5 file; accepted are files that hamexplorer saved."
        )


def _checked_version(file: h5py.File) -> int:
    """The layout version of a file of ours."""
    found = attribute(file, "format")
    if found != FORMAT:
        raise FileFormatError(
            f"this is an HDF5 file of another program: its attribute 'format' is {found!r}, "
            f"accepted is {FORMAT!r}."
        )
    version = attribute(file, "version")
    if not isinstance(version, np.integer) or not 1 <= version <= VERSION:
        raise FileFormatError(
            f"it has layout version {version}; this release reads 1 to {VERSION}."
        )
    return int(version)


def _hamiltonian(file: h5py.File, version: int, max_bytes: float) -> Hamiltonian:
    n_electrons = attribute(file, "n_electrons")
    if not isinstance(n_electrons, np.floating):
        raise FileFormatError(f"attribute 'n_electrons' must be a number, not {n_electrons!r}.")
    fields = [field for field in _FIELDS if _SINCE.get(field.path, 1) <= version]
    data = read_fields(file, fields, max_bytes)
    basis = Basis(
        tuple(_text(symbol) for symbol in data["basis/symbols"]),
        tuple(tuple(_shell(s) for s in _text(line).split()) for line in data["basis/shells"]),
    )
    pairs = Pairs(data["pairs/first"], data["pairs/second"], data["pairs/cell"], basis.sizes)
    # made read-only here, so that the Hamiltonian need not copy them
    blocks = {
        name: read_only(data[f"blocks/{name}"]) for name in _BLOCKS if f"blocks/{name}" in data
    }
    return Hamiltonian(
        structure=_structure(_only(data, "structure")),
        basis=basis,
        pairs=pairs,
        overlap=blocks["overlap"],
        scalar=blocks["scalar"],
        exchange=blocks.get("exchange"),
        spin_orbit=blocks.get("spin_orbit"),
        n_electrons=float(n_electrons),
        provenance=Provenance.from_json(_only(data, "provenance")),
        uncertainty=blocks.get("uncertainty"),
        position=blocks.get("position"),
        time_odd=blocks.get("time_odd"),
    )


def write_values(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    """Write an array as this layout does: chunked, compressed, checksummed."""
    rows = () if values.ndim == 1 else (1 if len(values) == 3 else len(values),)
    long = values.shape[-1]
    file.create_dataset(
        name,
        data=values,
        chunks=(*rows, min(long, _CHUNK)),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
        fletcher32=True,
    )


def write_text(file: h5py.File, name: str, lines: Sequence[str]) -> None:
    """Write lines of text as UTF-8 of fixed length, likewise."""
    encoded = [line.encode() for line in lines]
    length = max(len(line) for line in encoded)
    kind = h5py.string_dtype("utf-8", length)
    write_values(file, name, np.array(encoded, dtype=kind))


def _only(data: dict[str, NDArray[Any]], name: str) -> str:
    if data[name].shape != (1,):
        raise FileFormatError(f"{name!r} must hold one string, not {len(data[name])}.")
    return _text(data[name][0])


def _text(value: bytes) -> str:
    return value.decode()


def _shell(word: str) -> Shell:
    label, _, momentum = word.rpartition(":")
    if not momentum.isdecimal():
        raise FileFormatError(f"shell {word!r} in 'basis/shells' is not of the form '4p:1'.")
    return Shell(label, int(momentum))


def _structure(text: str) -> Structure:
    try:
        return Structure.from_dict(_without_classes(json.loads(text)))
    except Exception as error:  # pymatgen raises whatever its parts raise
        raise FileFormatError(f"'structure' is not a pymatgen structure: {error}.") from error


def _without_classes(value: Any) -> Any:
    """The data without any ``@module``, so that no class is looked up by a name in the file."""
    if isinstance(value, dict):
        return {k: _without_classes(v) for k, v in value.items() if not k.startswith("@")}
    if isinstance(value, list):
        return [_without_classes(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """What site properties may hold, as JSON data."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Magmom):
        return value.global_moment.tolist()
    raise TypeError(f"the structure holds a {type(value).__name__}, which is not plain data")
