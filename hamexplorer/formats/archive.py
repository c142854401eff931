"""Zip archives of files; nothing is unpacked to a name that stands in one."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath
from typing import IO

from hamexplorer.errors import FileFormatError, ResourceLimitError
from hamexplorer.formats.member import UNPACKING_ERRORS, Member, check_growth

__all__ = ["MAX_MEMBERS", "archive_members", "check_count", "is_archive"]

MAX_MEMBERS = 2000
"""Most files of a folder or archive."""

_TAIL = 65536 + 22 + 76
"""Bytes at the end in which a zip archive tells where its list of files is."""
_DIRECTORY = 4_000_000
"""Largest list of files that is read."""


def is_archive(member: Member) -> bool:
    """Whether it is a zip archive of files; NumPy's ``.npz`` is one that is not meant.

    Raises:
        FileFormatError: it begins as one and is damaged.
        ResourceLimitError: its list of files is too long.
    """
    if not member.head.startswith(b"PK\x03\x04"):
        return False
    names = [info.filename for info in _zip_infos(member)]
    # PyTorch's checkpoints are zip files, too
    return not all(name.endswith(".npy") for name in names) and not any(
        name.endswith("data.pkl") for name in names
    )


def archive_members(packed: Member) -> tuple[Member, ...]:
    """The files of an archive, hidden ones left out.

    Raises:
        FileFormatError: the archive is damaged.
        ResourceLimitError: it holds more than :data:`MAX_MEMBERS` files.
    """
    infos = [info for info in _zip_infos(packed) if not info.is_dir()]
    check_count(len(infos), packed.name)
    return tuple(
        _zip_member(packed, info)
        for info in infos
        if not PurePosixPath(info.filename).name.startswith(".")
        and not info.filename.startswith("__MACOSX/")
    )


def _zip_infos(packed: Member) -> list[zipfile.ZipInfo]:
    try:
        with packed.opener() as raw:
            _check_directory(raw, packed)
            with zipfile.ZipFile(raw) as archive:
                return archive.infolist()
    except UNPACKING_ERRORS as error:
        raise FileFormatError(f"{packed.name} is a damaged zip archive: {error}.") from error


def _check_directory(raw: IO[bytes], packed: Member) -> None:
    """Refuse an archive whose list of files alone would take much memory to read."""
    raw.seek(max(0, packed.size - _TAIL))
    tail = raw.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 16 > len(tail):
        raise FileFormatError(f"{packed.name} is a zip archive that was cut off.")
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\x06\x07":  # ZIP64
        size = int.from_bytes(tail[end - 36 : end - 28], "little")
    if size > _DIRECTORY:
        raise ResourceLimitError(
            f"{packed.name} lists too many files ({size / 1e6:.0f} MB of names); accepted are "
            f"up to {MAX_MEMBERS}."
        )


def _zip_member(packed: Member, info: zipfile.ZipInfo) -> Member:
    name = f"{packed.name}/{info.filename}"

    def opened() -> IO[bytes]:
        check_growth(name, info.file_size, info.compress_size)
        if info.flag_bits & 1:
            raise FileFormatError(f"{name} is encrypted; give it unpacked.")
        return _ArchiveStream(packed, info)

    return Member(name, info.file_size, opened, max_bytes=packed.max_bytes)


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


def check_count(count: int, name: str) -> None:
    """Raise ResourceLimitError beyond :data:`MAX_MEMBERS` files."""
    if count > MAX_MEMBERS:
        raise ResourceLimitError(
            f"{name} holds {count} files; accepted are up to {MAX_MEMBERS}: give the folder of "
            "one calculation, or its file."
        )
