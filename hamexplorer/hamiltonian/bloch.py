"""Bloch sums M(k) = Σ_R exp(2πi k·R) M[R], batched over k, and the spinor Hamiltonian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.hamiltonian.components import transposition_sign
from hamexplorer.hamiltonian.core import Hamiltonian
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.hamiltonian.spin import SpinState

__all__ = [
    "BlochMatrices",
    "BlochSum",
    "PairSum",
    "checked_kpoints",
    "default_device",
    "spinor_matrix",
]


def default_device() -> torch.device:
    """CUDA if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, eq=False)
class BlochMatrices:
    """Matrices at nk k-points, complex128 tensors; n is the number of spatial orbitals.

    Attributes:
        overlap: S(k), (nk, n, n), Hermitian.
        scalar: H_scalar(k) + iA(k), (nk, n, n), eV, Hermitian: all that does not act on spin. Only
            without A is it the complex conjugate of that at −k.
        exchange: None or B_a(k), (nk, c, n, n), eV, Hermitian; c = 1 collinear, 3 otherwise.
        spin_orbit: None or i Λ_a(k), (nk, 3, n, n), eV, Hermitian (λ not applied).
    """

    overlap: torch.Tensor
    scalar: torch.Tensor
    exchange: torch.Tensor | None
    spin_orbit: torch.Tensor | None

    @property
    def n_kpoints(self) -> int:
        """Number of k-points."""
        return int(self.scalar.shape[0])

    @property
    def n_orbitals(self) -> int:
        """Number of spatial orbitals."""
        return int(self.scalar.shape[-1])

    def spinor(self, state: SpinState | None = None) -> torch.Tensor:
        """H(k; λ, n), (nk, 2n, 2n), eV, spin-major; see :func:`spinor_matrix`."""
        return spinor_matrix(self.scalar, self.exchange, self.spin_orbit, state or SpinState())

    def spinor_overlap(self) -> torch.Tensor:
        """S(k) ⊗ 1, (nk, 2n, 2n)."""
        zero = torch.zeros_like(self.overlap)
        return _spin_blocks(self.overlap, zero, zero, self.overlap)

    def transformed(self, x: torch.Tensor) -> BlochMatrices:
        """X† M X for every matrix, X (nk, n, m): the same operators in other orbitals."""
        xh = x.mH

        def apply(m: torch.Tensor | None) -> torch.Tensor | None:
            return None if m is None else xh[:, None] @ m @ x[:, None]

        return BlochMatrices(
            xh @ self.overlap @ x,
            xh @ self.scalar @ x,
            apply(self.exchange),
            apply(self.spin_orbit),
        )


def spinor_matrix(
    scalar: torch.Tensor,
    exchange: torch.Tensor | None,
    spin_orbit: torch.Tensor | None,
    state: SpinState,
) -> torch.Tensor:
    """H = (H_scalar + iA) ⊗ 1 + Σ_a σ_a ⊗ (n_a B + λ iΛ_a) in spin-major order.

    ``scalar`` = H_scalar + iA (nk, n, n), ``exchange`` (nk, 1 or 3, n, n) or None,
    ``spin_orbit`` = iΛ_a (nk, 3, n, n) or None, all Hermitian; returns (nk, 2n, 2n), Hermitian.
    A three-component exchange field is turned as a whole by R_z(φ) R_y(θ).
    """
    vector: list[torch.Tensor] = [torch.zeros_like(scalar) for _ in range(3)]
    if exchange is not None and state.exchange != 0:
        turn = state.rotation if exchange.shape[1] == 3 else state.rotation[:, 2:]
        for a in range(3):
            for b in range(exchange.shape[1]):
                if abs(turn[a, b]) > 1e-15:
                    vector[a] = vector[a] + (state.exchange * turn[a, b]) * exchange[:, b]
    if spin_orbit is not None and state.soc != 0:
        vector = [v + state.soc * spin_orbit[:, a] for a, v in enumerate(vector)]
    x, y, z = vector
    return _spin_blocks(scalar + z, x - 1j * y, x + 1j * y, scalar - z)


def _spin_blocks(
    upup: torch.Tensor, updown: torch.Tensor, downup: torch.Tensor, downdown: torch.Tensor
) -> torch.Tensor:
    return torch.cat(
        [torch.cat([upup, updown], dim=-1), torch.cat([downup, downdown], dim=-1)], dim=-2
    )


