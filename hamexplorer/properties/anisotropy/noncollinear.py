"""Exchange fields of three components: where they point, and how much of them lies across."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["ExchangeAxis", "collinear_field", "exchange_axis", "noncollinear_warnings"]

_UPRIGHT = 10.0
"""Degrees within which a field counts as one along z: spin-orbit coupling in the density tilts
it by a few (cos 10° = 0.985)."""
_NEGLIGIBLE = 1e-6
"""eV."""
_COLLINEAR = 0.5
"""Part of the field across its main direction above which that direction means nothing."""


@dataclass(frozen=True, eq=False)
class ExchangeAxis:
    """The main direction of a three-component exchange field.

    Attributes:
        axis: unit vector, (3,), Cartesian, its largest component positive; exactly z where it
            is within ten degrees of it.
        along: largest matrix element of B along ``axis``, eV.
        across: largest length of an element's part across it, eV.
    """

    axis: NDArray[np.float64]
    along: float
    across: float

    @property
    def is_upright(self) -> bool:
        """Whether the axis is z, from which θ and φ turn a field."""
        return bool(self.axis[2] == 1.0)


def exchange_axis(exchange: NDArray[np.float64]) -> ExchangeAxis:
    """Main direction of a three-component field (3, n), eV: the m that makes Σ (m·B)² largest,
    so that sublattices with opposite fields have one, too.
    """
    axis = np.linalg.eigh(exchange @ exchange.T)[1][:, -1]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])
    if axis[2] > np.cos(np.radians(_UPRIGHT)):
        axis = np.array([0.0, 0.0, 1.0])
    along = axis @ exchange
    across = np.linalg.norm(exchange - axis[:, None] * along, axis=0)
    return ExchangeAxis(axis, float(np.abs(along).max()), float(across.max()))


def collinear_field(h: Hamiltonian) -> Hamiltonian:
    """``h`` with the component m·B of its exchange field along its main direction alone, which
    n then turns as n_a (m·B); a field of one component stays as it is.

    Raises:
        SettingsError: more than half as much of the field lies across its main direction.
    """
    if h.exchange is None or h.exchange.ndim == 1:
        return h
    found = exchange_axis(h.exchange)
    if found.across > _COLLINEAR * found.along:
        raise SettingsError(
            f"The exchange field of {h.structure.composition.reduced_formula} has no main "
            f"direction to keep alone: {1e3 * found.across:.1f} meV lie across and "
            f"{1e3 * found.along:.1f} meV along it. collinear is for fields that point (nearly) "
            "one way."
        )
    return replace(h, exchange=found.axis @ h.exchange)


def noncollinear_warnings(h: Hamiltonian) -> tuple[str, ...]:
    """What a three-component exchange field means for energies against n."""
    if h.exchange is None or h.exchange.ndim == 1:
        return ()
    found = exchange_axis(h.exchange)
    warnings = []
    if found.across > _NEGLIGIBLE:
        warnings.append(
            f"The exchange field has components up to {1e3 * found.across:.3g} meV across its "
            f"main direction ({1e3 * found.along:.4g} meV): they are turned with it, energies of "
            "n and −n differ by terms of first order in them, and anisotropies of that size mean "
            "nothing; collinear (--collinear) keeps the main component alone."
        )
    if not found.is_upright:
        vector = ", ".join(f"{x + 0.0:.3f}" for x in found.axis)
        warnings.append(
            f"The exchange field points along ({vector}), not z: θ and φ turn it from there and "
            "are not its direction; with collinear (--collinear) they are."
        )
    return tuple(warnings)
