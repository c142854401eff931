"""From what a visitor gives to a crystal with its Hamiltonian on the page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from pymatgen.core import Structure

from hamexplorer.app.answering import STORED_DIGITS, Answering, Given, linked
from hamexplorer.app.choosing import AUTOSTART_SECONDS, Engines, recorded, shipped_engines
from hamexplorer.app.jobs import JobRunner, Post
from hamexplorer.app.state import AppState, Job, Subject
from hamexplorer.app.uploads import Files, Uploaded, named, read_files
from hamexplorer.errors import CalculationCancelled, HamexplorerError
from hamexplorer.formats import ReadOptions
from hamexplorer.formats.electrons import recount
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import entry, load_gallery, load_structure

__all__ = ["STORED_DIGITS", "Opener"]


class Opener:
    """Opens crystals for one visitor. If it fails or is cancelled, what was there before stays."""

    def __init__(
        self,
        state: AppState,
        post: Post,
        *,
        cache: HamiltonianCache | None = None,
        engines: Engines | None = None,
    ) -> None:
        self._state = state
        self._cache = cache or HamiltonianCache()
        self._engines = engines or shipped_engines()
        self._post = post
        self._jobs = JobRunner(post)
        self._before: Subject | None = None

    @property
    def has_model(self) -> bool:
        """Whether there is a learned model."""
        return self._engines.learned is not None

    # --- what a visitor gives --------------------------------------------------------------

    def gallery(self, name: str) -> None:
        """A shipped example."""
        self._open(lambda _: _example(name), f"Opening {name}")

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

    def stored(self, key: str, gallery: str = "") -> None:
        """What the cache holds under the key that begins with ``key``, of the example ``gallery``;
        where it holds nothing, that example is computed.
        """

        def read(_: Monitor) -> Subject:
            example = _example(gallery) if gallery else None
            try:
                found = self.read_stored(key)
            except HamexplorerError:
                if example is None:
                    raise
                return example
            if example is None or example.structure != found.structure:
                return found
            return replace(found, title=example.title, gallery=example.gallery)

        self._open(read, "Opening the linked crystal")

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

    def start(self, asked: str | None = None) -> None:
        """Compute the crystal on the page with the settings on the page, by the source that is
        ``asked`` for; None: the state's.
        """
        subject = self._state.subject
        if subject is None:
            return
        self._before = subject
        bare = replace(subject, hamiltonian=None, stored="", approximation=None)
        self._open(lambda _: bare, "Preparing", force=True, asked=asked)

    def cancel(self) -> None:
        """Stop what is running, or decline what waits."""
        if self._jobs.running:
            self._jobs.cancel()
        else:
            self._state.job = None

    def _open(
        self,
        read: Callable[[Monitor], Subject],
        what: str,
        *,
        force: bool = False,
        asked: str | None = None,
    ) -> None:
        state = self._state
        asked = asked or state.source
        answering = Answering(self._engines, state.settings, state.superposed, self._cache)

        def work(monitor: Monitor) -> Given:
            subject = read(monitor)
            if subject.hamiltonian is None:
                return answering.chosen(subject, asked, monitor)
            return Given(answering.with_approximation(subject, subject.hamiltonian))

        def done(given: Given) -> None:
            if given.cost is None:
                self._finish(given.subject)
            elif force or given.cost.seconds <= AUTOSTART_SECONDS:
                self._compute(given)
            else:
                state.show(given.subject)
                state.job = Job(given.description, waiting=True)

        def begin() -> None:
            if not self._jobs.running:
                self._before = state.subject
            state.forget_errors()
            state.job = Job(what)
            self._jobs.start(work, done, self._failed, self._progress)

        # Not at once: Panel sends what changes during a browser's event later than what is posted,
        # and the bar of a job that fails quickly would come after its end, and stay.
        self._post(begin)

    def _compute(self, given: Given) -> None:
        state, subject, source = self._state, given.subject, given.source
        assert source is not None
        if state.subject is None or state.subject.structure != subject.structure:
            state.show(subject)
        state.job = Job(given.description)

        def work(monitor: Monitor) -> Subject:
            h = self._cache.get_or_compute(subject.structure, source, monitor)
            found = replace(_as_recorded(subject, h), hamiltonian=h)
            return linked(self._cache, found, source)

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

    def _kept(self, h: Hamiltonian, title: str, digest: str, monitor: Monitor) -> Subject:
        """A Hamiltonian from a visitor, after the cache has taken it."""
        source = Uploaded(h, digest)
        h = self._cache.get_or_compute(h.structure, source, monitor)
        return linked(self._cache, Subject(h.structure, h, title=title), source)


def _example(name: str) -> Subject:
    item = entry(name)
    return Subject(load_gallery(item.name), title=item.title, gallery=item.name)


def _as_recorded(subject: Subject, h: Hamiltonian) -> Subject:
    """With the accuracy that the result itself tells, which may say more than was expected."""
    found = recorded(h)
    if subject.approximation is None or found is None:
        return subject
    return replace(subject, approximation=replace(subject.approximation, accuracy=found[1]))
