"""The Compare page: what it asks for and says, and a second file dropped in a browser."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser, page, wait_until  # noqa: F401 - fixtures
from models import chain
from test_jobs import eventually
from toy import ToySource, toy_hamiltonian, toy_magnet
from visit import LONG, clean, opened  # noqa: F401 - fixtures

from hamexplorer.app.browser import Downloads
from hamexplorer.app.choosing import Engines
from hamexplorer.app.comparison.model import ComparisonModel, ComparisonRequest
from hamexplorer.app.comparison.numbers import numbers_html, verdict_html, warnings_html
from hamexplorer.app.comparison.second import SecondOpener
from hamexplorer.app.opening import Opener
from hamexplorer.app.pages.comparison import ComparisonPage
from hamexplorer.app.state import AppState, Subject
from hamexplorer.assets_path import asset
from hamexplorer.hamiltonian import Basis, Hamiltonian, Shell, SpinState, save_hamiltonian
from hamexplorer.properties.comparison import Comparison
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

GAAS = load_gallery("gaas")
SECOND = "Open the second Hamiltonian"


def other(h: Hamiltonian, shift: float = 0.02) -> Hamiltonian:
    """A 5 meV error of one site's s level, and all of it up."""
    scalar = h.scalar.copy()
    h.pairs.block(scalar, h.pairs.index(0, 0))[0, 0] += 5e-3
    return replace(h, scalar=scalar).shifted(shift)


def stored(h: Hamiltonian, folder: Path, name: str = "second.h5") -> bytes:
    save_hamiltonian(h, folder / name)
    return (folder / name).read_bytes()


