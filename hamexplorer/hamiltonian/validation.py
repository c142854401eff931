"""The invariants of a Hamiltonian, checked when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian.components import transposition_sign
from hamexplorer.hamiltonian.reversal import opposite_places

if TYPE_CHECKING:
    from hamexplorer.hamiltonian.core import Hamiltonian

__all__ = ["HERMITICITY_TOLERANCE", "check_blocks", "check_overlap"]

HERMITICITY_TOLERANCE = 1e-6
"""Largest |M[R] ∓ M[−R]ᵀ| that is accepted, eV (S: dimensionless; position: Å)."""
_SAMPLED_ORBITALS, _GAMMA_ORBITALS = 400, 1200
_SAMPLE = np.array(
    [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.37, 0.21, 0.11], [0.13, 0.42, 0.29], [1 / 3, 1 / 3, 0.0]]
)


def check_blocks(h: Hamiltonian) -> None:
    """Finite values; M[R] = M[−R]ᵀ for S, H, B and position, M[R] = −M[−R]ᵀ for A and Λ;
    uncertainty ≥ 0.

    Raises:
        HamiltonianError: naming the component and its worst block.
    """
    arrays = [(name, h.component(name)) for name in h.components]
    if h.position is not None:
        arrays += [(f"position {axis}", x) for axis, x in zip("xyz", h.position, strict=True)]
    worst = [(0.0, 0)] * len(arrays)
    for here, there in opposite_places(h.pairs):
        for component, (name, flat) in enumerate(arrays):
            error = flat[there]
            if transposition_sign(name) < 0:
                error += flat[here]
            else:
                error -= flat[here]
            np.abs(error, out=error)
            largest = int(error.argmax())
            found, known = float(error.flat[largest]), worst[component][0]
            # written so that NaN is taken, and kept
            if not found <= known and known == known:
                worst[component] = found, int(here.flat[largest])
    for (name, flat), (error_found, element) in zip(arrays, worst, strict=True):
        if not error_found <= HERMITICITY_TOLERANCE:
            raise HamiltonianError(_broken(h, name, flat, element, error_found))
    # written so that NaN fails, too
    if h.uncertainty is not None and not (h.uncertainty >= 0).all():
        wrong = int((h.uncertainty >= 0).argmin())
        raise HamiltonianError(
            f"The uncertainty of block {_where(h, wrong)} is {h.uncertainty[wrong]}; accepted are "
            "numbers from 0 up."
        )


def _broken(h: Hamiltonian, name: str, flat: NDArray[np.float64], worst: int, error: float) -> str:
    """What is wrong with a component: values that are not finite, or its symmetry."""
    finite = np.isfinite(flat)
    if not finite.all():
        return (
            f"Component {name} holds {np.count_nonzero(~finite)} values that are not finite, "
            f"the first in block {_where(h, int(finite.argmin()))}."
        )
    symbol = "Λ" if name[0] == "L" else name
    law = f"{symbol}[R] = {'−' if transposition_sign(name) < 0 else ''}{symbol}[−R]ᵀ"
    return (
        f"{law} is broken by {error:.3e} in component {name}, block {_where(h, worst)}; accepted "
        f"is {HERMITICITY_TOLERANCE:.0e}."
    )


def _where(h: Hamiltonian, element: int) -> str:
    """The block of an element, such as ``Mo1–S2, R = (0, 1, 0)``."""
    pair = int(h.pairs.element_pair[element])
    first, second = (h.basis.site_labels[sites[pair]] for sites in (h.pairs.first, h.pairs.second))
    return f"{first}–{second}, R = {tuple(h.pairs.cell[pair].tolist())}"


def check_overlap(h: Hamiltonian) -> None:
    """S is positive definite on every site, and as S(k) at five k-points.

    The five cost O(n³): beyond 400 orbitals only Γ is tried, beyond 1200 none. A solver that
    factorises S(k) finds the rest at the k-points where it matters.

    Raises:
        HamiltonianError: with the site, or the k-point, and the smallest eigenvalue.
    """
    _check_sites(h)
    n = h.basis.n_orbitals
    sample = _SAMPLE[: 5 if n <= _SAMPLED_ORBITALS else int(n <= _GAMMA_ORBITALS)]
    for k in sample:
        rows, columns = h.pairs.element_orbitals
        # Γ is real, which makes its factorisation four times cheaper
        phase = np.exp(2j * np.pi * (h.pairs.cell @ k))[h.pairs.element_pair] if k.any() else 1.0
        matrix = scipy.sparse.coo_array((h.overlap * phase, (rows, columns)), (n, n)).toarray()
        smallest = _not_positive((matrix + matrix.conj().T) / 2)
        if smallest is not None:
            raise HamiltonianError(
                f"The overlap is not positive definite: at k = {k.round(3).tolist()} its smallest "
                f"eigenvalue is {smallest:.3e}. Blocks of S may be missing or cut off too early."
            )


def _check_sites(h: Hamiltonian) -> None:
    """The block of S of every site with itself exists and is positive definite."""
    pairs = h.pairs
    home = np.flatnonzero((pairs.first == pairs.second) & ~pairs.cell.any(axis=1))
    missing = np.setdiff1d(np.arange(h.basis.n_sites), pairs.first[home])
    if missing.size:
        site = h.basis.site_labels[missing[0]]
        raise HamiltonianError(
            f"The overlap is not positive definite: no block of {site} with itself is stored."
        )
    for pair in home:
        smallest = _not_positive(pairs.block(h.overlap, int(pair)))
        if smallest is not None:
            raise HamiltonianError(
                f"The overlap is not positive definite: in {_where(h, int(pairs.offsets[pair]))} "
                f"its smallest eigenvalue is {smallest:.3e}."
            )


def _not_positive(matrix: NDArray[Any]) -> float | None:
    """The smallest eigenvalue if it is not positive, else None (Cholesky is the cheaper test)."""
    try:
        scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return float(scipy.linalg.eigvalsh(matrix, subset_by_index=[0, 0])[0])
    return None
