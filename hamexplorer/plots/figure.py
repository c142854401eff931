"""What all Bokeh figures share: fonts, colours, axes."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, LinearColorMapper
from bokeh.models.annotations import ColorBar, Title
from bokeh.plotting import figure

from hamexplorer.plots.palette import theme

__all__ = ["FONT_SIZE", "apply_theme", "colour_bar", "empty_source", "new_figure", "path_axis"]

FONT_SIZE = "13px"
_TITLE_SIZE = "14px"
_LABEL_ROOM = 26
"""Pixels right of a path: its last label, such as ``U₂|K′``, stands across the plot's edge."""


def new_figure(*, width: int | None, height: int | None, dark: bool, **options: Any) -> figure:
    """A figure in the package's style; without ``width`` (or ``height``) it fills its place."""
    if width is None and height is None:
        size: dict[str, Any] = {"sizing_mode": "stretch_both"}
    elif width is None:
        size = {"sizing_mode": "stretch_width", "height": height}
    elif height is None:
        size = {"sizing_mode": "stretch_height", "width": width}
    else:
        size = {"width": width, "height": height}
    result = figure(**{"min_border_right": 12, "output_backend": "canvas", **size, **options})
    result.toolbar.logo = None
    apply_theme(result, dark)
    return result


def apply_theme(plot: figure, dark: bool) -> None:
    """Colours and fonts of everything around the data; may be called again to switch."""
    colours = theme(dark)
    plot.background_fill_color = colours.background
    plot.border_fill_color = colours.background
    plot.outline_line_color = colours.grid
    for title in plot.select(Title):
        title.update(text_color=colours.text, text_font_size=_TITLE_SIZE)
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = colours.text
        axis.axis_label_text_font_size = axis.major_label_text_font_size = FONT_SIZE
        axis.axis_label_text_font_style = "normal"
        axis.axis_line_color = axis.major_tick_line_color = colours.grid
        axis.minor_tick_line_color = None
    plot.grid.grid_line_color = colours.grid
    for legend in plot.legend:
        legend.background_fill_color = legend.border_line_color = colours.background
        legend.background_fill_alpha = 0.85
        legend.label_text_color = colours.text
        legend.label_text_font_size = FONT_SIZE
    for bar in plot.select(ColorBar):
        bar.update(
            background_fill_color=colours.background,
            major_label_text_color=colours.text,
            major_label_text_font_size=FONT_SIZE,
            bar_line_color=colours.grid,
            major_tick_line_color=colours.text,
        )


def colour_bar(mapper: LinearColorMapper) -> ColorBar:
    """A slim colour bar for the right side of a figure."""
    return ColorBar(color_mapper=mapper, width=12, padding=8)


def path_axis(plot: figure, ticks: tuple[tuple[float, str], ...]) -> None:
    """High-symmetry labels below, a vertical line at each."""
    plot.min_border_right = _LABEL_ROOM
    positions = [position for position, _ in ticks]
    plot.xaxis.ticker = FixedTicker(ticks=positions)
    plot.xaxis.major_label_overrides = dict(ticks)
    plot.xgrid.ticker = FixedTicker(ticks=positions)


def empty_source(*columns: str) -> ColumnDataSource:
    """A source with these columns and no rows."""
    return ColumnDataSource({name: [] for name in columns})
