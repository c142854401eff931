"""Samples as tensors: graph, target and overlap within the cutoff, states of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.datasets.store import Sample
from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs
from hamexplorer.model.delta.graph import CrystalGraph, crystal_graph
from hamexplorer.training.config import Sampling
from hamexplorer.training.states import StatePool, drawn_kpoints, state_pool

__all__ = ["Crystal", "Places", "crystal", "crystals", "memory_told", "within"]


@dataclass(frozen=True, eq=False)
class Places:
    """Where flat elements stand in M(k) = Σ_R exp(2πi k·R) M[R].

    Attributes:
        cells: the different R, (n_R, 3), float64.
        cell: R of every element, (n_elements,).
        place: row · n + column of every element, (n_elements,).
        n_orbitals: n.
    """

    cells: torch.Tensor
    cell: torch.Tensor
    place: torch.Tensor
    n_orbitals: int

    @classmethod
    def of(cls, pairs: Pairs) -> Places:
        """Those of a list of pairs."""
        cells, which = np.unique(pairs.cell, axis=0, return_inverse=True)
        rows, columns = pairs.element_orbitals
        n = int(pairs.sizes.sum())
        return cls(
            torch.from_numpy(cells.astype(float)),
            torch.from_numpy(which.reshape(-1)[pairs.element_pair]),
            torch.from_numpy(rows * n + columns),
            n,
        )

    def matrices(self, flat: torch.Tensor, kpoints: torch.Tensor) -> torch.Tensor:
        """M(k), (nk, n, n), complex, of ``flat`` (n_elements,); differentiable."""
        angle = 2 * torch.pi * (kpoints @ self.cells.T)
        shape, n = (len(kpoints), self.n_orbitals**2), self.n_orbitals
        parts = [
            torch.zeros(shape, dtype=flat.dtype, device=flat.device).index_add(
                1, self.place, phase.to(flat.dtype)[:, self.cell] * flat
            )
            for phase in (angle.cos(), angle.sin())
        ]
        return torch.complex(*parts).reshape(-1, n, n)

    def to(self, device: torch.device | str) -> Places:
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("cells", "cell", "place")}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class Crystal:
    """What is learned from one sample; all elements are those of the pairs within the cutoff.

    Attributes:
        name, family: of the sample.
        basis: shells of its sites.
        graph: what the network sees.
        target: ΔH = H − H0 − c·S, (n_elements,), eV, with c = ⟨S, H − H0⟩ / ⟨S, S⟩.
        overlap: S, (n_elements,).
        places: where the elements stand in H(k).
        states: pool for the band loss, or k-points at which bands are validated; None if neither.
    """

    name: str
    family: str
    basis: Basis
    graph: CrystalGraph
    target: torch.Tensor
    overlap: torch.Tensor
    places: Places
    states: StatePool | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the larger arrays."""
        own = self.target.nbytes + self.overlap.nbytes
        own += self.places.cell.nbytes + self.places.place.nbytes
        return own + (0 if self.states is None else self.states.nbytes)

    def to(self, device: torch.device | str) -> Crystal:
        """The same on another device."""
        return replace(
            self,
            graph=self.graph.to(device),
            target=self.target.to(device),
            overlap=self.overlap.to(device),
            places=self.places.to(device),
            states=None if self.states is None else self.states.to(device),
        )


def within(h: Hamiltonian, cutoff: float) -> NDArray[np.bool_]:
    """The pairs that the network predicts: |r| < ``cutoff`` in both directions, (n_pairs,)."""
    keep: NDArray[np.bool_] = np.maximum(h.distances, h.distances[h.pairs.reverse]) < cutoff
    return keep


def crystal(
    sample: Sample,
    cutoff: float,
    dtype: torch.dtype,
    kpoints: NDArray[np.float64] | None = None,
    *,
    validation: bool = False,
) -> Crystal:
    """``sample`` as tensors on the CPU.

    Args:
        sample: the crystal.
        cutoff: longest pair, Å.
        dtype: of targets and overlaps.
        kpoints: where states are kept, (nk, 3), fractional; None: nowhere.
        validation: keep states in 64 bits, with what lies beyond the cutoff.

    Raises:
        HamiltonianError: S(k) is not positive definite, or there is no gap to learn.
    """
    h = sample.reference
    pairs, inside = h.pairs.subset(within(h, cutoff))
    difference = h.scalar - sample.zero
    s = h.overlap[inside]
    difference -= (s @ difference[inside]) / (s @ s) * h.overlap
    states = None
    if kpoints is not None:
        exact = validation or dtype == torch.float64
        states = state_pool(
            h,
            kpoints,
            precision=torch.complex128 if exact else torch.complex64,
            rest=np.where(inside, 0.0, -difference) if validation else None,
        )
    return Crystal(
        sample.info.name,
        sample.info.family,
        h.basis,
        crystal_graph(h.structure, pairs, h.basis, cutoff),
        torch.from_numpy(difference[inside]).to(dtype),
        torch.from_numpy(h.overlap[inside]).to(dtype),
        Places.of(pairs),
        states,
    )


def crystals(
    samples: Iterable[Sample],
    count: int,
    cutoff: float,
    dtype: torch.dtype,
    sampling: Sampling,
    seed: int,
    *,
    bands: bool,
    validation: bool,
    shown: Callable[[float, str], None],
) -> list[Crystal]:
    """All ``samples`` (``count`` of them) as tensors, with states where ``bands`` are looked at.

    ``shown`` hears the fraction that is done and the crystal's name, and may stop it by raising.

    Raises:
        HamiltonianError: of a sample, which it names.
    """
    made = []
    size = sampling.validation if validation else sampling.pool
    for number, sample in enumerate(samples):
        info = sample.info
        shown(number / max(1, count), info.name)
        try:
            key = f"{seed} {info.name} {'validation' if validation else 'training'}"
            k = drawn_kpoints(sample.reference, size, key) if bands else None
            made.append(crystal(sample, cutoff, dtype, k, validation=validation))
        except HamiltonianError as error:
            raise HamiltonianError(f"{info.name}: {error}") from error
    return made


def memory_told(made: Sequence[Crystal]) -> str:
    """``12 crystals, 34 MB (states 21 MB)``."""
    total = sum(one.nbytes for one in made) / 1e6
    states = sum(one.states.nbytes for one in made if one.states is not None) / 1e6
    word = "crystal" if len(made) == 1 else "crystals"
    return f"{len(made)} {word}, {total:.0f} MB (states {states:.0f} MB)"
