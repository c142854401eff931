"""The fast route: spin-orbit coupling as a matrix between the states without it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.assembly import ClassEnergies, assemble
from hamexplorer.properties.anisotropy.checks import checked
from hamexplorer.properties.anisotropy.couplings import (
    BareStates,
    KCouplings,
    bare_states,
    project,
)
from hamexplorer.properties.anisotropy.directions import Directions, angles
from hamexplorer.properties.anisotropy.free_energy import chemical_potential, grand_potential
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy
from hamexplorer.properties.anisotropy.symmetry import MagneticSymmetry, magnetic_symmetry
from hamexplorer.properties.mesh import KMesh
from hamexplorer.properties.parallel import map_chunks, worker_count
from hamexplorer.properties.solver import BandSolver

__all__ = ["DEFAULT_WINDOW", "SecondVariation"]

DEFAULT_WINDOW = (12.0, 12.0)
"""eV below and above the Fermi level."""
_MAX_BYTES = 4e9
_BATCH_BYTES = 3e7
_CLOSE = 1.0
"""eV. Pairs of states closer than about this are not treated in second order."""
_CHECKED_KPOINTS = 12

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class _Task:
    """Directions to be solved at one irreducible k: their rotations and where results go."""

    couplings: int
    turns: NDArray[np.float64]
    target: NDArray[np.int64]


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
        self.symmetry: MagneticSymmetry = magnetic_symmetry(h, shape)
        self._wedge = self.symmetry.reduction()
        self._kpoints = KMesh(shape).full_kpoints[self._wedge.representatives]
        found = time.perf_counter()
        states = self._bare_states(monitor)
        energies = np.stack([np.concatenate(one.energies) for one in states])
        self.fermi = chemical_potential(energies, self._wedge.weights, h.n_electrons, self.smearing)
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
    def n_active(self) -> int:
        """Number of states in the window, at every k."""
        return sum(stop - start for start, stop in self.ranges)

    def energies(
        self,
        directions: Directions,
        soc: float = 1.0,
        monitor: Monitor | None = None,
        by_k: bool = False,
    ) -> AnisotropyEnergy:
        """F(n) of ``directions`` at the spin-orbit strength ``soc``; see
        :class:`~hamexplorer.properties.anisotropy.result.AnisotropyEnergy`.
        """
        state = SpinState(soc=soc, exchange=self.exchange)
        began = time.perf_counter()
        classes = self._classes(directions, state.soc, monitor or Monitor())
        return assemble(
            self.hamiltonian,
            directions,
            self.symmetry,
            classes,
            state,
            self.smearing,
            "second variation",
            window=self.window,
            timings={**self.timings, "directions": time.perf_counter() - began},
            by_k=by_k,
        )

    def window_check(
        self, directions: Directions, soc: float = 1.0, monitor: Monitor | None = None
    ) -> float:
        """Estimated error of energy differences by the window, meV per cell.

        At a dozen k-points and the first, middle and last of ``directions`` the grand potential
        is also computed exactly. The largest mean deviation of its differences, plus twice the
        standard error of that mean over the k-points, is returned.
        """
        monitor = monitor or Monitor()
        chosen = sorted({0, len(directions) // 2, len(directions) - 1})
        count = len(self._couplings)
        at = np.unique(np.linspace(0, count - 1, min(count, _CHECKED_KPOINTS)).astype(int))
        solver = BandSolver(self.hamiltonian, self._kpoints[at])
        error = np.empty((len(chosen), len(at)))
        for row, index in enumerate(chosen):
            monitor.report("Window check", row / len(chosen))
            state = SpinState(
                soc=soc,
                theta=float(directions.theta[index]),
                phi=float(directions.phi[index]),
                exchange=self.exchange,
            )
            exact = grand_potential(solver.energies(state), self.fermi, self.smearing)
            turn = state.rotation[None]
            for place, k in enumerate(at):
                levels, constant = _solve(self._couplings[k], turn, soc)
                fast = grand_potential(levels, self.fermi, self.smearing)
                frozen = constant - self._couplings[k].n_deep * self.fermi
                error[row, place] = float((fast + frozen)[0]) - exact[place]
        apart = error[1:] - error[0]
        if not apart.size:
            return 0.0
        spread = apart.std(axis=1) / np.sqrt(len(at))
        return float(1e3 * (np.abs(apart.mean(axis=1)) + 2 * spread).max())

    # --- preparation ------------------------------------------------------------------------

    def _bare_states(self, monitor: Monitor) -> list[BareStates]:
        n = self.hamiltonian.basis.n_orbitals
        need = 16.0 * len(self._kpoints) * 5 * n * n
        if need > _MAX_BYTES:
            raise ResourceLimitError(
                f"The states of {n} orbitals at {len(self._kpoints)} k-points need "
                f"{need / 1e9:.1f} GB, the limit is {_MAX_BYTES / 1e9:.0f} GB; use a coarser mesh "
                "or the exact method."
            )
        bloch = BlochSum(self.hamiltonian, "cpu")
        size = max(1, int(8e6 / (16.0 * n * n * 10)))
        parts = np.array_split(self._kpoints, max(1, int(np.ceil(len(self._kpoints) / size))))
        states: list[BareStates] = []
        for group in _grouped(parts, 4 * worker_count()):
            monitor.report("States without spin-orbit", 0.6 * len(states) / len(self._kpoints))
            for solved in map_chunks(lambda k: bare_states(bloch, k, self.exchange), group):
                states += solved
        return states

    def _ranges(self, states: list[BareStates]) -> tuple[tuple[int, int], ...]:
        """Bands of every channel that enter the window somewhere: the same at all k."""
        below, above = self.window
        ranges = []
        for channel in range(len(states[0].energies)):
            energies = np.stack([one.energies[channel] for one in states])
            start = int((energies.max(axis=0) < self.fermi - below).sum())
            stop = energies.shape[1] - int((energies.min(axis=0) > self.fermi + above).sum())
            ranges.append((start, max(start, stop)))
        if not sum(stop - start for start, stop in ranges):
            raise SettingsError(
                f"No band enters the window from {below:g} eV below to {above:g} eV above the "
                "Fermi level."
            )
        return tuple(ranges)

    def _project(self, states: list[BareStates], monitor: Monitor) -> list[KCouplings]:
        couplings: list[KCouplings] = []
        for group in _grouped(states, 8 * worker_count()):
            monitor.report("Spin-orbit matrix", 0.6 + 0.4 * len(couplings) / len(states))
            couplings += map_chunks(lambda one: project(one, self.ranges), group)
            need = couplings[0].nbytes * len(states)
            if need > _MAX_BYTES:
                raise ResourceLimitError(
                    f"The spin-orbit matrices of the window need {need / 1e9:.1f} GB, the limit "
                    f"is {_MAX_BYTES / 1e9:.0f} GB; narrow the window or coarsen the mesh."
                )
        return couplings

    # --- directions -------------------------------------------------------------------------

    def _classes(self, directions: Directions, soc: float, monitor: Monitor) -> list[ClassEnergies]:
        group, wedge = self.symmetry, self._wedge
        first, _, _ = group.classes(directions.vectors)
        reductions = [
            group.reduction(group.little_group(directions.vectors[index])) for index in first
        ]
        # k' = K_o k with k in the wedge: E_k'(n) = E_k(N_o⁻¹ n)
        source = wedge.expansion
        operation = np.zeros(len(source), dtype=np.int64)
        for o in range(group.order - 1, -1, -1):
            operation[group.images[o, wedge.representatives]] = o
        edges = np.cumsum([0, *(len(r.representatives) for r in reductions)])
        points = np.concatenate([r.representatives for r in reductions])
        turns = np.concatenate(
            [
                _turns(directions, index, group, operation[reduction.representatives])
                for index, reduction in zip(first, reductions, strict=True)
            ]
        )
        order = np.argsort(source[points], kind="stable")
        starts = np.searchsorted(source[points][order], np.arange(len(self._couplings) + 1))
        tasks = [
            _Task(k, turns[order[a:b]], order[a:b])
            for k, (a, b) in enumerate(pairwise(starts))
            if b > a
        ]
        levels = np.empty((len(points), self.n_active))
        constant = np.empty(len(points))
        done = 0
        for some in _grouped(tasks, 8 * worker_count()):
            monitor.report("Directions", done / len(tasks))
            solved = map_chunks(lambda t: _solve(self._couplings[t.couplings], t.turns, soc), some)
            for task, (values, shift) in zip(some, solved, strict=True):
                levels[task.target], constant[task.target] = values, shift
            done += len(some)
        n_deep = self._couplings[0].n_deep
        return [
            ClassEnergies(levels[a:b], reduction, constant[a:b], n_deep)
            for reduction, a, b in zip(reductions, edges[:-1], edges[1:], strict=True)
        ]


def _turns(
    directions: Directions,
    index: int,
    group: MagneticSymmetry,
    operations: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Rotations R(N⁻¹ n), (nk, 3, 3), for the operations that bring the k-points about."""
    theta, phi = directions.theta[index], directions.phi[index]
    if group.order == 1:
        turn = SpinState(theta=float(theta), phi=float(phi)).rotation
        return np.broadcast_to(turn, (len(operations), 3, 3))
    back = np.swapaxes(group.n, 1, 2) @ directions.vectors[index]
    thetas, phis = angles(back)
    turns = np.stack(
        [SpinState(theta=t, phi=p).rotation for t, p in zip(thetas, phis, strict=True)]
    )
    return turns[operations]


