"""Matrices as HamGNN lists them: one row per atom, then one per edge."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.formats.restricted_pickle import NpyHeader, read_npy_header

__all__ = ["Kind", "Rows", "matrix_header", "n_rows", "read_rows", "rows_kind"]

Kind = Literal["scalar", "collinear", "spinor"]


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix, Ha.

    Attributes:
        real: (N + E, n²) without spin, (N + E, 2, n²) for ↑ and ↓, (N + E, (2n)²) of spinors.
        imaginary: that of spinors, of the same shape; else None.
    """

    real: NDArray[Any]
    imaginary: NDArray[Any] | None = None


def rows_kind(shape: Sequence[int], width: int, where: str) -> Kind:
    """Which kind of matrix has rows of this shape.

    Raises:
        FileFormatError: none.
    """
    kinds: dict[tuple[int, ...], Kind] = {
        (width**2,): "scalar",
        (2, width**2): "collinear",
        (4 * width**2,): "spinor",
    }
    kind = kinds.get(tuple(shape[1:]))
    if kind is None:
        raise FileFormatError(
            f"{where} has rows of shape {tuple(shape[1:])}; of nao_max {width} there are "
            + ", ".join(f"{known} ({name})" for known, name in kinds.items())
            + "."
        )
    return kind


def matrix_header(head: bytes) -> NpyHeader | None:
    """The header of a file that may be a predicted matrix, else None: rows of floats as long as
    those of one of HamGNN's layouts.
    """
    try:
        header = read_npy_header(io.BytesIO(head))
    except ValueError:
        return None
    widths = [w**2 for w in LAYOUTS]
    rows = [(n,) for w in widths for n in (w, 4 * w)] + [(2, w) for w in widths]
    if header.fortran or header.dtype.kind != "f" or header.shape[1:] not in rows:
        return None
    return header


def n_rows(kind: Kind, n_pairs: int) -> int:
    """Rows of a crystal: the imaginary part of spinors stands below the real one."""
    return 2 * n_pairs if kind == "spinor" else n_pairs


def read_rows(
    member: Member, header: NpyHeader, kind: Kind, n_pairs: Sequence[int], index: int
) -> Rows:
    """The matrix of crystal ``index`` among those with ``n_pairs`` atoms and edges each.

    Crystals follow each other, each whole, as a run of batch size 1 writes them.

    Raises:
        FileFormatError: the file is shorter or longer than its header tells, or has not the rows
            that the crystals need.
    """
    needed = sum(n_rows(kind, n) for n in n_pairs)
    if header.shape[0] != needed:
        raise FileFormatError(
            f"{member.name} has {header.shape[0]} rows; the {len(n_pairs)} crystal(s) of its "
            f"graph need {needed}."
        )
    data = member.data()
    stride = int(np.prod(header.shape[1:])) * header.dtype.itemsize
    if data.size != header.offset + needed * stride:
        raise FileFormatError(
            f"{member.name} is truncated or damaged: {needed} rows need "
            f"{header.offset + needed * stride} bytes, the file has {data.size}."
        )
    start = header.offset + stride * sum(n_rows(kind, n) for n in n_pairs[:index])
    count = n_rows(kind, n_pairs[index])
    part = data[start : start + count * stride]
    rows = np.frombuffer(part.data, header.dtype).reshape(count, *header.shape[1:])
    if kind != "spinor":
        return Rows(rows)
    return Rows(rows[: n_pairs[index]], rows[n_pairs[index] :])
