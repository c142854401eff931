"""The Bands page alone, without a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from test_jobs import eventually
from toy import toy_hamiltonian

from hamexplorer.app.browser import Downloads
from hamexplorer.app.pages.bands import BandsPage
from hamexplorer.app.state import AppState, Subject
from hamexplorer.structures import load_gallery


class Saved(Downloads):
    """What would be handed to the visitor."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def text(self, name: str, content: str) -> None:  # noqa: ARG002
        self.names.append(name)

    def picture(self, name: str, *_: Any) -> None:
        self.names.append(name)


def test_no_density_of_states_of_the_crystal_before() -> None:
    lock = threading.RLock()

    def post(function: Callable[[], None]) -> None:
        with lock:
            function()

    state, saved = AppState(), Saved()
    page = BandsPage(state, post, saved)
    menu: Any = page.toolbar[-1]

    def exported() -> list[str]:
        saved.names.clear()
        for item in menu.items:
            for callback in menu._on_click_callbacks:
                callback(item)
        return list(saved.names)

    def show(name: str) -> None:
        h = toy_hamiltonian(load_gallery(name))
        state.show(Subject(h.structure, h, title=name))

    show("gaas")
    eventually(lambda: page._dos is not None, 20)
    assert page._dos is not None
    assert page._dos.group_source.data["name"] == ["Ga", "As"]
    first = page._densities
    assert len(exported()) == 6
    # of the same crystal: what was there stays until the new one comes
    state.soc = 0.5
    assert page._densities is first
    assert page._dos.figure.legend.visible
    eventually(lambda: page._densities is not first, 20)

    with lock:  # nothing new comes meanwhile
        show("si")
        assert exported() == []
        assert len(page._dos.total_source.data["dos"]) == 0
        assert page._dos.group_source.data["name"] == []
        assert not page._dos.figure.legend.visible
    eventually(lambda: bool(page._dos and page._dos.figure.legend.visible), 20)
    assert page._dos.group_source.data["name"] == ["Si"]
    assert len(exported()) == 6
