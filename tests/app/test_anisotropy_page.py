"""The Anisotropy page without a browser: what it computes and when, and what it says."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_jobs import eventually
from toy import toy_hamiltonian, toy_magnet

from hamexplorer.app.anisotropy import model as model_module
from hamexplorer.app.anisotropy.model import AnisotropyModel, Setup, refusal
from hamexplorer.app.browser import Downloads
from hamexplorer.app.pages.anisotropy import AnisotropyPage
from hamexplorer.app.state import AppState, Subject
from hamexplorer.dft.engine import run
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import (
    Directions,
    dipolar_anisotropy,
    magnetic_anisotropy,
)
from hamexplorer.structures import load_gallery

FEPT = load_gallery("fept-l10")
MESH = (4, 4, 3)


def shown(h: Hamiltonian, **values: Any) -> tuple[AnisotropyPage, AppState]:
    """The page alone, without a browser, looking at ``h``."""
    state = AppState(**{"page": "anisotropy", "mae_mesh": MESH, **values})
    state.show(Subject(h.structure, h, title=h.structure.composition.reduced_formula))
    return AnisotropyPage(state, lambda function: function(), Downloads()), state


def settled(view: AnisotropyPage, soc: float = 1.0) -> bool:
    """Whether everything that comes by itself is there, for this λ."""
    sweep = view._sweep
    return (
        sweep is not None
        and sweep.arc.state.soc == soc
        and sweep.sphere is not None
        and view._moments is not None
        and view._moments.state.soc == soc
    )


# --- what is computed ------------------------------------------------------------------------


def test_the_numbers_are_the_physics_own() -> None:
    h = toy_magnet(FEPT)
    view, _ = shown(h, phi=20.0)
    eventually(lambda: settled(view), 30)
    assert view._sweep is not None
    exact = magnetic_anisotropy(h, Directions.arc([0, 90], 20.0), MESH)
    assert view._sweep.mae_meV == pytest.approx(exact.mae_meV, abs=1e-6)
    assert view._sweep.mae_meV > 0.5
    text = view.numbers.object
    assert f"{exact.mae_meV:.4g}" in text
    assert f"{500 * exact.mae_meV:.4g}" in text  # µeV per atom
    assert "[001] (c)" in text
    constants = view._sweep.constants
    assert constants is not None
    assert f"{constants.values[0]:.4g} ±" in view.more.object
    assert constants.values[:2].sum() == pytest.approx(exact.mae_meV, rel=0.02)
    assert "Fe1" in view.more.object


def test_nothing_is_computed_before_the_page_is_looked_at() -> None:
    view, state = shown(toy_magnet(FEPT), page="bands")
    time.sleep(0.3)
    assert view._model is None
    assert not view.task.running
    state.page = "anisotropy"
    eventually(lambda: view._sweep is not None, 20)
    model = view._model
    state.page = "bands"
    state.soc = 0.5
    time.sleep(0.3)
    assert view._sweep is not None
    assert view._sweep.arc.state.soc == 1.0
    state.page = "anisotropy"
    eventually(lambda: view._sweep.arc.state.soc == 0.5, 20)  # type: ignore[union-attr]
    assert view._model is model  # prepared once


def test_lambda_moves_the_curve_and_the_last_request_wins() -> None:
    h = toy_magnet(FEPT)
    view, state = shown(h)
    eventually(lambda: view._sweep is not None, 20)
    for soc in np.linspace(0.2, 1.6, 15).round(2):
        state.soc = float(soc)
    eventually(lambda: settled(view, 1.6), 30)
    assert view._sweep is not None
    exact = magnetic_anisotropy(h, Directions.arc([0, 90]), MESH, soc=1.6)
    assert view._sweep.mae_meV == pytest.approx(exact.mae_meV, abs=1e-6)
    state.soc = 0.0
    eventually(lambda: settled(view, 0.0), 30)
    assert "does not depend on the direction" in view.numbers.object
    assert "λ = 0" in view.how.object
    assert state.easy_axis is None


def test_theta_moves_only_the_marker() -> None:
    view, state = shown(toy_magnet(FEPT))
    eventually(lambda: settled(view), 30)
    sweep, plots = view._sweep, view.angles._plots
    assert sweep is not None
    assert plots is not None
    state.theta = 90.0
    assert view._sweep is sweep
    marker = plots[0].marker.data
    assert marker["angle"] == [90.0]
    assert marker["energy"][0] == pytest.approx(sweep.mae_meV, abs=1e-4)
    assert np.hypot(plots[3].marker.data["x"][0], plots[3].marker.data["y"][0]) == 1.0


def test_units_scale_curve_and_marker_alike() -> None:
    view, state = shown(toy_magnet(FEPT), theta=60.0)
    eventually(lambda: settled(view), 30)
    plots = view.angles._plots
    assert plots is not None
    before = plots[0].points.data["energy"].max(), plots[0].marker.data["energy"][0]
    state.mae_unit = "ueV_per_atom"
    after = plots[0].points.data["energy"].max(), plots[0].marker.data["energy"][0]
    assert np.array(after) == pytest.approx(500 * np.array(before))
    assert plots[0].figure.yaxis.axis_label == "E − E_min (µeV/atom)"


def test_the_exact_method_draws_the_same_curve() -> None:
    view, state = shown(toy_magnet(FEPT))
    eventually(lambda: settled(view), 30)
    assert view._sweep is not None
    fast = view._sweep.mae_meV
    state.mae_method = "exact"
    eventually(lambda: "exact diagonalisation" in view.how.object, 30)
    assert view._sweep.arc.method == "exact"
    assert view._sweep.mae_meV == pytest.approx(fast, abs=1e-6)
    assert not view.check.visible


def test_the_check_puts_exact_points_on_the_curve() -> None:
    view, state = shown(toy_magnet(FEPT))
    eventually(lambda: settled(view), 30)
    view.check.clicks += 1
    plots = view.angles._plots
    assert plots is not None
    eventually(lambda: len(plots[0].exact.data["angle"]) == 4, 30)
    exact = plots[0].exact.data
    on_curve = np.interp(exact["angle"], plots[0].fit.data["angle"], plots[0].fit.data["energy"])
    assert np.array(exact["energy"]) == pytest.approx(on_curve, abs=1e-3)
    state.soc = 0.5  # another λ: the points would be wrong
    eventually(lambda: settled(view, 0.5), 30)
    assert len(plots[0].exact.data["angle"]) == 0


def test_dipoles_add_their_energy() -> None:
    h = toy_magnet(FEPT)
    model = AnisotropyModel(h, Setup(MESH), Monitor())
    without, with_dipoles = model.sweep(1.0, 0.0), model.sweep(1.0, 0.0, dipoles=True)
    spins = model.moments(SpinState(soc=0.0)).spin[:, 2]
    assert np.abs(spins).max() > 1.0
    part = 1e3 * np.diff(dipolar_anisotropy(FEPT, spins, Directions.arc([0, 90])))[0]
    assert abs(part) > 1e-4
    assert with_dipoles.dipoles_meV == pytest.approx(part, rel=1e-6)
    assert with_dipoles.mae_meV - without.mae_meV == pytest.approx(part, rel=1e-6)


def test_the_dial_turns_to_the_easy_axis() -> None:
    view, state = shown(toy_magnet(FEPT, electrons=7.0), theta=30.0, phi=10.0)
    eventually(lambda: settled(view), 30)
    assert view._sweep is not None
    theta, phi = view._sweep.easy
    assert theta == pytest.approx(90.0, abs=0.5)  # this filling lies in the plane
    view.to_easy.clicks += 1
    assert state.theta == pytest.approx(theta, abs=0.01)
    assert state.phi == pytest.approx(phi % 360, abs=0.01)
    assert state.easy_axis[2] == pytest.approx(0.0, abs=0.01)


def test_requests_answer_and_are_forgotten_with_the_mesh() -> None:
    view, state = shown(toy_magnet(FEPT), mae_view="origin")
    eventually(lambda: settled(view), 30)
    requests = view.requests
    for request in requests.all:
        request.button.clicks += 1
    eventually(lambda: all(r.result is not None for r in requests.all), 60)
    assert view._sweep is not None
    mae = view._sweep.mae_meV
    assert requests.sites.result.total == pytest.approx(mae, rel=0.02)
    by_k = requests.by_k.exported.table()
    assert by_k is not None
    assert by_k["meV"].sum() == pytest.approx(mae, rel=0.05)
    study = requests.meshes.result
    assert MESH in study.meshes
    at = study.mae_meV[study.meshes.index(MESH), study.smearings.index(0.1)]
    assert at == pytest.approx(mae, abs=1e-4)
    requests.layer.value = 1
    assert "plane 1" in requests.by_k.figure.title.text
    state.mae_mesh = (2, 2, 2)
    eventually(lambda: view._model is not None and view._model.mesh == (2, 2, 2), 30)
    assert [r.result for r in requests.all] == [None, None, None]


# --- what is said ----------------------------------------------------------------------------


def test_what_has_no_anisotropy_says_why() -> None:
    magnet = toy_magnet(FEPT)
    for h, setup, words in (
        (toy_hamiltonian(load_gallery("gaas")), Setup(), "GaAs is not magnetic"),
        (replace(magnet, spin_orbit=None), Setup(), "no spin-orbit part"),
        (magnet, Setup(exchange=0.0), "switched off"),
        (magnet, Setup(smearing=float("nan")), "smearing"),
    ):
        assert words in refusal(h, setup)
    assert refusal(magnet, Setup(MESH)) == ""


def test_an_exchange_field_that_is_no_number_is_refused() -> None:
    magnet = toy_magnet(FEPT)
    assert magnet.exchange is not None
    broken = magnet.exchange.copy()
    broken[0] = np.nan
    with pytest.raises(HamiltonianError, match="finite"):
        replace(magnet, exchange=broken)


def test_a_non_magnetic_crystal_leaves_no_empty_plots() -> None:
    view, state = shown(toy_hamiltonian(load_gallery("gaas")))
    assert not view.content.visible
    assert not view.side.visible
    assert "FePt" in view.empty.view.object
    h = toy_magnet(FEPT)
    state.show(Subject(FEPT, h))
    eventually(lambda: view._sweep is not None, 20)
    assert view.content.visible
    assert not view.empty.view.visible
    state.exchange = 0.0
    assert "switched off" in view.empty.view.object
    assert view._asked is None


def test_a_mesh_that_cannot_be_read_is_said_and_the_old_one_stays() -> None:
    view, state = shown(toy_magnet(FEPT))
    field = view.settings.mesh
    for text in ("8 by 8", "0x4x4", "9999x9999x9999", "1 2"):
        state.notices = []
        field.value = text
        assert state.mae_mesh == MESH
        assert field.value == "4×4×3"
        assert len(state.notices) == 1, text
    field.value = "2 2 2"
    assert state.mae_mesh == (2, 2, 2)
    field.value = ""
    assert state.mae_mesh is None
    state.notices = []
    view.settings.smearing.value = "nan"
    assert state.mae_smearing == 0.1
    assert "meV" in state.notices[0].text


def test_a_cancelled_preparation_can_be_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = model_module.SecondVariation

    def slow(*arguments: Any, monitor: Monitor, **options: Any) -> Any:
        for step in range(200):
            monitor.report("Waiting", step / 200)
            time.sleep(0.02)
        return real(*arguments, monitor=monitor, **options)

    monkeypatch.setattr(model_module, "SecondVariation", slow)
    view, state = shown(toy_magnet(FEPT))
    assert view.task.view.visible
    view.task.button.clicks += 1
    eventually(lambda: not view.task.running, 10)
    assert not view.task.view.visible
    assert "cancelled" in state.notices[-1].text
    assert view._sweep is None
    monkeypatch.setattr(model_module, "SecondVariation", real)
    state.mae_smearing = 0.2
    eventually(lambda: settled(view), 30)
    assert view._sweep is not None
    assert view._sweep.arc.smearing == 0.2


@pytest.mark.slow
def test_iron_platinum_repaints_within_two_seconds_of_a_move() -> None:
    settings = DftSettings(kmesh=(6, 6, 4), cutoff=180.0, smearing=0.004)
    view, state = shown(run(FEPT, settings), mae_mesh=(8, 8, 6), mae_smearing=0.1088)
    eventually(lambda: settled(view), 120)
    assert "[001] (c)" in view.numbers.object
    took = []
    for soc in (0.9, 1.1, 1.3):
        began = time.perf_counter()
        state.soc = soc
        eventually(lambda s=soc: view._sweep.arc.state.soc == s, 30)  # type: ignore[misc, union-attr]
        took.append(time.perf_counter() - began)
        eventually(lambda s=soc: settled(view, s), 120)  # type: ignore[misc]
    assert min(took) < 2.0
