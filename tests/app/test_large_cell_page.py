"""Pages that look at a cell too large for all bands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browser import Browser, wait_until
from supercells import supercell
from test_jobs import eventually
from toy import toy_hamiltonian, toy_magnet
from visit import LONG, clean, opened, page, said  # noqa: F401

from hamexplorer.app.anisotropy.model import Setup, refusal
from hamexplorer.app.browser import Downloads
from hamexplorer.app.comparison.model import ComparisonModel
from hamexplorer.app.large_band_model import LargeBandModel
from hamexplorer.app.pages.bands import BandsPage
from hamexplorer.app.state import AppState, Subject
from hamexplorer.app.valleys.model import ValleyModel
from hamexplorer.errors import CalculationCancelled, ResourceLimitError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties import BandSolver, large_cells, near_gap
from hamexplorer.structures import load_gallery


@pytest.fixture(autouse=True)
def every_cell_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_gap, "FULL_SIZE", 0)
    for limit in ("LONG_SECONDS", "_REFUSED_SECONDS"):
        monkeypatch.setattr(large_cells, limit, 1e-9)


@pytest.fixture(scope="module")
def large() -> Hamiltonian:
    return supercell(toy_hamiltonian(load_gallery("gaas")), (2, 2, 1))


def shown(h: Hamiltonian) -> tuple[BandsPage, AppState]:
    lock = threading.RLock()

    def post(function: Callable[[], None]) -> None:
        with lock:
            function()

    state = AppState()
    bands = BandsPage(state, post, Downloads())
    state.show(Subject(h.structure, h, title="large"))
    return bands, state


def test_bands_around_the_gap_are_drawn_and_said(large: Hamiltonian) -> None:
    bands, state = shown(large)
    eventually(lambda: bands._drawn is not None, 40)
    drawn: Any = bands._drawn
    assert isinstance(bands._model, LargeBandModel)
    assert [notice.severity for notice in state.notices] == ["info"]
    assert "8 atoms with 32 orbitals are too many" in state.notices[0].text
    assert "no density of states" in state.notices[0].text
    filled = round(large.n_electrons)
    expected = BandSolver(large, drawn.kpoints).energies(SpinState())
    columns = slice(drawn.first_band, drawn.first_band + drawn.energies.shape[1])
    assert columns.start < filled < columns.stop
    assert np.abs(drawn.energies - expected[:, columns]).max() < 1e-8
    assert "counted at the shift alone" in bands.numbers.object
    assert "Spin splitting" not in bands.numbers.object
    assert "Two levels nearest the gap" in bands.numbers.object
    low, high = state.energies
    assert low <= drawn.energies.min() - drawn.fermi.energy
    assert drawn.energies.max() - drawn.fermi.energy <= high
    assert bands._dos is None

    before = drawn
    state.colour = "spin_z"  # no new diagonalisation: only a projection
    eventually(lambda: bands._drawn is not before, 20)
    assert bands._drawn is not None
    assert bands._drawn.spin is not None
    assert bands._drawn.energies is before.energies

    state.point = (1, filled)
    eventually(lambda: f"State: band {filled + 1}" in bands.inspector.object, 20)
    assert "Speed" not in bands.inspector.object
    assert "nan" not in bands.inspector.object

    states = bands._model.states
    state.theta = 40.0  # nothing is magnetic
    eventually(lambda: bands._drawn is not None and bands._drawn.state.theta == 40.0, 20)
    assert bands._model.states is states

    state.soc = 0.3
    eventually(lambda: bands._drawn is not None and bands._drawn.state.soc == 0.3, 40)


def test_cancelling_and_another_crystal(large: Hamiltonian) -> None:
    bands, state = shown(large)
    eventually(lambda: bands.task.running, 40)
    bands.task._pressed_cancel(None)
    eventually(lambda: any("cancelled" in n.text for n in state.notices), 20)
    assert bands._drawn is None
    state.soc = 0.9
    eventually(lambda: bands._drawn is not None, 40)


def test_the_model_stops_with_its_monitor(large: Hamiltonian) -> None:
    model, monitor = LargeBandModel(large), Monitor()
    monitor.cancel()
    with pytest.raises(CalculationCancelled):
        model.bands(SpinState(), "none", monitor)
    fractions: list[float] = []
    model.bands(SpinState(), "none", Monitor(lambda event: fractions.append(event.fraction)))
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.8


def test_other_pages_say_that_it_is_too_large(large: Hamiltonian) -> None:
    layer = toy_hamiltonian(load_gallery("mos2-1h"))
    with pytest.raises(ResourceLimitError, match="3 atoms with 12 orbitals"):
        ValleyModel(layer)
    subject = Subject(large.structure, large, title="a")
    with pytest.raises(ResourceLimitError, match="A comparison needs all bands"):
        ComparisonModel(subject, subject)
    magnet = toy_magnet(load_gallery("fept-l10"))
    assert "too much for 2 atoms" in refusal(magnet, Setup(None, 0.1, 1.0))


@pytest.mark.browser
def test_in_a_browser(page: Browser, opened: Callable[..., tuple[Any, str]]) -> None:  # noqa: F811
    shell, _ = opened()
    said(page, "are too many for all bands")
    wait_until(lambda: shell.bands._drawn is not None, page.page, timeout=LONG)
    said(page, "Gap along the path")
    said(page, "those of these")
    page.page.wait_for_function("() => window.Bokeh !== undefined")
    wait_until(lambda: not shell.bands.task.running, page.page, timeout=LONG)
    assert not page.page.get_by_role("button", name="Cancel").is_visible()
    clean(page)
