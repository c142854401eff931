"""Properties of Hamiltonians with a time-odd part: k and −k are not the same, A is in H and ∂H."""

from __future__ import annotations

from dataclasses import replace

import magnets
import models
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from orthogonal import mixed, orthogonal, spinor_matrices
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.properties import BandSolver, density_of_states
from hamexplorer.properties.anisotropy import (
    Directions,
    SecondVariation,
    magnetic_anisotropy,
    site_resolution,
    torque,
)
from hamexplorer.properties.anisotropy.symmetry import magnetic_symmetry
from hamexplorer.properties.bands import bands_on_mesh
from hamexplorer.properties.berry import band_geometry
from hamexplorer.properties.chern import chern_numbers
from hamexplorer.properties.derivative import BlochGradient
from hamexplorer.properties.fermi import FermiSolver, fermi_level
from hamexplorer.properties.mesh import has_time_reversal
from hamexplorer.properties.moments import site_moments
from hamexplorer.properties.spin import spin_texture
from hamexplorer.properties.valley import (
    find_valleys,
    valley_chern,
    valley_map,
    valley_readouts,
    valley_splitting,
)
from hamexplorer.properties.velocity import group_velocity

SOLID = {"t1": -1.0, "t2": 0.3, "phi": 1.0, "stagger": 0.4}
"""Haldane's model with E(k) ≠ E(−k)."""


# --- Chern numbers ------------------------------------------------------------------------------


def lattice_chern(t1: float, t2: float, phi: float, stagger: float, n: int = 24) -> float:
    """Of the lower band, from the closed-form 2 × 2 matrix and the phases around plaquettes:
    T. Fukui, Y. Hatsugai, H. Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005).
    """
    k = np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"), -1)
    near = np.exp(2j * np.pi * k @ np.array([[0, 0], [-1, 0], [0, 1]]).T).sum(-1)
    angle = 2 * np.pi * k @ np.array([[1, 0], [0, 1], [-1, -1]]).T
    matrix = np.empty((n, n, 2, 2), dtype=complex)
    matrix[..., 0, 0] = stagger + 2 * t2 * np.cos(angle + phi).sum(-1)
    matrix[..., 1, 1] = -stagger + 2 * t2 * np.cos(angle - phi).sum(-1)
    matrix[..., 0, 1], matrix[..., 1, 0] = t1 * near, t1 * near.conj()
    u = np.linalg.eigh(matrix)[1][..., 0]

    def link(axis: int) -> NDArray:
        overlap = (u.conj() * np.roll(u, -1, axis)).sum(-1)
        return overlap / np.abs(overlap)

    first, second = link(0), link(1)
    flux = first * np.roll(second, -1, 0) / np.roll(first, -1, 1) / second
    return float(-np.angle(flux).sum() / (2 * np.pi))


@pytest.mark.parametrize(
    ("phi", "stagger", "expected"),
    [(np.pi / 2, 0.0, 1), (-np.pi / 2, 0.0, -1), (0.9, 0.5, 1), (0.9, 2.0, 0), (-0.9, -0.5, -1)],
)
def test_haldanes_chern_number(phi: float, stagger: float, expected: int) -> None:
    # F. D. M. Haldane, Phys. Rev. Lett. 61, 2015 (1988): ±1 where |M| < 3√3 |t₂ sin φ|
    t1, t2 = -1.0, 0.25
    assert lattice_chern(t1, t2, phi, stagger) == pytest.approx(expected, abs=1e-9)
    both = models.haldane(t1, t2, phi, stagger)
    numbers = chern_numbers(both, 60)
    assert numbers.chern / 2 == pytest.approx(expected, abs=1e-3)  # two spins alike
    assert numbers.spin_chern == pytest.approx(0, abs=1e-9)
    one = replace(both, exchange=-50 * both.overlap, n_electrons=1.0)
    assert chern_numbers(one, 60).chern == pytest.approx(expected, abs=1e-3)


# --- k-meshes -----------------------------------------------------------------------------------


