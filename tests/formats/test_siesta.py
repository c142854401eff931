"""Siesta's files, written and read by sisl, an independent implementation of the formats."""

from __future__ import annotations

import resource
import struct
import time
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import models
import numpy as np
import pytest
from damage import damaged_variants
from pymatgen.core import Structure
from spin_cases import KINDS, KPOINTS, component_difference, eigenvalues, random_case

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats import (
    ReadOptions,
    bundle_of_bytes,
    read_bundle,
    read_hamiltonian,
    recognised,
)
from hamexplorer.formats.siesta.matrix import CODATA, LEGACY
from hamexplorer.formats.sisl_bridge import from_sisl, to_sisl
from hamexplorer.hamiltonian import BlochSum, Hamiltonian
from hamexplorer.provenance import Provenance

sisl = pytest.importorskip("sisl")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
DATA = Path(__file__).parents[1] / "data/siesta"
FILES = ("HSX", "TSHS", "nc")
INTEGER, REAL, SINGLE = "<i4", "<f8", "<f4"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Bytes that sisl writes of a matrix, by its kind and the file's."""
    folder = tmp_path_factory.mktemp("siesta")
    made: dict[tuple, bytes] = {}

    def of(kind: str, file: str, **options: object) -> bytes:
        key = (kind, file, *options.items())
        if key not in made:
            path = folder / f"run{len(made)}.{file}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sisl.get_sile(path, "w").write_hamiltonian(to_sisl(random_case(kind)), **options)
            made[key] = path.read_bytes()
        return made[key]

    return of


def records(data: bytes) -> list[bytes]:
    """Content of the records of a Fortran file."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<i", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 8 + length
    return found


def fortran(parts: list[bytes]) -> bytes:
    return b"".join(struct.pack("<i", len(p)) + p + struct.pack("<i", len(p)) for p in parts)


def as_siesta_writes(data: bytes, fermi: float, electrons: float) -> bytes:
    """A file of sisl's with the Fermi energy (Ry) and electrons that Siesta would write."""
    parts = records(data)
    place = 6 if len(parts[1]) == 20 else 3  # TSHS, HSX
    values = np.frombuffer(parts[place], REAL).copy()
    values[-3:] = fermi, electrons, 0.002
    parts[place] = values.tobytes()
    return fortran(parts)


def xv(h: Hamiltonian, numbers: list[int]) -> bytes:
    rows = [[*v / CODATA.bohr, 0, 0, 0] for v in h.structure.lattice.matrix]
    lines = [" ".join(f"{x:.9f}" for x in row) for row in rows] + [str(len(numbers))]
    for k, (z, site) in enumerate(zip(numbers, h.structure.cart_coords, strict=True)):
        lines.append(f"{k + 1} {z} " + " ".join(f"{x:.9f}" for x in [*site / CODATA.bohr, 0, 0, 0]))
    return "\n".join(lines).encode()


def struct_out(h: Hamiltonian, numbers: list[int], order: list[int]) -> bytes:
    lines = [" ".join(f"{x:.9f}" for x in v) for v in h.structure.lattice.matrix] + ["2"]
    for k, (z, site) in enumerate(zip(numbers, h.structure.frac_coords[order], strict=True)):
        lines.append(f"{k + 1} {z} " + " ".join(f"{x:.9f}" for x in site))
    return "\n".join(lines).encode()


def orb_indx(h: Hamiltonian, labels: list[str]) -> bytes:
    """As Siesta writes it: a header, and a line for each orbital of the supercell."""
    n = h.basis.n_orbitals
    lines = [
        f"{n} {n} = orbitals in unit cell and supercell. See end of file.",
        "",
        "io ia is spec",
    ]
    io = 0
    for atom, shells in enumerate(h.basis.shells):
        within = 0
        for shell in shells:
            for m in range(-shell.l, shell.l + 1):
                io, within = io + 1, within + 1
                numbers = f"{within} {shell.label[0]} {shell.l} {m} 1 F s 5.00 0 0 0 {io}"
                lines.append(f"{io} {atom + 1} {atom + 1} {labels[atom]} {numbers}")
    return "\n".join(lines).encode()


