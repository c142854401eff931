"""HDF5 of the old layout: one data set per block, named ``[R1, R2, R3, i, j]``, sites from 1.

There may be a hundred thousand. The library takes some 150 µs to read each, so only its index is
asked where a block stands; blocks that stand in one piece are taken from the file's bytes.
"""

from __future__ import annotations

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, ResourceLimitError
from hamexplorer.formats.bundle import MAX_FILE_BYTES, Member
from hamexplorer.formats.deeph.blocks import StoredBlocks, checked_index
from hamexplorer.formats.deeph.fileset import KEY, opened
from hamexplorer.hamiltonian.checked_hdf5 import MAX_COMPRESSION, Field, read_fields

__all__ = ["read_keyed", "write_keyed"]


def read_keyed(member: Member, sizes: NDArray[np.int64]) -> StoredBlocks:
    """The blocks of a file.

    Args:
        member: the file.
        sizes: orbitals per site, (n_sites,).

    Raises:
        FileFormatError: damaged, or of another crystal.
        ResourceLimitError: it declares more than is read.
    """
    name = member.basename
    with opened(member) as file:
        keys = _keys(file, name)
        index = _index(keys, name)
        checked_index(name, index, len(sizes))
        shapes = np.column_stack([sizes[index[:, 3]], sizes[index[:, 4]]])
        return _blocks(file, name, keys, index, shapes)


def write_keyed(file: h5py.File, stored: StoredBlocks, sizes: NDArray[np.int64]) -> None:
    """Write blocks that stand one after the other into an empty file."""
    shapes = stored.spins * sizes[stored.index[:, 3:]]
    ends = [*stored.starts[1:], len(stored.values)]
    for row, shape, start, end in zip(
        stored.index.tolist(), shapes.tolist(), stored.starts, ends, strict=True
    ):
        *cell, i, j = row
        file[str([*cell, i + 1, j + 1])] = stored.values[start:end].reshape(shape)


def _keys(file: h5py.File, name: str) -> list[bytes]:
    keys: list[bytes] = []
    soft: list[bytes] = []

    def note(key: bytes, info: h5py.h5l.LinkInfo) -> None:
        (keys if info.type == h5py.h5l.TYPE_HARD else soft).append(key)

    file.id.links.iterate(note, info=True)
    if soft:
        raise FileFormatError(
            f"{name}: {soft[0].decode(errors='replace')!r} is a link; only data in the file itself "
            "is read."
        )
    return keys


def _index(keys: list[bytes], name: str) -> NDArray[np.int64]:
    """R1, R2, R3, i, j of every key, i and j from 0, (n, 5)."""
    rows = []
    for key in keys:
        found = KEY.fullmatch(key)
        if found is None or max(map(len, found.groups())) > 9:
            raise FileFormatError(
                f"{name}: {key[:80].decode(errors='replace')!r} names no block; expected is "
                "[R1, R2, R3, i, j]."
            )
        rows.append([int(number) for number in found.groups()])
    index = np.array(rows, dtype=np.int64).reshape(-1, 5)
    index[:, 3:] -= 1
    return index


def _blocks(
    file: h5py.File,
    name: str,
    keys: list[bytes],
    index: NDArray[np.int64],
    shapes: NDArray[np.int64],
) -> StoredBlocks:
    first = h5py.h5d.open(file.id, keys[0])
    kind, dtype = first.get_type(), first.dtype
    if dtype.kind not in "fc" or dtype.itemsize > 16:
        raise FileFormatError(f"{name}: blocks hold {dtype}; expected are real or complex numbers.")
    spins = 2 if first.shape == tuple(2 * shapes[0]) else 1
    starts = np.concatenate([[0], np.cumsum(spins**2 * shapes.prod(axis=1))])
    content = np.asarray(np.memmap(file.filename, dtype=np.uint8, mode="r"))
    _check_size(name, int(starts[-1]) * dtype.itemsize, content.size)
    values = np.empty(int(starts[-1]), dtype=dtype)
    raw = values.view(np.uint8)
    # whether the file's bytes are NumPy's
    same_bytes = kind == h5py.h5t.py_create(dtype)
    for key, shape, start, end in zip(
        keys, (spins * shapes).tolist(), starts[:-1].tolist(), starts[1:].tolist(), strict=True
    ):
        data = h5py.h5d.open(file.id, key)
        if data.shape != tuple(shape) or data.get_type() != kind:
            raise FileFormatError(
                f"{name}: block {key.decode()} is {data.shape} of {data.dtype}; expected are "
                f"{tuple(shape)} of {dtype}, by the orbitals of its sites and the other blocks."
            )
        offset, size = data.get_offset(), (end - start) * dtype.itemsize
        if same_bytes and offset is not None and data.get_storage_size() == size:
            if offset + size > content.size:
                raise FileFormatError(f"{name}: block {key.decode()} lies beyond the file's end.")
            raw[start * dtype.itemsize : end * dtype.itemsize] = content[offset : offset + size]
        else:
            field = Field(key.decode(), "number", (2,))
            values[start:end] = read_fields(file, [field], MAX_FILE_BYTES)[field.path].ravel()
    return StoredBlocks(name, index, starts[:-1], spins, values)


def _check_size(name: str, need: int, stored: int) -> None:
    """Blocks of ``need`` bytes can stand in a file of ``stored`` bytes."""
    if need > MAX_COMPRESSION * stored:
        raise FileFormatError(
            f"{name} declares {need} bytes of blocks but has {stored}: it is damaged."
        )
    if need > MAX_FILE_BYTES:
        raise ResourceLimitError(
            f"{name} declares {need / 1e9:.3g} GB of blocks; up to {MAX_FILE_BYTES / 1e9:.3g} GB "
            "are read."
        )
