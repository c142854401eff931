"""The raw content of an OpenMX 3.9 ``.scfout`` file (format version 3).

Native-endian, C order, no record markers; energies in Ha, lengths in bohr. Columns and atoms that
OpenMX counts from 1 keep an unused place 0 in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError

__all__ = ["LINE_BYTES", "Scfout", "looks_like_scfout", "parse_scfout"]

LINE_BYTES = 256
"""Bytes of a line of the embedded input file."""
VERSION = 3
_SPINS = (0, 1, 3)
_MAX_ATOMS = 1_000_000
_MAX_ORBITALS = 512
_INT, _FLOAT = np.dtype("<i4"), np.dtype("<f8")


@dataclass(frozen=True, eq=False)
class Scfout:
    """Arrays of the file as it has them, views of its bytes where possible.

    Attributes:
        spin: 0 none, 1 collinear, 3 non-collinear.
        cells: R of every cell copy, (n_cells, 3).
        n_orbitals: by atom, (n_atoms,).
        n_neighbours: by atom, itself counted, (n_atoms,).
        neighbours: atoms j, from 0, atom by atom, (n_pairs,).
        copies: index to ``cells`` of each neighbour, (n_pairs,).
        lattice: rows, bohr, (3, 3).
        positions: bohr, (n_atoms, 3).
        hamiltonian: Hks, (spin + 1, n_elements), Ha.
        imaginary: iHks, (3, n_elements), Ha; None unless non-collinear.
        overlap: (n_elements,).
        position: ⟨φ_i|r_a|φ_j⟩ of first order, (3, n_elements), bohr.
        chemical_potential: Ha.
        temperature: electronic, K.
        n_electrons: valence electrons per cell.
        total_spin: of a collinear calculation, (N↑ − N↓)/2.
        input_lines: the embedded input file.
    """

    spin: int
    cells: NDArray[np.int32]
    n_orbitals: NDArray[np.int32]
    n_neighbours: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    copies: NDArray[np.int32]
    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    hamiltonian: NDArray[np.float64]
    imaginary: NDArray[np.float64] | None
    overlap: NDArray[np.float64]
    position: NDArray[np.float64]
    chemical_potential: float
    temperature: float
    n_electrons: float
    total_spin: float
    input_lines: tuple[str, ...]


def looks_like_scfout(head: bytes) -> bool:
    """Whether the first bytes are a header: plausible counts, then R = 0 as the first cell."""
    if len(head) < 60:
        return False
    n_atoms, spin, *_, copies = np.frombuffer(head, _INT, 6)
    order = np.frombuffer(head, _INT, 1, 24)[0]
    first = np.frombuffer(head, _FLOAT, 3, 36)
    return bool(
        0 < n_atoms <= _MAX_ATOMS
        and spin % 4 in _SPINS
        and 0 <= spin // 4 <= 10
        and 0 <= copies < 10**8
        and 0 < order <= 10
        and not first.any()
    )


class _Reader:
    """Takes arrays off the file's bytes, never more than there are."""

    def __init__(self, data: NDArray[np.uint8], name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    def take(self, what: str, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The next ``count`` values, as a view."""
        end = self._at + int(count) * dtype.itemsize
        if count < 0 or end > self._data.size:
            raise FileFormatError(
                f"{self._name} is truncated or damaged: {what} would need {count} values of "
                f"{dtype.itemsize} bytes from byte {self._at}, but the file has "
                f"{self._data.size} bytes."
            )
        part = self._data[self._at : end].view(dtype) if count else np.empty(0, dtype)
        self._at = end
        return part

    def one(self, what: str, low: int, high: int) -> int:
        """The next integer, if it lies in its range."""
        value = int(self.take(what, 1, _INT)[0])
        self.within(what, np.array([value]), low, high)
        return value

    def within(self, what: str, values: NDArray[Any], low: int, high: int) -> None:
        """Complain of the first value outside low … high."""
        wrong = values[(values < low) | (values > high)]
        if wrong.size:
            raise FileFormatError(
                f"{self._name} is damaged or no scfout of OpenMX 3.9: {what} is {wrong[0]}; "
                f"possible is {low} … {high}."
            )

    def rest(self) -> int:
        """Bytes that were not taken."""
        return self._data.size - self._at


def parse_scfout(data: NDArray[np.uint8], name: str) -> Scfout:
    """The arrays of a file's bytes (``name`` is for messages).

    Raises:
        FileFormatError: another version, a count that cannot be, a file too short or too long.
    """
    file = _Reader(data, name)
    n_atoms = file.one("the number of atoms", 1, _MAX_ATOMS)
    switch = file.one("the spin switch", 0, 1000)
    spin, version = switch % 4, switch // 4
    if spin not in _SPINS or version != VERSION:
        raise FileFormatError(
            f"{name} is an scfout of format version {version} (spin switch {spin}); read are "
            f"files of version {VERSION}, which OpenMX 3.9 writes."
        )
    file.take("lead counts", 3, _INT)
    n_cells = file.one("the number of cell copies", 0, 10**8) + 1
    order = file.one("the order of position moments", 1, 10)
    file.take("cell vectors", 4 * n_cells, _FLOAT)
    cells = file.take("cell indices", 4 * n_cells, _INT).reshape(-1, 4)[:, 1:]
    n_orbitals = file.take("orbitals per atom", n_atoms, _INT)
    file.within("a number of orbitals", n_orbitals, 1, _MAX_ORBITALS)
    n_neighbours = file.take("neighbours per atom", n_atoms, _INT)
    file.within("a number of neighbours", n_neighbours, 0, 10**7)
    n_neighbours = n_neighbours.astype(np.int64) + 1
    n_pairs = int(n_neighbours.sum())
    neighbours = file.take("neighbours", n_pairs, _INT)
    file.within("a neighbour", neighbours, 1, n_atoms)
    neighbours = neighbours.astype(np.int64) - 1
    copies = file.take("cells of neighbours", n_pairs, _INT)
    file.within("a neighbour's cell", copies, 0, n_cells - 1)
    lattice = file.take("the lattice", 12, _FLOAT).reshape(3, 4)[:, 1:]
    file.take("the reciprocal lattice", 12, _FLOAT)
    positions = file.take("positions", 4 * n_atoms, _FLOAT).reshape(-1, 4)[:, 1:]

    sizes = n_orbitals.astype(np.int64)
    n = int(np.sum(np.repeat(sizes, n_neighbours) * sizes[neighbours]))

    def matrices(what: str, count: int) -> NDArray[np.float64]:
        return file.take(what, count * n, _FLOAT).reshape(count, n)

    hamiltonian = matrices("the Hamiltonian", spin + 1)
    imaginary = matrices("the imaginary Hamiltonian", 3) if spin == 3 else None
    overlap = matrices("the overlap", 1)[0]
    position = matrices("position elements", 3 * order)[::order]
    matrices("momentum elements", 3)
    matrices("density matrices", spin + 1 + 2)
    file.take("the solver", 1, _INT)
    numbers = file.take("energies and dipoles", 10, _FLOAT)
    n_lines = file.one("the length of the input file", 0, file.rest() // LINE_BYTES)
    lines = file.take("the input file", n_lines * LINE_BYTES, np.dtype("u1"))
    if file.rest():
        raise FileFormatError(
            f"{name} has {file.rest()} bytes after its end: damaged, or of a patched OpenMX."
        )
    return Scfout(
        spin=spin,
        cells=cells,
        n_orbitals=n_orbitals,
        n_neighbours=n_neighbours,
        neighbours=neighbours,
        copies=copies,
        lattice=lattice,
        positions=positions,
        hamiltonian=hamiltonian,
        imaginary=imaginary,
        overlap=overlap,
        position=position,
        chemical_potential=float(numbers[0]),
        temperature=float(numbers[1]),
        n_electrons=float(numbers[8]),
        total_spin=float(numbers[9]),
        input_lines=tuple(
            row.tobytes().split(b"\0")[0].decode("utf-8", "replace").rstrip()
            for row in lines.reshape(-1, LINE_BYTES)
        ),
    )
