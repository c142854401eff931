"""How far a model's Hamiltonians and bands are from the references, and how far H0's are.

For every crystal, with one constant c·S (elements) or c (bands) removed, in meV:

- elements: mean and largest error of ΔH's elements on pairs within the cutoff;
- near the gap: mean and largest error of 4 occupied and 4 empty bands (of spatial orbitals) on a
  Γ-centred mesh, weighted as the zone is;
- gap: error of the smallest difference between both on the mesh;
- Γ–K: error of the highest occupied band at Γ against that at K, of crystals with a hexagonal cell
  (fractions (⅓, ⅓) of strained ones, too) that are no supercells;
- splitting: error of the valence band's splitting at K with the reference's Λ.

What H0 leaves beyond the cutoff is part of all errors of bands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hamexplorer.datasets.store import Sample
from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Hamiltonian, PairSum, SpinState, spinor_matrix
from hamexplorer.training.crystals import within
from hamexplorer.training.states import occupied_states

__all__ = ["CrystalErrors", "Errors", "crystal_errors", "evaluate", "zone_mesh"]

_TO_MEV = 1e3
_BANDS = 4
_CHUNK_BYTES = 3e7
_HEXAGONAL = 8.0
"""Degrees by which a strained hexagonal cell's angle may differ, and per cent of its lengths."""


@dataclass(frozen=True)
class Errors:
    """Absolute errors of one crystal, meV; None where a quantity does not exist."""

    elements: float
    elements_max: float
    near_gap: float
    near_gap_max: float
    gap: float
    valley: float | None
    splitting: float | None


@dataclass(frozen=True)
class CrystalErrors:
    """A crystal and the errors of the model and of H0 alone."""

    name: str
    family: str
    part: str
    n_atoms: int
    model: Errors
    zero: Errors


@dataclass(frozen=True, eq=False)
class _Bands:
    """Eigenvalues at the mesh (nk, n), the highest occupied at Γ minus at K, the splitting; eV."""

    energies: NDArray[np.float64]
    valley: float | None
    splitting: float | None


def evaluate(
    samples: Iterable[tuple[Sample, str]],
    predict: Callable[[Sample], NDArray[np.float64]],
    cutoff: float,
    *,
    spacing: float = 0.2,
    shown: Callable[[str], None] | None = None,
) -> list[CrystalErrors]:
    """Errors of every sample (given with its part of the data set).

    Args:
        samples: crystals and the names of their parts.
        predict: ΔH on the sample's pairs, (n_elements,), eV.
        cutoff: of the model, Å.
        spacing: of the mesh, 1/Å.
        shown: hears the name of each crystal before it is computed.

    Raises:
        HamiltonianError: S(k) of a sample is not positive definite, or it has no gap.
    """
    found = []
    for sample, part in samples:
        if shown is not None:
            shown(sample.info.name)
        found.append(crystal_errors(sample, predict(sample), cutoff, part, spacing=spacing))
    return found


def crystal_errors(
    sample: Sample,
    predicted: NDArray[np.float64],
    cutoff: float,
    part: str = "",
    *,
    spacing: float = 0.2,
) -> CrystalErrors:
    """Errors of ``predicted`` ΔH (n_elements,), eV, and of none; see :func:`evaluate`."""
    h, info = sample.reference, sample.info
    occupied = occupied_states(h)
    kpoints, weights = zone_mesh(h, spacing)
    k_point = _valley_point(h) if info.n_cells == 1 else None
    inside = h.pairs.subset(within(h, cutoff))[1]
    scalars = [h.scalar, sample.zero + predicted, sample.zero]
    reference, *others = _solved(h, scalars, kpoints, k_point, occupied)
    model, zero = (
        _errors(h, scalar - h.scalar, inside, reference, bands, weights, occupied)
        for scalar, bands in zip(scalars[1:], others, strict=True)
    )
    return CrystalErrors(info.name, info.family, part, info.n_atoms, model, zero)


