"""Cartesian derivatives of H(k) and S(k), with the intra-cell phases of CONVENTIONS.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState, spinor_matrix

__all__ = ["BlochDerivative", "bloch_derivative"]


@dataclass(frozen=True, eq=False)
class BlochDerivative:
    """∂H/∂k_a and ∂S/∂k_a, a = x, y, z, at nk k-points.

    ``hamiltonian`` (nk, 3, 2n, 2n), eV Å, spinor; ``overlap`` (nk, 3, n, n), Å; Hermitian.
    """

    hamiltonian: NDArray[np.complex128]
    overlap: NDArray[np.complex128]


def bloch_derivative(
    h: Hamiltonian, kpoints: ArrayLike, state: SpinState | None = None
) -> BlochDerivative:
    """Derivatives with respect to Cartesian k (1/Å).

    With the orbitals' phases exp(i k·(R + r_j)) the elements are
    ∂_a M_ij(k) = Σ_R i (R + r_j − r_i)_a exp(ik·(R + r_j − r_i)) M[i, j, R]. They are returned in
    the gauge of :class:`~hamexplorer.hamiltonian.BlochSum` (phases exp(ik·R) alone), a diagonal
    unitary away, so that they act on the coefficients that :class:`BandSolver` returns.
    """
    state = state or SpinState()
    k = np.atleast_2d(np.asarray(kpoints, dtype=np.float64))
    n, pairs = h.basis.n_orbitals, h.pairs
    rows, columns = pairs.element_orbitals
    place = rows * n + columns
    phases = np.exp(2j * np.pi * (k @ pairs.cell.T))
    sources = {name: h.component(name) for name in h.components}
    vectors = h.vectors[pairs.element_pair]

    # One sparse (n_pairs, n²) matrix per component and direction sums all k-points at once.
    def summed(flat: NDArray[np.float64], axis: int) -> NDArray[np.complex128]:
        scatter = scipy.sparse.csr_matrix(
            (flat * vectors[:, axis], (pairs.element_pair, place)), (pairs.n_pairs, n * n)
        )
        return 1j * (scatter.T @ phases.T).T.reshape(len(k), n, n)

    derivative = {
        name: np.stack([summed(flat, axis) for axis in range(3)], axis=1)
        for name, flat in sources.items()
    }
    exchange = [derivative[name] for name in h.components if name[0] == "B"]
    spin_orbit = [1j * derivative[name] for name in h.components if name[0] == "L"]

    def joined(parts: list[NDArray[np.complex128]], axis: int) -> torch.Tensor | None:
        return torch.from_numpy(np.stack([p[:, axis] for p in parts], 1)) if parts else None

    spinors = [
        spinor_matrix(
            torch.from_numpy(np.ascontiguousarray(derivative["H"][:, axis])),
            joined(exchange, axis),
            joined(spin_orbit, axis),
            state,
        ).numpy()
        for axis in range(3)
    ]
    return BlochDerivative(np.stack(spinors, axis=1), derivative["S"])
