"""What stands over the plots where DFT did not answer: who did, how well, and DFT instead."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.choosing import duration
from hamexplorer.app.opening import Opener
from hamexplorer.app.state import Approximation, AppState
from hamexplorer.app.style import Line

__all__ = ["ApproximationLine", "sentence"]


class ApproximationLine:
    """A line with a button; there only beside superposed atoms and learned models."""

    def __init__(self, state: AppState, opener: Opener) -> None:
        self._state = state
        self.text = Line(
            css="font-size: 13px;",
            margin=(6, 12),
            css_classes=["hx-approximate"],
            styles={"align-self": "center"},
        )
        self.dft = pmui.Button(label="", variant="outlined", size="small", margin=(4, 12, 4, 0))
        self.dft.on_click(lambda _: opener.start("dft"))
        self.view = pn.Row(
            self.text.view,
            self.dft,
            sizing_mode="stretch_width",
            visible=False,
            styles={
                "align-items": "center",
                "flex": "0 0 auto",
                "background": "rgba(237, 148, 40, .16)",
                "border-bottom": "1px solid rgba(128,128,128,.35)",
            },
        )
        state.param.watch(self._follow, ["subject", "job"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        state = self._state
        beside = None if state.subject is None else state.subject.approximation
        self.view.visible = beside is not None
        if beside is None:
            return
        self.text.say(sentence(beside))
        # while something is computed there is one question less: it can be cancelled first
        idle = state.job is None or state.job.waiting
        self.dft.visible = idle and beside.dft_seconds is not None
        if beside.dft_seconds is not None:
            self.dft.label = f"Compute with DFT ({duration(beside.dft_seconds)})"


def sentence(beside: Approximation) -> str:
    """Why DFT did not answer, and how good the answer is."""
    what = f"{beside.who}, approximate"
    told = f"{beside.why}; {what}" if beside.why else what[:1].upper() + what[1:]
    return f"{told}: {beside.accuracy}"
