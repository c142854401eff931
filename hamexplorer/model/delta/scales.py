"""Targets as the network's heads see them: coupled irreps in units of their scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch

from hamexplorer.model.delta.graph import CrystalGraph
from hamexplorer.model.delta.heads import PairHead, SiteHead
from hamexplorer.model.delta.network import DeltaNetwork

__all__ = ["fit_scales", "normalised"]


def normalised(network: DeltaNetwork, graph: CrystalGraph, elements: torch.Tensor) -> torch.Tensor:
    """Flat blocks ``elements`` (n_elements,), eV, as coupled irreps divided by their scales.

    All |m| up to the network's largest, of every block that a head predicts, in one array. It is
    linear, so that the squares of a difference's are the element loss in normalised units.
    """
    found = []
    for head, components, length in _components(network, graph, elements.to(network.dtype)):
        if isinstance(head, PairHead):
            found.append(components / head.scale(length)[:, head.coupling()[1]])
        else:
            found.append(components / torch.exp(head.log_scale)[head.coupling()[1]])
    return torch.cat([values.flatten() for values in found])


@torch.no_grad()
def fit_scales(network: DeltaNetwork, samples: Iterable[tuple[CrystalGraph, torch.Tensor]]) -> None:
    """Set the heads' scales and means from graphs and their targets (n_elements,), eV.

    An edge's irrep has the scale exp(a + b r): b by least squares of the logarithm over all edges
    of the two elements, then a such that the scaled components have the mean square 1. A site's
    has its root mean square, for L = 0 about the mean. Heads of pairs that do not occur keep
    theirs. Components of all samples are held at once: some dozens tell enough.
    """
    heads: dict[str, PairHead | SiteHead] = {}
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
    names = {id(module): name for name, module in network.named_modules()}
    for graph, elements in samples:
        for head, components, length in _components(network, graph, elements.to(network.dtype)):
            name = names[id(head)]
            heads[name] = head
            seen[name].append((components, length))
    for name, parts in seen.items():
        head = heads[name]
        components = torch.cat([c for c, _ in parts])
        if isinstance(head, PairHead):
            head.fit_scale(components, torch.cat([r for _, r in parts]))
        else:
            head.fit_scale(components)


def _components(
    network: DeltaNetwork, graph: CrystalGraph, elements: torch.Tensor
) -> Iterator[tuple[PairHead | SiteHead, torch.Tensor, torch.Tensor]]:
    """Head, coupled irreps in eV (n, n_components) and distances (none of sites) by kind."""
    for z, own in graph.species.items():
        site = network.sites[str(z)]
        assert isinstance(site, SiteHead)
        n = site.width
        blocks = _blocks(elements, graph.site_start[own], (n, n))
        yield site, site.irreps(blocks), elements.new_zeros(0)
    rotation = network.edges(graph)
    for group in graph.groups:
        if group.first < group.second:
            continue
        pair = network.pairs[f"{group.first}-{group.second}"]
        assert isinstance(pair, PairHead)
        chosen = slice(group.start, group.stop)
        blocks = _blocks(elements, graph.start[chosen], pair.shape)
        full = [d[chosen] for d in rotation.rotation.full]
        yield pair, pair.irreps(blocks, full), rotation.length[chosen]


def _blocks(elements: torch.Tensor, start: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    size = shape[0] * shape[1]
    places = start[:, None] + torch.arange(size, device=start.device)
    return elements[places].view(-1, *shape)
