"""``hamexplorer bands``: tables, pictures and pages from a structure or a file."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from silicon import QUICK

from hamexplorer.cli import main
from hamexplorer.hamiltonian import BlochSum, load_hamiltonian
from hamexplorer.properties.fermi import fermi_level

KPOINTS = "# three points\n0 0 0\n1/3, 1/3 0   # K\n\n0.5 0.5 -1e-1\n"
EXPECTED = np.array([[0, 0, 0], [1 / 3, 1 / 3, 0], [0.5, 0.5, -0.1]])


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "K.txt"
    path.write_text(KPOINTS)
    return path


def table(capsys: pytest.CaptureFixture[str]) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False)


def energies(frame: pd.DataFrame) -> np.ndarray:
    return frame.pivot_table(index="k_index", columns="band", values="energy_eV").to_numpy()


def test_listed_points_are_the_eigenvalues_of_the_file(
    silicon_h5: Path, listed: Path, tmp_path: Path
) -> None:
    target = tmp_path / "bands.csv"
    assert main(["bands", str(silicon_h5), "--kpoints", str(listed), "-o", str(target), "-q"]) == 0
    frame = pd.read_csv(target, keep_default_na=False)
    assert list(frame.columns[:6]) == ["k_index", "k1", "k2", "k3", "band", "energy_eV"]
    points = frame.groupby("k_index")[["k1", "k2", "k3"]].first().to_numpy()
    assert np.allclose(points, EXPECTED, atol=1e-15)
    matrices = BlochSum(load_hamiltonian(silicon_h5))(EXPECTED)
    for found, h, s in zip(
        energies(frame), matrices.spinor(), matrices.spinor_overlap(), strict=True
    ):
        assert np.allclose(found, scipy.linalg.eigh(h, s, eigvals_only=True), atol=1e-9)


def test_zero_moves_every_energy_alike(
    silicon_h5: Path, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for zero in ("source", "fermi", "vbm"):
        assert main(["bands", str(silicon_h5), "--kpoints", str(listed), "--zero", zero]) == 0
        found[zero] = energies(table(capsys))
    level = fermi_level(load_hamiltonian(silicon_h5))
    assert level.vbm is not None
    assert np.allclose(found["source"] - found["fermi"], level.energy, atol=1e-9)
    top = max(level.vbm, found["source"][:, 7].max())
    assert np.allclose(found["source"] - found["vbm"], top, atol=1e-9)


def test_spin_orbit_off_gives_pairs_and_on_splits_the_valence_top(
    silicon_h5: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splitting = []
    for soc in ("0", "1", "10"):
        assert main(["bands", str(silicon_h5), "--path", "G-X", "--soc", soc]) == 0
        at_gamma = energies(table(capsys))[0]
        splitting.append(at_gamma[7] - at_gamma[2])
    assert splitting[0] < 1e-6
    assert 0.03 < splitting[1] < 0.07  # silicon's split-off energy: 44 meV
    assert splitting[2] > 8 * splitting[1]


def test_path_has_labels_and_a_jump(silicon_h5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bands", str(silicon_h5), "--path", "G-X|K-G", "--spacing", "0.2"]) == 0
    rows = table(capsys).drop_duplicates("k_index")
    assert [label for label in rows["label"] if label] == ["Γ", "X", "K", "Γ"]
    assert np.all(np.diff(rows["distance_per_A"]) >= 0)


def test_window_keeps_the_bands_that_enter_it(
    silicon_h5: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bands", str(silicon_h5), "--path", "G-X", "--zero", "vbm", "--window", "-1,1"]
    assert main(arguments) == 0
    frame = table(capsys)
    # Of silicon's 8 valence bands the two lowest stay below −1 eV.
    assert frame["band"].min() == 2
    assert frame["band"].max() < 20
    assert main([*arguments[:-1], "500,600"]) == 2
    assert "No band enters the window" in capsys.readouterr().err


def test_spin_expectation_is_asked_for(
    silicon_h5: Path, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bands", str(silicon_h5), "--kpoints", str(listed)]
    assert main(arguments) == 0
    assert "spin_z" not in table(capsys)
    assert main([*arguments, "--spin-expectation"]) == 0
    assert np.abs(table(capsys)[["spin_x", "spin_y", "spin_z"]].to_numpy()).max() <= 1 + 1e-9


def test_json_tells_gap_and_levels(
    silicon_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bands", str(silicon_h5), "--path", "G-X", "--json", "--zero", "vbm"]) == 0
    data = json.loads(capsys.readouterr().out)
    shape = np.shape(data["energies_eV"])
    assert shape == (data["n_kpoints"], data["n_bands"]) == (len(data["kpoints"]), 52)
    assert not data["is_metal"]
    assert not data["gap_on_path"]["is_direct"]
    assert data["gap_on_path"]["vbm_label"] == "Γ"
    assert abs(np.max(np.array(data["energies_eV"])[:, 7])) < 1e-6
    assert data["splittings_meV"][0]["label"] == "Γ"
    target = tmp_path / "out.csv"
    assert main(["bands", str(silicon_h5), "--path", "G-X", "--json", "-o", str(target)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["output"] == str(target)
    assert "energies_eV" not in data
    assert target.exists()


def test_structure_is_computed_and_agrees_with_its_file(
    silicon: Path, silicon_h5: Path, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--kpoints", str(listed), "--quiet"]
    assert main(["bands", str(silicon), *arguments, *QUICK]) == 0
    computed = energies(table(capsys))
    assert main(["bands", str(silicon_h5), *arguments]) == 0
    assert np.array_equal(computed, energies(table(capsys)))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_pictures_and_pages(silicon_h5: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"bands{suffix}"
    arguments = ["bands", str(silicon_h5), "--path", "G-X|K-G", "-o", str(target), "--quiet"]
    assert main([*arguments, "--zero", "vbm", "--window", "-5,5"]) == 0
    content = target.read_bytes()
    if suffix == ".png":
        assert content.startswith(b"\x89PNG")
    elif suffix == ".svg":
        assert b"<svg" in content[:2000]
    else:
        # It asks the network for nothing.
        assert not re.search(rb"<(script|img)[^>]*\ssrc=.http|<link[^>]*\shref=.http", content)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_picture_of_listed_points(silicon_h5: Path, listed: Path, tmp_path: Path) -> None:
    target = tmp_path / "bands.png"
    assert main(["bands", str(silicon_h5), "--kpoints", str(listed), "-o", str(target), "-q"]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_one_kpoint_is_enough(
    silicon_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "K.txt"
    path.write_text("0 0 0")
    assert main(["bands", str(silicon_h5), "--kpoints", str(path)]) == 0
    assert len(table(capsys)) == 52
