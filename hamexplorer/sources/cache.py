"""Hamiltonians that were computed before, on disk, by content hash.

Layout under the root: ``hamiltonians/<key>.h5`` entries in our HDF5 layout, written whole or not
at all; ``locks/<key>.lock`` empty files that the operating system locks while a process computes
or writes that key, and frees when the process ends, however it ends. Whoever writes holds the
lock, so a temporary file whose lock is free was left by a killed process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from pymatgen.core import Structure

from hamexplorer.errors import CacheError, HamexplorerError
from hamexplorer.files import TEMPORARY_MARK, replacing
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian, save_hamiltonian
from hamexplorer.hamiltonian.hdf5 import VERSION
from hamexplorer.progress import Monitor
from hamexplorer.provenance import package_versions, structure_hash
from hamexplorer.sources.protocol import Source

__all__ = ["CACHE_DIR_VARIABLE", "CacheEntry", "HamiltonianCache", "default_cache_root"]

CACHE_DIR_VARIABLE = "HAMEXPLORER_CACHE_DIR"
"""Environment variable that names the root."""
_ENTRY = re.compile(r"[0-9a-f]{64}\.h5")
_TEMPORARY = re.compile(rf"\.([0-9a-f]{{64}}){re.escape(TEMPORARY_MARK)}[0-9a-f]+\.h5")
_POLL_SECONDS = 0.2


def default_cache_root() -> Path:
    """``$HAMEXPLORER_CACHE_DIR`` if set, else the system's cache folder for this program."""
    named = os.environ.get(CACHE_DIR_VARIABLE, "").strip()
    return Path(named).expanduser() if named else platformdirs.user_cache_path("hamexplorer")


@dataclass(frozen=True)
class CacheEntry:
    """One stored Hamiltonian: its key, file, bytes on disk and last use (UTC)."""

    key: str
    path: Path
    size: int
    used: datetime


