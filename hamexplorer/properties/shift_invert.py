"""One k-point of a large cell: S(k), factors of H(k) − σS(k), and states next to a shift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from hamexplorer.cores import usable_cores
from hamexplorer.errors import HamiltonianError
from hamexplorer.properties.hermitian_factor import (
    HermitianFactor,
    SingularMatrix,
    factorise,
    hermitian_product,
)
from hamexplorer.properties.memory import check_memory
from hamexplorer.properties.parallel import single_threaded_blas
from hamexplorer.properties.pencil import Pencil
from hamexplorer.properties.sparse_factor import SparseFactor, factorise_sparse

__all__ = ["ShiftedPoint", "Workspace", "all_cores", "is_sparse", "point_memory"]

_SPARSE_DENSITY = 0.02
"""Below it SuperLU with its fill is the cheaper of the two."""
_SPARSE_SIZE = 2000
_SINGULAR_PIVOT = 1e-9
"""As in :mod:`hamexplorer.properties.solver`."""

_Array = NDArray[Any]


@contextmanager
def all_cores() -> Iterator[None]:
    """Give torch's products all usable cores in this thread, NumPy's one: two pools of threads
    would wait for each other on the same cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    try:
        with single_threaded_blas():
            yield
    finally:
        torch.set_num_threads(before)


def is_sparse(parts: tuple[Pencil, ...]) -> bool:
    """Whether H(k) is stored sparse: below 2 % filled, and large enough that it matters."""
    return parts[0].size >= _SPARSE_SIZE and parts[0].density < _SPARSE_DENSITY


def point_memory(parts: tuple[Pencil, ...], n_bands: int, *, real: bool = False) -> float:
    """Bytes at the peak for one k-point, beside the Hamiltonian's blocks.

        b (Σ N² + n² + 3 M ΣN) + 0.3 GB,  M = 15 n_bands + 500

    with b = 16 (real: 8) bytes, N the order of H(k) (2n for spinors), n spatial orbitals (for the
    overlap) and M Lanczos vectors. Where H(k) is stored sparse the fill is not known before: 40
    times the stored elements are reckoned.
    """
    item = 8 if real else 16
    total = sum(part.size for part in parts)
    vectors = 3 * min(15 * n_bands + 500, total) * total
    n, density = parts[0].n_orbitals, parts[0].density
    if is_sparse(parts):
        stored = density * sum(part.size**2 for part in parts) + density * n * n
        return item * (40 * stored + vectors) + 3e8
    return item * (sum(part.size**2 for part in parts) + n * n + vectors) + 3e8


class Workspace:
    """Memory for dense factors, used again at the next shift and k-point."""

    def __init__(self) -> None:
        self._flat: dict[tuple[int, torch.dtype], torch.Tensor] = {}

    def matrix(self, index: int, size: int, dtype: torch.dtype) -> torch.Tensor:
        """(size, size) with contiguous columns, of arbitrary content."""
        key = (index, dtype)
        kept = self._flat.get(key)
        if kept is None or kept.numel() < size * size:
            for other in [k for k in self._flat if k[0] == index]:
                del self._flat[other]
            kept = self._flat[key] = torch.empty(size * size, dtype=dtype)
        return kept[: size * size].reshape(size, size).mT


