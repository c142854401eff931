"""The explorer as a notebook gets it: a frame that the kernel serves."""

from __future__ import annotations

from typing import Any
from urllib.request import urlopen

import pytest
from bokeh.document import Document
from browser import Browser, page, wait_until  # noqa: F401 - page is a fixture
from test_jobs import eventually
from toy import toy_hamiltonian

from hamexplorer.app.notebook import Explorer, explore
from hamexplorer.errors import SettingsError
from hamexplorer.structures import load_gallery


def test_its_panes_show_the_hamiltonian_and_follow_the_state() -> None:
    h = toy_hamiltonian(load_gallery("gaas"))
    shell = explore(h, soc=0.5, colour="spin_z").shell()
    eventually(lambda: shell.bands._bands is not None, 20)
    assert shell.state.hamiltonian is h
    plot = shell.bands._bands
    assert plot is not None
    assert plot.result.state.soc == 0.5
    assert plot.result.spin is not None
    shell.state.soc = 0.0
    eventually(lambda: plot.result.state.soc == 0.0, 20)
    assert shell.cell(600).get_root(Document()).height == 600


def test_a_cell_holds_a_small_frame_of_a_running_server() -> None:
    shown = Explorer(toy_hamiltonian(load_gallery("gaas")), height=500)
    output = shown._repr_mimebundle_()
    assert shown.url() in output["text/html"]
    assert len(output["text/html"]) < 1000
    assert output["text/plain"] == "Explorer of GaAs"
    with urlopen(shown.url(), timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.browser
def test_the_frame_draws_the_bands(page: Browser) -> None:  # noqa: F811
    shown = Explorer(toy_hamiltonian(load_gallery("gaas")))
    page.page.goto(shown.url())
    wait_until(lambda: page.page.get_by_text("Gap along the path").count() == 1, timeout=30_000)
    assert page.foreign == []


@pytest.mark.parametrize("options", [{"lambda_": 1}, {"height": 100}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(options))):
        Explorer(toy_hamiltonian(load_gallery("si")), **options)
