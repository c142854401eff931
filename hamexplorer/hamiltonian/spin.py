"""What the spin dial turns, and the spinor sum of CONVENTIONS.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError

__all__ = ["SpinState"]


@dataclass(frozen=True)
class SpinState:
    """Parameters of H = (H_scalar + iA) ⊗ 1 + Σ_a σ_a ⊗ (n_a B + i λ Λ_a).

    Attributes:
        soc: λ, the spin-orbit strength; 1 is nature's.
        theta: polar angle of the magnetisation n from z, degrees.
        phi: azimuth of n from x, degrees.
        exchange: factor on the exchange field B; 1 is the calculation's own.

    Raises:
        SettingsError: a value is not finite or lies outside its range.
    """

    soc: float = 1.0
    theta: float = 0.0
    phi: float = 0.0
    exchange: float = 1.0

    def __post_init__(self) -> None:
        for name in ("soc", "theta", "phi", "exchange"):
            given = getattr(self, name)
            try:
                value = float(given)
            except (TypeError, ValueError, OverflowError):
                value = math.nan
            if not math.isfinite(value):
                raise SettingsError(f"{name} must be a finite number, not {given!r}.")
            object.__setattr__(self, name, value)
        if abs(self.soc) > 100 or abs(self.exchange) > 100:
            raise SettingsError("soc and exchange are factors; accepted are −100 … 100.")

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector n(θ, φ), (3,)."""
        return np.ascontiguousarray(self.rotation[:, 2])

    @property
    def rotation(self) -> NDArray[np.float64]:
        """R_z(φ) R_y(θ), (3, 3): takes z to n and turns a three-component exchange field."""
        t, p = math.radians(self.theta), math.radians(self.phi)
        around_y = np.array(
            [[math.cos(t), 0, math.sin(t)], [0, 1, 0], [-math.sin(t), 0, math.cos(t)]]
        )
        around_z = np.array(
            [[math.cos(p), -math.sin(p), 0], [math.sin(p), math.cos(p), 0], [0, 0, 1]]
        )
        return around_z @ around_y
