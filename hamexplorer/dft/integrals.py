"""Two-centre integrals in real space by neighbour lists: S, T, position, projector overlaps.

libcint's integrals (through PySCF) over the cluster {one atom + its neighbours}, so that the cost
is linear in the number of atoms and no sum over k is involved. Orbitals come out in the order of
CONVENTIONS.md; atomic units.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from numpy.typing import NDArray
from pyscf import gto
from pyscf.gto.moleintor import getints

from hamexplorer.dft.basis_sets import atomic_cell
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Pairs

__all__ = [
    "Neighbours",
    "convention_order",
    "neighbours",
    "overlap_cutoffs",
    "pairs_by_overlap",
    "position_blocks",
    "two_centre_blocks",
]

_TOLERANCE = 1e-13
"""Gaussian products below it are dropped."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs (i, j, R) of centres within a cutoff, sorted by i; the pair (i, i, 0) included."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    cell: NDArray[np.int64]


def convention_order(shell_momenta: list[int]) -> NDArray[np.int64]:
    """Indices that bring libcint's spherical order (p as x, y, z) to m = −l … l (y, z, x)."""
    order: list[int] = []
    for l in shell_momenta:  # noqa: E741
        start = len(order)
        local = [1, 2, 0] if l == 1 else list(range(2 * l + 1))
        order += [start + m for m in local]
    return np.array(order, dtype=np.int64)


def overlap_cutoffs(
    first: dict[str, float], second: dict[str, float], tolerance: float = _TOLERANCE
) -> dict[tuple[str, str], float]:
    """Distance beyond which Gaussians of exponents a, b (1/bohr²) do not overlap, bohr.

    By pair of elements: exp(−ab/(a+b) d²) < ``tolerance``.
    """
    return {
        (x, y): float(np.sqrt(-np.log(tolerance) * (1 / a + 1 / b)))
        for x, a in first.items()
        for y, b in second.items()
    }


def neighbours(system: CrystalSystem, cutoffs: dict[tuple[str, str], float]) -> Neighbours:
    """All (i, j, R) with |r_j + R − r_i| within the cutoff of their elements."""
    first, second, cell, distance = primitive_neighbor_list(
        "ijSd",
        system.periodic,
        system.lattice,
        system.positions,
        max(cutoffs.values()),
        self_interaction=True,
    )
    names = sorted({x for pair in cutoffs for x in pair})
    index = {name: a for a, name in enumerate(names)}
    table = np.full((len(names), len(names)), -1.0)
    for (x, y), value in cutoffs.items():
        table[index[x], index[y]] = value
    kind = np.array([index[s] for s in system.symbols])
    keep = distance <= table[kind[first], kind[second]]
    order = np.flatnonzero(keep)[np.argsort(first[keep], kind="stable")]
    return Neighbours(
        first[order].astype(np.int64), second[order].astype(np.int64), cell[order].astype(np.int64)
    )


def pairs_by_overlap(system: CrystalSystem, tolerance: float = _TOLERANCE) -> Neighbours:
    """All pairs of atoms whose orbitals overlap by more than about ``tolerance``."""
    smallest = {element: a.smallest_exponent for element, a in system.shells.items()}
    return neighbours(system, overlap_cutoffs(smallest, smallest, tolerance))


def two_centre_blocks(
    system: CrystalSystem, pairs: Neighbours | Pairs, names: tuple[str, ...]
) -> list[NDArray[np.float64]]:
    """⟨χ_i(r)| O |χ_j(r − R)⟩ for every pair (sorted by i), flat blocks, atomic units.

    ``names`` are libcint's operators: ``int1e_ovlp``, ``int1e_kin`` (n_elements,); ``int1e_r``
    (3, n_elements), with its origin at the first atom.
    """
    templates = {element: ShellTemplate.of_basis(element, system) for element in system.shells}
    sizes = system.basis.sizes
    ends = np.cumsum(sizes[pairs.first] * sizes[pairs.second]).tolist()
    result: dict[str, NDArray[np.float64]] = {}
    starts = np.searchsorted(pairs.first, np.arange(system.n_atoms + 1))
    for i in range(system.n_atoms):
        members = slice(starts[i], starts[i + 1])
        second, cell = pairs.second[members], pairs.cell[members]
        centres = system.positions[second] + cell @ system.lattice - system.positions[i]
        cluster = Cluster([templates[system.symbols[i]]], np.zeros((1, 3)))
        others = Cluster([templates[system.symbols[j]] for j in second], centres)
        columns = np.cumsum([0] + [templates[system.symbols[j]].n_orbitals for j in second])
        for name in names:
            matrix = cross_integral(name, cluster, others)
            outer = matrix.shape[:-2]
            if name not in result:
                result[name] = np.empty((*outer, ends[-1]))
            for a, end in enumerate(ends[members]):
                block = matrix[..., columns[a] : columns[a + 1]].reshape(*outer, -1)
                result[name][..., end - block.shape[-1] : end] = block
    return [result[name] for name in names]


