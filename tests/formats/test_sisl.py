"""sisl's Hamiltonians in memory: sisl itself computes the eigenvalues that are compared with."""

from __future__ import annotations

import sys
from dataclasses import replace

import models
import numpy as np
import pytest
import torch
from spin_cases import KINDS, KPOINTS, component_difference, eigenvalues, random_case

from hamexplorer.assets_path import asset
from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.coupling_check import coupling_doubt, on_site_coupling
from hamexplorer.formats.sisl_bridge import from_sisl, to_sisl
from hamexplorer.hamiltonian import SpinState, load_hamiltonian
from hamexplorer.hamiltonian.angular import angular_momentum, real_harmonics
from hamexplorer.provenance import Provenance

sisl = pytest.importorskip("sisl")

SPIN = {
    "spinless": "unpolarized",
    "collinear": "polarized",
    "vector": "non-colinear",
    "spin-orbit": "spin-orbit",
    "magnetic spin-orbit": "spin-orbit",
    "all": "spin-orbit",
}
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def theirs(matrix: sisl.Hamiltonian, k: np.ndarray) -> np.ndarray:
    """Eigenvalues of both spins by sisl."""
    if matrix.spin.is_polarized:
        return np.sort(np.concatenate([matrix.eigh(k, spin=s) for s in (0, 1)]))
    found = np.sort(matrix.eigh(k))
    return np.repeat(found, 2) if matrix.spin.is_unpolarized else found


@pytest.mark.parametrize("l", range(5))
def test_sisls_harmonics_are_ours_with_the_condon_shortley_sign(l):  # noqa: E741
    points = np.random.default_rng(l).normal(size=(50, 3))
    distance = np.linalg.norm(points, axis=1)
    r = np.linspace(0, 12, 600)
    radial = sisl.SphericalOrbital(l, (r, np.exp(-r)), R=12.0)
    ours = real_harmonics(l, torch.tensor(points)).numpy() / distance[:, None] ** l
    for m in range(-l, l + 1):
        orbital = radial.toAtomicOrbital(m=m, n=l + 1, zeta=1)
        value = orbital.psi(points) / orbital.radial(distance)
        assert value == pytest.approx((-1) ** m * ours[:, l + m], abs=1e-12)


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_sisl_finds_the_same_eigenvalues(kind, orthogonal):
    h = random_case(kind, orthogonal=orthogonal)
    matrix = to_sisl(h)
    assert str(matrix.spin.kind) == str(sisl.Spin(SPIN[kind]).kind)
    assert matrix.orthogonal is orthogonal
    for k in KPOINTS:
        assert theirs(matrix, k) == pytest.approx(eigenvalues(h, k), abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_from_sisl_gives_every_component_back(kind):
    h = random_case(kind)
    back = from_sisl(to_sisl(h), n_electrons=7)
    assert component_difference(h, back) < 1e-12
    assert back.basis == h.basis
    assert back.n_electrons == 7
    assert not [w for w in back.provenance.warnings if "wrong sign" not in w]  # Λ is random


@pytest.mark.parametrize("kind", KINDS)
def test_complex_matrices_of_sisl_are_the_same(kind):
    h = random_case(kind)
    real = to_sisl(h)
    part = [real.tocsr(k).astype(complex) for k in range(real.dim - 1)]
    packed = {
        1: lambda p: [p[0]],
        2: lambda p: p,
        4: lambda p: [p[0], p[1], p[2] + 1j * p[3]],
        8: lambda p: [p[0] + 1j * p[4], p[1] + 1j * p[5], p[2] + 1j * p[3], p[6] + 1j * p[7]],
    }[len(part)](part)
    overlap = real.tocsr(real.S_idx).astype(complex)
    matrix = sisl.Hamiltonian.fromsp(real.geometry, packed, overlap, spin=real.spin)
    assert component_difference(h, from_sisl(matrix, n_electrons=7)) < 1e-12


def test_a_complex_matrix_without_spin_has_a_time_odd_part():
    h = models.haldane()
    real = to_sisl(h)
    matrix = sisl.Hamiltonian.fromsp(real.geometry, [real.tocsr(0) + 1j * real.tocsr(4)])
    back = from_sisl(matrix, n_electrons=2)
    assert component_difference(h, back) < 1e-12
    for k in KPOINTS:
        assert theirs(matrix, k) == pytest.approx(eigenvalues(back, k), abs=1e-10)


def test_mos2_with_spin_orbit():
    h = load_hamiltonian(asset("examples/mos2.h5"))
    matrix = to_sisl(h)
    for k in KPOINTS[:2]:
        assert theirs(matrix, k) == pytest.approx(eigenvalues(h, k), abs=1e-8)
    assert (
        component_difference(replace(h, position=None), from_sisl(matrix, n_electrons=26)) < 1e-11
    )


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (SpinState(), "polarized"),
        (SpinState(theta=180), "polarized"),
        (SpinState(theta=35, phi=70), "non-colinear"),
        (SpinState(theta=90), "non-colinear"),
        (SpinState(exchange=0), "unpolarized"),
    ],
)
def test_a_collinear_field_along_any_direction(state, kind):
    h = models.chain(t=-1.2, s=0.1, field=0.4)
    matrix = to_sisl(h, state)
    assert matrix.spin.kind == sisl.Spin(kind).kind
    for k in KPOINTS:
        assert theirs(matrix, k) == pytest.approx(eigenvalues(h, k, state), abs=1e-10)


