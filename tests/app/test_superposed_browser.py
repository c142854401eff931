"""On the page: superposed atoms and learned models answer, and say how well."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Browser, wait_until
from toy import SmallSource, ToyModel
from visit import LONG, clean, drawn, opened, page, said  # noqa: F401 - fixtures

from hamexplorer.structures import load_gallery

pytestmark = pytest.mark.browser


def test_a_large_cell_is_answered_by_superposed_atoms(
    page: Browser,  # noqa: F811
    opened: Any,  # noqa: F811
) -> None:
    shell, _ = opened(
        SmallSource, learned=lambda s: ToyModel(s, knows=frozenset({"Si"})), largest=3
    )
    drawn(shell, page)
    line = page.page.locator(".hx-approximate")
    assert not line.is_visible()

    cell = (load_gallery("gaas") * (2, 1, 1)).to(fmt="cif")
    page.page.locator("input[type=file]").set_input_files(
        files=[{"name": "large.cif", "mimeType": "", "buffer": str(cell).encode()}]
    )
    said(page, "4 atoms: too large for DFT here; superposed atoms, approximate: near-gap levels")
    wait_until(lambda: shell.state.hamiltonian is not None, page.page, timeout=LONG)
    wait_until(lambda: shell.bands._bands.result.title == "GaAs", page.page, timeout=LONG)
    said(page, "Superposed atoms, fitted")
    said(page, "1 warning")
    assert page.page.get_by_text("Compute with DFT").count() == 0
    # over the plot, not in a list that is folded
    place, plot = line.bounding_box(), page.page.locator(".bk-Figure").first.bounding_box()
    assert place is not None
    assert plot is not None
    assert 0 < place["height"] < 50
    assert place["y"] + place["height"] <= plot["y"]

    # the link leads to the same
    wait_until(lambda: "h=" in page.page.url, page.page)
    page.page.goto(page.page.url)
    said(page, "4 atoms: too large for DFT here; superposed atoms")

    # the visitor's choice: settings follow it, and so does the address
    page.page.get_by_text("Calculation").click()
    page.page.get_by_label("Source").locator("visible=true").click()
    page.page.get_by_text("superposed atoms (approximate, any size)").click()
    wait_until(lambda: shell.state.source == "superposed", page.page)
    wait_until(lambda: "source=superposed" in page.page.url, page.page)
    page.page.get_by_label("Grid spacing").locator("visible=true").wait_for()
    page.page.get_by_label("k mesh").locator("visible=true").wait_for(state="detached")

    # the learned model, by itself where it knows the crystal
    shell.state.source = "auto"
    shell.post(lambda: shell.opener.gallery("si"))
    said(page, "Learned model Tiny, approximate: near-gap bands within 2 meV.")
    page.page.get_by_text("Compute with DFT (about 1 s)").wait_for(timeout=LONG)
    clean(page)
