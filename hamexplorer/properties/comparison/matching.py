"""Whether two Hamiltonians are of one crystal, and which of their blocks correspond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import HamiltonianError, StructureError
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs

__all__ = [
    "POSITION_TOLERANCE",
    "Matched",
    "match_pairs",
    "renamed_shells",
    "shells_differ",
    "site_translations",
]

POSITION_TOLERANCE = 1e-3
"""Largest difference of cell vectors and positions that is accepted, Å."""


@dataclass(frozen=True, eq=False)
class Matched:
    """The pairs that the first or the second Hamiltonian stores, numbered as in the first.

    Attributes:
        pairs: their union.
        first, second: where the elements of each one's flat arrays lie in arrays of the union.
        only_first, only_second: pairs of the union that the other one does not store, (n_pairs,).
    """

    pairs: Pairs
    first: NDArray[np.int64] | slice
    second: NDArray[np.int64] | slice
    only_first: NDArray[np.bool_]
    only_second: NDArray[np.bool_]

    def spread(
        self, flat: NDArray[np.float64] | None, place: NDArray[np.int64] | slice
    ) -> NDArray[np.float64]:
        """A flat array over the union, zero where nothing is stored, (n_elements,).

        ``place`` is :attr:`first` or :attr:`second`; None stands for a component of zeros.
        """
        result = np.zeros(self.pairs.n_elements)
        if flat is not None:
            result[place] = flat
        return result


def site_translations(first: Hamiltonian, second: Hamiltonian) -> NDArray[np.int64]:
    """Lattice vectors n_i by which the sites of ``second`` lie beside those of ``first``.

    r_i(second) = r_i(first) + n_i, (n_sites, 3), in the cell's vectors.

    Raises:
        StructureError: the cells, the species in their order, or the positions differ by more
            than :data:`POSITION_TOLERANCE`; the first difference is named.
    """
    one, other = first.structure, second.structure
    if len(one) != len(other):
        raise StructureError(
            f"The two are of different crystals: the first has {len(one)} sites "
            f"({one.composition.formula}), the second {len(other)} ({other.composition.formula})."
        )
    names = first.basis.symbols, second.basis.symbols
    for index, (mine, theirs) in enumerate(zip(*names, strict=True)):
        if mine != theirs:
            raise StructureError(
                f"Site {index + 1} is {mine} in the first and {theirs} in the second"
                f"{_order(*names)}."
            )
    _check_cells(one, other)
    away = other.frac_coords - one.frac_coords
    whole = np.rint(away)
    distances = np.linalg.norm((away - whole) @ one.lattice.matrix, axis=1)
    wrong = np.flatnonzero(distances > POSITION_TOLERANCE)
    if wrong.size:
        index = int(wrong[0])
        raise StructureError(
            f"Site {index + 1} ({names[0][index]}) of the second lies {distances[index]:.4f} Å "
            "from that of the first, or from its nearest image; accepted is "
            f"{POSITION_TOLERANCE} Å{'' if len(wrong) == 1 else f' ({len(wrong)} sites differ)'}. "
            "The sites of both must stand in one order."
        )
    return whole.astype(np.int64)


def _check_cells(first: Structure, second: Structure) -> None:
    away = np.linalg.norm(first.lattice.matrix - second.lattice.matrix, axis=1)
    wrong = np.flatnonzero(away > POSITION_TOLERANCE)
    if not wrong.size:
        return
    index = int(wrong[0])
    vectors = [
        "(" + ", ".join(f"{x:.4f}" for x in structure.lattice.matrix[index]) + ")"
        for structure in (first, second)
    ]
    raise StructureError(
        f"Cell vector {index + 1} is {vectors[0]} Å in the first and {vectors[1]} Å in the second; "
        f"accepted is a difference of {POSITION_TOLERANCE} Å. Two Hamiltonians are compared in one "
        "cell and one orientation."
    )


def _order(first: Sequence[str], second: Sequence[str]) -> str:
    same = sorted(first) == sorted(second)
    return ": the same atoms in another order, which is not accepted" if same else ""


def shells_differ(first: Basis, second: Basis) -> str:
    """Empty if both have shells of the same l in the same order on every site; else where not."""
    for index, (one, other) in enumerate(zip(first.shells, second.shells, strict=True)):
        if [shell.l for shell in one] != [shell.l for shell in other]:
            names = [" ".join(shell.label for shell in shells) for shells in (one, other)]
            site = first.site_labels[index]
            return f"{site} has {names[0]} in the first and {names[1]} in the second"
    return ""


def renamed_shells(first: Basis, second: Basis) -> str:
    """The first site whose shells are named differently, as ``Mo1: 4d and d1``; empty if none."""
    for index, (one, other) in enumerate(zip(first.shells, second.shells, strict=True)):
        for shell, same in zip(one, other, strict=True):
            if shell.label != same.label:
                return f"{first.site_labels[index]}: {shell.label} and {same.label}"
    return ""


def match_pairs(
    first: Hamiltonian, second: Hamiltonian, translations: NDArray[np.int64]
) -> Matched:
    """The union of both ones' pairs; those of ``second`` renumbered by :func:`site_translations`.

    Site j of the second lies n_j beside that of the first, so that its pair (i, j, R) is the
    first's (i, j, R + n_j − n_i).

    Raises:
        HamiltonianError: the two have different numbers of orbitals on a site.
    """
    one, other = first.pairs, second.pairs
    if not np.array_equal(one.sizes, other.sizes):
        raise HamiltonianError("Blocks of different bases cannot be matched.")
    everywhere = slice(None)
    if not translations.any() and one.same_as(other):
        none = np.zeros(one.n_pairs, dtype=bool)
        return Matched(one, everywhere, everywhere, none, none)
    cell = other.cell + translations[other.second] - translations[other.first]
    keys = np.concatenate(
        [
            np.column_stack([one.first, one.second, one.cell]),
            np.column_stack([other.first, other.second, cell]),
        ]
    )
    unique, index = np.unique(keys, axis=0, return_inverse=True)
    index = index.reshape(-1)
    union = Pairs(unique[:, 0], unique[:, 1], unique[:, 2:], one.sizes)
    mine, theirs = index[: one.n_pairs], index[one.n_pairs :]
    has_first, has_second = (np.zeros(union.n_pairs, dtype=bool) for _ in range(2))
    has_first[mine], has_second[theirs] = True, True
    return Matched(
        union, _places(union, one, mine), _places(union, other, theirs), ~has_second, ~has_first
    )


def _places(union: Pairs, own: Pairs, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the elements of ``own`` lie in the union, (n_elements,); ``index`` tells the pairs'."""
    moved = union.offsets[index] - own.offsets[:-1]
    return np.arange(own.n_elements) + np.repeat(moved, np.diff(own.offsets))
