"""Wannier90's files: real ones against Wannier90's own bands, and models with known answers."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import models
import numpy as np
import pytest
from damage import damaged_variants
from pymatgen.core import Lattice, Structure
from wannier_files import DATA, bands, hr, real_path, tb, text_of, their_bands, win, wsvec

from hamexplorer.app.viewer.scene import crystal_scene
from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats import Bundle, ReadOptions, bundle_of_bytes, read_bundle, read_hamiltonian
from hamexplorer.formats.registry import recognised
from hamexplorer.formats.wannier90 import reader
from hamexplorer.formats.wannier90.companions import read_model
from hamexplorer.formats.wannier90.projections import parse_projections
from hamexplorer.formats.wannier90.spins import flip_part
from hamexplorer.formats.wannier90.win import BOHR, parse_win
from hamexplorer.hamiltonian import Hamiltonian, SpinState, load_hamiltonian, save_hamiltonian
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.properties.moments import site_moments
from hamexplorer.structures.kpath import standard_path

CUBE = np.eye(3) * 3.0
HOME, NEXT, BACK = (0, 0, 0), (1, 0, 0), (-1, 0, 0)
K = np.random.default_rng(4).random((6, 3))
CHAIN = {HOME: 0.3, NEXT: -1.0, BACK: -1.0}
FOUR = ReadOptions(n_electrons=4)


def read(
    options: ReadOptions | None = None, chosen: str | None = None, **files: str
) -> Hamiltonian:
    """Of files by name (``__`` for a dot); ``chosen`` as a user picks one of a folder."""
    return read_bundle(given(chosen, **files), options or ReadOptions(n_electrons=0.0))


def given(chosen: str | None = None, **files: str) -> Bundle:
    members = {name.replace("__", "."): text.encode() for name, text in files.items()}
    bundle = bundle_of_bytes(members)
    if chosen is None:
        return bundle
    return Bundle(chosen, bundle.members, bundle.named(chosen))


def warned(h: Hamiltonian) -> str:
    return "\n".join(h.provenance.warnings)


# --- the program's own files --------------------------------------------------------------------

# eV: _hr.dat has six decimals, and _band.dat eight digits. GaAs's noise in what time reversal
# forbids (1.5e-6 eV in single elements) is left out, which doubles its rounding.
REAL = [
    ("si", "si", "hr", 1e-5),
    ("si", "si", "tb", 1e-6),
    ("gaas_mlwf", "gaas", "hr", 1e-5),
    ("gaas_mlwf", "gaas", "tb", 1e-6),
    ("gaas_proj", "gaas_proj", "hr", 4e-5),
    ("ni", "ni", "hr", 2e-5),
]


@pytest.mark.parametrize(("folder", "seed", "kind", "tolerance"), REAL)
def test_bands_are_those_that_wannier90_interpolates(folder, seed, kind, tolerance):
    h = read_hamiltonian(real_path(folder, f"{seed}_{kind}.dat"), FOUR)
    k, energies = their_bands(folder, seed)
    ours = bands(h, k)
    if not h.has_spin_orbit:
        np.testing.assert_allclose(ours[:, ::2], ours[:, 1::2], atol=1e-12)
        ours = ours[:, ::2]
    assert ours.shape == energies.shape
    assert np.abs(ours - energies).max() < tolerance
    assert h.provenance.settings["use_ws_distance"] is True


def test_nothing_but_noise_is_left_out_of_gaas(monkeypatch):
    monkeypatch.setattr(reader, "_ROUNDING", {"hr": 0.0, "tb": 0.0})
    monkeypatch.setattr(reader, "_TIME_ODD_NOISE", -1.0)
    h = read_hamiltonian(real_path("gaas_proj", "gaas_proj_hr.dat"), FOUR)
    k, energies = their_bands("gaas_proj", "gaas_proj")
    assert np.abs(bands(h, k) - energies).max() < 1.7e-5
    assert 0 < np.abs(h.exchange).max() < 2e-6


def test_energies_on_the_mesh_are_the_calculations():
    """Silicon's frozen window: below 6.4 eV the functions span the DFT states exactly."""
    h = read_hamiltonian(real_path("si", "si_tb.dat"), FOUR)
    lines = text_of(DATA / "si" / "si.win").split("begin kpoints\n")[1].split("\nend")[0]
    k = np.array([line.split() for line in lines.split("\n")], dtype=float)
    levels = np.array(
        [line.split()[2] for line in text_of(DATA / "si" / "si.eig").split("\n") if line]
    )
    dft = levels.astype(float).reshape(len(k), -1)
    ours = bands(h, k)[:, ::2]
    inside = dft[:, :8] < 6.3
    assert inside[:, :4].mean() > 0.9
    assert np.abs(ours - dft[:, :8])[inside].max() < 1e-5


def test_without_the_images_of_wsvec_bands_are_others_and_it_is_said():
    """As with use_ws_distance = .false.: an eV away at this coarse mesh, exact at Γ."""
    text = text_of(DATA / "si" / "si_hr.dat")
    h = read(FOUR, si_hr__dat=text, si__win=text_of(DATA / "si" / "si.win"))
    k, energies = their_bands("si", "si")
    assert np.abs(bands(h, k)[:, ::2] - energies).max() > 1.0
    gamma = int(np.flatnonzero(~k.any(axis=1))[0])
    np.testing.assert_allclose(bands(h, k[[gamma]])[0, ::2], energies[gamma], atol=1e-5)
    assert h.provenance.settings["use_ws_distance"] is False
    assert "no _wsvec.dat" in h.provenance.settings["without_wsvec"]
    assert "There is no si_wsvec.dat beside si_hr.dat" in warned(h)
    home = "use_ws_distance = .false.\n" + text_of(DATA / "si" / "si.win")
    assert "wsvec" not in warned(read(FOUR, si_hr__dat=text, si__win=home))


