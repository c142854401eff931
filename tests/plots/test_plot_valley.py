"""Maps of the zone and valley splittings: what is painted where, and in which colours."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import holoviews as hv
import models
import numpy as np
import pytest
from bokeh.models import ColorBar, DataRange1d

from hamexplorer.errors import SettingsError
from hamexplorer.plots import show
from hamexplorer.plots.live_valley import LiveSplittingPlot, LiveZonePlot
from hamexplorer.plots.palette import DARK, LIGHT, theme
from hamexplorer.plots.valley import valley_map_plot, valley_splitting_plot
from hamexplorer.plots.zone_image import ZoneRaster, field_values, letters, map_scale
from hamexplorer.properties.valley import (
    MAP_FIELDS,
    ValleyMap,
    ValleySplitting,
    valley_map,
    valley_splitting,
)


@pytest.fixture(scope="module")
def graphene() -> Any:
    return models.graphene(stagger=0.7, kane_mele=0.02)


@pytest.fixture(scope="module")
def result(graphene: Any) -> ValleyMap:
    return valley_map(graphene, 24)


@pytest.fixture(scope="module")
def splitting(graphene: Any) -> ValleySplitting:
    return valley_splitting(graphene, np.linspace(-40, 40, 9))


def pixel(raster: ZoneRaster, image: np.ndarray, place: np.ndarray) -> float:
    """The picture at a place, 1/Å."""
    column = int(np.abs(raster.x - place[0]).argmin())
    row = int(np.abs(raster.y - place[1]).argmin())
    return float(image[row, column])


def test_the_picture_is_the_field_at_every_named_point(result: ValleyMap) -> None:
    """Also at the corners, which the mesh reaches only as images beyond the zone."""
    raster = ZoneRaster.of(result.zone)
    values = field_values(result, "curvature")
    image = raster.image(values)
    i, j = np.round(result.n * result.zone.fractional(result.zone.corners["K"])).astype(int)
    at_k = float(values[i % result.n, j % result.n])
    assert abs(at_k) > 10
    for name, place in result.zone.named:
        expected = {"K": at_k, "K′": -at_k}.get(name)
        if expected is not None:  # a little inside
            assert pixel(raster, image, 0.995 * place) == pytest.approx(expected, rel=0.05)
    assert pixel(raster, image, np.zeros(2)) == pytest.approx(values[0, 0], abs=1e-3)


def test_a_shifted_mesh_is_found_again_everywhere(result: ValleyMap) -> None:
    """A field that is known at all k: cos(2π(f₁ + f₂)) is met between the mesh's points."""
    raster = ZoneRaster.of(result.zone, 80)
    f = np.arange(24) / 24
    mesh = np.cos(2 * np.pi * (f[:, None] + f))
    exact = np.cos(2 * np.pi * raster.fractional.sum(axis=-1))
    image = raster.image(mesh)
    assert np.abs(image - exact)[raster.inside].max() < 2e-3


def test_the_zone_is_painted_and_nothing_else(result: ValleyMap) -> None:
    raster = ZoneRaster.of(result.zone, 200)
    image = raster.image(field_values(result, "gap"))
    painted = np.isfinite(image).sum() * raster.step**2
    assert painted == pytest.approx(result.zone.area, rel=0.03)
    assert painted >= result.zone.area
    assert np.isnan(image[0, 0])
    # square pixels: both directions to the same scale
    assert raster.x[1] - raster.x[0] == pytest.approx(raster.y[1] - raster.y[0])


def test_splines_do_not_leave_the_range_of_the_mesh(result: ValleyMap) -> None:
    step = np.where(np.arange(24)[:, None] < 12, -1.0, 1.0) * np.ones(24)
    image = ZoneRaster.of(result.zone, 60).image(step)
    assert np.nanmax(np.abs(image)) == 1.0


