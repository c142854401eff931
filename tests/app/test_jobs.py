"""Threads behind the page: cancelling, the last request, and the order of what is delivered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hamexplorer.app.jobs import JobRunner, Latest
from hamexplorer.errors import CalculationCancelled
from hamexplorer.progress import Monitor, ProgressEvent


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def now(function: Callable[[], None]) -> None:
    function()


def forever(monitor: Monitor) -> str:
    while True:
        monitor.report("Waiting", 0.5)
        time.sleep(0.005)


class Heard:
    def __init__(self) -> None:
        self.done: list[object] = []
        self.failed: list[Exception] = []
        self.events: list[ProgressEvent] = []

    def start(self, runner: JobRunner, work: Callable[[Monitor], object]) -> None:
        runner.start(work, self.done.append, self.failed.append, self.events.append)


def test_result_and_progress_arrive() -> None:
    heard, runner = Heard(), JobRunner(now)

    def work(monitor: Monitor) -> int:
        for stage in ("a", "b"):
            monitor.report(stage, 0.5)
        return 7

    heard.start(runner, work)
    eventually(lambda: heard.done == [7])
    assert [event.stage for event in heard.events] == ["a", "b"]
    assert not runner.running


def test_cancel_ends_with_cancelled() -> None:
    heard, runner = Heard(), JobRunner(now)
    heard.start(runner, forever)
    eventually(lambda: len(heard.events) > 0)
    runner.cancel()
    eventually(lambda: len(heard.failed) == 1)
    assert isinstance(heard.failed[0], CalculationCancelled)
    assert not runner.running


def test_the_last_request_wins() -> None:
    first, second, runner = Heard(), Heard(), JobRunner(now)
    released = threading.Event()

    def stubborn(_: Monitor) -> str:  # ends only after the second has
        released.wait(5)
        return "first"

    first.start(runner, stubborn)
    second.start(runner, lambda _: "second")
    eventually(lambda: second.done == ["second"])
    released.set()
    time.sleep(0.05)
    assert first.done == []
    assert first.failed == []


def test_an_error_is_handed_over() -> None:
    heard, runner = Heard(), JobRunner(now)

    def broken(_: Monitor) -> None:
        raise ValueError("broken")

    heard.start(runner, broken)
    eventually(lambda: len(heard.failed) == 1)
    assert str(heard.failed[0]) == "broken"


def test_latest_skips_what_was_overtaken() -> None:
    gate, started = threading.Event(), threading.Event()
    results: list[int] = []
    latest = Latest(now, lambda error: pytest.fail(str(error)))

    def slow() -> int:
        started.set()
        gate.wait(5)
        return 0

    latest.request(slow, results.append)
    assert started.wait(5)
    for n in range(1, 20):
        latest.request(lambda n=n: n, results.append)  # type: ignore[misc]
    gate.set()
    eventually(lambda: len(results) == 2)
    time.sleep(0.05)
    assert results == [0, 19]


def test_latest_goes_on_after_an_error() -> None:
    failures: list[Exception] = []
    results: list[int] = []
    latest = Latest(now, failures.append)
    latest.request(lambda: 1 // 0, results.append)
    eventually(lambda: len(failures) == 1)
    latest.request(lambda: 5, results.append)
    eventually(lambda: results == [5])


def test_latest_waits_for_quiet() -> None:
    results: list[int] = []
    latest = Latest(now, lambda error: pytest.fail(str(error)), quiet=0.15)
    for n in range(5):
        latest.request(lambda n=n: n, results.append)  # type: ignore[misc]
        time.sleep(0.03)
    assert results == []
    eventually(lambda: results == [4])
