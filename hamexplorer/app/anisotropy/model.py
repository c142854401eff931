"""What the Anisotropy page asks of a magnet again and again, prepared once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Structure

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import (
    AnisotropyConstants,
    AnisotropyConvergence,
    AnisotropyEnergy,
    Directions,
    SecondVariation,
    SiteAnisotropy,
    convergence,
    dipolar_anisotropy,
    fit_constants,
    magnetic_anisotropy,
    site_resolution,
)
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.directions import unit_vectors
from hamexplorer.properties.large_cells import check_not_large
from hamexplorer.properties.moments import SiteMoments, site_moments

__all__ = ["AnisotropyModel", "Setup", "Sweep", "refusal"]

_ARC = np.linspace(0.0, 180.0, 25)
_RING = np.linspace(0.0, 360.0, 25)
_EXACT_ARC = np.linspace(0.0, 180.0, 13)
_EXACT_RING = np.linspace(0.0, 360.0, 13)
_SPHERE = 48
_FINENESS = (0.5, 0.75, 1.0, 1.25, 1.5)
_SMEARINGS = (0.5, 2.0)
_CHECKED = np.array([0.0, 30.0, 60.0, 90.0])


@dataclass(frozen=True)
class Setup:
    """What the preparation depends on; ``mesh`` None: chosen, ``smearing`` in eV."""

    mesh: tuple[int, int, int] | None = None
    smearing: float = 0.1
    exchange: float = 1.0


@dataclass(frozen=True, eq=False)
class Sweep:
    """Energies at one λ: E(θ) at one φ, E(φ) at θ = 90°, and, once there, over the sphere.

    ``window_error`` is the fast route's, meV, once it is known. ``dipoles_meV`` is the dipoles'
    part of E(θ = 90°) − E(θ = 0°) where they were added. ``constants`` is None where the energies
    do not allow a fit.
    """

    structure: Structure
    arc: AnisotropyEnergy
    ring: AnisotropyEnergy
    sphere: AnisotropyEnergy | None = None
    window_error: float | None = None
    dipoles_meV: float | None = None

    @cached_property
    def constants(self) -> AnisotropyConstants | None:
        """Fitted to all directions."""
        try:
            return fit_constants(self.everything, self.structure)
        except SettingsError:
            return None

    @cached_property
    def everything(self) -> AnisotropyEnergy:
        """All directions as one result."""
        parts = [part for part in (self.arc, self.ring, self.sphere) if part is not None]
        return replace(
            self.arc,
            directions=Directions(
                np.concatenate([part.directions.theta for part in parts]),
                np.concatenate([part.directions.phi for part in parts]),
            ),
            energies=np.concatenate([part.energies for part in parts]),
            fermi=np.concatenate([part.fermi for part in parts]),
            by_k=None,
        )

    @property
    def zero(self) -> float:
        """The smallest energy, eV."""
        return float(self.everything.energies.min())

    @property
    def mae_meV(self) -> float:
        """E(θ = 90°) − E(θ = 0°) at the arc's φ, meV per cell."""
        middle = int(np.argmin(np.abs(self.arc.directions.theta - 90.0)))
        return float(1e3 * (self.arc.energies[middle] - self.arc.energies[0]))

    @property
    def spread_meV(self) -> float:
        """Largest minus smallest energy, meV per cell."""
        return float(self.everything.relative_meV.max())

    @property
    def easy(self) -> tuple[float, float]:
        """θ and φ of the easy axis, degrees: the fit's or, without one, of the lowest point."""
        if self.constants is not None:
            return self.constants.easy_angles
        every = self.everything
        lowest = int(np.argmin(every.energies.round(9)))
        return float(every.directions.theta[lowest]), float(every.directions.phi[lowest])

    @property
    def easy_axis(self) -> tuple[float, ...] | None:
        """Unit vector of the easy axis; None where no direction is better than the others."""
        isotropic = self.constants is not None and self.constants.easy == "isotropic"
        return None if isotropic else tuple(unit_vectors(*self.easy).round(5).tolist())

    def energy(self, theta: float, phi: float) -> float | None:
        """From the smallest one, meV per cell; without a fit only on the arc and the ring."""
        if self.constants is not None:
            return float(self.constants.energy(theta, phi))
        theta_arc, energies = self.arc.directions.theta, 1e3 * (self.arc.energies - self.zero)
        if theta < 1e-9 or abs(self.arc.directions.phi[0] - phi) < 1e-6:
            return float(np.interp(theta, theta_arc, energies))
        if abs(theta - 90.0) < 1e-6:
            ring = 1e3 * (self.ring.energies - self.zero)
            return float(np.interp(phi, self.ring.directions.phi, ring))
        return None


