"""Band plots: what is drawn, what is patched, what is written."""

import re

import holoviews as hv
import models
import numpy as np
import pytest

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.plots import LiveBandPlot, LiveDosPlot, band_plot, dos_plot, save_bands, show
from hamexplorer.plots.band_data import lines, segments
from hamexplorer.properties import band_structure, density_of_states
from hamexplorer.structures.kpath import path_from_points


@pytest.fixture(scope="module")
def crystal():
    return models.square(rashba=0.3, n_electrons=1)


@pytest.fixture(scope="module")
def path(crystal):
    points = [
        ("M", [0.5, 0.5, 0]),
        ("Γ", [0, 0, 0]),
        None,
        ("X", [0.5, 0, 0]),
        ("M", [0.5, 0.5, 0]),
    ]
    return path_from_points(crystal.structure, points, spacing=0.05)


def bands(crystal, path, soc=1.0):
    return band_structure(crystal, path, SpinState(soc=soc), weights="element", spin=True)


@pytest.fixture(scope="module")
def on(crystal, path):
    return bands(crystal, path)


@pytest.fixture(scope="module")
def off(crystal, path):
    return bands(crystal, path, soc=0.0)


def test_lines_stop_at_a_jump_and_twofold_bands_are_drawn_once(on, off):
    assert len(lines(on, 0.0).ys) == 2 * 2
    assert len(lines(off, 0.0).ys) == 2 * 1
    shifted = lines(on, 1.5)
    assert sum(len(y) for y in shifted.ys) == on.energies.size
    np.testing.assert_allclose(shifted.ys[0], on.energies[: on.path.breaks[0], 0] - 1.5)


def test_joined_lines_are_broken_where_bands_end(on):
    drawn = lines(on, 0.0)
    x, y = drawn.joined()
    ends = np.flatnonzero(np.isnan(y))
    np.testing.assert_array_equal(ends, np.flatnonzero(np.isnan(x)))
    assert np.diff(ends, prepend=-1).tolist() == [len(part) + 1 for part in drawn.ys]
    np.testing.assert_array_equal(y[: ends[0]], drawn.ys[0])


def test_segments_do_not_bridge_a_jump(on):
    drawn = segments(on, 0.0, "spin_x")
    assert len(drawn.x0) == (len(on.path.distances) - 2) * 2
    assert (drawn.x1 > drawn.x0).all()
    assert np.abs(drawn.value).max() <= 1


def test_update_patches_data_and_keeps_the_zoom(crystal, path, on, off):
    plot = LiveBandPlot(on, off, energy_window=(-3, 3))
    assert (plot.figure.y_range.start, plot.figure.y_range.end) == (-3, 3)
    plot.figure.y_range.start, plot.figure.x_range.end = -1.25, 0.5
    grey, glyphs = plot.off_source.data["y"], list(plot.figure.renderers)
    sent = []
    plot.point_source.on_change("data", lambda attr, old, new: sent.append((attr, old, new)))
    x = plot.line_source.data["x"]
    plot.update(bands(crystal, path, soc=0.5))
    assert (plot.figure.y_range.start, plot.figure.x_range.end) == (-1.25, 0.5)
    assert plot.off_source.data["y"] is grey
    assert plot.line_source.data["x"] is x
    assert list(plot.figure.renderers) == glyphs
    assert sent
    reference = plot.result.fermi.energy
    drawn = plot.line_source.data["y"]
    drawn = np.sort(drawn[np.isfinite(drawn)])
    np.testing.assert_allclose(drawn, np.sort(plot.result.energies.ravel()) - reference, atol=1e-6)


def test_a_point_tells_its_state(on):
    plot = LiveBandPlot(on)
    k, band = plot.picked(7)
    assert plot.point_source.data["y"][7] == pytest.approx(on.energies[k, band] - on.fermi.energy)
    assert plot.point_source.data["band"][7] == band


def test_colours_switch_glyphs_and_scale(on):
    plot = LiveBandPlot(on, colour_by="spin_y")
    visible = [r.visible for r in plot.figure.renderers]
    plot.set_colour(None)
    assert [r.visible for r in plot.figure.renderers] != visible
    plot.set_colour("H")
    assert (plot._mapper.low, plot._mapper.high) == (0, 1)
    with pytest.raises(SettingsError, match="'W'"):
        plot.set_colour("W")
    assert plot._colour_by == "H"


def test_another_path_resets_the_k_axis(crystal, on):
    plot = LiveBandPlot(on)
    other = bands(crystal, models.line_path(crystal, (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0))), 9))
    plot.update(other)
    assert plot.figure.x_range.end == other.path.distances[-1]
    assert plot.figure.xaxis[0].major_label_overrides[0.0] == "Γ"


def test_ticks_carry_the_labels(on):
    labels = LiveBandPlot(on).figure.xaxis[0].major_label_overrides
    assert list(labels.values()) == ["M", "Γ|X", "M"]


def test_vbm_of_a_metal_falls_back_on_the_page_only(on):
    assert "Fermi" in LiveBandPlot(on, zero="vbm").figure.yaxis[0].axis_label
    with pytest.raises(SettingsError, match="metal"):
        band_plot(on, zero="vbm")


@pytest.mark.parametrize("colour_by", [None, "spin_x", "H"])
@pytest.mark.parametrize("dark", [True, False])
def test_holoviews_renders(on, off, colour_by, dark):
    figure = hv.render(band_plot(on, soc_off=off, colour_by=colour_by, dark=dark), backend="bokeh")
    assert figure.background_fill_color == ("#121212" if dark else "#ffffff")


def test_dos_shares_the_energy_axis_of_the_bands(crystal, on):
    dos = density_of_states(crystal, mesh=(8, 8, 1), groups="element")
    live = LiveBandPlot(on)
    beside = LiveDosPlot(dos, y_range=live.figure.y_range)
    assert beside.figure.y_range is live.figure.y_range
    beside.update(dos)
    assert beside.group_source.data["name"] == ["H"]
    assert hv.render(band_plot(on) + dos_plot(dos), backend="bokeh") is not None
    assert isinstance(show(dos), hv.Overlay)


@pytest.mark.parametrize("ending", [".png", ".svg", ".html"])
def test_files(tmp_path, on, off, ending):
    target = save_bands(on, tmp_path / f"bands{ending}", soc_off=off, colour_by="spin_x")
    content = target.read_bytes()
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".html": b"<!DOCTYPE html>"}[ending]
    assert content.lstrip().startswith(start)
    if ending == ".html":
        assert not re.search(rb"<(script|link|img)[^>]*(src|href)=", content.split(b"<body")[1])
        assert not re.search(rb"<(script|link)[^>]{,80} (src|href)=", content.split(b"<script")[0])
    if ending == ".svg":
        save_bands(on, target, soc_off=off, colour_by="spin_x")


def test_other_endings_are_refused(tmp_path, on):
    with pytest.raises(SettingsError, match=r"\.png, \.svg, \.html"):
        save_bands(on, tmp_path / "bands.pdf")
    assert not list(tmp_path.iterdir())


def test_show_knows_its_results(on):
    assert isinstance(show(on, dark=True), hv.Overlay)
    with pytest.raises(SettingsError, match="float"):
        show(1.0)


def test_the_last_label_of_a_path_has_room(on):
    # U₂|K′ in 13 px letters, centred on the edge of the plot
    assert LiveBandPlot(on).figure.min_border_right >= 24