def test_files_of_other_programs_need_no_wsvec():
    home = win(np.diag([3.0, 9, 9]))
    assert "wsvec" not in warned(read(a_hr__dat=hr(CHAIN), a__win=home))
    theirs = hr(CHAIN, comment=" written on  1Jan2026 at 10:00:00")
    assert "There is no a_wsvec.dat" in warned(read(a_hr__dat=theirs, a__win=home))
    alone = hr({HOME: 0.3}, comment=" written on  1Jan2026 at 10:00:00")
    assert "wsvec" not in warned(read(a_hr__dat=alone, a__win=home))


@pytest.mark.parametrize(
    ("folder", "seed"), [("gaas_proj", "gaas_proj"), ("gaas_mlwf", "gaas"), ("ni", "ni")]
)
def test_matrices_tell_the_order_of_spinors(folder, seed):
    """Against ⟨σ_z⟩ of every function, from Quantum ESPRESSO's spin matrices."""
    path = real_path(folder, f"{seed}_hr.dat")
    h = read_hamiltonian(path, FOUR)
    assert h.provenance.settings["spin_order"] == "interleaved"
    assert "the matrices" in h.provenance.settings["spin_order_told_by"]
    sigma = np.loadtxt(DATA / folder / f"{seed}_spin.dat")[:, 2]
    assert (sigma[::2] > 0.99).all()
    assert (sigma[1::2] < -0.99).all()


def test_spinors_of_halves_are_found_out_and_give_the_same_hamiltonian():
    text, order = text_of(DATA / "gaas_proj" / "gaas_proj_hr.dat").split("\n"), {}
    for m in range(16):
        order[m + 1] = m // 2 + 1 + 8 * (m % 2)
    lines = text[:6]
    for line in text[6:]:
        if line:
            m, n = int(line[15:20]), int(line[20:25])
            lines.append(f"{line[:15]}{order[m]:5d}{order[n]:5d}{line[25:]}")
    home = text_of(DATA / "gaas_proj" / "gaas_proj.win")
    inter = read(FOUR, a_hr__dat="\n".join(text), a__win=home)
    halves = read(FOUR, a_hr__dat="\n".join(lines), a__win=home)
    assert halves.provenance.settings["spin_order"] == "block"
    assert "although the projections are listed as interleaved" in warned(halves)
    assert halves.basis.labels == inter.basis.labels
    for name in inter.components:
        np.testing.assert_array_equal(halves.component(name), inter.component(name))


def test_a_wrong_order_of_spinors_keeps_energies_and_raises_doubt():
    h = read_hamiltonian(real_path("gaas_proj", "gaas_proj_hr.dat"), FOUR)
    options = ReadOptions(n_electrons=4, spin_order="block")
    wrong = read_hamiltonian(real_path("gaas_proj", "gaas_proj_hr.dat"), options)
    assert wrong.provenance.settings["spin_order_told_by"] == "the given spin order"
    np.testing.assert_allclose(bands(wrong, K), bands(h, K), atol=5e-5)
    assert np.abs(bands(wrong, K, SpinState(soc=0)) - bands(h, K, SpinState(soc=0))).max() > 0.1


def test_gaas_has_the_shells_spin_orbit_coupling_and_symmetry_of_its_atoms():
    h = read_hamiltonian(real_path("gaas_proj", "gaas_proj_hr.dat"), FOUR)
    assert h.basis.labels[:4] == ("Ga1 s", "Ga1 p y", "Ga1 p z", "Ga1 p x")
    assert h.provenance.settings["shells_from"] == "projections"
    assert h.is_time_reversal_symmetric()
    assert not h.provenance.warnings
    # Λ_a = (ξ/2) L_P[a] on the p shells; ⟨p_x↑|H|p_y↑⟩ is −0.053i (Ga), −0.105i (As)
    for site, half in ((0, 0.053), (1, 0.105)):
        coupling = np.stack([h.block(f"L{a}", site, site, rows="p", columns="p") for a in "xyz"])
        np.testing.assert_allclose(coupling, half * models.L_P, atol=2e-3)
    # at Γ the sixfold valence top splits with λ by Δ_so
    gamma = np.zeros((1, 3))
    without, with_coupling = (bands(h, gamma, SpinState(soc=s))[0] for s in (0.0, 1.0))
    assert np.ptp(without[2:8]) < 2e-4
    assert with_coupling[4] - with_coupling[3] == pytest.approx(0.36, abs=0.06)


def test_functions_that_are_no_partners_are_told():
    """GaAs's maximally localised functions: up and down were localised apart."""
    h = read_hamiltonian(real_path("gaas_mlwf", "gaas_tb.dat"), FOUR)
    assert "they are no partners" in warned(h)
    assert "not taken for those orbitals" in warned(h)
    assert "are left out; the real, spin-independent part is kept" in warned(h)
    assert h.basis.shells[1][-1].l == 1  # arsenic's p stayed


