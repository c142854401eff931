"""The embedded DFT engine: a structure in, a real-space Hamiltonian with spin-orbit coupling out.

PBE, GTH pseudopotentials and Gaussian bases; spinless or collinear SCF; spin-orbit coupling from
the pseudopotentials' own parameters in one shot, not part of the self-consistency.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure
from threadpoolctl import threadpool_limits

from hamexplorer.dft.basis_sets import (
    BASIS_SETS,
    PSEUDOPOTENTIAL,
    check_elements,
    supported_elements,
)
from hamexplorer.dft.cutoff import automatic_cutoff
from hamexplorer.dft.electrostatics import Electrostatics
from hamexplorer.dft.estimate import Estimate, estimate_cost
from hamexplorer.dft.grid import PlaneWaveGrid, bloch_orbitals, mesh_for_cutoff
from hamexplorer.dft.guess import atomic_density_matrices
from hamexplorer.dft.integrals import pairs_by_overlap, two_centre_blocks
from hamexplorer.dft.kpoints import (
    DensitySymmetry,
    KMesh,
    SpaceGroup,
    compatible_group,
    irreducible_mesh,
    mesh_for_spacing,
    space_group,
)
from hamexplorer.dft.nonlocal_potential import nonlocal_blocks, spin_orbit_blocks
from hamexplorer.dft.realspace import interpolation_mesh, real_space_blocks
from hamexplorer.dft.scf import ScfParameters, ScfResult, potential_matrix, run_scf
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.system import CrystalSystem, crystal_system
from hamexplorer.errors import ResourceLimitError
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp
from hamexplorer.structures.checks import check_size, check_structure
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

__all__ = ["ENGINE_VERSION", "Plan", "check", "estimate", "plan", "run"]

ENGINE_VERSION = "1"
"""Raised whenever the same settings would give other numbers; part of the cache's key."""

