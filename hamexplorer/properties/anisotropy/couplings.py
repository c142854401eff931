"""States without spin-orbit coupling, and the spin-orbit matrix between them.

In the spin frame that turns with n, R(n) z = n, the Hamiltonian is

    H(n) = H_scalar + Σ_b σ_b B_b + λ Σ_ab R_ab(n) σ_b ⊗ iΛ_a,

so that its first two terms, diagonalised once, serve every direction and every λ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.hamiltonian import BlochSum, SpinState, spinor_matrix
from hamexplorer.properties.anisotropy.orthonormal import inverse_factor

__all__ = ["BareStates", "Block", "KCouplings", "bare_states", "project"]

Coefficients = Callable[[NDArray[np.float64]], NDArray[np.complex128]]
_Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class BareStates:
    """States without spin-orbit coupling at one k, in one or two spin channels.

    A collinear field has two channels (up, down along the local z axis) of n states each, a
    three-component one a single channel of 2n spinors.

    Attributes:
        energies: per channel (m,), eV, ascending.
        vectors: per channel (n or 2n, m), normalised with the overlap.
        spin_orbit: iΛ_a(k), (3, n, n), eV.
    """

    energies: tuple[NDArray[np.float64], ...]
    vectors: tuple[_Complex, ...]
    spin_orbit: _Complex


@dataclass(frozen=True, eq=False)
class Block:
    """Σ_t c_t(R) M_t: a block of the spin-orbit matrix between two sets of states.

    ``matrices`` (t, rows · columns); ``coefficients`` gives c (nd, t) of rotations (nd, 3, 3).
    """

    rows: slice
    columns: slice
    matrices: _Complex
    coefficients: Coefficients

    def add_to(self, target: _Complex, turns: NDArray[np.float64]) -> None:
        """Write the block into ``target`` (nd, rows, columns) for rotations ``turns``."""
        shape = (self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)
        values = self.coefficients(turns) @ self.matrices
        target[:, self.rows, self.columns] = values.reshape(len(turns), *shape)


@dataclass(frozen=True, eq=False)
class KCouplings:
    """What the second variation keeps of one k-point.

    Active states are diagonalised; outer ones (deep and high) act on them in second order.

    Attributes:
        active: energies, (M,), eV.
        outer: energies, (Q,), eV; the first ``n_deep`` are full, the others empty.
        n_deep: number of deep states.
        within: blocks of V between active states, (M, M), its lower triangle at least.
        across: blocks of V between active and outer states, (M, Q).
        deep: blocks of one row: Σ V_qq over the deep states, (1, 1).
    """

    active: NDArray[np.float64]
    outer: NDArray[np.float64]
    n_deep: int
    within: tuple[Block, ...]
    across: tuple[Block, ...]
    deep: tuple[Block, ...]

    @property
    def nbytes(self) -> int:
        """Memory of the blocks."""
        return sum(b.matrices.nbytes for b in (*self.within, *self.across, *self.deep))


def bare_states(bloch: BlochSum, kpoints: NDArray[np.float64], exchange: float) -> list[BareStates]:
    """States at ``kpoints`` (nk, 3) of H_scalar ⊗ 1 + ``exchange`` · Σ σ_b B_b (n along z)."""
    matrices = bloch(kpoints)
    assert matrices.exchange is not None
    assert matrices.spin_orbit is not None
    inverse = inverse_factor(bloch, kpoints, matrices.overlap)
    scalar = inverse @ matrices.scalar @ inverse.mH
    field = inverse[:, None] @ matrices.exchange @ inverse.mH[:, None]
    if field.shape[1] == 1:
        problems = [scalar + exchange * field[:, 0], scalar - exchange * field[:, 0]]
        back = inverse.mH.resolve_conj()
    else:
        problems = [spinor_matrix(scalar, field, None, SpinState(soc=0.0, exchange=exchange))]
        back = torch.zeros_like(problems[0])
        n = scalar.shape[-1]
        back[:, :n, :n] = back[:, n:, n:] = inverse.mH
    solved = [np.linalg.eigh(problem.numpy()) for problem in problems]
    vectors = [back.numpy() @ vector for _, vector in solved]
    spin_orbit = matrices.spin_orbit.numpy()
    return [
        BareStates(
            tuple(energies[index] for energies, _ in solved),
            tuple(vector[index] for vector in vectors),
            spin_orbit[index],
        )
        for index in range(len(kpoints))
    ]


def project(states: BareStates, ranges: Sequence[tuple[int, int]]) -> KCouplings:
    """V between the states of one k; ``ranges`` (first, past the last active state) by channel."""
    if len(ranges) == 1:
        return _project_spinors(states, ranges[0])
    return _project_channels(states, ranges)


# --- collinear field: two channels -----------------------------------------------------------


def _project_channels(states: BareStates, ranges: Sequence[tuple[int, int]]) -> KCouplings:
    sizes = [stop - start for start, stop in ranges]
    total = [len(energies) for energies in states.energies]
    place = [slice(0, sizes[0]), slice(sizes[0], sizes[0] + sizes[1])]
    n_deep = ranges[0][0] + ranges[1][0]
    high = [total[s] - ranges[s][1] for s in (0, 1)]
    deep_place = [slice(0, ranges[0][0]), slice(ranges[0][0], n_deep)]
    high_place = [slice(n_deep, n_deep + high[0]), slice(n_deep + high[0], n_deep + sum(high))]
    within, across, deep = [], [], []
    for row in (0, 1):
        start, stop = ranges[row]
        left = states.vectors[row][:, start:stop].conj().T @ states.spin_orbit
        for column in (0, 1):
            coupling = left @ states.vectors[column]
            coefficients = _CHANNELS[row, column]
            first, last = ranges[column]
            parts = [
                (across, deep_place[column], coupling[:, :, :first]),
                (across, high_place[column], coupling[:, :, last:]),
            ]
            if row >= column:  # the lower triangle is enough
                parts.append((within, place[column], coupling[:, :, first:last]))
            for target, columns, part in parts:
                if part.size:
                    flat = np.ascontiguousarray(part).reshape(3, -1)
                    target.append(Block(place[row], columns, flat, coefficients))
        lower = states.vectors[row][:, :start]
        if start:
            expectation = np.einsum("im,aij,jm->a", lower.conj(), states.spin_orbit, lower)
            one = slice(0, 1)
            deep.append(Block(one, one, expectation[:, None], _CHANNELS[row, row]))
    energies, outer = [], [[], []]
    for level, (start, stop) in zip(states.energies, ranges, strict=True):
        energies.append(level[start:stop])
        outer[0].append(level[:start])
        outer[1].append(level[stop:])
    return KCouplings(
        np.concatenate(energies),
        np.concatenate([*outer[0], *outer[1]]),
        n_deep,
        tuple(within),
        tuple(across),
        tuple(deep),
    )


# ⟨s|σ_b|s'⟩ summed with R_ab: what multiplies ⟨m|iΛ_a|n⟩ between states of channels s and s'.
_CHANNELS: dict[tuple[int, int], Coefficients] = {
    (0, 0): lambda turns: turns[:, :, 2].astype(complex),
    (1, 1): lambda turns: -turns[:, :, 2].astype(complex),
    (0, 1): lambda turns: turns[:, :, 0] - 1j * turns[:, :, 1],
    (1, 0): lambda turns: turns[:, :, 0] + 1j * turns[:, :, 1],
}


# --- three-component field: one channel of spinors -------------------------------------------


def _project_spinors(states: BareStates, active: tuple[int, int]) -> KCouplings:
    start, stop = active
    vectors = states.vectors[0]
    n = len(vectors) // 2
    left = states.vectors[0].conj().T
    up, down = vectors[:n], vectors[n:]
    turned = (  # σ_b c, upper and lower half
        (down, up),
        (-1j * down, 1j * up),
        (up, -down),
    )
    rows = left[start:stop]
    coupling = np.stack(
        [
            rows[:, :n] @ lambda_a @ upper + rows[:, n:] @ lambda_a @ lower
            for lambda_a in states.spin_orbit
            for upper, lower in turned
        ]
    )
    size, total = stop - start, vectors.shape[1]
    place, one = slice(0, size), slice(0, 1)
    outside = np.concatenate([coupling[:, :, :start], coupling[:, :, stop:]], axis=2)
    inside = np.ascontiguousarray(coupling[:, :, start:stop]).reshape(9, -1)
    across, deep = [], []
    if outside.size:
        across.append(
            Block(place, slice(0, total - size), outside.reshape(9, -1), _all_coefficients)
        )
    if start:
        low_up, low_down = up[:, :start].conj(), down[:, :start].conj()
        expectation = np.array(
            [
                np.einsum("im,ij,jm->", low_up, lambda_a, upper[:, :start])
                + np.einsum("im,ij,jm->", low_down, lambda_a, lower[:, :start])
                for lambda_a in states.spin_orbit
                for upper, lower in turned
            ]
        )
        deep.append(Block(one, one, expectation[:, None], _all_coefficients))
    level = states.energies[0]
    return KCouplings(
        level[start:stop],
        np.concatenate([level[:start], level[stop:]]),
        start,
        (Block(place, place, inside, _all_coefficients),),
        tuple(across),
        tuple(deep),
    )


def _all_coefficients(turns: NDArray[np.float64]) -> _Complex:
    return turns.reshape(len(turns), 9).astype(complex)
