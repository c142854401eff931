"""Valleys: search, readouts, maps, Chern contributions and splittings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models import chain, graphene, silicon, square
from pymatgen.core import Lattice

from hamexplorer.assets_path import asset
from hamexplorer.errors import CalculationCancelled, HamexplorerError, SettingsError, StructureError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState, load_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.field import spin_splitting_of_tesla, with_field
from hamexplorer.properties.valley import (
    MAP_FIELDS,
    Valley,
    ValleyPair,
    find_valleys,
    valley_chern,
    valley_map,
    valley_readouts,
    valley_splitting,
)
from hamexplorer.properties.valley.symmetry import mesh_orbits
from hamexplorer.structures.zone import planar_zone


@pytest.fixture(scope="module")
def mos2() -> Hamiltonian:
    return load_hamiltonian(asset("examples/mos2.h5"))


@pytest.fixture(scope="module")
def corners(mos2: Hamiltonian) -> tuple[Valley, Valley]:
    return find_valleys(mos2)


@pytest.fixture(scope="module")
def pair(mos2: Hamiltonian, corners: tuple[Valley, Valley]) -> ValleyPair:
    return valley_readouts(mos2, valleys=corners)


# --- MoS2 -------------------------------------------------------------------------------------


def test_mos2_spins_are_locked_to_the_valleys(pair: ValleyPair) -> None:
    assert pair.k.valley.shift == 0
    for band in (0, 1):
        assert abs(pair.k.spin[band, 2]) >= 0.99
    # the spins of the two bands, and of one band in the two valleys, are opposite
    assert pair.k.spin[0, 2] * pair.k.spin[1, 2] < 0
    np.testing.assert_allclose(pair.k_prime.spin, -pair.k.spin, atol=1e-9)
    np.testing.assert_allclose(pair.k_prime.energies, pair.k.energies, atol=1e-9)
    assert pair.k.valence_splitting == pytest.approx(144, abs=3)
    assert pair.valence_difference == pytest.approx(0, abs=1e-6)


def test_mos2_absorbs_one_helicity_in_each_valley(pair: ValleyPair) -> None:
    # T. Cao et al., Nat. Commun. 3, 887 (2012): C3 at K lets one helicity alone through
    assert abs(pair.k.polarisation) >= 0.99
    assert pair.k_prime.polarisation == pytest.approx(-pair.k.polarisation, abs=1e-9)


def test_mos2_berry_curvature_at_k(pair: ValleyPair) -> None:
    # D. Xiao et al., Phys. Rev. Lett. 108, 196802 (2012), table I, fitted to PBE bands:
    # a = 3.193 Å, t = 1.10 eV, Δ = 1.66 eV, 2λ = 0.15 eV; Ω = 2 a²t²/(Δ ∓ λ)² at K
    published = [2 * (3.193 * 1.10) ** 2 / (1.66 + sign * 0.075) ** 2 for sign in (1, -1)]
    np.testing.assert_allclose(np.abs(pair.k.curvature[:2]), published, rtol=0.15)
    np.testing.assert_allclose(pair.k_prime.curvature, -pair.k.curvature, rtol=1e-6)
    assert (pair.k.curvature[:2] * pair.k.curvature[2:] < 0).all()
    assert pair.position == "exact"


def test_mos2_bright_transition_in_a_magnetic_field(pair: ValleyPair) -> None:
    # about −4 in all layers of this family: A. Srivastava et al., Nat. Phys. 11, 141 (2015),
    # WSe2; T. Woźniak et al., Phys. Rev. B 101, 235408 (2020), computed
    assert pair.bright_g == pytest.approx(-4, abs=0.8)


def test_g_of_a_massive_dirac_cone_is_zero() -> None:
    # both bands have the same moment: the gap does not move (D. Xiao et al., Phys. Rev. Lett. 99,
    # 236809 (2007))
    assert valley_readouts(graphene(stagger=0.2)).bright_g == pytest.approx(0, abs=1e-6)


def test_mos2_map(mos2: Hamiltonian, pair: ValleyPair) -> None:
    half = valley_map(mos2, 6)
    whole = valley_map(mos2, 6, symmetry=False)
    assert set(half.fields) == set(MAP_FIELDS)
    for name in MAP_FIELDS:
        scale = np.abs(whole.field(name)).max()
        np.testing.assert_allclose(
            half.field(name), whole.field(name), atol=1e-7 * scale, err_msg=name
        )
    # K is a point of a mesh of 6: the map shows there what the readout says
    readout = pair.k
    assert whole.field("curvature")[2, 2] == pytest.approx(readout.curvature[1])
    assert whole.field("gap")[2, 2] == pytest.approx(readout.gap)
    assert abs(whole.field("occupied_curvature").sum()) < 1e-6
    assert whole.overlapping == 0
    frame = whole.to_dataframe()
    assert len(frame) == 36
    at_k = frame.iloc[2 * 6 + 2]
    corner = np.linalg.norm(whole.zone.corners["K"])
    assert np.hypot(at_k.kx_per_A, at_k.ky_per_A) == pytest.approx(corner)


@pytest.mark.parametrize(
    ("field", "state"),
    [
        (0.0, SpinState()),
        (30.0, SpinState()),
        (30.0, SpinState(theta=90)),
        (30.0, SpinState(theta=40, phi=10)),
        (30.0, SpinState(soc=0.0)),
    ],
)
def test_maps_reduced_by_symmetry_are_the_whole_maps(field: float, state: SpinState) -> None:
    h = graphene(stagger=0.3, kane_mele=0.03)
    h = with_field(h, field) if field else h
    half, whole = valley_map(h, 9, state), valley_map(h, 9, state, symmetry=False)
    for name in MAP_FIELDS:
        scale = max(float(np.abs(whole.field(name)).max()), 1e-3)
        np.testing.assert_allclose(
            half.field(name), whole.field(name), atol=1e-6 * scale, err_msg=name
        )


def test_symmetry_saves_what_it_should(mos2: Hamiltonian) -> None:
    zone = planar_zone(mos2.structure)
    # C3, the mirror and time reversal: a twelfth of the zone, and its edges
    assert len(mesh_orbits(mos2, zone, 60, SpinState()).representatives) == 331
    along = mesh_orbits(with_field(mos2, 20), zone, 60, SpinState())
    assert 600 <= len(along.representatives) <= 700


def test_a_field_splits_the_valleys(
    mos2: Hamiltonian, pair: ValleyPair, corners: tuple[Valley, Valley]
) -> None:
    # spin up along z at K's top valence band: the field moves it by half its splitting
    curve = valley_splitting(mos2, [-20, 0, 20, 40], valleys=corners)
    spin = pair.k.spin[1, 2]
    np.testing.assert_allclose(curve.valence, np.array([-20, 0, 20, 40]) * spin, atol=1e-2)
    # the same from the Hamiltonian with the field in it
    with_it = valley_readouts(with_field(mos2, 20.0), valleys=corners)
    assert with_it.valence_difference == pytest.approx(curve.valence[2], abs=1e-6)
    assert with_it.gap_difference == pytest.approx(curve.gap[2], abs=1e-6)
    assert with_it.polarisation(300) == pytest.approx(
        np.tanh(curve.valence[2] / (2 * 25.852)), 1e-4
    )
    # in the plane the field works against the spin-orbit coupling and splits no valleys
    flat = valley_splitting(mos2, [20], SpinState(theta=90), valleys=corners)
    assert abs(flat.valence[0]) < 0.1
    # four fifths of the band's edge are the metal's d orbitals
    metal = valley_splitting(mos2, [20], sites=[0], valleys=corners)
    sulphur = valley_splitting(mos2, [20], sites=[1, 2], valleys=corners)
    assert metal.valence[0] / curve.valence[2] == pytest.approx(0.8, abs=0.05)
    assert metal.valence[0] + sulphur.valence[0] == pytest.approx(curve.valence[2], rel=1e-2)


# --- models -----------------------------------------------------------------------------------


def test_gapped_graphene_has_half_a_chern_number_per_valley_and_spin() -> None:
    # W. Yao, S. A. Yang, Q. Niu, Phys. Rev. Lett. 102, 096801 (2009). What is missing of 1/2 is
    # linear in the gap, so that two gaps give the limit.
    wide, narrow = (
        valley_chern(graphene(stagger=gap), tolerance=5e-4, max_kpoints=200_000)
        for gap in (0.1, 0.05)
    )
    assert wide.valley / 2 * np.sign(wide.valley) == pytest.approx(0.485, abs=2e-3)
    limit = (2 * narrow.valley - wide.valley) / 2
    assert abs(limit) == pytest.approx(0.5, abs=1e-3)
    assert narrow.total == 0
    assert narrow.k_prime == -narrow.k


def test_valley_contributions_of_haldanes_model_add_up() -> None:
    model = graphene(kane_mele=0.1, stagger=0.2)
    haldane = replace(model, exchange=-50 * model.overlap, n_electrons=2.0)
    # both lower bands of one spin filled would be trivial; with one spin's two bands C = 0
    assert valley_chern(haldane).total == pytest.approx(0, abs=5e-3)
    spins = valley_chern(model)
    assert spins.total == 0


def test_valleys_are_found_where_strain_moves_them() -> None:
    # one hop stronger moves graphene's cones along the zone's edge; closed form: the zero of
    # t' + t (e^{iφ₁} + e^{iφ₂}), cos φ = −t'/2t
    base = graphene(stagger=0.1)
    strong = 1.15
    scalar = base.scalar.copy()
    for i, j, cell in ((0, 1, (0, 0, 0)), (1, 0, (0, 0, 0))):
        base.pairs.block(scalar, base.pairs.index(i, j, cell))[...] *= strong
    h = replace(base, scalar=scalar)
    first, second = find_valleys(h)
    assert first.found
    assert first.shift > 0.05
    phases = [2 * np.pi * np.dot(first.kpoint, cell) for cell in ((-1, 0, 0), (0, 1, 0))]
    np.testing.assert_allclose(np.cos(phases), -strong / 2, atol=1e-4)
    np.testing.assert_allclose(second.kpoint, -first.kpoint, atol=1e-4)
    pair = valley_readouts(h)
    assert pair.k.gap == pytest.approx(0.2, abs=1e-7)


def test_unstrained_valleys_are_the_corners_exactly() -> None:
    for extremum in ("gap", "valence", "conduction"):
        first, second = find_valleys(graphene(stagger=0.1), extremum=extremum)
        np.testing.assert_allclose(first.kpoint[:2], 1 / 3, atol=1e-12)
        assert second.shift == 0


def _with_second_neighbours(stagger: float, hop: float) -> Hamiltonian:
    """Gapped graphene with hops between second neighbours, which shift both bands alike."""
    model = graphene(stagger=stagger, kane_mele=1e-9)
    scalar = model.scalar.copy()
    far = (model.pairs.first == model.pairs.second) & model.pairs.cell.any(axis=1)
    scalar[far[model.pairs.element_pair]] = hop
    return replace(model, scalar=scalar)


def test_a_valley_that_is_none_is_said() -> None:
    # the second neighbours' 2 t₂ Σ cos k·R is lowest at K: the valence band has a hollow there
    hollow = find_valleys(_with_second_neighbours(20.0, 0.3), extremum="valence")
    assert not any(valley.found for valley in hollow)
    assert hollow[0].shift == 0
    valley = find_valleys(_with_second_neighbours(20.0, -0.3), extremum="valence")
    assert all(v.found for v in valley)


@pytest.mark.parametrize("sites", [None, [0]])
def test_fields_on_a_collinear_magnet_add_to_its_own(sites: list[int] | None) -> None:
    model = graphene(stagger=0.3, kane_mele=0.02)
    magnet = replace(model, exchange=0.05 * model.overlap)
    state = SpinState(theta=35, phi=20)
    curve = valley_splitting(magnet, [30.0], state, sites=sites)
    rebuilt = valley_readouts(
        with_field(magnet, 30.0, sites), state, valleys=find_valleys(magnet, state)
    )
    np.testing.assert_allclose(curve.energies[0, 0], rebuilt.k.energies, atol=1e-9)
    np.testing.assert_allclose(curve.energies[0, 1], rebuilt.k_prime.energies, atol=1e-9)


def test_a_uniform_field_splits_every_band_exactly() -> None:
    h = with_field(chain(s=0.2), 40.0)
    energies = np.linalg.eigvals(
        np.linalg.solve(
            BlochSum(h, "cpu")([[0.3, 0, 0]]).spinor_overlap()[0].numpy(),
            BlochSum(h, "cpu")([[0.3, 0, 0]]).spinor()[0].numpy(),
        )
    ).real
    assert np.ptp(energies) == pytest.approx(0.040, abs=1e-12)
    assert spin_splitting_of_tesla(10.0) == pytest.approx(1.159, abs=1e-3)


def test_a_three_component_field_gets_it_along_its_own_axis() -> None:
    model = graphene(stagger=0.3)
    collinear = replace(model, exchange=0.05 * model.overlap)
    vector = replace(
        model, exchange=np.stack([0 * model.overlap, 0 * model.overlap, 0.05 * model.overlap])
    )
    state = SpinState(theta=60, phi=30)
    one = valley_readouts(with_field(collinear, 10.0), state)
    three = valley_readouts(with_field(vector, 10.0), state)
    np.testing.assert_allclose(one.k.energies, three.k.energies, atol=1e-12)


# --- what cannot be done ----------------------------------------------------------------------


@pytest.mark.parametrize("function", [valley_map, find_valleys, valley_readouts, valley_chern])
def test_bulk_and_other_lattices(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StructureError, match="Si is not a layer"):
        function(silicon())
    with pytest.raises(
        SettingsError, match=r"four corners|no two valleys|two bands on either side"
    ):
        function(square(n_electrons=2.0))


def test_a_metal_with_an_odd_electron_is_refused() -> None:
    h = replace(graphene(), n_electrons=1.5)
    with pytest.raises(SettingsError, match="no whole number of bands"):
        valley_map(h, 4)


def test_overlapping_bands_are_said() -> None:
    # both bands move with 2 t₂ Σ cos k·R, so that the valence band's top passes the other's bottom
    assert valley_map(_with_second_neighbours(0.1, 1.0), 12).overlapping > 0.5
    assert valley_map(_with_second_neighbours(0.1, 0.0), 12).overlapping == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda h: valley_map(h, 1), "2 … 400"),
        (lambda h: valley_map(h, 4.5), "2 … 400"),
        (lambda h: valley_map(h, True), "2 … 400"),
        (lambda h: valley_map(h, 4).field("colour"), "A map shows"),
        (lambda h: valley_splitting(h, [np.nan]), "10000"),
        (lambda h: valley_splitting(h, []), "list of 1"),
        (lambda h: valley_splitting(h, [5], sites=[2]), "sites of 0 … 1"),
        (lambda h: with_field(h, np.inf), "10000"),
        (lambda h: with_field(h, 1, []), "one or more sites"),
        (lambda h: find_valleys(h, extremum="top"), "extremum of"),
        (lambda h: valley_chern(h, tolerance=0), "positive number"),
        (lambda h: valley_chern(h, max_kpoints=50), "too sharp"),
        (lambda h: valley_readouts(h).polarisation(-3), "positive number of K"),
        (lambda _: spin_splitting_of_tesla(np.nan), "finite number of tesla"),
    ],
)
def test_bad_input(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(HamexplorerError, match=words):
        call(graphene(stagger=0.3))


def test_cancelling() -> None:
    monitor = Monitor()
    monitor.cancel()
    for function in (valley_map, valley_chern):
        with pytest.raises(CalculationCancelled):
            function(graphene(stagger=0.3), monitor=monitor)


def test_tables() -> None:
    h = graphene(stagger=0.3)
    assert list(valley_readouts(h).to_dataframe()["valley"]) == ["K"] * 4 + ["K′"] * 4
    assert list(valley_splitting(h, [0, 1]).to_dataframe()["field_meV"]) == [0, 1]
    assert set(valley_chern(h).to_dataframe()) == {"C_K", "C_K_prime", "C", "C_valley"}


def test_orientation_does_not_matter() -> None:
    # the layer turned in space: the same curvature along its own normal
    model = graphene(stagger=0.3)
    angle = np.radians(50)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    structure = model.structure.copy()
    structure.lattice = Lattice(model.structure.lattice.matrix @ turn.T)
    turned = replace(model, structure=structure)
    np.testing.assert_allclose(
        valley_readouts(turned).k.curvature, valley_readouts(model).k.curvature, rtol=1e-8
    )
