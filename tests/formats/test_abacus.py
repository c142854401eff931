"""ABACUS's sparse matrices: a real H(R), and matrices of ours written as ABACUS does."""

from __future__ import annotations

import itertools
import lzma
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from damage import damaged_variants
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from spin_cases import KPOINTS, component_difference, eigenvalues, random_case

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats import (
    ReadOptions,
    bundle_of_bytes,
    bundle_of_path,
    read_bundle,
    recognised,
)
from hamexplorer.formats.abacus.crystal import BOHR, parse_log, parse_stru
from hamexplorer.formats.abacus.csr import parse_csr
from hamexplorer.formats.abacus.reader import RYDBERG
from hamexplorer.formats.orders import ABACUS, M_ORDER, PYSCF, SIESTA, HarmonicOrder
from hamexplorer.formats.shells import ordered_orbitals
from hamexplorer.formats.sparse import Pattern, scatterings
from hamexplorer.hamiltonian import Basis, Hamiltonian
from hamexplorer.hamiltonian.angular import rotation_matrix

REAL = Path(__file__).parents[1] / "data/abacus/mos2"
KINDS = ("spinless", "collinear", "spinors")
LAYOUTS = ("old", "new")
STRU = """ATOMIC_SPECIES
Mo 95.95 Mo.upf  # a comment
S 32.06 S.upf

NUMERICAL_ORBITAL
Mo_gga_9au_100Ry_1s1p1d.orb
S_gga_8au_1p1f.orb

LATTICE_CONSTANT
{constant}

LATTICE_VECTORS
{lattice}

ATOMIC_POSITIONS
Direct

Mo
0.0
1
{mo} m 1 1 1 mag 0.5
S
0.0
1
{s} 1 1 1
"""


def case(kind: str) -> Hamiltonian:
    return random_case({"spinors": "all"}.get(kind, kind))


def file_orbitals(h: Hamiltonian) -> list[tuple[int, float]]:
    """Our index and the sign of every orbital in ABACUS's sequence."""
    found, start = [], 0
    for shells in h.basis.shells:
        for shell in shells:
            order = sorted(range(-shell.l, shell.l + 1), key=lambda m: (abs(m), -m))
            found += [(start + shell.l + m, (-1.0) ** m) for m in order]
            start += 2 * shell.l + 1
    return found


def matrices(h: Hamiltonian, kind: str) -> dict[str, dict[tuple[int, ...], np.ndarray]]:
    """Dense M[R] in ABACUS's sequence: ``S0``, ``H0`` and ``H1``."""
    n = h.basis.n_orbitals
    place, sign = (np.array(x) for x in zip(*file_orbitals(h), strict=True))
    cells = {tuple(c) for c in h.pairs.cell.tolist()}
    found: dict[str, dict] = {key: {} for key in ("S0", "H0", "H1")}
    for cell in sorted(cells):
        s, box = np.zeros((n, n)), np.zeros((2, n, 2, n), dtype=complex)
        for i, j in itertools.product(range(2), repeat=2):
            if (i, j, *cell) not in h.pairs._lookup:
                continue
            rows, columns = h.basis.site_orbitals(i), h.basis.site_orbitals(j)
            s[rows, columns] = h.block("S", i, j, cell)
            ni, nj = s[rows, columns].shape
            box[:, rows, :, columns] = h.spinor_block(i, j, cell).reshape(2, ni, 2, nj)
        s = s[np.ix_(place, place)] * np.outer(sign, sign)
        box = box[:, place][:, :, :, place] * np.einsum("i,j->ij", sign, sign)[:, None] / RYDBERG
        if kind == "spinors":
            found["S0"][cell] = np.kron(s, np.eye(2)).astype(complex)
            found["H0"][cell] = box.transpose(1, 0, 3, 2).reshape(2 * n, 2 * n)
        else:
            found["S0"][cell] = s
            found["H0"][cell], found["H1"][cell] = box[0, :, 0].real, box[1, :, 1].real
    return found


