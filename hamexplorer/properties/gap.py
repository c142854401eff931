"""The band gap, and spin splittings at named k-points."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.properties.bands import BandStructure, MeshBands
from hamexplorer.properties.fermi import occupied_bands

__all__ = ["Gap", "Splitting", "Splittings", "gap", "splittings"]

_SAME_PLACE = 1e-4
_DIRECT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Gap:
    """The gap between band n_electrons and the next.

    Attributes:
        value: cbm − vbm, eV; negative where the bands overlap (a metal or semimetal).
        is_direct: vbm and cbm lie at one k-point.
        vbm, cbm: band edges, eV.
        vbm_k, cbm_k: where, fractional.
        vbm_label, cbm_label: the path's name of these points, or "".
        direct: smallest vertical distance of the two bands, eV.
        direct_k, direct_label: where.
    """

    value: float
    is_direct: bool
    vbm: float
    cbm: float
    vbm_k: tuple[float, float, float]
    cbm_k: tuple[float, float, float]
    vbm_label: str
    cbm_label: str
    direct: float
    direct_k: tuple[float, float, float]
    direct_label: str

    @property
    def is_metal(self) -> bool:
        """Whether the bands touch or overlap."""
        return self.value <= 0

    def to_dataframe(self) -> pd.DataFrame:
        """One row; energies in eV, k fractional."""
        return pd.DataFrame([asdict(self)])


@dataclass(frozen=True)
class Splitting:
    """Spin splittings at one k-point, meV: of the highest valence and lowest conduction pair."""

    label: str
    k: tuple[float, float, float]
    valence: float
    conduction: float


@dataclass(frozen=True)
class Splittings:
    """Spin splittings at the named points of a path."""

    points: tuple[Splitting, ...]

    def __getitem__(self, label: str) -> Splitting:
        for point in self.points:
            if point.label == label:
                return point
        raise SettingsError(
            f"No k-point is named {label!r}; there are {', '.join(p.label for p in self.points)}."
        )

    def to_dataframe(self) -> pd.DataFrame:
        """One row per point; splittings in meV."""
        return pd.DataFrame(
            [
                {
                    "label": p.label,
                    "k1": p.k[0],
                    "k2": p.k[1],
                    "k3": p.k[2],
                    "valence_meV": p.valence,
                    "conduction_meV": p.conduction,
                }
                for p in self.points
            ],
            columns=["label", "k1", "k2", "k3", "valence_meV", "conduction_meV"],
        )


def gap(*samples: BandStructure | MeshBands) -> Gap:
    """The gap over all k-points of ``samples``: give path and mesh for the best answer.

    Raises:
        SettingsError: no sample; electrons that do not fill whole bands; or a band window
            without the two bands at the gap.
    """
    if not samples:
        raise SettingsError("A gap needs at least one set of bands.")
    valence, conduction, kpoints, labels = [], [], [], []
    for sample in samples:
        below, above = _edge_bands(sample, 1)
        valence.append(sample.energies[:, below[0]])
        conduction.append(sample.energies[:, above[0]])
        kpoints.append(sample.kpoints)
        labels.append(_labels(sample))
    top, bottom = np.concatenate(valence), np.concatenate(conduction)
    k, names = np.concatenate(kpoints), _shared_labels(np.concatenate(kpoints), labels)
    v, c, d = int(top.argmax()), int(bottom.argmin()), int((bottom - top).argmin())
    vbm, cbm, direct = float(top[v]), float(bottom[c]), float((bottom - top)[d])
    is_direct = direct - (cbm - vbm) < _DIRECT_TOLERANCE
    if is_direct:
        # Equivalent edges (K and K′, mesh and path): name one point for both.
        v = c = d
    return Gap(
        cbm - vbm,
        is_direct,
        vbm,
        cbm,
        _triple(k[v]),
        _triple(k[c]),
        names[v],
        names[c],
        direct,
        _triple(k[d]),
        names[d],
    )


def splittings(bands: BandStructure) -> Splittings:
    """Spin splittings at the path's ticks, in meV.

    With N electrons: E_N − E_{N−1} (valence) and E_{N+2} − E_{N+1} (conduction), bands counted
    from 1. They are spin splittings where the bands go in spin pairs: an even N, no exchange, the
    primitive cell of one layer. In supercells and bilayers two levels may as well be folded from
    different k, or belong to different layers: 0 is no proof of spin degeneracy there.

    Raises:
        SettingsError: N is not an even number, or the window lacks these bands.
    """
    n_occupied = occupied_bands(bands.n_electrons)
    if n_occupied is None or n_occupied % 2:
        raise SettingsError(
            f"{bands.n_electrons:g} electrons do not fill pairs of bands; splittings are those of "
            "the pairs around the gap."
        )
    below, above = _edge_bands(bands, 2)
    found: dict[str, Splitting] = {}
    for index, label in bands.path.ticks:
        energies = bands.energies[index]
        found.setdefault(
            label,
            Splitting(
                label,
                _triple(bands.kpoints[index]),
                1e3 * float(energies[below[0]] - energies[below[1]]),
                1e3 * float(energies[above[1]] - energies[above[0]]),
            ),
        )
    return Splittings(tuple(found.values()))


def _edge_bands(sample: BandStructure | MeshBands, depth: int) -> tuple[list[int], list[int]]:
    """Columns of the ``depth`` bands below and above the gap, nearest first."""
    n_occupied = occupied_bands(sample.n_electrons)
    if n_occupied is None:
        raise SettingsError(
            f"{sample.n_electrons:g} electrons do not fill whole bands: there is no gap."
        )
    if n_occupied == 0:
        raise SettingsError("There are no occupied states (0 electrons): there is no gap.")
    fermi = sample.fermi if isinstance(sample, BandStructure) else None
    if fermi is not None and fermi.vbm is not None and fermi.cbm is None:
        raise SettingsError(
            f"All states are occupied ({n_occupied} electrons): there is no gap above them."
        )
    top = n_occupied - 1 - sample.first_band
    if top - depth + 1 < 0 or top + depth >= sample.energies.shape[1]:
        last = sample.first_band + sample.energies.shape[1] - 1
        raise SettingsError(
            f"The bands around the gap are {n_occupied - depth} … {n_occupied + depth - 1}; the "
            f"window holds {sample.first_band} … {last}."
        )
    return [top - i for i in range(depth)], [top + 1 + i for i in range(depth)]


def _labels(sample: BandStructure | MeshBands) -> dict[str, NDArray[np.float64]]:
    if isinstance(sample, MeshBands):
        return {}
    return {label: sample.kpoints[index] for index, label in sample.path.ticks}


def _shared_labels(
    k: NDArray[np.float64], labels: list[dict[str, NDArray[np.float64]]]
) -> list[str]:
    """The path's name of every k-point that equals a named one up to a reciprocal vector."""
    names = [""] * len(k)
    for found in labels:
        for label, point in found.items():
            away = k - point
            for index in np.flatnonzero(np.abs(away - away.round()).max(axis=1) < _SAME_PLACE):
                names[index] = names[index] or label
    return names


def _triple(k: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(k[0]), float(k[1]), float(k[2])