def position_blocks(
    system: CrystalSystem, pairs: Pairs, overlap: NDArray[np.float64]
) -> NDArray[np.float64]:
    """X_a[i, j, R] = ⟨χ_i 0| r_a − (r_i + r_j + R)_a/2 |χ_j R⟩, (3, n_elements), bohr.

    ``pairs`` sorted by i, ``overlap`` their S. The analytic dipole integral about r_i, less S
    times half of the vector between the two sites: the same for any images of the atoms.
    """
    (dipole,) = two_centre_blocks(system, pairs, ("int1e_r",))
    vectors = (
        system.positions[pairs.second] + pairs.cell @ system.lattice - system.positions[pairs.first]
    )
    centred: NDArray[np.float64] = dipole - overlap * vectors[pairs.element_pair].T / 2
    # equal up to rounding
    return (centred + centred[:, pairs.transposition]) / 2


@dataclass(frozen=True, eq=False)
class ShellTemplate:
    """One atom's shells in libcint's tables, to be placed anywhere."""

    bas: NDArray[np.int32]
    env: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def n_orbitals(self) -> int:
        """Orbitals of the atom."""
        return len(self.order)

    @classmethod
    def of_basis(cls, element: str, system: CrystalSystem) -> ShellTemplate:
        """The orbital basis of an element."""
        cell = atomic_cell(element, system.basis_name)
        momenta = [s.l for s in system.shells[element].shells]
        return cls._from_tables(np.array(cell._bas), np.array(cell._env), momenta)

    @classmethod
    def of_projector(cls, l: int, radius: float, norm: float) -> ShellTemplate:  # noqa: E741
        """The Gaussian norm · r^l exp(−r²/2 radius²) Y_lm; bohr."""
        env = np.concatenate([np.zeros(gto.PTR_ENV_START), [0.5 / radius**2, norm]])
        bas = np.zeros((1, gto.BAS_SLOTS), dtype=np.int32)
        bas[0, gto.ANG_OF] = l
        bas[0, gto.NPRIM_OF] = bas[0, gto.NCTR_OF] = 1
        bas[0, gto.PTR_EXP] = gto.PTR_ENV_START
        bas[0, gto.PTR_COEFF] = gto.PTR_ENV_START + 1
        return cls._from_tables(bas, env, [l])

    @classmethod
    def _from_tables(
        cls, bas: NDArray[np.int32], env: NDArray[np.float64], momenta: list[int]
    ) -> ShellTemplate:
        bas = bas.copy()
        bas[:, [gto.PTR_EXP, gto.PTR_COEFF]] -= gto.PTR_ENV_START
        return cls(bas, env[gto.PTR_ENV_START :].copy(), convention_order(momenta))


class Cluster:
    """Shell templates placed at ``centres`` (n, 3), bohr, as libcint's atm, bas and env."""

    def __init__(self, templates: list[ShellTemplate], centres: NDArray[np.float64]) -> None:
        distinct = {id(t): t for t in templates}
        env = [np.zeros(gto.PTR_ENV_START)]
        start, position = {}, gto.PTR_ENV_START
        for key, template in distinct.items():
            start[key] = position
            env.append(template.env)
            position += len(template.env)
        env.append(centres.ravel())
        atm = np.zeros((len(templates), gto.ATM_SLOTS), dtype=np.int32)
        atm[:, gto.PTR_COORD] = position + 3 * np.arange(len(templates))
        bas = []
        for a, template in enumerate(templates):
            shells = template.bas.copy()
            shells[:, gto.ATOM_OF] = a
            shells[:, [gto.PTR_EXP, gto.PTR_COEFF]] += start[id(template)]
            bas.append(shells)
        self.atm = atm
        self.bas = np.concatenate(bas)
        self.env = np.concatenate(env)
        offsets = np.cumsum([0] + [t.n_orbitals for t in templates])
        self.order = np.concatenate([offsets[a] + t.order for a, t in enumerate(templates)])


def cross_integral(name: str, bra: Cluster, ket: Cluster) -> NDArray[np.float64]:
    """⟨bra| O |ket⟩ for libcint's ``name``, ([3,] n_bra, n_ket), conventions' order."""
    atm, bas, env = gto.conc_env(bra.atm, bra.bas, bra.env, ket.atm, ket.bas, ket.env)
    n = len(bra.bas)
    with warnings.catch_warnings():
        # PySCF does not list the operators r² and r⁴ about the bra's centre, but knows them
        warnings.filterwarnings("ignore", message="Function int1e_r")
        matrix = getints(
            f"{name}_sph", atm, bas, env, shls_slice=(0, n, n, n + len(ket.bas)), hermi=0
        )
    result: NDArray[np.float64] = matrix[..., bra.order[:, None], ket.order]
    return result