def opened(files: dict[str, bytes], options: ReadOptions | None = None) -> Hamiltonian:
    return read_bundle(bundle_of_bytes(files), options)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_sisl_writes_opens_exactly(kind, file, written):
    h = random_case(kind)
    files = {f"run.{file}": written(kind, file), "run.ORB_INDX": orb_indx(h, ["Mo", "S"])}
    assert recognised(bundle_of_bytes(files)).name == "siesta"
    back = opened(files, ReadOptions(n_electrons=7))
    assert component_difference(h, back) < 1e-11
    assert back.basis == h.basis
    assert back.structure.cart_coords == pytest.approx(h.structure.cart_coords, abs=1e-8)
    for k in KPOINTS[:2]:
        assert eigenvalues(back, k) == pytest.approx(eigenvalues(h, k), abs=1e-8)


@pytest.mark.parametrize("kind", ["spinless", "spin-orbit"])
def test_versions_and_precisions_of_hsx(kind, written):
    h = random_case(kind)
    for options, limit in (({"version": 1}, 1e-11), ({"dtype": np.float32}, 3e-5)):
        back = opened({"run.HSX": written(kind, "HSX", **options)}, ReadOptions(n_electrons=7))
        assert component_difference(h, back) < limit


@pytest.mark.parametrize("file", ["HSX", "TSHS"])
@pytest.mark.parametrize("kind", ["collinear", "vector", "all"])
def test_energies_and_electrons_of_siestas_own_files(kind, file, written, tmp_path):
    """sisl moves energies to the Fermi energy; here they stay, and the electrons are the file's."""
    fermi = -0.31  # Ry
    data = as_siesta_writes(written(kind, file), fermi, 6.5)
    h = opened({f"run.{file}": data, "run.XV": xv(random_case(kind), [42, 16])})
    assert h.n_electrons == 6.5
    assert h.provenance.results["fermi_energy_eV"] == pytest.approx(fermi * CODATA.rydberg)
    (tmp_path / f"run.{file}").write_bytes(data)
    theirs = sisl.get_sile(tmp_path / f"run.{file}").read_hamiltonian()
    for k in KPOINTS[:2]:
        if kind == "collinear":
            expected = np.sort(np.concatenate([theirs.eigh(k, spin=s) for s in (0, 1)]))
        else:
            expected = theirs.eigh(k)
        assert eigenvalues(h, k) - fermi * CODATA.rydberg == pytest.approx(expected, abs=1e-9)


def test_electrons_are_counted_only_where_the_file_has_none(written):
    files = {"run.HSX": written("spinless", "HSX")}
    h = opened(files)
    assert h.provenance.results["n_electrons_from"] == "Fermi energy"
    assert any("that sisl wrote" in w for w in h.provenance.warnings)
    assert opened(files, ReadOptions(n_electrons=3)).n_electrons == 3
    known = {"run.HSX": as_siesta_writes(files["run.HSX"], 0.1, 6)}
    assert opened(known).n_electrons == 6
    assert opened(known, ReadOptions(fermi_energy=1e4)).n_electrons == 38
    assert not any("sisl" in w for w in opened(known).provenance.warnings)


def old_hsx(h: Hamiltonian, *, gamma: bool = False) -> bytes:
    """The layout of Siesta up to 4, from sisl's matrix (which it does not write itself)."""
    matrix = to_sisl(h).transpose(spin=False)
    geometry = matrix.geometry
    n = geometry.no
    csr = [matrix.tocsr(k) for k in range(matrix.dim)]
    counts = np.diff(csr[0].indptr)
    components = 1 if matrix.spin.is_unpolarized else {"polarized": 2}.get(str(matrix.spin.kind), 8)
    rows = [slice(*csr[0].indptr[k : k + 2]) for k in range(n)]
    values = [c.data / LEGACY.rydberg for c in csr[:-1]] + [csr[-1].data]
    if components == 8:
        values[3] = -values[3]
    columns, image = csr[0].indices % n, csr[0].indices // n
    # Siesta's sequence of the supercell's cells: the first axis runs fastest, from 0 up, then −
    wrapped = geometry.sc_off[image] % geometry.nsc
    columns = columns + n * (wrapped @ np.cumprod([1, *geometry.nsc[:2]]))
    parts = [
        np.array([n, n if gamma else geometry.no_s, components, len(columns)], INTEGER),
        np.array([gamma], INTEGER),
        *([] if gamma else [np.tile(np.arange(n) + 1, geometry.n_s).astype(INTEGER)]),
        counts.astype(INTEGER),
        *(columns[r].astype(INTEGER) + 1 for r in rows),
        *(v[r].astype(SINGLE) for v in values for r in rows),
        np.array([7.0, 0.002], REAL),
    ]
    if not gamma:
        atom = geometry.o2a(columns % n)
        source = geometry.o2a(np.repeat(np.arange(n), counts))
        vectors = (
            geometry.xyz[atom] + geometry.sc_off[image] @ geometry.cell - geometry.xyz[source]
        ) / LEGACY.bohr
        parts += [vectors[r].astype(SINGLE) for r in rows]
    parts.append(np.array([2], INTEGER))
    labels = [
        b"Mo".ljust(20) + struct.pack("<di", 6, 9),
        b"S.pbe".ljust(20) + struct.pack("<di", 6, 10),
    ]
    parts.append(np.frombuffer(b"".join(labels), "u1"))
    for shells in h.basis.shells:
        for shell in shells:
            row = np.array([int(shell.label[0]), shell.l, 1], INTEGER)
            parts += [row] * shell.size
    parts += [np.array([2], INTEGER), np.array([1, 2], INTEGER), np.zeros(2 * n, INTEGER)]
    return fortran([p.tobytes() for p in parts])


