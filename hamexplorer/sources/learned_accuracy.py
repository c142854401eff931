"""What a learned model's card says of its accuracy, in a sentence that stands beside results."""

from __future__ import annotations

import math
from typing import Any

from hamexplorer.model.model import ModelCard

__all__ = ["stated_accuracy"]


def stated_accuracy(card: ModelCard, n_layers: int = 1) -> str:
    """From the errors on the test set that training wrote into the card (``test`` in its origin);
    where there are none, the card's own words on one line.

    For a crystal of several layers upon each other it adds what the card says of these (``layers``
    in its origin).
    """
    told = _of_all(card.origin.get("test"))
    if told is None:
        words = "; ".join(line.strip() for line in card.accuracy.splitlines() if line.strip())
        told = words or "Its card does not tell how accurate it is."
    of_layers = card.origin.get("layers")
    if n_layers > 1 and isinstance(of_layers, str):
        told += f" {of_layers}"
    return told


def _of_all(test: Any) -> str | None:
    """Over all families, which come last; None: not what training writes."""
    try:
        everything = test["families"][-1]
        mean, largest = everything["mean"], everything["largest"]
        count = int(everything["count"])
        near = float(mean["near_gap"]), float(largest["near_gap_max"])
        gap = float(mean["gap"]), float(largest["gap"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if not all(math.isfinite(value) for value in (*near, *gap)):
        return None
    told = (
        f"On {count} crystals that it was not trained on, errors against DFT were, on average (at "
        f"most), {_meV(*near)} in bands near the gap, {_meV(*gap)} in gaps"
    )
    try:  # only hexagonal cells have it
        splitting = float(mean["splitting"]), float(largest["splitting"])
    except (KeyError, TypeError, ValueError):
        return f"{told}."
    if all(math.isfinite(value) for value in splitting):
        told += f", {_meV(*splitting)} in splittings at K"
    return f"{told}."


def _meV(mean: float, largest: float) -> str:
    first, second = (f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in (mean, largest))
    return f"{first} ({second}) meV"
