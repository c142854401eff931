"""The Anisotropy page in a real browser, with a toy magnet."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, page, serve, wait_until  # noqa: F401
from test_anisotropy_page import FEPT, MESH, settled
from toy import toy_hamiltonian, toy_magnet

from hamexplorer.app import serve as app
from hamexplorer.app.anisotropy.model import AnisotropyModel
from hamexplorer.app.shell import Shell
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

pytestmark = pytest.mark.browser

LONG = 60_000


def opened(browser: Browser, cache: Path, h: Hamiltonian, query: str) -> list[Shell]:
    """Serves ``h`` and opens the address with ``query``; returns the visitors' shells."""
    shells: list[Shell] = []

    class Watched(Shell):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            shells.append(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(app, "Shell", Watched)
    address = serve(browser, lambda: app.make_page(h, cache=HamiltonianCache(cache)))
    browser.page.goto(f"{address}/?{query}")
    browser.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
    patch.undo()
    return shells


def clean(browser: Browser) -> None:
    assert browser.foreign == []
    assert browser.errors == []


def test_the_page_in_a_browser(page: Browser, tmp_path: Path) -> None:  # noqa: F811
    query = "p=anisotropy&mesh=4x4x3&unit=uev&theta=30&kt=0.05&view=elsewhere"
    shells = opened(page, tmp_path, toy_magnet(FEPT), query)
    browser = page.page
    browser.locator(".hx-mae").wait_for(timeout=LONG)
    view, state = shells[-1].anisotropy, shells[-1].state
    wait_until(lambda: settled(view), browser, timeout=LONG)
    assert (state.mae_mesh, state.mae_unit, state.mae_smearing) == (MESH, "ueV_per_atom", 0.05)
    assert state.mae_view == "angles"
    browser.get_by_text("view = 'elsewhere'").wait_for(timeout=LONG)
    first = browser.locator(".hx-mae").inner_text()
    crystal = browser.locator(".crystal")
    wait_until(lambda: crystal.get_attribute("data-axis") == "0,0,1", browser)

    # λ moves the curve, θ the marker.
    sliders = browser.locator("input[type=range]")
    sliders.nth(0).focus()
    sliders.nth(0).press("End")
    wait_until(lambda: settled(view, 2.0), browser, timeout=LONG)
    wait_until(lambda: browser.locator(".hx-mae").inner_text() != first, browser)
    plots = view.angles._plots
    assert plots is not None
    marked = plots[0].marker.data["energy"][0]
    sliders.nth(1).focus()
    sliders.nth(1).press("End")
    wait_until(lambda: plots[0].marker.data["angle"] == [180.0], browser)
    assert plots[0].marker.data["energy"][0] < marked

    # The unit, and the address that follows.
    browser.get_by_role("combobox", name="Unit").click()
    browser.locator("li", has_text="MJ/m³").click()
    wait_until(lambda: state.mae_unit == "MJ_per_m3", browser)
    wait_until(lambda: "unit=mj" in browser.url and "mesh=4x4x3" in browser.url, browser)
    clean(page)


def test_requests_in_a_browser(
    page: Browser,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = AnisotropyModel.convergence

    def slow(self: AnisotropyModel, soc: float, phi: float, monitor: Monitor) -> Any:
        while True:  # until the visitor cancels
            monitor.report("Waiting", 0.5)
            time.sleep(0.05)

    monkeypatch.setattr(AnisotropyModel, "convergence", slow)
    shells = opened(page, tmp_path, toy_magnet(FEPT), "p=anisotropy&mesh=4x4x3&view=origin")
    browser = page.page
    browser.get_by_text("Which atoms the anisotropy").wait_for(timeout=LONG)
    view = shells[-1].anisotropy
    wait_until(lambda: view._model is not None, browser, timeout=LONG)
    requests = view.requests
    for name, request in (("Resolve by atom", requests.sites), ("Resolve by k", requests.by_k)):
        browser.get_by_role("button", name=name).click()
        wait_until(lambda r=request: r.figure is not None, browser, timeout=LONG)  # type: ignore[misc]
    wait_until(lambda: browser.locator(".bk-Figure:visible").count() == 2, browser, timeout=LONG)

    browser.get_by_role("button", name="Convergence", exact=True).click()
    wait_until(lambda: "view=convergence" in browser.url, browser, timeout=LONG)
    browser.get_by_role("button", name="Compute convergence").click()
    browser.get_by_text(re.compile("Waiting · other meshes")).wait_for(timeout=LONG)
    browser.get_by_role("button", name="Cancel", exact=True).click()
    wait_until(lambda: not requests.meshes.task.running, browser, timeout=LONG)
    assert requests.meshes.result is None
    monkeypatch.setattr(AnisotropyModel, "convergence", real)
    browser.get_by_role("button", name="Compute convergence").click()
    wait_until(lambda: requests.meshes.figure is not None, browser, timeout=LONG)

    browser.get_by_role("button", name="Export").last.click()
    with browser.expect_download(timeout=LONG) as download:
        browser.get_by_text("Compute convergence (CSV)").click()
    assert Path(download.value.path()).read_text().startswith("mesh,")
    clean(page)


def test_a_non_magnetic_crystal_in_a_browser(
    page: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    opened(page, tmp_path, toy_hamiltonian(load_gallery("gaas")), "p=anisotropy")
    page.page.get_by_text("GaAs is not magnetic").wait_for(timeout=LONG)
    assert page.page.locator(".bk-Figure:visible").count() == 0
    page.page.get_by_role("button", name="Hamiltonian", exact=True).click()
    page.page.get_by_text("Largest |element|").wait_for(timeout=LONG)
    clean(page)
