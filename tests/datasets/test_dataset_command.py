"""``hamexplorer dataset``: what it prints, and its exit codes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_crystals import RECIPE, SmallCalculator, crystal, hamiltonian

import hamexplorer.datasets.calculation
import hamexplorer.datasets.workers
from hamexplorer.cli import main
from hamexplorer.datasets import DataSet
from hamexplorer.hamiltonian import save_hamiltonian


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small calculator in a thread, where the command starts engines and processes."""

    def calculator(settings: object, cache: object) -> SmallCalculator:
        return SmallCalculator(refused="B")

    engines = hamexplorer.datasets.calculation.EngineCalculator
    monkeypatch.setattr(engines, "from_recipe", calculator)
    monkeypatch.setattr(hamexplorer.datasets.workers, "WorkerPool", ThreadPoolExecutor)


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "r.yaml").write_text(RECIPE)
    return str(tmp_path / "r.yaml")


@pytest.mark.usefixtures("quick")
def test_make_info_split_and_check(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "set")
    assert main(["dataset", "make", recipe, "-o", folder, "--limit", "5", "--workers", "1"]) == 0
    assert "5 made" in capsys.readouterr().out
    assert main(["dataset", "make", recipe, "-o", folder]) == 2
    told = capsys.readouterr()
    assert "3 made" in told.out
    assert "5 were there, 6 failed" in told.out
    assert "failed: layers/hbn/0003: ConvergenceError: B did not converge." in told.err
    assert "6 of 14 are not in" in told.err
    assert main(["dataset", "info", folder]) == 0
    told = capsys.readouterr()
    assert "8 samples" in told.out
    assert "failed: layers/hbn/0000: ConvergenceError B did not converge." in told.out
    assert main(["dataset", "info", folder, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["samples"]) == 8
    assert {sample["part"] for sample in data["samples"]} <= {"train", "validation", "test"}
    assert [entry["status"] for entry in data["not_done"]] == ["failed"] * 6
    assert main(["dataset", "split", folder, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == {"digest": DataSet.open(folder).digest, "split": DataSet.open(folder).split}
    assert main(["dataset", "split", folder]) == 0
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines()]
    numbers = {row[0].strip(): [int(cell) for cell in row[1:]] for row in rows if row}
    assert numbers["others"] == [0, 0, 2, 2]
    assert numbers["all"][-1] == 8
    assert main(["dataset", "check", folder]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    next(Path(folder).rglob("0001.h5")).write_bytes(b"damage")
    assert main(["dataset", "check", folder]) == 2
    told = capsys.readouterr()
    assert "is not an HDF5 file" in told.out
    assert told.err.strip().endswith("1 finding.")


def test_what_cannot_be_done_is_told_in_a_sentence(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_hamiltonian(hamiltonian(crystal()), tmp_path / "small.h5")
    folder = str(tmp_path / "set")
    for arguments, said in [
        (["make", str(tmp_path / "none.yaml"), "-o", folder], "there is no such recipe"),
        (["make", recipe, "-o", folder, "--workers", "0"], "workers must lie in 1 … 256"),
        (["make", recipe, "-o", str(tmp_path)], "holds other files"),
        (["make", recipe, "-o", folder, "--limit", "0"], "limit must be at least 1"),
        (["info", folder], "is no data set"),
        (["add", folder, str(tmp_path / "small.h5"), "--json"], "1 of 1 are not in"),
    ]:
        assert main(["dataset", *arguments]) == 2, arguments
        told = capsys.readouterr()
        assert said in told.err
        assert "Traceback" not in told.err
