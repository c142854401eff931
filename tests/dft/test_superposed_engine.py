"""H0 of superposed atoms as a whole, and the fit of the atoms' potentials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import crystals
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hamexplorer.assets_path import asset
from hamexplorer.dft.atom_tables import free_atom
from hamexplorer.dft.superposed.engine import prepared, run
from hamexplorer.dft.superposed.fit import (
    NormalEquations,
    fit,
    load_normal_equations,
    normal_equations,
    save_normal_equations,
)
from hamexplorer.dft.superposed.record import has_unlike_layers, layers
from hamexplorer.dft.superposed.residual import (
    EXPONENTS,
    REACH,
    AtomicResiduals,
    load_residuals,
    save_residuals,
    shipped_residuals,
    with_residuals,
)
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import (
    CalculationCancelled,
    FileFormatError,
    HamexplorerError,
    HamiltonianError,
    ResourceLimitError,
    SettingsError,
)
from hamexplorer.hamiltonian import Hamiltonian, SpinState, load_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.solver import BandSolver
from hamexplorer.sources import make_source
from hamexplorer.structures import entries, load_gallery
from hamexplorer.structures.bilayer import twisted_bilayer

FREE = SuperposedSettings(residual=False, spacing=0.2, threads=1)
"""A coarse grid: what is tested with it does not depend on it."""
SMALL = replace(FREE, basis="gth-szv-molopt-sr")
N = len(EXPONENTS)


def silicon_carbide() -> Structure:
    lattice = Lattice(2.18 * (np.ones((3, 3)) - np.eye(3)))
    return Structure(lattice, ["Si", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def planted() -> AtomicResiduals:
    """Potentials of some tenths of an electronvolt."""
    rng = np.random.default_rng(5)
    values = {e: 0.01 * rng.standard_normal(N) for e in ("Si", "C")}
    return AtomicResiduals(values, {e: np.zeros((N, N)) for e in values}, {"accuracy": "planted"})


# --- against self-consistency -------------------------------------------------------------------


@pytest.fixture(scope="module")
def mos2() -> tuple[Hamiltonian, Hamiltonian]:
    """Superposed atoms with the shipped potentials, and the shipped self-consistent example."""
    scf = load_hamiltonian(asset("examples/mos2.h5"))
    return run(scf.structure, SuperposedSettings(threads=1)), scf


def test_bands_of_mos2_near_the_gap(mos2: tuple[Hamiltonian, Hamiltonian]) -> None:
    kpoints = [[0, 0, 0], [1 / 3, 1 / 3, 0], [0.5, 0, 0], [0.2, 0.1, 0]]
    levels = [BandSolver(h, kpoints).energies(SpinState(soc=0))[:, ::2] for h in mos2]
    occupied = round(mos2[1].n_electrons / 2)
    near = slice(occupied - 4, occupied + 4)
    difference = levels[0][:, near] - levels[1][:, near]
    assert np.abs(difference - difference.mean()).mean() < 0.060


def test_spin_orbit_splitting_of_mos2_at_k(mos2: tuple[Hamiltonian, Hamiltonian]) -> None:
    top = round(mos2[1].n_electrons)
    splittings = []
    for h in mos2:
        (levels,) = BandSolver(h, [[1 / 3, 1 / 3, 0]]).energies()
        splittings.append(levels[top - 1] - levels[top - 2])
    assert splittings[0] == pytest.approx(splittings[1], rel=0.05)
    assert splittings[1] > 0.13


def test_spin_orbit_and_overlap_are_the_engines_own(
    mos2: tuple[Hamiltonian, Hamiltonian],
) -> None:
    ours, scf = mos2
    for pair in range(0, ours.pairs.n_pairs, 17):
        i, j = int(ours.pairs.first[pair]), int(ours.pairs.second[pair])
        other = scf.pairs.index(i, j, tuple(ours.pairs.cell[pair]))
        for name in ("overlap", "spin_orbit", "position"):
            a = ours.pairs.block(getattr(ours, name), pair)
            assert np.abs(a - scf.pairs.block(getattr(scf, name), other)).max() < 1e-7


def test_what_is_said_of_it(mos2: tuple[Hamiltonian, Hamiltonian]) -> None:
    record = mos2[0].provenance
    assert record.source == "superposed"
    assert record.settings["fitted_elements"] == ["Mo", "S"]
    assert record.results["zero_of_energy"] == "vacuum"
    assert shipped_residuals().accuracy in record.warnings[-1]
    assert make_source("superposed").capability().accuracy == shipped_residuals().accuracy
    bare = run(crystals.silicon(), FREE)
    assert "electronvolt" in bare.provenance.warnings[-1]


def test_other_fitted_potentials_are_not_told_of_as_the_shipped_ones() -> None:
    other = replace(planted(), coefficients={"C": np.zeros(N)})
    settings = replace(SMALL, residual=True)
    record = run(crystals.silicon(), settings, residuals=other).provenance
    assert record.settings["fitted_elements"] == []
    assert "no fitted potential for Si" in record.warnings[-1]
    shipped = run(crystals.silicon(), settings).provenance
    assert shipped.settings["fitted_elements"] == ["Si"]
    assert record.settings["tables"] != shipped.settings["tables"]
    with pytest.raises(SettingsError, match="residual=False"):
        run(crystals.silicon(), SMALL, residuals=other)


def test_layers_of_different_elements_are_told_of() -> None:
    for name, unlike in (
        ("mos2-wse2-bilayer", True),
        ("mosse-janus", False),
        ("stanene", False),
        ("bi2se3", False),
    ):
        assert has_unlike_layers(prepared(load_gallery(name), FREE)) is unlike
    # of one material: two layers, but not unlike ones (with room for the vacuum, or it is bulk)
    double = prepared(twisted_bilayer(load_gallery("mos2-1h"), 0.0).structure, FREE)
    assert not has_unlike_layers(double)
    assert layers(double) == (frozenset({"Mo", "S"}),) * 2
    assert layers(prepared(load_gallery("gaas"), FREE)) == ()


def test_every_element_of_the_gallery_that_is_not_magnetic_is_fitted() -> None:
    fitted = shipped_residuals().coefficients.keys()
    gallery = [load_gallery(entry.name) for entry in entries()]
    plain = [c for c in gallery if "magmom" not in c.site_properties]
    assert len(plain) >= 18
    assert {site.specie.symbol for c in plain for site in c} <= fitted


# --- magnets ------------------------------------------------------------------------------------


def test_polarised_atoms_make_an_exchange_field() -> None:
    iron = load_gallery("fe-bcc")
    up = run(iron, SMALL)
    assert up.exchange is not None
    onsite = up.pairs.block(up.exchange, up.pairs.index(0, 0))
    d = np.flatnonzero(up.basis.orbital_l == 2)[:5]
    # H↑ lies lower: B = (H↑ − H↓)/2 < 0, the exchange splitting of iron's d is about 2 eV
    assert -2.0 < np.diag(onsite)[d].mean() < -0.5
    turned = iron.copy(site_properties={"magmom": [-m for m in iron.site_properties["magmom"]]})
    down = run(turned, SMALL)
    assert np.abs(down.exchange + up.exchange).max() < 1e-9
    assert np.abs(down.scalar - up.scalar).max() < 1e-9
    plain = run(iron, replace(SMALL, spin="none"))
    assert plain.exchange is None
    weak = run(
        iron.copy(site_properties={"magmom": [1e-4] * len(iron)}), replace(SMALL, spin="collinear")
    )
    assert np.abs(weak.scalar - plain.scalar).max() < 1e-4


# --- symmetry and size --------------------------------------------------------------------------


def test_a_supercell_has_the_folded_levels() -> None:
    """The grid's points lie otherwise in it: what remains is the grid's error."""
    settings = SuperposedSettings(residual=False, spacing=0.15, threads=1)
    cell = crystals.silicon()
    double = cell.copy()
    double.make_supercell([2, 1, 1])
    folded = BandSolver(run(cell, settings), [[0, 0, 0], [0.5, 0, 0]]).energies()
    whole = BandSolver(run(double, settings), [[0, 0, 0]]).energies()[0]
    occupied = 32
    difference = np.sort(folded.ravel())[:occupied] - whole[:occupied]
    assert np.abs(difference).max() < 2e-3
    # the same crystal shifted by a third of the grid's spacing and turned
    moved = Structure(
        Lattice(
            cell.lattice.matrix @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        ),
        cell.species,
        cell.frac_coords + 0.013,
    )
    levels = BandSolver(run(moved, settings), [[0, 0, 0]]).energies()[0]
    assert np.abs(levels[:8] - folded[0, :8]).max() < 2e-3


# --- the fit ------------------------------------------------------------------------------------


def test_the_fit_finds_a_planted_potential(tmp_path: Path) -> None:
    """The chain of grid, pairs, normal equations and fit is linear: what was added comes back.

    (Not u itself: broad functions about all atoms make a constant, which c takes.)
    """
    truth = planted()
    settings = replace(SMALL, residual=True)
    structures = {"SiC": silicon_carbide(), "Si": crystals.silicon()}
    equations = []
    for name, structure in structures.items():
        h = run(structure, settings, residuals=truth)
        found = normal_equations(name, name, h, SMALL)
        file = tmp_path / f"{name}.npz"
        save_normal_equations(found, file)
        again = load_normal_equations(file)
        assert np.array_equal(again.matrix, found.matrix)
        assert again.elements == found.elements
        equations.append(again)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hamexplorer.dft.superposed.fit.PENALTIES", (1e-12,))
        _, validation = fit(equations)
    for name, before in validation.before.items():
        assert validation.inside[name] < 1e-3 * before
    # a compound whose elements occur elsewhere is foretold
    assert validation.outside["Si"] < 0.05 * validation.before["Si"]
    with pytest.raises(SettingsError, match="two compounds"):
        fit(equations[:1])


def test_another_basis_and_other_files_are_refused(tmp_path: Path) -> None:
    small = run(crystals.silicon(), SMALL)
    with pytest.raises(SettingsError, match="not in the basis"):
        normal_equations("Si", "Si", small, FREE)
    file = tmp_path / "a.npz"
    with pytest.raises(FileFormatError, match="no such file"):
        load_normal_equations(file)
    for damaged in (b"no archive", b""):
        file.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="normal equations"):
            load_normal_equations(file)


def test_normal_equations_of_other_free_atoms_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = NormalEquations("a", "a", ("Si",), False, np.eye(N + 1), np.ones(N + 1), 1.0, 1.0)
    monkeypatch.setattr("hamexplorer.dft.superposed.fit.atoms_digest", lambda: "others")
    save_normal_equations(one, tmp_path / "a.npz")
    assert load_normal_equations(tmp_path / "a.npz").elements == ("Si",)
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match="other free atoms"):
        load_normal_equations(tmp_path / "a.npz")


def test_fitted_potentials_in_files(tmp_path: Path) -> None:
    file = tmp_path / "residuals.json"
    save_residuals(planted(), file)
    again = load_residuals(file)
    radii = np.array([0.0, 1.0, REACH, REACH + 1])
    for element in ("Si", "C"):
        assert np.array_equal(again.potential(element, radii), planted().potential(element, radii))
        assert again.potential(element, radii)[2:].tolist() == [0.0, 0.0]
    data = json.loads(file.read_text())
    for change in (
        {"version": 2},
        {"exponents": [1.0]},
        {"elements": {"Si": {"coefficients": [1.0], "covariance": [[1.0]]}}},
        {"elements": 3},
        {"record": None, "elements": {"Si": {"coefficients": [float("nan")] * N,
                                             "covariance": np.eye(N).tolist()}}},
    ):  # fmt: skip
        file.write_text(json.dumps({**data, **change}))
        with pytest.raises(FileFormatError):
            load_residuals(file)
    for damaged in ("[]", json.dumps({**data, "record": None})):
        file.write_text(damaged)
        with pytest.raises(FileFormatError, match="damaged"):
            load_residuals(file)
    with pytest.raises(FileFormatError, match="no such file"):
        load_residuals(tmp_path / "none.json")


def test_deviation_of_a_fitted_potential() -> None:
    """Var U = fᵀ C f, here of one function alone."""
    covariance = np.zeros((N, N))
    covariance[0, 0] = 4e-6
    residuals = AtomicResiduals({"Si": np.zeros(N)}, {"Si": covariance}, {})
    found = residuals.deviation("Si", np.array([0.0, 2.0]))
    expected = 2e-3 * np.exp(-EXPONENTS[0] * 4) * (1 - 4 / REACH**2) ** 3
    assert found == pytest.approx([2e-3, expected])
    unknown = AtomicResiduals({"Si": np.ones(N)}, {"Si": np.zeros((N, N))}, {})
    assert np.isnan(unknown.deviation("Si", np.array([0.0, 2.0]))).all()


def test_a_potential_that_reaches_beyond_the_atom() -> None:
    """The table grows; the density stays."""
    atom = free_atom("N")
    assert atom.reach < REACH
    added = replace(planted(), coefficients={"N": np.eye(N)[0]}, covariance={"N": np.zeros((N, N))})
    longer = with_residuals({"N": atom}, added)["N"]
    n = len(atom.density)
    assert longer.reach >= REACH - atom.step
    assert np.array_equal(longer.density[:n], atom.density)
    assert not longer.density[n:].any()
    beyond = longer.radii[n:]
    assert longer.potential[n:] == pytest.approx(added.potential("N", beyond))
    assert added.potential("N", beyond[:1])[0] > 1e-8


# --- refusals -----------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    dense = Structure(Lattice.cubic(4.0), ["Cs"] * 2, [[0, 0, 0], [0, 0, 0.5]])
    with pytest.raises(HamiltonianError, match=r"not positive definite.*(Cs1 and Cs2|Cs2 and Cs1)"):
        run(dense, replace(FREE, overlap_tolerance=1e-4))
    overlapping = Structure(Lattice.cubic(8.0), ["Mo", "Mo"], [[0, 0, 0], [0.03, 0, 0]])
    with pytest.raises(HamexplorerError):
        run(overlapping, FREE)
    with pytest.raises(ResourceLimitError, match="at most 1"):
        run(crystals.silicon(), replace(FREE, max_atoms=1))
    with pytest.raises(ResourceLimitError, match="GB"):
        run(crystals.silicon(), replace(FREE, memory_limit=1e8))
    with pytest.raises(HamexplorerError, match="Eu"):
        run(Structure(Lattice.cubic(6.0), ["Eu"], [[0, 0, 0]]), FREE)
    with pytest.raises(SettingsError, match="no setting 'kmesh'"):
        make_source("superposed", kmesh=(1, 1, 1))
    for wrong in (
        {"spacing": 0.0},
        {"spacing": 0.45},
        {"spacing": float("nan")},
        {"spacing": "0.2"},
        {"overlap_tolerance": None},
        {"overlap_tolerance": 1.0},
        {"basis": "none"},
        {"residual": 1},
        {"position_atoms": -1},
        {"max_atoms": 0},
    ):
        with pytest.raises(HamexplorerError):
            run(crystals.silicon(), SuperposedSettings(**wrong))


def test_cancelling() -> None:
    def listen(event: object) -> None:
        if getattr(event, "stage", "") == "Potential on the grid":
            monitor.cancel()

    monitor = Monitor(listen)  # type: ignore[arg-type]
    with pytest.raises(CalculationCancelled):
        run(crystals.silicon(), FREE, monitor)
