"""The whole page in a real browser, with a toy model in place of the DFT engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Browser, wait_until
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

from hamexplorer.assets_path import asset

pytestmark = pytest.mark.browser

SI = asset("gallery/si.cif")


def test_pages_slider_and_export(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    said(page, "Spin splitting (meV)")

    # λ moves the bands, and the address follows.
    before = shell.bands._bands.result.energies.copy()
    slider = page.page.locator("input[type=range]").nth(0)
    slider.focus()
    slider.press("Home")
    wait_until(lambda: shell.state.soc == 0, page.page)
    wait_until(lambda: abs(shell.bands._bands.result.energies - before).max() > 0.01, page.page)
    wait_until(lambda: "soc=0" in page.page.url, page.page)

    # The other pages; the crystal stays on all of them.
    page.page.get_by_role("button", name="Hamiltonian", exact=True).click()
    said(page, "Largest |element|")
    wait_until(lambda: shell.hamiltonian._block is not None, page.page)
    page.page.locator(".tabulator-row").nth(3).click()
    wait_until(lambda: shell.state.pair is not None, page.page)
    assert page.page.locator(".crystal[data-ready=true]").count() == 1
    page.page.get_by_role("button", name="Export").last.click()
    with page.page.expect_download(timeout=LONG) as download:
        page.page.get_by_text("Block (CSV)").click()
    table = Path(download.value.path()).read_text()
    assert table.startswith("row")
    assert len(table.splitlines()) == 5
    page.page.get_by_role("button", name="Export").last.click()
    with page.page.expect_download(timeout=LONG) as download:
        page.page.get_by_text("Block (SVG)").click()
    assert Path(download.value.path()).read_text().startswith("<svg")

    page.page.get_by_role("button", name="Structure", exact=True).click()
    said(page, "Space group")
    said(page, "F-43m")
    assert page.page.locator(".crystal[data-ready=true]").count() == 1
    clean(page)


def test_a_dropped_file_is_computed_in_sight(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened(seconds=4)  # long enough for a busy machine to show it
    drawn(shell, page)
    page.page.locator("input[type=file]").set_input_files(SI)
    said(page, "Self-consistent field, iteration")
    wait_until(
        lambda: shell.state.subject.title == "si" and shell.state.hamiltonian is not None,
        page.page,
        timeout=LONG,
    )
    wait_until(lambda: shell.bands._bands.result.title == "Si", page.page, timeout=LONG)
    wait_until(lambda: "h=" in page.page.url, page.page)
    clean(page)


def test_cancel_and_bad_files_keep_the_view(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened(seconds=3)
    drawn(shell, page)
    before = shell.state.subject
    upload = page.page.locator("input[type=file]")
    upload.set_input_files(SI)
    said(page, "Self-consistent field, iteration")
    page.page.get_by_role("button", name="Cancel", exact=True).click()
    said(page, "cancelled")
    assert shell.state.subject is before

    upload.set_input_files(files=[{"name": "bad.cif", "mimeType": "", "buffer": b"data_x\n_cell"}])
    said(page, "bad.cif")
    assert shell.state.subject is before

    # 201 MB are refused before they travel.
    page.page.evaluate(
        """() => { const find = (root) => { for (const e of root.querySelectorAll('*')) {
             if (e.type === 'file' && e.closest('.zone')) return e
             const inner = e.shadowRoot && find(e.shadowRoot); if (inner) return inner } };
           const input = find(document)
           const transfer = new DataTransfer()
           transfer.items.add(new File([new Uint8Array(201e6)], 'huge.xyz'))
           input.files = transfer.files
           input.dispatchEvent(new Event('change')) }"""
    )
    said(page, "huge.xyz: 201 MB; up to 200 MB")
    # errors do not pile up, and no bar of the file that could not be read is left
    page.page.get_by_text("bad.cif").locator("visible=true").wait_for(state="detached")
    page.page.wait_for_timeout(1000)
    assert not page.page.locator(".hx-job").is_visible()
    assert shell.state.subject is before
    page.page.get_by_role("button", name="Hamiltonian", exact=True).click()
    said(page, "Largest |element|")
    clean(page)


def test_a_link_opens_the_same_view(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, address = opened()
    query = "?s=si&p=hamiltonian&soc=0.5&theta=90&pair=0.1.0.0.0&m=Lz&cells=2x2x2&dark=1"
    page.page.goto(address + query)
    page.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
    wait_until(
        lambda: shell.state.subject is not None and shell.state.hamiltonian is not None,
        page.page,
        timeout=LONG,
    )
    said(page, "spin–orbit Λ_z")
    said(page, "Si1 – Si2")
    wait_until(
        lambda: page.page.locator(".crystal").get_attribute("data-theme") == "dark", page.page
    )
    wait_until(
        lambda: page.page.locator(".crystal").get_attribute("data-spin") == "90,0", page.page
    )
    state = shell.state
    assert (state.soc, state.pair, state.component) == (0.5, (0, 1, (0, 0, 0)), "Lz")
    wait_until(lambda: "soc=0.5" in page.page.url and "pair=0.1.0.0.0" in page.page.url, page.page)

    page.page.goto(address + "?s=si&soc=99&pair=50.0.0.0.0&p=hamiltonian")
    page.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
    said(page, "soc = '99'")
    said(page, "asks for a pair that this crystal lacks")
    assert shell.state.soc == 1
    clean(page)


def test_a_band_tapped_opens_its_state(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    # the densities of states come beside the bands a little later, and make them narrower
    wait_until(lambda: shell.bands._dos is not None, page.page)
    page.page.wait_for_timeout(1000)
    bands = shell.bands._bands
    nb = bands.result.energies.shape[1]
    index = 40 * nb + nb // 2
    place = page.page.evaluate(
        """([id, x, y]) => { const pending = [...window.Bokeh.index.roots];
           while (pending.length) { const view = pending.pop();
             if (view.model.id === id) {
               const box = view.canvas_view.el.getBoundingClientRect()
               return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
             }
             pending.push(...view.children()) } }""",
        [
            bands.figure.id,
            float(bands.point_source.data["x"][index]),
            float(bands.point_source.data["y"][index]),
        ],
    )
    page.page.mouse.click(*place)
    said(page, "State: band")
    wait_until(lambda: shell.state.point is not None, page.page)
    assert shell.state.point[0] == 40
    said(page, "Orbitals (Mulliken)")
    wait_until(lambda: "at=" in page.page.url, page.page)
    clean(page)
