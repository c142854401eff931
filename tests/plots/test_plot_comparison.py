"""Comparisons as plots: both ones' bands, where the error lies, and files of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
from bokeh.models import LogScale
from matplotlib.collections import LineCollection
from models import line_path, silicon

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis, Shell
from hamexplorer.plots import LiveBandComparison, LiveDistanceErrors, LiveShellErrors, show
from hamexplorer.plots.comparison import (
    comparison_bands,
    comparison_by_distance,
    comparison_by_k,
    comparison_by_shell,
    comparison_elements,
    comparison_plot,
)
from hamexplorer.plots.comparison_data import (
    distance_errors,
    k_errors,
    overlay,
    shell_errors,
    short_names,
)
from hamexplorer.plots.palette import DARK, LIGHT
from hamexplorer.plots.static_comparison import comparison_figure, save_comparison
from hamexplorer.properties.comparison import Comparison, compare
from hamexplorer.structures.kpath import KPath, path_from_text

LINE = (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0.5)), ("L", (0.5, 0.5, 0.5)))


@pytest.fixture(scope="module")
def crystal() -> Any:
    return silicon(0.1)


@pytest.fixture(scope="module")
def result(crystal: Any) -> Comparison:
    rng = np.random.default_rng(1)
    noise = 1e-3 * rng.normal(size=crystal.pairs.n_elements)
    noise = noise + noise[crystal.pairs.transposition]
    second = replace(crystal, scalar=crystal.scalar + noise)
    return compare(crystal, second, line_path(crystal, LINE, 10), names=("PBE", "network"))


@pytest.fixture(scope="module")
def bands_alone() -> Comparison:
    """Of two different bases, along a path with a jump."""
    h = silicon(0.1)
    named = Basis(h.basis.symbols, tuple((s[1], s[0]) for s in h.basis.shells))
    return compare(h, replace(h, basis=named), path_from_text("G-X|K-G", h.structure, 0.1))


# --- arrays ----------------------------------------------------------------------------------


def test_both_bands_are_drawn_from_the_references_edge(result: Comparison) -> None:
    drawn = overlay(result)
    bands = result.bands
    assert bands.first.gap is not None
    origin = bands.first.gap.vbm
    for side, lines in ((bands.first, drawn.first), (bands.second, drawn.second)):
        energies = side.path.energies - origin
        shown = np.stack(lines.ys, axis=1)
        away = np.abs(energies[:, :, None] - shown[:, None]).max(axis=0)
        assert away.min(axis=0).max() < 1e-7  # every line is a band
        inside = np.flatnonzero(bands.inside.any(axis=0))
        assert away.min(axis=1)[inside].max() < 1e-7  # every band near the gap is a line
        np.testing.assert_array_equal(lines.xs[0], side.path.path.distances)
    low, high = drawn.window
    assert low < bands.limits[0] - origin < bands.limits[1] - origin < high
    assert bands.worst is not None
    assert drawn.worst is not None
    k, band = bands.worst
    assert drawn.worst[1] == pytest.approx(bands.second.path.energies[k, band] - origin)
    assert "valence band top" in drawn.label


def test_the_error_along_the_path_is_parted_at_jumps(bands_alone: Comparison) -> None:
    path: KPath = bands_alone.bands.first.path.path
    drawn = k_errors(bands_alone)
    assert len(path.segments) == 2
    assert len(drawn.x) == len(path.kpoints) + 2
    assert np.flatnonzero(np.isnan(drawn.x)).tolist() == [path.breaks[0], len(drawn.x) - 1]
    mean, largest = bands_alone.bands.by_k()
    there = ~np.isnan(drawn.x)
    np.testing.assert_array_equal(drawn.mean[there], mean)
    np.testing.assert_array_equal(drawn.largest[there], largest)


def test_shells_form_a_symmetric_matrix(result: Comparison) -> None:
    drawn = shell_errors(result)
    assert drawn is not None
    assert drawn.shells == ("Si s", "Si p")
    np.testing.assert_array_equal(drawn.values, drawn.values.T)
    assert result.elements is not None
    table = result.elements.shells
    at = table.names.index("Si s – Si p")
    assert drawn.values[0, 1] == table.mean[0, at]
    assert drawn.largest == table.mean[0].max()
    zeros = shell_errors(result, "Lx")
    assert zeros is not None
    assert not zeros.values.any()
    assert zeros.largest == 1.0  # a scale without a length would be no scale
    assert zeros.caption == "mean |ΔΛx| (meV)"


def test_distances_without_error_are_left_out(result: Comparison) -> None:
    drawn, none = distance_errors(result), distance_errors(result, "Lz")
    assert drawn is not None
    assert none is not None
    assert drawn.distance[0] == 0
    assert (drawn.mean <= drawn.largest).all()
    assert len(none.distance) == 0
    with pytest.raises(SettingsError, match="'B' was not compared; there are H, Lx, Ly, Lz"):
        distance_errors(result, "B")


def test_names_are_told_apart(result: Comparison) -> None:
    assert short_names(result) == ("PBE", "network")
    same = replace(result, names=("x" * 60, "x" * 60))
    first, second = short_names(same)
    assert first != second
    assert len(first) < 50


# --- figures that are patched ----------------------------------------------------------------


def test_live_bands_follow_and_keep_a_zoom(result: Comparison, crystal: Any) -> None:
    plot = LiveBandComparison(result)
    assert plot.bands.x_range is plot.errors.x_range
    drawn = overlay(result)
    assert (plot.y_range.start, plot.y_range.end) == drawn.window
    assert plot.bands.legend[0].items[1].label.value == "network"
    other = compare(crystal, crystal.shifted(0.1), result.bands.first.path.path, window=(-1, 1))
    before = plot.second_source.data["y"]
    plot.update(other)
    assert (plot.y_range.start, plot.y_range.end) == overlay(other).window
    assert plot.second_source.data["y"] is not before
    np.testing.assert_allclose(np.nanmax(plot.error_source.data["largest"]), 100, atol=1e-6)
    plot.y_range.update(start=-0.3, end=0.4)
    plot.update(result)
    assert (plot.y_range.start, plot.y_range.end) == (-0.3, 0.4)
    assert plot.y_range.reset_start == drawn.window[0]


@pytest.mark.parametrize("dark", [False, True])
def test_live_plots_wear_both_themes(result: Comparison, dark: bool) -> None:
    shells, distance = shell_errors(result), distance_errors(result)
    assert shells is not None
    assert distance is not None
    plots = LiveBandComparison(result), LiveShellErrors(shells), LiveDistanceErrors(distance)
    for plot in plots:
        plot.set_theme(dark)
    wanted = (DARK if dark else LIGHT).background
    for figure in (plots[0].bands, plots[0].errors, plots[1].figure, plots[2].figure):
        assert figure.background_fill_color == wanted
    assert isinstance(plots[2].figure.y_scale, LogScale)


def test_live_elements_are_patched(result: Comparison) -> None:
    shells, distance = shell_errors(result), distance_errors(result)
    assert shells is not None
    assert distance is not None
    heat, decay = LiveShellErrors(shells), LiveDistanceErrors(distance)
    np.testing.assert_array_equal(heat.source.data["value"], shells.values.ravel())
    assert heat.source.data["row"][:2] == ["Si s", "Si s"]
    half = replace(shells, values=shells.values / 2)
    heat.update(half)
    np.testing.assert_array_equal(heat.source.data["value"], half.values.ravel())
    decay.update(replace(distance, mean=distance.mean / 2))
    np.testing.assert_array_equal(decay.source.data["mean"], distance.mean / 2)


# --- notebook ----------------------------------------------------------------------------------


def test_holoviews_elements(result: Comparison) -> None:
    layout = show(result)
    assert isinstance(layout, hv.Layout)
    assert len(layout) == 4
    bands = comparison_bands(result)
    first, second = (bands.get(i) for i in (0, 1))
    assert (first.label, second.label) == ("PBE", "network")
    figure = hv.render(bands)
    assert (figure.y_range.start, figure.y_range.end) == overlay(result).window
    labels = figure.xaxis[0].major_label_overrides
    assert "Γ" in labels.values()
    for element in (
        comparison_by_k(result),
        comparison_by_distance(result),
        comparison_by_shell(result, component="Ly", dark=True),
        comparison_elements(result),
    ):
        assert hv.render(element) is not None
    with pytest.raises(SettingsError, match="was not compared"):
        comparison_by_shell(result, component="B")


def test_bands_alone_where_the_bases_differ(bands_alone: Comparison) -> None:
    assert len(comparison_plot(bands_alone)) == 2
    for draw in (comparison_by_distance, comparison_by_shell, comparison_elements):
        with pytest.raises(SettingsError, match="different bases"):
            draw(bands_alone)
    assert len(comparison_figure(bands_alone).axes) == 2


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_pictures(result: Comparison, tmp_path: Path, dark: bool) -> None:
    save_comparison(result, tmp_path / "c.png", dark=dark)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    save_comparison(result, tmp_path / "c.svg", dark=dark)
    text = (tmp_path / "c.svg").read_text()
    assert text.startswith("<?xml")
    figure = comparison_figure(result, component="Lx", dark=dark)
    bands = figure.axes[0]
    drawn = [len(c.get_paths()) for c in bands.collections if isinstance(c, LineCollection)]
    assert drawn == [len(overlay(result).first.xs), len(overlay(result).second.xs)]
    assert bands.get_ylim() == pytest.approx(overlay(result).window)
    assert "mean |ΔΛx| (meV)" in {axes.get_title() for axes in figure.axes}


def test_a_page_without_network(result: Comparison, tmp_path: Path) -> None:
    named = replace(result, names=("PBE <b>", "network"))
    page = save_comparison(named, tmp_path / "c.html").read_text()
    assert not re.search(r"<(script|img)[^>]*\ssrc=.http|<link[^>]*\shref=.http", page)
    assert result.verdict in page
    assert "PBE &lt;b&gt;" in page
    assert "<b>PBE <b>" not in page
    assert "elements of Λx" in page


def test_another_ending_is_refused(result: Comparison, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"c\.pdf: a comparison is drawn as"):
        save_comparison(result, tmp_path / "c.pdf")


def test_shell_names_of_any_kind_are_parted(crystal: Any) -> None:
    """Labels may hold dashes of their own."""
    named = Basis(crystal.basis.symbols, ((Shell("s–1", 0), Shell("p-2", 1)),) * 2)
    h = replace(crystal, basis=named)
    drawn = shell_errors(compare(h, h, line_path(h, LINE, 2)))
    assert drawn is not None
    assert drawn.shells == ("Si s–1", "Si p-2")
