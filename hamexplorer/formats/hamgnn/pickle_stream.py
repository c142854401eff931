"""Pickles that name classes which need not be installed here, such as torch_geometric's Data."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.formats.restricted_pickle import GlobalName, Record

__all__ = ["Call", "object_array", "tensor", "write_pickle"]

_PROTOCOL = 4


@dataclass(frozen=True, eq=False)
class Call:
    """What ``of(*arguments)`` gives when the pickle is loaded, then restored from ``state``."""

    of: GlobalName
    arguments: tuple[Any, ...] = ()
    state: tuple[Any, ...] | None = None


def tensor(values: NDArray[Any]) -> Call:
    """A PyTorch tensor of these values, as PyTorch pickles it inside of other objects."""
    array = np.ascontiguousarray(values)
    # PyTorch's own reduction: a typed storage, then that storage's bytes
    storage = torch.from_numpy(array).__reduce_ex__(2)[1][0]
    return Call(
        GlobalName("torch._utils", "_rebuild_tensor_v2"),
        (
            Call(GlobalName("torch.storage", "_load_from_bytes"), storage.__reduce__()[1]),
            0,
            array.shape,
            tuple(step // array.itemsize for step in array.strides),
            False,
            Call(GlobalName("collections", "OrderedDict")),
        ),
    )


def object_array(value: Any) -> Call:
    """NumPy's 0-dimensional array that holds one object."""
    dtype = Call(
        GlobalName("numpy", "dtype"),
        ("O8", False, True),
        (3, "|", None, None, None, -1, -1, 63),
    )
    return Call(
        # the name that NumPy 1 and 2 both know
        GlobalName("numpy.core.multiarray", "_reconstruct"),
        (GlobalName("numpy", "ndarray"), (0,), b"b"),
        (1, (), dtype, False, [value]),
    )


def write_pickle(value: Any, out: IO[bytes]) -> None:
    """Write plain data, :class:`Call`, :class:`GlobalName` and :class:`Record` objects.

    A record is made by its class's ``__new__`` without arguments and restored from its state,
    which may refer to the record itself.
    """
    out.write(pickle.PROTO + bytes([_PROTOCOL]))
    _Stream(out).put(value)
    out.write(pickle.STOP)


class _Stream:
    def __init__(self, out: IO[bytes]) -> None:
        self._write = out.write
        self._places: dict[int, int] = {}

    def put(self, value: Any) -> None:
        match value:
            case None:
                self._write(pickle.NONE)
            case bool():
                self._write(pickle.NEWTRUE if value else pickle.NEWFALSE)
            case int():
                self._write(pickle.BININT + struct.pack("<i", value))
            case float():
                self._write(pickle.BINFLOAT + struct.pack(">d", value))
            case str():
                text = value.encode()
                self._write(pickle.BINUNICODE + struct.pack("<I", len(text)) + text)
            case bytes():
                self._write(pickle.BINBYTES8 + struct.pack("<Q", len(value)))
                self._write(value)
            case tuple():
                self._all(value, pickle.MARK, pickle.TUPLE)
            case list():
                self._all(value, pickle.EMPTY_LIST + pickle.MARK, pickle.APPENDS)
            case dict():
                entries = (part for item in value.items() for part in item)
                self._all(entries, pickle.EMPTY_DICT + pickle.MARK, pickle.SETITEMS)
            case GlobalName():
                self._write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode("ascii"))
            case Call():
                self.put(value.of)
                self.put(value.arguments)
                self._write(pickle.REDUCE)
                self._restored(value.state)
            case Record():
                self._record(value)
            case _:
                raise TypeError(f"{type(value).__name__} is not written to pickles")

    def _all(self, values: Iterable[Any], before: bytes, after: bytes) -> None:
        self._write(before)
        for value in values:
            self.put(value)
        self._write(after)

    def _restored(self, state: Any) -> None:
        if state is not None:
            self.put(state)
            self._write(pickle.BUILD)

    def _record(self, record: Record) -> None:
        if id(record) in self._places:
            place = self._places[id(record)]
            self._write(pickle.LONG_BINGET + struct.pack("<I", place))
            return
        self.put(record.of)
        self.put(())
        place = self._places[id(record)] = len(self._places)
        self._write(pickle.NEWOBJ + pickle.LONG_BINPUT + struct.pack("<I", place))
        self._restored(record.state)
