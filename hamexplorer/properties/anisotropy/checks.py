"""What an anisotropy calculation needs, checked before any work."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.properties.mesh import automatic_mesh, checked_mesh

__all__ = ["checked", "checked_smearing"]

_NEGLIGIBLE = 1e-9
"""eV."""


def checked(
    h: Hamiltonian, mesh: Any, smearing: float, exchange: float
) -> tuple[tuple[int, int, int], float]:
    """The mesh (default: spacing 0.25 1/Å) and the smearing, eV, of a Hamiltonian that has an
    anisotropy.

    Raises:
        SettingsError: no exchange field, no spin-orbit part, a time-odd spin-independent part, or
            a parameter out of range.
    """
    name = h.structure.composition.reduced_formula
    if h.exchange is None or not np.abs(h.exchange).max() > _NEGLIGIBLE:
        raise SettingsError(
            f"{name} is not magnetic: its Hamiltonian stores no exchange field, so that there is "
            "no magnetisation to turn. Start the calculation with moments (magmom), or add a "
            "field."
        )
    if exchange == 0:
        raise SettingsError(
            f"The exchange field of {name} is switched off (exchange = 0): there is no "
            "magnetisation to turn."
        )
    if h.spin_orbit is None or not np.abs(h.spin_orbit).max() > _NEGLIGIBLE:
        raise SettingsError(
            f"The Hamiltonian of {name} stores no spin-orbit part: its energy does not depend on "
            "the direction of the magnetisation. Compute it with spin-orbit coupling."
        )
    time_odd = 0.0 if h.time_odd is None else float(np.abs(h.time_odd).max())
    if time_odd > _NEGLIGIBLE:
        raise SettingsError(
            f"The Hamiltonian of {name} holds a time-odd spin-independent part (orbital currents) "
            f"up to {1e3 * time_odd:.3g} meV that does not turn with n: the force theorem needs "
            "E(n) = E(−n). Accepted are Hamiltonians without it (real orbitals, a calculation "
            "without orbital currents)."
        )
    shape = automatic_mesh(h) if mesh is None else checked_mesh(mesh)
    return shape, checked_smearing(smearing)


def checked_smearing(smearing: float) -> float:
    """A positive number of eV, or :class:`SettingsError`."""
    try:
        value = float(smearing)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"The smearing must be a positive number of eV, not {smearing!r}.")
    return value
