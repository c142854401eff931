"""PythTB's models: its own eigenvalues against ours, both ways."""

from __future__ import annotations

import sys
from dataclasses import replace

import models
import numpy as np
import pytest
from spin_cases import KINDS, eigenvalues, random_case
from wannier_files import bands, hr, win

from hamexplorer.errors import HamexplorerError, ResourceLimitError, SettingsError
from hamexplorer.formats import ReadOptions, bundle_of_bytes, read_bundle
from hamexplorer.formats.lowdin import orthogonalised
from hamexplorer.formats.pythtb import to_pythtb
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.berry import band_geometry

pythtb = pytest.importorskip("pythtb")

K = np.random.default_rng(6).random((4, 3))
TILTED = SpinState(soc=0.6, theta=40.0, phi=110.0, exchange=0.9)


def assert_same(model: pythtb.tb_model, h: Hamiltonian, state: SpinState, axes: list[int]) -> None:
    for k in K:
        theirs = model.solve_one(k[axes]) if axes else model.solve_one()
        ours = eigenvalues(h, k, state)
        if len(theirs) < len(ours):
            theirs = np.repeat(theirs, 2)
        assert np.abs(np.sort(theirs) - ours).max() < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_pythtb_finds_the_same_energies(kind):
    h = random_case(kind, orthogonal=True)
    kept = np.abs(h.scalar) > 1.2  # PythTB is slow: some hundred hoppings of its 1500
    parts = {
        name: flat * kept
        for name in ("scalar", "exchange", "spin_orbit", "time_odd")
        if (flat := getattr(h, name)) is not None
    }
    h = replace(h, **parts)
    assert_same(to_pythtb(h, TILTED), h, TILTED, [0, 1, 2])


@pytest.mark.parametrize(
    ("h", "axes"),
    [
        (models.chain(field=0.2), [0]),
        (models.graphene(kane_mele=0.1), [0, 1]),
        (models.silicon(xi=0.1), [0, 1, 2]),
        (models.p_atom(field=0.3), []),
    ],
    ids=["chain", "graphene", "silicon", "atom"],
)
def test_periodic_along_the_axes_that_blocks_reach_along(h, axes):
    model = to_pythtb(h, TILTED)
    assert model._dim_k == len(axes)
    assert model._nspin == 2
    assert_same(model, h, TILTED, axes)


def test_orbitals_stand_at_their_sites_in_our_order():
    h = models.silicon()
    model = to_pythtb(h)
    assert model._nspin == 1
    np.testing.assert_allclose(model.get_orb(), h.structure.frac_coords[[0] * 4 + [1] * 4])
    np.testing.assert_allclose(model.get_lat(), h.structure.lattice.matrix)
    np.testing.assert_allclose(model._site_energies, [0, 7.2, 7.2, 7.2] * 2)


def test_haldanes_model_has_pythtbs_chern_number():
    """Berry flux of the lower band by PythTB's plaquettes, by ours, and the sign of sin φ."""
    for phi in (1.2, -1.2):
        h = models.haldane(t2=0.2, phi=phi)
        model = to_pythtb(h)
        array = pythtb.wf_array(model, [25, 25])
        array.solve_on_grid([0.0, 0.0])
        theirs = array.berry_flux([0]) / (2 * np.pi)
        assert abs(theirs) == pytest.approx(1, abs=1e-6)
        assert np.sign(theirs) == np.sign(haldane_flux(h))


def haldane_flux(h: Hamiltonian) -> float:
    step = np.arange(24) / 24
    k = np.array([[a, b, 0.0] for a in step for b in step])
    return float(band_geometry(h, k, bands=[0]).curvature.sum())


def pythtb_haldane(t1: float, t2: complex, mass: float) -> pythtb.tb_model:
    """As PythTB's own example writes it."""
    lattice = [[1.0, 0.0], [0.5, np.sqrt(3.0) / 2.0]]
    model = pythtb.tb_model(2, 2, lattice, [[1 / 3, 1 / 3], [2 / 3, 2 / 3]])
    model.set_onsite([-mass, mass])
    for cell in ([0, 0], [-1, 0], [0, -1]):
        model.set_hop(t1, 0, 1, cell)
    for i, j, cell in ((0, 0, [1, 0]), (1, 1, [1, -1]), (1, 1, [0, 1])):
        model.set_hop(t2, i, j, cell)
    for i, j, cell in ((1, 1, [1, 0]), (0, 0, [1, -1]), (0, 0, [0, 1])):
        model.set_hop(np.conj(t2), i, j, cell)
    return model


def test_haldanes_model_of_pythtb_through_wannier90s_file():
    """PythTB → _hr.dat → ours: the same bands, and back as PythTB's model again."""
    t1, t2, mass = -1.0, 0.15 * np.exp(0.5j * np.pi), 0.2
    model = pythtb_haldane(t1, t2, mass)
    matrices = {(0, 0, 0): np.diag([-mass, mass]).astype(complex)}
    for amplitude, i, j, cell in model._hoppings:
        there = (int(cell[0]), int(cell[1]), 0)
        back = tuple(-c for c in there)
        matrices.setdefault(there, np.zeros((2, 2), dtype=complex))[i, j] += amplitude
        matrices.setdefault(back, np.zeros((2, 2), dtype=complex))[j, i] += np.conj(amplitude)
    lattice = np.diag([0.0, 0.0, 20.0])
    lattice[:2, :2] = 2.46 * model.get_lat()
    atoms = [("C", (1 / 3, 1 / 3, 0.5)), ("C", (2 / 3, 2 / 3, 0.5))]
    files = {"h_hr.dat": hr(matrices).encode(), "h.win": win(lattice, atoms, ["C:pz"]).encode()}
    h = read_bundle(bundle_of_bytes(files), ReadOptions(n_electrons=2))
    theirs = np.array([model.solve_one(k[:2]) for k in K])
    assert np.abs(bands(h, K)[:, ::2] - theirs).max() < 1e-10
    assert not h.is_time_reversal_symmetric()
    again = to_pythtb(h)
    assert np.abs(np.array([again.solve_one(k[:2]) for k in K]) - theirs).max() < 1e-10


def test_weak_hoppings_may_be_left_out():
    h = models.graphene(kane_mele=0.01)
    assert len(to_pythtb(h)._hoppings) == 9
    assert len(to_pythtb(h, smallest=0.05)._hoppings) == 3
    assert len(to_pythtb(h, spinor=False)._hoppings) == 3


def test_overlapping_orbitals_are_refused_with_the_way_out():
    h = models.chain(s=0.1)
    with pytest.raises(SettingsError, match="orthogonalise first"):
        to_pythtb(h)
    new = orthogonalised(h, (21, 1, 1)).hamiltonian
    model = to_pythtb(new)
    for k in K:
        expected = -2 * np.cos(2 * np.pi * k[0]) / (1 + 0.2 * np.cos(2 * np.pi * k[0]))
        assert model.solve_one(k[:1])[0] == pytest.approx(expected, abs=1e-6)


def test_too_many_hoppings_are_refused(monkeypatch):
    monkeypatch.setattr("hamexplorer.formats.pythtb.MAX_HOPPINGS", 5)
    with pytest.raises(ResourceLimitError, match="The model has 9 hoppings; PythTB takes up to 5"):
        to_pythtb(models.graphene(kane_mele=0.1))


def test_without_pythtb_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythtb", None)
    with pytest.raises(HamexplorerError, match="pip install pythtb"):
        to_pythtb(models.graphene())
