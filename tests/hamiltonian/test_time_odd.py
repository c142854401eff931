"""The time-odd part A: any Hermitian Hamiltonian opens, Haldane's model, files, differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import models
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_hamiltonians import hamiltonians, kpoints, random_hamiltonian, seeds

from hamexplorer.assets_path import asset
from hamexplorer.errors import FileFormatError, HamiltonianError
from hamexplorer.hamiltonian import (
    BlochSum,
    Hamiltonian,
    SpinState,
    load_hamiltonian,
    save_hamiltonian,
)
from hamexplorer.properties import BandSolver

K = np.random.default_rng(1).random((40, 3)) * [1, 1, 0]
PAULI = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
MODELS = [(-2.7, 0.1, np.pi / 2, 0.0), (-2.7, 0.3, 0.7, 0.4), (1.0, -0.2, -1.9, -0.6)]


# --- nothing is lost ----------------------------------------------------------------------------


@given(seed=seeds, k=kpoints)
def test_any_hermitian_hamiltonian_is_held_exactly(seed: int, k: list[float]) -> None:
    """Random complex spinor blocks with H[R] = H[−R]† alone, split by Pauli matrices."""
    h = random_hamiltonian(seed, ((0, 1), (1,)))
    rng, n = np.random.default_rng(seed), h.pairs.n_elements
    spinor = rng.normal(size=(2, 2, n)) + 1j * rng.normal(size=(2, 2, n))
    spinor = spinor + spinor.conj().transpose(1, 0, 2)[:, :, h.pairs.transposition]
    parts = np.einsum("ast,tsn->an", PAULI, spinor) / 2
    opened = replace(
        h,
        scalar=parts[0].real,
        time_odd=parts[0].imag,
        exchange=parts[1:].real,
        spin_orbit=parts[1:].imag,
    )
    for pair in range(h.pairs.n_pairs):
        place = (
            int(h.pairs.first[pair]),
            int(h.pairs.second[pair]),
            tuple(h.pairs.cell[pair].tolist()),
        )
        expected = np.block(
            [[h.pairs.block(spinor[s, t], pair) for t in range(2)] for s in range(2)]
        )
        np.testing.assert_allclose(opened.spinor_block(*place), expected, atol=1e-14)
    phase = np.exp(2j * np.pi * (h.pairs.cell @ np.array(k)))[h.pairs.element_pair]
    size = h.basis.n_orbitals
    expected = np.zeros((2, size, 2, size), dtype=complex)
    rows, columns = h.pairs.element_orbitals
    for s, t in np.ndindex(2, 2):
        np.add.at(expected[s, :, t], (rows, columns), spinor[s, t] * phase)
    sums = BlochSum(opened, "cpu")
    dense = sums([k]).spinor()[0].numpy()
    np.testing.assert_allclose(dense, expected.reshape(2 * size, -1), atol=1e-12)
    np.testing.assert_allclose(sums.sparse(k)[0].toarray(), dense, atol=1e-12)


@given(h=hamiltonians(time_odd=True), k=kpoints, soc=st.floats(-2, 2), theta=st.floats(0, 180))
def test_neither_strength_nor_direction_acts_on_it(
    h: Hamiltonian, k: list[float], soc: float, theta: float
) -> None:
    state = SpinState(soc, theta, 40.0, 0.7)
    without = BlochSum(replace(h, time_odd=None), "cpu")([k])
    added = BlochSum(h, "cpu")([k]).spinor(state) - without.spinor(state)
    alone = BlochSum(replace(h, scalar=h.time_odd * 0), "cpu")([k]).scalar
    torch.testing.assert_close(
        added, torch.block_diag(alone[0], alone[0])[None], atol=1e-12, rtol=0
    )
    torch.testing.assert_close(alone, alone.mH, atol=1e-12, rtol=0)


# --- time reversal ------------------------------------------------------------------------------


@given(h=hamiltonians(), k=kpoints, soc=st.floats(-2, 2))
def test_time_reversal_turns_over_a_and_b_alone(h: Hamiltonian, k: list[float], soc: float) -> None:
    turned = replace(
        h,
        time_odd=None if h.time_odd is None else -h.time_odd,
        exchange=None if h.exchange is None else -h.exchange,
    )
    state = SpinState(soc, 30.0, 50.0)
    here = BlochSum(h, "cpu")([k]).spinor(state)[0].numpy()
    there = BlochSum(turned, "cpu")([[-x for x in k]]).spinor(state)[0].numpy()
    theta = np.kron(1j * PAULI[2], np.eye(h.basis.n_orbitals))  # Θ = iσ_y K
    np.testing.assert_allclose(theta @ here.conj() @ theta.conj().T, there, atol=1e-10)
    symmetric = turned.is_time_reversal_symmetric(state)
    assert symmetric == (h.exchange is None and h.time_odd is None)


def test_when_time_reversal_holds() -> None:
    off = SpinState(exchange=0.0)
    for exchange in (None, "collinear", "vector"):
        h = random_hamiltonian(3, exchange=exchange)
        assert h.is_time_reversal_symmetric() == (exchange is None)
        assert h.is_time_reversal_symmetric(SpinState(soc=0.0)) == (exchange is None)
        assert h.is_time_reversal_symmetric(off)
        with_a = random_hamiltonian(3, exchange=exchange, time_odd=True)
        assert not with_a.is_time_reversal_symmetric()
        assert not with_a.is_time_reversal_symmetric(off)
        assert with_a.is_magnetic == h.is_magnetic


# --- Haldane's model ----------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", MODELS)
def test_haldanes_bands(parameters: tuple[float, ...]) -> None:
    h = models.haldane(*parameters)
    assert h.components == ("S", "H", "A")
    expected = np.repeat(models.haldane_bands(K, *parameters), 2, axis=1)
    np.testing.assert_allclose(BandSolver(h, K).energies(), expected, atol=1e-12)
    # in a field both spins keep the bands, each moved as a whole
    field = replace(h, exchange=0.9 * h.overlap)
    split = np.sort(np.concatenate([expected[:, ::2] + 0.9, expected[:, ::2] - 0.9], axis=1))
    for theta in (0.0, 70.0):
        energies = BandSolver(field, K).energies(SpinState(theta=theta))
        np.testing.assert_allclose(energies, split, atol=1e-12)


def test_opposite_k_differ_without_inversion() -> None:
    energies = [
        BandSolver(models.haldane(t2=0.2, stagger=stagger), sign * K).energies()
        for stagger in (0.0, 0.5)
        for sign in (1, -1)
    ]
    np.testing.assert_allclose(energies[0], energies[1], atol=1e-12)  # inversion is left
    assert np.abs(energies[2] - energies[3]).max() > 0.5
    # at the corners the gaps are 2 |M ∓ 3√3 t₂|
    corners = np.array([[1 / 3, 1 / 3, 0], [-1 / 3, -1 / 3, 0]])
    levels = BandSolver(models.haldane(t2=0.2, stagger=0.5), corners).energies()
    gaps = np.sort(levels[:, 2] - levels[:, 1])
    expected = 2 * np.abs(0.5 - 3 * np.sqrt(3) * 0.2 * np.array([1, -1]))
    np.testing.assert_allclose(gaps, np.sort(expected), atol=1e-12)


def test_it_is_kane_and_meles_spin_up_half() -> None:
    up = BlochSum(models.graphene(kane_mele=0.1, stagger=0.2), "cpu")(K).spinor()[:, :2, :2]
    both = BlochSum(models.haldane(t2=0.1, stagger=0.2), "cpu")(K)
    torch.testing.assert_close(both.scalar, up, atol=1e-14, rtol=0)


# --- files --------------------------------------------------------------------------------------


def test_a_file_holds_it_bit_by_bit(tmp_path: Path) -> None:
    h = models.haldane(phi=0.7)
    save_hamiltonian(h, tmp_path / "haldane.h5")
    with h5py.File(tmp_path / "haldane.h5") as file:
        assert file.attrs["version"] == 3
        assert file["blocks/time_odd"].shape == (h.pairs.n_elements,)
    read = load_hamiltonian(tmp_path / "haldane.h5")
    assert read.time_odd is not None
    assert read.time_odd.tobytes() == h.time_odd.tobytes()
    save_hamiltonian(replace(h, time_odd=None), tmp_path / "plain.h5")
    with h5py.File(tmp_path / "plain.h5") as file:
        assert "time_odd" not in file["blocks"]
    assert load_hamiltonian(tmp_path / "plain.h5").time_odd is None


def test_files_of_version_2_open_without_it(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    save_hamiltonian(models.haldane(), path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    assert load_hamiltonian(path).time_odd is None  # a field that version 2 did not know
    with h5py.File(asset("examples/mos2.h5")) as file:
        version = file.attrs["version"]
    assert version == 2
    shipped = load_hamiltonian(asset("examples/mos2.h5"))
    assert shipped.has_position
    assert shipped.time_odd is None
    assert shipped.is_time_reversal_symmetric()


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    h = models.haldane()
    for damage, message in (
        (np.abs(h.time_odd), r"A\[R\] = −A\[−R\]ᵀ is broken by 2\.000e-01 in component A, block C"),
        (np.where(h.time_odd > 0, np.nan, h.time_odd), "Component A holds 6 values that are not"),
        (h.time_odd[:-1], r"time_odd has shape \(\d+,\); accepted"),
    ):
        save_hamiltonian(h, path)
        with h5py.File(path, "r+") as file:
            del file["blocks/time_odd"]
            file["blocks/time_odd"] = damage
        with pytest.raises(FileFormatError, match=message):
            load_hamiltonian(path)
    save_hamiltonian(h, path)
    with h5py.File(path) as file:
        chunk = file["blocks/time_odd"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        load_hamiltonian(path)


# --- parts, differences, text -------------------------------------------------------------------


def test_blocks_and_components() -> None:
    h = models.haldane(t2=0.1, phi=0.5)
    flux = 0.1 * np.sin(0.5)
    assert h.block("A", 0, 0, (1, 0, 0)) == pytest.approx(flux)
    assert h.block("A", 0, 0, (-1, 0, 0)) == pytest.approx(-flux)
    expected: NDArray = 0.1 * np.exp(-0.5j) * np.eye(2)
    np.testing.assert_allclose(h.spinor_block(1, 1, (1, 0, 0)), expected, atol=1e-15)
    assert h.component("A") is h.time_odd
    assert "no exchange, no spin–orbit, time-odd part; " in repr(h)
    assert "time-odd" not in repr(models.graphene())
    with pytest.raises(HamiltonianError, match="'A' is not stored; there are S, H"):
        models.graphene().component("A")


def test_differences_and_shifts() -> None:
    first, second = models.haldane(t2=0.3), models.haldane(t2=0.1)
    difference = first - second
    np.testing.assert_allclose(difference.time_odd, 2 * second.time_odd, atol=1e-15)
    assert np.abs(difference.scalar).max() < 1e-15
    assert first.shifted(2.0).time_odd is first.time_odd
    with pytest.raises(HamiltonianError, match="stores S, H, A, the other S, H"):
        first - replace(second, time_odd=None)
