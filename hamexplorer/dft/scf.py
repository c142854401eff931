"""The self-consistent Gaussian-plane-wave loop; atomic units.

Density: ρ(r) = Σ_k w_k Σ_n f_nk |Σ_µ C_µn u_µk(r)|², symmetrised; Fock matrices: T + V_NL by Bloch
sums of exact real-space blocks, the local potential V_loc + V_H + v_xc by the grid,
⟨µ|V|ν⟩_k = (Ω/N) Σ_r u*_µk V u_νk. Energy: the Harris-Foulkes functional of the input density,
whose error is of second order in ρ_out − ρ_in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.electrostatics import Electrostatics
from hamexplorer.dft.exchange_correlation import exchange_correlation
from hamexplorer.dft.grid import PlaneWaveGrid, bloch_orbitals
from hamexplorer.dft.kpoints import DensitySymmetry, KMesh
from hamexplorer.dft.mixing import PulayMixer
from hamexplorer.dft.occupations import Occupations, fermi_occupations
from hamexplorer.dft.populations import mulliken_populations
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import ConvergenceError
from hamexplorer.hamiltonian import Pairs

__all__ = ["Iteration", "ScfParameters", "ScfResult", "potential_matrix", "run_scf"]

_PART = 32768
"""Grid points worked on at once."""


@dataclass(frozen=True)
class ScfParameters:
    """Tolerances (Ha; electrons per electron), smearing (Ha), iterations, orbital storage.

    ``stored_kpoints``: at how many k-points the orbitals on the grid are kept between iterations;
    at the others they are made anew.
    """

    smearing: float
    energy_tolerance: float
    density_tolerance: float
    max_iterations: int
    dtype: torch.dtype
    stored_kpoints: int


@dataclass(frozen=True)
class Iteration:
    """One line of the SCF's history: energy in Ha, ∫|ρ_out − ρ_in| per electron, moment in µB."""

    energy: float
    residual: float
    moment: float


@dataclass(frozen=True, eq=False)
class ScfResult:
    """A converged (or, inside a ConvergenceError, the last) state.

    ``potential`` (n_spin, *mesh) is the whole local potential on the grid, Ha; ``levels``
    (n_spin, nk, nb) Ha; ``energy`` the free energy E − TS, Ha per cell; ``populations`` Mulliken's
    electrons (n_spin, n_atoms), of a converged state only.
    """

    energy: float
    entropy_energy: float
    occupations: Occupations
    levels: NDArray[np.float64]
    density: torch.Tensor
    potential: torch.Tensor
    moment: float
    history: tuple[Iteration, ...] = field(default_factory=tuple)
    populations: NDArray[np.float64] | None = None


def potential_matrix(
    orbitals: torch.Tensor, potential: torch.Tensor, grid: PlaneWaveGrid
) -> NDArray[np.complex128]:
    """⟨µ|V|ν⟩_k of a real potential on the grid, Ha, (n_orbitals, n_orbitals)."""
    real = torch.float32 if orbitals.dtype == torch.complex64 else torch.float64
    local = potential.reshape(-1).to(real)
    total = torch.zeros(len(orbitals), len(orbitals), dtype=torch.complex128, device=grid.device)
    for part in _parts(grid.size):
        u = orbitals[:, part]
        total += (u.conj() * local[part]) @ u.T
    matrix = total.cpu().numpy()
    result: NDArray[np.complex128] = (matrix + matrix.conj().T) * (0.5 * grid.volume / grid.size)
    return result


def _parts(size: int) -> Iterator[slice]:
    """Slices of the grid, so that work space does not grow with it."""
    for start in range(0, size, _PART):
        yield slice(start, start + _PART)


class _Orbitals:
    """u_k on the grid: kept for as many k-points as memory allows, else made anew each time."""

    def __init__(
        self, system: CrystalSystem, grid: PlaneWaveGrid, kmesh: KMesh, parameters: ScfParameters
    ) -> None:
        self._make = lambda k: bloch_orbitals(system, grid, kmesh.kpoints[k], parameters.dtype)
        self._capacity = parameters.stored_kpoints
        self._kept: dict[int, torch.Tensor] = {}

    def __getitem__(self, k: int) -> torch.Tensor:
        if k >= self._capacity:
            return self._make(k)
        if k not in self._kept:
            self._kept[k] = self._make(k)
        return self._kept[k]


