"""The two networks of delta-learning: H_scalar, and the spin–orbit strengths ξ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hamexplorer.model.heads import BlockHead, ScalarHead
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.network import Backbone, Edges, from_frames

__all__ = ["Channel", "Kind", "MatrixBlocks"]

Kind = Literal["scalar", "spin_orbit"]


@dataclass(frozen=True, eq=False)
class MatrixBlocks:
    """Blocks on sites (n_sites, n, n) and on edges (n_edges, n, n); further axes stand before."""

    onsite: torch.Tensor
    offsite: torch.Tensor


class Channel(nn.Module):
    """A backbone with one head for sites and one for edges.

    ``kind`` ``scalar``: blocks of ΔH_scalar, Ha; ``spin_orbit``: ξ, constant within each pair of
    shells, dimensionless. The shells are those of the full layout, their rows m = −l … l.
    """

    def __init__(self, kind: Kind, p: Hyperparameters, shells: Sequence[int]) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.backbone = Backbone(p)
        head = {"scalar": BlockHead, "spin_orbit": ScalarHead}[kind]
        self.onsite, self.offsite = head(p.features, shells), head(p.features, shells)

    def forward(self, numbers: torch.Tensor, edges: Edges) -> MatrixBlocks:
        """Blocks as the heads give them, neither symmetrised nor masked."""
        features = self.backbone(numbers, edges)
        if isinstance(self.onsite, BlockHead) and isinstance(self.offsite, BlockHead):
            on = self.onsite.coupled_channels(features.nodes, -1)
            off = self.offsite.coupled_channels(features.edges, 0)
            turned = from_frames(off, edges.frames)
            return MatrixBlocks(self.onsite.blocks(on), self.offsite.blocks(turned))
        return MatrixBlocks(self.onsite(features.nodes, -1), self.offsite(features.edges, 0))
