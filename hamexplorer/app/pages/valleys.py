"""The Valleys page: map of the zone, K and K′ side by side, and what a field does to them."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.browser import Downloads
from hamexplorer.app.export import export_menu
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.state import FIELD_EVERYWHERE, AppState
from hamexplorer.app.style import TABLE_CSS, Line
from hamexplorer.app.taskbar import TaskBar
from hamexplorer.app.valleys.model import (
    FIELD_LIMIT,
    Pair,
    ValleyModel,
    ValleyNumbers,
    ValleyRequest,
    field_choices,
)
from hamexplorer.app.valleys.numbers import (
    chern_html,
    elsewhere_html,
    metal_sentence,
    pair_html,
    tesla_sentence,
)
from hamexplorer.app.valleys.view import ValleyView
from hamexplorer.errors import HamexplorerError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.plots.zone_image import FIELD_TITLES
from hamexplorer.properties.valley import ValleyChern, ValleyMap
from hamexplorer.structures.zone import planar_zone

__all__ = ["ValleysPage"]

_QUIET = 0.6  # s; the valleys are searched and the fine map is computed when the dial rests
_STRIP = 42  # pixels
_DIAL = ["soc", "theta", "phi", "exchange", "field", "field_atoms"]
_PAIR_CSS = """
table.hx-pair th, table.hx-pair td { white-space: nowrap; font-size: 13px; padding: 1px 4px 1px 0; }
table.hx-pair td.n, table.hx-pair th.n { padding-left: 6px; }
table.hx-pair td.part { padding-top: 7px; font-weight: 600; opacity: .8; }
abbr { text-decoration: underline dotted; cursor: help; }
"""


class ValleysPage:
    """Bound to the state; nothing is computed before the page is looked at.

    While something moves, a coarse map and the numbers at the valleys found last are drawn; once
    it rests, the valleys are searched anew and the fine map follows.
    """

    def __init__(self, state: AppState, post: Post, downloads: Downloads) -> None:
        self._state = state
        self._model: ValleyModel | None = None
        self._valleys: Pair | None = None
        self._asked: ValleyRequest | None = None
        self._drawn: ValleyRequest | None = None  # on the map
        self._moving = False
        self.view = ValleyView(map_field=state.map_field, field=state.field, dark=state.dark)
        self._latest_model = Latest(post, self._failed)
        self._latest_numbers = Latest(post, self._failed)
        self._latest_map = Latest(post, self._failed)
        self._at_rest = Latest(post, self._failed, quiet=_QUIET)
        self.map_task = TaskBar(post, "valley-map")
        self.chern_task = TaskBar(post, "valley-chern")
        self._lay_out(downloads)

        state.param.watch(self._subject_changed, ["subject", "page"])
        state.param.watch(self._redraw, _DIAL)
        state.param.watch(self._follow, ["map_field", "field", "field_atoms", "dark"])
        self._subject_changed()
        document = pn.state.curdoc
        if document is not None and document.session_context is not None:
            document.on_session_destroyed(lambda _: self._end())

    def _end(self) -> None:
        """Nobody looks any more."""
        self.map_task.stop()
        self.chern_task.stop()

    # --- layout ----------------------------------------------------------------------------

    def _lay_out(self, downloads: Downloads) -> None:
        state = self._state
        self.field = pmui.Select(
            label="Map",
            options={title: name for name, title in FIELD_TITLES.items()},
            value=state.map_field,
            size="small",
            width=230,
            margin=(8, 6),
        )
        self.field.param.watch(lambda e: self._set(map_field=e.new), "value")
        self.slider = pmui.FloatSlider(
            label="Field Δ (meV)",
            start=-FIELD_LIMIT,
            end=FIELD_LIMIT,
            step=1,
            value=state.field,
            format="0",
            size="small",
            width=150,
            margin=(8, 16),
        )
        self.slider.param.watch(lambda e: self._set(field=float(e.new)), "value")
        self.atoms = pmui.Select(
            label="on",
            options={"all atoms": FIELD_EVERYWHERE},
            value=FIELD_EVERYWHERE,
            size="small",
            width=120,
            margin=(8, 6),
        )
        self.atoms.param.watch(lambda e: self._set(field_atoms=e.new), "value")
        self.toolbar = pn.Row(
            self.field,
            self.slider,
            self.atoms,
            pn.Spacer(sizing_mode="stretch_width"),
            export_menu(downloads, *self.view.exports(self._stem)),
            sizing_mode="stretch_width",
            styles={"align-items": "center", "flex": "0 0 auto", "flex-wrap": "wrap"},
        )
        self.note = Line(css="font-size: 12.5px; opacity: .8;", margin=(0, 12))
        self.refine = pmui.Button(
            label="Compute the fine map", variant="text", size="small", margin=2, visible=False
        )
        self.refine.on_click(lambda _: self._refine())

        def share(content: Any, flex: float) -> pn.Column:
            styles = {"flex": f"{flex} 1 0", "min-width": "0", "min-height": "0"}
            return pn.Column(content, sizing_mode="stretch_both", styles=styles)

        left = pn.Column(
            share(self.view.map_pane, 3),
            share(self.view.splitting_pane, 2),
            sizing_mode="stretch_both",
        )
        right = pn.Column(
            *(share(pane, 1) for pane in self.view.band_panes.values()), sizing_mode="stretch_both"
        )
        # Of a height of its own, so that plots do not jump when progress comes and goes.
        strip = pn.Row(
            self.note.view,
            self.refine,
            self.map_task.view,
            sizing_mode="stretch_width",
            height=_STRIP,
            styles={"align-items": "center", "flex": "0 0 auto"},
        )
        self.plots = pn.Column(
            pn.Row(share(left, 1.45), share(right, 1), sizing_mode="stretch_both"),
            strip,
            sizing_mode="stretch_both",
        )
        self.sentence = Line(
            css="font-size: 18px; opacity: .75;", margin=40, css_classes=["hx-valleys-sentence"]
        )
        self.main = pn.Column(
            self.toolbar, self.plots, self.sentence.view, sizing_mode="stretch_both"
        )
        self.readouts, self.elsewhere, self.chern = (
            pn.pane.HTML(
                "",
                stylesheets=[TABLE_CSS, _PAIR_CSS],
                sizing_mode="stretch_width",
                margin=(4, 12),
                css_classes=[name],
            )
            for name in ("hx-valleys", "hx-elsewhere", "hx-chern")
        )
        self.chern_button = pmui.Button(
            label="Valley Chern numbers", variant="outlined", size="small", margin=(4, 12)
        )
        self.chern_button.on_click(self._ask_chern)
        self.numbers = pn.Column(
            self.readouts,
            self.elsewhere,
            self.chern_button,
            self.chern_task.view,
            self.chern,
            sizing_mode="stretch_width",
            visible=False,
        )
        self.side = pn.Column(self.numbers, sizing_mode="stretch_both", scroll="y")

    # --- widgets and state -----------------------------------------------------------------

    def _set(self, **values: Any) -> None:
        if not self._moving:
            self._state.param.update(**values)

    def _follow(self, *events: param.parameterized.Event) -> None:
        """Widgets and plots after a change that did not come from them."""
        state = self._state
        self._moving = True
        try:
            self.field.value = state.map_field
            self.slider.value = state.field
            if state.field_atoms in self.atoms.options.values():
                self.atoms.value = state.field_atoms
        finally:
            self._moving = False
        changed = {event.name for event in events}
        if "map_field" in changed:
            self.view.set_map_field(state.map_field)
        if "field" in changed:
            self.view.set_field(state.field)
        if "dark" in changed:
            self.view.set_theme(state.dark)
        self._say_field()

    def _say_field(self) -> None:
        titles = {value: title for title, value in self.atoms.options.items()}
        atoms = titles.get(self._state.field_atoms, "")
        self.note.say(tesla_sentence(self._state.field, atoms))

    # --- the crystal -----------------------------------------------------------------------

    def _subject_changed(self, *_: param.parameterized.Event) -> None:
        subject, h = self._state.subject, self._state.hamiltonian
        if self._model is not None and self._model.hamiltonian is not h:
            self._forget()
        if self._state.page != "valleys":
            return
        if self._model is not None:
            self._redraw()
            return
        if subject is None:
            self._say("The valleys of the crystal appear here once it is computed.")
            return
        self._say(f"Looking at the Brillouin zone of {subject.title} …")

        def work() -> ValleyModel | str:
            try:
                if h is not None:
                    return ValleyModel(h)
                planar_zone(subject.structure)
            except HamexplorerError as error:
                return str(error)
            return f"The valleys of {subject.title} appear here once they are computed."

        def done(found: ValleyModel | str) -> None:
            if self._state.subject is not subject:
                return
            if isinstance(found, str):
                self._say(found)
            else:
                self._begin(found)

        self._latest_model.request(work, done)

    def _forget(self) -> None:
        self._stop()
        self._model = self._valleys = self._asked = self._drawn = None
        self.view.forget()
        self.elsewhere.object = ""
        self._say("")
        self.plots.visible = self.numbers.visible = False

    def _begin(self, model: ValleyModel) -> None:
        self._model, self._valleys = model, model.corners()
        self._say("")
        options = field_choices(model.hamiltonian.basis)
        self._moving = True
        try:
            self.atoms.param.update(options=options, value=self._state.field_atoms)
        finally:
            self._moving = False
        self._say_field()
        self._redraw()

    def _say(self, sentence: str) -> None:
        """A sentence in place of the plots; an empty one: the plots."""
        self.sentence.say(sentence)
        self.sentence.view.visible = bool(sentence)
        self.plots.visible = self.numbers.visible = not sentence
        # what a field did, it can undo: only without a model there is nothing to set
        self.toolbar.visible = self._model is not None or not sentence

    def _failed(self, error: Exception) -> None:
        self._asked = None
        if isinstance(error, HamexplorerError):
            self._say(str(error))
        else:
            self._state.tell("error", f"The valleys could not be computed: {error}")

    # --- computing -------------------------------------------------------------------------

    def _request(self, h: Hamiltonian) -> ValleyRequest:
        state = self._state
        return ValleyRequest.of(h, state.spin_state, state.field, state.field_atoms)

    def _redraw(self, *_: param.parameterized.Event) -> None:
        model, valleys = self._model, self._valleys
        if model is None or valleys is None or self._state.page != "valleys":
            return
        request = self._request(model.hamiltonian)
        if request == self._asked:
            return
        self._asked = request
        self._stop()
        self._latest_numbers.request(
            lambda: model.numbers(request, valleys), lambda found: self._show(model, found)
        )
        self._latest_map.request(
            lambda: model.map(request, model.coarse),
            lambda found: self._draw_map(model, request, found),
        )

        def settle() -> ValleyNumbers:
            return model.numbers(request, model.search(request))

        def settled(found: ValleyNumbers) -> None:
            if self._model is model and self._asked == request:
                self._valleys = found.valleys
                self._show(model, found)
                self._refine()

        self._at_rest.request(settle, settled)

    def _refine(self) -> None:
        model, request = self._model, self._asked
        if model is None or request is None:
            return
        n = model.fine
        self.refine.visible = False
        self.map_task.run(
            f"map on {n} × {n} k-points",
            lambda monitor: model.map(request, n, monitor),
            lambda found: self._draw_map(model, request, found),
            self._failed,
            lambda: setattr(self.refine, "visible", True),
        )

    def _stop(self) -> None:
        """End long work that was begun for another setting, and drop what it found."""
        for task in (self.map_task, self.chern_task):
            task.stop()
            task.view.visible = False
        self.refine.visible = False
        self.chern.object = ""

    def _ask_chern(self, _: Any) -> None:
        model, request = self._model, self._asked
        if model is None or request is None:
            return

        def done(found: ValleyChern) -> None:
            if self._asked == request:
                self.chern.object = chern_html(found)

        self.chern_task.run(
            "valley Chern numbers",
            lambda monitor: model.chern(request, monitor),
            done,
            lambda error: self._state.tell("error", str(error)),
            lambda: None,
        )

    # --- drawing ---------------------------------------------------------------------------

    def _show(self, model: ValleyModel, found: ValleyNumbers) -> None:
        if self._model is model:
            self.readouts.object = pair_html(found.pair)
            self.view.draw_numbers(found)
            self._compare()

    def _draw_map(self, model: ValleyModel, request: ValleyRequest, result: ValleyMap) -> None:
        shown = self.view.map
        finer = shown is not None and shown.n > result.n
        if self._model is not model or (finer and self._drawn == self._asked):
            return
        sentence = metal_sentence(result)
        if sentence:
            self._stop()
            self._say(sentence)
            return
        self._say("")
        self._drawn = request
        self.view.draw_map(result)
        self._compare()

    def _compare(self) -> None:
        """The valleys with the rest of the zone."""
        numbers, shown = self.view.numbers, self.view.map
        if numbers is not None and shown is not None and numbers.request == self._drawn:
            self.elsewhere.object = elsewhere_html(numbers.pair, shown)

    def _stem(self, what: str) -> str:
        subject, state = self._state.subject, self._state
        name = subject.structure.composition.reduced_formula if subject is not None else ""
        return f"{name}-{what}-soc{100 * state.soc:.0f}-field{state.field:g}"
