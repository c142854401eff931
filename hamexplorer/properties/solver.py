"""Band energies and states: the overlap is reduced once per k, spin is turned afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.errors import HamiltonianError, SettingsError
from hamexplorer.hamiltonian import (
    BlochSum,
    Hamiltonian,
    SpinState,
    default_device,
    spinor_matrix,
)
from hamexplorer.properties.memory import check_memory
from hamexplorer.properties.parallel import map_chunks

__all__ = ["BandSolver", "BandStates", "spin_structure"]

_CHUNK_BYTES = {"cpu": 1.2e7, "cuda": 1.5e9}
_ALWAYS_FITS = 1e9
_SINGULAR_PIVOT = 1e-9
"""Smallest squared Cholesky pivot of S(k); below it, errors of H grow beyond 1e-5 eV."""

Result = TypeVar("Result")
_Array = NDArray[Any]
SpinStructure = Literal["degenerate", "collinear", "spinor"]


@dataclass(frozen=True, eq=False)
class BandStates:
    """Eigenstates of H(k) c = E S(k) c in the original, non-orthogonal orbitals.

    Attributes:
        kpoints: (nk, 3), fractional.
        energies: (nk, nb), eV, ascending.
        coefficients: c, (nk, 2n, nb), spin-major rows, normalised to c† (S ⊗ 1) c = 1.
        duals: (S ⊗ 1) c, (nk, 2n, nb): what Mulliken weights and spin expectation need.
        first_band: index of the first band in ``energies`` among all 2n.
    """

    kpoints: NDArray[np.float64]
    energies: NDArray[np.float64]
    coefficients: NDArray[np.complex128]
    duals: NDArray[np.complex128]
    first_band: int = 0


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Some k-points' matrices between orthonormal orbitals: L⁻¹ M L⁻†, with S = L L†."""

    lower: torch.Tensor
    scalar: torch.Tensor
    exchange: torch.Tensor | None
    spin_orbit: torch.Tensor | None


def spin_structure(h: Hamiltonian, state: SpinState) -> SpinStructure:
    """What spin does to the bands of ``h`` in ``state``.

    ``degenerate``: nothing, every band is twofold; ``collinear``: S·n is conserved (no
    spin-orbit part, one exchange component); ``spinor``: neither.
    """
    if h.has_spin_orbit and state.soc != 0:
        return "spinor"
    if h.exchange is None or state.exchange == 0:
        return "degenerate"
    return "collinear" if h.exchange.ndim == 1 else "spinor"


