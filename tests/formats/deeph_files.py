"""DeepH sets of the format's own library, and ways to change them, for tests."""

from __future__ import annotations

import json
import lzma
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest
from numpy.typing import NDArray

from hamexplorer.assets_path import asset
from hamexplorer.errors import HamexplorerError
from hamexplorer.formats import ReadOptions, read_hamiltonian
from hamexplorer.formats.deeph import write_new, write_old
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian

DATA = Path(__file__).parents[1] / "data"
SETS = ("new_wse2_nc", "new_fe_col", "old_wse2_nc", "old_wse2_col")
WRITERS = {"new": write_new, "old": write_old}
FILES = {
    "new": ("hamiltonian.h5", "overlap.h5"),
    "old": ("hamiltonians.h5", "overlaps.h5"),
}


@cache
def openmx(name: str) -> Hamiltonian:
    return read_hamiltonian(DATA / "openmx" / f"{name}.scfout.xz")


@cache
def mos2() -> Hamiltonian:
    return load_hamiltonian(asset("examples/mos2.h5"))


def unpacked(name: str, target: Path) -> Path:
    """The library's set as it wrote it."""
    target.mkdir()
    for file in (DATA / "deeph" / name).iterdir():
        if file.suffix == ".xz":
            (target / file.stem).write_bytes(lzma.decompress(file.read_bytes()))
        else:
            shutil.copy(file, target)
    return target


def edit_info(folder: Path, **changes: Any) -> None:
    info = json.loads((folder / "info.json").read_text())
    info |= changes
    kept = {key: value for key, value in info.items() if value is not ...}
    (folder / "info.json").write_text(json.dumps(kept))


def change(path: Path, **arrays: NDArray[Any]) -> None:
    """Replace data sets of a file of the new layout."""
    with h5py.File(path, "r+") as file:
        for name, values in arrays.items():
            del file[name]
            file[name] = values


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: data[()] for name, data in file.items()}


def complaint(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(HamexplorerError) as caught:
        read_hamiltonian(path, options)
    return str(caught.value)


def blocks_of(path: Path) -> dict[tuple[int, ...], NDArray[Any]]:
    """Blocks of either layout by (R1, R2, R3, i, j), i and j from 0, cut out as it says."""
    data = arrays_of(path)
    if "entries" not in data:
        return {(*(k := json.loads(key))[:3], k[3] - 1, k[4] - 1): data[key] for key in data}
    edges, shapes = data["chunk_boundaries"], data["chunk_shapes"]
    return {
        tuple(row): data["entries"][edges[p] : edges[p + 1]].reshape(shapes[p])
        for p, row in enumerate(data["atom_pairs"].tolist())
    }