def test_iron_is_one_hamiltonian_of_two_files():
    h = read_hamiltonian(real_path("fe", "fe_up_hr.dat"), ReadOptions(n_electrons=8))
    k, up = their_bands("fe", "fe_up")
    _, down = their_bands("fe", "fe_down")
    both = np.sort(np.concatenate([up, down], axis=1), axis=1)
    assert np.abs(bands(h, k) - both).max() < 3e-5
    assert [s.label for s in h.basis.shells[0]] == ["s", "p", "d"]
    assert h.exchange.ndim == 1
    # majority spin is up: B < 0 on the d shell, by half of the exchange splitting
    field = h.block("B", 0, 0, rows="d", columns="d").diagonal()
    assert (field < -0.8).all()
    assert (field > -1.8).all()
    moment = site_moments(h, SpinState(soc=1.0), mesh=(6, 6, 6), smearing=0.1).spin[0]
    assert moment[2] == pytest.approx(2.2, abs=0.25)
    assert moment[:2] == pytest.approx([0, 0], abs=1e-6)
    # complex functions leave a part in Λ_z, which is none
    assert "is no spin–orbit coupling" in warned(h)


def test_the_other_file_and_the_folder_give_the_same_iron():
    one = read_hamiltonian(real_path("fe", "fe_up_hr.dat"), FOUR)
    for path in (real_path("fe", "fe_down_hr.dat"), DATA / "fe"):
        other = read_hamiltonian(path, FOUR)
        for name in one.components:
            np.testing.assert_array_equal(other.component(name), one.component(name))


def test_half_of_iron_alone_is_read_with_a_warning():
    files = {
        f"fe_up{end}": text_of(DATA / "fe" / f"fe_up{end}").encode()
        for end in ("_hr.dat", ".win", "_wsvec.dat", "_centres.xyz")
    }
    h = read_bundle(bundle_of_bytes(files), FOUR)
    assert "one spin of two" in warned(h)
    k, up = their_bands("fe", "fe_up")
    assert np.abs(bands(h, k)[:, ::2] - up).max() < 3e-5


def test_nickel_is_magnetic_with_spin_orbit():
    h = read_hamiltonian(real_path("ni", "ni_hr.dat"), ReadOptions(n_electrons=10))
    field = h.block("Bz", 0, 0, rows="d", columns="d").diagonal()
    assert (np.abs(field) > 0.2).all()
    coupling = h.block("Lz", 0, 0, rows="d", columns="d")
    labels = h.basis.local_labels(0)[4:]
    place = {label: index for index, label in enumerate(labels)}
    # ⟨d_xz↑|H|d_yz↑⟩ = iΛ_z is −0.046i eV
    assert coupling[place["d xz"], place["d yz"]] == pytest.approx(-0.046, abs=2e-3)


def test_position_elements_of_silicon():
    """Diagonal ones are the centres; others shrink with distance and obey X[R] = X[−R]ᵀ."""
    h = read_hamiltonian(real_path("si", "si_tb.dat"), FOUR)
    rows = [line.split() for line in text_of(DATA / "si" / "si_centres.xyz").split("\n")[2:]]
    centres = np.array([row[1:] for row in rows if row and row[0] == "X"], dtype=float)
    own = np.stack(
        [
            np.diagonal(h.pairs.block(h.position, h.pairs.index(i, i)), axis1=1, axis2=2)
            for i in (0, 1)
        ]
    )
    sites = h.structure.cart_coords
    ours = (sites[:, None] + own.swapaxes(1, 2)).reshape(8, 3)
    # four hybrids at each atom in the file's order; images of the same function count as one
    offset = h.structure.lattice.get_fractional_coords(ours - centres)
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
    size = np.array([np.abs(h.pairs.block(h.position, p)).max() for p in range(h.pairs.n_pairs)])
    assert size[h.distances > 5].max() < 0.1 * size[h.distances < 3].max()


def test_hr_with_centres_has_the_diagonal_of_tb():
    one = read_hamiltonian(real_path("si", "si_tb.dat"), FOUR)
    two = read_hamiltonian(real_path("si", "si_hr.dat"), FOUR)
    for i in (0, 1):
        x, y = (
            np.diagonal(h.pairs.block(h.position, h.pairs.index(i, i)), axis1=1, axis2=2)
            for h in (one, two)
        )
        np.testing.assert_allclose(y, x, atol=1e-6)
    assert "diagonal elements alone" in two.provenance.results["position_from"]


def test_electrons_from_the_fermi_energy_of_the_input():
    home = text_of(DATA / "si" / "si.win") + "\nfermi_energy : 6.2\n"
    files = {"si_hr.dat": text_of(DATA / "si" / "si_hr.dat"), "si.win": home}
    files["si_wsvec.dat"] = text_of(DATA / "si" / "si_wsvec.dat")
    h = read_bundle(bundle_of_bytes({n: t.encode() for n, t in files.items()}))
    assert h.n_electrons == 8
    assert h.provenance.results["fermi_energy_eV"] == 6.2
    assert set(h.provenance.settings["files"]) == set(files)


# --- what counts where --------------------------------------------------------------------------


