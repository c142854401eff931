"""``hamexplorer model``: import, info and predict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hamgnn_files import PICKLE, SIC, fields, save_graph, unpacked
from running import answered, refused

import hamexplorer as hx
from hamexplorer.cli import main


@pytest.fixture(scope="module")
def sic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(SIC, tmp_path_factory.mktemp("hamgnn"))


@pytest.fixture(scope="module")
def universal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(PICKLE, tmp_path_factory.mktemp("hamgnn"))


def weights(folder: Path, soc: str = "--soc") -> list[str]:
    return [
        *(str(folder / "nonsoc.ckpt"), "--config", str(folder / "config_nonsoc.yaml")),
        *(soc, str(folder / "soc.ckpt"), "--config-soc", str(folder / "config_soc.yaml")),
    ]


def graphs(folder: Path) -> list[str]:
    plain, spin = (str(folder / f"graph_data_{c}.npz") for c in ("nonsoc", "soc"))
    return ["--graph", plain, "--graph-soc", spin]


def test_from_the_pickle_to_bands(
    universal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way that docs/model.md tells."""
    model, out, rows = (tmp_path / name for name in ("uni.safetensors", "MoS2.h5", "h.npy"))
    pickled = str(universal / "predictor_legacy_v2_1.pkl")
    card = ["--training-set", "random", "--accuracy", "none", "--licence", "CC0"]
    data = answered(["model", "import", pickled, "-o", str(model), *card], capsys)
    assert data["output"] == str(model)
    assert data["card"]["training_set"] == "random"
    assert data["n_parameters"] == 214_562
    info = answered(["model", "info", str(model)], capsys)
    assert info["fingerprint"] == data["fingerprint"]
    assert info["elements"]["Mo"] == ["s1", "s2", "s3", "p1", "p2", "d1", "d2"]
    assert info["channels"]["spin_orbit"]["legacy_edge_update"] is True
    arguments = ["model", "predict", "--weights", str(model), *graphs(universal)]
    (written,) = answered([*arguments, "-o", str(out)], capsys)["written"]
    assert written["source"] == "model"
    assert written["settings"]["weights"] == data["fingerprint"]
    assert written["components"] == ["S", "H", "Lx", "Ly", "Lz"]
    assert not any("trained on" in w for w in written["warnings"])
    assert hx.open(out).n_electrons == 26
    assert main(["bands", str(out), "--path", "G-M", "--json"]) == 0
    bands = json.loads(capsys.readouterr().out)
    assert bands["title"] == f"Prediction, HamGNN predictor {Path(pickled).name}"
    assert bands["n_bands"] == 90
    assert answered([*arguments, "--format", "hamgnn", "-o", str(rows)], capsys)["written"][0][
        "shape"
    ] == [334, 2704]
    difference = np.load(rows) - np.load(universal / "hamiltonian.npy")
    assert np.abs(difference).max() < 1e-6


def test_checkpoints_are_used_as_they_are(
    sic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "h.npy"
    arguments = ["model", "predict", "--weights", *weights(sic, "--weights-soc"), *graphs(sic)]
    assert main([*arguments, "--format", "hamgnn", "-o", str(out), "--dtype", "float64"]) == 0
    captured = capsys.readouterr()
    assert f"written to {out}" in captured.out
    assert "what they were trained on" in captured.err
    assert np.abs(np.load(out) - np.load(sic / "hamiltonian.npy")).max() < 1e-6
    # and what hamexplorer then reads of HamGNN's layout
    out.rename(sic / "prediction_hamiltonian.npy")
    h = hx.open(sic / "prediction_hamiltonian.npy")
    ours = tmp_path / "ours.h5"
    assert main([*arguments, "-o", str(ours), "--quiet"]) == 0
    assert np.abs(hx.open(ours).spin_orbit - h.spin_orbit).max() < 1e-4


def test_people_are_told(sic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "info", *weights(sic)]) == 0
    said = capsys.readouterr().out
    for part in (
        "HamGNN checkpoint nonsoc.ckpt",
        "training set",
        "not told",
        "2 layers, 8 Bessel to 26 bohr, first pair interaction idle",
        "14: s1 s2 s3 p1 p2 d1",
        "SHA-256 of soc.ckpt",
    ):
        assert part in said


def test_import_names_its_output(
    sic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["model", "import", *weights(sic), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "nonsoc.safetensors").is_file()
    before = (tmp_path / "nonsoc.safetensors").read_bytes()
    assert "heads of ξ" in refused(
        ["model", "import", *weights(sic)[:3], "--soc", str(sic / "nonsoc.ckpt")], capsys
    )
    assert (tmp_path / "nonsoc.safetensors").read_bytes() == before


def test_several_crystals(sic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fields(sic / "graph_data_nonsoc.npz")
    graph = save_graph(tmp_path / "g.npz", first, {**first, "z": np.array([14, 14])})
    arguments = ["model", "predict", "--weights", *weights(sic)[:3], "--graph", str(graph)]
    out = str(tmp_path / "out.h5")
    assert "--index 0 … 1, or --index all" in refused([*arguments, "-o", out], capsys)
    assert "accepted are 0 … 1 and all" in refused([*arguments, "-o", out, "--index", "2"], capsys)
    (written,) = answered([*arguments, "-o", out, "--index", "1"], capsys)["written"]
    assert written["output"] == out
    assert written["formula"] == "Si"
    names = [
        w["output"] for w in answered([*arguments, "-o", out, "--index", "all"], capsys)["written"]
    ]
    assert names == [str(tmp_path / f"out-{k}.h5") for k in range(2)]
    assert hx.open(names[1]).structure.composition.reduced_formula == "Si"
    npy = str(tmp_path / "h.npy")
    (written,) = answered([*arguments, "--format", "hamgnn", "-o", npy], capsys)["written"]
    assert written["shape"] == [40, 196]
    assert np.load(npy).shape == (40, 196)


def test_what_cannot_be_is_refused(
    sic: Path, universal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"the result of yesterday")
    start = ["model", "predict", "--weights", *weights(sic, "--weights-soc")]
    whole = [*start, *graphs(sic), "-o", str(out)]
    assert "There is no device 'tpu'" in refused([*whole, "--device", "tpu"], capsys)
    assert "dtype must be" in refused([*whole, "--dtype", "half"], capsys)
    assert "--format takes" in refused([*whole, "--format", "openmx"], capsys)
    assert "accepted are .npy" in refused([*whole, "--format", "hamgnn"], capsys)
    message = refused([*start, *graphs(universal), "-o", str(out)], capsys)
    assert "has blocks of 26 orbitals" in message
    gd = {**fields(sic / "graph_data_nonsoc.npz"), "z": np.array([64, 14])}
    graph = ["--graph", str(save_graph(tmp_path / "gd.npz", gd))]
    assert "has Gd, which the model does not know" in refused(
        [*start, *graph, "-o", str(out)], capsys
    )
    message = refused([*start, "--graph", str(sic / "soc.ckpt"), "-o", str(out)], capsys)
    assert "soc.ckpt is no graph_data.npz" in message
    assert "no such file" in refused(["model", "info", str(tmp_path / "none.pkl")], capsys)
    assert "known: accepted are" in refused(["model", "info", str(out)], capsys)
    assert "names no format" in refused(
        ["model", "import", *weights(sic), "-o", str(tmp_path / "m.pt")], capsys
    )
    assert out.read_bytes() == b"the result of yesterday"
