"""Opening what the open Hamiltonian is compared with, beside it."""

from __future__ import annotations

from collections.abc import Callable

import param

from hamexplorer.app.jobs import Post
from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState, Subject
from hamexplorer.app.taskbar import TaskBar
from hamexplorer.app.uploads import Files, named
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.progress import Monitor
from hamexplorer.properties.comparison import site_translations

__all__ = ["SecondOpener"]


class SecondOpener:
    """Puts a second Hamiltonian into the state; if it fails, the one that was there stays.

    ``task`` shows that a file is being read.
    """

    def __init__(self, state: AppState, opener: Opener, post: Post) -> None:
        self._state = state
        self._opener = opener
        self._post = post
        self.task = TaskBar(post, "second")

    def upload(self, files: Files) -> None:
        """Dropped files."""
        self._open(
            lambda monitor: self._opener.read_upload(files, monitor), f"Reading {named(files)}"
        )

    def stored(self, key: str) -> None:
        """What the cache holds under the key that begins with ``key``."""
        self._open(lambda _: self._opener.read_stored(key), "Opening the linked second Hamiltonian")

    def keep(self) -> None:
        """The open Hamiltonian becomes the second one: the next that is opened is its reference."""
        if self._state.hamiltonian is not None:
            self._state.second = self._state.subject

    def swap(self) -> None:
        """The two change places."""
        first, second = self._state.subject, self._state.second
        if first is None or first.hamiltonian is None or second is None:
            return
        with param.parameterized.batch_call_watchers(self._state):
            self._state.second = first
            self._state.show(second)

    def close(self) -> None:
        """There is no second one any more."""
        self._state.second = None

    def cancel(self) -> None:
        """Stop what is being opened."""
        self.task.stop()

    def _open(self, read: Callable[[Monitor], Subject], what: str) -> None:
        state = self._state

        def work(monitor: Monitor) -> Subject:
            subject = read(monitor)
            if subject.hamiltonian is None:
                raise SettingsError(
                    f"{subject.title} is a structure. A Hamiltonian is compared with another one: "
                    "drop its file; or compute the structure first (open it on the left), keep it "
                    "for comparison, and open the reference."
                )
            reference = state.hamiltonian
            if reference is not None:
                site_translations(reference, subject.hamiltonian)
            return subject

        def done(subject: Subject) -> None:
            state.second = subject

        def failed(error: Exception) -> None:
            known = isinstance(error, HamexplorerError)
            state.tell(
                "error",
                str(error) if known else f"Something went wrong ({type(error).__name__}): {error}",
            )

        def begin() -> None:
            state.forget_errors()
            self.task.run(what, work, done, failed, lambda: None)

        self._post(begin)  # in order with its end, as in Opener