def csr_text(
    blocks: dict[tuple[int, ...], np.ndarray], name: str, layout: str, h: Hamiltonian
) -> str:
    """The text of one matrix; elements below 1e-10 are left out, as ABACUS does."""
    size = len(next(iter(blocks.values())))
    kind, spin = name[0], int(name[1])
    if layout == "old":
        lines = ["STEP: 0", f"Matrix Dimension of {kind}(R): {size}"]
        lines += [f"Matrix number of {kind}(R): {len(blocks)}"]
    else:
        lattice = [" ".join(map(repr, v)) for v in h.structure.lattice.matrix.tolist()]
        places = [" ".join(map(repr, v)) for v in h.structure.frac_coords.tolist()]
        lines = [
            " --- Ionic Step 1 ---", f" # print {kind} matrix in real space {kind}(R)",
            " 1 # number of spin directions", f" {spin + 1} # spin index",
            f" {size} # number of localized basis",
            f" {len(blocks)} # number of Bravais lattice vector R", "",
            " user_defined_lattice", " 1.0", *lattice, "Mo S", "1 1", "Direct", *places, "",
            " #-----#", " #  CSR Format  #", " #-----#", "",
        ]  # fmt: skip
    for cell, block in blocks.items():
        rows, columns = np.nonzero(np.abs(block) > 1e-10)
        lines.append(f"{' '.join(map(str, cell))} {len(rows)}")
        if not len(rows):
            continue
        values = block[rows, columns]
        if np.iscomplexobj(values):
            words = [f"({v.real:.14e},{v.imag:.14e})" for v in values]
        else:
            words = [f"{v:.14e}" for v in values]
        pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size))])
        parts = {"values": words, "column_indices": columns, "row_indptr": pointers}
        for title, numbers in parts.items():
            if layout == "new":
                lines.append(f"# CSR {title}")
                # wrapped
                half = len(numbers) // 2
                lines += [" ".join(map(str, part)) for part in (numbers[:half], numbers[half:])]
            else:
                lines.append(" " + " ".join(map(str, numbers)))
    return "\n".join(lines) + "\n"


def stru(h: Hamiltonian) -> str:
    constant = 1.9
    lattice = h.structure.lattice.matrix / (constant * BOHR)
    rows = ["\n".join(" ".join(f"{x:.14f}" for x in v) for v in lattice)]
    mo, s = (" ".join(f"{x:.14f}" for x in v) for v in h.structure.frac_coords)
    return STRU.format(constant=constant, lattice=rows[0], mo=mo, s=s)


def files(h: Hamiltonian, kind: str, layout: str) -> dict[str, bytes]:
    names = {
        "old": {"S0": "data-SR-sparse_SPIN0.csr", "H0": "data-HR-sparse_SPIN0.csr",
                "H1": "data-HR-sparse_SPIN1.csr"},
        "new": {"S0": "srs1_nao.csr", "H0": "hrs1_nao.csr", "H1": "hrs2_nao.csr"},
    }[layout]  # fmt: skip
    made = matrices(h, kind)
    if kind != "collinear":
        del made["H1"]
    found = {names[key]: csr_text(b, key, layout, h).encode() for key, b in made.items()}
    return {**found, "STRU": stru(h).encode()}


