"""Targets as a network sees them: coupled irreps in units of their scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch

from hamexplorer.model.delta.base import BlockNetwork, predicted_groups
from hamexplorer.model.delta.graph import CrystalGraph
from hamexplorer.model.delta.units import PairUnits, SiteUnits

__all__ = ["fit_scales", "normalised"]


def normalised(network: BlockNetwork, graph: CrystalGraph, elements: torch.Tensor) -> torch.Tensor:
    """Flat blocks ``elements`` (n_elements,), eV, as coupled irreps divided by their scales.

    All |m| up to the network's largest, of every block that it predicts, in one array. It is
    linear, so that the squares of a difference's are the element loss in normalised units.
    """
    found = []
    for units, components, length in _components(network, graph, elements.to(network.dtype)):
        scale = units.scale(length) if isinstance(units, PairUnits) else units.scale()
        found.append((components / scale).flatten())
    return torch.cat(found)


@torch.no_grad()
def fit_scales(network: BlockNetwork, samples: Iterable[tuple[CrystalGraph, torch.Tensor]]) -> None:
    """Set the network's units and means from graphs and targets (n_elements,), eV.

    Units of pairs that do not occur stay. Components of all samples are held at once: some dozens
    tell enough.
    """
    seen: dict[PairUnits | SiteUnits, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
    for graph, elements in samples:
        for units, *found in _components(network, graph, elements.to(network.dtype)):
            seen[units].append((found[0], found[1]))
    for units, parts in seen.items():
        components = torch.cat([c for c, _ in parts])
        if isinstance(units, PairUnits):
            units.fit(components, torch.cat([r for _, r in parts]))
        else:
            units.fit(components)


def _components(
    network: BlockNetwork, graph: CrystalGraph, elements: torch.Tensor
) -> Iterator[tuple[PairUnits | SiteUnits, torch.Tensor, torch.Tensor]]:
    """Units, coupled irreps in eV (n, n_components) and distances (none of sites) by kind."""
    for z, own in graph.species.items():
        site = network.units_of_site(z)
        blocks = _blocks(elements, graph.site_start[own], (site.width, site.width))
        yield site, site.components(blocks), elements.new_zeros(0)
    geometry = network.geometry(graph)
    for group in predicted_groups(graph):
        pair = network.units_of_pair(group)
        chosen = slice(group.start, group.stop)
        blocks = _blocks(elements, graph.start[chosen], pair.shape)
        full = [d[chosen] for d in geometry.rotation.full]
        yield pair, pair.components(blocks, full), geometry.length[chosen]


def _blocks(elements: torch.Tensor, start: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    size = shape[0] * shape[1]
    places = start[:, None] + torch.arange(size, device=start.device)
    return elements[places].view(-1, *shape)
