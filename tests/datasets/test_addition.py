"""The user's own calculations in a data set: which H0 they get, and what is refused."""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hamgnn_files import SIC, fields, save_graph, unpacked
from small_crystals import crystal, hamiltonian

from hamexplorer.datasets import DataSet
from hamexplorer.datasets.addition import add
from hamexplorer.datasets.checking import check
from hamexplorer.datasets.generation import Outcome
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import SettingsError
from hamexplorer.formats import ReadOptions
from hamexplorer.hamiltonian import Hamiltonian, save_hamiltonian
from hamexplorer.sources import HamiltonianCache, SuperposedSource, compute
from hamexplorer.structures import load_gallery

OPENMX = Path(__file__).parents[1] / "data" / "openmx" / "wse2_col.scfout.xz"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> HamiltonianCache:
    return HamiltonianCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def zero(cache: HamiltonianCache) -> Hamiltonian:
    source = SuperposedSource(SuperposedSettings(threads=1))
    return compute(load_gallery("graphene"), source, cache=cache)


def refusal(outcome: Outcome) -> str:
    (entry,) = outcome.failed
    assert outcome.made == []
    return f"{entry.error}: {entry.message}"


def test_a_file_of_ours_gets_h0_of_superposed_atoms(
    tmp_path: Path, zero: Hamiltonian, cache: HamiltonianCache
) -> None:
    made = zero.shifted(0.25)
    save_hamiltonian(made, tmp_path / "my run.v2.h5")
    files = [tmp_path / "my run.v2.h5"]
    outcome = add(tmp_path / "set", files, cache=cache, held_out=True)
    assert outcome.failed == []
    (entry,) = outcome.made
    assert entry.origin == "my run.v2.h5"
    assert entry.numbers["overlap"] == 0
    # killed between sample and ledger: adding it again enters it
    (tmp_path / "set" / "ledger.jsonl").unlink()
    assert len(check(tmp_path / "set")) == 1
    assert add(tmp_path / "set", files, cache=cache).present == [entry.name]
    assert check(tmp_path / "set") == ()
    found = DataSet.open(tmp_path / "set")
    (info,) = found.infos
    assert info.name == f"added/C/my-run-{info.structure_hash[:8]}"
    assert (info.family, info.parent, info.formula, info.held_out) == ("added", "C", "C", True)
    sample = found.load(info.name)
    assert np.array_equal(sample.reference.scalar, made.scalar)
    assert np.array_equal(sample.zero, zero.scalar)
    assert sample.reference.position is None
    again = add(tmp_path / "set", files, cache=cache)
    assert (again.made, again.present) == ([], [info.name])
    assert check(tmp_path / "set") == ()


def test_orbitals_that_are_not_the_engines_are_refused(
    tmp_path: Path, zero: Hamiltonian, cache: HamiltonianCache
) -> None:
    foreign = hamiltonian(crystal())
    save_hamiltonian(foreign, tmp_path / "small.h5")
    said = refusal(add(tmp_path / "set", [tmp_path / "small.h5"], cache=cache))
    assert said.startswith("HamiltonianError: There is no H0 in this file's orbitals")
    assert "Accepted are files of hamexplorer compute, and HamGNN graphs" in said
    # shells of the same names, but another overlap: other exponents
    other = replace(zero, overlap=np.where(zero.overlap == 1, 1, zero.overlap * 0.999))
    save_hamiltonian(other, tmp_path / "other.h5")
    said = refusal(add(tmp_path / "set", [tmp_path / "other.h5"], cache=cache))
    assert "no H0 in this file's orbitals" in said
    assert "overlap S of H0 and of the reference differ by" in said
    openmx = tmp_path / "wse2.scfout"
    openmx.write_bytes(lzma.decompress(OPENMX.read_bytes()))
    said = refusal(add(tmp_path / "set", [openmx], cache=cache))
    assert "no H0 in this file's orbitals" in said


def test_elements_and_files_that_are_unknown_are_told(
    tmp_path: Path, cache: HamiltonianCache
) -> None:
    save_hamiltonian(hamiltonian(crystal("U C")), tmp_path / "u.h5")
    said = refusal(add(tmp_path / "set", [tmp_path / "u.h5"], cache=cache))
    assert said.startswith("UnsupportedElementError: There is no H0 for this crystal: ")
    (tmp_path / "text.txt").write_text("nothing")
    assert "text.txt" in refusal(add(tmp_path / "set", [tmp_path / "text.txt"], cache=cache))
    assert "none.h5" in refusal(add(tmp_path / "set", [tmp_path / "none.h5"], cache=cache))
    with pytest.raises(SettingsError, match="no name of a family"):
        add(tmp_path / "set", [], family="a/b")


def test_a_graph_of_hamgnn_brings_its_h0(tmp_path: Path) -> None:
    one = _graph(tmp_path, 1.125)
    two = {**one, "pos": one["pos"] + 0.5}
    path = save_graph(tmp_path / "graph_data.npz", one, two)
    outcome = add(tmp_path / "set", [path], family="mine")
    assert outcome.failed == []
    found = DataSet.open(tmp_path / "set")
    assert len(found) == 2
    assert all(info.family == "mine" and info.formula == "SiC" for info in found.infos)
    sample = found.load(found.infos[0].name)
    assert np.allclose(sample.reference.scalar, 1.125 * sample.zero, atol=1e-5)
    assert np.abs(sample.zero).max() > 1
    single = add(tmp_path / "single", [path], options=ReadOptions(index=1))
    assert len(single.made) == 1
    assert check(tmp_path / "set") == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: {**g, "Hon": g["Hon0"], "Hoff": g["Hoff0"]}, "the target equals its H0"),
        (lambda g: {**g, "Hon0": None, "Hoff0": None}, "has no H0"),
        (lambda g: {**g, "Hon0": 0 * g["Hon0"], "Hoff0": 0 * g["Hoff0"]}, "its H0 is zero"),
    ],
)
def test_graphs_without_an_h0_to_learn_from(tmp_path: Path, change: Any, said: str) -> None:
    path = save_graph(tmp_path / "graph_data.npz", change(_graph(tmp_path, 1.125)))
    assert said in refusal(add(tmp_path / "set", [path]))


def _graph(folder: Path, factor: float) -> Mapping[str, Any]:
    """The fixture's crystal with a target that is its H0 times ``factor``."""
    graph = fields(unpacked(SIC, folder) / "graph_data_nonsoc.npz")
    return {**graph, "Hon": factor * graph["Hon0"], "Hoff": factor * graph["Hoff0"]}