class ShiftedPoint:
    """S(k), and H(k) − σS(k) for any σ, of one or two pencils side by side.

    Two pencils (one for each spin) are one block-diagonal problem: counts and states are those of
    both together, and a vector holds the first's orbitals, then the second's.

    Args:
        parts: see :func:`hamexplorer.properties.pencil.pencils`.
        k: (3,), fractional.
        workspace: memory that is shared with other k-points.

    Raises:
        HamiltonianError: S(k) is not positive definite, or nearly singular.
    """

    def __init__(self, parts: tuple[Pencil, ...], k: _Array, workspace: Workspace) -> None:
        self.parts, self.k = parts, np.asarray(k, dtype=np.float64)
        self.sizes = [part.size for part in parts]
        self.size = sum(self.sizes)
        self.is_real = parts[0].is_real(self.k)
        self.dtype = torch.float64 if self.is_real else torch.complex128
        self.is_sparse = is_sparse(parts)
        self._workspace = workspace
        self._factors: list[HermitianFactor | SparseFactor] = []
        self._overlap: Any = None
        self.n_factorisations = 0

    def prepare(self, tell: Callable[[float], None] | None = None) -> None:
        """S(k), and whether it can be one."""
        part = self.parts[0]
        self._overlap = part.sparse(self.k, 0.0)[1] if self.is_sparse else part.overlap(self.k)
        self._check_overlap(tell)

    def overlap(self, x: torch.Tensor) -> torch.Tensor:
        """S x for columns (size, m), S acting on each spin."""
        n = self.parts[0].n_orbitals
        pieces = [x[start : start + n] for start in range(0, self.size, n)]
        if self.is_sparse:
            return torch.cat([torch.from_numpy(self._overlap @ p.numpy()) for p in pieces])
        wide = self._overlap @ torch.cat(pieces, dim=1)
        return torch.cat(wide.chunk(len(pieces), dim=1)) if x.numel() else x

    def count_below(self, sigma: float, tell: Callable[[float], None] | None = None) -> int:
        """Factorise H(k) − σS(k); how many energies lie below σ, exactly (Sylvester's law of
        inertia). :meth:`solve` then belongs to this σ.

        Raises:
            SingularMatrix: σ is an eigenvalue.
        """
        self._factors = []
        self.n_factorisations += 1
        for index, part in enumerate(self.parts):

            def told(fraction: float, index: int = index) -> None:
                if tell is not None:
                    tell((index + fraction) / len(self.parts))

            told(0.0)
            factor: HermitianFactor | SparseFactor | None = None
            if self.is_sparse:
                factor = factorise_sparse(part.sparse(self.k, sigma)[0])
            if factor is None:
                self._check_dense(part.size)
                factor = factorise(self._assembled(index, sigma), told)
            self._factors.append(factor)
        return sum(factor.n_negative for factor in self._factors)

    def solve(self, b: torch.Tensor) -> torch.Tensor:
        """(H(k) − σS(k))⁻¹ b for columns (size, m)."""
        pieces = torch.split(b, self.sizes)
        return torch.cat([f.solve(p) for f, p in zip(self._factors, pieces, strict=True)])

    def residuals(self, energies: _Array, c: torch.Tensor, sc: torch.Tensor) -> NDArray[np.float64]:
        """‖H c − E S c‖₂ of every state, eV, from H(k) put together anew. The factor is lost."""
        self._factors = []
        e = torch.from_numpy(energies)
        pieces = []
        for index, x in enumerate(torch.split(c, self.sizes)):
            if self.is_sparse:
                h = self.parts[index].sparse(self.k, 0.0)[0]
                pieces.append(torch.from_numpy(h @ x.numpy()))
            else:
                pieces.append(hermitian_product(self._assembled(index, 0.0), x))
        rest = torch.cat(pieces) - sc * e
        return torch.linalg.vector_norm(rest, dim=0).numpy()

    def _check_dense(self, size: int) -> None:
        """What was to stay sparse may need a dense matrix after all; otherwise it was reckoned."""
        if self.is_sparse:
            check_memory(
                2 * 16.0 * size**2,
                f"A dense factor of order {size}, as pivots off the diagonal need it,",
                "A smaller cell fits.",
            )

    def _assembled(self, index: int, sigma: float) -> torch.Tensor:
        part = self.parts[index]
        matrix = self._workspace.matrix(index, part.size, self.dtype)
        part.shifted(self.k, sigma, matrix)
        return matrix

    def _check_overlap(self, tell: Callable[[float], None] | None) -> None:
        """Raise unless S(k) is as the solver for small cells asks it; the eigenvalues that are not
        are counted.
        """
        if self.is_sparse:
            shifted = self._overlap - _SINGULAR_PIVOT * scipy.sparse.eye_array(
                self._overlap.shape[0], format="csc"
            )
            factor: HermitianFactor | SparseFactor | None = factorise_sparse(shifted.tocsc())
            bad = factor.n_negative if factor is not None else -1
            if bad == 0:
                return
        n = self.parts[0].n_orbitals
        self._check_dense(n)
        lower = self._workspace.matrix(0, n, self.dtype)
        dense = torch.from_numpy(self._overlap.toarray()) if self.is_sparse else self._overlap
        lower.copy_(dense)
        info = torch.empty((), dtype=torch.int32)
        torch.linalg.cholesky_ex(lower, out=(lower, info))
        pivot = float(lower.diagonal().real.square().min())
        if int(info) == 0 and pivot > _SINGULAR_PIVOT:
            return
        lower.copy_(dense)
        lower.diagonal().sub_(_SINGULAR_PIVOT)
        try:
            bad = factorise(lower, tell).n_negative
        except SingularMatrix:
            bad = 1
        where = self.k.round(6).tolist()
        raise HamiltonianError(
            f"The overlap S(k) is not positive definite, or nearly singular, at k = {where}: "
            f"{max(bad, 1)} of its {n} eigenvalues lie below {_SINGULAR_PIVOT:.0e}. Blocks of S "
            "may be missing, or orbitals be linearly dependent."
        )
