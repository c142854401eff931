"""A trained Hamiltonian: its channels, the orbitals it knows, and what it was made of."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from pymatgen.core import Element

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Shell
from hamexplorer.model.spin_channels import Channel, Kind

__all__ = ["HamiltonianModel", "ModelCard", "OrbitalLayout"]

_MAX_WIDTH = 64
"""Heads keep a coupling matrix of width² × width² numbers."""


@dataclass(frozen=True)
class OrbitalLayout:
    """Which shells a block has room for, and which of them an element has.

    Attributes:
        shells: of the full block, in its order.
        elements: by symbol, the element's shells, a subset in the same order.

    Raises:
        SettingsError: an element has a shell that the block has not, or in another order; or the
            block has more than 64 orbitals, none, or a shell twice.
    """

    shells: tuple[Shell, ...]
    elements: Mapping[str, tuple[Shell, ...]]

    def __post_init__(self) -> None:
        if not 0 < self.width <= _MAX_WIDTH or len(set(self.shells)) < len(self.shells):
            raise SettingsError(
                f"A block has 1 … {_MAX_WIDTH} orbitals in shells that differ, not {self.width} in "
                f"{' '.join(s.label for s in self.shells)}."
            )
        for symbol, own in self.elements.items():
            places = [self.shells.index(s) if s in self.shells else -1 for s in own]
            if not own or -1 in places or places != sorted(places):
                raise SettingsError(
                    f"The shells of {symbol} ({' '.join(s.label for s in own)}) are not a part of "
                    f"the layout's {' '.join(s.label for s in self.shells)}."
                )

    @property
    def momenta(self) -> tuple[int, ...]:
        """L of every shell of the full block."""
        return tuple(shell.l for shell in self.shells)

    @property
    def width(self) -> int:
        """Orbitals of the full block."""
        return sum(shell.size for shell in self.shells)


@dataclass(frozen=True)
class ModelCard:
    """What a user must know of a model before trusting it.

    ``origin`` is plain data: where the weights came from. Of it ``notes`` (sentences) are told with
    every prediction, and ``citations`` are handed on.
    """

    title: str
    training_set: str = ""
    accuracy: str = ""
    licence: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    def listed(self, name: str) -> tuple[str, ...]:
        """A list of sentences of ``origin``."""
        found = self.origin.get(name, ())
        return tuple(str(item) for item in found) if isinstance(found, list | tuple) else ()


@dataclass(frozen=True, eq=False)
class HamiltonianModel:
    """Channels by kind: ``scalar`` always, ``spin_orbit`` where spin–orbit was learned.

    Raises:
        SettingsError: no scalar channel, one of another kind than its name, or an element beyond
            the network's types.
    """

    layout: OrbitalLayout
    channels: Mapping[Kind, Channel]
    card: ModelCard

    def __post_init__(self) -> None:
        if "scalar" not in self.channels:
            raise SettingsError("A model needs a channel for H_scalar.")
        for kind, channel in self.channels.items():
            if channel.kind != kind:
                raise SettingsError(f"A channel of kind {channel.kind} stands for {kind}.")
        n_types = min(c.backbone.hyperparameters.n_types for c in self.channels.values())
        beyond = [symbol for symbol in self.layout.elements if n_types <= Element(symbol).Z]
        if beyond:
            raise SettingsError(
                f"The layout has orbitals of {', '.join(beyond)}, but the network knows elements "
                f"up to Z = {n_types - 1} only."
            )

    @property
    def n_parameters(self) -> int:
        """Numbers that were trained."""
        return sum(p.numel() for channel in self.channels.values() for p in channel.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of orbitals, hyper-parameters and weights, 64 hex digits; the same from whatever
        file they were read.
        """
        orbitals = (self.layout.shells, sorted(self.layout.elements.items()))
        digest = hashlib.sha256(repr(orbitals).encode())
        for kind in sorted(self.channels):
            channel = self.channels[kind]
            digest.update(f"{kind} {channel.backbone.hyperparameters}".encode())
            for name, parameter in sorted(channel.named_parameters()):
                values = parameter.detach().cpu().contiguous()
                digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
                digest.update(values.view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def on(self, device: torch.device | str, dtype: torch.dtype) -> HamiltonianModel:
        """The model with its numbers on ``device`` in ``dtype``: itself if they are."""
        device = torch.empty(0, device=device).device  # with its index
        numbers = [t for channel in self.channels.values() for t in channel.parameters()]
        if all(t.device == device and t.dtype == dtype for t in numbers):
            return self
        moved = {k: copy.deepcopy(c).to(device, dtype) for k, c in self.channels.items()}
        return replace(self, channels=moved)
