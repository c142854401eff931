"""Radial tables of free atoms: what an H0 from superposed atoms is made of; atomic units.

An atom is spherical, spin-unpolarised and neutral, and ends: its density ρ(r) and the potential
V_na(r) = V_loc(r) + V_H[ρ](r) of its pseudo-ion and electrons vanish from its reach on, with their
slopes. So a sum over the atoms of a crystal is finite, without an Ewald sum.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import HamexplorerError
from hamexplorer.hamiltonian.arrays import owned

__all__ = ["FreeAtom"]

_CHARGE_TOLERANCE = 1e-6
_SHELL = re.compile(r"[1-9][spdf]")


@dataclass(frozen=True, eq=False)
class FreeAtom:
    """Tables of one element at r_k = k · ``step``, k = 0 … n − 1; atomic units.

    Attributes:
        element: chemical symbol.
        step: distance of the radii, bohr.
        density: (n,) ρ(r), valence electrons per bohr³, 0 at the last radius.
        potential: (n,) V_na(r) = V_loc(r) + V_H[ρ](r), Ha, 0 at the last radius.
        magnetic: (n,) density of the magnetic shell, normalised to one electron: spin density per
            µB; 0 at the last radius.
        occupations: electrons by shell, such as ``("4d", 4.0)``.
        eigenvalues: Ha, in the order of ``occupations``.
        confinement: radius of the soft confinement, bohr; inf without.

    Raises:
        HamexplorerError: the tables are not what is said here, or do not hold the charge of the
            occupations.
    """

    element: str
    step: float
    density: NDArray[np.float64]
    potential: NDArray[np.float64]
    magnetic: NDArray[np.float64]
    occupations: tuple[tuple[str, float], ...]
    eigenvalues: tuple[float, ...]
    confinement: float

    def __post_init__(self) -> None:
        self._check_numbers()
        for name in ("density", "potential", "magnetic"):
            self._check_table(name)
            object.__setattr__(self, name, owned(getattr(self, name)))
        for name, electrons in (("density", self.charge), ("magnetic", 1.0)):
            table = getattr(self, name)
            if table.min() < 0:
                self._refuse(f"its table {name!r} is negative at {table.argmin() * self.step:g}")
            found = 4 * np.pi * self.step * float(np.sum(table * self.radii**2))
            if abs(found - electrons) > _CHARGE_TOLERANCE:
                self._refuse(
                    f"its table {name!r} holds {found:.8f} electrons instead of {electrons:g}"
                )

    @property
    def radii(self) -> NDArray[np.float64]:
        """r_k, bohr, (n,)."""
        return self.step * np.arange(len(self.density))

    @property
    def reach(self) -> float:
        """The last radius, bohr: density and potential are 0 from there on."""
        return self.step * (len(self.density) - 1)

    @property
    def charge(self) -> float:
        """Valence electrons."""
        return math.fsum(electrons for _, electrons in self.occupations)

    def _check_numbers(self) -> None:
        if not (math.isfinite(self.step) and self.step > 0):
            self._refuse(f"its step must be a positive number of bohr, not {self.step}")
        if not self.confinement > 0:
            self._refuse(f"its confinement must be a positive radius or inf: {self.confinement}")
        if not self.occupations or len(self.occupations) != len(self.eigenvalues):
            self._refuse(
                f"it has {len(self.occupations)} shells and {len(self.eigenvalues)} eigenvalues"
            )
        for shell, electrons in self.occupations:
            room = 2 * (2 * "spdf".find(shell[-1:]) + 1)
            if not _SHELL.fullmatch(shell) or not 0 <= electrons <= room:
                self._refuse(f"{electrons} electrons in {shell!r} are no occupation like 4d 0–10")
        if not np.all(np.isfinite(self.eigenvalues)):
            self._refuse("an eigenvalue is not finite")

    def _check_table(self, name: str) -> None:
        table = getattr(self, name)
        if table.dtype != np.float64 or table.ndim != 1 or len(table) < 4:
            self._refuse(f"its table {name!r} must hold at least four 64-bit floats in a row")
        if len(table) != len(self.density):
            self._refuse(f"its tables {name!r} and 'density' differ in length")
        if not np.all(np.isfinite(table)):
            self._refuse(f"its table {name!r} holds what is not a finite number")
        if table[-1] != 0:
            self._refuse(f"its table {name!r} must end at 0, not at {table[-1]:g}")

    def _refuse(self, reason: str) -> None:
        raise HamexplorerError(f"The free atom {self.element} is refused: {reason}.")