class HamiltonianCache:
    """Stores results of sources; safe under threads, processes, Ctrl-C and kill -9.

    Two that ask for the same key at once compute once: the second waits (and can be cancelled)
    and reads. An entry that cannot be read is removed and computed anew. When the entries
    exceed ``max_bytes`` the least recently used go. A folder that cannot be used costs only the
    caching: the result is returned, with a warning in its provenance.

    Args:
        root: the folder; None: :func:`default_cache_root`.
        max_bytes: size of all entries together.
    """

    def __init__(self, root: str | Path | None = None, max_bytes: float = 5e9) -> None:
        self.root = Path(root) if root is not None else default_cache_root()
        self.max_bytes = max_bytes
        self._entries = self.root / "hamiltonians"
        self._locks = self.root / "locks"
        self._cleaned = False

    def key(self, structure: Structure, settings_key: str) -> str:
        """SHA-256 of structure, settings, package version and file layout, 64 hex digits."""
        parts = [structure_hash(structure), settings_key, package_versions(), VERSION]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def path(self, key: str) -> Path:
        """Where the entry of ``key`` lies or would lie."""
        return self._entries / f"{key}.h5"

    def get_or_compute(
        self, structure: Structure, source: Source, monitor: Monitor | None = None
    ) -> Hamiltonian:
        """The stored Hamiltonian, or ``source``'s, stored.

        Raises:
            HamexplorerError: whatever ``source.check`` and ``source.compute`` raise; nothing is
                stored then.
            CalculationCancelled: ``monitor`` was cancelled, also while waiting for another
                process.
        """
        monitor = monitor or Monitor()
        settings_key = source.settings_key(structure)
        if settings_key is None:
            source.check(structure)
            return source.compute(structure, monitor)
        if not self._cleaned:
            self._cleaned = True
            self.clean()
        key = self.key(structure, settings_key)
        stored = None
        with suppress(HamexplorerError):  # a damaged entry is dealt with below, under the lock
            stored = self._read(key)
        if stored is not None:
            monitor.report("Reading", 1.0, "from the cache")
            return stored
        source.check(structure)
        try:
            lock = self._acquire(key, monitor)
        except OSError as error:
            return _warned(source.compute(structure, monitor), self._unusable(error))
        try:
            return self._compute_locked(key, structure, source, monitor)
        finally:
            lock.release()

    def _compute_locked(
        self, key: str, structure: Structure, source: Source, monitor: Monitor
    ) -> Hamiltonian:
        warning = None
        try:
            stored = self._read(key)
        except HamexplorerError as error:
            warning = f"A damaged cache entry was removed and computed anew ({error})"
            with suppress(OSError):
                self.path(key).unlink(missing_ok=True)
        else:
            if stored is not None:
                return stored
        result = source.compute(structure, monitor)
        try:
            self._write(key, result)
        except CacheError as error:
            result = _warned(result, str(error))
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            result = _warned(result, self._unusable(error))
        return result if warning is None else _warned(result, warning)

    def _unusable(self, error: Exception) -> str:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return f"The result was not cached: {self.root} cannot be used ({reason})."

    # --- single entries ------------------------------------------------------------------

    def _read(self, key: str) -> Hamiltonian | None:
        """The entry, marked as used now; None if there is none; raises if it is damaged."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            result = load_hamiltonian(path)
        except HamexplorerError:
            if not path.is_file():  # evicted by another process in between
                return None
            raise
        with suppress(OSError):
            os.utime(path)
        return result

    def _write(self, key: str, h: Hamiltonian) -> None:
        """Store an entry; the caller holds the key's lock."""
        with replacing(self.path(key)) as temporary:
            save_hamiltonian(h, temporary)
            size = temporary.stat().st_size
            if size > self.max_bytes:
                raise CacheError(
                    f"The result was not cached: it has {size / 1e6:.1f} MB, the cache may hold "
                    f"{self.max_bytes / 1e6:.1f} MB."
                )
        self._evict(keep=key)

    def _evict(self, keep: str) -> None:
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        for entry in reversed(entries):
            if total <= self.max_bytes:
                return
            if entry.key != keep:
                with suppress(OSError):
                    entry.path.unlink(missing_ok=True)
                    total -= entry.size

    # --- locks and leftovers -------------------------------------------------------------

    def _lock(self, key: str) -> FileLock:
        return FileLock(self._locks / f"{key}.lock")

    def _acquire(self, key: str, monitor: Monitor) -> FileLock:
        for folder in (self._entries, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock(key)
        while True:
            try:
                lock.acquire(timeout=_POLL_SECONDS, poll_interval=_POLL_SECONDS / 4)
                return lock
            except Timeout:
                monitor.report("Waiting", 0.0, "another process is computing this structure")

    def clean(self) -> int:
        """Remove temporary files that killed processes left; how many."""
        return sum(self._remove_unlocked(path, match[1]) for path, match in self._temporary())

    def _temporary(self) -> Iterator[tuple[Path, re.Match[str]]]:
        for path in _listing(self._entries):
            match = _TEMPORARY.fullmatch(path.name)
            if match is not None:
                yield path, match

    def _remove_unlocked(self, path: Path, key: str) -> bool:
        """Remove ``path`` unless somebody is at work on ``key``."""
        with _quietly_locked(self._lock(key)) as held:
            if not held:
                return False
            with suppress(OSError):
                path.unlink(missing_ok=True)
                return True
        return False

    # --- the whole -----------------------------------------------------------------------

    def entries(self) -> list[CacheEntry]:
        """All entries, the most recently used first."""
        found = []
        for path in _listing(self._entries):
            if not _ENTRY.fullmatch(path.name):
                continue
            with suppress(OSError):  # evicted by another process in between
                stat = path.stat()
                used = datetime.fromtimestamp(stat.st_mtime, UTC)
                found.append(CacheEntry(path.stem, path, stat.st_size, used))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self.entries())

    def clear(self) -> int:
        """Remove every entry and what else nobody is at work on; the number of entries.

        Files that are not the cache's own stay.

        Raises:
            CacheError: an entry cannot be removed.
        """
        entries = self.entries()
        for entry in entries:
            try:
                entry.path.unlink(missing_ok=True)
            except OSError as error:
                raise CacheError(f"{entry.path} cannot be removed ({error.strerror}).") from error
        self.clean()
        for path in _listing(self._locks):
            if path.suffix == ".lock":
                self._remove_unlocked(path, path.stem)
        return len(entries)


@contextmanager
def _quietly_locked(lock: FileLock) -> Iterator[bool]:
    """Hold ``lock`` if it is free; whether it is held."""
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _warned(h: Hamiltonian, warning: str) -> Hamiltonian:
    provenance = replace(h.provenance, warnings=(*h.provenance.warnings, warning))
    return replace(h, provenance=provenance)
