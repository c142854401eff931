"""The fast route: spin-orbit coupling as a matrix between the states without it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.assembly import (
    ClassEnergies,
    assemble,
    class_free_energies,
    largest_mesh,
    resolve_k,
)
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.couplings import (
    BareStates,
    Couplings,
    bare_states,
    project,
)
from hamexplorer.properties.anisotropy.direction_points import DirectionPoints, points_of
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.free_energy import chemical_potential, grand_potential
from hamexplorer.properties.anisotropy.harmonics import Interpolation, interpolated
from hamexplorer.properties.anisotropy.parts import part_of
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy
from hamexplorer.properties.anisotropy.symmetry import magnetic_symmetry
from hamexplorer.properties.mesh import KMesh
from hamexplorer.properties.parallel import map_chunks, single_threaded_blas
from hamexplorer.properties.solver import BandSolver

__all__ = ["DEFAULT_WINDOW", "SecondVariation"]

DEFAULT_WINDOW = (10.0, 8.0)
"""eV below and above the Fermi level."""
_MAX_BYTES = 4e9
_CHUNK_BYTES = 1.6e7
_BATCH_BYTES = 3e7
_CHECKED_KPOINTS = 12
_SOLVING = 2e-9
"""Seconds per direction and cubed number of states, roughly."""
_STEP = 0.5
"""Seconds of work between two reports, roughly."""

Item = TypeVar("Item")


class SecondVariation:
    """E_k(n, λ) for many directions and strengths from one diagonalisation without coupling.

    The states without spin-orbit coupling in a window around the Fermi level are kept, and
    H(n) = E + λ Σ_ab R_ab ⟨σ_b ⊗ iΛ_a⟩ is diagonalised between them. States outside of the window
    act by second-order perturbation theory: full (deep) ones through their own energies, too.
    With a window that holds all states the result is exact.

    A new direction or λ costs one small matrix product and diagonalisation per k.

    Args:
        h: a magnetic Hamiltonian with spin-orbit part.
        mesh: divisions of the Γ-centred mesh; default: spacing 0.25 1/Å, 1 across a vacuum.
        smearing: kT of the Fermi–Dirac occupations, eV.
        window: energies below and above the Fermi level, eV: every band that enters it is kept.
        exchange: factor on the exchange field.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, or a parameter out of range.
        ResourceLimitError: the matrices would need more than 4 GB.
    """

    def __init__(
        self,
        h: Hamiltonian,
        mesh: tuple[int, int, int] | None = None,
        smearing: float = 0.1,
        window: tuple[float, float] = DEFAULT_WINDOW,
        exchange: float = 1.0,
        monitor: Monitor | None = None,
    ) -> None:
        shape, self.smearing = checked(h, mesh, smearing, exchange)
        self.window = _checked_window(window)
        self.hamiltonian = h
        self.exchange = SpinState(exchange=exchange).exchange
        monitor = monitor or Monitor()
        began = time.perf_counter()
        monitor.report("Symmetry", 0.0)
        bloch = BlochSum(h, "cpu")
        with single_threaded_blas():
            self.symmetry = magnetic_symmetry(h, shape, bloch)
            self._wedge = self.symmetry.reduction()
            self._kpoints = KMesh(shape).full_kpoints[self._wedge.representatives]
            found = time.perf_counter()
            states = self._bare_states(bloch, monitor)
            energies = np.concatenate([np.concatenate(one.energies, axis=1) for one in states])
            self.fermi = chemical_potential(
                energies, self._wedge.weights, h.n_electrons, self.smearing
            )
            self.ranges = self._ranges(states)
            self._couplings = self._project(states, monitor)
        self.timings = {
            "symmetry": found - began,
            "preparation": time.perf_counter() - found,
        }

    @property
    def mesh(self) -> tuple[int, int, int]:
        """Divisions of the mesh."""
        return self.symmetry.mesh

    @property
    def n_deep(self) -> int:
        """Number of states below the window, at every k."""
        return sum(start for start, _ in self.ranges)

    @property
    def n_active(self) -> int:
        """Number of states in the window, at every k."""
        return sum(stop - start for start, stop in self.ranges)

    def energies(
        self,
        directions: Directions,
        soc: float = 1.0,
        monitor: Monitor | None = None,
        by_k: bool = False,
        interpolate: bool = True,
    ) -> AnisotropyEnergy:
        """F(n) of ``directions`` at the spin-orbit strength ``soc``; see
        :class:`~hamexplorer.properties.anisotropy.result.AnisotropyEnergy`.

        Where there are more directions than F(n), a smooth even function with the magnet's
        symmetry, has independent harmonics, a part of them is computed and the rest interpolated
        (:func:`~hamexplorer.properties.anisotropy.harmonics.interpolated`), if two held-out ones
        confirm it; the result says so. Not with ``by_k`` or a three-component field.
        """
        state = SpinState(soc=soc, exchange=self.exchange)
        monitor = monitor or Monitor()
        began = time.perf_counter()
        h, group = self.hamiltonian, self.symmetry
        first, _, _ = group.classes(directions.vectors)
        resolved, counts = None, [1]
        done = [0.0]

        def compute(chosen: Sequence[int]) -> NDArray[np.float64]:
            some = Directions(directions.theta[first[chosen]], directions.phi[first[chosen]])
            # whether more directions follow is not known before the harmonics' test
            done.append((1.0 + done[-1]) / 2)
            classes = self.classes(some, state.soc, part_of(monitor, done[-2], done[-1]))
            counts.append(largest_mesh(classes))
            return class_free_energies(h, classes, self.smearing)

        with single_threaded_blas():
            if interpolate and not by_k and group.order > 1:
                found = interpolated(directions.vectors[first], group.n, compute)
            elif not by_k:
                found = Interpolation(compute(range(len(first))), len(first), None)
            else:
                classes = self.classes(directions, state.soc, monitor)
                counts.append(largest_mesh(classes))
                values = class_free_energies(h, classes, self.smearing)
                level = float(values[group.classes(directions.vectors)[1], 1].mean())
                resolved = resolve_k(h, directions, group, classes, level, self.smearing)
                found = Interpolation(values, len(first), None)
        return assemble(
            h,
            directions,
            group,
            found.values,
            state,
            self.smearing,
            "second variation",
            n_kpoints=max(counts),
            timings={**self.timings, "directions": time.perf_counter() - began},
            window=self.window,
            by_k=resolved,
            n_computed=found.n_computed,
            interpolation_error=None if found.error is None else 1e3 * found.error,
        )

    def window_check(
        self, directions: Directions, soc: float = 1.0, monitor: Monitor | None = None
    ) -> float:
        """Estimated error of energy differences by the window, meV per cell.

        For the first, middle and last of ``directions`` the grand potential is also computed
        exactly, at a dozen k-points and their equivalents. The largest mean deviation of its
        differences, plus the standard error of that mean over the k-points, is returned.
        """
        monitor = monitor or Monitor()
        middle = len(directions) // 2
        chosen = sorted({0, middle, len(directions) - 1})
        count = len(self._couplings)
        sample = np.unique(np.linspace(0, count - 1, min(count, _CHECKED_KPOINTS)).astype(int))
        error = np.zeros((len(chosen), count))
        kpoints = KMesh(self.mesh).full_kpoints
        with single_threaded_blas():
            for row, index in enumerate(chosen):
                part = part_of(monitor, row / len(chosen), (row + 1) / len(chosen), "Window check")
                part.report("exact", 0.0)
                points = self._points(directions, index)
                points = points.subset(np.isin(points.source, sample))
                state = SpinState(
                    soc=soc,
                    theta=float(directions.theta[index]),
                    phi=float(directions.phi[index]),
                    exchange=self.exchange,
                )
                exact = BandSolver(self.hamiltonian, kpoints[points.mesh_index]).energies(state)
                levels, constant = self._solve(points, soc, part)
                apart = (
                    grand_potential(levels, self.fermi, self.smearing)
                    + constant
                    - self.n_deep * self.fermi
                    - grand_potential(exact, self.fermi, self.smearing)
                )
                error[row] = np.bincount(points.source, points.weights * apart, minlength=count)
        weights = self._wedge.weights[sample]
        by_k = error[1:, sample] / weights - error[0, sample] / weights
        if not by_k.size:
            return 0.0
        weights = weights / weights.sum()
        mean = by_k @ weights
        spread = np.sqrt(((by_k - mean[:, None]) ** 2 @ weights) / len(sample))
        return float(1e3 * (np.abs(mean) + spread).max())

    # --- preparation ------------------------------------------------------------------------

    def _bare_states(self, bloch: BlochSum, monitor: Monitor) -> list[BareStates]:
        """States at all irreducible k-points, in chunks."""
        n, nk = self.hamiltonian.basis.n_orbitals, len(self._kpoints)
        need = 16.0 * nk * 5 * n * n
        if need > _MAX_BYTES:
            raise ResourceLimitError(
                f"The states of {n} orbitals at {nk} k-points need {need / 1e9:.1f} GB, the limit "
                f"is {_MAX_BYTES / 1e9:.0f} GB; use a coarser mesh or the exact method."
            )
        size = max(1, int(_CHUNK_BYTES / (16.0 * n * n * 10)))
        workers = usable_cores()
        count = min(nk, workers * math.ceil(nk / size / workers))
        parts = np.array_split(self._kpoints, count)
        states: list[BareStates] = []
        for some in _grouped(parts, 2 * workers):
            monitor.report("States without spin-orbit", 0.6 * len(states) / count)
            states += map_chunks(lambda k: bare_states(bloch, k, self.exchange), some)
        return states

    def _ranges(self, states: list[BareStates]) -> tuple[tuple[int, int], ...]:
        """Bands of every channel that enter the window somewhere: the same at all k."""
        below, above = self.window
        ranges = []
        for channel in range(len(states[0].energies)):
            energies = np.concatenate([one.energies[channel] for one in states])
            start = int((energies.max(axis=0) < self.fermi - below).sum())
            stop = energies.shape[1] - int((energies.min(axis=0) > self.fermi + above).sum())
            ranges.append((start, max(start, stop)))
        if not sum(stop - start for start, stop in ranges):
            raise SettingsError(
                f"No band enters the window from {below:g} eV below to {above:g} eV above the "
                "Fermi level."
            )
        return tuple(ranges)

    def _project(self, states: list[BareStates], monitor: Monitor) -> list[Couplings]:
        couplings: list[Couplings] = []
        for some in _grouped(states, 2 * usable_cores()):
            monitor.report("Spin-orbit matrix", 0.6 + 0.4 * len(couplings) / len(self._kpoints))
            for solved in map_chunks(lambda part: project(part, self.ranges, self.fermi), some):
                couplings += solved
            need = couplings[0].nbytes * len(self._kpoints)
            if need > _MAX_BYTES:
                raise ResourceLimitError(
                    f"The spin-orbit matrices of the window need {need / 1e9:.1f} GB, the limit "
                    f"is {_MAX_BYTES / 1e9:.0f} GB; narrow the window or coarsen the mesh."
                )
        return couplings

    # --- directions -------------------------------------------------------------------------

    def classes(self, directions: Directions, soc: float, monitor: Monitor) -> list[ClassEnergies]:
        """Energies of one direction of every class, as :func:`assemble` takes them."""
        first, _, _ = self.symmetry.classes(directions.vectors)
        points = [self._points(directions, index) for index in first]
        levels, constant = self._solve(DirectionPoints.joined(points), soc, monitor)
        edges = np.cumsum([len(some.source) for some in points])[:-1]
        return [
            ClassEnergies(level, some.reduction, shift, self.n_deep)
            for level, some, shift in zip(
                np.split(levels, edges), points, np.split(constant, edges), strict=True
            )
        ]

    def _points(self, directions: Directions, index: int) -> DirectionPoints:
        return points_of(directions, index, self.symmetry, self._wedge)

    def _solve(
        self, points: DirectionPoints, soc: float, monitor: Monitor
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energies in the window (n, M) and the deep states' sum (n,) at ``points``, eV."""
        order = np.argsort(points.source, kind="stable")
        starts = np.searchsorted(points.source[order], np.arange(len(self._couplings) + 1))
        batch = max(1, int(_BATCH_BYTES / (48.0 * self.n_active**2)))
        tasks = [
            (k, order[start : min(start + batch, stop)])
            for k, (first, stop) in enumerate(pairwise(starts))
            for start in range(first, stop, batch)
        ]
        levels = np.empty((len(points.source), self.n_active))
        constant = np.empty(len(points.source))

        def solve(task: tuple[int, NDArray[np.int64]]) -> None:
            k, target = task
            levels[target], constant[target] = self._couplings[k].solve(soc * points.turns[target])

        done = 0
        per_task = _SOLVING * self.n_active**3 * len(points.source) / len(tasks)
        size = max(usable_cores(), int(_STEP * usable_cores() / per_task))
        for some in _grouped(tasks, size):
            monitor.report("Directions", done / len(tasks))
            map_chunks(solve, some)
            done += len(some)
        return levels, constant


def _checked_window(window: tuple[float, float]) -> tuple[float, float]:
    try:
        below, above = (float(w) for w in window)
    except (TypeError, ValueError):
        below = above = float("nan")
    if not (below > 0 and above > 0):
        raise SettingsError(
            "The window is two positive energies, eV below and above the Fermi level, such as "
            f"{DEFAULT_WINDOW}; not {window!r}."
        )
    return below, above


def _grouped(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
