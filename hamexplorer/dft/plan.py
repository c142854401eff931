"""What is chosen before the first number is computed: grid, k meshes, symmetry, cost."""

from __future__ import annotations

from dataclasses import dataclass

from pymatgen.core import Structure

from hamexplorer.cores import usable_cores
from hamexplorer.dft.basis_sets import check_elements
from hamexplorer.dft.cutoff import automatic_cutoff
from hamexplorer.dft.estimate import Estimate, estimate_cost
from hamexplorer.dft.grid import mesh_for_cutoff
from hamexplorer.dft.kpoints import (
    KMesh,
    SpaceGroup,
    compatible_group,
    irreducible_mesh,
    mesh_for_spacing,
    space_group,
)
from hamexplorer.dft.realspace import interpolation_mesh
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.system import CrystalSystem, crystal_system
from hamexplorer.errors import ResourceLimitError
from hamexplorer.structures.checks import check_size, check_structure
from hamexplorer.units import BOHR_ANGSTROM

__all__ = ["Plan", "check", "estimate", "plan"]


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
    """Time and memory that :func:`hamexplorer.dft.engine.run` will take."""
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
    kmesh = irreducible_mesh(divisions, group)
    final_divisions = interpolation_mesh(system, settings.range_angstrom / BOHR_ANGSTROM)
    final_group = compatible_group(full_group, final_divisions)
    final_kmesh = irreducible_mesh(final_divisions, final_group)
    threads = settings.threads or usable_cores()
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
