"""OpenMX's scfout against OpenMX's own bands, and the spin decomposition against its raw arrays."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import time
import tracemalloc
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from damage import damaged_variants
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, HamexplorerError
from hamexplorer.formats import bundle_of_bytes, read_bundle, read_hamiltonian
from hamexplorer.formats.openmx.reader import BOHR, HARTREE
from hamexplorer.formats.openmx.scfout import Scfout, parse_scfout
from hamexplorer.formats.orders import OPENMX, reordering
from hamexplorer.formats.spinor import spinor_parts
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.spin import spin_texture

DATA = Path(__file__).parents[1] / "data" / "openmx"
NAMES = ("wse2_nc", "wse2_col", "fe_nc", "fe_col")
K = np.array([1 / 3, 1 / 3, 0])
RANDOM_K = np.random.default_rng(3).uniform(-1, 1, (6, 3))

Array = NDArray[np.float64]


@cache
def content(name: str) -> bytes:
    return lzma.decompress((DATA / f"{name}.scfout.xz").read_bytes())


@cache
def opened(name: str) -> Hamiltonian:
    return read_hamiltonian(DATA / f"{name}.scfout.xz")


@cache
def raw_file(name: str) -> Scfout:
    return parse_scfout(np.frombuffer(content(name), np.uint8), name)


def openmx_bands(name: str) -> tuple[Array, Array]:
    """k (n, 3) and energies (n, bands), eV, of a ``.Band`` file, both spins in one row."""
    lines = (DATA / f"{name}.Band").read_text().splitlines()
    spins = 2 if lines[0].split()[1] == "1" else 1
    paths = int(lines[2])
    rows = [[float(word) for word in line.split()] for line in lines[3 + paths :] if line.strip()]
    step = 2 * spins
    k = np.array([row[1:4] for row in rows[::step]])
    energies = [
        np.sort(np.concatenate(rows[i + 1 : i + step : 2])) for i in range(0, len(rows), step)
    ]
    return k, np.array(energies) * HARTREE


@pytest.mark.parametrize("name", NAMES)
def test_bands_are_those_that_openmx_printed(name: str) -> None:
    k, expected = openmx_bands(name)
    energies = BandSolver(opened(name), k, "cpu").energies(SpinState())
    if name == "wse2_col":  # without spin: every level holds two electrons
        expected = np.repeat(expected, 2, axis=1)
    assert energies.shape == expected.shape
    assert len(k) in (20, 30)
    assert np.abs(energies - expected).max() < 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_what_the_file_says_beside_the_matrices(name: str) -> None:
    h = opened(name)
    assert h.n_electrons == (24 if name.startswith("wse2") else 14)
    assert h.structure.composition.reduced_formula == ("WSe2" if name.startswith("wse2") else "Fe")
    assert h.provenance.warnings == ()
    assert h.provenance.settings["keywords"]["scf.XcType"] == "GGA-PBE"
    assert h.basis.site_labels[0] in ("W1", "Fe1")
    assert h.is_magnetic == name.startswith("fe")
    assert h.has_spin_orbit == name.endswith("nc")
    assert h.time_odd is None
    mu = float((DATA / f"{name}.Band").read_text().split()[2]) * HARTREE
    assert h.provenance.results["fermi_energy_eV"] == pytest.approx(mu, abs=1e-9)


def test_the_moment_of_iron_is_that_of_its_states() -> None:
    """OpenMX stores S in ħ; up to the Fermi energy there are 2S more electrons up than down."""
    h = opened("fe_col")
    mesh = np.stack(np.meshgrid(*[np.arange(8) / 8] * 3, indexing="ij"), -1).reshape(-1, 3)
    fermi = h.provenance.results["fermi_energy_eV"]
    below = []
    for sign in (1, -1):
        one_spin = replace(h, scalar=h.scalar + sign * h.exchange, exchange=None)
        energies = BandSolver(one_spin, mesh, "cpu").energies(SpinState())[:, ::2]
        below.append(np.sum(0.5 + 0.5 * np.tanh((fermi - energies) / 0.1)) / len(mesh))
    stored = h.provenance.results["total_moment_muB"]
    assert stored == 2 * raw_file("fe_col").total_spin
    assert below[0] - below[1] == pytest.approx(stored, abs=0.1)


# --- the spin decomposition -------------------------------------------------------------------


def parts(name: str) -> dict[str, Array]:
    """↑↑, ↓↓, ↑↓ of the raw file in eV on our flat order, real and imaginary parts."""
    h, raw = opened(name), raw_file(name)
    order = reordering(h.pairs, h.basis, OPENMX)
    hks = [order(values) * HARTREE for values in raw.hamiltonian]
    assert raw.imaginary is not None
    ihks = [order(values) * HARTREE for values in raw.imaginary]
    return {
        "uu": hks[0] + 1j * ihks[0],
        "dd": hks[1] + 1j * ihks[1],
        "ud": hks[2] + 1j * (hks[3] + ihks[2]),
        "Hks3": hks[3],
        "iHks2": ihks[2],
    }


def meV(values: Array) -> float:
    return 1e3 * float(np.abs(values).max())


def test_without_magnetism_all_that_has_spin_is_antisymmetric() -> None:
    p, t = parts("wse2_nc"), opened("wse2_nc").pairs.transposition
    # H_scalar: the same for both spins, and symmetric
    assert meV(p["uu"].real - p["dd"].real) < 5e-5
    assert meV(p["uu"].real - p["uu"].real[t]) < 1e-4
    # Λ: antisymmetric
    for name, values in {
        "x": p["ud"].imag,
        "y": p["ud"].real,
        "z": (p["uu"].imag - p["dd"].imag) / 2,
    }.items():
        assert meV(values + values[t]) < 2e-5, name
        assert meV(values) == pytest.approx(2905.91, abs=0.01), name
    # nothing is left over: A
    assert meV(p["uu"].imag + p["dd"].imag) < 1e-9
    h = opened("wse2_nc")
    assert h.exchange is None
    assert h.provenance.results["dropped_below_eV"] < 2e-8


def test_a_magnet_splits_by_symmetry_into_exchange_and_spin_orbit() -> None:
    p, h = parts("fe_nc"), opened("fe_nc")
    t = h.pairs.transposition
    assert h.exchange is not None
    assert h.spin_orbit is not None
    # iron magnetised along z: B_x and B_y are what spin-orbit coupling does to the density
    assert meV(h.exchange[0]) == pytest.approx(33.702, abs=0.001)
    assert meV(h.exchange[1]) == pytest.approx(33.702, abs=0.001)
    assert meV(h.exchange[2]) == pytest.approx(1266.576, abs=0.001)
    assert [meV(part) for part in h.spin_orbit] == pytest.approx([506.999] * 3, abs=0.001)
    assert meV(h.exchange[0] - (p["ud"].real + p["ud"].real[t]) / 2) < 1e-9
    assert meV(h.exchange[1] + (p["ud"].imag + p["ud"].imag[t]) / 2) < 1e-9
    assert meV(h.spin_orbit[0] - (p["ud"].imag - p["ud"].imag[t]) / 2) < 1e-9
    assert meV(h.spin_orbit[1] - (p["ud"].real - p["ud"].real[t]) / 2) < 1e-9
    # OpenMX's own separation: Hks3 comes from the density (exchange), iHks2 from j-dependent
    # pseudopotentials (spin-orbit)
    assert meV(h.exchange[1] + p["Hks3"]) < 1e-4
    assert meV(h.spin_orbit[0] - p["iHks2"]) < 1e-4
    # the collinear run has nearly the same exchange
    collinear = opened("fe_col").exchange
    assert collinear is not None
    assert meV(collinear) == pytest.approx(1268.594, abs=0.001)


# where each of our orbitals (p: y, z, x; d: xy, yz, z², xz, x²−y²) stands in OpenMX's shell
IN_FILE = {0: [0], 1: [1, 2, 0], 2: [2, 4, 0, 3, 1]}


def summed(name: str, k: Array) -> NDArray[np.complex128]:
    """Spinor H(k) straight from the file's arrays, (2n, 2n), in our order of orbitals; eV."""
    h, raw = opened(name), raw_file(name)
    assert raw.imaginary is not None
    sizes = raw.n_orbitals
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1])
    result = np.zeros((2, 2, n, n), complex)
    at = pair = 0
    for a in range(len(sizes)):
        for _ in range(raw.n_neighbours[a]):
            b, cell = raw.neighbours[pair], raw.cells[raw.copies[pair]]
            count = sizes[a] * sizes[b]
            part = slice(at, at + count)
            hks = [x[part].reshape(sizes[a], sizes[b]) for x in raw.hamiltonian]
            ihks = [x[part].reshape(sizes[a], sizes[b]) for x in raw.imaginary]
            phase = np.exp(2j * np.pi * (cell @ k)) * HARTREE
            rows = slice(starts[a], starts[a + 1]), slice(starts[b], starts[b + 1])
            result[0, 0][rows] += phase * (hks[0] + 1j * ihks[0])
            result[1, 1][rows] += phase * (hks[1] + 1j * ihks[1])
            result[0, 1][rows] += phase * (hks[2] + 1j * (hks[3] + ihks[2]))
            at, pair = at + count, pair + 1
    assert at == raw.overlap.size
    result[1, 0] = result[0, 1].conj().T
    order: list[int] = []
    for shells in h.basis.shells:
        for shell in shells:
            start = len(order)
            order += [start + place for place in IN_FILE[shell.l]]
    index = np.array(order)
    result = result[:, :, index][..., index]
    return result.transpose(0, 2, 1, 3).reshape(2 * n, 2 * n)


