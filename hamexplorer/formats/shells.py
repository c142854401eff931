"""From a file's orbitals to shells in our order and signs.

For files that name each orbital, in any sequence (Siesta, sisl), and for sparse matrices of those
whose order is fixed (:mod:`hamexplorer.formats.orders`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.orders import HarmonicOrder, site_order
from hamexplorer.hamiltonian import Basis, Shell
from hamexplorer.hamiltonian.basis import MAX_L, ORBITAL_NAMES

__all__ = [
    "NamedOrbital",
    "OrbitalMap",
    "SiteShells",
    "map_orbitals",
    "ordered_orbitals",
    "site_shells",
]

_LETTERS = "spdfghiklmno"


@dataclass(frozen=True)
class NamedOrbital:
    """Quantum numbers as a file tells them.

    Attributes:
        l: angular momentum; None: unknown.
        m: of the real harmonic.
        n: principal quantum number; None: unknown.
        zeta: which radial function of the same n and l, from 1.
        polarised: a polarisation orbital.

    Raises:
        FileFormatError: l is not in 0 … MAX_L.
    """

    l: int | None = None  # noqa: E741 - the quantum number's own name
    m: int = 0
    n: int | None = None
    zeta: int = 1
    polarised: bool = False

    def __post_init__(self) -> None:
        if self.l is not None and not 0 <= self.l <= MAX_L:
            raise FileFormatError(
                f"An orbital has l = {self.l}; possible are 0 … {MAX_L}: the basis is damaged."
            )

    @property
    def label(self) -> str:
        """``3d``, ``3dζ2``, ``4dP``; ``d1``, ``d2`` where n is unknown, ``w`` where l is."""
        if self.l is None:
            return "w"
        letter = _LETTERS[self.l]
        if self.n is None:
            return f"{letter}{self.zeta}{'P' if self.polarised else ''}"
        zeta = f"ζ{self.zeta}" if self.zeta > 1 else ""
        return f"{self.n}{letter}{zeta}{'P' if self.polarised else ''}"


@dataclass(frozen=True, eq=False)
class SiteShells:
    """Shells of a site and where the file's orbitals stand among ours.

    Attributes:
        shells: in the file's sequence.
        place: our index within the site of each of the file's orbitals, (n,).
        signs: ±1, ours = sign · the file's, (n,).
        broken: labels of orbitals that make up no whole shell; they stand as shells of l = 0.
    """

    shells: tuple[Shell, ...]
    place: NDArray[np.int64]
    signs: NDArray[np.float64]
    broken: tuple[str, ...]


def site_shells(orbitals: Sequence[NamedOrbital], *, condon_shortley: bool) -> SiteShells:
    """Shells of one site.

    Orbitals that agree in n, l, zeta and polarisation and have each m = −l … l once are a shell.
    All others become shells of l = 0 of their own: ``2pz``, or ``w1``, ``w2``, … if l is unknown.

    Args:
        orbitals: in the file's sequence.
        condon_shortley: whether the file's real harmonics are (−1)^m times ours.
    """
    # what parts shells that are alike in all the file tells: which time an m is met
    met: Counter[NamedOrbital] = Counter()
    groups: dict[object, list[int]] = {}
    for index, orbital in enumerate(orbitals):
        group: object = index
        if orbital.l is not None:
            group = (replace(orbital, m=0), met[orbital])
            met[orbital] += 1
        groups.setdefault(group, []).append(index)
    shells: list[Shell] = []
    broken: list[str] = []
    place = np.empty(len(orbitals), dtype=np.int64)
    signs = np.ones(len(orbitals))
    start = 0
    for members in groups.values():
        l = orbitals[members[0]].l  # noqa: E741
        m = np.array([orbitals[k].m for k in members])
        if condon_shortley and l is not None:
            signs[members] = 1.0 - 2.0 * (m % 2)
        if l is not None and np.array_equal(np.sort(m), np.arange(-l, l + 1)):
            shells.append(Shell(orbitals[members[0]].label, l))
            place[members] = start + l + m
            start += 2 * l + 1
            continue
        for k in members:
            broken.append(_lone(orbitals[k], len(broken) + 1))
            shells.append(Shell(broken[-1], 0))
            place[k] = start
            start += 1
    return SiteShells(tuple(shells), place, signs, tuple(broken))


def _lone(orbital: NamedOrbital, number: int) -> str:
    """``2pz`` of an orbital whose shell is not whole, ``w3`` of an unknown one."""
    if orbital.l is None:
        return f"w{number}"
    names = ORBITAL_NAMES.get(orbital.l, ())
    place = orbital.m + orbital.l
    return orbital.label + (names[place] if 0 <= place < len(names) else f"m{orbital.m}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 5 else f"{names[0]} … {names[-1]}"


@dataclass(frozen=True, eq=False)
class OrbitalMap:
    """A whole basis and where the file's orbitals stand in it.

    Attributes:
        basis: ours.
        site: site of each of the file's orbitals, (n,).
        place: our index within the site, (n,).
        signs: ±1, ours = sign · the file's, (n,).
        warnings: sentences on orbitals that make up no whole shell.
    """

    basis: Basis
    site: NDArray[np.int64]
    place: NDArray[np.int64]
    signs: NDArray[np.float64]
    warnings: tuple[str, ...]


def map_orbitals(
    symbols: Sequence[str],
    orbitals: Sequence[Sequence[NamedOrbital]],
    *,
    condon_shortley: bool,
) -> OrbitalMap:
    """The basis of sites with named orbitals, given in the file's sequence.

    Args:
        symbols: element symbols, (n_sites).
        orbitals: of every site.
        condon_shortley: as for :func:`site_shells`.

    Raises:
        HamiltonianError: a site without orbitals.
    """
    kinds: dict[tuple[NamedOrbital, ...], SiteShells] = {}
    sites = []
    for of_site in orbitals:
        key = tuple(of_site)
        if key not in kinds:
            kinds[key] = site_shells(key, condon_shortley=condon_shortley)
        sites.append(kinds[key])
    basis = Basis(tuple(symbols), tuple(site.shells for site in sites))
    broken = {
        f"{symbol} ({_listed(site.broken)})": None
        for symbol, site in zip(symbols, sites, strict=True)
        if site.broken
    }
    warnings: tuple[str, ...] = ()
    if broken:
        warnings = (
            "Orbitals whose angular momentum is unknown, or that make up no whole shell, stand as "
            f"s shells of their own: {'; '.join(broken)}. Angular momenta and rotations of them "
            "mean nothing.",
        )
    return OrbitalMap(
        basis=basis,
        site=np.repeat(np.arange(len(sites)), basis.sizes),
        place=np.concatenate([site.place for site in sites]),
        signs=np.concatenate([site.signs for site in sites]),
        warnings=warnings,
    )


def ordered_orbitals(basis: Basis, order: HarmonicOrder) -> OrbitalMap:
    """The orbitals of a file whose shells stand as in ``basis`` and their harmonics in ``order``.

    Raises:
        FileFormatError: a shell that the order does not know.
    """
    place = np.empty(basis.n_orbitals, dtype=np.int64)
    signs = np.empty(basis.n_orbitals)
    for site, shells in enumerate(basis.shells):
        start = basis.offsets[site]
        in_file, of_ours = site_order([shell.l for shell in shells], order)
        place[start + in_file] = np.arange(len(in_file))
        signs[start + in_file] = of_ours
    return OrbitalMap(basis, basis.orbital_site, place, signs, ())
