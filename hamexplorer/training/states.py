"""Eigenstates of reference Hamiltonians at a pool of k-points, found once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hamexplorer.errors import HamexplorerError, HamiltonianError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, PairSum
from hamexplorer.structures.kpath import named_points

__all__ = ["StatePool", "drawn_kpoints", "in_states", "occupied_states", "state_pool"]

_CHUNK = 8
"""k-points whose dense matrices are held at a time."""


@dataclass(frozen=True, eq=False)
class StatePool:
    """H C = S C E of one crystal at ``kpoints``; n spatial orbitals, all n states.

    Attributes:
        kpoints: (nk, 3), fractional, float64.
        energies: (nk, n), eV, ascending.
        vectors: C, (nk, n, n), columns are states, C† S C = 1.
        n_occupied: number of occupied states.
        rest: None or C† R(k) C, (nk, n, n), eV, of what the network leaves as it is: R = H0 − H of
            the pairs beyond the cutoff.
    """

    kpoints: torch.Tensor
    energies: torch.Tensor
    vectors: torch.Tensor
    n_occupied: int
    rest: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        kept = (self.kpoints, self.energies, self.vectors, self.rest)
        return sum(array.nbytes for array in kept if array is not None)

    def at(self, chosen: torch.Tensor) -> StatePool:
        """Some of the k-points."""
        return replace(
            self,
            kpoints=self.kpoints[chosen],
            energies=self.energies[chosen],
            vectors=self.vectors[chosen],
            rest=None if self.rest is None else self.rest[chosen],
        )

    def to(self, device: torch.device | str) -> StatePool:
        """The same on another device."""
        return replace(
            self,
            kpoints=self.kpoints.to(device),
            energies=self.energies.to(device),
            vectors=self.vectors.to(device),
            rest=None if self.rest is None else self.rest.to(device),
        )


def occupied_states(h: Hamiltonian) -> int:
    """Doubly occupied states of the scalar Hamiltonian.

    Raises:
        HamiltonianError: none, or all of them are.
    """
    count = round(h.n_electrons / 2)
    if not 0 < count < h.basis.n_orbitals:
        raise HamiltonianError(
            f"{h.n_electrons:g} electrons in {h.basis.n_orbitals} orbitals have no gap to learn; "
            f"accepted are 2 … {2 * h.basis.n_orbitals - 2}."
        )
    return count


def drawn_kpoints(h: Hamiltonian, count: int, key: str) -> NDArray[np.float64]:
    """``count`` k-points (nk, 3): those of high symmetry, then random ones that ``key`` decides."""
    seed = np.frombuffer(hashlib.sha256(key.encode()).digest(), dtype=np.uint32)
    drawn = np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 3))
    try:
        named = np.array(list(named_points(h.structure).values()))
    except HamexplorerError:  # a lattice without a standard path is learned all the same
        return drawn
    return np.concatenate([named, drawn])[:count]


def state_pool(
    h: Hamiltonian,
    kpoints: NDArray[np.float64],
    *,
    precision: torch.dtype,
    rest: NDArray[np.float64] | None = None,
) -> StatePool:
    """All eigenstates of H_scalar at ``kpoints`` (nk, 3).

    Args:
        h: the reference.
        kpoints: fractional.
        precision: of what is kept (complex64 or complex128); it is computed in 64 bits.
        rest: flat elements of R, (n_elements,), eV.

    Raises:
        HamiltonianError: S(k) is not positive definite.
    """
    bloch = BlochSum(h, "cpu")
    beyond = None if rest is None else PairSum(h.pairs, rest[None], np.ones(1), bloch.device)
    energies, vectors, rests = [], [], []
    for start in range(0, len(kpoints), _CHUNK):
        k = kpoints[start : start + _CHUNK]
        matrices = bloch(k)
        for one, scalar, overlap in zip(k, matrices.scalar, matrices.overlap, strict=True):
            try:
                e, c = scipy.linalg.eigh(scalar.numpy(), overlap.numpy())
            except np.linalg.LinAlgError as error:
                raise HamiltonianError(
                    f"S(k) at k = {one.round(6).tolist()} is not positive definite."
                ) from error
            energies.append(torch.from_numpy(e))
            vectors.append(torch.from_numpy(c).to(precision))
        if beyond is not None:
            c = torch.stack(vectors[start:]).to(torch.complex128)
            rests.append((c.mH @ beyond(k)[:, 0] @ c).to(precision))
    return StatePool(
        torch.from_numpy(np.ascontiguousarray(kpoints)),
        torch.stack(energies),
        torch.stack(vectors),
        occupied_states(h),
        torch.cat(rests) if rests else None,
    )


def in_states(matrix: torch.Tensor, vectors: torch.Tensor, count: int) -> torch.Tensor:
    """C† M C between all states and the lowest ``count``, (nk, n, count)."""
    return vectors.mH @ (matrix @ vectors[:, :, :count])
