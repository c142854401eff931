"""The time-odd part where components are listed: plots, page, ``info``, address bar."""

from __future__ import annotations

import json
from pathlib import Path

import holoviews as hv
import models
import numpy as np
import pytest

from hamexplorer.app.browser import Downloads
from hamexplorer.app.pages.hamiltonian import HamiltonianPage
from hamexplorer.app.state import AppState, Subject
from hamexplorer.app.url import read_query, write_query
from hamexplorer.cli import main
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.plots import LiveDecayPlot, block_image, decay_plot
from hamexplorer.properties import block_decay

HALDANE = models.haldane()


def test_blocks_and_decay_name_it() -> None:
    image = block_image(HALDANE, 0, 0, (1, 0, 0), component="A")
    assert image.title == "A, time-odd of C1–C1, R = (1, 0, 0)"
    assert (image.unit, image.values.item()) == ("eV", pytest.approx(0.1))
    decay = block_decay(HALDANE)
    row = decay.largest[decay.components.index("A")]
    assert set(row.round(12)) == {0.0, 0.1}
    assert "A" in decay.to_dataframe().columns
    live = LiveDecayPlot(decay)
    labels = [item.label.value for item in live.figure.legend[0].items]
    assert labels == ["S", "H", "A, time-odd"]
    assert hv.render(decay_plot(decay), backend="bokeh") is not None


def test_the_page_lists_it_where_it_is_stored() -> None:
    state = AppState(page="hamiltonian")
    page = HamiltonianPage(state, Downloads())
    state.subject = Subject(HALDANE.structure, HALDANE, "Haldane")
    assert page.component.options["A, time-odd"] == "A"
    assert "|A| (eV)" in page.table.value.columns
    assert "A, time-odd" in page.facts.object
    state.component = "A"
    assert page.block.object is not None
    plain = models.graphene()
    state.subject = Subject(plain.structure, plain, "graphene")
    assert state.component == "H"
    assert "A, time-odd" not in page.component.options
    assert "|A| (eV)" not in page.table.value.columns


def test_the_address_bar_keeps_it() -> None:
    state = AppState(page="hamiltonian", component="A")
    values, _, notes = read_query(write_query(state))
    assert values["component"] == "A"
    assert not notes


def test_info_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "haldane.h5"
    save_hamiltonian(HALDANE, path)
    assert main(["info", str(path)]) == 0
    assert "S, H, A (time-odd)" in capsys.readouterr().out
    assert main(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["components"] == ["S", "H", "A"]
    assert np.abs(HALDANE.time_odd).max() == pytest.approx(0.1)
