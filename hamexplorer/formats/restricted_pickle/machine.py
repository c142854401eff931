"""A machine for pickle's operations that makes plain data and inert records, nothing else.

It differs from Python's unpickler in what the operations may do. A global is looked up in a table
that the caller gives and never imported; REDUCE calls nothing but the table's own functions;
BUILD fills records and the unfinished arrays of that table, and sets no attribute of anything;
lists and dicts are filled only if they are lists and dicts. INST, OBJ and EXT do not exist here.
Nothing recurses, and what a file announces is compared with its size before it is believed.
"""

from __future__ import annotations

import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Literal

from hamexplorer.errors import FileFormatError, ResourceLimitError
from hamexplorer.formats.restricted_pickle.records import GlobalName, Record

__all__ = ["Bounded", "Constant", "PickleMachine", "Unfinished", "Unknown"]

Unknown = Literal["refuse", "record"]
"""What becomes of a global that the table does not have."""

_MAX_OPERATIONS = 5_000_000
_BYTES_PER_OPERATION = 32
"""A longer file may have more operations, one per so many bytes."""
_MAX_LINE = 1024
_MAX_KEY_PARTS = 1000
_KEYS = (str, bytes, int, Record, GlobalName, type(None))
_MAX_KEY = 2**31
"""Larger integers can be chosen to hash alike, so that a dict takes hours to fill."""
_MAX_PROTOCOL = 5

_PUSHED = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(frozen=True, eq=False)
class Constant:
    """Something that a pickle may name: a value to be handed on, or a function of ours to call.

    Attributes:
        value: for the functions of the table that get this as an argument.
        call: what REDUCE of it does, given its arguments; None: it cannot be called.
    """

    value: Any = None
    call: Callable[..., Any] | None = None


class Unfinished:
    """An object that is complete only after BUILD has given it its state.

    ``result`` is what takes its place from then on, None before.
    """

    result: Any = None

    def finish(self, state: Any) -> None:
        """Make ``result`` of the state.

        Raises:
            ValueError, TypeError: it is not a state of such an object.
        """
        raise NotImplementedError


