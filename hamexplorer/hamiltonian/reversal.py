"""Every couple of opposite blocks once, in parts: what works on M[R] and M[−R]ᵀ at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian.pairs import Pairs

__all__ = ["opposite_places"]

_AT_ONCE = 1 << 17
"""Elements of a part: its indices and values stay in the processor's cache."""


def opposite_places(
    pairs: Pairs, at_once: int = _AT_ONCE
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of M[i, j, R] and of M[j, i, −R]ᵀ in flat arrays, each (n_blocks, n_i n_j).

    Either direction of a pair stands on one of the two sides. No index as long as a flat array is
    made, as :attr:`Pairs.transposition` is. A block that is its own reverse, (i, i, 0), comes with
    its own transpose. A part has ``at_once`` elements, or one block.
    """
    once = np.flatnonzero(np.arange(pairs.n_pairs) <= pairs.reverse)
    shapes = np.column_stack([pairs.sizes[pairs.first[once]], pairs.sizes[pairs.second[once]]])
    for height, width in np.unique(shapes, axis=0).tolist():
        alike = once[(shapes == (height, width)).all(axis=1)]
        own = np.arange(height * width)
        turned = (np.arange(height)[:, None] + np.arange(width) * height).ravel()
        step = max(1, at_once // (height * width))
        for start in range(0, len(alike), step):
            part = alike[start : start + step]
            yield pairs.offsets[part, None] + own, pairs.offsets[pairs.reverse[part], None] + turned
