"""HDF5 of the new layout: one array of all blocks with an index.

atom_pairs        (n, 5) integers: R1, R2, R3, i, j, sites from 0
chunk_shapes      (n, 2) integers: rows and columns of each block
chunk_boundaries  (n + 1,) integers: where each block begins in entries, and their end
entries           blocks one after the other, each row-major; real or complex
"""

from __future__ import annotations

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import MAX_FILE_BYTES, Member
from hamexplorer.formats.deeph.blocks import StoredBlocks, checked_index
from hamexplorer.formats.deeph.fileset import opened
from hamexplorer.hamiltonian.checked_hdf5 import Field, read_fields

__all__ = ["read_chunked", "write_chunked"]

_FIELDS = (
    Field("atom_pairs", "index", (2,)),
    Field("chunk_shapes", "index", (2,)),
    Field("chunk_boundaries", "index"),
    Field("entries", "number"),
)


def read_chunked(member: Member, sizes: NDArray[np.int64]) -> StoredBlocks:
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
        data = read_fields(file, _FIELDS, MAX_FILE_BYTES)
    index = data["atom_pairs"].astype(np.int64)
    shapes = data["chunk_shapes"].astype(np.int64)
    edges = data["chunk_boundaries"].astype(np.int64)
    n = len(index)
    if index.shape != (n, 5) or shapes.shape != (n, 2) or edges.shape != (n + 1,):
        raise FileFormatError(
            f"{name}: atom_pairs {index.shape}, chunk_shapes {shapes.shape} and chunk_boundaries "
            f"{edges.shape} disagree; expected are (n, 5), (n, 2) and (n + 1,)."
        )
    checked_index(name, index, len(sizes))
    expected = np.column_stack([sizes[index[:, 3]], sizes[index[:, 4]]])
    spins = 2 if np.array_equal(shapes[0], 2 * expected[0]) else 1
    wrong = np.flatnonzero((shapes != spins * expected).any(axis=1))
    if wrong.size:
        at = wrong[0]
        raise FileFormatError(
            f"{name}: block {at + 1} of sites {index[at, 3] + 1} and {index[at, 4] + 1} has shape "
            f"{tuple(shapes[at].tolist())}; their orbitals make {tuple(expected[at].tolist())}, or "
            "twice as many with spin."
        )
    lengths = np.concatenate([[0], np.cumsum(shapes[:, 0] * shapes[:, 1])])
    if not np.array_equal(edges, lengths) or edges[-1] != len(data["entries"]):
        raise FileFormatError(
            f"{name}: chunk_boundaries are not those of blocks of the given shapes, which hold "
            f"{lengths[-1]} of the {len(data['entries'])} entries."
        )
    return StoredBlocks(name, index, edges[:-1], spins, data["entries"])


def write_chunked(file: h5py.File, stored: StoredBlocks, sizes: NDArray[np.int64]) -> None:
    """Write blocks that stand one after the other into an empty file."""
    shapes = stored.spins * sizes[stored.index[:, 3:]]
    file["atom_pairs"] = stored.index
    file["chunk_shapes"] = shapes
    file["chunk_boundaries"] = np.concatenate([stored.starts, [len(stored.values)]])
    file["entries"] = stored.values
