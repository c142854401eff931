"""Linear (Blöchl) integration over the Brillouin zone: segments, triangles, tetrahedra."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["corner_fractions", "mesh_simplices"]


def mesh_simplices(
    shape: tuple[int, int, int], reciprocal: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The mesh cut into equal simplices, (n, d + 1) indices into the full mesh.

    d counts the directions with more than one division: 1 segments, 2 triangles, 3 tetrahedra
    (0: points). Every cell is cut along its shortest main diagonal; ``reciprocal`` (3, 3) holds
    the reciprocal vectors as rows.
    """
    axes = [a for a in range(3) if shape[a] > 1]
    d = len(axes)
    cells = np.stack(np.unravel_index(np.arange(int(np.prod(shape))), shape), axis=1)
    steps = reciprocal / np.array(shape)[:, None]
    signs = min(
        itertools.product((1,), *[(1, -1)] * (d - 1)) if d else [()],
        key=lambda s: float(
            np.linalg.norm(sum(x * steps[a] for x, a in zip(s, axes, strict=True))) if d else 0.0
        ),
    )
    simplices = []
    # Kuhn's cut: walk from one end of the diagonal to the other, one axis after another.
    for order in itertools.permutations(range(d)):
        corner = np.zeros(3, dtype=np.int64)
        walk = [corner.copy()]
        for place in order:
            corner[axes[place]] += signs[place]
            walk.append(corner.copy())
        corners = (cells[:, None] + np.array(walk)) % np.array(shape)
        simplices.append(np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), shape))
    result: NDArray[np.int64] = np.concatenate(simplices)
    return result


def corner_fractions(
    corners: NDArray[np.float64], level: NDArray[np.float64]
) -> NDArray[np.float64]:
    """∫ λ_c θ(E − ε) over a simplex of volume 1, for each corner c; (m, d + 1).

    ``corners`` (m, d + 1) are energies in ascending order, ``level`` (m,) the energies E; λ_c is
    the linear function that is 1 at corner c and 0 at the others, ε the linear interpolation.
    Summed over c this is the occupied part of the simplex. For tetrahedra these are the weights
    of Blöchl, Jepsen and Andersen, Phys. Rev. B 49, 16223 (1994), appendix B.
    """
    d = corners.shape[1] - 1
    outside = level < corners[:, 0]
    level = np.clip(level, corners[:, 0], corners[:, -1])
    if d == 0:
        return np.where(outside[:, None], 0.0, 1.0)
    below = _tip(corners, level)
    above = 1 / (d + 1) - _tip(-corners[:, ::-1], -level)[:, ::-1]
    result = np.where((level <= corners[:, 1])[:, None], below, above)
    if d == 3:
        middle = (level > corners[:, 1]) & (level < corners[:, 2])
        result[middle] = _between(corners[middle], level[middle])
    full = level >= corners[:, -1]
    result[full] = 1 / (d + 1)
    result[outside] = 0.0
    return result


def _tip(e: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """The simplex cut off around the lowest corner: volume times centroid, (m, d + 1)."""
    cut = _ratio(level[:, None] - e[:, :1], e[:, 1:] - e[:, :1])
    d = cut.shape[1]
    volume = cut.prod(axis=1, keepdims=True)
    return volume / (d + 1) * np.hstack([d + 1 - cut.sum(axis=1, keepdims=True), cut])


def _between(e: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tetrahedra with two corners below the level: e₂ < E < e₃."""
    e1, e2, e3, e4 = e.T
    up1, up2, down3, down4 = level - e1, level - e2, e3 - level, e4 - level
    e31, e41, e32, e42 = e3 - e1, e4 - e1, e3 - e2, e4 - e2
    c1 = up1**2 / (e41 * e31) / 4
    c2 = up1 * up2 * down3 / (e41 * e32 * e31) / 4
    c3 = up2**2 * down4 / (e42 * e32 * e41) / 4
    w1 = c1 + (c1 + c2) * down3 / e31 + (c1 + c2 + c3) * down4 / e41
    w2 = c1 + c2 + c3 + (c2 + c3) * down3 / e32 + c3 * down4 / e42
    w3 = (c1 + c2) * up1 / e31 + (c2 + c3) * up2 / e32
    w4 = (c1 + c2 + c3) * up1 / e41 + c3 * up2 / e42
    return np.stack([w1, w2, w3, w4], axis=1)


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient within 0 … 1; 1 where the denominator vanishes."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, np.clip(numerator / safe, 0.0, 1.0), 1.0)
