"""HamGNN's padded rows and our flat blocks, both ways.

In a row stand the n × n elements of a pair's block, row-major, n = ``nao_max``; with spin those of
[[↑↑, ↑↓], [↓↑, ↓↓]], 2n × 2n. Within a shell the orbitals stand in OpenMX's order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.formats.orders import OPENMX
from hamexplorer.hamiltonian import Basis, Pairs, Shell

__all__ = ["Padding", "shell_places"]


def shell_places(width: int, shell: Shell) -> NDArray[np.int64]:
    """Where m = −l … l of a shell of the layout of ``width`` stand in it, (2l + 1,).

    Raises:
        ValueError: the layout has no such shell.
    """
    layout = LAYOUTS[width]
    start = sum(s.size for s in layout[: layout.index(shell)])
    return start + OPENMX.places(shell.l)[0]


class Padding:
    """The place of every element of a flat array in the padded row of its pair.

    Args:
        width: ``nao_max``.
        pairs: index of the blocks; pair p is row p.
        basis: its shells are shells of the layout.
    """

    def __init__(self, width: int, pairs: Pairs, basis: Basis) -> None:
        places = np.concatenate(
            [shell_places(width, shell) for shells in basis.shells for shell in shells]
        )
        rows, columns = pairs.element_orbitals
        self._width = width
        self._pair = pairs.element_pair
        self._row, self._column = places[rows], places[columns]
        self._n_pairs = pairs.n_pairs

    def flat(self, rows: NDArray[np.floating], spins: str = "") -> NDArray[np.float64]:
        """Our flat array, (n_elements,), of padded ``rows`` (n_pairs, n²).

        ``spins`` (↑↑, ↑↓, ↓↓) is the spin block wanted of rows (n_pairs, (2n)²).
        """
        return rows[self._pair, self._place(spins)].astype(np.float64)

    def put(self, rows: NDArray[np.float32], flat: NDArray[np.float64], spins: str = "") -> None:
        """The inverse of :meth:`flat`: sets the elements of ``rows``."""
        rows[self._pair, self._place(spins)] = flat

    def rows(self, flat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Padded rows (n_pairs, n²) of a flat array, zero where there is no orbital."""
        made = np.zeros((self._n_pairs, self._width**2), dtype=np.float32)
        self.put(made, flat)
        return made

    def _place(self, spins: str) -> NDArray[np.int64]:
        if not spins:
            return self._row * self._width + self._column
        row, column = (self._width * "↑↓".index(spin) for spin in spins)
        return (row + self._row) * (2 * self._width) + column + self._column
