"""The disk cache between processes, and under kill -9 at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chain import ChainSource, chain_structure

from hamexplorer.hamiltonian import load_hamiltonian
from hamexplorer.sources import HamiltonianCache

PADDING = 60_000
"""Makes the entry about 3 MB, so that its write takes long enough to be hit."""


def start(root: Path, log: Path, seconds: float, padding: int = 0) -> subprocess.Popen[str]:
    """A worker that has imported all it needs and waits for a line to begin."""
    worker = Path(__file__).with_name("worker.py")
    arguments = [str(root), str(log), str(seconds), str(padding)]
    process = subprocess.Popen(
        [sys.executable, str(worker), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_two_processes_compute_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    workers = [start(tmp_path / "cache", log, 0.5) for _ in range(2)]
    for worker in workers:
        begin(worker)
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["done 3\n"] * 2
    assert log.read_text() == "computed\n"


def test_killed_during_compute_leaves_a_clean_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = start(tmp_path / "cache", log, 60.0)
    begin(worker)
    while not log.exists():
        time.sleep(0.01)
    kill(worker)
    cache = HamiltonianCache(tmp_path / "cache")
    source = ChainSource()
    began = time.perf_counter()
    cache.get_or_compute(chain_structure(), source)
    assert time.perf_counter() - began < 5  # the dead process holds no lock
    assert source.calls == 1
    assert len(cache.entries()) == 1


@pytest.mark.parametrize("seed", range(5))
def test_killed_while_writing_leaves_no_broken_entry(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "cache"
    folder = root / "hamiltonians"
    worker = start(root, tmp_path / "log", 0.0, PADDING)
    begin(worker)
    while worker.poll() is None and not (folder.is_dir() and list(folder.iterdir())):
        time.sleep(0.0005)
    time.sleep(random.Random(seed).uniform(0.0, 0.04) if seed else 0.0)
    kill(worker)
    for path in folder.glob("[!.]*.h5"):
        load_hamiltonian(path)  # whole, if it is there
    cache, source = HamiltonianCache(root), ChainSource(padding=PADDING)
    result = cache.get_or_compute(chain_structure(), source)
    assert result.provenance.warnings == ()  # nothing damaged was met
    assert [path.suffix for path in folder.iterdir()] == [".h5"]
    assert not next(folder.iterdir()).name.startswith(".")
    assert cache.get_or_compute(chain_structure(), source).pairs.n_pairs == 2 * PADDING + 3
    assert source.calls <= 1
