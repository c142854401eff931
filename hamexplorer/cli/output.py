"""What is printed for scripts and people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["print_json", "print_warnings"]


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on stdout; NaN and infinities become null, as JSON has none."""
    print(json.dumps(_plain(data), ensure_ascii=False, indent=2, allow_nan=False))


def print_warnings(warnings: Sequence[str]) -> None:
    """Each warning of a calculation on stderr."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy arrays and numbers
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
