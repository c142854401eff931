"""Berry curvature, moments and dichroism against closed forms, identities and WannierBerri."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from models import graphene, square
from orthogonal import mixed, orthogonal, spinor_matrices

from hamexplorer.errors import CalculationCancelled, SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.berry import band_geometry, plane_axes
from hamexplorer.properties.chern import chern_numbers
from hamexplorer.units import HBAR2_OVER_ME

K = np.array([1 / 3, 1 / 3, 0])
HOP = 2.7
VELOCITY = np.sqrt(3) / 2 * 2.46 * HOP
"""ħv of graphene's cones, eV Å."""


def haldane(coupling: float = 0.1, stagger: float = 0.0):
    """Haldane's model, φ = π/2: Kane and Mele's spin-up half, far below the other."""
    model = graphene(kane_mele=coupling, stagger=stagger)
    return replace(model, exchange=-50 * model.overlap, n_electrons=1.0)


def k_mesh(n: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(n) / n] * 2, [0.0], indexing="ij"), -1).reshape(-1, 3)


# --- closed forms -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coupling", "stagger", "chern"), [(0.1, 0, 1), (-0.1, 0, -1), (0.1, 1, 0)]
)
def test_haldanes_chern_number(coupling: float, stagger: float, chern: int) -> None:
    # F. D. M. Haldane, Phys. Rev. Lett. 61, 2015 (1988): the sign is the coupling's, and a
    # staggering of more than 3√3 t₂ makes it trivial
    assert chern_numbers(haldane(coupling, stagger), 60).chern == pytest.approx(chern, abs=1e-3)


def test_kane_and_meles_spin_chern_number() -> None:
    # C. L. Kane and E. J. Mele, Phys. Rev. Lett. 95, 226801 (2005)
    numbers = chern_numbers(graphene(kane_mele=0.1), 60)
    assert numbers.spin_chern == pytest.approx(1, abs=1e-3)
    assert numbers.chern == pytest.approx(0, abs=1e-9)
    assert chern_numbers(graphene(kane_mele=0.1, stagger=1.0), 60).spin_chern == pytest.approx(
        0, abs=1e-3
    )


@pytest.mark.parametrize("away", [0.0, 0.004, 0.01])
def test_massive_dirac_curvature_and_moment(away: float) -> None:
    # D. Xiao, W. Yao, Q. Niu, Phys. Rev. Lett. 99, 236809 (2007): with E = ±√(Δ² + v²q²),
    # |Ω| = v²Δ / 2E³ and |m| = µB (2m/ħ²) E |Ω|, of opposite sign at K and K′
    mass = 0.2
    model = graphene(t=-HOP, stagger=mass)
    step = np.array([away, 0, 0])
    b = model.structure.lattice.reciprocal_lattice.matrix
    q = np.linalg.norm(step @ b)
    energy = np.hypot(mass, VELOCITY * q)
    curvature = VELOCITY**2 * mass / (2 * energy**3)
    at = band_geometry(model, [K + step, -K - step], bands=[0, 1, 2, 3])
    # trigonal warping is what is left beyond the cone
    tolerance = 0.01 if away == 0 else 0.06
    np.testing.assert_allclose(np.abs(at.curvature), curvature, rtol=tolerance)
    np.testing.assert_allclose(
        np.abs(at.moment), 2 / HBAR2_OVER_ME * energy * curvature, rtol=tolerance
    )
    assert (at.curvature[0] * at.curvature[1] < 0).all()
    assert (at.curvature[:, :2] * at.curvature[:, 2:] < 0).all()
    assert (at.moment[:, :2] * at.moment[:, 2:] > 0).all()


def test_selection_rules_of_gapped_graphene() -> None:
    at = band_geometry(
        graphene(stagger=0.3), [K, -K, [0.5, 0, 0]], bands=[1], transitions=([0, 1], [2, 3])
    )
    assert at.polarisation is not None
    np.testing.assert_allclose(at.polarisation, [-1, 1, 0], atol=1e-9)


# --- identities -------------------------------------------------------------------------------