@pytest.mark.parametrize("name", ["wse2_nc", "fe_nc"])
def test_nothing_is_lost_by_the_split(name: str) -> None:
    h = opened(name)
    p = parts(name)
    whole = spinor_parts(
        h.pairs,
        h.basis,
        (p["uu"].real, p["dd"].real, p["ud"].real),
        (p["uu"].imag, p["dd"].imag, p["ud"].imag),
        negligible=0,
    )
    unabridged = replace(
        h,
        scalar=whole.scalar,
        exchange=whole.exchange,
        spin_orbit=whole.spin_orbit,
        time_odd=whole.time_odd,
    )
    for k in RANDOM_K:
        direct = summed(name, k)
        hermitian = (direct + direct.conj().T) / 2
        rebuilt = BlochSum(unabridged, "cpu")(k).spinor()[0].numpy()
        assert np.abs(rebuilt - hermitian).max() < 1e-9
        # and what is opened leaves out no more than the file's rounding
        assert np.abs(BlochSum(h, "cpu")(k).spinor()[0].numpy() - hermitian).max() < 5e-7


# --- what the dial turns ----------------------------------------------------------------------


def norm(h: Hamiltonian, k: Array, first: SpinState, second: SpinState) -> float:
    """Largest |eigenvalue| of H(second) − H(first) between orthonormal orbitals: no band can move
    by more (Weyl); eV.
    """
    matrices = BlochSum(h, "cpu")(k)
    change = (matrices.spinor(second) - matrices.spinor(first))[0].numpy()
    overlap = matrices.spinor_overlap()[0].numpy()
    return float(np.abs(scipy.linalg.eigh(change, overlap, eigvals_only=True)).max())


