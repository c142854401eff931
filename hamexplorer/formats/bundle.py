"""The files of one calculation, wherever they lie: a file, a folder, an archive, an upload.

Readers see a :class:`Bundle` of :class:`~hamexplorer.formats.member.Member` files and never ask
whether a member is packed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.archive import MAX_MEMBERS, archive_members, check_count, is_archive
from hamexplorer.formats.member import MAX_FILE_BYTES, Member

__all__ = ["MAX_FILE_BYTES", "Bundle", "Member", "bundle_of_bytes", "bundle_of_path"]

_OUTPUT = "OUT."
"""ABACUS's results lie in a folder OUT.NAME below that of its input."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Files that were given together.

    Attributes:
        name: what the user named, for messages.
        members: all of them; those beside the chosen one, too.
        chosen: the one file that the user named; None for a folder, an archive, several files.
    """

    name: str
    members: tuple[Member, ...]
    chosen: Member | None = None

    @property
    def candidates(self) -> tuple[Member, ...]:
        """Files that may be the Hamiltonian asked for: the chosen one, else all."""
        return self.members if self.chosen is None else (self.chosen,)

    def named(self, *basenames: str) -> Member | None:
        """The first member whose basename (packing aside) is one of these, else None."""
        for basename in basenames:
            for member in self.members:
                if member.basename == basename:
                    return member
        return None

    def ending(self, *endings: str) -> tuple[Member, ...]:
        """Members whose basename ends with one of these, the chosen one first."""
        found = [m for m in self.members if m.basename.lower().endswith(endings)]
        return tuple(sorted(found, key=lambda m: m is not self.chosen))

    def where(self, content: Callable[[Member], bool]) -> tuple[Member, ...]:
        """Candidates that ``content`` holds of."""
        return tuple(m for m in self.candidates if m.size and content(m))

    def one(self, content: Callable[[Member], bool]) -> Member:
        """The candidate that ``content`` holds of.

        Raises:
            FileFormatError: there are several; nothing says which is meant.
        """
        found = self.where(content)
        if len(found) > 1:
            names = ", ".join(m.name for m in found[:4]) + (", …" if len(found) > 4 else "")
            raise FileFormatError(
                f"{self.name} holds {len(found)} Hamiltonians ({names}): give one of these files."
            )
        return found[0]


def bundle_of_path(path: str | Path) -> Bundle:
    """The files at ``path``: a folder's, a zip archive's, or one file and those beside it.

    Raises:
        FileFormatError: there is nothing, or it cannot be read.
        ResourceLimitError: a folder or archive of more than 2000 files.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return Bundle(path.name or str(path), _folder(path.absolute()))
        if not path.is_file():
            raise FileFormatError(f"{path.name}: there is no such file.")
        with path.open("rb"):
            pass  # whether it may be read
        member = _disk_member(path)
        if is_archive(member):
            return Bundle(path.name, archive_members(member))
        below, above = _input_above(path.absolute().parent)
        member = _disk_member(path, below)
        return Bundle(path.name, (member, *_beside(path, below), *above), member)
    except PermissionError as error:
        what = "folder" if os.path.isdir(path) else "file"  # noqa: PTH112 - raises nothing
        raise FileFormatError(f"You may not read the {what} {path.name}.") from error
    except OSError as error:
        raise FileFormatError(f"{path.name} cannot be read: {error.strerror}.") from error


def bundle_of_bytes(files: Mapping[str, bytes], max_bytes: float = MAX_FILE_BYTES) -> Bundle:
    """Uploaded contents by file name; ``max_bytes`` is the largest content, unpacked, to be read.

    Raises:
        FileFormatError: no file, or an archive that is damaged.
        ResourceLimitError: as :func:`bundle_of_path`.
    """
    if not files:
        raise FileFormatError("No file was given.")
    members = tuple(_memory_member(*item, max_bytes) for item in files.items())
    if len(members) == 1:
        if is_archive(members[0]):
            return Bundle(members[0].name, archive_members(members[0]))
        return Bundle(members[0].name, members, members[0])
    return Bundle(f"The set of {len(members)} files", members)


def _disk_member(path: Path, prefix: str = "") -> Member:
    return Member(prefix + path.name, path.stat().st_size, lambda: path.open("rb"), path)


def _memory_member(name: str, content: bytes, max_bytes: float) -> Member:
    return Member(
        name, len(content), lambda: io.BytesIO(content), memory=content, max_bytes=max_bytes
    )


def _folder(path: Path, prefix: str = "") -> tuple[Member, ...]:
    """Files of a folder, those of ABACUS's results in it, and, where it holds nothing but one
    folder, of that.
    """
    files, folders = _visible(path)
    if not files and len(folders) == 1 and not prefix:
        return _folder(folders[0], f"{folders[0].name}/")
    below, above = ("", ()) if prefix else _input_above(path)
    members = [(file, prefix + below) for file in files]
    for folder in folders:
        if folder.name.startswith(_OUTPUT):
            members += [(file, f"{prefix}{below}{folder.name}/") for file in _visible(folder)[0]]
    check_count(len(members), path.name)
    return (*(_disk_member(*member) for member in members), *above)


def _visible(path: Path) -> tuple[list[Path], list[Path]]:
    """Files and folders that are not hidden."""
    entries = sorted(e for e in path.iterdir() if not e.name.startswith("."))
    return [e for e in entries if e.is_file()], [e for e in entries if e.is_dir()]


def _input_above(folder: Path) -> tuple[str, tuple[Member, ...]]:
    """For ABACUS's folder of results: the prefix of its files' names, and the crystal above it."""
    if not folder.name.startswith(_OUTPUT):
        return "", ()
    crystal = folder.parent / "STRU"
    return f"{folder.name}/", (_disk_member(crystal),) if crystal.is_file() else ()


def _beside(path: Path, prefix: str) -> Iterator[Member]:
    """Other files of the folder; few of a big one, for it is hardly one calculation's."""
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in islice(entries, MAX_MEMBERS + 2)]
    if len(names) > MAX_MEMBERS + 1:
        return
    others = [path.parent / n for n in names if n != path.name and not n.startswith(".")]
    for other in sorted(others):
        with suppress(OSError):  # one that cannot be looked at is none of this calculation's
            if other.is_file():
                yield _disk_member(other, prefix)
