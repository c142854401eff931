"""``hamexplorer valley`` and ``hx.valley``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models import graphene, silicon

import hamexplorer as hx
from hamexplorer.cli import main
from hamexplorer.errors import SettingsError, StructureError


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("valley") / "graphene.h5"
    hx.save(graphene(stagger=0.3, kane_mele=0.01), path)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_holds_both_valleys(layer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "valley", layer, "--json", "--chern")
    assert code == 0
    data = json.loads(out)
    assert data["provenance"]["source"] == "test"
    same = hx.valley(hx.open(layer))
    assert data["K"]["gap_eV"] == pytest.approx(same.k.gap)
    np.testing.assert_allclose(data["K"]["berry_curvature_A2"], same.k.curvature)
    np.testing.assert_allclose(data["K_prime"]["k"][:2], -1 / 3, atol=1e-9)
    assert data["chern"]["K"] == pytest.approx(-data["chern"]["K_prime"])
    assert data["valence_difference_meV"] == pytest.approx(0, abs=1e-6)


def test_field_on_chosen_atoms(layer: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "valley", layer, "--json", "--field", "20", "--on", "C1")
    data = json.loads(out)
    assert data["field_sites"] == ["C1"]
    # C1 carries the conduction band's edge, which alone is split
    assert abs(data["valence_difference_meV"]) < 0.1 < abs(data["conduction_difference_meV"])
    everywhere = hx.valley(hx.open(layer), field=20.0)
    assert abs(everywhere.valence_difference) > 1


@pytest.mark.parametrize("suffix", ["csv", "png", "svg"])
def test_maps_as_files(
    layer: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"map.{suffix}"
    code, _, _ = run(capsys, "valley", layer, "--map", "6", "-q", "-o", str(target))
    assert code == 0
    if suffix == "csv":
        frame = pd.read_csv(target)
        assert len(frame) == 36
        assert {"kx_per_A", "gap_eV", "curvature_A2", "polarisation"} <= set(frame.columns)
    else:
        start = b"\x89PNG" if suffix == "png" else b"<?xml"
        assert target.read_bytes().startswith(start)


def test_table_and_rows_for_people(layer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "valley", layer)
    assert code == 0
    assert "direct gap" in out
    assert "valley,band,energy_eV" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--on", "N"], "there is no 'N'"),
        (["--quantity", "colour"], "--quantity: one of"),
        (["--extremum", "top"], "extremum of"),
        (["--map", "1"], "2 … 400"),
        (["--field", "nan"], "10000"),
        (["-o", "readout.png"], ".csv"),
    ],
)
def test_bad_options(
    layer: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "valley", layer, *options)
    assert code == 2
    assert words in err


def test_bulk_is_refused_before_it_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "valley", "gallery:gaas")
    assert code == 2
    assert "GaAs is not a layer" in err


def test_python(layer: str, tmp_path: Path) -> None:
    view = hx.valley(hx.open(layer), soc=1.0)
    assert "K′" in repr(view)
    assert "<table" in view._repr_html_()
    assert view.chern().valley == pytest.approx(view.chern().k)
    curve = view.splitting([0, 10])
    assert curve.valence[0] == pytest.approx(0, abs=1e-6)
    mapped = view.map(6)
    assert mapped.field("gap").min() == pytest.approx(view.k.gap)
    assert type(mapped.plot()).__name__ == "Overlay"
    mapped.save(tmp_path / "map.csv")
    view.save(tmp_path / "valleys.csv")
    assert len(pd.read_csv(tmp_path / "valleys.csv")) == 8
    with pytest.raises(SettingsError, match="A map shows"):
        mapped.save(tmp_path / "map.png", field="colour")
    assert not (tmp_path / "map.png").exists()
    with pytest.raises(StructureError, match="not a layer"):
        hx.valley(silicon())
