"""NumPy's part of the table: arrays, scalars and their types, made of checked numbers and bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.restricted_pickle.machine import Constant, Unfinished

__all__ = ["NUMPY_TABLE", "checked_shape"]

_CODE = re.compile(r"[?biufcSUO]\d{0,3}")
_ORDERS = ("<", ">", "=", "|")
_MAX_AXES = 32


class _Type(Unfinished):
    """``numpy.dtype`` of a simple kind; its state adds the byte order."""

    def __init__(self, code: str) -> None:
        self._code = code

    def finish(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in _ORDERS:
            raise ValueError("the state of a NumPy type is not understood")
        if any(part is not None for part in state[2:5]):
            raise ValueError("structured NumPy types are not read")
        self.result = np.dtype(state[1] + self._code)


class _Array(Unfinished):
    """``numpy.ndarray`` before its state (version, shape, type, Fortran order, data)."""

    def finish(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("the state of a NumPy array is not understood")
        _, shape, kind, fortran, data = state
        self.result = _array(data, kind, shape, "F" if fortran else "C")


def _dtype(code: Any, *_: Any) -> _Type:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError("a NumPy type is not one of plain numbers, text or objects")
    return _Type(code)


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("an array is of a class that is not NumPy's own")
    return _Array()


def _scalar(kind: Any, data: Any) -> Any:
    return _array(data, kind, (), "C")[()]


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    return _array(data, kind, shape, "F" if order == "F" else "C")


def _array(data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    """An array of ``data``: bytes, which are shared, or the list of an object array."""
    size = checked_shape(shape)
    if not isinstance(kind, np.dtype):
        raise TypeError("the type of an array is none")
    if kind.hasobject:
        if not isinstance(data, list) or len(data) != size:
            raise ValueError(f"an array of {size} objects has not as many")
        flat = np.empty(size, dtype=object)
        for index, value in enumerate(data):  # one by one: NumPy would look into sequences
            flat[index] = value
    else:
        if not isinstance(data, bytes | bytearray) or len(data) != size * kind.itemsize:
            raise ValueError(f"the bytes of an array do not fill its shape {shape}")
        flat = np.frombuffer(data, dtype=kind) if size else np.empty(0, dtype=kind)
    return flat.reshape(shape, order=order)


def checked_shape(shape: Any) -> int:
    """The number of elements of a shape that a file gives.

    Raises:
        TypeError, ValueError: it is no tuple of numbers from 0 up, or has too many axes.
    """
    if not isinstance(shape, tuple) or len(shape) > _MAX_AXES:
        raise TypeError("the shape of an array is none")
    for length in shape:
        if type(length) is not int or not 0 <= length < 2**40:
            raise ValueError("the shape of an array holds what is no length")
    return math.prod(shape)


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """``_codecs.encode``, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError("bytes are written in another way than Latin-1")
    return text.encode("latin-1")


_NDARRAY = Constant()
_MODULES = ("numpy.core", "numpy._core")
NUMPY_TABLE: Mapping[tuple[str, str], Constant] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Constant(call=_dtype),
    ("_codecs", "encode"): Constant(call=_encoded),
    **{(f"{m}.multiarray", "_reconstruct"): Constant(call=_reconstruct) for m in _MODULES},
    **{(f"{m}.multiarray", "scalar"): Constant(call=_scalar) for m in _MODULES},
    **{(f"{m}.numeric", "_frombuffer"): Constant(call=_from_buffer) for m in _MODULES},
}
