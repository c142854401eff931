"""The files of one calculation, wherever they lie: a file, a folder, an archive, an upload.

Readers see a :class:`Bundle` of :class:`Member` files and never ask whether a member is packed.
Nothing is unpacked to a name that stands in an archive.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import mmap
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, ResourceLimitError

__all__ = ["MAX_FILE_BYTES", "Bundle", "Member", "bundle_of_bytes", "bundle_of_path"]

MAX_FILE_BYTES = 16e9
"""Largest file that is read."""
HEAD = 65536
"""Bytes by which a format is recognised."""

_MAX_MEMBERS = 2000
_EXPANSION = 60
"""A packed file that grows by more is taken for an attack; real ones grow 2 to 20 times."""
_ALWAYS_ALLOWED = 100_000_000
_PIECE = 1 << 22
_PACKERS: dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]] = {
    b"\xfd7zXZ\x00": ("xz", lzma.open),
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
}
_PACKED_SUFFIXES = (".xz", ".gz", ".bz2")
_UNPACKING_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, ValueError)


@dataclass(frozen=True, eq=False)
class Member:
    """One file, read through whatever it is packed in.

    Attributes:
        name: as a person knows it, such as ``run.zip/wse2.scfout.xz``.
        size: bytes as stored, packed or not.
        opener: opens the stored bytes.
        disk: where it lies if it is a file of its own on disk.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]
    disk: Path | None = None

    @property
    def basename(self) -> str:
        """Last part of the name, without a packer's suffix."""
        name = PurePosixPath(self.name).name
        suffix = PurePosixPath(name).suffix.lower()
        return name[: -len(suffix)] if suffix in _PACKED_SUFFIXES else name

    @cached_property
    def head(self) -> bytes:
        """The first :data:`HEAD` bytes, unpacked; fewer where the file is shorter or damaged."""
        try:
            with self._unpacked() as stream:
                return stream.read(HEAD)
        except _UNPACKING_ERRORS:
            return b""

    @cached_property
    def _packer(self) -> Callable[[IO[bytes]], Any] | None:
        with self.opener() as raw:
            start = raw.read(8)
        for magic, (_, packer) in _PACKERS.items():
            if start.startswith(magic):
                return packer
        return None

    @contextmanager
    def _unpacked(self) -> Iterator[IO[bytes]]:
        with self.opener() as raw:
            if self._packer is None:
                yield raw
            else:
                with self._packer(raw) as stream:
                    yield stream

    def data(self, max_bytes: float = MAX_FILE_BYTES) -> NDArray[np.uint8]:
        """The whole content, unpacked, (n_bytes,), read-only; a file on disk is mapped, not read.

        Raises:
            FileFormatError: the file is empty, cannot be read, or its packing is damaged.
            ResourceLimitError: more than ``max_bytes``, or unpacking makes it absurdly larger.
        """
        if self.size > max_bytes:
            raise ResourceLimitError(
                f"{self.name} has {self.size / 1e9:.1f} GB; up to {max_bytes / 1e9:.1f} GB are "
                "read."
            )
        try:
            content = self._mapped() if self.disk and not self._packer else self._read(max_bytes)
        except _UNPACKING_ERRORS as error:
            raise FileFormatError(f"{self.name} cannot be read: {error}.") from error
        if not content.size:
            raise FileFormatError(f"{self.name} is empty.")
        return content

    def _mapped(self) -> NDArray[np.uint8]:
        assert self.disk is not None
        with self.disk.open("rb") as stream:
            if not os.fstat(stream.fileno()).st_size:
                return np.empty(0, dtype=np.uint8)
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, dtype=np.uint8)

    def _read(self, max_bytes: float) -> NDArray[np.uint8]:
        limit = max_bytes
        if self._packer is not None:
            limit = min(max_bytes, max(_ALWAYS_ALLOWED, _EXPANSION * self.size))
        pieces = io.BytesIO()
        with self._unpacked() as stream:
            while piece := stream.read(_PIECE):
                pieces.write(piece)
                if pieces.tell() > limit:
                    raise ResourceLimitError(
                        f"{self.name} unpacks to more than {limit / 1e6:.0f} MB from "
                        f"{self.size / 1e6:.3g} MB; no calculation's file does."
                    )
        content = np.frombuffer(pieces.getbuffer(), dtype=np.uint8)
        content.setflags(write=False)
        return content

    def text(self, max_bytes: float = 2e9) -> str:
        """The whole content as UTF-8 text; bytes that are none become replacement characters.

        Raises:
            FileFormatError, ResourceLimitError: as :meth:`data`.
        """
        return self.data(max_bytes).tobytes().decode("utf-8", errors="replace")

    @contextmanager
    def path(self, max_bytes: float = MAX_FILE_BYTES) -> Iterator[Path]:
        """A path to the unpacked content, for libraries that read only paths.

        The member's own where it is a plain file on disk, else a temporary file of the same
        suffix that is gone afterwards.

        Raises:
            FileFormatError, ResourceLimitError: as :meth:`data`.
        """
        if self.disk is not None and not self._packer:
            yield self.disk
            return
        suffix = PurePosixPath(self.basename).suffix
        with tempfile.TemporaryDirectory(prefix="hamexplorer-") as folder:
            path = Path(folder) / f"member{suffix}"
            path.write_bytes(self.data(max_bytes).data)
            yield path

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, unpacked, 64 hex digits."""
        return hashlib.sha256(self.data().data).hexdigest()


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
            return Bundle(path.name or str(path), _folder(path))
        if not path.is_file():
            raise FileFormatError(f"{path.name}: there is no such file.")
        member = _disk_member(path)
        if _is_archive(member):
            return Bundle(path.name, _archive(member))
        return Bundle(path.name, (member, *_beside(path)), member)
    except OSError as error:
        raise FileFormatError(f"{path.name} cannot be read: {error.strerror}.") from error


def bundle_of_bytes(files: Mapping[str, bytes]) -> Bundle:
    """Uploaded contents by file name.

    Raises:
        FileFormatError: no file, or an archive that is damaged.
        ResourceLimitError: as :func:`bundle_of_path`.
    """
    if not files:
        raise FileFormatError("No file was given.")
    members = tuple(_memory_member(name, content) for name, content in files.items())
    if len(members) == 1:
        if _is_archive(members[0]):
            return Bundle(members[0].name, _archive(members[0]))
        return Bundle(members[0].name, members, members[0])
    return Bundle(f"{len(members)} files", members)


def _disk_member(path: Path, prefix: str = "") -> Member:
    return Member(prefix + path.name, path.stat().st_size, lambda: path.open("rb"), path)


def _memory_member(name: str, content: bytes) -> Member:
    return Member(name, len(content), lambda: io.BytesIO(content))


def _folder(path: Path, prefix: str = "") -> tuple[Member, ...]:
    """Files of a folder and, where it holds nothing but one folder, of that."""
    entries = sorted(path.iterdir())
    files = [e for e in entries if e.is_file() and not e.name.startswith(".")]
    folders = [e for e in entries if e.is_dir() and not e.name.startswith(".")]
    _check_count(len(files), path.name)
    if not files and len(folders) == 1 and not prefix:
        return _folder(folders[0], f"{folders[0].name}/")
    return tuple(_disk_member(file, prefix) for file in files)


def _beside(path: Path) -> Iterator[Member]:
    """Other files of the folder; few of a big one, for it is hardly one calculation's."""
    others = []
    for entry in os.scandir(path.parent):
        if entry.is_file() and entry.name != path.name and not entry.name.startswith("."):
            others.append(entry.name)
        if len(others) > _MAX_MEMBERS:
            return
    for name in sorted(others):
        yield _disk_member(path.parent / name)


