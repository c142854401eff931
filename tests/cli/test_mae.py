"""``hamexplorer mae`` and ``hx.mae``: energies against the direction of the magnetisation."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models import L_P, P, build
from pymatgen.core import Lattice, Structure
from silicon import QUICK

import hamexplorer as hx
from hamexplorer.cli import main
from hamexplorer.cli.argument_lists import joined_lists
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import Directions, magnetic_anisotropy

HERE = (0, 0, (0, 0, 0))
MESH = ["--kmesh", "3", "3", "2"]


@pytest.fixture(scope="module")
def magnet() -> hx.Hamiltonian:
    """A p shell with hopping and a crystal field along z."""
    scalar = {HERE: np.diag([0.0, 0.3, 0.0])}
    for axis, cell in enumerate(((1, 0, 0), (0, 1, 0), (0, 0, 1))):
        n = np.eye(3)[axis][[1, 2, 0]]
        scalar[(0, 0, cell)] = 0.6 * np.outer(n, n) - 0.15 * (np.eye(3) - np.outer(n, n))
    return build(
        Structure(Lattice.tetragonal(3.0, 3.6), ["Fe"], [[0, 0, 0]]),
        [[P]],
        4.0,
        scalar=scalar,
        exchange={HERE: 0.8 * np.eye(3)},
        spin_orbit={HERE: 0.25 * L_P},
    )


@pytest.fixture(scope="module")
def magnet_h5(magnet: hx.Hamiltonian, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("magnet") / "Fe.h5"
    save_hamiltonian(magnet, path)
    return path


@pytest.mark.parametrize(
    "angles",
    [
        ["--theta", "0", "45", "90"],
        ["--theta", "0,45,90"],
        ["--theta=0", "45", "90"],
        ["--theta", "0,", "45,", "90", "--phi", "0"],
    ],
)
def test_json_has_the_difference_of_last_and_first(
    magnet_h5: Path, magnet: hx.Hamiltonian, capsys: pytest.CaptureFixture[str], angles
) -> None:
    assert main(["mae", *angles, *MESH, "--json", str(magnet_h5)]) == 0
    data = json.loads(capsys.readouterr().out)
    expected = magnetic_anisotropy(magnet, Directions.arc([0, 45, 90]), (3, 3, 2))
    assert data["theta_deg"] == [0, 45, 90]
    assert data["phi_deg"] == [0, 0, 0]
    assert data["energies_eV"] == pytest.approx(expected.energies, abs=1e-12)
    assert data["mae_meV"] == pytest.approx(expected.mae_meV)
    assert data["mae_meV_per_atom"] == pytest.approx(expected.mae_meV)
    assert data["mae_ueV_per_atom"] == pytest.approx(1e3 * expected.mae_meV)
    assert data["mae_MJ_per_m3"] == pytest.approx(expected.mae_meV * 160.2176634 / 32.4)
    assert data["settings"]["kmesh"] == [3, 3, 2]
    assert data["settings"]["smearing_eV"] == 0.1
    assert data["settings"]["method"] == "exact"
    assert list(data["fit"]["constants_meV"]) == ["K1", "K2"]
    assert data["provenance"]["title"] == "closed-form model"
    assert data["warnings"] == []


def test_fast_and_exact_agree_and_the_fast_one_says_how_well(
    magnet_h5: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for method in ("exact", "fast"):
        assert main(["mae", str(magnet_h5), *MESH, "--method", method, "--json"]) == 0
        found[method] = json.loads(capsys.readouterr().out)
    assert found["fast"]["mae_meV"] == pytest.approx(found["exact"]["mae_meV"], abs=1e-6)
    assert found["fast"]["settings"]["method"] == "second variation"
    assert found["fast"]["settings"]["window_error_meV"] is not None
    assert found["exact"]["settings"]["window_error_meV"] is None


def test_options_reach_the_calculation(
    magnet_h5: Path, magnet: hx.Hamiltonian, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        *("mae", str(magnet_h5), "--kmesh", "2,2,2", "--theta", "-30", "60", "--phi", "0", "45"),
        *("--smearing", "0.2", "--soc", "0.5", "--exchange", "1.5", "--json"),
    ]
    assert main(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    expected = magnetic_anisotropy(magnet, Directions([-30, 60], [0, 45]), (2, 2, 2), 0.2, 0.5, 1.5)
    assert data["mae_meV"] == pytest.approx(expected.mae_meV)


def test_table_and_csv_on_stdout(magnet_h5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mae", str(magnet_h5), *MESH, "--theta", "0", "30", "90"]) == 0
    out = capsys.readouterr().out
    assert "meV per cell" in out
    assert "K1" in out
    assert main(["mae", str(magnet_h5), *MESH, "--theta", "0", "30", "90", "-q"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["theta_deg"].tolist() == [0, 30, 90]


@pytest.mark.parametrize("suffix", [".csv", ".png", ".svg"])
def test_files_are_written(
    magnet_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    target = tmp_path / f"mae{suffix}"
    arguments = ["mae", str(magnet_h5), *MESH, "--theta", "0", "45", "90", "-o", str(target)]
    assert main(arguments) == 0
    assert "written to" in capsys.readouterr().out
    content = target.read_bytes()
    starts = {".csv": b"theta_deg", ".png": b"\x89PNG", ".svg": b"<?xml"}
    assert content.startswith(starts[suffix])
    assert len(content) > 100


def test_one_angle_has_energies_and_a_word_on_what_is_missing(
    magnet_h5: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mae", str(magnet_h5), *MESH, "--theta", "30", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["mae_meV"] is None
    assert len(data["energies_eV"]) == 1
    assert any("at least two directions" in text for text in data["warnings"])
    assert main(["mae", str(magnet_h5), *MESH, "--theta", "30"]) == 0
    assert "at least two directions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--theta", "0", "nan"], "finite"),
        (["--theta", "up"], "--theta"),
        (["--theta", ","], "--theta"),
        (["--theta", "0", "90", "--phi", "0", "1", "2"], "same number"),
        (["--kmesh", "3", "3"], "--kmesh"),
        (["--kmesh", "0", "3", "3"], "k mesh"),
        (["--smearing", "0"], "smearing"),
        (["--soc", "nan"], "soc"),
        (["--exchange", "0"], "switched off"),
        (["--method", "magic"], "--method"),
        (["-o", "mae.pdf"], ".csv"),
        (["-o", "nowhere/mae.png"], "nowhere"),
    ],
)
def test_bad_input_is_told_and_ends_with_2(
    magnet_h5: Path, capsys: pytest.CaptureFixture[str], arguments, message: str
) -> None:
    assert main(["mae", str(magnet_h5), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_picture_of_scattered_directions_is_refused(
    magnet_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mae.png"
    angles = ["--theta", "0", "45", "90", "--phi", "0", "10", "20"]
    assert main(["mae", str(magnet_h5), *MESH, *angles, "-o", str(target)]) == 2
    assert "only θ or only φ" in capsys.readouterr().err
    assert not target.exists()


def test_a_structure_is_computed_first_and_refused_if_not_magnetic(
    silicon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scf = ["--scf-kmesh", "2", "2", "2", *QUICK[2:]]
    assert main(["mae", str(silicon), "--kmesh", "2", "2", "2", *scf]) == 2
    assert "Si is not magnetic" in capsys.readouterr().err


def test_the_scf_options_keep_their_names_elsewhere(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "Si.h5"
    mesh = ["--kmesh", "2", "2", "2"]
    assert main(["compute", str(silicon), *mesh, *QUICK[2:], "-o", str(target), "-q"]) == 0
    assert list(hx.open(target).provenance.settings["kmesh"]) == [2, 2, 2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["mae", "--kmesh", "9", "9", "7", "x.h5"], ["mae", "--kmesh=9,9,7", "x.h5"]),
        (["mae", "x.h5", "--theta", "0", "90"], ["mae", "x.h5", "--theta=0,90"]),
        (["--theta", "-45", "45", "--json"], ["--theta=-45,45", "--json"]),
        (["--theta=0", "90", "-o", "3"], ["--theta=0,90", "-o", "3"]),
        (["--theta", "0,45", "90"], ["--theta=0,45,90"]),
        (["--theta", "FePt.h5"], ["--theta", "FePt.h5"]),
        (["--soc", "1", "2"], ["--soc", "1", "2"]),
        ([], []),
    ],
)
def test_numbers_after_an_option_belong_to_it(given, expected) -> None:
    assert joined_lists(given) == expected


def test_the_installed_command_reads_its_own_arguments(magnet_h5: Path) -> None:
    command = [sys.executable, "-m", "hamexplorer", "mae", str(magnet_h5), *MESH, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["settings"]["kmesh"] == [3, 3, 2]


# --- the Python interface ---------------------------------------------------------------------


def test_api_gives_a_view(magnet: hx.Hamiltonian, tmp_path: Path) -> None:
    view = hx.mae(magnet, theta=[0, 30, 60, 90], mesh=(3, 3, 2))
    assert isinstance(view, hx.AnisotropyView)
    assert view.mae_meV == pytest.approx(1e3 * (view.result.energies[-1] - view.result.energies[0]))
    assert view.constants().names == ("K1", "K2")
    assert len(view.to_dataframe()) == 4
    assert "Anisotropy of Fe" in repr(view)
    for other in (copy.copy(view), copy.deepcopy(view)):
        assert other.mae_meV == view.mae_meV
    view.save(tmp_path / "mae.csv")
    assert len(pd.read_csv(tmp_path / "mae.csv")) == 4
    with pytest.raises(SettingsError):
        view.save(tmp_path / "mae.pdf")


def test_plot_has_points_and_a_fitted_curve(magnet: hx.Hamiltonian) -> None:
    view = hx.mae(magnet, theta=[0, 30, 60, 90], mesh=(3, 3, 2), method="fast")
    curve, points = view.plot()
    assert len(points) == 4
    assert len(curve) > 50
    x, y = curve.dimension_values(0), curve.dimension_values(1)
    at_points = np.interp(points.dimension_values(0), x, y)
    assert np.abs(at_points - points.dimension_values(1)).max() < 0.05 * np.ptp(y)
    assert view._repr_mimebundle_()


def test_api_directions_and_bad_ones(magnet: hx.Hamiltonian) -> None:
    ring = hx.mae(magnet, theta=90, phi=[0, 45, 90], mesh=(2, 2, 2))
    assert ring.directions.theta.tolist() == [90, 90, 90]
    with pytest.raises(SettingsError, match="same length"):
        hx.mae(magnet, theta=[0, 90], phi=[0, 1, 2])
    with pytest.raises(SettingsError, match="method"):
        hx.mae(magnet, method="magic")  # type: ignore[arg-type]
    stages: list[str] = []
    hx.mae(magnet, mesh=(2, 2, 2), monitor=Monitor(lambda event: stages.append(event.stage)))
    assert "Diagonalisation" in stages


def test_collinear_reaches_the_calculation_and_evenness_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    iron = str(Path(__file__).parents[1] / "data" / "openmx" / "fe_nc.scfout.xz")
    arguments = ["mae", iron, "--kmesh", "2", "2", "2", "--theta", "0", "180", "--json"]
    assert main(arguments) == 0
    rigid = json.loads(capsys.readouterr().out)
    assert rigid["reversal_meV"] == pytest.approx(abs(rigid["mae_meV"]))
    assert rigid["reversal_meV"] > 1e-3
    assert any("mean nothing" in text for text in rigid["warnings"])
    assert main([*arguments, "--collinear"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert kept["settings"]["collinear"] is True
    assert kept["energies_eV"][0] == pytest.approx(kept["energies_eV"][1], abs=1e-8)
    assert not any("mean nothing" in text for text in kept["warnings"])
