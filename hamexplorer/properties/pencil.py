"""H(k) − σS(k) of a large cell: one matrix in one piece of memory, straight from the blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.solver import spin_structure

__all__ = ["Pencil", "pencils"]

_CHUNK = 500_000
"""Elements of blocks at a time."""
_SCALAR = ((0, 0),)
_SPINOR = ((0, 0), (1, 0), (1, 1))
_SAME = 1e-12
_Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Pencil:
    """The part of H(k) that is diagonalised by itself, and its overlap.

    Attributes:
        hamiltonian: the Hamiltonian.
        state: λ and the magnetisation.
        spin: 0: spinors; ±1: spatial orbitals of one spin along n; None: of either spin.
    """

    hamiltonian: Hamiltonian
    state: SpinState
    spin: int | None

    @property
    def n_orbitals(self) -> int:
        """Spatial orbitals n."""
        return self.hamiltonian.basis.n_orbitals

    @property
    def size(self) -> int:
        """Order of the matrices: 2n for spinors, else n."""
        return self.n_orbitals * (2 if self.spin == 0 else 1)

    @property
    def density(self) -> float:
        """Part of S(k) and of every spin block of H(k) in which something is stored."""
        pairs = self.hamiltonian.pairs
        code = np.unique(pairs.first * len(pairs.sizes) + pairs.second)
        first, second = np.divmod(code, len(pairs.sizes))
        return float((pairs.sizes[first] * pairs.sizes[second]).sum()) / self.n_orbitals**2

    def is_real(self, k: _Array) -> bool:
        """Whether H(k) and S(k) are: no spinors, no A, and 2k a reciprocal vector."""
        twice = 2 * np.asarray(k, dtype=np.float64)
        whole = bool((np.abs(twice - np.round(twice)) < _SAME).all())
        return whole and self.spin != 0 and self.hamiltonian.time_odd is None

    def dtype(self, k: _Array) -> np.dtype[Any]:
        """Of the matrices at ``k``."""
        return np.dtype(np.float64 if self.is_real(k) else np.complex128)

    def shifted(self, k: _Array, sigma: float, out: torch.Tensor) -> None:
        """Write the lower triangle of H(k) − σS(k), eV, into ``out`` (size, size), whose columns
        are contiguous. Above the diagonal something else may stand.
        """
        out.zero_()
        flat = out.mT.reshape(-1).numpy()
        n, dim = self.n_orbitals, self.size
        pairs = self.hamiltonian.pairs
        lower = np.flatnonzero(pairs.first >= pairs.second)
        for members, spins in (
            (lower, [s for s in self._spins if s[0] == s[1]]),
            (np.arange(pairs.n_pairs), [s for s in self._spins if s[0] != s[1]]),
        ):
            if not spins:
                continue
            for rows, columns, phase, elements in self._chunks(k, members):
                values = self._values(elements, sigma, spins)
                for (row, column), value in zip(spins, values, strict=True):
                    block = phase * value if out.is_complex() else (phase * value).real
                    flat[(rows + row * n) + (columns + column * n) * dim] += block

    def overlap(self, k: _Array) -> torch.Tensor:
        """S(k), (n, n), dense."""
        n = self.n_orbitals
        out = torch.zeros((n, n), dtype=torch.float64 if self.is_real(k) else torch.complex128)
        flat = out.reshape(-1).numpy()
        every = np.arange(self.hamiltonian.pairs.n_pairs)
        for rows, columns, phase, elements in self._chunks(k, every):
            block = phase * self.hamiltonian.overlap[elements]
            flat[rows * n + columns] += block if out.is_complex() else block.real
        return out

    def sparse(self, k: _Array, sigma: float) -> tuple[scipy.sparse.csc_array, Any]:
        """H(k) − σS(k) (size, size) and S(k) (n, n), sparse."""
        n, dtype = self.n_orbitals, self.dtype(k)
        every = np.arange(self.hamiltonian.pairs.n_pairs)
        parts: dict[tuple[int, int], list[_Array]] = {s: [] for s in self._spins}
        places: list[tuple[_Array, _Array]] = []
        overlap: list[_Array] = []
        for rows, columns, phase, elements in self._chunks(k, every):
            places.append((rows.ravel(), columns.ravel()))
            overlap.append((phase * self.hamiltonian.overlap[elements]).ravel())
            values = self._values(elements, sigma, list(self._spins))
            for spins, value in zip(self._spins, values, strict=True):
                parts[spins].append((phase * value).ravel())
        rows, columns = (np.concatenate(x) for x in zip(*places, strict=True))

        def matrix(values: list[_Array]) -> scipy.sparse.csc_array:
            flat = np.concatenate(values)
            flat = flat if dtype.kind == "c" else flat.real
            return scipy.sparse.coo_array((flat, (rows, columns)), shape=(n, n)).tocsc()

        s = matrix(overlap)
        blocks = {spins: matrix(values) for spins, values in parts.items()}
        if self.spin != 0:
            return blocks[0, 0], s
        down = blocks[1, 0]
        whole = scipy.sparse.block_array(
            [[blocks[0, 0], down.conj().T], [down, blocks[1, 1]]], format="csc"
        )
        return whole, s

    # --- blocks ------------------------------------------------------------------------------

    @property
    def _spins(self) -> tuple[tuple[int, int], ...]:
        return _SPINOR if self.spin == 0 else _SCALAR

    def _chunks(
        self, k: _Array, members: _Array
    ) -> Iterator[tuple[_Array, _Array, _Array, _Array]]:
        """Rows, columns, phases e^{2πi k·R} and elements of some pairs' blocks at a time; within
        a chunk no place occurs twice.
        """
        pairs = self.hamiltonian.pairs
        edges = np.concatenate([[0], np.cumsum(pairs.sizes)])
        code = pairs.first[members] * len(pairs.sizes) + pairs.second[members]
        order = np.argsort(code, kind="stable")
        members, code = members[order], code[order]
        begins = np.flatnonzero(np.r_[True, np.diff(code) != 0])
        turn = np.arange(len(code)) - np.repeat(begins, np.diff(np.r_[begins, len(code)]))
        heights, widths = pairs.sizes[pairs.first[members]], pairs.sizes[pairs.second[members]]
        kinds, kind = np.unique(
            np.column_stack([heights, widths, turn]), axis=0, return_inverse=True
        )
        sorted_by_kind = np.argsort(kind.ravel(), kind="stable")
        counts = np.bincount(kind.ravel(), minlength=len(kinds))
        for (height, width, _), group in zip(
            kinds.tolist(), np.split(members[sorted_by_kind], np.cumsum(counts)[:-1]), strict=True
        ):
            step = max(1, _CHUNK // (height * width))
            for start in range(0, len(group), step):
                chosen = group[start : start + step]
                rows = edges[pairs.first[chosen]][:, None, None] + np.arange(height)[:, None]
                columns = edges[pairs.second[chosen]][:, None, None] + np.arange(width)
                place = np.arange(height * width).reshape(height, width)
                elements = pairs.offsets[chosen][:, None, None] + place
                phase = np.exp(2j * np.pi * (pairs.cell[chosen] @ k))[:, None, None]
                yield *np.broadcast_arrays(rows, columns), phase, elements

    def _values(self, elements: _Array, sigma: float, spins: list[tuple[int, int]]) -> list[_Array]:
        """Blocks of H − σS for pairs of spins; ↓↑ is (B_x + iΛ_x) + i(B_y + iΛ_y)."""
        h, state = self.hamiltonian, self.state
        scalar: _Array = h.scalar[elements] - sigma * h.overlap[elements]
        if h.time_odd is not None:
            scalar = scalar + 1j * h.time_odd[elements]
        if self.spin is None:
            return [scalar]
        if self.spin != 0:
            assert h.exchange is not None
            return [scalar + self.spin * state.exchange * h.exchange[elements]]
        found = []
        for row, column in spins:
            if row == column:
                z = self._vector(2, elements)
                found.append(scalar + z if row == 0 else scalar - z)
            else:
                found.append(self._vector(0, elements) + 1j * self._vector(1, elements))
        return found

    def _vector(self, axis: int, elements: _Array) -> _Array:
        """n_a B + iλΛ_a along one axis."""
        h, state = self.hamiltonian, self.state
        result: _Array = np.zeros(elements.shape, dtype=np.complex128)
        if h.exchange is not None and state.exchange != 0:
            turn = state.rotation[axis]
            if h.exchange.ndim == 1:
                result += state.exchange * turn[2] * h.exchange[elements]
            else:
                for b in range(3):
                    result += state.exchange * turn[b] * h.exchange[b][elements]
        if h.spin_orbit is not None and state.soc != 0:
            result += 1j * state.soc * h.spin_orbit[axis][elements]
        return result


def pencils(h: Hamiltonian, state: SpinState) -> tuple[Pencil, ...]:
    """What has to be diagonalised in ``state``: spinors, each spin along n, or one of both."""
    structure = spin_structure(h, state)
    if structure == "spinor":
        return (Pencil(h, state, 0),)
    if structure == "collinear":
        return Pencil(h, state, 1), Pencil(h, state, -1)
    return (Pencil(h, state, None),)
