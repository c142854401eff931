"""``--source``: who computes a structure, and which options go with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import pytest
from small_delta import weights_of

from hamexplorer.cli import main
from hamexplorer.cli.options import Calculation
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.provenance import Provenance
from hamexplorer.sources import SuperposedSource

ATOMS = ["--source", "superposed"]


@pytest.fixture
def superposed(monkeypatch: pytest.MonkeyPatch) -> list[SuperposedSettings]:
    """The settings with which superposed atoms were asked, in place of the engine's work."""
    asked: list[SuperposedSettings] = []

    def compute(self: SuperposedSource, *_: Any) -> Hamiltonian:
        asked.append(self.settings)
        told = Provenance("superposed", "toy", warnings=("within 0.1 eV.",))
        return replace(models.silicon(0.1), provenance=told)

    monkeypatch.setattr(SuperposedSource, "compute", compute)
    monkeypatch.setattr(SuperposedSource, "settings_key", lambda *_: None)
    return asked


def test_atoms_are_superposed_with_the_options_given(
    silicon: Path,
    tmp_path: Path,
    superposed: list[SuperposedSettings],
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "Si.h5"
    options = ["--grid-spacing", "0.2", "--unfitted", "--no-soc", "--max-atoms", "500"]
    options += ["--memory-limit", "3", "--basis", "gth-dzvp-molopt-sr"]
    assert main(["compute", str(silicon), "-o", str(target), *ATOMS, *options, "--json"]) == 0
    threads = superposed[0].threads
    assert superposed == [
        SuperposedSettings(
            spacing=0.2,
            residual=False,
            spin_orbit=False,
            max_atoms=500,
            memory_limit=3e9,
            threads=threads,
        )
    ]
    assert json.loads(capsys.readouterr().out)["source"] == "superposed"
    assert load_hamiltonian(target).provenance.source == "superposed"


def test_every_command_that_computes_takes_it_and_tells_the_accuracy(
    silicon: Path, superposed: list[SuperposedSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bands", str(silicon), *ATOMS, "--path", "G-X", "--spacing", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("k")
    assert "within 0.1 eV." in captured.err
    assert len(superposed) == 1
    # the crystal is what stops these two, after the option was read
    assert main(["valley", str(silicon), *ATOMS]) == 2
    assert "layer" in capsys.readouterr().err
    assert main(["mae", str(silicon), *ATOMS, "--kmesh", "2", "2", "2"]) == 2
    assert "magnetic" in capsys.readouterr().err
    assert len(superposed) == 2


@pytest.mark.parametrize(
    ("option", "value", "owner"),
    [
        ("--kmesh", "2,2,2", "dft"),
        ("--kspacing", "0.3", "dft"),
        ("--cutoff", "100", "dft"),
        ("--smearing", "0.01", "dft"),
        ("--precision", "double", "dft"),
        ("--max-iterations", "9", "dft"),
        ("--grid-spacing", "0.2", "superposed"),
        ("--unfitted", None, "superposed"),
    ],
)
def test_an_option_of_the_other_source_is_refused_by_name(
    silicon: Path, option: str, value: str | None, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "superposed" if owner == "dft" else "dft"
    given = [option] if value is None else [option, value]
    assert main(["bands", str(silicon), "--source", other, *given]) == 2
    message = capsys.readouterr().err
    assert f"{option} goes with --source {owner}" in message
    assert f"of --source {other} there are --" in message


def test_silicon_by_superposed_atoms(silicon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine itself; a self-consistent calculation gives an indirect gap of 0.6 eV."""
    given = [*ATOMS, "--grid-spacing", "0.18", "--spacing", "0.1", "--no-cache", "--json"]
    assert main(["bands", str(silicon), *given]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["title"].startswith("Superposed atoms, fitted")
    assert "not self-consistent" in data["warnings"][-1]
    assert 0.4 < data["gap_on_path"]["value"] < 0.8
    assert not data["gap_on_path"]["is_direct"]


def test_an_option_apart_is_refused_by_the_name_it_has_there(
    silicon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mae", str(silicon), *ATOMS, "--scf-kmesh", "2", "2", "2"]) == 2
    assert "--scf-kmesh goes with --source dft" in capsys.readouterr().err


def test_all_options_belong_to_a_source_that_knows_them(tmp_path: Path) -> None:
    """A setting that an engine does not have would be told under its Python name."""
    from hamexplorer.sources import make_source

    given: dict[str, dict[str, Any]] = {
        "dft": {"kspacing": 0.3, "cutoff": 90.0, "smearing": 0.01, "kmesh": "2,2,2"},
        "superposed": {"grid_spacing": 0.2, "unfitted": True},
        "learned": {"grid_spacing": 0.2, "weights": str(weights_of(tmp_path / "w.safetensors"))},
    }
    for source, own in given.items():
        calculation = Calculation(source=source, spin="none", electrostatics="slab", **own)
        calculation.check_source()
        made: Any = make_source(source, **calculation.settings())
        assert made.settings.electrostatics == "slab"
    with pytest.raises(SettingsError, match="must be one of dft, superposed, learned, not 'vasp'"):
        Calculation(source="vasp").check_source()


def test_too_large_for_dft_says_what_would_do(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compute", str(silicon), "-o", str(tmp_path / "Si.h5"), "--no-cache"]
    for limit in (["--max-atoms", "1"], ["--memory-limit", "0.2"]):
        assert main([*arguments, *limit]) == 2
        assert capsys.readouterr().err.rstrip().endswith("--source superposed")
    assert main([*arguments, *ATOMS, "--max-atoms", "1"]) == 2
    assert "--source" not in capsys.readouterr().err


def test_a_hamiltonian_has_its_source(silicon_h5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bands", str(silicon_h5), *ATOMS]) == 2
    assert "--source says who computes a structure" in capsys.readouterr().err


def test_info_estimates_both(silicon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(silicon), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["superposed"]["seconds"] > 0
    assert data["superposed"]["description"].startswith("2 atoms, 26 orbitals")
    assert main(["info", str(silicon)]) == 0
    assert "--source superposed, an approximation: 2 atoms" in capsys.readouterr().out
