"""The zone's map and the splitting curves as Bokeh figures that are patched in place."""

from __future__ import annotations

import numpy as np
from bokeh.models import DataRange1d, HoverTool, Image, LinearColorMapper, Text
from bokeh.models.annotations import Span, Title
from numpy.typing import NDArray

from hamexplorer.plots.figure import apply_theme, colour_bar, empty_source, new_figure
from hamexplorer.plots.palette import CATEGORIES, theme
from hamexplorer.plots.zone_image import (
    FIELD_TITLES,
    FIELD_UNITS,
    ZoneRaster,
    field_values,
    letters,
    map_scale,
)
from hamexplorer.properties.valley import MapField, ValleyMap, ValleySplitting
from hamexplorer.structures.zone import PlanarZone

__all__ = [
    "FIELD_AXIS",
    "PADDING",
    "SPLITTING_AXIS",
    "SPLITTING_COLOURS",
    "SPLITTING_WIDTHS",
    "LiveSplittingPlot",
    "LiveZonePlot",
    "plane_labels",
    "splitting_curves",
    "surroundings",
]

FIELD_AXIS = "exchange field Δ (meV)"
SPLITTING_AXIS = "K − K′ (meV)"
SPLITTING_COLOURS = {"valence": CATEGORIES[0], "conduction": CATEGORIES[1], "gap": CATEGORIES[2]}
SPLITTING_WIDTHS = {"valence": 4, "conduction": 2, "gap": 2}
"""Of lines, pixels: where two lie on each other, both are seen."""
_FAR = 50.0  # how far around the zone the background reaches, in zones
PADDING = 0.18
"""Of the zone's size: room for the letters."""
_SCALE = 0.5  # 1/Å
_TOOLS = "pan,wheel_zoom,reset,save"


