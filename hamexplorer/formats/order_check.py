"""Which order of harmonics a file has, from the rotation law of its overlap.

Orbitals R(r) Y_lm of two sites, d apart, overlap in a matrix that rotations about d leave as it
is. With D the rotation that takes z to d, T = Dᵀ S D is the overlap of a bond along z, and (J. C.
Slater and G. F. Koster, Phys. Rev. 94, 1498 (1954))

    T_lm,l'm' = δ_mm' t_|m|.

Only where the harmonics stand in the order that is assumed (and with its signs) does S obey it.
Eigenvalues do not depend on the order; orbital labels, symmetries and L do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.orders import (
    ABACUS,
    M_ORDER,
    OPENMX,
    PYSCF,
    SIESTA,
    HarmonicOrder,
    site_order,
)
from hamexplorer.hamiltonian import Basis, Pairs
from hamexplorer.hamiltonian.angular import axis_rotations

__all__ = ["CANDIDATES", "FITTING", "OrderCheck", "detected_order"]

CANDIDATES: Mapping[str, HarmonicOrder] = {
    "m = −l … l": M_ORDER,
    "OpenMX": OPENMX,
    "Siesta": SIESTA,
    "ABACUS": ABACUS,
    "PySCF": PYSCF,
}
"""Orders that are tried unless others are given."""
FITTING = 0.02
"""Part of the overlap that may break the law: 1e-10 in OpenMX's files, 0.9 in a wrong order."""

_PAIRS_OF_A_KIND = 60
_TELLING = 1e-4
"""Blocks of shells whose overlaps are smaller (root mean square) are a file's rounding."""
_SAME_PLACE = 0.1  # Å


@dataclass(frozen=True)
class OrderCheck:
    """How far the overlap is from the rotation law in every order that was tried.

    ``scores`` is the part of the overlap that breaks the law, 0 … 1, in the worst block of shells,
    by the order's name. Empty where nothing tells: s shells alone, or no overlap between sites.
    """

    scores: Mapping[str, float]

    @property
    def fits(self) -> tuple[str, ...]:
        """Orders that obey the law, the best first; several where the crystal is too symmetric
        to tell them apart (signs do not show in a plane).
        """
        return tuple(
            sorted((n for n, s in self.scores.items() if s < FITTING), key=lambda n: self.scores[n])
        )

    def doubt(self, assumed: str) -> str | None:
        """A sentence if the overlap denies the ``assumed`` order, else None."""
        if assumed not in self.scores or assumed in self.fits:
            return None
        found = (
            f"it fits the order of {self.fits[0]}"
            if self.fits
            else "it fits no known order (are the positions those of the matrices?)"
            if len(self.scores) > 1
            else "no other order was tried, and the positions may not be those of the matrices"
        )
        return (
            f"The overlap does not have the order of orbitals that is assumed ({assumed}: "
            f"{100 * self.scores[assumed]:.0f} % break the rotation law); {found}. Bands do not "
            "depend on it; orbital labels, symmetries and orbital moments do."
        )


def detected_order(
    overlap: NDArray[np.float64],
    pairs: Pairs,
    basis: Basis,
    structure: Structure,
    candidates: Mapping[str, HarmonicOrder] | None = None,
) -> OrderCheck:
    """Scores of the orders in which ``overlap`` may stand.

    Args:
        overlap: flat blocks, row-major, as the file has them, (n_elements,).
        pairs: their index.
        basis: shells of every site, in the file's sequence.
        structure: where the sites are; R counts from these images.
        candidates: by name; default :data:`CANDIDATES`. One that lacks a shell is left out.
    """
    tried = CANDIDATES if candidates is None else candidates
    kinds = [tuple(shell.l for shell in shells) for shells in basis.shells]
    sums = {name: _Sums() for name in tried if _knows(tried[name], kinds)}
    sites = structure.cart_coords
    bonds = sites[pairs.second] + pairs.cell @ structure.lattice.matrix - sites[pairs.first]
    for first, second, members in _groups(overlap, pairs, kinds, bonds):
        a, b = _Orbitals(first), _Orbitals(second)
        left, right = a.rotations(bonds[members]), b.rotations(bonds[members])
        elements = pairs.offsets[members][:, None] + np.arange(a.size * b.size)
        blocks = overlap[elements].reshape(-1, a.size, b.size)
        for name, of_order in sums.items():
            rows, row_signs = site_order(first, tried[name])
            columns, column_signs = site_order(second, tried[name])
            ours = blocks[:, rows[:, None], columns] * np.outer(row_signs, column_signs)
            of_order.add(a, b, left.swapaxes(1, 2) @ ours @ right)
    scores = {name: of_order.score for name, of_order in sums.items()}
    return OrderCheck({name: score for name, score in scores.items() if score is not None})


