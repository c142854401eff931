"""The HamGNN-compatible network: from a graph to features of atoms and of edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from e3nn import o3
from torch import nn
from torch.utils.checkpoint import checkpoint

from hamexplorer.errors import StructureError
from hamexplorer.model.filters import Blocks, EdgeFilter, filter_edges
from hamexplorer.model.frame import EdgeFrames, edge_frames
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.layers import BlockLinear, GatedResidual
from hamexplorer.model.scratch import Memory, filter_in_place, to_frames_in_place
from hamexplorer.ordered_work import in_order

__all__ = ["Backbone", "Edges", "Features", "chunks"]


CHUNK = 1024
"""Edges whose messages are computed at once: memory stays flat, matrices are large enough."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of a graph, as the network sees them.

    ``source``, ``target`` (n_edges,) atoms; ``radial`` (n_edges, n_radial) radial functions;
    ``frames`` rotations into the frame of each edge.
    """

    source: torch.Tensor
    target: torch.Tensor
    radial: torch.Tensor
    frames: EdgeFrames

    def __getitem__(self, chosen: slice) -> Edges:
        """Some of the edges."""
        return Edges(
            self.source[chosen], self.target[chosen], self.radial[chosen], self.frames[chosen]
        )

    @property
    def chunks(self) -> list[slice]:
        """Slices of about :data:`CHUNK` edges."""
        return chunks(len(self.source), CHUNK)


@dataclass(frozen=True, eq=False)
class Features:
    """What the heads start from: ``nodes`` (n, 2l+1, mul) and, in the edges' frames, ``edges``
    (mul, 2l+1, n_edges), one per irrep.
    """

    nodes: list[torch.Tensor]
    edges: Blocks


class Message(nn.Module):
    """Node and edge branches: what an edge tells, from its two atoms and its own features."""

    def __init__(self, p: Hyperparameters) -> None:
        super().__init__()
        twice = o3.Irreps([(2 * mul, ir) for mul, ir in p.features])
        self.node = EdgeFilter(twice, p.harmonics, p.features, p.radial_widths)
        self.edge = EdgeFilter(p.features, p.harmonics, p.features, p.radial_widths)
        self.node_out = BlockLinear(p.features, p.features)
        self.edge_out = BlockLinear(p.features, p.features)

    def forward(
        self,
        source: list[torch.Tensor],
        target: list[torch.Tensor],
        own: Blocks,
        edges: Edges,
        memory: Memory,
    ) -> Iterator[tuple[slice, Blocks]]:
        """Messages chunk by chunk, in the edges' frames.

        ``source`` and ``target`` are features of the atoms at both ends, ``own`` of the edges.
        """
        # the linear map that follows V is the same for all edges: V and it are one matrix
        node, edge = self.node.prepared(self.node_out), self.edge.prepared(self.edge_out)

        def told(chunk: slice) -> Blocks:
            some = edges[chunk]
            pairs = to_frames(source, target, some)
            return filter_edges([(node, pairs), (edge, [x[..., chunk] for x in own])], some.radial)

        def told_in_place(chunk: slice) -> Blocks:
            some = edges[chunk]
            with memory.lent() as scratch:
                pairs = to_frames_in_place(source, target, some, scratch)
                parts = [(node, pairs), (edge, [x[..., chunk] for x in own])]
                return filter_in_place(parts, some.radial, scratch)

        chunks = edges.chunks
        if not torch.is_grad_enabled() and edges.radial.device.type == "cpu":
            if len(chunks) == 1:
                yield chunks[0], told_in_place(chunks[0])
                return
            threads = torch.get_num_threads()
            yield from zip(chunks, in_order(told_in_place, chunks, threads), strict=True)
            return
        for chunk in chunks:
            if torch.is_grad_enabled() and len(chunks) > 1:
                # kept are the features alone; a chunk's products are made anew going backwards
                yield chunk, checkpoint(told, chunk, use_reentrant=False)
            else:
                yield chunk, told(chunk)


class Convolution(nn.Module):
    """x_i ← residual(Σ_edges to i message) + skip(x_i)."""

    def __init__(self, p: Hyperparameters) -> None:
        super().__init__()
        self.message = Message(p)
        self.residual = GatedResidual(p.features)
        self.skip = BlockLinear(p.features, p.features)

    def forward(
        self, nodes: list[torch.Tensor], own: Blocks, edges: Edges, memory: Memory
    ) -> list[torch.Tensor]:
        """New features of the atoms."""
        total = [torch.zeros_like(x) for x in nodes]
        for chunk, told in self.message(nodes, nodes, own, edges, memory):
            some = edges[chunk]
            turned = from_frames(told, some.frames)
            total = [a.index_add(0, some.target, t) for a, t in zip(total, turned, strict=True)]
        return [a + b for a, b in zip(self.residual(total, -1), self.skip(nodes, -1), strict=True)]


class PairInteraction(nn.Module):
    """e ← message(x_source, x_target, e) + skip(e); the frames' own features stay in them."""

    def __init__(self, p: Hyperparameters) -> None:
        super().__init__()
        self.source = BlockLinear(p.features, p.features)
        self.target = BlockLinear(p.features, p.features)
        self.message = Message(p)
        self.skip = BlockLinear(p.features, p.features)

    def forward(
        self, nodes: list[torch.Tensor], own: Blocks, edges: Edges, memory: Memory
    ) -> Blocks:
        """New features of the edges."""
        ends = self.source(nodes, -1), self.target(nodes, -1)
        told = [blocks for _, blocks in self.message(*ends, own, edges, memory)]
        return [
            torch.cat(parts, dim=2) + b for *parts, b in zip(*told, self.skip(own, 0), strict=True)
        ]


