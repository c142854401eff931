"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["TEMPORARY_MARK", "replacing"]

TEMPORARY_MARK = ".partial-"
"""In the name of every temporary file; what precedes it is the target's name."""


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """A temporary path in the target's directory; on success it takes the target's place.

    The file is flushed to disk before the renaming, so that a crash at any moment leaves
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


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
