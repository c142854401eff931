"""One file of a calculation, read through whatever it is packed in."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, ResourceLimitError

__all__ = [
    "HEAD",
    "MAX_FILE_BYTES",
    "UNPACKING_ERRORS",
    "Member",
    "check_growth",
]

MAX_FILE_BYTES = 16e9
"""Largest file that is read."""
HEAD = 65536
"""Bytes by which a format is recognised."""
EXPANSION = 60
"""A packed file that grows by more is taken for an attack; real ones grow 2 to 20 times."""
ALWAYS_ALLOWED = 100_000_000
"""Bytes to which any file may unpack."""
UNPACKING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,  # a rare packing inside a zip archive
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What Python's own unpackers raise on damaged content."""

_PIECE = 1 << 22
HASHED_WHOLE = 100_000_000
"""Larger files on disk are hashed by samples."""
_SAMPLE = 1 << 20
_PACKERS: dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]] = {
    b"\xfd7zXZ\x00": ("xz", lzma.open),
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
}
_PACKED_SUFFIXES = (".xz", ".gz", ".bz2")


def check_growth(name: str, unpacked: int, packed: int) -> None:
    """Refuse what unpacks to absurdly much.

    Raises:
        ResourceLimitError: more than 60 times its size, and than 100 MB.
    """
    if unpacked > max(ALWAYS_ALLOWED, EXPANSION * packed):
        raise ResourceLimitError(
            f"{name} unpacks to {unpacked / 1e6:.0f} MB from {packed / 1e6:.3g} MB; no "
            "calculation's file does."
        )


@dataclass(frozen=True, eq=False)
class Member:
    """One file, read through whatever it is packed in.

    Attributes:
        name: as a person knows it, such as ``run.zip/wse2.scfout.xz``.
        size: bytes as stored, packed or not.
        opener: opens the stored bytes.
        disk: where it lies if it is a file of its own on disk.
        memory: the stored bytes if they are at hand.
        max_bytes: largest content, unpacked, that is read.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]
    disk: Path | None = None
    memory: bytes | None = None
    max_bytes: float = MAX_FILE_BYTES

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
        except UNPACKING_ERRORS:
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
        max_bytes = min(max_bytes, self.max_bytes)
        if self.size > max_bytes:
            raise ResourceLimitError(
                f"{self.name} has {self.size / 1e6:.0f} MB; up to {max_bytes / 1e6:.0f} MB are "
                "read."
            )
        try:
            if self._packer is None and self.memory is not None:
                content = np.frombuffer(self.memory, dtype=np.uint8)
            elif self._packer is None and self.disk is not None:
                content = self._mapped()
            else:
                content = self._read(max_bytes)
        except UNPACKING_ERRORS as error:
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
            if hasattr(mmap, "MADV_WILLNEED"):  # not on every system
                mapped.madvise(mmap.MADV_WILLNEED)
        return np.frombuffer(mapped, dtype=np.uint8)

    def _read(self, max_bytes: float) -> NDArray[np.uint8]:
        limit, why = max_bytes, "larger ones are not read here"
        if self._packer is not None and max(ALWAYS_ALLOWED, EXPANSION * self.size) < max_bytes:
            limit = max(ALWAYS_ALLOWED, EXPANSION * self.size)
            why = "no calculation's file does"
        pieces = io.BytesIO()
        with self._unpacked() as stream:
            while piece := stream.read(_PIECE):
                pieces.write(piece)
                if pieces.tell() > limit:
                    raise ResourceLimitError(
                        f"{self.name} unpacks to more than {limit / 1e6:.0f} MB from "
                        f"{self.size / 1e6:.3g} MB; {why}."
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
    def digest(self) -> str:
        """SHA-256 of the content, unpacked, 64 hex digits.

        Of a plain file beyond :data:`HASHED_WHOLE` bytes, whose hash would take as long as its
        reading, that of its length and of 64 pieces of 1 MiB at even distances; it is marked as
        ``sampled:``.

        Raises:
            FileFormatError, ResourceLimitError: as :meth:`data`.
        """
        if self.disk is None or self._packer is not None:
            return hashlib.sha256(self.data().data).hexdigest()
        try:
            # read, not mapped: hashes are taken beside the reading and may outlast one that fails,
            # and to touch a mapped file that was cut short meanwhile ends the process
            with self.disk.open("rb") as stream:
                if self.size <= HASHED_WHOLE:
                    return hashlib.file_digest(stream, "sha256").hexdigest()
                found = hashlib.sha256(str(self.size).encode())
                for start in range(64):
                    stream.seek((self.size - _SAMPLE) * start // 63)
                    found.update(stream.read(_SAMPLE))
                return f"sampled:{found.hexdigest()}"
        except OSError as error:
            raise FileFormatError(f"{self.name} cannot be read: {error}.") from error
