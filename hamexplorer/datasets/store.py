"""A data set on disk: a folder of samples, each in a file of its own.

    FOLDER/dataset.json          format, version, and with which settings samples are computed
    FOLDER/samples/<name>.h5     :mod:`hamexplorer.datasets.sample`; <name> is family/parent/number
    FOLDER/ledger.jsonl          :mod:`hamexplorer.datasets.ledger`: what was done, and what failed
    FOLDER/.lock                 held by whoever writes

The shards are the samples, 5 to 20 MB each: one that is there is whole (it was written under
another name, flushed and renamed), none has to be rewritten when another is added or taken away,
and processes write beside each other without a lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hamexplorer.datasets.sample import Sample, SampleInfo, load_sample, read_info
from hamexplorer.datasets.split import Part, part_of
from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.files import TEMPORARY_MARK, written

__all__ = ["DataSet", "Sample", "SampleInfo", "StoredFolder"]

FORMAT = "hamexplorer-dataset"
VERSION = 1
_HEADER_BYTES = 1_000_000


@dataclass(frozen=True)
class StoredFolder:
    """Where a data set's files lie, and how the folder is begun, locked and listed."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / "ledger.jsonl"

    def sample(self, name: str) -> Path:
        """Where the sample of that name lies or would lie."""
        return self.path / "samples" / f"{name}.h5"

    def names(self) -> list[str]:
        """Names of all samples that are there, sorted."""
        root = self.path / "samples"
        return sorted(
            file.relative_to(root).with_suffix("").as_posix()
            for file in root.rglob("*.h5")
            if TEMPORARY_MARK not in file.name
        )

    def info(self, name: str) -> SampleInfo:
        """What the sample of that name is.

        Raises:
            FileFormatError: there is none, it is damaged, or the file was renamed.
        """
        info = read_info(self.sample(name))
        if info.name != name:
            raise FileFormatError(
                f"{self.sample(name)} holds the sample {info.name!r}: it was renamed."
            )
        return info

    def header(self) -> dict[str, Any]:
        """The content of ``dataset.json``.

        Raises:
            FileFormatError: there is none, or it is of another program or a newer version.
        """
        path = self.path / "dataset.json"
        if not path.is_file():
            raise FileFormatError(
                f"{self.path} is no data set: it has no dataset.json. A data set is made by "
                "hamexplorer dataset make or dataset add."
            )
        try:
            if path.stat().st_size > _HEADER_BYTES:
                raise FileFormatError(f"{path} is larger than such a file can be (1 MB).")
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FileFormatError(f"{path} cannot be read: {error}.") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise FileFormatError(f"{path} is not of a data set: 'format' must be {FORMAT!r}.")
        if found.get("version") != VERSION:
            raise FileFormatError(
                f"{path} has version {found.get('version')!r}; this release reads {VERSION}."
            )
        return found

    def begin(self, settings: dict[str, Any] | None) -> None:
        """Make the folder, or see that what is there was computed with the same ``settings``.

        None: nothing is going to be computed, so that any settings do.

        Raises:
            SettingsError: other settings, or the folder holds something else.
            FileFormatError: ``dataset.json`` is damaged.
            HamexplorerError: the folder cannot be written.
        """
        path = self.path / "dataset.json"
        settings = json.loads(json.dumps(settings))  # tuples as the file gives them back
        stored = None
        if path.exists():
            stored = self.header().get("settings")
            if settings is None or stored == settings:
                return
            if stored is not None:
                raise SettingsError(
                    f"{self.path} was computed with other settings or another version of the "
                    f"engine ({_difference(stored, settings)}); give another folder."
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise SettingsError(f"{self.path} holds other files; give a new or an empty folder.")
        try:
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{self.path} cannot be made: {error.strerror}.") from error
        with written(path) as temporary:
            header = {"format": FORMAT, "version": VERSION, "settings": settings}
            temporary.write_text(json.dumps(header, indent=1, ensure_ascii=False) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who writes; what killed writers left behind is removed.

        Raises:
            SettingsError: another process is writing.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise SettingsError(
                f"{self.path} is being written by another process; wait for it or end it."
            ) from None
        except OSError as error:
            raise HamexplorerError(f"{self.path} cannot be written: {error.strerror}.") from error
        try:
            for leftover in self.leftovers():
                leftover.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def leftovers(self) -> list[Path]:
        """Temporary files of writers that were killed, or are at work."""
        return sorted(self.path.rglob(f".*{TEMPORARY_MARK}*"))


@dataclass(frozen=True)
class DataSet:
    """Samples of a folder; the matrices are read one sample at a time.

    Attributes:
        folder: where it lies.
        infos: of all samples, sorted by name.
    """

    folder: Path
    infos: tuple[SampleInfo, ...]
    _places: dict[str, int] = field(repr=False, compare=False)

    @classmethod
    def open(cls, folder: str | Path) -> DataSet:
        """The data set in ``folder``.

        Raises:
            FileFormatError: no data set, or a sample is damaged (``hamexplorer dataset check``
                names all that are).
        """
        stored = StoredFolder(Path(folder))
        stored.header()
        infos = [stored.info(name) for name in stored.names()]
        return cls(stored.path, tuple(infos), {info.name: i for i, info in enumerate(infos)})

    def __len__(self) -> int:
        return len(self.infos)

    def info(self, name: str) -> SampleInfo:
        """What the sample of that name is.

        Raises:
            SettingsError: there is none.
        """
        if name not in self._places:
            raise SettingsError(
                f"{self.folder} has no sample {name!r}; it has {len(self)}, such as "
                f"{', '.join(repr(info.name) for info in self.infos[:3]) or 'none at all'}."
            )
        return self.infos[self._places[name]]

    def load(self, name: str) -> Sample:
        """A sample with its matrices, checked anew.

        Raises:
            SettingsError: there is none of that name.
            FileFormatError: it is damaged.
            ResourceLimitError: it declares too much data.
        """
        self.info(name)
        return load_sample(StoredFolder(self.folder).sample(name))

    @cached_property
    def zero(self) -> dict[str, str]:
        """Which superposed atoms H0 is of: ``engine`` and ``tables``; empty: not recorded."""
        settings = StoredFolder(self.folder).header().get("settings") or {}
        found = settings.get("superposed", {})
        return {key: str(found[key]) for key in ("engine", "tables") if key in found}

    @cached_property
    def split(self) -> dict[str, Part]:
        """The part of every sample by its name: see :mod:`hamexplorer.datasets.split`."""
        return {info.name: part_of(info) for info in self.infos}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, parts and contents of all samples, 64 hex digits.

        Equal digests give equal training; when and by which release samples were computed does
        not enter.
        """
        lines = [f"{info.name} {self.split[info.name]} {info.digest}\n" for info in self.infos]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _difference(stored: Any, asked: Any, place: str = "") -> str:
    """The first place in which two JSON values differ, with both values."""
    if isinstance(stored, dict) and isinstance(asked, dict):
        for key in sorted(stored.keys() | asked.keys()):
            if stored.get(key) != asked.get(key):
                return _difference(stored.get(key), asked.get(key), f"{place}{key}: ")
    return f"{place}{json.dumps(stored)} there, {json.dumps(asked)} asked for"