@pytest.mark.parametrize("magnetic", [False, True])
def test_the_curvature_is_the_flux_through_a_small_loop(magnetic: bool) -> None:
    # T. Fukui, Y. Hatsugai, H. Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005): the phase around a
    # plaquette, from overlaps of states alone
    h = orthogonal(1, magnetic=magnetic)
    bands, k0, eps = [2, 3, 8], np.array([0.13, 0.27, 0.0]), 1e-4
    if not magnetic:
        bands = [1, 4]
    loop = k0 + eps * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    from hamexplorer.properties import BandSolver

    states = BandSolver(h, loop).states()
    place = np.tile(h.structure.frac_coords[h.basis.orbital_site], (2, 1))
    # lattice phases exp(ik·R) differ from exp(ik·(R + r)) by this diagonal
    cell_periodic = states.coefficients * np.exp(-2j * np.pi * (loop @ place.T))[:, :, None]
    lattice = h.structure.lattice.reciprocal_lattice.matrix * eps
    area = np.cross(lattice[0], lattice[1])[2]
    for band in bands:
        u = cell_periodic[:, :, band]
        phase = np.prod([np.vdot(u[i], u[(i + 1) % 4]) for i in range(4)])
        flux = -np.angle(phase) / area
        found = band_geometry(h, [k0 + eps * np.array([0.5, 0.5, 0])], bands=[band])
        assert found.curvature[0, 0] == pytest.approx(flux, rel=1e-4, abs=1e-4)


@hypothesis_settings(max_examples=8)
@given(seed=st.integers(0, 10_000), magnetic=st.booleans())
def test_other_orbitals_of_the_same_space_give_the_same(seed: int, magnetic: bool) -> None:
    h = orthogonal(seed, magnetic=magnetic)
    k = np.random.default_rng(seed).random((3, 3)) * [1, 1, 0]
    options = {"bands": range(16), "transitions": ([4, 5], [6, 7]), "occupied": 6}
    plain = band_geometry(h, k, **options)
    other = band_geometry(mixed(h, seed), k, **options)
    np.testing.assert_allclose(other.energies, plain.energies, atol=1e-9)
    size = np.abs(plain.curvature).max()
    np.testing.assert_allclose(other.curvature, plain.curvature, atol=1e-6 * size)
    np.testing.assert_allclose(other.moment, plain.moment, atol=1e-6 * np.abs(plain.moment).max())
    np.testing.assert_allclose(other.polarisation, plain.polarisation, atol=1e-7)
    np.testing.assert_allclose(other.occupied_curvature, plain.occupied_curvature, atol=1e-6 * size)


def test_chern_numbers_are_whole_in_overlapping_orbitals() -> None:
    # The curvature of the basis itself is needed: the Kubo sum alone is off.
    from models import build

    h = haldane(0.1)
    neighbours = dict.fromkeys([(0, 1, c) for c in ((0, 0, 0), (-1, 0, 0), (0, 1, 0))], 0.1)
    overlap = build(h.structure, h.basis.shells, 1.0, scalar={}, overlap=neighbours)
    flat = np.zeros_like(h.overlap)
    for pair in range(h.pairs.n_pairs):
        i, j = int(h.pairs.first[pair]), int(h.pairs.second[pair])
        cell = tuple(int(c) for c in h.pairs.cell[pair])
        stored = overlap.pairs._lookup.get((i, j, *cell))
        if stored is not None:
            h.pairs.block(flat, pair)[...] = overlap.pairs.block(overlap.overlap, stored)
    numbers = chern_numbers(replace(h, overlap=flat), 60)
    assert numbers.chern == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("position", [0.0, 0.3])
def test_time_reversal_makes_them_odd_and_sum_to_zero(position: float) -> None:
    h = orthogonal(5, position=position)
    k = np.random.default_rng(0).random((5, 3)) * [1, 1, 0]
    options = {"bands": range(16), "transitions": ([4, 5], [6, 7]), "occupied": 6}
    here, there = band_geometry(h, k, **options), band_geometry(h, -k, **options)
    for name in ("curvature", "moment", "spin", "polarisation", "occupied_curvature"):
        values = getattr(here, name)
        np.testing.assert_allclose(
            getattr(there, name), -values, atol=1e-7 * np.abs(values).max(), err_msg=name
        )
    mesh = band_geometry(h, k_mesh(12), bands=range(16), occupied=6)
    assert abs(mesh.occupied_curvature.sum()) < 1e-6
    assert np.abs(mesh.occupied_curvature).max() > 0.1


def test_all_bands_together_have_no_curvature() -> None:
    h = orthogonal(2, magnetic=True, position=0.0)
    k = np.random.default_rng(3).random((4, 3)) * [1, 1, 0]
    total = band_geometry(h, k, bands=range(16)).curvature
    np.testing.assert_allclose(total.sum(axis=1), 0, atol=1e-8 * np.abs(total).max())