class LiveZonePlot:
    """One quantity over the Brillouin zone, to scale; ``figure`` is the Bokeh figure.

    The mesh is drawn as one smooth image and cut exactly along the zone's edge by a frame in the
    background's colour. The zoom stays while data change.

    Args:
        result: the map.
        field: one of :data:`~hamexplorer.properties.valley.MAP_FIELDS`.
        dark: for a dark page.
        width: pixels; without it the figure fills its place.
        height: as ``width``.

    Raises:
        SettingsError: an unknown field.
    """

    def __init__(
        self,
        result: ValleyMap,
        *,
        field: MapField = "curvature",
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        map_scale(result, field, dark)  # refuses unknown fields
        self._result, self._field, self._dark = result, field, dark
        self._raster = ZoneRaster.of(result.zone)
        self._title = Title(text="")
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            match_aspect=True,
            tools=_TOOLS,
            title=self._title,
            x_range=DataRange1d(range_padding=PADDING),
            y_range=DataRange1d(range_padding=PADDING),
        )
        self.figure.grid.visible = self.figure.axis.visible = False
        self._mapper = LinearColorMapper(
            palette=["#000000"], low=0, high=1, nan_color="rgba(0, 0, 0, 0)"
        )
        self.source = empty_source("value", "k1", "k2", "k3", "x", "y", "width", "height")
        self.valley_source = empty_source("x", "y", "name")
        self._frame_source = empty_source("xs", "ys")
        self._edge_source = empty_source("x", "y")
        self._letter_source = empty_source("x", "y", "name")
        self._scale_source = empty_source("x", "y", "end", "name")
        self._draw()
        self._set_zone()
        self.update(result)
        self.set_theme(dark)

    @property
    def result(self) -> ValleyMap:
        """The map drawn last."""
        return self._result

    @property
    def caption(self) -> str:
        """What the colours mean."""
        return str(self._title.text)

    def update(self, result: ValleyMap) -> None:
        """Draw another map; the zoom stays."""
        self._result = result
        if not _same(self._raster.zone, result.zone):
            self._raster = ZoneRaster.of(result.zone)
            self._set_zone()
        scale = map_scale(result, self._field, self._dark)
        self._mapper.update(low=scale.low, high=scale.high, palette=list(scale.palette))
        self._title.text = scale.label
        image = self._raster.image(field_values(result, self._field))
        self.source.data.update({"value": [image]})  # type: ignore[arg-type]

    def set_field(self, field: MapField) -> None:
        """Show another quantity of the map drawn last.

        Raises:
            SettingsError: an unknown field; the plot stays as it was.
        """
        map_scale(self._result, field, self._dark)
        self._field = field
        self.hover.tooltips = self._tooltips()
        self.update(self._result)

    def mark(self, places: dict[str, NDArray[np.float64]]) -> None:
        """Mark valleys that lie beside their corners: name → in-plane vector, 1/Å."""
        inside = [self._raster.zone.folded(place) for place in places.values()]
        self.valley_source.data = {
            "x": [float(place[0]) for place in inside],
            "y": [float(place[1]) for place in inside],
            "name": list(places),
        }

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        self._dark = dark
        colours = theme(dark)
        apply_theme(self.figure, dark)
        self.figure.outline_line_color = None
        self._mapper.palette = list(map_scale(self._result, self._field, dark).palette)
        self._frame.glyph.fill_color = colours.background
        self._edge.glyph.line_color = colours.text
        self._letters.glyph.update(
            text_color=colours.text, background_fill_color=colours.background, padding=3
        )
        self._scale.glyph.line_color = self._scale_text.glyph.text_color = colours.text
        self._valleys.glyph.line_color = colours.text

    def _draw(self) -> None:
        plot = self.figure
        glyph = Image(
            image="value", x="x", y="y", dw="width", dh="height", color_mapper=self._mapper
        )
        image = plot.add_glyph(self.source, glyph)
        self._frame = plot.multi_polygons(
            "xs", "ys", source=self._frame_source, line_color=None, fill_color="#ffffff"
        )
        self._edge = plot.line("x", "y", source=self._edge_source, line_width=1.5)
        self._valleys = plot.scatter(
            "x", "y", source=self.valley_source, marker="x", size=9, line_width=2, fill_color=None
        )
        self._letters = plot.add_glyph(
            self._letter_source,
            Text(
                x="x",
                y="y",
                text="name",
                text_align="center",
                text_baseline="middle",
                text_font_size="15px",
                background_fill_alpha=0.6,
            ),
        )
        self._scale = plot.segment("x", "y", "end", "y", source=self._scale_source, line_width=2)
        self._scale_text = plot.text(
            "x", "y", text="name", source=self._scale_source, y_offset=-3, text_font_size="12px"
        )
        for axis_range in (plot.x_range, plot.y_range):
            assert isinstance(axis_range, DataRange1d)
            axis_range.renderers = [self._edge]
        plot.add_layout(colour_bar(self._mapper), "right")
        self.hover = HoverTool(
            renderers=[image],
            tooltips=self._tooltips(),
            attachment="horizontal",
        )
        plot.add_tools(self.hover)

    def _tooltips(self) -> list[tuple[str, str]]:
        name, unit = FIELD_TITLES[self._field], FIELD_UNITS[self._field]
        return [
            (name, f"@value{{0.0000}} {unit}".strip()),
            ("k", "(@k1{0.000}, @k2{0.000}, @k3{0.000})"),
            ("k (1/Å)", "($x{0.000}, $y{0.000})"),
        ]

    def _set_zone(self) -> None:
        raster, zone = self._raster, self._raster.zone
        left, bottom, right, top = raster.bounds
        k = raster.kpoints()
        self.source.data = {
            "value": [np.full(raster.inside.shape, np.nan, dtype=np.float32)],
            **{f"k{a + 1}": [np.ascontiguousarray(k[a])] for a in range(3)},
            "x": [left],
            "y": [bottom],
            "width": [right - left],
            "height": [top - bottom],
        }
        outer, inner = surroundings(zone), zone.polygon
        self._frame_source.data = {
            "xs": [[[outer[:, 0].tolist(), inner[:, 0].tolist()]]],
            "ys": [[[outer[:, 1].tolist(), inner[:, 1].tolist()]]],
        }
        closed = np.vstack([zone.polygon, zone.polygon[:1]])
        self._edge_source.data = {"x": closed[:, 0], "y": closed[:, 1]}
        names, places = letters(zone)
        self._letter_source.data = {"x": places[:, 0], "y": places[:, 1], "name": names}
        corner = zone.polygon.min(axis=0)
        self._scale_source.data = {
            "x": [corner[0]],
            "y": [corner[1]],
            "end": [corner[0] + _SCALE],
            "name": [f"{_SCALE:g} / Å"],
        }
        self.mark({})


