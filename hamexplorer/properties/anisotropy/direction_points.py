"""The k-points that a direction needs, as irreducible ones with other directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.anisotropy.directions import Directions, angles
from hamexplorer.properties.anisotropy.symmetry import MagneticSymmetry, MeshReduction

__all__ = ["DirectionPoints", "points_of"]


@dataclass(frozen=True, eq=False)
class DirectionPoints:
    """K-points of one direction (or several), each as an irreducible one with a turned direction.

    ``mesh_index`` (n,) into the full mesh, ``source`` (n,) into the irreducible points,
    ``weights`` (n,), ``turns`` the rotations R (n, 3, 3), ``reduction`` the mesh's under the
    direction's group.
    """

    mesh_index: NDArray[np.int64]
    source: NDArray[np.int64]
    weights: NDArray[np.float64]
    turns: NDArray[np.float64]
    reduction: MeshReduction

    def subset(self, keep: NDArray[np.bool_]) -> DirectionPoints:
        """Those where ``keep`` (n,) holds."""
        return DirectionPoints(
            self.mesh_index[keep],
            self.source[keep],
            self.weights[keep],
            self.turns[keep],
            self.reduction,
        )

    @classmethod
    def joined(cls, parts: Sequence[DirectionPoints]) -> DirectionPoints:
        """All of them, one after the other."""
        return cls(
            np.concatenate([part.mesh_index for part in parts]),
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.weights for part in parts]),
            np.concatenate([part.turns for part in parts]),
            parts[0].reduction,
        )


def points_of(
    directions: Directions, index: int, group: MagneticSymmetry, wedge: MeshReduction
) -> DirectionPoints:
    """The k-points that direction ``index`` needs; ``wedge`` is the mesh reduced by all of
    ``group``.

    k' = K_o k with k irreducible: E_k'(n) = E_k(N_o⁻¹ n).
    """
    reduction = group.reduction(group.little_group(directions.vectors[index]))
    operation = np.zeros(len(wedge.expansion), dtype=np.int64)
    for o in range(group.order - 1, -1, -1):
        operation[group.images[o, wedge.representatives]] = o
    if group.order == 1:  # φ matters at θ = 0 to a three-component field
        state = SpinState(theta=float(directions.theta[index]), phi=float(directions.phi[index]))
        turns = state.rotation[None]
    else:
        back = np.swapaxes(group.n, 1, 2) @ directions.vectors[index]
        turns = np.stack(
            [SpinState(theta=t, phi=p).rotation for t, p in zip(*angles(back), strict=True)]
        )
    at = reduction.representatives
    return DirectionPoints(
        at, wedge.expansion[at], reduction.weights, turns[operation[at]], reduction
    )
