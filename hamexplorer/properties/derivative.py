"""Cartesian derivatives of H(k) and S(k), with the intra-cell phases of CONVENTIONS.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from hamexplorer.hamiltonian import (
    Hamiltonian,
    PairSum,
    SpinState,
    checked_kpoints,
    default_device,
    spinor_matrix,
    transposition_sign,
)

__all__ = ["BlochDerivative", "BlochGradient"]


@dataclass(frozen=True, eq=False)
class BlochDerivative:
    """Derivatives along d Cartesian directions at nk k-points, complex128 tensors, Hermitian.

    Attributes:
        hamiltonian: ∂H/∂k_a, spinor, (nk, d, 2n, 2n), eV Å.
        overlap: ∂S/∂k_a, (nk, d, n, n), Å.
        position: X_a(k), the midpoint-centred position operator, (nk, d, n, n), Å; None where
            the source gives none (X = 0, the diagonal approximation).
        position_curl: ∂_a X_b − ∂_b X_a of the first two directions, (nk, n, n), Å²; None with
            ``position`` or for fewer than two directions.
    """

    hamiltonian: torch.Tensor
    overlap: torch.Tensor
    position: torch.Tensor | None = None
    position_curl: torch.Tensor | None = None


class BlochGradient:
    """∂H/∂k_a, ∂S/∂k_a and the position operator along fixed directions, at any k-points.

    With the orbitals' phases exp(i k·(R + r_j)) the elements are
    ∂_a M_ij(k) = Σ_R i (R + r_j − r_i)_a exp(ik·(R + r_j − r_i)) M[i, j, R]. They are returned in
    the gauge of :class:`~hamexplorer.hamiltonian.BlochSum` (phases exp(ik·R) alone), a diagonal
    unitary away, so that they act on the coefficients that
    :class:`~hamexplorer.properties.solver.BandSolver` returns.

    Args:
        h: the Hamiltonian.
        directions: unit vectors, (d, 3), Cartesian; default x, y, z.
        position: whether the position operator is wanted.
        device: where the sums run; default: CUDA if there is one.
    """

    def __init__(
        self,
        h: Hamiltonian,
        directions: ArrayLike | None = None,
        *,
        position: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self._names = h.components
        axes = np.eye(3) if directions is None else np.asarray(directions, dtype=float)
        self.n_directions = len(axes)
        steps = (h.vectors @ axes.T)[h.pairs.element_pair].T
        flat = [step * h.component(name) for step in steps for name in self._names]
        # (R + r_j − r_i) is odd, so that symmetric becomes antisymmetric and the other way round.
        signs = [-transposition_sign(name) for _ in steps for name in self._names]
        self._has_position = position and h.position is not None
        if self._has_position:
            assert h.position is not None
            centred = axes @ h.position
            flat += list(centred)
            signs += [1.0] * len(centred)
            if len(axes) >= 2:
                flat.append(steps[0] * centred[1] - steps[1] * centred[0])
                signs.append(-1.0)
        target = default_device() if device is None else device
        self._sum = PairSum(h.pairs, np.stack(flat), np.array(signs), target)

    def __call__(self, kpoints: ArrayLike, state: SpinState | None = None) -> BlochDerivative:
        """At ``kpoints`` (nk, 3), fractional."""
        state = state or SpinState()
        summed = self._sum(checked_kpoints(kpoints))
        n, count, d = summed.shape[-1], len(self._names), self.n_directions
        parts = summed[:, : d * count].reshape(len(summed), d, count, n, n)
        flat = 1j * parts.reshape(-1, count, n, n)
        exchange = [a for a, name in enumerate(self._names) if name[0] == "B"]
        spin_orbit = [a for a, name in enumerate(self._names) if name[0] == "L"]
        scalar = flat[:, 1]
        if "A" in self._names:
            scalar = scalar + 1j * flat[:, self._names.index("A")]
        spinors = spinor_matrix(
            scalar,
            flat[:, exchange] if exchange else None,
            1j * flat[:, spin_orbit] if spin_orbit else None,
            state,
        )
        position = curl = None
        if self._has_position:
            position = summed[:, d * count : d * (count + 1)]
            if d >= 2:
                curl = 1j * summed[:, -1]
        return BlochDerivative(
            spinors.reshape(len(summed), d, 2 * n, 2 * n),
            flat[:, 0].reshape(len(summed), d, n, n),
            position,
            curl,
        )
