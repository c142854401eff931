"""Processes that compute samples, behind the interface of :mod:`concurrent.futures`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection
from multiprocessing.synchronize import Event

from threadpoolctl import threadpool_limits

from hamexplorer.errors import CalculationCancelled, SettingsError
from hamexplorer.progress import Monitor, ProgressEvent

__all__ = ["WorkerPool", "worker_monitor"]

_MAX_WORKERS = 256
_asked_to_stop: Event | None = None
"""In a worker: set once the pool was shut down with ``cancel_futures``."""


class WorkerPool(ProcessPoolExecutor):
    """Fresh processes of one thread each, which leave Ctrl-C to the process that made them.

    ``shutdown(cancel_futures=True)`` also asks the running calculations to stop at their next
    report. A worker ends when the process that made it ends, however that ends.

    Raises:
        SettingsError: a number of workers that is not 1 … 256.
    """

    def __init__(self, workers: int) -> None:
        if not 1 <= workers <= _MAX_WORKERS:
            raise SettingsError(f"workers must lie in 1 … {_MAX_WORKERS}, not {workers}.")
        # spawned: a forked process would inherit locks that threads of this one hold
        context = multiprocessing.get_context("spawn")
        self._asked = context.Event()
        super().__init__(workers, mp_context=context, initializer=_begin, initargs=(self._asked,))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of every executor; ``cancel_futures`` also stops what is running."""
        if cancel_futures:
            self._asked.set()
        super().shutdown(wait, cancel_futures=cancel_futures)


def worker_monitor() -> Monitor:
    """A monitor for a calculation in a worker: it stops when the pool was asked to."""
    return Monitor(_stop_if_asked)


def _stop_if_asked(_event: ProgressEvent) -> None:
    if _asked_to_stop is not None and _asked_to_stop.is_set():
        raise CalculationCancelled("The calculation was cancelled.")


def _begin(asked: Event) -> None:
    global _asked_to_stop
    _asked_to_stop = asked
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes no queue: its workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
