"""Files however they are packed or laid: the same content, or an error of ours."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from damage import damaged_variants

from hamexplorer.errors import FileFormatError, HamexplorerError, ResourceLimitError
from hamexplorer.formats import (
    Bundle,
    Format,
    bundle_of_bytes,
    bundle_of_path,
    read_bundle,
    recognised,
)
from hamexplorer.formats.archive import MAX_MEMBERS
from hamexplorer.hamiltonian import Hamiltonian

TEXT = b"42\n" * 5000


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_content_is_the_same_however_packed(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    packed = pack(TEXT)
    (tmp_path / "run.dat").write_bytes(packed)
    in_zip = bundle_of_bytes({"a.zip": zipped({"run/run.dat": packed})})
    folder = tmp_path / "outer"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "run.dat").write_bytes(packed)
    for bundle in (
        bundle_of_path(tmp_path / "run.dat"),
        bundle_of_path(folder),
        bundle_of_bytes({"run.dat": packed}),
        in_zip,
    ):
        member = bundle.named("run.dat")
        assert member is not None
        assert member.data().tobytes() == member.text().encode() == TEXT
        assert member.head == TEXT[:65536]
        with member.path() as path:
            assert path.read_bytes() == TEXT
        assert member.digest == bundle.members[0].digest
    assert in_zip.members[0].name == "a.zip/run/run.dat"


def test_a_packers_suffix_is_no_part_of_the_name() -> None:
    bundle = bundle_of_bytes({"WSe2.scfout.xz": lzma.compress(TEXT), "notes": b"x"})
    assert [m.basename for m in bundle.members] == ["WSe2.scfout", "notes"]
    assert bundle.named("WSe2.scfout") is bundle.members[0]
    assert bundle.ending(".scfout") == bundle.members[:1]


def test_one_file_has_its_neighbours_as_companions_only(tmp_path: Path) -> None:
    for name in ("wse2_hr.dat", "wse2.win", ".hidden"):
        (tmp_path / name).write_bytes(TEXT)
    (tmp_path / "sub").mkdir()
    bundle = bundle_of_path(tmp_path / "wse2.win")
    assert [m.name for m in bundle.members] == ["wse2.win", "wse2_hr.dat"]
    assert bundle.candidates == bundle.members[:1]
    assert [m.name for m in bundle.where(lambda m: m.size > 0)] == ["wse2.win"]
    whole = bundle_of_path(tmp_path)
    assert [m.name for m in whole.candidates] == ["wse2.win", "wse2_hr.dat"]
    with pytest.raises(FileFormatError, match="holds 2 Hamiltonians"):
        whole.one(lambda m: m.size > 0)


def test_no_name_in_an_archive_leads_anywhere(tmp_path: Path) -> None:
    names = ["../../evil", "/etc/passwd", "a/../../evil", "C:\\evil", ".bashrc"]
    path = tmp_path / "run.zip"
    path.write_bytes(zipped(dict.fromkeys(names, TEXT)))
    before = sorted(tmp_path.rglob("*"))
    bundle = bundle_of_path(path)
    assert len(bundle.members) == 4  # not the hidden one
    for member in bundle.members:
        with member.path() as unpacked:
            assert unpacked.read_bytes() == TEXT
            assert unpacked.name.startswith("member")
        assert not unpacked.exists()
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent.parent / "evil").exists()


def complaint(bundle: Bundle) -> str:
    """What is said of a file that is read, with no more than 500 MB of memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ResourceLimitError) as caught:
            bundle.members[0].data()
        assert tracemalloc.get_traced_memory()[1] < 5e8
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress, bz2.compress])
def test_bombs_are_not_unpacked(compress: object) -> None:
    assert callable(compress)
    bomb = compress(bytes(150_000_000))
    assert "no calculation's file does" in complaint(bundle_of_bytes({"a.scfout.xz": bomb}))


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = zipped({"a.scfout": bytes(150_000_000)})
    bundle = bundle_of_bytes({"a.zip": bomb})
    assert "a.zip/a.scfout unpacks to 150 MB" in complaint(bundle)
    with pytest.raises(ResourceLimitError):
        recognised(bundle)
    # a bomb that lies about its size is a damaged archive
    lying = bytearray(bomb)
    for at in (22, lying.index(b"PK\x01\x02") + 24):
        lying[at : at + 4] = struct.pack("<I", 1000)
    with pytest.raises(FileFormatError, match="cannot be read"):
        bundle_of_bytes({"a.zip": bytes(lying)}).members[0].data()


def test_the_limit_of_uploads_counts_what_is_unpacked() -> None:
    content = np.random.default_rng(0).bytes(1_000_000)
    files = {"a.xz": lzma.compress(content), "b": content}
    for bundle in (bundle_of_bytes(files, 900_000), bundle_of_bytes({"c.zip": zipped(files)}, 9e5)):
        for member in bundle.members:
            with pytest.raises(ResourceLimitError, match=r"1 MB|not read here"):
                member.data()
    assert bundle_of_bytes(files, 1_100_000).members[0].data().size == 1_000_000


def test_an_archive_of_too_many_files() -> None:
    many = zipped({f"{i:05d}": b"" for i in range(MAX_MEMBERS + 1)}, zipfile.ZIP_STORED)
    with pytest.raises(ResourceLimitError, match="2001 files"):
        bundle_of_bytes({"a.zip": many})
    # with a list of 5 MB, which is not even looked through
    long = zipped({f"{i:010d}{'x' * 5000}": b"" for i in range(1000)}, zipfile.ZIP_STORED)
    with pytest.raises(ResourceLimitError, match="lists too many"):
        bundle_of_bytes({"a.zip": long})


def test_a_folder_of_three_thousand_files(tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / f"{i}.dat").touch()
    with pytest.raises(ResourceLimitError, match="3000 files"):
        bundle_of_path(tmp_path)
    # a single file of it is opened without its neighbours
    (tmp_path / "0.dat").write_bytes(TEXT)
    assert len(bundle_of_path(tmp_path / "0.dat").members) == 1


def test_an_encrypted_archive_is_named() -> None:
    data = bytearray(zipped({"a.scfout": TEXT}))
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + offset] |= 1
    bundle = bundle_of_bytes({"a.zip": bytes(data)})
    with pytest.raises(FileFormatError, match="encrypted"):
        bundle.members[0].data()
    with pytest.raises(FileFormatError, match="encrypted"):
        read_bundle(bundle)


def test_an_unknown_packing_inside_an_archive() -> None:
    data = bytearray(zipped({"a.scfout": TEXT}))
    for start, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(start) + offset
        data[at : at + 2] = struct.pack("<H", 9)  # Deflate64
    bundle = bundle_of_bytes({"a.zip": bytes(data)})
    assert recognised(bundle) is None
    with pytest.raises(FileFormatError, match="cannot be read"):
        bundle.members[0].data()


def test_nothing_where_something_should_be(tmp_path: Path) -> None:
    empty = tmp_path / "empty.scfout"
    empty.touch()
    (tmp_path / "folder").mkdir()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (empty, tmp_path / "folder"):
        with pytest.raises(FileFormatError, match="is empty"):
            read_bundle(bundle_of_path(path))
    for name in ("none", "loop", "dangling", "x" * 300):
        with pytest.raises(FileFormatError, match=r"no such file|cannot be read"):
            bundle_of_path(tmp_path / name)
    with pytest.raises(FileFormatError, match="No file"):
        bundle_of_bytes({})
    for packed in (gzip.compress(b""), lzma.compress(b"")):
        with pytest.raises(FileFormatError, match="is empty"):
            bundle_of_bytes({"a.gz": packed}).members[0].data()
    # broken neighbours do not matter
    (tmp_path / "good.dat").write_bytes(TEXT)
    names = [m.name for m in bundle_of_path(tmp_path / "good.dat").members]
    assert names == ["good.dat", "empty.scfout"]
    assert [m.name for m in bundle_of_path(tmp_path).members] == ["empty.scfout", "good.dat"]


def test_abacus_results_and_the_crystal_above_them_are_together(tmp_path: Path) -> None:
    results = tmp_path / "OUT.si"
    results.mkdir()
    (tmp_path / "backup").mkdir()
    for name in ("STRU", "INPUT", "OUT.si/H.csr", "OUT.si/run.log", "backup/H.csr", "OUT.si/.x"):
        (tmp_path / name).write_bytes(TEXT)
    inside = {"OUT.si/H.csr", "OUT.si/run.log"}
    assert {m.name for m in bundle_of_path(tmp_path).members} == {"STRU", "INPUT", *inside}
    for path in (results, results / "H.csr"):
        assert {m.name for m in bundle_of_path(path).members} == {"STRU", *inside}
    assert bundle_of_path(results / "H.csr").candidates[0].name == "OUT.si/H.csr"


def test_loops_of_folders_end(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "a").symlink_to(tmp_path / "a")
    assert bundle_of_path(tmp_path / "a").members == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.scfout"
    path.write_bytes(TEXT)
    path.chmod(0)
    with pytest.raises(FileFormatError):
        bundle_of_path(path)


def test_packed_text_is_nobodys_format() -> None:
    bundle = bundle_of_bytes({"notes.txt.gz": gzip.compress(b"It converged.\n" * 99)})
    assert recognised(bundle) is None
    with pytest.raises(FileFormatError, match=r"notes\.txt\.gz holds no Hamiltonian .*OpenMX"):
        read_bundle(bundle)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, "zip"])
def test_damaged_packing_is_an_error_of_ours(pack: object) -> None:
    content = np.random.default_rng(1).bytes(20_000) + TEXT
    packed = zipped({"a": content, "b": TEXT}) if pack == "zip" else pack(content)  # type: ignore[operator]
    for what, damaged in damaged_variants(packed, seed=5, count=40):
        try:
            for member in bundle_of_bytes({"a": damaged}).members:
                _ = member.head
                member.data()
        except HamexplorerError:
            continue
        except Exception as error:
            raise AssertionError(what) from error


def test_what_may_not_be_read_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.scfout"
    path.write_bytes(b"x")

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuses)
    with pytest.raises(FileFormatError, match=r"You may not read the file a\.scfout"):
        bundle_of_path(path)


def test_a_limit_names_the_file_and_several_files_agree_with_their_verb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def declares(*_: object) -> Hamiltonian:
        raise ResourceLimitError("it declares 864 GB of data.")

    everything = Format("all", "All", "any", lambda _: True, declares)
    bundle = bundle_of_bytes({"a.h5": b"x"})
    with monkeypatch.context() as patch:
        patch.setattr("hamexplorer.formats.registry.FORMATS", (everything,))
        with pytest.raises(ResourceLimitError, match=r"a\.h5: it declares"):
            read_bundle(bundle)
    with pytest.raises(FileFormatError, match=r"^The set of 2 files holds no Hamiltonian"):
        read_bundle(bundle_of_bytes({"a.h5": b"x", "b.h5": b"y"}))