@pytest.mark.parametrize("name", ["wse2_nc", "fe_nc"])
def test_bands_follow_the_dial_without_a_jump(name: str) -> None:
    h = opened(name)
    k = np.vstack([RANDOM_K[:3], K])
    solver = BandSolver(h, k, "cpu")
    strengths = [solver.energies(SpinState(soc=x)) for x in np.linspace(0, 1, 21)]
    reach = max(norm(h, point, SpinState(soc=0), SpinState(soc=1)) for point in k)
    steps = np.abs(np.diff(strengths, axis=0)).max()
    assert 0.01 < steps <= reach / 20 * (1 + 1e-6)
    assert np.abs(strengths[-1] - strengths[0]).max() > 0.1
    angles = [solver.energies(SpinState(theta=x)) for x in np.linspace(0, 90, 21)]
    turned = np.abs(np.diff(angles, axis=0)).max()
    if name == "wse2_nc":
        assert turned < 1e-9  # nothing is magnetised
        return
    field = max(
        norm(h, point, SpinState(soc=0, exchange=0), SpinState(soc=0, exchange=1)) for point in k
    )
    assert 1e-4 < turned <= np.radians(4.5) * field


def test_kramers_pairs() -> None:
    h = opened("wse2_nc")
    off = scipy.linalg.eigh(
        *(
            m[0].numpy()
            for m in (
                BlochSum(h, "cpu")(RANDOM_K[0]).spinor(SpinState(soc=0)),
                BlochSum(h, "cpu")(RANDOM_K[0]).spinor_overlap(),
            )
        ),
        eigvals_only=True,
    )
    assert np.abs(off[::2] - off[1::2]).max() < 1e-9
    invariant = BandSolver(h, [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]], "cpu").energies(SpinState())
    assert np.abs(invariant[:, ::2] - invariant[:, 1::2]).max() < 1e-6
    there, back = (BandSolver(h, s * RANDOM_K, "cpu").energies(SpinState()) for s in (1, -1))
    assert np.abs(there - back).max() < 1e-6
    assert np.abs(there[:, ::2] - there[:, 1::2]).max() > 0.1  # no inversion: pairs part


