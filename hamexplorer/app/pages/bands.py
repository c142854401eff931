"""The Bands page: spin-orbit off and on over each other, densities of states, numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.events import Tap
from bokeh.models import Range1d

from hamexplorer.app.band_model import BandModel, colour_choices, split_colour
from hamexplorer.app.band_numbers import numbers_html
from hamexplorer.app.browser import Downloads
from hamexplorer.app.export import Exported, export_menu
from hamexplorer.app.inspector import InspectedState, inspect_state, state_among, state_html
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.large_band_model import LargeBandModel, window_around
from hamexplorer.app.state import COLOUR_NONE, AppState
from hamexplorer.app.style import TABLE_CSS, Line
from hamexplorer.app.taskbar import TaskBar
from hamexplorer.errors import CalculationCancelled
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.plots import LiveBandPlot, LiveDosPlot
from hamexplorer.progress import Monitor
from hamexplorer.properties import BandStructure, DensityOfStates, is_large

__all__ = ["BandsPage"]

_SLIDER = 15.0
_DOS_WIDTH = 210
_QUIET = 0.8  # s; densities of states are computed when the dial rests
_NEAR = 12.0  # pixels from a band within which a click means it
Drawn = tuple[BandModel, BandStructure, BandStructure]


class BandsPage:
    """Bound to the state; recomputes when the dial, the colours or the crystal change.

    While another page is looked at nothing is computed: it would take the cores from that page.
    """

    def __init__(self, state: AppState, post: Post, downloads: Downloads) -> None:
        self._state = state
        self._model: BandModel | LargeBandModel | None = None
        self._bands: LiveBandPlot | None = None
        self._dos: LiveDosPlot | None = None
        self._drawn: BandStructure | None = None
        self._densities: DensityOfStates | None = None
        self._colour = COLOUR_NONE
        self._moving = False
        self._stale = False
        self._dos_asked = False
        self._dos_monitor = Monitor()
        self._latest = Latest(post, self._failed)
        self._settle = Latest(post, self._failed, quiet=_QUIET)
        self.task = TaskBar(post, "bands")
        self._latest_dos = Latest(post, self._failed, quiet=_QUIET)
        self._latest_state = Latest(post, self._failed)

        self.colour = pmui.Select(
            label="Colour by",
            groups={"One colour": {"none": COLOUR_NONE}},
            value=COLOUR_NONE,
            size="small",
            width=170,
            margin=(8, 6),
        )
        self.colour.param.watch(lambda e: self._set(colour=e.new or COLOUR_NONE), "value")
        self.window = pmui.RangeSlider(
            label="Window (eV)",
            start=-_SLIDER,
            end=_SLIDER,
            step=0.5,
            value=self._clamped(),
            format="0.0",
            width=190,
            margin=(8, 16),
            size="small",
        )
        self.window.param.watch(lambda e: self._set(energies=tuple(e.new)), "value")
        self.off = pmui.Checkbox.from_param(
            state.param.show_off, label="SOC off (grey)", size="small", margin=(12, 6)
        )
        exports = export_menu(
            downloads,
            Exported(
                "Bands",
                lambda: self._stem("bands"),
                self._band_table,
                lambda: self._bands.figure if self._bands and self._drawn is not None else None,
            ),
            Exported(
                "DOS",
                lambda: self._stem("dos"),
                lambda: self._densities.to_dataframe() if self._densities is not None else None,
                lambda: self._dos.figure if self._dos and self._densities is not None else None,
            ),
        )
        self.toolbar = pn.Row(
            self.colour,
            self.window,
            self.off,
            pn.Spacer(sizing_mode="stretch_width"),
            exports,
            sizing_mode="stretch_width",
            styles={"align-items": "center", "flex": "0 0 auto"},
        )
        self.plots = pn.Row(sizing_mode="stretch_both", min_height=200)
        self.empty = Line(css="font-size: 18px; opacity: .75;", margin=40, visible=False)
        self.main = pn.Column(
            self.toolbar, self.task.view, self.plots, self.empty.view, sizing_mode="stretch_both"
        )
        self.numbers = pn.pane.HTML(
            "",
            stylesheets=[TABLE_CSS],
            sizing_mode="stretch_width",
            margin=(6, 12),
            css_classes=["hx-numbers"],
        )
        self.inspector = pn.pane.HTML(
            "<p class='soft'>Click a band: orbitals, spin and velocity of that state. "
            "Click an atom: the bands projected onto it.</p>",
            stylesheets=[TABLE_CSS],
            sizing_mode="stretch_width",
            margin=(2, 12, 10, 12),
            css_classes=["hx-state"],
        )
        self.side = pn.Column(self.numbers, self.inspector, sizing_mode="stretch_both", scroll="y")

        state.param.watch(self._subject_changed, "subject")
        state.param.watch(self._redraw, ["soc", "theta", "phi", "exchange", "colour", "energies"])
        state.param.watch(self._follow, ["colour", "energies", "show_off", "dark", "point"])
        state.param.watch(self._inspect, ["point"])
        state.param.watch(self._turned, ["page"])
        self._subject_changed()
        document = pn.state.curdoc
        if document is not None and document.session_context is not None:
            document.on_session_destroyed(lambda _: self.task.stop())

    # --- widgets and state -----------------------------------------------------------------

    def _set(self, **values: Any) -> None:
        if not self._moving:
            self._state.param.update(**values)

    def _clamped(self) -> tuple[float, float]:
        low, high = self._state.energies
        return max(low, -_SLIDER), min(high, _SLIDER)

    def _follow(self, *events: param.parameterized.Event) -> None:
        """Widgets and plots after a change that did not come from them."""
        state = self._state
        self._moving = True
        try:
            self.window.value = self._clamped()
            known = {v for group in self.colour.groups.values() for v in group.values()}
            if state.colour in known:
                self.colour.value = state.colour
        finally:
            self._moving = False
        if self._bands is None:
            return
        y_range = self._y_range()
        if (y_range.start, y_range.end) != state.energies:
            y_range.update(start=state.energies[0], end=state.energies[1])
        changed = {event.name for event in events}
        if "dark" in changed:
            self._bands.set_theme(state.dark)
            if self._dos is not None:
                self._dos.set_theme(state.dark)
        if "show_off" in changed:
            self._bands.show_soc_off(state.show_off)

    def _zoomed(self, _attr: str, _old: float, _new: float) -> None:
        """The visitor panned or zoomed the plot."""
        if self._bands is not None:
            y_range = self._y_range()
            low, high = y_range.start, y_range.end
            assert isinstance(low, int | float)
            assert isinstance(high, int | float)
            if low < high and (low, high) != self._state.energies:
                self._state.energies = (float(low), float(high))

    def _y_range(self) -> Range1d:
        assert self._bands is not None
        y_range = self._bands.figure.y_range
        assert isinstance(y_range, Range1d)
        return y_range

    # --- computing and drawing -------------------------------------------------------------

    def _subject_changed(self, *_: param.parameterized.Event) -> None:
        h = self._state.hamiltonian
        self._model = self._drawn = self._densities = None
        self.task.stop()
        if self._dos is not None:
            self._dos.clear()
        self._show_empty()
        if h is None:
            return
        self._moving = True
        try:
            groups = colour_choices(h)
            known = {v for group in groups.values() for v in group.values()}
            if self._state.colour not in known:
                self._state.colour = COLOUR_NONE
            self.colour.param.update(groups=groups, value=self._state.colour)
        finally:
            self._moving = False
        self._redraw()

    def _show_empty(self) -> None:
        """Bands of the crystal before would be wrong beside the new one."""
        subject = self._state.subject
        missing = subject is None or subject.hamiltonian is None
        if missing:
            title = subject.title if subject is not None else "the crystal"
            self.empty.say(f"The bands of {title} appear here once they are computed.")
            self.numbers.object = ""
        self.empty.view.visible = missing
        self.plots.visible = False

    def _turned(self, *_: param.parameterized.Event) -> None:
        """Another page is shown, or this one again."""
        if self._state.page != "bands":
            self._stale |= self._stop_dos()
        elif self._stale:
            self._redraw()

    def _stop_dos(self) -> bool:
        """Stop a density of states that is asked for; whether there was one."""
        self._dos_monitor.cancel()
        asked, self._dos_asked = self._dos_asked, False
        return asked

    def _redraw(self, *_: param.parameterized.Event) -> None:
        h, state = self._state.hamiltonian, self._state
        if h is None:
            return
        self._stop_dos()
        self._stale = state.page != "bands"
        if self._stale:
            return
        spin_state, colour, window = state.spin_state, state.colour, state.energies
        model = self._model

        if isinstance(model, LargeBandModel):
            self._redraw_large(model)
            return

        def work() -> Drawn | LargeBandModel:
            ready = model if model is not None else self._prepared(h)
            if isinstance(ready, LargeBandModel):
                return ready
            return ready, *ready.bands(spin_state, colour, window)

        def done(drawn: Drawn | LargeBandModel) -> None:
            if self._state.hamiltonian is not h:
                return
            if isinstance(drawn, LargeBandModel):
                self._model = drawn
                self._state.tell("info", drawn.description)
                self._redraw_large(drawn)
                return
            self._model = drawn[0]
            self._draw(drawn[1], drawn[2], colour)

        self._latest.request(work, done)

    def _prepared(self, h: Hamiltonian) -> BandModel | LargeBandModel:
        ready = self._model
        if ready is not None and ready.hamiltonian is h:
            return ready
        return LargeBandModel(h) if is_large(h) else BandModel(h)

    # --- a cell too large for all bands ----------------------------------------------------

    def _redraw_large(self, model: LargeBandModel) -> None:
        """At once where only the colour changed; else once the dial rests."""
        wanted = self._state.spin_state, self._state.colour
        if self._drawn is not None and wanted == (self._drawn.state, self._colour):
            self.task.stop()
            return
        if model.is_ready(wanted[0]):
            self._run_large(model)
        else:
            self.task.stop()
            self._settle.request(lambda: None, lambda _: self._run_large(model))

    def _run_large(self, model: LargeBandModel) -> None:
        if self._model is not model:
            return
        spin_state, colour, first = self._state.spin_state, self._state.colour, self._drawn is None

        def done(drawn: tuple[BandStructure, BandStructure]) -> None:
            if self._model is not model:
                return
            self._draw(drawn[0], drawn[1], colour)
            if first:
                self._state.energies = window_around(drawn[0])

        self.task.run(
            f"{model.n_bands} bands around the gap",
            lambda monitor: model.bands(spin_state, colour, monitor),
            done,
            self._failed,
            lambda: self._state.tell(
                "info", "The bands were cancelled; turn the dial to compute them."
            ),
        )

    def _draw(self, on: BandStructure, off: BandStructure, colour: str) -> None:
        state = self._state
        column = split_colour(colour)[1]
        self.plots.visible = True
        if self._bands is None:
            self._bands = LiveBandPlot(
                on, off, colour_by=column, energy_window=state.energies, dark=state.dark
            )
            self._bands.show_soc_off(state.show_off)
            self._bands.figure.min_height = 200
            self._bands.figure.toolbar_location = "above"
            for name in ("start", "end"):
                self._y_range().on_change(name, self._zoomed)
            self._bands.figure.on_event(Tap, self._tapped)
            self.plots.objects = [pn.pane.Bokeh(self._bands.figure, sizing_mode="stretch_both")]
        elif colour != self._colour:
            self._bands.set_colour(None)
            self._bands.update(on, off)
            if column is not None:
                self._bands.set_colour(column)
        else:
            self._bands.update(on, off)
        self._colour, self._drawn = colour, on
        if (h := self._state.hamiltonian) is not None:
            self.numbers.object = numbers_html(on, h)
        self._request_dos()
        self._inspect()

    def _request_dos(self) -> None:
        model, state = self._model, self._state
        if model is None or isinstance(model, LargeBandModel):
            return
        if state.page != "bands":
            self._stale = True
            return
        spin_state, colour, window = state.spin_state, state.colour, state.energies
        monitor = self._dos_monitor = Monitor()
        self._dos_asked = True

        def done(result: DensityOfStates) -> None:
            self._dos_asked = self._dos_asked and monitor is not self._dos_monitor
            if self._model is model and self._bands is not None:
                self._draw_dos(result)

        self._latest_dos.request(lambda: model.dos(spin_state, colour, window, monitor), done)

    def _draw_dos(self, result: DensityOfStates) -> None:
        self._densities = result
        if self._dos is not None:
            self._dos.update(result)
            return
        self._dos = LiveDosPlot(
            result, y_range=self._y_range(), dark=self._state.dark, width=_DOS_WIDTH
        )
        self._dos.figure.toolbar_location = None
        self.plots.append(
            pn.pane.Bokeh(self._dos.figure, sizing_mode="stretch_height", width=_DOS_WIDTH)
        )

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, CalculationCancelled):
            self._state.tell("error", str(error))

    # --- the state under the loupe ---------------------------------------------------------

    def _tapped(self, event: Any) -> None:
        """The state nearest to the click, on the screen."""
        plot = self._bands
        if plot is None or event.x is None or event.y is None:
            return
        points, x_range, y_range = plot.point_source, plot.figure.x_range, self._y_range()
        away = np.hypot(
            (np.asarray(points.data["x"]) - event.x) * _pixels(plot.figure.inner_width, x_range),
            (np.asarray(points.data["y"]) - event.y) * _pixels(plot.figure.inner_height, y_range),
        )
        nearest = int(away.argmin())
        if away[nearest] <= _NEAR:
            points.selected.indices = [nearest]
            self._state.point = plot.picked(nearest)

    def _inspect(self, *_: param.parameterized.Event) -> None:
        h, point, drawn = self._state.hamiltonian, self._state.point, self._drawn
        if h is None or point is None or drawn is None:
            return
        index, band = point
        if index >= len(drawn.kpoints) or band >= 2 * h.basis.n_orbitals:
            self._state.point = None
            return
        spin_state, k = self._state.spin_state, drawn.kpoints[index]
        label = dict(drawn.path.ticks).get(index, "")
        fermi = drawn.fermi.energy

        def done(found: InspectedState) -> None:
            self.inspector.object = state_html(found, label, fermi)

        model = self._model
        if isinstance(model, LargeBandModel):
            known = model.states
            shown = drawn.first_band <= band < drawn.first_band + drawn.energies.shape[1]
            if known is None or not model.is_ready(spin_state) or not shown:
                return
            states = known.states
            self._latest_state.request(lambda: state_among(h, states, index, band), done)
            return
        self._latest_state.request(lambda: inspect_state(h, k, band, spin_state), done)

    # --- export ----------------------------------------------------------------------------

    def _stem(self, what: str) -> str:
        subject = self._state.subject
        name = subject.structure.composition.reduced_formula if subject is not None else ""
        return f"{name}-{what}-soc{100 * self._state.soc:.0f}"

    def _band_table(self) -> Any:
        if self._drawn is None:
            return None
        frame = self._drawn.to_dataframe()
        frame.insert(
            int(np.flatnonzero(frame.columns == "energy_eV")[0]) + 1,
            "energy_from_fermi_eV",
            frame["energy_eV"] - self._drawn.fermi.energy,
        )
        return frame


def _pixels(size: int | None, span: Any) -> float:
    """Pixels per unit along an axis of ``size`` pixels."""
    return (size or 400) / abs(span.end - span.start)
