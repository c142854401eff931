"""Comparisons of two Hamiltonians as Bokeh figures whose data are patched in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataRange1d,
    FactorRange,
    HoverTool,
    LinearColorMapper,
    Range1d,
)
from bokeh.models.annotations import Span, Title
from bokeh.models.tickers import BasicTicker
from bokeh.plotting import figure
from bokeh.transform import transform

from hamexplorer.plots.band_data import Lines
from hamexplorer.plots.comparison_data import (
    BANDS_AXIS,
    DISTANCE_AXIS,
    ELEMENT_AXIS,
    SECOND,
    DistanceErrors,
    ShellErrors,
    k_errors,
    overlay,
    reference_colour,
    short_names,
)
from hamexplorer.plots.figure import apply_theme, colour_bar, empty_source, new_figure, path_axis
from hamexplorer.plots.palette import CATEGORIES, sequential, theme
from hamexplorer.properties.comparison import Comparison
from hamexplorer.structures.kpath import KPath

__all__ = ["LiveBandComparison", "LiveDistanceErrors", "LiveShellErrors"]

_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
_MEAN = CATEGORIES[0]


class LiveBandComparison:
    """Both ones' bands over each other (``bands``) and their error at each k (``errors``).

    Both figures share the k axis. The energy axis follows the comparison's window until the
    visitor zooms.

    Args:
        result: the comparison.
        dark: for a dark page.
        width: pixels; without it the figures fill their places.
        heights: of the two figures, as ``width``.
    """

    def __init__(
        self,
        result: Comparison,
        *,
        dark: bool = False,
        width: int | None = None,
        heights: tuple[int | None, int | None] = (None, None),
    ) -> None:
        self._path: KPath | None = None
        self._shown: tuple[float, float] | None = None
        self._x_range, self.y_range = Range1d(start=0, end=1), Range1d(start=0, end=1)
        shared: dict[str, Any] = {
            "width": width,
            "dark": dark,
            "x_range": self._x_range,
            "tools": _TOOLS,
            "min_border_left": 64,  # so that K stands above K, whatever the numbers' width
        }
        self.bands = new_figure(**shared, height=heights[0], y_range=self.y_range, y_axis_label=" ")
        self.errors = new_figure(
            **shared,
            height=heights[1],
            y_range=DataRange1d(start=0, range_padding=0.08),
            y_axis_label=BANDS_AXIS,
        )
        self.first_source, self.second_source = empty_source("x", "y"), empty_source("x", "y")
        self.worst_source = empty_source("x", "y")
        self.error_source = empty_source("x", "mean", "largest")
        self._fermi = Span(location=0, dimension="width", line_dash="dotted", line_width=1)
        self._draw_bands()
        self._draw_errors()
        self.update(result)
        self.set_theme(dark)

    def update(self, result: Comparison) -> None:
        """Draw another comparison; a zoom stays."""
        drawn, errors = overlay(result), k_errors(result)
        path = result.bands.first.path.path
        if path is not self._path:
            self._path = path
            for plot in (self.bands, self.errors):
                path_axis(plot, path.axis_ticks)
            ends = {"start": float(path.distances[0]), "end": float(path.distances[-1])}
            self._x_range.update(**ends, **{f"reset_{name}": x for name, x in ends.items()})
        self.first_source.data = _columns(drawn.first)
        self.second_source.data = _columns(drawn.second)
        worst = [drawn.worst] if drawn.worst is not None else []
        self.worst_source.data = {"x": [x for x, _ in worst], "y": [y for _, y in worst]}
        self.error_source.data = {"x": errors.x, "mean": errors.mean, "largest": errors.largest}
        self._fermi.location = drawn.fermi
        self.bands.yaxis.axis_label = drawn.label
        for item, name in zip(self._names, short_names(result), strict=True):
            item.label = {"value": name}
        if self._shown in (None, (self.y_range.start, self.y_range.end)):
            self.y_range.update(start=drawn.window[0], end=drawn.window[1])
            self._shown = drawn.window
        self.y_range.update(reset_start=drawn.window[0], reset_end=drawn.window[1])

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        for plot in (self.bands, self.errors):
            apply_theme(plot, dark)
        self._fermi.line_color = theme(dark).fermi
        self._first.glyph.line_color = reference_colour(dark)
        self._worst.glyph.line_color = theme(dark).text

    def _draw_bands(self) -> None:
        plot = self.bands
        plot.add_layout(self._fermi)
        self._first = plot.line(
            "x", "y", source=self.first_source, line_width=3, line_alpha=0.7, legend_label="first"
        )
        second = plot.line(
            "x",
            "y",
            source=self.second_source,
            line_color=SECOND,
            line_width=1.8,
            line_dash="dashed",
            legend_label="second",
        )
        self._worst = plot.scatter(
            "x", "y", source=self.worst_source, size=13, fill_color=None, line_width=2
        )
        rows = [("energy", "@y{0.0000} eV")]
        plot.add_tools(
            HoverTool(
                renderers=[self._first, second],
                tooltips=rows,
                mode="mouse",
                line_policy="nearest",
                attachment="horizontal",
            )
        )
        self._names = _legend_above(plot)

    def _draw_errors(self) -> None:
        plot = self.errors
        for name, colour in (("largest", SECOND), ("mean", _MEAN)):
            plot.line(
                "x", name, source=self.error_source, color=colour, line_width=2, legend_label=name
            )
        points = plot.scatter("x", "largest", source=self.error_source, size=7, alpha=0)
        plot.add_tools(
            HoverTool(
                renderers=[points],
                tooltips=[("largest", "@largest{0.00} meV"), ("mean", "@mean{0.00} meV")],
                mode="vline",
            )
        )
        _legend_above(plot)


class LiveDistanceErrors:
    """Largest and mean |Δ| of elements against distance, logarithmic; ``figure``."""

    def __init__(
        self,
        drawn: DistanceErrors,
        *,
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            y_axis_type="log",
            tools=_TOOLS,
            x_axis_label=DISTANCE_AXIS,
            y_axis_label=ELEMENT_AXIS,
        )
        self.source = empty_source("distance", "mean", "largest", "count")
        self._points: list[Any] = []
        for name, colour in (("largest", SECOND), ("mean", _MEAN)):
            points = self.figure.scatter(
                "distance",
                name,
                source=self.source,
                size=7,
                color=colour,
                line_color=None,
                legend_label=name,
            )
            self._points.append(points)
        self.figure.add_tools(
            HoverTool(
                renderers=self._points,
                tooltips=[
                    ("distance", "@distance{0.000} Å"),
                    ("largest", "@largest{0.000} meV"),
                    ("mean", "@mean{0.0000} meV"),
                    ("elements", "@count"),
                ],
            )
        )
        _legend_above(self.figure)
        self.update(drawn)
        self.set_theme(dark)

    def update(self, drawn: DistanceErrors) -> None:
        """Draw other errors."""
        self.source.data = {
            "distance": drawn.distance,
            "mean": drawn.mean,
            "largest": drawn.largest,
            "count": drawn.count,
        }

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)


class LiveShellErrors:
    """Mean |Δ| of elements by pair of shells as coloured cells; ``figure``."""

    def __init__(
        self,
        drawn: ShellErrors,
        *,
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self._x_range, self._y_range, self._title = FactorRange(), FactorRange(), Title()
        self.source = ColumnDataSource({"row": [], "column": [], "value": []})
        self._mapper = LinearColorMapper(
            palette=["#000000"], low=0, high=1, nan_color="rgba(0, 0, 0, 0)"
        )
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            x_range=self._x_range,
            y_range=self._y_range,
            tools=_TOOLS,
            title=self._title,
        )
        self._cells = self.figure.rect(
            "column",
            "row",
            1,
            1,
            source=self.source,
            fill_color=transform("value", self._mapper),
            line_width=1,
        )
        bar = colour_bar(self._mapper)
        bar.ticker = BasicTicker(desired_num_ticks=5)
        self.figure.add_layout(bar, "right")
        self.figure.add_tools(
            HoverTool(
                renderers=[self._cells],
                tooltips=[("shells", "@row – @column"), ("mean |Δ|", "@value{0.0000} meV")],
                point_policy="follow_mouse",
            )
        )
        self.figure.xaxis.major_label_orientation = math.pi / 3
        self.figure.grid.visible = False
        self.update(drawn)
        self.set_theme(dark)

    @property
    def shells(self) -> list[str]:
        """Labels of rows and columns."""
        return [str(name) for name in self._x_range.factors]

    def update(self, drawn: ShellErrors) -> None:
        """Draw other errors; the same shells keep the zoom."""
        shells = list(drawn.shells)
        if list(self._x_range.factors) != shells:
            self._x_range.factors = shells
            self._y_range.factors = shells[::-1]
        self._mapper.update(low=0.0, high=drawn.largest)
        self._title.text = drawn.caption
        self.source.data = {
            "row": np.repeat(shells, len(shells)).tolist(),
            "column": shells * len(shells),
            "value": drawn.values.ravel(),
        }

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        self._mapper.palette = sequential(dark)
        self._cells.glyph.line_color = theme(dark).background
        apply_theme(self.figure, dark)


def _columns(drawn: Lines) -> dict[str, Any]:
    if not drawn.xs:
        return {"x": np.empty(0, np.float32), "y": np.empty(0, np.float32)}
    x, y = drawn.joined()
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def _legend_above(plot: figure) -> list[Any]:
    """Move the legend out of the plot; its items."""
    legend = plot.legend[0]
    plot.center.remove(legend)
    plot.add_layout(legend, "above")
    legend.update(orientation="horizontal", padding=0, margin=2, spacing=12)
    return list(legend.items)
