"""From the spinor matrix of a file to the decomposition of CONVENTIONS.md, exactly.

A Hermitian M[i, j, R] = M[j, i, −R]† of spinors is M_0 ⊗ 1 + Σ_a σ_a ⊗ M_a with

    M_0 = (↑↑ + ↓↓)/2,  M_z = (↑↑ − ↓↓)/2,  M_x = (↑↓ + ↓↑)/2,  M_y = i(↑↓ − ↓↑)/2,

each Hermitian: its real part is symmetric under (i, j, R) → (j, i, −R), its imaginary part
antisymmetric. So H_scalar = Re M_0, A = Im M_0, B_a = Re M_a and Λ_a = Im M_a, with nothing left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Basis, Pairs
from hamexplorer.hamiltonian.arrays import read_only

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

    def __post_init__(self) -> None:
        # made here and nobody else's, so that the Hamiltonian need not copy them
        for part in (self.scalar, self.exchange, self.spin_orbit, self.time_odd):
            if part is not None:
                read_only(part)


def spinor_parts(
    pairs: Pairs,
    basis: Basis,
    real: tuple[Flat, Flat, Flat],
    imaginary: tuple[Flat, Flat, Flat] | None,
    *,
    negligible: float = NEGLIGIBLE,
    tolerance: float = TOLERANCE,
    defect: float = 0.0,
) -> SpinParts:
    """The decomposition of ↑↑, ↓↓ and ↑↓; ↓↑ is the adjoint of ↑↓.

    Args:
        pairs: index of the blocks.
        basis: for the names in messages.
        real: real parts of ↑↑, ↓↓, ↑↓, (n_elements,) each, eV.
        imaginary: imaginary parts; None: all zero.
        negligible: largest element (eV) of a component that is left out.
        tolerance: accepted break of hermiticity, eV.
        defect: a break that was averaged away before, eV.

    Raises:
        FileFormatError: a value that is not finite, or the matrix is not Hermitian within
            ``tolerance``; names the worst block.
    """
    check = _Checks(pairs, basis, negligible, tolerance)
    check.defect = defect
    up, down, mixed = real
    symmetric, antisymmetric = check.halves(mixed)
    scalar = check.hermitian("H_scalar", _half(np.add(up, down)), 1)
    exchange = [
        check.kept("B_x", symmetric, 1),
        None,
        check.kept("B_z", _half(np.subtract(up, down)), 1),
    ]
    spin_orbit = [None, check.kept("Λ_y", antisymmetric, -1), None]
    odd = None
    if imaginary is not None:
        up, down, mixed = imaginary
        symmetric, antisymmetric = check.halves(mixed)
        odd = check.kept("A", _half(np.add(up, down)), -1)
        exchange[1] = check.kept("B_y", np.negative(symmetric, out=symmetric), 1)
        spin_orbit[0] = check.kept("Λ_x", antisymmetric, -1)
        spin_orbit[2] = check.kept("Λ_z", _half(np.subtract(up, down)), -1)
    field = exchange[2] if exchange[0] is None and exchange[1] is None else _three(exchange)
    return SpinParts(scalar, field, _three(spin_orbit), odd, check.defect, check.dropped)


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
            spin_orbit = _three([None, None, check.kept("Λ_z", np.array(half.imag), -1)])
    return SpinParts(scalar, exchange, spin_orbit, odd, check.defect, check.dropped)


def hermitian(
    pairs: Pairs,
    basis: Basis,
    name: str,
    flat: Flat,
    *,
    unit: str = "",
    tolerance: float = 1e-6,
) -> Flat:
    """(M[R] + M[−R]ᵀ)/2 of an overlap or a position that breaks the law by no more than rounding.

    ``flat`` itself is changed and returned; ``unit`` of its values is for messages.

    Raises:
        FileFormatError: a value that is not finite, or the law broken beyond ``tolerance``.
    """
    return _Checks(pairs, basis, 0.0, tolerance, unit).hermitian(name, flat, 1)


class _Checks:
    """Settles components one by one and remembers the worst that was mended."""

    def __init__(
        self, pairs: Pairs, basis: Basis, negligible: float, tolerance: float, unit: str = "eV"
    ) -> None:
        self._pairs = pairs
        self._basis = basis
        self._negligible = negligible
        self._tolerance = tolerance
        self._unit = f" {unit}" if unit else ""
        self._buffer = np.empty(pairs.n_elements)
        self.defect = 0.0
        self.dropped = 0.0

    def halves(self, flat: Flat) -> tuple[Flat, Flat]:
        """(M[R] ± M[−R]ᵀ)/2: symmetric and antisymmetric, exactly."""
        other = self._transposed(flat)
        half = flat / 2
        other *= 0.5
        return half + other, np.subtract(half, other, out=half)

    def kept(self, name: str, flat: Flat, sign: float) -> Flat | None:
        """The settled component, or None if it is negligible throughout."""
        largest = float(max(flat.max(), -flat.min()))
        if largest <= self._negligible:
            self.dropped = max(self.dropped, largest)
            return None
        return self.hermitian(name, flat, sign)

    def hermitian(self, name: str, flat: Flat, sign: float) -> Flat:
        """The component with its symmetry made exact, in place."""
        other = self._transposed(flat)
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
            flat += other
        return flat

    def _transposed(self, flat: Flat) -> Flat:
        """M[−R]ᵀ; in the one buffer, for a large file has millions of elements."""
        t = self._pairs.transposition
        return np.take(flat, t, out=self._buffer, mode="clip")

    def _message(self, name: str, flat: Flat, worst: int, defect: float) -> str:
        finite = np.isfinite(flat)
        if not finite.all():
            worst = int(finite.argmin())
            return (
                f"{np.count_nonzero(~finite)} values of {name} are not finite numbers, the first "
                f"in block {self._block(worst)}."
            )
        return (
            f"The matrix is not Hermitian: {name} differs by {defect:.3e}{self._unit} from its "
            f"transpose in block {self._block(worst)}; accepted is {self._tolerance:.0e}"
            f"{self._unit}."
        )

    def _block(self, element: int) -> str:
        pairs = self._pairs
        pair = int(pairs.element_pair[element])
        first, second = (self._basis.site_labels[s[pair]] for s in (pairs.first, pairs.second))
        return f"{first}–{second}, R = {tuple(pairs.cell[pair].tolist())}"


def _half(flat: Flat) -> Flat:
    flat *= 0.5
    return flat


def _three(parts: Sequence[Flat | None]) -> Flat | None:
    """Three components in one array; those that are None are zero."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    result = np.zeros((3, given[0].size))
    for row, part in zip(result, parts, strict=True):
        if part is not None:
            row[:] = part
    return read_only(result)
