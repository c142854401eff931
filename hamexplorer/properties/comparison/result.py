"""What a comparison of two Hamiltonians found, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.comparison.bands import BandErrors
from hamexplorer.properties.comparison.elements import ElementErrors

__all__ = ["TABLES", "Comparison", "EnergyShift", "Shift", "Table", "shown_meV"]

Shift = Literal["none", "fit", "vbm", "fermi"]
Table = Literal["summary", "bands", "kpoints", "elements", "pairs", "worst"]
TABLES: tuple[Table, ...] = get_args(Table)
"""What :meth:`Comparison.to_dataframe` gives."""

_HIDDEN_RATIO = 10.0
"""Bands off by more than so many times the mean element error are hidden by it …"""
_HIDDEN_MEV = 5.0
"""… if they are off by more than this."""
_NOTHING = 1e-6  # meV
_NEARLY_SINGULAR = 1e-2
_MOSTLY_CONSTANT = 0.5
_NOTABLE_CONSTANT = 0.1  # meV


@dataclass(frozen=True)
class EnergyShift:
    """The constant c in H₂ → H₂ + c·S.

    Attributes:
        method: how it was chosen.
        energy: c, meV.
        fitted: c of the least squares over elements, meV; None where the bases differ.
        explained: part of Σ (H₂ − H₁)² that the fitted c takes away, 0 … 1; None as ``fitted``.
    """

    method: Shift
    energy: float
    fitted: float | None
    explained: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two Hamiltonians of one structure; differences are second − first, the reference.

    Attributes:
        bands: errors of bands near the gap.
        elements: errors of matrix elements; None where the bases differ.
        shift: the constant that was added to the second's H.
        overlap_difference: largest |S₂ − S₁|; None where the bases differ.
        smallest_overlap: smallest eigenvalue of S(k) on the path, of each.
        state: λ and the magnetisation, of both.
        names: what the two are called.
        formula: the crystal's.
        warnings: what has to be known to read the numbers.
    """

    bands: BandErrors
    elements: ElementErrors | None
    shift: EnergyShift
    overlap_difference: float | None
    smallest_overlap: tuple[float, float]
    state: SpinState
    names: tuple[str, str]
    formula: str
    warnings: tuple[str, ...]

    @property
    def leading(self) -> str | None:
        """The component with the largest mean element error at this λ and exchange factor.

        Λ counts |λ| times and B by its factor, as they enter the bands. None without elements.
        """
        if self.elements is None:
            return None
        return max(self.elements.components, key=self._weighted)

    @property
    def mean_element_error(self) -> float | None:
        """Mean |Δ| of :attr:`leading` times its factor, meV; None without elements."""
        name = self.leading
        return None if name is None else self._weighted(name)

    def _weighted(self, component: str) -> float:
        assert self.elements is not None
        factor = {"L": abs(self.state.soc), "B": abs(self.state.exchange)}.get(component[0], 1.0)
        return factor * self.elements.mean(component)

    @property
    def amplification(self) -> float | None:
        """Largest near-gap band error / mean element error; None where one of them is not there."""
        mean = self.mean_element_error
        if mean is None or mean < _NOTHING or not self.bands.count:
            return None
        return self.bands.largest / mean

    @property
    def hides(self) -> bool:
        """Whether small element errors hide wrong bands: ten times as large, and over 5 meV."""
        ratio = self.amplification
        return ratio is not None and ratio >= _HIDDEN_RATIO and self.bands.largest >= _HIDDEN_MEV

    @property
    def verdict(self) -> str:
        """The comparison in one or a few sentences."""
        return " ".join([self._errors(), *self._constant(), *self._gaps()])

    def _errors(self) -> str:
        bands, mean = self.bands, self.mean_element_error
        if not bands.count:
            head = "" if mean is None else f"Mean element error {shown_meV(mean)}. "
            return f"{head}No state of the reference lies in the window: no bands are compared."
        place = "near the Fermi level" if bands.first.gap is None else "near the gap"
        if mean is None:
            return (
                "The bases differ, so that only bands are compared: those "
                f"{place} are off by {shown_meV(bands.mean)} on average and "
                f"{shown_meV(bands.largest)} at most."
            )
        if mean < _NOTHING and bands.largest < 1e3 * _NOTHING:
            return "The two agree: neither elements nor bands differ."
        if not self.hides:
            return (
                f"Mean element error {shown_meV(mean)}; bands {place} are off by "
                f"{shown_meV(bands.mean)} on average and {shown_meV(bands.largest)} at most."
            )
        text = (
            f"Mean element error {shown_meV(mean)}, but bands {place} are off by up to "
            f"{shown_meV(bands.largest)}{self._where()}."
        )
        smallest = min(self.smallest_overlap)
        if smallest < _NEARLY_SINGULAR:
            text += (
                f" The overlap's smallest eigenvalue, {smallest:.2g}, magnifies errors of elements."
            )
        return text

    def _where(self) -> str:
        found = self.bands.worst
        if found is None:
            return ""
        path = self.bands.first.path.path
        label = dict(path.ticks).get(found[0])
        if label is None:
            label = "k = (" + ", ".join(f"{x:.3f}" for x in path.kpoints[found[0]]) + ")"
        return f" (at {label})"

    def _constant(self) -> list[str]:
        """Whether most of it is a constant that nobody would call an error."""
        c, explained = self.shift.fitted, self.shift.explained
        if self.shift.method != "none" or c is None or explained is None:
            return []
        if explained < _MOSTLY_CONSTANT or abs(c) < _NOTABLE_CONSTANT:
            return []
        return [
            f"Adding the constant c = {shown_meV(c)} times S to the second (shift 'fit') takes "
            f"away {100 * explained:.0f} % of the squared element differences."
        ]

    def _gaps(self) -> list[str]:
        metals = self.bands.first.is_metal, self.bands.second.is_metal
        if metals[0] != metals[1]:
            which = ("first", "second") if metals[0] else ("second", "first")
            return [f"The {which[0]} is a metal, the {which[1]} is not."]
        a, b = self.bands.first.gap, self.bands.second.gap
        if a is not None and b is not None and a.is_direct != b.is_direct:
            kinds = ["direct" if found.is_direct else "indirect" for found in (a, b)]
            return [f"The gap is {kinds[0]} in the first and {kinds[1]} in the second."]
        return []

    def summary(self) -> dict[str, Any]:
        """All single numbers; energies in eV, errors in meV."""
        bands, elements = self.bands, self.elements
        sides = {
            name: {
                "name": self.names[index],
                "is_metal": side.is_metal,
                "gap_eV": None if side.gap is None else side.gap.value,
                "gap_is_direct": None if side.gap is None else side.gap.is_direct,
                "vbm_eV": None if side.gap is None else side.gap.vbm,
                "cbm_eV": None if side.gap is None else side.gap.cbm,
                "vbm_at": None if side.gap is None else side.gap.vbm_label,
                "cbm_at": None if side.gap is None else side.gap.cbm_label,
                "fermi_eV": side.fermi.energy,
                "n_electrons": side.fermi.n_electrons,
                "smallest_overlap": self.smallest_overlap[index],
            }
            for index, (name, side) in enumerate((("first", bands.first), ("second", bands.second)))
        }
        components = {}
        if elements is not None:
            for name in elements.components:
                row = elements.whole.index(name)
                components[name] = {
                    "mean_meV": float(elements.whole.mean[row, 0]),
                    "rms_meV": float(elements.whole.rms[row, 0]),
                    "max_meV": float(elements.whole.largest[row, 0]),
                }
        return {
            "formula": self.formula,
            **sides,
            "shift": self.shift.method,
            "shift_meV": self.shift.energy,
            "fitted_shift_meV": self.shift.fitted,
            "fitted_shift_explains": self.shift.explained,
            "elements": components,
            "mean_element_error_meV": self.mean_element_error,
            "leading_component": self.leading,
            "overlap_difference": self.overlap_difference,
            "window_eV": list(bands.window),
            "n_states": bands.count,
            "band_mean_meV": bands.mean,
            "band_rms_meV": bands.rms,
            "band_max_meV": bands.largest,
            **{f"{name}_difference_meV": d for name, d in bands.edge_differences().items()},
            "amplification": self.amplification,
            "verdict": self.verdict,
        }

    def to_dataframe(self, table: Table = "bands") -> pd.DataFrame:
        """One of the comparison's tables; units stand in the columns' names.

        Args:
            table: ``summary`` (quantity, value), ``bands`` (a row per k and band), ``kpoints``
                (a row per k), ``elements`` (by species, shells, distance), ``pairs`` (a row per
                pair of sites) or ``worst`` (single elements).

        Raises:
            SettingsError: an unknown table, or one of elements where the bases differ.
        """
        if table not in TABLES:
            raise SettingsError(f"The tables are {', '.join(TABLES)}; not {table!r}.")
        if table == "bands":
            return self.bands.to_dataframe()
        if table == "kpoints":
            return self.bands.kpoints_dataframe()
        if table == "summary":
            rows = list(_flat(self.summary()))
            return pd.DataFrame(rows, columns=["quantity", "value"])
        if self.elements is None:
            raise SettingsError(
                f"There is no table {table!r}: the two are given in different bases, so that only "
                "bands are compared."
            )
        if table == "elements":
            return self.elements.to_dataframe()
        if table == "pairs":
            return self.elements.pairs_dataframe()
        return self.elements.worst_dataframe()


def shown_meV(value: float) -> str:
    """Three digits and the unit, such as ``0.42 meV``."""
    if not np.isfinite(value):
        return "–"
    size = abs(value)
    if size < 1e-9:
        return "0 meV"
    if size < 1e-2:
        return f"{value:.1e} meV".replace("e-0", "e-")
    return f"{value:.0f} meV" if size >= 100 else f"{value:.3g} meV"


def _flat(data: dict[str, Any], before: str = "") -> Any:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
