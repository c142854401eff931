"""From what a visitor gives to a crystal with its Hamiltonian on the page."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pymatgen.core import Structure

from hamexplorer.app.jobs import JobRunner, Post
from hamexplorer.app.state import AppState, Job, Subject
from hamexplorer.app.uploads import Files, Uploaded, named, read_files
from hamexplorer.assets_path import asset
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import CalculationCancelled, HamexplorerError
from hamexplorer.formats import ReadOptions
from hamexplorer.formats.electrons import recount
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.sources import (
    Capability,
    Cost,
    DftSource,
    FileSource,
    HamiltonianCache,
    Source,
)
from hamexplorer.structures import entry, load_gallery, load_structure

__all__ = ["AUTOSTART_SECONDS", "STORED_DIGITS", "Opener"]

AUTOSTART_SECONDS = 90.0
"""Calculations estimated to take longer wait for the user's word."""
STORED_DIGITS = 16
"""Digits of a cache key that an address carries."""

_SHIPPED = {"mos2-1h": "examples/mos2.h5"}
# The engine uses all cores; two calculations at once would take longer than one after another.
_ENGINE = threading.Semaphore(1)


@dataclass(frozen=True)
class _Given:
    """A crystal that was read: what it will cost, or (``subject.hamiltonian``) that it is there."""

    subject: Subject
    cost: Cost | None = None


@dataclass(frozen=True)
class _Queued:
    """A source whose calculations wait for each other, over all visitors."""

    inner: Source
    name: str = field(default="queued", init=False)

    @property
    def title(self) -> str:
        return self.inner.title

    def capability(self) -> Capability:
        return self.inner.capability()

    def settings_key(self, structure: Structure) -> str | None:
        return self.inner.settings_key(structure)

    def check(self, structure: Structure) -> None:
        self.inner.check(structure)

    def estimate(self, structure: Structure) -> Cost:
        return self.inner.estimate(structure)

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        monitor = monitor or Monitor()
        while not _ENGINE.acquire(timeout=0.2):
            monitor.report("Waiting", 0.0, "another calculation is running")
        try:
            return self.inner.compute(structure, monitor)
        finally:
            _ENGINE.release()


