"""A spherical, spin-unpolarised PBE atom with its GTH pseudopotential; atomic units.

    [−½ d²/dr² + l(l+1)/2r² + V_loc + V_H[ρ] + v_xc[ρ] + V_conf] u + r V_NL (u/r) = ε u
    ρ(r) = Σ_shells f u² / 4πr²

with fractional occupations f, V_loc = −(Z/r) erf(r/√2 r_loc) + Σ_i C_i (r/r_loc)^{2(i−1)}
exp(−r²/2r_loc²) and the separable V_NL of the same reference (Goedecker, Teter, Hutter, Phys.
Rev. B 54, 1703 (1996)).

The confinement is that of Junquera, Paz, Sánchez-Portal, Artacho, Phys. Rev. B 64, 235111 (2001):

    V_conf(r) = V_0 exp[−(R − r_i)/(r − r_i)] / (R − r)     for r_i < r < R,

0 inside r_i, smooth there, infinite at R: so density and V_H + V_loc end at R.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray
from pyscf.dft import libxc
from pyscf.pbc.gto.pseudo import load as load_pseudo

from hamexplorer.dft.basis_sets import PSEUDOPOTENTIAL, valence_charge
from hamexplorer.dft.radial_mesh import RadialMesh, radial_levels
from hamexplorer.errors import ConvergenceError, SettingsError

__all__ = ["AtomState", "Confinement", "Occupation", "solve_atom"]

_FUNCTIONAL = "PBE"
_TOLERANCE = 1e-10
_MAX_ITERATIONS = 200
_HISTORY = 8
_BOX = 40.0


@dataclass(frozen=True)
class Confinement:
    """V_conf: ``radius`` R and ``inner`` r_i in bohr, ``height`` V_0 in Ha·bohr."""

    radius: float
    inner: float
    height: float

    def __post_init__(self) -> None:
        if not (0 < self.inner < self.radius < math.inf and 0 < self.height < math.inf):
            raise SettingsError(
                "a confinement needs 0 < inner < radius and a positive height, not "
                f"inner = {self.inner}, radius = {self.radius}, height = {self.height}."
            )

    def potential(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """V_conf at radii up to R, Ha."""
        value = np.zeros_like(r)
        value[r >= self.radius] = np.inf
        between = (r > self.inner) & (r < self.radius)
        width = self.radius - self.inner
        value[between] = (
            self.height * np.exp(-width / (r[between] - self.inner)) / (self.radius - r[between])
        )
        return value


@dataclass(frozen=True)
class Occupation:
    """Electrons in a shell: label such as ``4d``, l, and which level of that l it is (0, 1, …)."""

    label: str
    l: int  # noqa: E741
    level: int
    electrons: float


@dataclass(frozen=True, eq=False)
class AtomState:
    """A converged atom on its mesh; arrays are values at ``mesh.r``.

    Attributes:
        mesh: radii, bohr.
        occupations: shells.
        eigenvalues: (n_shells,), Ha.
        waves: (n_shells, n) u(r) = r R(r), ∫u² dr = 1.
        density: (n,) ρ(r), 1/bohr³.
        local: (n,) V_loc, Ha.
        hartree: (n,) V_H[ρ], Ha.
        exchange_correlation: (n,) v_xc[ρ], Ha.
        energy: total energy, without that of the confinement's removal, Ha.
        iterations: of the self-consistency.
    """

    mesh: RadialMesh
    occupations: tuple[Occupation, ...]
    eigenvalues: NDArray[np.float64]
    waves: NDArray[np.float64]
    density: NDArray[np.float64]
    local: NDArray[np.float64]
    hartree: NDArray[np.float64]
    exchange_correlation: NDArray[np.float64]
    energy: float
    iterations: int

    @property
    def neutral_potential(self) -> NDArray[np.float64]:
        """V_na = V_loc + V_H, (n,), Ha."""
        return self.local + self.hartree


def solve_atom(
    element: str,
    occupations: Sequence[Occupation],
    confinement: Confinement | None = None,
    order: int = 18,
) -> AtomState:
    """Converge an atom; without ``confinement`` it stands in a box of 40 bohr.

    Raises:
        UnsupportedElementError: the element has no pseudopotential.
        SettingsError: the occupations are none, negative, or more than the shells hold.
        ConvergenceError: eigenvalues or potential were not converged after 200 iterations.
    """
    charge = valence_charge(element)
    _check(element, occupations)
    mesh = _mesh(confinement, order)
    local = _local_potential(element, mesh.r)
    outer = local if confinement is None else local + confinement.potential(mesh.r)
    channels = _channels(element, mesh.r)
    density = _first_density(mesh, sum(o.electrons for o in occupations), charge)
    mixer = _Mixer(mesh.weights * mesh.r**2)
    potential = mesh.hartree(density) + _exchange_correlation(mesh, density)[1]
    before = np.full(len(occupations), np.inf)
    for iteration in range(1, _MAX_ITERATIONS + 1):
        eigenvalues, waves = _levels(mesh, outer + potential, channels, occupations)
        density = _density(mesh, waves, occupations)
        hartree = mesh.hartree(density)
        energy_xc, v_xc = _exchange_correlation(mesh, density)
        residual = hartree + v_xc - potential
        change = np.abs(eigenvalues - before).max()
        error = np.abs([mesh.integral(u * u * residual) for u in waves]).max()
        if max(change, error) < _TOLERANCE:
            bands = sum(o.electrons * e for o, e in zip(occupations, eigenvalues, strict=True))
            shell = 4 * np.pi * mesh.r**2 * density
            energy = bands - mesh.integral(shell * (potential - hartree / 2)) + energy_xc
            return AtomState(
                mesh,
                tuple(occupations),
                eigenvalues,
                waves,
                density,
                local,
                hartree,
                v_xc,
                float(energy),
                iteration,
            )
        before = eigenvalues
        potential = mixer.next(potential, residual)
    raise ConvergenceError(
        f"The free atom {element} did not converge in {_MAX_ITERATIONS} iterations: its "
        f"eigenvalues still change by {change:.1e} Ha, and its potential's error moves them by "
        f"{error:.1e} Ha; accepted are {_TOLERANCE:g} Ha.",
        density,
    )


def _check(element: str, occupations: Sequence[Occupation]) -> None:
    total = sum(o.electrons for o in occupations)
    if not occupations or total <= 0:
        raise SettingsError(f"The free atom {element} needs an occupied shell.")
    for o in occupations:
        if not 0 <= o.electrons <= 2 * (2 * o.l + 1):
            raise SettingsError(
                f"The shell {o.label} of {element} cannot hold {o.electrons} electrons; accepted "
                f"are 0 to {2 * (2 * o.l + 1)}."
            )


def _mesh(confinement: Confinement | None, order: int) -> RadialMesh:
    """Elements that widen from 0.2 bohr at the centre; one boundary at r_i, three beyond."""
    end = _BOX if confinement is None else confinement.inner
    edges = [0.0]
    while edges[-1] < end:
        edges.append(edges[-1] + min(0.2 + 0.3 * edges[-1], 3.0))
    inner = np.array(edges) * end / edges[-1]
    if confinement is None:
        return RadialMesh.create(inner, order)
    return RadialMesh.create([*inner, *np.linspace(end, confinement.radius, 5)[1:]], order)


def _local_potential(element: str, r: NDArray[np.float64]) -> NDArray[np.float64]:
    """V_loc, Ha."""
    radius, _, coefficients = load_pseudo(PSEUDOPOTENTIAL, element)[1:4]
    charge = valence_charge(element)
    x = r / radius
    coulomb = np.full_like(r, -charge * math.sqrt(2 / math.pi) / radius)
    coulomb[1:] = -charge / r[1:] * scipy.special.erf(x[1:] / math.sqrt(2))
    gaussian = np.exp(-0.5 * x**2)
    return coulomb + gaussian * sum(c * x ** (2 * i) for i, c in enumerate(coefficients))


def _channels(
    element: str, r: NDArray[np.float64]
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """By l: r p_i(r) of the projectors (n_projectors, n), and h_ij (Ha)."""
    channels = {}
    for l, (radius, n, h) in enumerate(load_pseudo(PSEUDOPOTENTIAL, element)[5:]):  # noqa: E741
        rows = []
        for i in range(n):
            power = l + (4 * i + 3) / 2
            norm = math.sqrt(2 / math.gamma(power)) / radius**power
            rows.append(norm * r ** (l + 2 * i + 1) * np.exp(-0.5 * (r / radius) ** 2))
        if n:
            channels[l] = np.array(rows), np.array(h, dtype=float)
    return channels


def _first_density(mesh: RadialMesh, electrons: float, charge: int) -> NDArray[np.float64]:
    """An exponential of about an atom's size that holds the electrons."""
    density = np.exp(-2 * mesh.r * charge ** (1 / 3) / 1.5)
    return density * electrons / mesh.integral(4 * np.pi * mesh.r**2 * density)


