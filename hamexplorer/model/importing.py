"""A model from whatever file of weights there is: ours, or one of HamGNN's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.bundle import Member, bundle_of_path
from hamexplorer.formats.hamgnn.elements import LAYOUTS, known_elements, orbital_set
from hamexplorer.model.checkpoint import is_checkpoint, load_model
from hamexplorer.model.model import HamiltonianModel, ModelCard, OrbitalLayout
from hamexplorer.model.published import load_published
from hamexplorer.model.published_config import (
    check_variant,
    config_hyperparameters,
    first_update_idle,
    inferred_hyperparameters,
    inferred_width,
    orbital_width,
)
from hamexplorer.model.published_files import (
    PublishedNetwork,
    read_config,
    read_lightning,
    read_predictor,
)
from hamexplorer.model.spin_channels import Channel, Kind
from hamexplorer.model.torch_archive import is_torch_archive

__all__ = ["WeightFiles", "open_model"]

_PICKLE = b"\x80"
"""Every pickle since protocol 2 begins with it."""
_HAMGNN = (
    "Y. Zhong et al., Transferable equivariant graph neural networks for the Hamiltonians of "
    "molecules and solids, npj Comput. Mater. 9, 182 (2023)"
)
_UNIVERSAL = "The universal model: arXiv:2504.19586"


@dataclass(frozen=True)
class WeightFiles:
    """Files that make one model.

    Attributes:
        weights: our ``.safetensors``; HamGNN's ``.ckpt`` of the network without spin–orbit; or the
            universal model's ``.pkl``.
        config: YAML of a ``.ckpt``; None: told by the weights where they are of default size.
        weights_soc: ``.ckpt`` of the network with spin–orbit.
        config_soc: its YAML.
    """

    weights: Path
    config: Path | None = None
    weights_soc: Path | None = None
    config_soc: Path | None = None


def open_model(files: WeightFiles) -> HamiltonianModel:
    """The model that ``files`` hold, on the CPU. Nothing that a file says is run.

    Raises:
        FileFormatError: a file is missing, damaged, of another kind or variant, or does not fit its
            configuration.
        ResourceLimitError: a file is absurdly large for what it is.
        SettingsError: files that do not go together.
    """
    member = _member(files.weights)
    if is_torch_archive(member):
        return _of_lightning(files, member)
    beside = [f for f in (files.config, files.weights_soc, files.config_soc) if f is not None]
    if beside:
        raise SettingsError(
            f"{files.weights.name} holds all of its networks and their settings; {beside[0].name} "
            "goes with a .ckpt of HamGNN."
        )
    if is_checkpoint(member):
        return load_model(files.weights)
    if member.head.startswith(_PICKLE):
        return _of_predictor(member)
    raise FileFormatError(
        f"{files.weights.name} holds no weights that are known: accepted are hamexplorer's "
        ".safetensors, HamGNN's .ckpt (Lightning) and the universal model's .pkl."
    )


def _member(path: Path) -> Member:
    chosen = bundle_of_path(path).chosen
    if chosen is None:
        raise FileFormatError(f"{path.name} is a folder or an archive: give the file of weights.")
    return chosen


def _of_lightning(files: WeightFiles, member: Member) -> HamiltonianModel:
    if files.config_soc is not None and files.weights_soc is None:
        raise SettingsError("A configuration of spin–orbit needs the weights that it belongs to.")
    first = read_lightning(member)
    if first.has_spin_orbit:
        raise SettingsError(
            f"{member.name} is a network with spin–orbit. Give the network without first and this "
            "one beside it: ξ is learned on top of the other's Hamiltonian."
        )
    networks: dict[Kind, PublishedNetwork] = {"scalar": first}
    configs: dict[Kind, Member | None] = {"scalar": _member(files.config) if files.config else None}
    members = [member]
    if files.weights_soc is not None:
        members.append(_member(files.weights_soc))
        if not is_torch_archive(members[-1]):
            raise FileFormatError(f"{members[-1].name} is no .ckpt of HamGNN.")
        second = read_lightning(members[-1])
        if not second.has_spin_orbit:
            raise SettingsError(
                f"{members[-1].name} is a network without spin–orbit: it has no heads of ξ."
            )
        networks["spin_orbit"] = second
        configs["spin_orbit"] = _member(files.config_soc) if files.config_soc else None
    settings = {k: read_config(m) if m is not None else None for k, m in configs.items()}
    channels = {kind: _channel(n, kind, settings[kind]) for kind, n in networks.items()}
    notes = [note for kind, config in settings.items() for note in _notes(kind, config)]
    given = [*members, *(m for m in configs.values() if m is not None)]
    return _model(
        channels,
        title=f"HamGNN checkpoint {member.basename}",
        kind="Lightning checkpoint",
        files=given,
        notes=notes,
        citations=[_HAMGNN],
        facts={kind: dict(network.facts) for kind, network in networks.items()},
    )


def _of_predictor(member: Member) -> HamiltonianModel:
    """The script that the pickle was made for forces ``legacy_edge_update`` and sets
    ``use_corr_prod`` false, whatever the configurations say.
    """
    first, second = read_predictor(member)
    networks: dict[Kind, PublishedNetwork] = {"scalar": first}
    if second is not None:
        networks["spin_orbit"] = second
    channels = {}
    for kind, network in networks.items():
        assert network.config is not None
        channels[kind] = _channel(network, kind, _without_products(network.config), legacy=True)
    return _model(
        channels,
        title=f"HamGNN predictor {member.basename}",
        kind="pickled HamiltonianPredictor",
        files=[member],
        notes=[],
        citations=[_HAMGNN, _UNIVERSAL],
        facts={},
    )


def _without_products(config: Mapping[str, Any]) -> Mapping[str, Any]:
    nets = config.get("representation_nets")
    part = nets.get("HamGNN_pre") if isinstance(nets, Mapping) else None
    if not isinstance(nets, Mapping) or not isinstance(part, Mapping):
        return config
    changed = {**nets, "HamGNN_pre": {**part, "use_corr_prod": False}}
    return {**config, "representation_nets": changed}


def _channel(
    network: PublishedNetwork, kind: Kind, config: Mapping[str, Any] | None, legacy: bool = False
) -> tuple[Channel, int]:
    """The network with its weights, and its ``nao_max``."""
    weights = network.weights
    try:
        check_variant(weights)
        legacy = legacy or first_update_idle(weights)
        if config is not None:
            p = config_hyperparameters(config, kind, legacy=legacy)
            width = orbital_width(config)
        else:
            p = inferred_hyperparameters(weights, legacy=legacy)
            width = inferred_width(weights, p.features, kind)
        with torch.device("meta"):  # sizes are compared before anything is allocated
            channel = Channel(kind, p, [shell.l for shell in LAYOUTS[width]])
        load_published(channel, weights)
    except (FileFormatError, SettingsError) as error:
        raise FileFormatError(f"{network.name}: {error}") from error
    return channel, width


def _notes(kind: Kind, config: Mapping[str, Any] | None) -> list[str]:
    """What a user of the model must be told with every prediction."""
    if kind != "spin_orbit" or config is None:
        return []
    if config["output_nets"]["HamGNN_out"].get("add_H_nonsoc", True):
        return []
    return [
        "The network with spin–orbit was trained with a spin-independent part of its own "
        "(add_H_nonsoc: false), which is not used: that of the other network is."
    ]


def _model(
    channels: Mapping[Kind, tuple[Channel, int]],
    *,
    title: str,
    kind: str,
    files: list[Member],
    notes: list[str],
    citations: list[str],
    facts: Mapping[str, Any],
) -> HamiltonianModel:
    widths = {width for _, width in channels.values()}
    if len(widths) > 1:
        raise FileFormatError(
            "The two networks have different orbitals: nao_max is "
            f"{' and '.join(map(str, sorted(widths)))}."
        )
    (width,) = widths
    n_types = min(c.backbone.hyperparameters.n_types for c, _ in channels.values())
    origin = {
        "kind": kind,
        "files": {member.name: member.digest for member in files},
        "basis": "OpenMX PBE19",
        "nao_max": width,
        "notes": notes,
        "citations": citations,
        **({"training": facts} if any(facts.values()) else {}),
    }
    return HamiltonianModel(
        _layout(width, n_types),
        {kind: channel for kind, (channel, _) in channels.items()},
        ModelCard(title, origin=origin),
    )


def _layout(width: int, n_types: int) -> OrbitalLayout:
    """HamGNN's orbitals of every element that the block and the species' one-hot have room for."""
    shells = LAYOUTS[width]
    own = {
        symbol: tuple(shell for shell in orbital_set(symbol) if shell in shells)
        for symbol in known_elements(n_types)
    }
    return OrbitalLayout(shells, own)