def _is_archive(member: Member) -> bool:
    """Whether it is a zip archive of files; NumPy's ``.npz`` is one that is not meant."""
    if not member.head.startswith(b"PK\x03\x04"):
        return False
    try:
        with member.opener() as raw, zipfile.ZipFile(raw) as archive:
            names = archive.namelist()
    except _UNPACKING_ERRORS as error:
        raise FileFormatError(f"{member.name} is a damaged zip archive: {error}.") from error
    # PyTorch's checkpoints are zip files, too
    return not all(name.endswith(".npy") for name in names) and not any(
        name.endswith("data.pkl") for name in names
    )


def _archive(packed: Member) -> tuple[Member, ...]:
    try:
        with packed.opener() as raw, zipfile.ZipFile(raw) as archive:
            infos = [i for i in archive.infolist() if not i.is_dir()]
    except _UNPACKING_ERRORS as error:
        raise FileFormatError(f"{packed.name} is a damaged zip archive: {error}.") from error
    _check_count(len(infos), packed.name)
    return tuple(
        _zip_member(packed, info)
        for info in infos
        if not PurePosixPath(info.filename).name.startswith(".")
        and not info.filename.startswith("__MACOSX/")
    )


def _zip_member(packed: Member, info: zipfile.ZipInfo) -> Member:
    name = f"{packed.name}/{info.filename}"
    grown = info.file_size > max(_ALWAYS_ALLOWED, _EXPANSION * info.compress_size)

    def opened() -> IO[bytes]:
        if grown:
            raise ResourceLimitError(
                f"{name} unpacks to {info.file_size / 1e6:.0f} MB from "
                f"{info.compress_size / 1e6:.3g} MB; no calculation's file does."
            )
        if info.flag_bits & 1:
            raise FileFormatError(f"{name} is encrypted; give it unpacked.")
        return _ArchiveStream(packed, info)

    return Member(name, info.file_size, opened)


class _ArchiveStream(io.BufferedReader):
    """A file inside an archive, which closes the archive with itself."""

    def __init__(self, packed: Member, info: zipfile.ZipInfo) -> None:
        self._outer = packed.opener()
        try:
            self._archive = zipfile.ZipFile(self._outer)
            stream = self._archive.open(info)
        except BaseException:
            self._outer.close()
            raise
        super().__init__(stream)  # type: ignore[arg-type]

    def close(self) -> None:
        super().close()
        self._archive.close()
        self._outer.close()


def _check_count(count: int, name: str) -> None:
    if count > _MAX_MEMBERS:
        raise ResourceLimitError(
            f"{name} holds {count} files; accepted are up to {_MAX_MEMBERS}: give the folder of "
            "one calculation, or its file."
        )
    if not count and not name:
        raise FileFormatError("The folder is empty.")
