"""Dipole sums against closed lattice sums, symmetry and supercells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy import Directions, dipolar_anisotropy
from hamexplorer.properties.anisotropy.dipolar import dipole_tensor

# (μ0/4π) µB²/Å³ from CODATA 2018: 1e-7 · (9.2740100783e-24)² / 1e-30 J in eV
UNIT = 1e-7 * 9.2740100783e-24**2 / 1e-30 / 1.602176634e-19
AXES = Directions([0, 90, 90], [0, 0, 90])
TOPPING = 9.03362168


def layer(a: float = 2.5, height: float = 0.3) -> Structure:
    return Structure(Lattice.orthorhombic(a, a, 20), ["Fe"], [[0, 0, height]])


@pytest.mark.parametrize("height", [0.0, 0.3, 0.95])
def test_square_lattice_has_toppings_sum(height: float) -> None:
    a, m = 2.5, 2.2
    energies = dipolar_anisotropy(layer(a, height), [m], AXES)
    scale = UNIT * m**2 * TOPPING / a**3
    assert energies == pytest.approx([scale / 2, -scale / 4, -scale / 4], rel=1e-7)


@pytest.mark.parametrize(
    "lattice",
    [
        Lattice.cubic(3.0),
        Lattice([[0, 2, 2], [2, 0, 2], [2, 2, 0]]),
        Lattice([[-2, 2, 2], [2, -2, 2], [2, 2, -2]]),
    ],
    ids=["sc", "fcc", "bcc"],
)
def test_cubic_lattices_have_none(lattice: Lattice) -> None:
    crystal = Structure(lattice, ["Fe"], [[0, 0, 0]])
    assert np.abs(dipolar_anisotropy(crystal, [2.0], Directions.sphere(12))).max() < 1e-15


def test_a_stretched_cube_prefers_its_long_axis() -> None:
    crystal = Structure(Lattice.tetragonal(3.0, 3.3), ["Fe"], [[0, 0, 0]])
    along, across, _ = dipolar_anisotropy(crystal, [2.0], AXES)
    # head to tail along c is farther apart, side by side in the plane as near as before
    assert across < along


def direct(structure: Structure, reach: int) -> np.ndarray:
    """The plain sum over cells of the plane within a circle."""
    matrix, sites = structure.lattice.matrix, structure.cart_coords
    cells = np.array(list(itertools.product(range(-reach, reach + 1), repeat=2))) @ matrix[:2]
    cells = cells[np.linalg.norm(cells, axis=1) < 0.9 * reach * min(structure.lattice.abc[:2])]
    out = np.zeros((len(sites), len(sites), 3, 3))
    for i, j in itertools.product(range(len(sites)), repeat=2):
        r = sites[j] - sites[i] + cells
        d = np.linalg.norm(r, axis=1)
        r, d = r[d > 1e-9], d[d > 1e-9]
        out[i, j] = np.einsum("n,na,nb->ab", 3 / d**5, r, r) - np.eye(3) * (1 / d**3).sum()
    return out


def test_a_buckled_layer_is_its_plain_sum() -> None:
    crystal = Structure(
        Lattice.from_parameters(2.8, 3.1, 25, 90, 90, 105),
        ["Fe", "Fe", "Co"],
        [[0, 0, 0.3], [0.3, 0.4, 0.38], [0.6, 0.1, 0.24]],
    )
    # the rest of a sum cut at radius r is 2π/(A r) in zz and half of it in xx and yy
    sums = {reach: direct(crystal, reach) for reach in (150, 300)}
    limit = 2 * sums[300] - sums[150]
    assert np.abs(dipole_tensor(crystal) - limit).max() < 1e-5


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), flat=st.booleans())
def test_tensors_are_symmetric_traceless_and_the_same_in_a_supercell(seed: int, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(2.5, 5, size=3)
    angles = rng.uniform(70, 110, size=3)
    if flat:
        lengths[2], angles[:2] = 25.0, 90.0
    sites = rng.random((2, 3))
    if flat:
        sites[:, 2] = 0.5 + 0.05 * sites[:, 2]
    sites[1] = sites[0] + np.array([0.5, 0.4, 0.02 if flat else 0.5])
    crystal = Structure(Lattice.from_parameters(*lengths, *angles), ["Fe", "Co"], sites)
    tensor = dipole_tensor(crystal)
    scale = np.abs(tensor).max()
    assert np.abs(np.trace(tensor, axis1=2, axis2=3)).max() < 1e-9 * scale
    assert np.abs(tensor - tensor.swapaxes(2, 3)).max() < 1e-12 * scale
    assert np.abs(tensor - tensor.transpose(1, 0, 3, 2)).max() < 1e-12 * scale
    moments = rng.normal(size=2)
    once = dipolar_anisotropy(crystal, moments, Directions.sphere(8))
    double = crystal * (2, 1, 1)
    repeated = np.repeat(moments, 2)
    twice = dipolar_anisotropy(double, repeated, Directions.sphere(8))
    assert np.allclose(twice, 2 * once, atol=1e-9 * np.abs(once).max(), rtol=1e-8)


def test_layers_lying_on_any_side_are_the_same() -> None:
    crystal = layer()
    lattice = Lattice(crystal.lattice.matrix[[2, 0, 1]])
    turned = Structure(lattice, ["Fe"], crystal.frac_coords[:, [2, 0, 1]])
    assert np.allclose(
        dipolar_anisotropy(crystal, [2.0], AXES), dipolar_anisotropy(turned, [2.0], AXES)
    )


@pytest.mark.parametrize("moments", [[1.0, 2.0], [], [float("nan")], "up", [[1, 0, 0]]])
def test_bad_moments_are_told(moments) -> None:
    with pytest.raises(SettingsError, match=r"[Mm]oment"):
        dipolar_anisotropy(layer(), moments, AXES)
