"""The order of harmonics in a file, found by the rotation law of its overlap."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from pyscf import gto

from hamexplorer.assets_path import asset
from hamexplorer.formats import read_hamiltonian
from hamexplorer.formats.order_check import CANDIDATES, FITTING, OrderCheck, detected_order
from hamexplorer.formats.orders import M_ORDER, OPENMX, PYSCF, HarmonicOrder, reordering
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell, load_hamiltonian

DATA = Path(__file__).parents[1] / "data" / "openmx"
OURS = "m = −l … l"


@cache
def real(name: str) -> Hamiltonian:
    if name == "mos2":
        return load_hamiltonian(asset("examples") / "mos2.h5")
    return read_hamiltonian(DATA / f"{name}.scfout.xz")


def stored(h: Hamiltonian, order: HarmonicOrder) -> NDArray[np.float64]:
    """The overlap as a file of another order has it."""
    return reordering(h.pairs, h.basis, order).inverse()(h.overlap)


def checked(h: Hamiltonian, overlap: NDArray[np.float64]) -> OrderCheck:
    return detected_order(overlap, h.pairs, h.basis, h.structure)


@pytest.mark.parametrize("name", ["mos2", "wse2_col", "fe_nc"])
@pytest.mark.parametrize("order", CANDIDATES)
def test_the_one_order_of_a_real_calculation_is_found(name: str, order: str) -> None:
    check = checked(real(name), stored(real(name), CANDIDATES[order]))
    # 1e-10: two programs' integrals obey the law to their last digits; a wrong order is far off
    assert check.fits == (order,)
    assert check.scores[order] < 1e-9
    assert min(score for other, score in check.scores.items() if other != order) > 0.5
    assert check.doubt(order) is None


def test_a_wrong_order_is_told_with_the_one_that_fits() -> None:
    check = checked(real("wse2_col"), stored(real("wse2_col"), OPENMX))
    doubt = check.doubt(OURS)
    assert doubt is not None
    assert OURS in doubt
    assert "fits the order of OpenMX" in doubt


def test_an_overlap_that_no_order_explains_is_told() -> None:
    h = real("wse2_col")
    moved = h.structure.copy()
    moved.translate_sites([1], [0.1, 0.05, 0.02], to_unit_cell=False)
    check = detected_order(h.overlap, h.pairs, h.basis, moved)
    assert check.fits == ()
    doubt = check.doubt(OURS)
    assert doubt is not None
    assert "no known order" in doubt


def test_wrapped_positions_do_not_fit_the_cells_of_the_pairs() -> None:
    h = real("wse2_col")
    frac = h.structure.frac_coords.copy()
    frac[1] += [0, 1, 0]
    elsewhere = Structure(h.structure.lattice, h.basis.symbols, frac)
    assert detected_order(h.overlap, h.pairs, h.basis, elsewhere).fits == ()


def test_a_shell_of_wrong_order_is_found_among_right_ones() -> None:
    # f alone in OpenMX's order, s, p and d as ours: every part of the overlap counts
    mixed = HarmonicOrder({**M_ORDER.m, 3: OPENMX.m[3]})
    check = checked(real("mos2"), stored(real("mos2"), mixed))
    assert check.fits == ()
    assert check.scores[OURS] > 0.1


def test_candidates_may_be_given() -> None:
    h = real("mos2")
    mixed = HarmonicOrder({**M_ORDER.m, 3: OPENMX.m[3]})
    check = detected_order(
        stored(h, mixed), h.pairs, h.basis, h.structure, {"mine": mixed, OURS: M_ORDER}
    )
    assert check.fits == ("mine",)


def test_an_order_without_a_shell_is_left_out() -> None:
    h = gaussians([[0, 4]] * 2, [[0, 0, 0], [0.5, 0.3, 1.1]])
    check = checked(h, h.overlap)
    assert "OpenMX" not in check.scores
    assert check.fits[0] == OURS
    assert check.doubt("OpenMX") is None


def test_signs_cannot_be_told_in_a_plane() -> None:
    flat = gaussians([[0, 1]] * 3, [[0, 0, 0], [1.1, 0.3, 0], [-0.4, 1.2, 0]])
    # (−1)^m is a half turn about z, which leaves a plane as it is
    assert set(checked(flat, flat.overlap).fits) == {OURS, "Siesta"}
    assert checked(flat, flat.overlap).doubt("Siesta") is None


@pytest.mark.parametrize("case", ["s shells", "far apart", "orthogonal"])
def test_nothing_tells(case: str) -> None:
    h = {
        "s shells": lambda: models.chain(s=0.2),
        "far apart": lambda: gaussians([[1]] * 2, [[0, 0, 0], [0, 0, 30.0]]),
        "orthogonal": models.silicon,
    }[case]()
    check = checked(h, h.overlap)
    assert check.scores == {}
    assert check.fits == ()
    assert check.doubt(OURS) is None


def gaussians(momenta: list[list[int]], places: list[list[float]]) -> Hamiltonian:
    """One Gaussian for each l of every site (Å) in a large cell, S by PySCF."""
    symbols = ["Si"] * len(places)
    basis = {
        f"Si{k}": [[a, [0.4 + a / 10, 1.0]] for a in of_site] for k, of_site in enumerate(momenta)
    }
    mol = gto.M(
        atom=[(f"Si{k}", place) for k, place in enumerate(places)],
        basis=basis,
        unit="Angstrom",
        verbose=0,
    )
    shells = tuple(tuple(Shell(f"l{a}", a) for a in of_site) for of_site in momenta)
    ours = Basis(tuple(symbols), shells)
    first, second = (np.ravel(a) for a in np.indices((len(places),) * 2))
    pairs = Pairs(first, second, np.zeros((len(first), 3), dtype=np.int64), ours.sizes)
    dense = mol.intor("int1e_ovlp_sph")
    edges = ours.offsets
    flat = np.concatenate(
        [
            dense[edges[i] : edges[i + 1], edges[j] : edges[j + 1]].ravel()
            for i, j in zip(first, second, strict=True)
        ]
    )
    overlap = reordering(pairs, ours, PYSCF)(flat)
    structure = Structure(
        Lattice.cubic(50), symbols, np.array(places) + 10, coords_are_cartesian=True
    )
    return replace(
        models.chain(),
        structure=structure,
        basis=ours,
        pairs=pairs,
        overlap=overlap,
        scalar=overlap,
        exchange=None,
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(CANDIDATES)))
def test_the_order_of_gaussians_anywhere_is_found(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1.5, 1.5, (3, 3))
    h = gaussians([[0, 1, 2], [1, 3], [2]], places.tolist())
    check = checked(h, stored(h, CANDIDATES[kind]))
    assert check.fits == (kind,)
    assert check.scores[kind] < 1e-6 < FITTING
