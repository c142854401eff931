"""Heads: from features to blocks of a matrix, by Clebsch–Gordan coupling of pairs of shells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from e3nn import o3
from torch import nn

from hamexplorer.model.layers import BlockLinear, GatedResidual
from hamexplorer.model.paths import w3j

__all__ = ["BlockHead", "ScalarHead", "coupled_irreps"]


def coupled_irreps(shells: Sequence[int]) -> tuple[tuple[int, int, int, int], ...]:
    """(row shell, column shell, L, parity) of every coupled channel, in the published order."""
    return tuple(
        (a, b, big, (-1) ** (l_a + l_b))
        for a, l_a in enumerate(shells)
        for b, l_b in enumerate(shells)
        for big in range(abs(l_a - l_b), l_a + l_b + 1)
    )


class BlockHead(nn.Module):
    """H_ab = Σ_L √(2L + 1) w3j(l_a, l_b, L) · y_L for all pairs of shells a, b.

    ``shells`` are the momenta l of the full layout, in its order. Features of higher parity or
    momentum than any pair of shells couples to are not used.
    """

    coupling: torch.Tensor

    def __init__(self, irreps: o3.Irreps, shells: Sequence[int]) -> None:
        super().__init__()
        self.shells = tuple(shells)
        self.channels = coupled_irreps(shells)
        kinds = list(dict.fromkeys((big, p) for _, _, big, p in self.channels))
        counts = {kind: sum((c[2], c[3]) == kind for c in self.channels) for kind in kinds}
        irreps = o3.Irreps(irreps)
        self.residual = GatedResidual(irreps)
        # blocks in the order of the features, for the weights stand in it
        self.coupled = o3.Irreps(
            [(counts[ir.l, ir.p], ir) for _, ir in irreps if (ir.l, ir.p) in counts]
        )
        self.linear = BlockLinear(irreps, self.coupled)
        self.register_buffer("coupling", self._coupling(), persistent=False)

    @property
    def width(self) -> int:
        """Orbitals of the full layout."""
        return sum(2 * l + 1 for l in self.shells)  # noqa: E741

    def _coupling(self) -> torch.Tensor:
        """From all coupled channels, block after block, to the flat matrix; (Σ, width²)."""
        starts = [0]
        for l in self.shells:  # noqa: E741
            starts.append(starts[-1] + 2 * l + 1)
        n = starts[-1]
        rows = []
        for mul, ir in self.coupled:
            chosen = [c for c in self.channels if (c[2], c[3]) == (ir.l, ir.p)]
            assert len(chosen) == mul
            block = np.zeros((ir.dim, mul, n, n))
            for k, (a, b, big, _) in enumerate(chosen):
                l_a, l_b = self.shells[a], self.shells[b]
                coupling = w3j(l_a, l_b, big).transpose(2, 0, 1) * math.sqrt(2 * big + 1)
                block[:, k, starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = coupling
            rows.append(block.reshape(ir.dim * mul, n * n))
        return torch.from_numpy(np.concatenate(rows))

    def coupled_channels(self, x: list[torch.Tensor], channels: int) -> list[torch.Tensor]:
        """y_L by block, shaped as the features are; ``channels`` is their axis of mul."""
        y: list[torch.Tensor] = self.linear(self.residual(x, channels), channels)
        return y

    def blocks(self, y: list[torch.Tensor]) -> torch.Tensor:
        """The matrix of every atom or edge, (n, width, width), from y_L (n, 2L + 1, channels)."""
        flat = torch.cat([block.flatten(1) for block in y], dim=1)
        return (flat @ self.coupling.to(flat.dtype)).view(-1, self.width, self.width)


class ScalarHead(nn.Module):
    """One even scalar per matrix element, averaged over each pair of shells; (n, width, width)."""

    mean: torch.Tensor

    def __init__(self, irreps: o3.Irreps, shells: Sequence[int]) -> None:
        super().__init__()
        self.shells = tuple(shells)
        n = sum(2 * l + 1 for l in shells)  # noqa: E741
        self.residual = GatedResidual(irreps)
        self.linear = BlockLinear(irreps, o3.Irreps([(n * n, "0e")]))
        sizes = np.array([2 * l + 1 for l in shells])  # noqa: E741
        member = np.repeat(np.eye(len(sizes)), sizes, axis=0)
        # the mean over a shell: P = M (MᵀM)⁻¹ Mᵀ
        mean = torch.from_numpy(member / sizes @ member.T)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: list[torch.Tensor], channels: int) -> torch.Tensor:
        """ξ of features ``x``; ``channels`` is their axis of mul."""
        scalars = self.linear(self.residual(x, channels), channels)[0].squeeze(1)
        scalars = scalars.mT if channels == 0 else scalars
        n = len(self.mean)
        mean = self.mean.to(scalars.dtype)
        return mean @ scalars.reshape(-1, n, n) @ mean