def run_scf(
    system: CrystalSystem,
    grid: PlaneWaveGrid,
    electrostatics: Electrostatics,
    kmesh: KMesh,
    symmetry: DensitySymmetry,
    pairs: Pairs,
    overlap: NDArray[np.float64],
    core: NDArray[np.float64],
    guess: list[NDArray[np.float64]],
    parameters: ScfParameters,
    report: Callable[[int, float], None],
) -> ScfResult:
    """Iterate to self-consistency.

    ``overlap`` and ``core`` = T + V_NL are flat blocks on ``pairs``; ``guess`` holds a density
    matrix per spin; ``report(iteration, residual)`` may raise to cancel.

    Raises:
        ConvergenceError: with the last :class:`ScfResult` as its state.
    """
    n, n_spin, nk = system.basis.n_orbitals, len(guess), len(kmesh.kpoints)
    orbitals = _Orbitals(system, grid, kmesh, parameters)
    cores = [bloch_sum(pairs, core, k, n) for k in kmesh.kpoints]
    inverses = [_inverse_root(bloch_sum(pairs, overlap, k, n)) for k in kmesh.kpoints]
    density = _guess_density(grid, kmesh, symmetry, orbitals, guess, system.n_electrons, report)
    mixer = PulayMixer(grid)
    history: list[Iteration] = []
    for iteration in range(1, parameters.max_iterations + 1):
        field_in = grid.to_real(density)
        energy_dc, potential = _effective_potential(electrostatics, symmetry, grid, field_in)
        levels = np.empty((n_spin, nk, inverses[0].shape[1]))
        vectors = np.empty((n_spin, nk, n, levels.shape[2]), dtype=complex)
        for k in range(nk):
            u = orbitals[k]
            for s in range(n_spin):
                fock = cores[k] + potential_matrix(u, potential[s], grid)
                x = inverses[k]
                levels[s, k], small = scipy.linalg.eigh(
                    x.conj().T @ fock @ x, check_finite=False, driver="evd"
                )
                vectors[s, k] = x @ small
            report(iteration, history[-1].residual if history else np.nan)
        filling = fermi_occupations(levels, kmesh.weights, system.n_electrons, parameters.smearing)
        new = _density(grid, kmesh, symmetry, orbitals, vectors, filling.numbers)
        residual = new - density
        change = grid.integral(grid.to_real(residual).sum(dim=0).abs()) / system.n_electrons
        if n_spin == 2:
            spin = grid.to_real(residual[0] - residual[1])
            change = max(change, grid.integral(spin.abs()) / system.n_electrons)
        band = float(np.einsum("skb,skb,k->", filling.numbers, levels, kmesh.weights))
        energy = band + energy_dc + electrostatics.ion_energy + filling.entropy_energy
        moment = 0.0
        if n_spin == 2:
            moment = float((new[0] - new[1]).reshape(-1)[0].real) * grid.volume
        history.append(Iteration(energy, change, moment))
        state = ScfResult(
            energy, filling.entropy_energy, filling, levels, new, potential, moment, tuple(history)
        )
        report(iteration, change)
        if (
            len(history) > 1
            and change < parameters.density_tolerance
            and abs(energy - history[-2].energy) < parameters.energy_tolerance
        ):
            populations = mulliken_populations(
                system, pairs, overlap, kmesh, vectors, filling.numbers
            )
            return replace(state, populations=populations)
        density = mixer.next(density, residual)
    raise ConvergenceError(
        f"The SCF did not converge in {parameters.max_iterations} iterations: the density still "
        f"changes by {history[-1].residual:.1e} per electron (accepted: "
        f"{parameters.density_tolerance:.1e}). Try more iterations, a larger smearing, or other "
        "initial moments.",
        state,
    )


def _inverse_root(overlap: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """L^{−†} of S = L L†: columns are orthonormal orbitals."""
    lower = scipy.linalg.cholesky(overlap, lower=True, check_finite=False)
    inverse: NDArray[np.complex128] = (
        scipy.linalg.solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
        .conj()
        .T
    )
    return inverse


def _effective_potential(
    electrostatics: Electrostatics,
    symmetry: DensitySymmetry,
    grid: PlaneWaveGrid,
    densities: torch.Tensor,
) -> tuple[float, torch.Tensor]:
    """E_xc − ∫ρ v_xc − E_H (what the band energy counts wrongly, Ha) and V on the grid."""
    total = densities.sum(dim=0)
    hartree = electrostatics.hartree(total)
    energy_xc, potential_xc = exchange_correlation(grid, densities)
    potential_xc = grid.to_real(symmetry(grid.to_reciprocal(potential_xc)))
    correction = energy_xc - 0.5 * grid.integral(hartree * total)
    correction -= sum(grid.integral(v * d) for v, d in zip(potential_xc, densities, strict=True))
    return correction, potential_xc + hartree + electrostatics.local_potential


def _density(
    grid: PlaneWaveGrid,
    kmesh: KMesh,
    symmetry: DensitySymmetry,
    orbitals: _Orbitals,
    vectors: NDArray[np.complex128],
    numbers: NDArray[np.float64],
) -> torch.Tensor:
    """ρ(G) of each spin, (n_spin, *mesh)."""
    density = torch.zeros(len(vectors), grid.size, dtype=torch.float64, device=grid.device)
    for k, weight in enumerate(kmesh.weights):
        u = orbitals[k]
        for s in range(len(vectors)):
            used = numbers[s, k] > 1e-10
            scaled = vectors[s, k][:, used] * np.sqrt(weight * numbers[s, k][used])
            coefficients = torch.as_tensor(scaled.T.copy(), device=grid.device).to(u.dtype)
            for part in _parts(grid.size):
                states = torch.view_as_real(coefficients @ u[:, part])
                density[s, part] += states.square().sum(dim=(0, 2)).to(torch.float64)
    return symmetry(grid.to_reciprocal(density.reshape(-1, *grid.mesh)))


def _guess_density(
    grid: PlaneWaveGrid,
    kmesh: KMesh,
    symmetry: DensitySymmetry,
    orbitals: _Orbitals,
    guess: list[NDArray[np.float64]],
    n_electrons: float,
    report: Callable[[int, float], None],
) -> torch.Tensor:
    """Superposed atoms: the same density matrix at every k, scaled to the exact charge."""
    density = torch.zeros(len(guess), grid.size, dtype=torch.float64, device=grid.device)
    for k, weight in enumerate(kmesh.weights):
        u = orbitals[k]
        for s, matrix in enumerate(guess):
            guess_matrix = torch.as_tensor(matrix, device=grid.device).to(u.dtype)
            for part in _parts(grid.size):
                product = u[:, part].conj() * (guess_matrix @ u[:, part])
                density[s, part] += weight * product.real.sum(dim=0).to(torch.float64)
        report(0, np.nan)
    coefficients = symmetry(grid.to_reciprocal(density.reshape(-1, *grid.mesh)))
    charge = float(coefficients.sum(dim=0).reshape(-1)[0].real) * grid.volume
    return coefficients * (n_electrons / charge)
