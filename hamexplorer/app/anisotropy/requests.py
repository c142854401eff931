"""What the Anisotropy page computes only when asked: where the energy comes from, convergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.anisotropy.model import AnisotropyModel
from hamexplorer.app.export import Exported
from hamexplorer.app.jobs import Post
from hamexplorer.app.state import AppState
from hamexplorer.app.style import Line
from hamexplorer.app.taskbar import TaskBar
from hamexplorer.plots.anisotropy_maps import anisotropy_k_map, k_parts
from hamexplorer.plots.anisotropy_parts import anisotropy_convergence, site_anisotropy_bars
from hamexplorer.progress import Monitor

__all__ = ["Requests"]

_Work = Callable[[AnisotropyModel, float, float, Monitor], Any]


class _Request:
    """A button, what it computes at the dial's λ and φ, and the picture of it."""

    def __init__(
        self,
        owner: Requests,
        *,
        name: str,
        title: str,
        doing: str,
        hint: str,
        work: _Work,
        draw: Callable[[Any], hv.Overlay],
        table: Callable[[Any], Any],
        beside: Any = None,
    ) -> None:
        self._owner = owner
        self._doing = doing
        self._work = work
        self._draw = draw
        self.result: Any = None
        self.figure: Any = None
        self.button = pmui.Button(
            label=title, variant="contained", size="small", margin=(8, 8), css_classes=[name]
        )
        self.button.on_click(lambda _: owner.ask(self))
        self.hint = Line(hint, css="font-size: 15px; opacity: .8;", margin=(16, 24))
        self.pane = pn.pane.Bokeh(sizing_mode="stretch_both", visible=False, margin=2)
        top = pn.Row(self.button, sizing_mode="stretch_width", styles={"align-items": "center"})
        if beside is not None:
            top.append(beside)
        self.task = TaskBar(owner.post, name)
        self.view = pn.Column(
            top,
            self.task.view,
            self.hint.view,
            self.pane,
            sizing_mode="stretch_both",
            styles={"min-width": "0"},
        )
        self.exported = Exported(
            title,
            lambda: owner.stem(name),
            lambda: None if self.result is None else table(self.result),
            lambda: self.figure,
        )

    def run(self, model: AnisotropyModel, soc: float, phi: float) -> None:
        """Compute, with a bar and a button to cancel."""

        def done(result: Any) -> None:
            self.result = result
            self.draw()

        self.task.run(
            f"{self._doing}, λ = {soc:.0%}",
            lambda monitor: self._work(model, soc, phi, monitor),
            done,
            self._owner.failed,
            lambda: None,
        )

    def draw(self) -> None:
        """Draw what there is; without a result its explanation."""
        there = self.result is not None
        if there:
            self.figure = hv.render(self._draw(self.result))
            self.pane.object = self.figure
        self.pane.visible, self.hint.view.visible = there, not there

    def forget(self) -> None:
        """The crystal or its mesh is another."""
        self.task.stop()
        self.result = None
        self.draw()


class Requests:
    """The views *Origin* and *Convergence*."""

    def __init__(
        self,
        state: AppState,
        post: Post,
        model: Callable[[], AnisotropyModel | None],
        failed: Callable[[Exception], None],
        stem: Callable[[str], str],
    ) -> None:
        self._state = state
        self.post = post
        self._model = model
        self.failed = failed
        self.stem = stem
        self.layer = pmui.Select(
            label="Plane", options={"sum": -1}, value=-1, size="small", width=110, margin=(8, 6)
        )
        self.sites = _Request(
            self,
            name="mae-by-atom",
            title="Resolve by atom",
            doing="resolving by atom",
            hint="Which atoms the anisotropy energy comes from: the spin–orbit energy of every "
            "atom, integrated from λ = 0 to the dial's λ, for θ = 90° minus θ = 0°. Exact, and "
            "takes about eight full diagonalisations of the mesh.",
            work=lambda model, soc, phi, monitor: model.by_site(soc, phi, monitor),
            draw=lambda result: site_anisotropy_bars(result, dark=state.dark, height=None),
            table=lambda result: result.to_dataframe(),
        )
        self.by_k = _Request(
            self,
            name="mae-by-k",
            title="Resolve by k",
            doing="resolving by k",
            hint="Where in the Brillouin zone the anisotropy energy comes from: every k-point's "
            "part of E(θ = 90°) − E(θ = 0°). Quick.",
            work=lambda model, soc, phi, monitor: model.by_k(soc, phi, monitor),
            draw=self._k_map,
            table=_k_table,
            beside=self.layer,
        )
        self.meshes = _Request(
            self,
            name="mae-convergence",
            title="Compute convergence",
            doing="other meshes and smearings",
            hint="Whether the anisotropy energy stands still: E(θ = 90°) − E(θ = 0°) on meshes "
            "from half to one and a half times as fine, at half, once and twice the smearing, by "
            "the fast route.",
            work=lambda model, soc, phi, monitor: model.convergence(soc, phi, monitor),
            draw=lambda result: anisotropy_convergence(result, dark=state.dark, height=None),
            table=lambda result: result.to_dataframe(),
        )
        self.all = (self.sites, self.by_k, self.meshes)
        self.origin = pn.Row(
            self.sites.view, self.by_k.view, sizing_mode="stretch_both", visible=False
        )
        self.convergence = pn.Column(self.meshes.view, sizing_mode="stretch_both", visible=False)
        self.layer.param.watch(self._layer_chosen, "value")
        state.param.watch(self._redraw, ["dark", "mae_unit"])

    def exports(self) -> list[Exported]:
        """What the export menu offers."""
        return [request.exported for request in self.all]

    def ask(self, request: _Request) -> None:
        """The visitor pressed a request's button."""
        model = self._model()
        if model is None:
            self._state.tell("info", "The magnet is still being prepared; ask again when it is.")
            return
        request.run(model, self._state.soc, self._state.phi)

    def forget(self) -> None:
        """Drop what belongs to another crystal or mesh, and stop what runs for it."""
        for request in self.all:
            request.forget()

    def _layer_chosen(self, *_: param.parameterized.Event) -> None:
        if self.by_k.result is not None:
            self.post(self.by_k.draw)

    def _redraw(self, *_: param.parameterized.Event) -> None:
        for request in self.all:
            self.post(request.draw)

    def _k_map(self, result: Any) -> hv.Overlay:
        model = self._model()
        assert model is not None
        _, axes = k_parts(result)
        across = 3 - sum(axes)
        count = result.mesh[across]
        planes = {"sum": -1} | {f"k = {n}/{count}": n for n in range(count // 2 + 1) if count > 1}
        if self.layer.options != planes:
            self.layer.param.update(options=planes, value=-1)
        return anisotropy_k_map(
            result,
            model.hamiltonian.structure,
            None if self.layer.value == -1 else self.layer.value,
            unit=self._state.mae_unit,
            dark=self._state.dark,
            height=None,
        )


def _k_table(result: Any) -> Any:
    """Every mesh point's part, meV per cell."""
    import pandas as pd

    frame = pd.DataFrame(result.kpoints, columns=["k1", "k2", "k3"])
    frame["meV"] = 1e3 * (result.by_k[-1] - result.by_k[0])
    return frame
