"""The published network's own numbers (tests/data/model), and our channels with its weights."""

from __future__ import annotations

import io
import lzma
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import yaml
from e3nn import o3
from plain_network import Graph, PlainNetwork, Weights

from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.network import from_frames
from hamexplorer.model.published import load_published
from hamexplorer.model.spin_channels import Channel, Kind

__all__ = ["CASES", "FOLDERS", "SHELLS", "Published", "flat", "intermediates", "published"]

DATA = Path(__file__).parents[1] / "data" / "model"
FOLDERS = ("micro14_sic", "micro26_wse2")
CASES = [(folder, kind) for folder in FOLDERS for kind in ("scalar", "spin_orbit")]
SHELLS = {14: (0, 0, 0, 1, 1, 2), 26: (0, 0, 0, 1, 1, 2, 2, 3)}
_FILE = {"scalar": "nonsoc", "spin_orbit": "soc"}


@dataclass(frozen=True, eq=False)
class Published:
    """One channel's weights, graph (``in_*``), intermediates (``mid_*``), results (``out_*``)."""

    kind: Kind
    p: Hyperparameters
    shells: tuple[int, ...]
    state: Weights
    arrays: dict[str, torch.Tensor]

    def __call__(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """An array, of ``dtype`` if it is real."""
        array = self.arrays[name]
        return array.to(dtype) if array.is_floating_point() else array

    def graph(self, dtype: torch.dtype) -> Graph:
        source, target = self.arrays["in_edge_index"]
        return Graph(
            self.arrays["in_z"],
            self("in_pos", dtype),
            source,
            target,
            self("in_nbr_shift", dtype),
            self.arrays["in_inv_edge_idx"],
        )

    def mids(self) -> dict[str, torch.Tensor]:
        return {k.removeprefix("mid_"): v for k, v in self.arrays.items() if k.startswith("mid_")}

    def channel(self, dtype: torch.dtype) -> Channel:
        channel = Channel(self.kind, self.p, self.shells)
        load_published(channel, self.state)
        return channel.to(dtype)

    def plain(self, dtype: torch.dtype) -> PlainNetwork:
        weights = {k: v.to(dtype) for k, v in self.state.items() if v.is_floating_point()}
        return PlainNetwork(self.kind, self.p, self.shells, weights)


@lru_cache(maxsize=8)
def published(folder: str, kind: Kind) -> Published:
    """A fixture."""
    path, name = DATA / folder, _FILE[kind]
    config = yaml.safe_load((path / f"config_{name}.yaml").read_text())
    network = config["representation_nets"]["HamGNN_pre"]
    checkpoint = torch.load(_unpacked(path / f"{name}.ckpt.xz"), weights_only=True)
    with np.load(_unpacked(path / f"{name}_io.npz.xz")) as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file}
    return Published(
        kind,
        Hyperparameters(
            o3.Irreps(network["irreps_node_features"]),
            o3.Irreps(network["irreps_edge_sh"]),
            n_layers=network["num_layers"],
            cutoff=network["cutoff"],
            n_radial=network["num_radial"],
            radial_hidden=tuple(network["radial_MLP"]),
            n_types=network["num_types"],
            legacy_edge_update=network["legacy_edge_update"],
        ),
        SHELLS[config["output_nets"]["HamGNN_out"]["nao_max"]],
        checkpoint["state_dict"],
        arrays,
    )


def _unpacked(path: Path) -> io.BytesIO:
    return io.BytesIO(lzma.decompress(path.read_bytes()))


def flat(blocks: list[torch.Tensor]) -> torch.Tensor:
    """(n, 2l + 1, mul) per irrep to e3nn's (n, dim)."""
    return torch.cat([b.transpose(1, 2).flatten(1) for b in blocks], dim=1)


def intermediates(channel: Channel, graph: Graph) -> tuple[Weights, torch.Tensor, torch.Tensor]:
    """What the fast network computes on its way, under the published names and in their layout,
    and its blocks on sites and edges.
    """
    seen: dict[str, list[torch.Tensor]] = {}

    def keep(module: torch.nn.Module, name: str) -> None:
        handles.append(module.register_forward_hook(lambda _m, _i, out: seen.update({name: out})))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    backbone = channel.backbone
    handles.append(
        backbone.convolutions[0].register_forward_pre_hook(
            lambda _m, inputs: seen.update({"chemical_embedding": inputs[0]})
        )
    )
    keep(backbone.pair_embedding, "pair_embedding")
    for layer, convolution in enumerate(backbone.convolutions):
        keep(convolution, f"conv{layer}")
    for layer, pair in backbone.pairs.items():
        keep(pair, f"pair{layer}")
    network = {"scalar": "hamiltonian_network", "spin_orbit": "ksi_network"}[channel.kind]
    keep(channel.onsite.linear, f"onsite_{network}")
    keep(channel.offsite.linear, f"offsite_{network}")
    try:
        edges = backbone.edges(graph.positions, graph.source, graph.target, graph.shift)
        result = channel(graph.numbers, edges)
    finally:
        for handle in handles:
            handle.remove()
    if backbone.hyperparameters.legacy_edge_update:
        seen["pair0"] = seen["pair_embedding"]
    values: Weights = {"edge_embedding": edges.radial}
    for name, value in seen.items():
        at_edges = name.startswith(("pair", "offsite"))
        value = from_frames(value, edges.frames) if at_edges else value
        if name.endswith("hamiltonian_network"):
            values[name] = published_channels(channel, value)
        else:
            values[name] = flat(value)
    harmonics = [ir.l for _, ir in backbone.hyperparameters.harmonics]
    # Y is √(2l + 1) at m = 0 of the frame: the first row of what turns into it
    rows = [edges.frames.matrices[k][:, 0] * (2 * k + 1) ** 0.5 for k in harmonics]
    values["edge_attrs"] = torch.cat(rows, dim=1)
    return values, result.onsite, result.offsite


def published_channels(channel: Channel, y: list[torch.Tensor]) -> torch.Tensor:
    """Coupled channels of a block head in the published order: pair of shells by pair of shells."""
    head = channel.onsite
    columns = {
        (ir.l, ir.p): iter(block.unbind(2)) for (_, ir), block in zip(head.coupled, y, strict=True)
    }
    found = []
    for _, _, big, parity in head.channels:
        if (big, parity) in columns:
            found.append(next(columns[big, parity]))
        else:
            found.append(y[0].new_zeros(len(y[0]), 2 * big + 1))
    return torch.cat(found, dim=1)
