"""``hamexplorer atoms``: build and info."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hamexplorer.cli import main
from hamexplorer.dft.atom_tables import load_atoms
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV


def test_build_then_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "atoms.h5"
    assert main(["atoms", "build", "-o", str(path), "--element", "S", "--element", "He"]) == 0
    assert "2 atoms in" in capsys.readouterr().out
    sulphur = load_atoms(path).atoms["S"]
    assert main(["atoms", "info", "S", "--file", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["atoms"]) == ["S"]
    atom = told["atoms"]["S"]
    assert atom["electrons"] == 6
    assert atom["reach_angstrom"] == pytest.approx(sulphur.reach * BOHR_ANGSTROM)
    assert [s["shell"] for s in atom["shells"]] == ["3s", "3p"]
    energies = [s["eigenvalue_ev"] for s in atom["shells"]]
    assert energies == pytest.approx([e * HARTREE_EV for e in sulphur.eigenvalues])
    assert told["generator"]["functional"] == "PBE"


def test_same_command_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        assert main(["atoms", "build", "-q", "-o", str(path), "--element", "H"]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_info_of_the_shipped_atoms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atoms", "info", "Mo", "Se"]) == 0
    text = capsys.readouterr().out
    assert "4d" in text
    assert "4p 4" in text
    assert main(["atoms", "info", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["atoms"]) == 71


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "Gd"], "there is no free atom Gd; there are H, He"),
        (["info", "--file", "nothing.h5"], "nothing.h5: there is no such file."),
        (["build", "-o", "x.h5", "--element", "Xx"], "There is no free atom Xx; accepted are"),
        (["build", "-o", "x.json"], "accepted are .h5"),
        (["build", "-o", "nowhere/x.h5"], "the directory nowhere does not exist"),
    ],
)
def test_what_is_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["atoms", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []
