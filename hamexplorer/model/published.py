"""Weights under the published network's names, taken into ours.

The names are facts of its checkpoints (docs/model.md). Buffers that follow from the sizes (coupling
coefficients, masks) are passed over; the radial functions' frequencies and cutoff, which do not,
are compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

import torch
from torch import nn

from hamexplorer.errors import FileFormatError
from hamexplorer.model.filters import EdgeFilter
from hamexplorer.model.heads import BlockHead, ScalarHead
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.layers import BlockLinear, GatedResidual
from hamexplorer.model.network import Convolution, Message, PairInteraction
from hamexplorer.model.spin_channels import Channel

__all__ = ["HEADS", "load_published"]

State = Mapping[str, torch.Tensor]
HEADS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "scalar": (("onsite_hamiltonian_network", "onsitenet_h"),
               ("offsite_hamiltonian_network", "offsitenet_h")),
    "spin_orbit": (("onsite_ksi_network", "onsitenet_ksi"),
                   ("offsite_ksi_network", "offsitenet_ksi")),
}  # fmt: skip
"""Names of the heads since version 2.1 and in 2.0, on sites and on pairs."""

_FREQUENCIES = "representation.radial_basis_functions.freqs"
_CUTOFF = "representation.cutoff_func.cutoff"
_SAME = 1e-4
_LAYER = re.compile(r"representation\.(?:convolutions|pair_interactions)\.(\d+)\.")


class _Weight(NamedTuple):
    """One parameter, the checkpoint's name for it, and its numbers there."""

    parameter: nn.Parameter
    name: str
    value: torch.Tensor


def load_published(channel: Channel, state: State) -> None:
    """Give ``channel``, which may have been laid out on the meta device, a published checkpoint's
    weights.

    Raises:
        FileFormatError: a weight is missing, is not finite, or has another size than the
            hyper-parameters say; or the radial functions have other frequencies or another cutoff.
    """
    _check_radial(channel.backbone.hyperparameters, state)
    _check_depth(channel.backbone.hyperparameters, state)
    names = {id(parameter): name for name, parameter in channel.named_parameters()}
    found = {}
    for parameter, name, value in _weights(channel, state):
        if value.numel() != parameter.numel():
            raise _wrong_size(name, value.numel(), parameter.numel())
        if not bool(torch.isfinite(value).all()):
            raise FileFormatError(f"Weight {name!r} holds numbers that are not finite.")
        own = torch.empty(parameter.shape, dtype=parameter.dtype)
        found[names[id(parameter)]] = own.copy_(value.reshape(parameter.shape))
    channel.load_state_dict(found, assign=True)


def _check_depth(p: Hyperparameters, state: State) -> None:
    """No layer of the checkpoint is left out."""
    layers = [int(found[1]) for name in state if (found := _LAYER.match(name))]
    if layers and max(layers) >= p.n_layers:
        raise FileFormatError(
            f"The checkpoint has {max(layers) + 1} layers, by the configuration it has "
            f"{p.n_layers}: a wrong configuration."
        )


def _check_radial(p: Hyperparameters, state: State) -> None:
    """sin(nπr/c)/r and c, which no size tells, are those of the hyper-parameters."""
    cutoff = state.get(_CUTOFF)
    if cutoff is not None and (
        cutoff.numel() != 1 or not abs(float(cutoff) - p.cutoff) <= _SAME * p.cutoff
    ):
        raise FileFormatError(
            f"The checkpoint's cutoff is {cutoff.tolist()} bohr, by the configuration it is "
            f"{p.cutoff:g}: a wrong configuration."
        )
    frequencies = state.get(_FREQUENCIES)
    if frequencies is None:
        raise FileFormatError(
            f"The checkpoint has no {_FREQUENCIES!r}: its radial functions are not Bessel's, which "
            "are the only ones supported."
        )
    if frequencies.numel() != p.n_radial:
        raise _wrong_size(_FREQUENCIES, frequencies.numel(), p.n_radial)
    expected = torch.arange(1, p.n_radial + 1, dtype=torch.float64) * math.pi / p.cutoff
    # written so that NaN fails, too
    if not bool((frequencies.double() - expected).abs().max() <= _SAME * expected[-1]):
        raise FileFormatError(
            f"{_FREQUENCIES!r} are not nπ/{p.cutoff:g}: a wrong cutoff in the configuration, or "
            "radial functions that are not supported."
        )


def _wrong_size(name: str, found: int, expected: int) -> FileFormatError:
    return FileFormatError(
        f"Weight {name!r} has {found} numbers, but by the hyper-parameters there are {expected}: "
        "another architecture, or a wrong configuration."
    )


