"""The export menu of a plot: its data as CSV, its picture as PNG or SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui

from hamexplorer.app.browser import Downloads

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure

__all__ = ["export_menu"]


def export_menu(
    downloads: Downloads,
    label: str,
    name: Callable[[], str],
    table: Callable[[], pd.DataFrame | None],
    picture: Callable[[], figure | None],
) -> pmui.MenuButton:
    """A button with a menu; ``name`` is the file's name without ending.

    ``table`` and ``picture`` return None while there is nothing to save.
    """
    button = pmui.MenuButton(
        label=label,
        items=[{"label": "Data (CSV)"}, {"label": "Picture (PNG)"}, {"label": "Picture (SVG)"}],
        variant="text",
        size="small",
        icon="download",
        margin=(0, 4),
    )

    def chosen(item: dict[str, Any]) -> None:
        kind = item["label"][-4:-1].lower()
        stem = re.sub(r"[^\w.+-]+", "-", name()).strip("-") or "hamexplorer"
        if kind == "csv":
            frame = table()
            if frame is not None:
                downloads.text(f"{stem}.csv", frame.to_csv(index=False))
        else:
            plot = picture()
            if plot is not None:
                downloads.picture(f"{stem}.{kind}", plot.id, kind)

    button.on_click(chosen)
    return button
