"""What stands in for the classes and functions that a pickle names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["GlobalName", "Record"]

_SHOWN = 100


@dataclass(frozen=True, order=True)
class GlobalName:
    """The name of something in a module; nothing is ever looked up by it."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"[:_SHOWN]
        return "".join(c if c.isprintable() else "?" for c in text)


@dataclass(eq=False, repr=False)
class Record:
    """An object of a foreign class: what its pickle says of it, and no behaviour.

    Attributes:
        of: class, or function that would have made it.
        arguments: of the construction.
        state: what the object would have been restored from, as the file has it.
        items: entries, where the class is a mapping.
        elements: elements, where the class is a sequence or set.
    """

    of: GlobalName
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    elements: list[Any] = field(default_factory=list)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The object's attributes, as far as its state tells them; those in slots, too."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        found: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, dict):
                found.update(part)
        return found

    def __repr__(self) -> str:
        return f"Record({self.of})"
