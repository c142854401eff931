"""A file really dragged onto the page, computed by the engine itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from browser import Browser, wait_until
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

from hamexplorer.assets_path import asset
from hamexplorer.dft.settings import DftSettings
from hamexplorer.sources import DftSource

pytestmark = pytest.mark.browser

DRAG = """async ([name, text]) => {
  const find = (root) => { for (const e of root.querySelectorAll("*")) {
    if (e.matches(".zone")) return e
    const inner = e.shadowRoot && find(e.shadowRoot); if (inner) return inner } }
  const zone = find(document)
  const carried = new DataTransfer()
  carried.items.add(new File([text], name))
  const event = (kind) => new DragEvent(kind, {
    bubbles: true, composed: true, cancelable: true, dataTransfer: carried})
  const refused = zone.dispatchEvent(event("dragover"))
  const lit = zone.classList.contains("over")
  await new Promise(requestAnimationFrame)
  const opened = zone.dispatchEvent(event("drop"))
  return {refused, lit, opened, after: zone.classList.contains("over")}
}"""


WATCH_STAGES = r"""() => { window.stages = new Set(); setInterval(() => {
  const find = (root) => { for (const e of root.querySelectorAll("*")) {
    const text = e.children.length ? "" : e.textContent
    if (/iteration \d/.test(text) && e.checkVisibility()) return text
    const inner = e.shadowRoot && find(e.shadowRoot); if (inner) return inner } }
  const seen = find(document)
  if (seen) window.stages.add(seen)
}, 50) }"""


def drag(browser: Browser, name: str, text: str) -> dict[str, bool]:
    """Drag a file over the drop area and let it go; what the area made of it."""
    result: dict[str, bool] = browser.page.evaluate(DRAG, [name, text])
    return result


@pytest.mark.slow
def test_a_dragged_cif_is_computed_by_the_engine(page: Browser, opened: Any) -> None:  # noqa: F811
    def coarse(settings: DftSettings) -> DftSource:
        return DftSource(replace(settings, cutoff=60.0, kmesh=(4, 4, 4), symmetry=False, threads=1))

    shell, _ = opened(source=coarse)
    drawn(shell, page)
    page.page.evaluate(WATCH_STAGES)
    dropped = drag(page, "silicon.cif", asset("gallery/si.cif").read_text())
    # An event that the page takes over is cancelled: the browser would open the file itself.
    assert dropped == {"refused": False, "lit": True, "opened": False, "after": False}
    wait_until(
        lambda: shell.state.subject.title == "silicon" and shell.state.hamiltonian is not None,
        page.page,
        timeout=300_000,
    )
    wait_until(lambda: shell.bands._bands.result.title == "Si", page.page, timeout=LONG)
    stages = page.page.evaluate("() => [...window.stages]")
    assert len(stages) >= 3, stages  # the iterations were seen to go on
    said(page, "Gap along the path")
    bands = shell.bands._bands.result
    assert bands.n_electrons == 8
    assert not bands.fermi.is_metal
    # PBE: 0.6 eV; the mesh and the cutoff of this test are coarse.
    assert 0.3 < bands.fermi.cbm - bands.fermi.vbm < 1.0
    provenance = shell.state.hamiltonian.provenance
    assert provenance.settings["kmesh"] == [4, 4, 4]
    clean(page)


def test_dragged_text_without_a_file_is_left_alone(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    before = shell.state.subject
    ignored = page.page.evaluate(
        """() => { const carried = new DataTransfer()
             carried.setData("text/plain", "Si 0 0 0")
             return document.body.dispatchEvent(new DragEvent("drop", {
               bubbles: true, cancelable: true, dataTransfer: carried})) }"""
    )
    assert ignored  # not cancelled
    page.page.wait_for_timeout(500)
    assert shell.state.subject is before
    assert shell.state.job is None
    clean(page)
