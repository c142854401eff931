"""The numbers of the two valleys, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.berry import band_geometry
from hamexplorer.properties.field import ELECTRON_G
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.properties.valley.find import Extremum, Valley, find_valleys
from hamexplorer.structures.zone import planar_zone
from hamexplorer.units import BOLTZMANN_EV_PER_K

__all__ = ["ValleyPair", "ValleyReadout", "valley_readouts"]


_CLOSE = 1e-3
"""eV. The gap below which valence and conduction band count as touching."""


@dataclass(frozen=True, eq=False)
class ValleyReadout:
    """One valley: arrays run over the second and first valence, first and second conduction band.

    Attributes:
        valley: where it is.
        energies: (4,), eV, absolute.
        spin: ⟨σ_x,y,z⟩, (4, 3), −1 … 1.
        curvature: Ω, (4,), Å².
        moment: orbital moment, (4,), µB.
        polarisation: η of the transitions between the two pairs of bands.
    """

    valley: Valley
    energies: NDArray[np.float64]
    spin: NDArray[np.float64]
    curvature: NDArray[np.float64]
    moment: NDArray[np.float64]
    polarisation: float

    @property
    def gap(self) -> float:
        """Direct gap, eV."""
        return float(self.energies[2] - self.energies[1])

    @property
    def valence_splitting(self) -> float:
        """Between the two highest valence bands, meV."""
        return float(self.energies[1] - self.energies[0]) * 1e3

    @property
    def conduction_splitting(self) -> float:
        """Between the two lowest conduction bands, meV."""
        return float(self.energies[3] - self.energies[2]) * 1e3


@dataclass(frozen=True, eq=False)
class ValleyPair:
    """K and K′ and how they differ; ``normal`` is the layer's, (3,)."""

    k: ValleyReadout
    k_prime: ValleyReadout
    normal: NDArray[np.float64]
    state: SpinState
    position: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """Valleys that are none: no extremum, or bands that (almost) touch."""
        found = []
        for readout in (self.k, self.k_prime):
            label = readout.valley.label
            if not readout.valley.found:
                found.append(
                    f"No extremum was found near {label}: the numbers are those of the zone's "
                    "corner."
                )
            if readout.gap < _CLOSE:
                found.append(
                    f"Valence and conduction band are only {1e3 * readout.gap:.2g} meV apart at "
                    f"{label} (below {1e3 * _CLOSE:g} meV they count as touching): curvature, "
                    "moment and circular polarisation there are not defined; the curvature "
                    "diverges as 1/gap²."
                )
        return tuple(found)

    @property
    def valence_difference(self) -> float:
        """E_v(K) − E_v(K′), meV: zero where time reversal holds."""
        return float(self.k.energies[1] - self.k_prime.energies[1]) * 1e3

    @property
    def conduction_difference(self) -> float:
        """E_c(K) − E_c(K′), meV."""
        return float(self.k.energies[2] - self.k_prime.energies[2]) * 1e3

    @property
    def gap_difference(self) -> float:
        """Valley splitting of the optical gap, E_gap(K) − E_gap(K′), meV."""
        return (self.k.gap - self.k_prime.gap) * 1e3

    def polarisation(self, temperature: float = 300.0) -> float:
        """Valley polarisation of holes in equilibrium, (p_K − p_K′)/(p_K + p_K′), −1 … 1.

        Both valleys are taken to have the same mass and few holes, so that p ∝ exp(E_v/kT) and
        the result is tanh((E_v(K) − E_v(K′))/2kT). ``temperature`` in K.

        Raises:
            SettingsError: the temperature is not positive.
        """
        if not (np.isfinite(temperature) and temperature > 0):
            raise SettingsError(f"A temperature is a positive number of K, not {temperature!r}.")
        kt = BOLTZMANN_EV_PER_K * temperature
        return float(np.tanh(self.valence_difference * 1e-3 / (2 * kt)))

    @property
    def bright_g(self) -> float:
        """The g factor of the bright transition in a magnetic field along the normal.

        E_gap(K) − E_gap(K′) = g µB B with the shifts (g_s/2 ⟨σ⟩ − m/µB) µB B of both bands at
        each valley (T. Woźniak et al., Phys. Rev. B 101, 235408 (2020)), from the highest
        valence band to that of the two lowest conduction bands whose spin is its own.
        """
        return self._bright(self.k) - self._bright(self.k_prime)

    def _bright(self, readout: ValleyReadout) -> float:
        spin = readout.spin @ self.normal
        partner = 2 + int(np.argmax(spin[2:] * np.sign(spin[1])))
        shift = ELECTRON_G / 2 * spin - readout.moment
        return float(shift[partner] - shift[1])

    def to_dataframe(self) -> pd.DataFrame:
        """One row per valley and band: energies in eV, Ω in Å², m in µB."""
        names = ("valence −1", "valence", "conduction", "conduction +1")
        rows = []
        for readout in (self.k, self.k_prime):
            valley = readout.valley
            for b, name in enumerate(names):
                row = {"valley": valley.label, "band": name, "energy_eV": readout.energies[b]}
                row |= {f"k{a + 1}": valley.kpoint[a] for a in range(3)}
                row |= {f"spin_{axis}": readout.spin[b, a] for a, axis in enumerate("xyz")}
                row |= {
                    "berry_curvature_A2": readout.curvature[b],
                    "orbital_moment_muB": readout.moment[b],
                    "circular_polarisation": readout.polarisation,
                    "shift_from_corner_per_A": valley.shift,
                }
                rows.append(row)
        return pd.DataFrame(rows)


def valley_readouts(
    h: Hamiltonian,
    state: SpinState | None = None,
    *,
    extremum: Extremum = "gap",
    valleys: tuple[Valley, Valley] | None = None,
) -> ValleyPair:
    """Energies, spins, Berry curvatures, moments and η at K and K′.

    ``valleys``: from :func:`find_valleys`, if they are known; searched otherwise. Errors as there.
    """
    state = state or SpinState()
    first, second = valleys or find_valleys(h, state, extremum=extremum)
    bands = edge_bands(h)
    zone = planar_zone(h.structure)
    geometry = band_geometry(
        h,
        np.array([first.kpoint, second.kpoint]),
        state,
        bands=bands,
        transitions=(bands[:2], bands[2:]),
        normal=zone.normal,
    )
    assert geometry.polarisation is not None
    readouts = [
        ValleyReadout(
            valley,
            geometry.energies[i],
            geometry.spin[i],
            geometry.curvature[i],
            geometry.moment[i],
            float(geometry.polarisation[i]),
        )
        for i, valley in enumerate((first, second))
    ]
    return ValleyPair(readouts[0], readouts[1], geometry.normal, state, geometry.position)
