"""Heads: from features of edges and of atoms to coupled irreps in units of their scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from hamexplorer.model.delta.so2 import Parts

__all__ = ["PairHead", "SiteHead"]

_START = 0.1
"""Heads begin small against the targets' units: a fit starts near ΔH = 0."""


class PairHead(nn.Module):
    """Irreps of edges' blocks, one matrix for every part of the edge's features."""

    def __init__(self, hidden: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(_START * torch.randn(a, b) / math.sqrt(a))
            for a, b in zip(hidden, sizes, strict=True)
        )
        self.bias = nn.Parameter(torch.zeros(sizes[0]))

    def forward(self, parts: Parts) -> torch.Tensor:
        """(E, n_components)."""
        told = [(part @ w).flatten(1) for part, w in zip(parts, self.weights, strict=True)]
        return torch.cat([told[0] + self.bias, *told[1:]], 1)


class SiteHead(nn.Module):
    """Irreps of an element's own blocks; those of L = 0 from the invariants, too."""

    def __init__(self, channels: int, scalars: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(_START * torch.randn(channels, n) / math.sqrt(channels)) for n in sizes
        )
        self.scalar = nn.Linear(scalars, sizes[0])

    def forward(self, x: torch.Tensor, scalars: torch.Tensor) -> torch.Tensor:
        """(n_atoms, n_components) of features (n_atoms, (max_l + 1)², 2, channels)."""
        told = []
        for place, w in enumerate(self.weights):
            l, kind = divmod(place, 2)  # noqa: E741
            told.append((x[:, l * l : (l + 1) ** 2, kind] @ w).flatten(1))
        return torch.cat([told[0] + self.scalar(scalars), *told[1:]], 1)
