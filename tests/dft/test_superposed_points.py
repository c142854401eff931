"""Radial tables, harmonics, quadrature and potentials of superposed atoms, point by point."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from hamexplorer.dft.atom_tables import free_atom
from hamexplorer.dft.exchange_correlation import exchange_correlation
from hamexplorer.dft.grid import PlaneWaveGrid
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.grid_error import (
    check_spacing,
    coarsest_spacing,
    grid_errors,
)
from hamexplorer.dft.superposed.harmonics import directional_derivatives, solid_harmonics
from hamexplorer.dft.superposed.potential import RadialPotentials, SuperposedPotential
from hamexplorer.dft.superposed.quadrature import Quadrature, window_radius
from hamexplorer.dft.superposed.radial import RadialTable, slope_over_radius
from hamexplorer.dft.superposed.semilocal import pbe_derivatives
from hamexplorer.dft.superposed.tiles import Images, uniform_grid
from hamexplorer.dft.system import crystal_system
from hamexplorer.errors import SettingsError, UnsupportedElementError
from hamexplorer.hamiltonian.angular import real_harmonics
from hamexplorer.structures import load_gallery

CPU = torch.device("cpu")
ATOMS = {element: free_atom(element) for element in ("B", "N", "Ga", "As", "Fe")}


def system_of(name):
    return crystal_system(load_gallery(name), DftSettings(kmesh=(1, 1, 1), spin="none"))


def points_in(system, n, seed=0):
    """Random points of the home cell."""
    fractional = np.random.default_rng(seed).random((n, 3))
    return torch.as_tensor(fractional @ system.lattice)


def test_radial_table_is_accurate_between_its_radii_and_ends():
    step, reach = 0.01, 6.0
    radii = step * np.arange(round(reach / step) + 1)

    def function(r):
        return np.exp(-2 * r**2) * (reach**2 - r**2) ** 2

    table = RadialTable(np.stack([function(radii), 2 * function(radii)]), step, CPU)
    r = np.array([[0.0, 1e-12, 0.0051], [1.2345, 5.9999, 6.0]])
    found = table(torch.as_tensor(r)).numpy()
    assert found.shape == (2, 2, 3)
    np.testing.assert_allclose(found[0], function(r), atol=2e-4 * step**2)
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-14)
    assert not table(torch.tensor([6.0, 6.001, 7.3, 1e6])).any()


@pytest.mark.parametrize("case", [(np.ones((1, 3)), 0.1), (np.ones((1, 9)), 0.0)])
def test_radial_table_refuses_what_is_none(case):
    with pytest.raises(SettingsError, match="at least four radii"):
        RadialTable(*case, CPU)
    with pytest.raises(SettingsError, match="not finite"):
        RadialTable(np.full((1, 9), np.nan), 0.1, CPU)


def test_slope_over_radius_is_smooth_through_the_nucleus():
    r = 0.01 * np.arange(600)
    found = slope_over_radius(np.exp(-1.5 * r**2), 0.01)
    np.testing.assert_allclose(found, -3 * np.exp(-1.5 * r**2), atol=1e-7)


def test_harmonics_and_their_derivatives():
    vectors = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    direction = torch.tensor([[0.3], [-1.1], [0.7]], dtype=torch.float64).expand(3, 5)

    def at(t):
        moved = vectors + t * direction
        return solid_harmonics(4, moved, (moved**2).sum(dim=1))

    values, derivatives = at(0.0), directional_derivatives(at(0.0), direction)
    for degree in range(5):
        flat = vectors.permute(0, 2, 1).reshape(-1, 3)
        expected = real_harmonics(degree, flat).reshape(2, 5, -1).permute(0, 2, 1)
        torch.testing.assert_close(values[degree], expected)
        # central differences of polynomials, extrapolated: exact to the fourth order
        near, far = ((at(h)[degree] - at(-h)[degree]) / (2 * h) for h in (0.01, 0.02))
        torch.testing.assert_close(derivatives[degree], (4 * near - far) / 3, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["hbn", "gaas"])
def test_images_are_all_atoms_within_reach(name):
    system = system_of(name)
    reach = dict.fromkeys(system.shells, 7.0)
    images = Images(system, reach)
    points = points_in(system, 40) * 0.2 + 0.4 * torch.as_tensor(system.lattice.sum(axis=0))
    near = np.concatenate(images.near(points))
    found = {(a, *c) for a, c in zip(images.atom[near], images.cell[near].tolist(), strict=True)}
    box = range(-4, 5)
    for atom in range(system.n_atoms):
        for a in box:
            for b in box:
                for c in box if system.vacuum_axis is None else [0]:
                    centre = system.positions[atom] + np.array([a, b, c]) @ system.lattice
                    distance = np.linalg.norm(points.numpy() - centre, axis=1).min()
                    assert distance > 7.0 or (atom, a, b, c) in found


def test_tiles_cover_the_grid_once():
    grid = uniform_grid(system_of("gaas"), 0.4)
    tiles = grid.tiles(500)
    points = np.concatenate([grid.points(tile).numpy() for tile in tiles])
    indices = np.rint(np.linalg.solve(grid.lattice.T, points.T).T * grid.mesh).astype(int)
    assert len(tiles) > 5
    assert len({tuple(i) for i in indices.tolist()}) == len(points) == grid.size
    assert np.all(np.linalg.norm(grid.lattice, axis=1) / grid.mesh <= 0.4)


@pytest.mark.parametrize("name", ["hbn", "gaas"])
def test_superposed_density_holds_all_electrons(name):
    system = system_of(name)
    potential = SuperposedPotential(system, ATOMS)
    quadrature = Quadrature(system, uniform_grid(system, 0.3), 2000, CPU)
    charge = volume = 0.0
    for patch in quadrature.patches:
        points, weights = quadrature.points(patch)
        charge += float(potential.at(points)[1][0] @ weights)
        volume += float(weights.sum())
    # the tails that the box cuts off a layer hold 1e-5 electrons
    assert charge == pytest.approx(system.n_electrons, abs=3e-5)
    assert volume == pytest.approx(system.volume, rel=1e-7)


def test_window_leaves_neighbours_out():
    system = system_of("hbn")
    distance = 1.45 / 0.529177
    assert 0.3 * distance < window_radius(system) < 0.5 * distance
    assert window_radius(system_of("mos2-1h")) == 1.4


def test_gradient_is_the_slope_of_the_density():
    system = system_of("gaas")
    moments = [2.0, -0.5]
    for potential in (
        SuperposedPotential(system, ATOMS),
        SuperposedPotential(system, ATOMS, moments),
    ):
        points = points_in(system, 200)
        gradient = potential.at(points)[2]
        for axis in range(3):
            differences = []
            for h in (0.01, 0.02):
                step = torch.zeros(3, dtype=torch.float64)
                step[axis] = h
                plus, minus = potential.at(points + step)[1], potential.at(points - step)[1]
                differences.append((plus - minus) / (2 * h))
            expected = (4 * differences[0] - differences[1]) / 3
            assert expected.abs().max() > 0.05
            torch.testing.assert_close(gradient[:, axis], expected, atol=2e-6, rtol=1e-5)


def test_moments_split_the_density():
    system = system_of("fe-bcc")
    points = points_in(system, 300)
    _, plain, _ = SuperposedPotential(system, ATOMS).at(points)
    _, spins, _ = SuperposedPotential(system, ATOMS, [2.2]).at(points)
    torch.testing.assert_close(spins.sum(dim=0), plain[0])
    quadrature = Quadrature(system, uniform_grid(system, 0.3), 2000, CPU)
    polarised = SuperposedPotential(system, ATOMS, [2.2])
    moment = 0.0
    for patch in quadrature.patches:
        where, weights = quadrature.points(patch)
        up, down = polarised.at(where)[1]
        moment += float((up - down) @ weights)
    assert moment == pytest.approx(2.2, abs=1e-4)


def test_without_moment_both_spins_are_the_unpolarised_potential():
    system = system_of("fe-bcc")
    points = points_in(system, 300)
    plain = SuperposedPotential(system, ATOMS)(points)
    spins = SuperposedPotential(system, ATOMS, [0.0])(points)
    for s in range(2):
        torch.testing.assert_close(spins.value[s], plain.value[0], atol=1e-9, rtol=1e-7)
        torch.testing.assert_close(spins.flux[s], plain.flux[0], atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("n_spin", [1, 2])
def test_flux_is_that_of_the_engine_s_potential(n_spin):
    # v_xc = ∂f/∂ρ − ∇·(∂f/∂∇ρ), here with the Fourier divergence of a periodic field
    grid = PlaneWaveGrid(np.diag([5.0, 6.0, 7.0]), (20, 24, 28), CPU)
    lattice = np.array(grid.mesh)
    fractional = np.stack(np.meshgrid(*[np.arange(n) / n for n in lattice], indexing="ij"))
    a, b, c = 2 * np.pi * fractional
    density = 0.2 + 0.05 * np.cos(a) + 0.04 * np.sin(b + c) + 0.02 * np.cos(b)
    fields = [density]
    if n_spin == 2:
        magnetic = 0.03 * np.cos(a - b) + 0.02
        fields = [(density + magnetic) / 2, (density - magnetic) / 2]
    densities = torch.as_tensor(np.stack(fields))
    _, expected = exchange_correlation(grid, densities)
    gradient = torch.stack([grid.gradient(grid.to_reciprocal(d)) for d in densities])
    local, flux = pbe_derivatives(
        densities.reshape(n_spin, -1).numpy(), gradient.reshape(n_spin, 3, -1).numpy()
    )
    for s in range(n_spin):
        divergence = grid.divergence(torch.as_tensor(flux[s]).reshape(3, *grid.mesh))
        found = torch.as_tensor(local[s]).reshape(grid.mesh) - divergence
        torch.testing.assert_close(found, expected[s], atol=1e-10, rtol=0)


def test_empty_space_has_a_finite_potential():
    local, flux = pbe_derivatives(np.array([[0.0, 1e-14]]), np.full((1, 3, 2), 1e-9))
    assert np.isfinite(local).all()
    assert not flux.any()


def test_estimated_error_falls_with_the_spacing_and_a_coarse_grid_is_refused():
    system = system_of("hbn")
    errors = [max(grid_errors(system, ATOMS, h).values()) for h in (0.25, 0.3, 0.4)]
    assert errors[0] < errors[1] / 2 < errors[2] / 4
    spacing = coarsest_spacing(system, ATOMS, 1.0)
    assert 0.24 < spacing < 0.3
    check_spacing(system, ATOMS, spacing, 1.0)
    said = r"0\.238 Å is too coarse: .* N .* meV .*0\.1[3-5]\d* Å would do"
    with pytest.raises(SettingsError, match=said):
        check_spacing(system, ATOMS, 0.45, 1.0)
    with pytest.raises(SettingsError, match="No grid"):
        coarsest_spacing(system, ATOMS, 1e-9)


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([1.0], "one finite moment for each of 2 atoms"),
        ([np.nan, 0.0], "finite"),
        ([0.0, 6.0], r"Atom 1 \(N\) cannot carry 6 µB: it has 5 valence"),
    ],
)
def test_impossible_moments_are_refused(moments, message):
    with pytest.raises(SettingsError, match=message):
        SuperposedPotential(system_of("hbn"), ATOMS, moments)


def test_missing_atom_is_named():
    structure = Structure(Lattice.cubic(5.0), ["Si"], [[0, 0, 0]])
    system = crystal_system(structure, DftSettings(kmesh=(1, 1, 1)))
    with pytest.raises(UnsupportedElementError, match="no table of a free atom for Si"):
        SuperposedPotential(system, ATOMS)


def test_radial_potentials_are_sums_over_atoms():
    system = system_of("hbn")
    radii = 0.02 * np.arange(301)
    shape = (1 - (radii / 6) ** 2) ** 2
    functions = {
        "N": np.stack([shape * np.exp(-(radii**2)), shape]),
        "B": shape[None] * np.exp(-2 * radii**2),
    }
    potentials = RadialPotentials(system, functions, 0.02)
    assert potentials.labels == [("B", 0), ("N", 0), ("N", 1)]
    points = points_in(system, 50)
    found = potentials(points).value
    expected = np.zeros(50)
    for a in range(-4, 5):
        for b in range(-4, 5):
            centre = system.positions[system.symbols.index("N")] + [a, b, 0] @ system.lattice
            r = np.linalg.norm(points.numpy() - centre, axis=1)
            expected += np.where(r < 6, (1 - (r / 6) ** 2) ** 2 * np.exp(-(r**2)), 0)
    np.testing.assert_allclose(found[1], expected, atol=1e-8)


@pytest.mark.parametrize("spacing", [0.0, np.nan, 3.0])
def test_impossible_spacings_are_refused(spacing):
    with pytest.raises(SettingsError, match=r"0\.02 … 2 bohr"):
        uniform_grid(system_of("hbn"), spacing)