class PairSum:
    """Sums flat arrays of blocks, M(k) = Σ_R exp(2πi k·R) M[R], at any k-points.

    Cost and memory grow with the number of stored pairs: the blocks of one pair of sites (i, j)
    and all components stand as one matrix (n_R, components · n_i · n_j), multiplied by the phases
    (nk, n_R); only i ≤ j is summed, the rest follows from M[R]ᵀ = sign · M[−R].

    Args:
        pairs: the index of the blocks.
        flat: components (c, n_elements), real.
        signs: (c,), +1 where M[R] = M[−R]ᵀ (M(k) Hermitian), −1 where M[R] = −M[−R]ᵀ (M(k)
            anti-Hermitian).
        device: where the sums run.
    """

    def __init__(
        self,
        pairs: Pairs,
        flat: NDArray[np.float64],
        signs: NDArray[np.float64],
        device: torch.device,
    ) -> None:
        self.device = device
        self.n_components = len(flat)
        self._signs = torch.as_tensor(signs, dtype=torch.float64, device=device)[:, None, None]
        self._offsets = np.concatenate([[0], np.cumsum(pairs.sizes)]).tolist()
        self._groups = self._group(pairs, flat)

    def _group(
        self, pairs: Pairs, flat: NDArray[np.float64]
    ) -> list[tuple[int, int, torch.Tensor, torch.Tensor]]:
        code = pairs.first * len(pairs.sizes) + pairs.second
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
        groups = []
        for members in np.split(order, starts[1:]):
            i, j = int(pairs.first[members[0]]), int(pairs.second[members[0]])
            if i > j:
                continue
            size = int(pairs.sizes[i] * pairs.sizes[j])
            elements = pairs.offsets[members][:, None] + np.arange(size)
            blocks = flat[:, elements].transpose(1, 0, 2).reshape(len(members), -1)
            groups.append(
                (
                    i,
                    j,
                    torch.as_tensor(pairs.cell[members].astype(float), device=self.device),
                    torch.as_tensor(np.ascontiguousarray(blocks), device=self.device),
                )
            )
        return groups

    @property
    def nbytes(self) -> int:
        """Memory of the stored blocks."""
        return sum(cells.nbytes + blocks.nbytes for *_, cells, blocks in self._groups)

    def __call__(self, kpoints: NDArray[np.float64]) -> torch.Tensor:
        """(nk, c, n, n), complex128, at ``kpoints`` (nk, 3), fractional."""
        k = torch.as_tensor(kpoints, device=self.device)
        edges = self._offsets
        n, count = edges[-1], self.n_components
        result = torch.zeros(len(k), count, n, n, dtype=torch.complex128, device=self.device)
        for i, j, cells, blocks in self._groups:
            angle = 2 * torch.pi * (k @ cells.T)
            block = torch.complex(torch.cos(angle) @ blocks, torch.sin(angle) @ blocks)
            rows, columns = slice(edges[i], edges[i + 1]), slice(edges[j], edges[j + 1])
            block = block.reshape(len(k), count, edges[i + 1] - edges[i], edges[j + 1] - edges[j])
            result[:, :, rows, columns] = block
            if i != j:
                result[:, :, columns, rows] = self._signs * block.mH
        return result


