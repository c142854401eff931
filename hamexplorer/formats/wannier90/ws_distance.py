"""``seed_wsvec.dat``: to which images of R each element ⟨0m|M|Rn⟩ belongs (use_ws_distance).

A comment line, then for every R, m, n: "R1 R2 R3 m n", the number N of images, and N lines with
the lattice vectors T. The element is shared by the cells R + T, 1/N for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.wannier90.matrices import MAX_R, RealSpace, rows_of_text

__all__ = ["Images", "own_cells", "parse_images"]


@dataclass(frozen=True, eq=False)
class Images:
    """Elements of a file's matrices in the cells where they count.

    Attributes:
        index: of each share in the flat (n_r, n, n) matrices, (n_shares,).
        cell: R + T, (n_shares, 3).
        weight: 1/(degeneracy of R · number of images), (n_shares,).
    """

    index: NDArray[np.int64]
    cell: NDArray[np.int64]
    weight: NDArray[np.float64]


def own_cells(raw: RealSpace) -> Images:
    """Every element in its own cell R: use_ws_distance = .false."""
    count = raw.n_functions**2
    return Images(
        np.arange(raw.hamiltonian.size),
        np.repeat(raw.cells, count, axis=0),
        np.repeat(1.0 / raw.degeneracies, count),
    )


def parse_images(data: NDArray[np.uint8], name: str, raw: RealSpace) -> Images:
    """The shares of ``raw``'s elements.

    Raises:
        FileFormatError: damaged, or of other matrices than ``raw``.
    """
    n, n_r = raw.n_functions, len(raw.cells)
    total = n_r * n * n
    start = int(np.flatnonzero(data[:4096] == ord("\n"))[:1].sum()) + 1
    # each element has three lines of 10, 2 and 6 bytes at the least
    if total * 18 > data.size:
        raise FileFormatError(
            f"{name} is truncated or of another calculation: {raw.name} has {total} elements, this "
            f"file {data.size} bytes."
        )
    rows = rows_of_text(data[start:], 5, name, "the vectors")
    words = 5 - np.isnan(rows).sum(axis=1)
    heads = np.flatnonzero(words == 5)
    counted = heads + 1
    if len(heads) != total or counted[-1] >= len(rows) or (words[counted] != 1).any():
        raise FileFormatError(
            f"{name} is damaged or of another calculation: {len(heads)} elements, but {raw.name} "
            f"has {total}."
        )
    if not (np.isfinite(rows[heads]).all() and (abs(rows[heads]) <= MAX_R).all()):
        raise FileFormatError(f"{name} is damaged: an R is no vector of integers.")
    images = np.diff(np.append(heads, len(rows))) - 2
    vectors = np.ones(len(rows), dtype=bool)
    vectors[heads] = vectors[counted] = False
    if (rows[counted, 0] != images).any() or (images < 1).any() or (words[vectors] != 3).any():
        raise FileFormatError(f"{name} is damaged: an element has not the vectors it announces.")
    shifts = rows[vectors, :3]
    if not ((abs(shifts) <= MAX_R) & (shifts == np.round(shifts))).all():
        raise FileFormatError(f"{name} is damaged: a vector T is not of integers.")
    element = _elements(rows[heads], raw, name)
    index = np.repeat(element, images)
    r = index // (n * n)
    return Images(
        index,
        raw.cells[r] + shifts.astype(np.int64),
        1.0 / (raw.degeneracies[r] * np.repeat(images, images)),
    )


def _elements(heads: NDArray[np.float64], raw: RealSpace, name: str) -> NDArray[np.int64]:
    """Flat index to ``raw``'s matrices of lines "R1 R2 R3 m n", each element once."""
    n, n_r = raw.n_functions, len(raw.cells)
    cells = heads[:, :3].reshape(n_r, n * n, 3)
    row, column = heads[:, 3] - 1, heads[:, 4] - 1
    inside = (row >= 0) & (row < n) & (column >= 0) & (column < n)
    if (cells != raw.cells[:, None]).any() or not inside.all():
        raise FileFormatError(
            f"{name} is of another calculation than {raw.name}: it lists other vectors R or "
            "functions."
        )
    r = np.repeat(np.arange(n_r), n * n)
    element: NDArray[np.int64] = ((r * n + row) * n + column).astype(np.int64)
    if (np.bincount(element, minlength=len(element)) != 1).any():
        raise FileFormatError(f"{name} is damaged: an element stands twice.")
    return element