@pytest.mark.parametrize("kind", ["spinless", "spin-orbit"])
def test_hsx_of_siesta_4_with_the_crystal_beside_it(kind, tmp_path):
    h = random_case(kind)
    data = old_hsx(h)
    beside = xv(h, [42, 16])
    back = opened({"run.HSX": data, "run.XV": beside})
    assert component_difference(h, back) < 3e-5  # single precision
    assert back.basis == h.basis
    assert back.n_electrons == 7
    # sisl takes the constants of Siesta 5 for these, too
    (tmp_path / "run.HSX").write_bytes(data)
    geometry = to_sisl(h).geometry
    theirs = sisl.get_sile(tmp_path / "run.HSX").read_hamiltonian(geometry=geometry)
    k = KPOINTS[0]
    expected = np.sort(theirs.eigh(k, dtype=np.complex128)) * LEGACY.rydberg / CODATA.rydberg
    if kind == "spinless":
        expected = np.repeat(expected, 2)
    assert eigenvalues(back, k) == pytest.approx(expected, abs=2e-4)


def molecule(kind: str) -> Hamiltonian:
    """A random case without its blocks in other cells."""
    h = random_case(kind)
    pairs, kept = h.pairs.subset(~h.pairs.cell.any(axis=1))
    parts = {
        name: None if (flat := getattr(h, name)) is None else flat[..., kept]
        for name in ("overlap", "scalar", "exchange", "spin_orbit", "time_odd")
    }
    return replace(h, pairs=pairs, **parts)


def test_files_for_the_gamma_point_alone(tmp_path):
    h = molecule("spin-orbit")
    beside = {"run.XV": xv(h, [42, 16]), "run.ORB_INDX": orb_indx(h, ["Mo", "S"])}
    old = opened({"run.HSX": old_hsx(h, gamma=True), **beside})
    assert component_difference(h, old) < 3e-5
    sisl.get_sile(tmp_path / "run.TSHS", "w").write_hamiltonian(to_sisl(h))
    parts = records((tmp_path / "run.TSHS").read_bytes())
    parts[4] = np.array([1, 1, 0], INTEGER).tobytes()  # Γ: then no cells stand at the end
    new = opened({"run.TSHS": fortran(parts[:-1]), **beside}, ReadOptions(n_electrons=7))
    assert component_difference(h, new) < 1e-11
    parts[4] = np.array([0, 0, 1], INTEGER).tobytes()
    with pytest.raises(FileFormatError, match="overlap alone"):
        opened({"run.TSHS": fortran(parts), **beside})


def test_hsx_of_siesta_4_asks_for_the_crystal_and_checks_it():
    h = random_case("spinless")
    data = old_hsx(h)
    with pytest.raises(FileFormatError, match=r"no crystal: put the calculation's \.XV"):
        opened({"run.HSX": data})
    assert opened({"run.HSX": data}, ReadOptions(structure=h.structure)).n_electrons == 7
    moved = h.structure.copy().translate_sites([1], [0.2, 0.2, 0.2])
    with pytest.raises(FileFormatError, match="not that of the matrix"):
        opened({"run.HSX": data}, ReadOptions(structure=moved))


