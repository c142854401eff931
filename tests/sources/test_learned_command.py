"""``--source learned`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure
from small_delta import weights_of

from hamexplorer.cli import main
from hamexplorer.dft.superposed import engine
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.sources import shipped
from hamexplorer.structures import load_gallery

MOS2 = "gallery:mos2-1h"
Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def zero() -> Hamiltonian:
    return engine.run(load_gallery("mos2-1h"), SuperposedSettings(spacing=0.2, threads=1))


@pytest.fixture
def asked(zero: Hamiltonian, monkeypatch: pytest.MonkeyPatch) -> list[SuperposedSettings]:
    """The settings with which H0 was asked for, which is at hand."""
    seen: list[SuperposedSettings] = []

    def run(_: Structure, settings: SuperposedSettings, *__: object) -> Hamiltonian:
        seen.append(settings)
        return zero

    monkeypatch.setattr(engine, "run", run)
    return seen


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    return ["--source", "learned", "--weights", str(weights_of(tmp_path / "tiny.safetensors"))]


def test_compute_bands_and_valley_take_it_and_tell_the_accuracy(
    given: list[str],
    tmp_path: Path,
    asked: list[SuperposedSettings],
    zero: Hamiltonian,
    capsys: Output,
) -> None:
    target = tmp_path / "mos2.h5"
    options = [*given, "--grid-spacing", "0.19", "--max-atoms", "500"]
    assert main(["compute", MOS2, "-o", str(target), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "learned"
    h = load_hamiltonian(target)
    assert 1e-3 < np.abs(h.scalar - zero.scalar).max() < 1
    assert (asked[0].spacing, asked[0].max_atoms) == (0.19, 500)
    assert main(["bands", MOS2, *given, "--path", "G-K", "--spacing", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("k")
    assert "Learned model Tiny: near-gap bands within 2 meV." in captured.err
    # read from the cache
    assert main(["valley", MOS2, *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bands", "gallery:gaas"], "The model knows no As, Ga; it knows Mo, S."),
        (["mae", "gallery:fept-l10"], "learned models know no magnetism: take --source dft"),
        (["bands", MOS2, "--magmom", "Mo=1"], "Learned model Tiny knows no magnetism"),
        (
            ["bands", MOS2, "--kmesh", "6,6,1"],
            "--kmesh goes with --source dft; of --source learned",
        ),
        (["bands", MOS2, "--unfitted"], "--unfitted goes with --source superposed; of"),
    ],
)
def test_what_it_does_not_know_is_refused_in_a_sentence(
    given: list[str], arguments: list[str], message: str, capsys: Output
) -> None:
    assert main([*arguments, *given]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_weights_go_with_it_alone_and_must_be_there(
    given: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["bands", MOS2, *given[2:]]) == 2
    assert "--weights goes with --source learned" in capsys.readouterr().err
    assert main(["bands", MOS2, "--source", "learned", "--weights", "none.safetensors"]) == 2
    assert "none.safetensors: there is no such file of weights" in capsys.readouterr().err
    monkeypatch.setattr(shipped, "SHIPPED", "models/none.safetensors")
    assert main(["bands", MOS2, *given[:2]]) == 2
    assert "holds no learned model" in capsys.readouterr().err


def test_unlike_crystals_are_warned_of(
    tmp_path: Path, asked: list[SuperposedSettings], capsys: Output
) -> None:

    for distance, warned in ((9.0, True), (1.0, False)):
        weights = weights_of(tmp_path / "far.safetensors", distance=distance)
        options = ["--source", "learned", "--weights", str(weights), "--no-cache"]
        assert main(["compute", MOS2, "-o", str(tmp_path / "a.h5"), *options]) == 0
        assert ("unlike those that the model was trained on" in capsys.readouterr().err) == warned
    assert len(asked) == 2


def test_model_info_tells_what_weights_are(given: list[str], capsys: Output) -> None:
    assert main(["model", "info", given[-1], "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["card"]["accuracy"] == "near-gap bands within 2 meV."
    assert data["elements"]["S"] == ["3s", "4s", "3p", "4p", "3d"]
    assert (data["pairs"], data["knows_its_domain"]) == (["Mo-Mo", "Mo-S", "S-S"], False)
    assert main(["model", "info", given[-1]]) == 0
    captured = capsys.readouterr()
    assert "--source learned" in captured.out
    assert "A note of the card." in captured.err
    assert main(["model", "info", given[-1], "--config", "c.yaml"]) == 2
