"""The disk cache: what it returns, and what survives threads, processes and damage."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from chain import ChainSource, chain_hamiltonian, chain_structure

from hamexplorer.errors import CalculationCancelled, ConvergenceError, StructureError
from hamexplorer.files import replacing
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources import FileSource, HamiltonianCache, compute, default_cache_root


@pytest.fixture
def cache(tmp_path: Path) -> HamiltonianCache:
    return HamiltonianCache(tmp_path / "cache")


def files(cache: HamiltonianCache) -> set[str]:
    return {p.name for p in (cache.root / "hamiltonians").iterdir()}


def test_second_request_is_read_not_computed_and_is_the_same(cache: HamiltonianCache) -> None:
    source = ChainSource(onsite=0.25)
    first = cache.get_or_compute(chain_structure(), source)
    second = cache.get_or_compute(chain_structure(), source)
    assert source.calls == 1
    for name in first.components:
        assert np.array_equal(first.component(name), second.component(name))
    assert second.structure == first.structure
    assert second.provenance == first.provenance


def test_structure_and_settings_and_code_version_make_the_key(
    cache: HamiltonianCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ChainSource()
    cache.get_or_compute(chain_structure(3.0), source)
    cache.get_or_compute(chain_structure(3.1), source)
    cache.get_or_compute(chain_structure(3.0), ChainSource(onsite=0.6))
    assert len(cache.entries()) == 3
    before = cache.key(chain_structure(), "{}")
    monkeypatch.setattr("hamexplorer.sources.cache.package_versions", lambda: {"hamexplorer": "99"})
    assert cache.key(chain_structure(), "{}") != before


def test_moments_make_the_key(cache: HamiltonianCache) -> None:
    plain, up, down = chain_structure(), chain_structure(), chain_structure()
    up.add_site_property("magmom", [1.0])
    down.add_site_property("magmom", [-1.0])
    assert len({cache.key(s, "{}") for s in (plain, up, down)}) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[: len(data) // 2],
        lambda data: b"not HDF5 at all" + data[8:],
        lambda data: data[:-200] + bytes(200),
        lambda data: bytes(len(data)),
    ],
    ids=["empty", "truncated", "foreign", "tail zeroed", "all zero"],
)
def test_damaged_entry_is_recomputed_with_a_warning(cache: HamiltonianCache, damage) -> None:
    source = ChainSource(padding=3000)
    cache.get_or_compute(chain_structure(), source)
    path = cache.entries()[0].path
    path.write_bytes(damage(path.read_bytes()))
    again = cache.get_or_compute(chain_structure(), source)
    assert source.calls == 2
    assert any("damaged" in warning for warning in again.provenance.warnings)
    # The entry written in its place is whole and does not carry the warning on.
    third = cache.get_or_compute(chain_structure(), source)
    assert source.calls == 2
    assert third.provenance.warnings == ()


def test_failed_calculation_stores_nothing_and_frees_the_lock(cache: HamiltonianCache) -> None:
    for _ in range(2):
        with pytest.raises(ConvergenceError):
            cache.get_or_compute(chain_structure(), ChainSource(fails=True))
    assert cache.entries() == []
    assert cache.get_or_compute(chain_structure(), ChainSource()).n_electrons == 1


def test_refused_structure_is_refused_before_it_is_computed(cache: HamiltonianCache) -> None:
    source = ChainSource()
    with pytest.raises(StructureError, match="one site"):
        cache.get_or_compute(chain_structure() * (2, 1, 1), source)
    assert source.calls == 0


def test_threads_that_ask_for_the_same_compute_once(cache: HamiltonianCache) -> None:
    source = ChainSource(seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cache.get_or_compute, chain_structure(), source) for _ in range(4)]
        results = [future.result() for future in asked]
    assert source.calls == 1
    assert all(np.array_equal(r.scalar, results[0].scalar) for r in results)


def test_waiting_for_another_can_be_cancelled(cache: HamiltonianCache) -> None:
    stages: list[str] = []
    waiting = threading.Event()

    def listen(event) -> None:
        stages.append(event.stage)
        waiting.set()

    monitor, patient = Monitor(listen), Monitor()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(
            cache.get_or_compute, chain_structure(), ChainSource(seconds=30), patient
        )
        while not (cache.root / "locks").exists() or not list((cache.root / "locks").iterdir()):
            time.sleep(0.01)
        time.sleep(0.1)
        second = ChainSource()
        waiter = pool.submit(cache.get_or_compute, chain_structure(), second, monitor)
        assert waiting.wait(5)
        monitor.cancel()
        with pytest.raises(CalculationCancelled):
            waiter.result(timeout=5)
        patient.cancel()
        with pytest.raises(CalculationCancelled):
            slow.result(timeout=5)
    assert stages == ["Waiting"] * len(stages)
    assert second.calls == 0
    assert cache.entries() == []


def test_least_recently_used_go_first(cache: HamiltonianCache) -> None:
    sources = [ChainSource(onsite=0.1 * i, padding=3000) for i in range(4)]
    for age, source in zip((30, 20, 10), sources[:3], strict=True):
        cache.get_or_compute(chain_structure(), source)
        newest = cache.entries()[0].path
        os.utime(newest, (time.time() - age, time.time() - age))
    # Reading the oldest makes it the most recent; the second is now the one to go.
    cache.get_or_compute(chain_structure(), sources[0])
    cache.max_bytes = cache.size + 10
    cache.get_or_compute(chain_structure(), sources[3])
    assert cache.size <= cache.max_bytes
    kept = {entry.key for entry in cache.entries()}
    keys = [cache.key(chain_structure(), s.settings_key(chain_structure())) for s in sources]
    assert [key in kept for key in keys] == [True, False, True, True]


def test_result_larger_than_the_cache_is_returned_with_a_warning(tmp_path: Path) -> None:
    cache = HamiltonianCache(tmp_path, max_bytes=100)
    result = cache.get_or_compute(chain_structure(), ChainSource())
    assert any("may hold" in warning for warning in result.provenance.warnings)
    assert files(cache) == set()


def test_root_that_is_a_file_costs_only_the_caching(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("mine")
    source = ChainSource()
    for root in (blocked, blocked / "below"):
        result = HamiltonianCache(root).get_or_compute(chain_structure(), source)
        assert any("cannot be used" in warning for warning in result.provenance.warnings)
    assert source.calls == 2
    assert blocked.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_root_costs_only_the_caching(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = HamiltonianCache(tmp_path).get_or_compute(chain_structure(), ChainSource())
    assert any("cannot be used" in warning for warning in result.provenance.warnings)


def test_full_disk_costs_only_the_caching(
    cache: HamiltonianCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(h, path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hamexplorer.sources.cache.save_hamiltonian", full)
    result = cache.get_or_compute(chain_structure(), ChainSource())
    assert any("No space left" in warning for warning in result.provenance.warnings)
    assert files(cache) == set()


def test_clear_leaves_what_is_not_the_caches_own(cache: HamiltonianCache) -> None:
    cache.get_or_compute(chain_structure(), ChainSource())
    foreign = cache.root / "hamiltonians" / "thesis.h5"
    foreign.write_text("precious")
    assert cache.clear() == 1
    assert files(cache) == {"thesis.h5"}
    assert list((cache.root / "locks").iterdir()) == []
    assert cache.clear() == 0


def test_leftovers_are_removed_only_where_nobody_works(cache: HamiltonianCache) -> None:
    cache.get_or_compute(chain_structure(), ChainSource())
    folder = cache.root / "hamiltonians"
    busy, dead = "a" * 64, "b" * 64
    for key in (busy, dead):
        (folder / f".{key}.partial-0123456789ab.h5").write_bytes(b"half")
    lock = cache._lock(busy)
    with lock:
        assert HamiltonianCache(cache.root).clean() == 1
        assert (folder / f".{busy}.partial-0123456789ab.h5").exists()
    assert HamiltonianCache(cache.root).clean() == 1


def test_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAMEXPLORER_CACHE_DIR", str(tmp_path / "here"))
    assert default_cache_root() == tmp_path / "here"
    assert compute(chain_structure(), ChainSource()).n_electrons == 1
    assert len(HamiltonianCache().entries()) == 1
    monkeypatch.setenv("HAMEXPLORER_CACHE_DIR", " ")
    assert default_cache_root().name == "hamexplorer"


def test_files_are_not_cached(cache: HamiltonianCache, tmp_path: Path) -> None:
    path = tmp_path / "chain.h5"
    save_hamiltonian(chain_hamiltonian(chain_structure()), path)
    cache.get_or_compute(chain_structure(), FileSource(path))
    assert cache.entries() == []


def test_replacing_keeps_the_old_file_when_the_body_fails(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")

    def write_and_stop() -> None:
        with replacing(target) as temporary:
            temporary.write_text("new, ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_replacing_follows_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
