"""From potential matrices on a k mesh to real-space blocks, symmetrised; atomic units.

V[i, j, R] = Σ_k w_k e^{−2πik·R} V_ij(k) over the irreducible mesh, averaged over the space group:
Dᵢᵀ V[gi, gj, gR] D_j with the rotation matrices D of the shells. Every element is given to the
nearest of its periodic images (Wigner-Seitz cell of the mesh's supercell); images at the same
distance share it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from hamexplorer.dft.kpoints import KMesh, SpaceGroup, image_atoms
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Pairs
from hamexplorer.hamiltonian.angular import rotation_matrix

__all__ = ["interpolation_mesh", "real_space_blocks", "symmetrised_blocks"]


def interpolation_mesh(system: CrystalSystem, reach: float) -> tuple[int, int, int]:
    """Smallest mesh whose supercell's images are at least 2 · ``reach`` (bohr) apart."""
    divisions = np.ones(3, dtype=int)
    axes = np.flatnonzero(system.periodic)
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * len(axes), indexing="ij"), -1)
    shifts = shifts.reshape(-1, len(axes))
    shifts = shifts[np.any(shifts != 0, axis=1)]
    while True:
        supercell = system.lattice[axes] * divisions[axes, None]
        vectors = shifts @ supercell
        lengths = np.linalg.norm(vectors, axis=1)
        if lengths.min() >= 2 * reach:
            a, b, c = (int(n) for n in divisions)
            return a, b, c
        # lengthen the shortest vector along all axes that it uses and that are shortest
        used = np.abs(shifts[lengths.argmin()]) > 0
        grow = axes[used]
        spans = np.linalg.norm(system.lattice[grow], axis=1) * divisions[grow]
        divisions[grow[spans <= spans.min() * 1.001]] += 1


def real_space_blocks(
    system: CrystalSystem,
    pairs: Pairs,
    kmesh: KMesh,
    group: SpaceGroup,
    matrix_at: Callable[[int], list[NDArray[np.complex128]]],
    count: int,
) -> NDArray[np.float64]:
    """Blocks of ``count`` operators on ``pairs``, (count, n_elements).

    ``matrix_at(k)`` gives the operators' matrices at the k-th point of ``kmesh``.
    """
    rows, columns = pairs.element_orbitals
    flat = np.zeros((count, pairs.n_elements))
    for k, (kpoint, weight) in enumerate(zip(kmesh.kpoints, kmesh.weights, strict=True)):
        phase = np.exp(-2j * np.pi * (pairs.cell @ kpoint))[pairs.element_pair]
        for c, matrix in enumerate(matrix_at(k)):
            # −k adds the complex conjugate, as real-space blocks are real
            flat[c] += weight * (phase * matrix[rows, columns]).real
    flat = symmetrised_blocks(system, pairs, group, flat)
    flat = (flat + flat[:, pairs.transposition]) / 2
    return flat * _image_weights(system, pairs, kmesh.divisions)[pairs.element_pair]


def _image_weights(
    system: CrystalSystem, pairs: Pairs, divisions: tuple[int, int, int]
) -> NDArray[np.float64]:
    """1/(number of equally near images) for the nearest images of each pair, 0 for others."""
    vectors = (
        system.positions[pairs.second] + pairs.cell @ system.lattice - system.positions[pairs.first]
    )
    own = np.linalg.norm(vectors, axis=1)
    axes = np.flatnonzero(system.periodic)
    supercell = system.lattice[axes] * np.array(divisions)[axes, None]
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * len(axes), indexing="ij"), -1)
    shifts = shifts.reshape(-1, len(axes))
    weights = np.zeros(pairs.n_pairs)
    for start in range(0, pairs.n_pairs, 4096):
        part = slice(start, start + 4096)
        images = vectors[part, None, :] + (shifts @ supercell)[None]
        distances = np.linalg.norm(images, axis=2)
        nearest = distances.min(axis=1)
        shared = np.sum(distances < nearest[:, None] + 1e-4, axis=1)
        weights[part] = np.where(own[part] < nearest + 1e-4, 1.0 / shared, 0.0)
    return weights


def symmetrised_blocks(
    system: CrystalSystem, pairs: Pairs, group: SpaceGroup, flat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """n⁻¹ Σ_g Dᵢ(g)ᵀ M[gi, gj, gR] D_j(g) of scalar operators, (count, n_elements)."""
    if group.order == 1:
        return flat
    total = np.zeros_like(flat)
    kinds = sorted(system.shells)
    kind = np.array([kinds.index(s) for s in system.symbols])
    classes = [
        np.flatnonzero((kind[pairs.first] == a) & (kind[pairs.second] == b))
        for a in range(len(kinds))
        for b in range(len(kinds))
    ]
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        image = _image_pairs(system, pairs, rotation, translation)
        cartesian = system.lattice.T @ rotation @ np.linalg.inv(system.lattice.T)
        turns = [
            scipy.linalg.block_diag(
                *[rotation_matrix(s.l, cartesian) for s in system.shells[element].shells]
            )
            for element in kinds
        ]
        for members in classes:
            if not len(members):
                continue
            left = turns[kind[pairs.first[members[0]]]]
            right = turns[kind[pairs.second[members[0]]]]
            size = left.shape[0] * right.shape[0]
            source = pairs.offsets[image[members]][:, None] + np.arange(size)
            target = pairs.offsets[members][:, None] + np.arange(size)
            blocks = flat[:, source].reshape(len(flat), len(members), *left.shape[:1], -1)
            total[:, target] += (left.T @ blocks @ right).reshape(len(flat), len(members), -1)
    return total / group.order


def _image_pairs(
    system: CrystalSystem,
    pairs: Pairs,
    rotation: NDArray[np.int64],
    translation: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Index of the pair that an operation takes each pair to, (n_pairs,)."""
    atom, shift = image_atoms(system, rotation, translation)
    cell = pairs.cell @ rotation.T + shift[pairs.second] - shift[pairs.first]
    return np.array(
        [
            pairs.index(i, j, (a, b, c))
            for i, j, (a, b, c) in zip(
                atom[pairs.first].tolist(), atom[pairs.second].tolist(), cell.tolist(), strict=True
            )
        ],
        dtype=np.int64,
    )
