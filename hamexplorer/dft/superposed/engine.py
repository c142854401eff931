"""H0 of superposed atoms: S, H and spin–orbit coupling from the structure alone, in real space.

    H0 = T + V_NL + ⟨χ| Σ_I (V_na,I + U_I)(|r − R_I|) + v_xc[Σ_I ρ_I] |χ⟩

with the neutral-atom potentials V_na and densities ρ of free PBE atoms (:mod:`..atom_tables`) and
the fitted potentials U (:mod:`.residual`). There is no self-consistency, no k mesh, no Fourier
transform and no Poisson equation: time and memory are linear in the number of atoms. With moments
the atoms are polarised, and v_xc is that of each spin.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pymatgen.core import Structure
from threadpoolctl import threadpool_limits

from hamexplorer.cores import usable_cores
from hamexplorer.dft.assembly import EngineBlocks, assembled
from hamexplorer.dft.atom_tables import FreeAtom, free_atom
from hamexplorer.dft.basis_sets import check_elements
from hamexplorer.dft.integrals import pairs_by_overlap, two_centre_blocks
from hamexplorer.dft.nonlocal_potential import nonlocal_blocks, spin_orbit_blocks
from hamexplorer.dft.superposed.extent import count_elements
from hamexplorer.dft.superposed.grid_blocks import GridSettings, grid_blocks
from hamexplorer.dft.superposed.grid_error import check_spacing, coarsest_spacing
from hamexplorer.dft.superposed.potential import LocalPotentials, SuperposedPotential
from hamexplorer.dft.superposed.record import provenance
from hamexplorer.dft.superposed.residual import (
    AtomicResiduals,
    shipped_residuals,
    with_residuals,
)
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.dft.system import CrystalSystem, crystal_system
from hamexplorer.errors import HamiltonianError, ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.progress import Monitor
from hamexplorer.structures.checks import check_size, check_structure
from hamexplorer.units import BOHR_ANGSTROM

__all__ = [
    "StaticBlocks",
    "estimate",
    "free_atoms",
    "grid_spacing",
    "local_blocks",
    "prepared",
    "run",
    "static_blocks",
]

_SECONDS_PER_ATOM = 0.8
"""Of one core, at a spacing of 0.3 bohr; the balls about the atoms are half of it."""
_GRID_ERROR = 2.0
_LARGEST_GRID_ERROR = 20.0
"""meV, estimated: what a spacing is chosen for, and above which it is refused."""
_DROP_ENERGY = 1e-6
_NEGLIGIBLE = 1e-7
"""Overlap with a projector: what is left out moves no element by 0.03 meV."""
_LARGEST_CHECKED = 4000
"""Orbitals up to which S is tested to be positive here; larger cells when they are solved."""


@dataclass(frozen=True, eq=False)
class StaticBlocks:
    """What no density enters: pairs, S and ``core`` T + V_NL (Ha) on them, (n_elements,)."""

    pairs: Pairs
    overlap: NDArray[np.float64]
    core: NDArray[np.float64]


def prepared(structure: Structure, settings: SuperposedSettings) -> CrystalSystem:
    """The crystal in atomic units, once it is known that it can be computed.

    Raises:
        StructureError: disordered, overlapping or too many atoms.
        UnsupportedElementError: an element without basis, pseudopotential, spin–orbit data or
            table of its free atom.
        ResourceLimitError: more memory than ``settings.memory_limit``.
        SettingsError: a grid that is too coarse for these elements.
    """
    check_structure(structure)
    check_size(structure, settings.max_atoms, "the engine of superposed atoms")
    elements = {site.specie.symbol for site in structure}
    check_elements(elements, settings.basis, settings.spin_orbit)
    for element in sorted(elements):
        free_atom(element)
    system = crystal_system(structure, settings.crystal)
    if settings.spacing is not None:
        atoms = free_atoms(system, settings)
        check_spacing(system, atoms, settings.spacing / BOHR_ANGSTROM, _LARGEST_GRID_ERROR)
    needed = estimate(system, settings)[1]
    if needed > settings.memory_limit:
        raise ResourceLimitError(
            f"{system.n_atoms} atoms need about {needed / 1e9:.1f} GB; the limit is "
            f"{settings.memory_limit / 1e9:.1f} GB. Raise the limit, or choose a smaller cell."
        )
    return system


def estimate(system: CrystalSystem, settings: SuperposedSettings) -> tuple[float, float]:
    """Wall seconds and peak bytes that :func:`run` takes, roughly."""
    threads = settings.threads or usable_cores()
    finer = (0.3 / grid_spacing(system, settings)) ** 3
    seconds = 3 + _SECONDS_PER_ATOM * system.n_atoms * (0.5 + 0.5 * finer) / threads
    elements = count_elements(system, settings.overlap_tolerance)
    spins = 1 if system.moments is None else 2
    arrays = 6 + 2 * spins + 3 * settings.spin_orbit
    return seconds, 5e8 + 8 * elements * arrays


def grid_spacing(system: CrystalSystem, settings: SuperposedSettings) -> float:
    """The grid's spacing, bohr: that of ``settings``, or the coarsest that is fine enough."""
    if settings.spacing is not None:
        return settings.spacing / BOHR_ANGSTROM
    return coarsest_spacing(system, free_atoms(system, settings), _GRID_ERROR)


