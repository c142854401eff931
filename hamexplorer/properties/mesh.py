"""Γ-centred k meshes, their choice and their reduction by time reversal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.structures.slab import slab_geometry

__all__ = ["KMesh", "automatic_mesh", "checked_mesh", "dispersive_axes", "has_time_reversal"]

_MAX_POINTS = 200_000
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class KMesh:
    """The Γ-centred mesh k = (i/n₁, j/n₂, l/n₃), fractional.

    ``time_reversal``: k and −k are equivalent, only one of them is kept among
    :attr:`kpoints`; :attr:`weights` sum to 1.

    Raises:
        SettingsError: a number of divisions is not a positive integer, or the mesh is too large.
    """

    shape: tuple[int, int, int]
    time_reversal: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_mesh(self.shape))

    @cached_property
    def full_kpoints(self) -> NDArray[np.float64]:
        """All k-points in [0, 1), last index fastest, (n₁n₂n₃, 3)."""
        return self._indices / np.array(self.shape)

    @cached_property
    def _indices(self) -> NDArray[np.int64]:
        return np.stack(np.unravel_index(np.arange(int(np.prod(self.shape))), self.shape), axis=1)

    @cached_property
    def _reduction(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        flat = np.arange(len(self._indices))
        if not self.time_reversal:
            return flat, flat
        minus = -self._indices % np.array(self.shape)
        partner = np.ravel_multi_index(tuple(minus.T), self.shape)
        return np.unique(np.minimum(flat, partner), return_inverse=True)

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """The k-points to compute, (nk, 3)."""
        return self.full_kpoints[self._reduction[0]]

    @property
    def expansion(self) -> NDArray[np.int64]:
        """Index into :attr:`kpoints` of every point of the full mesh, (n₁n₂n₃,)."""
        return self._reduction[1]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weight of every computed k-point, (nk,), summing to 1."""
        counts = np.bincount(self.expansion)
        return counts / counts.sum()


def checked_mesh(shape: Any) -> tuple[int, int, int]:
    """Three positive integers, or :class:`SettingsError`."""
    try:
        values = tuple(shape)
        numbers = tuple(int(n) for n in values)
        whole = all(n == v for n, v in zip(numbers, values, strict=True))
    except (TypeError, ValueError, OverflowError):
        numbers, whole = (), False
    if len(numbers) != 3 or not whole or min(numbers) < 1:
        raise SettingsError(
            f"A k mesh is three whole numbers of at least 1, such as (12, 12, 1); not {shape!r}."
        )
    if np.prod(numbers, dtype=float) > _MAX_POINTS:
        raise SettingsError(
            f"The k mesh {numbers} has {np.prod(numbers, dtype=float):.0f} points; "
            f"up to {_MAX_POINTS} are accepted."
        )
    return numbers[0], numbers[1], numbers[2]


def dispersive_axes(h: Hamiltonian) -> tuple[bool, bool, bool]:
    """Whether energies depend on k along each reciprocal vector.

    They do not across a slab's vacuum, nor where no block above 1e-6 eV leads to another cell.
    """
    present = np.zeros(h.pairs.n_pairs, dtype=bool)
    for name in h.components:
        size = np.maximum.reduceat(np.abs(h.component(name)), h.pairs.offsets[:-1])
        present |= size > _NEGLIGIBLE
    reached = (h.pairs.cell[present] != 0).any(axis=0)
    slab = slab_geometry(h.structure)
    if slab is not None:
        reached[slab.axis] = False
    return bool(reached[0]), bool(reached[1]), bool(reached[2])


def automatic_mesh(h: Hamiltonian, spacing: float = 0.25) -> tuple[int, int, int]:
    """Divisions with at most ``spacing`` (1/Å, 2π included) between k-points; 1 along a vacuum.

    Raises:
        SettingsError: ``spacing`` is not positive.
    """
    if not (np.isfinite(spacing) and spacing > 0):
        raise SettingsError(f"The k spacing must be a positive number of 1/Å, not {spacing!r}.")
    lengths = h.structure.lattice.reciprocal_lattice.abc
    return checked_mesh(
        tuple(
            max(1, int(np.ceil(length / spacing - 1e-9))) if moves else 1
            for length, moves in zip(lengths, dispersive_axes(h), strict=True)
        )
    )


def has_time_reversal(h: Hamiltonian, state: SpinState) -> bool:
    """Whether E(k) = E(−k) for all bands.

    True under time reversal, and for a collinear exchange field without spin-orbit coupling and
    without a time-odd part (each spin's matrices are real in real space).
    """
    if h.is_time_reversal_symmetric(state):
        return True
    if h.time_odd is not None or (h.exchange is not None and h.exchange.ndim == 2):
        return False
    return not h.has_spin_orbit or state.soc == 0
