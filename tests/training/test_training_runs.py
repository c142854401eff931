"""Whole trainings of a tiny network: stopped, killed and gone on with, fine-tuned, refused."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from training_crystals import TINY, config, data_folder, hexagonal, sample

from hamexplorer.cli import main
from hamexplorer.datasets.sample import save_sample
from hamexplorer.datasets.store import DataSet, StoredFolder
from hamexplorer.errors import (
    CalculationCancelled,
    FileFormatError,
    HamexplorerError,
    SettingsError,
)
from hamexplorer.model.delta.checkpoint import load_delta
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.training.config import TrainingConfig
from hamexplorer.training.run import Finished, run_folder, train
from hamexplorer.units import BOHR_ANGSTROM


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_folder(tmp_path_factory.mktemp("training") / "set")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    output = tmp_path_factory.mktemp("whole") / "w.safetensors"
    return output, train(config(data), output)


def _numbers(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def _same(first: Path, second: Path) -> bool:
    a, b = _numbers(first), _numbers(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class _StopAfter:
    """Cancels when that many steps are told; the training stops at its next report."""

    def __init__(self, steps: int) -> None:
        self.monitor = Monitor(self._hear)
        self._steps = steps

    def _hear(self, event: ProgressEvent) -> None:
        if event.message.startswith(f"step {self._steps},"):
            self.monitor.cancel()


def test_what_is_written_says_what_it_is(whole: tuple[Path, Finished], data: Path) -> None:
    output, finished = whole
    model = load_delta(output)
    card, opened = model.card, DataSet.open(data)
    parts = list(opened.split.values())
    assert {"train", "validation", "test"} <= set(parts), "the set tests nothing otherwise"
    assert card.training_set == f"{parts.count('train')} crystals: {parts.count('train')} layers"
    assert card.origin["data"] == {"digest": opened.digest, "split": opened.split}
    assert card.origin["configuration"]["network"] == TINY
    assert card.origin["steps"] == 12
    assert len(card.origin["test"]["crystals"]) == parts.count("test")
    assert "near gap" in card.accuracy
    assert model.seen == {("B", "B"), ("B", "N"), ("N", "N")}
    assert model.domain is not None
    validation = [n for n, part in opened.split.items() if part == "validation"]
    distances = []
    for name in validation:
        h = opened.load(name).reference
        found = model.predict(h.structure, h.pairs, h.basis).distance
        assert found is not None
        distances.append(found.max())
    assert card.origin["domain_limit"] == pytest.approx(2.5 * np.median(distances), rel=1e-2)
    assert card.origin.get("zero", {}) == opened.zero
    assert finished.trained.validation is not None
    with (run_folder(output) / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["elements_meV"]]
    assert steps == [2, 4, 6, 8, 10, 12]
    validated = [float(r["validation_near_gap_meV"]) for r in rows if r["validation_near_gap_meV"]]
    assert min(validated) == pytest.approx(finished.trained.validation.near_gap, rel=1e-5)


def test_a_stopped_training_ends_with_the_same_bits(
    whole: tuple[Path, Finished], data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "w.safetensors"
    for steps in (3, 8):  # within the first stage, and within the second
        with pytest.raises(CalculationCancelled, match=f"at step {steps + 1};"):
            train(config(data), output, monitor=_StopAfter(steps).monitor)
        assert not output.exists()
    train(config(data), output)
    assert _same(output, whole[0])
    logs = [(run_folder(path) / "log.csv").read_text() for path in (output, whole[0])]
    kept = [[line.split(",")[:3] + line.split(",")[5:] for line in log.split()] for log in logs]
    assert kept[0] == kept[1]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(
    whole: tuple[Path, Finished], data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "w.safetensors"
    path = tmp_path / "c.yaml"
    saving = config(data, checkpoint_minutes=0.0)
    path.write_text(yaml.safe_dump(saving.model_dump(mode="json")))
    command = [sys.executable, "-m", "hamexplorer", "train", str(path), "-o", str(output), "-q"]
    state = run_folder(output) / "state.pt"
    for _ in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        with subprocess.Popen(command) as running:
            since = time.monotonic()
            while running.poll() is None and time.monotonic() - since < 60:
                if state.exists() and state.stat().st_mtime_ns != before:
                    running.send_signal(signal.SIGKILL)
                time.sleep(0.002)
            running.kill()
    assert not output.exists()
    assert main(command[3:]) == 0
    assert _same(output, whole[0])


def test_another_training_is_refused(
    whole: tuple[Path, Finished], data: Path, tmp_path: Path
) -> None:
    output, _ = whole
    with pytest.raises(SettingsError, match="another configuration"):
        train(config(data, seed=2), output)
    more = data_folder(tmp_path / "more", 9)
    with pytest.raises(SettingsError, match="another data set"):
        train(config(more), output)
    state = run_folder(output) / "state.pt"
    content = state.read_bytes()
    try:
        state.write_bytes(content[: len(content) // 2])
        with pytest.raises(FileFormatError, match="--fresh"):
            train(config(data), output)
    finally:
        state.write_bytes(content)


def test_errors_fall(data: Path, tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "elements": {"steps": 60, "rate": 1e-2, "warmup": 5},
        "bands": {"steps": 0},
        "validate_every": 30,
    }
    finished = train(config(data, **stages), tmp_path / "w.safetensors")
    with (tmp_path / "w.training" / "log.csv").open(newline="") as file:
        told = [float(r["elements_meV"]) for r in csv.DictReader(file) if r["elements_meV"]]
    assert finished.trained.steps == 60
    assert sum(told[-5:]) < 0.5 * sum(told[:5])


def test_a_stage_ends_early(data: Path, tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "elements": {"steps": 100, "rate": 1e-9, "patience": 2},
        "bands": {"steps": 0},
        "validate_every": 1,
    }
    finished = train(config(data, ema=0.0, **stages), tmp_path / "w.safetensors")
    assert finished.trained.early
    assert finished.trained.steps < 100


def test_fine_tuning_keeps_what_is_known_and_adds_heads(
    whole: tuple[Path, Finished], tmp_path: Path
) -> None:
    folder = StoredFolder(tmp_path / "carbides")
    folder.begin({"random": True})
    name = "others/bc/0000"
    made = sample(hexagonal(("B", "C")), name, pristine=True)
    save_sample(made, folder.sample(name))
    output = tmp_path / "w.safetensors"
    stages = {"elements": {"steps": 1, "rate": 1e-12}, "bands": {"steps": 0}, "ema": 0.0}
    finished = train(config(folder.path, **stages), output, start=whole[0])
    assert finished.model.elements == ("B", "C", "N")
    assert any("validation" in note for note in finished.notes)
    old, new = load_delta(whole[0]).network.state_dict(), load_delta(output).network.state_dict()
    for key, values in old.items():
        if key == "embedding.weight":
            assert torch.allclose(new[key][[0, 2]], values, atol=1e-9), "B and N of B, C, N"
        else:
            assert torch.allclose(new[key], values, atol=1e-9), key
    assert set(new) - set(old), "heads of C"
    other = config(folder.path, network={**TINY, "channels": 3}, **stages)
    with pytest.raises(SettingsError, match="another network"):
        train(other, tmp_path / "x.safetensors", start=whole[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "64-true"},
        {"precision": "bf16-mixed"},
        {
            "architecture": "compatible",
            "network": {
                "features": "4x0e+2x1o+2x2e",
                "harmonics": "0e+1o+2e",
                "cutoff": 7.0,
                "n_radial": 4,
                "radial_hidden": [4],
                "n_layers": 1,
            },
        },
    ],
    ids=["64", "bf16", "compatible"],
)
def test_other_precisions_and_the_other_architecture(
    data: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    short = {"elements": {"steps": 1}, "bands": {"steps": 2, "bands": 1.0}}
    finished = train(config(data, **{**short, **changes}), tmp_path / "w.safetensors")
    assert finished.trained.steps == 3
    network = load_delta(tmp_path / "w.safetensors").network
    assert network.dtype == torch.float32
    assert network.cutoff == pytest.approx(4.0 if "precision" in changes else 7.0 * BOHR_ANGSTROM)


def test_tests_of_other_elements_do_not_cost_the_weights(tmp_path: Path) -> None:
    folder = StoredFolder(data_folder(tmp_path / "set"))
    foreign = sample(hexagonal(("B", "C")), "others/bc/0000", held_out=True)
    save_sample(foreign, folder.sample(foreign.info.name))
    short = {"elements": {"steps": 1}, "bands": {"steps": 0}}
    finished = train(config(folder.path, **short), tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").is_file()
    assert any("others/bc/0000" in note for note in finished.notes)
    assert {one.family for one in finished.errors} == {"layers"}


def test_fresh_forgets_nothing_before_the_new_training_can_begin(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").symlink_to(data)
    output = tmp_path / "w.safetensors"
    short = config(Path("set"), elements={"steps": 1}, bands={"steps": 0})
    train(short, output)
    kept = yaml.safe_load((run_folder(output) / "config.yaml").read_text())
    assert kept["data"] == str(tmp_path / "set")
    before = (run_folder(output) / "state.pt").read_bytes()
    with pytest.raises(HamexplorerError, match="none"):
        train(short, output, start=tmp_path / "none.safetensors", fresh=True)
    assert (run_folder(output) / "state.pt").read_bytes() == before


def test_data_that_cannot_be_trained_on(tmp_path: Path, data: Path) -> None:
    with pytest.raises(SettingsError, match="data"):
        train(TrainingConfig(), tmp_path / "w.safetensors")
    folder = StoredFolder(tmp_path / "tests")
    folder.begin({"random": True})
    made = sample(hexagonal(), held_out=True)
    save_sample(made, folder.sample(made.info.name))
    with pytest.raises(SettingsError, match="no sample to train on"):
        train(config(folder.path), tmp_path / "w.safetensors")


def test_the_command_trains_and_evaluates(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "c.yaml", tmp_path / "w.safetensors"
    plain = config(data).model_dump(mode="json")
    short = {"elements": {"steps": 1}, "bands": {"steps": 0}}
    path.write_text(yaml.safe_dump({**plain, **short}))
    assert main(["train", str(path), "-o", str(output)]) == 0
    assert "near gap" in capsys.readouterr().out
    assert main(["train", "evaluate", str(output), "--data", str(data), "--part", "all"]) == 0
    assert f"  {len(DataSet.open(data))}  " in capsys.readouterr().out
    assert main(["train", "evaluate", str(output), "--data", str(data), "--part", "some"]) == 2
    assert "--part takes" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "none.yaml"), "-o", str(output)]) == 2
    assert "no such configuration" in capsys.readouterr().err
