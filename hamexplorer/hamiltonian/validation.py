"""The invariants of a Hamiltonian, checked when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from hamexplorer.errors import HamiltonianError

if TYPE_CHECKING:
    from hamexplorer.hamiltonian.core import Hamiltonian

__all__ = ["HERMITICITY_TOLERANCE", "check_blocks", "check_overlap"]

HERMITICITY_TOLERANCE = 1e-6
"""Largest |X[R] − X[−R]ᵀ| that is accepted, eV (S: dimensionless)."""
_DENSE_LIMIT = 3000
_SAMPLE = np.array(
    [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.37, 0.21, 0.11], [0.13, 0.42, 0.29], [1 / 3, 1 / 3, 0.0]]
)


def check_blocks(h: Hamiltonian) -> None:
    """Finite values; X[R] = X[−R]ᵀ for S, H, B; Λ[R] = −Λ[−R]ᵀ.

    Raises:
        HamiltonianError: naming the component and its worst block.
    """
    for name in h.components:
        flat = h.component(name)
        if not np.isfinite(flat).all():
            raise HamiltonianError(f"Component {name} holds values that are not finite.")
        sign = -1.0 if name[0] == "L" else 1.0
        error = np.abs(flat - sign * flat[h.pairs.transposition])
        worst = int(error.argmax())
        if error[worst] > HERMITICITY_TOLERANCE:
            pair = int(h.pairs.element_pair[worst])
            law = "Λ[R] = −Λ[−R]ᵀ" if sign < 0 else f"{name}[R] = {name}[−R]ᵀ"
            raise HamiltonianError(
                f"{law} is broken by {error[worst]:.3e} in component {name}, block "
                f"{h.basis.site_labels[h.pairs.first[pair]]}–"
                f"{h.basis.site_labels[h.pairs.second[pair]]}, "
                f"R = {tuple(h.pairs.cell[pair].tolist())}; accepted is "
                f"{HERMITICITY_TOLERANCE:.0e}."
            )


def check_overlap(h: Hamiltonian) -> None:
    """S(k) is positive definite at five k-points (one, by Lanczos, beyond 3000 orbitals).

    Raises:
        HamiltonianError: with the k-point and the smallest eigenvalue.
    """
    n = h.basis.n_orbitals
    rows, columns = h.pairs.element_orbitals
    sample = _SAMPLE if n <= _DENSE_LIMIT else _SAMPLE[:1]
    for k in sample:
        phase = np.exp(2j * np.pi * (h.pairs.cell @ k))[h.pairs.element_pair]
        matrix = scipy.sparse.coo_matrix((h.overlap * phase, (rows, columns)), (n, n))
        smallest = _not_positive(matrix, n)
        if smallest is not None:
            raise HamiltonianError(
                f"The overlap is not positive definite: at k = {k.round(3).tolist()} its smallest "
                f"eigenvalue is {smallest:.3e}. Blocks of S may be missing or cut off too early."
            )


def _not_positive(matrix: scipy.sparse.coo_matrix, n: int) -> float | None:
    """The smallest eigenvalue if it is not positive, else None (Cholesky is the cheaper test)."""
    if n <= _DENSE_LIMIT:
        dense: NDArray[np.complex128] = matrix.toarray()
        dense = (dense + dense.conj().T) / 2
        try:
            scipy.linalg.cholesky(dense, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            return float(scipy.linalg.eigvalsh(dense, subset_by_index=[0, 0])[0])
        return None
    smallest = scipy.sparse.linalg.eigsh(
        matrix.tocsr(), k=1, which="SA", return_eigenvectors=False, tol=1e-4
    )[0]
    return None if smallest > 0 else float(smallest)