def test_opposite_k_are_the_same_only_where_they_are() -> None:
    h = models.haldane(**SOLID)
    assert not has_time_reversal(h, SpinState())
    assert has_time_reversal(replace(h, time_odd=None), SpinState())
    # a collinear field without spin–orbit coupling keeps E(k) = E(−k), A does not
    field = replace(h, exchange=0.2 * h.overlap)
    assert not has_time_reversal(field, SpinState())
    assert not has_time_reversal(field, SpinState(exchange=0.0))
    assert has_time_reversal(replace(field, time_odd=None), SpinState())


@pytest.mark.parametrize("field", [0.0, 0.3])
def test_fermi_level_and_states_are_those_of_the_full_mesh(field: float) -> None:
    shape, kt = (9, 9, 1), 0.02
    h = models.haldane(**SOLID, n_electrons=1.3)
    if field:
        h = replace(h, exchange=field * h.overlap)
    full = FermiSolver(h, shape, kt, time_reversal=False).level().energy
    wrong = FermiSolver(h, shape, kt, time_reversal=True).level().energy
    assert abs(wrong - full) > 1e-3  # what half of the mesh would say
    assert FermiSolver(h, shape, kt).level().energy == pytest.approx(full, abs=1e-12)
    assert fermi_level(h, None, shape, kt).energy == pytest.approx(full, abs=1e-12)
    mesh = bands_on_mesh(h, shape)
    assert len(mesh.kpoints) == 81
    # the density of states against the closed form on all points
    k = np.stack(np.meshgrid(*[np.arange(9) / 9] * 2, [0.0], indexing="ij"), -1).reshape(-1, 3)
    levels = models.haldane_bands(k, *SOLID.values())
    levels = np.concatenate([levels + field, levels - field], axis=1)
    dos = density_of_states(h, mesh=shape, method="gaussian", broadening=0.2, step=0.05)
    shift = (dos.energies[:, None, None] - levels) / 0.2
    expected = np.exp(-(shift**2) / 2).sum(axis=(1, 2)) / (81 * 0.2 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(dos.total, expected, atol=0.02)  # mean over a bin
    tetrahedra = density_of_states(h, mesh=shape)
    assert tetrahedra.integrated[-1] == pytest.approx(4, abs=1e-9)


# --- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [SpinState(), SpinState(0.5, 30, 70, 0.8), SpinState(soc=0)])
def test_slopes_are_finite_differences(state: SpinState) -> None:
    h = models.with_time_odd(models.random_crystal(2, [models.S, models.P], magnetic=True))
    k = np.random.default_rng(3).random((4, 3))
    found = group_velocity(h, k, state)
    to_fractional = np.asarray(h.structure.lattice.matrix) / (2 * np.pi)
    step = 1e-4
    for axis in range(3):
        shift = step * to_fractional[:, axis]
        plus, minus = (BandSolver(h, k + s * shift).energies(state) for s in (1, -1))
        np.testing.assert_allclose(found.slopes[..., axis], (plus - minus) / (2 * step), atol=2e-5)


def test_the_gradient_of_h_is_hermitian_and_linear_in_a() -> None:
    h = models.with_time_odd(models.random_crystal(2, [models.S, models.P], magnetic=True))
    k = np.random.default_rng(5).random((3, 3))
    whole = BlochGradient(h)(k).hamiltonian
    torch.testing.assert_close(whole, whole.mH, atol=1e-12, rtol=0)
    without = BlochGradient(replace(h, time_odd=None))(k).hamiltonian
    twice = BlochGradient(replace(h, time_odd=2 * h.time_odd))(k).hamiltonian
    torch.testing.assert_close(twice - whole, whole - without, atol=1e-12, rtol=0)
    assert (whole - without).abs().max() > 1


def test_the_curvature_is_wannierberris() -> None:
    h = models.with_time_odd(orthogonal(7, magnetic=True, position=0.2, planar=False))
    hamiltonian, connection = spinor_matrices(h)
    wb = pytest.importorskip("wannierberri", reason="WannierBerri (extra `test`) is not installed")
    from wannierberri.formula.covariant import Omega

    def nested(blocks: dict) -> dict:
        return {c: {(i, j): m[i, j] for i, j in np.ndindex(m.shape[:2])} for c, m in blocks.items()}

    system = wb.system.System_R.from_sparse(
        real_lattice=h.structure.lattice.matrix,
        wannier_centers_red=np.tile(h.structure.frac_coords[h.basis.orbital_site], (2, 1)),
        matrices={"Ham": nested(hamiltonian), "AA": nested(connection)},
    )
    for k in np.random.default_rng(1).random((2, 3)):
        for band in (0, 3, 8):
            theirs = wb.evaluate_k(system, k=k, formula={"omega": Omega}, iband=[band])
            theirs = np.asarray(theirs["omega"] if isinstance(theirs, dict) else theirs)
            ours = [
                band_geometry(h, [k], bands=[band], normal=axis).curvature[0, 0]
                for axis in np.eye(3)
            ]
            np.testing.assert_allclose(ours, theirs.reshape(3).real, rtol=1e-6, atol=1e-9)


def test_overlapping_orbitals_give_the_same() -> None:
    plain = models.with_time_odd(orthogonal(11))
    k = np.random.default_rng(2).random((3, 3)) * [1, 1, 0]
    options = {"bands": range(16), "occupied": 6}
    here, there = (band_geometry(x, k, **options) for x in (plain, mixed(plain, 11)))
    np.testing.assert_allclose(there.energies, here.energies, atol=1e-9)
    for name in ("curvature", "moment", "occupied_curvature"):
        size = np.abs(getattr(here, name)).max()
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-6 * size)
    np.testing.assert_allclose(
        spin_texture(mixed(plain, 11), k).spin, spin_texture(plain, k).spin, atol=1e-6
    )


