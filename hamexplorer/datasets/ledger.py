"""What became of every crystal of a data set: JSON lines, only ever appended to.

The last entry of a name counts. A line that a kill cut off is left out, and told by ``damaged``;
the sample that it was about is found by its file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from hamexplorer.errors import FileFormatError, HamexplorerError
from hamexplorer.provenance import timestamp

__all__ = ["Entry", "Ledger", "Status"]

Status = Literal["done", "failed", "interrupted"]
_MAX_BYTES = 500_000_000
_KINDS: dict[str, type | tuple[type, ...]] = {
    "seconds": (int, float),
    "versions": dict,
    "numbers": dict,
}


@dataclass(frozen=True)
class Entry:
    """One line: what was tried, and how it ended.

    Attributes:
        name: of the sample.
        status: ``done``; ``failed`` with ``error`` and ``message``; ``interrupted``: its process
            was ended from outside.
        structure_hash: of the crystal.
        seconds: that it took.
        digest: of the sample's content.
        sha256: of the sample's file.
        numbers: how H0 and reference agree, see :class:`~.alignment.Agreement`.
        error: class of the exception.
        message: its sentence.
        origin: the file that was added.
        versions: of packages.
        created: UTC.
    """

    name: str
    status: Status
    structure_hash: str = ""
    seconds: float = 0.0
    digest: str = ""
    sha256: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    error: str = ""
    message: str = ""
    origin: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = field(default_factory=timestamp)


class Ledger:
    """The entries of a file, by name.

    Attributes:
        entries: the last one of every name.
        damaged: lines that are none.

    Raises:
        FileFormatError: the file is no text, or absurdly large.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        self.damaged = 0
        try:
            if path.exists() and path.stat().st_size > _MAX_BYTES:
                raise FileFormatError(f"{path} is larger than a ledger can be (500 MB).")
            lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        except OSError as error:
            raise FileFormatError(f"{path} cannot be read: {error.strerror}.") from error
        self._cut_off = lines[-1] != b""
        for line in lines:
            entry = _entry(line)
            if entry is not None:
                self.entries[entry.name] = entry
            elif line:
                self.damaged += 1

    def append(self, entry: Entry) -> None:
        """Add an entry, on disk when this returns.

        Raises:
            HamexplorerError: the file cannot be written.
        """
        line = json.dumps(asdict(entry), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with self._path.open("ab") as file:
                file.write((b"\n" if self._cut_off else b"") + line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HamexplorerError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._cut_off = False
        self.entries[entry.name] = entry


def _entry(line: bytes) -> Entry | None:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("status") not in get_args(Status):
        return None
    known = {f.name: found[f.name] for f in fields(Entry) if f.name in found}
    wrong = [key for key, value in known.items() if not isinstance(value, _KINDS.get(key, str))]
    return Entry(**known) if "name" in known and not wrong else None
