"""Progress in the terminal, and Ctrl-C as a wish to cancel."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hamexplorer.progress import Monitor, ProgressEvent

__all__ = ["monitored"]


class _Display:
    """A bar for the whole calculation; each stage that ends leaves a line with its seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=1.0, detail="")
        self._stage: str | None = None
        self._since = time.perf_counter()

    def __call__(self, event: ProgressEvent) -> None:
        if event.stage != self._stage:
            self.finish_stage()
            self._stage, self._since = event.stage, time.perf_counter()
        parts = [event.message] if event.message else []
        if event.iteration is not None:
            parts.append(f"iteration {event.iteration}")
        if event.residual is not None:
            parts.append(f"residual {event.residual:.1e}")
        self._progress.update(
            self._task, completed=event.fraction, description=event.stage, detail=", ".join(parts)
        )

    def finish_stage(self) -> None:
        if self._stage is not None:
            seconds = time.perf_counter() - self._since
            self._progress.console.print(f"{self._stage}: {seconds:.1f} s", style="dim")


@contextmanager
def monitored(*, show: bool) -> Iterator[Monitor]:
    """A monitor that draws progress on stderr (if ``show``) and that Ctrl-C cancels.

    The first Ctrl-C asks the calculation to stop at its next report, which raises
    :class:`~hamexplorer.errors.CalculationCancelled`; the second stops at once.
    """
    if not show:
        silent = Monitor()
        with _cancelled_by_interrupt(silent):
            yield silent
        return
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        transient=True,
        # in a pipe the lines of the stages are all that remains
        disable=not (console.is_terminal or console.is_jupyter),
    )
    with progress:
        display = _Display(progress)
        monitor = Monitor(display)
        with _cancelled_by_interrupt(monitor):
            yield monitor
        display.finish_stage()


@contextmanager
def _cancelled_by_interrupt(monitor: Monitor) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return
    previous = signal.getsignal(signal.SIGINT)

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        if monitor.cancelled:
            raise KeyboardInterrupt
        monitor.cancel()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
