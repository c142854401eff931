"""Berry curvature, orbital moment and circular dichroism of bands, in a non-orthogonal basis.

The Berry connection between eigenstates is (C. Wang et al., New J. Phys. 21, 093001 (2019))

    A_nm = i v_nm / (E_m − E_n),   v_nm = c_n† [∂H − ½(E_n + E_m) ∂S + i (E_n − E_m) X] c_m

with the derivatives of :mod:`~hamexplorer.properties.derivative`, which hold the orbitals' places
in the cell, and X the position operator centred on the midpoint of each pair of sites. v_nm is
also the velocity, ħ⟨n|v|m⟩. Where the source gives no X it is taken for zero, the diagonal
approximation: ⟨φ_i|r|φ_j⟩ = S_ij (r_i + r_j)/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import (
    BlochSum,
    Hamiltonian,
    SpinState,
    checked_kpoints,
    default_device,
)
from hamexplorer.progress import Monitor
from hamexplorer.properties.derivative import BlochDerivative, BlochGradient
from hamexplorer.properties.parallel import map_chunks
from hamexplorer.properties.solver import BandSolver, BandStates
from hamexplorer.properties.tables import band_table
from hamexplorer.properties.weights import DEGENERACY, degenerate_mean, spin_expectation
from hamexplorer.units import HBAR2_OVER_ME

__all__ = ["BandGeometry", "band_geometry", "interband_velocity", "plane_axes"]

_BLOCK_BYTES = 3.5e7
_CHUNK_BYTES = 1e7


@dataclass(frozen=True, eq=False)
class BandGeometry:
    """What the states' dependence on k holds, at nk k-points for nb bands.

    Attributes:
        kpoints: (nk, 3), fractional.
        bands: index of each band among all, (nb,).
        energies: (nk, nb), eV.
        spin: ⟨σ_x,y,z⟩, (nk, nb, 3), −1 … 1.
        curvature: Ω along ``normal``, (nk, nb), Å².
        moment: orbital magnetic moment along ``normal``, (nk, nb), µB.
        occupied_curvature: Σ Ω over the occupied bands, (nk,), Å²; None unless asked for.
        polarisation: degree of circular polarisation η of the transitions, (nk,), −1 … 1; None
            unless asked for.
        strength: |P₊|² + |P₋|² of the transitions, (nk,), (eV Å)²; None likewise.
        normal: unit vector, (3,).
        position: ``exact`` or ``diagonal``: the position operator used.
        state: λ and the magnetisation.
    """

    kpoints: NDArray[np.float64]
    bands: NDArray[np.int64]
    energies: NDArray[np.float64]
    spin: NDArray[np.float64]
    curvature: NDArray[np.float64]
    moment: NDArray[np.float64]
    occupied_curvature: NDArray[np.float64] | None
    polarisation: NDArray[np.float64] | None
    strength: NDArray[np.float64] | None
    normal: NDArray[np.float64]
    position: str
    state: SpinState

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k and band; energies in eV, Ω in Å², moments in µB."""
        nb = len(self.bands)
        frame = band_table(self.kpoints, self.bands, self.energies)
        for a, axis in enumerate("xyz"):
            frame[f"spin_{axis}"] = self.spin[..., a].ravel()
        frame["berry_curvature_A2"] = self.curvature.ravel()
        frame["orbital_moment_muB"] = self.moment.ravel()
        if self.occupied_curvature is not None:
            frame["occupied_curvature_A2"] = np.repeat(self.occupied_curvature, nb)
        if self.polarisation is not None:
            frame["circular_polarisation"] = np.repeat(self.polarisation, nb)
        return frame


