"""The optional package."""

from __future__ import annotations

from types import ModuleType

from hamexplorer.errors import SettingsError

__all__ = ["sisl_package"]


def sisl_package() -> ModuleType:
    """The package ``sisl``, imported at its first use (about a second).

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import sisl
    except ImportError as error:
        raise SettingsError(
            "This needs the package sisl, which is not installed here: "
            f"pip install 'hamexplorer[sisl]' ({error})."
        ) from error
    return sisl
