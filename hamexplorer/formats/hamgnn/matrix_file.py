"""Matrices written as HamGNN writes its predictions, ``hamiltonian.npy``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hamexplorer.files import checked_output, written
from hamexplorer.formats.hamgnn.rows import Rows

__all__ = ["write_rows"]


def write_rows(target: Path, shape: tuple[int, int], matrices: Iterable[Rows]) -> Path:
    """Write the rows of one crystal after the other in single precision, real before imaginary.

    Args:
        target: the ``.npy`` file.
        shape: of all rows together.
        matrices: written as they come, so that only one is in memory.

    Raises:
        SettingsError: another suffix, or a directory that is not there.
        HamexplorerError: the file cannot be written, or whatever ``matrices`` raises.
    """
    path = checked_output(target, (".npy",))
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with written(path) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for rows in matrices:
            for part in (rows.real, rows.imaginary):
                if part is not None:
                    stream.write(np.ascontiguousarray(part, dtype="<f4").data)
    return path
