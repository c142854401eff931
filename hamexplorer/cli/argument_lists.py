"""Options that take several numbers: ``--kmesh 9 9 7`` as well as ``--kmesh 9,9,7``."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LISTS", "joined_lists", "number_list"]

from hamexplorer.errors import SettingsError

LISTS = ("--kmesh", "--scf-kmesh", "--theta", "--phi", "--window")
"""Options after which several numbers may follow."""


def joined_lists(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with the numbers that follow an option of :data:`LISTS` joined by commas.

    The command line's parser knows options with a fixed number of values only. Numbers end at
    the first word that is none, so that file names may follow.
    """
    result: list[str] = []
    collecting = False
    for word in arguments:
        if collecting and _is_numbers(word):
            last = result[-1]
            # ``--theta`` alone, ``--theta=0``, or numbers that were collected before
            separator = "=" if last in LISTS else ","
            result[-1] = f"{last}{separator}{word}"
            continue
        name, _, value = word.partition("=")
        collecting = name in LISTS and (not value or _is_numbers(value))
        result.append(word)
    return result


def number_list(text: str, option: str) -> list[float]:
    """The numbers of an option, parted by commas or blanks.

    Raises:
        SettingsError: one of them is no number, or there is none.
    """
    words = text.replace(",", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if not values:
        raise SettingsError(
            f"{option} takes numbers such as '0 90' or '0,45,90' (degrees), not {text!r}."
        )
    return values


def _is_numbers(word: str) -> bool:
    try:
        [float(part) for part in word.rstrip(",").split(",")]
    except ValueError:
        return False
    return True
