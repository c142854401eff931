"""Wannier90's files as we write them: read back, opened by others; Löwdin's orbitals."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Lattice, Structure
from spin_cases import KINDS, component_difference, eigenvalues, random_case
from wannier_files import bands

from hamexplorer.assets_path import asset
from hamexplorer.errors import HamiltonianError, ResourceLimitError, SettingsError
from hamexplorer.formats import ReadOptions, read_hamiltonian
from hamexplorer.formats.lowdin import is_orthogonal, orthogonalised
from hamexplorer.formats.supercell import supercell_pairs
from hamexplorer.formats.wannier90 import write_hr, write_tb
from hamexplorer.formats.writers import writer_for
from hamexplorer.formats.writing import WriteOptions
from hamexplorer.hamiltonian import Hamiltonian, Pairs, Shell, SpinState, load_hamiltonian
from hamexplorer.properties.berry import band_geometry

WRITE = {"hr": write_hr, "tb": write_tb}
K = np.random.default_rng(9).random((4, 3))
TILTED = SpinState(soc=0.7, theta=33.0, phi=71.0, exchange=1.2)


def with_position(h: Hamiltonian, size: float = 0.1, seed: int = 2) -> Hamiltonian:
    x = np.random.default_rng(seed).normal(size=(3, h.pairs.n_elements))
    return replace(h, position=size * (x + x[:, h.pairs.transposition]) / 2)


def energies(h: Hamiltonian, k: NDArray, state: SpinState | None = None) -> NDArray:
    return np.array([eigenvalues(h, point, state) for point in k])


def mesh_points(mesh: tuple[int, int, int], count: int = 4) -> NDArray:
    return np.random.default_rng(3).integers(0, mesh, (count, 3)) / np.array(mesh)


@pytest.fixture(scope="module")
def mos2() -> Hamiltonian:
    return load_hamiltonian(asset("examples/mos2.h5"))


# --- read back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [SpinState(), TILTED], ids=["plain", "tilted"])
@pytest.mark.parametrize("form", WRITE)
@pytest.mark.parametrize("kind", KINDS)
def test_energies_are_the_same_when_read_back(kind, form, state, tmp_path):
    h = random_case(kind, orthogonal=True)
    path = tmp_path / f"model_{form}.dat"
    report = WRITE[form](h, path, WriteOptions(state))
    assert {p.name for p in report.files} == {path.name, "model.win", "model_centres.xyz"}
    back = read_hamiltonian(path)
    assert np.abs(bands(back, K) - energies(h, K, state)).max() < 1e-10
    assert back.basis == h.basis
    assert back.n_electrons == h.n_electrons
    assert back.pairs.n_pairs == h.pairs.n_pairs  # the file's zeros make no pairs
    np.testing.assert_allclose(back.structure.cart_coords, h.structure.cart_coords, atol=1e-10)
    # random couplings may have the sign that nature's have not
    assert all("wrong sign" in warning for warning in back.provenance.warnings)


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_the_same_when_read_back(kind, tmp_path):
    """At λ = 1 and n = z the decomposition of what is written is unique; X comes along."""
    h = with_position(random_case(kind, orthogonal=True))
    write_tb(h, tmp_path / "a_tb.dat", WriteOptions())
    back = read_hamiltonian(tmp_path / "a_tb.dat")
    assert component_difference(h, back) < 1e-12
    for p in range(h.pairs.n_pairs):
        i, j, cell = h.pairs.first[p], h.pairs.second[p], tuple(h.pairs.cell[p].tolist())
        theirs = back.pairs.block(back.position, back.pairs.index(i, j, cell))
        np.testing.assert_allclose(theirs, h.pairs.block(h.position, p), atol=1e-12)


def test_mos2_without_and_with_spin_orbit(mos2, tmp_path):
    """Energies on the mesh of Löwdin's orbitals, to 1e-8 eV, through the text."""
    mesh = (5, 5, 1)
    orthogonal = orthogonalised(mos2, mesh).hamiltonian
    k = mesh_points(mesh, 2)
    write_hr(orthogonal, tmp_path / "a_hr.dat", WriteOptions(SpinState(soc=0), spinor=False))
    scalar = read_hamiltonian(tmp_path / "a_hr.dat")
    assert np.abs(bands(scalar, k) - energies(mos2, k, SpinState(soc=0))).max() < 1e-8
    write_hr(orthogonal, tmp_path / "b_hr.dat", WriteOptions())
    full = read_hamiltonian(tmp_path / "b_hr.dat")
    assert np.abs(bands(full, k) - energies(mos2, k)).max() < 1e-8
    assert full.basis == mos2.basis
    # its own λ still turns what was written in
    assert np.abs(bands(full, k, SpinState(soc=0)) - bands(scalar, k)).max() < 1e-8


