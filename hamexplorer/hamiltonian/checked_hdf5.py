"""Data sets of a foreign HDF5 file, looked at before anything is read.

A file may declare sizes that fill the memory, lead to other files by a link, or hold other types
than the layout says. Here only hard links to plain data sets of the file itself are followed, and
the bytes of all that is asked for are counted first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, ResourceLimitError

__all__ = ["MAX_COMPRESSION", "Field", "attribute", "read_fields"]

_KINDS = {
    "text": "fixed-length strings",
    "integer": "64-bit integers",
    "real": "64-bit floats",
    "index": "integers",
    "number": "real or complex numbers",
}
_MAX_ATTRIBUTE_BYTES = 4096
MAX_COMPRESSION = 1032
"""Largest ratio of deflate."""
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
_LEAST_BUFFER = 2e9
"""Bytes that unpacking one chunk may always take: a chunk of 1 MiB could be made to need 1.1 GB."""


@dataclass(frozen=True)
class Field:
    """A data set of a layout: its path, what it holds, accepted ranks.

    ``kind`` is ``text``, ``integer`` or ``real`` (both of 64 bits), ``index`` (integers of any
    size) or ``number`` (real or complex, of any size up to 128 bits).
    """

    path: str
    kind: str
    ranks: tuple[int, ...] = (1,)
    required: bool = True


def read_fields(
    file: h5py.File, fields: Sequence[Field], max_bytes: float
) -> dict[str, NDArray[Any]]:
    """The content of ``fields`` by path; those that are not required may be missing.

    Raises:
        FileFormatError: a data set is missing, a link, of another type or rank, or declares more
            than it can hold.
        ResourceLimitError: together they declare more than ``max_bytes``, or a chunk could unpack
            to more; nothing was read.
    """
    found = {field.path: data for field in fields if (data := _find(file, field)) is not None}
    declared = sum(_declared_bytes(data) for data in found.values())
    if declared > max_bytes:
        raise ResourceLimitError(
            f"it declares {declared / 1e9:.3g} GB of data; files up to {max_bytes / 1e9:.3g} GB "
            "are read."
        )
    for path, data in found.items():
        _check_storage(path, data, max_bytes)
    return {path: data[()] for path, data in found.items()}


def attribute(file: h5py.File, name: str) -> Any:
    """A scalar attribute of the root, str if it is text; None if there is none.

    Raises:
        FileFormatError: it is not one small value.
    """
    if name not in file.attrs:
        return None
    stored = file.attrs.get_id(name)
    if stored.shape != () or stored.get_storage_size() > _MAX_ATTRIBUTE_BYTES:
        raise FileFormatError(f"attribute {name!r} must be a single small value.")
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else value


def _find(file: h5py.File, field: Field) -> h5py.Dataset | None:
    node: h5py.Group | h5py.Dataset = file
    for part in field.path.split("/"):
        # the low-level calls look at the link itself and never follow it
        if not isinstance(node, h5py.Group) or not node.id.links.exists(part.encode()):
            if field.required:
                raise FileFormatError(f"{field.path!r} is missing.")
            return None
        if node.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise FileFormatError(
                f"{field.path!r} is a link; only data in the file itself is read."
            )
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise FileFormatError(f"{field.path!r} must be a data set.")
    if node.external or node.is_virtual:
        raise FileFormatError(
            f"{field.path!r} keeps its data in another file; only data in the file itself is read."
        )
    if not _fits(node.dtype, field.kind):
        raise FileFormatError(
            f"{field.path!r} holds {node.dtype}; expected are {_KINDS[field.kind]}."
        )
    if node.shape is None or node.ndim not in field.ranks:
        raise FileFormatError(
            f"{field.path!r} has shape {node.shape}; expected are "
            f"{' or '.join(map(str, field.ranks))} dimensions."
        )
    return node


def _check_storage(path: str, data: h5py.Dataset, max_bytes: float) -> None:
    """What is stored can be what is declared, and unpacks to no more.

    HDF5 inflates a chunk to its end, however long that is, before it looks at the declared size.
    """
    stored = data.id.get_storage_size()
    if data.size * data.dtype.itemsize > (MAX_COMPRESSION + 1) * stored:
        raise FileFormatError(
            f"{path!r} declares {data.size} values but {stored} bytes are stored."
        )
    properties = data.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if len(set(filters)) < len(filters) or not set(filters) <= set(_FILTERS):
        raise FileFormatError(
            f"{path!r} is stored with filters {filters}; accepted are gzip, shuffle and "
            "fletcher32, each once."
        )
    if data.chunks is None or not stored:
        return
    sizes: list[int] = []
    data.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
    largest = max(sizes)
    whole = math.prod(data.chunks) * data.dtype.itemsize
    if largest > whole + whole // 100 + 64:  # deflate adds 0.03 % at worst
        raise FileFormatError(f"{path!r} has a chunk of {largest} bytes that declares {whole}.")
    if largest * MAX_COMPRESSION > max(max_bytes, _LEAST_BUFFER):
        raise ResourceLimitError(
            f"a chunk of {path!r} has {largest} bytes and may unpack to "
            f"{largest * MAX_COMPRESSION / 1e9:.3g} GB."
        )


def _fits(dtype: np.dtype[Any], kind: str) -> bool:
    wide = dtype.itemsize == 8
    return {
        "text": dtype.kind == "S",
        "integer": dtype.kind == "i" and wide,
        "real": dtype.kind == "f" and wide,
        "index": dtype.kind in "iu",
        "number": dtype.kind in "fc" and dtype.itemsize <= 16,
    }[kind]


def _declared_bytes(data: h5py.Dataset) -> int:
    """Bytes that reading takes: all values, or one chunk where that is larger."""
    chunk = math.prod(data.chunks) if data.chunks else 0
    return int(max(data.size, chunk) * data.dtype.itemsize)