# --- moments ------------------------------------------------------------------------------------


def test_orbital_currents_have_a_moment_without_any_exchange() -> None:
    here = (0, 0, (0, 0, 0))
    h = models.build(
        Structure(Lattice.cubic(10), ["Bi"], [[0, 0, 0]]),
        [[models.P]],
        2.0,
        scalar={here: np.zeros((3, 3))},
        time_odd={here: 0.3 * models.L_P[2]},  # iA = 0.3 L_z
    )
    levels = BandSolver(h, [[0, 0, 0]]).energies()[0]
    np.testing.assert_allclose(levels, [-0.3, -0.3, 0, 0, 0.3, 0.3], atol=1e-14)
    moments = site_moments(h, mesh=(1, 1, 1), smearing=0.005)
    np.testing.assert_allclose(moments.orbital, [[0, 0, -2]], atol=1e-12)  # m = −1, both spins
    np.testing.assert_allclose(moments.spin, 0, atol=1e-12)
    none = site_moments(replace(h, time_odd=None), mesh=(1, 1, 1))
    assert not none.orbital.any()


# --- valleys ------------------------------------------------------------------------------------


def brute_gap(h: Hamiltonian, k: NDArray) -> float:
    levels = BlochSum(h, "cpu")([k]).spinor()[0].numpy()
    return float(np.diff(np.linalg.eigvalsh(levels)[1:3])[0])


def test_each_valley_is_searched_and_integrated_by_itself() -> None:
    h = models.haldane(-1.0, 0.05, np.pi / 2, 0.4)
    first, second = find_valleys(h)
    gaps = [brute_gap(h, valley.kpoint) for valley in (first, second)]
    expected = 2 * np.abs(0.4 + 3 * np.sqrt(3) * 0.05 * np.array([1, -1]))
    np.testing.assert_allclose(np.sort(gaps), np.sort(expected), atol=1e-9)
    pair = valley_readouts(h)
    assert abs(pair.gap_difference) == pytest.approx(1e3 * np.ptp(expected), abs=1e-6)
    # Ω(−k) ≠ −Ω(k): the halves of a trivial insulator still add to zero, not by construction
    halves = valley_chern(h, tolerance=5e-4)
    assert halves.total == pytest.approx(0, abs=5e-3)
    chern = valley_chern(models.haldane(-1.0, 0.2, np.pi / 2, 0.4), tolerance=5e-4)
    assert chern.total == pytest.approx(2, abs=5e-3)
    assert chern.k_prime != -chern.k
    splitting = valley_splitting(h, [0.0, 10.0])
    assert splitting.gap[0] == pytest.approx(pair.gap_difference, abs=1e-6)


