"""Sources by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import SettingsError
from hamexplorer.sources.dft import DftSource
from hamexplorer.sources.file import FileSource
from hamexplorer.sources.protocol import Source
from hamexplorer.sources.superposed import SuperposedSource

__all__ = ["make_source", "source_names"]


def _dft(**settings: Any) -> Source:
    _check_names("The DFT engine", settings, DftSettings)
    return DftSource(DftSettings(**settings))


def _superposed(**settings: Any) -> Source:
    _check_names("The engine of superposed atoms", settings, SuperposedSettings)
    return SuperposedSource(SuperposedSettings(**settings))


def _learned(**settings: Any) -> Source:
    # networks take a second to import, and most sources need none
    from hamexplorer.sources.learned import LearnedSource

    own = {name: settings.pop(name) for name in ("weights", "device") if name in settings}
    _check_names("The learned model", settings, SuperposedSettings, "weights", "device")
    weights, device = own.get("weights"), own.get("device", "cpu")
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise SettingsError(f"weights must be a path, not {weights!r}.")
    if not isinstance(device, str):
        raise SettingsError(f"device must be a name, not {device!r}.")
    path = None if weights is None else Path(weights)
    return LearnedSource(path, SuperposedSettings(**settings), device)


def _check_names(engine: str, given: dict[str, Any], settings: type, *own: str) -> None:
    known = [*own, *(field.name for field in fields(settings))]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingsError(
            f"{engine} has no setting {unknown[0]!r}; there are {', '.join(known)}."
        )


def _file(**settings: Any) -> Source:
    if set(settings) != {"path"}:
        raise SettingsError("The source 'file' takes one setting, path.")
    return FileSource(settings["path"])


def _model(**settings: Any) -> Source:
    # networks take a second to import, and most sources need none
    from hamexplorer.model.evaluation import Run
    from hamexplorer.model.importing import WeightFiles
    from hamexplorer.sources.model import ModelSource

    accepted = (*_WEIGHTS, *_GRAPHS, "index", *_RUN)
    unknown = [name for name in settings if name not in accepted]
    given = {name for name, value in settings.items() if value is not None}
    if unknown or not {"weights", "graph"} <= given:
        raise SettingsError(
            "The source 'model' takes weights and graph, and may take "
            f"{', '.join(name for name in accepted if name not in ('weights', 'graph'))}."
        )
    paths = {}
    for name in sorted(given.intersection(_WEIGHTS + _GRAPHS)):
        if not isinstance(settings[name], str | os.PathLike):
            raise SettingsError(f"{name} must be a path, not {settings[name]!r}.")
        paths[name] = Path(settings[name])
    index = settings.get("index", 0)
    if type(index) is not int:
        raise SettingsError(f"index must be a whole number, not {index!r}.")
    wrong = [name for name in _RUN if not isinstance(settings.get(name, ""), str)]
    if wrong:
        raise SettingsError(f"{wrong[0]} must be a name, not {settings[wrong[0]]!r}.")
    return ModelSource(
        WeightFiles(**{name: path for name, path in paths.items() if name in _WEIGHTS}),
        paths["graph"],
        paths.get("graph_soc"),
        index,
        Run(**{name: settings[name] for name in _RUN if name in settings}),
    )


_WEIGHTS = ("weights", "config", "weights_soc", "config_soc")
_GRAPHS = ("graph", "graph_soc")
_RUN = ("device", "dtype")
_SOURCES: dict[str, Callable[..., Source]] = {
    "dft": _dft,
    "superposed": _superposed,
    "learned": _learned,
    "file": _file,
    "model": _model,
}


def source_names() -> tuple[str, ...]:
    """Names that :func:`make_source` knows."""
    return tuple(_SOURCES)


def make_source(name: str, /, **settings: Any) -> Source:
    """The source of that name: ``dft`` (settings: those of
    :class:`~hamexplorer.dft.settings.DftSettings`), ``superposed`` (those of
    :class:`~hamexplorer.dft.superposed.settings.SuperposedSettings`), ``learned`` (the same, and
    ``weights`` and ``device``, see :class:`~hamexplorer.sources.learned.LearnedSource`), ``file``
    (setting: ``path``), or ``model`` (settings: ``weights`` and ``graph``, see
    :class:`~hamexplorer.sources.model.ModelSource`).

    Raises:
        SettingsError: the name or a setting is unknown, or a value out of its range.
    """
    if name not in _SOURCES:
        raise SettingsError(
            f"There is no source {name!r}; accepted are {', '.join(source_names())}."
        )
    return _SOURCES[name](**settings)
