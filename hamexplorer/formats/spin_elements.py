"""Spinor elements: a Hamiltonian's in one spin state, and a file's ↑↓ beside its ↓↑."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.spinor import TOLERANCE
from hamexplorer.hamiltonian import Hamiltonian, Pairs, SpinState

__all__ = ["SpinElements", "mixed_mean", "spin_elements"]


@dataclass(frozen=True, eq=False)
class SpinElements:
    """↑↑, ↓↓, ↑↓ and ↓↑ of every element in flat blocks, eV, (n_elements,) complex each."""

    upup: NDArray[np.complex128]
    downdown: NDArray[np.complex128]
    updown: NDArray[np.complex128]
    downup: NDArray[np.complex128]


def spin_elements(h: Hamiltonian, state: SpinState) -> SpinElements:
    """H = (H_scalar + iA) ⊗ 1 + Σ_a σ_a ⊗ (n_a B + i λ Λ_a), element by element."""
    scalar = h.scalar.astype(complex)
    if h.time_odd is not None:
        scalar += 1j * h.time_odd
    vector = np.zeros((3, h.pairs.n_elements), dtype=complex)
    if h.exchange is not None and state.exchange:
        exchange = np.atleast_2d(h.exchange)
        turn = state.rotation if len(exchange) == 3 else state.rotation[:, 2:]
        # a right angle's cosine is 6e-17, which would make everything non-collinear
        turn = np.where(np.abs(turn) > 1e-15, turn, 0.0)
        vector += state.exchange * (turn @ exchange)
    if h.spin_orbit is not None and state.soc:
        vector += 1j * state.soc * h.spin_orbit
    x, y, z = vector
    return SpinElements(scalar + z, scalar - z, x - 1j * y, x + 1j * y)


def mixed_mean(
    pairs: Pairs,
    updown: NDArray[np.complex128],
    downup: NDArray[np.complex128],
    tolerance: float = TOLERANCE,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Re and Im of ↑↓ from a file that stores ↓↑ beside it: half of both, (n_elements,) eV; and by
    how much they differed at most, eV.

    Raises:
        FileFormatError: ↓↑[R] and the adjoint of ↑↓[−R] differ by more than ``tolerance``.
    """
    adjoint = downup.conj()[pairs.transposition]
    worst = float(np.abs(updown - adjoint).max())
    # written so that NaN fails, too
    if not worst <= tolerance:
        raise FileFormatError(
            f"The matrix is not Hermitian: ↓↑ differs by {worst:.3e} eV from the adjoint of ↑↓; "
            f"accepted is {tolerance:.0e} eV."
        )
    mean = (updown + adjoint) / 2
    return np.ascontiguousarray(mean.real), np.ascontiguousarray(mean.imag), worst