class Bounded:
    """A stream of known length that refuses to read more than is left of it."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._raw = raw
        self.left = size

    def read(self, count: int) -> bytes:
        """``count`` bytes, fewer only at the end of a stream that is shorter than it claims."""
        if count > self.left:
            if count == 1:
                return b""
            raise ValueError(f"{count} bytes are announced and {self.left} are left")
        taken = self._raw.read(count)
        self.left -= len(taken)
        return taken

    def readline(self) -> bytes:
        """A line, which must be a short one."""
        taken = self._raw.readline(min(_MAX_LINE, self.left))
        self.left -= len(taken)
        return taken


class PickleMachine:
    """Reads one pickle.

    Args:
        name: the file, for messages.
        table: what globals stand for, by (module, name).
        inert: modules whose classes become records, those inside them, too; or single names.
        unknown: other globals: an error, or records as well.
        persistent: makes an object of a persistent id; None: there may be none.
    """

    def __init__(
        self,
        name: str,
        table: Mapping[tuple[str, str], Constant],
        *,
        inert: tuple[str, ...] = (),
        unknown: Unknown = "refuse",
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._name = name
        self._table = table
        self._inert = inert
        self._unknown = unknown
        self._persistent = persistent
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: Bounded) -> Any:
        """The object of the next pickle in ``stream``, which then stands behind it.

        Raises:
            FileFormatError: an operation or global that is not allowed, or damage.
            ResourceLimitError: more operations than any real file has.
        """
        try:
            return self._run(stream)
        except (LookupError, ValueError, TypeError, OverflowError, struct.error) as error:
            raise FileFormatError(f"{self._name} holds a damaged pickle: {error}.") from error

    def _run(self, stream: Bounded) -> Any:
        left = _MAX_OPERATIONS + stream.left // _BYTES_PER_OPERATION
        for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            left -= 1
            if left < 0:
                raise ResourceLimitError(
                    f"{self._name} has more pickle operations than any file of its size needs."
                )
            name = opcode.name
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in self._OPERATIONS:
                self._OPERATIONS[name](self, argument)
            elif name == "STOP":
                break
            else:
                raise self._refusal(f"uses pickle's operation {name}")
        if len(self._stack) != 1 or self._below:
            raise ValueError("it ends in the middle")
        return self._stack.pop()

    def _refusal(self, what: str) -> FileFormatError:
        return FileFormatError(
            f"{self._name} {what}, which no Hamiltonian file needs: it may try to run code and "
            "was not opened."
        )

    # --- stack and memo ------------------------------------------------------------------

    def _mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        taken = self._stack
        self._stack = self._below.pop()
        return taken

    def _pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _pop_mark(self, _: None) -> None:
        self._since_mark()

    def _duplicate(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _memoise(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        found = self._memo[index]
        if isinstance(found, Unfinished) and found.result is not None:
            found = found.result
        self._stack.append(found)

    def _protocol(self, version: int) -> None:
        if version > _MAX_PROTOCOL:
            raise ValueError(f"its protocol {version} is not known")

    def _frame(self, _: int) -> None:
        """A hint for buffering."""

    # --- containers ----------------------------------------------------------------------

    def _list(self, _: None) -> None:
        self._stack.append([])

    def _dict(self, _: None) -> None:
        self._stack.append({})

    def _set(self, _: None) -> None:
        self._stack.append(set())

    def _frozenset(self, _: None) -> None:
        self._stack.append(frozenset(self.key(k) for k in self._since_mark()))

    def _tuple(self, _: None) -> None:
        taken = self._since_mark()
        self._stack.append(tuple(taken))

    def _tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise ValueError("a tuple needs more than there is")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _append(self, _: None) -> None:
        value = self._stack.pop()
        self._elements().append(value)

    def _appends(self, _: None) -> None:
        taken = self._since_mark()
        self._elements().extend(taken)

    def _elements(self) -> list[Any]:
        target = self._stack[-1]
        if isinstance(target, Record):
            return target.elements
        if isinstance(target, list):
            return target
        raise TypeError("elements are added to what is no list")

    def _add_items(self, _: None) -> None:
        taken = self._since_mark()
        target = self._stack[-1]
        if isinstance(target, Record):
            target.elements.extend(taken)
        elif isinstance(target, set):
            target.update(self.key(k) for k in taken)
        else:
            raise TypeError("elements are added to what is no set")

    def _set_item(self, _: None) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._entries()[self.key(key)] = value

    def _set_items(self, _: None) -> None:
        taken = self._since_mark()
        if len(taken) % 2:
            raise ValueError("a key has no value")
        entries = self._entries()
        for key, value in zip(taken[::2], taken[1::2], strict=True):
            entries[self.key(key)] = value

    def _entries(self) -> dict[Any, Any]:
        target = self._stack[-1]
        if isinstance(target, Record):
            return target.items
        if isinstance(target, dict):
            return target
        raise TypeError("entries are added to what is no dict")

    @staticmethod
    def key(key: Any) -> Any:
        """The key, if hashing it takes neither long nor deep recursion and cannot be aimed."""
        open_parts, seen = [key], 0
        while open_parts:
            part = open_parts.pop()
            seen += 1
            if isinstance(part, tuple):
                open_parts.extend(part[:_MAX_KEY_PARTS])
            elif not isinstance(part, _KEYS) or (isinstance(part, int) and abs(part) > _MAX_KEY):
                raise TypeError(f"a {type(part).__name__} stands for a key")
            if seen + len(open_parts) > _MAX_KEY_PARTS:
                raise ValueError("a key is too large")
        return key

    # --- globals and objects -------------------------------------------------------------

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(self._found(module, name))

    def _stack_global(self, _: None) -> None:
        name = self._stack.pop()
        module = self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("the name of a global is no text")
        self._stack.append(self._found(module, name))

    def _found(self, module: str, name: str) -> Constant | GlobalName:
        known = self._table.get((module, name))
        if known is not None:
            return known
        wanted = GlobalName(module, name)
        path = f"{module}.{name}"
        inert = any(path == m or path.startswith(f"{m}.") for m in self._inert)
        if not inert and self._unknown == "refuse":
            raise self._refusal(f"refers to {wanted}")
        return wanted

    def _reduce(self, _: None) -> None:
        arguments = self._stack.pop()
        self._stack.append(self._made(self._stack.pop(), arguments))

    def _new(self, _: None) -> None:
        arguments = self._stack.pop()
        self._stack.append(self._made(self._stack.pop(), arguments, only_records=True))

    def _new_with_keywords(self, _: None) -> None:
        keywords = self._stack.pop()
        arguments = self._stack.pop()
        made = self._made(self._stack.pop(), arguments, only_records=True)
        if not isinstance(keywords, dict):
            raise TypeError("keywords are no dict")
        made.items.update(keywords)
        self._stack.append(made)

    def _made(self, of: Any, arguments: Any, *, only_records: bool = False) -> Any:
        if not isinstance(arguments, tuple):
            raise TypeError("arguments are no tuple")
        if isinstance(of, GlobalName):
            return Record(of, arguments)
        if isinstance(of, Constant) and of.call is not None and not only_records:
            return of.call(*arguments)
        raise self._refusal(f"calls a {type(of).__name__}")

    def _build(self, _: None) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, Unfinished):
            target.finish(state)
            self._stack[-1] = target.result
        elif not isinstance(target, OrderedDict):  # PyTorch's have attributes, which nobody needs
            raise self._refusal(f"sets the state of a {type(target).__name__}")

    def _persistent_id(self, _: None) -> None:
        if self._persistent is None:
            raise self._refusal("refers to objects outside itself")
        self._stack.append(self._persistent(self._stack.pop()))

    _OPERATIONS: ClassVar[dict[str, Callable[[PickleMachine, Any], None]]] = {
        "PROTO": _protocol,
        "FRAME": _frame,
        "MARK": _mark,
        "POP": _pop,
        "POP_MARK": _pop_mark,
        "DUP": _duplicate,
        "MEMOIZE": _memoise,
        "BINPUT": _put,
        "LONG_BINPUT": _put,
        "BINGET": _get,
        "LONG_BINGET": _get,
        "EMPTY_LIST": _list,
        "EMPTY_DICT": _dict,
        "EMPTY_SET": _set,
        "FROZENSET": _frozenset,
        "TUPLE": _tuple,
        "TUPLE1": lambda self, _: self._tuple_of(1),
        "TUPLE2": lambda self, _: self._tuple_of(2),
        "TUPLE3": lambda self, _: self._tuple_of(3),
        "APPEND": _append,
        "APPENDS": _appends,
        "ADDITEMS": _add_items,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "REDUCE": _reduce,
        "NEWOBJ": _new,
        "NEWOBJ_EX": _new_with_keywords,
        "BUILD": _build,
        "BINPERSID": _persistent_id,
    }
