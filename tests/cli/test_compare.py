"""``hamexplorer compare`` and ``hx.compare``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models import graphene, silicon

import hamexplorer as hx
from hamexplorer.cli import main
from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.hamiltonian import Hamiltonian


def disturbed(h: Hamiltonian) -> Hamiltonian:
    """A 3 meV error of the s levels, and all of it 20 meV up."""
    scalar = h.scalar.copy()
    for site in range(h.basis.n_sites):
        h.pairs.block(scalar, h.pairs.index(site, site))[0, 0] += 3e-3
    return replace(h, scalar=scalar).shifted(0.02)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("compare")
    crystals = {
        "reference": silicon(0.1),
        "prediction": disturbed(silicon(0.1)),
        "other": graphene(stagger=0.3),
    }
    for name, h in crystals.items():
        hx.save(h, folder / f"{name}.h5")
    (folder / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    return {path.stem: str(path) for path in folder.iterdir()}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["compare", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_holds_elements_beside_bands(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--json", "--path", "G-X", "--spacing", "0.2", "--window", "-3", "3"]
    code, out, _ = run(capsys, files["reference"], files["prediction"], *options)
    assert code == 0
    data = json.loads(out)
    same = hx.compare(files["reference"], files["prediction"], "G-X", spacing=0.2, window=(-3, 3))
    assert (data["first"]["name"], data["second"]["name"]) == ("reference.h5", "prediction.h5")
    assert data["window_eV"] == [-3, 3]
    assert data["elements"]["H"]["max_meV"] == pytest.approx(23)
    assert data["elements"]["Lx"]["max_meV"] == 0
    assert data["band_max_meV"] == pytest.approx(same.bands.largest)
    assert 20 < data["band_max_meV"] <= 23
    # on 8 diagonal elements: 20 meV, and 3 more on two of them
    assert data["fitted_shift_meV"] == pytest.approx(-(20 + 3 * 2 / 8))
    assert data["verdict"] == same.verdict
    assert data["amplification"] == pytest.approx(
        data["band_max_meV"] / data["mean_element_error_meV"]
    )
    assert len(data["band_max_by_k_meV"]) == len(data["kpoints"])
    worst = data["worst_elements"][0]
    assert (worst["row"], worst["column"]) == ("Si1 s", "Si1 s")
    assert worst["difference_meV"] == pytest.approx(23)
    shells = {
        row["group"]: row["max_meV"]
        for row in data["element_errors"]
        if row["by"] == "shells" and row["component"] == "H"
    }
    assert shells["Si p – Si p"] == pytest.approx(20)
    assert data["provenance"]["first"]["source"] == "test"


def test_the_constant_is_taken_away(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for shift in ("none", "fit", "vbm", "fermi"):
        options = ["--json", "--path", "G-X", "--spacing", "0.3", "--shift", shift]
        code, out, _ = run(capsys, files["reference"], files["prediction"], *options)
        assert code == 0
        found[shift] = json.loads(out)
        assert found[shift]["shift"] == shift
    assert found["none"]["shift_meV"] == 0
    assert found["fit"]["shift_meV"] == pytest.approx(-20.75)
    assert found["fit"]["elements"]["H"]["max_meV"] == pytest.approx(2.25)
    assert found["vbm"]["vbm_difference_meV"] == pytest.approx(0, abs=1e-6)
    assert found["fermi"]["fermi_difference_meV"] == pytest.approx(0, abs=1e-6)


def test_numbers_and_verdict_for_people(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(
        capsys, files["reference"], files["prediction"], "--path", "G-X-L", "--spacing", "0.2"
    )
    assert code == 0
    assert err == ""
    assert "Mean element error" in out.splitlines()[-1]
    assert re.search(r"elements of H, meV\s+mean .* max 23", out)
    assert re.search(r"gap, eV\s+\S+ \w+\s+\S+ \w+\s+[+-]\d", out)
    _, quiet, _ = run(capsys, files["reference"], files["reference"], "-q", "--spacing", "0.3")
    assert quiet == ""


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("bands", {"band", "first_eV", "second_eV", "difference_meV", "inside"}),
        ("elements", {"by", "group", "component", "mean_meV", "max_meV"}),
        ("worst", {"row", "column", "difference_meV"}),
        ("summary", {"quantity", "value"}),
    ],
)
def test_tables_as_files(
    files: dict[str, str],
    table: str,
    columns: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "out.csv"
    options = ["-o", str(target), "--table", table, "--spacing", "0.3"]
    code, out, _ = run(capsys, files["reference"], files["prediction"], *options)
    assert code == 0
    assert f"written to {target}" in out
    frame = pd.read_csv(target)
    assert columns <= set(frame.columns)
    assert len(frame) > 0


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_pictures_and_pages(
    files: dict[str, str], suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"out.{suffix}"
    options = ["-o", str(target), "--component", "Lz", "--spacing", "0.3", "-q"]
    code, _, _ = run(capsys, files["reference"], files["prediction"], *options)
    assert code == 0
    content = target.read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!DOCTYPE"}[suffix])
    if suffix == "html":
        assert not re.search(rb"<(script|img)[^>]*\ssrc=.http|<link[^>]*\shref=.http", content)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["other"], "Site 1 is Si in the first and C in the second"),
        (["broken"], "broken.h5"),
        (["gallery:si"], "is a structure, whose Hamiltonian is to be computed first"),
        (["nothing.h5"], "nothing.h5"),
        (["prediction", "--shift", "best"], "--shift must be one of none, fit, vbm, fermi"),
        (["prediction", "--table", "all"], "--table must be one of"),
        (["prediction", "--window", "2", "-2"], "a lower and an upper limit"),
        (["prediction", "--window", "2"], "--window takes 2 numbers"),
        (["prediction", "--path", "G-Q"], "no point 'Q'"),
        (["prediction", "-o", "c.pdf"], ".csv, .png, .svg, .html"),
        (["prediction", "-o", "C.PNG", "--component", "B"], "'B' was not compared"),
    ],
)
def test_bad_input(
    files: dict[str, str],
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    second = files.get(arguments[0], arguments[0])
    code, out, err = run(capsys, files["reference"], second, *arguments[1:], "--spacing", "0.4")
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_python(files: dict[str, str], tmp_path: Path) -> None:
    h = silicon(0.1)
    view = hx.compare(h, disturbed(h), "G-X", spacing=0.2, soc=0.5)
    assert view.names == ("closed-form model", "closed-form model")
    assert view.state.soc == 0.5
    assert view.verdict in repr(view)
    assert len(view.plot()) == 4
    assert len(view.to_dataframe("kpoints")) == len(view.bands.first.path.kpoints)
    view.save(tmp_path / "bands.csv")
    frame = pd.read_csv(tmp_path / "bands.csv")
    np.testing.assert_allclose(frame["difference_meV"], view.bands.difference.ravel(), atol=1e-9)
    with pytest.raises(SettingsError, match="The tables are"):
        view.save(tmp_path / "all.csv", table="all")
    assert not (tmp_path / "all.csv").exists()
    with pytest.raises(StructureError, match="Site 1"):
        hx.compare(files["reference"], files["other"])
