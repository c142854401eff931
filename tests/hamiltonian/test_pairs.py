"""The pair index against brute force, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from random_hamiltonians import hamiltonians, random_hamiltonian

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.hamiltonian.reversal import opposite_places

SIZES = np.array([2, 3])


def _pairs(*keys: tuple[int, int, tuple[int, int, int]]) -> Pairs:
    return Pairs(*(np.array([key[a] for key in keys]) for a in range(3)), SIZES)


HERE, THERE = (0, 0, (0, 0, 0)), (1, 1, (0, 0, 0))
FORTH, BACK = (0, 1, (1, 0, -2)), (1, 0, (-1, 0, 2))


def test_blocks_lie_one_after_the_other() -> None:
    pairs = _pairs(HERE, FORTH, THERE, BACK)
    np.testing.assert_array_equal(pairs.offsets, [0, 4, 10, 19, 25])
    assert pairs.n_elements == 25
    assert pairs.shape(1) == (2, 3)
    assert pairs.index(0, 1, (1, 0, -2)) == 1
    flat = np.arange(25.0)
    np.testing.assert_array_equal(pairs.block(flat, 1), [[4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(pairs.block(np.stack([flat, -flat]), 1)[1, 1], [-7, -8, -9])


@given(h=hamiltonians(exchange=None, spin_orbit=False))
def test_reverse_transposition_and_orbitals_by_brute_force(h: Hamiltonian) -> None:
    pairs = h.pairs
    flat = np.random.default_rng(0).normal(size=pairs.n_elements)
    turned = flat[pairs.transposition]
    rows, columns = pairs.element_orbitals
    for p in range(pairs.n_pairs):
        i, j, cell = int(pairs.first[p]), int(pairs.second[p]), tuple(pairs.cell[p].tolist())
        back = pairs.index(j, i, tuple(-c for c in cell))
        assert pairs.reverse[p] == back
        assert pairs.index(i, j, cell) == p
        np.testing.assert_array_equal(pairs.block(turned, p), pairs.block(flat, back).T)
        orbitals = np.meshgrid(
            np.arange(h.basis.offsets[i], h.basis.offsets[i + 1]),
            np.arange(h.basis.offsets[j], h.basis.offsets[j + 1]),
            indexing="ij",
        )
        np.testing.assert_array_equal(pairs.block(rows, p), orbitals[0])
        np.testing.assert_array_equal(pairs.block(columns, p), orbitals[1])
        assert (pairs.block(pairs.element_pair, p) == p).all()
    np.testing.assert_array_equal(turned[pairs.transposition], flat)


def test_subset_keeps_the_blocks() -> None:
    h = random_hamiltonian(3)
    keep = np.all(h.pairs.cell == 0, axis=1)
    chosen, mask = h.pairs.subset(keep)
    flat = h.scalar[mask]
    assert chosen.n_elements == len(flat)
    for p in range(chosen.n_pairs):
        i, j = int(chosen.first[p]), int(chosen.second[p])
        np.testing.assert_array_equal(chosen.block(flat, p), h.block("H", i, j))


def test_same_as_asks_for_order_and_sizes() -> None:
    pairs = _pairs(HERE, FORTH, BACK)
    assert pairs.same_as(_pairs(HERE, FORTH, BACK))
    assert not pairs.same_as(_pairs(HERE, BACK, FORTH))
    assert not pairs.same_as(Pairs(pairs.first, pairs.second, pairs.cell, SIZES[::-1]))


def test_a_missing_reverse_is_named() -> None:
    with pytest.raises(HamiltonianError, match=r"Pair \(1, 0, R = \(-1, 0, 2\)\) is missing"):
        _pairs(HERE, FORTH)
    with pytest.raises(HamiltonianError, match="missing although its reverse is stored"):
        _pairs(HERE, FORTH, (1, 0, (1, 0, -2)))


def test_a_pair_stored_twice_is_named() -> None:
    with pytest.raises(HamiltonianError, match=r"Pair \(0, 1, R = \(1, 0, -2\)\) is stored twice"):
        _pairs(HERE, FORTH, BACK, FORTH, BACK)


@pytest.mark.parametrize("site", [-1, 2])
def test_a_site_that_is_not_is_named(site: int) -> None:
    with pytest.raises(HamiltonianError, match=f"names site {site}; accepted are 0 … 1"):
        _pairs(HERE, (site, site, (0, 0, 0)))


def test_other_bad_indices() -> None:
    empty = np.zeros(0, dtype=int)
    with pytest.raises(HamiltonianError, match="at least one pair"):
        Pairs(empty, empty, np.zeros((0, 3), dtype=int), SIZES)
    with pytest.raises(HamiltonianError, match="disagree"):
        Pairs(np.array([0]), np.array([0, 1]), np.zeros((1, 3), dtype=int), SIZES)
    with pytest.raises(HamiltonianError, match="'cell' must hold integers, not float64"):
        Pairs(np.array([0]), np.array([0]), np.array([[0.5, 0, 0]]), SIZES)
    with pytest.raises(HamiltonianError, match="positive"):
        Pairs(np.array([0]), np.array([0]), np.zeros((1, 3), dtype=int), np.array([0]))
    with pytest.raises(HamiltonianError, match="beyond"):
        _pairs(HERE, (0, 1, (-(2**63), 0, 0)), (1, 0, (-(2**63), 0, 0)))
    with pytest.raises(HamiltonianError, match=r"sites 0 and 1 with R = \(5, 0, 0\)"):
        _pairs(HERE).index(0, 1, (5, 0, 0))


def test_the_index_is_frozen_and_the_caller_s_arrays_are_not() -> None:
    first, second = np.array([0, 0, 1]), np.array([0, 1, 0])
    cell, sizes = np.zeros((3, 3), dtype=np.int64), SIZES.copy()
    pairs = Pairs(first, second, cell, sizes)
    first[0], cell[0, 0], sizes[0] = 1, 9, 9
    assert pairs.first[0] == 0
    assert pairs.cell[0, 0] == 0
    assert pairs.sizes[0] == 2
    for name in ("first", "cell", "offsets", "reverse", "element_pair", "transposition"):
        assert not getattr(pairs, name).flags.writeable, name


@given(hamiltonians())
def test_opposite_places_are_the_transposition_in_parts(h: Hamiltonian) -> None:
    t = h.pairs.transposition
    for at_once in (1, 7, 10**6):
        seen = np.zeros(h.pairs.n_elements, dtype=int)
        for here, there in opposite_places(h.pairs, at_once):
            np.testing.assert_array_equal(there, t[here])
            assert len(here) == 1 or here.size <= at_once
            np.add.at(seen, here, 1)
            own = np.isin(here, there)
            np.add.at(seen, there[~own], 1)
        assert (seen == 1).all()
