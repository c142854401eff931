"""Where the shipped learned model lies; apart from its source, which takes a second to import."""

from __future__ import annotations

from pathlib import Path

from hamexplorer.assets_path import asset

__all__ = ["SHIPPED", "shipped_weights"]

SHIPPED = "models/mx2.safetensors"
"""The weights that are used where none are named, under ``assets/``."""


def shipped_weights() -> Path | None:
    """The weights of this installation; None: it has none."""
    try:
        return asset(SHIPPED)
    except FileNotFoundError:
        return None
