"""Sizes, fonts and colours that all HoloViews plots share."""

from __future__ import annotations

from typing import Any

from bokeh.models.annotations import ColorBar

from hamexplorer.plots.figure import apply_theme

__all__ = ["frame_options", "frame_size"]


def frame_size(width: int | None, height: int | None) -> dict[str, Any]:
    """Fixed where given, filling the place where None."""
    if width is not None and height is not None:
        return {"width": width, "height": height}
    size: dict[str, Any] = {"responsive": True}
    if width is not None:
        size["width"] = width
    if height is not None:
        size["height"] = height
    return size


def frame_options(dark: bool) -> dict[str, Any]:
    """Fonts and the theme, applied when Bokeh draws."""

    def hook(plot: Any, _element: Any) -> None:
        apply_theme(plot.state, dark)
        plot.state.toolbar.logo = None
        # The plot's title says what the colours mean; Bokeh would write it across the bar.
        for bar in plot.state.select(ColorBar):
            bar.title = None

    return {"hooks": [hook]}
