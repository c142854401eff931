"""Elements from the labels that codes let their users choose."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pymatgen.core import Element

from hamexplorer.errors import FileFormatError

__all__ = ["element_of_label", "guesses_told"]


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


def guesses_told(guessed: Mapping[str, str]) -> str | None:
    """A sentence on what was guessed; None if nothing was."""
    if not guessed:
        return None
    return "Elements are guessed from the labels of species: " + ", ".join(
        f"{label} is {symbol}" for label, symbol in guessed.items()
    )
