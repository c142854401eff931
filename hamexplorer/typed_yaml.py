"""YAML files that a typed model says the keys, kinds and ranges of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hamexplorer.errors import SettingsError

__all__ = ["read_yaml", "validated"]

_MAX_BYTES = 1_000_000
_MAX_PROBLEMS = 5
_Model = TypeVar("_Model", bound=BaseModel)


def read_yaml(path: Path, kind: str) -> Any:
    """The content of a file, which messages call a ``kind``; None if it is empty.

    Raises:
        SettingsError: no such file, unreadable, larger than 1 MB, or no YAML.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such {kind}.")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SettingsError(f"{path.name} is larger than a {kind} can be (1 MB).")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    # a date or number that is none is a ValueError, deep nesting a RecursionError
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path.name} is no YAML: {error}.") from error


def validated(model: type[_Model], given: Any, name: str) -> _Model:
    """A ``model`` of plain data; ``name`` says in messages where they stand.

    Raises:
        SettingsError: a key or value that is not accepted; names it.
    """
    if not isinstance(given, dict):
        raise SettingsError(f"{name}: its keys must be {', '.join(model.model_fields)}.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"{name}: {_problems(error, model)}") from error


def _problems(error: ValidationError, model: type[BaseModel]) -> str:
    """What pydantic refused in ``model``, in sentences that name the keys."""
    told = []
    for found in error.errors(include_url=False)[:_MAX_PROBLEMS]:
        place = ".".join(str(part) for part in found["loc"])
        said = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            keys = ", ".join(_keys(model, found["loc"][:-1]))
            said = f"there is no such key; accepted are {keys}"
        elif found["type"] == "missing":
            said = "this key is needed"
        elif found["type"] == "string_pattern_mismatch":
            said = (
                f"{str(found['input'])[:80]!r} is no name; accepted are up to 81 letters, digits "
                "and . _ + - that begin with a letter or digit"
            )
        elif not said.isascii() or found["type"] != "value_error":
            said = f"{said}, not {str(found['input'])[:80]!r}"
        told.append(f"{place}: {said}." if place else f"{said}.")
    more = error.error_count() - len(told)
    return " ".join(told) + (f" And {more} more." if more > 0 else "")


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Keys of the model that lies at a place within another one."""
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_within(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The model that a (nested) annotation such as ``tuple[Family, ...]`` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_within(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)
