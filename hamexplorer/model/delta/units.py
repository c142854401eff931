"""Blocks as coupled irreps in units fitted to data, and back.

Irreps of edges are those of the edge's frame, with |m| up to a largest one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from hamexplorer.hamiltonian import Shell
from hamexplorer.model.delta.coupling import (
    edge_coupling,
    edge_sizes,
    irreps_of_block,
    site_coupling,
    site_sizes,
)

__all__ = ["PairUnits", "SiteUnits"]

_START = math.log(0.01)
"""Scales before any data were seen: 10 meV."""
_FLOOR = 1e-5
"""eV; irreps that vanish by symmetry, or are an SCF's noise, are not scaled up to 1."""
_SITE_FLOOR = 1e-4
"""eV; of sites, for few atoms may stand behind a root mean square."""

_Kept = tuple[torch.Tensor, torch.Tensor]


@lru_cache(maxsize=256)
def _edge(
    first: tuple[Shell, ...],
    second: tuple[Shell, ...],
    max_m: int,
    dtype: torch.dtype,
    device: torch.device,
) -> _Kept:
    kept = edge_coupling(first, second, max_m)
    return torch.tensor(kept.matrix).to(device, dtype), torch.tensor(kept.irrep).to(device)


@lru_cache(maxsize=256)
def _site(shells: tuple[Shell, ...], max_l: int, dtype: torch.dtype, device: torch.device) -> _Kept:
    kept = site_coupling(shells, max_l)
    return torch.tensor(kept.matrix).to(device, dtype), torch.tensor(kept.irrep).to(device)


def _width(shells: Sequence[Shell]) -> int:
    return sum(s.size for s in shells)


def _shell_rotation(full: Sequence[torch.Tensor], shells: Sequence[Shell]) -> torch.Tensor:
    """From an atom's orbitals to those of the edges' frames, (E, n, n)."""
    n = _width(shells)
    result = full[0].new_zeros(len(full[0]), n, n)
    start = 0
    for shell in shells:
        stop = start + shell.size
        result[:, start:stop, start:stop] = full[shell.l]
        start = stop
    return result


class PairUnits(nn.Module):
    """Irreps of blocks from one element to another in units of exp(a + b r), r in Å.

    ``log_scale`` a and ``decay`` b, (n_irreps,). Rotations ``full`` are D^l (E, 2l + 1, 2l + 1),
    rows m = 0, 1, −1, … of the frame.
    """

    log_scale: torch.Tensor
    decay: torch.Tensor

    def __init__(self, first: Sequence[Shell], second: Sequence[Shell], max_m: int) -> None:
        super().__init__()
        self.first, self.second, self.max_m = tuple(first), tuple(second), max_m
        n = len(irreps_of_block(first, second))
        self.register_buffer("log_scale", torch.full((n,), _START))
        self.register_buffer("decay", torch.zeros(n))

    @property
    def shape(self) -> tuple[int, int]:
        """Orbitals of both atoms."""
        return _width(self.first), _width(self.second)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Components by part: even m = 0, odd m = 0, then half of those of m = 1, 2, … each."""
        return edge_sizes(self.first, self.second, self.max_m)

    def _coupling(self) -> _Kept:
        return _edge(self.first, self.second, self.max_m, self.decay.dtype, self.decay.device)

    def scale(self, length: torch.Tensor) -> torch.Tensor:
        """Units of the components at distances ``length`` (E,), eV, (E, n_components)."""
        by_irrep = torch.exp(self.log_scale + self.decay * length[:, None])
        return by_irrep[:, self._coupling()[1]]

    def blocks(self, components: torch.Tensor, full: Sequence[torch.Tensor]) -> torch.Tensor:
        """Blocks (E, n_a, n_b) of components (E, n_components), both in eV."""
        framed = (components @ self._coupling()[0]).view(-1, *self.shape)
        first, second = (_shell_rotation(full, s) for s in (self.first, self.second))
        return first.mT @ framed @ second

    def components(self, blocks: torch.Tensor, full: Sequence[torch.Tensor]) -> torch.Tensor:
        """Components of blocks, eV: the transpose of :meth:`blocks` and its inverse."""
        first, second = (_shell_rotation(full, s) for s in (self.first, self.second))
        return (first @ blocks @ second.mT).flatten(1) @ self._coupling()[0].mT

    def fit(self, components: torch.Tensor, length: torch.Tensor) -> None:
        """Set the units from ``components`` (E, n_components), eV, at distances ``length`` (E,).

        b by least squares of the logarithm, a such that scaled components have the mean square 1.
        """
        square = _by_irrep(components.square(), self._coupling()[1], len(self.decay))
        log, r = 0.5 * torch.log(square + _FLOOR**2), length[:, None] - length.mean()
        slope = (r * log).sum(0) / r.square().sum().clamp(min=1e-6)
        decay = torch.exp(slope * length[:, None])
        size = (square / decay.square()).mean(0).sqrt()
        self.decay.copy_(slope)
        self.log_scale.copy_(torch.log(torch.maximum(size, _FLOOR / decay.mean(0))))


class SiteUnits(nn.Module):
    """Irreps of an element's own blocks in units of exp(``log_scale``), eV, those of L = 0 counted
    from ``mean``, eV; (n_irreps,) both.
    """

    log_scale: torch.Tensor
    mean: torch.Tensor

    def __init__(self, shells: Sequence[Shell], max_l: int) -> None:
        super().__init__()
        self.shells, self.max_l = tuple(shells), max_l
        n = len(irreps_of_block(shells, shells))
        self.register_buffer("log_scale", torch.full((n,), _START))
        self.register_buffer("mean", torch.zeros(n))

    @property
    def width(self) -> int:
        """Orbitals of the atom."""
        return _width(self.shells)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Irreps by (L, natural or not): L = 0 natural, L = 0 unnatural, and so on."""
        return site_sizes(self.shells, self.max_l)

    def _coupling(self) -> _Kept:
        return _site(self.shells, self.max_l, self.mean.dtype, self.mean.device)

    def scale(self) -> torch.Tensor:
        """Units of the components, eV, (n_components,)."""
        return torch.exp(self.log_scale)[self._coupling()[1]]

    def middle(self) -> torch.Tensor:
        """What components are counted from, eV, (n_components,)."""
        return self.mean[self._coupling()[1]]

    def blocks(self, components: torch.Tensor) -> torch.Tensor:
        """Blocks (n_atoms, n, n) of components (n_atoms, n_components), both in eV."""
        return (components @ self._coupling()[0]).view(-1, self.width, self.width)

    def components(self, blocks: torch.Tensor) -> torch.Tensor:
        """Components of blocks, eV: the transpose of :meth:`blocks` and its inverse."""
        return blocks.flatten(1) @ self._coupling()[0].mT

    def fit(self, components: torch.Tensor) -> None:
        """Set means and units from ``components`` (n_atoms, n_components), eV."""
        irrep, n = self._coupling()[1], len(self.mean)
        mean = torch.zeros_like(self.mean)
        mean[irrep[: self.sizes[0]]] = components[:, : self.sizes[0]].mean(0)
        square = _by_irrep((components - mean[irrep]).square(), irrep, n).mean(0)
        self.mean.copy_(mean)
        self.log_scale.copy_(0.5 * torch.log(square + _SITE_FLOOR**2))


def _by_irrep(values: torch.Tensor, irrep: torch.Tensor, count: int) -> torch.Tensor:
    """Means over the components of each irrep, (n, count)."""
    total = values.new_zeros(len(values), count).index_add(1, irrep, values)
    return total / torch.bincount(irrep, minlength=count).clamp(min=1)
