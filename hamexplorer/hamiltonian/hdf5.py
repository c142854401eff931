"""Our file: one Hamiltonian in one HDF5 file, lossless.

Layout, version 1 (row-major, little-endian as HDF5 stores it):

    /                     attributes: format = "hamexplorer-hamiltonian", version = 1,
                          n_electrons (float), provenance (JSON)
    /structure            pymatgen JSON of the structure, a string
    /basis/symbols        (n_sites,) strings
    /basis/shells         (n_sites,) strings: "4s:0 5s:0 4p:1", shell label and l
    /pairs/first, second  (n_pairs,) int64, sites i and j
    /pairs/cell           (n_pairs, 3) int64, R
    /blocks/overlap       (n_elements,) float64: blocks one after the other, each row-major
    /blocks/scalar        (n_elements,) float64, eV
    /blocks/exchange      optional, (n_elements,) or (3, n_elements), eV
    /blocks/spin_orbit    optional, (3, n_elements), eV: Λ_x, Λ_y, Λ_z
    /blocks/uncertainty   optional, (n_elements,), eV
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError, HamexplorerError
from hamexplorer.hamiltonian.basis import Basis, Shell
from hamexplorer.hamiltonian.core import Hamiltonian
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.provenance import Provenance

__all__ = ["FORMAT", "VERSION", "load_hamiltonian", "save_hamiltonian"]

FORMAT = "hamexplorer-hamiltonian"
VERSION = 1
_OPTIONAL = ("exchange", "spin_orbit", "uncertainty")


def save_hamiltonian(h: Hamiltonian, path: str | Path) -> None:
    """Write ``h`` to ``path`` (HDF5, layout above), replacing a file that is there."""
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["n_electrons"] = h.n_electrons
        file.attrs["provenance"] = h.provenance.to_json()
        # as a data set: attributes are limited to 64 kB
        file["structure"] = json.dumps(h.structure.as_dict(), default=_plain)
        basis = file.create_group("basis")
        basis["symbols"] = list(h.basis.symbols)
        basis["shells"] = [
            " ".join(f"{s.label}:{s.l}" for s in shells) for shells in h.basis.shells
        ]
        pairs = file.create_group("pairs")
        for name in ("first", "second", "cell"):
            pairs[name] = getattr(h.pairs, name)
        blocks = file.create_group("blocks")
        for name in ("overlap", "scalar", *_OPTIONAL):
            value = getattr(h, name)
            if value is not None:
                blocks.create_dataset(
                    name,
                    data=value,
                    chunks=True,
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                )


def load_hamiltonian(path: str | Path) -> Hamiltonian:
    """Read a Hamiltonian written by :func:`save_hamiltonian`, checking it anew.

    Raises:
        FileFormatError: not HDF5, of another program, of a newer version, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path.name}: there is no such file.")
    try:
        with h5py.File(path, "r") as file:
            _check_header(file, path.name)
            return _read(file)
    except HamexplorerError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path.name}: {error}") from error
    except (OSError, RuntimeError) as error:
        raise FileFormatError(
            f"{path.name} is not an HDF5 file, or is truncated: {str(error).split('(')[0].strip()}."
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path.name} is damaged: {error}.") from error


def _check_header(file: h5py.File, name: str) -> None:
    found = file.attrs.get("format")
    if found != FORMAT:
        raise FileFormatError(
            f"{name} is an HDF5 file of another program: its attribute 'format' is {found!r}, "
            f"accepted is {FORMAT!r}."
        )
    version = int(file.attrs.get("version", 0))
    if not 1 <= version <= VERSION:
        raise FileFormatError(
            f"{name} has layout version {version}; this release reads up to {VERSION}."
        )


def _read(file: h5py.File) -> Hamiltonian:
    structure = Structure.from_dict(json.loads(_text(file["structure"][()])))
    symbols = tuple(_text(s) for s in file["basis/symbols"][()])
    shells = tuple(
        tuple(_shell(word) for word in _text(line).split()) for line in file["basis/shells"][()]
    )
    basis = Basis(symbols, shells)
    first, second, cell = (file[f"pairs/{name}"][()] for name in ("first", "second", "cell"))
    pairs = Pairs(first, second, cell, basis.sizes)
    blocks = file["blocks"]
    optional = {name: blocks[name][()] if name in blocks else None for name in _OPTIONAL}
    return Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=blocks["overlap"][()],
        scalar=blocks["scalar"][()],
        n_electrons=float(file.attrs["n_electrons"]),
        provenance=Provenance.from_json(_text(file.attrs["provenance"])),
        **optional,
    )


def _shell(word: str) -> Shell:
    label, l = word.rsplit(":", 1)  # noqa: E741
    return Shell(label, int(l))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays as JSON data (site properties may hold them)."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be stored")
