"""The export menu of a page: data as CSV, pictures as PNG or SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui

from hamexplorer.app.browser import Downloads

if TYPE_CHECKING:
    import pandas as pd
    from bokeh.plotting import figure

__all__ = ["Exported", "export_menu"]


@dataclass(frozen=True)
class Exported:
    """One plot: ``name`` gives the file's name without ending.

    ``table`` and ``picture`` return None while there is nothing to save; without ``picture`` there
    is data alone.
    """

    label: str
    name: Callable[[], str]
    table: Callable[[], pd.DataFrame | None]
    picture: Callable[[], figure | None] | None

    def save(self, kind: str, downloads: Downloads) -> None:
        """Hand the plot to the visitor as ``csv``, ``png`` or ``svg``."""
        stem = re.sub(r"[^\w.+-]+", "-", self.name()).strip("-") or "hamexplorer"
        if kind == "csv":
            frame = self.table()
            if frame is not None:
                downloads.text(f"{stem}.csv", frame.to_csv(index=False))
        elif self.picture is not None:
            plot = self.picture()
            if plot is not None:
                downloads.picture(f"{stem}.{kind}", plot.id, kind)


def export_menu(downloads: Downloads, *plots: Exported) -> pmui.MenuButton:
    """A button whose menu offers every plot as CSV, PNG and SVG, tables as CSV."""
    choices = {
        f"{plot.label} ({kind.upper()})": (plot, kind)
        for plot in plots
        for kind in (("csv", "png", "svg") if plot.picture is not None else ("csv",))
    }
    button = pmui.MenuButton(
        label="Export",
        items=[{"label": label} for label in choices],
        variant="text",
        size="small",
        icon="download",
        margin=(4, 6),
    )

    def chosen(item: Any) -> None:
        plot, kind = choices[item["label"]]
        plot.save(kind, downloads)

    button.on_click(chosen)
    return button
