"""Matrix elements on the tiled grid against analytic integrals, plane waves and themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from pair_molecules import pair_molecule
from pyscf import gto
from scipy.spatial.transform import Rotation

from hamexplorer.dft.atom_tables import free_atom
from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.exchange_correlation import exchange_correlation
from hamexplorer.dft.grid import PlaneWaveGrid, bloch_orbitals, mesh_for_cutoff
from hamexplorer.dft.integrals import pairs_by_overlap, two_centre_blocks
from hamexplorer.dft.scf import potential_matrix
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.grid_blocks import GridSettings, grid_blocks
from hamexplorer.dft.superposed.grid_error import coarsest_spacing, grid_errors
from hamexplorer.dft.superposed.potential import (
    PointPotentials,
    RadialPotentials,
    SuperposedPotential,
)
from hamexplorer.dft.system import crystal_system
from hamexplorer.errors import CalculationCancelled, SettingsError
from hamexplorer.hamiltonian import Pairs
from hamexplorer.hamiltonian.angular import rotation_matrix
from hamexplorer.progress import Monitor
from hamexplorer.structures import load_gallery
from hamexplorer.units import HARTREE_EV

CPU = torch.device("cpu")
MEV = 1e3 * HARTREE_EV
ATOMS = {element: free_atom(element) for element in ("B", "N")}


def system_of(structure, **settings):
    return crystal_system(structure, DftSettings(kmesh=(1, 1, 1), **settings))


def pairs_of(system):
    near = pairs_by_overlap(system)
    return Pairs(near.first, near.second, near.cell, system.basis.sizes)


@pytest.fixture(scope="module")
def layer():
    """A layer of hBN, its pairs, and the blocks of its superposed atoms in double precision."""
    system = system_of(load_gallery("hbn"))
    pairs = pairs_of(system)
    settings = GridSettings(spacing=0.23, precision="double")
    blocks = grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), settings).blocks
    return system, pairs, blocks[0]


class Field:
    """A potential given by functions of the points."""

    count = 1

    def __init__(self, value, flux=None):
        self._value, self._flux = value, flux

    def __call__(self, points):
        flux = None if self._flux is None else self._flux(points)[None]
        return PointPotentials(self._value(points)[None], flux)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_blocks_of_a_constant_are_the_overlap(layer, precision):
    system, pairs, _ = layer
    (overlap,) = two_centre_blocks(system, pairs, ("int1e_ovlp",))
    one = Field(lambda points: torch.ones_like(points[:, 0]))
    found = grid_blocks(system, pairs, one, GridSettings(precision=precision))
    assert np.abs(found.blocks[0] - overlap).max() < 3e-5
    assert np.abs(found.blocks[0] - overlap).mean() < 1e-7
    assert found.dropped == 0.0


def test_gaussian_on_the_atoms_is_the_three_centre_integral(layer):
    system, pairs, _ = layer
    exponent, height = 0.9, -3.0
    radii = 0.01 * np.arange(601)
    functions = {"N": height * np.exp(-exponent * radii**2)[None]}
    potential = RadialPotentials(system, functions, 0.01)
    (blocks,) = grid_blocks(system, pairs, potential, GridSettings(spacing=0.28)).blocks
    images = [
        system.positions[1] + np.array([a, b, 0]) @ system.lattice
        for a in range(-3, 4)
        for b in range(-3, 4)
    ]
    # a contracted s function is c exp(−αr²)/√4π
    shells = {"X": [[0, [exponent, 1.0]]]}
    norm = gto.gto_norm(0, exponent) / np.sqrt(4 * np.pi)
    for i, j, cell in [(0, 0, (0, 0, 0)), (0, 1, (0, 0, 0)), (1, 1, (1, 0, 0)), (1, 0, (-1, 1, 0))]:
        molecule, order, size = pair_molecule(system, i, j, cell)
        middle = system.positions[[i, j]].mean(axis=0) + np.array(cell) @ system.lattice / 2
        gaussians = gto.M(
            atom=[("X", c - middle) for c in images], basis=shells, unit="B", verbose=0
        )
        together = molecule + gaussians
        n = molecule.nbas
        integrals = together.intor("int3c1e", shls_slice=(0, n, 0, n, n, together.nbas))
        expected = height / norm * integrals.sum(axis=2)[order[:, None], order]
        found = pairs.block(blocks, pairs.index(i, j, cell))
        assert np.abs(expected[:size, size:]).max() > 1e-3
        np.testing.assert_allclose(found * MEV, expected[:size, size:] * MEV, atol=0.2)


def test_flux_of_a_wave_is_the_wave(layer):
    # with F = ∇u: ∫ F·∇(χχ') = −∫ ∇²u χχ', and −∇² cos(G·r) = G² cos(G·r)
    system, pairs, _ = layer
    wave = torch.as_tensor(system.reciprocal[0] - system.reciprocal[1])
    square = float(wave @ wave)
    by_flux = Field(
        lambda points: torch.zeros_like(points[:, 0]),
        lambda points: -wave[:, None] * torch.sin(points @ wave),
    )
    by_value = Field(lambda points: square * torch.cos(points @ wave))
    settings = GridSettings(spacing=0.28)
    (found,) = grid_blocks(system, pairs, by_flux, settings).blocks
    (expected,) = grid_blocks(system, pairs, by_value, settings).blocks
    assert np.abs(expected).max() > 0.5
    assert np.abs(found - expected).max() < 1e-4


def plane_wave_matrices(system, potential, cutoff, kpoint):
    """⟨χ|V_s|χ⟩_k by the engine's dense grid: the same ρ and V_na, Fourier derivatives, Ha."""
    grid = PlaneWaveGrid(system.lattice, mesh_for_cutoff(system.lattice, cutoff), CPU)
    fractional = np.stack(
        np.meshgrid(*[np.arange(n) / n for n in grid.mesh], indexing="ij"), axis=-1
    )
    points = torch.as_tensor(fractional.reshape(-1, 3) @ system.lattice)
    parts = [potential.at(part)[:2] for part in points.split(4000)]
    neutral = torch.cat([p[0] for p in parts]).reshape(grid.mesh)
    density = torch.cat([p[1] for p in parts], dim=1).reshape(-1, *grid.mesh)
    local = neutral + exchange_correlation(grid, density)[1]
    orbitals = bloch_orbitals(system, grid, kpoint, torch.complex128)
    return [potential_matrix(orbitals, v, grid) for v in local]


