"""How matrix elements decay with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["BlockDecay", "block_decay"]


@dataclass(frozen=True, eq=False)
class BlockDecay:
    """Largest element of every stored block.

    Attributes:
        distances: (n_pairs,), Å.
        labels: (n_pairs,), such as ``Mo1–S2 (0, 1, 0)``.
        components: names of the stored components.
        largest: (n_components, n_pairs), max |element|, eV (S: dimensionless).
    """

    distances: NDArray[np.float64]
    labels: tuple[str, ...]
    components: tuple[str, ...]
    largest: NDArray[np.float64]

    def to_dataframe(self) -> pd.DataFrame:
        """One row per pair; distance in Å, one column per component."""
        frame = pd.DataFrame({"pair": self.labels, "distance_A": self.distances})
        for name, values in zip(self.components, self.largest, strict=True):
            frame[name] = values
        return frame


def block_decay(h: Hamiltonian) -> BlockDecay:
    """The largest |element| of every block of every component of ``h``, by distance."""
    order = np.argsort(h.distances, kind="stable")
    largest = np.stack(
        [
            np.maximum.reduceat(np.abs(h.component(name)), h.pairs.offsets[:-1])
            for name in h.components
        ]
    )
    names, pairs = h.basis.site_labels, h.pairs
    labels = [
        f"{names[i]}–{names[j]} {tuple(cell)}"
        for i, j, cell in zip(pairs.first, pairs.second, pairs.cell.tolist(), strict=True)
    ]
    return BlockDecay(
        h.distances[order], tuple(labels[p] for p in order), h.components, largest[:, order]
    )
