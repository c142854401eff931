"""Differences of the bands of two Hamiltonians near the gap or the Fermi level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, PairSum, SpinState, default_device
from hamexplorer.properties.bands import BandStructure, MeshBands, band_structure
from hamexplorer.properties.fermi import FermiLevel, fill
from hamexplorer.properties.gap import Gap, Splitting, gap, splittings
from hamexplorer.properties.mesh import KMesh, automatic_mesh
from hamexplorer.properties.parallel import map_chunks
from hamexplorer.properties.solver import BandSolver
from hamexplorer.structures.kpath import KPath

__all__ = ["BandErrors", "BandSource", "SolvedBands", "SplittingDifference", "compare_bands"]

_SMEARING = 0.01  # eV
_TO_MEV = 1e3
_CHUNK_BYTES = 2e7
_KEPT_BYTES = 5e8
"""Reduced matrices kept by each of the four solvers of a comparison."""


@dataclass(frozen=True, eq=False)
class SolvedBands:
    """One Hamiltonian's bands on path and mesh; ``gap`` is None for a metal, and where there are no
    occupied or no empty states.
    """

    path: BandStructure
    gap: Gap | None
    is_metal: bool

    @property
    def fermi(self) -> FermiLevel:
        """The Fermi level from the mesh."""
        return self.path.fermi

    @property
    def edges(self) -> tuple[float, float]:
        """Valence top and conduction bottom, of a metal twice the Fermi level; eV."""
        if self.gap is None:
            return self.fermi.energy, self.fermi.energy
        return self.gap.vbm, self.gap.cbm

    def shifted(self, energy: float) -> SolvedBands:
        """All energies moved by ``energy``, eV."""
        if energy == 0:
            return self
        fermi, found = self.path.fermi, self.gap
        moved = replace(
            fermi,
            energy=fermi.energy + energy,
            vbm=None if fermi.vbm is None else fermi.vbm + energy,
            cbm=None if fermi.cbm is None else fermi.cbm + energy,
        )
        return SolvedBands(
            replace(self.path, energies=self.path.energies + energy, fermi=moved),
            None
            if found is None
            else replace(found, vbm=found.vbm + energy, cbm=found.cbm + energy),
            self.is_metal,
        )


class BandSource:
    """Bands of one Hamiltonian on a path and a mesh, S(k) reduced once for all spin states.

    Args:
        h: the Hamiltonian.
        path: k-points, fractional.
        mesh: divisions of the mesh for the Fermi level and the band edges.
    """

    def __init__(self, h: Hamiltonian, path: KPath, mesh: tuple[int, int, int]) -> None:
        self.hamiltonian = h
        self._path = path
        self._mesh = KMesh(mesh, h.is_time_reversal_symmetric())
        bloch = BlochSum(h)
        self._on_path, self._on_mesh = (
            BandSolver(h, k, bloch.device, max_bytes=_KEPT_BYTES, bloch=bloch)
            for k in (path.kpoints, self._mesh.kpoints)
        )
        self.smallest_overlap = smallest_overlap(h, path.kpoints)
        """Smallest eigenvalue of S(k) on the path."""

    def solve(self, state: SpinState) -> SolvedBands:
        """Bands in ``state``."""
        h = self.hamiltonian
        on_mesh = self._on_mesh.energies(state)
        level = fill(on_mesh, self._mesh.weights, h.n_electrons, self._mesh.shape, _SMEARING)
        on_path = band_structure(h, self._path, state, fermi=level, solver=self._on_path)
        if level.is_metal:
            return SolvedBands(on_path, None, True)
        if level.vbm is None or level.cbm is None:  # all states empty, or all filled
            return SolvedBands(on_path, None, False)
        found = gap(on_path, MeshBands(self._mesh, on_mesh, h.n_electrons))
        return SolvedBands(on_path, None if found.is_metal else found, found.is_metal)


def common_mesh(first: Hamiltonian, second: Hamiltonian) -> tuple[int, int, int]:
    """The finer one of both automatic meshes along each vector."""
    a, b = automatic_mesh(first), automatic_mesh(second)
    return max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2])


def smallest_overlap(h: Hamiltonian, kpoints: NDArray[np.float64]) -> float:
    """The smallest eigenvalue of S(k) at ``kpoints`` (nk, 3)."""
    n = h.basis.n_orbitals
    overlap = PairSum(h.pairs, h.overlap[None], np.ones(1), default_device())
    step = max(1, int(_CHUNK_BYTES / (16.0 * n * n)))

    def lowest(start: int) -> float:
        matrices = overlap(kpoints[start : start + step])[:, 0].cpu().numpy()
        return float(np.linalg.eigvalsh(matrices)[:, 0].min())

    return min(map_chunks(lowest, range(0, len(kpoints), step)))


@dataclass(frozen=True)
class SplittingDifference:
    """Spin splittings at one named k-point, meV: of the reference and of the second."""

    label: str
    first: Splitting
    second: Splitting


@dataclass(frozen=True, eq=False)
class BandErrors:
    """ΔE = E₂ + c − E₁, bands matched by their order at each k; meV where not said otherwise.

    Attributes:
        first, second: bands on path and mesh; the second's with c added, eV.
        window: eV beyond the reference's edges (metal: around its Fermi level).
        limits: the energies between which reference states are looked at, eV, absolute.
        first_band: index of the first compared band of the reference.
        offset: band b of the reference is compared with band b + offset of the second.
        difference: ΔE of the compared bands, meV, (nk, nb).
        inside: whether the reference's state lies within ``limits``, (nk, nb).
        unmatched: states of the reference within ``limits`` for which the second has no band.
        splittings: at the path's named points, where both have spin pairs at the gap.
    """

    first: SolvedBands
    second: SolvedBands
    window: tuple[float, float]
    limits: tuple[float, float]
    first_band: int
    offset: int
    difference: NDArray[np.float64]
    inside: NDArray[np.bool_]
    unmatched: int
    splittings: tuple[SplittingDifference, ...]

    @property
    def count(self) -> int:
        """Number of states that are compared."""
        return int(self.inside.sum())

    @property
    def mean(self) -> float:
        """Mean |ΔE| of the states within the window, meV; NaN where there is none."""
        return float(np.abs(self.difference[self.inside]).mean()) if self.count else np.nan

    @property
    def rms(self) -> float:
        """Root of the mean ΔE², meV."""
        return float(np.sqrt((self.difference[self.inside] ** 2).mean())) if self.count else np.nan

    @property
    def largest(self) -> float:
        """Largest |ΔE|, meV."""
        return float(np.abs(self.difference[self.inside]).max()) if self.count else np.nan

    @property
    def worst(self) -> tuple[int, int] | None:
        """Where that is: index of the k-point, and band of the reference counted from 0."""
        if not self.count:
            return None
        size = np.where(self.inside, np.abs(self.difference), -1.0)
        k, b = np.unravel_index(int(size.argmax()), size.shape)
        return int(k), int(b) + self.first_band

    def by_k(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and largest |ΔE| at every k-point, meV, each (nk,); NaN where none is inside."""
        size, count = np.abs(self.difference), self.inside.sum(axis=1)
        total = np.where(self.inside, size, 0.0).sum(axis=1)
        mean = np.full(len(size), np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        largest = np.where(self.inside, size, -1.0).max(axis=1, initial=-1.0)
        return mean, np.where(count > 0, largest, np.nan)

    def edge_differences(self) -> dict[str, float | None]:
        """Second minus first of valence top, conduction bottom, gap and Fermi level, meV."""
        a, b = self.first, self.second
        found: dict[str, float | None] = dict.fromkeys(("vbm", "cbm", "gap"))
        if a.gap is not None and b.gap is not None:
            found["vbm"] = _TO_MEV * (b.gap.vbm - a.gap.vbm)
            found["cbm"] = _TO_MEV * (b.gap.cbm - a.gap.cbm)
            found["gap"] = _TO_MEV * (b.gap.value - a.gap.value)
        found["fermi"] = _TO_MEV * (b.fermi.energy - a.fermi.energy)
        return found

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k and compared band: both energies in eV, ΔE in meV, whether inside."""
        nk, nb = self.difference.shape
        path = self.first.path.path
        labels = np.full(nk, "", dtype=object)
        for index, label in path.ticks:
            labels[index] = label
        columns: dict[str, NDArray[np.generic]] = {"k_index": np.repeat(np.arange(nk), nb)}
        columns |= {f"k{a + 1}": np.repeat(path.kpoints[:, a], nb) for a in range(3)}
        columns["distance_per_A"] = np.repeat(path.distances, nb)
        columns["label"] = np.repeat(labels, nb)
        columns["band"] = np.tile(np.arange(nb) + self.first_band, nk)
        energies = self.first.path.energies[:, self.first_band : self.first_band + nb]
        columns["first_eV"] = energies.ravel()
        columns["second_eV"] = (energies + self.difference / _TO_MEV).ravel()
        columns["difference_meV"] = self.difference.ravel()
        columns["inside"] = self.inside.ravel()
        return pd.DataFrame(columns)

    def kpoints_dataframe(self) -> pd.DataFrame:
        """One row per k-point: mean and largest |ΔE| near the gap in meV."""
        path = self.first.path.path
        labels = np.full(len(path.kpoints), "", dtype=object)
        for index, label in path.ticks:
            labels[index] = label
        columns: dict[str, NDArray[np.generic]] = {
            f"k{a + 1}": path.kpoints[:, a] for a in range(3)
        }
        mean, largest = self.by_k()
        return pd.DataFrame(
            columns
            | {
                "distance_per_A": path.distances,
                "label": labels,
                "mean_meV": mean,
                "max_meV": largest,
                "n_states": self.inside.sum(axis=1),
            }
        )


def compare_bands(
    first: SolvedBands,
    second: SolvedBands,
    window: tuple[float, float],
    offset: int = 0,
    *,
    spin_pairs: bool = True,
) -> BandErrors:
    """Bands of ``first`` and ``second`` (its energies shifted already) near the reference's gap.

    ``spin_pairs``: no exchange field splits bands, so that splittings are those by spin-orbit
    coupling and are compared, too.

    Raises:
        SettingsError: the window is empty or not finite.
    """
    low, high = (float(x) for x in window)
    if not (np.isfinite([low, high]).all() and low < high):
        raise SettingsError(
            f"The window {window!r} is not a lower and an upper limit in eV, such as (-2, 2)."
        )
    bottom, top = first.edges
    limits = bottom + low, top + high
    a, b = first.path.energies, second.path.energies
    begin = max(0, -offset)
    end = min(a.shape[1], b.shape[1] - offset)
    reference = a[:, begin : max(end, begin)]
    within = (a >= limits[0]) & (a <= limits[1])
    inside = within[:, begin : max(end, begin)]
    other = b[:, begin + offset : begin + offset + reference.shape[1]]
    return BandErrors(
        first,
        second,
        (low, high),
        limits,
        begin,
        offset,
        _TO_MEV * (other - reference),
        inside,
        int(within.sum() - inside.sum()),
        _splittings(first, second) if spin_pairs else (),
    )


def _splittings(first: SolvedBands, second: SolvedBands) -> tuple[SplittingDifference, ...]:
    """None where there are no pairs of bands at a gap."""
    if first.gap is None or second.gap is None:
        return ()
    pairs = zip(splittings(first.path).points, splittings(second.path).points, strict=True)
    return tuple(SplittingDifference(a.label, a, b) for a, b in pairs)
