"""Which orbital stands where: shells on sites, their order and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian.arrays import read_only

__all__ = ["MAX_L", "ORBITAL_NAMES", "Basis", "Shell"]

MAX_L = 11
"""Largest angular momentum: that of the spherical harmonics in ``angular``."""

ORBITAL_NAMES: dict[int, tuple[str, ...]] = {
    0: ("",),
    1: ("y", "z", "x"),
    2: ("xy", "yz", "z²", "xz", "x²−y²"),
    3: ("y(3x²−y²)", "xyz", "yz²", "z³", "xz²", "z(x²−y²)", "x(x²−3y²)"),
}
"""Names of the real spherical harmonics m = −l … l (CONVENTIONS.md, "Orbitals")."""


@dataclass(frozen=True)
class Shell:
    """2l + 1 orbitals of one radial function: ``label`` such as ``4d``, ``l`` its momentum.

    Raises:
        HamiltonianError: the label is empty or holds spaces, or l is not in 0 … :data:`MAX_L`.
    """

    label: str
    l: int  # noqa: E741 - the quantum number's own name

    def __post_init__(self) -> None:
        if len(self.label.split()) != 1 or self.label != self.label.strip():
            raise HamiltonianError(
                f"A shell's label must be one word such as '4d', not {self.label!r}."
            )
        if self.l not in range(MAX_L + 1):
            raise HamiltonianError(
                f"Shell {self.label} has l = {self.l!r}; accepted are the integers 0 … {MAX_L}."
            )
        object.__setattr__(self, "l", int(self.l))

    @property
    def size(self) -> int:
        """Number of orbitals, 2l + 1."""
        return 2 * self.l + 1


@dataclass(frozen=True)
class Basis:
    """Shells of every site, in the structure's order.

    In a site the shells stand in the given order, in a shell m = −l … l.
    ``symbols`` (n_sites) are element symbols, ``shells`` (n_sites) a tuple of shells each.
    """

    symbols: tuple[str, ...]
    shells: tuple[tuple[Shell, ...], ...]

    def __post_init__(self) -> None:
        if len(self.symbols) != len(self.shells):
            raise HamiltonianError(
                f"The basis names {len(self.symbols)} sites but lists shells for "
                f"{len(self.shells)}."
            )
        for index, shells in enumerate(self.shells):
            if not shells:
                raise HamiltonianError(f"Site {index + 1} ({self.symbols[index]}) has no shell.")

    @classmethod
    def from_elements(cls, symbols: Sequence[str], by_element: dict[str, Sequence[Shell]]) -> Basis:
        """The basis in which every site of an element has the same shells.

        Raises:
            HamiltonianError: an element has no shells in ``by_element``.
        """
        missing = sorted(set(symbols) - by_element.keys())
        if missing:
            raise HamiltonianError(
                f"No shells are given for {', '.join(missing)}; given are those of "
                f"{', '.join(sorted(by_element))}."
            )
        return cls(tuple(symbols), tuple(tuple(by_element[symbol]) for symbol in symbols))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Orbitals per site, (n_sites,)."""
        return _frozen([sum(s.size for s in shells) for shells in self.shells])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """First orbital of each site and the total at the end, (n_sites + 1,)."""
        return _frozen(np.concatenate([[0], np.cumsum(self.sizes)]))

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.symbols)

    @property
    def n_orbitals(self) -> int:
        """Number of spatial orbitals; spinors are twice as long."""
        return int(self.offsets[-1])

    @cached_property
    def orbital_site(self) -> NDArray[np.int64]:
        """Site of every orbital, (n_orbitals,)."""
        return _frozen(np.repeat(np.arange(self.n_sites), self.sizes))

    @cached_property
    def orbital_l(self) -> NDArray[np.int64]:
        """Angular momentum l of every orbital, (n_orbitals,)."""
        return _frozen([s.l for shells in self.shells for s in shells for _ in range(s.size)])

    @cached_property
    def orbital_m(self) -> NDArray[np.int64]:
        """Index m of the real harmonic of every orbital, (n_orbitals,)."""
        return _frozen([m for shells in self.shells for s in shells for m in range(-s.l, s.l + 1)])

    @cached_property
    def orbital_shell(self) -> tuple[str, ...]:
        """Shell label of every orbital, such as ``4d``."""
        return tuple(s.label for shells in self.shells for s in shells for _ in range(s.size))

    @cached_property
    def site_labels(self) -> tuple[str, ...]:
        """``Mo1``, ``S1``, ``S2``: element and running number within the element."""
        seen: dict[str, int] = {}
        labels = []
        for symbol in self.symbols:
            seen[symbol] = seen.get(symbol, 0) + 1
            labels.append(f"{symbol}{seen[symbol]}")
        return tuple(labels)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Label of every orbital, such as ``Mo1 4d z²``."""
        return tuple(
            f"{self.site_labels[site]} {self.local_labels(site)[index]}"
            for site in range(self.n_sites)
            for index in range(int(self.sizes[site]))
        )

    def local_labels(self, site: int) -> tuple[str, ...]:
        """Labels within one site, such as ``4d z²``."""
        return tuple(
            f"{shell.label} {name}".strip()
            for shell in self.shells[site]
            for name in _orbital_names(shell.l)
        )

    def site_orbitals(self, site: int) -> slice:
        """The slice of the site's orbitals in the whole basis."""
        return slice(int(self.offsets[site]), int(self.offsets[site + 1]))


def _frozen(values: ArrayLike) -> NDArray[np.int64]:
    return read_only(np.array(values, dtype=np.int64))


def _orbital_names(l: int) -> tuple[str, ...]:  # noqa: E741
    if l in ORBITAL_NAMES:
        return ORBITAL_NAMES[l]
    return tuple(f"m={m:+d}" for m in range(-l, l + 1))
