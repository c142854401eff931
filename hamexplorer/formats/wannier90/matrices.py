"""Wannier90's text files of matrices: ``seed_hr.dat`` and ``seed_tb.dat``.

    seed_hr.dat: comment; num_wann; nrpts; degeneracies; lines "R1 R2 R3 m n Re Im" (eV).
    seed_tb.dat: comment; three lattice vectors (Å); num_wann; nrpts; degeneracies; for every R
        a line "R1 R2 R3" and lines "m n Re Im" (eV); again for ⟨0m|r|Rn⟩, lines "m n" and
        x, y, z as Re Im (Å).

Both hold ⟨0m|M|Rn⟩, which counts 1/degeneracy. Columns are read free of format: other programs
write the same files with more digits.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError

__all__ = ["MAX_R", "RealSpace", "kind_of", "parse_matrices", "rows_of_text"]

Kind = Literal["hr", "tb"]

MAX_R = 1000
"""Largest component of R that is believed."""
_MAX_FUNCTIONS = 100_000
_INTEGER = re.compile(rb"[ \t]*[-+]?\d{1,9}[ \t]*")
_INTEGERS = re.compile(rb"[ \t]*[-+]?\d{1,9}(?:[ \t]+[-+]?\d{1,9})*[ \t]*")
_THREE_FLOATS = re.compile(rb"[ \t]*(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?[ \t]*){3}")
# Fortran leaves out the E before an exponent of three digits, and may write D
_EXPONENT = re.compile(rb"(?<=\d)(?:[dD](?=[-+]?\d)|(?=[-+]\d{3}\b))")


@dataclass(frozen=True, eq=False)
class RealSpace:
    """Matrices by R as the file has them, not yet divided by the degeneracies.

    Attributes:
        name: of the file, for messages.
        comment: its first line.
        lattice: rows, Å, (3, 3); None in ``_hr.dat``.
        cells: R, (n_r, 3).
        degeneracies: (n_r,).
        hamiltonian: ⟨0m|H|Rn⟩, (n_r, n, n), eV.
        position: ⟨0m|r_a|Rn⟩, (3, n_r, n, n), Å; None in ``_hr.dat``.
    """

    name: str
    comment: str
    lattice: NDArray[np.float64] | None
    cells: NDArray[np.int64]
    degeneracies: NDArray[np.int64]
    hamiltonian: NDArray[np.complex128]
    position: NDArray[np.complex128] | None

    @property
    def n_functions(self) -> int:
        """Number of Wannier functions."""
        return int(self.hamiltonian.shape[1])


def kind_of(head: bytes) -> Kind | None:
    """Which of the two a file begins as, or None; ``head`` holds its first bytes."""
    lines = head.split(b"\n", 8)
    if len(lines) < 5:
        return None
    lines = [line.rstrip(b"\r") for line in lines]
    if (
        _INTEGER.fullmatch(lines[1])
        and _INTEGER.fullmatch(lines[2])
        and _INTEGERS.fullmatch(lines[3])
    ):
        return "hr"
    if (
        len(lines) > 6
        and all(_THREE_FLOATS.fullmatch(line) for line in lines[1:4])
        and _INTEGER.fullmatch(lines[4])
        and _INTEGER.fullmatch(lines[5])
        and _INTEGERS.fullmatch(lines[6])
    ):
        return "tb"
    return None


def parse_matrices(data: NDArray[np.uint8], name: str) -> RealSpace:
    """The matrices of a file's bytes.

    Raises:
        FileFormatError: not of the form, truncated, too long, counts that disagree, values that
            are no numbers, an R without its opposite.
    """
    kind = kind_of(data[:65536].tobytes())
    if kind is None:
        raise FileFormatError(f"{name} begins neither as a _hr.dat nor as a _tb.dat of Wannier90.")
    header = _Header(data, name)
    comment = header.line().decode("utf-8", "replace").strip()
    lattice = None
    if kind == "tb":
        lattice = np.array([header.floats() for _ in range(3)])
    n, n_r = header.count("num_wann"), header.count("nrpts")
    least = 14 if kind == "hr" else 8
    if n > _MAX_FUNCTIONS or n * n * n_r * least > data.size:
        raise FileFormatError(
            f"{name} is truncated or damaged: {n} functions and {n_r} vectors R need {n * n * n_r} "
            f"lines, but the file has {data.size} bytes."
        )
    degeneracies = header.integers(n_r, "degeneracies")
    if (degeneracies < 1).any():
        raise FileFormatError(f"{name} is damaged: a degeneracy is {degeneracies.min()}.")
    rows = rows_of_text(data[header.at :], 7 if kind == "hr" else 8, name, "the matrices")
    expected = [n_r * n * n] if kind == "hr" else [2 * n_r * (1 + n * n), n_r * (1 + n * n)]
    if len(rows) not in expected:
        raise FileFormatError(
            f"{name} is truncated or damaged: {len(rows)} lines of matrices, but {n} functions and "
            f"{n_r} vectors R need {expected[0]}."
        )
    if kind == "hr":
        cells, hamiltonian = _hr_blocks(rows, n, n_r, name)
        position = None
    else:
        half = rows[: expected[-1]]
        cells, values = _tb_blocks(half, n, n_r, 1, name)
        hamiltonian = values[0]
        position = None
        if len(rows) == expected[0]:
            again, position = _tb_blocks(rows[expected[-1] :], n, n_r, 3, name)
            if not np.array_equal(again, cells):
                raise FileFormatError(f"{name} is damaged: H and r stand at different vectors R.")
    _check_opposites(cells, name)
    return RealSpace(name, comment, lattice, cells, degeneracies, hamiltonian, position)


def rows_of_text(data: NDArray[np.uint8], width: int, name: str, what: str) -> NDArray[np.float64]:
    """Lines of up to ``width`` numbers, (n_lines, width); NaN where a line is shorter.

    Raises:
        FileFormatError: a word that is no number, or a longer line.
    """
    text = data.tobytes()
    if b"\x00" in text:
        raise FileFormatError(f"{name} is damaged: {what} hold bytes that are no text.")
    try:
        frame = _table(text, width)
    except (ValueError, OverflowError):
        try:
            frame = _table(_EXPONENT.sub(b"E", text), width)
        except (ValueError, OverflowError) as error:
            raise FileFormatError(
                f"{name} is damaged: {what} hold what is no number, or a line too long "
                f"({str(error).strip()})."
            ) from error
    rows = frame.to_numpy()
    if not np.isnan(rows[:, width]).all():
        line = int((~np.isnan(rows[:, width])).argmax())
        raise FileFormatError(
            f"{name} is damaged: line {line + 1} of {what} has more than {width} numbers."
        )
    return rows[:, :width]


def _table(text: bytes, width: int) -> pd.DataFrame:
    """ValueError (pandas' parser errors are such) on what is no table of numbers."""
    return pd.read_csv(
        io.BytesIO(text),
        sep=r"\s+",
        header=None,
        names=list(range(width + 1)),
        index_col=False,
        dtype=np.float64,
        engine="c",
        na_filter=True,
        quoting=3,
        encoding_errors="replace",
    )


class _Header:
    """Takes lines off the beginning of a file."""

    def __init__(self, data: NDArray[np.uint8], name: str) -> None:
        self._data = data
        self._name = name
        self.at = 0

    def line(self) -> bytes:
        """The next line, without its end."""
        piece = self._data[self.at : self.at + 4096].tobytes()
        end = piece.find(b"\n")
        if end < 0:
            raise FileFormatError(f"{self._name} is truncated: it ends within its header.")
        self.at += end + 1
        return piece[:end].rstrip(b"\r")

    def floats(self) -> list[float]:
        """The numbers of the next line."""
        return [float(word.replace(b"D", b"E").replace(b"d", b"e")) for word in self.line().split()]

    def count(self, what: str) -> int:
        """The number on the next line, 1 or more."""
        value = int(self.line())
        if value < 1:
            raise FileFormatError(f"{self._name} is damaged: {what} is {value}.")
        return value

    def integers(self, count: int, what: str) -> NDArray[np.int64]:
        """``count`` numbers on the next lines."""
        found: list[int] = []
        while len(found) < count:
            line = self.line()
            if not _INTEGERS.fullmatch(line):
                break
            found += [int(word) for word in line.split()]
        if len(found) != count:
            raise FileFormatError(
                f"{self._name} is damaged: {count} {what} are announced, but there are "
                f"{len(found)}."
            )
        return np.array(found, dtype=np.int64)


def _hr_blocks(
    rows: NDArray[np.float64], n: int, n_r: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    _check_finite(rows, name)
    by_r = rows.reshape(n_r, n * n, 7)
    if (by_r[:, :, :3] != by_r[:, :1, :3]).any():
        raise FileFormatError(f"{name} is damaged: {n * n} lines in turn do not have the same R.")
    cells = _integers(by_r[:, 0, :3], -MAX_R, MAX_R, "a component of R", name)
    values = by_r[..., 5] + 1j * by_r[..., 6]
    return cells, _placed(by_r[..., 3:5], values[None], n, name)[0]


def _tb_blocks(
    rows: NDArray[np.float64], n: int, n_r: int, components: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """R and (components, n_r, n, n)."""
    by_r = rows.reshape(n_r, 1 + n * n, 8)
    heads, elements = by_r[:, 0], by_r[:, 1:, : 2 + 2 * components]
    _check_finite(heads[:, :3], name)
    _check_finite(elements, name)
    if not (np.isnan(heads[:, 3:]).all() and np.isnan(by_r[:, 1:, 2 + 2 * components :]).all()):
        raise FileFormatError(f"{name} is damaged: the lines of a block have other lengths.")
    cells = _integers(heads[:, :3], -MAX_R, MAX_R, "a component of R", name)
    values = elements[..., 2::2] + 1j * elements[..., 3::2]
    return cells, _placed(elements[..., :2], np.moveaxis(values, -1, 0), n, name)


def _placed(
    indices: NDArray[np.float64], values: NDArray[np.complex128], n: int, name: str
) -> NDArray[np.complex128]:
    """``values`` (c, n_r, n²) at the m, n of ``indices`` (n_r, n², 2), each once per R."""
    index = _integers(indices, 1, n, "an index of a function", name) - 1
    place = index[..., 0] * n + index[..., 1]
    # the same sequence in every block, as all programs write it
    if (place == place[0]).all():
        order = place[0]
        if (np.bincount(order, minlength=n * n) != 1).any():
            raise FileFormatError(f"{name} is damaged: an element stands twice.")
        back = np.argsort(order)
        return values[:, :, back].reshape(len(values), -1, n, n)
    order = np.argsort(place, axis=1)
    if (np.take_along_axis(place, order, axis=1) != np.arange(n * n)).any():
        raise FileFormatError(f"{name} is damaged: an element stands twice.")
    return np.take_along_axis(values, order[None], axis=2).reshape(len(values), -1, n, n)


def _check_finite(values: NDArray[np.float64], name: str) -> None:
    if not np.isfinite(values).all():
        raise FileFormatError(f"{name} is truncated or damaged: a number is missing or not finite.")


def _integers(
    values: NDArray[np.float64], low: int, high: int, what: str, name: str
) -> NDArray[np.int64]:
    # written so that NaN fails, too
    wrong = ~((values >= low) & (values <= high) & (values == np.round(values)))
    if wrong.any():
        raise FileFormatError(
            f"{name} is damaged: {what} is {values[wrong][0]:g}; possible is {low} … {high}."
        )
    return values.astype(np.int64)


def _check_opposites(cells: NDArray[np.int64], name: str) -> None:
    known = {tuple(cell) for cell in cells.tolist()}
    if len(known) != len(cells):
        raise FileFormatError(f"{name} is damaged: a vector R stands twice.")
    for cell in cells.tolist():
        if tuple(-c for c in cell) not in known:
            raise FileFormatError(
                f"{name} holds R = {tuple(cell)} but not its opposite: the matrix is not Hermitian."
            )
    if (0, 0, 0) not in known:
        raise FileFormatError(f"{name} holds no block of R = (0, 0, 0).")
