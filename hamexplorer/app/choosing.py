"""Which engine answers for a structure, and what is told beside an approximate answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pymatgen.core import Structure

from hamexplorer.app.state import Approximation
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import HamexplorerError, ResourceLimitError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.sources import Cost, DftSource, Source, SuperposedSource

__all__ = [
    "AUTOSTART_SECONDS",
    "Answer",
    "Engines",
    "ask",
    "duration",
    "expected_accuracy",
    "recorded_accuracy",
    "refusal",
    "told_beside",
    "unassessed",
]

AUTOSTART_SECONDS = 90.0
"""Calculations estimated to take longer wait for the user's word."""
_RECORDED = "Superposed atoms, not self-consistent. "


@dataclass(frozen=True)
class Engines:
    """Who makes the sources of Hamiltonians from their settings; tests give cheap ones."""

    dft: Callable[[DftSettings], Source] = DftSource
    superposed: Callable[[SuperposedSettings], Source] = SuperposedSource


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


def told_beside(structure: Structure, dft: Answer, accuracy: str) -> Approximation:
    """What stands beside the answer of superposed atoms, given what DFT says."""
    count = f"{len(structure)} atom{'s' if len(structure) > 1 else ''}"
    if dft.cost is None:
        large = isinstance(dft.refusal, ResourceLimitError)
        return Approximation(
            accuracy, f"{count}: {'too large for DFT here' if large else 'refused by DFT'}"
        )
    why = "" if dft.is_quick else f"{count}: DFT would take {duration(dft.cost.seconds)}"
    return Approximation(accuracy, why, dft.cost.seconds)


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


def recorded_accuracy(h: Hamiltonian) -> str | None:
    """The accuracy that superposed atoms wrote into their record; None: another source's."""
    if h.provenance.source != "superposed":
        return None
    for text in reversed(h.provenance.warnings):
        if text.startswith(_RECORDED):
            return text.removeprefix(_RECORDED)
    return "Its record does not tell how accurate it is."


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
