"""H0 on the pairs of the self-consistent Hamiltonian.

Both are in the same orbitals, but each leaves out far pairs by a rule of its own: blocks of H0
that the reference does not store are lost, and where H0 has none it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Hamiltonian, Pairs

__all__ = ["TOLERANCE", "Agreement", "aligned"]

TOLERANCE = 1e-6
"""Largest accepted difference of S, and of Λ (eV), between reference and H0."""


@dataclass(frozen=True)
class Agreement:
    """How well H0 and its reference fit each other: largest values over elements.

    Attributes:
        overlap: |S − S0|; a pair of one alone counts as 0 in the other.
        spin_orbit: |Λ − Λ0|, likewise, eV; None if one has none.
        lost: |H0| of pairs that the reference does not store, eV.
        missing: |H| of pairs where H0 has none, eV.
    """

    overlap: float
    spin_orbit: float | None
    lost: float
    missing: float


@dataclass(frozen=True, eq=False)
class _Places:
    """Elements that two lists of pairs share, and masks of those that they do not."""

    here: NDArray[np.int64]
    there: NDArray[np.int64]
    only_here: NDArray[np.bool_]
    only_there: NDArray[np.bool_]

    def moved(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values there (..., n_there) as values here, 0 where there are none."""
        result = np.zeros((*values.shape[:-1], len(self.only_here)))
        result[..., self.here] = values[..., self.there]
        return result


def aligned(
    reference: Hamiltonian, zero: Hamiltonian
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Agreement]:
    """H0 and B0 on ``reference.pairs``, (n_elements,) eV, and how well the two fit.

    B0 is None where either has no exchange field.

    Raises:
        HamiltonianError: other orbitals, another form of the exchange field, or S or Λ differ by
            more than :data:`TOLERANCE`: then ``zero`` is not in the reference's orbitals.
    """
    if reference.basis != zero.basis:
        raise HamiltonianError("H0 is given in other orbitals than the reference.")
    places = _places(reference.pairs, zero.pairs)
    overlap = _difference(reference.overlap, zero.overlap, places)
    _check("overlap S", overlap, "")
    spin_orbit = None
    if reference.spin_orbit is not None and zero.spin_orbit is not None:
        spin_orbit = _difference(reference.spin_orbit, zero.spin_orbit, places)
        _check("spin–orbit part Λ", spin_orbit, " eV")
    exchange = None
    if reference.exchange is not None and zero.exchange is not None:
        if reference.exchange.ndim != zero.exchange.ndim:
            raise HamiltonianError(
                "One of H0 and the reference has a collinear exchange field, the other one of "
                "three components."
            )
        exchange = places.moved(zero.exchange)
    agreement = Agreement(
        overlap=overlap,
        spin_orbit=spin_orbit,
        lost=_largest(zero.scalar[places.only_there]),
        missing=_largest(reference.scalar[places.only_here]),
    )
    return places.moved(zero.scalar), exchange, agreement


def _places(here: Pairs, there: Pairs) -> _Places:
    number = {key: index for index, key in enumerate(_keys(there))}
    partner = np.array([number.get(key, -1) for key in _keys(here)], dtype=np.int64)
    of_pair = partner[here.element_pair]
    shared = np.flatnonzero(of_pair >= 0)
    # blocks of a pair have the same shape in both, for the orbitals are the same
    within = shared - here.offsets[here.element_pair[shared]]
    elements = there.offsets[of_pair[shared]] + within
    only_there = np.ones(there.n_elements, dtype=bool)
    only_there[elements] = False
    return _Places(shared, elements, of_pair < 0, only_there)


def _keys(pairs: Pairs) -> list[tuple[int, ...]]:
    rows = np.column_stack([pairs.first, pairs.second, pairs.cell])
    return [tuple(row) for row in rows.tolist()]


def _difference(here: NDArray[np.float64], there: NDArray[np.float64], places: _Places) -> float:
    shared = here[..., places.here] - there[..., places.there]
    alone = here[..., places.only_here], there[..., places.only_there]
    return max(_largest(values) for values in (shared, *alone))


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max(initial=0.0))


def _check(name: str, difference: float, unit: str) -> None:
    if not difference <= TOLERANCE:
        raise HamiltonianError(
            f"The {name} of H0 and of the reference differ by {difference:.2e}{unit}; accepted is "
            f"{TOLERANCE:.0e}. H0 must be given in the reference's orbitals, of the same crystal."
        )