def _solve(
    couplings: KCouplings, turns: NDArray[np.float64], soc: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies of the active states (nd, M) and Σ E of the deep ones (nd,), eV."""
    size, outer = len(couplings.active), len(couplings.outer)
    batch = max(1, int(_BATCH_BYTES / (16.0 * size * (size + 2 * outer) + 1)))
    parts = [
        _solve_batch(couplings, soc * turns[start : start + batch])
        for start in range(0, len(turns), batch)
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _solve_batch(
    couplings: KCouplings, turns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count, size = len(turns), len(couplings.active)
    matrix = np.zeros((count, size, size), dtype=complex)
    for block in couplings.within:
        block.add_to(matrix, turns)
    diagonal = np.arange(size)
    matrix[:, diagonal, diagonal] += couplings.active
    constant = np.full(count, couplings.outer[: couplings.n_deep].sum())
    for block in couplings.deep:
        value = np.zeros((count, 1, 1), dtype=complex)
        block.add_to(value, turns)
        constant += value[:, 0, 0].real
    if couplings.across:
        across = np.zeros((count, size, len(couplings.outer)), dtype=complex)
        for block in couplings.across:
            block.add_to(across, turns)
        kernel = _kernel(couplings.active[:, None] - couplings.outer)
        folded = (across * kernel) @ across.conj().swapaxes(1, 2)
        matrix += (folded + folded.conj().swapaxes(1, 2)) / 2
        deep = slice(0, couplings.n_deep)
        constant -= ((np.abs(across[:, :, deep]) ** 2) * kernel[:, deep]).sum(axis=(1, 2))
    return np.linalg.eigvalsh(matrix), constant


def _kernel(gap: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/Δ where |Δ| ≫ 1 eV and 0 at Δ = 0: (1 − exp(−Δ²/η²))/Δ.

    Pairs of near states lie at an edge of the window, both full or both empty; what the one gains
    the other loses, whatever the kernel.
    """
    square = (gap / _CLOSE) ** 2
    safe = np.where(np.abs(gap) > 1e-8, gap, 1.0)
    return np.where(np.abs(gap) > 1e-8, -np.expm1(-square) / safe, 0.0)


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