def test_the_normal_turns_the_sign_and_the_axis() -> None:
    h = orthogonal(3, magnetic=True, planar=False)
    k = [[0.1, 0.23, 0.37]]
    along = {n: band_geometry(h, k, bands=[4], normal=n).curvature for n in ((0, 0, 1), (0, 0, -1))}
    np.testing.assert_allclose(along[(0, 0, 1)], -along[(0, 0, -1)])
    # a vector: along (1, 1, 1) the three components' mean
    parts = [band_geometry(h, k, bands=[4], normal=n).curvature for n in np.eye(3)]
    diagonal = band_geometry(h, k, bands=[4], normal=(1, 1, 1)).curvature
    np.testing.assert_allclose(diagonal, sum(parts) / np.sqrt(3), rtol=1e-8)


def test_degenerate_bands_share_whatever_window_is_asked_for() -> None:
    model = graphene(stagger=0.3)
    pair = band_geometry(model, [K], bands=[0, 1]).curvature
    single = band_geometry(model, [K], bands=[1]).curvature
    np.testing.assert_allclose(single[0, 0], pair[0, 1])


# --- an independent code ----------------------------------------------------------------------


@pytest.mark.parametrize("position", [0.0, 0.2])
def test_against_wannierberri(position: float) -> None:
    wb = pytest.importorskip("wannierberri", reason="WannierBerri (extra `test`) is not installed")
    h = orthogonal(7, magnetic=True, position=position, planar=False)
    hamiltonian, connection = spinor_matrices(h)
    matrices = {"Ham": _nested(hamiltonian)}
    nothing = {(0, 0, 0): {(0, 0): np.zeros(3)}}
    matrices["AA"] = _nested(connection) if position else nothing
    centres = np.tile(h.structure.frac_coords[h.basis.orbital_site], (2, 1))
    system = wb.system.System_R.from_sparse(
        real_lattice=h.structure.lattice.matrix, wannier_centers_red=centres, matrices=matrices
    )
    from wannierberri.formula.covariant import Omega

    for k in np.random.default_rng(1).random((3, 3)):
        for band in (0, 3, 8, 15):
            theirs = wb.evaluate_k(system, k=k, formula={"omega": Omega}, iband=[band])
            theirs = np.asarray(theirs["omega"] if isinstance(theirs, dict) else theirs)
            ours = [
                band_geometry(h, [k], bands=[band], normal=axis).curvature[0, 0]
                for axis in np.eye(3)
            ]
            np.testing.assert_allclose(ours, theirs.reshape(3).real, rtol=1e-6, atol=1e-9)


def _nested(blocks: dict) -> dict:
    return {
        cell: {(i, j): m[i, j] for i in range(len(m)) for j in range(len(m))}
        for cell, m in blocks.items()
    }


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bands": [2]}, "counted 0 … 1"),
        ({"bands": []}, "list of whole numbers"),
        ({"bands": [0.5]}, "list of whole numbers"),
        ({"occupied": 3}, "there are 2"),
        ({"normal": (0, 0, 0)}, "other than zero"),
        ({"normal": (0, np.nan, 1)}, "finite vector"),
        ({"transitions": ([0], [7])}, "counted 0 … 1"),
    ],
)
def test_bad_input(change: dict, words: str) -> None:
    options = {"bands": [0], **change}
    with pytest.raises(SettingsError, match=words):
        band_geometry(square(), [[0, 0, 0]], **options)


def test_cancelling() -> None:
    monitor = Monitor()
    monitor.cancel()
    with pytest.raises(CalculationCancelled):
        band_geometry(square(rashba=0.1), [[0, 0, 0]], bands=[0], monitor=monitor)


def test_plane_axes_are_right_handed() -> None:
    for normal in np.random.default_rng(0).normal(size=(5, 3)):
        first, second = plane_axes(normal)
        np.testing.assert_allclose(np.cross(first, second), normal / np.linalg.norm(normal))


def test_table() -> None:
    at = band_geometry(
        graphene(stagger=0.3), [K, -K], SpinState(0.0), bands=[1, 2], occupied=2
    ).to_dataframe()
    assert len(at) == 4
    assert list(at["band"]) == [1, 2, 1, 2]
    assert {"energy_eV", "berry_curvature_A2", "orbital_moment_muB", "spin_z"} <= set(at.columns)
