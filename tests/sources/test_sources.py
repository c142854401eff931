"""The file and DFT sources, the registry, and ``compute``."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from chain import ChainSource, chain_hamiltonian, chain_structure

from hamexplorer.errors import FileFormatError, ResourceLimitError, SettingsError, StructureError
from hamexplorer.hamiltonian import save_hamiltonian
from hamexplorer.sources import (
    DftSource,
    FileSource,
    Source,
    SuperposedSource,
    compute,
    make_source,
    source_names,
)
from hamexplorer.structures import load_gallery


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "chain.h5"
    save_hamiltonian(chain_hamiltonian(chain_structure(), onsite=0.75), path)
    return path


def test_every_source_keeps_the_protocol(stored: Path) -> None:
    for source in (FileSource(stored), ChainSource(), DftSource(), SuperposedSource()):
        assert isinstance(source, Source)
    assert source_names() == ("dft", "superposed", "learned", "file", "model")


def test_file_answers_for_its_own_structure_alone(stored: Path) -> None:
    source = FileSource(stored)
    assert np.isclose(source.compute(chain_structure()).scalar.max(), 0.75)
    assert source.capability().elements == {"H"}
    with pytest.raises(StructureError, match=r"chain\.h5 holds the Hamiltonian of H1"):
        source.check(chain_structure(3.2))
    with pytest.raises(StructureError):
        source.check(chain_structure() * (2, 1, 1))


def test_file_that_is_missing_foreign_truncated_or_huge(
    tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    structure = chain_structure()
    with pytest.raises(FileFormatError, match="no such file"):
        FileSource(tmp_path / "none.h5").compute(structure)
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match="another program"):
        FileSource(foreign).compute(structure)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(stored.read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="truncated"):
        FileSource(cut).compute(structure)
    monkeypatch.setattr("hamexplorer.sources.file.MAX_FILE_BYTES", 1000)
    with pytest.raises(ResourceLimitError, match="are read"):
        FileSource(stored).compute(structure)


def test_registry_names_what_is_wrong() -> None:
    with pytest.raises(
        SettingsError, match=r"'vasp'; accepted are dft, superposed, learned, file, model"
    ):
        make_source("vasp")
    with pytest.raises(SettingsError, match=r"no setting 'kmesg'; there are basis, kmesh"):
        make_source("dft", kmesg=(1, 1, 1))
    with pytest.raises(SettingsError, match=r"superposed atoms has no setting 'kmesh'"):
        make_source("superposed", kmesh=(1, 1, 1))
    with pytest.raises(SettingsError, match=r"spacing must lie in 0\.03 … 0\.5 Å, not 2"):
        make_source("superposed", spacing=2)
    with pytest.raises(SettingsError, match="smearing must lie in"):
        make_source("dft", smearing=-0.1)
    with pytest.raises(SettingsError, match="takes one setting, path"):
        make_source("file", name="x")
    source = make_source("dft", kmesh=(6, 6, 1))
    assert isinstance(source, DftSource)
    assert source.settings.kmesh == (6, 6, 1)


def test_compute_takes_settings_with_a_name_only() -> None:
    with pytest.raises(SettingsError, match="go with a source's name"):
        compute(chain_structure(), ChainSource(), cache=False, onsite=1.0)
    source = ChainSource()
    for _ in range(2):
        compute(chain_structure(), source, cache=False)
    assert source.calls == 2


def test_dft_key_holds_physics_and_engine_but_not_threads() -> None:
    pytest.importorskip("hamexplorer.dft.engine")
    structure = chain_structure()
    key = make_source("dft").settings_key(structure)
    assert make_source("dft", threads=1, memory_limit=4e9).settings_key(structure) == key
    assert make_source("dft", smearing=0.004).settings_key(structure) != key


def test_superposed_atoms_have_a_key_of_their_own_and_count_what_they_take() -> None:
    structure = load_gallery("si")
    source = make_source("superposed")
    key = source.settings_key(structure)
    assert key not in (make_source("dft").settings_key(structure), None)
    limits = {"threads": 1, "memory_limit": 4e9, "max_atoms": 3000}
    assert make_source("superposed", **limits).settings_key(structure) == key
    for other in ({"spacing": 0.2}, {"residual": False}):
        assert make_source("superposed", **other).settings_key(structure) != key
    assert source.estimate(structure * (3, 3, 3)).seconds > source.estimate(structure).seconds
    with pytest.raises(ResourceLimitError, match="at most 2000"):
        source.check(structure * (11, 10, 10))
    told, bare = source.capability(), make_source("superposed", residual=False).capability()
    assert told.assessed is not None
    assert "Si" in told.assessed
    assert "unfitted" in bare.accuracy
