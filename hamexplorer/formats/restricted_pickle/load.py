"""One pickle of a foreign file as plain data, arrays and records."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any

from hamexplorer.formats.restricted_pickle.machine import (
    Bounded,
    Constant,
    PickleMachine,
    Unknown,
)
from hamexplorer.formats.restricted_pickle.numpy_arrays import NUMPY_TABLE
from hamexplorer.formats.restricted_pickle.torch_storage import torch_table

__all__ = ["load_pickle"]

_INERT = ("torch_geometric.data",)


def load_pickle(
    stream: IO[bytes],
    size: int,
    name: str,
    *,
    unknown: Unknown = "refuse",
    inert: tuple[str, ...] = (),
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The object that the next ``size`` bytes of ``stream`` hold, without running any of it.

    Made are Python's plain types, NumPy arrays (tensors, too: read-only views of the file's
    bytes), and a :class:`~.records.Record` for every object of torch_geometric's data classes.

    Args:
        stream: at the pickle's start.
        size: bytes that there are.
        name: the file, for messages.
        unknown: what becomes of other classes and functions: ``refuse`` is an error that names
            them; ``record`` makes records of them as well, for checkpoints, whose modules need
            not be installed to read their tensors.
        inert: modules whose classes and functions become records without question, and single
            names such as ``builtins.slice``.
        persistent: makes an object of a persistent id (PyTorch's zip files refer to storages
            outside the pickle), see :data:`~.torch_storage.STORAGE_TYPES`; None: such an id is an
            error.

    Raises:
        FileFormatError: it refers to something that no such file needs, or is damaged.
        ResourceLimitError: more operations than any real file has.
    """
    table = {**_PLAIN, **NUMPY_TABLE, **torch_table(name)}
    machine = PickleMachine(
        name, table, inert=(*_INERT, *inert), unknown=unknown, persistent=persistent
    )
    return machine.run(Bounded(stream, size))


def _ordered(entries: Any = ()) -> OrderedDict[Any, Any]:
    if entries != ():
        raise TypeError("an OrderedDict has entries in its construction")
    return OrderedDict()


def _listed(elements: Any = ()) -> list[Any]:
    if not isinstance(elements, list | tuple):
        raise TypeError("a list is made of what is none")
    return list(elements)


def _set_of(elements: Any = ()) -> set[Any]:
    return {PickleMachine.key(element) for element in _listed(elements)}


def _frozen_set_of(elements: Any = ()) -> frozenset[Any]:
    return frozenset(_set_of(elements))


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise TypeError("bytes are made of what is none")
    return b""


_BUILTINS: Mapping[str, Callable[..., Any]] = {
    "bytes": _no_bytes,  # how protocol 2 writes b""
    "list": _listed,
    "set": _set_of,
    "frozenset": _frozen_set_of,
}
_PLAIN: Mapping[tuple[str, str], Constant] = {
    ("collections", "OrderedDict"): Constant(call=_ordered),
    **{
        (module, name): Constant(call=call)
        for module in ("builtins", "__builtin__")
        for name, call in _BUILTINS.items()
    },
}