class Visit:
    """The page alone, without a browser."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.state = AppState(**{"page": "compare", **values})

        def post(function: Callable[[], None]) -> None:
            function()

        cache = HamiltonianCache(folder / "cache")
        self.opener = Opener(self.state, post, cache=cache, engines=Engines(ToySource))
        self.second = SecondOpener(self.state, self.opener, post)
        self.page = ComparisonPage(self.state, post, Downloads(), self.second)

    def show(self, h: Hamiltonian, title: str = "reference") -> None:
        self.state.show(Subject(h.structure, h, title=title))

    def compare(self, h: Hamiltonian, title: str = "prediction") -> None:
        self.state.second = Subject(h.structure, h, title=title)

    @property
    def result(self) -> Comparison | None:
        return self.page.view.result

    def drawn(self) -> bool:
        """Whether all that is shown is of one comparison."""
        shown = self.result
        return (
            shown is not None
            and self.page.plots.visible
            and self.page.notes.object == warnings_html(shown)
            and self.page.numbers.object == numbers_html(shown)
        )

    def settled(self) -> Comparison:
        eventually(self.drawn, 30)
        assert self.result is not None
        return self.result


# --- what is asked for -----------------------------------------------------------------------


def test_what_changes_nothing_is_not_asked_for_again() -> None:
    h = toy_hamiltonian(GAAS)
    both = (h, h)
    turned = ComparisonRequest.of(both, SpinState(0.5, 10, 20, 0.3), None, (-2, 2))
    assert turned == ComparisonRequest.of(both, SpinState(0.5), None, (-2, 2))
    bare = (replace(h, spin_orbit=None),) * 2
    assert ComparisonRequest.of(bare, SpinState(0.1), None, (-2, 2)).state == SpinState()
    magnet = (toy_magnet(GAAS), h)
    assert ComparisonRequest.of(magnet, SpinState(0.5, 10), None, (-2, 2)).state.theta == 10


def test_a_shift_that_is_not_there_is_replaced_and_said() -> None:
    h = chain(n_electrons=1.0)
    subject = Subject(h.structure, h, title="metal")
    model = ComparisonModel(subject, subject)
    result = model.compare(ComparisonRequest(SpinState(), "vbm", (-1.0, 1.0)))
    assert result.shift.method == "none"
    assert "the first is a metal; choose 'fermi'. Here it is 'none'." in result.warnings[0]
    assert model.compare(ComparisonRequest(SpinState(), "fermi", (-1, 1))).warnings == ()


# --- the page without a browser ---------------------------------------------------------------


def test_sentences_and_a_drop_area_before_there_are_two(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    assert "once the crystal is computed" in visit.page.sentence.view.object
    assert not visit.page._start.visible
    visit.show(toy_hamiltonian(GAAS), "GaAs")
    assert "Compare GaAs with a second Hamiltonian" in visit.page.sentence.view.object
    assert visit.page._start.visible
    assert visit.page.keep.visible
    assert not visit.page.plots.visible
    assert not visit.page.toolbar.visible


def test_two_are_compared_and_follow_the_dial(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h))
    first = visit.settled()
    assert first.names == ("reference", "prediction")
    assert not visit.page.empty.visible
    assert first.elements is not None
    assert first.elements.largest() == pytest.approx(25)
    assert "bands near" in visit.page.numbers.object
    assert visit.page.verdict.object == verdict_html(first)
    visit.state.soc = 0.3
    eventually(lambda: visit.settled().state.soc == 0.3, 30)
    visit.state.shift = "fit"
    eventually(lambda: visit.settled().shift.method == "fit", 30)
    assert visit.page.shift.value == "fit"
    visit.state.near_gap = (-1.0, 3.0)
    eventually(lambda: visit.settled().bands.window == (-1.0, 3.0), 30)
    shells = visit.page.view.shells
    assert shells is not None
    visit.state.compared = "Lz"
    assert shells.source.data["value"].max() == 0
    assert visit.page.component.value == "Lz"


def test_the_last_of_many_requests_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h))
    visit.settled()
    asked: list[float] = []
    real = ComparisonModel.compare

    def counted(model: ComparisonModel, request: ComparisonRequest) -> Comparison:
        asked.append(request.state.soc)
        return real(model, request)

    monkeypatch.setattr(ComparisonModel, "compare", counted)
    for soc in np.linspace(0.1, 1.9, 40):
        visit.state.soc = float(soc)
    eventually(lambda: visit.settled().state.soc == 1.9, 30)
    assert asked[-1] == 1.9
    assert len(asked) < 30


def test_nothing_is_computed_while_another_page_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = Visit(tmp_path, page="bands")
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h))
    time.sleep(0.2)
    assert visit.page._model is None
    assert len(visit.page._start) == 0
    visit.state.page = "compare"
    visit.settled()
    visit.state.page = "bands"
    asked: list[float] = []
    real = ComparisonModel.compare

    def counted(model: ComparisonModel, request: ComparisonRequest) -> Comparison:
        asked.append(request.state.soc)
        return real(model, request)

    monkeypatch.setattr(ComparisonModel, "compare", counted)
    visit.state.soc = 0.4
    time.sleep(0.2)
    assert asked == []
    visit.state.page = "compare"
    eventually(lambda: visit.settled().state.soc == 0.4, 30)
    # back again without a change: nothing new
    asked.clear()
    visit.state.page = "bands"
    visit.state.page = "compare"
    time.sleep(0.2)
    assert asked == []


def test_an_uploaded_second_can_be_linked_and_swapped(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.second.upload({"second.h5": stored(other(h), tmp_path)})
    result = visit.settled()
    assert result.names == ("reference", "second")
    assert visit.state.second is not None
    key = visit.state.second.stored
    assert len(key) == 16
    visit.second.swap()
    eventually(lambda: visit.settled().names == ("second", "reference"), 30)
    swapped = visit.settled()
    np.testing.assert_allclose(swapped.bands.first.path.energies, _energies(result, "second"))
    visit.second.close()
    assert visit.state.second is None
    assert not visit.page.plots.visible
    assert visit.page._start.visible
    again = Visit(tmp_path)
    again.show(h)
    again.second.stored(key)
    assert again.settled().bands.largest == pytest.approx(result.bands.largest)


def _energies(result: Comparison, side: str) -> np.ndarray:
    energies: np.ndarray = getattr(result.bands, side).path.energies
    return energies


def test_the_open_one_is_kept_for_the_next_reference(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(other(h), "older")
    visit.second.keep()
    assert visit.settled().bands.largest == 0
    visit.show(h, "newer")
    eventually(lambda: visit.settled().names == ("newer", "older"), 30)
    assert visit.settled().bands.largest > 1


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "broken.h5"),
        ("si.cif", asset("gallery/si.cif").read_bytes(), "si is a structure."),
        ("nonsense.txt", b"hello", "nonsense.txt"),
        ("other", None, "2 sites"),
    ],
)
def test_a_bad_second_is_told_and_the_state_kept(
    name: str, data: bytes | None, words: str, tmp_path: Path
) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h))
    before = visit.settled()
    if data is None:
        name, data = "other.h5", stored(chain(), tmp_path)
    visit.second.upload({name: data})
    eventually(lambda: len(visit.state.notices) == 1, 30)
    assert visit.state.notices[0].severity == "error"
    assert words in visit.state.notices[0].text
    assert visit.result is before
    assert visit.page.plots.visible


def test_another_crystal_is_said_in_place_of_the_plots(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h))
    visit.settled()
    silicon = toy_hamiltonian(load_gallery("si"))
    visit.show(silicon, "Si")
    eventually(lambda: "Site 1 is Si in the first and Ga in the second" in _sentence(visit), 30)
    assert not visit.page.plots.visible
    assert visit.page._start.visible
    assert visit.result is None
    visit.compare(other(silicon))
    visit.settled()
    assert visit.state.notices == []


def _sentence(visit: Visit) -> str:
    return str(visit.page.sentence.view.object)


def test_bands_alone_where_the_bases_differ(tmp_path: Path) -> None:
    visit = Visit(tmp_path, shift="fit")
    h = toy_hamiltonian(GAAS)
    turned = Basis(h.basis.symbols, ((Shell("2p", 1), Shell("s", 0)),) * 2)
    visit.show(h)
    visit.compare(replace(h, basis=turned))
    result = visit.settled()
    assert result.elements is None
    assert not visit.page.view._elements.visible
    assert not visit.page.component.visible
    assert "fit" not in visit.page.shift.options.values()
    assert "only bands are compared" in visit.page.verdict.object
    assert "only bands are compared" in visit.page.notes.object
    names = {exported.label for exported in visit.page.view.exports(str)}
    assert names == {"Bands", "Errors by k", "Elements", "Pairs", "Worst elements", "Summary"}
    tables = {e.label: e.table() for e in visit.page.view.exports(str)}
    assert tables["Elements"] is None
    assert len(tables["Bands"]) == result.bands.difference.size


def test_numbers_in_words(tmp_path: Path) -> None:
    visit = Visit(tmp_path)
    h = toy_hamiltonian(GAAS)
    visit.show(h)
    visit.compare(other(h, 0.5))
    result = visit.settled()
    text = numbers_html(result)
    assert "elements of H" in text
    assert "elements of Λx" in text
    assert "505" in text  # the worst element, meV
    assert "Ga1 s – Ga1 s, on-site" in text
    assert "+505.0" in text
    assert "c of the fit" in text
    assert "shift &#x27;fit&#x27;) takes away" in verdict_html(result)
    assert "-" not in text.split("c of the fit")[1][:40]  # a minus, not a hyphen


# --- in a browser ------------------------------------------------------------------------------

DRAG = """async ([label, name, encoded]) => {
  const find = (root) => { for (const e of root.querySelectorAll("*")) {
    if (e.getAttribute("aria-label") === label && e.checkVisibility()) return e
    const inner = e.shadowRoot && find(e.shadowRoot); if (inner) return inner } }
  const zone = find(document)
  const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0))
  const carried = new DataTransfer()
  carried.items.add(new File([bytes], name))
  const event = (kind) => new DragEvent(kind, {
    bubbles: true, composed: true, cancelable: true, dataTransfer: carried})
  zone.dispatchEvent(event("dragover"))
  const lit = zone.classList.contains("over")
  zone.dispatchEvent(event("drop"))
  return {lit, after: zone.classList.contains("over")}
}"""


def drag(browser: Browser, name: str, data: bytes) -> dict[str, bool]:
    encoded = base64.b64encode(data).decode()
    result: dict[str, bool] = browser.page.evaluate(DRAG, [SECOND, name, encoded])
    return result


def numbers(browser: Browser) -> str:
    return " ".join(browser.page.locator(".hx-comparison table").all_inner_texts())


@pytest.mark.browser
def test_a_second_file_in_a_browser(page: Browser, opened: Any, tmp_path: Path) -> None:  # noqa: F811
    shell, address = opened()
    browser = page.page
    wait_until(lambda: shell.state.hamiltonian is not None, browser, timeout=LONG)
    browser.get_by_role("button", name="Compare", exact=True).click()
    browser.get_by_text("with a second Hamiltonian of the same crystal").wait_for(timeout=LONG)
    assert browser.locator(".bk-Figure:visible").count() == 0
    before = shell.state.subject

    # a bad file: an alert, and the page as it was
    drag(page, "broken.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    browser.get_by_text("broken.h5").first.wait_for(timeout=LONG)
    assert shell.state.second is None

    # a good one, dropped on its own area: it does not replace the open one
    second = other(shell.state.hamiltonian)
    dropped = drag(page, "prediction.h5", stored(second, tmp_path))
    assert dropped == {"lit": True, "after": False}
    browser.get_by_text("Worst elements").wait_for(timeout=LONG)
    assert shell.state.subject is before
    assert shell.state.second.title == "prediction"
    wait_until(lambda: browser.locator(".bk-Figure:visible").count() == 4, browser, timeout=LONG)
    assert "bands near the gap" in numbers(page)
    browser.locator(".hx-verdict").get_by_text("Mean element error").wait_for(timeout=LONG)

    # the four figures lie over each other nowhere and end above the strip
    boxes = [f.bounding_box() for f in browser.locator(".bk-Figure:visible").all()]
    strip = browser.locator(".hx-provenance").bounding_box()
    assert strip is not None
    for i, box in enumerate(boxes):
        assert box is not None
        assert box["y"] + box["height"] <= strip["y"] + 1
        for another in boxes[i + 1 :]:
            assert another is not None
            apart = (
                box["x"] + box["width"] <= another["x"] + 1
                or another["x"] + another["width"] <= box["x"] + 1
                or box["y"] + box["height"] <= another["y"] + 1
                or another["y"] + another["height"] <= box["y"] + 1
            )
            assert apart

    # λ moves the numbers, the choice of constant too
    first = numbers(page)
    slider = browser.locator("input[type=range]").nth(0)
    slider.focus()
    slider.press("Home")
    wait_until(lambda: shell.comparison.view.result.state.soc == 0, browser, timeout=LONG)
    wait_until(lambda: numbers(page) != first, browser, timeout=LONG)
    browser.get_by_role("combobox", name="Constant c").click()
    browser.locator("li", has_text="fitted to elements").click()
    wait_until(lambda: shell.state.shift == "fit", browser)
    wait_until(lambda: "c of the fit" not in numbers(page), browser, timeout=LONG)
    wait_until(lambda: "shift=fit" in browser.url and "&c=" in browser.url, browser)

    browser.get_by_role("button", name="Export").locator("visible=true").click()
    with browser.expect_download(timeout=LONG) as download:
        browser.get_by_text("Bands (CSV)").locator("visible=true").click()
    table = pd.read_csv(io.StringIO(Path(download.value.path()).read_text()))
    assert len(table) == shell.comparison.view.result.bands.difference.size
    browser.get_by_role("button", name="Export").locator("visible=true").click()
    with browser.expect_download(timeout=LONG) as download:
        browser.get_by_text("Elements (SVG)").locator("visible=true").click()
    assert Path(download.value.path()).read_text().startswith("<svg")

    # the address leads back to both
    link = browser.url
    browser.goto("about:blank")
    browser.goto(link)
    browser.get_by_text("Worst elements").wait_for(timeout=LONG)
    assert shell.comparison.view.result.shift.method == "fit"
    assert link.startswith(address)

    browser.get_by_role("button", name="Swap").click()
    wait_until(lambda: shell.state.second.title != "prediction", browser, timeout=LONG)
    browser.get_by_role("button", name="Close", exact=True).click()
    browser.get_by_text("with a second Hamiltonian of the same crystal").wait_for(timeout=LONG)
    assert shell.state.second is None
    clean(page)
