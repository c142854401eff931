"""DeepH's sets with wrong, missing, damaged and overlarge files: our own errors, in time."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import models
import numpy as np
import pytest
from damage import damaged_variants
from deeph_files import FILES, arrays_of, change, complaint, edit_info, openmx, unpacked
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from spin_cases import component_difference

from hamexplorer.errors import HamexplorerError
from hamexplorer.formats import read_hamiltonian
from hamexplorer.formats.deeph import write_old
from hamexplorer.formats.writing import WriteOptions
from hamexplorer.hamiltonian import Shell

# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("old_wse2_col", "rh.h5", "local frame of each bond"),
        ("old_wse2_col", "overlaps.h5", "is the overlap"),
        ("new_fe_col", "density_matrix.h5", "a density matrix"),
    ],
)
def test_a_chosen_file_that_is_no_hamiltonian(
    name: str, chosen: str, message: str, tmp_path: Path
) -> None:
    folder = unpacked(name, tmp_path / "set")
    if not (folder / chosen).exists():
        shutil.copy(folder / FILES[name[:3]][0], folder / chosen)
    assert message in complaint(folder / chosen)


def test_a_folder_with_rotated_blocks_alone(tmp_path: Path) -> None:
    folder = unpacked("old_wse2_col", tmp_path / "set")
    shutil.move(folder / "hamiltonians.h5", folder / "rh.h5")
    assert "local frame of each bond" in complaint(folder)
    (folder / "rh.h5").unlink()
    assert "overlaps.h5 is the overlap" in complaint(folder)


def test_a_hamiltonian_of_any_name(tmp_path: Path) -> None:
    folder = unpacked("old_wse2_col", tmp_path / "set")
    shutil.move(folder / "hamiltonians.h5", folder / "mine.h5")
    assert component_difference(read_hamiltonian(folder), openmx("wse2_col")) < 1e-12
    shutil.copy(folder / "mine.h5", folder / "other.h5")
    assert "mine.h5, other.h5; give one" in complaint(folder)
    assert component_difference(read_hamiltonian(folder / "other.h5"), openmx("wse2_col")) < 1e-12


INFO = "info.json"


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("new_fe_col", "POSCAR", None, "POSCAR is missing"),
        ("new_fe_col", INFO, None, "info.json is missing"),
        ("new_fe_col", INFO, "{", "info.json is no JSON"),
        ("new_fe_col", INFO, "[" * 100000, "info.json is no JSON"),
        ("new_fe_col", INFO, "[]", "must be an object"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Co": [0]}}, "has no Fe"),
        ("new_fe_col", INFO, {"elements_orbital_map": None}, "must be an object"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Fe": [0, 1, -2]}}, "0 … 6"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Fe": [0, 1, 7]}}, "0 … 6"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Fe": []}}, "0 … 6"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Fe": [0] * 9999}}, "0 … 6"),
        ("new_fe_col", INFO, {"elements_orbital_map": {"Fe": [0, 1]}}, "'orbits_quantity' is 9"),
        ("new_fe_col", INFO, {"atoms_quantity": 2}, "but 1 by POSCAR"),
        ("new_fe_col", INFO, {"spinful": False}, "with spin"),
        ("new_fe_col", INFO, {"spinful": 1}, "true or false"),
        ("new_fe_col", INFO, {"fermi_energy_eV": "low"}, "must be a number"),
        ("new_fe_col", INFO, {"fermi_energy_eV": float("nan")}, "must be a number"),
        ("new_fe_col", INFO, {"occupation": 19}, "do not fit"),
        ("old_wse2_col", "lat.dat", None, "lat.dat is missing"),
        ("old_wse2_col", "lat.dat", "1 0 0\n0 1 0\n", "(3, 3)"),
        ("old_wse2_col", "lat.dat", "1 0 0\n0 1 0\n0 0 x\n", "rows of numbers"),
        ("old_wse2_col", "lat.dat", "1 0 0\n0 1 0\n0 0 nan\n", "finite"),
        ("old_wse2_col", "lat.dat", "1 0 1\n0 1 0\n0 0 0\n", "volume"),
        ("old_wse2_col", "site_positions.dat", "0 1\n0 1\n0 1\n", "(3, 3)"),
        ("old_wse2_col", "site_positions.dat", "0 0 1\n0 0 1\n0 0 1\n", "duplicates"),
        ("old_wse2_col", "element.dat", "74\n34\n119\n", "119 is no atomic number"),
        ("old_wse2_col", "element.dat", "74\n34\n3.5\n", "3.5 is no atomic number"),
        ("old_wse2_col", "orbital_types.dat", "0 0 1 2\n0 1\n", "one for each of 3 atoms"),
        ("old_wse2_col", "orbital_types.dat", "0 0 1 2\n0 1\n0 9\n", "0 … 6"),
        ("old_wse2_col", "orbital_types.dat", "0 0 1 2\n0 1\n0 2\n", "by the orbitals"),
        ("old_wse2_col", INFO, {"isspinful": True}, "without spin"),
    ],
)
def test_small_files_that_are_wrong(
    name: str, file: str, content: Any, message: str, tmp_path: Path
) -> None:
    folder = unpacked(name, tmp_path / "set")
    if content is None:
        (folder / file).unlink()
    elif isinstance(content, dict):
        edit_info(folder, **content)
    else:
        (folder / file).write_text(content)
    assert message in complaint(folder)


BIG = np.iinfo(np.int64)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["atom_pairs"].__setitem__((3, 4), 3), "has 3 sites"),
        (lambda d: d["atom_pairs"].__setitem__((3, 3), -1), "has 3 sites"),
        (lambda d: d["atom_pairs"].__setitem__((3, 0), 2**40), "within ±1000000"),
        (lambda d: d["atom_pairs"].__setitem__((3, 0), BIG.min), "within ±1000000"),
        (lambda d: d["atom_pairs"].__setitem__((3, 2), 5), "no reverse of block"),
        (lambda d: d["atom_pairs"].__setitem__(4, d["atom_pairs"][3]), "twice"),
        (lambda d: d["chunk_shapes"].__setitem__((5, 0), 7), "has shape (7, "),
        (lambda d: d["chunk_shapes"].__setitem__((5, 1), BIG.max), "has shape"),
        (lambda d: d["chunk_boundaries"].__setitem__(5, 1), "chunk_boundaries"),
        (lambda d: d["chunk_boundaries"].__setitem__(-1, BIG.max), "chunk_boundaries"),
        (lambda d: d.update(entries=d["entries"][:-1]), "chunk_boundaries"),
        (lambda d: d.update(entries=d["entries"][:0]), "chunk_boundaries"),
        (lambda d: d.update(atom_pairs=d["atom_pairs"][:, :4]), "disagree"),
        (lambda d: d.update(atom_pairs=d["atom_pairs"][:0]), "disagree"),
        (lambda d: d.update(atom_pairs=d["atom_pairs"].astype(float)), "expected are integers"),
        (lambda d: d.update(entries=d["entries"].astype("S8")), "real or complex"),
        (lambda d: d.update(entries=d["entries"][None]), "1 dimensions"),
        (lambda d: d["entries"].__setitem__(100, np.nan), "not finite"),
        (lambda d: d["entries"].__setitem__(100, 1e300), "not Hermitian"),
        (lambda d: d["entries"].__setitem__(45, d["entries"][45] + 1e-3), "not Hermitian"),
    ],
)
def test_wrong_content_of_the_new_layout(
    edit: Callable[[dict[str, NDArray[Any]]], None], message: str, tmp_path: Path
) -> None:
    folder = unpacked("new_wse2_nc", tmp_path / "set")
    data = arrays_of(folder / "hamiltonian.h5")
    edit(data)
    change(folder / "hamiltonian.h5", **data)
    assert message in complaint(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: f.move("[1, 0, 0, 1, 2]", "[1, 0, 0, 1, 4]"), "has 3 sites"),
        (lambda f: f.move("[1, 0, 0, 1, 2]", "[1, 0, 0, 1, 0]"), "has 3 sites"),
        (lambda f: f.move("[1, 0, 0, 1, 2]", "[1, 0, 9999999, 1, 2]"), "within ±1000000"),
        (lambda f: f.move("[1, 0, 0, 1, 2]", f"[1, 0, {10**30}, 1, 2]"), "names no block"),
        (lambda f: f.move("[1, 0, 0, 1, 2]", "[1, 0, 0, 1, 2, 1]"), "names no block"),
        (lambda f: f.copy("[1, 0, 0, 1, 2]", "[1,0,0,1,2]"), "twice"),
        (lambda f: f.move("[1, 0, 0, 1, 2]", "[7, 0, 0, 1, 2]"), "no reverse"),
        (lambda f: f.create_dataset("[5, 5, 5, 1, 1]", data=np.eye(10)), "no reverse"),
        (lambda f: remade(f, "[0, 0, 0, 1, 1]", np.eye(9)), "by the orbitals"),
        (lambda f: remade(f, "[1, 0, 0, 1, 2]", np.ones((4, 10))), "by the orbitals"),
        (lambda f: remade(f, "[1, 0, 0, 1, 2]", np.ones((10, 4), "f4")), "float32"),
        (lambda f: remade(f, "[0, 0, 0, 1, 1]", np.full((10, 10), np.nan)), "not finite"),
        (lambda f: remade(f, "[0, 0, 0, 1, 1]", h5py.SoftLink("/x")), "is a link"),
        (lambda f: remade(f, "[0, 0, 0, 1, 1]", h5py.ExternalLink("x.h5", "/x")), "is a link"),
        (lambda f: f.create_group("[5, 5, 5, 1, 1]"), "no reverse"),
    ],
)
def test_wrong_content_of_the_old_layout(
    edit: Callable[[h5py.File], None], message: str, tmp_path: Path
) -> None:
    folder = unpacked("old_wse2_col", tmp_path / "set")
    with h5py.File(folder / "hamiltonians.h5", "r+") as file:
        edit(file)
    assert message in complaint(folder)


def remade(file: h5py.File, name: str, value: Any) -> None:
    del file[name]
    file[name] = value


def test_an_overlap_that_is_none(tmp_path: Path) -> None:
    folder = unpacked("new_wse2_nc", tmp_path / "set")
    overlap = arrays_of(folder / "overlap.h5")
    change(folder / "overlap.h5", entries=overlap["entries"] + 0.1j)
    assert "is real" in complaint(folder)
    change(folder / "overlap.h5", entries=-overlap["entries"])
    assert "not positive definite" in complaint(folder)
    shutil.copy(folder / "hamiltonian.h5", folder / "overlap.h5")
    assert "an overlap has none" in complaint(folder)


# --- damage and size ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new_wse2_nc", "old_wse2_col"])
@pytest.mark.parametrize("which", [0, 1], ids=["hamiltonian", "overlap"])
def test_damaged_files(name: str, which: int, tmp_path: Path) -> None:
    folder = unpacked(name, tmp_path / "set")
    file = folder / FILES[name[:3]][which]
    expected = read_hamiltonian(folder)
    data = file.read_bytes()
    # an orbital's own element on its site stands in the file once: nothing tells its change
    once = expected.pairs.transposition == np.arange(expected.pairs.n_elements)
    messages: list[str] = []
    for what, variant in itertools.chain(
        damaged_variants(data, seed=which, count=40, header=2048), flipped(data, 40)
    ):
        file.unlink()  # others may still read the one before
        file.write_bytes(variant)
        start = time.perf_counter()
        try:
            h = read_hamiltonian(folder)
        except HamexplorerError as error:
            messages.append(str(error))
        else:
            assert h.pairs.same_as(expected.pairs), what
            for part in ("overlap", "scalar"):
                changed = np.abs(getattr(h, part) - getattr(expected, part)) > 1e-4
                assert not (changed & ~once).any(), what
        assert time.perf_counter() - start < 2, what
    assert len(messages) > 30
    assert min(map(len, messages)) > 20


def flipped(data: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Variants with one to three bits turned over, half of them among the first bytes."""
    random = np.random.default_rng(1)
    for _ in range(count):
        variant = bytearray(data)
        end = len(data) if random.random() < 0.5 else 4096
        for at in random.integers(0, end, random.integers(1, 4)):
            variant[at] ^= 1 << int(random.integers(0, 8))
        yield "bits turned over", bytes(variant)


def test_declared_sizes_are_not_believed(tmp_path: Path) -> None:
    folder = unpacked("new_fe_col", tmp_path / "set")
    with h5py.File(folder / "hamiltonian.h5", "r+") as file:
        del file["entries"]
        file.create_dataset("entries", shape=(10**12,), dtype="f8", chunks=(10**6,))
    assert "it declares 8e+03 GB" in complaint(folder)
    old = unpacked("old_wse2_col", tmp_path / "old")
    n = 150  # shells
    (old / "orbital_types.dat").write_text(f"{'6 ' * n}\n0 1\n0 1\n")
    with h5py.File(old / "hamiltonians.h5", "w") as file:
        file.create_dataset("[0, 0, 0, 1, 1]", shape=(13 * n, 13 * n), dtype="f8")
        for a in range(1, 50):  # one data set under many names
            file[f"[{a}, 0, 0, 1, 1]"] = file["[0, 0, 0, 1, 1]"]
    assert "bytes of blocks but has" in complaint(old)


@pytest.mark.slow
def test_twenty_thousand_named_blocks_open_in_seconds(tmp_path: Path) -> None:
    n = 10_000
    cells = np.arange(n) + 1
    structure = Structure(Lattice.cubic(3), ["H"], [[0, 0, 0]])
    block = np.arange(81.0).reshape(9, 9) * 1e-9
    h = models.build(
        structure,
        [[Shell("s", 0), Shell("p", 1), Shell("d", 2)]],
        2.0,
        scalar={(0, 0, (int(a), 0, 0)): block for a in cells},
    )
    write_old(h, tmp_path / "set", WriteOptions())
    start = time.perf_counter()
    back = read_hamiltonian(tmp_path / "set")
    # two files; measured 2.5 s with nothing else running
    assert time.perf_counter() - start < 15
    assert back.pairs.n_pairs == 2 * n + 1
    assert component_difference(back, h) < 1e-15
