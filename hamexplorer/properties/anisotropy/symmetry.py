"""Which k-points and directions of the magnetisation have the same energies.

Without a magnetisation a crystal with the point operation g has E_k = E_gk. With one, the axial
vector n turns too, and time reversal Θ changes its sign:

    g:   E_k(n) = E_gk(det(g) g n),        Θ:   E_k(n) = E_−k(−n).

Whether the exchange field itself follows g (in an antiferromagnet g may exchange the sublattices
and reverse it) is not assumed but measured: an operation, with +n or −n, is kept only if it leaves
the energies at a generic k and n as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import spglib
from numpy.typing import NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState, spinor_matrix
from hamexplorer.properties.anisotropy.directions import angles
from hamexplorer.properties.anisotropy.orthonormal import orthonormal_matrices
from hamexplorer.properties.parallel import map_chunks
from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, spglib_cell

__all__ = ["MagneticSymmetry", "MeshReduction", "magnetic_symmetry", "trivial_symmetry"]

_Operations = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]

_TOLERANCE = 1e-4
"""eV. The engine's blocks have the crystal's symmetry to about 1e-5 eV."""
_PART = 0.02
"""An operation must hold to this part of what turning n does, where that is less."""
_SHOWN = 0.3
"""eV. The spin-orbit part is made so strong for the test."""
_SAME_DIRECTION = 1e-9
_GENERIC_K = np.array([0.137, 0.291, 0.411])
_GENERIC_N = np.array([0.48, 0.31, 0.82])


@dataclass(frozen=True, eq=False)
class MeshReduction:
    """A mesh's points in orbits of equal energies.

    ``representatives`` (nk,) are indices into the full mesh, ``expansion`` (n₁n₂n₃,) the index
    among them for every point, ``weights`` (nk,) sum to 1.
    """

    representatives: NDArray[np.int64]
    expansion: NDArray[np.int64]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weight of every representative."""
        return np.bincount(self.expansion) / len(self.expansion)


