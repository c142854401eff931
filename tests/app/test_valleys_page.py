"""The Valleys page: what it asks for, what it says where there are none, and in a browser."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import numpy as np
import pandas as pd
import pytest
from browser import Browser, page, serve, wait_until  # noqa: F401
from pymatgen.core import Lattice, Structure
from test_jobs import eventually
from toy import ToySource, toy_hamiltonian

from hamexplorer.app import serve as app
from hamexplorer.app.browser import Downloads
from hamexplorer.app.choosing import Engines
from hamexplorer.app.pages.valleys import ValleysPage
from hamexplorer.app.shell import Shell
from hamexplorer.app.state import FIELD_EVERYWHERE, AppState, Subject
from hamexplorer.app.valleys.model import ValleyModel, ValleyRequest, field_choices
from hamexplorer.app.valleys.numbers import pair_html, tesla_sentence
from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.valley import ValleyMap, valley_readouts
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

LONG = 60_000
SQUARE = Structure(Lattice.tetragonal(3.4, 20), ["Sn"], [[0, 0, 0.5]])
EVERYWHERE = FIELD_EVERYWHERE


def layer(**options: float) -> Hamiltonian:
    """Gapped graphene whose two valleys have opposite spins on top."""
    return models.graphene(**{"stagger": 0.5, "kane_mele": 0.02, **options})


def shown(h: Hamiltonian, **values: Any) -> tuple[ValleysPage, AppState]:
    """The page alone, without a browser, looking at ``h``."""
    state = AppState(page="valleys", **values)
    state.show(Subject(h.structure, h, title=h.structure.composition.reduced_formula))
    return ValleysPage(state, lambda function: function(), Downloads()), state


def rested(valleys: ValleysPage) -> bool:
    model, drawn = valleys._model, valleys.view.map
    return (
        model is not None
        and drawn is not None
        and drawn.n == model.fine
        and valleys._drawn == valleys._asked
    )


# --- what is asked for -----------------------------------------------------------------------


def test_the_dial_scales_the_crystals_own_exchange_and_not_the_field() -> None:
    h = layer()
    own = np.zeros(h.pairs.n_elements)
    for site in (0, 1):
        h.pairs.block(own, h.pairs.index(site, site, (0, 0, 0)))[...] = 0.03
    magnet = replace(h, exchange=own)
    model = ValleyModel(magnet)
    request = ValleyRequest(SpinState(exchange=0.0), 20.0, EVERYWHERE)
    off = model.numbers(request, model.corners())
    # without its exchange the magnet is the crystal in the field alone
    bare = ValleyModel(h).numbers(request, model.corners())
    np.testing.assert_allclose(off.pair.k.energies, bare.pair.k.energies, atol=1e-9)
    assert abs(off.pair.valence_difference) == pytest.approx(20, abs=0.1)
    # readouts and curve say the same
    at = int(np.flatnonzero(off.splitting.fields == 20)[0])
    assert off.splitting.valence[at] == pytest.approx(off.pair.valence_difference, abs=1e-6)


def test_what_changes_nothing_is_not_asked_for_again() -> None:
    h = layer()
    turned = ValleyRequest.of(h, SpinState(0.5, 1.0, 2.0, 0.3), 0.0, "site:C2")
    assert turned == ValleyRequest.of(h, SpinState(0.5), 0.0, EVERYWHERE)
    in_field = ValleyRequest.of(h, SpinState(0.5, 1.0), 10.0, "site:C2")
    assert in_field != ValleyRequest.of(h, SpinState(0.5), 10.0, "site:C2")


def test_bands_pass_through_both_valleys_and_mirror_each_other() -> None:
    model = ValleyModel(layer())
    found = model.numbers(ValleyRequest(SpinState(), 0.0, EVERYWHERE), model.corners())
    path, bands = found.bands.path, found.bands
    for label, readout in (("K", found.pair.k), ("K′", found.pair.k_prime)):
        i = path.index_of(label)
        np.testing.assert_allclose(path.kpoints[i], readout.valley.kpoint, atol=1e-12)
        np.testing.assert_allclose(bands.energies[i], readout.energies, atol=1e-9)
    # time reversal: the same energies on the way back, with the spins turned
    np.testing.assert_allclose(bands.energies, bands.energies[::-1], atol=1e-9)
    assert bands.spin is not None
    np.testing.assert_allclose(bands.spin[..., 2], -bands.spin[::-1, :, 2], atol=1e-6)


@pytest.mark.parametrize(
    ("h", "error", "text"),
    [
        (toy_hamiltonian(load_gallery("si")), StructureError, "Si is not a layer"),
        (toy_hamiltonian(SQUARE), SettingsError, "square lattice has four corners"),
        (replace(layer(), n_electrons=2.5), SettingsError, "2.5 electrons"),
    ],
    ids=["bulk", "square", "half a band"],
)
def test_where_there_are_no_valleys(h: Hamiltonian, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        ValleyModel(h)


def test_atoms_for_a_field() -> None:
    basis = toy_hamiltonian(load_gallery("mos2-1h")).basis
    assert field_choices(basis) == {
        "all atoms": "all",
        "all Mo": "element:Mo",
        "all S": "element:S",
        "Mo1": "site:Mo1",
        "S1": "site:S1",
        "S2": "site:S2",
    }
    model = ValleyModel(layer())
    with pytest.raises(SettingsError, match="'S9'"):
        model.numbers(ValleyRequest(SpinState(), 5.0, "site:S9"), model.corners())


# --- what is said ----------------------------------------------------------------------------


def test_numbers_in_words() -> None:
    pair = valley_readouts(layer())
    text = pair_html(pair)
    assert "K − K′" in text
    assert f"{pair.k.gap:.4f}" in text
    assert "tanh((E_v(K) − E_v(K′)) / 2kT)" in text  # the definition, in a tooltip
    assert "Shift" not in text
    assert "−0.0<" not in text
    moved = replace(pair, k=replace(pair.k, valley=replace(pair.k.valley, shift=0.0123)))
    assert "0.0123" in pair_html(moved)


def test_a_field_in_tesla() -> None:
    assert "No field" in tesla_sentence(0.0, "all atoms")
    assert tesla_sentence(-11.59, "Mo1") == ("−12 meV on Mo1, along n(θ, φ): spins as in −100 T.")


@pytest.mark.parametrize(
    ("h", "text"),
    [
        (toy_hamiltonian(load_gallery("si")), "two-dimensional crystals"),
        (toy_hamiltonian(SQUARE), "no two valleys"),
        (replace(layer(), n_electrons=2.5), "no whole number of bands"),
        (replace(toy_hamiltonian(load_gallery("hbn")), n_electrons=5.0), "is a metal here"),
        (layer(stagger=0.0, kane_mele=0.0), "has no gap here"),
    ],
    ids=["bulk", "square", "half a band", "odd electrons", "touching"],
)
def test_a_sentence_in_place_of_empty_plots(h: Hamiltonian, text: str) -> None:
    valleys, state = shown(h, soc=0.5, field=0.0)
    eventually(lambda: text in valleys.sentence.view.object, 30)
    assert valleys.sentence.view.visible
    assert not valleys.plots.visible
    assert not valleys.numbers.visible
    assert state.soc == 0.5
    assert state.notices == []
    # the next crystal has its plots
    other = layer()
    state.show(Subject(other.structure, other, title="C2"))
    eventually(lambda: valleys.plots.visible and valleys.view.map is not None, 30)
    assert not valleys.sentence.view.visible


def test_nothing_is_computed_before_the_page_is_looked_at() -> None:
    h = layer()
    state = AppState(page="bands")
    state.show(Subject(h.structure, h))
    valleys = ValleysPage(state, lambda function: function(), Downloads())
    time.sleep(0.2)
    assert valleys._model is None
    state.page = "valleys"
    eventually(lambda: rested(valleys), 60)


def test_dial_and_field_move_numbers_and_map() -> None:
    valleys, state = shown(layer())
    eventually(lambda: rested(valleys), 60)
    numbers = valleys.view.numbers
    assert numbers is not None
    before, gap = valleys.readouts.object, numbers.pair.k.gap
    state.soc = 2.0
    eventually(lambda: rested(valleys) and valleys.readouts.object != before, 60)
    assert valleys.view.numbers is not None
    # Kane–Mele: the gap is 2Δ − 6√3 λ
    change = gap - valleys.view.numbers.pair.k.gap
    assert change == pytest.approx(6 * np.sqrt(3) * 0.02, rel=0.01)

    state.field = 30.0
    eventually(lambda: rested(valleys), 60)
    assert valleys.view.map is not None
    assert valleys.view.numbers.pair.valence_difference == pytest.approx(30, abs=0.5)
    spin = valleys.view.map.field("valence_energy")
    # no longer even in k: the map holds the field, too
    assert np.abs(spin - np.roll(spin[::-1, ::-1], 1, axis=(0, 1))).max() > 0.02
    assert valleys.view.splitting is not None
    assert valleys.view.splitting.dot_source.data["field"] == [30.0] * 3


def test_the_last_of_many_requests_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    valleys, state = shown(layer())
    eventually(lambda: rested(valleys), 60)
    asked: list[tuple[float, int]] = []
    real = ValleyModel.map

    def counted(
        model: ValleyModel, request: ValleyRequest, n: int, monitor: Monitor | None = None
    ) -> ValleyMap:
        asked.append((request.state.soc, n))
        return real(model, request, n, monitor)

    monkeypatch.setattr(ValleyModel, "map", counted)
    for soc in np.linspace(0.2, 1.9, 30):
        state.soc = float(soc)
    eventually(lambda: rested(valleys), 60)
    assert valleys.view.map is not None
    assert valleys.view.map.state.soc == 1.9
    assert [soc for soc, n in asked if n == 48] == [1.9]
    assert len(asked) < 10


def test_cancelling_keeps_the_coarse_map(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ValleyModel.map
    hold = threading.Event()

    def slow(
        model: ValleyModel, request: ValleyRequest, n: int, monitor: Monitor | None = None
    ) -> ValleyMap:
        while monitor is not None and not hold.is_set():
            monitor.report("Berry curvature", 0.5, "5 of 10 k-points")
            time.sleep(0.02)
        return real(model, request, n, monitor)

    monkeypatch.setattr(ValleyModel, "map", slow)
    valleys, _ = shown(layer())
    eventually(lambda: valleys.map_task.view.visible and valleys.map_task.bar.value == 50, 60)
    assert "48 × 48" in valleys.map_task.text.view.object
    valleys.map_task.button.clicks += 1
    eventually(lambda: not valleys.map_task.view.visible, 10)
    assert valleys.view.map is not None
    assert valleys.view.map.n == 12
    eventually(lambda: valleys.refine.visible, 10)
    hold.set()
    valleys.refine.clicks += 1
    eventually(lambda: rested(valleys), 60)
    assert not valleys.refine.visible


def test_chern_numbers_on_request_and_gone_with_the_setting() -> None:
    valleys, state = shown(layer(stagger=0.2, kane_mele=0.0))
    eventually(lambda: rested(valleys), 60)
    valleys.chern_button.clicks += 1
    eventually(lambda: "C_v" in valleys.chern.object, 120)
    # both spins of massive Dirac fermions: nearly ±1/2 each
    row = valleys.chern.object.split("C_v")[1]
    value = float(row.split("'mono'>")[1].split("<")[0].replace("−", "-"))
    assert 0.85 < abs(value) < 1
    state.soc = 0.5
    assert valleys.chern.object == ""


# --- in a browser ----------------------------------------------------------------------------


@pytest.fixture
def opened(
    page: Browser,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Any, str]]:
    """Serves a crystal under a query; returns the visitor's Shell and the address."""
    shells: list[Shell] = []

    class Watched(Shell):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            shells.append(self)

    monkeypatch.setattr(app, "Shell", Watched)

    def start(crystal: Any, query: str) -> tuple[Any, str]:
        def make() -> Any:
            cache = HamiltonianCache(tmp_path / "cache")
            return app.make_page(crystal, cache=cache, engines=Engines(ToySource))

        address = serve(page, make)
        page.page.goto(address + query)
        page.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
        return shells[-1], address

    return start


