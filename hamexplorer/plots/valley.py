"""Maps of a layer's Brillouin zone and valley splittings as HoloViews elements."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import DataRange1d, MultiLine

from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.live_valley import (
    FIELD_AXIS,
    PADDING,
    SPLITTING_AXIS,
    SPLITTING_COLOURS,
    SPLITTING_WIDTHS,
    plane_labels,
    splitting_curves,
    surroundings,
)
from hamexplorer.plots.palette import theme
from hamexplorer.plots.zone_image import ZoneRaster, field_values, letters, map_scale
from hamexplorer.properties.valley import ValleyMap, ValleySplitting

__all__ = ["valley_map_plot", "valley_splitting_plot"]

_PIXELS = 400


def valley_map_plot(
    result: ValleyMap,
    *,
    field: str = "curvature",
    dark: bool = False,
    width: int | None = 560,
    height: int | None = 520,
) -> hv.Overlay:
    """One quantity over the Brillouin zone, to scale, cut along the zone's edge and lettered.

    Args:
        result: the map.
        field: one of :data:`~hamexplorer.properties.valley.MAP_FIELDS`; energies are drawn from
            the valence band's top.
        dark: for a dark page.
        width: pixels; None fills the place.
        height: pixels; None fills the place.

    Raises:
        SettingsError: an unknown field.
    """
    _backend()
    zone, colours = result.zone, theme(dark)
    scale = map_scale(result, field, dark)
    raster = ZoneRaster.of(zone, _PIXELS)
    k = raster.kpoints()
    along, across = plane_labels(zone)
    image = hv.Image(
        (raster.x, raster.y, raster.image(field_values(result, field)), *k),
        kdims=[hv.Dimension("kx", label=along), hv.Dimension("ky", label=across)],
        vdims=[hv.Dimension("value", label=scale.label), "k1", "k2", "k3"],
    ).opts(
        cmap=list(scale.palette),
        clim=(scale.low, scale.high),
        clipping_colors={"NaN": "rgba(0,0,0,0)"},
        colorbar=True,
        colorbar_opts={"width": 12},
        tools=["hover"],
    )
    outer = surroundings(zone)
    frame = hv.Polygons([{("kx", "ky"): outer, "holes": [[zone.polygon]]}], ["kx", "ky"]).opts(
        color=colours.background, line_alpha=0
    )
    edge = hv.Path([np.vstack([zone.polygon, zone.polygon[:1]])], ["kx", "ky"]).opts(
        color=colours.text, line_width=1.5
    )
    names, places = letters(zone)
    labels = hv.Labels((places[:, 0], places[:, 1], names), ["kx", "ky"], "name").opts(
        text_color=colours.text, text_font_size="12pt"
    )
    return hv.Overlay([image, frame, edge, labels]).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            hooks=[*frame_options(dark)["hooks"], _to_scale],
            title=f"{result.title}: {scale.label}",
            show_grid=False,
            xlabel=along,
            ylabel=across,
        )
    )


def valley_splitting_plot(
    result: ValleySplitting,
    *,
    marked: float | None = None,
    dark: bool = False,
    width: int | None = 560,
    height: int | None = 360,
) -> hv.Overlay:
    """E(K) − E(K′) of valence band, conduction band and gap (meV) against the field (meV).

    ``marked``: a field, meV, at which a line is drawn; sizes as in :func:`valley_map_plot`.
    """
    _backend()
    parts: list[Any] = [
        hv.Curve(
            (result.fields, values),
            hv.Dimension("field", label=FIELD_AXIS),
            hv.Dimension("splitting", label=SPLITTING_AXIS),
            label=name,
        ).opts(color=SPLITTING_COLOURS[name], line_width=SPLITTING_WIDTHS[name], tools=["hover"])
        for name, values in splitting_curves(result).items()
    ]
    if marked is not None:
        parts.append(
            hv.VLine(float(marked)).opts(
                color=theme(dark).fermi, line_dash="dashed", line_width=1.5
            )
        )
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            xlabel=FIELD_AXIS,
            ylabel=SPLITTING_AXIS,
            show_grid=True,
            legend_position="top",
        )
    )


def _to_scale(plot: Any, _element: Any) -> None:
    """Both directions at one scale, whatever the figure's size: Bokeh widens one of the ranges.

    HoloViews' own ``data_aspect`` is without effect where width and height are both given.
    """
    edge = [r for r in plot.state.renderers if isinstance(getattr(r, "glyph", None), MultiLine)]
    plot.state.update(
        match_aspect=True,
        x_range=DataRange1d(renderers=edge, range_padding=PADDING),
        y_range=DataRange1d(renderers=edge, range_padding=PADDING),
    )


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)
