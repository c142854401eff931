"""Position matrix elements against PySCF's molecules, transforms and plain quadrature."""

from __future__ import annotations

import crystals
import numpy as np
import pytest
import scipy.linalg
from pair_molecules import pair_molecule
from pymatgen.core import Lattice, Structure
from pyscf import gto
from pyscf.gto.ft_ao import ft_aopair
from scipy.spatial.transform import Rotation

from hamexplorer.dft import engine
from hamexplorer.dft.basis_sets import pyscf_basis
from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.integrals import (
    convention_order,
    pairs_by_overlap,
    position_blocks,
    two_centre_blocks,
)
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.system import crystal_system
from hamexplorer.hamiltonian import Pairs
from hamexplorer.hamiltonian.angular import rotation_matrix
from hamexplorer.progress import Monitor
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

SETTINGS = DftSettings(kmesh=(1, 1, 1))


def blocks_of(structure):
    """System, pairs, S and X (bohr) of a structure."""
    system = crystal_system(structure, SETTINGS)
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    (overlap,) = two_centre_blocks(system, near, ("int1e_ovlp",))
    return system, pairs, overlap, position_blocks(system, pairs, overlap)


PAIRS = [(0, 0, (0, 0, 0)), (0, 1, (0, 0, 0)), (1, 0, (1, -1, 0)), (0, 0, (-1, 0, 0))]


@pytest.mark.parametrize("pair", PAIRS)
def test_blocks_are_the_dipole_integrals_of_a_molecule(pair):
    system, pairs, _, position = blocks_of(crystals.mos2())
    i, j, cell = pair
    mol, order, size = pair_molecule(system, i, j, cell)
    dipole = mol.intor("int1e_r")[:, order[:, None], order]
    expected = dipole[:, :size, size:]
    found = pairs.block(position, pairs.index(i, j, cell))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_blocks_are_the_slope_of_the_fourier_transform():
    # another algorithm: ∫ e^{−iq·r} χ_i χ_j = S − i q·⟨r⟩ + O(q²)
    system, pairs, _, position = blocks_of(crystals.mos2())
    i, j, cell = 0, 1, (0, 0, 0)
    mol, order, size = pair_molecule(system, i, j, cell)
    index = pairs.index(i, j, cell)
    step = 1e-3
    for axis in range(3):
        q = np.zeros((2, 3))
        q[:, axis] = [step, -step]
        forward, backward = ft_aopair(mol, q)[:, order[:, None], order]
        dipole = (1j * (forward - backward) / (2 * step)).real[:size, size:]
        np.testing.assert_allclose(pairs.block(position[axis], index), dipole, atol=2e-5)


def test_blocks_are_integrals_over_a_grid():
    system, pairs, _, position = blocks_of(crystals.lithium_hydride())
    i, j, cell = 0, 1, (0, 0, 0)
    mol, order, size = pair_molecule(system, i, j, cell)
    spacing = 0.16
    axis = np.arange(-11, 11, spacing)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    total = np.zeros((3, size, len(order) - size))
    for part in np.array_split(grid, 40):
        values = mol.eval_gto("GTOval_sph", part)[:, order]
        total += np.einsum("pa,pi,pj->aij", part, values[:, :size], values[:, size:], optimize=True)
    found = pairs.block(position, pairs.index(i, j, cell))
    np.testing.assert_allclose(found, total * spacing**3, atol=2e-5)
    assert np.abs(found).max() > 0.3


def hydrogen():
    """H2 molecules in an orthorhombic cell: a local pseudopotential, no symmetry of use."""
    return Structure(
        Lattice.orthorhombic(2.4, 2.6, 2.8),
        ["H", "H"],
        [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + 0.74 / 2.8]],
    )


def test_the_commutator_with_h_is_the_momentum():
    # i[H, r] = p for a local potential. In a basis, with |i⟩ phased by e^{ik·(r_i + R)}:
    # ⟨n|p|m⟩ = C_n†(∂H − (E_n + E_m)/2 ∂S + i (E_n − E_m) X) C_m, up to the basis's
    # incompleteness; the left side is PySCF's gradient integral and knows neither H nor X
    settings = DftSettings(
        kmesh=(2, 2, 2), basis="uzh-tzv2p", range_angstrom=8.0, precision="double"
    )
    state = engine.ground_state(engine.plan(hydrogen(), settings), Monitor())
    h = engine.hamiltonian_of(hydrogen(), state)
    k = np.array([0.31, 0.12, 0.4])
    near = pairs_by_overlap(state.plan.system)
    (gradient,) = two_centre_blocks(state.plan.system, near, ("int1e_ipovlp",))
    n = h.basis.n_orbitals
    phases = np.exp(2j * np.pi * np.repeat(h.structure.frac_coords @ k, h.basis.sizes))

    def bloch(flat, pairs=h.pairs):
        return phases.conj()[:, None] * bloch_sum(pairs, flat, k, n) * phases

    levels, vectors = scipy.linalg.eigh(bloch(h.scalar), bloch(h.overlap))
    low = vectors[:, :4]
    mean = (levels[:4, None] + levels[None, :4]) / 2
    gap = levels[:4, None] - levels[None, :4]
    reach = h.vectors[h.pairs.element_pair].T
    for axis in range(3):
        # eV Å → Ha bohr
        unit = HARTREE_EV * BOHR_ANGSTROM
        slope, metric = (1j * bloch(x * reach[axis]) for x in (h.scalar, h.overlap))
        diagonal = (low.conj().T @ slope @ low - mean * (low.conj().T @ metric @ low)) / unit
        full = diagonal + 1j * gap * (low.conj().T @ bloch(h.position[axis]) @ low) / unit
        momentum = 1j * (low.conj().T @ bloch(gradient[axis], state.pairs) @ low)
        assert np.abs(full - momentum).max() < 0.01
        assert np.abs(diagonal - momentum).max() > 0.08


