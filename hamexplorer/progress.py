"""How long work tells where it stands, and how it is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hamexplorer.errors import CalculationCancelled

__all__ = ["Monitor", "ProgressEvent"]


@dataclass(frozen=True)
class ProgressEvent:
    """One report of a running calculation.

    ``fraction`` is of the whole calculation, 0 to 1; ``residual`` and ``iteration`` are given
    by iterative stages (SCF: the density residual, in electrons).
    """

    stage: str
    fraction: float
    message: str = ""
    iteration: int | None = None
    residual: float | None = None


class Monitor:
    """Carries reports out of a calculation and the wish to cancel into it.

    The calculation calls :meth:`report` at least once per second or so of work; the call
    raises :class:`CalculationCancelled` once :meth:`cancel` was called from any thread.
    """

    def __init__(self, listener: Callable[[ProgressEvent], None] | None = None) -> None:
        self._listener = listener
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the calculation to stop at its next report."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise :class:`CalculationCancelled` if a stop was asked for."""
        if self._cancelled.is_set():
            raise CalculationCancelled("The calculation was cancelled.")

    def report(
        self,
        stage: str,
        fraction: float,
        message: str = "",
        *,
        iteration: int | None = None,
        residual: float | None = None,
    ) -> None:
        """Tell the listener where the calculation stands; raise if it was cancelled."""
        self.check()
        if self._listener is not None:
            fraction = min(max(fraction, 0.0), 1.0)
            self._listener(ProgressEvent(stage, fraction, message, iteration, residual))