@pytest.mark.parametrize("dark", [False, True])
def test_signed_fields_lie_around_a_middle_that_is_seen(result: ValleyMap, dark: bool) -> None:
    background = np.array([int(theme(dark).background[i : i + 2], 16) for i in (1, 3, 5)])
    for field in ("spin", "curvature", "occupied_curvature", "moment", "polarisation"):
        scale = map_scale(result, field, dark)
        assert scale.low == -scale.high < 0
        middle = scale.palette[len(scale.palette) // 2]
        rgb = np.array([int(middle[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(rgb - background).max() > 25
    for field in ("valence_energy", "conduction_energy", "gap"):
        scale = map_scale(result, field, dark)
        assert "(eV)" in scale.label
        assert scale.low < scale.high


def test_energies_are_drawn_from_the_valence_top(result: ValleyMap) -> None:
    assert field_values(result, "valence_energy").max() == 0
    gap = field_values(result, "conduction_energy") - field_values(result, "valence_energy")
    np.testing.assert_allclose(gap, result.field("gap"), atol=1e-12)


def test_noise_is_not_painted_in_full_colours() -> None:
    """Without staggering Ω is zero but for rounding."""
    flat = valley_map(models.graphene(kane_mele=0.05), 12)
    noise = float(np.abs(flat.field("curvature")).max())
    assert noise < 1e-6
    assert map_scale(flat, "curvature", False).high >= 0.01


def test_a_sharp_peak_does_not_wash_out_the_rest() -> None:
    sharp = valley_map(models.graphene(stagger=0.02), 24)
    largest = float(np.abs(sharp.field("curvature")).max())
    scale = map_scale(sharp, "curvature", False)
    assert scale.high < 0.5 * largest
    assert f"peaks to {largest:.3g}" in scale.label


def test_letters_stand_at_six_corners_in_turn(result: ValleyMap) -> None:
    names, places = letters(result.zone)
    assert sorted(names) == sorted(["Γ", "M", *["K"] * 3, *["K′"] * 3])
    corners = [n for n in names if n.startswith("K")]
    assert all(a != b for a, b in pairwise(corners))
    outside = [n for n in range(len(names)) if names[n].startswith("K")]
    size = np.linalg.norm(places[outside], axis=1)
    assert (size > np.linalg.norm(result.zone.corners["K"])).all()


@pytest.mark.parametrize("field", MAP_FIELDS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_field_is_drawn(result: ValleyMap, field: str, dark: bool) -> None:
    plot = valley_map_plot(result, field=field, dark=dark)
    figure = hv.render(plot)
    assert figure.background_fill_color == (DARK if dark else LIGHT).background
    scale = map_scale(result, field, dark)
    assert scale.label in figure.title.text
    mapper = figure.select_one(ColorBar).color_mapper
    assert (mapper.low, mapper.high) == (scale.low, scale.high)


@pytest.mark.parametrize(("width", "height"), [(560, 520), (900, 300), (None, None)])
def test_the_zone_is_drawn_to_scale(
    result: ValleyMap, width: int | None, height: int | None
) -> None:
    figure = hv.render(valley_map_plot(result, width=width, height=height))
    assert figure.match_aspect  # which Bokeh heeds for these ranges alone
    for axis_range in (figure.x_range, figure.y_range):
        assert isinstance(axis_range, DataRange1d)
        (edge,) = axis_range.renderers  # not the frame, which reaches far
        assert max(np.abs(edge.data_source.data["xs"][0])) == pytest.approx(
            np.abs(result.zone.polygon[:, 0]).max()
        )


def test_a_valley_beyond_the_edge_is_marked_inside(result: ValleyMap) -> None:
    live = LiveZonePlot(result)
    corner = result.zone.corners["K"]
    live.mark({"K": 1.05 * corner})
    marked = np.array([live.valley_source.data["x"][0], live.valley_source.data["y"][0]])
    assert np.linalg.norm(marked) < np.linalg.norm(corner)


def test_an_unknown_field_is_refused(result: ValleyMap) -> None:
    with pytest.raises(SettingsError, match="valence_energy"):
        valley_map_plot(result, field="berry")
    live = LiveZonePlot(result)
    before = live.source.data["value"][0]
    with pytest.raises(SettingsError, match="polarisation"):
        live.set_field("berry")
    assert live.source.data["value"][0] is before


def test_show_knows_maps_and_splittings(result: ValleyMap, splitting: ValleySplitting) -> None:
    assert isinstance(show(result, field="gap"), hv.Overlay)
    assert isinstance(show(splitting, marked=10.0), hv.Overlay)


def test_curves_and_marker(splitting: ValleySplitting) -> None:
    plot = valley_splitting_plot(splitting, marked=12.5)
    curves = {c.label: c for c in plot if isinstance(c, hv.Curve)}
    assert list(curves) == ["valence", "conduction", "gap"]
    np.testing.assert_allclose(curves["gap"].dimension_values(1), splitting.gap)
    assert [line.data for line in plot if isinstance(line, hv.VLine)] == [12.5]
    assert not any(isinstance(part, hv.VLine) for part in valley_splitting_plot(splitting))


def test_the_live_map_is_patched_in_place(graphene: Any, result: ValleyMap) -> None:
    live = LiveZonePlot(result, field="spin")
    source, letters_before = live.source, dict(live._letter_source.data)
    k_before = live.source.data["k1"][0]
    other = valley_map(graphene, 12)
    live.update(other)
    assert live.source is source
    assert live.source.data["k1"][0] is k_before  # the same zone: k is not sent again
    assert live._letter_source.data == letters_before
    before = live.source.data["value"][0].copy()
    live.set_field("gap")
    assert "gap" in live.caption
    assert np.nanmax(np.abs(live.source.data["value"][0] - before)) > 0.1
    live.update(valley_map(models.graphene(stagger=0.3), 12))
    live.set_theme(True)
    assert live.figure.background_fill_color == DARK.background


def test_the_live_map_takes_another_zone(result: ValleyMap) -> None:
    live = LiveZonePlot(result)
    live.mark({"K": np.array([1.6, 0.1])})
    larger = models.graphene(stagger=0.7)
    structure = larger.structure.copy()
    structure.scale_lattice(structure.volume * 1.3**3)
    live.update(valley_map(replace(larger, structure=structure), 12))
    assert live.source.data["width"][0] == pytest.approx(
        np.ptp(result.zone.polygon[:, 0]) / 1.3, rel=0.02
    )
    assert live.valley_source.data["name"] == []  # marks of the zone before


def test_the_live_hover_tells_k_of_the_cell(result: ValleyMap) -> None:
    live = LiveZonePlot(result)
    raster = ZoneRaster.of(result.zone)
    place = result.zone.corners["K"]
    k = [pixel(raster, live.source.data[f"k{a}"][0], place) for a in (1, 2, 3)]
    exact = result.zone.kpoints(result.zone.corners["K"])
    np.testing.assert_allclose(k, exact, atol=5e-3)


def test_the_live_marker_lies_on_the_curves(splitting: ValleySplitting) -> None:
    live = LiveSplittingPlot(splitting, marked=0.0)
    np.testing.assert_allclose(live.dot_source.data["value"], 0, atol=1e-9)
    live.mark(20.0)
    index = int(np.flatnonzero(splitting.fields == 20.0)[0])
    np.testing.assert_allclose(
        live.dot_source.data["value"],
        [splitting.valence[index], splitting.conduction[index], splitting.gap[index]],
    )
    assert abs(live.dot_source.data["value"][0]) > 1
    assert live.result is splitting
