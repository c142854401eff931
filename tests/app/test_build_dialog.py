"""The dialog that builds bilayers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, wait_until
from pymatgen.core import Structure
from test_jobs import eventually
from toy import ToySource
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

from hamexplorer.app.browser import Downloads
from hamexplorer.app.building import BuildDialog, Wish, built_of, cells_for, first_choice, summary
from hamexplorer.app.choosing import Engines
from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState
from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.sources import HamiltonianCache
from hamexplorer.structures import load_gallery

MOS2, WSE2 = load_gallery("mos2-1h"), load_gallery("wse2-1h")


def dialog(tmp_path: Path, crystal: Structure | None = None) -> tuple[AppState, BuildDialog]:
    """A dialog that was opened, on a page that shows ``crystal``."""
    state = AppState()

    def post(function: Callable[[], None]) -> None:
        function()

    # sources without settings, which take cells of any size
    engines = Engines(lambda _: ToySource(), lambda _: ToySource())
    opener = Opener(state, post, cache=HamiltonianCache(tmp_path / "cache"), engines=engines)
    if crystal is not None:
        opener.given(crystal)
        eventually(lambda: state.hamiltonian is not None)
    builder = BuildDialog(state, opener, Downloads(), post)
    builder.show()
    return state, builder


def test_twists_are_offered_with_their_sizes() -> None:
    wish = Wish(MOS2, None, angle=7.0, max_atoms=400)
    cells = cells_for(wish)
    assert "21.787° · 42 atoms" in cells
    chosen = first_choice(wish, cells)
    assert chosen == "7.341° · 366 atoms"
    assert "366 atoms; largest strain of the layers 0.00 %" in summary(
        built_of(wish, cells[chosen])
    )
    # cells of 3000 atoms lie nearer to 7.34 than (5, 4) does
    wish = Wish(MOS2, None, angle=7.34, max_atoms=10_000)
    cells = cells_for(wish)
    assert len(cells) == 50
    assert first_choice(wish, cells) == "7.341° · 366 atoms"
    other = next(label for label in cells if "366" not in label)
    report = built_of(wish, cells[other]).report
    assert report.twist == cells[other].angle
    assert report.layers[0].cells == cells[other].cells
    with pytest.raises(SettingsError, match="0 to 60°"):
        cells_for(Wish(MOS2, None, angle=-7.0))


def test_two_layers_are_offered_with_their_strain() -> None:
    wish = Wish(MOS2, WSE2)
    cells = cells_for(wish)
    first = first_choice(wish, cells)
    assert first == "1: 16.10° · 75 atoms · strain 0.15 %"
    assert built_of(wish, cells[first]).report.atoms == 75
    with pytest.raises(StructureError, match="no common cell"):
        cells_for(Wish(MOS2, WSE2, max_atoms=10))


def test_the_crystal_on_the_page_is_built_and_opened(tmp_path: Path) -> None:
    state, builder = dialog(tmp_path, WSE2)
    eventually(lambda: builder.built is not None)
    assert builder.lower.value == "present"
    assert builder.built is not None
    assert builder.built.report.layers[0].formula == "WSe2"
    builder.angle.value = "21.79"
    eventually(lambda: builder.built is not None and builder.built.report.atoms == 42)
    assert builder.build.disabled is False
    builder._build(None)
    eventually(lambda: state.job is None and len(state.subject.structure) == 42, 30)
    assert state.subject is not None
    assert state.subject.title == "WSe2 bilayer, AA turned by 21.79°"
    assert builder.dialog.open is False


def test_faults_are_told_in_the_dialog_and_offer_nothing(tmp_path: Path) -> None:
    state, builder = dialog(tmp_path)
    eventually(lambda: builder.built is not None)

    def told(text: str) -> Callable[[], bool]:
        return lambda: text in builder.message.view.object

    builder.distance.value = "2"
    eventually(told("The layers overlap"))
    assert builder.built is None
    assert builder.build.disabled
    builder.distance.value = "far"
    eventually(told("is not a number"))
    builder.distance.value = ""
    eventually(lambda: builder.built is not None)
    for text in ("12.5", "nan", "inf", ""):
        builder.message.say("")
        builder.atoms.value = text
        eventually(told("whole number"))
        assert builder.built is None
    builder.atoms.value = "400"
    builder.upper.value = "wse2-1h"
    eventually(lambda: builder.built is not None and builder.built.report.atoms == 75)
    assert builder.stacking.disabled
    builder.strain.value = ""
    eventually(told("number of %"))
    assert builder.built is None
    builder.strain.value = "0.01"
    eventually(told("no common cell"))
    assert builder.built is None
    assert state.notices == []


@pytest.mark.browser
def test_a_twisted_bilayer_is_built_in_a_browser(page: Browser, opened: Any) -> None:  # noqa: F811
    shell, _ = opened()
    drawn(shell, page)
    page.page.get_by_role("button", name="Build a bilayer").click()
    said(page, "Largest cell (atoms)")
    # GaAs is no layer: the gallery's first one is turned on itself
    wait_until(lambda: shell.builder.built is not None, page.page, timeout=LONG)
    field = page.page.get_by_label("Angle (°)")
    field.fill("21.79")
    field.press("Enter")
    said(page, "42 atoms; largest strain")
    with page.page.expect_download(timeout=LONG) as download:
        page.page.get_by_role("button", name="Save as CIF").locator("visible=true").click()
    assert Path(download.value.path()).read_text().count(" Mo ") >= 14
    # the untwisted stacking is computed sooner
    field.fill("0")
    field.press("Enter")
    said(page, "6 atoms; largest strain")
    page.page.get_by_role("button", name="Build", exact=True).click()
    wait_until(
        lambda: (
            shell.state.subject.title == "MoS2 bilayer, AA" and shell.state.hamiltonian is not None
        ),
        page.page,
        timeout=LONG,
    )
    assert shell.state.hamiltonian.basis.n_sites == 6
    # images of atoms on the cell's rim are drawn too
    wait_until(
        lambda: int(page.page.locator(".crystal").get_attribute("data-atoms") or 0) >= 6,
        page.page,
        timeout=LONG,
    )
    wait_until(lambda: not page.page.get_by_label("Angle (°)").is_visible(), page.page)
    clean(page)
