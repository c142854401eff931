"""Records of Fortran's sequential unformatted files: length, content, length again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError

__all__ = ["FLOAT", "INT", "SINGLE", "Records"]

INT, FLOAT, SINGLE = np.dtype("<i4"), np.dtype("<f8"), np.dtype("<f4")
_MARK = INT.itemsize


class Records:
    """Takes records off a file's bytes one after the other; never more than there are.

    Lengths are 4-byte little-endian integers, as gfortran and Intel's compiler write them. A
    record of more than 2 GB, which they write in parts, is not read.

    Args:
        data: the whole file, (n_bytes,) uint8.
        name: of the file, for messages.
    """

    def __init__(self, data: NDArray[np.uint8], name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    def take(self, what: str, *layout: tuple[int, np.dtype[Any]]) -> list[NDArray[Any]]:
        """The next record as the arrays of ``layout``, (count, dtype) each.

        Raises:
            FileFormatError: the record is of another length, or the file ends in it.
        """
        sizes = [max(0, int(count)) * dtype.itemsize for count, dtype in layout]
        content = self._content(what, self._length(what), sum(sizes))
        parts, start = [], 0
        for size, (_, dtype) in zip(sizes, layout, strict=True):
            parts.append(content[start : start + size].view(dtype))
            start += size
        return parts

    def one(self, what: str, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The next record as one array."""
        return self.take(what, (count, dtype))[0]

    def skip(self, what: str) -> None:
        """Pass over the next record, whatever its length."""
        length = self._length(what)
        self._content(what, length, length)

    def next_length(self) -> int | None:
        """Length of the next record; None at the end."""
        if self._at + _MARK > self._data.size:
            return None
        return int(self._data[self._at : self._at + _MARK].view(INT)[0])

    def rows(self, what: str, counts: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
        """One record for each of ``counts``, put together, (Σ counts,).

        Raises:
            FileFormatError: as :meth:`take`.
        """
        lengths = counts * dtype.itemsize
        ends = self._at + np.cumsum(lengths + 2 * _MARK)
        if ends.size and int(ends[-1]) > self._data.size:
            raise self._error(
                f"{what} would end at byte {int(ends[-1])}, but the file has {self._data.size}"
            )
        starts = ends - lengths - _MARK
        for marks in (starts - _MARK, ends - _MARK):
            found = self._data[marks[:, None] + np.arange(_MARK)].view(INT).reshape(-1)
            wrong = np.flatnonzero(found != lengths)
            if wrong.size:
                row = int(wrong[0])
                raise self._error(
                    f"{what} {row + 1} of {len(counts)} has a record of {int(found[row])} bytes "
                    f"where {int(lengths[row])} belong"
                )
        pieces = [
            self._data[start:end]
            for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        ]
        if ends.size:
            self._at = int(ends[-1])
        joined = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.uint8)
        return joined.view(dtype)

    def finish(self) -> None:
        """Complain of bytes that were not taken.

        Raises:
            FileFormatError: there are some.
        """
        rest = self._data.size - self._at
        if rest:
            raise self._error(f"{rest} bytes follow after its end")

    def whole(self, what: str, value: int, low: int, high: int) -> int:
        """``value`` if it lies in low … high.

        Raises:
            FileFormatError: it does not.
        """
        if not low <= value <= high:
            raise self._error(f"{what} is {value}; possible is {low} … {high}")
        return int(value)

    def _length(self, what: str) -> int:
        length = self.next_length()
        if length is None:
            raise self._error(f"{what} is missing")
        return length

    def _content(self, what: str, length: int, expected: int) -> NDArray[np.uint8]:
        start = self._at + _MARK
        end = start + length
        if length != expected:
            raise self._error(
                f"{what} has a record of {length} bytes where {expected} belong (byte {self._at})"
            )
        if length < 0 or end + _MARK > self._data.size:
            raise self._error(
                f"{what} would end at byte {end + _MARK}, but the file has {self._data.size}"
            )
        if int(self._data[end : end + _MARK].view(INT)[0]) != length:
            raise self._error(f"the record of {what} at byte {self._at} ends with another length")
        self._at = end + _MARK
        return self._data[start:end]

    def _error(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self._name} is truncated or damaged: {what}.")
