"""Orders and signs of real harmonics in foreign files, and the way to ours (CONVENTIONS.md).

An order lists m in the file's sequence, by l. Where a code's harmonics have other signs than ours
(no Condon–Shortley phase), ``signs`` lists them in the same sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = [
    "ABACUS",
    "M_ORDER",
    "OPENMX",
    "PYSCF",
    "SIESTA",
    "HarmonicOrder",
    "Reordering",
    "reordering",
    "site_order",
]

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class HarmonicOrder:
    """m of the harmonics in the file's sequence, by l; ``signs`` ±1 in that sequence."""

    m: Mapping[int, tuple[int, ...]]
    signs: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def places(self, l: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:  # noqa: E741
        """Where each of ours, m = −l … l, stands in the file, and its sign there; (2l + 1,) each.

        Raises:
            FileFormatError: the order does not know such a shell.
        """
        if l not in self.m:
            raise FileFormatError(
                f"Shells of l = {l} are not known in this format; known are l = "
                f"{', '.join(map(str, self.m))}."
            )
        order = self.m[l]
        places = np.array([order.index(m) for m in range(-l, l + 1)], dtype=np.int64)
        signs = np.array(self.signs.get(l, (1,) * len(order)), dtype=float)
        return places, signs[places]


M_ORDER = HarmonicOrder({n: tuple(range(-n, n + 1)) for n in range(7)})
"""m = −l … l without the Condon–Shortley phase: ours, PySCF's but for p."""

OPENMX = HarmonicOrder(
    {
        0: (0,),
        1: (1, -1, 0),  # x, y, z
        2: (0, 2, -2, 1, -1),  # 3z²−r², x²−y², xy, xz, yz
        3: (0, 1, -1, 2, -2, 3, -3),  # 5z³, xz², yz², z(x²−y²), xyz, x³−3xy², 3yx²−y³
    }
)
"""OpenMX's, and so HamGNN's and that of DeepH's first format."""


def _condon_shortley(orders: Mapping[int, tuple[int, ...]]) -> HarmonicOrder:
    """These sequences of m, each harmonic with the sign (−1)^m."""
    signs = {l: tuple(-1 if m % 2 else 1 for m in order) for l, order in orders.items()}  # noqa: E741
    return HarmonicOrder(orders, signs)


SIESTA = _condon_shortley(M_ORDER.m)
"""Siesta's: m = −l … l with the sign (−1)^m."""

ABACUS = _condon_shortley(
    {l: (0, *(m for n in range(1, l + 1) for m in (n, -n))) for l in M_ORDER.m}  # noqa: E741
)
"""ABACUS's: m = 0, 1, −1, 2, −2 … with the sign (−1)^m."""

PYSCF = HarmonicOrder({**M_ORDER.m, 1: (1, -1, 0)})
"""PySCF's spherical harmonics: m = −l … l but for p as x, y, z."""


@dataclass(frozen=True, eq=False)
class Reordering:
    """Where each element of our flat array stands in the file's, and its sign (None: all +1)."""

    index: NDArray[np.int64]
    signs: NDArray[np.float64] | None

    def __call__(self, flat: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """``flat`` (..., n_elements) of the file, in our order; a copy."""
        taken = np.take(flat, self.index, axis=-1)
        if self.signs is not None:
            taken *= self.signs.astype(taken.dtype)
        return taken

    def inverse(self) -> Reordering:
        """The way from our flat array to the file's, for writers."""
        index = np.empty_like(self.index)
        index[self.index] = np.arange(len(self.index))
        return Reordering(index, None if self.signs is None else self.signs[index])


def reordering(pairs: Pairs, basis: Basis, order: HarmonicOrder) -> Reordering:
    """The way from flat arrays of a file's blocks to ours.

    In the file the blocks stand in the order of ``pairs`` and each is row-major; the shells of
    ``basis`` stand in the file's sequence.

    Raises:
        FileFormatError: a shell that the order does not know.
    """
    momenta = [tuple(shell.l for shell in shells) for shells in basis.shells]
    kinds = list(dict.fromkeys(momenta))
    kind = np.array([kinds.index(m) for m in momenta], dtype=np.int64)
    sites = [site_order(of_site, order) for of_site in kinds]
    first, second = kind[pairs.first], kind[pairs.second]
    index = np.empty(pairs.n_elements, dtype=np.int64)
    signs = np.ones(pairs.n_elements) if order.signs else None
    for a, (rows, row_signs) in enumerate(sites):
        for b, (columns, column_signs) in enumerate(sites):
            start = pairs.offsets[:-1][(first == a) & (second == b), None]
            place = start + np.arange(len(rows) * len(columns))
            index[place] = start + (rows[:, None] * len(columns) + columns).ravel()
            if signs is not None:
                signs[place] = np.outer(row_signs, column_signs).ravel()
    return Reordering(index, signs)


def site_order(
    momenta: Sequence[int], order: HarmonicOrder
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where each of our orbitals of a site with shells l = ``momenta`` stands in the file, and its
    sign there; (n,) each.

    Raises:
        FileFormatError: a shell that the order does not know.
    """
    places, signs, start = [], [], 0
    for l in momenta:  # noqa: E741
        place, sign = order.places(l)
        places.append(start + place)
        signs.append(sign)
        start += 2 * l + 1
    return np.concatenate(places), np.concatenate(signs)
