"""A real browser for tests: one that has no network but this machine, and remembers complaints.

In a test file: ``from browser import Browser, page, serve  # noqa: F401``, mark the tests
``browser``, ask for ``page`` and call ``serve(page, component)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import panel as pn
import pytest
from panel.tests.util import serve_and_wait, wait_until
from playwright.sync_api import Page, Request, sync_playwright

__all__ = ["Browser", "page", "serve", "wait_until"]

# SwiftShader draws WebGL without a GPU; no name but localhost resolves.
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


@dataclass
class Browser:
    """A Playwright page (``page``), the errors on its console and its requests to other hosts."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._see)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _see(self, request: Request) -> None:
        local = ("http://localhost:", "ws://localhost:", "data:", "blob:")
        if not request.url.startswith(local):
            self.foreign.append(request.url)


@pytest.fixture
def page(chromium: str) -> Iterator[Browser]:
    """A fresh page of 1280 x 800; what was served to it ends with the test."""
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        browser = Browser(chrome.new_page(viewport={"width": 1280, "height": 800}))
        browser.watch()
        yield browser
        chrome.close()
    pn.state.kill_all_servers()
    pn.state.cache.clear()


def serve(browser: Browser, component: Any | Callable[[], Any], **options: Any) -> str:
    """Serve a component, or a function returning one, and open it; returns its address."""
    port = serve_and_wait(component, **options)
    address = f"http://localhost:{port}"
    browser.page.goto(address, wait_until="load")
    return address
