"""How good a network is on crystals that it does not learn from, while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hamexplorer.training.crystals import Crystal
from hamexplorer.training.loss import near_gap, without_constant

__all__ = ["Validation", "validate"]

_TO_MEV = 1e3


@dataclass(frozen=True)
class Validation:
    """Means over crystals, meV: of |ΔH|'s errors within the cutoff, of the errors of 4 occupied and
    4 empty bands at the gap; and the largest of these.
    """

    elements: float
    near_gap: float
    near_gap_max: float


@torch.no_grad()
def validate(network: nn.Module, crystals: Sequence[Crystal]) -> Validation:
    """Errors of ``network`` on ``crystals``, which hold states to validate at."""
    elements, means, largest = [], [], []
    for crystal in crystals:
        predicted = network(crystal.graph).elements
        error = without_constant(
            predicted.double() - crystal.target.double(), crystal.overlap.double()
        )
        elements.append(float(error.abs().mean()))
        bands = near_gap(predicted, crystal).abs()
        means.append(float(bands.mean()))
        largest.append(float(bands.max()))
    count = len(crystals)
    return Validation(
        _TO_MEV * sum(elements) / count, _TO_MEV * sum(means) / count, _TO_MEV * max(largest)
    )