class BlochSum:
    """Sums the stored blocks of a Hamiltonian to matrices at any k-points; see :class:`PairSum`.

    Args:
        h: the Hamiltonian.
        device: where the sums run; default: CUDA if there is one.
        max_bytes: largest dense result; beyond it use :meth:`sparse`.

    Raises:
        SettingsError: ``device`` is not one of this machine.
    """

    def __init__(
        self,
        h: Hamiltonian,
        device: torch.device | str | None = None,
        max_bytes: float = 8e9,
    ) -> None:
        self.hamiltonian = h
        self.device = default_device() if device is None else _device(device)
        self.max_bytes = max_bytes
        self._names = h.components
        self._sum = PairSum(
            h.pairs,
            np.stack([h.component(name) for name in self._names]),
            np.array([transposition_sign(name) for name in self._names]),
            self.device,
        )

    def __call__(self, kpoints: ArrayLike) -> BlochMatrices:
        """Matrices at ``kpoints`` (nk, 3), fractional.

        Raises:
            SettingsError: ``kpoints`` is not (nk, 3) or not finite.
            ResourceLimitError: the dense result would exceed ``max_bytes``.
        """
        k = checked_kpoints(kpoints)
        n, count = self.hamiltonian.basis.n_orbitals, len(self._names)
        need = 16.0 * len(k) * count * n * n
        if need > self.max_bytes:
            raise ResourceLimitError(
                f"Dense matrices of {n} orbitals at {len(k)} k-points need {need / 1e9:.1f} GB, "
                f"the limit is {self.max_bytes / 1e9:.1f} GB. Ask for fewer k-points at once or "
                "for sparse matrices."
            )
        return self._named(self._sum(k))

    def _named(self, result: torch.Tensor) -> BlochMatrices:
        names = self._names
        exchange = [a for a, name in enumerate(names) if name[0] == "B"]
        spin_orbit = [a for a, name in enumerate(names) if name[0] == "L"]
        scalar = result[:, 1]
        if "A" in names:
            scalar = scalar + 1j * result[:, names.index("A")]
        return BlochMatrices(
            result[:, 0],
            scalar,
            result[:, exchange] if exchange else None,
            1j * result[:, spin_orbit] if spin_orbit else None,
        )

    def sparse(
        self, kpoint: ArrayLike, state: SpinState | None = None
    ) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
        """Spinor H(k) and S(k) ⊗ 1 at one k-point as sparse matrices (2n, 2n), eV.

        Raises:
            SettingsError: not one finite k-point.
        """
        h, pairs = self.hamiltonian, self.hamiltonian.pairs
        k = checked_kpoints(kpoint)
        if len(k) != 1:
            raise SettingsError(f"Sparse matrices are made at one k-point at a time, not {len(k)}.")
        state = state or SpinState()
        n = h.basis.n_orbitals
        rows, columns = pairs.element_orbitals
        phase = np.exp(2j * np.pi * (pairs.cell @ k[0]))[pairs.element_pair]
        vector = np.zeros((3, pairs.n_elements), dtype=complex)
        if h.exchange is not None:
            exchange = np.atleast_2d(h.exchange)
            turn = state.rotation if len(exchange) == 3 else state.rotation[:, 2:]
            vector += state.exchange * (turn @ exchange)
        if h.spin_orbit is not None:
            vector += 1j * state.soc * h.spin_orbit
        x, y, z = vector
        scalar = h.scalar if h.time_odd is None else h.scalar + 1j * h.time_odd
        blocks = (scalar + z, x - 1j * y, x + 1j * y, scalar - z)
        hamiltonian = scipy.sparse.coo_array(
            (
                np.concatenate([block * phase for block in blocks]),
                (
                    np.concatenate([rows, rows, rows + n, rows + n]),
                    np.concatenate([columns, columns + n, columns, columns + n]),
                ),
            ),
            shape=(2 * n, 2 * n),
        )
        overlap = scipy.sparse.coo_array(
            (
                np.tile(h.overlap * phase, 2),
                (np.concatenate([rows, rows + n]), np.concatenate([columns, columns + n])),
            ),
            shape=(2 * n, 2 * n),
        )
        return hamiltonian.tocsr(), overlap.tocsr()


def _device(given: torch.device | str) -> torch.device:
    try:
        device = torch.device(given)
        torch.empty(0, dtype=torch.complex128, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise SettingsError(
            f"Device {str(given)!r} cannot be used here ({str(error).splitlines()[0]}); "
            "accepted are 'cpu', and 'cuda' where there is one."
        ) from error
    return device


def checked_kpoints(kpoints: ArrayLike) -> NDArray[np.float64]:
    """``kpoints`` as a contiguous (nk, 3) array, or :class:`SettingsError`."""
    try:
        k = np.atleast_2d(np.asarray(kpoints, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"k-points must be numbers of shape (nk, 3): {error}.") from error
    if k.ndim != 2 or k.shape[1] != 3 or not np.isfinite(k).all():
        raise SettingsError(
            f"k-points must be finite fractional coordinates of shape (nk, 3), not {k.shape}."
        )
    return np.ascontiguousarray(k)
