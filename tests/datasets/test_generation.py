"""Recipes computed: resumed after kills, failures told, broken off cleanly."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from small_crystals import RECIPE, SmallCalculator

from hamexplorer.datasets import DataSet
from hamexplorer.datasets.calculation import EngineCalculator
from hamexplorer.datasets.checking import check
from hamexplorer.datasets.generation import Outcome, make
from hamexplorer.datasets.ledger import Entry, Ledger
from hamexplorer.datasets.recipe import load_recipe
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.errors import CalculationCancelled, HamexplorerError, SettingsError
from hamexplorer.progress import Monitor, ProgressEvent


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, folder: Path, calculator: SmallCalculator, **options: object) -> Outcome:
    with ThreadPoolExecutor(2) as executor:
        return make(
            load_recipe(recipe),
            folder,
            calculator,
            executor,
            in_flight=4,
            **options,  # type: ignore[arg-type]
        )


def test_a_recipe_becomes_a_set(recipe: Path, tmp_path: Path) -> None:
    seen: list[ProgressEvent] = []
    outcome = run(recipe, tmp_path / "set", SmallCalculator(), monitor=Monitor(seen.append))
    assert (len(outcome.made), outcome.present, outcome.failed) == (14, [], [])
    found = DataSet.open(tmp_path / "set")
    assert len(found) == 14
    assert found.split["layers/hbn/0000"] == "train"
    assert found.split["others/graphene/0001"] == "test"
    assert found.info("others/graphene/0000").n_cells == 2
    entry = Ledger(tmp_path / "set" / "ledger.jsonl").entries["layers/hbn/0003"]
    assert entry.structure_hash == found.info("layers/hbn/0003").structure_hash
    assert 0 <= entry.numbers["overlap"] < 1e-6
    assert entry.numbers["missing"] > 0
    assert {"hamexplorer", "pyscf"} <= entry.versions.keys()
    assert check(tmp_path / "set") == ()
    assert seen[-1].fraction == 1.0
    assert seen[-1].message == "14 of 14"


def test_nothing_is_computed_twice(recipe: Path, tmp_path: Path) -> None:
    first = run(recipe, tmp_path / "set", SmallCalculator(), limit=5)
    assert len(first.made) == 5
    second = run(recipe, tmp_path / "set", SmallCalculator())
    assert (len(second.made), len(second.present)) == (9, 5)
    third = run(recipe, tmp_path / "set", SmallCalculator())
    assert (len(third.made), len(third.present)) == (0, 14)
    assert len((tmp_path / "set" / "ledger.jsonl").read_text().splitlines()) == 14


def test_failures_are_told_and_tried_again_only_when_asked(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    outcome = run(recipe, folder, SmallCalculator(refused="B"))
    assert (len(outcome.made), len(outcome.failed)) == (8, 6)
    for entry in outcome.failed:
        assert (entry.error, entry.message) == ("ConvergenceError", "B did not converge.")
        assert entry.name.startswith("layers/hbn/")
    again = run(recipe, folder, SmallCalculator())
    assert (len(again.made), len(again.present), len(again.failed)) == (0, 8, 6)
    retried = run(recipe, folder, SmallCalculator(), retry=True)
    assert (len(retried.made), len(retried.present), len(retried.failed)) == (6, 8, 0)
    assert check(folder) == ()


class Defective(SmallCalculator):
    def __call__(self, *_: object) -> object:  # type: ignore[override]
        raise ZeroDivisionError("a defect")


def test_a_defect_with_one_crystal_is_a_failure_too(recipe: Path, tmp_path: Path) -> None:
    outcome = run(recipe, tmp_path / "set", Defective(), limit=2)
    assert [(e.error, e.message) for e in outcome.failed] == [("ZeroDivisionError", "a defect")] * 2


def test_another_recipe_or_setting_is_refused(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "set", SmallCalculator(), limit=3)
    with pytest.raises(SettingsError, match='setting: "a" there, "b" asked for'):
        run(recipe, tmp_path / "set", SmallCalculator(setting="b"))
    recipe.write_text(RECIPE.replace("seed: 3", "seed: 4"))
    with pytest.raises(SettingsError, match="holds another crystal than the recipe's"):
        run(recipe, tmp_path / "set", SmallCalculator())
    with pytest.raises(SettingsError, match="limit must be at least 1"):
        run(recipe, tmp_path / "set", SmallCalculator(), limit=0)


def test_what_is_finished_stays_when_a_run_is_cancelled(recipe: Path, tmp_path: Path) -> None:
    def listen(event: ProgressEvent) -> None:
        if event.fraction > 0.3:
            monitor.cancel()

    monitor = Monitor(listen)
    with pytest.raises(CalculationCancelled):
        run(recipe, tmp_path / "set", SmallCalculator(seconds=0.02), monitor=monitor)
    kept = len(DataSet.open(tmp_path / "set"))
    assert 4 < kept < 14
    assert check(tmp_path / "set") == ()  # each in the ledger, too
    assert len(run(recipe, tmp_path / "set", SmallCalculator()).present) == kept


def test_a_sample_that_is_damaged_is_computed_anew(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    run(recipe, folder, SmallCalculator(), limit=3)
    path = StoredFolder(folder).sample("layers/graphene/0001")
    path.write_bytes(path.read_bytes()[:1000])
    assert [e.name for e in run(recipe, folder, SmallCalculator(), limit=3).made] == [
        "layers/graphene/0001"
    ]
    assert check(folder) == ()


class BreakingPool(Executor):
    """Its second task ends its process."""

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def,override]
        self.tasks += 1
        future: Future[Entry] = Future()
        if self.tasks < 2:
            future.set_result(fn(*args, **kwargs))
        elif self.tasks == 2:
            future.set_exception(BrokenProcessPool("a child process terminated abruptly"))
        else:
            raise BrokenProcessPool("unusable")
        return future


def test_a_killed_worker_is_told(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with pytest.raises(HamexplorerError, match=r"ended from outside .*: layers/graphene/0001"):
        make(load_recipe(recipe), folder, SmallCalculator(), BreakingPool(), in_flight=4)
    entries = Ledger(folder / "ledger.jsonl").entries
    assert {e.name: e.status for e in entries.values()} == {
        "layers/graphene/0000": "done",
        "layers/graphene/0001": "interrupted",
    }
    assert len(run(recipe, folder, SmallCalculator()).made) == 13


def test_a_ledger_cut_off_in_a_line_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append(Entry("a", "done", numbers={"missing": 0.5}))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    cut = Ledger(path)
    assert cut.damaged == 1
    cut.append(Entry("b", "failed", error="E", message="m"))
    found = Ledger(path)
    assert found.damaged == 1
    assert {name: e.status for name, e in found.entries.items()} == {"a": "done", "b": "failed"}
    assert found.entries["a"].numbers == {"missing": 0.5}
    lines = ["1", "[]", "{}", '{"status": "done"}', '{"status": "done", "name": 3}', "[" * 99999]
    path.write_text("\n".join(lines) + "\n")
    assert (Ledger(path).damaged, Ledger(path).entries) == (6, {})


# --- killed ------------------------------------------------------------------------------


def _endless(recipe: Path, folder: Path) -> None:
    run(recipe, folder, SmallCalculator(seconds=0.04))


def test_a_set_killed_three_times_is_the_same_in_the_end(recipe: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    run(recipe, whole, SmallCalculator())
    folder = tmp_path / "set"
    before: set[str] = set()
    for number in range(3):
        # forked: a fresh process takes four seconds to import what this one has
        process = multiprocessing.get_context("fork").Process(
            target=_endless, args=(recipe, folder), daemon=True
        )
        process.start()
        deadline = time.monotonic() + 20
        while len(StoredFolder(folder).names()) < 3 * number + 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.1))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        found = {info.name for info in DataSet.open(folder).infos}
        assert before <= found
        before = found
    outcome = run(recipe, folder, SmallCalculator())
    assert set(outcome.present) == before
    assert check(folder) == ()
    assert DataSet.open(folder).digest == DataSet.open(whole).digest
    assert DataSet.open(folder).split == DataSet.open(whole).split
    assert StoredFolder(folder).leftovers() == []


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_crystals import SmallCalculator
from hamexplorer.cli.progress import monitored
from hamexplorer.datasets.generation import make
from hamexplorer.datasets.recipe import load_recipe
from hamexplorer.datasets.workers import WorkerPool
from hamexplorer.errors import HamexplorerError

if __name__ == "__main__":
    recipe, folder = Path(sys.argv[2]), Path(sys.argv[3])
    seconds = float(sys.argv[4])
    try:
        with WorkerPool(1) as pool, monitored(show=False) as monitor:
            make(load_recipe(recipe), folder, SmallCalculator(seconds), pool, in_flight=2,
                 monitor=monitor)
    except HamexplorerError as error:
        print(type(error).__name__, error)
"""


