"""Which engine answers for a structure, and what is told beside an approximate answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pymatgen.core import Structure

from hamexplorer.app.state import Approximation
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import HamexplorerError, ResourceLimitError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.sources import Cost, DftSource, Source, SuperposedSource
from hamexplorer.sources.shipped import shipped_weights

__all__ = [
    "AUTOSTART_SECONDS",
    "Answer",
    "Engines",
    "Learned",
    "ask",
    "duration",
    "expected_accuracy",
    "left_out",
    "recorded",
    "refusal",
    "shipped_engines",
    "told_beside",
    "unassessed",
]

AUTOSTART_SECONDS = 90.0
"""Calculations estimated to take longer wait for the user's word."""
_RECORDED = "Superposed atoms, not self-consistent. "
_SILENT = "Its record does not tell how accurate it is."


class Learned(Source, Protocol):
    """A source that knows where it is at a loss."""

    def doubts(self, structure: Structure) -> tuple[str, ...]:
        """Why its answer may be wrong by more than it says; quick."""
        ...


@dataclass(frozen=True)
class Engines:
    """Who makes the sources of Hamiltonians from their settings; tests give cheap ones.

    ``learned``: of the settings of the superposed atoms that it corrects; None: there is no model.
    """

    dft: Callable[[DftSettings], Source] = DftSource
    superposed: Callable[[SuperposedSettings], Source] = SuperposedSource
    learned: Callable[[SuperposedSettings], Learned] | None = None


def shipped_engines() -> Engines:
    """Those of this installation."""
    return Engines(learned=None if shipped_weights() is None else _learned)


def _learned(settings: SuperposedSettings) -> Learned:
    # networks take a second to import, and most crystals need none
    from hamexplorer.sources.learned import LearnedSource

    return LearnedSource(settings=settings)


@dataclass(frozen=True)
class Answer:
    """What a source says of a structure: its cost, or why it refuses."""

    cost: Cost | None = None
    refusal: HamexplorerError | None = None

    @property
    def is_quick(self) -> bool:
        """Whether it can be computed without asking the user."""
        return self.cost is not None and self.cost.seconds <= AUTOSTART_SECONDS


def ask(source: Source, structure: Structure) -> Answer:
    """Whether ``source`` computes the structure, and what it takes."""
    try:
        source.check(structure)
        return Answer(cost=source.estimate(structure))
    except HamexplorerError as error:
        return Answer(refusal=error)


def told_beside(structure: Structure, dft: Answer, who: str, accuracy: str) -> Approximation:
    """What stands beside the answer of ``who``, which is not DFT, given what DFT says."""
    who = who[:1].lower() + who[1:]
    count = f"{len(structure)} atom{'s' if len(structure) > 1 else ''}"
    if dft.cost is None:
        large = isinstance(dft.refusal, ResourceLimitError)
        return Approximation(
            who, accuracy, f"{count}: {'too large for DFT here' if large else 'refused by DFT'}"
        )
    why = "" if dft.is_quick else f"{count}: DFT would take {duration(dft.cost.seconds)}"
    return Approximation(who, accuracy, why, dft.cost.seconds)


def unassessed(source: Source, structure: Structure) -> list[str]:
    """Elements of the structure for which the accuracy that ``source`` states does not hold."""
    assessed = source.capability().assessed
    symbols = {site.specie.symbol for site in structure}
    return [] if assessed is None else sorted(symbols - assessed)


def expected_accuracy(source: Source, structure: Structure) -> str:
    """The accuracy of superposed atoms before they are computed."""
    missing = unassessed(source, structure)
    if missing:
        return f"There is no fitted potential for {', '.join(missing)}."
    return source.capability().accuracy


def recorded(h: Hamiltonian) -> tuple[str, str] | None:
    """Who answered, and the accuracy that stands in the record; None: DFT, or another program."""
    record = h.provenance
    if record.source == "learned":
        accuracy = str(record.results.get("accuracy") or _SILENT)
        doubts = record.results.get("doubts")
        if isinstance(doubts, list) and doubts:
            accuracy = f"{' '.join(map(str, doubts))} Within what it has seen: {accuracy}"
        return record.title, accuracy
    if record.source != "superposed":
        return None
    for text in reversed(record.warnings):
        if text.startswith(_RECORDED):
            return "superposed atoms", text.removeprefix(_RECORDED)
    return "superposed atoms", _SILENT


def left_out(reason: str) -> str:
    """Told where the learned model could answer but should not."""
    return f"the learned model is left out ({reason.rstrip('.')})"


def refusal(dft: Answer, superposed: HamexplorerError) -> HamexplorerError:
    """Of two refusals the one that helps: DFT's, unless that was for the size alone."""
    if dft.refusal is None or isinstance(dft.refusal, ResourceLimitError):
        return superposed
    return dft.refusal


def duration(seconds: float) -> str:
    """``about 7 min``."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