def test_valleys_are_not_each_others_opposites() -> None:
    # a current along one direction alone moves K and K′ differently
    h = models.haldane(-1.0, 0.05, np.pi / 2, 0.4)
    flux = np.where(h.pairs.cell[h.pairs.element_pair, 1] == 0, h.time_odd, 0.2 * h.time_odd)
    h = replace(h, time_odd=flux)
    first, second = find_valleys(h)
    assert np.linalg.norm(first.place + second.place) > 0.01
    for valley, other in ((first, second), (second, first)):
        assert valley.found
        assert brute_gap(h, valley.kpoint) < brute_gap(h, -other.kpoint) - 1e-4
        slope = [
            brute_gap(h, valley.kpoint + step) - brute_gap(h, valley.kpoint)
            for step in 1e-3 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
        ]
        assert min(slope) > 0


@pytest.mark.parametrize(("t2", "phi"), [(0.2, np.pi / 2), (0.2, 0.6), (1e-5, np.pi / 2)])
def test_a_map_is_that_of_all_points(t2: float, phi: float) -> None:
    h = models.haldane(-1.0, t2, phi, 0.4)
    reduced, full = valley_map(h, 8), valley_map(h, 8, symmetry=False)
    for name, values in full.fields.items():
        np.testing.assert_allclose(reduced.fields[name], values, atol=1e-9, err_msg=name)
    gap = full.field("gap")
    assert np.abs(gap - gap[-np.arange(8)][:, -np.arange(8)]).max() > t2


# --- anisotropy ---------------------------------------------------------------------------------


def test_the_force_theorem_refuses_what_does_not_turn() -> None:
    plain = magnets.tetragonal()
    on_site = plain.pairs.index(0, 0)
    flux = np.zeros_like(plain.scalar)
    plain.pairs.block(flux, on_site)[...] = 0.02 * models.L_P[2]
    h, arc, mesh = replace(plain, time_odd=flux), Directions.arc([0, 90, 180]), (2, 2, 2)
    message = (
        r"Fe holds a time-odd spin-independent part \(orbital currents\) up to 20 meV that does "
        r"not turn with n"
    )
    for call in (
        lambda: magnetic_anisotropy(h, arc, mesh),
        lambda: magnetic_anisotropy(h, arc, mesh, method="second variation"),
        lambda: SecondVariation(h, mesh),
        lambda: torque(h, arc, mesh),
        lambda: site_resolution(h, (0, 0), (90, 0), mesh),
    ):
        with pytest.raises(SettingsError, match=message):
            call()
    # and rightly: the energies along n and −n differ
    up, down = (fermi_level(h, SpinState(theta=theta), mesh, 0.1).energy for theta in (0.0, 180.0))
    assert abs(up - down) > 1e-5
    assert magnetic_symmetry(plain, mesh).order > 1
    assert magnetic_symmetry(h, mesh).order == 1


def test_a_negligible_one_is_no_obstacle() -> None:
    plain = magnets.tetragonal()
    flux = np.zeros_like(plain.scalar)
    plain.pairs.block(flux, plain.pairs.index(0, 0))[...] = 5e-10 * models.L_P[2]
    arc, mesh = Directions.arc([0, 90]), (3, 3, 3)
    expected = magnetic_anisotropy(plain, arc, mesh)
    found = magnetic_anisotropy(replace(plain, time_odd=flux), arc, mesh)
    assert found.n_operations == 1
    np.testing.assert_allclose(found.energies, expected.energies, atol=1e-8)
