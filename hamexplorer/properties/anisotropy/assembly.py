"""From band energies at every direction to the anisotropy energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.free_energy import free_energy, grand_potential
from hamexplorer.properties.anisotropy.noncollinear import noncollinear_warnings
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, Method
from hamexplorer.properties.anisotropy.symmetry import MagneticSymmetry, MeshReduction
from hamexplorer.properties.mesh import KMesh
from hamexplorer.structures.slab import slab_geometry

__all__ = [
    "ClassEnergies",
    "assemble",
    "class_free_energies",
    "largest_mesh",
    "resolve_k",
    "slab_area",
]


@dataclass(frozen=True, eq=False)
class ClassEnergies:
    """One direction's energies (nk, nb), eV, at the representatives of ``reduction``.

    ``constant`` (nk,), eV, and ``n_frozen`` stand for ``n_frozen`` states that are full at every
    k and not among the energies.
    """

    energies: NDArray[np.float64]
    reduction: MeshReduction
    constant: NDArray[np.float64] | None = None
    n_frozen: int = 0


def class_free_energies(
    h: Hamiltonian, classes: Sequence[ClassEnergies], smearing: float
) -> NDArray[np.float64]:
    """F and μ of every class, eV, (n_classes, 2)."""
    values = np.empty((len(classes), 2))
    guess = None
    for row, one in zip(values, classes, strict=True):
        energy, guess = free_energy(
            one.energies, one.reduction.weights, h.n_electrons - one.n_frozen, smearing, guess
        )
        if one.constant is not None:
            energy += float(one.reduction.weights @ one.constant)
        row[:] = energy, guess
    return values


def resolve_k(
    h: Hamiltonian,
    directions: Directions,
    group: MagneticSymmetry,
    classes: Sequence[ClassEnergies],
    level: float,
    smearing: float,
) -> NDArray[np.float64]:
    """Every k's part w (Ω_k(μ₀) + μ₀ N) at the common ``level`` μ₀, eV, (nd, n₁n₂n₃)."""
    _, member, operation = group.classes(directions.vectors)
    parts = [_by_k(one, level, h.n_electrons, smearing) for one in classes]
    resolved = np.empty((len(directions), group.images.shape[1]))
    for index, (place, turn) in enumerate(zip(member, operation, strict=True)):
        # E_Kk(N n) = E_k(n): what the first direction has at k, this one has at K k
        resolved[index, group.images[turn]] = parts[place]
    return resolved


def assemble(
    h: Hamiltonian,
    directions: Directions,
    group: MagneticSymmetry,
    values: NDArray[np.float64],
    state: SpinState,
    smearing: float,
    method: Method,
    *,
    n_kpoints: int,
    timings: Mapping[str, float],
    window: tuple[float, float] | None = None,
    by_k: NDArray[np.float64] | None = None,
    n_computed: int | None = None,
    interpolation_error: float | None = None,
) -> AnisotropyEnergy:
    """The anisotropy energy of ``directions`` from ``values`` (n_classes, 2), F and μ of their
    classes (``group.classes``), eV.
    """
    _, member, _ = group.classes(directions.vectors)
    return AnisotropyEnergy(
        directions=directions,
        energies=values[member, 0],
        fermi=values[member, 1],
        state=state,
        mesh=group.mesh,
        smearing=smearing,
        n_electrons=h.n_electrons,
        method=method,
        title=h.structure.composition.reduced_formula,
        n_sites=h.basis.n_sites,
        volume=float(abs(h.structure.lattice.volume)),
        area=slab_area(h),
        n_kpoints=n_kpoints,
        n_operations=group.order,
        kpoints=KMesh(group.mesh).full_kpoints,
        window=window,
        by_k=by_k,
        n_computed=len(values) if n_computed is None else n_computed,
        interpolation_error=interpolation_error,
        warnings=(*_warnings(state), *noncollinear_warnings(h)),
        timings=timings,
    )


def largest_mesh(classes: Sequence[ClassEnergies]) -> int:
    """K-points of the direction that needs most."""
    return max(len(one.reduction.representatives) for one in classes)


def slab_area(h: Hamiltonian) -> float | None:
    """Area of a slab's cell, Å²; None in bulk."""
    slab = slab_geometry(h.structure)
    if slab is None:
        return None
    first, second = slab.in_plane
    matrix = h.structure.lattice.matrix
    return float(np.linalg.norm(np.cross(matrix[first], matrix[second])))


def _by_k(
    one: ClassEnergies, level: float, n_electrons: float, smearing: float
) -> NDArray[np.float64]:
    """Part w (Ω_k(μ₀) + μ₀ N) at every point of the full mesh, (n₁n₂n₃,), eV."""
    value = grand_potential(one.energies, level, smearing)
    if one.constant is not None:
        value = value + one.constant
    value = value + level * (n_electrons - one.n_frozen)
    return value[one.reduction.expansion] / len(one.reduction.expansion)


def _warnings(state: SpinState) -> tuple[str, ...]:
    if state.soc == 0:
        return (
            "Spin-orbit coupling is off (λ = 0): the energy does not depend on the direction of "
            "the magnetisation.",
        )
    return ()
