"""Where results go: files that are checked before the work and appear whole after it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hamexplorer.errors import HamexplorerError, SettingsError

__all__ = ["checked_output", "print_json", "print_warnings", "written"]


def checked_output(path: Path, suffixes: Sequence[str]) -> Path:
    """``path``, if a file with one of ``suffixes`` can be written there.

    Raises:
        SettingsError: another suffix, a directory that does not exist or cannot be written, or
            something that is not a file stands there.
    """
    if path.suffix.lower() not in suffixes:
        raise SettingsError(
            f"{path}: the suffix {path.suffix or '(none)'!r} names no format that can be written "
            f"here; accepted are {', '.join(suffixes)}."
        )
    if not path.parent.is_dir():
        raise SettingsError(f"{path}: the directory {path.parent} does not exist.")
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} exists and is not a file.")
    if not os.access(path.parent, os.W_OK):
        raise SettingsError(f"{path}: the directory {path.parent} cannot be written.")
    return path


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` when the body succeeds.

    Raises:
        HamexplorerError: the file cannot be written; what stood there is untouched.
    """
    from hamexplorer.sources.atomic import replacing

    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise HamexplorerError(f"{path} cannot be written: {error.strerror or error}.") from error


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout; NaN and infinities become null, as JSON has none."""
    print(json.dumps(_plain(data), ensure_ascii=False, indent=2, allow_nan=False))


def print_warnings(warnings: Sequence[str]) -> None:
    """Each warning of a calculation on stderr."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy arrays and numbers
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
