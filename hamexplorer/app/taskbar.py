"""A page's own long work: what it does, how far it is, and a button to stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import panel as pn
import panel_material_ui as pmui

from hamexplorer.app.jobs import JobRunner, Post
from hamexplorer.app.style import Line
from hamexplorer.errors import CalculationCancelled
from hamexplorer.progress import Monitor, ProgressEvent

__all__ = ["TaskBar"]

Result = TypeVar("Result")


class TaskBar:
    """A bar (``view``) that is there only while its calculation runs; a new one replaces it.

    ``cancelled`` of :meth:`run` is called only if it was the visitor who stopped the work.
    """

    def __init__(self, post: Post, name: str) -> None:
        self._jobs = JobRunner(post)
        self._what = ""
        self._pressed = False
        self.text = Line(margin=(4, 12), css_classes=[f"hx-task-{name}"])
        self.bar = pmui.LinearProgress(
            value=0, variant="determinate", margin=(0, 12, 6, 12), sizing_mode="stretch_width"
        )
        self.button = pmui.Button(label="Cancel", size="small", variant="outlined", margin=6)
        self.button.on_click(self._pressed_cancel)
        self.view = pn.Row(
            pn.Column(self.text.view, self.bar, sizing_mode="stretch_width"),
            self.button,
            sizing_mode="stretch_width",
            visible=False,
            styles={"align-items": "center", "flex": "0 0 auto"},
        )

    @property
    def running(self) -> bool:
        """Whether a calculation is under way."""
        return self._jobs.running

    def run(
        self,
        what: str,
        work: Callable[[Monitor], Result],
        done: Callable[[Result], None],
        failed: Callable[[Exception], None],
        cancelled: Callable[[], None],
    ) -> None:
        """Run ``work(monitor)`` in a thread; ``what`` is how the visitor knows it."""
        self._what, self._pressed = what, False
        self.text.say(f"{what} …")
        self.bar.value = 0
        self.view.visible = True

        def finish(result: Result) -> None:
            self.view.visible = False
            done(result)

        def stop(error: Exception) -> None:
            self.view.visible = False
            if not isinstance(error, CalculationCancelled):
                failed(error)
            elif self._pressed:
                cancelled()

        self._jobs.start(work, finish, stop, self._progress)

    def stop(self) -> None:
        """Ask the work to stop, without a word to the visitor."""
        self._jobs.cancel()

    def _pressed_cancel(self, _: Any) -> None:
        self._pressed = True
        self._jobs.cancel()

    def _progress(self, event: ProgressEvent) -> None:
        self.text.say(f"{event.stage} · {self._what}")
        self.bar.value = round(100 * event.fraction)
