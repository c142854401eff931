"""Orbital order and labels of CONVENTIONS.md."""

# ruff: noqa: E741 - l is the quantum number's own name

from __future__ import annotations

import numpy as np
import pytest

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import ORBITAL_NAMES, Basis, Shell

MO = (Shell("4s", 0), Shell("5s", 0), Shell("4p", 1), Shell("4d", 2))
S = (Shell("3s", 0), Shell("3p", 1))


@pytest.fixture(scope="module")
def mos2() -> Basis:
    return Basis.from_elements(["Mo", "S", "S"], {"Mo": MO, "S": S})


def test_labels_follow_the_conventions(mos2: Basis) -> None:
    assert mos2.labels[:10] == (
        *("Mo1 4s", "Mo1 5s", "Mo1 4p y", "Mo1 4p z", "Mo1 4p x"),
        *("Mo1 4d xy", "Mo1 4d yz", "Mo1 4d z²", "Mo1 4d xz", "Mo1 4d x²−y²"),
    )
    assert mos2.labels[14:] == ("S2 3s", "S2 3p y", "S2 3p z", "S2 3p x")
    assert len(set(mos2.labels)) == mos2.n_orbitals == 18
    assert mos2.local_labels(1) == ("3s", "3p y", "3p z", "3p x")
    assert mos2.site_labels == ("Mo1", "S1", "S2")


def test_numbering_runs_within_an_element_in_the_structure_s_order() -> None:
    shell = (Shell("1s", 0),)
    basis = Basis(("S", "Mo", "S", "Mo"), (shell,) * 4)
    assert basis.site_labels == ("S1", "Mo1", "S2", "Mo2")


def test_indices_of_orbitals(mos2: Basis) -> None:
    np.testing.assert_array_equal(mos2.sizes, [10, 4, 4])
    np.testing.assert_array_equal(mos2.offsets, [0, 10, 14, 18])
    np.testing.assert_array_equal(mos2.orbital_site, [0] * 10 + [1] * 4 + [2] * 4)
    np.testing.assert_array_equal(
        mos2.orbital_l, [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 0, 1, 1, 1, 0, 1, 1, 1]
    )
    np.testing.assert_array_equal(mos2.orbital_m[:10], [0, 0, -1, 0, 1, -2, -1, 0, 1, 2])
    assert mos2.orbital_shell[5] == "4d"
    assert mos2.site_orbitals(1) == slice(10, 14)


@pytest.mark.parametrize(("l", "names"), ORBITAL_NAMES.items())
def test_every_shell_has_2l_plus_1_names(l: int, names: tuple[str, ...]) -> None:
    assert len(set(names)) == 2 * l + 1 == Shell("x", l).size


def test_g_shells_are_labelled_by_m() -> None:
    labels = Basis(("Ce",), ((Shell("5g", 4),),)).labels
    assert labels[0] == "Ce1 5g m=-4"
    assert labels[-1] == "Ce1 5g m=+4"


def test_index_arrays_cannot_be_written(mos2: Basis) -> None:
    for array in (mos2.sizes, mos2.offsets, mos2.orbital_site, mos2.orbital_l, mos2.orbital_m):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


@pytest.mark.parametrize("label", ["", " ", "4 d", "4d ", "\t4d"])
def test_a_label_is_one_word(label: str) -> None:
    with pytest.raises(HamiltonianError, match="one word"):
        Shell(label, 2)


@pytest.mark.parametrize("l", [-1, 12, 1.5, "2"])
def test_angular_momentum_must_be_known(l: object) -> None:
    with pytest.raises(HamiltonianError, match=r"4d has l = .*accepted are the integers 0 … 11"):
        Shell("4d", l)  # type: ignore[arg-type]


def test_sites_and_shells_must_agree() -> None:
    with pytest.raises(HamiltonianError, match="names 2 sites but lists shells for 1"):
        Basis(("S", "S"), (S,))
    with pytest.raises(HamiltonianError, match=r"Site 2 \(S\) has no shell"):
        Basis(("Mo", "S"), (MO, ()))
    with pytest.raises(HamiltonianError, match="No shells are given for Se; given are those of S"):
        Basis.from_elements(["S", "Se"], {"S": S})