@pytest.mark.parametrize(
    ("name", "cutoff", "moments"),
    [
        ("hbn", 300.0, None),
        pytest.param("mos2-1h", 400.0, None, marks=pytest.mark.slow),
        pytest.param("gaas", 400.0, None, marks=pytest.mark.slow),
        pytest.param("fe-bcc", 500.0, [2.2], marks=pytest.mark.slow),
    ],
)
def test_superposed_atoms_agree_with_the_plane_wave_engine(name, cutoff, moments):
    system = system_of(load_gallery(name), spin="none")
    # on a point of its grid an atom's hollow middle costs the plane waves up to 5 meV
    system = replace(system, positions=system.positions + np.array([0.05, 0.03, 0.07]))
    pairs = pairs_of(system)
    atoms = {element: free_atom(element) for element in system.shells}
    potential = SuperposedPotential(system, atoms, moments)
    settings = GridSettings(spacing=min(0.3, coarsest_spacing(system, atoms, 2.0)))
    blocks = grid_blocks(system, pairs, potential, settings).blocks
    kpoint = np.array([0.21, -0.37, 0.0 if system.vacuum_axis == 2 else 0.11])
    expected = plane_wave_matrices(system, potential, cutoff, kpoint)
    assert len(blocks) == len(expected) == potential.count
    for block, matrix in zip(blocks, expected, strict=True):
        error = MEV * np.abs(bloch_sum(pairs, block, kpoint, system.basis.n_orbitals) - matrix)
        assert error.max() < 2.0
        assert error.mean() < 0.1


def test_blocks_are_symmetric_and_the_same_with_two_workers(layer):
    system, pairs, _ = layer
    potential = SuperposedPotential(system, ATOMS, [0.4, -0.2])
    settings = GridSettings(spacing=0.35, tile_points=400)
    one, two = (grid_blocks(system, pairs, potential, settings, workers=n).blocks for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, one[:, pairs.transposition])
    assert np.abs(one[0] - one[1]).max() > 1e-3


def test_blocks_do_not_move_with_the_place_on_the_grid(layer):
    system, pairs, blocks = layer
    step = system.lattice[0] / 17
    for shift in (0.5 * step, np.array([0.11, -0.07, 0.13])):
        moved = replace(system, positions=system.positions + shift)
        found = grid_blocks(moved, pairs, SuperposedPotential(moved, ATOMS)).blocks[0]
        error = np.abs(found - blocks) * MEV
        assert error.max() < 5.0
        assert error.mean() < 0.01
        # the estimate made from free atoms is of that size
        assert error.max() < 1.3 * max(grid_errors(system, ATOMS, 0.3).values())


def test_blocks_turn_with_the_layer(layer):
    system, pairs, blocks = layer
    turn = Rotation.from_rotvec([0.0, 0.0, 0.6]).as_matrix()
    middle = system.positions.mean(axis=0)
    turned = replace(
        system,
        lattice=system.lattice @ turn.T,
        positions=(system.positions - middle) @ turn.T + (turn @ middle),
    )
    found = grid_blocks(turned, pairs, SuperposedPotential(turned, ATOMS)).blocks[0]
    turns = [
        scipy.linalg.block_diag(*[rotation_matrix(s.l, turn) for s in system.shells[e].shells])
        for e in system.symbols
    ]
    worst = 0.0
    for pair in range(pairs.n_pairs):
        left, right = turns[pairs.first[pair]], turns[pairs.second[pair]]
        expected = left @ pairs.block(blocks, pair) @ right.T
        worst = max(worst, np.abs(pairs.block(found, pair) - expected).max() * MEV)
    assert worst < 5.0


