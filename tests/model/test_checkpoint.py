"""Our checkpoint: nothing is lost, nothing is copied, nothing wrong is opened."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hamgnn_files import SIC, unpacked, weight_files
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.hamiltonian import Shell
from hamexplorer.model import checkpoint
from hamexplorer.model.checkpoint import ENTRY, VERSION, load_model, save_model
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.importing import WeightFiles, open_model
from hamexplorer.model.model import HamiltonianModel, ModelCard, OrbitalLayout
from hamexplorer.model.spin_channels import Channel


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HamiltonianModel:
    return open_model(weight_files(unpacked(SIC, tmp_path_factory.mktemp("hamgnn"))))


@pytest.fixture
def path(model: HamiltonianModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def header(path: Path) -> dict[str, Any]:
    with safe_open(str(path), "pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()[ENTRY])
    return found


def rewritten(
    path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]
) -> Path:
    """The file with another header or other tensors."""
    told, tensors = header(path), load_file(path)
    change(told, tensors)
    target = path.with_name("changed.safetensors")
    save_file(tensors, str(target), {ENTRY: json.dumps(told)})
    return target


def test_round_trip_is_exact(model: HamiltonianModel, path: Path) -> None:
    again = load_model(path)
    assert again.layout == model.layout
    assert again.card == model.card
    assert again.fingerprint == model.fingerprint
    for kind, channel in model.channels.items():
        other = again.channels[kind]
        assert other.backbone.hyperparameters == channel.backbone.hyperparameters
        for name, parameter in channel.named_parameters():
            assert torch.equal(parameter, other.get_parameter(name))
        assert not any(t.is_meta for t in (*other.parameters(), *other.buffers()))
    save_model(again, path.with_name("again.safetensors"))
    assert path.with_name("again.safetensors").read_bytes() == path.read_bytes()


def test_double_precision_and_a_basis_of_ones_own(tmp_path: Path) -> None:
    layout = OrbitalLayout(
        (Shell("2s", 0), Shell("3s", 0), Shell("2p", 1), Shell("4f", 3)),
        {"B": (Shell("2s", 0), Shell("2p", 1)), "La": (Shell("3s", 0), Shell("4f", 3))},
    )
    p = Hyperparameters("4x0e+4x1o+2x2e+2x3o", "0e+1o+2e", 1, 10.0, 4, (3,), 60)
    channel = Channel("scalar", p, layout.momenta).double()
    card = ModelCard("Mine", "graphs of 2027", "3 meV", "CC0", {"notes": ["Only for boron."]})
    model = HamiltonianModel(layout, {"scalar": channel}, card)
    save_model(model, tmp_path / "own.safetensors")
    again = load_model(tmp_path / "own.safetensors")
    assert again.layout == layout
    assert again.card == card
    assert again.card.listed("notes") == ("Only for boron.",)
    assert again.fingerprint == model.fingerprint
    assert next(again.channels["scalar"].parameters()).dtype == torch.float64


def test_the_fingerprint_is_of_the_numbers(model: HamiltonianModel, path: Path) -> None:
    changed = rewritten(path, lambda _, t: t["scalar/backbone.species"].view(-1)[7:8].add_(1e-6))
    assert load_model(changed).fingerprint != model.fingerprint
    told = rewritten(path, lambda h, _: h["card"].update(title="Another name"))
    assert load_model(told).fingerprint == model.fingerprint
    deeper = rewritten(path, lambda h, _: h["channels"]["scalar"].update(cutoff=25.0))
    assert load_model(deeper).fingerprint != model.fingerprint


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
def test_weights_are_mapped_not_copied(path: Path) -> None:
    loaded = load_model(path)
    ranges = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(path.name)
    ]
    assert ranges
    for channel in loaded.channels.values():
        for parameter in channel.parameters():
            if parameter.numel():
                assert any(start <= parameter.data_ptr() < end for start, end in ranges)


def test_files_that_are_none(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_model(tmp_path / "none.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    for content in (b"", b"text", path.read_bytes()[:-5], path.read_bytes()[:100]):
        wrong.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"wrong\.safetensors is no checkpoint"):
            load_model(wrong)
    save_file({"a": torch.zeros(3)}, str(wrong))
    with pytest.raises(FileFormatError, match="weights of another program"):
        open_model(WeightFiles(wrong))
    save_file({"a": torch.zeros(3)}, str(wrong), {ENTRY: "[1, 2]"})
    with pytest.raises(FileFormatError, match="no JSON object"):
        load_model(wrong)
    save_file({"a": torch.zeros(3)}, str(wrong), {ENTRY: "{"})
    with pytest.raises(FileFormatError, match=r"header of wrong\.safetensors is damaged"):
        load_model(wrong)


@pytest.mark.parametrize("version", [VERSION + 1, 0, -1, "1", None, True, 1.0])
def test_other_versions_are_refused(path: Path, version: Any) -> None:
    changed = rewritten(path, lambda h, _: h.update(version=version))
    with pytest.raises(FileFormatError, match=f"version {version!r}; this release reads 1[.]"):
        load_model(changed)
    if version == VERSION + 1:
        with pytest.raises(FileFormatError, match="newer hamexplorer"):
            load_model(changed)


def test_older_versions_are_upgraded_step_by_step(
    model: HamiltonianModel, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up layout 0 that kept the shells in a list and had no card."""

    def older(h: dict[str, Any], _: Any) -> None:
        h["version"] = 0
        h["shells"] = h["layout"].pop("shells").split()
        del h["card"]

    def upgrade(h: dict[str, Any]) -> dict[str, Any]:
        layout = {**h["layout"], "shells": " ".join(h["shells"])}
        return {**h, "layout": layout, "card": {"title": "of version 0"}}

    changed = rewritten(path, older)
    with pytest.raises(FileFormatError, match="version 0"):
        load_model(changed)
    monkeypatch.setattr(checkpoint, "_UPGRADES", {0: upgrade})
    again = load_model(changed)
    assert again.fingerprint == model.fingerprint
    assert again.card == ModelCard("of version 0")


def scalar(**values: Any) -> Callable[[dict[str, Any], Any], None]:
    return lambda h, _: h["channels"]["scalar"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, _: h.pop("layout"), "header of .* is damaged"),
        (lambda h, _: h["layout"].update(shells="s1"), "damaged"),
        (lambda h, _: h["layout"].update(shells="s1:0 s1:0"), "shells that differ"),
        (lambda h, _: h["layout"].update(shells="k1:99"), "99"),
        (lambda h, _: h["layout"].update(shells=" ".join(f"f{k}:3" for k in range(40))), "64"),
        (lambda h, _: h["layout"]["elements"].update(C="p1:1 s1:0"), "shells of C"),
        (lambda h, _: h.update(channels={}), "needs a channel for H_scalar"),
        (lambda h, _: h["channels"].update(tensor=h["channels"]["scalar"]), "'tensor' is not"),
        (lambda h, _: h["card"].update(colour="blue"), "damaged"),
        (lambda h, _: h["card"].update(title=3), "damaged: its card holds what is no text"),
        (scalar(features="64x0e"), "no tensor|has .* numbers|holds|damaged"),
        (scalar(features="8x0e+nonsense"), "damaged"),
        (scalar(features="1000000000x0e"), "1 … 20000 components"),
        (scalar(features="4x0o"), "even scalars"),
        (scalar(harmonics="0e+0e"), "Edge harmonics|once"),
        (scalar(n_layers=10**9), "n_layers must be"),
        (scalar(n_layers=3), "convolutions.2"),
        (scalar(radial_hidden=[10**9]), "radial_hidden"),
        (scalar(cutoff="wide"), "damaged"),
        (scalar(colour=3), "damaged"),
        (lambda _, t: t.pop("scalar/backbone.species"), "backbone.species"),
        (
            lambda _, t: t.update({"scalar/backbone.species": torch.zeros(3, 5)}),
            r"holds \(3, 5\) numbers",
        ),
        (
            lambda _, t: t.update({"scalar/backbone.species": torch.zeros(96, 8).long()}),
            "of torch.int64",
        ),
    ],
)
def test_headers_that_do_not_fit(
    path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], Any], message: str
) -> None:
    changed = rewritten(path, change)
    began = time.perf_counter()
    with pytest.raises(FileFormatError, match=message) as caught:
        load_model(changed)
    assert "changed.safetensors" in str(caught.value)
    assert time.perf_counter() - began < 5  # nothing absurd was allocated


def test_damage_is_told(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    random = np.random.default_rng(3)
    messages = []
    for number in range(40):
        at = int(random.integers(0, 8 + length))  # the header; numbers cannot be told from others
        part = random.bytes(1 + number % 9)
        damaged = tmp_path / "damaged.safetensors"
        damaged.write_bytes(data[:at] + part + data[at + len(part) :])
        try:
            open_model(WeightFiles(damaged))
        except HamexplorerError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all("damaged.safetensors" in message for message in messages)


def test_models_that_are_none(model: HamiltonianModel) -> None:
    channel = model.channels["scalar"]
    with pytest.raises(SettingsError, match="needs a channel for H_scalar"):
        HamiltonianModel(model.layout, {}, model.card)
    with pytest.raises(SettingsError, match="kind scalar stands for spin_orbit"):
        HamiltonianModel(model.layout, {"scalar": channel, "spin_orbit": channel}, model.card)


def test_another_precision_leaves_the_model_alone(model: HamiltonianModel) -> None:
    assert model.on("cpu", torch.float32) is model
    double = model.on("cpu", torch.float64)
    first = next(model.channels["scalar"].parameters())
    assert first.dtype == torch.float32
    other = next(double.channels["scalar"].parameters())
    assert other.dtype == torch.float64
    assert torch.equal(other, first.double())


def test_torch_is_not_asked_to_unpickle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was used")

    monkeypatch.setattr(torch, "load", refused)
    monkeypatch.setattr(sys.modules["pickle"], "loads", refused)
    monkeypatch.setattr(sys.modules["pickle"], "load", refused)
    load_model(path)
