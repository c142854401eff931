"""Which source answers for a crystal, and Hamiltonians that need no calculation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pymatgen.core import Structure

from hamexplorer.app.choosing import (
    Answer,
    Engines,
    ask,
    expected_accuracy,
    left_out,
    recorded,
    refusal,
    told_beside,
    unassessed,
)
from hamexplorer.app.state import Subject
from hamexplorer.assets_path import asset
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import (
    HamexplorerError,
    ResourceLimitError,
    SettingsError,
    StructureError,
)
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources import Capability, Cost, FileSource, HamiltonianCache, Source

__all__ = ["STORED_DIGITS", "Answering", "Given", "linked"]

STORED_DIGITS = 16
"""Digits of a cache key that an address carries."""

_SHIPPED = {"mos2-1h": "examples/mos2.h5"}
# The engine uses all cores; two calculations at once would take longer than one after another.
_ENGINE = threading.Semaphore(1)


@dataclass(frozen=True)
class _Queued:
    """A source whose calculations wait for each other, over all visitors.

    ``plain``: it has the default settings.
    """

    inner: Source
    plain: bool
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


@dataclass(frozen=True)
class _Model:
    """The learned model, and what speaks against it for a structure."""

    source: _Queued
    doubts: Callable[[Structure], tuple[str, ...]]


@dataclass(frozen=True)
class Given:
    """A crystal that was read: who computes it at what cost, or (``subject.hamiltonian``) that
    this is done. ``aside``: why the learned model does not compute it.
    """

    subject: Subject
    source: Source | None = None
    cost: Cost | None = None
    aside: str = ""

    @property
    def description(self) -> str:
        """What is to be computed."""
        assert self.cost is not None
        beside = self.subject.approximation
        if beside is not None:
            return f"{beside.who}, {self.cost.description}"
        return f"{self.cost.description}{f'; {self.aside}' if self.aside else ''}"


class Answering:
    """Chooses among the sources of one visitor's settings.

    The learned model is opened in the thread that asks for it first.
    """

    def __init__(
        self,
        engines: Engines,
        settings: DftSettings,
        superposed: SuperposedSettings,
        cache: HamiltonianCache,
    ) -> None:
        self._engines = engines
        self._atoms_settings = superposed
        self._cache = cache
        self._dft = _Queued(engines.dft(settings), settings == DftSettings())
        self._atoms_plain = superposed == SuperposedSettings()
        self._atoms = _Queued(engines.superposed(superposed), self._atoms_plain)

    def chosen(self, subject: Subject, asked: str, monitor: Monitor) -> Given:
        """Who computes: the one that is asked for; if ``auto``, the learned model where it has no
        doubts, else DFT where it is quick, else superposed atoms where their accuracy is known or
        DFT refuses. What is at hand of DFT is taken.

        Raises:
            HamexplorerError: why it cannot be computed.
        """
        if asked in ("auto", "dft"):
            ready = self._at_hand(self._shipped(subject, monitor), self._dft, monitor)
            if ready.hamiltonian is not None:
                return Given(ready)
        dft = ask(self._dft, subject.structure)
        if asked == "dft":
            if dft.refusal is not None:
                raise _with_advice(dft.refusal)
            return Given(subject, self._dft, dft.cost)
        if asked == "learned":
            return self._by_model(self._model(), subject, dft, monitor)
        if asked == "superposed":
            return self._by_atoms(subject, dft, monitor)
        return self._automatic(subject, dft, monitor)

    def with_approximation(self, subject: Subject, h: Hamiltonian) -> Subject:
        """What is told beside ``h`` if it is not DFT's."""
        found = recorded(h)
        if found is None:
            return subject
        beside = told_beside(subject.structure, ask(self._dft, subject.structure), *found)
        return replace(subject, approximation=beside)

    def _automatic(self, subject: Subject, dft: Answer, monitor: Monitor) -> Given:
        aside = ""
        # who changes the settings of DFT wants DFT
        if self._engines.learned is not None and self._dft.plain:
            monitor.report("Asking the learned model", 0.0)
            try:
                model = self._model()
                model.source.check(subject.structure)
                doubts = model.doubts(subject.structure)
            except (StructureError, SettingsError, ResourceLimitError):  # not among its crystals
                pass
            except HamexplorerError as error:  # damaged, or of another release
                aside = left_out(str(error))
            else:
                if not doubts:
                    return self._by_model(model, subject, dft, monitor)
                aside = left_out(doubts[0])
        slow = Given(subject, self._dft, dft.cost, aside)
        if dft.is_quick:
            return slow
        if dft.cost is None:
            return self._by_atoms(subject, dft, monitor, aside)
        if unassessed(self._atoms, subject.structure):
            return slow
        if ask(self._atoms, subject.structure).refusal is not None:
            return slow
        return self._by_atoms(subject, dft, monitor, aside)

    def _by_model(self, model: _Model, subject: Subject, dft: Answer, monitor: Monitor) -> Given:
        ready = self._at_hand(subject, model.source, monitor)
        if ready.hamiltonian is not None:
            return Given(self.with_approximation(ready, ready.hamiltonian))
        model.source.check(subject.structure)
        accuracy, title = model.source.capability().accuracy, model.source.title
        beside = told_beside(subject.structure, dft, title, accuracy)
        cost = model.source.estimate(subject.structure)
        return Given(replace(subject, approximation=beside), model.source, cost)

    def _by_atoms(self, subject: Subject, dft: Answer, monitor: Monitor, aside: str = "") -> Given:
        ready = self._at_hand(subject, self._atoms, monitor)
        if ready.hamiltonian is not None:
            return Given(_beside(self.with_approximation(ready, ready.hamiltonian), aside))
        atoms = ask(self._atoms, subject.structure)
        if atoms.refusal is not None:
            raise refusal(dft, atoms.refusal)
        accuracy = expected_accuracy(self._atoms, subject.structure)
        beside = told_beside(subject.structure, dft, "superposed atoms", accuracy)
        told = _beside(replace(subject, approximation=beside), aside)
        return Given(told, self._atoms, atoms.cost)

    def _model(self) -> _Model:
        if self._engines.learned is None:
            raise SettingsError(
                "There is no learned model in this installation: choose another source under "
                "“Calculation”."
            )
        source = self._engines.learned(self._atoms_settings)
        return _Model(_Queued(source, self._atoms_plain), source.doubts)

    def _shipped(self, subject: Subject, monitor: Monitor) -> Subject:
        """With DFT's Hamiltonian that is shipped for an example and the default settings."""
        path = _SHIPPED.get(subject.gallery)
        if path is None or not self._dft.plain:
            return subject
        try:
            h = FileSource(asset(path)).compute(subject.structure, monitor)
        except (FileNotFoundError, HamexplorerError):
            return subject
        return replace(subject, hamiltonian=h)

    def _at_hand(self, subject: Subject, source: _Queued, monitor: Monitor) -> Subject:
        """The subject with its Hamiltonian if the cache holds it, else unchanged."""
        if subject.hamiltonian is not None:
            return subject
        key = source.settings_key(subject.structure)
        if key is None:
            return subject
        if not self._cache.path(self._cache.key(subject.structure, key)).is_file():
            return subject
        h = self._cache.get_or_compute(subject.structure, source, monitor)
        return linked(self._cache, replace(subject, hamiltonian=h), source)


def linked(cache: HamiltonianCache, subject: Subject, source: Source) -> Subject:
    """With the cache key for the address, if the entry is really there."""
    settings_key = source.settings_key(subject.structure)
    if settings_key is None:
        return subject
    key = cache.key(subject.structure, settings_key)
    if not cache.path(key).is_file():
        return subject
    # A gallery name alone in a link would lead to the default settings.
    plain = isinstance(source, _Queued) and source.plain
    return replace(subject, stored=key[:STORED_DIGITS], gallery=subject.gallery if plain else "")


def _beside(subject: Subject, aside: str) -> Subject:
    """With the reason why the learned model did not answer."""
    beside = subject.approximation
    if beside is None or not aside:
        return subject
    why = f"{beside.why}; {aside}" if beside.why else aside
    return replace(subject, approximation=replace(beside, why=why))


def _with_advice(error: HamexplorerError) -> HamexplorerError:
    if not isinstance(error, ResourceLimitError):
        return error
    return ResourceLimitError(
        f"{error} Superposed atoms, an approximation, take larger cells: choose “automatic” under "
        "“Calculation”."
    )