def _started(recipe: Path, folder: Path, seconds: float) -> subprocess.Popen[str]:
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    here = str(Path(__file__).parent)
    command = [sys.executable, str(script), here, str(recipe), str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _wait_for(folder: Path, samples: int) -> None:
    deadline = time.monotonic() + 60
    while len(StoredFolder(folder).names()) < samples:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _workers(parent: int) -> list[int]:
    """Processes that compute for ``parent`` (not Python's tracker of resources)."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    children = [int(word) for t in tasks for word in (t / "children").read_text().split()]
    return [c for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]


def _ended(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
def test_workers_that_are_killed_or_orphaned_leave_nothing_behind(
    recipe: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    # the parent is killed: its worker ends, too
    process = _started(recipe, folder, 0.3)
    _wait_for(folder, 2)
    (worker,) = _workers(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while not _ended(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # the worker is killed: the parent says so
    process = _started(recipe, folder, 0.3)
    _wait_for(folder, 5)
    os.kill(_workers(process.pid)[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert "HamexplorerError A worker was ended from outside" in out
    # Ctrl-C reaches the parent alone: the worker is asked to stop
    process = _started(recipe, folder, 30.0)
    deadline = time.monotonic() + 60
    while not (Path(f"/proc/{process.pid}").exists() and _workers(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(6)  # until the worker has imported what it needs and computes
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert "CalculationCancelled" in out
    assert time.monotonic() - began < 10
    outcome = run(recipe, folder, SmallCalculator())
    assert len(outcome.present) >= 5
    assert outcome.failed == []
    assert check(folder) == ()


# --- the engines -------------------------------------------------------------------------


def test_settings_of_a_recipe_are_the_engines(tmp_path: Path) -> None:
    calculator = EngineCalculator.from_recipe({"kmesh": [2, 2, 1], "spin_orbit": False})
    assert calculator.dft.kmesh == (2, 2, 1)
    assert calculator.dft.threads == calculator.superposed.threads == 1
    assert not calculator.superposed.spin_orbit
    assert json.loads(json.dumps(calculator.settings()))["dft"]["kmesh"] == [2, 2, 1]
    for wrong, said in [
        ({"kmehs": 1}, "no setting 'kmehs'"),
        ({"threads": 4}, "no setting 'threads'"),
        ({"kspacing": -1}, "dft: kspacing must lie in"),
        ({"kmesh": 3}, "dft: kmesh must be three"),
        ({"basis": ["a"]}, "dft: basis must be one of gth-dzvp-molopt-sr"),
        ({"spin_orbit": "yes"}, "dft: spin_orbit must be true or false"),
    ]:
        with pytest.raises(SettingsError, match=said):
            EngineCalculator.from_recipe(wrong)


@pytest.mark.slow
def test_a_real_crystal(tmp_path: Path) -> None:
    text = """
name: x
dft: {kmesh: [2, 2, 1], cutoff: 60.0, range_angstrom: 9.0}
families: [{name: a, parents: [hbn], count: 2, rattle: 0.03}]
"""
    path = tmp_path / "r.yaml"
    path.write_text(text)
    recipe = load_recipe(path)
    calculator = EngineCalculator.from_recipe(recipe.dft, tmp_path / "cache")
    with ThreadPoolExecutor(1) as executor:
        outcome = make(recipe, tmp_path / "set", calculator, executor, in_flight=1)
    assert [e.message for e in outcome.failed] == []
    assert check(tmp_path / "set") == ()
    sample = DataSet.open(tmp_path / "set").load("a/hbn/0001")
    h = sample.reference
    near = h.distances[h.pairs.element_pair] < 7.5
    difference = h.scalar - sample.zero
    shift = (h.overlap @ difference) / (h.overlap @ h.overlap)
    left = abs(difference - shift * h.overlap)[near].mean()
    assert left < 0.05 * abs(h.scalar[near]).mean()
    assert h.position is None