def test_supercell_has_the_blocks_of_its_cell(layer):
    system, pairs, _ = layer
    structure = load_gallery("hbn")
    structure.make_supercell([2, 2, 1])
    large = system_of(structure)
    # the same heights in the box, and a grid of the same points
    large_pairs = pairs_of(large)
    settings = GridSettings(spacing=np.linalg.norm(system.lattice[0]) / 13 + 1e-9)
    found = grid_blocks(large, large_pairs, SuperposedPotential(large, ATOMS), settings).blocks[0]
    expected = grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), settings).blocks[0]
    offset = np.array(
        [
            next(
                (site, np.rint(shift).astype(int))
                for site in range(2)
                if large.symbols[atom] == system.symbols[site]
                for shift in [
                    np.linalg.solve(
                        system.lattice.T, large.positions[atom] - system.positions[site]
                    )
                ]
            )
            for atom in range(large.n_atoms)
        ],
        dtype=object,
    )
    worst = compared = 0
    for pair in range(large_pairs.n_pairs):
        i, j = large_pairs.first[pair], large_pairs.second[pair]
        cell = offset[j][1] - offset[i][1] + np.array([2, 2, 1]) * large_pairs.cell[pair]
        small = pairs.block(expected, pairs.index(offset[i][0], offset[j][0], tuple(cell)))
        worst = max(worst, np.abs(large_pairs.block(found, pair) - small).max() * MEV)
        compared += 1
    assert compared > 500
    assert worst < 0.05


def test_pairs_that_are_not_stored_are_dropped_and_said(layer):
    system, pairs, _ = layer
    vectors = (
        system.positions[pairs.second] + pairs.cell @ system.lattice - system.positions[pairs.first]
    )
    few, mask = pairs.subset(np.linalg.norm(vectors, axis=1) < 8.0)
    potential = SuperposedPotential(system, ATOMS)
    settings = GridSettings(spacing=0.4, tile_points=500)
    every = grid_blocks(system, pairs, potential, settings)
    found = grid_blocks(system, few, potential, settings)
    np.testing.assert_array_equal(found.blocks[0], every.blocks[0][mask])
    left_out = np.abs(every.blocks[0][~mask]).max()
    assert left_out > 1e-3
    assert left_out <= found.dropped
    assert every.dropped < 1e-9


def test_several_potentials_at_once_are_the_single_ones(layer):
    system, pairs, _ = layer
    radii = 0.02 * np.arange(301)
    shape = (1 - (radii / 6) ** 2) ** 2
    tables = {e: np.stack([shape, shape * np.exp(-(radii**2))]) for e in ("B", "N")}
    settings = GridSettings(spacing=0.4)
    together = grid_blocks(system, pairs, RadialPotentials(system, tables, 0.02), settings).blocks
    alone = RadialPotentials(system, {"N": tables["N"][1:]}, 0.02)
    assert together.shape == (4, pairs.n_elements)
    np.testing.assert_allclose(
        together[3], grid_blocks(system, pairs, alone, settings).blocks[0], atol=1e-7
    )


def test_a_sweep_reports_and_can_be_stopped(layer):
    system, pairs, _ = layer
    seen = []
    monitor = Monitor(lambda event: (seen.append(event.fraction), monitor.cancel()))
    with pytest.raises(CalculationCancelled):
        grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), workers=2, monitor=monitor)
    assert len(seen) == 1
    assert 0 < seen[0] < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "half"}, "precision"),
        ({"orbital_cutoff": 0.0}, "orbital_cutoff"),
        ({"product_cutoff": np.nan}, "product_cutoff"),
        ({"tile_points": 0}, "tile"),
        ({"spacing": -1.0}, "spacing"),
    ],
)
def test_impossible_settings_are_refused(layer, settings, message):
    system, pairs, _ = layer
    with pytest.raises(SettingsError, match=message):
        grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), GridSettings(**settings))


def test_missing_device_is_refused(layer):
    system, pairs, _ = layer
    for device in ("cuda:77", "abacus"):
        with pytest.raises(SettingsError, match="no device"):
            grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), device=device)


def test_no_worker_is_refused(layer):
    system, pairs, _ = layer
    with pytest.raises(SettingsError, match="at least one worker"):
        grid_blocks(system, pairs, SuperposedPotential(system, ATOMS), workers=0)


def test_atoms_on_faces_and_outside_of_the_cell() -> None:
    """Bi2Se3's reduced cell has one at the origin and two in other cells."""
    system = crystal_system(load_gallery("bi2se3"), DftSettings(basis="gth-szv-molopt-sr"))
    assert system.fractional.max() > 2
    near = pairs_by_overlap(system, 1e-9)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    (overlap,) = two_centre_blocks(system, near, ("int1e_ovlp",))
    one = Field(lambda points: torch.ones_like(points[:, 0]))
    found = grid_blocks(system, pairs, one, GridSettings(spacing=0.3)).blocks[0]
    assert np.abs(found - overlap).max() < 3e-5
