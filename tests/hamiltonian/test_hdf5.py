"""Our file: lossless, and damaged or hostile files are errors of our own."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import models
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Species, Structure
from pymatgen.electronic_structure.core import Magmom
from random_hamiltonians import hamiltonians, random_hamiltonian

from hamexplorer.errors import FileFormatError, HamexplorerError, ResourceLimitError
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian, save_hamiltonian
from hamexplorer.provenance import Provenance

ARRAYS = ("overlap", "scalar", "exchange", "spin_orbit", "uncertainty", "position", "time_odd")
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def full() -> Hamiltonian:
    return random_hamiltonian(7, exchange="vector", uncertainty=True, position=True, time_odd=True)


@pytest.fixture
def stored(tmp_path: Path, full: Hamiltonian) -> Path:
    path = tmp_path / "model.h5"
    save_hamiltonian(full, path)
    return path


def assert_same(first: Hamiltonian, second: Hamiltonian) -> None:
    """Equal to the last bit."""
    for name in ARRAYS:
        a, b = getattr(first, name), getattr(second, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes(), name
    for name in ("first", "second", "cell", "sizes"):
        assert getattr(first.pairs, name).tobytes() == getattr(second.pairs, name).tobytes()
    assert first.basis == second.basis
    assert first.n_electrons == second.n_electrons
    assert first.provenance == second.provenance
    a, b = first.structure, second.structure
    assert a == b
    assert a.lattice.matrix.tobytes() == b.lattice.matrix.tobytes()
    assert a.frac_coords.tobytes() == b.frac_coords.tobytes()
    assert a.site_properties == b.site_properties
    assert a.labels == b.labels


# --- round trips ---------------------------------------------------------------------------


@given(h=hamiltonians())
@same_folder
def test_every_optional_part_survives_bit_by_bit(tmp_path: Path, h: Hamiltonian) -> None:
    save_hamiltonian(h, tmp_path / "h.h5")
    assert_same(h, load_hamiltonian(tmp_path / "h.h5"))


@pytest.mark.parametrize("moments", [[2.2, -0.1, 0.0], [[0.0, 0.1, 2.2], [0.3, 0, 0], [0, 0, 1]]])
def test_moments_and_labels_survive(
    tmp_path: Path, full: Hamiltonian, moments: list[object]
) -> None:
    structure = full.structure.copy(site_properties={"magmom": moments})
    structure.relabel_sites()
    h = replace(full, structure=structure)
    save_hamiltonian(h, tmp_path / "h.h5")
    assert_same(h, load_hamiltonian(tmp_path / "h.h5"))


def test_numpy_and_pymatgen_moments_become_plain_numbers(tmp_path: Path, full: Hamiltonian) -> None:
    given = [np.array([0.0, 0, 2.2]), np.float64(1.5), Magmom([0, 1.0, 0])]
    h = replace(full, structure=full.structure.copy(site_properties={"magmom": given}))
    save_hamiltonian(h, tmp_path / "h.h5")
    read = load_hamiltonian(tmp_path / "h.h5").structure.site_properties["magmom"]
    assert read == [[0.0, 0.0, 2.2], 1.5, [0.0, 1.0, 0.0]]


def test_oxidation_states_and_spins_survive(tmp_path: Path) -> None:
    species = Species("H", 1, spin=0.5)
    h = replace(models.chain(), structure=Structure(Lattice.cubic(3), [species], [[0, 0, 0]]))
    save_hamiltonian(h, tmp_path / "h.h5")
    assert_same(h, load_hamiltonian(tmp_path / "h.h5"))


def test_extreme_numbers_survive(tmp_path: Path) -> None:
    h = models.p_atom()
    values = np.array([5e-324, -0.0, 1 + 2**-52, 1e-300, 1.7e308, 0.1, np.pi, -1 / 3, 2.0**60])
    symmetric = (values * np.ones((9, 1)))[:3, :3].copy()
    symmetric[...] = np.minimum(symmetric, symmetric.T)
    h = replace(h, scalar=symmetric.ravel(), uncertainty=np.abs(values))
    save_hamiltonian(h, tmp_path / "h.h5")
    assert_same(h, load_hamiltonian(tmp_path / "h.h5"))


def test_a_long_provenance_survives(tmp_path: Path) -> None:
    # HDF5 attributes end at 64 kB; the record does not
    record = Provenance("dft", "Γ → K′ 日本", warnings=("λ" * 200_000, ""))
    h = replace(models.chain(), provenance=record)
    save_hamiltonian(h, tmp_path / "h.h5")
    assert load_hamiltonian(tmp_path / "h.h5").provenance == record


def test_the_same_hamiltonian_gives_the_same_bytes(
    tmp_path: Path, full: Hamiltonian, stored: Path
) -> None:
    save_hamiltonian(load_hamiltonian(stored), tmp_path / "again.h5")
    assert stored.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_the_layout_is_the_documented_one(stored: Path, full: Hamiltonian) -> None:
    # as a reader that knows only the page would go at it
    with h5py.File(stored) as file:
        assert file.attrs["format"] == b"hamexplorer-hamiltonian"
        assert file.attrs["version"] == 3
        assert file.attrs["n_electrons"] == full.n_electrons
        assert json.loads(file["provenance"][0])["title"] == "random"
        assert Structure.from_dict(json.loads(file["structure"][0])) == full.structure
        assert [s.decode() for s in file["basis/shells"]] == ["1s:0 2p:1", "2p:1", "1s:0 3d:2"]
        assert [s.decode() for s in file["basis/symbols"]] == ["Si"] * 3
        sizes = np.array([4, 3, 6])
        i, j, cell = (file[f"pairs/{name}"][()] for name in ("first", "second", "cell"))
        start = np.r_[0, np.cumsum(sizes[i] * sizes[j])]
        p = 5
        block = file["blocks/scalar"][start[p] : start[p + 1]].reshape(sizes[i[p]], sizes[j[p]])
        expected = full.block("H", int(i[p]), int(j[p]), tuple(cell[p].tolist()))
        np.testing.assert_array_equal(block, expected)
        assert file["blocks/spin_orbit"].shape == (3, start[-1])
        found: list[h5py.Dataset] = []
        file.visititems(lambda _, x: found.append(x) if isinstance(x, h5py.Dataset) else None)
        np.testing.assert_array_equal(file["blocks/position"], full.position)
        np.testing.assert_array_equal(file["blocks/time_odd"], full.time_odd)
        assert len(found) == 14
        assert all(x.fletcher32 and x.shuffle and x.compression == "gzip" for x in found)


def test_what_no_file_can_keep_is_said(tmp_path: Path, full: Hamiltonian) -> None:
    odd = full.structure.copy(site_properties={"tag": [object()] * 3})
    with pytest.raises(HamexplorerError, match="cannot be saved: the structure holds a object"):
        save_hamiltonian(replace(full, structure=odd), tmp_path / "h.h5")
    record = Provenance("test", "x", settings={"set": {1}})
    with pytest.raises(HamexplorerError, match=r"cannot be saved: .* not a set"):
        save_hamiltonian(replace(full, provenance=record), tmp_path / "h.h5")
    assert not (tmp_path / "h.h5").exists()


# --- damage --------------------------------------------------------------------------------


def test_a_truncated_file_is_always_our_error(tmp_path: Path, stored: Path) -> None:
    content = stored.read_bytes()
    cut = tmp_path / "cut.h5"
    lengths = [*range(0, 600, 7), *range(600, len(content), 997), len(content) - 1]
    for length in lengths:
        cut.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"cut\.h5"):
            load_hamiltonian(cut)


@given(data=st.data())
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_found_or_means_nothing(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "source.h5"
    if not source.exists():
        save_hamiltonian(models.chain(field=0.2), source)
    content = bytearray(source.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = tmp_path / "changed.h5"
    changed.write_bytes(content)
    try:
        read = load_hamiltonian(changed)
    except FileFormatError as error:
        assert "changed.h5" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert_same(read, load_hamiltonian(source))


@pytest.mark.parametrize(
    "name", ["provenance", "structure", "pairs/cell", "blocks/scalar", "basis/shells"]
)
def test_a_changed_byte_of_any_data_is_found(stored: Path, name: str) -> None:
    with h5py.File(stored) as file:
        chunk = file[name].id.get_chunk_info(0)
    content = bytearray(stored.read_bytes())
    for place in (0, chunk.size // 2, chunk.size - 1):
        changed = bytearray(content)
        changed[chunk.byte_offset + place] ^= 0x10
        stored.write_bytes(changed)
        with pytest.raises(FileFormatError, match="truncated or damaged"):
            load_hamiltonian(stored)


@given(noise=st.binary(max_size=400), signed=st.booleans())
@same_folder
def test_noise_is_not_a_file(tmp_path: Path, noise: bytes, signed: bool) -> None:
    path = tmp_path / "noise.h5"
    path.write_bytes((b"\x89HDF\r\n\x1a\n" if signed else b"") + noise)
    with pytest.raises(FileFormatError, match=r"noise\.h5"):
        load_hamiltonian(path)


def test_what_is_no_hdf5_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none\.h5: there is no such file"):
        load_hamiltonian(tmp_path / "none.h5")
    with pytest.raises(FileFormatError, match="is a directory, not an HDF5 file"):
        load_hamiltonian(tmp_path)
    (tmp_path / "empty.h5").touch()
    with pytest.raises(FileFormatError, match=r"empty\.h5 is empty"):
        load_hamiltonian(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("data_MoS2\n_cell_length_a 3.18\n")
    with pytest.raises(FileFormatError, match=r"text\.h5 is not an HDF5 file; accepted are"):
        load_hamiltonian(str(tmp_path / "text.h5"))


# --- other files and other content ---------------------------------------------------------


def _changed(stored: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(stored, "r+") as file:
        change(file)


def _replaced(file: h5py.File, name: str, value: object, **options: object) -> None:
    del file[name]
    file.create_dataset(name, data=value, **options)


def test_a_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["energies"] = np.arange(4.0)
    with pytest.raises(FileFormatError, match="another program: its attribute 'format' is None"):
        load_hamiltonian(path)
    _changed(path, lambda file: file.attrs.__setitem__("format", "phonopy"))
    with pytest.raises(FileFormatError, match="'format' is 'phonopy', accepted is 'hamexplorer"):
        load_hamiltonian(path)


@pytest.mark.parametrize("version", [0, 4, 1000, -1, 1.5, "1"])
def test_another_version_is_named(stored: Path, version: object) -> None:
    _changed(stored, lambda file: file.attrs.__setitem__("version", version))
    with pytest.raises(FileFormatError, match=f"layout version {version}; this release reads 1"):
        load_hamiltonian(stored)


def test_a_file_of_version_1_is_one_without_position(
    tmp_path: Path, stored: Path, full: Hamiltonian
) -> None:
    def older(file: h5py.File) -> None:
        file.attrs["version"] = 1

    _changed(stored, older)
    # a field that version 1 did not know is no part of such a file
    assert load_hamiltonian(stored).position is None
    assert load_hamiltonian(stored).time_odd is None
    _changed(stored, lambda file: file.__delitem__("blocks/position"))
    read = load_hamiltonian(stored)
    assert_same(read, replace(full, position=None, time_odd=None))
    save_hamiltonian(read, tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5") as file:
        assert file.attrs["version"] == 3
        assert "position" not in file["blocks"]


@pytest.mark.parametrize(
    "name",
    [
        *("structure", "provenance", "basis", "basis/symbols", "basis/shells"),
        *("pairs", "pairs/first", "pairs/cell", "blocks", "blocks/overlap", "blocks/scalar"),
    ],
)
def test_a_missing_part_is_named(stored: Path, name: str) -> None:
    _changed(stored, lambda file: file.__delitem__(name))
    with pytest.raises(FileFormatError, match=f"model.h5: '{name}.*' is missing"):
        load_hamiltonian(stored)


CELL = [[0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("blocks/scalar", np.zeros(7), r"scalar has shape \(7,\); accepted"),
        ("blocks/scalar", np.zeros((2, 2, 2)), "dimensions"),
        ("blocks/scalar", np.float64(1.0), r"has shape \(\); expected are 1 or 2 dimensions"),
        ("blocks/scalar", np.zeros(7, np.float32), "'blocks/scalar' holds float32; expected"),
        ("blocks/scalar", np.zeros(7, complex), "holds complex128; expected are 64-bit floats"),
        ("blocks/scalar", np.zeros(7, int), "holds int64; expected are 64-bit floats"),
        ("blocks/scalar", h5py.Empty("f8"), "has shape None"),
        ("blocks/exchange", np.zeros((2, 7)), "exchange has shape"),
        ("blocks/position", np.zeros((2, 7)), "position has shape"),
        ("blocks/position", np.zeros((3, 7), complex), "holds complex128"),
        ("blocks/time_odd", np.zeros(7), r"time_odd has shape \(7,\)"),
        ("blocks/time_odd", np.zeros((3, 7)), "time_odd has shape"),
        ("blocks/time_odd", np.zeros(7, complex), "holds complex128"),
        ("pairs/first", np.zeros(3), "'pairs/first' holds float64; expected are 64-bit integers"),
        ("pairs/first", np.zeros(3, int), "Pair arrays disagree"),
        ("pairs/cell", np.zeros(3, int), "expected are 2 dimensions"),
        ("structure", np.array([b"{"]), "'structure' is not a pymatgen structure"),
        ("structure", np.array([b"{}"]), "'structure' is not a pymatgen structure"),
        ("structure", np.array([b"{}", b"{}"]), "'structure' must hold one string, not 2"),
        ("structure", np.array([b"\xff\xfe"]), "damaged"),
        ("structure", "{}", "'structure' holds object; expected are fixed-length strings"),
        ("structure", np.array([b"[" * 100_000]), "'structure' is not a pymatgen structure"),
        ("provenance", np.array([b"[]"]), "provenance record must be a JSON object"),
        ("basis/shells", np.array([b"1s 2p", b"2p:1", b"1s:0"]), "shell '1s' in 'basis/shells'"),
        ("basis/shells", np.array([b"1s:-1", b"2p:1", b"1s:0"]), "shell '1s:-1'"),
        ("basis/shells", np.array([b"1s:99", b"2p:1", b"1s:0"]), "l = 99; accepted"),
        ("basis/symbols", np.array([b"Si"]), "names 1 sites but lists shells for 3"),
        ("basis/symbols", np.array([b"Si", b"Si", b"Xx"]), "Site 3 is Si in the structure but Xx"),
    ],
)
def test_a_part_of_another_form_is_named(
    stored: Path, name: str, value: object, message: str
) -> None:
    _changed(stored, lambda file: _replaced(file, name, value))
    with pytest.raises(FileFormatError, match=message) as caught:
        load_hamiltonian(stored)
    assert str(caught.value).startswith("model.h5")


@pytest.mark.parametrize("value", ["many", np.zeros(3), np.zeros(100_000), float("nan"), -3.0])
def test_the_electron_count_is_a_number(stored: Path, value: object) -> None:
    def change(file: h5py.File) -> None:
        file.attrs["n_electrons"] = value

    with h5py.File(stored, "r+", libver="latest") as file:
        change(file)
    with pytest.raises(FileFormatError, match=r"n_electrons|electrons do not fit"):
        load_hamiltonian(stored)


def test_a_broken_invariant_is_found_on_loading(stored: Path, full: Hamiltonian) -> None:
    values = np.array(full.scalar)
    values[1] += 1e-3
    _changed(stored, lambda file: _replaced(file, "blocks/scalar", values))
    with pytest.raises(FileFormatError, match=r"model\.h5: H\[R\] = H\[−R\]ᵀ is broken"):
        load_hamiltonian(stored)


def test_classes_named_in_a_file_are_never_looked_up(tmp_path: Path, stored: Path) -> None:
    module = "hamexplorer_test_of_imports"
    (tmp_path / f"{module}.py").write_text("class Trap:\n    pass\n")

    def change(file: h5py.File) -> None:
        data = json.loads(file["structure"][0])
        for site in data["sites"]:
            site["properties"]["trap"] = {"@module": module, "@class": "Trap", "x": 1}
        _replaced(file, "structure", np.array([json.dumps(data).encode()]))

    _changed(stored, change)
    sys.path.insert(0, str(tmp_path))
    try:
        h = load_hamiltonian(stored)
        assert module not in sys.modules
    finally:
        sys.path.remove(str(tmp_path))
    assert h.structure.site_properties["trap"] == [{"x": 1}] * 3


# --- hostile files -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["blocks/scalar", "blocks", "structure"])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_links_are_not_followed(tmp_path: Path, stored: Path, where: str, kind: str) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(stored.read_bytes())

    def change(file: h5py.File) -> None:
        file.move(where, "aside")
        file[where] = h5py.SoftLink("/aside") if kind == "soft" else h5py.ExternalLink(
            other.name, where
        )  # fmt: skip

    _changed(stored, change)
    with h5py.File(stored) as file:
        assert where in file  # h5py would follow it
    with pytest.raises(FileFormatError, match="is a link; only data in the file itself is read"):
        load_hamiltonian(stored)


def test_data_in_other_files_is_not_read(tmp_path: Path, stored: Path, full: Hamiltonian) -> None:
    n = full.pairs.n_elements
    raw = tmp_path / "raw.bin"
    raw.write_bytes(full.scalar.tobytes())

    def external(file: h5py.File) -> None:
        del file["blocks/scalar"]
        file.create_dataset("blocks/scalar", (n,), "f8", external=[(raw.name, 0, 8 * n)])

    _changed(stored, external)
    with pytest.raises(FileFormatError, match="keeps its data in another file"):
        load_hamiltonian(stored)

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((n,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (n,))
        del file["blocks/scalar"]
        file.create_virtual_dataset("blocks/scalar", layout)

    _changed(stored, virtual)
    with pytest.raises(FileFormatError, match="keeps its data in another file"):
        load_hamiltonian(stored)


def _declare(stored: Path, shape: tuple[int, ...], **options: object) -> None:
    def change(file: h5py.File) -> None:
        del file["blocks/scalar"]
        file.create_dataset("blocks/scalar", shape, "f8", **options)

    _changed(stored, change)


def test_a_huge_declared_size_is_refused_before_reading(stored: Path) -> None:
    _declare(stored, (10**13,), chunks=(1024,), compression="gzip")
    with pytest.raises(
        ResourceLimitError, match=r"model\.h5: it declares 8e\+04 GB .* up to 16 GB"
    ):
        load_hamiltonian(stored)
    assert stored.stat().st_size < 110_000


def test_a_huge_chunk_is_refused_before_reading(stored: Path) -> None:
    _declare(stored, (10,), chunks=(500_000_000,), maxshape=(None,), compression="gzip")
    with pytest.raises(ResourceLimitError, match="declares 4 GB"):
        load_hamiltonian(stored, max_bytes=1e9)


def test_a_size_without_data_is_refused(stored: Path) -> None:
    # 800 MB of a fill value in no bytes at all: below the cap, and still not a Hamiltonian
    _declare(stored, (10**8,), chunks=(1024,))
    with pytest.raises(FileFormatError, match="declares 100000000 values but 0 bytes are stored"):
        load_hamiltonian(stored)


def test_the_cap_counts_all_data_together(stored: Path, full: Hamiltonian) -> None:
    total = sum(getattr(full, name).nbytes for name in ARRAYS)
    with pytest.raises(ResourceLimitError, match="declares"):
        load_hamiltonian(stored, max_bytes=total)  # structure and pairs come on top
    assert_same(load_hamiltonian(stored, max_bytes=1.5 * total), full)


def _chunk(stored: Path, chunk: int, packed: bytes, **options: object) -> None:
    def change(file: h5py.File) -> None:
        del file["blocks/scalar"]
        data = file.create_dataset("blocks/scalar", (chunk,), "f8", chunks=(chunk,), **options)
        data.id.write_direct_chunk((0,), packed)

    _changed(stored, change)


def test_a_chunk_that_unpacks_to_more_than_it_declares_is_refused(stored: Path) -> None:
    # 100 MB of zeros in a chunk of 8 kB: HDF5 alone would unpack all of it
    _chunk(stored, 1024, zlib.compress(bytes(100_000_000)), compression="gzip")
    with pytest.raises(FileFormatError, match=r"chunk of \d+ bytes that declares 8192"):
        load_hamiltonian(stored)


def test_a_chunk_that_may_unpack_beyond_the_cap_is_refused(stored: Path) -> None:
    rubbish = np.random.default_rng(0).bytes(2_500_000)
    _chunk(stored, 400_000, zlib.compress(rubbish, 0), compression="gzip")
    with pytest.raises(ResourceLimitError, match=r"may unpack to 2\.58 GB"):
        load_hamiltonian(stored, max_bytes=1e8)


def test_other_filters_are_refused(stored: Path, full: Hamiltonian) -> None:
    _changed(stored, lambda f: _replaced(f, "blocks/scalar", full.scalar, compression="lzf"))
    with pytest.raises(FileFormatError, match="'blocks/scalar' is stored with filters"):
        load_hamiltonian(stored)