def test_the_dial_is_written_in():
    h = random_case("magnetic spin-orbit")
    state = SpinState(soc=0.3, theta=50, phi=-20, exchange=1.4)
    matrix = to_sisl(h, state)
    for k in KPOINTS:
        assert theirs(matrix, k) == pytest.approx(eigenvalues(h, k, state), abs=1e-9)


def test_spin_orbit_of_a_p_shell_written_in_sisls_own_orbitals():
    """ξ L·S in p_x, p_y, p_z of the textbook, whose sisl orbitals are −p_y, p_z, −p_x."""
    xi = 0.6
    momentum = np.zeros((3, 3, 3), dtype=complex)
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        momentum[a, b, c], momentum[a, c, b] = -1j, 1j
    to_sisls = np.array([[0, -1, 0], [0, 0, 1], [-1, 0, 0]], dtype=complex)
    spin_box = (
        xi / 2 * np.einsum("aij,ast->ijst", to_sisls @ momentum @ to_sisls.T, PAULI.astype(complex))
    )
    orbitals = [sisl.AtomicOrbital(n=6, l=1, m=m, R=5.0) for m in (-1, 0, 1)]
    geometry = sisl.Geometry([[0, 0, 0]], sisl.Atom(83, orbitals), lattice=sisl.Lattice(10))
    matrix = sisl.Hamiltonian(geometry, spin="spin-orbit")
    for i in range(3):
        for j in range(3):
            (uu, ud), (du, dd) = spin_box[i, j]
            matrix[i, j] = [
                uu.real, dd.real, ud.real, ud.imag, uu.imag, dd.imag, du.real, du.imag,
            ]  # fmt: skip
    h = from_sisl(matrix, n_electrons=3)
    levels = eigenvalues(h, np.zeros(3))
    assert levels == pytest.approx([-xi] * 2 + [xi / 2] * 4, abs=1e-12)
    expected = xi / 2 * (-1j * angular_momentum(1)).real
    assert h.spin_orbit.reshape(3, 3, 3) == pytest.approx(expected, abs=1e-12)
    assert on_site_coupling(h) == pytest.approx(xi)
    assert coupling_doubt(h) is None
    turned = from_sisl(matrix.transpose(spin=False, conjugate=False), n_electrons=3)
    assert "wrong sign" in coupling_doubt(turned)
    assert coupling_doubt(turned) in turned.provenance.warnings


def graphene_of_plain_orbitals(orbital) -> sisl.Hamiltonian:
    geometry = sisl.geom.graphene(atoms=sisl.Atom(6, orbital))
    matrix = sisl.Hamiltonian(geometry)
    matrix.construct([(0.1, 1.44), (0.0, -2.7)])
    return matrix


def test_plain_orbitals_become_s_shells_with_a_warning():
    matrix = graphene_of_plain_orbitals(sisl.Orbital(R=1.5))
    h = from_sisl(matrix, n_electrons=2)
    assert [s.label for s in h.basis.shells[0]] == ["w1"]
    assert "C (w1)" in h.provenance.warnings[0]
    for k in KPOINTS:
        assert eigenvalues(h, k) == pytest.approx(theirs(matrix, k), abs=1e-10)
    assert eigenvalues(h, np.array([1 / 3, 2 / 3, 0])) == pytest.approx(0, abs=1e-9)


def test_a_lone_p_orbital_keeps_its_name():
    h = from_sisl(graphene_of_plain_orbitals(sisl.AtomicOrbital("pz", R=1.5)), n_electrons=2)
    assert h.basis.labels == ("C1 2pz", "C2 2pz")
    assert h.provenance.warnings