def test_tshs_takes_elements_and_orbitals_from_the_files_beside_it(written):
    h = random_case("spinless")
    data = written("spinless", "TSHS")
    with pytest.raises(FileFormatError, match=r"elements of its 2 atoms"):
        opened({"run.TSHS": data})
    alone = opened({"run.TSHS": data, "run.XV": xv(h, [42, 16])}, ReadOptions(n_electrons=7))
    assert alone.basis.symbols == ("Mo", "S")
    assert alone.basis.labels[:2] == ("Mo1 w1", "Mo1 w2")
    assert "Mo (w1 … w9); S (w1 … w10)" in alone.provenance.warnings[0]
    for k in KPOINTS[:2]:
        assert eigenvalues(alone, k) == pytest.approx(eigenvalues(h, k), abs=1e-8)
    ghost = opened(
        {"run.TSHS": data, "run.XV": xv(h, [42, -16]), "run.ORB_INDX": orb_indx(h, ["Mo", "Sg"])},
        ReadOptions(n_electrons=7),
    )
    assert ghost.basis.symbols == ("Mo", "X")
    assert ghost.basis.shells == h.basis.shells
    assert any("1 ghost" in w for w in ghost.provenance.warnings)
    again = opened({"run.TSHS": data, "run.STRUCT_OUT": struct_out(h, [42, 16], [0, 1])})
    assert again.basis.symbols == ("Mo", "S")
    with pytest.raises(FileFormatError, match=r"run\.STRUCT_OUT is not the crystal"):
        opened({"run.TSHS": data, "run.STRUCT_OUT": struct_out(h, [16, 42], [1, 0])})


def test_elements_of_labels(written):
    parts = records(written("spinless", "HSX"))
    parts[5] = b"Mo_up".ljust(20) + parts[5][20:]
    data = fortran(parts)
    h = opened({"run.HSX": data}, ReadOptions(n_electrons=7))
    assert h.basis.symbols == ("Mo", "S")
    assert "Mo_up is Mo" in h.provenance.warnings[0]
    fdf = b"SystemLabel run\n%block Chemical_Species-Label\n 1 74 Mo_up\n 2 -16 S\n%endblock\n"
    told = opened({"run.HSX": data, "run.fdf": fdf}, ReadOptions(n_electrons=7))
    assert told.basis.symbols == ("W", "X")
    parts[5] = b"1up".ljust(20) + parts[5][20:]
    with pytest.raises(FileFormatError, match=r"Species '1up' names no element"):
        opened({"run.HSX": fortran(parts)})


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"run.XV": b"1 0 0\n0 1 0\n0 0 1\n3\n"}, "3 atoms are announced"),
        ({"run.XV": b"1 0 0\n0 1 0\n0 0 1\n1\n1 42 0 0 0 0 0 0\n"}, "1 atoms, the matrix 2"),
        ({"run.XV": b"hello"}, r"run\.XV is damaged"),
        ({"run.ORB_INDX": b"7 7 = orbitals\n\n\n"}, "0 of 7 orbitals, the matrix 19"),
        ({"run.ORB_INDX": b""}, "empty"),
    ],
)
def test_damaged_files_beside_it(beside, message, written):
    with pytest.raises(FileFormatError, match=message):
        opened({"run.TSHS": written("spinless", "TSHS"), **beside})


def test_options_that_do_not_fit(written):
    files = {"run.HSX": written("spinless", "HSX")}
    with pytest.raises(SettingsError, match="1 matrix files"):
        opened(files, ReadOptions(index=1))
    structure = Structure.from_sites(random_case("spinless").structure[:1])
    with pytest.raises(FileFormatError, match="1 atoms, the matrix 2"):
        opened(files, ReadOptions(structure=structure))


def test_wrong_sign_of_spin_orbit_is_said(tmp_path):
    good = to_sisl(models.p_atom(0.6))
    for matrix, warned in ((good, False), (good.transpose(spin=False), True)):
        path = tmp_path / f"run{warned}.HSX"
        sisl.get_sile(path, "w").write_hamiltonian(matrix)
        h = opened({"run.HSX": path.read_bytes()}, ReadOptions(n_electrons=3))
        assert any("wrong sign" in w for w in h.provenance.warnings) is warned


