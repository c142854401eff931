"""How much memory is free, so that what does not fit is refused before it is begun."""

from __future__ import annotations

import os
from pathlib import Path

from hamexplorer.errors import ResourceLimitError

__all__ = ["available_memory", "check_memory"]

_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> float:
    """Bytes that this process may still take: the system's, or its control group's if less."""
    free = _number(_system())
    limit, used = (_number(_text(_GROUP / f"memory.{name}")) for name in ("max", "current"))
    if limit is not None and used is not None:
        # files that are only cached there go when memory is asked for
        used -= _number(_field(_text(_GROUP / "memory.stat"), "inactive_file")) or 0.0
        free = min(free if free is not None else limit, max(limit - used, 0.0))
    if free is not None:
        return free
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return float("inf")


def check_memory(need: float, what: str, instead: str) -> None:
    """Raise :class:`ResourceLimitError` if ``need`` bytes are not free.

    ``what`` begins the message, ``instead`` says what would be accepted.
    """
    free = available_memory()
    if need > free:
        raise ResourceLimitError(
            f"{what} would take {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. {instead}"
        )


def _system() -> str:
    kilobytes = _field(_text(Path("/proc/meminfo")), "MemAvailable:")
    return f"{kilobytes}000" if kilobytes else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name:
            return words[1]
    return ""


def _number(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None
