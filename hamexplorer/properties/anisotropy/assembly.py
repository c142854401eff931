"""From band energies at every direction to the anisotropy energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.free_energy import free_energy, grand_potential
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, Method
from hamexplorer.properties.anisotropy.symmetry import MagneticSymmetry, MeshReduction
from hamexplorer.properties.mesh import KMesh
from hamexplorer.structures.slab import slab_geometry

__all__ = ["ClassEnergies", "assemble", "slab_area"]


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


def assemble(
    h: Hamiltonian,
    directions: Directions,
    group: MagneticSymmetry,
    classes: Sequence[ClassEnergies],
    state: SpinState,
    smearing: float,
    method: Method,
    *,
    timings: Mapping[str, float],
    window: tuple[float, float] | None = None,
    by_k: bool = False,
    warnings: tuple[str, ...] = (),
) -> AnisotropyEnergy:
    """The anisotropy energy of ``directions``, whose ``classes`` (``group.classes``) are known."""
    _, member, operation = group.classes(directions.vectors)
    values, levels = [], []
    guess = None
    for one in classes:
        value, level = free_energy(
            one.energies,
            one.reduction.weights,
            h.n_electrons - one.n_frozen,
            smearing,
            guess,
        )
        if one.constant is not None:
            value += float(one.reduction.weights @ one.constant)
        guess = level
        values.append(value)
        levels.append(level)
    fermi = np.array(levels)[member]
    resolved = None
    if by_k:
        common = float(np.mean(fermi))
        parts = [_by_k(one, common, h.n_electrons, smearing) for one in classes]
        resolved = np.empty((len(directions), group.images.shape[1]))
        for index, (place, turn) in enumerate(zip(member, operation, strict=True)):
            # E_Kk(N n) = E_k(n): what the first direction has at k, this one has at K k
            resolved[index, group.images[turn]] = parts[place]
    return AnisotropyEnergy(
        directions=directions,
        energies=np.array(values)[member],
        fermi=fermi,
        state=state,
        mesh=group.mesh,
        smearing=smearing,
        n_electrons=h.n_electrons,
        method=method,
        title=h.structure.composition.reduced_formula,
        n_sites=h.basis.n_sites,
        volume=float(abs(h.structure.lattice.volume)),
        area=slab_area(h),
        n_kpoints=max(len(one.reduction.representatives) for one in classes),
        n_operations=group.order,
        kpoints=KMesh(group.mesh).full_kpoints,
        window=window,
        by_k=resolved,
        warnings=(*warnings, *_warnings(state)),
        timings=timings,
    )


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