def test_degeneracies_divide():
    """A chain of four cells: R = ±2 are one bond, each counted half."""
    far, back = (2, 0, 0), (-2, 0, 0)
    matrices = {back: 0.4, BACK: -1.0, HOME: 0.3, NEXT: -1.0, far: 0.4}
    h = read(a_hr__dat=hr(matrices, [2, 1, 1, 1, 2]), a__win=win(CUBE, [("H", HOME)]))
    angle = 2 * np.pi * K[:, 0]
    expected = 0.3 - 2 * np.cos(angle) + 0.4 * np.cos(2 * angle)
    np.testing.assert_allclose(bands(h, K)[:, 0], expected, atol=1e-12)


def test_images_share_an_element():
    """⟨01|H|R2⟩ at R = 0 belongs to R = 0 and R = −a₁, half each."""
    block = np.array([[0.0, 0.8], [0.8, 0.0]])
    shifts = {(*HOME, 1, 2): [HOME, BACK], (*HOME, 2, 1): [HOME, NEXT]}
    h = read(
        a_hr__dat=hr({HOME: block}),
        a_wsvec__dat=wsvec(shifts, [HOME], 2),
        a__win=win(CUBE, [("H", HOME), ("H", (0.5, 0, 0))], ["H:s"]),
    )
    expected = 0.8 * np.abs(np.cos(np.pi * K[:, 0]))
    np.testing.assert_allclose(bands(h, K)[:, 2], expected, atol=1e-12)
    assert h.provenance.settings["use_ws_distance"] is True


def test_a_function_in_another_cell_comes_home():
    """A function listed by its translate is the same Hamiltonian, positions included."""
    rng = np.random.default_rng(7)
    h0, x0 = rng.normal(size=(2, 2)), rng.normal(size=(3, 2, 2)) * 0.1
    h1, x1 = rng.normal(size=(2, 2)), rng.normal(size=(3, 2, 2)) * 0.1
    matrices = {HOME: h0 + h0.T, NEXT: h1, BACK: h1.T}
    sites = np.array([[0.0, 0, 0], [1.5, 0, 0]])
    at_home = x0 + x0.swapaxes(1, 2) + np.stack([np.diag(sites[:, a]) for a in range(3)])
    positions = {HOME: at_home, NEXT: x1, BACK: x1.swapaxes(1, 2)}
    atoms = win(CUBE, [("H", HOME), ("He", (0.5, 0, 0))])
    plain = read(a_tb__dat=tb(CUBE, matrices, positions), a__win=atoms)
    # function 2 is now |2, t⟩: ⟨01|M|R2'⟩ = ⟨01|M|(R + t) 2⟩
    t = np.array([-2, 1, 0])
    moved, moved_r = {}, {}
    cells = [np.array(c) for c in matrices]
    for cell in {tuple(int(x) for x in c + s * t) for c in cells for s in (-1, 0, 1)}:
        block, place = np.zeros((2, 2)), np.zeros((3, 2, 2))
        for m, n in itertools.product((0, 1), repeat=2):
            origin = tuple(int(x) for x in np.array(cell) + (n - m) * t)
            if origin in matrices:
                block[m, n] = np.asarray(matrices[origin])[m, n]
                place[:, m, n] = positions[origin][:, m, n]
                if m == n == 1 and cell == HOME:
                    place[:, 1, 1] += t @ CUBE
        moved[cell], moved_r[cell] = block, place
    shifted = read(a_tb__dat=tb(CUBE, moved, moved_r), a__win=atoms)
    np.testing.assert_allclose(bands(shifted, K), bands(plain, K), atol=1e-12)
    for i, j, cell in ((0, 0, NEXT), (0, 1, HOME), (1, 0, NEXT), (1, 1, HOME), (1, 1, BACK)):
        np.testing.assert_allclose(shifted.block("H", i, j, cell), plain.block("H", i, j, cell))
        a, b = (h.pairs.block(h.position, h.pairs.index(i, j, cell)) for h in (shifted, plain))
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_complex_matrices_keep_their_time_odd_part():
    """Haldane's bands from a file."""
    h = models.haldane(t2=0.2, phi=0.9, stagger=0.3)
    flat = h.scalar + 1j * h.time_odd
    cells = {tuple(c) for c in h.pairs.cell.tolist()}
    matrices = {c: np.zeros((2, 2), dtype=complex) for c in sorted(cells)}
    for p in range(h.pairs.n_pairs):
        i, j = h.pairs.first[p], h.pairs.second[p]
        matrices[tuple(h.pairs.cell[p].tolist())][i, j] = h.pairs.block(flat, p)[0, 0]
    atoms = [("C", s.frac_coords.tolist()) for s in h.structure]
    back = read(g_hr__dat=hr(matrices), g__win=win(h.structure.lattice.matrix, atoms, ["C:pz"]))
    k = K * [1, 1, 0]
    expected = models.haldane_bands(k, -2.7, 0.2, 0.9, 0.3)
    np.testing.assert_allclose(bands(back, k)[:, ::2], expected, atol=1e-12)
    assert not back.is_time_reversal_symmetric()
    assert back.basis.labels == ("C1 w1(pz)", "C2 w2(pz)")


def test_rounding_is_averaged_and_told():
    broken = {**CHAIN, BACK: -1.0 + 4e-6}
    h = read(a_hr__dat=hr(broken), a__win=win(CUBE, [("H", HOME)]))
    assert h.provenance.results["hermiticity_defect_eV"] == pytest.approx(4e-6)
    assert "break hermiticity by up to 0.004 meV" in warned(h)
    with pytest.raises(FileFormatError, match=r"not Hermitian.*H1–H1, R = \((1|-1), 0, 0\)"):
        read(a_hr__dat=hr({**CHAIN, BACK: -1.1}), a__win=win(CUBE, [("H", HOME)]))


