"""Reports out of a calculation, and the wish to cancel into it."""

from __future__ import annotations

import threading

import pytest

from hamexplorer.errors import CalculationCancelled
from hamexplorer.progress import Monitor, ProgressEvent


def test_reports_reach_the_listener_in_order() -> None:
    heard: list[ProgressEvent] = []
    monitor = Monitor(heard.append)
    monitor.report("Integrals", 0.25, "Mo–S")
    monitor.report("SCF", 0.5, iteration=3, residual=1e-4)
    assert heard == [
        ProgressEvent("Integrals", 0.25, "Mo–S"),
        ProgressEvent("SCF", 0.5, "", 3, 1e-4),
    ]


@pytest.mark.parametrize(("given", "heard"), [(-0.1, 0.0), (1.2, 1.0), (0, 0.0), (1, 1.0)])
def test_fractions_stay_between_0_and_1(given: float, heard: float) -> None:
    events: list[ProgressEvent] = []
    Monitor(events.append).report("SCF", given)
    assert events[0].fraction == heard


def test_a_monitor_without_listener_is_silent() -> None:
    monitor = Monitor()
    monitor.report("SCF", 0.5)
    monitor.check()
    assert not monitor.cancelled


def test_a_cancelled_calculation_stops_at_its_next_report_and_says_nothing_more() -> None:
    events: list[ProgressEvent] = []
    monitor = Monitor(events.append)
    monitor.cancel()
    assert monitor.cancelled
    for call in (monitor.check, lambda: monitor.report("SCF", 0.5)):
        with pytest.raises(CalculationCancelled, match="cancelled"):
            call()
    assert events == []


def test_a_listener_may_cancel() -> None:
    monitor = Monitor(lambda _: monitor.cancel())
    monitor.report("SCF", 0.1)
    with pytest.raises(CalculationCancelled):
        monitor.report("SCF", 0.2)


def test_cancelling_from_another_thread_stops_the_work() -> None:
    started, stopped = threading.Event(), threading.Event()
    monitor = Monitor(lambda _: started.set())

    def work() -> None:
        try:
            while True:
                monitor.report("SCF", 0.5)
        except CalculationCancelled:
            stopped.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(10)
    monitor.cancel()
    assert stopped.wait(10)
    thread.join(10)


def test_a_listener_s_own_error_is_not_swallowed() -> None:
    def broken(_: ProgressEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Monitor(broken).report("SCF", 0.5)
