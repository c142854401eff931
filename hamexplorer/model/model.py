"""A trained Hamiltonian: its channels, the orbitals it knows, and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Shell
from hamexplorer.model.spin_channels import Channel, Kind

__all__ = ["HamiltonianModel", "ModelCard", "OrbitalLayout"]


@dataclass(frozen=True)
class OrbitalLayout:
    """Which shells a block has room for, and which of them an element has.

    Attributes:
        shells: of the full block, in its order.
        elements: by symbol, the element's shells, a subset in the same order.

    Raises:
        SettingsError: an element has a shell that the block has not, or in another order.
    """

    shells: tuple[Shell, ...]
    elements: Mapping[str, tuple[Shell, ...]]

    def __post_init__(self) -> None:
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
    """What a user must know of a model before trusting it."""

    title: str
    training_set: str = ""
    accuracy: str = ""
    licence: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class HamiltonianModel:
    """Channels by kind: ``scalar`` always, ``spin_orbit`` where spin–orbit was learned.

    Raises:
        SettingsError: no scalar channel, or one of another kind than its name.
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

    @property
    def n_parameters(self) -> int:
        """Numbers that were trained."""
        return sum(p.numel() for channel in self.channels.values() for p in channel.parameters())