# --- crystal, sites and shells ------------------------------------------------------------------


def test_shells_of_projections_in_our_order():
    """H diagonal with known levels: each stands at the orbital that Wannier90 lists there."""
    names = ["s", "pz", "px", "py", "z²", "xz", "yz", "x²−y²", "xy"]
    f = ["z³", "xz²", "yz²", "z(x²−y²)", "xyz", "x(x²−3y²)", "y(3x²−y²)"]
    levels = np.arange(16.0)
    h = read(
        a_hr__dat=hr({HOME: np.diag(levels)}),
        a__win=win(CUBE, [("Fe1", HOME)], ["Fe1 : d;s;p", "f=0,0,0:l=3"]),
    )
    found = dict(zip(h.basis.labels, np.diag(h.block("H", 0, 0)), strict=True))
    # within a line Wannier90 lists l = 0, 1, 2 whatever the line says
    assert found["Fe1 s"] == 0
    expected = {f"Fe1 p {n[1]}": levels[k] for k, n in enumerate(names) if n[0] == "p"}
    expected |= {f"Fe1 d {n}": levels[k] for k, n in enumerate(names) if k > 3}
    expected |= {f"Fe1 f {n}": levels[9 + k] for k, n in enumerate(f)}
    assert {label: found[label] for label in expected} == expected


# as wannier90.x -pp of version 3.1 lists them in .nnkp: centre, l, mr, spin
LISTED = [
    (["Mo1: d;s", "S : p"], False,
     [(0, 0, 1, 0)] + [(0, 2, mr, 0) for mr in range(1, 6)]
     + [(x, 1, mr, 0) for x in (0.25, 0.75) for mr in (1, 2, 3)]),
    (["S:s", "c=1.,0.,0.:pz"], True,
     [(x, 0, 1, s) for x in (0.25, 0.75) for s in (1, -1)]
     + [(0.37795, 1, 1, s) for s in (1, -1)]),
    (["Mo1:dxy;s(u)", "Mo2:sp(d)"], True,
     [(0, 0, 1, 1), (0, 2, 5, 1), (0.5, -1, 1, -1), (0.5, -1, 2, -1)]),
    (["f=0.1,0.2,0.3:sp3-3,sp3-1;pz;px"], False,
     [(0.1, -3, 1, 0), (0.1, -3, 3, 0), (0.1, 1, 1, 0), (0.1, 1, 2, 0)]),
    (["Mo1:l=1,mr=3,1"], False, [(0, 1, 1, 0), (0, 1, 3, 0)]),
    (["bohr", "c=2.5,0,0 : s ! a remark"], False, [(0.5, 0, 1, 0)]),
]  # fmt: skip
SITES = {
    "mo1": [[0, 0, 0]],
    "mo2": [[0.5, 0.5, 0.5]],
    "s": [[0.25, 0.25, 0.25], [0.75, 0.25, 0.25]],
}


@pytest.mark.parametrize(("lines", "spinors", "expected"), LISTED)
def test_projections_are_listed_as_wannier90_lists_them(lines, spinors, expected):
    lattice = np.eye(3) * 5 * BOHR
    found = parse_projections(lines, SITES, lattice, BOHR, spinors=spinors)
    assert [(p.l, p.mr, p.spin) for p in found] == [e[1:] for e in expected]
    np.testing.assert_allclose([p.centre[0] for p in found], [e[0] for e in expected], atol=1e-4)


@pytest.mark.parametrize(
    "line", ["random", "Fe:s", "Mo1:pq", "f=0,0:s", "Mo1:l=2,mr=6", "Mo1", "q=0,0,0:s"]
)
def test_projections_that_are_not_understood_tell_nothing(line):
    assert parse_projections([line], SITES, CUBE, BOHR, spinors=False) is None


def test_projections_of_turned_axes_and_parts_of_shells_are_functions_of_their_own():
    lines = ["H:p:z=1,0,0:x=0,1,0", "H:dz2;dxy", "H:s"]
    h = read(a_hr__dat=hr({HOME: np.diag(range(6))}), a__win=win(CUBE, [("H", HOME)], lines))
    labels = [f"H1 {x}" for x in ("w1(pz)", "w2(px)", "w3(py)", "w4(dz2)", "w5(dxy)", "s")]
    assert h.basis.labels == tuple(labels)
    assert "5 of 6 functions are of no known angular momentum" in warned(h)


def test_a_function_far_from_its_projection_is_not_that_orbital():
    positions = {HOME: np.stack([np.diag([0.9]), *np.zeros((2, 1, 1))])}
    h = read(a_tb__dat=tb(CUBE, {HOME: 1.0}, positions), a__win=win(CUBE, [("H", HOME)], ["H:s"]))
    assert h.basis.labels == ("H1 w1",)
    assert "0.90 Å from" in warned(h)
    assert h.position[:, 0] == pytest.approx([0.9, 0, 0])


def test_atoms_without_functions_are_left_out_and_named():
    atoms = [("S", (0.3, 0.3, 0.5)), ("Mo", HOME)]
    h = read(a_hr__dat=hr(CHAIN), a__win=win(CUBE, atoms, ["Mo:s"]))
    assert [s.specie.symbol for s in h.structure] == ["Mo"]
    assert "1 atoms bear no Wannier function" in warned(h)
    assert h.provenance.settings["atoms_without_functions"] == ["S at [0.3, 0.3, 0.5]"]