def zone_mesh(h: Hamiltonian, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Γ-centred mesh without one of each ±k, (nk, 3), and its weights (nk,), of sum 1.

    Divisions are multiples of six, so that M and K are among them, at most ``spacing`` (1/Å)
    apart, and one along vectors along which nothing is coupled.
    """
    lengths = np.array(h.structure.lattice.reciprocal_lattice.abc)
    coupled = h.pairs.cell.any(axis=0)
    counts = np.where(coupled, 6 * np.ceil(lengths / (6 * spacing)), 1).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), -1).reshape(-1, 3)
    code = np.array([counts[1] * counts[2], counts[2], 1])
    own, opposite = grid @ code, (-grid % counts) @ code
    kept = own <= opposite
    weights = np.where(own == opposite, 1.0, 2.0)[kept]
    return grid[kept] / counts, weights / weights.sum()


def _valley_point(h: Hamiltonian) -> NDArray[np.float64] | None:
    """K in fractions of the reciprocal vectors, of a cell that is hexagonal up to strain."""
    lattice = h.structure.lattice
    a, b, _ = lattice.abc
    alpha, beta, gamma = lattice.angles
    upright = max(abs(alpha - 90), abs(beta - 90)) < _HEXAGONAL
    alike = abs(a / b - 1) < _HEXAGONAL / 100
    if not (upright and alike and h.pairs.cell[:, :2].any(axis=0).all()):
        return None
    if abs(gamma - 120) < _HEXAGONAL:
        return np.array([1, 1, 0]) / 3
    if abs(gamma - 60) < _HEXAGONAL:
        return np.array([2, 1, 0]) / 3
    return None


def _solved(
    h: Hamiltonian,
    scalars: list[NDArray[np.float64]],
    kpoints: NDArray[np.float64],
    k_point: NDArray[np.float64] | None,
    occupied: int,
) -> list[_Bands]:
    """Bands of Hamiltonians that differ in H_scalar alone; S(k) is reduced once for all."""
    sums = PairSum(
        h.pairs, np.stack([h.overlap, *scalars]), np.ones(1 + len(scalars)), torch.device("cpu")
    )
    n, count = h.basis.n_orbitals, len(scalars)
    step = max(1, int(_CHUNK_BYTES / (16.0 * n * n * (count + 1))))
    parts = [
        torch.linalg.eigvalsh(_reduced(sums(kpoints[i : i + step]))[1]).numpy()
        for i in range(0, len(kpoints), step)
    ]
    energies = np.concatenate(parts)
    valleys: list[float | None] = [None] * count
    splittings: list[float | None] = [None] * count
    if k_point is not None:
        inverse, at_k = _reduced(sums(k_point[None]))
        top = torch.linalg.eigvalsh(at_k)[0, :, occupied - 1].numpy()
        gamma = torch.linalg.eigvalsh(_reduced(sums(np.zeros((1, 3))))[1])[0, :, occupied - 1]
        valleys = [float(g - k) for g, k in zip(gamma.numpy(), top, strict=True)]
        if h.spin_orbit is not None:
            coupling = PairSum(h.pairs, h.spin_orbit, -np.ones(3), torch.device("cpu"))
            turned = 1j * (inverse @ coupling(k_point[None]) @ inverse.mH)
            for number in range(count):
                spinor = spinor_matrix(at_k[:, number], None, turned, SpinState())
                e = torch.linalg.eigvalsh(spinor)[0]
                splittings[number] = float(e[2 * occupied - 1] - e[2 * occupied - 2])
    return [_Bands(energies[:, i], valleys[i], splittings[i]) for i in range(count)]


def _reduced(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """From S, M₁, M₂, … (nk, 1 + c, n, n): L⁻¹ (nk, 1, n, n) and L⁻¹ M L⁻† (nk, c, n, n)."""
    lower, info = torch.linalg.cholesky_ex(matrices[:, :1])
    if bool((info != 0).any()):
        raise HamiltonianError("The overlap S(k) is not positive definite.")
    identity = torch.eye(lower.shape[-1], dtype=lower.dtype).expand_as(lower)
    inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
    return inverse, inverse @ matrices[:, 1:] @ inverse.mH


def _errors(
    h: Hamiltonian,
    difference: NDArray[np.float64],
    inside: NDArray[np.bool_],
    reference: _Bands,
    bands: _Bands,
    weights: NDArray[np.float64],
    occupied: int,
) -> Errors:
    s, d = h.overlap[inside], difference[inside]
    elements = np.abs(d - (s @ d) / (s @ s) * s) * _TO_MEV
    shown = slice(max(0, occupied - _BANDS), occupied + _BANDS)
    error = (bands.energies - reference.energies)[:, shown] * _TO_MEV
    error = np.abs(error - weights @ error.mean(axis=1))
    return Errors(
        float(elements.mean()),
        float(elements.max()),
        float(weights @ error.mean(axis=1)),
        float(error.max()),
        abs(_gap(bands, occupied) - _gap(reference, occupied)) * _TO_MEV,
        _apart(bands.valley, reference.valley),
        _apart(bands.splitting, reference.splitting),
    )


def _gap(bands: _Bands, occupied: int) -> float:
    e = bands.energies
    return float(e[:, occupied].min() - e[:, occupied - 1].max())


def _apart(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else abs(first - second) * _TO_MEV
