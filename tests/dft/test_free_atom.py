"""The radial solver: analytic levels, PySCF's Gaussians, identities of density functionals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from numpy.typing import NDArray
from pyscf import dft, gto
from pyscf.pbc.gto.pseudo import load as load_pseudo

from hamexplorer.dft import free_atom
from hamexplorer.dft.atom_recipes import occupations
from hamexplorer.dft.free_atom import AtomState, Confinement, Occupation, solve_atom
from hamexplorer.dft.radial_mesh import RadialMesh, radial_levels
from hamexplorer.errors import ConvergenceError, SettingsError, UnsupportedElementError

EDGES = (0, 0.2, 0.5, 1, 2, 3.5, 5, 7.5, 10, 14, 18, 24, 30, 36, 42, 50, 60, 72, 86, 100)


@pytest.fixture(scope="module")
def mesh() -> RadialMesh:
    return RadialMesh.create(EDGES, 18)


@pytest.fixture(scope="module")
def sulphur() -> AtomState:
    return solve_atom("S", occupations("S"))


@pytest.mark.parametrize(("l", "charge"), [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0)])
def test_bare_coulomb_gives_hydrogen(mesh: RadialMesh, l: int, charge: float) -> None:  # noqa: E741
    with np.errstate(divide="ignore"):
        energies, waves = radial_levels(mesh, -charge / mesh.r, l, 3)
    n = l + 1 + np.arange(3)
    np.testing.assert_allclose(energies, -(charge**2) / (2 * n**2), atol=1e-8)
    overlaps = (waves * mesh.weights) @ waves.T
    np.testing.assert_allclose(overlaps, np.eye(3), atol=1e-12)
    # ⟨r⟩ = [3n² − l(l+1)]/2Z
    mean = (waves**2 * mesh.weights) @ mesh.r
    np.testing.assert_allclose(mean, (3 * n**2 - l * (l + 1)) / (2 * charge), rtol=1e-6)


@pytest.mark.parametrize("l", [0, 1, 2, 3])
def test_harmonic_oscillator(mesh: RadialMesh, l: int) -> None:  # noqa: E741
    energies, _ = radial_levels(mesh, 0.5 * mesh.r**2, l, 4)
    np.testing.assert_allclose(energies, 2 * np.arange(4) + l + 1.5, atol=1e-9)


def test_hard_sphere_has_the_zeros_of_bessel_functions() -> None:
    sphere = RadialMesh.create(np.linspace(0, 5, 6), 14)
    zero = np.zeros_like(sphere.r)
    energies, _ = radial_levels(sphere, zero, 0, 3)
    np.testing.assert_allclose(energies, (np.pi * np.array([1, 2, 3]) / 5) ** 2 / 2, atol=1e-10)
    energies, _ = radial_levels(sphere, zero, 1, 1)
    np.testing.assert_allclose(energies, (4.493409457909064 / 5) ** 2 / 2, atol=1e-10)


def test_a_separable_term_shifts_by_its_secular_equation(mesh: RadialMesh) -> None:
    """ε of H + |p⟩h⟨p| solves 1 + h Σ_n |⟨p|n⟩|²/(ε_n − ε) = 0 over all levels n of H."""
    projector = mesh.r**2 * np.exp(-(mesh.r**2))
    harmonic = 0.5 * mesh.r**2
    plain, waves = radial_levels(mesh, harmonic, 0, 100)
    shifted, _ = radial_levels(mesh, harmonic, 0, 2, projector[None], np.array([[1.3]]))
    strength = ((waves * mesh.weights) @ projector) ** 2
    for energy in shifted:
        assert 1 + 1.3 * np.sum(strength / (plain - energy)) == pytest.approx(0, abs=1e-8)


def test_hartree_potential_of_a_gaussian(mesh: RadialMesh) -> None:
    density = np.exp(-(mesh.r**2)) / np.pi**1.5
    expected = np.full_like(mesh.r, 2 / np.sqrt(np.pi))
    expected[1:] = scipy.special.erf(mesh.r[1:]) / mesh.r[1:]
    np.testing.assert_allclose(mesh.hartree(density), expected, atol=1e-10)


def test_interpolation_and_derivative(mesh: RadialMesh) -> None:
    values = np.exp(-mesh.r) * np.sin(mesh.r)
    x = np.linspace(0, 100, 2001)
    np.testing.assert_allclose(mesh.at(values, x), np.exp(-x) * np.sin(x), atol=1e-12)
    slope = mesh.derivative(mesh.local(values))
    r = mesh.local(mesh.r)
    np.testing.assert_allclose(slope, np.exp(-r) * (np.cos(r) - np.sin(r)), atol=1e-10)


def test_hydrogen_is_near_the_all_electron_atom() -> None:
    """The bare proton by an independent code; the pseudopotential moves the level by 0.1 mHa."""
    state = solve_atom("H", occupations("H"))
    energies, total = gaussians("H", occupations("H"), pseudo=None, largest=3e4)
    assert state.eigenvalues[0] == pytest.approx(-0.2386, abs=1e-4)
    assert state.eigenvalues[0] == pytest.approx(energies[0], abs=2e-4)
    assert state.energy == pytest.approx(total, abs=5e-4)


@pytest.mark.parametrize("element", ["He", "Be", "Ne", "Mg", "Ar", "Zn", "S", "Mo", "Tl", "Ba"])
def test_gaussian_basis_with_the_same_pseudopotential(element: str) -> None:
    """Eigenvalues and energy of PySCF's molecular code in a large even-tempered basis.

    Open shells are spread evenly over their orbitals there too.
    """
    shells = occupations(element)
    state = solve_atom(element, shells)
    energies, total = gaussians(element, shells)
    np.testing.assert_allclose(state.eigenvalues, energies, atol=3e-5)
    assert state.energy == pytest.approx(total, abs=1e-3)
    assert state.energy <= total + 1e-6  # the finite basis lies above


def gaussians(
    element: str,
    shells: tuple[Occupation, ...],
    pseudo: str | None = "gth-pbe",
    largest: float = 200.0,
) -> tuple[list[float], float]:
    """Eigenvalues by shell and total energy, Ha, with fractional occupations."""
    momenta = sorted({o.l for o in shells})
    smallest = (0.012, 0.012, 0.05)  # d shells are less diffuse
    basis = []
    for l in momenta:  # noqa: E741
        count = int(np.ceil(np.log(largest / smallest[l]) / np.log(1.85)))
        basis += [[l, [float(smallest[l] * 1.85**i), 1.0]] for i in range(count)]
    mol = gto.M(
        atom=element,
        basis={element: basis},
        pseudo=pseudo,
        spin=round(sum(o.electrons for o in shells)) % 2,
        verbose=0,
    )
    mf = dft.rks.RKS(mol, xc="PBE")
    mf.grids.atom_grid = (120, 50)  # a spherical density needs few angles
    mf.damp, mf.diis_start_cycle, mf.max_cycle = 0.4, 8, 100
    mf.conv_tol = 1e-8
    l_of_function = np.repeat(
        [mol.bas_angular(b) for b in range(mol.nbas)],
        [2 * mol.bas_angular(b) + 1 for b in range(mol.nbas)],
    )

    def own_levels(l: int, coefficients: NDArray[np.float64]) -> NDArray[np.int64]:  # noqa: E741
        weight = np.sum((coefficients**2)[l_of_function == l], axis=0)
        return np.flatnonzero(weight > 0.5 * np.sum(coefficients**2, axis=0))

    def occupy(
        energies: NDArray[np.float64], coefficients: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        numbers = np.zeros(len(energies))
        for o in shells:
            width = 2 * o.l + 1
            own = own_levels(o.l, coefficients)
            own = own[np.argsort(energies[own], kind="stable")]
            numbers[own[width * o.level : width * (o.level + 1)]] = o.electrons / width
        return numbers

    mf.get_occ = lambda mo_energy=None, mo_coeff=None: occupy(
        mf.mo_energy if mo_energy is None else mo_energy,
        mf.mo_coeff if mo_coeff is None else mo_coeff,
    )
    total = mf.kernel(dm0=mf.get_init_guess(key="1e"))
    assert mf.converged
    found = []
    for o in shells:
        levels = np.sort(mf.mo_energy[own_levels(o.l, mf.mo_coeff)])
        found.append(float(levels[(2 * o.l + 1) * o.level]))
    return found, float(total)


def test_total_energy_is_the_sum_of_its_parts(sulphur: AtomState) -> None:
    """⟨T⟩, ⟨V_loc⟩ and ⟨V_NL⟩ taken from the waves; E_H and E_xc by other quadratures."""
    state = sulphur
    mesh, r = state.mesh, state.mesh.r
    electrons = [o.electrons for o in state.occupations]
    fine = np.linspace(0, 40, 200001)
    kinetic = nonlocal_ = 0.0
    for f, o, u in zip(electrons, state.occupations, state.waves, strict=True):
        wave = mesh.at(u, fine)
        slope = np.gradient(wave, fine, edge_order=2)
        centrifugal = np.zeros_like(fine)
        centrifugal[1:] = o.l * (o.l + 1) * (wave[1:] / fine[1:]) ** 2
        kinetic += f * 0.5 * np.trapezoid(slope**2 + centrifugal, fine)
        radius, n, h = load_pseudo("gth-pbe", "S")[5 + o.l]
        overlaps = []
        for i in range(1, n + 1):
            power = o.l + (4 * i - 1) / 2
            norm = np.sqrt(2) / (radius**power * np.sqrt(scipy.special.gamma(power)))
            shape = norm * fine ** (o.l + 2 * (i - 1)) * np.exp(-(fine**2) / (2 * radius**2))
            overlaps.append(np.trapezoid(shape * wave * fine, fine))
        nonlocal_ += f * np.array(overlaps) @ np.array(h) @ np.array(overlaps)
    shell = 4 * np.pi * r**2 * state.density
    coulomb = mesh.integral(shell * (state.local + state.hartree / 2))
    rho = mesh.at(state.density, fine)
    slope = np.gradient(rho, fine, edge_order=2)
    zero = np.zeros_like(rho)
    density_energy = dft.libxc.eval_xc("PBE", np.array([rho, slope, zero, zero]), deriv=0)[0]
    exchange = np.trapezoid(4 * np.pi * fine**2 * rho * density_energy, fine)
    assert state.energy == pytest.approx(kinetic + nonlocal_ + coulomb + exchange, abs=1e-6)


def test_eigenvalues_are_derivatives_of_the_energy() -> None:
    """Janak: ∂E/∂f = ε, which fails if v_xc is not the derivative of E_xc."""
    s, p = occupations("S")
    change = 0.01
    energy = {
        sign: solve_atom("S", (s, Occupation("3p", 1, 0, 4 + sign * change))).energy
        for sign in (-1, 1)
    }
    slope = (energy[1] - energy[-1]) / (2 * change)
    assert slope == pytest.approx(solve_atom("S", (s, p)).eigenvalues[1], abs=1e-5)


def test_exchange_correlation_potential_is_the_pointwise_one(sulphur: AtomState) -> None:
    """v = f_ρ − ∇·(2 f_σ ∇ρ), by differences on equal steps where the density is not negligible."""
    r = np.arange(0.1, 8, 0.002)
    rho = sulphur.mesh.at(sulphur.density, r)
    slope = np.gradient(rho, r, edge_order=2)
    zero = np.zeros_like(rho)
    vxc = dft.libxc.eval_xc("PBE", np.array([rho, slope, zero, zero]), deriv=1)[1]
    flux = 2 * vxc[1] * slope
    expected = vxc[0] - np.gradient(flux, r, edge_order=2) - 2 * flux / r
    found = sulphur.mesh.at(sulphur.exchange_correlation, r)
    np.testing.assert_allclose(found[50:-50], expected[50:-50], atol=2e-4)


def test_confinement_raises_levels_and_ends_the_density(sulphur: AtomState) -> None:
    shells = occupations("S")
    last = sulphur.eigenvalues
    for radius in (14.0, 10.0, 7.0):
        state = solve_atom("S", shells, Confinement(radius, 0.7 * radius, 20.0))
        assert np.all(state.eigenvalues > last)
        assert state.energy > sulphur.energy
        last = state.eigenvalues
        assert state.mesh.r[-1] == radius
        assert state.density[-1] == 0
        assert abs(state.neutral_potential[-1]) < 1e-12
        held = state.mesh.integral(4 * np.pi * state.mesh.r**2 * state.density)
        assert held == pytest.approx(6, abs=1e-12)


def test_confining_potential_is_smooth_inside_and_infinite_outside() -> None:
    confinement = Confinement(10.0, 7.0, 20.0)
    r = np.array([0.0, 6.9, 7.0, 7.05, 8.5, 9.9, 10.0, 11.0])
    value = confinement.potential(r)
    assert np.all(value[:3] == 0)
    assert 0 < value[3] < 1e-20
    assert value[4] == pytest.approx(20 * np.exp(-2) / 1.5)
    assert np.all(np.diff(value[3:7]) > 0)
    assert np.all(np.isinf(value[6:]))


def test_higher_order_changes_nothing() -> None:
    shells, confinement = occupations("Mg"), Confinement(13.0, 9.1, 20.0)
    low = solve_atom("Mg", shells, confinement)
    high = solve_atom("Mg", shells, confinement, order=26)
    np.testing.assert_allclose(low.eigenvalues, high.eigenvalues, atol=1e-8)
    assert low.energy == pytest.approx(high.energy, abs=1e-8)


@pytest.mark.parametrize("bad", [(5.0, 6.0, 1.0), (5.0, 4.0, 0.0), (np.inf, 4.0, 1.0)])
def test_impossible_confinement_is_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="0 < inner < radius"):
        Confinement(*bad)


def test_impossible_occupations_are_refused() -> None:
    with pytest.raises(SettingsError, match="3p of S cannot hold 7"):
        solve_atom("S", (Occupation("3p", 1, 0, 7.0),))
    with pytest.raises(SettingsError, match="needs an occupied shell"):
        solve_atom("S", ())
    with pytest.raises(UnsupportedElementError, match="Xx"):
        solve_atom("Xx", (Occupation("1s", 0, 0, 1.0),))


def test_an_unconverged_atom_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_atom, "_MAX_ITERATIONS", 3)
    with pytest.raises(ConvergenceError, match="free atom S did not converge in 3"):
        solve_atom("S", occupations("S"))