_DROP_OVERLAP = 1e-9
_DROP_ENERGY = 1e-7
_CITATIONS = (
    "S. Goedecker, M. Teter, J. Hutter, Phys. Rev. B 54, 1703 (1996)",
    "C. Hartwigsen, S. Goedecker, J. Hutter, Phys. Rev. B 58, 3641 (1998)",
    "M. Krack, Theor. Chem. Acc. 114, 145 (2005)",
    "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996)",
    "Q. Sun et al., J. Chem. Phys. 153, 024109 (2020)",
)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that was chosen before the first number is computed."""

    settings: DftSettings
    system: CrystalSystem
    cutoff: float
    mesh: tuple[int, int, int]
    group: SpaceGroup
    kmesh: KMesh
    final_group: SpaceGroup
    final_kmesh: KMesh
    threads: int
    cost: Estimate


def check(structure: Structure, settings: DftSettings | None = None) -> None:
    """Raise if the engine cannot compute the structure: sites, size, elements, or memory."""
    plan(structure, settings)


def estimate(structure: Structure, settings: DftSettings | None = None) -> Estimate:
    """Time and memory that :func:`run` will take."""
    return plan(structure, settings).cost


def plan(structure: Structure, settings: DftSettings | None = None) -> Plan:
    """Choose grid, k meshes and symmetry, and estimate the cost.

    Raises:
        StructureError: disordered, overlapping or too many atoms.
        UnsupportedElementError: an element without basis, pseudopotential or spin-orbit data.
        ResourceLimitError: more memory than ``settings.memory_limit``.
    """
    settings = settings or DftSettings()
    check_structure(structure)
    check_size(structure, settings.max_atoms, "the embedded DFT engine")
    elements = {site.specie.symbol for site in structure}
    check_elements(elements, settings.basis, settings.spin_orbit)
    system = crystal_system(structure, settings)
    cutoff = settings.cutoff or automatic_cutoff(frozenset(elements), settings.basis)
    mesh = mesh_for_cutoff(system.lattice, cutoff)
    divisions = settings.kmesh or mesh_for_spacing(system, settings.kspacing * BOHR_ANGSTROM)
    full_group = space_group(system, settings.symmetry)
    group = compatible_group(full_group, divisions)
    kmesh = irreducible_mesh(system, divisions, group)
    final_divisions = interpolation_mesh(system, settings.range_angstrom / BOHR_ANGSTROM)
    final_group = compatible_group(full_group, final_divisions)
    final_kmesh = irreducible_mesh(system, final_divisions, final_group)
    threads = settings.threads or len(os.sched_getaffinity(0))
    cost = estimate_cost(
        system,
        mesh,
        kmesh,
        len(final_kmesh.kpoints),
        group.order,
        settings.precision == "single",
        threads,
        settings.memory_limit,
    )
    if cost.memory_bytes > settings.memory_limit:
        raise ResourceLimitError(
            f"This calculation needs about {cost.memory_bytes / 1e9:.1f} GB "
            f"({cost.description}); the limit is {settings.memory_limit / 1e9:.1f} GB. Raise the "
            "limit, or choose a lower cutoff, a coarser k mesh or a smaller cell."
        )
    return Plan(
        settings, system, cutoff, mesh, group, kmesh, final_group, final_kmesh, threads, cost
    )


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
    monitor.report("Preparing", 0.0, "choosing grid, k mesh and symmetry")
    chosen = plan(structure, settings)
    with threadpool_limits(chosen.threads), _torch_threads(chosen.threads):
        return _run(structure, chosen, monitor)


def _run(structure: Structure, chosen: Plan, monitor: Monitor) -> Hamiltonian:
    settings, system = chosen.settings, chosen.system
    clock = _Clock()
    monitor.report("Integrals", 0.02, chosen.cost.description)
    pairs, overlap, core = _static_blocks(system)
    spin_orbit = None
    if settings.spin_orbit:
        monitor.report("Spin-orbit coupling", 0.05)
        spin_orbit = spin_orbit_blocks(system, pairs)
    clock.lap("integrals")
    monitor.report("Atoms", 0.08, "superposing free atoms")
    grid = PlaneWaveGrid(system.lattice, chosen.mesh, torch.device("cpu"))
    electrostatics = Electrostatics.create(system, grid)
    guess = atomic_density_matrices(system)
    dtype = torch.complex64 if settings.precision == "single" else torch.complex128
    clock.lap("setup")

    def report(iteration: int, residual: float) -> None:
        known = np.isfinite(residual)
        done = 0.0
        if known and residual > 0:
            # the residual falls roughly geometrically from 0.1 to the tolerance
            done = np.log(0.3 / residual) / np.log(0.3 / settings.density_tolerance)
        monitor.report(
            "Self-consistency" if iteration else "First density",
            0.1 + 0.65 * float(np.clip(done, 0.0, 1.0)),
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
        guess,
        ScfParameters(
            settings.smearing,
            settings.energy_tolerance,
            settings.density_tolerance,
            settings.max_iterations,
            dtype,
            chosen.cost.store_orbitals,
        ),
        report,
    )
    clock.lap("scf")
    potential = _potential_blocks(chosen, grid, pairs, result, dtype, monitor)
    clock.lap("real space")
    step = _potential_step(electrostatics, grid, result)
    monitor.report("Checking", 0.98, "hermiticity, overlap, symmetry")
    hamiltonian = _assemble(
        structure, chosen, pairs, overlap, core, potential, spin_orbit, result, step, clock.laps
    )
    monitor.report("Done", 1.0)
    return hamiltonian


def _static_blocks(
    system: CrystalSystem,
) -> tuple[Pairs, NDArray[np.float64], NDArray[np.float64]]:
    """Pairs that overlap, S, and T + V_NL on them, Ha."""
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    overlap, kinetic = two_centre_blocks(system, near, ("int1e_ovlp", "int1e_kin"))
    return pairs, overlap, kinetic + nonlocal_blocks(system, pairs)


def _potential_blocks(
    chosen: Plan,
    grid: PlaneWaveGrid,
    pairs: Pairs,
    result: ScfResult,
    dtype: torch.dtype,
    monitor: Monitor,
) -> NDArray[np.float64]:
    """The local potential of each spin on ``pairs``, (n_spin, n_elements), Ha."""
    count = len(chosen.final_kmesh.kpoints)

    def matrices(k: int) -> list[NDArray[np.complex128]]:
        monitor.report("Real-space blocks", 0.75 + 0.22 * k / count, f"k-point {k + 1} of {count}")
        orbitals = bloch_orbitals(chosen.system, grid, chosen.final_kmesh.kpoints[k], dtype)
        return [potential_matrix(orbitals, v, grid) for v in result.potential]

    return real_space_blocks(
        chosen.system,
        pairs,
        chosen.final_kmesh,
        chosen.final_group,
        matrices,
        len(result.potential),
    )


def _assemble(
    structure: Structure,
    chosen: Plan,
    pairs: Pairs,
    overlap: NDArray[np.float64],
    core: NDArray[np.float64],
    potential: NDArray[np.float64],
    spin_orbit: NDArray[np.float64] | None,
    result: ScfResult,
    vacuum_step: float | None,
    timings: dict[str, float],
) -> Hamiltonian:
    scalar = (core + potential.mean(axis=0)) * HARTREE_EV
    exchange = None
    if len(potential) == 2:
        exchange = (potential[0] - potential[1]) / 2 * HARTREE_EV
    keep = np.zeros(pairs.n_pairs, dtype=bool)
    strength = np.maximum(np.abs(overlap) / _DROP_OVERLAP, np.abs(scalar) / _DROP_ENERGY)
    np.logical_or.at(keep, pairs.element_pair, strength > 1)
    keep |= keep[pairs.reverse]
    kept, mask = pairs.subset(keep)
    system = chosen.system
    if system.vacuum_axis is not None:
        # back to the user's images of the atoms
        cell = kept.cell.copy()
        cell[:, system.vacuum_axis] += (
            system.image_shift[kept.second] - system.image_shift[kept.first]
        )
        kept = Pairs(kept.first, kept.second, cell, kept.sizes)
    return Hamiltonian(
        structure=structure.copy(),
        basis=system.basis,
        pairs=kept,
        overlap=overlap[mask],
        scalar=scalar[mask],
        exchange=None if exchange is None else exchange[mask],
        spin_orbit=None if spin_orbit is None else spin_orbit[:, mask] * HARTREE_EV,
        n_electrons=system.n_electrons,
        provenance=_provenance(structure, chosen, result, vacuum_step, timings),
    )


def _provenance(
    structure: Structure,
    chosen: Plan,
    result: ScfResult,
    vacuum_step: float | None,
    timings: dict[str, float],
) -> Provenance:
    settings, system = chosen.settings, chosen.system
    spin = "spinless" if system.moments is None else "collinear"
    warnings = []
    if system.moments is not None and abs(result.moment) < 0.05 and np.abs(
        np.sum(system.moments)
    ) > 0.5:
        warnings.append("The calculation started magnetic and ended without a moment.")
    results: dict[str, Any] = {
        "energy_eV": float(result.energy * HARTREE_EV),
        "entropy_energy_eV": result.entropy_energy * HARTREE_EV,
        "fermi_energy_eV": result.occupations.fermi * HARTREE_EV,
        "iterations": len(result.history),
        "residual_per_electron": result.history[-1].residual,
        "history": [[float(h.energy * HARTREE_EV), h.residual, h.moment] for h in result.history],
        "zero_of_energy": "vacuum" if system.vacuum_axis is not None else "average potential",
    }
    if system.moments is not None:
        results["moment_muB"] = result.moment
    if vacuum_step is not None:
        results["vacuum_step_eV"] = vacuum_step
        if abs(vacuum_step) > 0.01:
            warnings.append(
                f"Polar layer: the potential steps by {vacuum_step:.2f} eV across the vacuum; the "
                "zero of energy lies midway."
            )
    return Provenance(
        source="dft",
        title=f"PBE, {settings.basis}, {spin}"
        + (", one-shot spin–orbit" if settings.spin_orbit else ""),
        settings={
            **settings.physical(),
            "pseudopotential": PSEUDOPOTENTIAL,
            "cutoff": chosen.cutoff,
            "mesh": list(chosen.mesh),
            "kmesh": list(chosen.kmesh.divisions),
            "irreducible_kpoints": len(chosen.kmesh.kpoints),
            "interpolation_kmesh": list(chosen.final_kmesh.divisions),
            "symmetry_operations": chosen.group.order,
            "slab_axis": system.vacuum_axis,
            "initial_moments": None if system.moments is None else system.moments.tolist(),
            "engine": ENGINE_VERSION,
        },
        results=results,
        timings=timings,
        warnings=tuple(warnings),
        citations=(*_CITATIONS, BASIS_SETS[settings.basis].citation),
        versions=package_versions("pyscf", "torch", "numpy", "spglib"),
        structure_hash=structure_hash(structure),
        created=timestamp(),
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


class _Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round(now - self._last, 3)
        self._last = now


class _torch_threads:  # noqa: N801 - a context manager used like threadpool_limits
    """Torch's intra-operation threads, set for a while."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._count)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._before)


ELEMENTS = supported_elements()
"""Elements that the default basis covers: 71."""
