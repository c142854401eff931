"""How the learning rate rises and falls, and how averaged weights follow the trained ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from hamexplorer.training.config import Stage

__all__ = ["learning_rate", "mean_decay", "moving_average", "progress"]


def progress(stage: Stage, step: int, seconds: float) -> float:
    """How much of the stage is over, 0 … 1, by steps or by time, whichever is further."""
    by_steps = step / stage.steps
    by_time = 0.0 if stage.minutes is None else seconds / (60 * stage.minutes)
    return min(1.0, max(by_steps, by_time))


def learning_rate(stage: Stage, step: int, done: float) -> float:
    """Rate of step ``step`` (from 0) where ``done`` of the stage is over.

    rate · min(1, (step + 1) / warmup) · (last + (1 − last) (1 + cos π done) / 2)
    """
    rising = min(1.0, (step + 1) / stage.warmup) if stage.warmup else 1.0
    falling = stage.last + (1 - stage.last) * (1 + math.cos(math.pi * done)) / 2
    return stage.rate * rising * falling


def mean_decay(decay: float, count: int) -> float:
    """Decay after ``count`` averaged steps: min(decay, (1 + count) / (10 + count)), so that the
    first weights, which are random, are soon forgotten.
    """
    return min(decay, (1 + count) / (10 + count))


def moving_average(decay: float) -> Callable[..., Any]:
    """x̄ ← d x̄ + (1 − d) x for torch's ``AveragedModel``, d by :func:`mean_decay`."""

    @torch.no_grad()
    def update(
        mean: Sequence[torch.Tensor], now: Sequence[torch.Tensor], count: torch.Tensor | int
    ) -> None:
        weight = 1 - mean_decay(decay, int(count))
        torch._foreach_lerp_(list(mean), list(now), weight)

    return update
