"""The embedded DFT engine: a structure in, a real-space Hamiltonian with spin-orbit coupling out.

PBE, GTH pseudopotentials and Gaussian bases; spinless or collinear SCF; spin-orbit coupling from
the pseudopotentials' own parameters in one shot, not part of the self-consistency.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure
from threadpoolctl import threadpool_limits

from hamexplorer.dft.assembly import EngineBlocks, assembled
from hamexplorer.dft.basis_sets import supported_elements
from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.electrostatics import Electrostatics
from hamexplorer.dft.estimate import Estimate
from hamexplorer.dft.grid import PlaneWaveGrid, bloch_orbitals
from hamexplorer.dft.guess import atomic_density_matrices
from hamexplorer.dft.integrals import pairs_by_overlap, two_centre_blocks
from hamexplorer.dft.kpoints import DensitySymmetry
from hamexplorer.dft.nonlocal_potential import nonlocal_blocks, spin_orbit_blocks
from hamexplorer.dft.plan import Plan, check, estimate, plan
from hamexplorer.dft.realspace import real_space_blocks
from hamexplorer.dft.record import ENGINE_VERSION, provenance
from hamexplorer.dft.scf import (
    ScfParameters,
    ScfResult,
    potential_matrix,
    run_scf,
)
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.progress import Monitor
from hamexplorer.units import HARTREE_EV

__all__ = [
    "ELEMENTS",
    "ENGINE_VERSION",
    "Clock",
    "Estimate",
    "GroundState",
    "Plan",
    "check",
    "estimate",
    "ground_state",
    "hamiltonian_of",
    "plan",
    "run",
]

ELEMENTS = supported_elements()
"""Elements that the default basis covers: 71."""


@dataclass(frozen=True, eq=False)
class GroundState:
    """A converged SCF and the exact real-space blocks it stands on; atomic units.

    ``overlap`` and ``core`` = T + V_NL are flat blocks on ``pairs``.
    """

    plan: Plan
    grid: PlaneWaveGrid
    electrostatics: Electrostatics
    pairs: Pairs
    overlap: NDArray[np.float64]
    core: NDArray[np.float64]
    result: ScfResult

    def potential_at(self, kpoint: NDArray[np.float64]) -> list[NDArray[np.complex128]]:
        """⟨µ|V_s|ν⟩ of each spin's local potential at a k-point, Ha."""
        dtype = _orbital_type(self.plan.settings)
        orbitals = bloch_orbitals(self.plan.system, self.grid, kpoint, dtype)
        return [potential_matrix(orbitals, v, self.grid) for v in self.result.potential]

    def matrices_at(
        self, kpoint: NDArray[np.float64]
    ) -> tuple[NDArray[np.complex128], list[NDArray[np.complex128]]]:
        """S(k) and H_s(k) of each spin built directly, without interpolation; Ha."""
        n = self.plan.system.basis.n_orbitals
        core = bloch_sum(self.pairs, self.core, kpoint, n)
        overlap = bloch_sum(self.pairs, self.overlap, kpoint, n)
        return overlap, [core + v for v in self.potential_at(kpoint)]


def run(
    structure: Structure,
    settings: DftSettings | None = None,
    monitor: Monitor | None = None,
) -> Hamiltonian:
    """Compute the Hamiltonian of a structure.

    Energies are eV; of a slab relative to the vacuum level, of a bulk crystal relative to the
    average electrostatic potential as in PySCF.

    Raises:
        HamexplorerError: as :func:`plan`; :class:`ConvergenceError` with the last SCF state;
            :class:`CalculationCancelled` if ``monitor`` says so.
    """
    monitor = monitor or Monitor()
    clock = Clock()
    monitor.report("Preparing", 0.0, "choosing grid, k mesh and symmetry")
    chosen = plan(structure, settings)
    with threadpool_limits(chosen.threads), _TorchThreads(chosen.threads):
        state = ground_state(chosen, monitor)
        clock.lap("self-consistency")
        hamiltonian = hamiltonian_of(structure, state, monitor, clock)
    monitor.report("Done", 1.0)
    return hamiltonian


