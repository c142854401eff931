"""DeepH's sets against those of the format's own library, and the writers against both."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import models
import numpy as np
import pytest
import scipy.linalg
from deeph_files import (
    DATA,
    FILES,
    SETS,
    WRITERS,
    arrays_of,
    blocks_of,
    change,
    complaint,
    edit_info,
    mos2,
    openmx,
    unpacked,
)
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from spin_cases import KINDS, component_difference, eigenvalues, random_case

from hamexplorer.assets_path import asset
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.formats import (
    ReadOptions,
    bundle_of_bytes,
    bundle_of_path,
    read_bundle,
    read_hamiltonian,
    recognised,
)
from hamexplorer.formats.deeph import write_new, write_old
from hamexplorer.formats.orders import OPENMX, site_order
from hamexplorer.formats.writing import WriteOptions
from hamexplorer.hamiltonian import Basis, Pairs, SpinState

K = np.random.default_rng(7).uniform(-1, 1, (3, 3))


# --- reading what the library wrote -------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_every_block_of_the_librarys_sets_is_that_of_openmx(name: str) -> None:
    # read from the scfout by another reader, whose bands are those that OpenMX printed
    expected = openmx(name[4:])
    h = read_hamiltonian(DATA / "deeph" / name)
    assert h.components == expected.components
    assert component_difference(h, expected) < 1e-12
    assert np.abs(h.structure.cart_coords - expected.structure.cart_coords).max() < 1e-9
    assert h.n_electrons == expected.n_electrons
    assert h.provenance.warnings == ()
    assert h.provenance.source == "deeph"
    fermi = expected.provenance.results["fermi_energy_eV"]
    assert h.provenance.results["fermi_energy_eV"] == pytest.approx(fermi, abs=1e-9)


def test_a_file_of_the_set_opens_it_and_so_does_an_archive(tmp_path: Path) -> None:
    folder = unpacked("old_wse2_col", tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inside/{file.name}")
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    opened = [
        read_hamiltonian(folder / "hamiltonians.h5"),
        read_hamiltonian(tmp_path / "set.zip"),
        read_bundle(bundle_of_bytes(contents)),
        read_hamiltonian(DATA / "deeph" / "old_wse2_col" / "hamiltonians.h5.xz"),
    ]
    for h in opened:
        assert component_difference(h, openmx("wse2_col")) < 1e-12
    assert set(opened[0].provenance.settings["files"]) == set(contents) - {"rlat.dat"}


def test_several_sets_of_an_archive_keep_apart(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sets.zip", "w") as archive:
        for name in ("old_wse2_nc", "new_fe_col"):
            for file in (DATA / "deeph" / name).iterdir():
                archive.write(file, f"{name}/{file.name}")
    first = read_hamiltonian(tmp_path / "sets.zip")
    second = read_hamiltonian(tmp_path / "sets.zip", ReadOptions(index=1))
    assert component_difference(first, openmx("wse2_nc")) < 1e-12
    assert component_difference(second, openmx("fe_col")) < 1e-12
    assert "2 DeepH sets" in complaint(tmp_path / "sets.zip", ReadOptions(index=2))


def test_other_hdf5_is_not_taken_for_deeph(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "hamiltonian.h5", "w") as file:
        file["1/0_0_0_0_0"] = np.eye(3)
    assert recognised(bundle_of_path(tmp_path)) is None
    found = recognised(bundle_of_path(asset("examples/mos2.h5")))
    assert found is not None
    assert found.name == "hamexplorer"


# --- writing ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_what_is_written_is_what_the_library_writes(name: str, tmp_path: Path) -> None:
    layout = name[:3]
    WRITERS[layout](openmx(name[4:]), tmp_path / "mine", WriteOptions())
    theirs = unpacked(name, tmp_path / "theirs")
    for file in FILES[layout]:
        mine, other = (blocks_of(folder / file) for folder in (tmp_path / "mine", theirs))
        assert mine.keys() == other.keys()
        for key, block in other.items():
            assert mine[key].shape == block.shape
            # OpenMX's matrices are Hermitian to 1e-8 eV only; the library leaves that as it is
            assert np.abs(mine[key] - block).max() < 2e-8
    mine_info, info = (
        json.loads((folder / "info.json").read_text()) for folder in (tmp_path / "mine", theirs)
    )
    for key, value in info.items():
        assert mine_info[key] == (pytest.approx(value) if isinstance(value, float) else value)
    for text in theirs.glob("*.dat"):
        mine_words, words = (
            path.read_text().split() for path in (tmp_path / "mine" / text.name, text)
        )
        assert np.abs(np.array(mine_words, float) - np.array(words, float)).max() < 1e-8


def plain_bands(folder: Path, layout: str, sizes: list[int], k: NDArray[np.float64]) -> Any:
    """Eigenvalues of a set by nothing but the description of its layout."""
    matrices = []
    for file in FILES[layout]:
        blocks = blocks_of(folder / file)
        spins = blocks[0, 0, 0, 0, 0].shape[0] // sizes[0]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        total = np.zeros((spins, edges[-1], spins, edges[-1]), dtype=complex)
        for (*cell, i, j), block in blocks.items():
            total[:, edges[i] : edges[i + 1], :, edges[j] : edges[j + 1]] += np.exp(
                2j * np.pi * np.dot(cell, k)
            ) * block.reshape(spins, sizes[i], spins, sizes[j])
        matrices.append(total.reshape(spins * edges[-1], -1))
    h, s = matrices
    if len(s) < len(h):
        s = np.kron(np.eye(2), s)
    return scipy.linalg.eigh(h, s, eigvals_only=True)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("kind", [*KINDS, "mos2", "fe_nc"])
def test_round_trip(kind: str, layout: str, tmp_path: Path) -> None:
    h = {"mos2": mos2, "fe_nc": lambda: openmx("fe_nc")}.get(kind, lambda: random_case(kind))()
    report = WRITERS[layout](h, tmp_path / "set", WriteOptions())
    back = read_hamiltonian(tmp_path / "set")
    assert component_difference(back, h) < 1e-10
    assert back.n_electrons == h.n_electrons
    assert sorted(report.files) == sorted((tmp_path / "set").iterdir())
    for k in K:
        expected = eigenvalues(h, k)
        assert np.abs(eigenvalues(back, k) - expected).max() < 1e-8
        plain = plain_bands(tmp_path / "set", layout, h.basis.sizes.tolist(), k)
        if kind == "spinless":
            plain = np.repeat(plain, 2)
        assert np.abs(plain - expected).max() < 1e-8


@pytest.mark.parametrize("layout", WRITERS)
def test_the_dial_is_written_in(layout: str, tmp_path: Path) -> None:
    h = random_case("magnetic spin-orbit")
    state = SpinState(soc=0.4, theta=65.0, phi=20.0, exchange=1.3)
    report = WRITERS[layout](h, tmp_path / "set", WriteOptions(state))
    back = read_hamiltonian(tmp_path / "set")
    for k in K:
        assert np.abs(eigenvalues(back, k) - eigenvalues(h, k, state)).max() < 1e-8
    assert any("λ = 0.4, θ = 65°" in note for note in report.notes)


def test_without_spin_only_the_scalar_part_is_written(tmp_path: Path) -> None:
    h = random_case("all")
    report = write_new(h, tmp_path / "set", WriteOptions(spinor=False))
    back = read_hamiltonian(tmp_path / "set")
    bare = replace(h, exchange=None, spin_orbit=None, time_odd=None)
    assert component_difference(back, bare) < 1e-10
    assert any("exchange, spin–orbit, the time-odd part left out" in n for n in report.notes)


def test_a_complex_spinless_hamiltonian_is_written_as_spinors(tmp_path: Path) -> None:
    h = models.haldane()
    write_new(h, tmp_path / "set", WriteOptions())
    assert json.loads((tmp_path / "set" / "info.json").read_text())["spinful"] is True
    assert component_difference(read_hamiltonian(tmp_path / "set"), h) < 1e-12


@pytest.mark.parametrize("layout", WRITERS)
def test_sites_cells_and_hands_stay_as_they_are(layout: str, tmp_path: Path) -> None:
    # elements that are not in one piece, sites outside the cell, a left-handed lattice
    h = mos2()
    order = [1, 0, 2]
    basis = Basis(*(tuple(of[i] for i in order) for of in (h.basis.symbols, h.basis.shells)))
    place = np.argsort(order)
    pairs = Pairs(
        place[h.pairs.first], place[h.pairs.second], h.pairs.cell * [1, 1, -1], basis.sizes
    )
    structure = Structure(
        Lattice(h.structure.lattice.matrix * [[1], [1], [-1]]),
        basis.symbols,
        h.structure.cart_coords[order],
        coords_are_cartesian=True,
    )
    turned = replace(h, structure=structure, basis=basis, pairs=pairs)
    report = WRITERS[layout](turned, tmp_path / "set", WriteOptions())
    back = read_hamiltonian(tmp_path / "set")
    assert back.basis.symbols == ("S", "Mo", "S")
    assert component_difference(back, turned) < 1e-10
    assert np.abs(back.structure.lattice.matrix - structure.lattice.matrix).max() < 1e-13
    assert np.abs(back.structure.cart_coords - structure.cart_coords).max() < 1e-13
    assert any("S Mo S" in note for note in report.notes) == (layout == "new")
    # the rotation law holds only if R counts from these images
    assert back.provenance.warnings == ()


def test_what_the_format_does_not_keep_is_told(tmp_path: Path) -> None:
    notes = write_new(mos2(), tmp_path / "set", WriteOptions()).notes
    assert any("position matrix elements" in note for note in notes)
    assert any("only l is kept" in note for note in notes)
    back = read_hamiltonian(tmp_path / "set")
    assert back.basis.site_labels == mos2().basis.site_labels
    assert [s.label for s in back.basis.shells[1]] == ["s1", "s2", "p1", "p2", "d1"]


def test_one_element_with_two_bases_has_a_place_in_the_old_layout_alone(tmp_path: Path) -> None:
    structure = Structure(Lattice.cubic(4), ["C", "C"], [[0, 0, 0], [0.4, 0.5, 0.5]])
    h = models.build(
        structure,
        [[models.S], [models.S, models.P]],
        2.0,
        scalar={(0, 1, (0, 0, 0)): np.array([[1.0, 0.5, 0.2, 0.1]])},
    )
    with pytest.raises(SettingsError, match="one basis for each element"):
        write_new(h, tmp_path / "new", WriteOptions())
    assert not (tmp_path / "new").exists()
    write_old(h, tmp_path / "old", WriteOptions())
    assert component_difference(read_hamiltonian(tmp_path / "old"), h) < 1e-12


def test_nothing_is_left_of_a_set_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_new(models.chain(), tmp_path / "set", WriteOptions())
    before = {file.name: file.read_bytes() for file in (tmp_path / "set").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hamexplorer.formats.deeph.writer.write_chunked", full)
    for target in ("set", "other"):
        with pytest.raises(HamexplorerError, match="No space left"):
            write_new(mos2(), tmp_path / target, WriteOptions())
    assert {file.name: file.read_bytes() for file in (tmp_path / "set").iterdir()} == before
    assert not (tmp_path / "other").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="no folder"):
        write_new(models.chain(), tmp_path / "file", WriteOptions())


# --- what a file may have, too ------------------------------------------------------------


def one_direction(folder: Path, keep: Callable[..., bool]) -> None:
    """Leave only blocks (R, i, j) that ``keep`` holds of."""
    for file in FILES["old"]:
        with h5py.File(folder / file, "r+") as opened:
            for key in list(opened):
                if not keep(*json.loads(key)):
                    del opened[key]


@pytest.mark.parametrize(
    "keep",
    [
        lambda *key: key >= (-key[0], -key[1], -key[2], key[4], key[3]),
        lambda *key: key[3] <= key[4],
    ],
    ids=["half of all", "i ≤ j"],
)
def test_one_direction_of_each_pair_suffices(keep: Callable[..., bool], tmp_path: Path) -> None:
    folder = unpacked("old_wse2_nc", tmp_path / "set")
    one_direction(folder, keep)
    h = read_hamiltonian(folder)
    assert h.pairs.n_pairs == 155
    assert component_difference(h, openmx("wse2_nc")) < 1e-12


def test_pairs_in_another_sequence(tmp_path: Path) -> None:
    folder = unpacked("new_wse2_nc", tmp_path / "set")
    blocks = blocks_of(folder / "hamiltonian.h5")
    keys = list(blocks)
    np.random.default_rng(1).shuffle(keys)
    flat = [blocks[tuple(key)].ravel() for key in keys]
    change(
        folder / "hamiltonian.h5",
        atom_pairs=np.array(keys, dtype=np.int32),
        chunk_shapes=np.array([blocks[tuple(key)].shape for key in keys], dtype=np.uint16),
        chunk_boundaries=np.concatenate([[0], np.cumsum([len(part) for part in flat])]),
        entries=np.concatenate(flat),
    )
    assert component_difference(read_hamiltonian(folder), openmx("wse2_nc")) < 1e-12


@pytest.mark.parametrize("layout", WRITERS)
def test_packed_and_single_precision_data(layout: str, tmp_path: Path) -> None:
    h = openmx("wse2_nc")
    WRITERS[layout](h, tmp_path / "set", WriteOptions())
    for file in FILES[layout]:
        stored = arrays_of(tmp_path / "set" / file)
        with h5py.File(tmp_path / "set" / file, "w") as opened:
            for name, values in stored.items():
                small = values.astype({"c": "c8", "f": "f4", "i": "i8"}[values.dtype.kind])
                opened.create_dataset(name, data=small, compression="gzip", shuffle=True)
    back = read_hamiltonian(tmp_path / "set")
    assert 1e-9 < component_difference(back, h) < 1e-5


def test_orbitals_in_an_unexpected_order_are_found_by_their_overlap(tmp_path: Path) -> None:
    # a new set whose maker left OpenMX's order: the same bands, but wrong labels
    h = openmx("wse2_nc")
    write_new(h, tmp_path / "set", WriteOptions())
    order = [site_order([s.l for s in shells], OPENMX)[0] for shells in h.basis.shells]
    for file in FILES["new"]:
        blocks = blocks_of(tmp_path / "set" / file)
        spins = 2 if file == "hamiltonian.h5" else 1
        for key, block in blocks.items():
            n, m = block.shape[0] // spins, block.shape[1] // spins
            theirs = np.empty_like(block).reshape(spins, n, spins, m)
            rows, columns = order[key[3]], order[key[4]]
            theirs[:, rows[:, None], :, columns] = block.reshape(spins, n, spins, m)[
                :, np.arange(n)[:, None], :, np.arange(m)
            ]
            blocks[key] = theirs.reshape(block.shape)
        change(
            tmp_path / "set" / file, entries=np.concatenate([b.ravel() for b in blocks.values()])
        )
    back = read_hamiltonian(tmp_path / "set")
    (warning,) = back.provenance.warnings
    assert "The order of OpenMX is taken" in warning
    assert component_difference(back, h) < 1e-12


def test_an_overlap_that_fits_no_order_is_told(tmp_path: Path) -> None:
    write_new(random_case("spinless"), tmp_path / "set", WriteOptions())
    (warning,) = read_hamiltonian(tmp_path / "set").provenance.warnings
    assert "fits no known order" in warning


def test_orthogonal_orbitals_need_no_overlap(tmp_path: Path) -> None:
    h = models.silicon(xi=0.3)
    for layout, key in (("new", "orthogonal_basis"), ("old", "isorthogonal")):
        folder = tmp_path / layout
        WRITERS[layout](h, folder, WriteOptions())
        (folder / FILES[layout][1]).unlink()
        assert f"{FILES[layout][1]} is missing" in complaint(folder)
        edit_info(folder, **{key: True})
        assert component_difference(read_hamiltonian(folder), h) < 1e-12


def test_number_of_electrons(tmp_path: Path) -> None:
    folder = unpacked("new_wse2_nc", tmp_path / "set")
    assert read_hamiltonian(folder).n_electrons == 24  # counted up to the Fermi energy
    edit_info(folder, occupation=22)
    assert read_hamiltonian(folder).n_electrons == 22
    assert read_hamiltonian(folder, ReadOptions(n_electrons=20)).n_electrons == 20
    assert read_hamiltonian(folder, ReadOptions(fermi_energy=-5.4)).n_electrons == 24
    edit_info(folder, occupation=..., fermi_energy_eV=None)
    h = read_hamiltonian(folder)
    assert h.n_electrons == 18
    assert any("half of all states" in warning for warning in h.provenance.warnings)


def test_a_moved_hamiltonian_does_not_take_the_fermi_energy_of_the_original(tmp_path: Path) -> None:
    folder = unpacked("new_wse2_nc", tmp_path / "set")
    shutil.copy(folder / "hamiltonian.h5", folder / "hamiltonian_raw.h5")
    moved, overlap = blocks_of(folder / "hamiltonian.h5"), blocks_of(folder / "overlap.h5")
    entries = [(moved[key] + 3.0 * np.kron(np.eye(2), overlap[key])).ravel() for key in moved]
    change(folder / "hamiltonian.h5", entries=np.concatenate(entries))
    # the folder's own Hamiltonian is the one that info.json belongs to
    assert component_difference(read_hamiltonian(folder), openmx("wse2_nc")) < 1e-12
    h = read_hamiltonian(folder / "hamiltonian.h5")
    assert component_difference(h, openmx("wse2_nc").shifted(3.0)) < 1e-12
    assert "fermi_energy_eV" not in h.provenance.results
    assert any("energies were moved" in warning for warning in h.provenance.warnings)


@pytest.mark.parametrize("defect", [3e-3, 0.3])
def test_predictions_need_not_be_hermitian_to_the_last_digit(defect: float, tmp_path: Path) -> None:
    folder = unpacked("old_wse2_nc", tmp_path / "set")
    shutil.copy(folder / "hamiltonians.h5", folder / "hamiltonians_pred.h5")
    with h5py.File(folder / "hamiltonians_pred.h5", "r+") as file:
        file["[1, 0, 0, 1, 2]"][2, 3] += defect
        file["[1, 0, 0, 1, 2]"][2, 6] += defect  # ↑↓
    beside = read_hamiltonian(folder).provenance.warnings
    assert any("hamiltonians_pred.h5 lies beside" in warning for warning in beside)
    if defect > 0.1:
        assert "not Hermitian" in complaint(folder / "hamiltonians_pred.h5")
        return
    h = read_hamiltonian(folder / "hamiltonians_pred.h5")
    assert "prediction" in h.provenance.title
    assert any("breaks hermiticity by up to 3 meV" in w for w in h.provenance.warnings)
    changed = h.block("H", 0, 1, (1, 0, 0)) - openmx("wse2_nc").block("H", 0, 1, (1, 0, 0))
    assert np.abs(changed).max() == pytest.approx(defect / 4, rel=1e-6)
    shutil.move(folder / "hamiltonians_pred.h5", folder / "hamiltonians.h5")
    assert "not Hermitian" in complaint(folder)


def test_pairs_that_h_lacks(tmp_path: Path) -> None:
    folder = unpacked("old_wse2_col", tmp_path / "set")
    reach = {}
    for key, block in arrays_of(folder / "overlaps.h5").items():
        reach[key] = np.abs(block).max()
    weak = [key for key, size in reach.items() if 0 < size < 1e-4]
    with h5py.File(folder / "hamiltonians.h5", "r+") as file:
        for key in weak:
            del file[key]
    h = read_hamiltonian(folder)
    assert any(f"no block for {len(weak)} pairs" in w for w in h.provenance.warnings)
    with h5py.File(folder / "hamiltonians.h5", "r+") as file:
        del file["[1, 0, 0, 1, 2]"], file["[-1, 0, 0, 2, 1]"]
    assert "do not belong together" in complaint(folder)
