"""The network's layers: densities of neighbours, interactions, updates of atoms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.so2 import (
    Parts,
    Rotations,
    SO2Linear,
    from_frames,
    part_sizes,
    to_frames,
)
from hamexplorer.model.filters import SILU

__all__ = ["Atoms", "Density", "EdgeMessages", "Edges", "Update", "gaussians"]


def linear(n_in: int, n_out: int, gain: float = 1.0, *, bias: bool = True) -> nn.Linear:
    """A linear map that takes second moments 1 to ``gain``² at the start, its bias zero."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(n_in))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True, eq=False)
class Edges:
    """Geometry of edges: atoms, Gaussians of the distance (E, n_radial), a smooth cutoff (E,),
    distances (E,) in Å, and rotations.
    """

    source: torch.Tensor
    target: torch.Tensor
    radial: torch.Tensor
    envelope: torch.Tensor
    length: torch.Tensor
    rotation: Rotations

    def __getitem__(self, chosen: slice) -> Edges:
        """Some of the edges."""
        return Edges(
            self.source[chosen],
            self.target[chosen],
            self.radial[chosen],
            self.envelope[chosen],
            self.length[chosen],
            self.rotation[chosen],
        )


@dataclass(frozen=True, eq=False)
class Atoms:
    """Invariants ``scalars`` (n, s) and ``features`` (n, (max_l + 1)², 2, channels), natural and
    unnatural.
    """

    scalars: torch.Tensor
    features: torch.Tensor


def gaussians(length: torch.Tensor, cutoff: float, count: int) -> torch.Tensor:
    """exp(−(r − c_k)² / 2w²) at ``count`` centres 0 … cutoff, one w apart, (E, count)."""
    centres = torch.linspace(0, cutoff, count, dtype=length.dtype, device=length.device)
    width = cutoff / (count - 1)
    return torch.exp(-0.5 * ((length[:, None] - centres) / width) ** 2)


class Radial(nn.Module):
    """A network of the distance and of both atoms' invariants."""

    def __init__(self, p: DeltaHyperparameters, n_out: int) -> None:
        super().__init__()
        width = p.radial_hidden
        # the squares of all Gaussians add up to √π
        self.distance = linear(p.n_radial, width, math.sqrt(p.n_radial / (3 * math.sqrt(math.pi))))
        nn.init.normal_(self.distance.bias, std=0.3)
        self.source = linear(p.scalars, width, math.sqrt(1 / 3), bias=False)
        self.target = linear(p.scalars, width, math.sqrt(1 / 3), bias=False)
        self.inner = linear(width, width, SILU)
        self.last = linear(width, n_out)

    def forward(self, scalars: torch.Tensor, edges: Edges) -> torch.Tensor:
        """(E, n_out)."""
        # the atoms' part is made once for each atom, not for each edge
        first = self.distance(edges.radial)
        first = first + self.source(scalars)[edges.source] + self.target(scalars)[edges.target]
        silu = nn.functional.silu
        out: torch.Tensor = self.last(silu(self.inner(silu(first))))
        return out


class Density(nn.Module):
    """First features of an atom: Σ over neighbours of f_l(r; both elements) Y_l(r̂)."""

    def __init__(self, p: DeltaHyperparameters) -> None:
        super().__init__()
        self.p = p
        self.radial = Radial(p, (p.max_l + 1) * p.channels)

    def forward(self, scalars: torch.Tensor, edges: Edges) -> torch.Tensor:
        """What each edge gives to its source, (E, (max_l + 1)², channels), natural."""
        f = (self.radial(scalars, edges) * edges.envelope[:, None]).unflatten(
            1, (self.p.max_l + 1, -1)
        )
        told = [
            d[:, 0, :, None] * (math.sqrt(d.shape[2]) * f_l[:, None])
            for d, f_l in zip(edges.rotation.natural, f.unbind(1), strict=True)
        ]
        return torch.cat(told, 1)


