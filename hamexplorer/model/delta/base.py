"""What networks that predict ΔH share: elements, units of their targets, blocks to flat arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from pymatgen.core import Element
from torch import nn

from hamexplorer.errors import UnsupportedElementError
from hamexplorer.model.delta.graph import CrystalGraph, EdgeGroup
from hamexplorer.model.delta.so2 import Rotations, rotations
from hamexplorer.model.delta.units import PairUnits, SiteUnits
from hamexplorer.model.model import OrbitalLayout

__all__ = ["BlockNetwork", "Geometry", "Prediction", "predicted_groups"]


class Prediction(NamedTuple):
    """``elements`` ΔH on the graph's pairs, eV, (n_elements,), X[R] = X[−R]ᵀ exactly; ``features``
    invariants of the atoms, (n_atoms, n_scalars).
    """

    elements: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True, eq=False)
class Geometry:
    """Edges in the network's precision: distances (E,), Å, a smooth cutoff (E,), rotations."""

    length: torch.Tensor
    envelope: torch.Tensor
    rotation: Rotations


class BlockNetwork(nn.Module):
    """Elements with their shells, and the units in which their blocks are predicted.

    Blocks between two elements are predicted in one direction, from the heavier to the lighter;
    those between equal elements in both, and averaged with the transpose.
    """

    def __init__(self, layout: OrbitalLayout, cutoff: float, max_l: int, max_m: int) -> None:
        super().__init__()
        self.layout, self.cutoff, self.max_l, self.max_m = layout, cutoff, max_l, max_m
        self.numbers = sorted(Element(symbol).Z for symbol in layout.elements)
        shells = {z: layout.elements[Element.from_Z(z).symbol] for z in self.numbers}
        self.max_shell_l = max(s.l for own in shells.values() for s in own)
        self.pair_units = nn.ModuleDict(
            {
                f"{a}-{b}": PairUnits(shells[a], shells[b], max_m)
                for a in self.numbers
                for b in self.numbers
                if a >= b
            }
        )
        self.site_units = nn.ModuleDict(
            {str(z): SiteUnits(own, max_l) for z, own in shells.items()}
        )

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    @property
    def n_features(self) -> int:
        """Invariants of an atom in a prediction."""
        raise NotImplementedError

    def units_of_pair(self, group: EdgeGroup) -> PairUnits:
        """Units of the blocks of a group of edges."""
        units = self.pair_units[f"{group.first}-{group.second}"]
        assert isinstance(units, PairUnits)
        return units

    def units_of_site(self, number: int) -> SiteUnits:
        """Units of the own blocks of the element ``number``."""
        units = self.site_units[str(number)]
        assert isinstance(units, SiteUnits)
        return units

    def kinds(self, graph: CrystalGraph) -> torch.Tensor:
        """Place of every atom's element among ``numbers``.

        Raises:
            UnsupportedElementError: an element that the layout has not.
        """
        if unknown := sorted(set(graph.species) - set(self.numbers)):
            raise UnsupportedElementError(
                f"The model knows no {', '.join(Element.from_Z(z).symbol for z in unknown)}; it "
                f"knows {', '.join(Element.from_Z(z).symbol for z in self.numbers)}."
            )
        known = torch.tensor(self.numbers, device=graph.numbers.device)
        return torch.searchsorted(known, graph.numbers)

    def geometry(self, graph: CrystalGraph) -> Geometry:
        """Distances, cutoff and frames of the edges."""
        vector = graph.vectors
        length = vector.norm(dim=1)
        direction = (vector / length[:, None]).to(self.dtype)
        scaled = (length / self.cutoff).clamp(max=1).to(self.dtype)
        envelope = 0.5 * (1 + torch.cos(math.pi * scaled))
        turn = rotations(direction, self.max_l, self.max_m, self.max_shell_l)
        return Geometry(length.to(self.dtype), envelope, turn)

    def flat_elements(
        self,
        graph: CrystalGraph,
        pairs: dict[tuple[int, int], torch.Tensor],
        sites: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        """Blocks at their places, and the transposes at the reverse edges', (n_elements,).

        Args:
            graph: the crystal.
            pairs: blocks (n_edges, n_a, n_b) of the groups of :func:`predicted_groups`.
            sites: blocks (n_atoms, n, n) by atomic number.
        """
        places, values = [], []

        def put(start: torch.Tensor, block: torch.Tensor) -> None:
            size = block.shape[1] * block.shape[2]
            places.append((start[:, None] + torch.arange(size, device=start.device)).flatten())
            values.append(block.flatten())

        for z, own in graph.species.items():
            put(graph.site_start[own], (sites[z] + sites[z].mT) / 2)
        for group in predicted_groups(graph):
            block = pairs[group.first, group.second]
            chosen = slice(group.start, group.stop)
            if group.first == group.second:
                back = graph.reverse[chosen] - group.start
                put(graph.start[chosen], (block + block.mT[back]) / 2)
            else:
                put(graph.start[chosen], block)
                put(graph.start[graph.reverse[chosen]], block.mT)
        flat = torch.cat(values)
        return flat.new_zeros(graph.n_elements).index_copy(0, torch.cat(places), flat)

    def forward(self, graph: CrystalGraph) -> Prediction:
        """ΔH on the pairs of ``graph``."""
        raise NotImplementedError


def predicted_groups(graph: CrystalGraph) -> Iterator[EdgeGroup]:
    """The groups of edges whose blocks are predicted; the others are their transposes."""
    return (group for group in graph.groups if group.first >= group.second)