# --- laws ----------------------------------------------------------------------------------


def by_key(structure):
    """X of every pair (i, j, R) of a structure, bohr, and the basis's shells."""
    system, pairs, _, position = blocks_of(structure)
    keys = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.cell.tolist(), strict=True)
    found = {(i, j, *cell): pairs.block(position, p) for p, (i, j, cell) in enumerate(keys)}
    return found, system


def test_x_is_its_own_transpose_backwards():
    found, _ = by_key(crystals.mos2())
    for (i, j, a, b, c), block in found.items():
        np.testing.assert_allclose(block, found[j, i, -a, -b, -c].transpose(0, 2, 1), atol=1e-12)
    # an atom alone: s with p is the radial dipole; even with even is nothing
    own = found[1, 1, 0, 0, 0]
    assert np.abs(own[:, 0, :2]).max() < 1e-12
    assert np.abs(own).max() > 0.5


def test_translation_and_images_change_nothing():
    structure = crystals.gallium_arsenide()
    moved = structure.copy()
    moved.translate_sites([0, 1], [0.37, -0.21, 0.55], to_unit_cell=False)
    first, second = by_key(structure)[0], by_key(moved)[0]
    assert first.keys() == second.keys()
    assert max(np.abs(first[key] - second[key]).max() for key in first) < 1e-10
    # another image of the second atom: the same blocks under another R
    other = Structure(structure.lattice, structure.species, [[0, 0, 0], [1.25, 0.25, -0.75]])
    shifted = by_key(other)[0]
    step = np.array([[0, 0, 0], [1, 0, -1]])
    for (i, j, *cell), block in first.items():
        key = (i, j, *(np.array(cell) - step[j] + step[i]).tolist())
        np.testing.assert_allclose(shifted[key], block, atol=1e-10)


def test_x_turns_with_the_crystal():
    structure = crystals.mos2()
    rotation = Rotation.from_rotvec([0.4, -0.9, 0.3]).as_matrix()
    turned = Structure(
        Lattice(structure.lattice.matrix @ rotation.T), structure.species, structure.frac_coords
    )
    (first, system), (second, _) = by_key(structure), by_key(turned)
    turns = [
        scipy.linalg.block_diag(
            *[rotation_matrix(s.l, rotation) for s in system.shells[symbol].shells]
        )
        for symbol in system.symbols
    ]
    assert first.keys() == second.keys()
    for (i, j, *_), one, two in zip(first, first.values(), second.values(), strict=True):
        expected = np.einsum("ab,bij->aij", rotation, turns[i] @ one @ turns[j].T)
        np.testing.assert_allclose(two, expected, atol=1e-10)


def test_a_slab_keeps_the_blocks_of_the_users_images():
    # the engine puts a layer into a box of its own and brings its images together
    split = Structure(
        Lattice.tetragonal(3.2, 15.0), ["Li", "H"], [[0.1, 0.1, 0.97], [0.2, 0.1, 0.07]]
    )
    # the blocks stand in no relation to the density
    settings = DftSettings(
        kmesh=(1, 1, 1),
        cutoff=40.0,
        range_angstrom=5.0,
        density_tolerance=1e-2,
        energy_tolerance=1e-3,
    )
    h = engine.run(split, settings)
    assert h.provenance.settings["position"] == "exact"
    nearest = int(
        np.argmin(np.where((h.pairs.first == 0) & (h.pairs.second == 1), h.distances, np.inf))
    )
    assert h.pairs.cell[nearest, 2] == 1
    mol = gto.M(
        atom=[("Li", -h.vectors[nearest] / 2), ("H", h.vectors[nearest] / 2)],
        basis={s: pyscf_basis(s, settings.basis) for s in ("Li", "H")},
        spin=None,
        verbose=0,
    )
    shells = [s.l for site in (0, 1) for s in h.basis.shells[site]]
    order = convention_order(shells)
    size = h.basis.sizes[0]
    expected = mol.intor("int1e_r")[:, order[:, None], order][:, :size, size:] * BOHR_ANGSTROM
    np.testing.assert_allclose(h.pairs.block(h.position, nearest), expected, atol=1e-6)
