"""What the Bands page asks of a cell too large for all bands: those around the gap."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

from hamexplorer.app.band_model import split_colour
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties import BandStructure
from hamexplorer.properties.large_cells import PathStates, labelled_points

__all__ = ["LargeBandModel", "window_around"]

_BANDS = 40


class LargeBandModel:
    """Forty bands around the gap at the named k-points, computed once for every spin state.

    Band numbers are counted at the shift alone: counting at both ends too, as the command line
    does, would take three times as long. A second call waits until the first has
    ended or was stopped: the matrices of both at once may not fit into memory.
    """

    def __init__(self, h: Hamiltonian) -> None:
        self.hamiltonian = h
        self.path = labelled_points(h.structure)
        self.n_bands = min(_BANDS, 2 * h.basis.n_orbitals)
        self.states: PathStates | None = None
        self._off: PathStates | None = None
        self._level: float | None = None
        self._lock = threading.Lock()

    @property
    def description(self) -> str:
        """What is done for this cell, in a sentence."""
        return (
            f"{len(self.hamiltonian.structure)} atoms with {self.hamiltonian.basis.n_orbitals} "
            f"orbitals are too many for all bands: {self.n_bands} around the gap are computed at "
            "the named k-points (lines between them only guide the eye), and no density of states."
        )

    def is_ready(self, state: SpinState) -> bool:
        """Whether :meth:`bands` returns at once."""
        asked = self._effective(state)
        return self.states is not None and self.states.state == asked and self._off is not None

    def bands(
        self, state: SpinState, colour: str, monitor: Monitor
    ) -> tuple[BandStructure, BandStructure]:
        """Bands in ``state`` and without spin-orbit coupling, with what ``colour`` needs."""
        with self._lock:
            monitor.check()
            return self._bands(state, colour, monitor)

    def _bands(
        self, state: SpinState, colour: str, monitor: Monitor
    ) -> tuple[BandStructure, BandStructure]:
        asked = self._effective(state)
        bare = self._effective(SpinState(0.0, exchange=state.exchange))
        if self._off is None or self._off.state != bare:
            self._off = self._computed(bare, _share(monitor, 0.0, 0.15))
        if asked == bare:
            self.states = self._off
        elif self.states is None or self.states.state != asked:
            self.states = self._computed(asked, _share(monitor, 0.15, 0.85))
        grouping, _, spin = split_colour(colour)
        on = self.states.bands(weights=grouping, spin=spin)
        return replace(on, state=state), self._off.bands()

    def _effective(self, state: SpinState) -> SpinState:
        """With everything dropped that changes nothing in this Hamiltonian."""
        soc = state.soc if self.hamiltonian.has_spin_orbit else 0.0
        return replace(state, soc=soc) if self.hamiltonian.is_magnetic else SpinState(soc)

    def _computed(self, state: SpinState, monitor: Monitor) -> PathStates:
        found = PathStates.computed(
            self.hamiltonian,
            self.path,
            self.n_bands,
            state,
            check="none",
            guess=self._level,
            monitor=monitor,
        )
        self._level = found.bands().fermi.energy
        return found


def window_around(bands: BandStructure) -> tuple[float, float]:
    """An energy window that holds all of ``bands``, eV from the Fermi level, in half volts."""
    low, high = (2 * (e - bands.fermi.energy) for e in (bands.energies.min(), bands.energies.max()))
    return math.floor(low) / 2, math.ceil(high) / 2


def _share(monitor: Monitor, start: float, share: float) -> Monitor:
    """Reports to a part of ``monitor``'s range, and stops with it."""
    return Monitor(
        lambda event: monitor.report(event.stage, start + share * event.fraction, event.message)
    )
