"""The edge-frame network: from a crystal's graph to ΔH on its pairs.

Exactly equivariant under rotations, inversion and permutations, and Hermitian by construction.
Sums over neighbours fade out smoothly at the cutoff; predicted blocks do not: those beyond it are
zero, those within are as the head says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from pymatgen.core import Element
from torch import nn
from torch.utils.checkpoint import checkpoint

from hamexplorer.errors import UnsupportedElementError
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
)
from hamexplorer.model.delta.so2 import rotations
from hamexplorer.model.model import OrbitalLayout

__all__ = ["DeltaNetwork", "Prediction"]

_T = TypeVar("_T")

CHUNK = 2048
"""Edges that are worked on at once, so that memory stays flat."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """``elements`` ΔH on the graph's pairs, eV, (n_elements,), X[R] = X[−R]ᵀ exactly; ``features``
    invariants of the atoms, (n_atoms, n_scalars).
    """

    elements: torch.Tensor
    features: torch.Tensor


class DeltaNetwork(nn.Module):
    """Interactions in the edges' frames, a head for every pair of elements and every element.

    Blocks between two elements are predicted in one direction, from the heavier to the lighter;
    those between equal elements in both, and averaged with the transpose.

    Raises:
        UnsupportedElementError: a graph has an element that the layout has not.
    """

    species: torch.Tensor

    def __init__(self, hyperparameters: DeltaHyperparameters, layout: OrbitalLayout) -> None:
        super().__init__()
        p = self.hyperparameters = hyperparameters
        self.layout = layout
        self.numbers = sorted(Element(symbol).Z for symbol in layout.elements)
        shells = {z: tuple(layout.elements[Element.from_Z(z).symbol]) for z in self.numbers}
        self.shells = shells
        self.max_shell_l = max(s.l for own in shells.values() for s in own)
        self.embedding = nn.Embedding(len(self.numbers), p.scalars)
        self.density = Density(p)
        self.messages = nn.ModuleList(EdgeMessages(p) for _ in range(p.n_layers))
        self.to_atoms = nn.ModuleList(
            ToAtoms(p, p.channels if k < p.n_layers - 1 else p.site_channels)
            for k in range(p.n_layers)
        )
        self.updates = nn.ModuleList(Update(p) for _ in range(p.n_layers))
        self.pairs = nn.ModuleDict(
            {
                f"{a}-{b}": PairHead(p.hidden, shells[a], shells[b])
                for a in self.numbers
                for b in self.numbers
                if a >= b
            }
        )
        width = p.channels + p.site_channels
        self.site_gate = nn.Linear(p.scalars, (p.max_l + 1) * 2 * width)
        self.sites = nn.ModuleDict(
            {str(z): SiteHead(width, p.scalars, p.max_l, own) for z, own in shells.items()}
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.embedding.weight.dtype

    def edges(self, graph: CrystalGraph) -> Edges:
        """Geometry in the network's precision."""
        p = self.hyperparameters
        vector = graph.vectors
        length = vector.norm(dim=1)
        turn = rotations(
            (vector / length[:, None]).to(self.dtype), p.max_l, p.max_m, self.max_shell_l
        )
        length = length.to(self.dtype)
        envelope = 0.5 * (1 + torch.cos(math.pi * (length / p.cutoff).clamp(max=1)))
        radial = gaussians(length, p.cutoff, p.n_radial)
        return Edges(graph.source, graph.target, radial, envelope, length, turn)

    def forward(self, graph: CrystalGraph) -> Prediction:
        """ΔH on the pairs of ``graph``."""
        p = self.hyperparameters
        scalars = self.embedding(self._kinds(graph))
        edges = self.edges(graph)
        norm = 1 / math.sqrt(p.neighbours)

        def density(chunk: slice) -> torch.Tensor:
            some = edges[chunk]
            return _sum(self.density(scalars, some), some.source, graph.n_atoms) * norm

        natural = _total(_mapped(density, graph.n_edges))
        total = torch.stack([natural, torch.zeros_like(natural)], 2)
        atoms = self.updates[0](Atoms(scalars, torch.zeros_like(total)), total)
        blocks: dict[tuple[int, int], list[torch.Tensor]] = {}
        for layer in range(p.n_layers):
            last = layer == p.n_layers - 1

            def told(
                chunk: slice, atoms: Atoms = atoms, layer: int = layer, last: bool = last
            ) -> tuple[torch.Tensor, ...]:
                some = edges[chunk]
                parts = self.messages[layer](atoms, some)
                given = self.to_atoms[layer](parts, some)
                summed = _sum(given, some.source, graph.n_atoms) * norm
                if not last:
                    return (summed,)
                heads = (
                    self._head(group)(
                        [part[a:b] for part in parts],
                        [d[a:b] for d in some.rotation.full],
                        some.length[a:b],
                    )
                    for group, a, b in _predicted(graph, chunk)
                )
                return (summed, *heads)

            results = []
            for chunk, found in zip(
                _chunks(graph.n_edges), _mapped(told, graph.n_edges), strict=True
            ):
                results.append(found[0])
                if last:
                    for (group, _, _), block in zip(
                        _predicted(graph, chunk), found[1:], strict=True
                    ):
                        blocks.setdefault((group.first, group.second), []).append(block)
            total = _total(results)
            if not last:
                atoms = self.updates[layer + 1](atoms, total)
        flat = self._elements(graph, blocks, self._sites(graph, atoms, total))
        return Prediction(flat, atoms.scalars)

    def _kinds(self, graph: CrystalGraph) -> torch.Tensor:
        unknown = sorted(set(graph.species) - set(self.numbers))
        if unknown:
            raise UnsupportedElementError(
                f"The model knows no {', '.join(Element.from_Z(z).symbol for z in unknown)}; it "
                f"knows {', '.join(Element.from_Z(z).symbol for z in self.numbers)}."
            )
        known = torch.tensor(self.numbers, device=graph.numbers.device)
        return torch.searchsorted(known, graph.numbers)

    def _head(self, group: EdgeGroup) -> PairHead:
        head = self.pairs[f"{group.first}-{group.second}"]
        assert isinstance(head, PairHead)
        return head

    def _sites(
        self, graph: CrystalGraph, atoms: Atoms, total: torch.Tensor
    ) -> dict[int, torch.Tensor]:
        p = self.hyperparameters
        x = torch.cat([atoms.features, total], -1)
        gates = torch.sigmoid(self.site_gate(atoms.scalars)).view(len(x), p.max_l + 1, 2, -1)
        sizes = torch.arange(p.max_l + 1, device=x.device)
        x = x * gates[:, torch.repeat_interleave(sizes, 2 * sizes + 1)]
        return {
            z: self.sites[str(z)](x[own], atoms.scalars[own]) for z, own in graph.species.items()
        }

    def _elements(
        self,
        graph: CrystalGraph,
        blocks: dict[tuple[int, int], list[torch.Tensor]],
        sites: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        """Blocks at their places in the flat array, and their transposes at the reverse edges'."""
        places, values = [], []

        def put(start: torch.Tensor, block: torch.Tensor) -> None:
            size = block.shape[1] * block.shape[2]
            places.append((start[:, None] + torch.arange(size, device=start.device)).flatten())
            values.append(block.flatten())

        for z, own in graph.species.items():
            put(graph.site_start[own], sites[z])
        for group in graph.groups:
            if (group.first, group.second) not in blocks:
                continue
            block = torch.cat(blocks[group.first, group.second])
            chosen = slice(group.start, group.stop)
            if group.first == group.second:
                back = graph.reverse[chosen] - group.start
                put(graph.start[chosen], (block + block.mT[back]) / 2)
            else:
                put(graph.start[chosen], block)
                put(graph.start[graph.reverse[chosen]], block.mT)
        flat = torch.cat(values)
        return flat.new_zeros(graph.n_elements).index_copy(0, torch.cat(places), flat)


def _sum(given: torch.Tensor, source: torch.Tensor, n_atoms: int) -> torch.Tensor:
    return given.new_zeros(n_atoms, *given.shape[1:]).index_add(0, source, given)


def _total(found: list[torch.Tensor] | Iterator[torch.Tensor]) -> torch.Tensor:
    total: torch.Tensor | None = None
    for part in found:
        total = part if total is None else total + part
    assert total is not None
    return total


def _chunks(n_edges: int) -> list[slice]:
    """Slices of about :data:`CHUNK` edges; one that is empty if there are none."""
    count = max(1, math.ceil(n_edges / CHUNK))
    ends = [round(k * n_edges / count) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _mapped(function: Callable[[slice], _T], n_edges: int) -> Iterator[_T]:
    """``function`` of every chunk; where gradients are wanted, what several chunks computed on the
    way is not kept but made anew going backwards.
    """
    chunks = _chunks(n_edges)
    for chunk in chunks:
        if torch.is_grad_enabled() and len(chunks) > 1:
            yield checkpoint(function, chunk, use_reentrant=False)
        else:
            yield function(chunk)


def _predicted(graph: CrystalGraph, chunk: slice) -> Iterator[tuple[EdgeGroup, int, int]]:
    """Groups whose blocks are predicted, and where a chunk's edges of them stand in it."""
    for group in graph.groups:
        a, b = max(group.start, chunk.start), min(group.stop, chunk.stop)
        if group.first >= group.second and a < b:
            yield group, a - chunk.start, b - chunk.start
