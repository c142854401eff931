"""What a learned model's card says of its accuracy, in a sentence that stands beside results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hamexplorer.model.model import ModelCard

__all__ = ["stated_accuracy"]


def stated_accuracy(card: ModelCard) -> str:
    """From the errors on the test set that training wrote into the card (``test`` in its origin);
    where there are none, the card's own words on one line.
    """
    found = _of_all(card.origin.get("test"))
    if found is not None:
        return found
    words = "; ".join(line.strip() for line in card.accuracy.splitlines() if line.strip())
    return words or "Its card does not tell how accurate it is."


def _of_all(test: Any) -> str | None:
    """Over all families, which come last; None: not what training writes."""
    try:
        everything = test["families"][-1]
        mean, largest = everything["mean"], everything["largest"]
        count = int(everything["count"])
        near, worst = float(mean["near_gap"]), float(largest["near_gap_max"])
        gap = float(mean["gap"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if not all(math.isfinite(value) for value in (near, worst, gap)):
        return None
    told = (
        f"On {count} crystals that it was not trained on, bands near the gap were within "
        f"{_meV(near)} of DFT's on average ({_meV(worst)} at most), gaps within {_meV(gap)}"
    )
    splitting = mean.get("splitting") if isinstance(mean, Mapping) else None
    if isinstance(splitting, int | float) and math.isfinite(splitting):
        told += f", splittings at K within {_meV(float(splitting))}"
    return f"{told}."


def _meV(value: float) -> str:
    return f"{value:.1f} meV" if value < 10 else f"{value:.0f} meV"
