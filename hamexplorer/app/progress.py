"""What is running, how far it is, and how to stop it; notices above the page."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState, Job, Notice
from hamexplorer.app.style import Line
from hamexplorer.app.wording import on_page

__all__ = ["JobBar", "Notices"]


class JobBar:
    """A bar with the stage, the fraction and a button; there only while there is a job."""

    def __init__(self, state: AppState, opener: Opener) -> None:
        self._state = state
        self.text = Line(margin=(4, 12), css_classes=["hx-job"])
        self.bar = pmui.LinearProgress(
            value=0, variant="determinate", margin=(0, 12, 6, 12), sizing_mode="stretch_width"
        )
        self.start = pmui.Button(label="Compute", size="small", margin=6)
        self.cancel = pmui.Button(label="Cancel", size="small", variant="outlined", margin=6)
        self.start.on_click(lambda _: opener.start())
        self.cancel.on_click(lambda _: opener.cancel())
        self.view = pn.Row(
            pn.Column(self.text.view, self.bar, sizing_mode="stretch_width"),
            self.start,
            self.cancel,
            sizing_mode="stretch_width",
            visible=False,
            styles={"align-items": "center", "flex": "0 0 auto"},
        )
        state.param.watch(self._follow, "job")
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        job = self._state.job
        self.view.visible = job is not None
        if job is None:
            return
        self.start.visible = job.waiting
        self.bar.visible = not job.waiting
        self.cancel.label = "Not now" if job.waiting else "Cancel"
        self.text.say(_sentence(job))
        self.bar.value = 0 if job.event is None else round(100 * job.event.fraction)


def _sentence(job: Job) -> str:
    if job.waiting:
        return f"To compute: {job.description}."
    event = job.event
    if event is None:
        return f"{job.description} …"
    parts = [event.stage]
    if event.iteration is not None:
        parts.append(f"iteration {event.iteration}")
    if event.residual is not None and event.residual == event.residual:  # not NaN
        parts.append(f"residual {event.residual:.1e}")
    if event.message and event.iteration is None and event.message != job.description:
        parts.append(event.message)
    return f"{', '.join(parts)} · {job.description}"


class Notices:
    """Alerts that stay until they are closed."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self.view = pn.Column(
            sizing_mode="stretch_width", styles={"flex": "0 0 auto"}, visible=False
        )
        self._shown: dict[Notice, pmui.Alert] = {}
        state.param.watch(self._follow, "notices")
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        notices = self._state.notices
        shown = {notice: self._shown.get(notice) or self._alert(notice) for notice in notices}
        self._shown = shown
        self.view.objects = list(shown.values())
        self.view.visible = bool(shown)

    def _alert(self, notice: Notice) -> pmui.Alert:
        # As plain text: messages quote names and lines of foreign files.
        alert = pmui.Alert(
            Line(on_page(notice.text), margin=0).view,
            severity=notice.severity,
            closeable=True,
            sizing_mode="stretch_width",
            margin=(6, 12, 0, 12),
        )

        def closed(event: param.parameterized.Event) -> None:
            if event.new:
                self._state.notices = [n for n in self._state.notices if n != notice]

        alert.param.watch(closed, "closed")
        return alert