def _knows(order: HarmonicOrder, kinds: list[tuple[int, ...]]) -> bool:
    try:
        for kind in set(kinds):
            site_order(kind, order)
    except FileFormatError:
        return False
    return True


def _groups(
    overlap: NDArray[np.float64],
    pairs: Pairs,
    kinds: list[tuple[int, ...]],
    bonds: NDArray[np.float64],
) -> list[tuple[tuple[int, ...], tuple[int, ...], NDArray[np.int64]]]:
    """Pairs of two sites that overlap most, by the shells of both sites."""
    listed = list(dict.fromkeys(kinds))
    kind = np.array([listed.index(k) for k in kinds])
    code = kind[pairs.first] * len(listed) + kind[pairs.second]
    apart = np.linalg.norm(bonds, axis=1) > _SAME_PLACE
    weight = np.add.reduceat(overlap**2, pairs.offsets[:-1])
    found = []
    for value in np.unique(code[apart]):
        members = np.flatnonzero(apart & (code == value))
        strongest = members[np.argsort(-weight[members], kind="stable")[:_PAIRS_OF_A_KIND]]
        found.append((listed[value // len(listed)], listed[value % len(listed)], strongest))
    return found


class _Orbitals:
    """Orbitals of a site with shells l = ``momenta`` in the order m = −l … l."""

    def __init__(self, momenta: tuple[int, ...]) -> None:
        self.momenta = momenta
        self.l = np.array([l for l in momenta for _ in range(2 * l + 1)])  # noqa: E741
        self.m = np.array([m for l in momenta for m in range(-l, l + 1)])  # noqa: E741
        self.size = len(self.l)
        # the orbital of the same shell with −m
        self.mirror = np.arange(self.size) - 2 * self.m

    def rotations(self, bonds: NDArray[np.float64]) -> NDArray[np.float64]:
        """D = R_z(φ) R_y(θ), which takes z to each of ``bonds`` (n, 3); (n, size, size)."""
        x, y, z = bonds.T
        theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
        by_l = {}
        for l in set(self.momenta):  # noqa: E741
            by_l[l] = axis_rotations(l, 2, phi) @ axis_rotations(l, 1, theta)
        result = np.zeros((len(bonds), self.size, self.size))
        start = 0
        for l in self.momenta:  # noqa: E741
            shell = slice(start, start + 2 * l + 1)
            result[:, shell, shell] = by_l[l]
            start += 2 * l + 1
        return result


class _Sums:
    """Σ |T|² and its part that breaks the law, by l and l'."""

    def __init__(self) -> None:
        self._whole: dict[tuple[int, int], float] = {}
        self._broken: dict[tuple[int, int], float] = {}
        self._count: dict[tuple[int, int], int] = {}

    def add(self, a: _Orbitals, b: _Orbitals, along_z: NDArray[np.float64]) -> None:
        """Count the overlaps T (n, n_a, n_b) of bonds along z."""
        mirrored = along_z[:, a.mirror[:, None], b.mirror]
        lawful = np.where(a.m[:, None] == b.m, (along_z + mirrored) / 2, 0)
        whole = (along_z**2).sum(axis=0)
        broken = ((along_z - lawful) ** 2).sum(axis=0)
        for l in set(a.momenta):  # noqa: E741
            for other in set(b.momenta):
                if l + other == 0:
                    continue
                chosen = np.ix_(a.l == l, b.l == other)
                key = (l, other)
                count = len(along_z) * whole[chosen].size
                self._whole[key] = self._whole.get(key, 0.0) + float(whole[chosen].sum())
                self._broken[key] = self._broken.get(key, 0.0) + float(broken[chosen].sum())
                self._count[key] = self._count.get(key, 0) + count

    @cached_property
    def score(self) -> float | None:
        """√(broken/whole) of the worst l, l' that overlap enough to tell; None if none do."""
        telling = [
            self._broken[key] / whole
            for key, whole in self._whole.items()
            if whole > _TELLING**2 * self._count[key]
        ]
        return float(np.sqrt(max(telling))) if telling else None
