"""Published spin-orbit parameters k_ij of the relativistic GTH pseudopotentials.

V_SO = Σ_l Σ_ij |p_i^l⟩ k_ij^l L·S ⟨p_j^l|, Hartwigsen, Goedecker, Hutter, Phys. Rev. B 58, 3641
(1998), eq. 19; PBE values of Krack, Theor. Chem. Acc. 114, 145 (2005). The data file is
``assets/dft/gth_soc_pbe.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.assets_path import asset

__all__ = [
    "SPIN_ORBIT_FREE",
    "SpinOrbitChannel",
    "has_spin_orbit_parameters",
    "spin_orbit_channels",
]

SPIN_ORBIT_FREE = frozenset({"H", "He", "Li", "Be"})
"""Elements whose pseudopotentials have no spin-orbit part at all."""


@dataclass(frozen=True, eq=False)
class SpinOrbitChannel:
    """One l: projector radius (bohr) and the symmetric matrix k_ij (Ha)."""

    l: int  # noqa: E741
    radius: float
    k: NDArray[np.float64]


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(asset("dft/gth_soc_pbe.json").read_text())["elements"]
    return data


def has_spin_orbit_parameters(element: str, charge: int) -> bool:
    """Whether the table covers the element at this valence charge."""
    return f"q{charge}" in _table().get(element, {})


@lru_cache(maxsize=256)
def spin_orbit_channels(element: str, charge: int) -> tuple[SpinOrbitChannel, ...]:
    """The element's channels with spin-orbit coupling; empty for H, He, Li, Be."""
    return tuple(
        SpinOrbitChannel(int(c["l"]), float(c["r_bohr"]), np.array(c["k_ha"], dtype=float))
        for c in _table()[element][f"q{charge}"]
        if c["k_ha"] is not None and c["l"] > 0
    )
