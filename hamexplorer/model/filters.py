"""The filter of an interaction in the edges' frames: product, radial scaling and mixing at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from e3nn import o3
from torch import nn

from hamexplorer.model.paths import FilterPaths

__all__ = ["SILU", "EdgeFilter", "RadialNetwork", "filter_edges"]

SILU = 1.6791767923989418
"""Factor that gives silu of a normal variable the second moment 1."""

Blocks = list[torch.Tensor]
"""Features of edges in their frames: (2l + 1, n_edges, mul) per irrep, rows m = 0, 1, −1, 2, …"""


class RadialNetwork(nn.Module):
    """s(|r|): layers x W/√fan_in with normalised silu between them, without biases.

    ``sizes`` are the widths, from the radial functions' to the scales'.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ParameterList(nn.Parameter(torch.randn(a, b)) for a, b in pairwise(sizes))

    def hidden(self, radial: torch.Tensor) -> torch.Tensor:
        """What goes into the last layer, (n_edges, width)."""
        for weight in self.layers[:-1]:
            radial = radial @ (weight / math.sqrt(len(weight)))
            radial = SILU * nn.functional.silu(radial)
        return radial

    @property
    def last(self) -> torch.Tensor:
        """The last layer's matrix, (width, n_scales)."""
        weight = self.layers[-1]
        return weight / math.sqrt(len(weight))


class EdgeFilter(nn.Module):
    """Weights of one filter and the matrices they become in the frame.

    Args:
        irreps_in: of the features that are multiplied.
        irreps_edge: of the edge harmonics.
        irreps_out: of the result.
        radial: widths of the radial network but for the last.
    """

    def __init__(
        self,
        irreps_in: o3.Irreps,
        irreps_edge: o3.Irreps,
        irreps_out: o3.Irreps,
        radial: Sequence[int],
    ) -> None:
        super().__init__()
        self.paths = FilterPaths(irreps_in, irreps_edge, irreps_out)
        self.radial = RadialNetwork([*radial, self.paths.n_channels])
        self.product = nn.Parameter(torch.randn(self.paths.n_weights))
        self.mixers = nn.ParameterList(
            nn.Parameter(torch.randn(last - first, mul))
            for (first, last), (mul, _) in zip(
                self.paths.out_channels, self.paths.irreps_out, strict=True
            )
        )
        order = torch.from_numpy(self.paths.channel_order)
        self.register_buffer("channel_order", order, persistent=False)
        self._index: dict[tuple[int, int, bool], tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def max_m(self) -> int:
        """Largest |m| that any path keeps."""
        return min(
            max(ir.l for _, ir in self.paths.irreps_in),
            max(ir.l for _, ir in self.paths.irreps_out),
        )

    def scales(self, radial: torch.Tensor) -> torch.Tensor:
        """S of every channel in our order, (n_edges, n_channels)."""
        return self.radial.hidden(radial) @ self.radial.last[:, self.channel_order]

    def mixing(self, m: int, block: int, odd: bool) -> torch.Tensor:
        """W of all paths from one input block and parity at m, couplings included."""
        key = (m, block, odd)
        if key not in self._index:
            index, factor = self.paths.mixing(m, block, odd)
            self._index[key] = torch.from_numpy(index), torch.from_numpy(factor)
        index, factor = self._index[key]
        device, dtype = self.product.device, self.product.dtype
        return self.product[index.to(device)] * factor.to(device, dtype)

    def mixers_in_order(self) -> list[torch.Tensor]:
        """V of each output block with its rows in our order, normalised, (channels, mul_o)."""
        result = []
        for (first, last), mixer in zip(self.paths.out_channels, self.mixers, strict=True):
            # the published rows of a block are its channels in the published order
            order = self.channel_order[first:last].argsort().argsort()
            result.append(mixer[order] / math.sqrt(max(last - first, 1)))
        return result


def filter_edges(
    filters: Sequence[tuple[EdgeFilter, Blocks, torch.Tensor, list[torch.Tensor]]],
) -> Blocks:
    """Sum of several filters' results, each mixed by its own V.

    ``filters``: the filter, its input blocks, its scales (n_edges, n_channels), and V of every
    output block, (channels, mul); all have the same ``irreps_out``. Returns its blocks.
    """
    irreps_out = filters[0][0].paths.irreps_out
    n_edges = filters[0][2].shape[0]
    rows: list[list[torch.Tensor]] = [[] for _ in irreps_out]
    for m in range(max(f.max_m for f, *_ in filters) + 1):
        pieces = [_products(f, x, m) for f, x, *_ in filters]
        for o, (mul, ir) in enumerate(irreps_out):
            if ir.l < m:
                continue
            parts, mixers = [], []
            for (f, _, scales, v), found in zip(filters, pieces, strict=True):
                first, last = f.paths.channels_at(m, o)
                if first == last:
                    continue
                channels = torch.cat(found[o], dim=1).reshape(-1, n_edges, last - first)
                parts.append((channels * scales[:, first:last]).flatten(0, 1))
                start = f.paths.out_channels[o][0]
                mixers.append(v[o][first - start : last - start])
            shape = (1 if m == 0 else 2, n_edges, mul)
            if not parts:
                rows[o].append(filters[0][2].new_zeros(shape))
                continue
            total = sum(p @ v for p, v in zip(parts, mixers, strict=True))
            rows[o].append(total.reshape(shape))
    for o, (mul, ir) in enumerate(irreps_out):
        missing = 2 * ir.l + 1 - sum(len(r) for r in rows[o])
        if missing:
            rows[o].append(filters[0][2].new_zeros(missing, n_edges, mul))
    return [torch.cat(r) for r in rows]


def _products(f: EdgeFilter, x: Blocks, m: int) -> list[list[torch.Tensor]]:
    """W x by output block: pieces (n_rows · n_edges, channels) in our order of channels."""
    result: list[list[tuple[tuple[int, int], torch.Tensor]]] = [[] for _ in f.paths.irreps_out]
    for block, odd in f.paths.sources(m):
        rows = x[block][:1] if m == 0 else x[block][2 * m - 1 : 2 * m + 1]
        if odd:
            rows = torch.stack([rows[1], -rows[0]])
        mixed = rows.flatten(0, 1) @ f.mixing(m, block, odd)
        start = 0
        for p in f.paths.columns(m, block, odd):
            result[p.out].append(((p.weight, 0), mixed[:, start : start + p.mul_out]))
            start += p.mul_out
    order = {p.weight: k for k, p in enumerate(f.paths.paths)}
    return [
        [piece for _, piece in sorted(found, key=lambda entry: order[entry[0][0]])]
        for found in result
    ]
