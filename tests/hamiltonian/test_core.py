"""The Hamiltonian: what it refuses, blocks and selections, arithmetic, immutability."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import models
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from random_hamiltonians import hamiltonians, random_hamiltonian

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import (
    COMPONENTS,
    Basis,
    BlochSum,
    Hamiltonian,
    Pairs,
    Shell,
    SpinState,
    validation,
)
from hamexplorer.properties.solver import BandSolver
from hamexplorer.provenance import Provenance

ARRAYS = ("overlap", "scalar", "exchange", "spin_orbit", "uncertainty", "position", "time_odd")


@pytest.fixture
def full() -> Hamiltonian:
    return random_hamiltonian(7, exchange="vector", uncertainty=True, position=True, time_odd=True)


def _spoiled(h: Hamiltonian, name: str, pair: int, value: float, row: int = 0) -> Hamiltonian:
    """``h`` with one element of one block off by ``value``; ``row`` of components."""
    array = np.array(getattr(h, name))
    element = h.pairs.offsets[pair] + 1
    (array if array.ndim == 1 else array[row])[element] += value
    return replace(h, **{name: array})


# --- invariants ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row", "law"),
    [
        ("overlap", 0, "S[R] = S[−R]ᵀ"),
        ("scalar", 0, "H[R] = H[−R]ᵀ"),
        ("exchange", 1, "By[R] = By[−R]ᵀ"),
        ("spin_orbit", 2, "Λ[R] = −Λ[−R]ᵀ"),
        ("position", 2, "position z[R] = position z[−R]ᵀ"),
        ("time_odd", 0, "A[R] = −A[−R]ᵀ"),
    ],
)
def test_a_broken_law_names_the_component_and_its_worst_block(
    full: Hamiltonian, name: str, row: int, law: str
) -> None:
    pairs = full.pairs
    pair = next(p for p in range(pairs.n_pairs) if pairs.first[p] < pairs.second[p])
    slightly = _spoiled(full, name, 0 if pair else 1, 0.9e-6, row)
    with pytest.raises(HamiltonianError) as caught:
        _spoiled(slightly, name, pair, 0.5e-3, row)
    message = str(caught.value)
    i, j, cell = pairs.first[pair], pairs.second[pair], tuple(pairs.cell[pair].tolist())
    back = tuple(-c for c in cell)
    assert message.startswith(f"{law} is broken by 5.0")
    assert "accepted is 1e-06" in message
    assert (
        f"Si{i + 1}–Si{j + 1}, R = {cell};" in message
        or f"Si{j + 1}–Si{i + 1}, R = {back};" in message
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "component"),
    [
        *(("overlap", "S"), ("scalar", "H"), ("exchange", "Bx"), ("spin_orbit", "Lx")),
        *(("position", "position x"), ("time_odd", "A")),
    ],
)
def test_a_value_that_is_not_finite_is_located(
    full: Hamiltonian, name: str, component: str, value: float
) -> None:
    first, second = full.pairs.first[2], full.pairs.second[2]
    where = f"Component {component} holds 1 values .* Si{first + 1}–Si{second + 1}, R = "
    with pytest.raises(HamiltonianError, match=where):
        _spoiled(full, name, 2, value)


def test_a_collinear_exchange_of_nan_is_refused() -> None:
    h = random_hamiltonian(7, exchange="collinear")
    where = r"Component B holds \d+ values that are not finite, the first in block Si\d–Si"
    with pytest.raises(HamiltonianError, match=where):
        replace(h, exchange=np.full_like(h.scalar, np.nan))


@pytest.mark.parametrize("value", [np.nan, -10.0])
def test_an_uncertainty_is_not_negative(full: Hamiltonian, value: float) -> None:
    with pytest.raises(HamiltonianError, match=r"uncertainty of block Si\d–Si\d.* from 0 up"):
        _spoiled(full, "uncertainty", 2, value)


def test_an_overlap_that_is_not_positive_definite_is_refused() -> None:
    models.chain(s=0.49)
    with pytest.raises(HamiltonianError, match=r"at k = \[0.5, 0.0, 0.0\].*eigenvalue is -2.0"):
        models.chain(s=0.51)  # 1 + 2s cos(2πk) < 0 at the zone's edge
    with pytest.raises(HamiltonianError, match=r"at k = \[0.0, 0.0, 0.0\].*eigenvalue is -2.0"):
        models.chain(s=-0.51)


def test_large_overlaps_are_checked_at_gamma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_SAMPLED_ORBITALS", 50)
    with pytest.raises(HamiltonianError, match=r"at k = \[0.0, 0.0, 0.0\].*eigenvalue is -2.0"):
        _long_chain(60, -0.51)


def test_the_largest_overlaps_are_checked_site_by_site_and_by_the_solver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validation, "_SAMPLED_ORBITALS", 50)
    monkeypatch.setattr(validation, "_GAMMA_ORBITALS", 50)
    h = _long_chain(60, -0.51)
    with pytest.raises(HamiltonianError, match="not positive definite"):
        BandSolver(h, [[0.0, 0.0, 0.0]]).energies()
    with pytest.raises(HamiltonianError, match=r"in H3–H3, R = \(0, 0, 0\) .* is -1.0"):
        replace(h, overlap=np.where(np.arange(180) == 2, -1.0, h.overlap))


def _long_chain(n: int, s: float) -> Hamiltonian:
    """A cell of n sites of the chain with overlap s between neighbours."""
    sites = np.arange(n)
    cell = np.zeros((3 * n, 3), dtype=int)
    cell[2 * n - 1, 0], cell[-1, 0] = 1, -1
    pairs = Pairs(
        np.r_[sites, sites, np.roll(sites, -1)],
        np.r_[sites, np.roll(sites, -1), sites],
        cell,
        np.ones(n, dtype=int),
    )
    return Hamiltonian(
        structure=Structure(
            Lattice.orthorhombic(2.0 * n, 9, 9), ["H"] * n, np.c_[sites / n, np.zeros((n, 2))]
        ),
        basis=Basis(("H",) * n, ((Shell("1s", 0),),) * n),
        pairs=pairs,
        overlap=np.r_[np.ones(n), np.full(2 * n, s)],
        scalar=np.zeros(3 * n),
        exchange=None,
        spin_orbit=None,
        n_electrons=float(n),
        provenance=Provenance("test", "chain"),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: {"scalar": h.scalar[:-1]}, "scalar has shape .*accepted: "),
        (lambda h: {"spin_orbit": h.spin_orbit[:2]}, r"spin_orbit has shape \(2, "),
        (lambda h: {"exchange": h.exchange[:2]}, r"exchange has shape .* or \(3, "),
        (lambda h: {"position": h.position[0]}, r"position has shape .*accepted: \(3, "),
        (lambda h: {"position": h.position + 0j}, "position holds complex128; accepted are real"),
        (lambda h: {"time_odd": h.time_odd[None]}, r"time_odd has shape \(1, "),
        (lambda h: {"time_odd": h.time_odd + 0j}, "time_odd holds complex128; accepted are real"),
        (lambda h: {"scalar": h.scalar + 0j}, "scalar holds complex128; accepted are real"),
        (lambda h: {"scalar": h.scalar.astype(str)}, "scalar holds .*accepted are real"),
        (lambda _: {"n_electrons": -1.0}, r"-1.0 electrons do not fit .* 0 … \d+"),
        (lambda _: {"n_electrons": float("nan")}, "nan electrons do not fit"),
        (lambda _: {"n_electrons": 1e6}, "electrons do not fit"),
        (lambda _: {"basis": models.p_atom().basis}, "3 sites but the basis 1"),
        (
            lambda h: {"basis": Basis(("Si", "Ge", "Si"), h.basis.shells)},
            "Site 2 is Si in the structure but Ge in the basis",
        ),
        (
            lambda h: {"basis": Basis(("Si",) * 3, (h.basis.shells[1],) * 3)},
            "disagree on orbitals per site",
        ),
    ],
)
def test_parts_that_do_not_fit(
    full: Hamiltonian, change: Callable[[Hamiltonian], dict[str, object]], message: str
) -> None:
    with pytest.raises(HamiltonianError, match=message):
        replace(full, **change(full))


# --- immutability --------------------------------------------------------------------------


def test_arrays_are_read_only_and_the_caller_s_stay_writeable(full: Hamiltonian) -> None:
    own = {name: np.array(getattr(full, name)) for name in ARRAYS}
    h = replace(full, **own)
    for name, array in own.items():
        array[...] = 99.0
        np.testing.assert_array_equal(getattr(h, name), getattr(full, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(h, name)[..., 0] = 1.0
    for array in (h.component("H"), h.component("Bx"), h.distances, h.vectors):
        assert not array.flags.writeable
    with pytest.raises(FrozenInstanceError):
        h.scalar = own["scalar"]


def test_read_only_arrays_are_shared_not_copied(full: Hamiltonian) -> None:
    assert np.shares_memory(replace(full, n_electrons=2.0).spin_orbit, full.spin_orbit)


def test_a_structure_changed_later_does_not_change_the_hamiltonian() -> None:
    structure = Structure(Lattice.cubic(3), ["H"], [[0, 0, 0]])
    h = replace(models.chain(), structure=structure)
    structure.make_supercell(2)
    assert len(h.structure) == 1


def test_a_block_is_a_copy_that_may_be_written(full: Hamiltonian) -> None:
    block = full.block("H", 0, 0)
    block[...] = 0
    assert full.block("H", 0, 0).any()


# --- content -------------------------------------------------------------------------------


@given(h=hamiltonians())
def test_components_are_those_stored(h: Hamiltonian) -> None:
    assert set(h.components) <= set(COMPONENTS)
    assert h.has_spin_orbit == ("Lz" in h.components)
    assert h.is_magnetic == ("B" in h.components or "Bz" in h.components)
    assert (h.time_odd is not None) == ("A" in h.components)
    assert list(h.components) == [name for name in COMPONENTS if name in h.components]
    for name in set(COMPONENTS) - set(h.components):
        with pytest.raises(HamiltonianError, match=f"{name!r} is not stored; there are S, H"):
            h.component(name)


def test_blocks_by_sites_and_orbitals(full: Hamiltonian) -> None:
    # site 0 has 1s 2p, site 2 has 1s 3d
    block = full.block("Ly", 2, 2)
    assert block.shape == (6, 6)
    np.testing.assert_array_equal(full.block("Ly", 2, 2, rows="3d"), block[1:])
    np.testing.assert_array_equal(full.block("Ly", 2, 2, columns="3d z²"), block[:, 3:4])
    np.testing.assert_array_equal(
        full.block("Ly", 2, 2, rows=[5, 0], columns="1s"), block[[5, 0], :1]
    )
    assert full.block("Ly", 2, 2, rows=[]).shape == (0, 6)
    for p in range(full.pairs.n_pairs):
        i, j = int(full.pairs.first[p]), int(full.pairs.second[p])
        cell = tuple(full.pairs.cell[p].tolist())
        back = tuple(-c for c in cell)
        np.testing.assert_allclose(full.block("H", i, j, cell), full.block("H", j, i, back).T)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.block("B", 0, 0), "'B' is not stored; there are S, H, A, Bx"),
        (lambda h: h.block("H", 0, 0, (9, 9, 9)), r"R = \(9, 9, 9\)"),
        (lambda h: h.block("H", 3, 0), "No block is stored for sites 3 and 0"),
        (lambda h: h.block("H", 0, 0, rows="3d"), "Si1 has no orbital '3d'; there are 1s, 2p y"),
        (lambda h: h.block("H", 0, 0, columns=[4]), r"Si1 has orbitals 0 … 3, not \[4\]"),
        (lambda h: h.block("H", 0, 0, rows=[-1]), "Si1 has orbitals 0 … 3"),
        (lambda h: h.block("H", 0, 0, rows=[0.5]), "Si1 has orbitals 0 … 3"),
        (lambda h: h.block("H", 0, 0, rows=[True, False]), "Si1 has orbitals 0 … 3"),
        (lambda h: h.spinor_block(0, 0, (9, 9, 9)), r"R = \(9, 9, 9\)"),
        (lambda h: h.select(sites=[0, 3]), r"Sites are 0 … 2, not \[0, 3\]"),
        (lambda h: h.select(sites=[-1]), "Sites are 0 … 2"),
    ],
)
def test_what_is_not_stored_is_named(
    full: Hamiltonian, call: Callable[[Hamiltonian], object], message: str
) -> None:
    with pytest.raises(HamiltonianError, match=message):
        call(full)


def test_distances_and_vectors_by_brute_force(full: Hamiltonian) -> None:
    for p in range(full.pairs.n_pairs):
        i, j, cell = full.pairs.first[p], full.pairs.second[p], full.pairs.cell[p]
        expected = full.structure[int(i)].distance(full.structure[int(j)], jimage=cell)
        assert full.distances[p] == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(full.vectors, -full.vectors[full.pairs.reverse], atol=1e-12)


@given(
    sites=st.none() | st.sets(st.integers(0, 2)),
    cells=st.none() | st.sets(st.tuples(*[st.integers(-1, 1)] * 3), max_size=4),
    max_distance=st.none() | st.floats(0, 12),
)
def test_selection_by_brute_force(
    sites: set[int] | None, cells: set[tuple[int, int, int]] | None, max_distance: float | None
) -> None:
    h = random_hamiltonian(7)
    chosen = h.select(sites=sites, cells=cells, max_distance=max_distance).tolist()
    expected = []
    for p in range(h.pairs.n_pairs):
        i, j = int(h.pairs.first[p]), int(h.pairs.second[p])
        cell = tuple(h.pairs.cell[p].tolist())
        back = tuple(-c for c in cell)
        if (
            (sites is None or {i, j} <= sites)
            and (cells is None or cell in cells or back in cells)
            and (max_distance is None or h.distances[p] <= max_distance)
        ):
            expected.append(p)
    assert sorted(chosen) == expected
    assert np.all(np.diff(h.distances[chosen]) >= 0)
    np.testing.assert_array_equal(np.sort(h.pairs.reverse[chosen]), expected)


def test_the_position_is_no_term_of_the_hamiltonian(full: Hamiltonian) -> None:
    assert full.has_position
    assert ", position; random)" in repr(full)
    without = replace(full, position=None)
    assert not without.has_position
    assert "position" not in repr(without)
    assert full.components == without.components
    # what is subtracted or shifted are energies: the orbitals and so X stay
    np.testing.assert_array_equal((full - without).position, full.position)
    assert (without - full).position is None
    np.testing.assert_array_equal(full.shifted(1.0).position, full.position)


# --- arithmetic and text -------------------------------------------------------------------


@given(h=hamiltonians(), energy=st.floats(-20, 20))
def test_a_shift_moves_every_level(h: Hamiltonian, energy: float) -> None:
    k = [0.1, 0.2, 0.3]
    before, after = (BlochSum(x, "cpu")([k]) for x in (h, h.shifted(energy)))
    expected = before.spinor() + energy * before.spinor_overlap()
    np.testing.assert_allclose(after.spinor(), expected, atol=1e-10)


@given(h=hamiltonians())
def test_differences_are_element_by_element(h: Hamiltonian) -> None:
    difference = h.shifted(1.5) - h
    np.testing.assert_allclose(difference.scalar, 1.5 * h.overlap, atol=1e-12)
    np.testing.assert_array_equal(difference.overlap, h.overlap)
    for name in ("exchange", "spin_orbit", "time_odd"):
        given, left = getattr(h, name), getattr(difference, name)
        assert (given is None) == (left is None)
        assert left is None or not left.any()
    assert difference.uncertainty is None
    assert difference.provenance.title == "random − random"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: random_hamiltonian(8, exchange="vector"), "on the same pairs"),
        (lambda: random_hamiltonian(7), "stores S, H, A, Bx, .* the other S, H, Lx, Ly, Lz"),
        (lambda: random_hamiltonian(7, exchange="collinear"), "stores S, H, A, Bx"),
    ],
)
def test_only_like_hamiltonians_are_subtracted(
    full: Hamiltonian, other: Callable[[], Hamiltonian], message: str
) -> None:
    with pytest.raises(HamiltonianError, match=message):
        full - other()


def test_other_orbitals_are_not_subtracted() -> None:
    with pytest.raises(HamiltonianError, match=r"overlaps differ by up to 1\.00e-01"):
        models.chain(s=0.2) - models.chain(s=0.1)
    with pytest.raises(TypeError):
        models.chain() - 1.0


def test_spinor_block_of_a_collinear_field(full: Hamiltonian) -> None:
    h = models.p_atom(field=0.5)
    block = h.spinor_block(0, 0, state=SpinState(soc=0, theta=90))
    np.testing.assert_allclose(block, np.kron([[0, 0.5], [0.5, 0]], np.eye(3)), atol=1e-15)


@pytest.mark.parametrize(
    ("h", "said"),
    [
        (models.p_atom(), "Bi: 1 sites, 3 orbitals, 1 pairs to 0.0 Å, 3 electrons, no exchange"),
        (models.chain(), "no exchange, no spin–orbit; closed-form model"),
        (models.chain(field=0.1), "collinear exchange, no spin–orbit"),
        (random_hamiltonian(1, exchange="vector"), "non-collinear exchange, spin–orbit; random"),
    ],
)
def test_repr_is_for_people(h: Hamiltonian, said: str) -> None:
    assert re.fullmatch(rf"Hamiltonian\(.*{re.escape(said)}.*\)", repr(h))
    assert "\n" not in repr(h)
