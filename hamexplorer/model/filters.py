"""The filter of an interaction in the edges' frames: product, radial scaling and mixing at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from e3nn import o3
from torch import nn

from hamexplorer.model.layers import BlockLinear
from hamexplorer.model.paths import FilterPaths, RowSource

__all__ = ["SILU", "Blocks", "EdgeFilter", "Prepared", "RadialNetwork", "filter_edges"]

SILU = 1.6791767923989418
"""Factor that gives silu of a normal variable the second moment 1."""

Blocks = list[torch.Tensor]
"""Features of edges in their frames: (mul, 2l + 1, n_edges) per irrep, rows m = 0, 1, −1, 2, …

Edges stand last, so that the rows +m and −m of all channels are one matrix (mul, 2 n_edges).
"""


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


@dataclass(frozen=True, eq=False)
class Prepared:
    """A filter's weights as the matrices that the frame needs.

    Attributes:
        paths: which they belong to.
        radial: the network of the scales.
        last: its last layer in our order of channels, (n_channels, width).
        mixing: W by m and source, couplings included, (channels, mul_in).
        mixers: V by output block, (mul_out, channels).
    """

    paths: FilterPaths
    radial: RadialNetwork
    last: torch.Tensor
    mixing: Sequence[Sequence[torch.Tensor]]
    mixers: Sequence[torch.Tensor]

    def scales(self, radial: torch.Tensor) -> torch.Tensor:
        """Scales s, (n_channels, n_edges), of radial functions (n_edges, n_radial)."""
        return self.last @ self.radial.hidden(radial).mT

    @cached_property
    def columns(self) -> tuple[tuple[torch.Tensor, ...], ...]:
        """V of the channels that exist at every m, by output block, (mul_out, channels)."""
        starts = [start for start, _ in self.paths.out_channels]
        return tuple(
            tuple(
                v[:, first - start : last - start]
                for v, start, (first, last) in zip(self.mixers, starts, rows.spans, strict=True)
            )
            for rows in self.paths.rows
        )


class EdgeFilter(nn.Module):
    """Weights of one filter.

    Args:
        irreps_in: of the features that are multiplied.
        irreps_edge: of the edge harmonics.
        irreps_out: of the result.
        radial: widths of the radial network but for the last.
    """

    channel_order: torch.Tensor

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

    def prepared(self, after: BlockLinear | None = None) -> Prepared:
        """The matrices. A linear map that follows, ``after``, is multiplied into V."""
        paths = self.paths
        mixing = [
            [self._mixing(m, source) for source in rows.sources]
            for m, rows in enumerate(paths.rows)
        ]
        last = after.matrices() if after is not None else None
        mixers = []
        for o, ((first, end), mixer) in enumerate(
            zip(paths.out_channels, self.mixers, strict=True)
        ):
            # the published rows of a block are its channels in the published order
            order = self.channel_order[first:end].argsort().argsort()
            v = mixer[order] / math.sqrt(max(end - first, 1))
            mixers.append((v @ last[o] if last is not None else v).mT)
        return Prepared(
            paths, self.radial, self.radial.last[:, self.channel_order].mT, mixing, mixers
        )

    def _mixing(self, m: int, source: RowSource) -> torch.Tensor:
        key = (m, source.block, source.odd)
        device, dtype = self.product.device, self.product.dtype
        found = self._index.get(key)
        if found is None or found[0].device != device or found[1].dtype != dtype:
            index, factor = source.mixing(m)
            found = (
                torch.from_numpy(index).to(device),
                torch.from_numpy(factor[:, None]).to(device, dtype),
            )
            self._index[key] = found
        return self.product[found[0]] * found[1]


def filter_edges(parts: Sequence[tuple[Prepared, Blocks]], radial: torch.Tensor) -> Blocks:
    """Sum of several filters' results, each mixed by its own V.

    ``parts``: each filter with its input blocks; all have the same ``irreps_out``. ``radial``
    (n_edges, n_radial) are the edges' radial functions. Returns blocks of ``irreps_out``.
    """
    irreps_out = parts[0][0].paths.irreps_out
    scales = [prepared.scales(radial) for prepared, _ in parts]
    n_edges = len(radial)
    rows: list[list[torch.Tensor]] = [[] for _ in irreps_out]
    for m in range(max(ir.l for _, ir in irreps_out) + 1):
        products = [_products(prepared, x, m) for prepared, x in parts]
        for o, (mul, ir) in enumerate(irreps_out):
            if ir.l < m:
                continue
            total = None
            for (prepared, _), s, found in zip(parts, scales, products, strict=True):
                if not found[o]:
                    continue
                first, last = prepared.paths.rows[m].spans[o]
                v = prepared.columns[m][o]
                z = _scaled(found[o], s[first:last], 1 if m == 0 else 2)
                total = v @ z if total is None else torch.addmm(total, v, z)
            shape = (mul, 1 if m == 0 else 2, n_edges)
            rows[o].append(radial.new_zeros(shape) if total is None else total.view(shape))
    return [torch.cat(r, dim=1) for r in rows]


def _products(f: Prepared, x: Blocks, m: int) -> list[list[torch.Tensor]]:
    """W x by output block: pieces (channels, n_rows · n_edges) in our order of channels."""
    result: list[list[torch.Tensor]] = [[] for _ in f.paths.irreps_out]
    for source, w in zip(f.paths.rows[m].sources, f.mixing[m], strict=True):
        rows = x[source.block]
        rows = rows[:, :1] if m == 0 else rows[:, 2 * m - 1 : 2 * m + 1]
        if source.odd:
            rows = torch.stack([rows[:, 1], -rows[:, 0]], dim=1)
        mixed = w @ rows.flatten(1)
        start = 0
        for o, count in source.shares:
            result[o].append(mixed[start : start + count])
            start += count
    return result


def _scaled(pieces: list[torch.Tensor], scales: torch.Tensor, width: int) -> torch.Tensor:
    """All pieces under each other, their ``width`` rows of m times ``scales`` (channels, E)."""
    channels, n_edges = scales.shape
    z = torch.cat(pieces).view(channels, width, n_edges)
    return (z * scales[:, None]).flatten(1)