def _weights(channel: Channel, state: State) -> Iterator[_Weight]:
    take = _Taker(state)
    root = "representation"
    backbone = channel.backbone
    yield take.one(backbone.species, f"{root}.chemical_embedding.linear.weight")
    pairs = f"{root}.pair_embedding"
    yield take.one(backbone.pair_embedding.source, f"{pairs}.linear_up_src.weight")
    yield take.one(backbone.pair_embedding.target, f"{pairs}.linear_up_dst.weight")
    yield from take.filter(backbone.pair_embedding.filter, f"{pairs}.conv_tp.")
    for layer, convolution in enumerate(cast("Iterable[Convolution]", backbone.convolutions)):
        name = f"{root}.convolutions.{layer}"
        yield from take.message(convolution.message, f"{name}.conv_tp.")
        yield from take.residual(convolution.residual, f"{name}.residual")
        yield take.linear(convolution.skip, f"{name}.skip_linear")
    for number, module in backbone.pairs.items():
        interaction = cast("PairInteraction", module)
        name = f"{root}.pair_interactions.{number}"
        yield take.linear(interaction.source, f"{name}.linear_up_src")
        yield take.linear(interaction.target, f"{name}.linear_up_tar")
        yield from take.message(interaction.message, f"{name}.conv_tp.")
        yield take.linear(interaction.skip, f"{name}.skip_linear")
    for module, names in zip((channel.onsite, channel.offsite), HEADS[channel.kind], strict=True):
        head = cast("BlockHead | ScalarHead", module)
        known = [f"output_module.{n}" for n in names]
        name = next((n for n in known if f"{n}.linear_transform.weight" in state), known[0])
        yield from take.residual(head.residual, f"{name}.residual_block")
        last = take.linear(head.linear, f"{name}.linear_transform")
        if isinstance(head, BlockHead) and last.value.numel() == last.parameter.numel():
            last = last._replace(value=_by_channel(head, last.value))
        yield last


class _Taker:
    """Finds weights by their names."""

    def __init__(self, state: State) -> None:
        self._state = state

    def one(self, parameter: nn.Parameter, name: str) -> _Weight:
        if name not in self._state:
            raise FileFormatError(f"The checkpoint has no weight {name!r}.")
        return _Weight(parameter, name, self._state[name])

    def linear(self, linear: BlockLinear, name: str) -> _Weight:
        return self.one(linear.weight, f"{name}.weight")

    def residual(self, residual: GatedResidual, name: str) -> Iterator[_Weight]:
        yield self.linear(residual.first, f"{name}.linear1")
        second = self.linear(residual.second, f"{name}.linear2")
        if second.value.numel() == second.parameter.numel():
            second = second._replace(value=_from_scalars_first(residual, second.value))
        yield second

    def message(self, message: Message, name: str) -> Iterator[_Weight]:
        yield from self.filter(message.node, f"{name}node_")
        yield from self.filter(message.edge, f"{name}edge_")
        yield self.linear(message.node_out, f"{name}node_linear_out")
        yield self.linear(message.edge_out, f"{name}edge_linear_out")

    def filter(self, f: EdgeFilter, name: str) -> Iterator[_Weight]:
        """``name`` ends with what precedes tensor_product, weight_generator, linear_scaler."""
        yield self.one(f.product, f"{name}tensor_product.weight")
        for layer, weight in enumerate(f.radial.layers):
            yield self.one(weight, f"{name}weight_generator.layer{layer}.weight")
        mixers = list(f.mixers)
        total = sum(mixer.numel() for mixer in mixers)
        _, mixer_name, weight = self.one(mixers[0], f"{name}linear_scaler.linear_out.weight")
        if weight.numel() != total:
            raise _wrong_size(mixer_name, weight.numel(), total)
        # the published rows come block after block, blocks sorted by (l, parity)
        irreps = f.paths.irreps_out
        start = 0
        for o in sorted(range(len(irreps)), key=lambda o: (irreps[o].ir.l, irreps[o].ir.p)):
            end = start + mixers[o].numel()
            yield _Weight(mixers[o], mixer_name, weight[start:end])
            start = end


def _from_scalars_first(residual: GatedResidual, weight: torch.Tensor) -> torch.Tensor:
    """The published gate gives scalars before all else; ours keeps the features' order."""
    irreps = residual.irreps
    published = sorted(range(len(irreps)), key=lambda k: irreps[k].ir.l > 0)
    parts = weight.reshape(-1).split([irreps[k].mul ** 2 for k in published])
    own = dict(zip(published, parts, strict=True))
    return torch.cat([own[k] for k in range(len(irreps))])


def _by_channel(head: BlockHead, weight: torch.Tensor) -> torch.Tensor:
    """The published head keeps channel after channel, (channels, mul); ours is (mul, channels)."""
    parts, start = [], 0
    features = {ir: mul for mul, ir in head.linear.irreps_in}
    for count, ir in head.coupled:
        size = count * features[ir]
        parts.append(weight[start : start + size].reshape(count, -1).T.reshape(-1))
        start += size
    return torch.cat(parts)
