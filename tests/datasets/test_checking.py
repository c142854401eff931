"""What ``check`` finds: every kind of damage and contradiction, each in its own words."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_crystals import RECIPE, SmallCalculator, crystal, hamiltonian

from hamexplorer.datasets.checking import Finding, check
from hamexplorer.datasets.generation import make
from hamexplorer.datasets.ledger import Entry, Ledger
from hamexplorer.datasets.recipe import load_recipe
from hamexplorer.datasets.sample import load_sample, made_sample, save_sample
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Basis, Pairs, Shell

NAME = "layers/graphene/0002"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "r.yaml").write_text(RECIPE)
    with ThreadPoolExecutor(1) as executor:
        recipe = load_recipe(folder / "r.yaml")
        make(recipe, folder / "set", SmallCalculator(), executor, in_flight=1, limit=4)
    return folder / "set"


@pytest.fixture
def stored(made: Path, tmp_path: Path) -> StoredFolder:
    shutil.copytree(made, tmp_path / "set")
    return StoredFolder(tmp_path / "set")


def messages(stored: StoredFolder, name: str = NAME) -> list[str]:
    found = check(stored.path)
    assert {finding.name for finding in found} <= {name}
    return [finding.message for finding in found]


def test_a_whole_set_is_found_whole(stored: StoredFolder) -> None:
    assert check(stored.path) == ()
    with pytest.raises(FileFormatError, match="no data set"):
        check(stored.path.parent)


def test_any_flipped_byte_is_found(stored: StoredFolder) -> None:
    path = stored.sample(NAME)
    good = path.read_bytes()
    for place in np.random.default_rng(4).integers(0, len(good), 25):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        (said,) = messages(stored)
        assert "SHA-256 is not the ledger's" in said or "Remove the file" in said


def test_numbers_that_were_changed_by_a_program_are_found(stored: StoredFolder) -> None:
    sample = load_sample(stored.sample(NAME))
    changed = replace(sample, zero=sample.zero * 1.001)
    save_sample(changed, stored.sample(NAME))
    assert messages(stored)[0] == "Its content is not the one that its digest tells."
    wrong = replace(sample, info=replace(sample.info, structure_hash="0" * 64))
    save_sample(wrong, stored.sample(NAME))
    assert messages(stored)[0] == "Its structure is not the one that its hash tells."


def test_duplicates_and_renamed_files_are_named(stored: StoredFolder) -> None:
    copied = "layers/graphene/0099"
    shutil.copy(stored.sample(NAME), stored.sample(copied))
    said = messages(stored, copied)
    assert said[0] == f"The file holds the sample '{NAME}': it was renamed."
    assert said[1].startswith("The ledger does not have it as done")
    assert said[2] == f"It is the same crystal as {NAME}."


def test_the_ledger_is_held_against_the_files(stored: StoredFolder) -> None:
    stored.sample(NAME).unlink()
    assert messages(stored) == ["The ledger has it as done, but its file is gone."]
    with stored.ledger.open("a") as file:
        file.write('{"name": "layers')
    assert check(stored.path)[-1] == Finding(
        "", "The ledger has a line that cannot be read (cut off by a kill)."
    )


def test_elements_with_other_orbitals_are_named(stored: StoredFolder) -> None:
    h = hamiltonian(crystal("C Si"))
    basis = Basis(h.basis.symbols, ((Shell("2s", 0),), (Shell("1s", 0),)))
    pairs = Pairs(h.pairs.first, h.pairs.second, h.pairs.cell, basis.sizes)
    other = replace(h, basis=basis, pairs=pairs)
    name = "mine/CSi/0000"
    sample = made_sample(other, other.scalar, name=name, family="mine", parent="CSi")
    save_sample(sample, stored.sample(name))
    Ledger(stored.ledger).append(Entry(name, "done"))
    assert messages(stored, name) == ["Its C has other orbitals than that of layers/graphene/0000."]
