"""What a file does not say and its owner may."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from pymatgen.core import Structure

from hamexplorer.errors import SettingsError

__all__ = ["COUNT", "SPIN_ORDERS", "ReadOptions", "SpinOrder"]

SpinOrder = Literal["block", "interleaved"]
SPIN_ORDERS: tuple[str, ...] = get_args(SpinOrder)
"""Spinor orbitals in a file: all up, then all down; or up and down in turn."""


COUNT = frozenset({"n_electrons", "fermi_energy"})
"""Of :class:`ReadOptions`: what every format takes, one of both."""


@dataclass(frozen=True)
class ReadOptions:
    """Facts beside the file, all optional.

    Attributes:
        n_electrons: per cell, both spins; instead of the file's own, or where it has none.
        fermi_energy: eV; electrons are counted up to it where the file tells neither.
        structure: the crystal, for files without one (Wannier90's ``_hr.dat``).
        spin_order: of spinor orbitals, for files that do not tell.
        index: which crystal of a file that holds several, from 0.

    Raises:
        SettingsError: a value outside its range.
    """

    n_electrons: float | None = None
    fermi_energy: float | None = None
    structure: Structure | None = None
    spin_order: SpinOrder | None = None
    index: int = 0

    @property
    def given(self) -> tuple[str, ...]:
        """Names of those that are."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) not in (None, f.default))

    def __post_init__(self) -> None:
        if self.n_electrons is not None and not 0 <= self.n_electrons < 1e9:
            raise SettingsError(
                f"n_electrons must lie between 0 and 1e9, not at {self.n_electrons}."
            )
        if self.fermi_energy is not None and not abs(self.fermi_energy) < 1e6:
            raise SettingsError(
                f"fermi_energy must lie between -1e6 and 1e6 eV, not at {self.fermi_energy}."
            )
        if self.spin_order not in (None, *SPIN_ORDERS):
            raise SettingsError(
                f"spin_order must be one of {', '.join(SPIN_ORDERS)}, not {self.spin_order!r}."
            )
        if self.index < 0:
            raise SettingsError(f"index counts from 0, not {self.index}.")