class Opener:
    """Opens crystals for one visitor. If it fails or is cancelled, what was there before stays.

    ``source`` makes the source of Hamiltonians from the settings; tests give a cheap one.
    """

    def __init__(
        self,
        state: AppState,
        post: Post,
        *,
        cache: HamiltonianCache | None = None,
        source: Callable[[DftSettings], Source] = DftSource,
    ) -> None:
        self._state = state
        self._cache = cache or HamiltonianCache()
        self._make_source = source
        self._post = post
        self._jobs = JobRunner(post)
        self._before: Subject | None = None

    # --- what a visitor gives --------------------------------------------------------------

    def gallery(self, name: str) -> None:
        """A shipped example."""

        def read(_: Monitor) -> Subject:
            item = entry(name)
            return Subject(load_gallery(item.name), title=item.title, gallery=item.name)

        self._open(read, f"Opening {name}")

    def upload(self, files: Files, options: ReadOptions | None = None) -> None:
        """Dropped files: a structure or a Hamiltonian in any known format.

        ``options`` are facts that a Hamiltonian's file does not tell.
        """
        self._open(
            lambda monitor: self.read_upload(files, monitor, options), f"Reading {named(files)}"
        )

    def text(self, text: str) -> None:
        """Pasted text of a structure file."""

        def read(_: Monitor) -> Subject:
            # Content, not a path: a pasted line must never make the server open its own files.
            structure = load_structure(text.encode(), filename="pasted text")
            return Subject(structure, title=structure.composition.reduced_formula)

        self._open(read, "Reading the pasted text")

    def stored(self, key: str) -> None:
        """What the cache holds under the key that begins with ``key``."""
        self._open(lambda _: self.read_stored(key), "Opening the linked crystal")

    def given(self, crystal: Structure | Hamiltonian, title: str = "") -> None:
        """An object from Python or the command line."""
        structure = crystal.structure if isinstance(crystal, Hamiltonian) else crystal
        h = crystal if isinstance(crystal, Hamiltonian) else None
        title = title or structure.composition.reduced_formula
        self._open(lambda _: Subject(structure, h, title=title), f"Opening {title}")

    def recount(self, options: ReadOptions) -> None:
        """Give the Hamiltonian on the page the number of electrons or Fermi energy of ``options``;
        for one whose file does not tell it.
        """
        subject, h = self._state.subject, self._state.hamiltonian
        if subject is None or h is None:
            return
        origin = hashlib.sha256(h.provenance.to_json().encode()).hexdigest()

        def read(monitor: Monitor) -> Subject:
            monitor.report("Counting electrons", 0.0)
            counted = recount(h, options)
            digest = f"{origin} with {counted.n_electrons!r} electrons"
            return self._kept(counted, subject.title, digest, monitor)

        self._open(read, f"Changing the electrons of {subject.title}")

    # --- reading, in a thread --------------------------------------------------------------

    def read_upload(
        self, files: Files, monitor: Monitor, options: ReadOptions | None = None
    ) -> Subject:
        """What files hold: a structure, or a Hamiltonian, which goes into the cache.

        Raises:
            HamexplorerError: they cannot be read.
        """
        found = read_files(files, options or ReadOptions(), monitor)
        if isinstance(found.crystal, Structure):
            return Subject(found.crystal, title=found.title)
        return self._kept(found.crystal, found.title, found.digest, monitor)

    def read_stored(self, key: str) -> Subject:
        """What the cache holds under the key that begins with ``key``.

        Raises:
            HamexplorerError: nothing, or it cannot be read.
        """
        for found in self._cache.entries():
            if found.key.startswith(key):
                h = load_hamiltonian(found.path)
                title = h.structure.composition.reduced_formula
                return Subject(h.structure, h, title=title, stored=key)
        raise HamexplorerError(
            "The crystal of this link is not in this computer's cache any more: open its file "
            "again."
        )

    # --- computing -------------------------------------------------------------------------

    def start(self) -> None:
        """Compute the crystal on the page with the settings on the page."""
        subject = self._state.subject
        if subject is None:
            return
        self._before = subject
        self._open(lambda _: replace(subject, hamiltonian=None, stored=""), "Preparing", force=True)

    def cancel(self) -> None:
        """Stop what is running, or decline what waits."""
        if self._jobs.running:
            self._jobs.cancel()
        else:
            self._state.job = None

    def _open(self, read: Callable[[Monitor], Subject], what: str, *, force: bool = False) -> None:
        state = self._state
        source = _Queued(self._make_source(state.settings))

        def work(monitor: Monitor) -> _Given:
            subject = read(monitor)
            if subject.hamiltonian is None:
                subject = self._at_hand(subject, source, monitor)
            if subject.hamiltonian is not None:
                return _Given(subject)
            source.check(subject.structure)
            return _Given(subject, source.estimate(subject.structure))

        def done(given: _Given) -> None:
            if given.cost is None:
                self._finish(given.subject)
            elif force or given.cost.seconds <= AUTOSTART_SECONDS:
                self._compute(given.subject, source, given.cost)
            else:
                state.show(given.subject)
                state.job = Job(given.cost.description, waiting=True)

        def begin() -> None:
            if not self._jobs.running:
                self._before = state.subject
            state.forget_errors()
            state.job = Job(what)
            self._jobs.start(work, done, self._failed, self._progress)

        # Not at once: Panel sends what changes during a browser's event later than what is posted,
        # and the bar of a job that fails quickly would come after its end, and stay.
        self._post(begin)

    def _compute(self, subject: Subject, source: Source, cost: Cost) -> None:
        state = self._state
        if state.subject is None or state.subject.structure != subject.structure:
            state.show(subject)
        state.job = Job(cost.description)

        def work(monitor: Monitor) -> Subject:
            h = self._cache.get_or_compute(subject.structure, source, monitor)
            return self._linked(replace(subject, hamiltonian=h), source)

        self._jobs.start(work, self._finish, self._failed, self._progress)

    def _finish(self, subject: Subject) -> None:
        self._before = subject
        self._state.show(subject)
        self._state.forget_errors()
        self._state.job = None

    def _progress(self, event: ProgressEvent) -> None:
        if self._state.job is not None:
            self._state.job = replace(self._state.job, event=event)

    def _failed(self, error: Exception) -> None:
        state = self._state
        if self._before is not None and state.subject is not self._before:
            state.show(self._before)
        state.job = None
        if isinstance(error, CalculationCancelled):
            state.tell("info", "The calculation was cancelled; what was there before is shown.")
        elif isinstance(error, HamexplorerError):
            state.tell("error", str(error))
        else:
            state.tell("error", f"Something went wrong ({type(error).__name__}): {error}")

    # --- Hamiltonians that need no calculation ---------------------------------------------

    def _at_hand(self, subject: Subject, source: Source, monitor: Monitor) -> Subject:
        """The subject with its Hamiltonian if that is shipped or cached, else unchanged."""
        shipped = _SHIPPED.get(subject.gallery)
        if shipped is not None and self._state.settings == DftSettings():
            try:
                h = FileSource(asset(shipped)).compute(subject.structure, monitor)
            except (FileNotFoundError, HamexplorerError):
                pass
            else:
                return replace(subject, hamiltonian=h)
        key = source.settings_key(subject.structure)
        if key is None:
            return subject
        if not self._cache.path(self._cache.key(subject.structure, key)).is_file():
            return subject
        h = self._cache.get_or_compute(subject.structure, source, monitor)
        return self._linked(replace(subject, hamiltonian=h), source)

    def _linked(self, subject: Subject, source: Source) -> Subject:
        """With the cache key for the address, if the entry is really there."""
        settings_key = source.settings_key(subject.structure)
        if settings_key is None:
            return subject
        key = self._cache.key(subject.structure, settings_key)
        if not self._cache.path(key).is_file():
            return subject
        # A gallery name alone in a link would lead to the default settings.
        gallery = subject.gallery if self._state.settings == DftSettings() else ""
        return replace(subject, stored=key[:STORED_DIGITS], gallery=gallery)

    def _kept(self, h: Hamiltonian, title: str, digest: str, monitor: Monitor) -> Subject:
        """A Hamiltonian from a visitor, after the cache has taken it."""
        source = Uploaded(h, digest)
        h = self._cache.get_or_compute(h.structure, source, monitor)
        return self._linked(Subject(h.structure, h, title=title), source)
