"""PyTorch's part of the table: tensors as NumPy arrays over the file's bytes.

A tensor is (storage, offset, shape, strides). Outside of checkpoints its storage stands in the
pickle as bytes that are a file of PyTorch's old format themselves: four small pickles (a magic
number, the format's version, the machine's number sizes, the storage's persistent id), the list
of keys, then the number of elements and the elements.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.restricted_pickle.machine import Bounded, Constant, PickleMachine
from hamexplorer.formats.restricted_pickle.numpy_arrays import checked_shape

__all__ = ["STORAGE_TYPES", "Storage", "StorageType", "torch_table"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_EXPANDED = 1 << 20
"""A tensor may repeat a storage's elements (stride 0) up to so many."""


@dataclass(frozen=True)
class StorageType:
    """How the elements of a storage lie in a file; bfloat16 as the upper half of a float32."""

    dtype: np.dtype[Any]
    bfloat16: bool = False


@dataclass(frozen=True, eq=False)
class Storage:
    """The elements of a storage, (n,)."""

    values: NDArray[Any]

    @classmethod
    def of_bytes(cls, data: Any, kind: StorageType) -> Storage:
        """Elements that stand in ``data``; bfloat16 is widened to float32, which is exact.

        Raises:
            ValueError: not a whole number of elements.
        """
        values = np.frombuffer(data, dtype=kind.dtype) if len(data) else np.empty(0, kind.dtype)
        if kind.bfloat16:
            values = (values.astype("<u4") << 16).view("<f4")
        return cls(values)


def _type(code: str, *, bfloat16: bool = False) -> Constant:
    return Constant(StorageType(np.dtype(code), bfloat16))


STORAGE_TYPES: Mapping[tuple[str, str], Constant] = {
    ("torch", "DoubleStorage"): _type("<f8"),
    ("torch", "FloatStorage"): _type("<f4"),
    ("torch", "HalfStorage"): _type("<f2"),
    ("torch", "BFloat16Storage"): _type("<u2", bfloat16=True),
    ("torch", "LongStorage"): _type("<i8"),
    ("torch", "IntStorage"): _type("<i4"),
    ("torch", "ShortStorage"): _type("<i2"),
    ("torch", "CharStorage"): _type("i1"),
    ("torch", "ByteStorage"): _type("u1"),
    ("torch", "BoolStorage"): _type("?"),
    ("torch", "ComplexFloatStorage"): _type("<c8"),
    ("torch", "ComplexDoubleStorage"): _type("<c16"),
}
"""Storage classes by name; their value is a :class:`StorageType`."""


def torch_table(name: str) -> Mapping[tuple[str, str], Constant]:
    """What PyTorch's globals stand for in the file ``name``."""
    read = _StorageReader(name)
    return {
        **STORAGE_TYPES,
        ("torch.storage", "_load_from_bytes"): Constant(call=read),
        ("torch._utils", "_rebuild_tensor"): Constant(call=_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Constant(call=_tensor),
        ("torch._utils", "_rebuild_parameter"): Constant(call=_parameter),
    }


class _StorageReader:
    """Storages of bytes, each bytes object read once however often it is referred to."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: dict[int, tuple[bytes, Storage]] = {}

    def __call__(self, data: Any) -> Storage:
        if not isinstance(data, bytes):
            raise TypeError("a storage's content is no bytes")
        if id(data) not in self._known:
            # the bytes are kept beside, so that no others take their place in memory
            self._known[id(data)] = (data, _storage(data, self._name))
        return self._known[id(data)][1]


@dataclass(frozen=True)
class _Announced:
    """The persistent id of a storage whose elements follow."""

    kind: StorageType
    key: str
    size: int


def _storage(data: bytes, name: str) -> Storage:
    raw = io.BytesIO(data)

    def following() -> Any:
        machine = PickleMachine(name, STORAGE_TYPES, persistent=_announced)
        return machine.run(Bounded(raw, len(data) - raw.tell()))

    if following() != _MAGIC or following() != _VERSION:
        raise ValueError("a storage is not of PyTorch's old format")
    machine = following()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("a storage was written on a machine of other byte order")
    announced = following()
    if not isinstance(announced, _Announced) or following() != [announced.key]:
        raise ValueError("PyTorch's bytes hold something else than one storage")
    size = int.from_bytes(raw.read(8), "little")
    start = raw.tell()
    length = size * announced.kind.dtype.itemsize
    if size != announced.size or start + length > len(data):
        raise ValueError(f"a storage of {announced.size} elements has not as many")
    return Storage.of_bytes(memoryview(data)[start : start + length], announced.kind)


def _announced(identity: Any) -> _Announced:
    match identity:
        case ("storage", Constant(value=StorageType() as kind), str(key), str(), int(size), None):
            return _Announced(kind, key, size)
    raise ValueError("the persistent id of a storage is not understood")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> NDArray[Any]:
    """A view of the storage; autograd's flags and hooks are left out."""
    size = checked_shape(shape)
    checked_shape(strides)
    if not isinstance(storage, Storage):
        raise TypeError("a tensor has no storage")
    if type(offset) is not int or offset < 0 or len(strides) != len(shape):
        raise ValueError("a tensor's offset and strides are not understood")
    if not size:
        return np.empty(shape, dtype=storage.values.dtype)
    values = storage.values
    end = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + 1
    if end > len(values) or size > max(len(values), _EXPANDED):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage")
    steps = tuple(step * values.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)


def _parameter(data: Any, *_: Any) -> Any:
    return data