def test_without_atoms_functions_are_sites_of_their_own(tmp_path):
    """tb.dat alone: graphene; k-path, viewer and our file take sites X."""
    plain = models.graphene()
    lattice, sites = plain.structure.lattice.matrix, plain.structure.cart_coords
    matrices = {HOME: np.zeros((2, 2))}
    for cell in (HOME, (-1, 0, 0), (0, 1, 0)):
        back = tuple(-c for c in cell)
        matrices.setdefault(cell, np.zeros((2, 2)))[0, 1] = -2.7
        matrices.setdefault(back, np.zeros((2, 2)))[1, 0] = -2.7
    positions = {c: np.zeros((3, 2, 2)) for c in matrices}
    positions[HOME] = np.stack([np.diag(sites[:, a]) for a in range(3)])
    h = read(a_tb__dat=tb(lattice, matrices, positions))
    assert [s.specie.symbol for s in h.structure] == ["X", "X"]
    np.testing.assert_allclose(h.structure.frac_coords, plain.structure.frac_coords, atol=1e-9)
    k = K * [1, 1, 0]
    np.testing.assert_allclose(bands(h, k), bands(plain, k), atol=1e-12)
    assert {"Γ", "M", "K"} <= {label for _, label in standard_path(h.structure).ticks}
    assert "2 X in the cell" in crystal_scene(h.structure)["description"]
    save_hamiltonian(h, tmp_path / "x.h5")
    again = load_hamiltonian(tmp_path / "x.h5")
    assert again.basis == h.basis
    assert again.structure == h.structure


def test_where_the_cell_comes_from():
    poscar = "chain\n1.0\n3 0 0\n0 3 0\n0 0 3\nH\n1\nDirect\n0 0 0\n"
    with pytest.raises(FileFormatError, match=r"tells no cell\. Put a\.win .*POSCAR.*--structure"):
        read(a_hr__dat=hr(CHAIN))
    beside = read(a_hr__dat=hr(CHAIN), POSCAR=poscar)
    assert beside.structure.composition.reduced_formula == "H2"
    assert beside.provenance.settings["atoms_from"] == "POSCAR"
    assert "POSCAR" in beside.provenance.settings["files"]
    crystal = Structure(Lattice.cubic(3.0), ["He"], [[0, 0, 0]])
    told = read(ReadOptions(n_electrons=1, structure=crystal), a_hr__dat=hr(CHAIN), POSCAR=poscar)
    assert told.basis.symbols == ("He",)
    assert "Nothing tells whether a_hr.dat holds spinors" in warned(told)
    zero = {c: np.zeros((3, 1, 1)) for c in CHAIN}
    with pytest.raises(FileFormatError, match=r"differs from that of a_tb\.dat by up to 1\.000 Å"):
        read(a_tb__dat=tb(np.eye(3) * 4, CHAIN, zero), POSCAR=poscar)


def test_atoms_whose_functions_nobody_places():
    atoms = [("H", HOME), ("He", (0.5, 0, 0))]
    h = read(a_hr__dat=hr(CHAIN), a__win=win(CUBE, atoms))
    assert h.basis.symbols == ("X",)
    assert "Nothing tells where the Wannier functions lie" in warned(h)
    assert h.position is None


def test_units_and_words_of_the_input():
    text = (
        "num_wann=1\nSPINORS = .FALSE. ! none\nfermi_energy   1.5d0 # eV\n"
        "begin unit_cell_cart\nBohr\n6 0 0\n0 6 0\n0 0 6\nend unit_cell_cart\n"
        "BEGIN ATOMS_CART\nbohr\nfe_up 3 0 0\nSup 0 0 3\n"
        "END ATOMS_CART\n"
    )
    found = parse_win(text, "a.win")
    assert found.spinors is False
    assert found.fermi_energy == 1.5
    np.testing.assert_allclose(found.lattice, np.eye(3) * 6 * 0.52917720859)
    assert [s.specie.symbol for s in found.structure] == ["Fe", "S"]
    np.testing.assert_allclose(found.structure.frac_coords, [[0.5, 0, 0], [0, 0, 0.5]])


# --- spins --------------------------------------------------------------------------------------


def spinful(order: str, *, clear: bool = True) -> dict[tuple[int, int, int], np.ndarray]:
    """Two orbitals and their spins: hopping −1 and −0.6, flips of 0.01, or none told apart."""
    up_down = 0.01 if clear else 0.7
    hop = np.kron(np.eye(2), [[-1.0, 0.3], [0.2, -0.6]]) + up_down * np.kron(
        [[0, 1], [1, 0]], np.eye(2)
    )
    onsite = np.kron(np.eye(2), np.diag([0.0, 1.0]))
    place = [0, 1, 2, 3] if order == "block" else [0, 2, 1, 3]
    return {c: m[np.ix_(place, place)] for c, m in ((HOME, onsite), (NEXT, hop), (BACK, hop.T))}


@pytest.mark.parametrize("order", ["block", "interleaved"])
def test_order_of_spins_from_the_matrices(order):
    home = win(CUBE, [("H", HOME)], more=["spinors = .true."])
    h = read(a_hr__dat=hr(spinful(order)), a__win=home)
    assert h.provenance.settings["spin_order"] == order
    expected = read(a_hr__dat=hr(spinful("block")), a__win=home)
    np.testing.assert_array_equal(h.scalar, expected.scalar)
    assert h.basis.n_orbitals == 2