def run(
    structure: Structure,
    settings: SuperposedSettings | None = None,
    monitor: Monitor | None = None,
    *,
    residuals: AtomicResiduals | None = None,
) -> Hamiltonian:
    """The Hamiltonian of superposed atoms; eV, of a slab relative to the vacuum level.

    ``residuals``: fitted potentials other than the shipped ones.

    Raises:
        HamexplorerError: as :func:`prepared`; :class:`SettingsError`: ``residuals`` with settings
            that leave them out; :class:`HamiltonianError`: S is not positive.
        CalculationCancelled: ``monitor`` says so.
    """
    settings, monitor = settings or SuperposedSettings(), monitor or Monitor()
    if residuals is not None and not settings.residual:
        raise SettingsError("Fitted potentials are given, but residual=False leaves them out.")
    used = (residuals or shipped_residuals()) if settings.residual else None
    times, began = {}, time.perf_counter()
    monitor.report("Preparing", 0.0)
    system = prepared(structure, settings)
    threads = settings.threads or usable_cores()
    with threadpool_limits(threads):
        monitor.report("Integrals", 0.02, f"{system.n_atoms} atoms")
        static = static_blocks(system, settings.overlap_tolerance)
        check_overlap(system, static)
        times["integrals"] = time.perf_counter() - began
        atoms = free_atoms(system, settings, used)
        potential = SuperposedPotential(system, atoms, system.moments)
        grid = Monitor(
            lambda event: monitor.report(event.stage, 0.2 + 0.7 * event.fraction, event.message)
        )
        local = local_blocks(system, static.pairs, potential, settings, grid)
        local += static.core
        pairs, overlap = static.pairs, static.overlap
        del static, potential  # of a thousand atoms an array has 0.4 GB
        times["grid"] = time.perf_counter() - began - times["integrals"]
        spin_orbit = None
        if settings.spin_orbit:
            monitor.report("Spin–orbit coupling", 0.92)
            spin_orbit = spin_orbit_blocks(system, pairs, _NEGLIGIBLE)
        monitor.report("Checking", 0.96, "hermiticity, antisymmetry")
        blocks = EngineBlocks(pairs, overlap, local, spin_orbit)
        del overlap, local, spin_orbit
        times["all"] = time.perf_counter() - began
        hamiltonian = assembled(
            structure,
            system,
            blocks,
            provenance(structure, system, settings, grid_spacing(system, settings), used, times),
            position=system.n_atoms <= settings.position_atoms,
            drop_overlap=settings.overlap_tolerance,
            drop_energy=_DROP_ENERGY,
        )
    monitor.report("Done", 1.0)
    return hamiltonian


def free_atoms(
    system: CrystalSystem,
    settings: SuperposedSettings,
    residuals: AtomicResiduals | None = None,
) -> dict[str, FreeAtom]:
    """The system's atoms, fitted potentials (the shipped, or others) added if ``settings`` say."""
    atoms = {symbol: free_atom(symbol) for symbol in sorted(set(system.symbols))}
    if not settings.residual:
        return atoms
    return with_residuals(atoms, residuals or shipped_residuals())


def static_blocks(system: CrystalSystem, tolerance: float) -> StaticBlocks:
    """Pairs whose orbitals overlap, S, and T + V_NL on them, Ha."""
    near = pairs_by_overlap(system, tolerance)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    overlap, core = two_centre_blocks(system, near, ("int1e_ovlp", "int1e_kin"))
    core += nonlocal_blocks(system, pairs, _NEGLIGIBLE)
    return StaticBlocks(pairs, overlap, core)


def local_blocks(
    system: CrystalSystem,
    pairs: Pairs,
    potentials: LocalPotentials,
    settings: SuperposedSettings,
    monitor: Monitor,
) -> NDArray[np.float64]:
    """⟨χ|V|χ⟩ of all ``potentials``, (n_potentials, n_elements), Ha."""
    grid = GridSettings(spacing=grid_spacing(system, settings))
    workers = settings.threads or usable_cores()
    return grid_blocks(system, pairs, potentials, grid, workers=workers, monitor=monitor).blocks


def check_overlap(system: CrystalSystem, static: StaticBlocks) -> None:
    """Raise unless S at Γ is positive definite; larger cells are left to the solvers.

    Raises:
        HamiltonianError: it is not; names the pair of atoms in which that is seen most.
    """
    n = system.basis.n_orbitals
    if n > _LARGEST_CHECKED:
        return
    overlap = _overlap_at_gamma(static, system.basis.sizes)
    try:
        scipy.linalg.cholesky(overlap, check_finite=False)
    except np.linalg.LinAlgError:
        value, vector = scipy.linalg.eigh(overlap, subset_by_index=(0, 0))
        weight = np.zeros(system.n_atoms)
        site = np.repeat(np.arange(system.n_atoms), system.basis.sizes)
        np.add.at(weight, site, vector[:, 0] ** 2)
        first, second = np.argsort(weight)[::-1][:2] if system.n_atoms > 1 else (0, 0)
        raise HamiltonianError(
            f"The overlap of the orbitals is not positive definite: its smallest eigenvalue at Γ "
            f"is {value[0]:.2g}. It belongs most to the atoms {system.symbols[first]}{first + 1} "
            f"and {system.symbols[second]}{second + 1}: they stand too close for this basis, or "
            "overlap_tolerance is too large."
        ) from None


def _overlap_at_gamma(static: StaticBlocks, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Σ_R S[R], (n_orbitals, n_orbitals)."""
    ends = np.cumsum(sizes)
    result = np.zeros((ends[-1], ends[-1]))
    atoms = [
        slice(end - size, end) for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    ]
    couples = zip(static.pairs.first.tolist(), static.pairs.second.tolist(), strict=True)
    for pair, (i, j) in enumerate(couples):
        result[atoms[i], atoms[j]] += static.pairs.block(static.overlap, pair)
    return result
