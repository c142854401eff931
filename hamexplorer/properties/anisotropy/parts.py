"""Stages that are parts of a longer calculation."""

from __future__ import annotations

from hamexplorer.progress import Monitor, ProgressEvent

__all__ = ["part_of"]


def part_of(monitor: Monitor, low: float, high: float, name: str | None = None) -> Monitor:
    """A monitor whose reports fill ``monitor`` from ``low`` to ``high``.

    With a ``name``, that is the stage, and the part's own stages become its messages.
    """

    def pass_on(event: ProgressEvent) -> None:
        fraction = low + (high - low) * event.fraction
        if name is None:
            monitor.report(event.stage, fraction, event.message)
        else:
            monitor.report(name, fraction, event.stage)

    return Monitor(pass_on)