def test_order_of_spins_that_nothing_tells_is_warned_of():
    home = win(CUBE, [("H", HOME)], more=["spinors = .true."])
    h = read(a_hr__dat=hr(spinful("block", clear=False)), a__win=home)
    assert h.provenance.settings["spin_order"] == "interleaved"
    assert "does not tell the order of its spinors" in warned(h)
    assert "--spin-order block or interleaved" in warned(h)


def test_magnetisation_in_the_plane_does_not_hide_the_order():
    matrices = spinful("interleaved")
    matrices[HOME] = matrices[HOME] + 2.0 * np.kron(np.eye(2), [[0, 1], [1, 0]])
    home = win(CUBE, [("H", HOME)], more=["spinors = .true."])
    h = read(a_hr__dat=hr(matrices), a__win=home)
    assert h.provenance.settings["spin_order"] == "interleaved"
    np.testing.assert_allclose(h.block("Bx", 0, 0), 2.0 * np.eye(2))


def test_options_of_spin_that_do_not_fit():
    options = ReadOptions(n_electrons=1, spin_order="block")
    with pytest.raises(SettingsError, match="spinors = false"):
        read(options, a_hr__dat=hr(CHAIN), a__win=win(CUBE, [("H", HOME)], more=["spinors = f"]))
    with pytest.raises(FileFormatError, match="1 spinor functions; the number is even"):
        read(options, a_hr__dat=hr(CHAIN), a__win=win(CUBE, [("H", HOME)]))
    with pytest.raises(SettingsError, match="spin-polarised pair"):
        read_hamiltonian(DATA / "fe", options)


def test_part_of_hopping_that_turns_the_spin():
    bundle = bundle_of_bytes({"a_hr.dat": hr(spinful("block")).encode()})
    raw = read_model(bundle.members[0], bundle).raw
    # Σ|H_↑↓|² of two flips in two directions and two halves, over all hopping
    flips, straight = 8 * 0.01**2, 4 * (1 + 0.09 + 0.04 + 0.36)
    assert flip_part(raw, "block") == pytest.approx(flips / (flips + straight))


# --- which files --------------------------------------------------------------------------------

