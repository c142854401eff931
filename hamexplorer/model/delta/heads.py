"""Heads: from features of edges and atoms to coupled irreps, to blocks in eV, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from hamexplorer.hamiltonian import Shell
from hamexplorer.model.delta.coupling import edge_coupling, irreps_of_block, site_coupling
from hamexplorer.model.delta.so2 import Parts

__all__ = ["PairHead", "SiteHead", "shell_rotation"]

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


def shell_rotation(full: Sequence[torch.Tensor], shells: Sequence[Shell]) -> torch.Tensor:
    """Rotation of an atom's orbitals into the edges' frames, (E, n, n), from D^l (E, 2l+1, 2l+1)."""
    n = sum(s.size for s in shells)
    result = full[0].new_zeros(len(full[0]), n, n)
    start = 0
    for shell in shells:
        stop = start + shell.size
        result[:, start:stop, start:stop] = full[shell.l]
        start = stop
    return result


class PairHead(nn.Module):
    """Blocks of edges from one element to another (or the same).

    Irreps are predicted in units of exp(a + b r), ``log_scale`` a and ``decay`` b by irrep, r in Å.
    """

    log_scale: torch.Tensor
    decay: torch.Tensor

    def __init__(
        self, hidden: Sequence[int], first: Sequence[Shell], second: Sequence[Shell]
    ) -> None:
        super().__init__()
        self.first, self.second = tuple(first), tuple(second)
        self.max_m = len(hidden) - 2
        sizes = edge_coupling(first, second, self.max_m).sizes
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(a, b) / math.sqrt(a))
            for a, b in zip(hidden, sizes, strict=True)
        )
        self.bias = nn.Parameter(torch.zeros(sizes[0]))
        n = len(irreps_of_block(first, second))
        self.register_buffer("log_scale", torch.full((n,), _START))
        self.register_buffer("decay", torch.zeros(n))

    @property
    def shape(self) -> tuple[int, int]:
        """Orbitals of both atoms."""
        return sum(s.size for s in self.first), sum(s.size for s in self.second)

    def coupling(self) -> _Kept:
        """K (n_components, n_a n_b) and every component's irrep."""
        return _edge(self.first, self.second, self.max_m, self.bias.dtype, self.bias.device)

    def scale(self, length: torch.Tensor) -> torch.Tensor:
        """Units of the irreps at distances ``length`` (E,), eV, (E, n_irreps)."""
        return torch.exp(self.log_scale + self.decay * length[:, None])

    def fit_scale(self, components: torch.Tensor, length: torch.Tensor) -> None:
        """Set the units from data: ``components`` (E, n_components), eV, at distances (E,)."""
        square = _by_irrep(components.square(), self.coupling()[1], len(self.decay))
        log, r = 0.5 * torch.log(square + _FLOOR**2), length[:, None] - length.mean()
        slope = (r * log).sum(0) / r.square().sum().clamp(min=1e-6)
        decay = torch.exp(slope * length[:, None])
        size = (square / decay.square()).mean(0).sqrt()
        floor = _FLOOR / decay.mean(0)
        self.decay.copy_(slope)
        self.log_scale.copy_(torch.log(torch.maximum(size, floor)))

    def forward(
        self, parts: Parts, full: Sequence[torch.Tensor], length: torch.Tensor
    ) -> torch.Tensor:
        """Blocks (E, n_a, n_b), eV."""
        k, irrep = self.coupling()
        told = [(part @ w).flatten(1) for part, w in zip(parts, self.weights, strict=True)]
        told[0] = told[0] + self.bias
        flat = (torch.cat(told, 1) * self.scale(length)[:, irrep]) @ k
        framed = flat.view(-1, *self.shape)
        return shell_rotation(full, self.first).mT @ framed @ shell_rotation(full, self.second)

    def irreps(self, blocks: torch.Tensor, full: Sequence[torch.Tensor]) -> torch.Tensor:
        """Coupled irreps of blocks (E, n_a, n_b) in the edges' frames, eV, (E, n_components)."""
        framed = shell_rotation(full, self.first) @ blocks @ shell_rotation(full, self.second).mT
        return framed.flatten(1) @ self.coupling()[0].mT


class SiteHead(nn.Module):
    """An element's own blocks, symmetric.

    Irreps are predicted in units of exp(``log_scale``), those of L = 0 on top of ``mean`` (eV).
    """

    log_scale: torch.Tensor
    mean: torch.Tensor

    def __init__(self, channels: int, scalars: int, max_l: int, shells: Sequence[Shell]) -> None:
        super().__init__()
        self.shells, self.max_l = tuple(shells), max_l
        self.sizes = site_coupling(shells, max_l).sizes
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(channels, n) / math.sqrt(channels)) for n in self.sizes
        )
        self.scalar = nn.Linear(scalars, self.sizes[0])
        n = len(irreps_of_block(shells, shells))
        self.register_buffer("log_scale", torch.full((n,), _START))
        self.register_buffer("mean", torch.zeros(n))

    @property
    def width(self) -> int:
        """Orbitals of the atom."""
        return sum(s.size for s in self.shells)

    def coupling(self) -> _Kept:
        """K (n_components, n²) and every component's irrep."""
        return _site(self.shells, self.max_l, self.mean.dtype, self.mean.device)

    def fit_scale(self, components: torch.Tensor) -> None:
        """Set means and units from data: ``components`` (n_atoms, n_components), eV."""
        irrep, n = self.coupling()[1], len(self.mean)
        mean = torch.zeros_like(self.mean)
        mean[irrep[: self.sizes[0]]] = components[:, : self.sizes[0]].mean(0)
        square = _by_irrep((components - mean[irrep]).square(), irrep, n).mean(0)
        self.mean.copy_(mean)
        self.log_scale.copy_(0.5 * torch.log(square + _SITE_FLOOR**2))

    def forward(self, x: torch.Tensor, scalars: torch.Tensor) -> torch.Tensor:
        """Blocks (n_atoms, n, n), eV, of features (n_atoms, (max_l + 1)², 2, channels)."""
        k, irrep = self.coupling()
        told = []
        for place, w in enumerate(self.weights):
            l, kind = divmod(place, 2)  # noqa: E741
            told.append((x[:, l * l : (l + 1) ** 2, kind] @ w).flatten(1))
        told[0] = told[0] + self.scalar(scalars)
        values = torch.cat(told, 1) * torch.exp(self.log_scale)[irrep] + self.mean[irrep]
        n = self.width
        blocks = (values @ k).view(-1, n, n)
        return (blocks + blocks.mT) / 2

    def irreps(self, blocks: torch.Tensor) -> torch.Tensor:
        """Coupled irreps of blocks (n_atoms, n, n), eV, (n_atoms, n_components)."""
        return blocks.flatten(1) @ self.coupling()[0].mT


def _by_irrep(values: torch.Tensor, irrep: torch.Tensor, count: int) -> torch.Tensor:
    """Means over the components of each irrep, (n, count)."""
    total = values.new_zeros(len(values), count).index_add(1, irrep, values)
    return total / torch.bincount(irrep, minlength=count).clamp(min=1)