@pytest.mark.slow
def test_mos2_by_the_writers_own_mesh(mos2, tmp_path):
    report = write_hr(mos2, tmp_path / "mos2_hr.dat", WriteOptions())
    assert "17 × 17 × 1 mesh" in report.notes[0]
    back = read_hamiltonian(tmp_path / "mos2_hr.dat")
    assert (
        np.abs(
            bands(back, mesh_points((17, 17, 1), 2)) - energies(mos2, mesh_points((17, 17, 1), 2))
        ).max()
        < 1e-8
    )
    between = np.array([[0.123, 0.456, 0.0], [1 / 3, 1 / 3, 0.0], [0.5, 0.0, 0.0]])
    assert np.abs(bands(back, between) - energies(mos2, between)).max() < 1e-3


# --- what the text says -------------------------------------------------------------------------


def test_what_is_written_in_and_left_out_is_told(tmp_path):
    h = with_position(random_case("magnetic spin-orbit", orthogonal=True))
    report = write_hr(h, tmp_path / "a_hr.dat", WriteOptions(TILTED))
    told = " ".join(report.notes)
    assert "λ = 0.7, θ = 33°, φ = 71° and exchange × 1.2 are written in" in told
    assert "all up, then all down (block)" in told
    assert "Position elements are not in _hr.dat" in told
    first = (tmp_path / "a_hr.dat").read_text().split("\n", 1)[0]
    assert "spin order: block" in first
    assert "theta 33" in first
    report = write_tb(h, tmp_path / "b_tb.dat", WriteOptions(spinor=False))
    assert "Without spin: exchange and spin–orbit left out." in report.notes
    plain = read_hamiltonian(tmp_path / "b_tb.dat")
    quiet = SpinState(soc=0, exchange=0)
    assert np.abs(bands(plain, K) - energies(h, K, quiet)).max() < 1e-10
    report = write_tb(
        random_case("spinless", orthogonal=True), tmp_path / "c_tb.dat", WriteOptions()
    )
    assert "those written are the diagonal approximation" in " ".join(report.notes)


def test_overlaps_are_told_in_the_files_first_line(tmp_path):
    report = write_hr(models.chain(s=0.1), tmp_path / "a_hr.dat", WriteOptions())
    assert "Löwdin orthogonalisation on a 9 × 1 × 1 mesh of k" in report.notes[0]
    first = (tmp_path / "a_hr.dat").read_text().split("\n", 1)[0]
    assert "Loewdin orthogonalisation on a 9x1x1 k mesh" in first


def test_fermi_energy_and_electrons_are_kept(tmp_path):
    h = models.graphene()
    record = replace(h.provenance, results={"fermi_energy_eV": -0.25})
    write_hr(replace(h, provenance=record, n_electrons=2.5), tmp_path / "a_hr.dat", WriteOptions())
    assert "fermi_energy = -0.25" in (tmp_path / "a.win").read_text()
    assert read_hamiltonian(tmp_path / "a_hr.dat").n_electrons == 2.5


