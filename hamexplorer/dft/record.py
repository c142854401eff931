"""The record of a calculation: settings as chosen, results, warnings, citations."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Structure

from hamexplorer.dft.basis_sets import BASIS_SETS, PSEUDOPOTENTIAL
from hamexplorer.dft.plan import Plan
from hamexplorer.dft.populations import moment_warnings, symmetrised_populations
from hamexplorer.dft.scf import ScfResult
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp
from hamexplorer.units import HARTREE_EV

__all__ = ["ENGINE_VERSION", "provenance"]

ENGINE_VERSION = "2"
"""Raised whenever the same settings would give another result; part of the cache's key."""

_CITATIONS = (
    "S. Goedecker, M. Teter, J. Hutter, Phys. Rev. B 54, 1703 (1996)",
    "C. Hartwigsen, S. Goedecker, J. Hutter, Phys. Rev. B 58, 3641 (1998)",
    "M. Krack, Theor. Chem. Acc. 114, 145 (2005)",
    "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996)",
    "Q. Sun et al., J. Chem. Phys. 153, 024109 (2020)",
)


def provenance(
    structure: Structure,
    chosen: Plan,
    result: ScfResult,
    vacuum_step: float | None,
    timings: dict[str, float],
) -> Provenance:
    """The record of a calculation; ``vacuum_step`` in eV (slabs), ``timings`` in s by stage."""
    settings, system = chosen.settings, chosen.system
    spin = "spinless" if system.moments is None else "collinear"
    warnings = list(system.warnings)
    results: dict[str, Any] = {
        "energy_eV": float(result.energy * HARTREE_EV),
        "entropy_energy_eV": result.entropy_energy * HARTREE_EV,
        "fermi_energy_eV": result.occupations.fermi * HARTREE_EV,
        "iterations": len(result.history),
        "residual_per_electron": result.history[-1].residual,
        "history": [[float(h.energy * HARTREE_EV), h.residual, h.moment] for h in result.history],
        "zero_of_energy": "vacuum" if system.vacuum_axis is not None else "average potential",
    }
    if system.moments is not None and result.populations is not None:
        up, down = symmetrised_populations(system, chosen.group, result.populations)
        results["moment_muB"] = result.moment
        results["site_moments_muB"] = (up - down).tolist()
        warnings += moment_warnings(system, up - down)
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
            "cell_transform": system.transform.tolist(),
            "slab_axis": system.vacuum_axis,
            "initial_moments": None if system.moments is None else system.moments.tolist(),
            "position": "exact",
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