def plane_axes(normal: ArrayLike) -> NDArray[np.float64]:
    """e₁, e₂ with e₁ × e₂ = ``normal`` (3,), as rows, (2, 3); e₁ as near to x as can be.

    Raises:
        SettingsError: ``normal`` is not a finite vector other than zero.
    """
    n = np.asarray(normal, dtype=float)
    length = np.linalg.norm(n)
    if n.shape != (3,) or not np.isfinite(length) or length == 0:
        raise SettingsError(f"A normal is a finite vector other than zero, not {normal!r}.")
    n = n / length
    start = np.eye(3)[0] if abs(n[0]) < 0.9 else np.eye(3)[1]
    first = start - (start @ n) * n
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(n, first)])


def band_geometry(
    h: Hamiltonian,
    kpoints: ArrayLike,
    state: SpinState | None = None,
    *,
    bands: Sequence[int],
    occupied: int | None = None,
    transitions: tuple[Sequence[int], Sequence[int]] | None = None,
    normal: ArrayLike = (0.0, 0.0, 1.0),
    monitor: Monitor | None = None,
) -> BandGeometry:
    """Berry curvature, orbital moment and circular dichroism of ``bands``.

    Ω_n = i Σ_{m≠n} (A¹_nm A²_mn − A²_nm A¹_mn) + F_nn,
    F = ∂₁A₂ − ∂₂A₁ − i (A₁† S⁻¹ A₂ − A₂† S⁻¹ A₁),  A = X + (i/2) ∂S,

    1 and 2 two directions with e₁ × e₂ = ``normal``. F is the curvature of the basis as a whole:
    zero for a complete or an orthogonal one, and needed for integer Chern numbers otherwise. The
    orbital moment is (D. Xiao, M.-C. Chang, Q. Niu, Rev. Mod. Phys. 82, 1959 (2010), eq. 4.6)
    m_n = µB (2m_e/ħ²) Im Σ_m (E_m − E_n) A¹_nm A²_mn. Both are averaged over degenerate states.

    The degree of circular polarisation of transitions from bands v to bands c is
    η = Σ (|P₊|² − |P₋|²) / Σ (|P₊|² + |P₋|²), P± = v¹_cv ± i v²_cv (T. Cao et al., Nat. Commun.
    3, 887 (2012)): +1 where light of helicity + alone is absorbed.

    Args:
        h: the Hamiltonian.
        kpoints: (nk, 3), fractional.
        state: λ and the magnetisation.
        bands: indices of bands, from 0.
        occupied: also sum Ω over this many lowest bands (pairs within them cancel).
        transitions: bands v and bands c for η.
        normal: along which Ω and m are taken.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: a band index, the normal or the k-points are out of range.
    """
    state = state or SpinState()
    k = checked_kpoints(kpoints)
    total = 2 * h.basis.n_orbitals
    chosen = _indices(bands, total)
    pair = None
    if transitions is not None:
        pair = (_indices(transitions[0], total), _indices(transitions[1], total))
    if occupied is not None and not 0 <= occupied <= total:
        raise SettingsError(f"{occupied} occupied bands; there are {total}.")
    axes = plane_axes(normal)
    device = default_device()
    gradient = BlochGradient(h, axes, position=True, device=device)
    wide = _with_neighbours(chosen, total)
    bloch = BlochSum(h, device)
    task = _Task(gradient, state, wide, pair, occupied, device)
    block = max(1, int(_BLOCK_BYTES / (32.0 * total**2)))
    parts: list[_Part] = []
    for start in range(0, len(k), block):
        if monitor is not None:
            monitor.report("Berry curvature", start / len(k), f"{start} of {len(k)} k-points")
        solver = BandSolver(h, k[start : start + block], device, max_bytes=0, bloch=bloch)
        parts.append(task.solve(solver.states(state)))
    joined = _Part(*(_joined(column) for column in zip(*parts, strict=True)))  # type: ignore[arg-type]
    inside = np.isin(wide, chosen)
    curvature, moment = (
        degenerate_mean(joined.energies, values[..., None])[:, inside, 0]
        for values in (joined.curvature, joined.moment)
    )
    return BandGeometry(
        k,
        chosen,
        joined.energies[:, inside],
        joined.spin[:, inside],
        curvature,
        moment,
        joined.occupied,
        joined.polarisation,
        joined.strength,
        np.cross(axes[0], axes[1]),
        "exact" if h.has_position else "diagonal",
        state,
    )