def _levels(
    mesh: RadialMesh,
    potential: NDArray[np.float64],
    channels: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]],
    occupations: Sequence[Occupation],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    eigenvalues = np.empty(len(occupations))
    waves = np.empty((len(occupations), len(mesh.r)))
    for l in {o.l for o in occupations}:  # noqa: E741
        own = [i for i, o in enumerate(occupations) if o.l == l]
        levels = [occupations[i].level for i in own]
        energies, found = radial_levels(
            mesh, potential, l, max(levels) + 1, *channels.get(l, (None, None))
        )
        eigenvalues[own], waves[own] = energies[levels], found[levels]
    return eigenvalues, waves


def _density(
    mesh: RadialMesh, waves: NDArray[np.float64], occupations: Sequence[Occupation]
) -> NDArray[np.float64]:
    radial = np.array([mesh.over_r(u) for u in waves])
    return np.array([o.electrons for o in occupations]) @ radial**2 / (4 * np.pi)


def _exchange_correlation(
    mesh: RadialMesh, density: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """E_xc (Ha) and v_xc (n,), the derivative of the discrete energy.

    With f(ρ, σ = ρ'²) the energy per volume, δE_xc = Σ_q 4πw_q r_q² [∂f/∂ρ δρ_q + 2 ∂f/∂σ ρ'_q
    δρ'_q] and δE_xc = Σ_k 4πw_k r_k² v_k δρ_k give v without second derivatives. It is not
    defined at r = 0, where it has no weight: there the next point's value stands.
    """
    rho = mesh.local(density)
    slope = mesh.derivative(rho)
    zero = np.zeros(rho.size)
    values = np.array([rho.ravel(), slope.ravel(), zero, zero])
    exc, vxc = libxc.eval_xc(_FUNCTIONAL, values, spin=0, deriv=1)[:2]
    volume = 4 * np.pi * mesh.local_weights() * mesh.local(mesh.r) ** 2
    energy = float(np.sum(volume * rho * exc.reshape(rho.shape)))
    v_rho, v_sigma = vxc[0].reshape(rho.shape), vxc[1].reshape(rho.shape)
    weighted = mesh.gather(
        volume * v_rho + mesh.derivative_transposed(2 * volume * v_sigma * slope)
    )
    potential = np.empty_like(density)
    potential[1:] = weighted[1:] / (4 * np.pi * mesh.weights[1:] * mesh.r[1:] ** 2)
    potential[0] = potential[1]
    return energy, potential


class _Mixer:
    """Pulay's mixing of potentials: the combination with the least residual, half a step on."""

    def __init__(self, metric: NDArray[np.float64]) -> None:
        self._root = np.sqrt(metric)
        self._potentials: list[NDArray[np.float64]] = []
        self._residuals: list[NDArray[np.float64]] = []

    def next(
        self, potential: NDArray[np.float64], residual: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        self._potentials = [*self._potentials, potential][-_HISTORY:]
        self._residuals = [*self._residuals, residual][-_HISTORY:]
        last = residual
        differences = np.array([r - last for r in self._residuals[:-1]])
        step = potential + 0.5 * residual
        if not len(differences):
            return step
        scaled = (differences * self._root).T
        weights = np.linalg.lstsq(scaled, -last * self._root, rcond=1e-12)[0]
        earlier = np.array([p - potential for p in self._potentials[:-1]])
        return step + weights @ (earlier + 0.5 * differences)