class LiveSplittingPlot:
    """K − K′ of valence band, conduction band and gap against the field, with a marker."""

    def __init__(
        self,
        result: ValleySplitting,
        *,
        marked: float = 0.0,
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self._result, self._marked = result, marked
        self._x_range = DataRange1d(range_padding=0)
        self._y_range = DataRange1d(min_interval=1.0)
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            tools=_TOOLS,
            x_axis_label=FIELD_AXIS,
            y_axis_label=SPLITTING_AXIS,
            x_range=self._x_range,
            y_range=self._y_range,
        )
        self.source = empty_source("field", *SPLITTING_COLOURS)
        self.dot_source = empty_source("field", "value", "colour")
        self._span = Span(location=marked, dimension="height", line_dash="dashed", line_width=1.5)
        self.figure.add_layout(self._span)
        for name, colour in SPLITTING_COLOURS.items():
            line = self.figure.line(
                "field",
                name,
                source=self.source,
                color=colour,
                line_width=SPLITTING_WIDTHS[name],
                legend_label=name,
            )
            rows = [("Δ", "@field{0.0} meV"), (f"{name}, K − K′", f"@{name}{{0.00}} meV")]
            self.figure.add_tools(HoverTool(renderers=[line], tooltips=rows))
        self._x_range.renderers = self._y_range.renderers = list(self.figure.renderers)
        self.figure.scatter(
            "field", "value", source=self.dot_source, size=9, color="colour", line_color=None
        )
        legend = self.figure.legend[0]
        self.figure.center.remove(legend)
        self.figure.add_layout(legend, "above")
        legend.update(orientation="horizontal", padding=0, margin=2)
        self.update(result)
        self.set_theme(dark)

    @property
    def result(self) -> ValleySplitting:
        """The curves drawn last."""
        return self._result

    def update(self, result: ValleySplitting) -> None:
        """Draw other curves."""
        self._result = result
        self.source.data = {"field": result.fields, **splitting_curves(result)}
        self.mark(self._marked)

    def mark(self, field: float) -> None:
        """Move the marker to ``field``, meV."""
        self._marked = field
        self._span.location = field
        fields = self._result.fields
        self.dot_source.data = {
            "field": [field] * len(SPLITTING_COLOURS),
            "value": [
                float(np.interp(field, fields, values))
                for values in splitting_curves(self._result).values()
            ],
            "colour": list(SPLITTING_COLOURS.values()),
        }

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)
        self._span.line_color = theme(dark).fermi


def splitting_curves(result: ValleySplitting) -> dict[str, NDArray[np.float64]]:
    """Name → K − K′, meV, (nf,)."""
    return {"valence": result.valence, "conduction": result.conduction, "gap": result.gap}


def plane_labels(zone: PlanarZone) -> tuple[str, str]:
    """Labels of the two axes of the zone's plane."""
    usual = np.allclose(zone.axes, np.eye(3)[:2], atol=1e-6)
    return ("k_x (1/Å)", "k_y (1/Å)") if usual else ("k₁ (1/Å)", "k₂ (1/Å)")


def surroundings(zone: PlanarZone) -> NDArray[np.float64]:
    """A large square around the zone, 1/Å, (4, 2)."""
    far = _FAR * float(np.abs(zone.polygon).max())
    return np.array([[-far, -far], [far, -far], [far, far], [-far, far]])


def _same(first: PlanarZone, second: PlanarZone) -> bool:
    return (
        first.polygon.shape == second.polygon.shape
        and np.allclose(first.polygon, second.polygon)
        and np.allclose(first.reciprocal, second.reciprocal)
        and np.allclose(first.embedding, second.embedding)
        and [name for name, _ in first.named] == [name for name, _ in second.named]
    )
