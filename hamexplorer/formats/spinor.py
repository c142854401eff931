"""From the spinor matrix of a file to the decomposition of CONVENTIONS.md, exactly.

A Hermitian M[i, j, R] = M[j, i, −R]† of spinors is M_0 ⊗ 1 + Σ_a σ_a ⊗ M_a with

    M_0 = (↑↑ + ↓↓)/2,  M_z = (↑↑ − ↓↓)/2,  M_x = (↑↓ + ↓↑)/2,  M_y = i(↑↓ − ↓↑)/2,

each Hermitian: its real part is symmetric under (i, j, R) → (j, i, −R), its imaginary part
antisymmetric. So H_scalar = Re M_0, A = Im M_0, B_a = Re M_a and Λ_a = Im M_a, with nothing left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["NEGLIGIBLE", "SpinParts", "collinear_parts", "hermitian", "spinor_parts"]

NEGLIGIBLE = 1e-7
"""A component no element of which is larger (eV) is a file's rounding, and left out."""
TOLERANCE = 1e-4
"""Largest break of hermiticity (eV) that is taken for the rounding of a file's digits."""

Flat = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpinParts:
    """Components as :class:`~hamexplorer.hamiltonian.Hamiltonian` takes them, eV.

    ``defect`` is the largest break of hermiticity that was averaged away, ``dropped`` the largest
    element of a component that was left out as negligible; eV.
    """

    scalar: Flat
    exchange: Flat | None
    spin_orbit: Flat | None
    time_odd: Flat | None
    defect: float
    dropped: float


def spinor_parts(
    pairs: Pairs,
    basis: Basis,
    real: tuple[Flat, Flat, Flat],
    imaginary: tuple[Flat, Flat, Flat] | None,
    *,
    negligible: float = NEGLIGIBLE,
    tolerance: float = TOLERANCE,
) -> SpinParts:
    """The decomposition of ↑↑, ↓↓ and ↑↓; ↓↑ is the adjoint of ↑↓.

    Args:
        pairs: index of the blocks.
        basis: for the names in messages.
        real: real parts of ↑↑, ↓↓, ↑↓, (n_elements,) each, eV.
        imaginary: imaginary parts; None: all zero.
        negligible: largest element (eV) of a component that is left out.
        tolerance: accepted break of hermiticity, eV.

    Raises:
        FileFormatError: a value that is not finite, or the matrix is not Hermitian within
            ``tolerance``; names the worst block.
    """
    t = pairs.transposition
    up, down, mixed = real
    check = _Checks(pairs, basis, negligible, tolerance)
    scalar = check.hermitian("H_scalar", (up + down) / 2, 1)
    b_z = check.kept("B_z", (up - down) / 2, 1)
    b_x = check.kept("B_x", (mixed + mixed[t]) / 2, 1)
    l_y = check.kept("Λ_y", (mixed - mixed[t]) / 2, -1)
    odd = b_y = l_x = l_z = None
    if imaginary is not None:
        up, down, mixed = imaginary
        odd = check.kept("A", (up + down) / 2, -1)
        l_z = check.kept("Λ_z", (up - down) / 2, -1)
        b_y = check.kept("B_y", -(mixed + mixed[t]) / 2, 1)
        l_x = check.kept("Λ_x", (mixed - mixed[t]) / 2, -1)
    exchange = _three(b_x, b_y, b_z)
    if exchange is not None and b_x is None and b_y is None:
        exchange = b_z
    return SpinParts(scalar, exchange, _three(l_x, l_y, l_z), odd, check.defect, check.dropped)


def collinear_parts(
    pairs: Pairs,
    basis: Basis,
    up: NDArray[np.inexact[Any]],
    down: NDArray[np.inexact[Any]] | None = None,
    *,
    negligible: float = NEGLIGIBLE,
    tolerance: float = TOLERANCE,
) -> SpinParts:
    """The decomposition of H↑ and H↓ (None: the same), real or complex, (n_elements,), eV.

    Raises:
        FileFormatError: as :func:`spinor_parts`.
    """
    check = _Checks(pairs, basis, negligible, tolerance)
    other = up if down is None else down
    mean = (up + other) / 2
    scalar = check.hermitian("H_scalar", np.array(mean.real), 1)
    odd = check.kept("A", np.array(mean.imag), -1) if np.iscomplexobj(mean) else None
    exchange = spin_orbit = None
    if down is not None:
        half = (up - down) / 2
        exchange = check.kept("B", np.array(half.real), 1)
        if np.iscomplexobj(half):
            spin_orbit = _three(None, None, check.kept("Λ_z", np.array(half.imag), -1))
    return SpinParts(scalar, exchange, spin_orbit, odd, check.defect, check.dropped)


def hermitian(
    pairs: Pairs, basis: Basis, name: str, flat: Flat, sign: float = 1.0, tolerance: float = 1e-6
) -> Flat:
    """(M[R] + sign · M[−R]ᵀ)/2 of a component that breaks the law by no more than rounding.

    Raises:
        FileFormatError: a value that is not finite, or the law broken beyond ``tolerance``.
    """
    return _Checks(pairs, basis, 0.0, tolerance).hermitian(name, flat, sign)


class _Checks:
    """Settles components one by one and remembers the worst that was mended."""

    def __init__(self, pairs: Pairs, basis: Basis, negligible: float, tolerance: float) -> None:
        self._pairs = pairs
        self._basis = basis
        self._negligible = negligible
        self._tolerance = tolerance
        self.defect = 0.0
        self.dropped = 0.0

    def kept(self, name: str, flat: Flat, sign: float) -> Flat | None:
        """The settled component, or None if it is negligible throughout."""
        largest = float(np.abs(flat).max())
        if largest <= self._negligible:
            self.dropped = max(self.dropped, largest)
            return None
        return self.hermitian(name, flat, sign)

    def hermitian(self, name: str, flat: Flat, sign: float) -> Flat:
        """The component with its symmetry made exact."""
        other = flat[self._pairs.transposition]
        if sign < 0:
            np.negative(other, out=other)
        other -= flat
        worst = int(max(other.argmax(), other.argmin(), key=lambda i: abs(other[i])))
        defect = abs(float(other[worst]))
        # written so that NaN fails, too
        if not defect <= self._tolerance:
            raise FileFormatError(self._message(name, flat, worst, defect))
        self.defect = max(self.defect, defect)
        if defect:
            other *= 0.5
            flat = flat + other
        return flat

    def _message(self, name: str, flat: Flat, worst: int, defect: float) -> str:
        finite = np.isfinite(flat)
        if not finite.all():
            worst = int(finite.argmin())
            return (
                f"{np.count_nonzero(~finite)} values of {name} are not finite numbers, the first "
                f"in block {self._block(worst)}."
            )
        return (
            f"The matrix is not Hermitian: {name} differs by {defect:.3e} eV from its transpose "
            f"in block {self._block(worst)}; accepted is {self._tolerance:.0e} eV."
        )

    def _block(self, element: int) -> str:
        pairs = self._pairs
        pair = int(pairs.element_pair[element])
        first, second = (self._basis.site_labels[s[pair]] for s in (pairs.first, pairs.second))
        return f"{first}–{second}, R = {tuple(pairs.cell[pair].tolist())}"


def _three(x: Flat | None, y: Flat | None, z: Flat | None) -> Flat | None:
    given = [part for part in (x, y, z) if part is not None]
    if not given:
        return None
    zero = np.zeros_like(given[0])
    return np.stack([zero if part is None else part for part in (x, y, z)])
