"""What defines an edge-frame network besides its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from hamexplorer.errors import SettingsError

__all__ = ["DeltaHyperparameters"]

_RANGES = {
    "max_l": (0, 11),
    "max_m": (0, 11),
    "channels": (1, 512),
    "scalars": (1, 4096),
    "site_channels": (1, 1024),
    "n_layers": (1, 20),
    "n_radial": (2, 1000),
    "radial_hidden": (1, 4096),
}
"""Far beyond any network of this kind: what a damaged file asks for is refused."""


@dataclass(frozen=True)
class DeltaHyperparameters:
    """Sizes of the network.

    Attributes:
        cutoff: longest edge, Å; blocks beyond it are zero.
        max_l: largest momentum of the atoms' features, in both parities.
        max_m: largest |m| that an edge's frame keeps.
        channels: of every (l, parity) of the atoms' features.
        scalars: further invariant features of the atoms.
        hidden: channels of an edge in its frame: even m = 0, odd m = 0, m = 1, … ``max_m``.
        site_channels: of every (l, parity) of what edges add to on-site blocks.
        n_layers: interactions; the last one's edges are what the heads read.
        n_radial: Gaussians of the distance.
        radial_hidden: width of the networks of the distance and the species.
        neighbours: edges of an atom, by whose root sums over edges are divided.

    Raises:
        SettingsError: a value outside its range.
    """

    cutoff: float = 7.5
    max_l: int = 6
    max_m: int = 4
    channels: int = 16
    scalars: int = 48
    hidden: tuple[int, ...] = (96, 32, 96, 80, 64, 48)
    site_channels: int = 32
    n_layers: int = 2
    n_radial: int = 40
    radial_hidden: int = 64
    neighbours: float = 50.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("cutoff", "neighbours"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < 1e3:
                raise SettingsError(
                    f"The network's {name} must be a number up to 1000, not {value!r}."
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise SettingsError(
                    f"The network's {name} must be a whole number {low} … {high}, not {value!r}."
                )
        if self.max_m > self.max_l:
            raise SettingsError(
                f"The network's max_m = {self.max_m} is beyond its max_l = {self.max_l}."
            )
        if len(self.hidden) != self.max_m + 2 or any(
            type(width) is not int or not 1 <= width <= 4096 for width in self.hidden
        ):
            raise SettingsError(
                f"The network's hidden must be max_m + 2 = {self.max_m + 2} widths of 1 … 4096, "
                f"not {self.hidden!r}."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> DeltaHyperparameters:
        """The inverse of :meth:`to_json`.

        Raises:
            SettingsError: a name that is not known, or a value outside its range.
        """
        known = {f.name for f in fields(cls)}
        if beyond := sorted(set(given) - known):
            raise SettingsError(
                f"The network has no setting {beyond[0]!r}; known are {', '.join(sorted(known))}."
            )
        values = dict(given)
        if "hidden" in values:
            if not isinstance(values["hidden"], list | tuple):
                raise SettingsError(
                    f"The network's hidden must be a list of widths, not {values['hidden']!r}."
                )
            values["hidden"] = tuple(values["hidden"])
        return cls(**values)
