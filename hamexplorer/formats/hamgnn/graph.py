"""The crystals of a ``graph_data.npz``, as it has them: Ha, bohr, padded blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.formats.hamgnn.rows import Rows, rows_kind
from hamexplorer.formats.restricted_pickle import Record, read_object_array

__all__ = ["Crystal", "looks_like_graph", "read_graph"]

_Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Crystal:
    """One graph: N atoms and E directed edges, none of which is an atom's own place.

    Attributes:
        where: file and number, for messages.
        symbols: elements, (N,).
        lattice: rows, (3, 3).
        positions: (N, 3).
        edges: sites i and j of every edge, (2, E).
        shifts: R of j, (E, 3).
        cartesian_shifts: R · lattice as the file has it, always bohr, (E, 3).
        width: ``nao_max``, n.
        overlap: blocks of the atoms (N, n²) and edges (E, n²).
        own: the graph's own target; None if it has none.
        copied: whether ``own`` is the same as the graph's H0.
        total_energy: Ha; 0 where it is not known.
        doping: charge of the cell.
        fields: all that the graph holds, for what a network needs besides.
    """

    where: str
    symbols: tuple[str, ...]
    lattice: _Array
    positions: _Array
    edges: _Array
    shifts: _Array
    cartesian_shifts: _Array
    width: int
    overlap: tuple[_Array, _Array]
    own: Rows | None
    copied: bool
    total_energy: float
    doping: float
    fields: Fields

    @property
    def n_pairs(self) -> int:
        """Atoms and edges: rows of a matrix."""
        return len(self.symbols) + len(self.shifts)

    def same_as(self, other: Crystal) -> bool:
        """Whether the other one has the same atoms and edges."""
        return self.symbols == other.symbols and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("lattice", "positions", "edges", "shifts")
        )


def looks_like_graph(head: bytes) -> bool:
    """Whether a file's first bytes are an ``.npz`` whose first array is called ``graph``."""
    return head.startswith(b"PK\x03\x04") and head[30:39] == b"graph.npy"


def read_graph(member: Member) -> tuple[Crystal, ...]:
    """All crystals of the file, views of its bytes where possible.

    Raises:
        FileFormatError: no such file, damaged, or it refers to what it need not.
        ResourceLimitError: it unpacks to absurdly much.
    """
    found = read_object_array(member, "graph")
    data = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(data, list) or not data:
        raise FileFormatError(f"{member.name} holds no graphs by number.")
    crystals = tuple(
        _crystal(Fields(record, f"{member.name}, crystal {index}"))
        for index, record in enumerate(data)
    )
    if len({crystal.width for crystal in crystals}) > 1:
        raise FileFormatError(f"{member.name}: its crystals have blocks of different size.")
    return crystals


