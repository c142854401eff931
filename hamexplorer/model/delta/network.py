"""The edge-frame network: from a crystal's graph to ΔH on its pairs.

Exactly equivariant under rotations, inversion and permutations, and Hermitian by construction.
Sums over neighbours fade out smoothly at the cutoff; predicted blocks do not: those beyond it are
zero, those within are as the head says.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import reduce
from typing import TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hamexplorer.model.delta.base import BlockNetwork, Prediction, predicted_groups
from hamexplorer.model.delta.graph import CrystalGraph, EdgeGroup
from hamexplorer.model.delta.heads import PairHead, SiteHead
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.layers import (
    Atoms,
    Density,
    EdgeMessages,
    Edges,
    ToAtoms,
    Update,
    gaussians,
    linear,
    momenta,
)
from hamexplorer.model.model import OrbitalLayout
from hamexplorer.model.network import chunks

__all__ = ["DeltaNetwork"]

_T = TypeVar("_T")

CHUNK = 2048
"""Edges that are worked on at once, so that memory stays flat."""


class DeltaNetwork(BlockNetwork):
    """Interactions in the edges' frames, a head for every pair of elements and every element.

    Raises (when called):
        UnsupportedElementError: a graph has an element that the layout has not.
    """

    def __init__(self, hyperparameters: DeltaHyperparameters, layout: OrbitalLayout) -> None:
        p = hyperparameters
        super().__init__(layout, p.cutoff, p.max_l, p.max_m)
        self.hyperparameters = p
        self.embedding = nn.Embedding(len(self.numbers), p.scalars)
        self.density = Density(p)
        self.messages = nn.ModuleList(EdgeMessages(p) for _ in range(p.n_layers))
        given = [p.channels] * (p.n_layers - 1) + [p.site_channels]
        self.to_atoms = nn.ModuleList(ToAtoms(p, channels) for channels in given)
        self.updates = nn.ModuleList(Update(p) for _ in range(p.n_layers))
        self.pairs = nn.ModuleDict(
            {name: PairHead(p.hidden, _sizes(units)) for name, units in self.pair_units.items()}
        )
        width = p.channels + p.site_channels
        self.site_gate = linear(p.scalars, (p.max_l + 1) * 2 * width)
        self.sites = nn.ModuleDict(
            {
                name: SiteHead(width, p.scalars, _sizes(units))
                for name, units in self.site_units.items()
            }
        )

    @property
    def n_features(self) -> int:
        """Invariants of an atom in a prediction."""
        return self.hyperparameters.scalars

    def forward(self, graph: CrystalGraph) -> Prediction:
        """ΔH on the pairs of ``graph``."""
        p = self.hyperparameters
        scalars = self.embedding(self.kinds(graph))
        edges = self._edges(graph)
        summed = _Sum(edges, graph.n_atoms, 1 / math.sqrt(p.neighbours))

        def density(chunk: slice) -> torch.Tensor:
            return summed(self.density(scalars, edges[chunk]), chunk)

        natural = reduce(torch.add, _mapped(density, graph.n_edges))
        total = torch.stack([natural, torch.zeros_like(natural)], 2)
        atoms = self.updates[0](Atoms(scalars, torch.zeros_like(total)), total)
        for layer in range(p.n_layers - 1):

            def message(chunk: slice, atoms: Atoms = atoms, layer: int = layer) -> torch.Tensor:
                some = edges[chunk]
                return summed(self.to_atoms[layer](self.messages[layer](atoms, some), some), chunk)

            total = reduce(torch.add, _mapped(message, graph.n_edges))
            atoms = self.updates[layer + 1](atoms, total)

        def told(chunk: slice) -> tuple[torch.Tensor, ...]:
            some = edges[chunk]
            parts = self.messages[-1](atoms, some)
            to_sites = summed(self.to_atoms[-1](parts, some), chunk)
            return to_sites, *self._pair_blocks(graph, chunk, some, parts)

        given, blocks = total.new_zeros(()), defaultdict(list)
        each = zip(chunks(graph.n_edges, CHUNK), _mapped(told, graph.n_edges), strict=True)
        for chunk, found in each:
            given = given + found[0]
            for (group, _), block in zip(_within(graph, chunk), found[1:], strict=True):
                blocks[group.first, group.second].append(block)
        joined = {kind: torch.cat(parts) for kind, parts in blocks.items()}
        sites = self._site_blocks(graph, atoms, given)
        return Prediction(self.flat_elements(graph, joined, sites), atoms.scalars)

    def _edges(self, graph: CrystalGraph) -> Edges:
        g = self.geometry(graph)
        radial = gaussians(g.length, self.cutoff, self.hyperparameters.n_radial)
        return Edges(graph.source, graph.target, radial, g.envelope, g.length, g.rotation)

    def _pair_blocks(
        self, graph: CrystalGraph, chunk: slice, edges: Edges, parts: list[torch.Tensor]
    ) -> Iterator[torch.Tensor]:
        """Blocks of a chunk's edges, by group."""
        for group, own in _within(graph, chunk):
            units = self.units_of_pair(group)
            head = self.pairs[f"{group.first}-{group.second}"]
            components = head([part[own] for part in parts]) * units.scale(edges.length[own])
            yield units.blocks(components, [d[own] for d in edges.rotation.full])

    def _site_blocks(
        self, graph: CrystalGraph, atoms: Atoms, total: torch.Tensor
    ) -> dict[int, torch.Tensor]:
        """Own blocks by element, not symmetrised."""
        p = self.hyperparameters
        x = torch.cat([atoms.features, total], -1)
        gates = 2 * torch.sigmoid(self.site_gate(atoms.scalars)).view(len(x), p.max_l + 1, 2, -1)
        x = x * gates[:, momenta(p.max_l, x.device)]
        result = {}
        for z, own in graph.species.items():
            units = self.units_of_site(z)
            components = self.sites[str(z)](x[own], atoms.scalars[own])
            result[z] = units.blocks(components * units.scale() + units.middle())
        return result


class _Sum:
    """Sums of what a chunk's edges give, over the edges of every source."""

    def __init__(self, edges: Edges, n_atoms: int, factor: float) -> None:
        self.source, self.n_atoms, self.factor = edges.source, n_atoms, factor

    def __call__(self, given: torch.Tensor, chunk: slice) -> torch.Tensor:
        total = given.new_zeros(self.n_atoms, *given.shape[1:])
        return total.index_add(0, self.source[chunk], given) * self.factor


def _sizes(units: nn.Module) -> tuple[int, ...]:
    sizes: tuple[int, ...] = units.sizes  # type: ignore[assignment]
    return sizes


def _mapped(function: Callable[[slice], _T], n_edges: int) -> Iterator[_T]:
    """``function`` of every chunk; where gradients are wanted, what several chunks computed on the
    way is not kept but made anew going backwards.
    """
    parts = chunks(n_edges, CHUNK)
    for chunk in parts:
        if torch.is_grad_enabled() and len(parts) > 1:
            yield checkpoint(function, chunk, use_reentrant=False)
        else:
            yield function(chunk)


def _within(graph: CrystalGraph, chunk: slice) -> Iterator[tuple[EdgeGroup, slice]]:
    """Groups that are predicted, and where a chunk's edges of them stand in the chunk."""
    for group in predicted_groups(graph):
        a, b = max(group.start, chunk.start), min(group.stop, chunk.stop)
        if a < b:
            yield group, slice(a - chunk.start, b - chunk.start)
