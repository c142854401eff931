"""A visitor of the app in a real browser, for tests: ``from visit import opened  # noqa: F401``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, page, serve, wait_until
from toy import ToyAtoms, ToySource

from hamexplorer.app import serve as app
from hamexplorer.app.choosing import Engines
from hamexplorer.app.shell import Shell
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

__all__ = ["LONG", "clean", "drawn", "opened", "page", "said"]

LONG = 30_000


@pytest.fixture
def opened(
    page: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Any, str]]:
    """Serves the app and returns the visitor's Shell and the address.

    Options are ToySource's; ``source`` puts another source in its place, ``superposed`` one in
    that of superposed atoms; ``learned`` makes a learned model, of which there is none else.
    """
    shells: list[Shell] = []

    class Watched(Shell):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            shells.append(self)

    monkeypatch.setattr(app, "Shell", Watched)

    def start(
        source: Callable[..., Any] = ToySource,
        superposed: Callable[..., Any] | None = None,
        learned: Callable[..., Any] | None = None,
        **options: Any,
    ) -> tuple[Any, str]:
        def make() -> Any:
            return app.make_page(
                load_gallery("gaas") if isinstance(source, type) else None,
                cache=HamiltonianCache(tmp_path / "cache"),
                engines=Engines(
                    dft=lambda settings: source(settings, **options),
                    superposed=superposed or ToyAtoms,
                    learned=learned,
                ),
            )

        address = serve(page, make)
        page.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
        wait_until(lambda: len(shells) > 0, page.page, timeout=LONG)
        return _Last(shells), address

    return start


class _Last:
    """The newest visitor's Shell, whichever that is by now."""

    def __init__(self, shells: list[Shell]) -> None:
        self._shells = shells

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shells[-1], name)


def drawn(shell: Any, browser: Browser) -> None:
    """Wait until bands and densities of states are there."""
    wait_until(lambda: shell.bands._dos is not None, browser.page, timeout=LONG)
    browser.page.wait_for_function("() => window.Bokeh !== undefined")
    assert canvases(browser) >= 2


def canvases(browser: Browser) -> int:
    """Figures and canvases on the page, within shadow roots too."""
    return int(
        browser.page.evaluate(
            """() => { const find = (root) => [...root.querySelectorAll('*')].reduce((n, e) =>
                 n + (e.classList.contains('bk-Figure') || e.tagName === 'CANVAS' ? 1 : 0)
                 + (e.shadowRoot ? find(e.shadowRoot) : 0), 0); return find(document) }"""
        )
    )


def said(browser: Browser, text: str) -> None:
    """Wait until the page shows ``text``."""
    browser.page.get_by_text(text).first.wait_for(timeout=LONG)


def clean(browser: Browser) -> None:
    """No request to another host, no error on the console."""
    assert browser.foreign == []
    assert browser.errors == []