@dataclass(frozen=True, eq=False)
class MagneticSymmetry:
    """Operations with E_k(n) = E_Kk(N n) that map a Γ-centred mesh onto itself.

    Attributes:
        mesh: divisions.
        k: K, (ng, 3, 3), integers that act on fractional k; the identity comes first.
        n: N, (ng, 3, 3), Cartesian, acting on the direction.
        keeps_sites: (ng,), whether every site is mapped onto itself or a lattice translate, so
            that quantities of single sites have this symmetry, too.
        images: (ng, n₁n₂n₃), index of K k for every point k of the mesh.
    """

    mesh: tuple[int, int, int]
    k: NDArray[np.int64]
    n: NDArray[np.float64]
    keeps_sites: NDArray[np.bool_]
    images: NDArray[np.int64]

    @property
    def order(self) -> int:
        """Number of operations."""
        return len(self.k)

    def little_group(self, direction: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The operations that leave ``direction`` (3,) as it is, (ng,)."""
        moved = np.linalg.norm(self.n @ direction - direction, axis=1)
        mask: NDArray[np.bool_] = moved < _SAME_DIRECTION
        return mask

    def reduction(self, operations: NDArray[np.bool_] | None = None) -> MeshReduction:
        """The mesh in orbits of the chosen ``operations`` (ng,), default all."""
        images = self.images if operations is None else self.images[operations]
        label = np.arange(self.images.shape[1])
        while True:
            lowest = np.minimum(label, label[images].min(axis=0))
            if np.array_equal(lowest, label):
                break
            label = lowest
        representatives, expansion = np.unique(label, return_inverse=True)
        return MeshReduction(representatives, expansion)

    def classes(
        self, vectors: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Directions that the operations connect, of ``vectors`` (nd, 3).

        Returns (first, member, operation): the index of every class's first direction, and for
        each direction its class and the operation that takes the first one to it. With the
        identity alone every direction is a class.
        """
        if self.order == 1:
            alone = np.arange(len(vectors))
            return alone, alone, np.zeros_like(alone)
        first: list[int] = []
        member = np.zeros(len(vectors), dtype=np.int64)
        operation = np.zeros(len(vectors), dtype=np.int64)
        pictures = np.empty((0, self.order, 3))
        for index, vector in enumerate(vectors):
            near = np.linalg.norm(pictures - vector, axis=2) < _SAME_DIRECTION
            found = np.argwhere(near)
            if len(found):
                member[index], operation[index] = found[0]
                continue
            member[index] = len(first)
            first.append(index)
            pictures = np.concatenate([pictures, (self.n @ vector)[None]])
        return np.array(first, dtype=np.int64), member, operation


def trivial_symmetry(mesh: tuple[int, int, int]) -> MagneticSymmetry:
    """The identity alone: nothing is reduced."""
    return _on_mesh(mesh, np.eye(3, dtype=np.int64)[None], np.eye(3)[None], np.array([True]))


def magnetic_symmetry(
    h: Hamiltonian, mesh: tuple[int, int, int], bloch: BlochSum | None = None
) -> MagneticSymmetry:
    """The operations of the crystal's point group, with and without time reversal, under which
    ``h`` has the same energies and which map the mesh onto itself.

    Found with the exchange field as it is and a spin-orbit part that is strong enough to show a
    difference; they then hold for every λ and every factor on the exchange. A three-component
    field, which n does not determine at θ = 0 and whose reverse is no rotation of it, is given
    the identity alone, and so is a time-odd part, which does not turn with n.
    """
    if h.exchange is None or h.exchange.ndim == 2 or h.time_odd is not None:
        return trivial_symmetry(mesh)
    group = _on_mesh(mesh, *_candidates(h))
    kept = _verified(bloch or BlochSum(h, "cpu"), group)
    return _on_mesh(
        mesh, *_with_time_reversal(group.k[kept], group.n[kept], group.keeps_sites[kept])
    )


def _candidates(h: Hamiltonian) -> _Operations:
    """(K, N, keeps sites) of every point operation, with n and −n; the identity first.

    Time reversal, which always holds for a collinear field, and its products need no test: with
    inversion in the point group, g with −n is −g with n times Θ.
    """
    found = call_spglib(
        h.structure,
        spglib.get_symmetry,
        spglib_cell(h.structure, magnetic=False),
        symprec=SYMPREC,
    )
    all_rotations = np.asarray(found["rotations"], dtype=np.int64)
    translations = np.asarray(found["translations"], dtype=float)
    rotations = np.unique(all_rotations, axis=0)
    identity = np.eye(3, dtype=np.int64)
    others = [w for w in rotations if not np.array_equal(w, identity)]
    inversion = any(np.array_equal(w, -identity) for w in rotations)
    cell = h.structure.lattice.matrix.T
    k, n, keeps = [], [], []
    for w in [identity, *others]:
        on_k = np.rint(np.linalg.inv(w).T).astype(np.int64)
        cartesian = cell @ w @ np.linalg.inv(cell)
        axial = np.linalg.det(cartesian) * cartesian
        shifts = translations[(all_rotations == w).all(axis=(1, 2))]
        kept = np.array_equal(w, identity) or _keeps_sites(h, w, shifts)
        for sign in (1,) if inversion else (1, -1):
            k.append(on_k)
            n.append(sign * axial)
            keeps.append(kept)
    return np.array(k), np.array(n), np.array(keeps)


def _keeps_sites(h: Hamiltonian, w: NDArray[np.int64], shifts: NDArray[np.float64]) -> bool:
    """Whether x → W x + t maps every site onto itself modulo the lattice.

    In a cell that is not primitive several t go with one W, and which of them the field follows
    is not known: then no.
    """
    if len(shifts) != 1:
        return False
    sites = h.structure.frac_coords
    apart = sites @ w.T + shifts[0] - sites
    apart -= np.rint(apart)
    distance = np.linalg.norm(apart @ h.structure.lattice.matrix, axis=1)
    return bool((distance < 10 * SYMPREC).all())


def _with_time_reversal(
    k: NDArray[np.int64], n: NDArray[np.float64], keeps: NDArray[np.bool_]
) -> _Operations:
    """The operations and their products with Θ, each once, in the order of first appearance."""
    k, n, keeps = np.concatenate([k, -k]), np.concatenate([n, -n]), np.tile(keeps, 2)
    name = np.concatenate([k.reshape(-1, 9), n.reshape(-1, 9).round(6) + 0.0], axis=1)
    first = np.sort(np.unique(name, axis=0, return_index=True)[1])
    return k[first], n[first], keeps[first]


def _on_mesh(
    mesh: tuple[int, int, int],
    k: NDArray[np.int64],
    n: NDArray[np.float64],
    keeps: NDArray[np.bool_],
) -> MagneticSymmetry:
    """Only those operations that map the mesh onto itself."""
    shape = np.array(mesh)
    # K k is on the mesh for all k if n_a K_ab / n_b are integers
    scaled = k * shape[None, :, None] / shape[None, None, :]
    fits = np.abs(scaled - np.rint(scaled)).max(axis=(1, 2)) < 1e-9
    k, n, keeps, scaled = k[fits], n[fits], keeps[fits], np.rint(scaled[fits]).astype(np.int64)
    points = np.stack(np.unravel_index(np.arange(int(np.prod(shape))), mesh), axis=1)
    moved = np.einsum("oab,kb->oka", scaled, points) % shape
    images = np.ravel_multi_index(tuple(np.moveaxis(moved, 2, 0)), mesh)
    return MagneticSymmetry(mesh, k, n, keeps, images)


def _verified(bloch: BlochSum, group: MagneticSymmetry) -> NDArray[np.intp]:
    """Indices of the operations under which the energies are the same, within the tolerance."""
    assert bloch.hamiltonian.spin_orbit is not None
    largest = float(np.abs(bloch.hamiltonian.spin_orbit).max())
    soc = min(100.0, max(1.0, _SHOWN / largest)) if largest > 0 else 1.0

    def holds(operations: NDArray[np.intp]) -> NDArray[np.bool_]:
        direction = _GENERIC_N / np.linalg.norm(_GENERIC_N)
        # the first entry changes nothing; the last turns n alone, to show what n does
        k = np.concatenate([[_GENERIC_K], group.k[operations] @ _GENERIC_K, [_GENERIC_K]])
        n = np.concatenate([[direction], group.n[operations] @ direction, [direction[[1, 2, 0]]]])
        levels = _energies(bloch, k, n, soc)
        spread = float(np.abs(levels[-1] - levels[0]).max())
        tolerance = max(1e-9, min(_TOLERANCE, _PART * spread))
        result: NDArray[np.bool_] = np.abs(levels[1:-1] - levels[0]).max(axis=1) <= tolerance
        return result

    everything = np.arange(group.order)
    if holds(_generators(group)).all():
        return everything
    return everything[holds(everything)]


def _generators(group: MagneticSymmetry) -> NDArray[np.intp]:
    """Operations whose products are all of the group's."""
    names = [_name(k, n) for k, n in zip(group.k, group.n, strict=True)]
    reached = {names[0]}
    chosen: list[int] = []
    for index, name in enumerate(names):
        if name in reached:
            continue
        chosen.append(index)
        reached = {names[0]}
        new = [0]
        while new:  # from the identity on, times every chosen operation
            found = {
                _name(group.k[c] @ group.k[i], group.n[c] @ group.n[i]) for i in new for c in chosen
            }
            fresh = found - reached
            reached |= fresh
            new = [i for i, known in enumerate(names) if known in fresh]
    return np.array(chosen, dtype=np.intp)


def _name(k: NDArray[np.int64], n: NDArray[np.float64]) -> tuple[float, ...]:
    return (*k.ravel().tolist(), *(n.ravel().round(6) + 0.0).tolist())


def _energies(
    bloch: BlochSum, kpoints: NDArray[np.float64], directions: NDArray[np.float64], soc: float
) -> NDArray[np.float64]:
    """Energies at pairs of a k-point and a direction, (n, nb), eV."""
    theta, phi = angles(directions)
    states = [SpinState(soc, t, p) for t, p in zip(theta, phi, strict=True)]
    distinct, place = np.unique(kpoints.round(12), axis=0, return_inverse=True)
    levels = np.empty((len(states), 2 * bloch.hamiltonian.basis.n_orbitals))

    def solve(points: NDArray[np.intp]) -> None:
        matrices = orthonormal_matrices(bloch, distinct[points])
        exchange, spin_orbit = matrices.exchange, matrices.spin_orbit
        assert exchange is not None
        assert spin_orbit is not None
        for index, point in enumerate(points):
            at = slice(index, index + 1)
            for wanted in np.flatnonzero(place == point):
                matrix = spinor_matrix(
                    matrices.scalar[at], exchange[at], spin_orbit[at], states[wanted]
                )
                levels[wanted] = np.linalg.eigvalsh(matrix.numpy()[0])

    map_chunks(solve, np.array_split(np.arange(len(distinct)), min(len(distinct), usable_cores())))
    return levels
