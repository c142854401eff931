"""Random graphs and pairs of networks, fast and plain, with the same random weights."""

from __future__ import annotations

import itertools
import math

import torch
from plain_network import Graph, PlainNetwork, Weights, random_weights

from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.published import load_published
from hamexplorer.model.spin_channels import Channel, Kind, MatrixBlocks

__all__ = ["evaluated", "fast_and_plain", "load_weights", "molecule", "periodic_graph"]

Tensors = tuple[torch.Tensor, ...]


def fast_and_plain(
    kind: Kind,
    p: Hyperparameters,
    shells: tuple[int, ...],
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> tuple[Channel, PlainNetwork]:
    """The two networks with equal weights."""
    weights: Weights = random_weights(kind, p, shells, seed, dtype)
    channel = Channel(kind, p, shells).to(dtype)
    load_weights(channel, weights)
    return channel, PlainNetwork(kind, p, shells, weights)


def load_weights(channel: Channel, weights: Weights) -> None:
    """Weights under the published names, with the frequencies that a checkpoint has beside them."""
    p = channel.backbone.hyperparameters
    frequencies = torch.arange(1, p.n_radial + 1, dtype=torch.float64) * math.pi / p.cutoff
    load_published(channel, weights | {"representation.radial_basis_functions.freqs": frequencies})


def evaluated(channel: Channel, graph: Graph) -> MatrixBlocks:
    """Blocks of a graph."""
    edges = channel.backbone.edges(graph.positions, graph.source, graph.target, graph.shift)
    return channel(graph.numbers, edges)


def periodic_graph(
    numbers: list[int],
    positions: torch.Tensor,
    cell: torch.Tensor,
    cutoff: float,
) -> tuple[Graph, torch.Tensor]:
    """All edges shorter than ``cutoff``, both directions, and their cells (n_edges, 3).

    ``cell`` rows are lattice vectors; images ±2 along each are searched.
    """
    n = len(numbers)
    found = []
    for cells in itertools.product(range(-2, 3), repeat=3):
        shift = torch.tensor(cells, dtype=cell.dtype) @ cell
        distance = torch.cdist(positions, positions + shift)
        for i, j in itertools.product(range(n), repeat=2):
            if (i != j or any(cells)) and distance[i, j] < cutoff:
                found.append((i, j, *cells))
    place = {key: e for e, key in enumerate(found)}
    inverse = [place[(j, i, -a, -b, -c)] for i, j, a, b, c in found]
    table = torch.tensor(found, dtype=torch.long).reshape(-1, 5)
    cells = table[:, 2:]
    graph = Graph(
        torch.tensor(numbers),
        positions,
        table[:, 0],
        table[:, 1],
        cells.to(cell.dtype) @ cell,
        torch.tensor(inverse, dtype=torch.long),
    )
    return graph, cells


def molecule(
    numbers: list[int], positions: list[list[float]], dtype: torch.dtype = torch.float64
) -> Graph:
    """Every atom tied to every other."""
    pairs = list(itertools.permutations(range(len(numbers)), 2))
    table = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    return Graph(
        torch.tensor(numbers),
        torch.tensor(positions, dtype=dtype).reshape(-1, 3),
        table[:, 0],
        table[:, 1],
        torch.zeros(len(pairs), 3, dtype=dtype),
        torch.tensor([pairs.index((j, i)) for i, j in pairs], dtype=torch.long),
    )
