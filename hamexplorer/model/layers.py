"""Equivariant linear maps and gated residuals on features held by irreps block.

Nodes have blocks (n, 2l + 1, mul), edges in their frames (mul, 2l + 1, n): ``channels`` is the axis
of mul, −1 or 0.
"""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import nn

__all__ = ["BlockLinear", "GatedResidual"]

_SSP, _TANH = 1.878204668541552, 1.5937334472592695
"""Factors that give shifted softplus and tanh of a normal variable the second moment 1."""


class BlockLinear(nn.Module):
    """y_o = x_i W/√mul_i for equal irreps i = o, without bias; each irrep occurs once.

    ``weight`` is flat: blocks in the order of ``irreps_in``, each (mul_in, mul_out) row-major.
    """

    def __init__(self, irreps_in: o3.Irreps, irreps_out: o3.Irreps) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = o3.Irreps(irreps_in), o3.Irreps(irreps_out)
        places = {ir: o for o, (_, ir) in enumerate(self.irreps_out)}
        self._pairs = [
            (i, places[ir], mul, self.irreps_out[places[ir]].mul)
            for i, (mul, ir) in enumerate(self.irreps_in)
            if ir in places
        ]
        self.weight = nn.Parameter(torch.randn(sum(a * b for *_, a, b in self._pairs)))

    def matrices(self) -> dict[int, torch.Tensor]:
        """W/√mul_i by output block."""
        result, start = {}, 0
        for _, o, a, b in self._pairs:
            result[o] = self.weight[start : start + a * b].view(a, b) / math.sqrt(a)
            start += a * b
        return result

    def forward(self, x: list[torch.Tensor], channels: int) -> list[torch.Tensor]:
        """Blocks of ``irreps_out``; those without a source are zero."""
        w = self.matrices()
        source = {o: i for i, o, *_ in self._pairs}
        result = []
        for o, (mul, ir) in enumerate(self.irreps_out):
            if o not in source:
                n = x[0].shape[-1 if channels == 0 else 0]
                shape = (mul, ir.dim, n) if channels == 0 else (n, ir.dim, mul)
                result.append(x[0].new_zeros(shape))
            elif channels == 0:
                block = x[source[o]]
                result.append((w[o].mT @ block.flatten(1)).view(mul, *block.shape[1:]))
            else:
                result.append(x[source[o]] @ w[o])
        return result


class GatedResidual(nn.Module):
    """x + Lin₂(gate(Lin₁(x))).

    Even scalars pass a shifted softplus, odd ones tanh; a block of higher l is multiplied by gates,
    further even scalars that pass the softplus.
    """

    def __init__(self, irreps: o3.Irreps) -> None:
        super().__init__()
        self.irreps = o3.Irreps(irreps)
        gates = sum(mul for mul, ir in self.irreps if ir.l > 0)
        inner = [(mul + gates if ir == o3.Irrep("0e") else mul, ir) for mul, ir in self.irreps]
        self.first = BlockLinear(self.irreps, o3.Irreps(inner))
        self.second = BlockLinear(self.irreps, self.irreps)

    def forward(self, x: list[torch.Tensor], channels: int) -> list[torch.Tensor]:
        """Blocks of the same irreps."""
        inner = self.first(x, channels)
        even = next(k for k, (_, ir) in enumerate(self.irreps) if ir == o3.Irrep("0e"))
        activated = _SSP * (nn.functional.softplus(inner[even]) - math.log(2))
        start = self.irreps[even].mul
        acted = []
        for k, (mul, ir) in enumerate(self.irreps):
            if k == even:
                acted.append(activated.narrow(channels, 0, mul))
            elif ir.l == 0:
                acted.append(_TANH * torch.tanh(inner[k]))
            else:
                acted.append(inner[k] * activated.narrow(channels, start, mul))
                start += mul
        return [a + b for a, b in zip(x, self.second(acted, channels), strict=True)]
