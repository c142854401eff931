"""Anisotropy energies in Bokeh figures that are patched in place: λ and the dial move them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, FixedTicker, HoverTool, Range1d
from bokeh.models.annotations import Span
from bokeh.models.mappers import LinearColorMapper
from bokeh.plotting import figure
from numpy.typing import NDArray

from hamexplorer.plots.anisotropy_data import AngleCurve, polar_outline, projected
from hamexplorer.plots.figure import apply_theme, colour_bar, empty_source, new_figure
from hamexplorer.plots.palette import CATEGORIES, SOC_OFF, SOC_ON, sequential, theme

__all__ = ["DIAL", "EASY", "LiveAngleCurve", "LivePolar", "LiveSphere"]

DIAL = "#d6336c"
"""Colour of the dial's direction: that of the arrow beside the crystal."""
EASY = CATEGORIES[2]
"""Colour of the easy axis."""
_FLAT = 1e-9
_Array = NDArray[np.float64]


class LiveAngleCurve:
    """E against θ or φ: points, the fitted curve, and a marker at the dial's angle.

    ``other`` is a second, dashed curve (E(φ) at the dial's θ), ``exact`` points of another
    calculation to compare with. A range that the visitor zoomed stays.
    """

    def __init__(self, angle: Literal["theta", "phi"], *, dark: bool = False) -> None:
        last = 180 if angle == "theta" else 360
        self._symbol = "θ" if angle == "theta" else "φ"
        self.x_range = Range1d(start=0, end=last, bounds=(0, last))
        self.y_range = Range1d(start=0, end=1)
        self._set: tuple[float, float] = (0.0, 1.0)
        self.figure = new_figure(
            width=None,
            height=None,
            dark=dark,
            x_range=self.x_range,
            y_range=self.y_range,
            tools="box_zoom,reset",
            x_axis_label=f"{self._symbol} (°)",
            toolbar_location="above",
            title="",
        )
        self.figure.xaxis.ticker = FixedTicker(ticks=list(range(0, last + 1, last // 6)))
        self.points = empty_source("angle", "energy")
        self.fit = empty_source("angle", "energy")
        self.other = empty_source("angle", "energy")
        self.exact = empty_source("angle", "energy")
        self.marker = empty_source("angle", "energy")
        self._dial = Span(location=0, dimension="height", line_color=DIAL, line_dash="dotted")
        self.figure.add_layout(self._dial)
        self._draw()
        self.set_theme(dark)

    def _draw(self) -> None:
        plot: Any = self.figure
        place: dict[str, Any] = {"x": "angle", "y": "energy"}
        plot.line(**place, source=self.other, line_color=SOC_OFF, line_dash="dashed", line_width=2)
        plot.line(**place, source=self.fit, line_color=SOC_ON, line_width=2.5)
        points = plot.scatter(**place, source=self.points, size=7, color=SOC_ON)
        exact = plot.scatter(
            **place,
            source=self.exact,
            marker="diamond",
            size=15,
            fill_color=None,
            line_color=CATEGORIES[3],
            line_width=2.5,
        )
        plot.scatter(
            **place,
            source=self.marker,
            size=15,
            fill_color=DIAL,
            line_color="#ffffff",
            line_width=2,
        )
        tips = [(self._symbol, "@angle{0.0}°"), ("E − E_min", "@energy{0.0000}")]
        plot.add_tools(HoverTool(renderers=[points, exact], tooltips=tips))

    def update(self, curve: AngleCurve, label: str, title: str) -> None:
        """Draw another curve; the energy axis follows unless it was zoomed."""
        self.points.data = {"angle": curve.x, "energy": curve.energy}
        self.fit.data = {"angle": curve.fit_x, "energy": curve.fit_energy}
        self.figure.yaxis.axis_label = label
        self.figure.title.text = title  # type: ignore[union-attr]
        self._fit_range()

    def set_other(self, angle: _Array | None, energy: _Array | None, title: str) -> None:
        """Draw the dashed curve, or none; ``title`` is the figure's."""
        self.other.data = _columns(angle, energy)
        self.figure.title.text = title  # type: ignore[union-attr]
        self._fit_range()

    def set_exact(self, angle: _Array | None, energy: _Array | None) -> None:
        """Draw points to compare with, or none."""
        self.exact.data = _columns(angle, energy)

    def set_marker(self, angle: float, energy: float | None) -> None:
        """The dial's angle, and its energy where it is known."""
        self._dial.location = angle
        known = energy is not None and np.isfinite(energy)
        self.marker.data = (
            {"angle": [angle], "energy": [energy]} if known else {"angle": [], "energy": []}
        )

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)

    def _fit_range(self) -> None:
        shown = [
            np.asarray(source.data["energy"], float)
            for source in (self.points, self.fit, self.other)
        ]
        values = np.concatenate(shown)
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if high - low < _FLAT:
            low, high = low - 1.0, high + 1.0
        wanted = (low - 0.06 * (high - low), high + 0.1 * (high - low))
        if (self.y_range.start, self.y_range.end) == self._set:
            self.y_range.update(start=wanted[0], end=wanted[1])
            self._set = wanted
        self.y_range.update(reset_start=wanted[0], reset_end=wanted[1])


class LivePolar:
    """E as the distance from the middle, in the direction of n: z upwards, φ to the right.

    The largest energy reaches the outer circle, whose value is written on it.
    """

    def __init__(self, *, dark: bool = False) -> None:
        self.figure = _disc(dark)
        plot: Any = self.figure
        self._largest = 1.0
        self.outline = empty_source("x", "y")
        self.marker = empty_source("x", "y", "size")
        self.easy = empty_source("x", "y")
        circle = np.radians(np.linspace(0, 360, 181))
        self._grid = [
            plot.line(part * np.sin(circle), part * np.cos(circle), line_width=1)
            for part in (0.5, 1.0)
        ]
        spokes = np.radians(np.arange(0, 180, 30))
        self._grid += [
            plot.line([-np.sin(a), np.sin(a)], [-np.cos(a), np.cos(a)], line_width=1)
            for a in spokes
        ]
        plot.patch("x", "y", source=self.outline, fill_color=SOC_ON, fill_alpha=0.18)
        plot.line("x", "y", source=self.outline, line_color=SOC_ON, line_width=2.5)
        plot.line("x", "y", source=self.easy, line_color=EASY, line_width=2.5, line_dash="dashed")
        plot.line("x", "y", source=self.marker, line_color=DIAL, line_width=3)
        plot.scatter("x", "y", source=self.marker, color=DIAL, size="size")
        letters: dict[str, Any] = {"x": [0.0], "y": [1.09], "text": ["z"]}
        self._text = plot.text(
            "x",
            "y",
            "text",
            source=ColumnDataSource(letters),
            text_align="center",
            text_baseline="middle",
            text_font_size="13px",
        )
        self.set_theme(dark)

    def update(self, curve: AngleCurve, unit: str) -> None:
        """Draw another E(θ) with energies in ``unit``, as it is to be written."""
        angle, energy = polar_outline(curve)
        radians, energy = np.radians(angle), np.maximum(energy, 0.0)
        self._largest = float(energy.max()) if energy.max() > _FLAT else 1.0
        radius = energy / self._largest
        self.outline.data = {"x": radius * np.sin(radians), "y": radius * np.cos(radians)}
        self.figure.title.text = (  # type: ignore[union-attr]
            f"E(θ), φ = {curve.fixed:g}°; outer circle {float(energy.max()):.3g} {unit}"
        )

    def set_marker(self, theta: float) -> None:
        """The dial's θ, in the plane of its φ."""
        t = np.radians(theta)
        self.marker.data = {"x": [0.0, np.sin(t)], "y": [0.0, np.cos(t)], "size": [0, 11]}

    def set_easy(self, theta: float | None) -> None:
        """The easy axis, if it lies in the plane."""
        t = np.radians(theta or 0.0)
        ends = np.array([-1.0, 1.0])
        self.easy.data = (
            {"x": [], "y": []} if theta is None else {"x": ends * np.sin(t), "y": ends * np.cos(t)}
        )

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)
        self.figure.outline_line_color = None
        for line in self._grid:
            line.glyph.line_color = theme(dark).grid
        self._text.glyph.text_color = theme(dark).text


class LiveSphere:
    """E over the upper hemisphere, seen from z; the lower one is the same by E(n) = E(−n)."""

    def __init__(self, *, dark: bool = False) -> None:
        self.figure = _disc(dark)
        plot: Any = self.figure
        self.figure.title.text = "E(θ, φ), seen from z"  # type: ignore[union-attr]
        self._mapper = LinearColorMapper(
            palette=sequential(dark), low=0, high=1, nan_color="rgba(0, 0, 0, 0)"
        )
        self.image = ColumnDataSource({"value": []})
        self.samples = empty_source("x", "y", "value", "theta", "phi")
        self.marker = empty_source("x", "y")
        self.easy = empty_source("x", "y")
        plot.image("value", source=self.image, x=-1, y=-1, dw=2, dh=2, color_mapper=self._mapper)
        circle = np.radians(np.linspace(0, 360, 181))
        self._grid = [
            plot.line(part * np.cos(circle), part * np.sin(circle), line_width=1)
            for part in (1 / 3, 2 / 3, 1.0)
        ]
        self._samples = plot.scatter(
            "x",
            "y",
            source=self.samples,
            size=7,
            fill_color={"field": "value", "transform": self._mapper},
        )
        plot.scatter(
            "x", "y", source=self.easy, marker="star", size=19, color=EASY, line_color="#ffffff"
        )
        plot.scatter(
            "x",
            "y",
            source=self.marker,
            size=15,
            fill_color=DIAL,
            line_color="#ffffff",
            line_width=2,
        )
        names: dict[str, Any] = {"x": [1.06, 0.0], "y": [0.0, 1.08], "text": ["x", "y"]}
        self._text = plot.text(
            "x",
            "y",
            "text",
            source=ColumnDataSource(names),
            text_align="center",
            text_baseline="middle",
            text_font_size="13px",
        )
        self._bar = colour_bar(self._mapper)
        plot.add_layout(self._bar, "right")
        tips = [("θ", "@theta{0}°"), ("φ", "@phi{0}°"), ("E − E_min", "@value{0.0000}")]
        plot.add_tools(HoverTool(renderers=[self._samples], tooltips=tips))
        self.set_theme(dark)

    def update(
        self,
        values: _Array | None,
        theta: _Array,
        phi: _Array,
        energies: _Array,
        label: str,
    ) -> None:
        """Draw another map (``plots.anisotropy_data.hemisphere``, scaled) and its samples."""
        shown = energies if values is None else values[np.isfinite(values)]
        high = float(shown.max(initial=0.0))
        self._mapper.update(low=0.0, high=high if high > _FLAT else 1.0)
        self.image.data = {"value": [] if values is None else [values]}
        x, y = projected(theta, phi)
        self.samples.data = {"x": x, "y": y, "value": energies, "theta": theta, "phi": phi}
        self._bar.title = label

    def set_marker(self, theta: float, phi: float) -> None:
        """The dial's direction."""
        x, y = projected([theta], [phi])
        self.marker.data = {"x": x, "y": y}

    def set_easy(self, theta: float | None, phi: float = 0.0) -> None:
        """The easy axis, or none."""
        x, y = projected([] if theta is None else [theta], phi)
        self.easy.data = {"x": x, "y": y}

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)
        self.figure.outline_line_color = None
        self._mapper.palette = sequential(dark)
        self._bar.update(title_text_color=theme(dark).text, title_text_font_style="normal")
        for line in self._grid:
            line.glyph.update(line_color=theme(dark).text, line_alpha=0.35)
        self._samples.glyph.update(line_color=theme(dark).text, line_alpha=0.45)
        self._text.glyph.text_color = theme(dark).text


def _points(angle: _Array | None, energy: _Array | None) -> dict[str, Any]:
    if angle is None or energy is None:
        return {"angle": [], "energy": []}
    return {"angle": angle, "energy": energy}


def _columns(angle: _Array | None, energy: _Array | None) -> dict[str, Any]:
    if angle is None or energy is None:
        return {"angle": [], "energy": []}
    return {"angle": angle, "energy": energy}


def _disc(dark: bool) -> figure:
    """A figure around the unit circle, without axes, whose circles are round."""
    plot: Any = new_figure(
        width=None,
        height=None,
        dark=dark,
        match_aspect=True,
        x_range=DataRange1d(range_padding=0),
        y_range=DataRange1d(range_padding=0),
        tools="",
        toolbar_location=None,
        title="",
    )
    plot.axis.visible = False
    plot.grid.visible = False
    frame = plot.scatter([-1.22, 1.22], [-1.16, 1.16], size=0)
    plot.x_range.renderers = plot.y_range.renderers = [frame]
    result: figure = plot
    return result
