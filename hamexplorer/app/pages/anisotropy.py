"""The Anisotropy page: E against the direction of the magnetisation, live with λ."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.anisotropy.model import AnisotropyModel, Setup, Sweep, refusal
from hamexplorer.app.anisotropy.numbers import (
    constants_html,
    details_html,
    energy_html,
    moments_html,
)
from hamexplorer.app.anisotropy.requests import Requests
from hamexplorer.app.anisotropy.settings import AnisotropySettings
from hamexplorer.app.anisotropy.view import AngleView
from hamexplorer.app.browser import Downloads
from hamexplorer.app.export import export_menu
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.state import AppState
from hamexplorer.app.style import TABLE_CSS, Line
from hamexplorer.app.taskbar import TaskBar
from hamexplorer.errors import CalculationCancelled
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import AnisotropyEnergy
from hamexplorer.properties.moments import SiteMoments

__all__ = ["AnisotropyPage"]

_REST = 0.4  # s after which the sphere is sampled
_LONG_REST = 1.0  # s after which slow things begin by themselves
_PALE = {"opacity": "0.45"}
_CLEAR = {"opacity": "1"}


class AnisotropyPage:
    """Bound to the state; nothing is computed before the page is looked at.

    One preparation per crystal, mesh, smearing and exchange; then λ and φ cost a fraction of a
    second, and θ nothing.
    """

    def __init__(self, state: AppState, post: Post, downloads: Downloads) -> None:
        self._state = state
        self._post = post
        self._model: AnisotropyModel | None = None
        self._asked: tuple[Hamiltonian, Setup] | None = None
        self._sweep: Sweep | None = None
        self._moments: SiteMoments | None = None
        self._checked: AnisotropyEnergy | None = None
        self._monitors: dict[str, Monitor] = {}
        self._latest = Latest(post, self._failed)
        self._sphere = Latest(post, self._failed, quiet=_REST)
        self._slow = Latest(post, self._failed, quiet=_LONG_REST)
        self._settle = Latest(post, self._failed, quiet=_LONG_REST)

        self.task = TaskBar(post, "anisotropy")
        self.settings = AnisotropySettings(state)
        self.angles = AngleView(state, lambda: self._sweep)
        self.requests = Requests(state, post, lambda: self._model, self._failed, self._stem)
        self.toolbar = pn.Row(
            self.settings.views,
            self.settings.unit,
            pn.Spacer(sizing_mode="stretch_width"),
            export_menu(downloads, *self.angles.exports(self._stem), *self.requests.exports()),
            sizing_mode="stretch_width",
            styles={"align-items": "center", "flex": "0 0 auto"},
        )
        self.empty = Line(
            css="font-size: 18px; opacity: .75;",
            margin=40,
            visible=False,
            css_classes=["hx-no-anisotropy"],
        )
        self.curves = pn.Column(self.angles.view, sizing_mode="stretch_both")
        self.content = pn.Column(
            self.toolbar,
            self.task.view,
            self.curves,
            self.requests.origin,
            self.requests.convergence,
            sizing_mode="stretch_both",
        )
        self.main = pn.Column(self.content, self.empty.view, sizing_mode="stretch_both")
        self.numbers = self._html("hx-anisotropy")
        self.more = self._html("hx-anisotropy-more")
        self.how = self._html("hx-anisotropy-how")
        self.to_easy = pmui.Button(
            label="Turn the dial to the easy axis",
            variant="outlined",
            size="small",
            margin=(4, 12),
        )
        self.to_easy.on_click(self._turn_to_easy)
        self.check = pmui.Button(
            label="Check against exact", variant="text", size="small", margin=(4, 8)
        )
        self.check.on_click(self._compare)
        self.side = pn.Column(
            self.numbers,
            self.to_easy,
            self.more,
            self.settings.side,
            self.check,
            self.how,
            sizing_mode="stretch_both",
            scroll="y",
        )
        state.param.watch(self._begin, ["subject", "page", "exchange", "mae_mesh", "mae_smearing"])
        state.param.watch(self._moved, ["soc", "phi", "mae_method", "mae_dipoles"])
        state.param.watch(self._marked, ["theta", "phi"])
        state.param.watch(self._unit_changed, "mae_unit")
        state.param.watch(self._turn, "mae_view")
        state.param.watch(lambda e: post(lambda: self.angles.set_theme(e.new)), "dark")
        self._turn()
        self._begin()

    @staticmethod
    def _html(name: str) -> pn.pane.HTML:
        return pn.pane.HTML(
            "",
            stylesheets=[TABLE_CSS],
            sizing_mode="stretch_width",
            margin=(6, 12),
            css_classes=[name],
        )

    def _turn(self, *_: param.parameterized.Event) -> None:
        view = self._state.mae_view
        self.curves.visible = view == "angles"
        self.requests.origin.visible = view == "origin"
        self.requests.convergence.visible = view == "convergence"

    # --- preparing -------------------------------------------------------------------------

    def _begin(self, *_: param.parameterized.Event) -> None:
        """Prepare for the crystal and the settings, or say why there is nothing to show."""
        state, h = self._state, self._state.hamiltonian
        if state.page != "anisotropy":
            return
        setup = Setup(state.mae_mesh, state.mae_smearing, state.exchange)
        reason = self._reason(h, setup)
        self.empty.say(reason)
        self.empty.view.visible = bool(reason)
        self.content.visible = self.side.visible = not reason
        if reason or h is None:
            self.task.stop()
            self._asked, state.easy_axis = None, None
            return
        if self._asked == (h, setup):
            self._moved()
            return
        other = self._asked is None or self._asked[0] is not h
        self._asked = (h, setup)
        self._model = None
        self.requests.forget()
        self.angles.view.styles = _PALE
        if other:
            self._sweep = self._moments = self._checked = None
            state.easy_axis = None
            self.angles.view.visible = False
            self.numbers.object = self.more.object = self.how.object = ""
            self.to_easy.visible = self.check.visible = False
            self._prepare(h, setup)
        else:
            self._settle.request(lambda: None, lambda _: self._prepare(h, setup))

    def _reason(self, h: Hamiltonian | None, setup: Setup) -> str:
        subject = self._state.subject
        if h is None:
            title = subject.title if subject is not None else "the crystal"
            return f"The anisotropy of {title} appears here once its Hamiltonian is computed."
        reason = refusal(h, setup)
        if reason and not h.is_magnetic:
            return f"{reason} FePt, CrI₃ and iron in the gallery are magnets."
        return reason

    def _prepare(self, h: Hamiltonian, setup: Setup) -> None:
        if self._asked != (h, setup):
            return

        def done(model: AnisotropyModel) -> None:
            if self._asked == (h, setup):
                self._model = model
                self.settings.show_mesh(model.mesh)
                self._moved()

        self.task.run(
            f"preparing the fast route for {h.structure.composition.reduced_formula}",
            lambda monitor: AnisotropyModel(h, setup, monitor),
            done,
            self._unprepared,
            lambda: self._unprepared(None),
        )

    def _unprepared(self, error: Exception | None) -> None:
        """Cancelled or failed: the curves that are there stay, pale."""
        self._asked = None
        if error is not None:
            self._state.tell("error", str(error))
            return
        self._state.tell(
            "info", "The anisotropy was cancelled; open its page again or change a setting."
        )

    # --- curves ----------------------------------------------------------------------------

    def _moved(self, *_: param.parameterized.Event) -> None:
        """λ, φ or the method changed."""
        model, state = self._model, self._state
        if model is None or state.page != "anisotropy":
            return
        for monitor in self._monitors.values():
            monitor.cancel()
        soc, phi, dipoles = state.soc, state.phi, state.mae_dipoles
        if state.mae_method == "exact":
            self.angles.view.styles = _PALE
            self._settle.request(lambda: None, lambda _: self._run_exact(model, soc, phi))
            return

        def done(sweep: Sweep) -> None:
            if self._model is model and state.mae_method != "exact":
                self._show(sweep)
                self._follow_up(model, sweep)

        self._latest.request(lambda: model.sweep(soc, phi, dipoles), done)

    def _run_exact(self, model: AnisotropyModel, soc: float, phi: float) -> None:
        state = self._state
        if self._model is not model or (state.soc, state.phi) != (soc, phi):
            return

        def done(sweep: Sweep) -> None:
            if self._model is model:
                self._show(sweep)
                self._ask_moments(model)

        self.task.run(
            f"diagonalising at every direction, λ = {soc:.0%}",
            lambda monitor: model.exact(soc, phi, state.mae_dipoles, monitor),
            done,
            self._failed,
            self._to_fast,
        )

    def _to_fast(self) -> None:
        """The exact curves were cancelled."""
        self._state.mae_method = "second variation"

    def _follow_up(self, model: AnisotropyModel, sweep: Sweep) -> None:
        """What takes longer than a λ move may: the sphere, the window's error, the moments."""
        monitor = self._monitors["sphere"] = Monitor()

        def done(more: Sweep) -> None:
            if self._sweep is sweep:
                self._show(more)

        self._sphere.request(lambda: model.sphere(sweep, monitor), done)
        self._ask_moments(model)

    def _ask_moments(self, model: AnisotropyModel) -> None:
        monitor = self._monitors["moments"] = Monitor()
        spin_state = self._state.spin_state

        def done(moments: SiteMoments) -> None:
            if self._model is model:
                self._moments = moments
                self._tell()

        self._slow.request(lambda: model.moments(spin_state, monitor), done)

    def _show(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._state.easy_axis = sweep.easy_axis
        same = self._checked is not None and self._same_place(self._checked, sweep)
        self.angles.draw(sweep, self._checked if same else None)
        self.angles.view.param.update(visible=True, styles=_CLEAR)
        self.to_easy.visible = True
        self.check.visible = sweep.arc.method != "exact"
        self._tell()

    @staticmethod
    def _same_place(result: AnisotropyEnergy, sweep: Sweep) -> bool:
        arc = sweep.arc
        return (
            result.state == arc.state
            and result.mesh == arc.mesh
            and result.smearing == arc.smearing
            and result.directions.phi[0] == arc.directions.phi[0]
        )

    def _tell(self) -> None:
        sweep = self._sweep
        if sweep is None:
            return
        self.numbers.object = energy_html(sweep, self._state.mae_unit)
        self.more.object = constants_html(sweep) + moments_html(self._moments)
        self.how.object = details_html(sweep)

    def _marked(self, *_: param.parameterized.Event) -> None:
        # Figures are changed on the page's own turn, not within a widget's message.
        self._post(self.angles.mark)
        if self._state.page == "anisotropy" and self._model is not None:
            if "moments" in self._monitors:
                self._monitors["moments"].cancel()
            self._ask_moments(self._model)

    def _unit_changed(self, *_: param.parameterized.Event) -> None:
        self._post(self._show_again)

    def _show_again(self) -> None:
        if self._sweep is not None:
            self._show(self._sweep)

    # --- requests --------------------------------------------------------------------------

    def _turn_to_easy(self, _: Any) -> None:
        if self._sweep is None:
            return
        theta, phi = self._sweep.easy
        self._state.param.update(theta=round(theta, 2), phi=round(phi % 360.0, 2))

    def _compare(self, _: Any) -> None:
        model, state = self._model, self._state
        if model is None:
            return
        soc, phi = state.soc, state.phi

        def done(result: AnisotropyEnergy) -> None:
            self._checked = result
            self._show_again()

        self.task.run(
            f"four exact directions, λ = {soc:.0%}",
            lambda monitor: model.check(soc, phi, monitor),
            done,
            self._failed,
            lambda: None,
        )

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, CalculationCancelled):
            self._state.tell("error", str(error))

    def _stem(self, what: str) -> str:
        subject = self._state.subject
        name = subject.structure.composition.reduced_formula if subject is not None else ""
        return f"{name}-{what}-soc{100 * self._state.soc:.0f}"