def opened(given: dict[str, bytes], options: ReadOptions | None = None) -> Hamiltonian:
    return read_bundle(bundle_of_bytes(given), options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_written_as_abacus_does_open_exactly(kind, layout):
    h = case(kind)
    given = files(h, kind, layout)
    assert recognised(bundle_of_bytes(given)).name == "abacus"
    back = opened(given, ReadOptions(n_electrons=7))
    assert component_difference(h, back) < 1e-8  # of the threshold
    assert back.structure.cart_coords == pytest.approx(h.structure.cart_coords, abs=1e-8)
    assert [s.label for s in back.basis.shells[0]] == ["s1", "p1", "d1"]
    for k in KPOINTS[:2]:
        assert eigenvalues(back, k) == pytest.approx(eigenvalues(h, k), abs=1e-8)


@pytest.fixture(scope="module")
def real_matrix():
    with lzma.open(REAL / "OUT.ABACUS/data-HR-sparse_SPIN0.csr.xz") as stream:
        return parse_csr(np.frombuffer(stream.read(), dtype=np.uint8), "H")


@pytest.fixture(scope="module")
def real_crystal():
    return parse_stru((REAL / "STRU").read_text(), "STRU")


def broken_symmetry(matrix, crystal, order: HarmonicOrder) -> tuple[float, int]:
    """√(Σ|H(gi, gj) − D H(i, j) Dᵀ|² / Σ|H|²) over the space group, and how many blocks."""
    structure = Structure(
        crystal.lattice, crystal.labels, crystal.positions, coords_are_cartesian=True
    )
    basis = Basis(crystal.labels, tuple(crystal.shells[label] for label in crystal.labels))
    (scatter,) = scatterings(ordered_orbitals(basis, order), matrix.cells, matrix.pattern)
    pairs, flat = scatter.pairs, scatter(matrix.values)
    lattice, sites = structure.lattice.matrix, structure.frac_coords
    wrong = whole = 0.0
    count = 0
    operations = SpacegroupAnalyzer(structure, symprec=1e-3).get_symmetry_operations()
    assert len(operations) == 12  # D3h
    for operation in operations:
        rotation = operation.rotation_matrix
        cartesian = lattice.T @ rotation @ np.linalg.inv(lattice.T)
        turns = [
            scipy.linalg.block_diag(*(rotation_matrix(s.l, cartesian) for s in shells))
            for shells in basis.shells
        ]
        moved = sites @ rotation.T + operation.translation_vector
        offset = moved[:, None] - sites
        off = np.linalg.norm((offset - np.rint(offset)) @ lattice, axis=2)
        image = off.argmin(axis=1)
        shift = np.rint(offset[np.arange(len(sites)), image]).astype(int)
        for p in range(pairs.n_pairs):
            i, j = int(pairs.first[p]), int(pairs.second[p])
            cell = np.rint(rotation @ pairs.cell[p]).astype(int) + shift[j] - shift[i]
            key = (int(image[i]), int(image[j]), *cell.tolist())
            if key not in pairs._lookup:
                continue
            turned = turns[i] @ pairs.block(flat, p) @ turns[j].T
            theirs = pairs.block(flat, pairs._lookup[key])
            wrong += float(np.sum((theirs - turned) ** 2))
            whole += float(np.sum(theirs**2))
            count += 1
    return np.sqrt(wrong / whole), count


def test_a_real_hamiltonian_has_its_crystals_symmetry_in_abacus_order_alone(
    real_matrix, real_crystal
):
    """Order and signs up to f, the meaning of R, rows and columns: all twelve operations hold."""
    broken, count = broken_symmetry(real_matrix, real_crystal, ABACUS)
    assert count > 200
    assert broken < 1e-6
    for other in (SIESTA, M_ORDER, PYSCF, HarmonicOrder(ABACUS.m)):
        assert broken_symmetry(real_matrix, real_crystal, other)[0] > 0.1


def test_a_real_hamiltonian_is_hermitian_in_rydberg(real_matrix):
    basis_like = {tuple(c): k for k, c in enumerate(real_matrix.cells.tolist())}
    dense = np.zeros((len(basis_like), 88, 88))
    p = real_matrix.pattern
    dense[p.cell, p.rows, p.columns] = real_matrix.values
    for cell, k in basis_like.items():
        back = dense[basis_like[tuple(-c for c in cell)]]
        assert dense[k] == pytest.approx(back.T, abs=1e-13)
    # Mo 4s lies near the lowest band of istate.info, −61.4451 eV
    assert dense[basis_like[0, 0, 0]][1, 1] * RYDBERG == pytest.approx(-61.4, abs=0.6)


def test_a_real_log_and_stru_tell_the_same_crystal(real_crystal):
    with lzma.open(REAL / "OUT.ABACUS/running_scf.log.xz", "rt") as stream:
        run = parse_log(stream.read(), "log")
    assert run.n_electrons == 26
    assert run.fermi_energy == pytest.approx(0.59250286817)
    assert run.crystal.labels == real_crystal.labels == ("Mo", "S", "S")
    assert run.crystal.shells == real_crystal.shells
    assert sum(s.size for s in run.crystal.shells["Mo"]) == 44
    assert run.crystal.lattice == pytest.approx(real_crystal.lattice, abs=2e-5)
    assert run.crystal.positions == pytest.approx(real_crystal.positions, abs=2e-5)


def test_real_files_without_overlap_are_recognised_and_refused():
    bundle = bundle_of_path(REAL / "OUT.ABACUS")
    assert recognised(bundle).name == "abacus"
    with pytest.raises(FileFormatError, match=r"no overlap beside it: put data-SR-sparse"):
        read_bundle(bundle)


def log(h: Hamiltonian, *, cartesian: bool = False) -> bytes:
    """As ``running_scf.log``; species Mo and S1, so that ``taud_S11`` is atom 1 of S1."""
    lattice = h.structure.lattice.matrix / 2
    sites = h.structure.cart_coords / 2 if cartesian else h.structure.frac_coords
    places = [" ".join(f"{x:+.10f}" for x in v) for v in sites]
    rows = "\n".join(" ".join(f"{x:+.10f}" for x in v) for v in lattice)
    kind = "CARTESIAN" if cartesian else "DIRECT"
    tau = "tauc" if cartesian else "taud"
    return f"""
                  lattice constant (Bohr) = 3.77945
              lattice constant (Angstrom) = 2.0
                               atom label = Mo
                      L=0, number of zeta = 1
                      L=1, number of zeta = 1
                      L=2, number of zeta = 1
                               atom label = S1
                      L=0, number of zeta = 0
                      L=1, number of zeta = 1
                      L=2, number of zeta = 0
                      L=3, number of zeta = 1
{kind} COORDINATES
   atom           x                y                z           mag
{tau}_Mo1 {places[0]} +0.0
{tau}_S11 {places[1]} +0.0

 Lattice vectors: (Cartesian coordinate: in unit of a_0)
{rows}
            AUTOSET number of electrons:  = 9
E_Fermi              0.1000000000         1.3605698000
 EFERMI = 1.5 eV
""".encode()


@pytest.mark.parametrize("cartesian", [True, False])
def test_a_log_alone_tells_crystal_basis_and_electrons(cartesian):
    h = case("spinless")
    given = files(h, "spinless", "old")
    del given["STRU"]
    given["running_scf.log"] = log(h, cartesian=cartesian)
    back = opened(given)
    assert component_difference(h, back) < 1e-8
    assert back.n_electrons == 9
    assert back.provenance.results["fermi_energy_eV"] == 1.5
    assert back.basis.symbols == ("Mo", "S")
    assert "S1 is S" in back.provenance.warnings[0]
    assert back.structure.frac_coords == pytest.approx(h.structure.frac_coords, abs=1e-8)


def test_electrons_without_a_log_are_half_filling_with_a_warning():
    back = opened(files(case("spinless"), "spinless", "old"))
    assert back.n_electrons == back.basis.n_orbitals
    assert any("half of all states" in w for w in back.provenance.warnings)
    full = opened(files(case("spinless"), "spinless", "old"), ReadOptions(fermi_energy=1e4))
    assert full.n_electrons == 2 * full.basis.n_orbitals


def test_the_order_of_orbitals_is_doubted_where_the_overlap_denies_it():
    given = files(case("spinless"), "spinless", "old")  # its overlap is random
    assert any("assumed (ABACUS's" in w for w in opened(given).provenance.warnings)


@pytest.mark.parametrize(
    ("kind", "unit"),
    [("Cartesian", 1.9 * BOHR), ("Cartesian_angstrom", 1.0), ("Cartesian_au", BOHR)],
)
def test_positions_of_every_kind(kind, unit):
    h = case("spinless")
    text = stru(h).replace("Direct", kind)
    for site, cart in zip(h.structure.frac_coords, h.structure.cart_coords, strict=True):
        old, new = (" ".join(f"{x:.14f}" for x in v) for v in (site, cart / unit))
        text = text.replace(old, new)
    assert parse_stru(text, "STRU").positions == pytest.approx(h.structure.cart_coords, abs=1e-9)


def test_the_users_structure_is_the_matrices_own():
    h = case("spinless")
    given = files(h, "spinless", "old")
    lattice, sites = h.structure.lattice, h.structure.frac_coords
    moved = Structure(lattice, ["Mo", "S"], sites + np.array([[1, 0, 0], [0, -1, 0]]))
    back = opened(given, ReadOptions(structure=moved))
    # R counts from the file's images
    np.testing.assert_allclose(back.structure.frac_coords, sites, atol=1e-9)
    for other in (
        Structure(lattice.scale(300), ["Mo", "S"], sites),
        Structure(lattice, ["S", "Mo"], sites[::-1]),
    ):
        with pytest.raises(FileFormatError, match="is not the crystal of the matrices"):
            opened(given, ReadOptions(structure=other))


def test_one_spin_of_two_is_refused():
    h = case("spinless")
    given = files(h, "spinless", "old") | {"INPUT": b"INPUT_PARAMETERS\nnspin  2\n"}
    with pytest.raises(FileFormatError, match="one spin of two, by INPUT"):
        opened(given)


def without(given: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {k: v for k, v in given.items() if k not in names}


def replaced(given: dict[str, bytes], name: str, old: str, new: str) -> dict[str, bytes]:
    assert old.encode() in given[name]
    return {**given, name: given[name].replace(old.encode(), new.encode(), 1)}


H0, S0 = "data-HR-sparse_SPIN0.csr", "data-SR-sparse_SPIN0.csr"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: without(g, "STRU"), "do not tell the crystal"),
        (lambda g: without(g, S0), "no overlap beside it"),
        (lambda g: without(g, H0), "none of H"),
        (lambda g: replaced(g, "STRU", "_1s1p1d.orb", ".orb"), "orbitals of Mo are not told"),
        (lambda g: replaced(g, "STRU", "1p1d", "1p2d"), "19 rows, but the crystal's basis has 24"),
        (lambda g: replaced(g, "STRU", "Direct", "Crystal"), "kind 'crystal'"),
        (lambda g: replaced(g, "STRU", "LATTICE_VECTORS", "LATTICE"), "no section LATTICE_VECTORS"),
        (lambda g: replaced(g, "STRU", "0.0\n1\n", "0.0\n9\n"), "announces 9 atoms"),
        (lambda g: replaced(g, "STRU", "Mo\n0.0", "Qq\n0.0"), "'Qq' names no element"),
        (lambda g: replaced(g, H0, "(R): 19", "(R): 190000000"), "rows|row pointers"),
        (lambda g: replaced(g, H0, "number of H(R): ", "number of H(R): 9"), "missing|vectors R"),
        (lambda g: replaced(g, H0, "e-01", "x-01"), "values hold"),
        (lambda g: {**g, H0: g[H0] * 2}, "several steps"),
        (lambda g: {**g, H0: g[H0] + b"1 2 3\n"}, "follow after its end"),
        (lambda g: {**g, "data-HR-sparse_SPIN2.csr": g[H0]}, "of one step"),
    ],
)  # fmt: skip
def test_what_is_missing_or_damaged_is_said(change, message):
    with pytest.raises(FileFormatError, match=message):
        opened(change(files(case("spinless"), "spinless", "old")))


