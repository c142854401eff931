"""The force theorem with full diagonalisation at every direction of the magnetisation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.assembly import (
    ClassEnergies,
    assemble,
    class_free_energies,
    largest_mesh,
    resolve_k,
)
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy
from hamexplorer.properties.anisotropy.symmetry import (
    MagneticSymmetry,
    MeshReduction,
    magnetic_symmetry,
    trivial_symmetry,
)
from hamexplorer.properties.mesh import KMesh
from hamexplorer.properties.parallel import single_threaded_blas
from hamexplorer.properties.solver import BandSolver

__all__ = ["exact_anisotropy", "exact_classes", "kpoint_blocks"]

_STEP = 0.5
"""Seconds of work between two reports, roughly."""


def exact_anisotropy(
    h: Hamiltonian,
    directions: Directions,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    soc: float = 1.0,
    exchange: float = 1.0,
    monitor: Monitor | None = None,
    by_k: bool = False,
    symmetry: bool = True,
) -> AnisotropyEnergy:
    """F(n) by diagonalising H(k; λ, n) for every direction; see :func:`magnetic_anisotropy`.

    ``symmetry`` False computes every direction on the full mesh.
    """
    shape, kt = checked(h, mesh, smearing, exchange)
    state = SpinState(soc=soc, exchange=exchange)
    monitor = monitor or Monitor()
    began = time.perf_counter()
    monitor.report("Symmetry", 0.0)
    group = magnetic_symmetry(h, shape) if symmetry else trivial_symmetry(shape)
    found = time.perf_counter()
    with single_threaded_blas():
        classes = exact_classes(h, directions, state, group, monitor)
    solved = time.perf_counter()
    values = class_free_energies(h, classes, kt)
    resolved = None
    if by_k:
        level = float(values[group.classes(directions.vectors)[1], 1].mean())
        resolved = resolve_k(h, directions, group, classes, level, kt)
    return assemble(
        h,
        directions,
        group,
        values,
        state,
        kt,
        "exact",
        n_kpoints=largest_mesh(classes),
        timings={"symmetry": found - began, "diagonalisation": solved - found},
        by_k=resolved,
    )


def exact_classes(
    h: Hamiltonian,
    directions: Directions,
    state: SpinState,
    group: MagneticSymmetry,
    monitor: Monitor,
) -> list[ClassEnergies]:
    """Energies of one direction of every class, on the mesh that its little group leaves."""
    first, _, _ = group.classes(directions.vectors)
    kpoints = KMesh(group.mesh).full_kpoints
    shared: dict[bytes, tuple[MeshReduction, list[int]]] = {}
    for place, index in enumerate(first):
        operations = group.little_group(directions.vectors[index])
        reduction = group.reduction(operations)
        name = reduction.representatives.tobytes()
        shared.setdefault(name, (reduction, []))[1].append(place)
    total = sum(len(r.representatives) * len(places) for r, places in shared.values())
    done = 0
    found: dict[int, ClassEnergies] = {}
    for reduction, places in shared.values():
        states = [
            replace(
                state,
                theta=float(directions.theta[first[place]]),
                phi=float(directions.phi[first[place]]),
            )
            for place in places
        ]
        parts: list[list[NDArray[np.float64]]] = [[] for _ in places]
        for block in kpoint_blocks(kpoints[reduction.representatives], h.basis.n_orbitals):
            monitor.report("Diagonalisation", 0.05 + 0.95 * done / total)
            solver = BandSolver(h, block)
            for part, turned in zip(parts, states, strict=True):
                monitor.report("Diagonalisation", 0.05 + 0.95 * done / total)
                part.append(solver.energies(turned))
                done += len(block)
        for place, part in zip(places, parts, strict=True):
            found[place] = ClassEnergies(np.concatenate(part), reduction)
    return [found[place] for place in range(len(first))]


def kpoint_blocks(kpoints: NDArray[np.float64], n_orbitals: int) -> Sequence[NDArray[np.float64]]:
    """K-points in parts that take about ``_STEP`` seconds each."""
    per_k = 2.5e-3 * (n_orbitals / 52) ** 3 + 2e-4
    size = max(usable_cores(), int(_STEP * usable_cores() / per_k))
    return np.array_split(kpoints, int(np.ceil(len(kpoints) / size)))
