"""NumPy's ``.npz`` with a pickled array of objects in it."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.member import Member, check_growth
from hamexplorer.formats.restricted_pickle.load import load_pickle
from hamexplorer.formats.restricted_pickle.npy_header import read_npy_header

__all__ = ["read_object_array"]

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that there is not
    RuntimeError,  # encrypted
)


def read_object_array(member: Member, key: str) -> Any:
    """The one object of the 0-dimensional object array ``key`` of an ``.npz``.

    Raises:
        FileFormatError: no such file or array, or as :func:`~.load.load_pickle`.
        ResourceLimitError: as :func:`~.load.load_pickle`, or it unpacks to absurdly much.
    """
    name = f"{key}.npy"
    with member.path() as path:
        try:
            with zipfile.ZipFile(path) as archive:
                if name not in archive.namelist():
                    raise FileFormatError(f"{member.name} holds no array {key!r}.")
                info = archive.getinfo(name)
                check_growth(member.name, info.file_size, info.compress_size)
                with archive.open(info) as stream:
                    buffered = io.BufferedReader(stream)  # type: ignore[type-var]
                    return _object(buffered, info.file_size, member.name)
        except _DAMAGE as error:
            raise FileFormatError(f"{member.name} is a damaged archive: {error}.") from error


def _object(stream: IO[bytes], size: int, name: str) -> Any:
    try:
        header = read_npy_header(stream)
    except ValueError as error:
        raise FileFormatError(f"The array in {name} is damaged: {error}.") from error
    if header.shape != () or not header.dtype.hasobject:
        raise FileFormatError(
            f"{name} holds an array of {header.dtype} with shape {header.shape}; a file of graphs "
            "holds one object."
        )
    found = load_pickle(stream, size - header.offset, name)
    if stream.read(1):
        raise FileFormatError(f"{name} is damaged: its pickle ends before the file does.")
    if not isinstance(found, np.ndarray) or found.shape != () or not found.dtype.hasobject:
        raise FileFormatError(f"The pickle in {name} is not the array that its header tells of.")
    return found.item()