def readouts(browser: Browser) -> str:
    """Table and sentences as they stand on the page."""
    parts = browser.page.locator(".hx-valleys table, .hx-valleys p")
    return " ".join(parts.all_inner_texts())


def clean(browser: Browser) -> None:
    assert browser.foreign == []
    assert browser.errors == []


@pytest.mark.browser
def test_the_example_in_a_browser(page: Browser, opened: Any) -> None:  # noqa: F811
    """MoS2 as shipped: readouts, the field's slider, the choice of map, the export."""
    shell, _ = opened(None, "?p=valleys")
    valleys = shell.valleys
    wait_until(lambda: valleys.view.map is not None, page.page, timeout=LONG)
    wait_until(lambda: "Valley polarisation" in readouts(page), page.page)
    pair = valleys.view.numbers.pair
    assert f"{pair.k.gap:.4f}" in readouts(page)
    assert "+10.87" in readouts(page)  # Ω at K, Å²

    slider = page.page.get_by_role("slider", name="Field Δ (meV)")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    wait_until(lambda: shell.state.field == 5, page.page)
    wait_until(lambda: valleys.view.numbers.request.field == 5, page.page, timeout=LONG)
    wait_until(lambda: "+5.0" in readouts(page), page.page, timeout=LONG)
    page.page.get_by_text("5 meV on all atoms").wait_for(timeout=LONG)

    image = valleys.view.zone.source.data["value"][0]
    page.page.get_by_role("combobox").filter(has_text="Ω, top valence band").click()
    page.page.get_by_text("Direct gap E_c − E_v").last.click()
    wait_until(lambda: shell.state.map_field == "gap", page.page)
    wait_until(lambda: valleys.view.zone.source.data["value"][0] is not image, page.page)
    assert np.nanmin(valleys.view.zone.source.data["value"][0]) > 1.5
    wait_until(lambda: "v=gap" in page.page.url and "b=5" in page.page.url, page.page)

    page.page.get_by_role("button", name="Export").last.click()
    with page.page.expect_download(timeout=LONG) as download:
        page.page.get_by_text("Map (CSV)").click()
    table = pd.read_csv(io.StringIO(Path(download.value.path()).read_text()))
    assert len(table) == valleys.view.map.n**2
    assert {"kx_per_A", "k1", "gap_eV", "curvature_A2", "polarisation"} <= set(table.columns)
    for name in ("Map (SVG)", "Splitting (SVG)", "Valence bands (SVG)"):
        page.page.get_by_role("button", name="Export").last.click()
        with page.page.expect_download(timeout=LONG) as download:
            page.page.get_by_text(name).click()
        assert Path(download.value.path()).read_text().startswith("<svg")
    clean(page)


