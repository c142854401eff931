"""Sparse matrices by R in text, in the layouts of ABACUS up to 3.10 and from 3.11 on.

Up to 3.10 (``data-HR-sparse_SPIN0.csr``): ``STEP: 0`` (since 3.0), ``Matrix Dimension of H(R): n``,
``Matrix number of H(R): m``. From 3.11 on (``hrs1_nao.csr``): lines ``# print H matrix …``,
``n # number of localized basis``, ``m # number of Bravais lattice vector R``, the crystal as in a
POSCAR, ``# CSR Format``. Then for each R ``R1 R2 R3 nnz`` and, unless nnz is 0, the values, their
columns, counted from 0, and the n + 1 row pointers. With spinors values are ``(re,im)``.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.sparse import Pattern

__all__ = ["CsrMatrix", "matrix_kind", "parse_csr"]

_OLD = re.compile(rb"(?:S?TEP: *\d+\s+)?Matrix Dimension of ([HS])\(R\): *(\d+)\s*\n")
_OLD_COUNT = re.compile(rb"Matrix number of [HS]\(R\): *(\d+)\s*\n")
_NEW = re.compile(rb"# *print ([HS]) matrix in real space")
_NEW_SIZE = re.compile(rb"(\d+) +# *number of localized basis")
_NEW_COUNT = re.compile(rb"(\d+) +# *number of Bravais lattice vector")
_NEW_SPIN = re.compile(rb"(\d+) +# *spin index")
_NEW_START = re.compile(rb"#[ \t]*CSR Format[^\n]*\n(?:[ \t]*#[^\n]*\n)?")
_WRITTEN = bytes.maketrans(b"()[],", b"     ")
_HEADER = 65536

Kind = Literal["H", "S"]


@dataclass(frozen=True, eq=False)
class CsrMatrix:
    """One matrix, element by element.

    Attributes:
        size: rows, (spinor) orbitals.
        cells: R, (n_cells, 3).
        pattern: where it has elements.
        values: (nnz,), real or complex; Ry, S without unit.
        header: text before the first R.
    """

    size: int
    cells: NDArray[np.int64]
    pattern: Pattern
    values: NDArray[np.inexact[Any]]
    header: str


def matrix_kind(head: bytes) -> tuple[Kind, int] | None:
    """Which matrix a file that begins with ``head`` holds, and its number of spin, from 0 (old
    files do not tell: 0); None if it is none.
    """
    old = _OLD.match(head.lstrip())
    if old is not None:
        return ("H" if old[1] == b"H" else "S"), 0
    new = _NEW.search(head[:500])
    if new is None or _NEW_SIZE.search(head) is None:
        return None
    spin = _NEW_SPIN.search(head)
    return ("H" if new[1] == b"H" else "S"), max(0, int(spin[1]) - 1) if spin else 0


def parse_csr(data: NDArray[np.uint8], name: str) -> CsrMatrix:
    """The matrix of a file's bytes (``name`` is for messages).

    Raises:
        FileFormatError: truncated, damaged, or with several steps.
    """
    text = data.tobytes()
    size, count, start = _header(text, name)
    lines = _Lines(text, start, name)
    # the shortest R takes a line of 8 bytes; every row pointer 2
    lines.check(count <= len(text) // 8, f"{count} vectors R are announced")
    cells = np.empty((count, 3), dtype=np.int64)
    values, columns, rows, counts = [], [], [], []
    for index in range(count):
        *cell, nnz = lines.integers(4, "R and its number of elements").tolist()
        cells[index] = cell
        counts.append(nnz)
        lines.check(0 <= nnz <= len(text) // 4, f"block {index + 1} announces {nnz} elements")
        if nnz == 0:
            continue
        lines.check(size <= len(text) // 2, f"{size} rows are announced")
        values.append(lines.values(nnz))
        columns.append(lines.integers(nnz, "columns"))
        pointers = lines.integers(size + 1, "row pointers")
        widths = np.diff(pointers)
        lines.check(
            pointers[0] == 0 and pointers[-1] == nnz and not (widths < 0).any(),
            f"row pointers of block {index + 1} do not rise from 0 to {nnz}",
        )
        rows.append(np.repeat(np.arange(size), widths))
    lines.finish()
    if not values:
        raise FileFormatError(f"{name} holds no element.")
    if len({v.dtype for v in values}) > 1:
        raise FileFormatError(f"{name} is damaged: real and complex numbers are mixed.")
    return CsrMatrix(
        size=size,
        cells=cells,
        pattern=Pattern(
            np.concatenate(rows), np.concatenate(columns), np.repeat(np.arange(count), counts)
        ),
        values=np.concatenate(values),
        header=text[:start].decode("utf-8", "replace"),
    )


def _header(text: bytes, name: str) -> tuple[int, int, int]:
    """Rows, number of R, and where the first R stands."""
    head = text[:_HEADER]
    lead = len(head) - len(head.lstrip())
    old = _OLD.match(head, lead)
    if old is not None:
        count = _OLD_COUNT.match(head, old.end())
        if count is not None:
            return _number(old[2], name), _number(count[1], name), count.end()
    size, count, start = (p.search(head) for p in (_NEW_SIZE, _NEW_COUNT, _NEW_START))
    if size is None or count is None or start is None:
        raise FileFormatError(f"{name} is truncated or damaged: its header is not complete.")
    return _number(size[1], name), _number(count[1], name), start.end()


def _number(digits: bytes, name: str) -> int:
    value = int(digits[:12])
    if not 0 < value < 10**9:
        raise FileFormatError(f"{name} is damaged: its header announces {value}.")
    return value


class _Lines:
    """Takes numbers off the text, line by line; blank lines and comments are passed over."""

    def __init__(self, text: bytes, start: int, name: str) -> None:
        self._text = text
        self._at = start
        self._name = name

    def integers(self, count: int, what: str) -> NDArray[np.int64]:
        """The next ``count`` integers, which end a line."""
        return self._take(count, what, np.dtype(np.int64), 1)

    def values(self, count: int) -> NDArray[np.inexact[Any]]:
        """The next ``count`` real or complex numbers, which end a line."""
        first = self._peek()
        if b"(" not in first[:80]:
            return self._take(count, "values", np.dtype(np.float64), 1)
        pairs = self._take(2 * count, "values", np.dtype(np.float64), 2)
        return pairs.view(np.complex128)

    def finish(self) -> None:
        """Complain of anything but comments after the last block."""
        rest = self._text[self._at :].strip()
        if not rest:
            return
        if re.match(rb"S?TEP:|---", rest):
            raise FileFormatError(
                f"{self._name} holds several steps; give a file of one alone (the calculation's "
                "last)."
            )
        self.check(rest.startswith(b"#"), f"{len(rest)} bytes follow after its end")

    def check(self, holds: bool, complaint: str) -> None:
        """Raise ``complaint`` unless ``holds``."""
        if not holds:
            raise self._error(complaint)

    def _error(self, complaint: str) -> FileFormatError:
        return FileFormatError(f"{self._name} is truncated or damaged: {complaint}.")

    def _take(self, count: int, what: str, dtype: np.dtype[Any], parts: int) -> NDArray[Any]:
        pieces, found = [], 0
        while found < count:
            line = self._next(what)
            if parts == 2:
                line = line.translate(_WRITTEN)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", DeprecationWarning)  # NumPy's before 2.3
                    # a text of numbers; twice as fast as any other way
                    numbers = np.fromstring(line, dtype=dtype, sep=" ")
            except (ValueError, DeprecationWarning):
                raise self._error(f"{what} hold {line[:40]!r}") from None
            pieces.append(numbers)
            found += len(numbers)
        self.check(found == count, f"{found} numbers stand where {count} {what} belong")
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _next(self, what: str) -> bytes:
        while True:
            if self._at >= len(self._text):
                raise self._error(f"{what} are missing")
            end = self._text.find(b"\n", self._at)
            end = len(self._text) if end < 0 else end
            line = self._text[self._at : end].strip()
            self._at = end + 1
            if line and not line.startswith(b"#"):
                return line

    def _peek(self) -> bytes:
        at = self._at
        line = self._next("values")
        self._at = at
        return line[:200]
