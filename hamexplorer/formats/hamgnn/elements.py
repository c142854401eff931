"""HamGNN's orbitals and OpenMX's valence charges by element.

The orbital sets are those of OpenMX's PBE19 data base with which the universal model was trained.
A matrix of ``nao_max`` rows has a place for every shell of its layout; shells that an element has
not are zero rows and columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pymatgen.core import Element

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Shell

__all__ = ["LAYOUTS", "VARIABLE_VALENCE", "known_elements", "orbital_set", "shells", "valence"]


def shells(text: str) -> tuple[Shell, ...]:
    """Shells of an OpenMX basis such as ``s3p2d1``, labelled s1, s2, s3, p1, ..."""
    return tuple(
        Shell(f"{letter}{k + 1}", "spdf".index(letter))
        for letter, count in re.findall(r"([spdf])(\d)", text)
        for k in range(int(count))
    )


LAYOUTS: Mapping[int, tuple[Shell, ...]] = {
    13: shells("s2p2d1"),
    14: shells("s3p2d1"),
    19: shells("s3p2d2"),
    26: shells("s3p2d2f1"),
}
"""Shells of a padded block, by ``nao_max``, in its order."""

_ORBITALS = {
    element: text
    for text, elements in {
        "s2p1": "H He",
        "s3p2": "Li",
        "s2p2": "Be",
        "s2p2d1": "B C N O F Ne Al Si P S Cl Ar",
        "s3p2d1": "Na Mg K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn",
        "s3p2d2": "Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Xe Cs Ba",
        "s3p2d2f1": "Te I La Ce Pr Nd Pm Sm Dy Ho Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi",
    }.items()
    for element in elements.split()
}

_VALENCE = {
    element: int(charge)
    for element, charge in re.findall(
        r"(\w+) (\d+)",
        "H 1 He 2 Li 3 Be 2 B 3 C 4 N 5 O 6 F 7 Ne 8 Na 9 Mg 8 Al 3 Si 4 P 5 S 6 Cl 7 Ar 8 "
        "K 9 Ca 10 Sc 11 Ti 12 V 13 Cr 14 Mn 15 Fe 16 Co 17 Ni 18 Cu 19 Zn 20 "
        "Ga 13 Ge 4 As 15 Se 6 Br 7 Kr 8 Rb 9 Sr 10 Y 11 Zr 12 Nb 13 Mo 14 Tc 15 Ru 14 Rh 15 "
        "Pd 16 Ag 17 Cd 12 In 13 Sn 14 Sb 15 Te 16 I 7 Xe 8 Cs 9 Ba 10 "
        "La 11 Ce 12 Pr 13 Nd 14 Pm 15 Sm 16 Dy 20 Ho 21 Lu 11 Hf 12 Ta 13 W 12 Re 15 Os 14 "
        "Ir 15 Pt 16 Au 17 Hg 18 Tl 19 Pb 14 Bi 15",
    )
}
"""Electrons of OpenMX's PBE19 pseudopotentials; for Fe … Zn of the hard ones (``_PBE19H``)."""

VARIABLE_VALENCE = frozenset({"Fe", "Co", "Ni", "Cu", "Zn"})
"""OpenMX has a soft pseudopotential of fewer electrons for these, too."""


def orbital_set(symbol: str) -> tuple[Shell, ...]:
    """Shells of an element in HamGNN's tables.

    Raises:
        FileFormatError: HamGNN has none for it.
    """
    if symbol not in _ORBITALS:
        raise FileFormatError(
            f"HamGNN has no orbitals for {symbol}; it has them for {', '.join(_ORBITALS)}."
        )
    return shells(_ORBITALS[symbol])


def valence(symbol: str) -> int:
    """Valence electrons of an element that has an :func:`orbital_set`."""
    return _VALENCE[symbol]


def known_elements(end: int = 119) -> tuple[str, ...]:
    """Elements that have an :func:`orbital_set`, of atomic numbers below ``end``, ascending."""
    symbols = sorted(_ORBITALS, key=lambda symbol: Element(symbol).Z)
    return tuple(symbol for symbol in symbols if end > Element(symbol).Z)
