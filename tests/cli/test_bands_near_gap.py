"""Bands around the gap from the command line and from Python."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from supercells import folded_kpoints, supercell

import hamexplorer as hx
from hamexplorer.assets_path import asset
from hamexplorer.cli import main
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState, load_hamiltonian, save_hamiltonian
from hamexplorer.properties import large_cells, near_gap
from hamexplorer.properties.large_cells import (
    check_not_large,
    full_seconds,
    is_large,
    labelled_points,
    near_gap_bands,
)
from hamexplorer.properties.solver import BandSolver
from hamexplorer.structures.kpath import path_from_text

DIVISIONS = (2, 2, 1)


@pytest.fixture(autouse=True)
def no_cell_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_gap, "FULL_SIZE", 0)


@pytest.fixture(scope="module")
def primitive() -> Hamiltonian:
    return load_hamiltonian(asset("examples/mos2.h5"))


@pytest.fixture(scope="module")
def cell(primitive: Hamiltonian) -> Hamiltonian:
    """Twelve atoms; their path is the primitive cell's, whose M is a reciprocal vector here."""
    return supercell(primitive, DIVISIONS)


@pytest.fixture(scope="module")
def cell_h5(cell: Hamiltonian, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "mos2-12.h5"
    save_hamiltonian(cell, path)
    return path


def test_listed_points(
    cell_h5: Path, primitive: Hamiltonian, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "k.txt"
    points.write_text("0 0 0\n1/3 1/3 0\n-1/3 -1/3 0\n")
    command = ["bands", str(cell_h5), "--kpoints", str(points), "--near-gap", "24"]
    assert main([*command, "--spin-expectation"]) == 0
    frame = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False)
    assert sorted(set(frame["band"])) == list(range(92, 116))
    found = frame.pivot_table(index="k_index", columns="band", values="energy_eV").to_numpy()
    for k, energies in zip([[0, 0, 0], [1 / 3, 1 / 3, 0]], found, strict=False):
        solver = BandSolver(primitive, folded_kpoints(k, DIVISIONS))
        assert np.abs(energies - np.sort(solver.energies().ravel())[92:116]).max() < 1e-8
    spins = frame.pivot_table(index="k_index", columns="band", values="spin_z").to_numpy()
    assert np.abs(spins[1] + spins[2]).max() < 1e-6  # K and −K
    assert np.abs(spins[1]).max() > 0.9

    assert main([*command, "--json", "--unchecked"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "counted at the shift alone, so a missing level is not noticed;" in told["method"]
    assert "those of these 2 k-points alone" in told["method"]
    assert np.abs(np.array(told["energies_eV"]) - found).max() < 1e-8
    gap = told["gap_on_path"]
    assert gap["vbm"] == pytest.approx(found[:, 11].max(), abs=1e-8)
    assert told["fermi_eV"] == pytest.approx((gap["vbm"] + gap["cbm"]) / 2, abs=1e-8)


def test_large_cells_take_the_way_by_themselves(
    cell_h5: Path,
    cell: Hamiltonian,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not is_large(cell)
    check_not_large(cell, "It")
    for limit in ("LONG_SECONDS", "_REFUSED_SECONDS"):
        monkeypatch.setattr(large_cells, limit, 1e-3)
    assert is_large(cell)
    command = ["bands", str(cell_h5), "--path", "G-M-K-G", "--soc", "0", "--json"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert "40 around the gap are computed (--near-gap 0: all)" in err
    assert (told["n_kpoints"], told["n_bands"]) == (4, 40)
    assert "those of these 2 k-points" in told["method"]
    with pytest.raises(hx.errors.ResourceLimitError, match="12 atoms with 208 orbitals"):
        check_not_large(cell, "A density of states")
    assert main([*command, "--near-gap", "0", "--spacing", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["n_bands"] == 416


def test_wrong_numbers_of_bands(cell_h5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("417", "-1"):
        assert main(["bands", str(cell_h5), "--near-gap", wrong]) == 2
        assert "1 … 416" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [2.5, float("nan"), float("inf"), "40"])
def test_numbers_of_bands_that_are_not_whole(cell: Hamiltonian, wrong: object) -> None:
    with pytest.raises(SettingsError, match="1 … 416"):
        near_gap_bands(cell, labelled_points(cell.structure), wrong)  # type: ignore[arg-type]


def test_pairs_of_a_large_cell_are_not_called_spin_splittings(
    cell_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bands", str(cell_h5), "--path", "G-K", "-o", str(tmp_path / "bands.csv")]
    assert main([*command, "--near-gap", "8"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "two levels nearest the gap at K" in told
    assert "splitting" not in told


def test_from_python(cell: Hamiltonian, primitive: Hamiltonian) -> None:
    view = hx.bands(cell, "G-M-K-G", near_gap=12, weights="element")
    assert view.energies.shape == (4, 12)
    assert view.first_band == 98
    assert np.array_equal(view.energies[0], view.energies[3])
    whole = hx.bands(cell, "G-M-K-G", spacing=10.0, weights="element")
    assert np.abs(view.energies - whole.energies[:, 98:110]).max() < 1e-8
    assert np.abs(view.weights - whole.weights[:, 98:110]).max() < 1e-5
    gap, expected = view.gap(), whole.gap()
    assert gap.value == pytest.approx(expected.value, abs=1e-8)
    assert view.fermi.mesh == (0, 0, 0)
    assert view.fermi.n_electrons == 104
    assert primitive.n_electrons == 26


def test_time_reversed_points_are_computed_once(cell: Hamiltonian) -> None:
    path = path_from_text("K-G-K'", cell.structure, 1e3)
    assert len(path) == 3
    bands = near_gap_bands(cell, path, 8, SpinState(), spin=True)
    assert "2 k-points" in bands.method
    assert bands.spin is not None
    whole = BandSolver(cell, path.kpoints)
    assert np.abs(bands.energies - whole.energies()[:, 100:108]).max() < 1e-8
    assert np.abs(bands.spin[0] + bands.spin[2]).max() < 1e-12


def test_a_metal(cell: Hamiltonian) -> None:
    """Holes: the level is where the average over the k-points holds the electrons."""
    doped = replace(cell, n_electrons=102.5)
    bands = near_gap_bands(doped, labelled_points(cell.structure), 30)
    assert bands.fermi.is_metal
    count = bands.first_band + (bands.energies < bands.fermi.energy).sum(axis=1)
    assert count.mean() == pytest.approx(102.5, abs=0.7)
    with pytest.raises(SettingsError, match="ask for more bands"):
        near_gap_bands(doped, labelled_points(cell.structure), 1)


def test_cost_grows_with_the_cube(cell: Hamiltonian, primitive: Hamiltonian) -> None:
    assert full_seconds(cell, 10) == pytest.approx(64 * full_seconds(primitive, 10))
    assert full_seconds(cell, 20) == pytest.approx(2 * full_seconds(cell, 10))