@pytest.mark.browser
def test_a_link_opens_the_same_valleys(page: Browser, opened: Any) -> None:  # noqa: F811
    query = "?p=valleys&v=spin&b=-40&on=site:C1&soc=1.5&dark=1"
    shell, address = opened(layer(), query)
    wait_until(lambda: rested(shell.valleys), page.page, timeout=LONG)
    state = shell.state
    assert (state.map_field, state.field, state.field_atoms) == ("spin", -40.0, "site:C1")
    assert shell.valleys.view.numbers.splitting.sites == (0,)
    page.page.get_by_text("−40 meV on C1").wait_for(timeout=LONG)
    wait_until(lambda: "on=site:C1" in page.page.url, page.page)

    # hover tells k, the corner's letters stand around
    def place() -> list[float] | None:
        """A point's place on the screen and the sizes of 1/Å; None until the map is drawn."""
        found: list[float] | None = page.page.evaluate(
            """(id) => { const pending = [...window.Bokeh.index.roots];
               while (pending.length) { const view = pending.pop();
                 if (view.model.id === id) {
                   const box = view.canvas_view.el.getBoundingClientRect()
                   return [box.x + view.frame.x_scale.compute(0.4),
                           box.y + view.frame.y_scale.compute(0.3),
                           view.frame.x_scale.compute(1) - view.frame.x_scale.compute(0),
                           view.frame.y_scale.compute(0) - view.frame.y_scale.compute(1)]
                 }
                 pending.push(...view.children()) }
               return null }""",
            shell.valleys.view.zone.figure.id,
        )
        return found

    wait_until(lambda: place() is not None, page.page, timeout=LONG)
    x, y, width, height = place() or []
    assert width == pytest.approx(height, rel=0.01)  # to scale
    page.page.mouse.move(x - 3, y)
    page.page.mouse.move(x, y)
    page.page.get_by_text("k (1/Å)").first.wait_for(timeout=LONG)

    page.page.goto(address + "?p=valleys&v=ghost&on=site:Fe1&b=1e9")
    page.page.wait_for_selector(".crystal[data-ready=true]", timeout=LONG)
    page.page.get_by_text("v = 'ghost'").wait_for(timeout=LONG)
    page.page.get_by_text("choice of atoms that this crystal lacks").wait_for(timeout=LONG)
    clean(page)


@pytest.mark.browser
def test_other_pages_and_a_bulk_crystal(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened(layer(), "")
    page.page.get_by_role("button", name="Valleys", exact=True).click()
    wait_until(lambda: rested(shell.valleys), page.page, timeout=LONG)
    slider = page.page.locator("input[type=range]").nth(0)
    before = readouts(page)
    slider.focus()
    slider.press("Home")
    wait_until(lambda: shell.state.soc == 0, page.page)
    wait_until(lambda: readouts(page) != before, page.page, timeout=LONG)

    shell.opener.gallery("gaas")
    page.page.get_by_text("GaAs is not a layer").wait_for(timeout=LONG)
    wait_until(lambda: shell.state.hamiltonian is not None, page.page, timeout=LONG)
    page.page.get_by_text("GaAs is not a layer").wait_for(timeout=LONG)
    page.page.get_by_text("Field Δ (meV)").wait_for(state="hidden", timeout=LONG)
    assert shell.state.soc == 0
    page.page.get_by_role("button", name="Bands", exact=True).click()
    wait_until(lambda: shell.bands._bands is not None, page.page, timeout=LONG)
    clean(page)
