"""The Brillouin zone of a layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import StructureError
from hamexplorer.structures.gallery import load_gallery
from hamexplorer.structures.special_points import special_points
from hamexplorer.structures.zone import planar_zone


def _layer(a: float, b: float, gamma: float) -> Structure:
    lattice = Lattice.from_parameters(a, b, 20, 90, 90, gamma)
    return Structure(lattice, ["Mo", "S"], [[0, 0, 0.5], [0.31, 0.17, 0.55]])


def _inside(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    edges = np.roll(polygon, -1, axis=0) - polygon
    off = points[:, None] - polygon
    return (edges[:, 0] * off[..., 1] - edges[:, 1] * off[..., 0] > -1e-9).all(axis=1)


@given(a=st.floats(2.5, 6), b=st.floats(2.5, 6), gamma=st.floats(60, 120), seed=st.integers(0, 99))
def test_any_lattice(a: float, b: float, gamma: float, seed: int) -> None:
    structure = _layer(a, b, gamma)
    zone = planar_zone(structure)
    cell = 4 * np.pi**2 / (a * b * np.sin(np.radians(gamma)))
    assert zone.area == pytest.approx(cell)
    x, y = zone.polygon.T
    shoelace = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    assert shoelace == pytest.approx(cell, rel=1e-5)
    points = np.random.default_rng(seed).normal(scale=5, size=(50, 2))
    folded = zone.folded(points)
    assert _inside(zone.polygon, folded).all()
    steps = zone.fractional(points - folded)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    # the cell's own coordinates: Cartesian vectors agree
    reciprocal = structure.lattice.reciprocal_lattice.matrix
    np.testing.assert_allclose(zone.kpoints(points) @ reciprocal @ zone.axes.T, points, atol=1e-9)
    for label, corner in zone.corners.items():
        triangle = zone.half(label)
        first, second = triangle[1] - triangle[0], triangle[2] - triangle[0]
        area = abs(first[0] * second[1] - first[1] * second[0]) / 2
        assert area == pytest.approx(cell / 2)
        # a corner is as far from the three lattice points, and in none of the other half's
        distances = np.linalg.norm(triangle - corner, axis=1)
        np.testing.assert_allclose(distances, distances[0], rtol=1e-6)


def test_k_is_what_the_paths_call_k() -> None:
    for name in ("mos2-1h", "graphene", "wsse-janus", "mos2-wse2-bilayer", "cri3-monolayer"):
        structure = load_gallery(name)
        zone = planar_zone(structure)
        difference = zone.kpoints(zone.corners["K"]) - special_points(structure).points["K"]
        np.testing.assert_allclose(difference, np.round(difference), atol=1e-6)


def test_supercells_have_the_primitive_zone() -> None:
    structure = load_gallery("mos2-1h")
    wide = structure.copy()
    wide.make_supercell([2, 1, 1])
    zone = planar_zone(wide)
    assert zone.area == pytest.approx(planar_zone(structure).area)
    np.testing.assert_allclose(
        zone.kpoints(zone.corners["K"]), special_points(wide).points["K"], atol=1e-9
    )


@pytest.mark.parametrize("strain", [(0.03, 0, 0), (0, 0.03, 0), (0, 0, 0.04), (-0.02, 0.01, 0.03)])
def test_strain_keeps_the_name_of_k(strain: tuple[float, float, float]) -> None:
    structure = load_gallery("mos2-1h")
    xx, yy, xy = strain
    deformation = np.array([[1 + xx, xy, 0], [xy, 1 + yy, 0], [0, 0, 1]])
    strained = structure.copy()
    strained.lattice = Lattice(structure.lattice.matrix @ deformation)
    zone = planar_zone(strained)
    corner = zone.kpoints(zone.corners["K"])
    off = corner - [1 / 3, 1 / 3, 0]
    assert np.abs(off - np.round(off)).max() < 0.06


def test_letters() -> None:
    zone = planar_zone(load_gallery("mos2-1h"))
    letters = [letter for letter, _ in zone.named]
    assert letters.count("K") == letters.count("K′") == 3
    assert zone.has_valleys
    square = planar_zone(_layer(3, 3, 90))
    assert not square.has_valleys
    assert square.corners == {}
    assert len(square.polygon) == 4


def test_a_bulk_crystal_is_refused() -> None:
    with pytest.raises(StructureError, match="GaAs is not a layer"):
        planar_zone(load_gallery("gaas"))
