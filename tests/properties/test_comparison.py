"""Two Hamiltonians of one structure: which numbers differ, by how much, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from models import L_P, P, S, build, chain, line_path, random_crystal, silicon
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.hamiltonian import Basis, BlochSum, Hamiltonian, Pairs, Shell, SpinState
from hamexplorer.properties.bands import band_structure
from hamexplorer.properties.comparison import (
    TABLES,
    Comparer,
    Comparison,
    compare,
    site_translations,
)
from hamexplorer.properties.comparison.tables import distance_shells

LINE = (("Γ", (0, 0, 0)), ("X", (0.5, 0, 0.5)), ("L", (0.5, 0.5, 0.5)))
HERE = (0, 0, (0, 0, 0))


def compared(first: Hamiltonian, second: Hamiltonian, **options: Any) -> Comparison:
    return compare(first, second, line_path(first, LINE, 8), **options)


def disturbed(h: Hamiltonian, pair: int, block: Any, component: str = "scalar") -> Hamiltonian:
    """``h`` with ``block`` added to a pair and its reverse."""
    flat = getattr(h, component).copy()
    h.pairs.block(flat, pair)[...] += block
    reverse = int(h.pairs.reverse[pair])
    if reverse != pair:
        sign = -1 if component == "spin_orbit" else 1
        h.pairs.block(flat, reverse)[...] += sign * np.swapaxes(block, -1, -2)
    return replace(h, **{component: flat})


def salt() -> Hamiltonian:
    """Two species in the rock-salt cell, s and p on one, p on the other."""
    a = 5.6
    structure = Structure(
        Lattice([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]),
        ["Na", "Cl"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    scalar: dict[Any, Any] = {
        (0, 0, (0, 0, 0)): np.diag([3.0, 6.0, 6.0, 6.0]),
        (1, 1, (0, 0, 0)): np.diag([-4.0, -4.0, -4.0]),
    }
    for cell in ((0, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1), (-1, -1, 0), (-1, 0, -1)):
        d = structure.lattice.get_cartesian_coords(np.array(cell) + 0.5)
        n = (d / np.linalg.norm(d))[[1, 2, 0]]
        scalar[(0, 1, cell)] = np.vstack([0.6 * n, 0.4 * np.outer(n, n)])
    spin_orbit = np.zeros((3, 4, 4))
    spin_orbit[:, 1:, 1:] = 0.1 * L_P
    coupling = {(0, 0, (0, 0, 0)): spin_orbit, (1, 1, (0, 0, 0)): 0.1 * L_P}
    return build(structure, [[S, P], [P]], 6.0, scalar=scalar, spin_orbit=coupling)


# --- nothing and a constant ------------------------------------------------------------------


def test_identical_ones_differ_in_nothing() -> None:
    h = salt()
    result = compared(h, h)
    assert result.elements is not None
    assert result.elements.mean() == 0
    assert not result.elements.worst
    assert result.bands.count > 0
    assert result.bands.largest == 0
    assert result.shift.energy == result.shift.fitted == 0
    assert result.overlap_difference == 0
    assert result.amplification is None
    assert not result.hides
    assert result.verdict == "The two agree: neither elements nor bands differ."
    assert result.warnings == ()


def test_a_constant_is_fitted_exactly_and_moves_all_bands() -> None:
    h = random_crystal(2, [S, P], seed=3)
    second = h.shifted(0.0625)
    result = compared(h, second)
    # default: as they are, with the fitted constant beside
    assert result.shift.method == "none"
    assert result.shift.energy == 0
    assert result.shift.fitted == pytest.approx(-62.5, abs=1e-9)
    assert result.shift.explained == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(result.bands.difference, 62.5, atol=1e-8)
    # of H + c S the elements are off by c |S|, the rest by nothing
    assert result.elements is not None
    expected = 62.5 * np.abs(h.overlap).mean()
    assert result.elements.mean() == pytest.approx(expected)
    assert result.elements.mean("Lx") == 0
    assert "'fit') takes away 100 %" in result.verdict
    fitted = compared(h, second, shift="fit")
    assert fitted.shift.energy == pytest.approx(-62.5, abs=1e-9)
    assert fitted.elements is not None
    assert fitted.elements.largest() < 1e-9
    assert fitted.bands.largest < 1e-8
    assert "neither elements nor bands" in fitted.verdict


@pytest.mark.parametrize("shift", ["vbm", "fermi"])
def test_bands_are_aligned_and_elements_with_them(shift: Any) -> None:
    h = silicon(0.1)
    other = disturbed(h, h.pairs.index(0, 0), 0.05 * np.diag([1, 0, 0, 0])).shifted(-1.5)
    result = compared(h, other, shift=shift)
    a, b = result.bands.first, result.bands.second
    assert a.gap is not None
    assert b.gap is not None
    aligned = (a.gap.vbm, b.gap.vbm) if shift == "vbm" else (a.fermi.energy, b.fermi.energy)
    assert aligned[0] == pytest.approx(aligned[1], abs=1e-12)
    differences = result.bands.edge_differences()
    assert differences["vbm" if shift == "vbm" else "fermi"] == pytest.approx(0, abs=1e-9)
    assert differences["gap"] == pytest.approx(1e3 * (b.gap.value - a.gap.value))
    assert result.shift.energy == pytest.approx(1500, abs=60)
    # the same constant in the elements: an untouched site's block differs by c − 1.5 eV alone
    assert result.elements is not None
    untouched = result.elements.labels.index("Si2–Si2 (0, 0, 0)")
    c = abs(result.shift.energy - 1500)
    assert result.elements.pair_largest[0, untouched] == pytest.approx(c, abs=1e-8)


# --- where a difference shows ----------------------------------------------------------------


def test_one_block_appears_in_its_rows_and_in_no_other() -> None:
    h = salt()
    pair = h.pairs.index(0, 1, (-1, 0, 0))
    block = np.zeros((4, 3))
    block[0, 1] = 2e-3  # Na s with Cl p_z
    result = compared(h, disturbed(h, pair, block))
    found = result.elements
    assert found is not None
    touched = {}
    for name in ("species", "shells", "distance"):
        table = getattr(found, name)
        touched[name] = [table.names[g] for g in np.flatnonzero(table.largest[0] > 0)]
        assert not table.largest[1:].any()  # Λ is untouched
    assert touched == {"species": ["Na–Cl"], "shells": ["Na s – Cl p"], "distance": ["2.800 Å"]}
    both = [found.labels[p] for p in np.flatnonzero(found.pair_largest[0])]
    assert sorted(both) == ["Cl1–Na1 (1, 0, 0)", "Na1–Cl1 (-1, 0, 0)"]
    # the element and its transpose, of 3 elements in each of 6 pairs and their reverses
    shells = found.shells
    at = shells.names.index("Na s – Cl p")
    assert shells.count[at] == 36
    assert shells.mean[0, at] == pytest.approx(2 * 2.0 / 36)
    assert shells.rms[0, at] == pytest.approx(np.sqrt(2 * 2.0**2 / 36))
    assert found.largest() == pytest.approx(2.0)
    (worst,) = found.worst
    assert {worst.row, worst.column} == {"Na1 s", "Cl1 p z"}
    assert worst.difference == pytest.approx(2.0)
    assert worst.second - worst.first == pytest.approx(2e-3)
    assert worst.distance == pytest.approx(2.8)


def test_groups_add_up_to_the_whole() -> None:
    h = random_crystal(3, [S, P], seed=1)
    other = random_crystal(3, [S, P], seed=2)
    second = replace(h, scalar=other.scalar, spin_orbit=other.spin_orbit)
    found = compared(h, second).elements
    assert found is not None
    difference = np.abs(second.scalar - h.scalar) * 1e3
    for table in (found.whole, found.species, found.shells, found.distance):
        assert table.count.sum() == h.pairs.n_elements
        for c, name in enumerate(("scalar", "spin_orbit")):
            flat = np.abs(getattr(second, name) - getattr(h, name)) * 1e3
            values = flat if flat.ndim == 1 else flat[0]
            total = (table.count * table.mean[c]).sum() / table.count.sum()
            assert total == pytest.approx(values.mean())
            assert table.largest[c].max() == pytest.approx(values.max())
            square = (table.count * table.rms[c] ** 2).sum() / table.count.sum()
            assert np.sqrt(square) == pytest.approx(np.sqrt((values**2).mean()))
    on_site = h.pairs.element_pair[:]
    inside = (h.distances < 1e-6)[on_site]
    assert found.distance.names[0] == "on-site"
    assert found.distance.mean[0, 0] == pytest.approx(difference[inside].mean())


def test_a_spin_orbit_error_counts_as_much_as_lambda_does() -> None:
    h = salt()
    second = disturbed(h, h.pairs.index(1, 1), 0.05 * L_P, "spin_orbit")
    full = compared(h, second)
    assert full.leading in ("Lx", "Ly", "Lz")
    assert full.elements is not None
    assert full.elements.mean("H") == 0
    assert full.elements.species.names == ("Na–Na", "Na–Cl", "Cl–Cl")
    assert full.elements.species.mean[1].tolist()[:2] == [0, 0]
    half = compared(h, second, state=SpinState(0.5))
    assert half.mean_element_error == pytest.approx(full.mean_element_error / 2)  # type: ignore[operator]
    off = compared(h, second, state=SpinState(0.0))
    assert off.mean_element_error == 0
    assert off.bands.largest == pytest.approx(0, abs=1e-9)
    assert full.bands.largest > 10


# --- bands ------------------------------------------------------------------------------------


def test_bands_are_those_of_each_hamiltonian() -> None:
    h = random_crystal(2, [S, P], seed=5)
    second = replace(h, scalar=h.scalar * 1.01)
    result = compared(h, second, window=(-1.0, 1.5))
    path = line_path(h, LINE, 8)
    a, b = (band_structure(x, path).energies for x in (h, second))
    np.testing.assert_allclose(result.bands.difference, 1e3 * (b - a), atol=1e-9)
    low, high = result.bands.limits
    bottom, top = result.bands.first.edges
    assert (low, high) == (bottom - 1.0, top + 1.5)
    inside = (a >= low) & (a <= high)
    assert np.array_equal(result.bands.inside, inside)
    assert 0 < inside.sum() < inside.size
    size = np.abs(b - a)[inside] * 1e3
    assert result.bands.mean == pytest.approx(size.mean())
    assert result.bands.rms == pytest.approx(np.sqrt((size**2).mean()))
    assert result.bands.largest == pytest.approx(size.max())
    assert result.bands.worst is not None
    k, band = result.bands.worst
    assert 1e3 * abs(b - a)[k, band] == pytest.approx(size.max())
    mean, largest = result.bands.by_k()
    for i in range(len(a)):
        here = np.abs(b - a)[i][inside[i]] * 1e3
        if here.size:
            assert mean[i] == pytest.approx(here.mean())
            assert largest[i] == pytest.approx(here.max())
        else:
            assert np.isnan([mean[i], largest[i]]).all()


def test_a_metal_is_looked_at_around_its_fermi_level() -> None:
    h = chain(-1.0, n_electrons=1.0)
    result = compared(h, chain(-1.01, n_electrons=1.0), window=(-0.5, 0.5))
    bands = result.bands
    assert bands.first.gap is None
    assert bands.limits == (bands.first.fermi.energy - 0.5, bands.first.fermi.energy + 0.5)
    energies = bands.first.path.energies
    # E = 2t cos: 1 % of itself
    np.testing.assert_allclose(bands.difference, 10 * energies, atol=1e-9)
    assert bands.largest <= 10 * np.abs(bands.limits).max()
    assert "near the Fermi level" in result.verdict
    assert bands.edge_differences()["gap"] is None
    with pytest.raises(SettingsError, match="the first is a metal; choose 'fermi'"):
        compared(h, h, shift="vbm")


def test_a_gap_that_closes_is_said() -> None:
    h = chain(-0.2, n_electrons=1.0, field=1.0)
    result = compared(h, chain(-0.9, n_electrons=1.0, field=0.1))
    assert result.bands.first.gap is not None
    assert result.bands.second.gap is None
    assert result.verdict.endswith("The second is a metal, the first is not.")


@pytest.mark.parametrize("n_electrons", [0.0, 2.0])
def test_bands_that_are_all_empty_or_all_filled_are_no_metal(n_electrons: float) -> None:
    h = chain(-0.2, n_electrons=n_electrons)
    result = compared(h, chain(-0.9, n_electrons=n_electrons))
    assert result.bands.first.gap is None
    assert not result.bands.first.is_metal
    assert not result.summary()["first"]["is_metal"]
    assert "metal" not in result.verdict


def test_splittings_by_spin_orbit_coupling_are_compared() -> None:
    h = salt()
    second = disturbed(h, h.pairs.index(1, 1), 0.05 * L_P, "spin_orbit")
    result = compared(h, second)
    assert [point.label for point in result.bands.splittings] == ["Γ", "X", "L"]
    path = line_path(h, LINE, 8)
    for point, k in zip(result.bands.splittings, (0, 8, 16), strict=True):
        for side, x in ((point.first, h), (point.second, second)):
            energies = band_structure(x, path).energies[k]
            assert side.valence == pytest.approx(1e3 * (energies[5] - energies[4]), abs=1e-6)
            assert side.conduction == pytest.approx(1e3 * (energies[7] - energies[6]), abs=1e-6)
    # an exchange field splits bands for another reason
    magnet = replace(h, exchange=0.1 * h.overlap)
    assert compared(magnet, magnet).bands.splittings == ()
    assert compared(chain(), chain()).bands.splittings == ()  # a metal


def test_other_windows_and_shifts_are_refused() -> None:
    h = chain()
    for window in ((1.0, -1.0), (0.0, 0.0), (np.nan, 1.0)):
        with pytest.raises(SettingsError, match="lower and an upper limit"):
            compared(h, h, window=window)
    with pytest.raises(SettingsError, match="none, fit, vbm, fermi; not 'best'"):
        compared(h, h, shift="best")
    empty = compared(h, h, window=(50.0, 60.0))
    assert empty.bands.count == 0
    assert np.isnan(empty.bands.largest)
    assert "No state of the reference" in empty.verdict


# --- a small element error hides wrong bands -------------------------------------------------


def nearly_dependent(epsilon: float, error: float = 0.0) -> Hamiltonian:
    """Two s orbitals on a site, overlapping by 1 − ε: S has the eigenvalues ε and 2 − ε.

    With H = a S + b·(the odd combination) the levels are a and a + b; an element off by δ moves
    the odd level by δ/ε.
    """
    structure = Structure(Lattice.orthorhombic(3, 15, 15), ["H"], [[0, 0, 0]])
    metric = np.array([[1, 1 - epsilon], [1 - epsilon, 1]])
    odd = metric @ np.array([1, -1]) / np.sqrt(2 * epsilon)
    scalar = -1.0 * metric + 2.0 * np.outer(odd, odd)
    scalar += error * np.array([[1, -1], [-1, 1]]) / 2
    next_ = (0, 0, (1, 0, 0))
    return build(
        structure,
        [[Shell("1s", 0), Shell("2s", 0)]],
        2.0,
        scalar={HERE: scalar, next_: 0.01 * metric},
        overlap={HERE: metric},
    )


def test_a_small_element_error_with_wrong_bands_is_called_so() -> None:
    epsilon, error = 2e-3, 4e-4
    h, second = nearly_dependent(epsilon), nearly_dependent(epsilon, error)
    result = compared(h, second)
    assert result.smallest_overlap == pytest.approx((epsilon, epsilon))
    assert result.elements is not None
    # 4 of 12 elements are off by 0.2 meV
    assert result.elements.mean() == pytest.approx(1e3 * error / 2 / 3)
    # first order: c† ΔH c of the odd state (1, −1)/√(2ε)
    assert result.bands.largest == pytest.approx(1e3 * error / epsilon, rel=1e-9)
    assert result.amplification == pytest.approx(3 * 2 / epsilon, rel=1e-6)
    assert result.hides
    assert "Mean element error 0.0667 meV, but bands near the gap are off by up to 200 meV" in (
        result.verdict
    )
    assert "smallest eigenvalue, 0.002, magnifies" in result.verdict
    # in orthogonal orbitals the same error does no more than its size
    harmless = compared(nearly_dependent(1.0), nearly_dependent(1.0, error))
    assert not harmless.hides
    assert harmless.bands.largest == pytest.approx(1e3 * error)
    assert "at most" in harmless.verdict


# --- pairs, images, components ---------------------------------------------------------------


def in_other_images(h: Hamiltonian, moves: Any) -> Hamiltonian:
    """The same crystal, its sites named by other images; pairs in another order."""
    moves = np.asarray(moves)
    pairs = h.pairs
    cell = pairs.cell - moves[pairs.second] + moves[pairs.first]
    order = np.random.default_rng(0).permutation(pairs.n_pairs)
    moved = Pairs(pairs.first[order], pairs.second[order], cell[order], pairs.sizes)
    elements = np.concatenate([np.arange(pairs.offsets[p], pairs.offsets[p + 1]) for p in order])
    structure = Structure(h.structure.lattice, h.structure.species, h.structure.frac_coords + moves)
    return replace(
        h,
        structure=structure,
        pairs=moved,
        overlap=h.overlap[elements],
        scalar=h.scalar[elements],
        spin_orbit=None if h.spin_orbit is None else h.spin_orbit[:, elements],
        exchange=None if h.exchange is None else h.exchange[..., elements],
    )


def test_sites_in_other_images_change_nothing() -> None:
    h = random_crystal(3, [S, P], seed=7, magnetic=True)
    second = disturbed(h, 4, 1e-3 * np.ones((4, 4)))
    moved = in_other_images(second, [[0, 0, 0], [1, -2, 0], [0, 1, 1]])
    # an independent check of the helper: the same spectrum
    k = [[0.1, 0.2, 0.3]]
    values = [np.linalg.eigvalsh(BlochSum(x)(k).scalar.numpy()) for x in (second, moved)]
    np.testing.assert_allclose(*values, atol=1e-10)
    assert not h.pairs.same_as(moved.pairs)
    np.testing.assert_array_equal(site_translations(h, moved), [[0, 0, 0], [1, -2, 0], [0, 1, 1]])
    plain, other = compared(h, second), compared(h, moved)
    assert plain.elements is not None
    assert other.elements is not None
    for name in ("whole", "species", "shells", "distance"):
        for array in ("mean", "rms", "largest", "count"):
            np.testing.assert_allclose(
                getattr(getattr(plain.elements, name), array),
                getattr(getattr(other.elements, name), array),
                atol=1e-9,
            )
    assert other.elements.only_first.count == other.elements.only_second.count == 0
    np.testing.assert_allclose(plain.bands.difference, other.bands.difference, atol=1e-7)
    assert other.warnings == (
        "2 sites lie in another image of the cell; their pairs were renumbered.",
    )


def test_pairs_that_one_lacks_count_as_zero_and_are_told() -> None:
    h = random_crystal(2, [S], seed=2, reach=1)
    keep = h.distances < np.sort(np.unique(h.distances.round(9)))[5]
    pairs, mask = h.pairs.subset(keep)
    assert h.spin_orbit is not None
    cut = replace(
        h,
        pairs=pairs,
        overlap=h.overlap[mask],
        scalar=h.scalar[mask],
        spin_orbit=h.spin_orbit[:, mask],
    )
    lost = int((~keep).sum())
    largest = 1e3 * max(np.abs(h.scalar[~mask]).max(), np.abs(h.spin_orbit[:, ~mask]).max())
    for one, other, which in ((h, cut, "first"), (cut, h, "second")):
        found = compared(one, other).elements
        assert found is not None
        unmatched = found.only_first if which == "first" else found.only_second
        assert unmatched.count == lost
        assert unmatched.largest == pytest.approx(largest)
        assert found.whole.count[0] == h.pairs.n_elements
        assert found.mean() == pytest.approx(1e3 * np.abs(h.scalar[~mask]).sum() / len(h.scalar))
    text = compared(h, cut).warnings
    assert any(f"{lost} pairs only in the first, largest element" in line for line in text)
    # the overlaps of the lost pairs are lost, too
    assert any("different orbitals" in line for line in text)


def test_a_component_that_one_lacks_is_zero() -> None:
    h = random_crystal(2, [S, P], seed=4, magnetic=True)
    bare = replace(h, exchange=None, spin_orbit=None)
    result = compared(h, bare)
    assert result.elements is not None
    assert result.elements.components == ("H", "B", "Lx", "Ly", "Lz")
    assert h.exchange is not None
    assert result.elements.mean("B") == pytest.approx(1e3 * np.abs(h.exchange).mean())
    assert any("Only the first has an exchange field" in text for text in result.warnings)
    assert any("Only the first has a spin–orbit part" in text for text in result.warnings)


def test_a_collinear_field_is_the_z_component_of_another() -> None:
    h = random_crystal(2, [S, P], seed=4, magnetic=True)
    assert h.exchange is not None
    along_z = replace(h, exchange=np.stack([0 * h.exchange, 0 * h.exchange, h.exchange]))
    result = compared(h, along_z, state=SpinState(1.0, 40.0, 20.0))
    assert result.elements is not None
    assert result.elements.components[:4] == ("H", "Bx", "By", "Bz")
    assert not result.elements.whole.largest.any()
    assert result.bands.largest < 1e-8


# --- other bases, other crystals --------------------------------------------------------------


def test_in_another_basis_bands_alone_are_compared() -> None:
    h = silicon()
    larger = Basis(h.basis.symbols, tuple((*shells, Shell("4s", 0)) for shells in h.basis.shells))
    scalar: dict[Any, Any] = {}
    for p in range(h.pairs.n_pairs):
        block = np.zeros((5, 5))
        block[:4, :4] = h.pairs.block(h.scalar, p)
        i, j = int(h.pairs.first[p]), int(h.pairs.second[p])
        cell = tuple(h.pairs.cell[p].tolist())
        if i == j and not any(cell):
            block[4, 4] = 40.0
        scalar[(i, j, cell)] = block
    second = build(h.structure, larger.shells, 8.0, scalar=scalar).shifted(3.0)
    result = compared(h, second)
    assert result.elements is None
    assert result.shift.method == "vbm"
    assert result.shift.energy == pytest.approx(-3000)
    assert result.shift.fitted is None
    assert result.bands.largest < 1e-8
    assert "Si1 has s p in the first and s p 4s in the second" in result.warnings[0]
    assert "only bands are compared" in result.verdict
    assert result.amplification is None
    with pytest.raises(SettingsError, match="'fit' needs the same basis"):
        compared(h, second, shift="fit")
    with pytest.raises(SettingsError, match="There is no table 'elements'"):
        result.to_dataframe("elements")
    assert {"quantity", "value"} == set(result.to_dataframe("summary").columns)
    # and the other way round: the second has fewer bands
    reverse = compared(second, h, window=(-2, 60))
    assert reverse.bands.unmatched > 0
    assert any("the second has no band" in text for text in reverse.warnings)


def test_other_numbers_of_electrons() -> None:
    h = silicon()
    wrong = replace(h, n_electrons=6.0)
    result = compared(h, wrong)
    assert result.bands.largest == 0
    assert result.bands.second.fermi.n_electrons == 8
    assert result.warnings == (
        "The first says 8 electrons per cell, the second 6; 8 are used for both.",
    )
    # one core orbital more per atom, deep below: matched from the gap
    deep = tuple((Shell("1s", 0), *shells) for shells in h.basis.shells)
    scalar: dict[Any, Any] = {}
    for p in range(h.pairs.n_pairs):
        block = np.zeros((5, 5))
        block[1:, 1:] = h.pairs.block(h.scalar, p)
        i, j = int(h.pairs.first[p]), int(h.pairs.second[p])
        cell = tuple(h.pairs.cell[p].tolist())
        if i == j and not any(cell):
            block[0, 0] = -100.0
        scalar[(i, j, cell)] = block
    all_electron = build(h.structure, deep, 12.0, scalar=scalar)
    result = compared(h, all_electron)
    assert result.bands.offset == 4
    assert result.bands.largest < 1e-8
    assert any("matched from the highest filled one" in text for text in result.warnings)
    back = compared(all_electron, h)
    assert (back.bands.offset, back.bands.first_band) == (-4, 4)
    assert back.bands.largest < 1e-8


def test_other_names_of_shells_are_told() -> None:
    h = silicon()
    named = tuple(tuple(Shell(f"{s.label}1", s.l) for s in shells) for shells in h.basis.shells)
    result = compared(h, replace(h, basis=Basis(h.basis.symbols, named)))
    assert result.elements is not None
    assert result.warnings == (
        "Shells are named differently (Si1: s and s1); they are compared in their order.",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.apply_strain([0.01, 0, 0]), r"Cell vector 1 is \(0.0000, 2.8000, 2.8000\)"),
        (lambda s: s.translate_sites([1], [0.01, 0, 0]), r"Site 2 \(Cl\).* lies 0.0396 Å"),
        (lambda s: s.replace(1, "Br"), "Site 2 is Cl in the first and Br in the second"),
    ],
    ids=["cell", "position", "species"],
)
def test_another_crystal_is_refused(change: Any, words: str) -> None:
    h = salt()
    structure = h.structure.copy()
    structure = change(structure) or structure
    symbols = tuple(site.specie.symbol for site in structure)
    other = replace(h, structure=structure, basis=Basis(symbols, h.basis.shells))
    with pytest.raises(StructureError, match=words):
        compared(h, other)


def test_another_order_and_another_size_are_refused() -> None:
    h = salt()
    swapped = Structure(h.structure.lattice, ["Cl", "Na"], h.structure.frac_coords[::-1])
    scalar = {(0, 0, (0, 0, 0)): np.eye(3), (1, 1, (0, 0, 0)): np.eye(4)}
    other = build(swapped, [[P], [S, P]], 6.0, scalar=scalar)
    with pytest.raises(StructureError, match="the same atoms in another order"):
        compared(h, other)
    with pytest.raises(StructureError, match=r"2 sites .*, the second 1"):
        compared(h, chain())


# --- tables -----------------------------------------------------------------------------------


def test_tables_hold_what_the_result_holds() -> None:
    h = random_crystal(2, [S, P], seed=6)
    second = replace(h, scalar=h.scalar * 1.002)
    result = compared(h, second, names=("reference", "prediction"))
    bands = result.to_dataframe()
    assert len(bands) == result.bands.difference.size
    inside = bands[bands["inside"]]
    assert inside["difference_meV"].abs().max() == pytest.approx(result.bands.largest)
    np.testing.assert_allclose(
        1e3 * (bands["second_eV"] - bands["first_eV"]), bands["difference_meV"], atol=1e-8
    )
    elements = result.to_dataframe("elements")
    assert set(elements["by"]) == {"all", "species", "shells", "distance"}
    whole = elements[(elements["by"] == "all") & (elements["component"] == "H")]
    assert result.elements is not None
    assert whole["mean_meV"].item() == result.elements.mean()
    worst = result.to_dataframe("worst")
    assert worst["difference_meV"].abs().is_monotonic_decreasing
    assert worst["difference_meV"].abs().iloc[0] == pytest.approx(result.elements.largest())
    pairs = result.to_dataframe("pairs")
    assert len(pairs) == h.pairs.n_pairs
    assert pairs["H_max_meV"].max() == pytest.approx(result.elements.largest())
    summary = dict(result.to_dataframe("summary").to_numpy().tolist())
    assert summary["second.name"] == "prediction"
    assert summary["band_max_meV"] == result.bands.largest
    assert summary["amplification"] == result.amplification
    assert len(result.to_dataframe("kpoints")) == len(result.bands.first.path.kpoints)
    with pytest.raises(SettingsError, match="The tables are"):
        result.to_dataframe("all")  # type: ignore[arg-type]
    assert set(TABLES) == {"summary", "bands", "kpoints", "elements", "pairs", "worst"}


def test_one_comparer_serves_many_states() -> None:
    h = random_crystal(2, [S, P], seed=8, magnetic=True)
    second = replace(h, scalar=h.scalar * 0.999)
    path = line_path(h, LINE, 4)
    comparer = Comparer(h, second, path)
    for state in (SpinState(0.3), SpinState(1.0, 90.0, 30.0), SpinState(0.3)):
        once, again = comparer.compare(state), compare(h, second, path, state)
        np.testing.assert_allclose(once.bands.difference, again.bands.difference, atol=1e-9)
        assert once.mean_element_error == pytest.approx(again.mean_element_error)
        assert once.state == state


def test_distances_in_shells_or_bins() -> None:
    index, mean = distance_shells(np.array([2.51, 0.0, 2.5, 3.9, 0.0]))
    assert index.tolist() == [1, 0, 1, 2, 0]
    np.testing.assert_allclose(mean, [0, 2.505, 3.9])
    crowded = np.r_[0.0, np.linspace(1, 6, 400)]
    index, mean = distance_shells(crowded)
    assert index[0] == 0
    assert mean[0] == 0
    assert len(mean) < 30
    for group in range(1, len(mean)):
        inside = crowded[index == group]
        assert np.ptp(inside) <= 0.25
        assert mean[group] == pytest.approx(inside.mean())
