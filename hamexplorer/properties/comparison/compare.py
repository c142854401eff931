"""Two Hamiltonians of one structure, compared element by element and band by band."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.comparison.bands import (
    BandSource,
    SolvedBands,
    common_mesh,
    compare_bands,
)
from hamexplorer.properties.comparison.elements import ElementComparer, UnmatchedPairs
from hamexplorer.properties.comparison.matching import (
    match_pairs,
    renamed_shells,
    shells_differ,
    site_translations,
)
from hamexplorer.properties.comparison.result import (
    Comparison,
    EnergyShift,
    Shift,
    shown_meV,
)
from hamexplorer.structures.kpath import KPath

__all__ = ["SHIFTS", "Comparer", "compare"]

SHIFTS: tuple[Shift, ...] = get_args(Shift)
"""How the constant c in H₂ → H₂ + c·S may be chosen."""

_SAME_ORBITALS = 1e-6
"""Largest |S₂ − S₁| of matrices in the same orbitals."""
_TO_MEV = 1e3


def compare(
    first: Hamiltonian,
    second: Hamiltonian,
    path: KPath,
    state: SpinState | None = None,
    *,
    shift: Shift | None = None,
    window: tuple[float, float] = (-2.0, 2.0),
    names: tuple[str, str] | None = None,
) -> Comparison:
    """Compare ``second`` with the reference ``first``.

    Elements are compared on the union of the stored pairs; bands along ``path``, matched by their
    order at each k, where the reference's state lies within ``window`` of its gap.

    Args:
        first: the reference.
        second: what is compared with it; of the same cell, species and positions (single sites
            may lie in other images of the cell).
        path: k-points, fractional.
        state: λ and the magnetisation, of both.
        shift: the constant c in H₂ → H₂ + c·S: ``none`` (0), ``fit`` (least squares over
            elements, c = −Σ S₂ (H₂ − H₁) / Σ S₂²), ``vbm`` or ``fermi`` (valence tops or Fermi
            levels coincide). Default: ``none`` for the same basis, else ``vbm``, with a metal
            ``fermi``.
        window: eV below the valence top and above the conduction bottom (metal: around E_F).
        names: what the two are called; default: the titles of their records.

    Raises:
        StructureError: the two are not of the same structure.
        SettingsError: an unknown shift, one that these two do not have, or an empty window.
        HamiltonianError: S(k) is not positive definite somewhere on the path.
    """
    return Comparer(first, second, path, names).compare(state, shift=shift, window=window)


class Comparer:
    """Two Hamiltonians, matched and reduced once, compared in any spin state.

    Arguments as :func:`compare`'s.

    Raises:
        StructureError: the two are not of the same structure.
        HamiltonianError: S(k) is not positive definite somewhere on the path.
    """

    def __init__(
        self,
        first: Hamiltonian,
        second: Hamiltonian,
        path: KPath,
        names: tuple[str, str] | None = None,
    ) -> None:
        translations = site_translations(first, second)
        self._names = names or (first.provenance.title, second.provenance.title)
        self.first, self.second, self.path = first, second, path
        self._different = shells_differ(first.basis, second.basis)
        self._elements: ElementComparer | None = None
        if not self._different:
            matched = match_pairs(first, second, translations)
            self._elements = ElementComparer(first, second, matched)
        self._offset, filled, said = self._electrons()
        mesh = common_mesh(first, second)
        self._sources = (BandSource(first, path, mesh), BandSource(filled, path, mesh))
        self._warnings = tuple(
            text
            for text in (
                *self._said_of_bases(),
                said,
                *self._said_of_components(),
                *self._said_of_images(int(translations.any(axis=1).sum())),
            )
            if text
        )

    @property
    def same_basis(self) -> bool:
        """Whether elements are compared."""
        return self._elements is not None

    def compare(
        self,
        state: SpinState | None = None,
        *,
        shift: Shift | None = None,
        window: tuple[float, float] = (-2.0, 2.0),
    ) -> Comparison:
        """As :func:`compare`."""
        state = state or SpinState()
        if shift is not None and shift not in SHIFTS:
            raise SettingsError(f"The shift is {', '.join(SHIFTS)}; not {shift!r}.")
        solved = self._sources[0].solve(state), self._sources[1].solve(state)
        method, energy = self._shift(shift, *solved)
        bands = compare_bands(
            solved[0],
            solved[1].shifted(energy),
            window,
            self._offset,
            spin_pairs=not (self.first.is_magnetic or self.second.is_magnetic),
        )
        elements = self._elements
        fitted = None if elements is None else _TO_MEV * elements.fitted
        explained = None if elements is None else elements.explained
        return Comparison(
            bands=bands,
            elements=None if elements is None else elements.errors(energy),
            shift=EnergyShift(method, _TO_MEV * energy, fitted, explained),
            overlap_difference=None if elements is None else elements.overlap_difference,
            smallest_overlap=(
                self._sources[0].smallest_overlap,
                self._sources[1].smallest_overlap,
            ),
            state=state,
            names=self._names,
            formula=self.first.structure.composition.reduced_formula,
            warnings=(*self._warnings, *self._said_of_states(bands.unmatched, method)),
        )

    # --- the zero of energy -----------------------------------------------------------------

    def _shift(
        self, asked: Shift | None, first: SolvedBands, second: SolvedBands
    ) -> tuple[Shift, float]:
        """How c is chosen, and c in eV."""
        gapped = first.gap is not None and second.gap is not None
        method: Shift = asked or ("none" if self.same_basis else "vbm" if gapped else "fermi")
        if method == "none":
            return method, 0.0
        if method == "fermi":
            return method, first.fermi.energy - second.fermi.energy
        if method == "fit":
            if self._elements is None:
                raise SettingsError(
                    "The shift 'fit' needs the same basis in both; here "
                    f"{self._different}. Choose 'vbm', 'fermi' or 'none'."
                )
            return method, self._elements.fitted
        if first.gap is None or second.gap is None:
            which = "first" if first.gap is None else "second"
            raise SettingsError(
                f"The shift 'vbm' needs two gaps, and the {which} is a metal; choose 'fermi'."
            )
        return method, first.gap.vbm - second.gap.vbm

    # --- electrons and bands ----------------------------------------------------------------

    def _electrons(self) -> tuple[int, Hamiltonian, str]:
        """Which bands correspond, the second with the electrons it is filled with, and a word."""
        n, m = self.first.n_electrons, self.second.n_electrons
        if abs(n - m) < 1e-6:
            return 0, self.second, ""
        if self.same_basis:
            return (
                0,
                replace(self.second, n_electrons=n),
                f"The first says {n:g} electrons per cell, the second {m:g}; {n:g} are used for "
                "both.",
            )
        offset = round(m) - round(n)
        return (
            offset,
            self.second,
            f"The first has {n:g} electrons per cell, the second {m:g}: bands are matched from the "
            "highest filled one.",
        )

    # --- what has to be said -----------------------------------------------------------------

    def _said_of_bases(self) -> list[str]:
        elements = self._elements
        if elements is None:
            return [f"The bases differ ({self._different}): only bands are compared."]
        said = []
        if elements.overlap_difference > _SAME_ORBITALS:
            said.append(
                f"The overlaps differ by up to {elements.overlap_difference:.1e}: the two are "
                "given in different orbitals, so that differences of elements carry little meaning."
            )
        renamed = renamed_shells(self.first.basis, self.second.basis)
        if renamed:
            said.append(
                f"Shells are named differently ({renamed}); they are compared in their order."
            )
        return said

    def _said_of_components(self) -> list[str]:
        said = []
        for part, has in (
            ("an exchange field", (self.first.is_magnetic, self.second.is_magnetic)),
            ("a spin–orbit part", (self.first.has_spin_orbit, self.second.has_spin_orbit)),
            ("a time-odd part", tuple(h.time_odd is not None for h in (self.first, self.second))),
        ):
            if has[0] != has[1]:
                one, other = ("first", "second") if has[0] else ("second", "first")
                said.append(f"Only the {one} has {part}; it counts as zero in the {other}.")
        return said

    def _said_of_images(self, moved: int) -> list[str]:
        elements = self._elements
        if elements is None:
            return []
        said = [
            _said_of_pairs(elements.only_first, "first"),
            _said_of_pairs(elements.only_second, "second"),
        ]
        if moved:
            sites = "1 site lies" if moved == 1 else f"{moved} sites lie"
            whose = "its" if moved == 1 else "their"
            said.append(f"{sites} in another image of the cell; {whose} pairs were renumbered.")
        return said

    def _said_of_states(self, unmatched: int, method: Shift) -> list[str]:
        said = []
        if unmatched:
            said.append(
                f"For {unmatched} states of the reference in the window the second has no band."
            )
        if not self.same_basis and method == "none":
            said.append("The two zeros of energy are taken as they are (shift 'none').")
        return said


def _said_of_pairs(only: UnmatchedPairs, which: str) -> str:
    if not only.count:
        return ""
    pairs = "1 pair" if only.count == 1 else f"{only.count} pairs"
    return (
        f"{pairs} only in the {which}, largest element {shown_meV(only.largest)}; counted as zero "
        "in the other."
    )