@pytest.mark.parametrize("name", ["wannier90-hr", "wannier90-tb", "deeph", "deeph-old"])
def test_what_was_assumed_is_no_fact_afterwards(name, tmp_path):
    lattice = "begin unit_cell_cart\n3 0 0\n0 9 0\n0 0 9\nend unit_cell_cart\n"
    rows = [
        f"{r} 0 0 {m} {n} {abs(r) + (m == n)} 0" for r in (-1, 0, 1) for n in (1, 2) for m in (1, 2)
    ]
    (tmp_path / "in_hr.dat").write_text("\n".join(["x", "2", "3", "1 1 1", *rows, ""]))
    atoms = "begin atoms_frac\nFe 0 0 0\nend atoms_frac\n"
    (tmp_path / "in.win").write_text(lattice + atoms)
    h = read_hamiltonian(tmp_path / "in_hr.dat")
    assert [shell.label for shell in h.basis.shells[0]] == ["w1", "w2"]
    writer = writer_for("", name)
    target = tmp_path / writer.target.strip("/")
    notes = " ".join(writer.write(h, target, WriteOptions()).notes)
    assert "2 functions are written as s: what orbitals they are is not known." in notes
    assert "number of electrons was an assumption" in notes
    back = read_hamiltonian(target)
    assert back.provenance.results["n_electrons_from"] == "half filling"
    assert any("does not tell how many electrons" in w for w in back.provenance.warnings)
    if name.startswith("wannier90"):
        assert [shell.label for shell in back.basis.shells[0]] == ["w1", "w2"]
        assert any("no known angular momentum" in w for w in back.provenance.warnings)
    # a number that somebody gave is written
    known = read_hamiltonian(tmp_path / "in_hr.dat", ReadOptions(n_electrons=1))
    assert "assumption" not in " ".join(writer.write(known, target, WriteOptions()).notes)
    assert read_hamiltonian(target).n_electrons == 1


def test_shells_beyond_f_and_sites_without_element(tmp_path):
    structure = Structure(Lattice.cubic(4.0), [DummySpecies("X")], [[0.1, 0, 0]])
    here = (0, 0, (0, 0, 0))
    h = models.build(structure, [[Shell("g", 4)]], 1.0, scalar={here: np.diag(np.arange(9.0))})
    report = write_hr(h, tmp_path / "a_hr.dat", WriteOptions())
    assert "Shells beyond f have no name in Wannier90" in " ".join(report.notes)
    back = read_hamiltonian(tmp_path / "a_hr.dat")
    np.testing.assert_allclose(bands(back, K[:1])[0, ::2], np.arange(9), atol=1e-12)
    assert back.basis.symbols == ("X",)


# --- files of others ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.dat", "_hr.dat", "a_tb.dat", "a_hr.txt"])
def test_names_that_are_none_of_this_format(name, tmp_path):
    with pytest.raises(SettingsError):
        write_hr(models.graphene(), tmp_path / name, WriteOptions())
    assert not list(tmp_path.iterdir())


def test_targets_mean_the_writers():
    assert writer_for("x/wse2_hr.dat").name == "wannier90-hr"
    assert writer_for("wse2_tb.dat").name == "wannier90-tb"


@pytest.mark.parametrize("neighbour", ["a.win", "a_centres.xyz", "a_wsvec.dat"])
def test_files_of_a_calculation_are_not_overwritten(neighbour, tmp_path):
    (tmp_path / neighbour).write_text("num_wann = 2\n")
    with pytest.raises(SettingsError, match=f"{neighbour}.*another name or folder"):
        write_hr(models.graphene(), tmp_path / "a_hr.dat", WriteOptions())
    assert [p.name for p in tmp_path.iterdir()] == [neighbour]