class BandSolver:
    """Solves H(k; λ, n) c = E S(k) c at fixed k-points for any spin state.

    The overlap is factorised once per k, S = L L†, and H_scalar, B and iΛ are brought between
    orthonormal orbitals, L⁻¹ M L⁻†. A new :class:`SpinState` then costs one sum and one ordinary
    diagonalisation: n × n where spin plays no part, twice n × n for a collinear field without
    spin-orbit coupling, 2n × 2n otherwise.

    Args:
        h: the Hamiltonian.
        kpoints: (nk, 3), fractional.
        device: where the matrices live; default CUDA if there is one. On the CPU the k-points are
            shared out over the cores with one BLAS thread each.
        max_bytes: reduced matrices up to this size are kept; beyond it they are made anew,
            chunk by chunk, at every call.
        bloch: the Bloch sum of ``h`` on ``device``, if there is one already.

    Raises:
        HamiltonianError: S(k) is not positive definite at some k, or nearly singular.
        SettingsError: k-points of a wrong shape, or none.
        ResourceLimitError: one k-point's matrices do not fit into the memory that is free.
    """

    def __init__(
        self,
        h: Hamiltonian,
        kpoints: ArrayLike,
        device: torch.device | str | None = None,
        *,
        max_bytes: float = 2e9,
        bloch: BlochSum | None = None,
    ) -> None:
        k = np.atleast_2d(np.asarray(kpoints, dtype=np.float64))
        if k.ndim != 2 or k.shape[1] != 3 or len(k) == 0 or not np.isfinite(k).all():
            raise SettingsError(
                f"k-points must be finite fractional coordinates of shape (nk, 3), not {k.shape}."
            )
        self.hamiltonian = h
        self.kpoints = k
        self.device = torch.device(device) if device is not None else default_device()
        self._check_memory()
        self._bloch = bloch or BlochSum(h, self.device)
        self._edges = self._split()
        n = h.basis.n_orbitals
        kept = 16.0 * len(k) * n * n * len(h.components)
        self._kept: list[_Reduced] | None = None
        if kept <= max_bytes:
            self._kept = self._map(self._reduce)

    @property
    def n_bands(self) -> int:
        """Number of spinor bands, 2n."""
        return 2 * self.hamiltonian.basis.n_orbitals

    def energies(
        self, state: SpinState | None = None, *, window: tuple[int, int] | None = None
    ) -> NDArray[np.float64]:
        """Band energies (nk, nb), eV, ascending at every k.

        ``window`` = (first, last): only these bands, counted from 0, both included.

        Raises:
            SettingsError: the window lies outside 0 … 2n − 1.
        """
        state = state or SpinState()
        bands = self.band_slice(window)
        parts = self._map(lambda chunk: self._chunk_energies(chunk, state))
        return np.concatenate(parts)[:, bands]

    def states(
        self, state: SpinState | None = None, *, window: tuple[int, int] | None = None
    ) -> BandStates:
        """Band energies and states; ``window`` as in :meth:`energies`.

        Where spin plays no part the two states of a band are spin up and down along n(θ, φ).
        """
        state = state or SpinState()
        bands = self.band_slice(window)
        parts = self._map(lambda chunk: self._chunk_states(chunk, state, bands))
        energies, coefficients, duals = (np.concatenate(part) for part in zip(*parts, strict=True))
        return BandStates(self.kpoints, energies, coefficients, duals, bands.start)

    # --- k-points in chunks -----------------------------------------------------------------

    @property
    def _bytes_per_k(self) -> float:
        """While one k-point is reduced and diagonalised."""
        n, components = self.hamiltonian.basis.n_orbitals, len(self.hamiltonian.components)
        return 16.0 * n * n * (2 * components + 12)

    def _check_memory(self) -> None:
        need = self._bytes_per_k * min(usable_cores(), len(self.kpoints))
        if self.device.type == "cpu" and need > _ALWAYS_FITS:
            check_memory(
                need,
                f"All bands of {self.hamiltonian.basis.n_orbitals} orbitals",
                "Bands around the gap alone take less: --near-gap 40 on the command line, "
                "near_gap=40 in Python.",
            )

    def _split(self) -> list[int]:
        """Edges of the chunks, (n_chunks + 1,)."""
        on_cpu = self.device.type == "cpu"
        size = max(1, int(_CHUNK_BYTES["cpu" if on_cpu else "cuda"] / self._bytes_per_k))
        count = math.ceil(len(self.kpoints) / size)
        if on_cpu:
            workers = usable_cores()
            count = min(len(self.kpoints), workers * math.ceil(count / workers))
        return [round(i * len(self.kpoints) / count) for i in range(count + 1)]

    def _map(self, function: Callable[[int], Result]) -> list[Result]:
        chunks = range(len(self._edges) - 1)
        if self.device.type == "cpu":
            return map_chunks(function, chunks)
        return [function(chunk) for chunk in chunks]

    def _matrices(self, chunk: int) -> _Reduced:
        return self._kept[chunk] if self._kept is not None else self._reduce(chunk)

    def _reduce(self, chunk: int) -> _Reduced:
        k = self.kpoints[self._edges[chunk] : self._edges[chunk + 1]]
        matrices = self._bloch(k)
        lower, info = torch.linalg.cholesky_ex(matrices.overlap)
        pivot = torch.diagonal(lower, dim1=-2, dim2=-1).real.square().amin(-1)
        bad = (info != 0) | ~(pivot > _SINGULAR_PIVOT)
        if bool(bad.any()):
            _report_singular(matrices.overlap, k, bad)
        identity = torch.eye(matrices.n_orbitals, dtype=lower.dtype, device=lower.device)
        inverse = torch.linalg.solve_triangular(lower, identity.expand_as(lower), upper=False)
        return _Reduced(
            lower,
            inverse @ matrices.scalar @ inverse.mH,
            _congruent(inverse, matrices.exchange),
            _congruent(inverse, matrices.spin_orbit),
        )

    # --- diagonalisation --------------------------------------------------------------------

    def _chunk_energies(self, chunk: int, state: SpinState) -> NDArray[np.float64]:
        blocks = [_eigenvalues(m) for m in self._blocks(self._matrices(chunk), state)]
        if spin_structure(self.hamiltonian, state) == "degenerate":
            blocks = blocks * 2
        return blocks[0] if len(blocks) == 1 else np.sort(np.concatenate(blocks, axis=1), axis=1)

    def _blocks(self, reduced: _Reduced, state: SpinState) -> list[torch.Tensor]:
        """The matrices to diagonalise: one n × n, two n × n (up, down along n), or one 2n × 2n."""
        structure = spin_structure(self.hamiltonian, state)
        if structure == "degenerate":
            return [reduced.scalar]
        if structure == "collinear":
            assert reduced.exchange is not None
            field = state.exchange * reduced.exchange[:, 0]
            return [reduced.scalar + field, reduced.scalar - field]
        return [spinor_matrix(reduced.scalar, reduced.exchange, reduced.spin_orbit, state)]

    def _chunk_states(self, chunk: int, state: SpinState, bands: slice) -> tuple[_Array, ...]:
        reduced = self._matrices(chunk)
        solved = [_eigenstates(m) for m in self._blocks(reduced, state)]
        n = reduced.scalar.shape[-1]
        if len(solved) == 1 and solved[0][0].shape[1] == 2 * n:
            energies, vectors = solved[0]
            energies, vectors = energies[:, bands], vectors[:, :, bands]
        else:
            energies, vectors = _with_spin(solved, state)
            order = torch.argsort(energies, dim=1, stable=True)[:, bands]
            energies = torch.gather(energies, 1, order)
            vectors = torch.gather(vectors, 2, order[:, None].expand(-1, 2 * n, -1))
        spins = vectors.reshape(len(vectors), 2, n, -1)
        lower = reduced.lower[:, None]
        duals = (lower @ spins).reshape(vectors.shape)
        upper = lower.mH.expand(-1, 2, -1, -1)
        coefficients = torch.linalg.solve_triangular(upper, spins, upper=True)
        return (
            energies.cpu().numpy(),
            coefficients.reshape(vectors.shape).cpu().numpy(),
            duals.cpu().numpy(),
        )

    def band_slice(self, window: tuple[int, int] | None) -> slice:
        """The bands of ``window``, all of them for None; SettingsError if it is out of range."""
        if window is None:
            return slice(0, self.n_bands)
        first, last = (int(w) for w in window)
        if not 0 <= first <= last < self.n_bands:
            raise SettingsError(
                f"The band window {window} lies outside 0 … {self.n_bands - 1}; it is "
                "(first, last), both included."
            )
        return slice(first, last + 1)


