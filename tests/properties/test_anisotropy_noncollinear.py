"""Three-component exchange fields: E(n) and E(−n), and the way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from magnets import tetragonal

import hamexplorer as hx
from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy import Directions, magnetic_anisotropy
from hamexplorer.properties.anisotropy.exact import exact_anisotropy
from hamexplorer.properties.anisotropy.noncollinear import collinear_field, exchange_axis

MESH = (3, 3, 3)
OPPOSITE = Directions([0, 50, 130, 180], [0, 20, 200, 0])


@pytest.fixture(scope="module")
def iron() -> hx.Hamiltonian:
    return hx.open(Path(__file__).parents[1] / "data" / "openmx" / "fe_nc.scfout.xz")


def vector(h: hx.Hamiltonian, axis: tuple[float, float, float]) -> hx.Hamiltonian:
    assert h.exchange is not None
    return replace(h, exchange=np.outer(axis, h.exchange))


def test_iron_says_how_much_lies_across_and_what_it_does(iron: hx.Hamiltonian) -> None:
    result = magnetic_anisotropy(iron, OPPOSITE, MESH)
    assert iron.exchange is not None
    across, along = np.hypot(*iron.exchange[:2]).max(), np.abs(iron.exchange[2]).max()
    (text,) = result.warnings
    assert f"{1e3 * across:.3g} meV across" in text
    assert f"({1e3 * along:.4g} meV)" in text
    assert result.reversal_meV == pytest.approx(
        1e3
        * max(
            abs(result.energies[0] - result.energies[3]),
            abs(result.energies[1] - result.energies[2]),
        )
    )
    assert result.reversal_meV > 1e-3


def test_collinear_iron_is_even_without_the_help_of_symmetry(iron: hx.Hamiltonian) -> None:
    projected = collinear_field(iron)
    assert iron.exchange is not None
    np.testing.assert_array_equal(projected.exchange, iron.exchange[2])
    plain = exact_anisotropy(projected, OPPOSITE, MESH, symmetry=False)
    assert abs(plain.energies[0] - plain.energies[3]) < 1e-8
    assert abs(plain.energies[1] - plain.energies[2]) < 1e-8
    result = magnetic_anisotropy(iron, OPPOSITE, MESH, collinear=True)
    assert result.collinear
    assert result.warnings == ()
    assert result.reversal_meV == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(result.energies, plain.energies, atol=2e-6)


def test_a_field_along_x_is_told_and_projected_onto_its_own_axis() -> None:
    h = tetragonal()
    sideways = vector(h, (1, 0, 0))
    told = magnetic_anisotropy(sideways, Directions.arc([0, 90]), MESH).warnings
    assert len(told) == 1
    assert "along (1.000, 0.000, 0.000), not z" in told[0]
    expected = magnetic_anisotropy(h, Directions.arc([0, 90]), MESH)
    found = magnetic_anisotropy(sideways, Directions.arc([0, 90]), MESH, collinear=True)
    assert found.mae_meV == pytest.approx(expected.mae_meV, abs=1e-6)
    assert abs(expected.mae_meV) > 1


def test_the_main_axis_of_opposite_sublattices() -> None:
    found = exchange_axis(np.array([[0.0, 0.01, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]))
    assert found.is_upright
    assert (found.along, found.across) == (1.0, 0.01)


def test_a_field_without_a_main_direction_is_not_projected() -> None:
    h = tetragonal()
    assert h.exchange is not None
    field = np.zeros((3, h.exchange.size))
    places = np.flatnonzero(h.exchange)[:3]
    field[[0, 1, 2], places] = 0.5
    with pytest.raises(SettingsError, match="no main direction"):
        collinear_field(replace(h, exchange=field))


def test_pairs_of_opposite_directions_are_needed() -> None:
    h = tetragonal()
    assert magnetic_anisotropy(h, Directions.arc([0, 90]), MESH).reversal_meV is None
    assert magnetic_anisotropy(h, OPPOSITE, MESH).reversal_meV == pytest.approx(0, abs=1e-9)
