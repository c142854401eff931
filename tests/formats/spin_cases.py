"""Hamiltonians of every kind of spin, for tests of formats, and eigenvalues by plain sums."""

from __future__ import annotations

import itertools
from dataclasses import replace

import models
import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Hamiltonian, Shell, SpinState

S, P, D, F = Shell("3s", 0), Shell("3p", 1), Shell("3d", 2), Shell("4f", 3)
KPOINTS = np.random.default_rng(5).normal(size=(4, 3))
KINDS = ("spinless", "collinear", "vector", "spin-orbit", "magnetic spin-orbit", "all")


def random_case(kind: str, *, orthogonal: bool = False, seed: int = 3) -> Hamiltonian:
    """Two sites with s, p, d and p, f shells, 5 directions of R; everything that ``kind`` has."""
    rng = np.random.default_rng(seed)
    structure = Structure(
        Lattice.from_parameters(4.1, 4.6, 5.3, 83, 95, 104),
        ["Mo", "S"],
        [[0.1, 0.0, 0.2], [0.6, 0.4, 0.5]],
    )
    shells = [[S, P, D], [P, F]]
    sizes = [9, 10]
    keys = [(0, 0, (0, 0, 0)), (1, 1, (0, 0, 0))]
    keys += [(0, 1, c) for c in ((0, 0, 0), (-1, 0, 0), (0, 2, 1))]
    keys += [(0, 0, (1, 0, 0)), (1, 1, (0, 1, -1))]

    def blocks(sign: float, lead: tuple[int, ...] = (), scale: float = 1.0) -> models.Blocks:
        found = {}
        for i, j, cell in keys:
            block = scale * rng.normal(size=(*lead, sizes[i], sizes[j]))
            if i == j and not any(cell):
                block = (block + sign * block.swapaxes(-1, -2)) / 2
            found[i, j, cell] = block
        return found

    overlap = None
    if not orthogonal:
        overlap = blocks(1.0, scale=0.01)
        for site, size in enumerate(sizes):
            overlap[site, site, (0, 0, 0)] += np.eye(size)
    built = models.build(
        structure,
        shells,
        7.0,
        scalar=blocks(1.0),
        overlap=overlap,
        exchange=blocks(1.0) if kind in ("collinear", "magnetic spin-orbit", "all") else None,
        spin_orbit=blocks(-1.0, (3,))
        if kind in ("spin-orbit", "magnetic spin-orbit", "all")
        else None,
        time_odd=blocks(-1.0) if kind == "all" else None,
    )
    if kind != "vector":
        return built
    fields = [models.build(structure, shells, 7.0, scalar=blocks(1.0)).scalar for _ in range(3)]
    return replace(built, exchange=np.stack(fields))


def eigenvalues(
    h: Hamiltonian, k: NDArray[np.float64], state: SpinState | None = None
) -> NDArray[np.float64]:
    """Spinor eigenvalues at one k by sums over the blocks of ``spinor_block``, (2n,)."""
    n = h.basis.n_orbitals
    matrix = np.zeros((2, n, 2, n), dtype=complex)
    overlap = np.zeros((n, n), dtype=complex)
    listed = zip(
        h.pairs.first.tolist(), h.pairs.second.tolist(), h.pairs.cell.tolist(), strict=True
    )
    for index, (i, j, cell) in enumerate(listed):
        phase = np.exp(2j * np.pi * np.dot(cell, k))
        rows, columns = h.basis.site_orbitals(i), h.basis.site_orbitals(j)
        block = h.spinor_block(i, j, tuple(cell), state)
        ni, nj = h.pairs.shape(index)
        for a, b in itertools.product((0, 1), repeat=2):
            matrix[a, rows, b, columns] += (
                phase * block[a * ni : (a + 1) * ni, b * nj : (b + 1) * nj]
            )
        overlap[rows, columns] += phase * h.pairs.block(h.overlap, index)
    return scipy.linalg.eigh(
        matrix.reshape(2 * n, 2 * n), np.kron(np.eye(2), overlap), eigvals_only=True
    )


def component_difference(one: Hamiltonian, other: Hamiltonian) -> float:
    """Largest difference of any element of any component; a pair that one lacks counts as 0."""
    assert one.components == other.components
    worst = 0.0
    for a, b in ((one, other), (other, one)):
        keys = set(b.pairs._lookup)
        for key in a.pairs._lookup:
            i, j, cell = key[0], key[1], tuple(key[2:])
            for name in a.components:
                theirs = b.block(name, i, j, cell) if key in keys else 0.0
                worst = max(worst, float(np.abs(a.block(name, i, j, cell) - theirs).max()))
    return worst