def test_spin_files_that_do_not_belong_together():
    spinors = files(case("spinors"), "spinors", "old")
    plain = files(case("spinless"), "spinless", "old")
    with pytest.raises(FileFormatError, match="38 rows"):
        opened({**plain, S0: spinors[S0]})
    with pytest.raises(FileFormatError, match="rows"):
        opened({**spinors, "data-HR-sparse_SPIN1.csr": plain[H0]})


def test_index_counts_the_folders_of_an_archive(tmp_path):
    import zipfile

    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder, kind in (("a", "spinless"), ("b", "collinear")):
            for name, data in files(case(kind), kind, "old").items():
                # STRU lies above the output's folder
                inner = f"{folder}/STRU" if name == "STRU" else f"{folder}/OUT.ABACUS/{name}"
                archive.writestr(inner, data)
    one, two = (
        read_bundle(bundle_of_path(path), ReadOptions(index=k, n_electrons=7)) for k in (0, 1)
    )
    assert not one.is_magnetic
    assert two.is_magnetic
    with pytest.raises(SettingsError, match="2 calculations"):
        read_bundle(bundle_of_path(path), ReadOptions(index=2))


def test_empty_atoms_stand_as_sites_x():
    h = case("spinless")
    given = files(h, "spinless", "old")
    text = (
        given["STRU"].decode().replace("S 32.06", "S_empty 32.06").replace("S\n0.0", "S_empty\n0.0")
    )
    back = opened({**given, "STRU": text.encode()}, ReadOptions(n_electrons=7))
    assert back.basis.symbols == ("Mo", "X")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_never_break_out(layout):
    given = files(case("spinors"), "spinors", layout)
    name = H0 if layout == "old" else "hrs1_nao.csr"
    options = ReadOptions(n_electrons=7)
    good = opened(given, options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, refused = 0.0, 0
    for what, variant in damaged_variants(given[name], seed=3, count=40):
        start = time.perf_counter()
        try:
            h = opened({**given, name: variant}, options)
        except HamexplorerError:
            refused += 1
        else:
            assert component_difference(h, good) < 1e-3, what
        slowest = max(slowest, time.perf_counter() - start)
    assert refused >= 36
    assert slowest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


def test_a_pattern_outside_the_basis_is_refused():
    h = case("spinless")
    orbitals = ordered_orbitals(h.basis, ABACUS)
    one = np.array([0])
    cells = np.zeros((1, 3), dtype=int)
    for rows, columns, cell in ((one + 19, one, one), (one, one - 1, one), (one, one, one + 1)):
        with pytest.raises(FileFormatError, match="index is damaged"):
            scatterings(orbitals, cells, Pattern(rows, columns, cell))
    twice = np.array([0, 0])
    with pytest.raises(FileFormatError, match="stored twice"):
        scatterings(orbitals, cells, Pattern(twice, twice, twice))
