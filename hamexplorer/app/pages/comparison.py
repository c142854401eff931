"""The Compare page: the open Hamiltonian and a second one of the same structure."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.browser import Downloads
from hamexplorer.app.comparison.model import ComparisonModel, ComparisonRequest
from hamexplorer.app.comparison.numbers import (
    COMPARISON_CSS,
    numbers_html,
    verdict_html,
    warnings_html,
)
from hamexplorer.app.comparison.second import SecondOpener
from hamexplorer.app.comparison.view import ComparisonView
from hamexplorer.app.drop import DropZone
from hamexplorer.app.export import export_menu
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.state import AppState, Subject
from hamexplorer.app.style import TABLE_CSS, Line
from hamexplorer.app.uploads import MAX_UPLOAD_BYTES
from hamexplorer.errors import HamexplorerError
from hamexplorer.plots.comparison_data import symbol
from hamexplorer.properties.comparison import Comparison

__all__ = ["ComparisonPage"]

_SHIFTS = {
    "automatic": "auto",
    "none": "none",
    "fitted to elements": "fit",
    "valence tops": "vbm",
    "Fermi levels": "fermi",
}
_LIMIT = 10.0  # eV, of the window's slider
_DIAL = ["soc", "theta", "phi", "exchange", "shift", "near_gap"]
_LABEL = "Open the second Hamiltonian"
_HINT = "a Hamiltonian of the same crystal: our .h5, or whatever opens on the left"
_ABOUT = (
    "<h4>What is compared</h4><p>The open Hamiltonian is the reference.</p><ul>"
    "<li>bands near the gap, over each other and by their error at each k,</li>"
    "<li>matrix elements by shell, by distance and one by one,</li>"
    "<li>gap, band edges and spin splittings.</li></ul>"
    "<p>All of it follows λ and the magnetisation. A small mean error of the elements can hide "
    "wrong bands: this page puts the two side by side.</p>"
)


class ComparisonPage:
    """Bound to the state; nothing is computed before the page is looked at.

    Two Hamiltonians are matched and prepared once; a step of λ then costs their bands.
    """

    def __init__(
        self, state: AppState, post: Post, downloads: Downloads, second: SecondOpener
    ) -> None:
        self._state = state
        self._second = second
        self._model: ComparisonModel | None = None
        self._compared: tuple[Subject, Subject] | None = None  # what the model is of
        self._asked: ComparisonRequest | None = None
        self._moving = False
        self.view = ComparisonView(dark=state.dark)
        self._latest_model = Latest(post, self._failed)
        self._latest = Latest(post, self._failed)
        self._lay_out(downloads)
        state.param.watch(self._changed, ["subject", "second", "page"])
        state.param.watch(self._redraw, _DIAL)
        state.param.watch(self._follow, ["shift", "near_gap", "compared", "dark"])
        self._changed()

    # --- layout ----------------------------------------------------------------------------

    def _lay_out(self, downloads: Downloads) -> None:
        state = self._state
        self.shift = self._select("Constant c", _SHIFTS, state.shift, 150)
        self.shift.param.watch(lambda e: self._set(shift=e.new), "value")
        self.component = self._select("Elements of", {"H": "H"}, "H", 90)
        self.component.param.watch(lambda e: self._set(compared=e.new), "value")
        self.window = pmui.RangeSlider(
            label="Window (eV)",
            start=-_LIMIT,
            end=_LIMIT,
            step=0.5,
            value=self._clamped(),
            format="0.0",
            width=190,
            margin=(8, 16),
            size="small",
        )
        self.window.param.watch(lambda e: self._set(near_gap=tuple(e.new)), "value")
        self.toolbar = pn.Row(
            self.window,
            self.component,
            self.shift,
            pn.Spacer(sizing_mode="stretch_width"),
            export_menu(downloads, *self.view.exports(self._stem)),
            sizing_mode="stretch_width",
            visible=False,
            styles={"align-items": "center", "flex": "0 0 auto", "flex-wrap": "wrap"},
        )
        self.verdict = self._html("hx-verdict", margin=(2, 12))
        # two lines from the start: figures that shrink right after they appear stay too large
        self.verdict.styles = {"flex": "0 0 auto", "min-height": "58px"}
        self.plots = pn.Column(
            self.verdict,
            self.view.view,
            sizing_mode="stretch_both",
            visible=False,
            styles={"min-height": "0", "flex": "1 1 0"},
        )
        self.sentence = Line(
            css="font-size: 18px; opacity: .75;",
            margin=(0, 40, 20, 40),
            css_classes=["hx-compare-sentence"],
        )
        keep = pmui.Button(
            label="Keep the open one for comparison", variant="outlined", size="small", margin=6
        )
        keep.on_click(lambda _: self._second.keep())
        self.keep = pn.Row(
            keep,
            Line(
                "… then open, or compute with other settings, the reference.",
                css="font-size: 13px; opacity: .75;",
                margin=(12, 8),
            ).view,
            margin=(10, 34),
            styles={"align-items": "center"},
        )
        # Drop areas come with the first look at the page.
        self._start = pn.Column(margin=(0, 40), sizing_mode="stretch_width")
        self._another = pn.Column(margin=(6, 12), sizing_mode="stretch_width")
        self.empty = pn.Column(
            self.sentence.view,
            self._start,
            self.keep,
            sizing_mode="stretch_both",
            styles={"justify-content": "center"},
        )
        self.main = pn.Column(
            self._second.task.view, self.toolbar, self.plots, self.empty, sizing_mode="stretch_both"
        )
        self.names = Line(css="font-size: 13px;", margin=(6, 12, 0, 12), css_classes=["hx-second"])
        swap, close = (
            pmui.Button(label=label, variant="text", size="small", margin=(0, 4), icon=icon)
            for label, icon in (("Swap", "swap_horiz"), ("Close", "close"))
        )
        swap.on_click(lambda _: self._second.swap())
        close.on_click(lambda _: self._second.close())
        self.numbers, self.notes, self.about = (
            self._html(name, margin=(4, 12))
            for name in ("hx-comparison", "hx-comparison-notes", "hx-comparison-about")
        )
        self.about.object = _ABOUT
        self.found = pn.Column(
            self.names.view,
            pn.Row(swap, close, margin=(0, 8)),
            self.notes,
            self.numbers,
            self._another,
            sizing_mode="stretch_width",
            visible=False,
        )
        self.side = pn.Column(self.found, self.about, sizing_mode="stretch_both", scroll="y")

    @staticmethod
    def _select(label: str, options: dict[str, str], value: str, width: int) -> pmui.Select:
        return pmui.Select(
            label=label, options=options, value=value, size="small", width=width, margin=(8, 6)
        )

    @staticmethod
    def _html(name: str, margin: Any) -> pn.pane.HTML:
        return pn.pane.HTML(
            "",
            stylesheets=[TABLE_CSS, COMPARISON_CSS],
            sizing_mode="stretch_width",
            margin=margin,
            css_classes=[name],
        )

    def _drop(self, *, tall: bool = False) -> DropZone:
        drop = DropZone(
            self._second.upload,
            lambda text: self._state.tell("error", text),
            max_bytes=MAX_UPLOAD_BYTES,
            dark=self._state.dark,
            everywhere=False,
            label=_LABEL,
            hint=_HINT,
            tall=tall,
            sizing_mode="stretch_width",
        )
        self._state.param.watch(lambda e: setattr(drop, "dark", e.new), "dark")
        return drop

    # --- widgets and state -----------------------------------------------------------------

    def _set(self, **values: Any) -> None:
        if not self._moving:
            self._state.param.update(**values)

    def _clamped(self) -> tuple[float, float]:
        low, high = self._state.near_gap
        return max(low, -_LIMIT), min(high, _LIMIT)

    def _follow(self, *events: param.parameterized.Event) -> None:
        """Widgets and plots after a change that did not come from them."""
        state = self._state
        self._moving = True
        try:
            self.window.value = self._clamped()
            if state.shift in self.shift.options.values():
                self.shift.value = state.shift
            if state.compared in self.component.options.values():
                self.component.value = state.compared
        finally:
            self._moving = False
        changed = {event.name for event in events}
        if "dark" in changed:
            self.view.set_theme(state.dark)
        if "compared" in changed and self.view.result is not None:
            self.view.draw_elements(self._component(self.view.result))

    def _component(self, result: Comparison) -> str:
        """What the state asks for, or H where this comparison has no such component."""
        known = result.elements.components if result.elements is not None else ()
        return self._state.compared if self._state.compared in known else "H"

    # --- the two ---------------------------------------------------------------------------

    def _changed(self, *_: param.parameterized.Event) -> None:
        first, second = self._state.subject, self._state.second
        if self._compared is not None and self._compared != (first, second):
            self._model = self._compared = self._asked = None
            self.view.forget()
        if self._state.page != "compare":
            return
        if not len(self._start):
            self._start.append(self._drop(tall=True))
            self._another.append(self._drop())
        if self._model is not None:
            self._redraw()
            return
        if first is None or first.hamiltonian is None:
            title = "the crystal" if first is None else first.title
            self._say(f"The comparison appears here once {title} is computed.")
        elif second is None:
            self._say(
                f"Compare {first.title} with a second Hamiltonian of the same crystal: a "
                "prediction, another program's, or one with other settings."
            )
        else:
            self._prepare(first, second)

    def _prepare(self, first: Subject, second: Subject) -> None:
        self._say(f"Matching {first.title} and {second.title} …", drop=False)

        def done(model: ComparisonModel) -> None:
            if (self._state.subject, self._state.second) == (first, second):
                self._begin(model, first, second)

        self._latest_model.request(lambda: ComparisonModel(first, second), done)

    def _begin(self, model: ComparisonModel, first: Subject, second: Subject) -> None:
        self._model, self._compared = model, (first, second)
        shifts = {
            title: name for title, name in _SHIFTS.items() if name != "fit" or model.same_basis
        }
        self._moving = True
        try:
            known = self._state.shift in shifts.values()
            self.shift.param.update(options=shifts, value=self._state.shift if known else "auto")
        finally:
            self._moving = False
        self.names.say(f"Reference: {first.title}. Second: {second.title}.")
        self._redraw()

    def _say(self, sentence: str, *, drop: bool = True) -> None:
        """A sentence and the drop area in place of the plots; an empty one: the plots."""
        self.sentence.say(sentence)
        shown = not sentence
        self.empty.visible = self.about.visible = not shown
        self.toolbar.visible = self.plots.visible = self.found.visible = shown
        ready = drop and self._state.hamiltonian is not None
        self._start.visible = ready
        self.keep.visible = ready and self._state.second is None

    def _failed(self, error: Exception) -> None:
        self._asked = None
        known = isinstance(error, HamexplorerError)
        self._say(str(error) if known else f"The two could not be compared: {error}")

    # --- computing and drawing -------------------------------------------------------------

    def _redraw(self, *_: param.parameterized.Event) -> None:
        model, state = self._model, self._state
        if model is None or state.page != "compare":
            return
        shift = None if state.shift == "auto" else state.shift
        request = ComparisonRequest.of(model.hamiltonians, state.spin_state, shift, state.near_gap)
        if request == self._asked:
            return
        self._asked = request
        self._latest.request(lambda: model.compare(request), lambda found: self._draw(model, found))

    def _draw(self, model: ComparisonModel, result: Comparison) -> None:
        if self._model is not model:
            return
        if self._state.page != "compare":
            self._asked = None  # figures that are made while they are hidden get wrong sizes
            return
        component = self._component(result)
        self._say("")
        self.view.draw(result, component)
        names = result.elements.components if result.elements is not None else ("H",)
        self._moving = True
        try:
            self.component.visible = result.elements is not None
            self.component.param.update(
                options={symbol(name): name for name in names}, value=component
            )
        finally:
            self._moving = False
        self.verdict.object = verdict_html(result)
        self.numbers.object = numbers_html(result)
        self.notes.object = warnings_html(result)

    def _stem(self, what: str) -> str:
        subject, state = self._state.subject, self._state
        name = subject.structure.composition.reduced_formula if subject is not None else ""
        return f"{name}-compared-{what.lower()}-soc{100 * state.soc:.0f}"
