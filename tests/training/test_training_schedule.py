"""Rates, averages, orders, logs and configurations."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch.optim.swa_utils import AveragedModel
from training_crystals import config

from hamexplorer.errors import SettingsError
from hamexplorer.training.config import Stage, TrainingConfig, load_config
from hamexplorer.training.logs import Logs
from hamexplorer.training.sampler import Sampler
from hamexplorer.training.schedule import learning_rate, moving_average, progress


def test_rates_rise_fall_and_follow_the_time() -> None:
    stage = Stage(steps=100, minutes=2, rate=1e-2, warmup=10, last=0.1)
    assert progress(stage, 50, 0) == 0.5
    assert progress(stage, 50, 96) == 0.8, "96 s of 2 minutes are further than half the steps"
    assert progress(stage, 10, 500) == 1
    assert learning_rate(stage, 0, 0.0) == pytest.approx(1e-3)
    assert learning_rate(stage, 50, 0.5) == pytest.approx(1e-2 * (0.1 + 0.9 / 2))
    assert learning_rate(stage, 99, 1.0) == pytest.approx(1e-3)
    assert Stage(steps=1, warmup=0).rate == learning_rate(Stage(steps=1, warmup=0), 0, 0)


def test_averages_are_the_sum_of_their_formula() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(layer, multi_avg_fn=moving_average(0.9))
    values = [float(n) for n in torch.linspace(1, 3, 200)]
    expected = values[0]
    for count, value in enumerate(values):
        with torch.no_grad():
            layer.weight.fill_(value)
        average.update_parameters(layer)
        if count:  # the first is taken as it is
            decay = min(0.9, (1 + count) / (10 + count))
            expected = decay * expected + (1 - decay) * value
    assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-5)
    # in the long run it lags by decay / (1 − decay) steps
    assert expected == pytest.approx(values[-1] - 9 * (values[1] - values[0]), abs=1e-3)


def test_every_epoch_has_every_crystal_once() -> None:
    sampler = Sampler(7, 2, seed=3)
    drawn = [k for _ in range(7) for k in sampler.next()]
    assert sorted(drawn[:7]) == sorted(drawn[7:]) == list(range(7))
    assert drawn[:7] != drawn[7:]


def test_an_order_goes_on_where_it_was_saved() -> None:
    first, second = Sampler(5, 2, seed=3), Sampler(5, 2, seed=9)
    for _ in range(3):
        first.next()
    second.restore(first.state())
    assert [first.next() for _ in range(6)] == [second.next() for _ in range(6)]


def test_processes_share_a_step() -> None:
    whole = Sampler(6, 4, seed=1)
    parts = [Sampler(6, 2, 1, process, 2) for process in (0, 1)]
    for _ in range(4):
        own = [part.next() for part in parts]
        assert sorted(own[0] + own[1]) == sorted(whole.next())


def test_logs_forget_what_lies_beyond_the_state(tmp_path: Path) -> None:
    logs = Logs(tmp_path, 0)
    for step in (1, 2, 3):
        logs.write({"step": step, "stage": "bands", "bands_meV": 0.5 * step})
    logs.close()
    again = Logs(tmp_path, 2)
    again.write({"step": 3, "stage": "bands", "bands_meV": 9.0})
    again.close()
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["bands_meV"]) for row in rows] == [
        ("1", "0.5"),
        ("2", "1"),
        ("3", "9"),
    ]


def test_without_tensorboard_csv_is_written_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    logs = Logs(tmp_path, 0)
    logs.write({"step": 1, "stage": "bands"})
    logs.close()
    assert "TensorBoard is not installed" in logs.note
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("elements: {steps: -1}", "elements.steps"),
        ("elemnts: {steps: 1}", "accepted are data, title"),
        ("bands: {elements: 0, bands: 0}", "nothing would be learned"),
        ("{elements: {steps: 0}, bands: {steps: 0}}", "both 0: nothing would be learned"),
        ("batch: many", "batch"),
        ("ema: 1.0", "ema"),
        ("precision: 8-bit", "precision"),
        ("bands: {rate: .inf}", "bands.rate"),
        ("[1, 2]", "its keys must be data, title"),
        ("a: [", "no YAML"),
        ("title: 2020-13-45", "no YAML"),
    ],
)
def test_what_a_configuration_refuses(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"c\.yaml") as refusal:
        load_config(path)
    assert told in str(refusal.value)


def test_a_configuration_comes_back_from_its_own_text(tmp_path: Path) -> None:
    first = config(tmp_path / "set", seed=7)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(first.model_dump(mode="json")))
    assert load_config(path) == first
    path.write_text("data: beside")
    assert load_config(path).data == tmp_path / "beside"
    path.write_text("")
    assert load_config(path) == TrainingConfig()


def test_the_digest_is_of_what_is_learned(tmp_path: Path) -> None:
    first = config(tmp_path)
    longer = config(tmp_path, elements={"steps": 9, "warmup": 2}, threads=2, log_every=7)
    assert longer.digest == first.digest
    assert config(tmp_path, seed=8).digest != first.digest
    assert config(tmp_path, elements={"steps": 6, "warmup": 3}).digest != first.digest


def test_minutes_are_shared_by_steps_or_minutes() -> None:
    by_steps = TrainingConfig(elements=Stage(steps=10), bands=Stage(steps=30)).within(20)
    assert (by_steps.elements.minutes, by_steps.bands.minutes) == (5, 15)
    given = TrainingConfig(elements=Stage(minutes=1), bands=Stage(minutes=1)).within(20)
    assert (given.elements.minutes, given.bands.minutes) == (10, 10)
    assert math.isclose(sum(s.minutes or 0 for s in by_steps.stages.values()), 20)
    with pytest.raises(SettingsError, match="--minutes"):
        by_steps.within(-1)
