"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hamexplorer.errors import HamexplorerError, SettingsError

__all__ = ["TEMPORARY_MARK", "checked_output", "replacing", "written"]

TEMPORARY_MARK = ".partial-"
"""In the name of every temporary file; what precedes it is the target's name."""


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """A temporary path in the target's directory; on success it takes the target's place.

    The file is flushed to disk before it is renamed, so that a crash at any moment leaves
    either the old target or the complete new one. If the body raises (Ctrl-C too) the temporary
    file is removed and the target stays untouched. The suffix is the target's, for writers that
    choose their format by it; a link is followed, not replaced.

    Raises:
        OSError: the directory cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(target))
    name = f".{target.stem}{TEMPORARY_MARK}{secrets.token_hex(6)}{target.suffix}"
    temporary = target.with_name(name)
    try:
        yield temporary
        _flush(temporary, os.O_RDWR)
        temporary.replace(target)
        with suppress(OSError):  # not every file system lets a directory be opened
            _flush(target.parent, os.O_RDONLY)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def written(target: str | Path) -> Iterator[Path]:
    """:func:`replacing`, for a file that the user asked for.

    Raises:
        HamexplorerError: it cannot be written; what stood there is untouched.
    """
    try:
        with replacing(target) as temporary:
            yield temporary
    except OSError as error:
        raise HamexplorerError(f"{target} cannot be written: {error.strerror or error}.") from error


def checked_output(target: str | Path, suffixes: Sequence[str]) -> Path:
    """``target``, if a file with one of ``suffixes`` can be written there.

    Raises:
        SettingsError: another suffix, a directory that does not exist or cannot be written, or
            something that is not a file stands there.
    """
    path = Path(target)
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


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