class EdgeMessages(nn.Module):
    """Features of both atoms in the edge's frame → hidden features of the edge, gated.

    Between two SO(2)-linear maps every channel is multiplied by a function of the distance and of
    both atoms' invariants, and by a gate that the even m = 0 channels make.
    """

    def __init__(self, p: DeltaHyperparameters) -> None:
        super().__init__()
        self.widths = list(p.hidden)
        self.first = SO2Linear(part_sizes(p.max_l, p.max_m, 2 * p.channels), self.widths)
        self.radial = Radial(p, sum(self.widths))
        self.bias = Radial(p, self.widths[0])
        self.gate = linear(self.widths[0], sum(self.widths[1:]), SILU)
        self.second = SO2Linear(self.widths, self.widths)
        self.last_gate = linear(self.widths[0], sum(self.widths[1:]), SILU)

    def forward(self, atoms: Atoms, edges: Edges) -> Parts:
        """Hidden parts of the widths ``hidden``."""
        x = atoms.features
        both = torch.cat([x[edges.source], x[edges.target]], -1)
        parts = self.first(to_frames(both, edges.rotation))
        weights = self.radial(atoms.scalars, edges).split(self.widths, 1)
        parts = [
            p * w if p.dim() == 2 else p * w[:, None] for p, w in zip(parts, weights, strict=True)
        ]
        parts[0] = parts[0] + self.bias(atoms.scalars, edges)
        inner = _gated(parts, self.gate)
        return [
            a + b for a, b in zip(inner, _gated(self.second(inner), self.last_gate), strict=True)
        ]


def _gated(parts: Parts, gate: nn.Linear) -> Parts:
    even = nn.functional.silu(parts[0])
    gates = (2 * torch.sigmoid(gate(even))).split([p.shape[-1] for p in parts[1:]], 1)
    return [
        even,
        *(p * g if p.dim() == 2 else p * g[:, None] for p, g in zip(parts[1:], gates, strict=True)),
    ]


class ToAtoms(nn.Module):
    """Hidden parts of edges → what each gives to its source."""

    def __init__(self, p: DeltaHyperparameters, channels: int) -> None:
        super().__init__()
        self.linear = SO2Linear(p.hidden, part_sizes(p.max_l, p.max_m, channels))

    def forward(self, parts: Parts, edges: Edges) -> torch.Tensor:
        """(E, (max_l + 1)², 2, channels)."""
        told = from_frames(self.linear(parts), edges.rotation)
        return told * edges.envelope[:, None, None, None]


class Update(nn.Module):
    """New invariants and features of an atom from the old ones and the sum over its edges."""

    momentum: torch.Tensor

    def __init__(self, p: DeltaHyperparameters) -> None:
        super().__init__()
        count = (p.max_l + 1) * 2 * p.channels
        self.invariants = linear(count, p.scalars)
        self.first = linear(2 * p.scalars + p.channels, p.radial_hidden)
        self.second = linear(p.radial_hidden, p.scalars + count, SILU)
        self.mix = nn.Parameter(
            torch.randn(p.max_l + 1, 2, p.channels, p.channels) / math.sqrt(p.channels)
        )
        self.p = p

    def forward(self, atoms: Atoms, total: torch.Tensor) -> Atoms:
        """The atoms after the sum ``total`` (n, (max_l + 1)², 2, channels)."""
        p = self.p
        x = atoms.features + total
        squares = torch.stack(
            [x[:, l * l : (l + 1) ** 2].square().mean(1) for l in range(p.max_l + 1)],  # noqa: E741
            1,
        )
        # bounded: a dense cell must not drown the rest
        invariants = self.invariants(torch.log1p(squares.flatten(1)))
        told = torch.cat([atoms.scalars, invariants, x[:, 0, 0]], 1)
        told = self.second(nn.functional.silu(self.first(told)))
        scalars = atoms.scalars + told[:, : p.scalars]
        gates = torch.sigmoid(told[:, p.scalars :]).view(len(x), p.max_l + 1, 2, p.channels)
        index = momenta(p.max_l, x.device)
        mixed = torch.einsum("nlpc,lpcd->nlpd", x, self.mix[index])
        return Atoms(scalars, x + mixed * gates[:, index])


def momenta(max_l: int, device: torch.device) -> torch.Tensor:
    """L of every row of the features, ((max_l + 1)²,)."""
    count = torch.arange(max_l + 1, device=device)
    return torch.repeat_interleave(count, 2 * count + 1)
