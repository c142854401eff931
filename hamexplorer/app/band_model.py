"""What the Bands page asks of a Hamiltonian again and again, prepared once."""

from __future__ import annotations

from typing import cast

import numpy as np

from hamexplorer.app.state import COLOUR_NONE
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties import (
    GROUPINGS,
    BandSolver,
    BandStructure,
    DensityOfStates,
    FermiLevel,
    FermiSolver,
    automatic_mesh,
    band_structure,
    density_of_states,
    orbital_groups,
)
from hamexplorer.properties.mesh import has_time_reversal
from hamexplorer.properties.weights import Grouping
from hamexplorer.structures import standard_path

__all__ = ["BandModel", "colour_choices", "split_colour"]

_SPACING = 0.04  # 1/Å: smooth lines, and a step of λ stays quick
_MARGIN = 3.0  # eV beyond the window for which bands are kept at hand
_DOS_SPACING = 0.12  # 1/Å
_DOS_SPACING_MAGNET = 0.17  # where k and −k both have to be computed
_AROUND_GAP = 2  # bands below and above the gap that the numbers need


class BandModel:
    """Solvers on the path and on the mesh of one Hamiltonian; safe to call from one thread."""

    def __init__(self, h: Hamiltonian) -> None:
        self.hamiltonian = h
        self.path = standard_path(h.structure, _SPACING)
        self._solver = BandSolver(h, self.path.kpoints)
        self._fermi = FermiSolver(h)
        self._off: tuple[float, tuple[int, int], BandStructure] | None = None
        self._energies = self._solver.energies(SpinState(0.0))

    def bands(
        self, state: SpinState, colour: str, energies: tuple[float, float]
    ) -> tuple[BandStructure, BandStructure]:
        """Bands in ``state`` and without spin-orbit coupling, those around the window (eV from
        the Fermi level), with what ``colour`` needs.
        """
        fermi = self._fermi.level(state)
        window = self._window(fermi, energies)
        grouping, _, spin = split_colour(colour)
        on = band_structure(
            self.hamiltonian,
            self.path,
            state,
            fermi=fermi,
            weights=grouping,
            spin=spin,
            window=window,
            solver=self._solver,
        )
        return on, self._without_soc(state, window)

    def _without_soc(self, state: SpinState, window: tuple[int, int]) -> BandStructure:
        if self._off is None or self._off[:2] != (state.exchange, window):
            bare = SpinState(0.0, exchange=state.exchange)
            off = band_structure(
                self.hamiltonian,
                self.path,
                bare,
                fermi=self._fermi.level(bare),
                window=window,
                solver=self._solver,
            )
            self._off = (state.exchange, window, off)
        return self._off[2]

    def _window(self, fermi: FermiLevel, energies: tuple[float, float]) -> tuple[int, int]:
        low, high = (fermi.energy + e for e in energies)
        entering = np.flatnonzero(
            (self._energies.max(axis=0) >= low - _MARGIN)
            & (self._energies.min(axis=0) <= high + _MARGIN)
        )
        filled = round(self.hamiltonian.n_electrons)
        first = min(int(entering[0]) if len(entering) else filled, filled - _AROUND_GAP)
        last = max(int(entering[-1]) if len(entering) else filled, filled + _AROUND_GAP - 1)
        # Whole spin pairs, so that bands that are twofold everywhere are seen to be.
        first -= first % 2
        last += 1 - last % 2
        return max(first, 0), min(last, self._solver.n_bands - 1)

    def dos(
        self,
        state: SpinState,
        colour: str,
        energies: tuple[float, float],
        monitor: Monitor | None = None,
    ) -> DensityOfStates:
        """The density of states in the window, projected as ``colour`` groups orbitals."""
        grouping, _, _ = split_colour(colour)
        level = self._fermi.level(state).energy
        whole = has_time_reversal(self.hamiltonian, state)
        return density_of_states(
            self.hamiltonian,
            state,
            mesh=automatic_mesh(self.hamiltonian, _DOS_SPACING if whole else _DOS_SPACING_MAGNET),
            monitor=monitor,
            energy_range=(level + energies[0] - 1.0, level + energies[1] + 1.0),
            step=0.02,
            groups=grouping or "element",
        )


def split_colour(colour: str) -> tuple[Grouping | None, str | None, bool]:
    """Grouping to compute, column to colour by, and whether spins are needed."""
    if colour.startswith("spin_"):
        return None, colour, True
    grouping, _, group = colour.partition(":")
    if grouping in GROUPINGS and group:
        return cast(Grouping, grouping), group, False
    return None, None, False


def colour_choices(h: Hamiltonian) -> dict[str, dict[str, str]]:
    """All that bands can be coloured by: kind → title → value."""
    choices: dict[str, dict[str, str]] = {
        "One colour": {"none": COLOUR_NONE},
        "Spin": {
            **{f"spin ⟨σ{axis}⟩": f"spin_{axis}" for axis in "xyz"},
            "spin ⟨σ·n⟩": "spin_n",
        },
    }
    kinds: tuple[tuple[str, Grouping], ...] = (
        ("Element", "element"),
        ("Shell", "l"),
        ("Atom", "site"),
    )
    for title, grouping in kinds:
        names = orbital_groups(h.basis, grouping).names
        if len(names) <= 40:
            choices[title] = {f"{name}": f"{grouping}:{name}" for name in names}
    return choices
