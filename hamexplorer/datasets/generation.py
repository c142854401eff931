"""A recipe computed into a folder: in parallel, to be broken off and gone on with at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from hamexplorer.datasets.calculation import Calculator, Task, found_entry, run_task
from hamexplorer.datasets.ledger import Entry, Ledger
from hamexplorer.datasets.recipe import Draft, drafts
from hamexplorer.datasets.recipe_model import Recipe
from hamexplorer.datasets.sample import load_sample
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.progress import Monitor
from hamexplorer.provenance import structure_hash

__all__ = ["Outcome", "make"]

_POLL_SECONDS = 0.3


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        made: entries of samples that were computed.
        present: names that were there already.
        failed: entries of what failed, now or before.
    """

    made: list[Entry] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Crystals that are dealt with."""
        return len(self.made) + len(self.present) + len(self.failed)


def make(
    recipe: Recipe,
    folder: Path,
    calculator: Calculator,
    executor: Executor,
    *,
    in_flight: int,
    beside: Path | None = None,
    limit: int | None = None,
    retry: bool = False,
    monitor: Monitor | None = None,
) -> Outcome:
    """Compute what ``folder`` does not hold yet of a recipe.

    Args:
        recipe: what to make.
        folder: of the data set; begun where it is not there.
        calculator: gives reference and H0.
        executor: any of :mod:`concurrent.futures`' shape; :class:`~.workers.WorkerPool` is one.
        in_flight: crystals handed to it at a time; twice its workers keeps them busy.
        beside: where files of structures are looked for.
        limit: only so many of the recipe's first crystals.
        retry: whether what failed before is tried again.
        monitor: is told the progress, and can break off: what is finished is kept.

    Raises:
        SettingsError: the folder holds something else, was computed with other settings, is being
            written by another process, or holds another crystal under one of the names.
        CalculationCancelled: ``monitor`` was cancelled.
        HamexplorerError: a worker was ended from outside, or the folder cannot be written.
    """
    if limit is not None and limit < 1:
        raise SettingsError(f"limit must be at least 1, not {limit}.")
    stored = StoredFolder(folder)
    stored.begin(calculator.settings())
    with stored.locked():
        run = _Run(stored, Ledger(stored.ledger), monitor or Monitor(), recipe.size, retry)
        run.total = min(recipe.size, limit or recipe.size)
        pending: dict[Future[Entry], Draft] = {}
        try:
            for draft in run.missing(islice(drafts(recipe, beside), limit)):
                task = Task(draft, calculator, stored.sample(draft.name))
                pending[executor.submit(run_task, task)] = draft
                while len(pending) >= in_flight:
                    run.collect(pending)
            while pending:
                run.collect(pending)
        except BrokenExecutor as error:
            raise run.broken(pending) from error
        except BaseException:
            executor.shutdown(cancel_futures=True)
            run.keep_finished(pending)
            raise
        return run.outcome


@dataclass
class _Run:
    """The state of one call of :func:`make`."""

    stored: StoredFolder
    ledger: Ledger
    monitor: Monitor
    total: int
    retry: bool
    outcome: Outcome = field(default_factory=Outcome)

    def missing(self, found: Iterator[Draft]) -> Iterator[Draft]:
        """Drafts that are to be computed; the others are counted."""
        for draft in found:
            self.report(draft.name)
            entry = self.ledger.entries.get(draft.name)
            same = entry is not None and entry.structure_hash == structure_hash(draft.structure)
            if self._is_there(draft, entry):
                self.outcome.present.append(draft.name)
            elif entry is not None and entry.status == "failed" and same and not self.retry:
                self.outcome.failed.append(entry)
            else:
                yield draft

    def _is_there(self, draft: Draft, entry: Entry | None) -> bool:
        path = self.stored.sample(draft.name)
        if not path.is_file():
            return False
        known = entry is not None and entry.status == "done"
        try:
            info = self.stored.info(draft.name) if known else load_sample(path).info
        except FileFormatError:
            return False  # computed anew, in its place
        if info.structure_hash != structure_hash(draft.structure):
            raise SettingsError(
                f"{path} holds another crystal than the recipe's {draft.name}: the recipe's seed "
                "or family was changed. Give another folder, or remove the file."
            )
        if not known:
            self.ledger.append(found_entry(info, path))
        return True

    def collect(self, pending: dict[Future[Entry], Draft]) -> None:
        """Wait a moment for results and write them down."""
        done, _ = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            entry = future.result()
            del pending[future]
            self.record(entry)
        self.report(next((draft.name for draft in pending.values()), ""))

    def record(self, entry: Entry) -> None:
        """Write an entry down and count it."""
        self.ledger.append(entry)
        (self.outcome.made if entry.status == "done" else self.outcome.failed).append(entry)

    def report(self, name: str) -> None:
        """Tell the monitor; raises if it was cancelled."""
        done, failed = self.outcome.count, len(self.outcome.failed)
        told = f"{done} of {self.total}" + (f", {failed} failed" if failed else "")
        self.monitor.report("Structures", done / self.total, f"{told}; {name}" if name else told)

    def keep_finished(self, pending: dict[Future[Entry], Draft]) -> None:
        """Write down what came to its end while the run was broken off."""
        for future in pending:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.record(future.result())

    def broken(self, pending: dict[Future[Entry], Draft]) -> HamexplorerError:
        """What is told where workers were killed."""
        self.keep_finished(pending)
        lost = [d for d in pending.values() if not self.stored.sample(d.name).is_file()]
        for draft in lost:
            entry = Entry(draft.name, "interrupted", structure_hash(draft.structure))
            self.ledger.append(entry)
        names = ", ".join(draft.name for draft in lost)
        return HamexplorerError(
            "A worker was ended from outside (killed, or out of memory) while these were being "
            f"computed or waited: {names or 'none'}. What is finished is kept; the same command "
            "goes on, with fewer --workers if memory was short."
        )
