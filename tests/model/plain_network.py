"""The HamGNN-compatible network in plain e3nn: the reference of tests and benchmarks.

Slow and obvious, written step by step as the architecture is defined (docs/model.md), as functions
of a state dictionary (published names) and a graph; every intermediate is returned. ``ops`` says
how linear maps and tensor products are done (plain_operations.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from e3nn import o3
from plain_operations import Einsums, Operations, product_paths

from hamexplorer.model.hyperparameters import Hyperparameters

__all__ = [
    "Graph",
    "PlainNetwork",
    "Weights",
    "blocks",
    "head_irreps",
    "random_weights",
    "shell_averaged",
    "weight_shapes",
]

Weights = dict[str, torch.Tensor]

SILU, SSP, TANH = 1.6791767923989418, 1.878204668541552, 1.5937334472592695
_NETWORK = {"scalar": "hamiltonian_network", "spin_orbit": "ksi_network"}


@dataclass(frozen=True, eq=False)
class Graph:
    """A structure as the network sees it; lengths in bohr.

    ``numbers`` (n,) atomic numbers, ``positions`` (n, 3), ``source`` and ``target`` (n_edges,),
    ``shift`` (n_edges, 3) of the target's image, ``inverse`` (n_edges,) the edge back.
    """

    numbers: torch.Tensor
    positions: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    shift: torch.Tensor
    inverse: torch.Tensor


class PlainNetwork:
    """One channel: ``kind`` scalar or spin_orbit, its weights, the l of the layout's shells."""

    def __init__(
        self,
        kind: str,
        p: Hyperparameters,
        shells: tuple[int, ...],
        weights: Weights,
        ops: Operations | None = None,
    ) -> None:
        self.kind, self.p, self.shells, self.weights = kind, p, shells, weights
        self.ops = ops or Einsums()

    def __call__(self, graph: Graph) -> tuple[torch.Tensor, torch.Tensor, Weights]:
        """Blocks on sites and on edges, neither symmetrised nor masked, and intermediates."""
        x, e, seen = self.backbone(graph)
        result = []
        for place, features in (("onsite", x), ("offsite", e)):
            name = f"{place}_{_NETWORK[self.kind]}"
            h = self.residual(f"output_module.{name}.residual_block", features)
            out = head_irreps(self.kind, self.shells)
            y = self._linear(f"output_module.{name}.linear_transform", h, self.p.features, out)
            seen[name] = y
            assemble = blocks if self.kind == "scalar" else shell_averaged
            result.append(assemble(y, self.shells))
        return result[0], result[1], seen

    def backbone(self, graph: Graph) -> tuple[torch.Tensor, torch.Tensor, Weights]:
        """Node and edge features, with every intermediate."""
        p, f, r = self.p, self.p.features, "representation"
        src, dst = graph.source, graph.target
        y, radial = harmonics_and_radial(p, graph)
        types = o3.Irreps([(p.n_types, "0e")])
        onehot = torch.nn.functional.one_hot(graph.numbers, p.n_types).to(graph.positions.dtype)
        pair = f"{r}.pair_embedding"
        up = self._linear(f"{pair}.linear_up_src", onehot, types, types)[src]
        up = up + self._linear(f"{pair}.linear_up_dst", onehot, types, types)[dst]
        e = self.filtered(f"{pair}.conv_tp.", up, types, y, radial)
        x = self._linear(f"{r}.chemical_embedding.linear", onehot, types, f)
        seen = {
            "edge_attrs": y,
            "edge_embedding": radial,
            "pair_embedding": e,
            "chemical_embedding": x,
        }
        for layer in range(p.n_layers):
            c = f"{r}.convolutions.{layer}"
            m = self.message(f"{c}.conv_tp.", x[src], x[dst], e, y, radial)
            total = torch.zeros_like(x).index_add(0, dst, m)
            x = self.residual(f"{c}.residual", total) + self._linear(f"{c}.skip_linear", x, f, f)
            c = f"{r}.pair_interactions.{layer}"
            if layer or not p.legacy_edge_update:
                s = self._linear(f"{c}.linear_up_src", x, f, f)[src]
                t = self._linear(f"{c}.linear_up_tar", x, f, f)[dst]
                m = self.message(f"{c}.conv_tp.", s, t, e, y, radial)
                e = m + self._linear(f"{c}.skip_linear", e, f, f)
            seen |= {f"conv{layer}": x, f"pair{layer}": e}
        return x, e, seen

    def message(
        self,
        name: str,
        source: torch.Tensor,
        target: torch.Tensor,
        edges: torch.Tensor,
        y: torch.Tensor,
        radial: torch.Tensor,
    ) -> torch.Tensor:
        """Node and edge branches of an interaction."""
        f = self.p.features
        node = torch.cat([part[:, s] for s in f.slices() for part in (source, target)], dim=1)
        n = self.filtered(f"{name}node_", node, twice(f), y, radial)
        e = self.filtered(f"{name}edge_", edges, f, y, radial)
        return self._linear(f"{name}node_linear_out", n, f, f) + self._linear(
            f"{name}edge_linear_out", e, f, f
        )

    def filtered(
        self,
        name: str,
        x: torch.Tensor,
        irreps: o3.Irreps,
        y: torch.Tensor,
        radial: torch.Tensor,
    ) -> torch.Tensor:
        """Tensor product with Y, every channel times its own function of r, linear map to F."""
        f = self.p.features
        product = self.weights[f"{name}tensor_product.weight"]
        mid, irreps_mid = self.ops.tensor_product(x, y, product, (irreps, self.p.harmonics, f))
        dims = torch.tensor([ir.dim for mul, ir in irreps_mid for _ in range(mul)])
        scales = self.radial_network(f"{name}weight_generator", radial)
        wide = scales.repeat_interleave(dims.to(scales.device), dim=1)
        return self._linear(f"{name}linear_scaler.linear_out", mid * wide, irreps_mid.simplify(), f)

    def radial_network(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Layers x W/√fan_in with normalised silu between them."""
        for layer in range(len(self.p.radial_widths)):
            w = self.weights[f"{name}.layer{layer}.weight"]
            if layer:
                x = SILU * torch.nn.functional.silu(x)
            x = x @ w / math.sqrt(len(w))
        return x

    def residual(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """x + Lin₂(gate(Lin₁(x)))."""
        f = self.p.features
        scalars, gates, gated = gate_parts(f)
        ordered = (scalars + gates + gated).sort()
        h = self._linear(f"{name}.linear1", x, f, ordered.irreps.simplify())
        slices = ordered.irreps.slices()
        pieces = [h[:, slices[place]] for place in ordered.p]  # back in the parts' own order
        acted = [
            SSP * ssp(piece) if ir.p > 0 else TANH * torch.tanh(piece)
            for (_, ir), piece in zip(scalars, pieces, strict=False)
        ]
        ends = len(scalars), len(scalars) + len(gates)
        for (mul, ir), gate, piece in zip(
            gated, pieces[ends[0] : ends[1]], pieces[ends[1] :], strict=True
        ):
            block = piece.reshape(len(x), mul, ir.dim) * SSP * ssp(gate)[:, :, None]
            acted.append(block.flatten(1))
        return x + self._linear(f"{name}.linear2", torch.cat(acted, dim=1), scalars + gated, f)

    def _linear(
        self, name: str, x: torch.Tensor, irreps_in: o3.Irreps, irreps_out: o3.Irreps
    ) -> torch.Tensor:
        return self.ops.linear(x, self.weights[f"{name}.weight"], irreps_in, irreps_out)


def harmonics_and_radial(p: Hyperparameters, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    """Y(edge) and sin(nπr/c)/r · ½(1 + cos(πr/c)) for r = x_target + shift − x_source."""
    vector = graph.positions[graph.target] + graph.shift - graph.positions[graph.source]
    length = vector.norm(dim=1, keepdim=True)
    y = o3.spherical_harmonics(
        p.harmonics, vector[:, [1, 2, 0]], normalize=True, normalization="component"
    )
    n = torch.arange(1, p.n_radial + 1, dtype=length.dtype, device=length.device)
    cut = 0.5 * (1 + torch.cos(math.pi * length / p.cutoff)) * (length < p.cutoff)
    return y, torch.sin(n * math.pi * length / p.cutoff) / length * cut


def twice(irreps: o3.Irreps) -> o3.Irreps:
    """Every irrep with twice its multiplicity."""
    return o3.Irreps([(2 * mul, ir) for mul, ir in irreps])


def ssp(x: torch.Tensor) -> torch.Tensor:
    """Shifted softplus."""
    return torch.nn.functional.softplus(x) - math.log(2)


def gate_parts(features: o3.Irreps) -> tuple[o3.Irreps, o3.Irreps, o3.Irreps]:
    """Scalars, a gate for every other channel, and those."""
    scalars = o3.Irreps([(mul, ir) for mul, ir in features if ir.l == 0])
    gated = o3.Irreps([(mul, ir) for mul, ir in features if ir.l > 0])
    return scalars, o3.Irreps([(mul, "0e") for mul, _ in gated]), gated


def head_irreps(kind: str, shells: tuple[int, ...]) -> o3.Irreps:
    """One channel for every L that a pair of shells couples to, or a scalar per element."""
    if kind == "spin_orbit":
        return o3.Irreps([(sum(2 * a + 1 for a in shells) ** 2, "0e")])
    return o3.Irreps(
        [
            (1, (big, (-1) ** (a + b)))
            for a in shells
            for b in shells
            for big in range(abs(a - b), a + b + 1)
        ]
    )


def blocks(y: torch.Tensor, shells: tuple[int, ...]) -> torch.Tensor:
    """Coupled channels to blocks (n, width, width), rows m = −l … l of harmonics of (y, z, x)."""
    at, rows = 0, []
    for a in shells:
        row = []
        for b in shells:
            block = y.new_zeros(len(y), 2 * a + 1, 2 * b + 1)
            for big in range(abs(a - b), a + b + 1):
                c = o3.wigner_3j(a, b, big, dtype=y.dtype, device=y.device)
                part = y[:, at : at + 2 * big + 1]
                block = block + math.sqrt(2 * big + 1) * torch.einsum("zk,ijk->zij", part, c)
                at += 2 * big + 1
            row.append(block)
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=1)


def shell_averaged(y: torch.Tensor, shells: tuple[int, ...]) -> torch.Tensor:
    """A number per matrix element (n, width²), averaged within every pair of shells."""
    sizes = [2 * a + 1 for a in shells]
    square = y.reshape(len(y), sum(sizes), sum(sizes))
    rows = [
        torch.cat(
            [part.mean(dim=(1, 2), keepdim=True).expand_as(part) for part in row.split(sizes, 2)],
            dim=2,
        )
        for row in square.split(sizes, 1)
    ]
    return torch.cat(rows, dim=1)


def weight_shapes(
    kind: str, p: Hyperparameters, shells: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Published names and shapes of all weights that are trained."""
    f, types = p.features, o3.Irreps([(p.n_types, "0e")])
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, irreps_in: o3.Irreps, irreps_out: o3.Irreps) -> None:
        pairs = [(a, b) for a, ir in irreps_in for b, other in irreps_out if ir == other]
        shapes[f"{name}.weight"] = (sum(a * b for a, b in pairs),)

    def filtered(name: str, irreps: o3.Irreps) -> None:
        kinds = product_paths((irreps, p.harmonics, f))
        shapes[f"{name}tensor_product.weight"] = (sum(irreps[i].mul * m for i, _, m, _ in kinds),)
        widths = (*p.radial_widths, sum(mul for _, _, mul, _ in kinds))
        for layer in range(len(widths) - 1):
            shapes[f"{name}weight_generator.layer{layer}.weight"] = widths[layer : layer + 2]
        mid = o3.Irreps([(mul, ir) for *_, mul, ir in kinds]).simplify()
        linear(f"{name}linear_scaler.linear_out", mid, f)

    def message(name: str) -> None:
        for branch, irreps in (("node", twice(f)), ("edge", f)):
            filtered(f"{name}{branch}_", irreps)
            linear(f"{name}{branch}_linear_out", f, f)

    def residual(name: str) -> None:
        scalars, gates, gated = gate_parts(f)
        linear(f"{name}.linear1", f, (scalars + gates + gated).sort().irreps.simplify())
        linear(f"{name}.linear2", scalars + gated, f)

    r = "representation"
    for side in ("src", "dst"):
        linear(f"{r}.pair_embedding.linear_up_{side}", types, types)
    filtered(f"{r}.pair_embedding.conv_tp.", types)
    linear(f"{r}.chemical_embedding.linear", types, f)
    for layer in range(p.n_layers):
        message(f"{r}.convolutions.{layer}.conv_tp.")
        residual(f"{r}.convolutions.{layer}.residual")
        linear(f"{r}.convolutions.{layer}.skip_linear", f, f)
        if layer or not p.legacy_edge_update:
            for part in ("linear_up_src", "linear_up_tar", "skip_linear"):
                linear(f"{r}.pair_interactions.{layer}.{part}", f, f)
            message(f"{r}.pair_interactions.{layer}.conv_tp.")
    for place in ("onsite", "offsite"):
        name = f"output_module.{place}_{_NETWORK[kind]}"
        residual(f"{name}.residual_block")
        linear(f"{name}.linear_transform", f, head_irreps(kind, shells))
    return shapes


def random_weights(
    kind: str,
    p: Hyperparameters,
    shells: tuple[int, ...],
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Weights:
    """Normal weights under the published names."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in weight_shapes(kind, p, shells).items()
    }
