"""Paths of the tensor product of features with an edge's spherical harmonics, seen from its frame.

The published network (HamGNN, see docs/model.md) multiplies features x with Y(edge) along every
path (block i of x, l₂, block o of the output), mixes channels by W, scales every resulting channel
by a function of the length, and mixes all channels of o by V:

    out_o = Σ_p V_p · s_p(|r|) · (W_pᵀ x_i ⊗ Y_l₂)_o · √((2l_o + 1)/mul_i)

In the frame of the edge Y_l₂ is √(2l₂ + 1) at m = 0 and zero elsewhere, so that the coupling keeps
|m|: with c_p(m) = w3j(l_i, l₂, l_o; m, 0, m) for even l_i + l₂ + l_o, and for odd sums it takes −m
to m with opposite signs for ±m. So for every m the product is a few matrix multiplications on the
rows +m and −m. No weight changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError

__all__ = ["FilterPaths", "Path", "RowSource", "Rows", "w3j"]


@dataclass(frozen=True)
class Path:
    """One path: its blocks, momenta, and where its numbers stand in the published order.

    ``weight`` is the start of W_p (mul_i · mul_o values) in the flat weights, ``channel`` of its
    mul_o channels among the scales.
    """

    block: int
    out: int
    l_in: int
    l_edge: int
    l_out: int
    mul_in: int
    mul_out: int
    weight: int
    channel: int

    @property
    def odd(self) -> bool:
        """Whether it takes −m to m."""
        return (self.l_in + self.l_edge + self.l_out) % 2 == 1

    def coefficient(self, m: int) -> float:
        """√((2l_o + 1)/mul_i) · √(2l₂ + 1) · c_p(m); for odd paths of x(−m) in the row of +m."""
        coupling = w3j(self.l_in, self.l_edge, self.l_out)
        row = self.l_in - m if self.odd else self.l_in + m
        c = float(coupling[row, self.l_edge, self.l_out + m])
        return c * math.sqrt((2 * self.l_out + 1) * (2 * self.l_edge + 1) / self.mul_in)


@dataclass(frozen=True, eq=False)
class FilterPaths:
    """All paths from ``irreps_in`` through ``irreps_edge`` to ``irreps_out``.

    Our order of channels within an output block is: odd paths by ascending l_i, then even ones by
    descending l_i. Those that exist at a given m (l_i ≥ m; odd ones only for m > 0) are then
    contiguous.

    Raises:
        SettingsError: an irrep occurs twice in one of them, or edges have other than one of each.
    """

    irreps_in: o3.Irreps
    irreps_edge: o3.Irreps
    irreps_out: o3.Irreps

    def __post_init__(self) -> None:
        for irreps in (self.irreps_in, self.irreps_edge, self.irreps_out):
            if len({ir for _, ir in irreps}) != len(irreps):
                raise SettingsError(f"Each irrep may occur once in a feature, not {irreps}.")
        if any(mul != 1 or ir.p != (-1) ** ir.l for mul, ir in self.irreps_edge):
            raise SettingsError(f"Edge harmonics must be such as 0e+1o+2e, not {self.irreps_edge}.")

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """In our order: by output block, then as said above."""
        found = [
            (i, j, o)
            for i, (_, ir_in) in enumerate(self.irreps_in)
            for j, (_, ir_edge) in enumerate(self.irreps_edge)
            for o, (_, ir_out) in enumerate(self.irreps_out)
            if ir_out in ir_in * ir_edge
        ]
        # published: enumerated as above, then stably sorted by the output's (l, p)
        irreps = [ir for _, ir in self.irreps_out]
        published = sorted(found, key=lambda p: (irreps[p[2]].l, irreps[p[2]].p))
        paths, weight, channel = [], 0, 0
        for i, j, o in published:
            mul_in, ir_in = self.irreps_in[i]
            mul_out, ir_out = self.irreps_out[o]
            l_edge = self.irreps_edge[j].ir.l
            paths.append(Path(i, o, ir_in.l, l_edge, ir_out.l, mul_in, mul_out, weight, channel))
            weight += mul_in * mul_out
            channel += mul_out
        return tuple(
            sorted(paths, key=lambda p: (p.out, not p.odd, p.l_in if p.odd else -p.l_in, p.block))
        )

    @property
    def n_weights(self) -> int:
        """Length of the flat W."""
        return sum(p.mul_in * p.mul_out for p in self.paths)

    @property
    def n_channels(self) -> int:
        """Number of channels, and of scales."""
        return sum(p.mul_out for p in self.paths)

    @cached_property
    def channel_order(self) -> NDArray[np.int64]:
        """Published place of each of our channels, (n_channels,)."""
        return np.concatenate([p.channel + np.arange(p.mul_out) for p in self.paths])

    @cached_property
    def out_channels(self) -> tuple[tuple[int, int], ...]:
        """First and last + 1 of our channels of each output block."""
        counts = [0] * len(self.irreps_out)
        for p in self.paths:
            counts[p.out] += p.mul_out
        ends = np.cumsum(counts).tolist()
        return tuple(zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def rows(self) -> tuple[Rows, ...]:
        """What there is at m = 0, 1, …, as far as any output block reaches."""
        return tuple(self._rows(m) for m in range(max(ir.l for _, ir in self.irreps_out) + 1))

    def _rows(self, m: int) -> Rows:
        there = [p for p in self.paths if min(p.l_in, p.l_out) >= m and not (m == 0 and p.odd)]
        # our order of channels within every output block
        l_in = [ir.l for _, ir in self.irreps_in]
        kinds = sorted(
            {(p.block, p.odd) for p in there},
            key=lambda s: (not s[1], l_in[s[0]] if s[1] else -l_in[s[0]], s[0]),
        )
        sources = []
        for block, odd in kinds:
            own = tuple(p for p in there if (p.block, p.odd) == (block, odd))
            counts: dict[int, int] = {}
            for p in own:
                counts[p.out] = counts.get(p.out, 0) + p.mul_out
            sources.append(RowSource(block, odd, own, tuple(counts.items())))
        spans, start = [(0, 0)] * len(self.irreps_out), 0
        exist = set(there)
        for p in self.paths:
            if p in exist:
                first, last = spans[p.out]
                spans[p.out] = (first if last else start, start + p.mul_out)
            start += p.mul_out
        return Rows(tuple(sources), tuple(spans))


@dataclass(frozen=True)
class RowSource:
    """Paths from one input block and parity that exist at some m, by output block; ``shares`` are
    the output blocks and the number of channels for each.
    """

    block: int
    odd: bool
    paths: tuple[Path, ...]
    shares: tuple[tuple[int, int], ...]

    def mixing(self, m: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places of W in the flat weights, (channels, mul_in), and its factors, (channels,)."""
        index, factor = [], []
        for p in self.paths:
            place = p.weight + np.arange(p.mul_in * p.mul_out).reshape(p.mul_in, p.mul_out)
            index.append(place.T)
            factor.append(np.full(p.mul_out, p.coefficient(m)))
        return np.concatenate(index), np.concatenate(factor)


@dataclass(frozen=True)
class Rows:
    """What a product does at one m: its sources, and for every output block the first and last + 1
    of our channels that exist.
    """

    sources: tuple[RowSource, ...]
    spans: tuple[tuple[int, int], ...]


@lru_cache(maxsize=4096)
def w3j(l_1: int, l_2: int, l_3: int) -> NDArray[np.float64]:
    """e3nn's real Wigner 3j symbols, (2l₁ + 1, 2l₂ + 1, 2l₃ + 1)."""
    with torch.device("cpu"):  # a network may be laid out on the meta device
        coupling: NDArray[np.float64] = o3.wigner_3j(l_1, l_2, l_3, dtype=torch.float64).numpy()
    return coupling