class AnisotropyModel:
    """One magnet on one mesh: E(n) for any λ; safe to call from several threads."""

    def __init__(self, h: Hamiltonian, setup: Setup, monitor: Monitor) -> None:
        self.hamiltonian = h
        self.setup = setup
        self.fast = SecondVariation(
            h, setup.mesh, setup.smearing, exchange=setup.exchange, monitor=monitor
        )
        self._ring: AnisotropyEnergy | None = None
        self._spins: NDArray[np.float64] | None = None
        self._lock = Lock()

    @property
    def mesh(self) -> tuple[int, int, int]:
        """Divisions of the mesh."""
        return self.fast.mesh

    def sweep(self, soc: float, phi: float, dipoles: bool = False) -> Sweep:
        """The curves by the fast route; the ring is kept while only ``phi`` changes."""
        ring = self._ring
        if ring is not None and ring.state.soc == soc:
            arc = self.fast.energies(Directions.arc(_ARC, phi), soc)
        else:
            both = self.fast.energies(_arc_and_ring(_ARC, _RING, phi), soc)
            arc, ring = _divided(both, len(_ARC))
            self._ring = ring
        return self._swept(arc, ring, dipoles)

    def sphere(self, sweep: Sweep, monitor: Monitor) -> Sweep:
        """The same with energies over the sphere and the window's error."""
        soc, phi = sweep.arc.state.soc, sweep.arc.directions.phi[0]
        sphere = self.fast.energies(Directions.sphere(_SPHERE), soc, monitor)
        if sweep.dipoles_meV is not None:
            sphere = self._with_dipoles(sphere)
        error = self.fast.window_check(Directions.arc(_CHECKED, phi), soc, monitor)
        return replace(sweep, sphere=sphere, window_error=error)

    def exact(self, soc: float, phi: float, dipoles: bool, monitor: Monitor) -> Sweep:
        """The curves by diagonalising at every direction."""
        directions = _arc_and_ring(_EXACT_ARC, _EXACT_RING, phi)
        arc, ring = _divided(self._exact(directions, soc, monitor), len(_EXACT_ARC))
        return self._swept(arc, ring, dipoles)

    def check(self, soc: float, phi: float, monitor: Monitor) -> AnisotropyEnergy:
        """Exact energies at a few θ, to compare with; without dipoles."""
        return self._exact(Directions.arc(_CHECKED, phi), soc, monitor)

    def by_k(self, soc: float, phi: float, monitor: Monitor) -> AnisotropyEnergy:
        """θ = 0 and 90° with every k-point's part."""
        return self.fast.energies(Directions.arc([0.0, 90.0], phi), soc, monitor, by_k=True)

    def by_site(self, soc: float, phi: float, monitor: Monitor) -> SiteAnisotropy:
        """E(θ = 90°) − E(θ = 0°) in parts of the atoms."""
        setup = self.setup
        return site_resolution(
            self.hamiltonian,
            (0.0, phi),
            (90.0, phi),
            self.mesh,
            setup.smearing,
            soc,
            setup.exchange,
            monitor=monitor,
        )

    def convergence(self, soc: float, phi: float, monitor: Monitor) -> AnisotropyConvergence:
        """E(θ = 90°) − E(θ = 0°) on coarser and finer meshes and with other smearings."""
        setup = self.setup
        return convergence(
            self.hamiltonian,
            (0.0, phi),
            (90.0, phi),
            _meshes(self.mesh),
            sorted({setup.smearing, *(part * setup.smearing for part in _SMEARINGS)}),
            soc,
            setup.exchange,
            monitor=monitor,
        )

    def moments(self, state: SpinState, monitor: Monitor | None = None) -> SiteMoments:
        """Moments by atom; half as many divisions are enough for them."""
        mesh = tuple(-(-n // 2) for n in self.mesh)
        return site_moments(
            self.hamiltonian,
            state,
            mesh=(mesh[0], mesh[1], mesh[2]),
            smearing=self.setup.smearing,
            monitor=monitor,
        )

    def _swept(self, arc: AnisotropyEnergy, ring: AnisotropyEnergy, dipoles: bool) -> Sweep:
        structure = self.hamiltonian.structure
        if not dipoles:
            return Sweep(structure, arc, ring)
        with_dipoles = Sweep(structure, self._with_dipoles(arc), self._with_dipoles(ring))
        part = with_dipoles.mae_meV - Sweep(structure, arc, ring).mae_meV
        return replace(with_dipoles, dipoles_meV=part)

    def _with_dipoles(self, result: AnisotropyEnergy) -> AnisotropyEnergy:
        with self._lock:
            if self._spins is None:
                state = SpinState(soc=0.0, exchange=self.setup.exchange)
                self._spins = self.moments(state).spin @ state.direction
        shape = dipolar_anisotropy(self.hamiltonian.structure, self._spins, result.directions)
        return replace(result, energies=result.energies + shape)

    def _exact(self, directions: Directions, soc: float, monitor: Monitor) -> AnisotropyEnergy:
        return magnetic_anisotropy(
            self.hamiltonian,
            directions,
            self.mesh,
            self.setup.smearing,
            soc,
            self.setup.exchange,
            "exact",
            monitor,
        )


def _meshes(mesh: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Meshes from about half to one and a half times as fine, each once."""
    shapes = []
    for part in _FINENESS:
        a, b, c = (n if n == 1 else max(1, round(part * n)) for n in mesh)
        if (a, b, c) not in shapes:
            shapes.append((a, b, c))
    return shapes


def refusal(h: Hamiltonian, setup: Setup) -> str:
    """Why this Hamiltonian has no anisotropy to show; empty if it has."""
    try:
        checked(h, setup.mesh, setup.smearing, setup.exchange)
        check_not_large(h, "The anisotropy")
    except (SettingsError, ResourceLimitError) as error:
        return str(error)
    return ""


def _arc_and_ring(arc: ArrayLike, ring: ArrayLike, phi: float) -> Directions:
    first, second = Directions.arc(arc, phi), Directions.ring(ring)
    return Directions(
        np.concatenate([first.theta, second.theta]), np.concatenate([first.phi, second.phi])
    )


def _divided(result: AnisotropyEnergy, count: int) -> tuple[AnisotropyEnergy, AnisotropyEnergy]:
    """The first ``count`` directions and the others."""

    def part(chosen: slice) -> AnisotropyEnergy:
        angles: list[NDArray[np.float64]] = [
            result.directions.theta[chosen],
            result.directions.phi[chosen],
        ]
        return replace(
            result,
            directions=Directions(*angles),
            energies=result.energies[chosen],
            fermi=result.fermi[chosen],
        )

    return part(slice(None, count)), part(slice(count, None))
