"""Elements from the labels that codes let their users choose, and orbitals without a name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pymatgen.core import Element

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Basis

__all__ = ["UNKNOWN_ORBITAL", "element_of_label", "guesses_told", "unknown_told"]

UNKNOWN_ORBITAL = re.compile(r"w\d+(?:\(.*\))?\d*")
"""Label of a shell that is one function of no known angular momentum, such as ``w3``."""


def element_of_label(label: str, guessed: dict[str, str]) -> Element:
    """The element of a species: ``Fe`` itself, ``Fe_up`` or ``FE2`` as a guess.

    Args:
        label: as the user named the species.
        guessed: gains ``label`` and the symbol where they differ.

    Raises:
        FileFormatError: it begins with no element's symbol.
    """
    letters = re.match(r"[A-Za-z]*", label)
    start = (letters[0] if letters else "").capitalize()
    for symbol in (start, start[:2], start[:1]):
        if symbol and Element.is_valid_symbol(symbol):
            if symbol != label:
                guessed[label] = symbol
            return Element(symbol)
    raise FileFormatError(f"Species {label!r} names no element.")


def unknown_told(basis: Basis) -> str | None:
    """A sentence on functions that a format must call s; None if there are none."""
    labels = [shell.label for shells in basis.shells for shell in shells]
    count = sum(UNKNOWN_ORBITAL.fullmatch(label) is not None for label in labels)
    if not count:
        return None
    return f"{count} functions are written as s: what orbitals they are is not known."


def guesses_told(guessed: Mapping[str, str]) -> str | None:
    """A sentence on what was guessed; None if nothing was."""
    if not guessed:
        return None
    return "Elements are guessed from the labels of species: " + ", ".join(
        f"{label} is {symbol}" for label, symbol in guessed.items()
    )