def test_wse2_second_valence_band_is_mixed_in_second_order() -> None:
    """An independent code's word on ⟨σz⟩ of WSe2's valence bands at K (docs/valleys.md)."""
    h = opened("wse2_nc")
    mixed = {}
    for soc in (1.0, 0.5, 0.25):
        texture = spin_texture(h, K[None], SpinState(soc=soc))
        sz = np.abs(texture.spin[0, :, 2])
        top, second = int(h.n_electrons) - 1, int(h.n_electrons) - 2
        mixed[soc] = 1 - sz[second]
        assert sz[top] > 0.9999
    assert mixed[1.0] == pytest.approx(0.0472, abs=1e-4)
    assert mixed[0.5] == pytest.approx(0.0101, abs=1e-4)
    assert mixed[0.25] == pytest.approx(0.0023, abs=1e-4)
    assert mixed[0.5] / mixed[0.25] == pytest.approx(4, rel=0.1)


# --- position elements ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wse2_nc", "fe_nc"])
def test_position_elements_have_the_first_sites_origin(name: str) -> None:
    """Only that origin makes them symmetric between a pair's sites."""
    h, raw = opened(name), raw_file(name)
    t = h.pairs.transposition
    order = reordering(h.pairs, h.basis, OPENMX)
    sites = h.structure.cart_coords
    bond = sites[h.pairs.second] + h.pairs.cell @ h.structure.lattice.matrix - sites[h.pairs.first]
    assert h.position is not None
    for a in range(3):
        moment = order(raw.position[a]) * BOHR
        half = h.overlap * np.repeat(bond[:, a] / 2, np.diff(h.pairs.offsets))
        centred = moment - half
        assert np.abs(centred - centred[t]).max() < 2e-5
        assert np.abs(centred - h.position[a]).max() < 1e-5
        for other in (moment, moment + half):  # origins in the middle, or on the second site
            assert np.abs(other - other[t]).max() > 0.1


def test_on_site_dipoles_follow_the_selection_rules() -> None:
    h = opened("wse2_nc")
    assert h.position is not None
    se, w = h.basis.site_labels.index("Se1"), h.basis.site_labels.index("W1")
    block = h.pairs.block(h.position, h.pairs.index(se, se))
    # s is joined with p_a alone by r_a; all three by the same integral (p: y, z, x)
    dipoles = [block[a, 0, 1 + m] for a, m in ((0, 2), (1, 0), (2, 1))]
    assert dipoles == pytest.approx([0.588] * 3, abs=1e-3)
    rest = block.copy()
    for a, m in ((0, 2), (1, 0), (2, 1)):
        rest[a, 0, 1 + m] = rest[a, 1 + m, 0] = 0
    assert np.abs(rest).max() < 1e-5
    # tungsten's s p p d: no dipole where l differs by other than one
    l = np.repeat([s.l for s in h.basis.shells[w]], [2 * s.l + 1 for s in h.basis.shells[w]])  # noqa: E741
    block = h.pairs.block(h.position, h.pairs.index(w, w))
    allowed = np.abs(l[:, None] - l[None, :]) == 1
    assert np.abs(block[:, ~allowed]).max() < 1e-5
    assert 0.05 < np.abs(block[:, allowed]).max() < 1.0


# --- files ------------------------------------------------------------------------------------


def same(h: Hamiltonian, other: Hamiltonian) -> bool:
    return all(np.array_equal(h.component(c), other.component(c)) for c in h.components)


def test_packed_files_open_alike(tmp_path: Path) -> None:
    data, reference = content("fe_nc"), opened("fe_nc")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/fe.scfout", data)
        archive.writestr("run/fe.out", "text")
        archive.writestr("run/.DS_Store", "x")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, stored in {
        "fe.scfout": data,
        "no_suffix": data,
        "fe.scfout.xz": lzma.compress(data),
        "fe.scfout.gz": gzip.compress(data),
        "fe.zip": buffer.getvalue(),
        "folder/fe.scfout": data,
    }.items():
        path = tmp_path / name
        path.write_bytes(stored)
        assert same(read_hamiltonian(path), reference), name
        assert same(read_bundle(bundle_of_bytes({Path(name).name: stored})), reference), name
    (folder / "readme.txt").write_text("nothing")
    assert same(read_hamiltonian(folder), reference)
    h = read_hamiltonian(tmp_path / "fe.scfout.gz")
    plain = read_hamiltonian(tmp_path / "fe.scfout")
    hashes = [next(iter(x.provenance.settings["files"].values())) for x in (h, plain)]
    assert hashes[0] == hashes[1]