def test_our_own_files_are_replaced_as_a_whole(tmp_path, monkeypatch):
    write_hr(models.graphene(), tmp_path / "a_hr.dat", WriteOptions())
    before = {p.name: p.read_text() for p in tmp_path.iterdir()}

    def fails(*_: object) -> None:
        raise RuntimeError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("hamexplorer.formats.wannier90.writer.hr_text", fails)
        with pytest.raises(RuntimeError):
            write_hr(models.graphene(t=-1), tmp_path / "a_hr.dat", WriteOptions())
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == before
    write_hr(models.graphene(t=-1), tmp_path / "a_hr.dat", WriteOptions())
    assert bands(read_hamiltonian(tmp_path / "a_hr.dat"), np.zeros((1, 3))).max() == pytest.approx(
        3
    )


def test_too_much_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hamexplorer.formats.wannier90.writer._MAX_LINES", 10)
    with pytest.raises(ResourceLimitError, match="lines of text"):
        write_hr(models.graphene(), tmp_path / "a_hr.dat", WriteOptions())


@pytest.mark.parametrize("form", WRITE)
def test_the_size_is_known_before_and_limited(form, mos2, tmp_path, monkeypatch):
    options = WriteOptions(mesh=(5, 5, 1))
    report = WRITE[form](mos2, tmp_path / f"a_{form}.dat", options)
    assert "on a 5 × 5 × 1 mesh" in report.notes[0]
    size = (tmp_path / f"a_{form}.dat").stat().st_size
    for path in tmp_path.iterdir():
        path.unlink()
    monkeypatch.setattr("hamexplorer.formats.wannier90.writer._MAX_BYTES", 0.95 * size)
    with pytest.raises(ResourceLimitError, match=r"mesh of 5 5 1.*up to .*--lowdin-mesh") as caught:
        WRITE[form](mos2, tmp_path / f"a_{form}.dat", options)
    told = float(str(caught.value).split("would have ")[1].split(" MB")[0])
    assert told == pytest.approx(size / 1e6, rel=0.02, abs=0.5)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("hamexplorer.formats.wannier90.writer._MAX_BYTES", 1.05 * size)
    WRITE[form](mos2, tmp_path / f"a_{form}.dat", options)


def test_vectors_with_nothing_at_them_are_left_out(tmp_path):
    structure = Structure(Lattice.cubic(4.0), ["H"], [[0, 0, 0]])
    hops = {(0, 0, (r, 0, 0)): np.array([[t]]) for r, t in enumerate((0.5, -1.0, 9e-8, 2e-7))}
    h = models.build(structure, [[Shell("1s", 0)]], 1.0, scalar=hops)
    write_hr(h, tmp_path / "a_hr.dat", WriteOptions())
    back = read_hamiltonian(tmp_path / "a_hr.dat")
    assert sorted(back.pairs.cell[:, 0].tolist()) == [-3, -1, 0, 1, 3]


# --- opened by others ---------------------------------------------------------------------------

