"""The Compare page's plots: bands and their error at each k, elements by shell and distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.plotting import figure

from hamexplorer.app.export import Exported
from hamexplorer.plots import LiveBandComparison, LiveDistanceErrors, LiveShellErrors
from hamexplorer.plots.comparison_data import distance_errors, shell_errors
from hamexplorer.properties.comparison import Comparison, ElementErrors, Table

__all__ = ["ComparisonView"]

_FEW_SHELLS, _MANY_SHELLS = 10, 20  # up to which their labels are of the usual, of a small size


class ComparisonView:
    """Panes whose plots are made when there is first something to draw, and patched afterwards."""

    def __init__(self, *, dark: bool) -> None:
        self._dark = dark
        self.bands: LiveBandComparison | None = None
        self.shells: LiveShellErrors | None = None
        self.distance: LiveDistanceErrors | None = None
        self._result: Comparison | None = None
        self._drawn: tuple[ElementErrors, str] | None = None  # what shells and distance show
        self.bands_pane = pn.pane.Bokeh(margin=0, sizing_mode="stretch_both", min_height=160)
        self.errors_pane = pn.pane.Bokeh(margin=0, sizing_mode="stretch_both", min_height=90)
        self.shells_pane = pn.pane.Bokeh(margin=0, sizing_mode="stretch_both", min_height=140)
        self.distance_pane = pn.pane.Bokeh(margin=0, sizing_mode="stretch_both", min_height=120)
        left = pn.Column(
            _share(self.bands_pane, 2.6), _share(self.errors_pane, 1), sizing_mode="stretch_both"
        )
        right = pn.Column(
            _share(self.shells_pane, 1.25),
            _share(self.distance_pane, 1),
            sizing_mode="stretch_both",
        )
        self._elements = _share(right, 1)
        self.view = pn.Row(
            _share(left, 1.3),
            self._elements,
            sizing_mode="stretch_both",
            styles={"min-height": "0", "flex": "1 1 0"},
        )

    @property
    def result(self) -> Comparison | None:
        """The comparison drawn last."""
        return self._result

    def forget(self) -> None:
        """Others come: what is drawn is no longer exported."""
        self._result = None

    def draw(self, result: Comparison, component: str) -> None:
        """Draw a comparison, and of its elements those of ``component``."""
        self._result = result
        if self.bands is None:
            self.bands = LiveBandComparison(result, dark=self._dark)
            _arrange(self.bands.errors)
            self.bands.bands.toolbar_location = "above"
            self.bands_pane.object = self.bands.bands
            self.errors_pane.object = self.bands.errors
        else:
            self.bands.update(result)
        self._elements.visible = result.elements is not None
        if result.elements is not None:
            self.draw_elements(component)

    def draw_elements(self, component: str) -> None:
        """Draw the errors of another component of the comparison drawn last."""
        result = self._result
        if result is None or result.elements is None:
            return
        drawn = self._drawn
        if drawn is not None and drawn[0] is result.elements and drawn[1] == component:
            return  # λ moved, which changes bands alone
        self._drawn = result.elements, component
        shells, distance = shell_errors(result, component), distance_errors(result, component)
        assert shells is not None
        assert distance is not None
        if self.shells is None or self.distance is None:
            self.shells = LiveShellErrors(shells, dark=self._dark)
            self.distance = LiveDistanceErrors(distance, dark=self._dark)
            for plot in (self.shells.figure, self.distance.figure):
                _arrange(plot)
            self.shells_pane.object = self.shells.figure
            self.distance_pane.object = self.distance.figure
        else:
            self.shells.update(shells)
            self.distance.update(distance)
        self._size_labels()

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        self._dark = dark
        for plot in (self.bands, self.shells, self.distance):
            if plot is not None:
                plot.set_theme(dark)
        self._size_labels()

    def _size_labels(self) -> None:
        if self.shells is None:
            return
        count = len(self.shells.shells)
        size = "12px" if count <= _FEW_SHELLS else "9px" if count <= _MANY_SHELLS else "6px"
        for axis in self.shells.figure.axis:
            axis.major_label_text_font_size = size

    # --- export ----------------------------------------------------------------------------

    def exports(self, stem: Callable[[str], str]) -> tuple[Exported, ...]:
        """What the export menu offers; ``stem`` makes the files' names."""

        def of(label: str, table: Table, picture: Callable[[], figure | None] | None) -> Exported:
            return Exported(label, lambda: stem(label), lambda: self._table(table), picture)

        return (
            of("Bands", "bands", lambda: self.bands.bands if self.bands else None),
            of("Errors by k", "kpoints", lambda: self.bands.errors if self.bands else None),
            of("Elements", "elements", lambda: self.shells.figure if self.shells else None),
            of("Pairs", "pairs", lambda: self.distance.figure if self.distance else None),
            of("Worst elements", "worst", None),
            of("Summary", "summary", None),
        )

    def _table(self, table: Table) -> Any:
        result = self._result
        if result is None:
            return None
        if result.elements is None and table in ("elements", "pairs", "worst"):
            return None
        return result.to_dataframe(table)


def _arrange(plot: figure) -> None:
    """Room for the data."""
    plot.min_border_top = plot.min_border_bottom = 4
    plot.toolbar_location = None


def _share(content: Any, flex: float) -> pn.Column:
    styles = {"flex": f"{flex} 1 0", "min-width": "0", "min-height": "0"}
    return pn.Column(content, sizing_mode="stretch_both", styles=styles)
