"""Work spread over k-points: one thread per core, one BLAS thread each.

Many small matrices are diagonalised fastest by parallelising over the matrices. BLAS threads on
one small matrix cost more than they give, and on busy cores a hundred times more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

from hamexplorer.cores import usable_cores
from hamexplorer.ordered_work import one_torch_thread

__all__ = ["map_chunks", "single_threaded_blas"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_users = 0
_limiter: object | None = None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """One BLAS thread per caller while the context is open; the old limit comes back after.

    The limit belongs to the process, so that users in several threads are counted and the last
    one out restores it.
    """
    global _users, _limiter
    with _lock:
        if _users == 0:
            _limiter = ThreadpoolController().limit(limits=1, user_api="blas")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limiter.restore_original_limits()  # type: ignore[union-attr]
                _limiter = None


def map_chunks(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``[function(item) for item in items]`` on the shared thread pool, in order.

    ``function`` must release the interpreter lock (NumPy's and torch's linear algebra do) and
    must not call :func:`map_chunks` itself.
    """
    with single_threaded_blas():
        if len(items) < 2 or usable_cores() < 2:
            with one_torch_thread():
                return [function(item) for item in items]
        return list(_shared_pool().map(function, items))


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            previous = torch.get_num_threads()
            count = usable_cores()
            _pool = ThreadPoolExecutor(
                count,
                thread_name_prefix="hamexplorer-k",
                initializer=torch.set_num_threads,
                initargs=(1,),
            )
            # torch's count belongs to each thread but is inherited by new ones: start the
            # workers now, then give the caller its own count back.
            barrier = threading.Barrier(count)
            list(_pool.map(lambda _: barrier.wait(), range(count)))
            torch.set_num_threads(previous)
        return _pool
