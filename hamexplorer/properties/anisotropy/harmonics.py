"""F(n) is a smooth even function: a few directions determine many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hamexplorer.hamiltonian.angular import real_harmonics

__all__ = ["Interpolation", "interpolated", "symmetric_harmonics"]

_DEGREES = (6, 8, 12)
"""Degrees l that are tried; the amplitudes fall by a factor of about 20 per step of 2."""
_HELD_OUT = 2
_PART = 5e-4
"""Held-out directions must agree to this part of the range of energies."""
_NOTHING = 1e-10
"""eV."""
_RANK = 1e-8
_WORTH = 0.75
"""Interpolation is used if it saves at least a quarter of the directions."""

_Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Values (nd, ...) at all directions, the number ``n_computed`` of computed ones, and
    ``error``: the largest deviation of the first column at held-out ones, None if all were
    computed.
    """

    values: _Real
    n_computed: int
    error: float | None


def symmetric_harmonics(vectors: _Real, operations: _Real, degree: int) -> _Real:
    """An orthonormal basis (nd, r) of what even spherical harmonics l ≤ ``degree`` that are
    invariant under ``operations`` (ng, 3, 3) can do at the directions ``vectors`` (nd, 3).
    """
    turned = torch.as_tensor(np.einsum("oab,nb->ona", operations, vectors).reshape(-1, 3))
    columns = []
    for l in range(0, degree + 1, 2):  # noqa: E741 - the degree's own name
        values = real_harmonics(l, turned).numpy().reshape(len(operations), len(vectors), -1)
        columns.append(values.mean(axis=0))
    left, singular, _ = np.linalg.svd(np.concatenate(columns, axis=1), full_matrices=False)
    basis: _Real = left[:, singular > _RANK * singular[0]]
    return basis


def interpolated(
    vectors: _Real, operations: _Real, compute: Callable[[Sequence[int]], _Real]
) -> Interpolation:
    """Values at all ``vectors`` (nd, 3) from those at a few.

    ``compute`` gives values (n, columns) at the directions of the given indices; the first
    column is the energy. Its symmetric harmonics are fitted at as many directions as there are
    of them, chosen by a pivoted QR decomposition, and tested at two held-out ones. Where the
    test fails at the highest degree, or nothing would be saved, every direction is computed.
    """
    known: dict[int, _Real] = {}

    def at(indices: Sequence[int]) -> _Real:
        missing = [index for index in indices if index not in known]
        if missing:
            known.update(zip(missing, compute(missing), strict=True))
        return np.array([known[index] for index in indices])

    everything = range(len(vectors))
    for degree in _DEGREES:
        basis = symmetric_harmonics(vectors, operations, degree)
        rank = basis.shape[1]
        if rank + _HELD_OUT > _WORTH * len(vectors):
            break
        nodes = scipy.linalg.qr(basis.T, mode="r", pivoting=True)[1][:rank].tolist()
        rest = sorted(set(everything) - set(nodes))
        held_out = [rest[(i + 1) * len(rest) // (_HELD_OUT + 1)] for i in range(_HELD_OUT)]
        values = at([*nodes, *held_out])[:rank]
        guessed = basis[held_out] @ np.linalg.lstsq(basis[nodes], values, rcond=None)[0]
        error = float(np.abs(guessed - at(held_out))[:, 0].max())
        if error <= max(_NOTHING, _PART * float(np.ptp(values[:, 0]))):
            used = sorted(known)
            solution = np.linalg.lstsq(basis[used], at(used), rcond=None)[0]
            result = basis @ solution
            result[used] = at(used)
            return Interpolation(result, len(known), error)
    return Interpolation(at(everything), len(vectors), None)