def _with_spin(
    solved: list[tuple[torch.Tensor, torch.Tensor]], state: SpinState
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spatial states times spinors up and down along n(θ, φ): (nk, 2n), (nk, 2n, 2n)."""
    half, turn = math.radians(state.theta) / 2, np.exp(1j * math.radians(state.phi))
    spinors = (
        (math.cos(half), math.sin(half) * turn),
        (-math.sin(half) / turn, math.cos(half)),
    )
    up, down = solved[0], solved[-1]
    vectors = [
        torch.cat([part * complex(spinor[0]), part * complex(spinor[1])], dim=1)
        for (_, part), spinor in zip((up, down), spinors, strict=True)
    ]
    return torch.cat([up[0], down[0]], dim=1), torch.cat(vectors, dim=2)


def _congruent(inverse: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor | None:
    """L⁻¹ M L⁻† for every component of M (nk, c, n, n)."""
    return None if m is None else inverse[:, None] @ m @ inverse.mH[:, None]


def _eigenvalues(matrices: torch.Tensor) -> NDArray[np.float64]:
    """On the CPU NumPy's LAPACK: 20 % faster than torch's at 104 × 104, and one thread each."""
    if matrices.device.type == "cpu":
        return np.linalg.eigvalsh(matrices.numpy())
    result: NDArray[np.float64] = torch.linalg.eigvalsh(matrices).cpu().numpy()
    return result


def _eigenstates(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if matrices.device.type == "cpu":
        energies, vectors = np.linalg.eigh(matrices.numpy())
        return torch.from_numpy(energies), torch.from_numpy(vectors)
    result = torch.linalg.eigh(matrices)
    return result.eigenvalues, result.eigenvectors


def _report_singular(overlap: torch.Tensor, k: NDArray[np.float64], bad: torch.Tensor) -> None:
    index = int(torch.nonzero(bad)[0, 0])
    smallest = float(torch.linalg.eigvalsh(overlap[index])[0])
    raise HamiltonianError(
        f"The overlap S(k) is not positive definite, or nearly singular, at "
        f"k = {k[index].round(6).tolist()}: its smallest eigenvalue is {smallest:.3e}, needed is "
        f"more than about {_SINGULAR_PIVOT:.0e}. Blocks of S may be missing, or orbitals be "
        "linearly dependent."
    )
