"""How many processor cores this process may use."""

from __future__ import annotations

import os

__all__ = ["available_cores", "usable_cores"]


def available_cores() -> int:
    """Cores that the system gives to this process."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_cores() -> int:
    """Available cores, capped by OMP_NUM_THREADS where that is set: two processes that both took
    all cores would hold each other up many times over.
    """
    available = available_cores()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(wanted) if wanted.isdecimal() else available))