OTHERS = {
    "graphene": models.graphene(kane_mele=0.1, stagger=0.2),
    "haldane": models.haldane(phi=0.7),
    "silicon": models.silicon(xi=0.2),
    "magnet": random_case("all", orthogonal=True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_sisl_finds_the_same_bands(name, tmp_path):
    sisl = pytest.importorskip("sisl")
    write_hr(OTHERS[name], tmp_path / "a_hr.dat", WriteOptions(TILTED))
    matrix = sisl.get_sile(tmp_path / "a.win").read_hamiltonian(dtype=np.complex128)
    assert_same(np.array([matrix.eigh(k) for k in K]), OTHERS[name])


@pytest.mark.parametrize("name", ["graphene", "haldane", "silicon"])
def test_pythtb_finds_the_same_bands(name, tmp_path):
    """Not of the magnet: PythTB takes half a minute for its thousands of hoppings."""
    pythtb = pytest.importorskip("pythtb")
    write_hr(OTHERS[name], tmp_path / "a_hr.dat", WriteOptions(TILTED))
    model = pythtb.w90(str(tmp_path), "a").model()
    assert_same(np.array([model.solve_one(k) for k in K]), OTHERS[name])


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("form", WRITE)
def test_wannierberri_finds_the_same_bands(name, form, tmp_path):
    wb = pytest.importorskip("wannierberri")
    WRITE[form](OTHERS[name], tmp_path / f"a_{form}.dat", WriteOptions(TILTED))
    if form == "tb":
        system = wb.system.System_R.from_tb_dat(str(tmp_path / "a_tb.dat"))
    else:
        system = wb.system.System_R.from_hr_file(
            str(tmp_path / "a"),
            real_lattice=OTHERS[name].structure.lattice.matrix,
            wannier_centers_cart=centres(tmp_path / "a_centres.xyz"),
        )
    assert_same(theirs(system, K), OTHERS[name])


def centres(path: Path) -> NDArray:
    rows = [line.split() for line in path.read_text().split("\n")[2:]]
    return np.array([row[1:] for row in rows if row and row[0] == "X"], dtype=float)


def theirs(system: object, k: NDArray) -> NDArray:
    phases = np.exp(2j * np.pi * k @ np.asarray(system.rvec.iRvec).T)
    return np.linalg.eigvalsh(np.einsum("kr,rij->kij", phases, np.asarray(system.Ham_R)))


def assert_same(found: NDArray, h: Hamiltonian) -> None:
    expected = energies(h, K, TILTED)
    if found.shape[1] * 2 == expected.shape[1]:
        found = np.repeat(found, 2, axis=1)
    assert np.abs(np.sort(found, axis=1) - expected).max() < 1e-10


def test_wannier90_lists_our_projections_as_our_shells(tmp_path):
    """wannier90.x -pp on our .win, with a mesh of k added."""
    program = shutil.which("wannier90.x")
    if program is None:
        pytest.skip("wannier90.x is not installed (Debian: apt install wannier90)")
    h = random_case("spin-orbit", orthogonal=True)
    write_hr(h, tmp_path / "a_hr.dat", WriteOptions())
    text = (tmp_path / "a.win").read_text()
    mesh = "mp_grid = 1 1 1\nbegin kpoints\n0 0 0\nend kpoints\n"
    (tmp_path / "a.win").write_text(text + mesh)
    subprocess.run([program, "-pp", "a"], cwd=tmp_path, check=True, capture_output=True)
    block = (tmp_path / "a.nnkp").read_text().split("begin spinor_projections")[1].split("\n")
    rows = [line.split() for line in block[2::3] if len(line.split()) == 6]
    listed = [(float(r[0]), int(r[3]), int(r[4])) for r in rows[::2]]
    expected = []
    for site, shells in zip(h.structure, h.basis.shells, strict=True):
        for shell in shells:
            expected += [(site.frac_coords[0], shell.l, mr) for mr in range(1, 2 * shell.l + 2)]
    assert [e[1:] for e in listed] == [e[1:] for e in expected]
    np.testing.assert_allclose([e[0] for e in listed], [e[0] for e in expected], atol=1e-5)


# --- Löwdin's orbitals --------------------------------------------------------------------------


def test_chain_with_overlap_in_closed_form():
    """One orbital: H̃(k) is the band itself, 2t cos k / (1 + 2s cos k); H̃[R] its Fourier series."""
    s, t, n = 0.1, -1.0, 31
    new = orthogonalised(models.chain(t, s), (n, 1, 1))
    angle = 2 * np.pi * np.arange(4096) / 4096
    band = 2 * t * np.cos(angle) / (1 + 2 * s * np.cos(angle))
    for cell in range(5):
        expected = np.mean(band * np.cos(cell * angle))
        assert new.hamiltonian.block("H", 0, 0, (cell, 0, 0))[0, 0] == pytest.approx(
            expected, abs=1e-12
        )
    assert new.error < 1e-12
    assert is_orthogonal(new.hamiltonian)
    assert not is_orthogonal(models.chain(t, s))


@pytest.mark.parametrize("kind", KINDS)
def test_energies_on_the_mesh_are_exact_for_every_spin_state(kind):
    """S^{-1/2} does not act on spin: λ, n and the exchange's factor turn the new one as the old."""
    h, mesh = random_case(kind), (3, 5, 3)
    new = orthogonalised(h, mesh).hamiltonian
    k = mesh_points(mesh, 3)
    for state in (SpinState(), TILTED, SpinState(soc=0, exchange=-1)):
        assert np.abs(energies(new, k, state) - energies(h, k, state)).max() < 1e-10
    assert new.components == h.components
    assert new.basis == h.basis


def test_error_between_the_points_is_measured_and_falls():
    h = models.chain(s=0.2, field=0.1)
    found = [orthogonalised(h, (n, 1, 1)) for n in (3, 5, 9, 17)]
    for new in found:
        n = new.mesh[0]
        k = np.array([[(m + 0.5) / n, 0, 0] for m in range(n)])
        worst = np.abs(energies(new.hamiltonian, k) - energies(h, k)).max()
        assert new.error == pytest.approx(worst, rel=0.3)
        assert new.error_occupied <= new.error
    errors = [new.error for new in found]
    assert errors[0] > 1e-2
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4
    assert f"{errors[0] * 1e3:.2g} meV between them" in found[0].note


def test_default_mesh_grows_until_the_error_is_small():
    new = orthogonalised(models.chain(s=0.3))
    assert new.error <= 1e-3
    assert new.mesh[1:] == (1, 1)
    assert new.mesh[0] > 3
    same = orthogonalised(models.chain())
    assert same.mesh is None
    assert same.note == ""


def test_symmetric_mesh_keeps_the_crystals_symmetry():
    """Images at equal distances share: silicon's Γ multiplets stay degenerate off the mesh, too."""
    plain = models.silicon(xi=0.1)
    h = replace(
        plain,
        overlap=plain.overlap
        + 0.01 * plain.scalar * (plain.distances > 0)[plain.pairs.element_pair],
    )
    for n in (2, 3, 4):
        new = orthogonalised(h, (n, n, n)).hamiltonian
        k = np.array([[0.21, 0.0, 0.0], [0.0, 0.21, 0.0], [0.0, 0.0, 0.21], [0.21, 0.21, 0.21]])
        found = energies(new, k)
        np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-9)


def test_nearest_images():
    h = models.graphene()
    cell = supercell_pairs(h, (4, 4, 1))
    # every cell of the supercell once, for each of the four pairs of sites
    assert cell.weight.sum() == pytest.approx(4 * 16)
    vectors = (
        h.structure.cart_coords[cell.pairs.second]
        - h.structure.cart_coords[cell.pairs.first]
        + cell.pairs.cell @ h.structure.lattice.matrix
    )
    steps = (
        np.array(list(itertools.product((-4, 0, 4), (-4, 0, 4), (0,)))) @ h.structure.lattice.matrix
    )
    for vector in vectors:
        assert np.linalg.norm(vector) < np.linalg.norm(vector + steps, axis=1).min() + 1e-6


def berry_case() -> Hamiltonian:
    """Overlapping, magnetic, with spin–orbit coupling and position elements; in a plane."""
    h = models.random_crystal(2, [models.S, models.P], seed=5, magnetic=True, planar=True)
    return with_position(h, 0.05)


def test_position_operator_goes_along():
    """Berry curvature and orbital moment are the same between Löwdin's orbitals: they contain A(k).

    The two differ by the interpolation of H alone, which vanishes with the mesh.
    """
    h = berry_case()
    k = np.array([[2 / 15, 4 / 15, 0], [1 / 3, 0.2, 0]])
    old = band_geometry(h, k, bands=[0, 3, 7])
    errors = []
    for n in (5, 15):
        new = band_geometry(orthogonalised(h, (n, n, 1)).hamiltonian, k, bands=[0, 3, 7])
        scale = np.abs(old.curvature).max()
        errors.append(float(np.abs(new.curvature - old.curvature).max() / scale))
    assert errors[1] < 1e-5
    assert errors[1] < 0.1 * errors[0]
    # without the terms of ∂S^{-1/2} it is another
    bare = replace(orthogonalised(h, (15, 15, 1)).hamiltonian, position=None)
    wrong = band_geometry(bare, k, bands=[0, 3, 7]).curvature
    assert np.abs(wrong - old.curvature).max() > 1e-3 * np.abs(old.curvature).max()


def test_wannierberris_curvature_of_our_file(tmp_path):
    """An independent code on our tb.dat finds the curvature of the overlapping orbitals."""
    wb = pytest.importorskip("wannierberri")
    from wannierberri.formula.covariant import Omega

    h = berry_case()
    orthogonal = orthogonalised(h, (15, 15, 1)).hamiltonian
    write_tb(orthogonal, tmp_path / "a_tb.dat", WriteOptions())
    system = wb.system.System_R.from_tb_dat(str(tmp_path / "a_tb.dat"), berry=True)
    for k in ([2 / 15, 4 / 15, 0], [1 / 3, 0.2, 0]):
        for band in (0, 7):
            found = wb.evaluate_k(system, k=np.array(k), formula={"omega": Omega}, iband=[band])
            found = np.asarray(found["omega"] if isinstance(found, dict) else found)
            ours = band_geometry(h, [k], bands=[band]).curvature[0, 0]
            assert found.reshape(3)[2].real == pytest.approx(ours, rel=1e-4, abs=1e-6)


def test_without_position_elements_the_approximation_goes_along(tmp_path):
    """X = 0 between overlapping orbitals is not X = 0 between Löwdin's."""
    h = replace(berry_case(), position=None)
    report = write_tb(h, tmp_path / "a_tb.dat", WriteOptions())
    assert "carried over to Löwdin's orbitals" in " ".join(report.notes)
    back = read_hamiltonian(tmp_path / "a_tb.dat")
    assert np.abs(back.position).max() > 1e-3
    k = [[0.0, 1 / 3, 0.0]]
    zero = replace(h, position=np.zeros((3, h.pairs.n_elements)))
    expected = band_geometry(zero, k, bands=[0]).curvature
    np.testing.assert_allclose(band_geometry(back, k, bands=[0]).curvature, expected, rtol=2e-2)


@pytest.mark.parametrize("mesh", [(0, 1, 1), (2, 2), (1.5, 1, 1), "444"])
def test_meshes_that_are_none(mesh):
    with pytest.raises(SettingsError, match="three positive integers"):
        orthogonalised(models.chain(s=0.1), mesh)


def test_limits_of_the_mesh(mos2, monkeypatch):
    with pytest.raises(ResourceLimitError, match=r"needs .* GB; the limit is 6 GB"):
        orthogonalised(mos2, (500, 500, 1))
    monkeypatch.setattr("hamexplorer.formats.lowdin._SINGULAR", 0.5)
    with pytest.raises(HamiltonianError, match=r"singular at k = \[0\.5, 0\.0, 0\.0\]"):
        orthogonalised(models.chain(s=0.4), (2, 1, 1))


def test_sites_in_other_cells_make_no_difference():
    """A site given by its translate: the same energies, and X in the same place."""
    h = random_case("spinless")
    shift = np.array([[3, 0, -4], [0, -5, 0]])
    places = h.structure.frac_coords + shift
    moved = Structure(h.structure.lattice, h.structure.species, places)
    cells = h.pairs.cell - shift[h.pairs.second] + shift[h.pairs.first]
    pairs = Pairs(h.pairs.first, h.pairs.second, cells, h.pairs.sizes)
    other = replace(h, structure=moved, pairs=pairs)
    one, two = (orthogonalised(x, (3, 5, 3)).hamiltonian for x in (h, other))
    assert one.pairs.n_pairs == two.pairs.n_pairs
    np.testing.assert_allclose(energies(two, K), energies(one, K), atol=1e-9)
