"""The Valleys page's plots: map of the zone, splitting against the field, bands at K and K′."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import panel as pn
from bokeh.models import FixedTicker, Range1d
from bokeh.models.annotations import ColorBar, Title
from bokeh.plotting import figure

from hamexplorer.app.export import Exported
from hamexplorer.app.valleys.model import SHIFTED, ValleyNumbers
from hamexplorer.plots import LiveBandPlot, LiveSplittingPlot, LiveZonePlot
from hamexplorer.properties import BandStructure
from hamexplorer.properties.valley import MapField, Valley, ValleyMap

__all__ = ["ValleyView"]

_MARGIN = 0.08  # of the bands' range, above and below
_EDGES = ("conduction", "valence")  # from top to bottom


class ValleyView:
    """Panes whose plots are made when there is first something to draw, and patched afterwards.

    Conduction and valence bands have figures of their own, over each other and to the same
    scale, so that the gap takes no room.
    """

    def __init__(self, *, map_field: MapField, field: float, dark: bool) -> None:
        self._map_field, self._field, self._dark = map_field, field, dark
        self.zone: LiveZonePlot | None = None
        self.splitting: LiveSplittingPlot | None = None
        self.bands: dict[str, LiveBandPlot] = {}
        self._windows: dict[str, tuple[float, float]] = {}
        self._numbers: ValleyNumbers | None = None
        self._map: ValleyMap | None = None
        self.map_pane = pn.pane.Bokeh(sizing_mode="stretch_both", min_height=160)
        self.splitting_pane = pn.pane.Bokeh(sizing_mode="stretch_both", min_height=120)
        self.band_panes = {
            edge: pn.pane.Bokeh(sizing_mode="stretch_both", min_height=100) for edge in _EDGES
        }

    @property
    def map(self) -> ValleyMap | None:
        """The map drawn last."""
        return self._map

    @property
    def numbers(self) -> ValleyNumbers | None:
        """The numbers drawn last."""
        return self._numbers

    def forget(self) -> None:
        """Another crystal comes: what is drawn is no longer exported, zooms are not kept."""
        self._numbers = self._map = None
        self._windows = {}

    # --- drawing ---------------------------------------------------------------------------

    def draw_map(self, result: ValleyMap) -> None:
        """Draw a map."""
        self._map = result
        if self.zone is None:
            self.zone = LiveZonePlot(result, field=self._map_field, dark=self._dark)
            self.zone.figure.toolbar.autohide = True
            self.map_pane.object = self.zone.figure
        else:
            self.zone.update(result)
        if self._numbers is not None:
            self._mark(self._numbers.valleys)

    def draw_numbers(self, found: ValleyNumbers) -> None:
        """Draw splitting and bands."""
        self._numbers = found
        if self.splitting is None:
            self.splitting = LiveSplittingPlot(found.splitting, marked=self._field, dark=self._dark)
            self.splitting.figure.toolbar.autohide = True
            self.splitting_pane.object = self.splitting.figure
        else:
            self.splitting.update(found.splitting)
        self._draw_bands(found)
        self._mark(found.valleys)

    def _mark(self, valleys: tuple[Valley, Valley]) -> None:
        if self.zone is not None:
            self.zone.mark({v.label: v.place for v in valleys if v.shift > SHIFTED})

    def _draw_bands(self, found: ValleyNumbers) -> None:
        column = f"spin_{'xyz'[int(np.abs(found.pair.normal).argmax())]}"
        for edge, window in _windows(found.bands).items():
            plot = self.bands.get(edge)
            if plot is None:
                plot = self.bands[edge] = LiveBandPlot(
                    found.bands,
                    colour_by=column,
                    energy_window=window,
                    zero="vbm",
                    dark=self._dark,
                )
                _arrange(plot.figure, edge)
                self.band_panes[edge].object = plot.figure
            else:
                plot.set_colour(None)
                plot.update(found.bands)
                plot.set_colour(column)
            self._fit(edge, plot, window)

    def _fit(self, edge: str, plot: LiveBandPlot, window: tuple[float, float]) -> None:
        """Follow the bands, unless the visitor has zoomed."""
        y_range = plot.figure.y_range
        assert isinstance(y_range, Range1d)
        shown = (y_range.start, y_range.end)
        if self._windows.get(edge, shown) == shown:
            y_range.update(start=window[0], end=window[1])
            self._windows[edge] = window
        y_range.update(reset_start=window[0], reset_end=window[1])

    # --- choices ---------------------------------------------------------------------------

    def set_map_field(self, name: MapField) -> None:
        """Show another quantity of the map."""
        self._map_field = name
        if self.zone is not None:
            self.zone.set_field(name)

    def set_field(self, field: float) -> None:
        """Move the marker to a field, meV."""
        self._field = field
        if self.splitting is not None:
            self.splitting.mark(field)

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        self._dark = dark
        for plot in (self.zone, self.splitting, *self.bands.values()):
            if plot is not None:
                plot.set_theme(dark)

    # --- export ----------------------------------------------------------------------------

    def exports(self, stem: Callable[[str], str]) -> tuple[Exported, ...]:
        """What the export menu offers; ``stem`` makes the files' names."""

        def bands(edge: str) -> Exported:
            return Exported(
                f"{edge.capitalize()} bands",
                lambda: stem(f"{edge}-bands"),
                lambda: self._numbers.bands.to_dataframe() if self._numbers else None,
                lambda: self.bands[edge].figure if edge in self.bands else None,
            )

        return (
            Exported(
                "Map",
                lambda: stem(f"map-{self._map_field}"),
                lambda: self._map.to_dataframe() if self._map else None,
                lambda: self.zone.figure if self.zone else None,
            ),
            Exported(
                "Splitting",
                lambda: stem("splitting"),
                lambda: self._numbers.splitting.to_dataframe() if self._numbers else None,
                lambda: self.splitting.figure if self.splitting else None,
            ),
            bands("conduction"),
            bands("valence"),
            Exported(
                "Readouts",
                lambda: stem("valleys"),
                lambda: self._numbers.pair.to_dataframe() if self._numbers else None,
                None,
            ),
        )


