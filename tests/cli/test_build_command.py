"""``hamexplorer build``: lists, files and complaints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from running import answered, refused

import hamexplorer as hx
from hamexplorer.cli import main
from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.structures import load_gallery, symmetry_info


def test_a_twisted_bilayer_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "twisted.cif"
    arguments = ["build", "twist", "MoS2", "--angle", "7.34", "-o", str(target)]
    data = answered(arguments, capsys)
    assert data["wanted_degrees"] == 7.34
    assert data["twist_degrees"] == pytest.approx(7.340993, abs=1e-6)
    assert data["n_sites"] == 366
    assert data["distance_angstrom"] == pytest.approx(6.385, abs=1e-3)
    assert [layer["cells"] for layer in data["layers"]] == [61, 61]
    assert data["max_strain_percent"] == 0
    assert data["output"] == str(target)
    assert len(hx.load(target)) == 366
    assert symmetry_info(hx.load(target)).layer_group == "p321"
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "AA by 7.3410° (asked for 7.34°)" in said
    assert "366 atoms" in said


def test_formats_keep_what_they_can(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", "twist", "gallery:graphene", "--angle", "21.79", "--vacuum", "10", "-q"]
    cells = []
    for name in ("a.cif", "a.vasp", "a.json"):
        assert main([*arguments, "-o", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out == ""
        structure = hx.load(tmp_path / name)
        assert len(structure) == 28
        cells.append(structure.lattice.parameters)
    assert np.ptp(cells, axis=0).max() < 1e-6
    stored = json.loads((tmp_path / "a.json").read_text())
    assert [site["properties"]["layer"] for site in stored["sites"]] == [0] * 14 + [1] * 14


def test_a_file_may_be_a_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.cif"
    load_gallery("wse2-1h").to(filename=str(file))
    data = answered(
        ["build", "twist", str(file), "--angle", "0", "--stacking", "2H", "--distance", "6.48"],
        capsys,
    )
    assert (data["n_sites"], data["stacking"], data["output"]) == (6, "2H", None)
    assert data["distance_rule"] == "given"


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    rows = answered(["build", "twist", "MoS2", "--list", "--max-atoms", "400"], capsys)["twists"]
    published = {7: 21.79, 19: 13.17, 37: 9.43, 61: 7.34}
    for cells, angle in published.items():
        (row,) = [r for r in rows if r["cells"] == cells and r["m"] == r["n"] + 1]
        assert row["angle_degrees"] == pytest.approx(angle, abs=0.005)
        assert row["n_sites"] == 6 * cells
    arguments = ["build", "hetero", "MoS2", "WSe2", "--max-strain", "2", "--max-atoms", "200"]
    rows = answered([*arguments, "--list"], capsys)["cells"]
    assert rows[0]["cells"] == [13, 12]
    assert max(row["max_strain_percent"] for row in rows) <= 2
    assert main([*arguments, "--list"]) == 0
    assert "13 + 12" in capsys.readouterr().out


def test_a_heterobilayer_from_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", "hetero", "MoS2", "WSe2", "--max-strain", "2"]
    rows = answered([*arguments, "--list"], capsys)["cells"]
    target = tmp_path / "third.json"
    data = answered([*arguments, "--cell", "3", "-o", str(target)], capsys)
    assert data["n_sites"] == rows[2]["n_sites"] == len(hx.load(target))
    assert data["angle_degrees"] == pytest.approx(rows[2]["angle_degrees"])
    strains = [layer["principal_strain_percent"] for layer in data["layers"]]
    assert np.sort(strains) == pytest.approx(np.sort(rows[2]["principal_strain_percent"]))
    chosen = answered([*arguments, "--angle", "44", "--strained", "second"], capsys)
    assert chosen["angle_degrees"] == pytest.approx(43.898, abs=1e-3)
    assert chosen["layers"][0]["max_strain_percent"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["twist", "MoS2"], "--angle is needed"),
        (["twist", "nothing", "--angle", "7"], "no such file"),
        (["twist", "FePt", "--angle", "7"], "gallery has that name"),
        (["twist", "C" * 5000, "--angle", "7"], "gallery has that name"),
        (["twist", "gallery:gaas", "--angle", "7"], "not a layer"),
        (["twist", "MoS2", "--angle", "1.05"], "2977 cells"),
        (["twist", "MoS2", "--angle", "nan"], "angle = nan"),
        (["twist", "MoS2", "--angle", "7.34", "--distance", "2.5"], "layers overlap"),
        (["twist", "MoS2", "--angle", "7.34", "--shift", "1"], "--shift takes 2 numbers"),
        (["twist", "MoS2", "--angle", "7.34", "--center", "a,b"], "--center takes 2 numbers"),
        (["twist", "MoS2", "--angle", "7.34", "-o", "a.xlsx"], ".cif, .vasp, .json"),
        (["twist", "MoS2", "--list", "-o", "a.cif"], "leave --output away"),
        (["hetero", "MoS2", "graphene", "--max-atoms", "8"], "no common cell"),
        (["hetero", "MoS2", "WSe2", "--cell", "999"], "numbers 1 to"),
        (["hetero", "MoS2", "WSe2", "--max-strain", "50"], "0 … 10 %"),
        (["hetero", "MoS2", "gallery:si"], "not a layer"),
    ],
)
def test_bad_input_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(["build", *words], capsys)


def test_nothing_is_written_when_it_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.cif"
    target.write_text("of yesterday")
    refused(["build", "twist", "MoS2", "--angle", "1", "-o", str(target)], capsys)
    assert target.read_text() == "of yesterday"


def test_the_python_interface(tmp_path: Path) -> None:
    built = hx.twisted_bilayer("MoS2", 21.79, stacking="AB", center="Mo")
    assert isinstance(built, hx.Bilayer)
    assert (built.report.atoms, built.report.center) == (42, "Mo")
    table = hx.bilayer_cells("graphene", max_atoms=12_000)
    assert table.atoms.max() <= 12_000
    assert 11_908 in set(table.atoms)
    cells = hx.bilayer_cells("MoS2", hx.gallery("wse2-1h"), max_strain=1.0)
    assert list(cells.atoms)[:2] == [75, 75]
    chosen = hx.heterobilayer("MoS2", "WSe2", cell=cells.cell[1])
    assert chosen.report.angle == pytest.approx(cells.angle[1])
    with pytest.raises(StructureError, match="nothing"):
        hx.twisted_bilayer("nothing", 3)
    with pytest.raises(SettingsError, match="stacking"):
        hx.twisted_bilayer("MoS2", 21.79, stacking="AC")