class PairEmbedding(nn.Module):
    """First features of an edge from its two species and its direction."""

    def __init__(self, p: Hyperparameters) -> None:
        super().__init__()
        self.source = nn.Parameter(torch.randn(p.n_types, p.n_types))
        self.target = nn.Parameter(torch.randn(p.n_types, p.n_types))
        types = o3.Irreps([(p.n_types, "0e")])
        self.filter = EdgeFilter(types, p.harmonics, p.features, p.radial_widths)

    def forward(self, numbers: torch.Tensor, edges: Edges) -> Blocks:
        scale = 1 / math.sqrt(len(self.source))
        up = self.source[numbers][edges.source] + self.target[numbers][edges.target]
        return filter_edges([(self.filter.prepared(), [scale * up.mT[:, None]])], edges.radial)


class Backbone(nn.Module):
    """Embeddings and interaction layers.

    With ``p.legacy_edge_update`` the first pair interaction does nothing (the published
    behaviour before 2026-03-02), and has no weights here.
    """

    def __init__(self, p: Hyperparameters) -> None:
        super().__init__()
        self.hyperparameters = p
        self.species = nn.Parameter(torch.randn(p.n_types, p.features.count("0e")))
        self.pair_embedding = PairEmbedding(p)
        self.convolutions = nn.ModuleList(Convolution(p) for _ in range(p.n_layers))
        first = int(p.legacy_edge_update)
        self.pairs = nn.ModuleDict(
            {str(layer): PairInteraction(p) for layer in range(first, p.n_layers)}
        )

    def edges(
        self,
        positions: torch.Tensor,
        source: torch.Tensor,
        target: torch.Tensor,
        shift: torch.Tensor,
    ) -> Edges:
        """Geometry of the edges r = x_target + shift − x_source, bohr."""
        p = self.hyperparameters
        vector = positions[target] + shift - positions[source]
        length = vector.norm(dim=1, keepdim=True)
        if not bool((length > 0).all()):  # NaN fails, too
            raise StructureError("Two atoms stand at one place: an edge has no length or is NaN.")
        n = torch.arange(1, p.n_radial + 1, dtype=length.dtype, device=length.device)
        scaled = math.pi * length / p.cutoff
        cut = torch.where(length < p.cutoff, 0.5 * (1 + torch.cos(scaled)), 0.0)
        frames = edge_frames(vector / length, max(ir.l for _, ir in p.features))
        return Edges(source, target, torch.sin(n * scaled) / length * cut, frames)

    def forward(self, numbers: torch.Tensor, edges: Edges) -> Features:
        """Features of atoms with atomic ``numbers`` (n,) and of ``edges``."""
        p, memory = self.hyperparameters, Memory()
        own = self.pair_embedding(numbers, edges)
        scalars = (self.species / math.sqrt(p.n_types))[numbers]
        nodes = [
            scalars[:, None]
            if ir == o3.Irrep("0e")
            else scalars.new_zeros(len(numbers), ir.dim, mul)
            for mul, ir in p.features
        ]
        for layer, convolution in enumerate(self.convolutions):
            nodes = convolution(nodes, own, edges, memory)
            if str(layer) in self.pairs:
                own = self.pairs[str(layer)](nodes, own, edges, memory)
        return Features(nodes, own)


def chunks(n_edges: int, most: int) -> list[slice]:
    """Slices of about the same size, up to ``most`` edges; one that is empty if there are none."""
    count = max(1, math.ceil(n_edges / most))
    ends = [round(k * n_edges / count) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def to_frames(source: list[torch.Tensor], target: list[torch.Tensor], edges: Edges) -> Blocks:
    """Features of both atoms of every edge, channels side by side, in the edge's frame."""
    result = []
    for a, b in zip(source, target, strict=True):
        both = torch.cat([a[edges.source], b[edges.target]], dim=2)
        rotation = edges.frames.matrices[(both.shape[1] - 1) // 2]
        result.append((rotation @ both).permute(2, 1, 0).contiguous())
    return result


def from_frames(blocks: Blocks, frames: EdgeFrames) -> list[torch.Tensor]:
    """Features of edges in the common frame, (n_edges, 2l+1, mul) each."""
    return [
        frames.matrices[(x.shape[1] - 1) // 2].mT @ x.permute(2, 1, 0).contiguous() for x in blocks
    ]