def own_density(h: Hamiltonian, kpoints: np.ndarray, fermi: float, kt: float) -> np.ndarray:
    """D[i, j, R] = ⟨f_n c_i c_j* e^{−2πi k·R}⟩ over bands and k, both spins, flat blocks."""
    pairs = h.pairs
    density = np.zeros(pairs.n_elements)
    rows, columns = pairs.element_orbitals
    for part in np.array_split(kpoints, max(1, len(kpoints) // 300)):
        m = BlochSum(h, "cpu")(part)
        inverse = np.linalg.inv(np.linalg.cholesky(m.overlap.numpy()))
        adjoint = inverse.conj().swapaxes(1, 2)
        energies, vectors = np.linalg.eigh(inverse @ m.scalar.numpy() @ adjoint)
        c = adjoint @ vectors
        occupied = 1 - np.tanh((energies - fermi) / (2 * kt))
        at_k = np.einsum("kin,kn,kjn->kij", c, occupied, c.conj())
        phase = np.exp(-2j * np.pi * part @ pairs.cell.T)
        density += np.einsum("kp,kp->p", phase[:, pairs.element_pair], at_k[:, rows, columns]).real
    return density / len(kpoints)


@pytest.mark.parametrize(("name", "limit"), [("water", 1e-8), ("graphene", 1e-9)])
def test_siestas_own_density_matrix_follows_from_its_hamiltonian(name, limit, tmp_path):
    """DM = Σ f c c† over Siesta's own k: H, S, R, signs and the Fermi energy of a real file."""
    source = DATA / f"{name}.nc"
    h = read_hamiltonian(source)
    path = tmp_path / "density.nc"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        file["SPARSE/H"][...] = file["SPARSE/DM"][...]
        mesh = file["SETTINGS/BZ"][...]
        kt = float(file["SETTINGS/ElectronicTemperature"][0]) * CODATA.rydberg
    # DM read in the place of H comes in our order and signs
    theirs = read_hamiltonian(path)
    n = 61
    grid = np.stack(np.meshgrid(*[np.arange(-n, n)] * 2, [0], indexing="ij"), -1).reshape(-1, 3)
    k = np.round(grid @ np.linalg.inv(mesh).T % 1, 9) % 1
    k = np.unique(k, axis=0) if name == "graphene" else np.zeros((1, 3))
    assert len(k) == (3599 if name == "graphene" else 1)
    density = own_density(h, k, h.provenance.results["fermi_energy_eV"], kt)
    assert np.abs(density - theirs.scalar / CODATA.rydberg).max() < limit
    assert density @ h.overlap == pytest.approx(8, abs=1e-6)
    assert h.n_electrons == 8


@pytest.mark.parametrize("name", ["water", "graphene"])
def test_sisl_and_we_read_siestas_own_files_alike(name):
    h = read_hamiltonian(DATA / f"{name}.nc")
    assert not h.provenance.warnings  # the overlap obeys the rotation law in Siesta's order
    theirs = sisl.get_sile(DATA / f"{name}.nc").read_hamiltonian()
    fermi = h.provenance.results["fermi_energy_eV"]
    for k in KPOINTS[:2]:
        expected = np.repeat(np.sort(theirs.eigh(k)), 2)
        # Siesta's H of water is Hermitian to 4e-9 eV; we take the Hermitian part
        assert eigenvalues(h, k) - fermi == pytest.approx(expected, abs=1e-7)
    in_memory = from_sisl(theirs)
    assert in_memory.n_electrons == pytest.approx(8)
    assert component_difference(h.shifted(-fermi), in_memory) < 1e-8
    assert in_memory.basis == h.basis


def test_labels_of_siestas_own_files():
    water = read_hamiltonian(DATA / "water.nc")
    assert [s.label for s in water.basis.shells[0]][-1] == "2dP"
    assert water.basis.symbols == ("O", "H", "H")


def test_record_of_the_reading(written):
    h = opened({"run.HSX": written("spin-orbit", "HSX")})
    record = Provenance.from_json(h.provenance.to_json())
    assert record.title == "Siesta, spin–orbit"
    assert len(record.settings["files"]["run.HSX"]) == 64


@pytest.mark.parametrize("file", [*FILES, "old HSX"])
def test_damaged_files_never_break_out(file, written):
    h = random_case("spin-orbit")
    data = old_hsx(h) if file == "old HSX" else written("spin-orbit", file)
    name = f"run.{file.split()[-1]}"
    beside = {"run.ORB_INDX": orb_indx(h, ["Mo", "S"]), "run.XV": xv(h, [42, 16])}
    options = ReadOptions(n_electrons=7)
    good = opened({name: data, **beside}, options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused, slowest = 0, 0.0
    for what, variant in damaged_variants(data, seed=11, count=40):
        start = time.perf_counter()
        try:
            h = opened({name: variant, **beside}, options)
        except HamexplorerError:
            refused += 1
        else:
            # damage where nothing is read, such as a k mesh, or within rounding
            assert component_difference(h, good) < 1e-4, what
        slowest = max(slowest, time.perf_counter() - start)
    assert refused >= 30
    assert slowest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB
