"""Samples on disk, and which part of the set they belong to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_crystals import crystal, hamiltonian

from hamexplorer.datasets import PARTS, DataSet, Sample, SampleInfo
from hamexplorer.datasets.alignment import aligned
from hamexplorer.datasets.sample import load_sample, made_sample, read_info, save_sample
from hamexplorer.datasets.split import part_of
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.errors import FileFormatError, HamiltonianError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian, Pairs, load_hamiltonian

BLOCKS = ("overlap", "scalar", "exchange", "spin_orbit")


def sample(name: str = "f/p/0000", a: float = 3.0, spin: bool = True) -> Sample:
    reference = hamiltonian(crystal(a=a), cells=2, scale=1.1, spin=spin)
    zero, exchange, _ = aligned(reference, hamiltonian(crystal(a=a), cells=1, spin=spin))
    return made_sample(reference, zero, exchange, name=name, family="f", parent="p", strain=0.01)


def info(name: str, parent: str = "p", strain: float = 0.0, n_cells: int = 1) -> SampleInfo:
    return SampleInfo(name, "f", parent, strain, n_cells, False, 2, "SiC", "")


# --- samples -----------------------------------------------------------------------------


@pytest.mark.parametrize("spin", [False, True])
def test_a_sample_comes_back_as_it_was(tmp_path: Path, spin: bool) -> None:
    made = sample(spin=spin)
    save_sample(made, tmp_path / "s.h5")
    found = load_sample(tmp_path / "s.h5")
    assert found.info == made.info == read_info(tmp_path / "s.h5")
    assert np.array_equal(found.zero, made.zero)
    assert found.reference.pairs.same_as(made.reference.pairs)
    for name in BLOCKS:
        here, there = getattr(found.reference, name), getattr(made.reference, name)
        assert (here is None) == (there is None)
        assert here is None or np.array_equal(here, there)
    if spin:
        assert made.zero_exchange is not None
        assert np.array_equal(found.zero_exchange, made.zero_exchange)
    else:
        assert found.zero_exchange is None
    assert found.content_digest() == found.info.digest
    assert list(tmp_path.iterdir()) == [tmp_path / "s.h5"]


def test_a_sample_is_a_file_that_every_reader_of_ours_opens(tmp_path: Path) -> None:
    made = sample()
    save_sample(made, tmp_path / "s.h5")
    assert np.array_equal(load_hamiltonian(tmp_path / "s.h5").scalar, made.reference.scalar)


def test_the_digest_tells_contents_apart() -> None:
    made = sample()
    zero = made.zero * 1.0000001
    assert replace(made, zero=zero).content_digest() != made.info.digest
    assert sample(a=3.1).info.digest != made.info.digest
    other = replace(made.reference, provenance=replace(made.reference.provenance, title="else"))
    assert replace(made, reference=other).content_digest() == made.info.digest


@pytest.mark.parametrize(
    ("zero", "said"),
    [
        (lambda z: z[:-1], "shape"),
        (lambda z: np.where(np.arange(len(z)) == 3, np.nan, z), "broken by nan"),
        (lambda z: z + np.linspace(0, 1, len(z)), "broken by"),
    ],
)
def test_an_h0_that_is_none_is_refused(zero: object, said: str) -> None:
    made = sample()
    with pytest.raises(HamiltonianError, match=said):
        replace(made, zero=zero(made.zero))  # type: ignore[operator]
    with pytest.raises(HamiltonianError, match="no exchange"):
        replace(sample(spin=False), zero_exchange=made.zero)


def test_damaged_samples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    save_sample(sample(), path)
    good = path.read_bytes()
    with h5py.File(path, "r+") as file:
        del file["sample/zero"]
    with pytest.raises(FileFormatError, match="'sample/zero' is missing"):
        load_sample(path)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(FileFormatError, match=r"s\.h5"):
        read_info(path)
    with pytest.raises(FileFormatError, match="no such"):
        read_info(tmp_path / "none.h5")
    for wrong, said in [
        ([], "must hold one JSON object"),
        ({"name": "a"}, "has no 'family'"),
        ({**json.loads(_text(sample())), "n_cells": "2"}, "'n_cells' .* must be a int"),
    ]:
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            del file["sample/info"]
            text = json.dumps(wrong).encode()
            file["sample/info"] = np.array([text], dtype=f"S{len(text)}")
        with pytest.raises(FileFormatError, match=said):
            read_info(path)


def _text(made: Sample) -> str:
    return json.dumps(vars(made.info))


# --- H0 on the reference's pairs ---------------------------------------------------------


def _shuffled(h: Hamiltonian, seed: int) -> Hamiltonian:
    order = np.random.default_rng(seed).permutation(h.pairs.n_pairs)  # one orbital on each site
    pairs = Pairs(*(getattr(h.pairs, n)[order] for n in ("first", "second", "cell")), h.pairs.sizes)
    assert h.exchange is not None
    assert h.spin_orbit is not None
    return replace(
        h,
        pairs=pairs,
        overlap=h.overlap[order],
        scalar=h.scalar[order],
        exchange=h.exchange[order],
        spin_orbit=h.spin_orbit[:, order],
    )


def test_h0_is_found_pair_by_pair_whatever_their_order() -> None:
    reference = hamiltonian(crystal(), cells=2, scale=1.1, spin=True)
    near = hamiltonian(crystal(), cells=1, spin=True)
    zero, exchange, agreement = aligned(reference, _shuffled(near, 5))
    assert exchange is not None
    there = np.abs(reference.pairs.cell).max(axis=1) <= 1
    assert np.allclose(zero[there], reference.scalar[there] / 1.1, atol=1e-14)
    assert np.allclose(exchange[there], reference.exchange[there] / 1.1, atol=1e-14)
    assert not zero[~there].any()
    assert agreement.missing == np.abs(reference.scalar[~there]).max() > 0
    assert agreement.overlap == reference.overlap[~there].max()
    assert agreement.lost == 0
    far = hamiltonian(crystal(), cells=3, spin=True)
    assert aligned(reference, far)[2].lost == pytest.approx(np.exp(-81.0) * 10, rel=0.5)


def test_what_does_not_fit_is_refused() -> None:
    reference = hamiltonian(crystal(), spin=True)
    other = hamiltonian(crystal(a=3.01), spin=True)
    with pytest.raises(HamiltonianError, match=r"overlap S .* differ by"):
        aligned(reference, other)
    wrong = replace(reference, spin_orbit=reference.spin_orbit * 1.001)
    with pytest.raises(HamiltonianError, match="spin–orbit part Λ"):
        aligned(reference, wrong)
    with pytest.raises(HamiltonianError, match="other orbitals"):
        aligned(reference, hamiltonian(crystal("GeC"), spin=True))
    three = replace(reference, exchange=np.stack([reference.exchange] * 3))
    with pytest.raises(HamiltonianError, match="three components"):
        aligned(reference, three)
    plain = replace(reference, exchange=None, spin_orbit=None)
    assert aligned(plain, reference)[1:] == (None, aligned(plain, reference)[2])
    assert aligned(plain, reference)[2].spin_orbit is None


# --- the folder --------------------------------------------------------------------------


def test_a_set_lists_loads_and_digests(tmp_path: Path) -> None:
    stored = StoredFolder(tmp_path / "set")
    stored.begin(None)
    names = ["f/p/0001", "f/p/0000", "g/q+r-aa/0000"]
    for number, name in enumerate(names):
        save_sample(sample(name, a=3 + 0.1 * number), stored.sample(name))
    (stored.path / "samples" / "f" / "p" / ".0002.partial-aa.h5").write_bytes(b"half")
    found = DataSet.open(stored.path)
    assert [i.name for i in found.infos] == sorted(names)
    assert len(found) == 3
    assert np.array_equal(found.load("f/p/0001").zero, sample("f/p/0001").zero)
    assert set(found.split) == set(names)
    before = found.digest
    save_sample(sample("f/p/0001", a=3.3), stored.sample("f/p/0001"))
    assert DataSet.open(stored.path).digest != before
    save_sample(sample("f/p/0001", a=3.0), stored.sample("f/p/0001"))
    assert DataSet.open(stored.path).digest == before
    with pytest.raises(SettingsError, match="no sample 'x'; it has 3"):
        found.load("x")
    stored.sample("f/p/0001").rename(stored.sample("f/p/0007"))
    with pytest.raises(FileFormatError, match="renamed"):
        DataSet.open(stored.path)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no dataset\.json"):
        DataSet.open(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(SettingsError, match="other files"):
        StoredFolder(tmp_path).begin(None)
    for text, said in [
        ("{", "cannot be read"),
        ("[]", "not of a data set"),
        ('{"format": "hamexplorer-dataset", "version": 9}', "has version 9"),
    ]:
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(FileFormatError, match=said):
            DataSet.open(tmp_path)


def test_settings_are_held_against_those_of_the_folder(tmp_path: Path) -> None:
    stored = StoredFolder(tmp_path / "set")
    stored.begin(None)
    stored.begin({"dft": {"kmesh": (6, 6, 1)}})  # nothing was computed yet
    stored.begin({"dft": {"kmesh": (6, 6, 1)}})
    stored.begin(None)
    with pytest.raises(SettingsError, match=r"dft: kmesh: \[6, 6, 1\] there, null asked for"):
        stored.begin({"dft": {}})


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    stored = StoredFolder(tmp_path / "set")
    stored.begin(None)
    left = stored.path / "samples" / ".a.partial-0123.h5"
    left.write_bytes(b"half")
    with stored.locked():
        assert not left.exists()
        with (
            pytest.raises(SettingsError, match="another process"),
            StoredFolder(stored.path).locked(),
        ):
            pass


# --- the split ---------------------------------------------------------------------------

INFOS = st.lists(
    st.builds(
        info,
        name=st.text("abc/0123", min_size=1, max_size=12),
        parent=st.sampled_from("pq"),
        strain=st.floats(0, 0.3),
        n_cells=st.integers(1, 9),
    ),
    unique_by=lambda i: i.name,
    max_size=20,
)


def _set(infos: list[SampleInfo]) -> DataSet:
    places = {i.name: n for n, i in enumerate(infos)}
    return DataSet(Path(), tuple(infos), places)


@given(INFOS, INFOS)
def test_the_split_never_changes_when_data_are_added(
    first: list[SampleInfo], more: list[SampleInfo]
) -> None:
    known = {i.name for i in first}
    both = first + [i for i in more if i.name not in known]
    before, after = _set(first).split, _set(both[::-1]).split
    assert before.items() <= after.items()


@given(st.builds(info, st.text(max_size=9), strain=st.floats(0.001, 0.3)), st.floats(-4e-5, 4e-5))
def test_the_split_reads_only_four_digits_of_the_strain(one: SampleInfo, step: float) -> None:
    rounded = replace(one, strain=round(one.strain, 4))
    assert part_of(rounded) == part_of(replace(rounded, strain=rounded.strain + step))


def test_held_out_and_pristine() -> None:
    for number in range(50):
        one = info(f"f/p/{number}")
        assert part_of(replace(one, held_out=True, pristine=True)) == "test"
        assert part_of(replace(one, pristine=True)) == "train"


def test_shares_are_eight_one_one() -> None:
    parts = [part_of(info(f"f/p/{n:04d}", strain=0.01)) for n in range(4000)]
    shares = [parts.count(part) / len(parts) for part in PARTS]
    assert np.abs(np.array(shares) - [0.8, 0.1, 0.1]).max() < 0.02  # 3 σ


def test_the_split_of_these_names_is_what_it_always_was() -> None:
    parts = [part_of(info(f"monolayers/mos2-1h/{n:04d}", "mos2-1h", 0.0213)) for n in range(20)]
    assert [n for n in range(20) if parts[n] != "train"] == [3, 11, 14, 15, 16]
    assert [parts[n][:4] for n in (3, 11, 14, 15, 16)] == ["vali", "vali", *["test"] * 3]