def _arrange(plot: figure, edge: str) -> None:
    """One colour bar and one row of letters are enough for the two figures."""
    plot.toolbar.autohide = True
    plot.min_border_top = plot.min_border_bottom = 6
    plot.min_border_left = 70  # so that K stands above K, whatever the numbers' width
    plot.yaxis.axis_label = f"{edge}, from E_v (eV)"
    for bar in [part for part in plot.right if isinstance(part, ColorBar)]:
        plot.right.remove(bar)
        if edge == _EDGES[0]:
            bar.update(
                orientation="horizontal",
                width=120,
                height=8,
                padding=2,
                ticker=FixedTicker(ticks=[-1, 0, 1]),
            )
            plot.add_layout(bar, "above")
    if edge == _EDGES[0]:
        plot.xaxis.visible = False
    else:
        for title in [part for part in plot.above if isinstance(part, Title)]:
            plot.above.remove(title)


def _windows(bands: BandStructure) -> dict[str, tuple[float, float]]:
    """Energies that show the two conduction and the two valence bands, eV from the valence edge,
    to the same scale.
    """
    shown = bands.energies - bands.zero_energy("vbm")
    middle = round(bands.n_electrons) - bands.first_band  # lowest conduction band
    conduction, valence = shown[:, middle : middle + 2], shown[:, middle - 2 : middle]
    bottom, top = float(conduction.min()), float(valence.max())
    span = max(float(conduction.max()) - bottom, top - float(valence.min()))
    margin = _MARGIN * span
    return {
        "conduction": (bottom - margin, bottom + span + margin),
        "valence": (top - span - margin, top + margin),
    }
