"""States without spin-orbit coupling, and the effective spin-orbit matrix between them.

In the spin frame that turns with n, R(n) z = n, the Hamiltonian is

    H(n) = H_scalar + Σ_b σ_b B_b + V(n),     V(n) = λ Σ_ab R_ab(n) σ_b ⊗ iΛ_a,

so that its first two terms, diagonalised once, serve every direction and every λ. With c_t(λR)
the factors of V = Σ_t c_t V_t, states in the window are coupled by

    H_mn = E_m δ_mn + Σ_t c_t ⟨m|V_t|n⟩
           + ½ Σ_ts c_t c_s Σ_q ⟨m|V_t|q⟩⟨q|V_s|n⟩ [1/(E_mq − E_q) + 1/(E_nq − E_q)],

q outside of the window: Löwdin's partitioning. What the free energy is made of are transitions
from full to empty states, so that E_mq = min(E_m, μ) for an empty q and max(E_m, μ) for a full
one: no denominator is smaller than the window, and paths m → a → q → m through one outer state q
have the denominators of third-order perturbation theory. The matrices of every power of λR are
summed over q once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.hamiltonian import BlochSum, SpinState, spinor_matrix
from hamexplorer.properties.anisotropy.orthonormal import inverse_factor

__all__ = ["BareStates", "Couplings", "bare_states", "project"]

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BareStates:
    """States without spin-orbit coupling at nk points, in one or two spin channels.

    A collinear field has two channels (up, down along the local z axis) of n states each, a
    three-component one a single channel of 2n spinors.

    Attributes:
        energies: per channel (nk, m), eV, ascending.
        vectors: per channel (nk, n or 2n, m), normalised with the overlap.
        spin_orbit: iΛ_a(k), (nk, 3, n, n), eV.
    """

    energies: tuple[_Real, ...]
    vectors: tuple[_Complex, ...]
    spin_orbit: _Complex


@dataclass(frozen=True, eq=False)
class Couplings:
    """The effective Hamiltonian of one k's window as a polynomial in λR(n).

    Attributes:
        energies: of the states in the window, channel after channel, eV, (M,).
        places: the channels' slices among them.
        blocks: for the channels (s, s'), s ≥ s', the matrices of V_t and of its second order,
            (t + t² · channels, M_s · M_s').
        n_deep: number of states below the window, taken for full.
        deep_energy: their energies' sum without coupling, eV.
        deep_linear: per channel, Σ_q ⟨q|V_t|q⟩ over them, (t,), eV.
        deep_quadratic: for the channels (s, s') of a deep q and a higher x, (t, t), eV:
            −Σ_qx ⟨q|V_t|x⟩⟨x|V_s|q⟩ / (max(E_x, μ) − E_q).
    """

    energies: _Real
    places: tuple[slice, ...]
    blocks: dict[tuple[int, int], _Complex]
    n_deep: int
    deep_energy: float
    deep_linear: tuple[_Complex, ...]
    deep_quadratic: dict[tuple[int, int], _Complex]

    @property
    def nbytes(self) -> int:
        """Memory of the matrices."""
        return sum(block.nbytes for block in self.blocks.values())

    def solve(self, turns: _Real) -> tuple[_Real, _Real]:
        """Energies in the window (nd, M) and the deep states' sum (nd,), eV.

        ``turns`` = λ R(n), (nd, 3, 3).
        """
        count, size, channels = len(turns), len(self.energies), range(len(self.places))
        factor = {
            (s, u): _factors(turns, s, u, len(self.places)) for s in channels for u in channels
        }
        matrix = np.zeros((count, size, size), dtype=complex)
        for (s, u), block in self.blocks.items():
            second = [_product(factor[s, v], factor[v, u]) for v in channels]
            values = np.concatenate([factor[s, u], *second], axis=1) @ block
            rows, columns = self.places[s], self.places[u]
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            matrix[:, rows, columns] = values.reshape(count, *shape)
        diagonal = np.arange(size)
        matrix[:, diagonal, diagonal] += self.energies
        deep = np.full(count, self.deep_energy)
        for s, linear in enumerate(self.deep_linear):
            deep += (factor[s, s] @ linear).real
        for (s, u), quadratic in self.deep_quadratic.items():
            deep += np.einsum("nt,ts,ns->n", factor[s, u], quadratic, factor[u, s]).real
        return np.linalg.eigvalsh(matrix), deep


def _factors(turns: _Real, s: int, u: int, channels: int) -> _Complex:
    """c_t (nd, t): what stands before ⟨m|V_t|n⟩ for m in channel s, n in channel u.

    Two channels: Σ_b R_ab ⟨s|σ_b|u⟩, t = a. One: R_ab, t = (a, b).
    """
    if channels == 1:
        return turns.reshape(len(turns), 9).astype(complex)
    if s == u:
        return (turns[:, :, 2] if s == 0 else -turns[:, :, 2]).astype(complex)
    return turns[:, :, 0] + (-1j if s == 0 else 1j) * turns[:, :, 1]


def _product(left: _Complex, right: _Complex) -> _Complex:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def bare_states(bloch: BlochSum, kpoints: _Real, exchange: float) -> BareStates:
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
    return BareStates(
        tuple(energies for energies, _ in solved),
        tuple(back.numpy() @ vectors for _, vectors in solved),
        matrices.spin_orbit.numpy(),
    )


def project(states: BareStates, ranges: Sequence[tuple[int, int]], fermi: float) -> list[Couplings]:
    """The couplings of every k; ``ranges`` (first, past the last active state) by channel,
    ``fermi`` = μ, eV.
    """
    channels = range(len(ranges))
    places = _slices([stop - start for start, stop in ranges])
    deep_places = _slices([start for start, _ in ranges])
    pairs = list(zip(states.energies, states.vectors, ranges, strict=True))
    energies = np.concatenate([level[:, start:stop] for level, _, (start, stop) in pairs], axis=1)
    rows = np.concatenate([v[:, :, start:stop] for _, v, (start, stop) in pairs], axis=2)
    deep_rows = np.concatenate([v[:, :, :start] for _, v, (start, _) in pairs], axis=2)
    couplings, deep_couplings = _matrices(states, rows), _matrices(states, deep_rows)
    second = [
        _second_order(couplings[u], energies, states.energies[u], ranges[u], fermi)
        for u in channels
    ]
    count, t = couplings[0].shape[:2]
    blocks = {}
    for s in channels:
        for u in range(s + 1):
            first = couplings[u][:, :, places[s], slice(*ranges[u])].reshape(count, t, -1)
            parts = [
                np.moveaxis(part[:, :, places[s], :, places[u]], 3, 2).reshape(count, t * t, -1)
                for part in second
            ]
            blocks[s, u] = np.concatenate([first, *parts], axis=1)
    linear, quadratic = [], {}
    for s in channels:
        own = deep_couplings[s][:, :, deep_places[s], : ranges[s][0]]
        linear.append(np.trace(own, axis1=2, axis2=3))
        for u in channels:
            higher = deep_couplings[u][:, :, deep_places[s], ranges[u][0] :]
            upper = np.maximum(states.energies[u][:, None, ranges[u][0] :], fermi)
            gap = upper - states.energies[s][:, : ranges[s][0], None]
            # the factor of ⟨x|V|q⟩ = ⟨q|V|x⟩* is that of the channels (u, s)
            weighted = (higher / gap[:, None]).reshape(count, t, -1)
            quadratic[s, u] = -(weighted @ _adjoint(higher.reshape(count, t, -1)))
    deep = sum(level[:, :start].sum(axis=1) for level, _, (start, _) in pairs)
    return [
        Couplings(
            energies[k],
            tuple(places),
            {name: block[k] for name, block in blocks.items()},
            n_deep=sum(start for start, _ in ranges),
            deep_energy=float(np.broadcast_to(deep, count)[k]),
            deep_linear=tuple(part[k] for part in linear),
            deep_quadratic={name: part[k] for name, part in quadratic.items()},
        )
        for k in range(count)
    ]


def _matrices(states: BareStates, rows: _Complex) -> list[_Complex]:
    """⟨m|V_t|n⟩ for the states ``rows`` (nk, n, r) and all of every channel, (nk, t, r, m)."""
    if len(states.vectors) == 2:
        left = _adjoint(rows)[:, None] @ states.spin_orbit
        return [left @ vectors[:, None] for vectors in states.vectors]
    vectors = states.vectors[0]
    n = vectors.shape[1] // 2
    up, down = vectors[:, :n], vectors[:, n:]
    turned = ((down, up), (-1j * down, 1j * up), (up, -down))  # σ_b c, upper and lower half
    left_up, left_down = (
        _adjoint(half)[:, None] @ states.spin_orbit for half in (rows[:, :n], rows[:, n:])
    )
    return [
        np.stack(
            [
                left_up[:, a] @ upper + left_down[:, a] @ lower
                for a in range(3)
                for upper, lower in turned
            ],
            axis=1,
        )
    ]


def _second_order(
    coupling: _Complex, energies: _Real, levels: _Real, window: tuple[int, int], fermi: float
) -> _Complex:
    """½ Σ_q ⟨m|V_t|q⟩⟨q|V_s|n⟩ [1/(E_mq − E_q) + 1/(E_nq − E_q)], (nk, t, M, t, M)."""
    count, t, size, _ = coupling.shape
    start, stop = window
    across = np.concatenate([coupling[..., :start], coupling[..., stop:]], axis=3)
    deep = np.maximum(energies, fermi)[:, :, None] - levels[:, None, :start]
    high = np.minimum(energies, fermi)[:, :, None] - levels[:, None, stop:]
    # single precision is good for 1e-7 of these corrections of some 0.01 eV
    gap = np.concatenate([deep, high], axis=2).astype(np.float32)
    across = across.astype(np.complex64)
    half = (across / gap[:, None]).reshape(count, t * size, -1) @ _adjoint(
        across.reshape(count, t * size, -1)
    )
    return ((half + _adjoint(half)) / 2).reshape(count, t, size, t, size)


def _adjoint(matrices: _Complex) -> _Complex:
    return matrices.conj().swapaxes(-1, -2)


def _slices(sizes: Sequence[int]) -> list[slice]:
    edges = np.cumsum([0, *sizes])
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