class Fields:
    """The attributes of a torch_geometric Data, checked as they are taken."""

    def __init__(self, record: Any, where: str) -> None:
        self.where = where
        if not isinstance(record, Record):
            raise FileFormatError(f"{where} is no graph.")
        found = record.attributes
        store = found.get("_store")  # before torch_geometric 2 the attributes stood by themselves
        if isinstance(store, Record):
            found = store.attributes.get("_mapping", {})
        if not isinstance(found, Mapping):
            raise FileFormatError(f"{where} has no fields.")
        self._found = found

    def has(self, key: str) -> bool:
        return self._found.get(key) is not None

    def array(self, key: str, kinds: str, *shape: int | None) -> _Array:
        """The array ``key``; None in ``shape`` is any length."""
        value = self._found.get(key)
        if value is None:
            raise FileFormatError(f"{self.where} has no {key!r}.")
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
            raise FileFormatError(f"{self.where}: {key!r} is no array of numbers as it should be.")
        fits = len(value.shape) == len(shape) and all(
            expected in (None, length) for length, expected in zip(value.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise FileFormatError(
                f"{self.where}: {key!r} has shape {value.shape}; expected is ({wanted})."
            )
        return value

    def finite(self, key: str, *shape: int | None) -> _Array:
        value = self.array(key, "f", *shape).astype(np.float64)
        if not np.isfinite(value).all():
            raise FileFormatError(f"{self.where}: {key!r} holds values that are not finite.")
        return value

    def number(self, key: str) -> float:
        """A number that may be missing, then 0."""
        value = self._found.get(key, 0.0)
        if isinstance(value, np.ndarray | np.generic) and value.size == 1:
            value = value.item()
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise FileFormatError(f"{self.where}: {key!r} is no number.")
        return float(value)

    def matrix(self, n_sites: int, n_edges: int, width: int, order: str = "") -> Rows:
        """``Hon`` and ``Hoff`` with spin–orbit's ``iHon`` and ``iHoff``; of ``order`` ``0`` those
        of H0, ``Hon0`` and so on.
        """
        on, off = f"Hon{order}", f"Hoff{order}"
        real = self._blocks(on, off, n_sites, n_edges)
        imaginary = None
        if rows_kind(real.shape, width, f"{self.where}: {on!r}") == "spinor":
            imaginary = self._blocks(f"i{on}", f"i{off}", n_sites, n_edges)
            if imaginary.shape != real.shape:
                raise FileFormatError(f"{self.where}: 'i{on}' and {on!r} differ in shape.")
        return Rows(real, imaginary)

    def _blocks(self, on: str, off: str, n_sites: int, n_edges: int) -> _Array:
        spins = (2,) if getattr(self._found.get(on), "ndim", 0) == 3 else ()
        first = self.array(on, "f", n_sites, *spins, None)
        return np.concatenate([first, self.array(off, "f", n_edges, *spins, first.shape[-1])])

    def same(self, *pairs: tuple[str, str]) -> bool:
        """Whether the arrays of each pair of names are equal, or both are missing."""
        return all(
            np.array_equal(self._found[a], self._found[b])
            if self.has(a) and self.has(b)
            else self.has(a) == self.has(b)
            for a, b in pairs
        )


def _crystal(fields: Fields) -> Crystal:
    numbers = fields.array("z", "iu", None)
    n = len(numbers)
    if not n or numbers.min() < 1 or numbers.max() > 118:
        raise FileFormatError(f"{fields.where}: 'z' must hold atomic numbers.")
    edges = fields.array("edge_index", "iu", 2, None)
    n_edges = edges.shape[1]
    if n_edges and not 0 <= edges.min() <= edges.max() < n:
        raise FileFormatError(f"{fields.where}: 'edge_index' names atoms beyond 0 … {n - 1}.")
    on = fields.array("Son", "f", n, None)
    width = math.isqrt(on.shape[1])
    if width not in LAYOUTS or width**2 != on.shape[1]:
        raise FileFormatError(
            f"{fields.where}: 'Son' has {on.shape[1]} columns; known are "
            f"{', '.join(str(w**2) for w in LAYOUTS)} (nao_max {', '.join(map(str, LAYOUTS))})."
        )
    with_zero = [(name, f"{name}0") for name in ("Hon", "Hoff", "iHon", "iHoff")]
    return Crystal(
        where=fields.where,
        symbols=tuple(Element.from_Z(int(z)).symbol for z in numbers),
        lattice=fields.finite("cell", 1, 3, 3)[0],
        positions=fields.finite("pos", n, 3),
        edges=edges,
        shifts=fields.array("cell_shift", "iu", n_edges, 3),
        cartesian_shifts=fields.finite("nbr_shift", n_edges, 3),
        width=width,
        overlap=(on, fields.array("Soff", "f", n_edges, width**2)),
        own=fields.matrix(n, n_edges, width) if fields.has("Hon") else None,
        copied=fields.has("Hon0") and fields.same(*with_zero),
        total_energy=fields.number("total_energy"),
        doping=fields.number("doping_charge"),
        fields=fields,
    )
