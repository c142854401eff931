"""The header of NumPy's ``.npy`` format, versions 1 and 2.

NumPy's own reader runs a tokeniser over headers that it does not understand and warns; here
anything but what NumPy writes is damage.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

__all__ = ["NpyHeader", "read_npy_header"]

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}
_LONGEST = 10_000
_KEYS = {"descr", "fortran_order", "shape"}
_TYPE = re.compile(r"[<>|=]?[?biufcO]\d{0,2}")


@dataclass(frozen=True)
class NpyHeader:
    """Shape and type of the array, its order, and where its elements begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int


def read_npy_header(stream: IO[bytes]) -> NpyHeader:
    """The header at the start of ``stream``, which then stands behind it.

    Raises:
        ValueError: it is none of a plain array of numbers or objects.
    """
    start = stream.read(8)
    if start[:6] != _MAGIC or start[6:] not in _LENGTH_BYTES:
        raise ValueError("it does not begin as NumPy's files of versions 1 and 2 do")
    width = _LENGTH_BYTES[start[6:]]
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST:
        raise ValueError(f"its header would have {length} bytes")
    text = stream.read(length)
    try:
        found = ast.literal_eval(text.decode("latin-1").strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("its header is not understood") from error
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise ValueError("its header does not tell type, order and shape")
    code, shape, fortran = found["descr"], found["shape"], found["fortran_order"]
    if not isinstance(code, str) or not _TYPE.fullmatch(code):
        raise ValueError("its elements are no plain numbers or objects")
    lengths = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**40 for n in shape)
    if not lengths or not isinstance(fortran, bool):
        raise ValueError("its shape is none")
    try:
        dtype = np.dtype(code)
    except TypeError as error:
        raise ValueError(f"there is no type {code}") from error
    return NpyHeader(shape, dtype, fortran, len(start) + width + length)
