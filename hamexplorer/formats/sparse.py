"""From sparse matrices of orbitals to blocks of sites.

Codes that store M[i, j, R] element by element give a row, a column and an R of each; here these
become the pairs of sites that occur and the place of each element in their flat arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, ResourceLimitError
from hamexplorer.formats.shells import OrbitalMap
from hamexplorer.hamiltonian import Pairs

__all__ = ["Pattern", "Scattering", "diagonal", "scatterings"]

_Scalar = TypeVar("_Scalar", bound=np.generic)
_MARKED = 50_000_000
"""Up to so many possible pairs are marked in an array; beyond it they are sorted."""
_MAX_ELEMENTS = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where a sparse matrix M[i, j, R] has elements, in the file's sequence of orbitals.

    Attributes:
        rows: orbital i in cell 0, (nnz,).
        columns: orbital j, (nnz,).
        cell: index of R, (nnz,).
    """

    rows: NDArray[np.integer]
    columns: NDArray[np.integer]
    cell: NDArray[np.integer]

    def check(self, n_orbitals: int, n_cells: int) -> None:
        """Complain of an index outside its range.

        Raises:
            FileFormatError: there is one.
        """
        for what, index, end in (
            ("row", self.rows, n_orbitals),
            ("column", self.columns, n_orbitals),
            ("cell", self.cell, n_cells),
        ):
            if index.size and not 0 <= int(index.min()) <= int(index.max()) < end:
                raise FileFormatError(
                    f"An element's {what} is {int(index.min())} or {int(index.max())}; possible "
                    f"is 0 … {end - 1}: the index is damaged."
                )


@dataclass(frozen=True, eq=False)
class Scattering:
    """Pairs, and where each stored element stands in a flat array of their blocks.

    Attributes:
        pairs: those that occur, their reverses, and each site with itself.
        place: of each stored element, (nnz,).
        signs: ±1 of each stored element, (nnz,); None: all +1.
    """

    pairs: Pairs
    place: NDArray[np.int64]
    signs: NDArray[np.float64] | None

    def __call__(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Flat blocks (..., n_elements) of stored ``values`` (..., nnz); the others are 0."""
        flat = np.zeros((*values.shape[:-1], self.pairs.n_elements), dtype=values.dtype)
        flat[..., self.place] = values
        if self.signs is not None:
            flat[..., self.place] *= self.signs.astype(values.dtype)
        return flat


def scatterings(
    orbitals: OrbitalMap, cells: NDArray[np.integer], *patterns: Pattern
) -> list[Scattering]:
    """The pairs of all elements of several matrices, and the places of each one's.

    Args:
        orbitals: our basis and the file's orbitals.
        cells: R, (n_cells, 3), to which the patterns point.
        patterns: where the matrices have elements.

    Raises:
        FileFormatError: an index outside its range, or an element that is stored twice.
        ResourceLimitError: the blocks would hold more than 2·10⁹ elements.
    """
    basis = orbitals.basis
    n_sites = basis.n_sites
    vectors, merged, negative, origin = _closed(cells)
    n_cells = len(vectors)
    size = n_sites * n_sites * n_cells
    keys = []
    for pattern in patterns:
        pattern.check(basis.n_orbitals, len(cells))
        key = orbitals.site[pattern.rows] * n_sites
        key += orbitals.site[pattern.columns]
        key *= n_cells
        key += merged[pattern.cell]
        keys.append(key)
    present = np.unique(np.concatenate([_present(key, size) for key in keys]))
    here = np.arange(n_sites) * (n_sites + 1) * n_cells + origin
    reverse = (
        (present // n_cells % n_sites) * n_sites + present // n_cells // n_sites
    ) * n_cells + negative[present % n_cells]
    present = np.unique(np.concatenate([present, reverse, here]))
    first, second = present // n_cells // n_sites, present // n_cells % n_sites
    total = float(np.sum(basis.sizes[first].astype(float) * basis.sizes[second]))
    if total > _MAX_ELEMENTS:
        raise ResourceLimitError(
            f"The blocks of {len(present)} pairs hold {total:.3g} elements; up to "
            f"{_MAX_ELEMENTS:.3g} are read."
        )
    pairs = Pairs(first, second, vectors[present % n_cells], basis.sizes)
    return [
        _placed(orbitals, pairs, _lookup(present, key, size), pattern)
        for key, pattern in zip(keys, patterns, strict=True)
    ]


def _placed(
    orbitals: OrbitalMap, pairs: Pairs, pair: NDArray[np.int64], pattern: Pattern
) -> Scattering:
    """Places of a pattern's elements, whose pairs are known."""
    place = pairs.offsets[pair]
    place += orbitals.place[pattern.rows] * pairs.sizes[pairs.second[pair]]
    place += orbitals.place[pattern.columns]
    taken = np.zeros(pairs.n_elements, dtype=bool)
    taken[place] = True
    if np.count_nonzero(taken) < len(place):
        raise FileFormatError("An element of the matrix is stored twice: the index is damaged.")
    signs = None
    if (orbitals.signs < 0).any():
        signs = orbitals.signs[pattern.rows] * orbitals.signs[pattern.columns]
    return Scattering(pairs, place, signs)


def diagonal(pairs: Pairs) -> NDArray[np.bool_]:
    """Where a flat array holds M[i, i, 0], (n_elements,): the ones of an orthogonal basis."""
    rows, columns = pairs.element_orbitals
    return (rows == columns) & np.all(pairs.cell == 0, axis=1)[pairs.element_pair]


def _closed(
    cells: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Different R, with −R and 0 among them; where each given one stands; −R's index; 0's."""
    given = np.asarray(cells, dtype=np.int64).reshape(-1, 3)
    origin = np.zeros((1, 3), dtype=np.int64)
    vectors, index = np.unique(np.concatenate([given, -given, origin]), axis=0, return_inverse=True)
    index = index.reshape(-1)
    n = len(given)
    negative = np.empty(len(vectors), dtype=np.int64)
    negative[index[:n]] = index[n : 2 * n]
    negative[index[n : 2 * n]] = index[:n]
    negative[index[-1]] = index[-1]
    return vectors, index[:n], negative, int(index[-1])


def _present(key: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    if size > _MARKED:
        return np.unique(key)
    marks = np.zeros(size, dtype=bool)
    marks[key] = True
    return np.flatnonzero(marks)


def _lookup(sorted_keys: NDArray[np.int64], key: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    if size > _MARKED:
        return np.searchsorted(sorted_keys, key)
    index = np.empty(size, dtype=np.int64)
    index[sorted_keys] = np.arange(len(sorted_keys))
    return index[key]
