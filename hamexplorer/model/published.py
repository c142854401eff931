"""Weights under the published network's names, taken into ours.

The names are facts of its checkpoints (docs/model.md). Buffers that follow from the sizes (coupling
coefficients, masks, radial frequencies) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from hamexplorer.errors import FileFormatError
from hamexplorer.model.filters import EdgeFilter
from hamexplorer.model.heads import BlockHead
from hamexplorer.model.network import Backbone, Message
from hamexplorer.model.spin_channels import Channel

__all__ = ["load_published"]

State = Mapping[str, torch.Tensor]
_Assignments = Iterator[tuple[nn.Parameter, str, torch.Tensor]]
_HEADS = {
    "scalar": (("onsite_hamiltonian_network", "onsitenet_h"),
               ("offsite_hamiltonian_network", "offsitenet_h")),
    "spin_orbit": (("onsite_ksi_network", "onsitenet_ksi"),
                   ("offsite_ksi_network", "offsitenet_ksi")),
}  # fmt: skip
"""Names of the heads since version 2.1 and in 2.0, on sites and on pairs."""


def load_published(channel: Channel, state: State) -> None:
    """Fill ``channel`` with the weights of a published checkpoint.

    Raises:
        FileFormatError: a weight is missing, or has another size than the hyper-parameters say.
    """
    for parameter, name, weight in _assignments(channel, state):
        if weight.numel() != parameter.numel():
            raise FileFormatError(
                f"Weight {name!r} has {weight.numel()} numbers, but by the hyper-parameters there "
                f"are {parameter.numel()}: another architecture, or a wrong configuration."
            )
        with torch.no_grad():
            parameter.copy_(weight.reshape(parameter.shape))


def _assignments(channel: Channel, state: State) -> _Assignments:
    def one(parameter: nn.Parameter, name: str) -> tuple[nn.Parameter, str, torch.Tensor]:
        return _one(parameter, name, state)

    root = "representation"
    backbone: Backbone = channel.backbone
    yield one(backbone.species, f"{root}.chemical_embedding.linear.weight")
    pairs = f"{root}.pair_embedding"
    yield one(backbone.pair_embedding.source, f"{pairs}.linear_up_src.weight")
    yield one(backbone.pair_embedding.target, f"{pairs}.linear_up_dst.weight")
    yield from _filter(backbone.pair_embedding.filter, f"{pairs}.conv_tp.", state)
    for layer, convolution in enumerate(backbone.convolutions):
        name = f"{root}.convolutions.{layer}"
        yield from _message(convolution.message, f"{name}.conv_tp.", state)
        yield one(convolution.residual.first.weight, f"{name}.residual.linear1.weight")
        yield one(convolution.residual.second.weight, f"{name}.residual.linear2.weight")
        yield one(convolution.skip.weight, f"{name}.skip_linear.weight")
    for layer, interaction in backbone.pairs.items():
        name = f"{root}.pair_interactions.{layer}"
        yield one(interaction.source.weight, f"{name}.linear_up_src.weight")
        yield one(interaction.target.weight, f"{name}.linear_up_tar.weight")
        yield from _message(interaction.message, f"{name}.conv_tp.", state)
        yield one(interaction.skip.weight, f"{name}.skip_linear.weight")
    for head, names in zip((channel.onsite, channel.offsite), _HEADS[channel.kind], strict=True):
        found = next((n for n in names if f"output_module.{n}.linear_transform.weight" in state),
                     names[0])  # fmt: skip
        name = f"output_module.{found}"
        yield one(head.residual.first.weight, f"{name}.residual_block.linear1.weight")
        yield one(head.residual.second.weight, f"{name}.residual_block.linear2.weight")
        parameter, name, weight = one(head.linear.weight, f"{name}.linear_transform.weight")
        if isinstance(head, BlockHead) and weight.numel() == parameter.numel():
            weight = _by_channel(head, weight)
        yield parameter, name, weight


def _filter(f: EdgeFilter, name: str, state: State) -> _Assignments:
    """``name`` ends with what precedes tensor_product, weight_generator and linear_scaler."""
    yield _one(f.product, f"{name}tensor_product.weight", state)
    for layer, weight in enumerate(f.radial.layers):
        yield _one(weight, f"{name}weight_generator.layer{layer}.weight", state)
    mixers = f"{name}linear_scaler.linear_out.weight"
    _, _, weight = _one(f.mixers[0], mixers, state)
    # the published rows come block after block, blocks sorted by (l, parity)
    irreps = f.paths.irreps_out
    start = 0
    for o in sorted(range(len(irreps)), key=lambda o: (irreps[o].ir.l, irreps[o].ir.p)):
        end = start + f.mixers[o].numel()
        yield f.mixers[o], mixers, weight[start:end]
        start = end


def _message(message: Message, name: str, state: State) -> _Assignments:
    yield from _filter(message.node, f"{name}node_", state)
    yield from _filter(message.edge, f"{name}edge_", state)
    yield _one(message.node_out.weight, f"{name}node_linear_out.weight", state)
    yield _one(message.edge_out.weight, f"{name}edge_linear_out.weight", state)


def _one(
    parameter: nn.Parameter, name: str, state: State
) -> tuple[nn.Parameter, str, torch.Tensor]:
    if name not in state:
        raise FileFormatError(f"The checkpoint has no weight {name!r}.")
    return parameter, name, state[name]


def _by_channel(head: BlockHead, weight: torch.Tensor) -> torch.Tensor:
    """The published head keeps channel after channel, (channels, mul); ours is (mul, channels)."""
    parts, start = [], 0
    features = {ir: mul for mul, ir in head.linear.irreps_in}
    for count, ir in head.coupled:
        size = count * features[ir]
        parts.append(weight[start : start + size].reshape(count, -1).T.reshape(-1))
        start += size
    return torch.cat(parts)
