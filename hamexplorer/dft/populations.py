"""Mulliken populations by site and spin, and whether a magnet kept the moments it started with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.kpoints import KMesh, SpaceGroup, image_atoms
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Pairs

__all__ = ["moment_warnings", "mulliken_populations", "symmetrised_populations"]

_LOST = 0.05
"""µB: a smaller moment is none."""
_GIVEN = 0.5
"""µB: a site that starts with less is polarised by the others and may end as it likes."""


def mulliken_populations(
    system: CrystalSystem,
    pairs: Pairs,
    overlap: NDArray[np.float64],
    kmesh: KMesh,
    vectors: NDArray[np.complex128],
    numbers: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Electrons q_sI = Σ_k w_k Σ_n f_snk Σ_{µ∈I} Re C*_µn (S C)_µn, (n_spin, n_atoms).

    ``vectors`` (n_spin, nk, n_orbitals, nb), ``numbers`` (n_spin, nk, nb) on an irreducible mesh:
    sites of one orbit have the right sum, :func:`symmetrised_populations` divides it among them.
    (R. S. Mulliken, J. Chem. Phys. 23, 1833 (1955).)
    """
    n = system.basis.n_orbitals
    orbital = np.zeros((len(vectors), n))
    for k, (kpoint, weight) in enumerate(zip(kmesh.kpoints, kmesh.weights, strict=True)):
        metric = bloch_sum(pairs, overlap, kpoint, n)
        for s in range(len(vectors)):
            shares = (vectors[s, k].conj() * (metric @ vectors[s, k])).real
            orbital[s] += weight * (shares @ numbers[s, k])
    return np.add.reduceat(orbital, system.basis.offsets[:-1], axis=1)


def symmetrised_populations(
    system: CrystalSystem, group: SpaceGroup, populations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Populations (n_spin, n_atoms) averaged over the atoms that the group takes to each other."""
    total = np.zeros_like(populations)
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        total += populations[:, image_atoms(system, rotation, translation)[0]]
    return total / group.order


def moment_warnings(system: CrystalSystem, final: NDArray[np.float64]) -> tuple[str, ...]:
    """What a user who gave moments must know of the site moments ``final`` (n_atoms,), µB."""
    start = system.moments
    if start is None or np.abs(start).max() < _LOST:
        return ()
    largest = float(np.abs(final).max())
    if largest < _LOST:
        return (
            "The calculation started magnetic and ended without a moment: no site has more than "
            f"{largest:.3f} µB.",
        )
    labels = np.array(system.basis.site_labels)
    given = np.abs(start) >= _GIVEN
    lost = given & (np.abs(final) < _LOST)
    turned = given & ~lost & (start * final < 0)
    warnings = []
    if lost.any():
        warnings.append(f"These sites started with a moment and lost it: {_listed(labels[lost])}.")
    if turned.any():
        warnings.append(
            "The magnetic order changed: these sites ended with the opposite moment: "
            f"{_listed(labels[turned])}."
        )
    return tuple(warnings)


def _listed(labels: NDArray[np.str_]) -> str:
    shown = ", ".join(labels[:10])
    return shown if len(labels) <= 10 else f"{shown} and {len(labels) - 10} more"