def test_shells_in_another_sequence_and_with_many_zetas():
    orbitals = [
        sisl.AtomicOrbital(n=2, l=l, m=m, zeta=zeta, P=p, R=2.0)
        for l, m, zeta, p in (  # noqa: E741
            (1, 1, 1, False), (0, 0, 1, False), (1, 0, 1, False), (1, -1, 1, False),
            (1, -1, 2, False), (1, 0, 2, False), (1, 1, 2, False),
        )
    ]  # fmt: skip
    orbitals += [sisl.AtomicOrbital(n=3, l=2, m=m, P=True, R=2.0) for m in (2, 1, 0, -1, -2)]
    geometry = sisl.Geometry([[0, 0, 0]], sisl.Atom(6, orbitals), lattice=sisl.Lattice(5))
    matrix = sisl.Hamiltonian(geometry)
    for i in range(12):
        matrix[i, i] = i
    h = from_sisl(matrix, n_electrons=4)
    assert [s.label for s in h.basis.shells[0]] == ["2p", "2s", "2pζ2", "3dP"]
    # p (y, z, x), s, second p, d from m = −2
    expected = [3, 2, 0, 1, 4, 5, 6, 11, 10, 9, 8, 7]
    assert np.diag(h.scalar.reshape(12, 12)) == pytest.approx(expected)


def test_ghost_atoms_stand_as_sites_x():
    geometry = sisl.Geometry(
        [[0, 0, 0], [0, 0, 2]],
        [
            sisl.Atom(6, sisl.AtomicOrbital("2s", R=3)),
            sisl.AtomGhost(6, sisl.AtomicOrbital("2s", R=3)),
        ],
        lattice=sisl.Lattice(6),
    )
    matrix = sisl.Hamiltonian(geometry)
    matrix.construct([(0.1, 2.5), (0.0, -1.0)])
    h = from_sisl(matrix, n_electrons=1)
    assert h.basis.symbols == ("C", "X")
    assert "1 ghost" in h.provenance.warnings[0]
    again = from_sisl(to_sisl(h), n_electrons=1)
    assert again.basis == h.basis


def test_electrons_from_the_orbitals_occupations():
    matrix = graphene_of_plain_orbitals(sisl.AtomicOrbital("pz", R=1.5, q0=1.0))
    assert from_sisl(matrix).n_electrons == 2
    assert from_sisl(matrix).provenance.results["n_electrons_from"] == "orbitals' occupations"
    assert from_sisl(matrix, n_electrons=3).n_electrons == 3
    # everything lies below +20 eV
    assert from_sisl(matrix, fermi_energy=20.0).n_electrons == 4


def test_half_filling_is_said_where_nothing_is_known():
    h = from_sisl(graphene_of_plain_orbitals(sisl.AtomicOrbital("pz", R=1.5)))
    assert h.n_electrons == 2
    assert any("half of all states" in w for w in h.provenance.warnings)


def test_what_is_no_matrix_of_a_known_kind_is_refused():
    with pytest.raises(SettingsError, match=r"sisl\.Hamiltonian, not a int"):
        from_sisl(3)
    matrix = graphene_of_plain_orbitals(sisl.Orbital(R=1.5))
    nambu = sisl.Hamiltonian(matrix.geometry, spin="nambu")
    with pytest.raises(SettingsError, match="spin-orbit"):
        from_sisl(nambu)


def test_a_matrix_that_is_not_hermitian_is_refused():
    matrix = graphene_of_plain_orbitals(sisl.Orbital(R=1.5))
    matrix[0, 1] = -2.0
    with pytest.raises(FileFormatError, match=r"not Hermitian.*C\d–C\d"):
        from_sisl(matrix)
    soc = to_sisl(random_case("spin-orbit"))
    soc._csr._D[:, 6] += 0.5  # ↓↑ alone
    with pytest.raises(FileFormatError, match="adjoint of ↑↓"):
        from_sisl(soc)
    soc._csr._D[0, 6] = np.nan
    with pytest.raises(FileFormatError, match="not Hermitian"):
        from_sisl(soc)


def test_without_sisl_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sisl", None)
    with pytest.raises(SettingsError, match=r"pip install 'hamexplorer\[sisl\]'"):
        to_sisl(models.chain())


def test_provenance_is_plain_data():
    h = from_sisl(to_sisl(random_case("spin-orbit")), n_electrons=7)
    assert Provenance.from_json(h.provenance.to_json()).source == "sisl"
    assert h.provenance.versions["sisl"].startswith("0.")