def complaint(data: bytes) -> str:
    with pytest.raises(HamexplorerError) as caught:
        read_bundle(bundle_of_bytes({"bad.scfout": data}))
    assert "bad.scfout" in str(caught.value)
    return str(caught.value)


def with_integer(data: bytes, place: int, value: int) -> bytes:
    return data[: 4 * place] + struct.pack("<i", value) + data[4 * place + 4 :]


def test_other_versions_and_byte_orders_are_named() -> None:
    data = content("fe_nc")
    assert "format version 2" in complaint(with_integer(data, 1, 3 + 4 * 2))
    assert "format version 0" in complaint(with_integer(data, 1, 3))
    assert "4096 bytes after its end" in complaint(data + bytes(4096))
    swapped = np.frombuffer(data[:28], "<i4").byteswap().tobytes() + data[28:]
    assert "no Hamiltonian of a known format" in complaint(swapped)


@pytest.mark.parametrize("value", [-1, 0, 7, 255, 65_536, 2**30, 2**31 - 1, -(2**31)])
def test_wild_counts_in_the_header(value: int) -> None:
    data = content("fe_nc")
    n_cells = struct.unpack_from("<i", data, 20)[0] + 1
    fnan = (28 + 48 * n_cells) // 4 + 1  # after the orbitals per atom
    assert struct.unpack_from("<i", data, 4 * fnan)[0] == raw_file("fe_nc").n_neighbours[0] - 1
    for place in (0, 1, 5, 6, fnan - 1, fnan, fnan + 1):
        if struct.unpack_from("<i", data, 4 * place)[0] != value:
            complaint(with_integer(data, place, value))


def test_numbers_that_are_none_are_found() -> None:
    data, raw = content("fe_nc"), raw_file("fe_nc")
    start = data.index(raw.hamiltonian[0, :4].tobytes())
    overlap = data.index(raw.overlap[:4].tobytes())
    for at in (start + 800, overlap + 80):
        for bad in (np.nan, np.inf, -np.inf):
            broken = data[:at] + struct.pack("<d", bad) + data[at + 8 :]
            assert "not finite" in complaint(broken)
    flipped = data[: start + 800] + struct.pack("<d", 3.5) + data[start + 808 :]
    message = complaint(flipped)
    assert "not Hermitian" in message
    assert "Fe1–Fe1" in message


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_errors_of_ours(name: str) -> None:
    """Or, where nothing that is read was touched, the same Hamiltonian."""
    reference = opened(name)
    messages = []
    for what, damaged in damaged_variants(content(name), seed=11, count=40):
        tracemalloc.start()
        began = time.perf_counter()
        try:
            h = read_bundle(bundle_of_bytes({"bad.scfout": damaged}))
        except HamexplorerError as error:
            messages.append(str(error))
        else:
            for component in reference.components:
                change = np.abs(h.component(component) - reference.component(component)).max()
                assert change < 1e-4, what
            assert np.allclose(h.structure.cart_coords, reference.structure.cart_coords), what
            assert h.n_electrons == reference.n_electrons, what
        seconds = time.perf_counter() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds < 2, what
        assert peak < 1e9, what
    assert len(messages) >= 24
    assert all("bad.scfout" in message for message in messages)


def test_an_empty_atom_or_another_basis_is_named() -> None:
    data = content("fe_nc")
    for old, new, cause in (
        (b"Fe6.0S-s1p1d1", b"E_6.0S-s1p1d1", "empty atoms"),
        (b"Fe6.0S-s1p1d1", b"Fe6.0S-s1p2d1", "orbitals in the matrices"),
        (b"Atoms.SpeciesAndCoordinates>", b"Atoms.SpeciesAndCoordinates ", "no complete block"),
    ):
        if data.count(old) == 0:
            pytest.fail(f"the fixture's input has no {old!r}")
        assert cause in complaint(data.replace(old, new))


def test_several_files_in_a_folder_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("a.scfout", "b.scfout"):
        (tmp_path / name).write_bytes(content("fe_col"))
    with pytest.raises(FileFormatError, match=r"2 Hamiltonians \(a\.scfout, b\.scfout\)"):
        read_hamiltonian(tmp_path)
    assert same(read_hamiltonian(tmp_path / "a.scfout"), opened("fe_col"))
