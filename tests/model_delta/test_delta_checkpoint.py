"""Checkpoints of ΔH networks, the model around them, its domain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from delta_crystals import SHELLS, basis_of, compatible, crystal, network, pairs_of
from pymatgen.core import Element, Lattice, Structure
from safetensors import safe_open
from safetensors.torch import save_file

from hamexplorer.errors import (
    FileFormatError,
    HamexplorerError,
    HamiltonianError,
    SettingsError,
    UnsupportedElementError,
)
from hamexplorer.hamiltonian import Basis, Shell
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.checkpoint import ENTRY, load_delta, save_delta
from hamexplorer.model.delta.compatible import CompatibleNetwork
from hamexplorer.model.delta.domain import Domain
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.model import ModelCard

CARD = ModelCard("MX2", "some crystals", "0.3 meV", "CC0", {"notes": ["ΔE is small."]})


def model(net: BlockNetwork | None = None) -> DeltaModel:
    generator = np.random.default_rng(2)
    net = net or network()
    size = 4 if isinstance(net, CompatibleNetwork) else 5
    domain = Domain.fitted(["Mo", "S", "S", "Mo", "S"], generator.normal(size=(5, size)))
    return DeltaModel(net, CARD, frozenset({("Mo", "S"), ("S", "S")}), domain)


@pytest.mark.parametrize("make", [network, compatible])
def test_round_trip(tmp_path: Path, make: Any) -> None:
    first = model(make())
    save_delta(first, tmp_path / "m.safetensors")
    again = load_delta(tmp_path / "m.safetensors")
    assert again.card == CARD
    assert again.fingerprint == first.fingerprint
    assert again.pairs_known == {("Mo", "S"), ("S", "Mo"), ("S", "S")}
    assert again.elements == ("Mo", "S")
    structure = crystal()
    pairs, basis = pairs_of(structure), basis_of(structure)
    a, b = (m.predict(structure, pairs, basis) for m in (first, again))
    assert np.abs(a.elements).max() > 1e-3
    # the weights are the same to the bit; sums depend on how memory is aligned
    np.testing.assert_allclose(a.elements, b.elements, rtol=0, atol=1e-14)
    assert a.unseen == b.unseen == (("Mo", "Mo"),)
    assert a.distance is not None
    np.testing.assert_allclose(a.distance, b.distance, rtol=1e-12)


def header_of(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safe_open(str(path), "pt") as file:
        return json.loads(file.metadata()[ENTRY]), {
            k: file.get_tensor(k)
            for k in file.keys()  # noqa: SIM118 - it is no mapping
        }


def _set(key: str, value: Any) -> Any:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        *path, last = key.split(".")
        for part in path:
            header = header[part]
        header[last] = value

    return change


def _cut(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["network/embedding.weight"] = tensors["network/embedding.weight"][:, :2].contiguous()


def _narrow(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["domain/atoms/S"] = tensors["domain/atoms/S"][:, :2].contiguous()
    tensors["domain/whitening/S"] = tensors["domain/whitening/S"][:2, :2].contiguous()


def _poison(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["network/embedding.weight"][0, 0] = float("nan")


def _drop(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del tensors["network/embedding.weight"]


def _add(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["network/more"] = torch.zeros(2)


MANY = {Element.from_Z(z).symbol: "4s:0" for z in range(1, 24)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("version", 2), "version 2; this release reads 1. Install a newer"),
        (_set("version", True), "version True"),
        (_set("network", "transformer"), "'transformer' is not known"),
        (_set("sizes.channels", 10**9), "channels must be a whole number 1 … 512"),
        (_set("sizes.channels", 400), "by the sizes it has"),
        (_set("sizes.hidden", [5]), "hidden must be max_m"),
        (_set("sizes.cutoff", float("nan")), "cutoff must be a number"),
        (_set("sizes.more", 1), "no setting 'more'"),
        (_set("sizes", []), "sizes are no JSON object"),
        (_set("layout.elements", MANY), "names 23 elements"),
        (_set("layout.shells", "4s"), "damaged|label"),
        (_set("seen", [["Mo", "W"]]), "'W', which is no element of its layout"),
        (_set("domain", ["Mo"]), "no place in a network"),
        (_set("card", {"title": 3}), "card holds what is no text"),
        (_set("layout", None), "damaged"),
        (_cut, "by the sizes it has"),
        (_narrow, "domain/atoms/S holds .3, 2. numbers; by the sizes it has .3, 5."),
        (_poison, "finite real numbers"),
        (_drop, "damaged"),
        (_add, "'network/more' has no place"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    path = tmp_path / "m.safetensors"
    save_delta(model(), path)
    header, tensors = header_of(path)
    change(header, tensors)
    save_file(tensors, str(path), {ENTRY: json.dumps(header)})
    with pytest.raises(FileFormatError, match=words):
        load_delta(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        load_delta(tmp_path / "none")
    save_file({"a": torch.zeros(1)}, str(tmp_path / "other"), {"format": "pt"})
    with pytest.raises(FileFormatError, match="no entry 'hamexplorer-delta'"):
        load_delta(tmp_path / "other")
    save_file({"a": torch.zeros(1)}, str(tmp_path / "deep"), {ENTRY: "[" * 100_000})
    with pytest.raises(FileFormatError, match="damaged"):
        load_delta(tmp_path / "deep")
    save_delta(model(), tmp_path / "short")
    whole = (tmp_path / "short").read_bytes()
    (tmp_path / "short").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="damaged"):
        load_delta(tmp_path / "short")


def test_a_model_refuses_what_it_was_not_trained_for() -> None:
    own, structure = model(), crystal()
    pairs = pairs_of(structure)
    with pytest.raises(UnsupportedElementError, match="knows no As, Ga; it knows Mo, S"):
        own.check(Structure(Lattice.cubic(5), ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]]))
    other = Basis.from_elements(
        ["Mo", "S", "S"], {**SHELLS, "Mo": (*SHELLS["Mo"][:-1], Shell("5f", 3))}
    )
    with pytest.raises(HamiltonianError, match="trained with the shells 4s 5s 4p 4d 4f of Mo"):
        own.predict(structure, pairs, other)
    wild = network()
    with torch.no_grad():
        wild.embedding.weight.fill_(float("inf"))
    with pytest.raises(HamexplorerError, match="not finite"):
        model(wild).predict(structure, pairs, basis_of(structure))


def test_domain_is_the_distance_to_the_nearest_atom_of_the_training_set() -> None:
    generator = np.random.default_rng(1)
    mix = generator.normal(size=(4, 4))
    islands = np.repeat([0.0, 100.0], 500)[:, None] * mix[1]
    features = generator.normal(size=(1000, 4)) @ mix + islands
    domain = Domain.fitted(["S"] * 1000, features)
    assert domain.distance(["S"] * 1000, features).max() < 1e-6
    spread = np.cov(domain.atoms["S"].T, bias=True)
    assert np.linalg.eigvalsh(spread).max() == pytest.approx(1, abs=0.02)
    step = features[7] - features[8]
    whole = np.linalg.norm(domain.whitening["S"] @ step)
    only = Domain(domain.whitening, {"S": domain.atoms["S"][7:8]})
    assert only.distance(["S"], (features[7] + 3 * step)[None])[0] == pytest.approx(3 * whole)
    between = domain.distance(["S", "O"], np.stack([50.0 * mix[1], features[0]]))
    assert between[0] > 0.5  # the set's middle is far from all of it
    assert between[1] == np.inf
    with pytest.raises(SettingsError, match="Features of 2 atoms"):
        Domain.fitted(["S", "S"], features)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_m": 7, "hidden": (4,) * 9}, "max_m = 7 is beyond its max_l = 6"),
        ({"cutoff": 0}, "cutoff"),
        ({"n_layers": 0}, "n_layers must be a whole number 1 … 20"),
        ({"scalars": 4.0}, "scalars"),
        ({"hidden": 3}, "hidden must be a list"),
    ],
)
def test_sizes_out_of_range_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        DeltaHyperparameters.from_json(changes)
    sizes = DeltaHyperparameters(channels=5)
    assert DeltaHyperparameters.from_json(json.loads(json.dumps(sizes.to_json()))) == sizes
