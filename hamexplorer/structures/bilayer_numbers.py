"""Parameters of bilayers that must be numbers, before their ranges are looked at."""

from __future__ import annotations

from numbers import Integral, Real

from hamexplorer.errors import SettingsError

__all__ = ["check_reals", "check_wholes"]


def check_reals(**given: object) -> None:
    """Each parameter is a number.

    Raises:
        SettingsError: one is not.
    """
    for name, value in given.items():
        if not isinstance(value, Real):
            raise SettingsError(f"{name} must be a number, not {value!r}.")


def check_wholes(**given: object) -> None:
    """Each parameter is a whole number.

    Raises:
        SettingsError: one is not.
    """
    for name, value in given.items():
        if not isinstance(value, Integral):
            raise SettingsError(f"{name} must be a whole number, not {value!r}.")