def hamiltonian_of(
    structure: Structure,
    state: GroundState,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Hamiltonian:
    """Real-space blocks of a ground state, with the spin-orbit part; eV."""
    monitor, clock = monitor or Monitor(), clock or Clock()
    potential = _potential_blocks(state, monitor)
    clock.lap("real-space blocks")
    monitor.report("Spin-orbit coupling", 0.96)
    spin_orbit = None
    if state.plan.settings.spin_orbit:
        spin_orbit = spin_orbit_blocks(state.plan.system, state.pairs)
    clock.lap("spin-orbit")
    monitor.report("Checking", 0.98, "hermiticity, antisymmetry, overlap")
    step = _potential_step(state.electrostatics, state.grid, state.result)
    blocks = EngineBlocks(state.pairs, state.overlap, state.core + potential, spin_orbit)
    record = provenance(structure, state.plan, state.result, step, clock.laps)
    return assembled(structure, state.plan.system, blocks, record)


def ground_state(chosen: Plan, monitor: Monitor) -> GroundState:
    """Integrals and self-consistency of a plan."""
    settings, system = chosen.settings, chosen.system
    monitor.report("Integrals", 0.02, chosen.cost.description)
    pairs, overlap, core = _static_blocks(system)
    monitor.report("Atoms", 0.08, "superposing free atoms")
    grid = PlaneWaveGrid(system.lattice, chosen.mesh, torch.device("cpu"))
    electrostatics = Electrostatics.create(system, grid)

    def report(iteration: int, residual: float) -> None:
        known = bool(np.isfinite(residual)) and residual > 0
        done = 0.0
        if known:
            # the residual falls roughly geometrically from 0.3 to the tolerance
            done = float(np.log(0.3 / residual) / np.log(0.3 / settings.density_tolerance))
        monitor.report(
            "Self-consistency" if iteration else "First density",
            0.1 + 0.65 * min(max(done, 0.0), 1.0),
            f"iteration {iteration}" if iteration else "",
            iteration=iteration or None,
            residual=residual if known else None,
        )

    result = run_scf(
        system,
        grid,
        electrostatics,
        chosen.kmesh,
        DensitySymmetry(grid, chosen.group),
        pairs,
        overlap,
        core,
        atomic_density_matrices(system),
        ScfParameters(
            settings.smearing,
            settings.energy_tolerance,
            settings.density_tolerance,
            settings.max_iterations,
            _orbital_type(settings),
            chosen.cost.stored_kpoints,
        ),
        report,
    )
    return GroundState(chosen, grid, electrostatics, pairs, overlap, core, result)


def _orbital_type(settings: DftSettings) -> torch.dtype:
    return torch.complex64 if settings.precision == "single" else torch.complex128


def _static_blocks(
    system: CrystalSystem,
) -> tuple[Pairs, NDArray[np.float64], NDArray[np.float64]]:
    """Pairs that overlap, S, and T + V_NL on them, Ha."""
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    overlap, kinetic = two_centre_blocks(system, near, ("int1e_ovlp", "int1e_kin"))
    return pairs, overlap, kinetic + nonlocal_blocks(system, pairs)


def _potential_blocks(state: GroundState, monitor: Monitor) -> NDArray[np.float64]:
    """The local potential of each spin on the pairs, (n_spin, n_elements), Ha."""
    chosen = state.plan
    count = len(chosen.final_kmesh.kpoints)

    def matrices(k: int) -> list[NDArray[np.complex128]]:
        monitor.report("Real-space blocks", 0.75 + 0.2 * k / count, f"k-point {k + 1} of {count}")
        return state.potential_at(chosen.final_kmesh.kpoints[k])

    return real_space_blocks(
        chosen.system,
        state.pairs,
        chosen.final_kmesh,
        chosen.final_group,
        matrices,
        len(state.result.potential),
    )


def _potential_step(
    electrostatics: Electrostatics, grid: PlaneWaveGrid, result: ScfResult
) -> float | None:
    """Electrostatic potential energy above minus below a slab, eV; None without vacuum."""
    axis = electrostatics.system.vacuum_axis
    if axis is None:
        return None
    density = grid.to_real(result.density).sum(dim=0)
    potential = electrostatics.hartree(density) + electrostatics.local_potential
    profile = potential.mean(dim=[a for a in range(3) if a != axis])
    return float(profile[-1] - profile[1]) * HARTREE_EV


class Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under ``stage``."""
        now = time.perf_counter()
        self.laps[stage] = round(now - self._last, 3)
        self._last = now


class _TorchThreads:
    """Torch's intra-operation threads, set for a while."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._count)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._before)