PAIRS = [
    ("a.up_hr.dat", "a.dn_hr.dat"),
    ("a_up_hr.dat", "a_down_hr.dat"),
    ("wannier90.1_hr.dat", "wannier90.2_hr.dat"),
    ("a-spin1_hr.dat", "a-spin2_hr.dat"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_pairs_by_their_names(names):
    up, down = hr(CHAIN).encode(), hr({**CHAIN, HOME: 1.3}).encode()
    poscar = b"chain\n1.0\n3 0 0\n0 3 0\n0 0 3\nH\n1\nDirect\n0 0 0\n"
    files = {names[0]: up, names[1]: down, "POSCAR": poscar}
    h = read_bundle(bundle_of_bytes(files), ReadOptions(n_electrons=1))
    assert h.exchange[h.pairs.index(0, 0)] == pytest.approx(-0.5)


def test_several_models_are_not_chosen_from():
    files = {"a_hr.dat": hr(CHAIN).encode(), "b_hr.dat": hr(CHAIN).encode()}
    with pytest.raises(FileFormatError, match=r"several Wannier90 models: a_hr\.dat, b_hr\.dat"):
        read_bundle(bundle_of_bytes(files))


def test_a_chosen_file_is_not_taken_for_its_neighbour():
    bundle = given("a.win", a_hr__dat=hr(CHAIN), a__win=win(CUBE, [("H", HOME)]))
    found = recognised(bundle)
    assert found is None or found.name != "wannier90"
    assert recognised(given("a_hr.dat", a_hr__dat=hr(CHAIN))).name == "wannier90"


def test_tb_is_preferred_to_hr_of_the_same_seed():
    zero = {c: np.zeros((3, 1, 1)) for c in CHAIN}
    h = read(a_hr__dat=hr(CHAIN), a_tb__dat=tb(CUBE, CHAIN, zero))
    assert list(h.provenance.settings["files"]) == ["a_tb.dat"]
    chosen = read(
        None,
        "a_hr.dat",
        a_hr__dat=hr(CHAIN),
        a_tb__dat=tb(CUBE, CHAIN, zero),
        a__win=win(CUBE, [("H", HOME)]),
    )
    assert set(chosen.provenance.settings["files"]) == {"a_hr.dat", "a.win"}


def test_companions_of_another_calculation_are_refused():
    home = win(CUBE, [("H", HOME)])
    with pytest.raises(FileFormatError, match=r"num_wann = 3, but a_hr\.dat has 1"):
        read(a_hr__dat=hr(CHAIN), a__win="num_wann = 3\n" + home)
    with pytest.raises(FileFormatError, match="other vectors R or functions"):
        read(a_hr__dat=hr(CHAIN), a__win=home, a_wsvec__dat=wsvec({}, [HOME, NEXT, (0, 1, 0)], 1))
    zero = {c: np.zeros((3, 1, 1)) for c in CHAIN}
    with pytest.raises(FileFormatError, match=r"its cell differs from that of a_tb\.dat"):
        read(a_tb__dat=tb(CUBE, CHAIN, zero), a__win=win(CUBE * 2, [("H", HOME)]))


# --- broken files -------------------------------------------------------------------------------

GOOD = hr(CHAIN)
BROKEN = [
    (lambda t: t[: len(t) // 2], "lines of matrices|missing"),
    (lambda t: t.replace("\n3\n", "\n4\n", 1), "degeneracies are announced|need"),
    (lambda t: t.replace("\n3\n", "\n999999999\n", 1), "truncated or damaged"),
    (lambda t: t.replace("\n1\n", "\n99999\n", 1), "truncated or damaged"),
    (lambda t: t.replace("0.30000000000000", "NaN", 1), "not finite"),
    (lambda t: t.replace("0.30000000000000", "Infinity", 1), "not finite"),
    (lambda t: t.replace("0.30000000000000", "0.3x", 1), "no number"),
    (lambda t: t.replace("    1    1    1", "    1    0    1", 1), "degeneracy is 0"),
    (lambda t: re.sub(r"(?m)^    1    0    0", "    2    0    0", t), "but not its opposite"),
    (lambda t: re.sub(r"(?m)^    1    0    0", "   -1    0    0", t), "stands twice"),
    (lambda t: re.sub(r"(?m)^    1    0    0", "    1.5  0    0", t), "component of R"),
    (lambda t: re.sub(r"(?m)^    1    0    0    1", "    1    0    0    7", t), "index of a"),
    (lambda t: t + t.split("\n")[-2] + "\n", "lines of matrices"),
    (lambda t: t.rstrip("\n") + "  5 6\n", "too long|more than 7"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), BROKEN)
def test_broken_matrices(change, words):
    broken = change(GOOD)
    assert broken != GOOD
    with pytest.raises(FileFormatError, match=words):
        read(a_hr__dat=broken, a__win=win(CUBE, [("H", HOME)]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("begin unit_cell_cart\n1 0 0\n", "has no end"),
        ("begin a\nbegin b\nend a\n", "stands in or closes another block"),
        (win(np.zeros((3, 3))), "no three vectors of a cell"),
        (win(CUBE, [("H", (0, 0))]), "lacks coordinates"),
        (win(CUBE, [("H", (0, "x", 0))]), "'x' stands where a number is needed"),
        (win(CUBE, more=["fermi_energy = high"]), "'high' stands where"),
    ],
)
def test_broken_input_files(text, words):
    with pytest.raises(FileFormatError, match=words):
        read(a_hr__dat=hr(CHAIN), a__win=text)


def test_fortrans_exponents():
    text = GOOD.replace("0.30000000000000", "0.30000000D+00").replace(
        "0.00000000000000", "0.12345678-123"
    )
    assert "D+00" in text
    assert "-123" in text
    h = read(a_hr__dat=text, a__win=win(CUBE, [("H", HOME)]))
    np.testing.assert_allclose(bands(h, K)[:, 0], 0.3 - 2 * np.cos(2 * np.pi * K[:, 0]), atol=1e-12)


DAMAGED = [
    ("gaas_mlwf", "gaas", "_hr.dat", 30),
    ("gaas_mlwf", "gaas", "_tb.dat", 30),
    ("si", "si", "_wsvec.dat", 30),
    ("si", "si", ".win", 10),
]


@pytest.mark.parametrize(("folder", "seed", "ending", "at_least"), DAMAGED)
def test_damaged_files_are_refused_in_time(folder, seed, ending, at_least):
    """40 variants each; what is not refused touched a remark: bands are as before."""
    main = "_tb.dat" if ending == "_tb.dat" else "_hr.dat"
    kept = {
        seed + e: text_of(DATA / folder / (seed + e)).encode() for e in (main, ".win", "_wsvec.dat")
    }
    expected = bands(read_bundle(bundle_of_bytes(kept), FOUR), K)
    refused = 0
    for what, variant in damaged_variants(kept[seed + ending], 11, 40, header=96):
        start = time.perf_counter()
        try:
            h = read_bundle(bundle_of_bytes({**kept, seed + ending: variant}), FOUR)
        except HamexplorerError:
            refused += 1
        else:
            np.testing.assert_array_equal(bands(h, K), expected, err_msg=what)
        assert time.perf_counter() - start < 2, what
    assert refused >= at_least


# --- size ---------------------------------------------------------------------------------------


def test_a_large_file_is_read_in_seconds(tmp_path: Path):
    """70 functions at 25 R: 8 MB in the time of a few reads; 100 MB take 2 to 3 s."""
    rng = np.random.default_rng(0)
    n, matrices = 70, {}
    for x, y in itertools.product(range(-2, 3), repeat=2):
        if (x, y) >= (0, 0):
            block = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
            matrices[x, y, 0] = block if x or y else block + block.conj().T
            matrices[-x, -y, 0] = matrices[x, y, 0].conj().T
    (tmp_path / "a_hr.dat").write_text(hr(matrices))
    (tmp_path / "a.win").write_text(win(CUBE, [("H", HOME)]))
    start = time.perf_counter()
    h = read_hamiltonian(tmp_path / "a_hr.dat", FOUR)
    assert time.perf_counter() - start < 4
    assert isinstance(h.pairs, Pairs)
    np.testing.assert_allclose(h.block("H", 0, 0, (1, 2, 0)), matrices[1, 2, 0].real, atol=1e-13)
