"""Work off the page's thread: it never freezes, and the last request wins."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import panel as pn
from bokeh.document import Document

from hamexplorer.errors import CalculationCancelled
from hamexplorer.progress import Monitor, ProgressEvent

__all__ = ["JobRunner", "Latest", "Post", "page_poster"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Post = Callable[[Callable[[], None]], None]
"""Runs a function on the page's own thread, soon."""

_REPORT_SECONDS = 0.15


def page_poster() -> Post:
    """A :data:`Post` for the page that is being made; in a notebook, a plain call.

    Must be called on the page's thread. What comes after the visitor has left is dropped.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        return lambda function: function()

    def post(function: Callable[[], None]) -> None:
        if document.session_context is not None:
            document.add_next_tick_callback(lambda: _at_once(document, function))

    return post


def _at_once(document: Document, function: Callable[[], None]) -> None:
    """Leave the sending of what ``function`` changes to Bokeh, which keeps the order.

    Panel sends changes itself where it can, and may so overtake the message that brought a new
    plot with a change of that plot, which the browser refuses. It does not while there is a hold.
    """
    document.hold("collect")
    try:
        function()
    finally:
        document.unhold()


class JobRunner:
    """One long calculation at a time, with progress and cancelling.

    A new one cancels the one that runs: it stops at its next report, and whatever it still says
    or returns is ignored.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._monitor: Monitor | None = None
        self._turn = 0

    @property
    def running(self) -> bool:
        """Whether a calculation is under way."""
        return self._monitor is not None

    def start(
        self,
        work: Callable[[Monitor], Result],
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        progress: Callable[[ProgressEvent], None],
    ) -> None:
        """Run ``work(monitor)`` in a thread; the other functions are called on the page's."""
        self.cancel()
        self._turn += 1
        turn = self._turn
        reporter = _Reporter(lambda event: self._if_current(turn, lambda: progress(event)))
        monitor = self._monitor = Monitor(reporter)

        def run() -> None:
            try:
                result = work(monitor)
            except Exception as error:
                if not isinstance(error, CalculationCancelled):
                    logger.info("calculation failed", exc_info=True)
                problem = error
                self._if_current(turn, lambda: self._finish(lambda: failed(problem)))
            else:
                self._if_current(turn, lambda: self._finish(lambda: done(result)))

        threading.Thread(target=run, name="hamexplorer-job", daemon=True).start()

    def cancel(self) -> None:
        """Ask the running calculation to stop; it then fails with CalculationCancelled."""
        if self._monitor is not None:
            self._monitor.cancel()

    def _finish(self, last: Callable[[], None]) -> None:
        self._monitor = None
        last()

    def _if_current(self, turn: int, function: Callable[[], None]) -> None:
        def call() -> None:
            if turn == self._turn:
                function()

        self._post(call)


class _Reporter:
    """Passes on at most a few reports a second, and every change of stage."""

    def __init__(self, deliver: Callable[[ProgressEvent], None]) -> None:
        self._deliver = deliver
        self._stage = ""
        self._last = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        if event.stage == self._stage and now - self._last < _REPORT_SECONDS:
            return
        self._stage, self._last = event.stage, now
        self._deliver(event)


class Latest:
    """Quick work that a slider asks for: only the newest request is worth doing.

    While one runs, newer requests replace each other; the page is updated after each that ran.
    With ``quiet`` seconds, nothing is begun before the requests have paused for so long.
    """

    def __init__(self, post: Post, failed: Callable[[Exception], None], quiet: float = 0.0) -> None:
        self._post = post
        self._failed = failed
        self._quiet = quiet
        self._asked = 0.0
        self._lock = threading.Lock()
        self._next: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
        self._busy = False

    def request(self, work: Callable[[], Result], done: Callable[[Result], None]) -> None:
        """Run ``work`` in a thread and ``done(result)`` on the page's."""
        with self._lock:
            self._next = (work, done)
            self._asked = time.monotonic()
            if self._busy:
                return
            self._busy = True
        # Not a daemon: the process waits for the little that is left, rather than be ended in
        # the middle of linear algebra.
        threading.Thread(target=self._run, name="hamexplorer-latest").start()

    def _run(self) -> None:
        while True:
            while (rest := self._asked + self._quiet - time.monotonic()) > 0:
                time.sleep(rest)
            with self._lock:
                task, self._next = self._next, None
                if task is None:
                    self._busy = False
                    return
            work, done = task
            try:
                result = work()
            except Exception as error:
                logger.debug("an update failed", exc_info=True)
                self._deliver(self._failed, error)
            else:
                self._deliver(done, result)

    def _deliver(self, function: Callable[[Any], None], value: Any) -> None:
        """Hand over, and wait until the page took it: its thread sets the pace."""
        taken = threading.Event()

        def call() -> None:
            try:
                function(value)
            finally:
                taken.set()

        self._post(call)
        taken.wait(timeout=2)