def _with_neighbours(bands: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """The bands and those beside them, so that sets of up to four degenerate ones are whole."""
    near = bands[:, None] + np.arange(-3, 4)
    return np.unique(near[(near >= 0) & (near < total)])


def _indices(bands: Sequence[int], total: int) -> NDArray[np.int64]:
    given = np.asarray(bands)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise SettingsError(f"Bands are a list of whole numbers, not {bands!r}.")
    if given.min() < 0 or given.max() >= total:
        raise SettingsError(f"Bands are counted 0 … {total - 1}; not {given.tolist()}.")
    return np.unique(given.astype(np.int64))


class _Part(NamedTuple):
    """Results of some k-points, by name as in :class:`BandGeometry`."""

    energies: NDArray[np.float64]
    spin: NDArray[np.float64]
    curvature: NDArray[np.float64]
    moment: NDArray[np.float64]
    occupied: NDArray[np.float64] | None
    polarisation: NDArray[np.float64] | None
    strength: NDArray[np.float64] | None


def _joined(values: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    present = [v for v in values if v is not None]
    return np.concatenate(present) if present else None


@dataclass(frozen=True, eq=False)
class _Task:
    """What to compute from the states of some k-points."""

    gradient: BlochGradient
    state: SpinState
    bands: NDArray[np.int64]
    transitions: tuple[NDArray[np.int64], NDArray[np.int64]] | None
    occupied: int | None
    device: torch.device

    def solve(self, states: BandStates) -> _Part:
        nk = len(states.kpoints)
        size = nk
        if self.device.type == "cpu":
            size = max(1, int(_CHUNK_BYTES / (96.0 * states.energies.shape[1] ** 2)))
        slices = [slice(start, start + size) for start in range(0, nk, size)]
        solved = map_chunks(lambda part: self._chunk(states, part), slices)
        curvature, moment, occupied, polarisation, strength = (
            _joined(column) for column in zip(*solved, strict=True)
        )
        assert curvature is not None
        assert moment is not None
        spin = spin_expectation(states)[:, self.bands]
        return _Part(
            states.energies[:, self.bands],
            spin,
            curvature,
            moment,
            occupied,
            polarisation,
            strength,
        )

    def _chunk(self, states: BandStates, part: slice) -> tuple[NDArray[np.float64] | None, ...]:
        c = torch.as_tensor(states.coefficients[part], device=self.device)
        energies = torch.as_tensor(states.energies[part], device=self.device)
        derivative = self.gradient(states.kpoints[part], self.state)
        rows = np.union1d(self.bands, self.transitions[0] if self.transitions else self.bands)
        elements = _Elements(derivative, energies, c, torch.as_tensor(rows, device=self.device))
        chosen = torch.as_tensor(np.searchsorted(rows, self.bands), device=self.device)
        curvature, moment = elements.geometry()
        polarisation = strength = occupied = None
        if self.transitions is not None:
            from_ = torch.as_tensor(np.searchsorted(rows, self.transitions[0]), device=self.device)
            to = torch.as_tensor(self.transitions[1], device=self.device)
            plus, minus = elements.circular(from_, to)
            strength = plus + minus
            polarisation = (plus - minus) / strength.clamp_min(1e-300)
        if self.occupied is not None:
            below = torch.arange(self.occupied, device=self.device)
            occupied = _Elements(derivative, energies, c, below).occupied_curvature()
        results = (curvature[:, chosen], moment[:, chosen], occupied, polarisation, strength)
        return tuple(None if value is None else value.cpu().numpy() for value in results)


def interband_velocity(
    derivative: BlochDerivative,
    axis: int,
    energies: torch.Tensor,
    c: torch.Tensor,
    rows: torch.Tensor | None = None,
) -> torch.Tensor:
    """v_nm along direction ``axis`` of ``derivative``, eV Å, (nk, n_rows, nb); see the module.

    ``energies`` (nk, nb) and ``c`` (nk, 2n, nb) are the states; n runs over ``rows``, default all.
    """
    left = c if rows is None else c[:, :, rows]
    own = (energies if rows is None else energies[:, rows])[..., None]
    moved = _between(left, derivative.overlap[:, axis], c)
    velocity = (derivative.hamiltonian[:, axis] @ left).mH @ c
    velocity = velocity - 0.5 * (energies[:, None] + own) * moved
    if derivative.position is not None:
        centred = _between(left, derivative.position[:, axis], c)
        velocity = velocity - 1j * (energies[:, None] - own) * centred
    return velocity


class _Elements:
    """Matrix elements between the states ``rows`` and all states, at some k-points."""

    def __init__(
        self,
        derivative: BlochDerivative,
        energies: torch.Tensor,
        c: torch.Tensor,
        rows: torch.Tensor,
    ) -> None:
        self.rows = rows
        self.gap = energies[:, None] - energies[:, rows, None]  # E_m − E_n
        self.velocity = [interband_velocity(derivative, a, energies, c, rows) for a in range(2)]
        left = c[:, :, rows]
        self._basis_curvature = _basis_curvature(derivative, left, c)

    def geometry(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Ω (nk, n_rows), Å², and m, µB."""
        inverse = torch.where(self.gap.abs() > DEGENERACY, 1 / self.gap, 0.0)
        product = (self.velocity[0] * self.velocity[1].conj()).imag
        curvature = -2 * (product * inverse**2).sum(-1) + self._basis_curvature
        moment = 2 / HBAR2_OVER_ME * (product * inverse).sum(-1)
        return curvature, moment

    def occupied_curvature(self) -> torch.Tensor:
        """Σ_n Ω_n over the rows, which must be the lowest bands; pairs among them cancel."""
        n = len(self.rows)
        gap = self.gap[:, :, n:]
        product = (self.velocity[0] * self.velocity[1].conj()).imag[:, :, n:]
        inverse = torch.where(gap.abs() > DEGENERACY, 1 / gap, 0.0)
        return (-2 * (product * inverse**2).sum(-1) + self._basis_curvature).sum(-1)

    def circular(self, valence: torch.Tensor, conduction: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Σ |P₊|² and Σ |P₋|² of the transitions, (nk,), (eV Å)²."""
        x, y = (v[:, valence][:, :, conduction].conj() for v in self.velocity)
        plus, minus = (x + 1j * y).abs() ** 2, (x - 1j * y).abs() ** 2
        return plus.sum((-1, -2)), minus.sum((-1, -2))


def _basis_curvature(
    derivative: BlochDerivative, left: torch.Tensor, c: torch.Tensor
) -> torch.Tensor:
    """F_nn of the states ``left``, Å², (nk, n_rows); S⁻¹ = Σ_m c_m c_m†."""
    connection = []
    for a in range(2):
        basis = 0.5j * _between(left, derivative.overlap[:, a], c).conj()  # (A_a)_mn
        if derivative.position is not None:
            basis = basis + _between(left, derivative.position[:, a], c).conj()
        connection.append(basis)
    result = 2 * (connection[0].conj() * connection[1]).imag.sum(-1)
    if derivative.position_curl is not None:
        result = result + _expectation(left, derivative.position_curl)
    return result


def _between(left: torch.Tensor, operator: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """left† (O ⊗ 1) c for a spin-independent Hermitian O (nk, n, n)."""
    return _on_spins(operator, left).mH @ c


def _expectation(left: torch.Tensor, operator: torch.Tensor) -> torch.Tensor:
    """⟨n|O ⊗ 1|n⟩ of every column, real, (nk, nb)."""
    return (left.conj() * _on_spins(operator, left)).sum(1).real


def _on_spins(operator: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    nk, rows, nb = c.shape
    spins = c.reshape(nk, 2, rows // 2, nb)
    return (operator[:, None] @ spins).reshape(nk, rows, nb)
