"""Work on a list of items by several threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pyscf.lib
import torch

__all__ = ["in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    work: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Iterator[_Result]:
    """``work`` of every item, in order, on ``workers`` threads; few results wait at a time.

    ``work`` must release the interpreter lock (torch and PySCF do); each of them runs on one
    thread meanwhile.
    """
    with _one_torch_thread():
        if workers == 1:
            yield from map(work, items)
            return
        with ThreadPoolExecutor(workers, initializer=_use_one_thread) as pool:
            waiting: deque[Future[_Result]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > 2 * workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    pyscf.lib.num_threads(1)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    torch_threads, pyscf_threads = torch.get_num_threads(), pyscf.lib.num_threads()
    _use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        pyscf.lib.num_threads(pyscf_threads)
