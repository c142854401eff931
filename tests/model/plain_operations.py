"""Linear maps and tensor products of the plain reference network, in two ways.

:class:`Einsums` writes each path out; :class:`Modules` calls e3nn's compiled ``o3.Linear`` and
``o3.TensorProduct``. Both take flat weights in the published order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

import torch
from e3nn import o3

__all__ = ["Einsums", "Modules", "Operations", "product_paths"]

ProductPath = tuple[int, int, int, o3.Irrep]


class Operations(Protocol):
    """What the network is made of."""

    def linear(
        self, x: torch.Tensor, weight: torch.Tensor, irreps_in: o3.Irreps, irreps_out: o3.Irreps
    ) -> torch.Tensor:
        """Y_o = Σ_i x_i W_io/√(Σ mul_i) over equal irreps."""

    def tensor_product(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor,
        irreps: tuple[o3.Irreps, o3.Irreps, o3.Irreps],
    ) -> tuple[torch.Tensor, o3.Irreps]:
        """Σ_u W[u, w] w3j x_u Y √((2l + 1)/mul), each path with an output block of its own."""


@lru_cache(maxsize=64)
def product_paths(irreps: tuple[o3.Irreps, o3.Irreps, o3.Irreps]) -> tuple[ProductPath, ...]:
    """(block of x, block of Y, multiplicity, irrep), sorted by the output's (l, parity)."""
    found = [
        (i, j, mul, ir)
        for i, (_, ir_1) in enumerate(irreps[0])
        for j, (_, ir_2) in enumerate(irreps[1])
        for mul, ir in irreps[2]
        if ir in ir_1 * ir_2
    ]
    return tuple(sorted(found, key=lambda path: (path[3].l, path[3].p)))


class Einsums:
    """Path by path, as the formulas stand."""

    def linear(
        self, x: torch.Tensor, weight: torch.Tensor, irreps_in: o3.Irreps, irreps_out: o3.Irreps
    ) -> torch.Tensor:
        result = [x.new_zeros(len(x), mul * ir.dim) for mul, ir in irreps_out]
        at = 0
        for (mul_in, ir_in), where in zip(irreps_in, irreps_in.slices(), strict=True):
            total = sum(mul for mul, ir in irreps_in if ir == ir_in)
            for number, (mul_out, ir_out) in enumerate(irreps_out):
                if ir_in != ir_out:
                    continue
                w = weight[at : at + mul_in * mul_out].reshape(mul_in, mul_out)
                at += mul_in * mul_out
                part = x[:, where].reshape(len(x), mul_in, ir_in.dim)
                mixed = torch.einsum("zui,uw->zwi", part, w) / math.sqrt(total)
                result[number] = result[number] + mixed.flatten(1)
        assert at == weight.numel(), (at, weight.numel())
        return torch.cat(result, dim=1)

    def tensor_product(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor,
        irreps: tuple[o3.Irreps, o3.Irreps, o3.Irreps],
    ) -> tuple[torch.Tensor, o3.Irreps]:
        kinds = product_paths(irreps)
        x_slices, y_slices = irreps[0].slices(), irreps[1].slices()
        result, at = [], 0
        for i, j, mul, ir in kinds:
            mul_1, ir_1 = irreps[0][i]
            w = weight[at : at + mul_1 * mul].reshape(mul_1, mul)
            at += mul_1 * mul
            first = x[:, x_slices[i]].reshape(len(x), mul_1, ir_1.dim)
            second = y[:, y_slices[j]]
            c = o3.wigner_3j(ir_1.l, irreps[1][j].ir.l, ir.l, dtype=x.dtype, device=x.device)
            out = torch.einsum("zui,zj,ijk,uw->zwk", first, second, c, w)
            result.append(out.flatten(1) * math.sqrt(ir.dim / mul_1))
        assert at == weight.numel(), (at, weight.numel())
        return torch.cat(result, dim=1), o3.Irreps([(mul, ir) for *_, mul, ir in kinds])


class Modules:
    """e3nn's modules, made and compiled at their first use and kept."""

    def __init__(self) -> None:
        self._linears: dict[tuple[str, ...], o3.Linear] = {}
        self._products: dict[tuple[str, ...], o3.TensorProduct] = {}

    def linear(
        self, x: torch.Tensor, weight: torch.Tensor, irreps_in: o3.Irreps, irreps_out: o3.Irreps
    ) -> torch.Tensor:
        key = (str(irreps_in), str(irreps_out), str(x.dtype))
        if key not in self._linears:
            made = o3.Linear(irreps_in, irreps_out, internal_weights=False, shared_weights=True)
            self._linears[key] = made.to(x)
        result: torch.Tensor = self._linears[key](x, weight)
        return result

    def tensor_product(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor,
        irreps: tuple[o3.Irreps, o3.Irreps, o3.Irreps],
    ) -> tuple[torch.Tensor, o3.Irreps]:
        kinds = product_paths(irreps)
        out = o3.Irreps([(mul, ir) for *_, mul, ir in kinds])
        key = (*map(str, irreps), str(x.dtype))
        if key not in self._products:
            made = o3.TensorProduct(
                irreps[0],
                irreps[1],
                out,
                [(i, j, k, "uvw", True) for k, (i, j, *_) in enumerate(kinds)],
                internal_weights=False,
                shared_weights=True,
            )
            self._products[key] = made.to(x)
        return self._products[key](x, y, weight), out
