"""Sources by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import SettingsError
from hamexplorer.sources.dft import DftSource
from hamexplorer.sources.file import FileSource
from hamexplorer.sources.protocol import Source

__all__ = ["make_source", "source_names"]


def _dft(**settings: Any) -> Source:
    unknown = sorted(set(settings) - set(DftSettings.__dataclass_fields__))
    if unknown:
        raise SettingsError(
            f"The DFT engine has no setting {unknown[0]!r}; there are "
            + ", ".join(DftSettings.__dataclass_fields__)
            + "."
        )
    return DftSource(DftSettings(**settings))


def _file(**settings: Any) -> Source:
    if set(settings) != {"path"}:
        raise SettingsError("The source 'file' takes one setting, path.")
    return FileSource(settings["path"])


_SOURCES: dict[str, Callable[..., Source]] = {"dft": _dft, "file": _file}


def source_names() -> tuple[str, ...]:
    """Names that :func:`make_source` knows."""
    return tuple(_SOURCES)


def make_source(name: str, /, **settings: Any) -> Source:
    """The source of that name: ``dft`` (settings: those of
    :class:`~hamexplorer.dft.settings.DftSettings`) or ``file`` (setting: ``path``).

    Raises:
        SettingsError: the name or a setting is unknown, or a value out of its range.
    """
    if name not in _SOURCES:
        raise SettingsError(
            f"There is no source {name!r}; accepted are {', '.join(source_names())}."
        )
    return _SOURCES[name](**settings)
