"""Densities of states, total and by groups of orbitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.bands import MeshBands, bands_on_mesh
from hamexplorer.properties.fermi import FermiLevel, fill
from hamexplorer.properties.mesh import automatic_mesh
from hamexplorer.properties.simplex import corner_fractions, mesh_simplices
from hamexplorer.properties.weights import Grouping

__all__ = ["DensityOfStates", "density_of_states"]

_MAX_ENTRIES = 400_000
_MAX_ENERGIES = 100_000


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """States per eV and cell, both spins.

    Attributes:
        energies: (ne,), eV, absolute as in the source; centres of bins of equal width.
        total: (ne,), 1/eV, the mean over each bin, so that ``total.sum() * width`` counts states.
        integrated: (ne,), number of states below the upper edge of each bin.
        groups: names of the orbital groups.
        projected: (n_groups, ne), 1/eV; they sum to ``total``. None if not asked for.
        fermi: the Fermi level on the same mesh.
        method: ``tetrahedron`` (linear; triangles for one layer of k-points) or ``gaussian``.
        broadening: standard deviation of the Gaussian, eV; 0 for tetrahedra.
        mesh: divisions of the k mesh.
    """

    energies: NDArray[np.float64]
    total: NDArray[np.float64]
    integrated: NDArray[np.float64]
    groups: tuple[str, ...]
    projected: NDArray[np.float64] | None
    fermi: FermiLevel
    method: str
    broadening: float
    mesh: tuple[int, int, int]

    def to_dataframe(self) -> pd.DataFrame:
        """Columns ``energy_eV``, ``total_per_eV``, ``integrated`` and one per group."""
        frame = pd.DataFrame(
            {"energy_eV": self.energies, "total_per_eV": self.total, "integrated": self.integrated}
        )
        if self.projected is not None:
            for name, values in zip(self.groups, self.projected, strict=True):
                frame[f"{name} per_eV"] = values
        return frame


def density_of_states(
    h: Hamiltonian,
    state: SpinState | None = None,
    *,
    mesh: tuple[int, int, int] | None = None,
    method: Literal["tetrahedron", "gaussian"] = "tetrahedron",
    broadening: float = 0.05,
    energy_range: tuple[float, float] | None = None,
    step: float = 0.01,
    groups: Grouping | None = None,
    smearing: float = 0.01,
    monitor: Monitor | None = None,
) -> DensityOfStates:
    """Density of states of ``h``: D(E) = Σ_b ∫ dk δ(E − E_b(k)), and by Mulliken weights.

    Args:
        h: the Hamiltonian.
        state: λ and the magnetisation.
        mesh: Γ-centred k mesh; default: spacing 0.12 1/Å, 1 across a vacuum.
        method: ``tetrahedron`` or ``gaussian``.
        broadening: standard deviation, eV, of the Gaussian method.
        energy_range: absolute, eV; default: all bands and a margin.
        step: width of the bins, eV.
        groups: project on orbitals grouped by this.
        smearing: kT of the Fermi level, eV.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: a parameter is out of range.
    """
    _check(method, broadening, step, energy_range, smearing)
    shape = automatic_mesh(h, 0.12) if mesh is None else mesh
    bands = bands_on_mesh(h, shape, state, weights=groups, monitor=monitor)
    margin = 6 * broadening if method == "gaussian" else 2 * step
    low, high = energy_range or (bands.energies.min() - margin, bands.energies.max() + margin)
    count = int(np.ceil((high - low) / step - 1e-9))
    if count > _MAX_ENERGIES:
        raise SettingsError(
            f"{count} energies between {low:.2f} and {high:.2f} eV; up to {_MAX_ENERGIES} are "
            "accepted: take a larger step."
        )
    edges: NDArray[np.float64] = np.float64(low) + step * np.arange(count + 1, dtype=np.float64)
    if method == "gaussian":
        below = _gaussian(bands, edges, broadening)
    else:
        reciprocal = np.asarray(h.structure.lattice.reciprocal_lattice.matrix)
        below = _tetrahedra(bands, edges, reciprocal)
    projected = np.diff(below, axis=1) / step
    integrated = below.sum(axis=0)
    return DensityOfStates(
        energies=(edges[1:] + edges[:-1]) / 2,
        total=np.diff(integrated) / step,
        integrated=integrated[1:],
        groups=bands.groups,
        projected=projected if groups is not None else None,
        fermi=fill(bands.energies, bands.mesh.weights, h.n_electrons, bands.mesh.shape, smearing),
        method=method,
        broadening=broadening if method == "gaussian" else 0.0,
        mesh=bands.mesh.shape,
    )


def _check(
    method: str,
    broadening: float,
    step: float,
    energy_range: tuple[float, float] | None,
    smearing: float,
) -> None:
    if method not in ("tetrahedron", "gaussian"):
        raise SettingsError(f"The method is 'tetrahedron' or 'gaussian', not {method!r}.")
    for name, value in (("broadening", broadening), ("step", step), ("smearing", smearing)):
        if not (np.isfinite(value) and value > 0):
            raise SettingsError(f"The {name} must be a positive number of eV, not {value!r}.")
    if energy_range is not None and not (
        np.isfinite(energy_range).all() and energy_range[0] < energy_range[1]
    ):
        raise SettingsError(f"The energy range is (low, high) in eV, not {energy_range!r}.")


def _shares(bands: MeshBands) -> NDArray[np.float64]:
    """Weights (nk, nb, n_groups); one group of weight 1 where none was asked for."""
    return np.ones((*bands.energies.shape, 1)) if bands.weights is None else bands.weights


def _gaussian(bands: MeshBands, edges: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """States below each edge by group, (n_groups, n_edges)."""
    shares = _shares(bands) * bands.mesh.weights[:, None, None]
    flat, levels = shares.reshape(-1, shares.shape[-1]), bands.energies.ravel()
    result = np.zeros((shares.shape[-1], len(edges)))
    size = max(1, 4_000_000 // len(edges))
    for start in range(0, len(levels), size):
        part = slice(start, start + size)
        result += flat[part].T @ ndtr((edges - levels[part, None]) / width)
    return result


def _tetrahedra(
    bands: MeshBands, edges: NDArray[np.float64], reciprocal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """States below each edge by group, (n_groups, n_edges).

    Each simplex and band touches the few edges between its lowest and highest corner; from the
    next edge on it counts in full.
    """
    simplices = mesh_simplices(bands.mesh.shape, reciprocal)
    shares = _shares(bands)
    points = bands.mesh.expansion[simplices]
    result = np.zeros((shares.shape[-1], len(edges)))
    step = edges[1] - edges[0]
    for band in range(bands.energies.shape[1]):
        energies = bands.energies[points, band]
        order = np.argsort(energies, axis=1)
        energies = np.take_along_axis(energies, order, axis=1)
        weights = shares[np.take_along_axis(points, order, axis=1), band]
        first = np.searchsorted(edges, energies[:, 0])
        last = np.searchsorted(edges, energies[:, -1])
        whole = np.stack(
            [
                np.bincount(last, weights[..., g].mean(axis=1), minlength=len(edges) + 1)
                for g in range(len(result))
            ]
        )
        result += np.cumsum(whole[:, :-1], axis=1)
        result += _partial(energies, weights, first, last, edges[0], step, len(edges))
    return result / len(simplices)


def _partial(
    energies: NDArray[np.float64],
    weights: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    low: float,
    step: float,
    n_edges: int,
) -> NDArray[np.float64]:
    """What partly filled simplices give to the edges between their corners."""
    result = np.zeros((weights.shape[-1], n_edges))
    lengths = last - first
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _MAX_ENTRIES, side="right")))
        part = slice(start, stop)
        item = np.repeat(np.arange(start, stop), lengths[part])
        offset = np.repeat(ends[part] - lengths[part] - done, lengths[part])
        edge = np.repeat(first[part], lengths[part]) + np.arange(len(item)) - offset
        fractions = corner_fractions(energies[item], low + step * edge)
        for g in range(len(result)):
            values = np.einsum("ic,ic->i", fractions, weights[item, :, g])
            result[g] += np.bincount(edge, values, minlength=n_edges)
        start = stop
    return result
