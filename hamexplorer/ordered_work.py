"""Work on a list of items by several threads, its results in order and few of them waiting.

Many small tensor operations gain little from torch's own threads, which wait for each other in
every one of them: an item on each thread is faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["in_order", "one_torch_thread"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    work: Callable[[_Item], _Result], items: Sequence[_Item], threads: int
) -> Iterator[_Result]:
    """``work`` of every item without gradients, in order, on up to ``threads`` threads.

    ``work`` must release the interpreter lock, as torch's operations do. Each of them runs on one
    thread until the last result is taken; at most 2 ``threads`` results wait for that.
    """
    threads = min(threads, len(items))

    def alone(item: _Item) -> _Result:
        with torch.no_grad():  # a state of the thread
            return work(item)

    with one_torch_thread():
        if threads < 2:
            yield from map(alone, items)
            return
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting: deque[Future[_Result]] = deque()
            try:
                for item in items:
                    waiting.append(pool.submit(alone, item))
                    if len(waiting) > 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Torch uses one thread for what the caller does meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
