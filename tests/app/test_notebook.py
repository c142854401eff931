"""The explorer as a notebook gets it: without a server."""

from __future__ import annotations

import pytest
from bokeh.document import Document
from test_jobs import eventually
from toy import toy_hamiltonian

from hamexplorer.app.notebook import Explorer, explore
from hamexplorer.errors import SettingsError
from hamexplorer.structures import load_gallery


def test_it_shows_a_hamiltonian_and_follows_its_state() -> None:
    h = toy_hamiltonian(load_gallery("gaas"))
    shown = explore(h, soc=0.5, colour="spin_z", height=600)
    eventually(lambda: shown._shell.bands._bands is not None, 20)
    assert shown.hamiltonian is h
    plot = shown._shell.bands._bands
    assert plot is not None
    assert plot.result.state.soc == 0.5
    assert plot.result.spin is not None
    shown.state.soc = 0.0
    eventually(lambda: plot.result.state.soc == 0.0, 20)
    root = shown.__panel__().get_root(Document())
    assert root.height == 600


@pytest.mark.parametrize("options", [{"lambda_": 1}, {"height": 100}])
def test_wrong_options_are_named(options: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(options))):
        Explorer(toy_hamiltonian(load_gallery("si")), **options)  # type: ignore[arg-type]
