"""Rotations of real harmonics into the frame whose z axis lies along an edge.

In that frame Y_lm(edge) is zero but for m = 0, so a product with it is diagonal in |m| (Passaro and
Zitnick, Reducing SO(3) convolutions to SO(2), 2023). Harmonics are m = −l … l about z, as e3nn's
are when positions are handed to it as (y, z, x).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from hamexplorer.hamiltonian.angular import rotation_matrix

__all__ = ["EdgeFrames", "edge_frames"]

_TURN = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Takes x to y, y to z and z to x: the charts' poles then lie at different directions."""
_Z_TO_Y = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_POLE = 0.8
_FRAME_ORDER = [
    [momentum + m for k in range(momentum + 1) for m in sorted({k, -k}, reverse=True)]
    for momentum in range(12)
]
"""Rows m = 0, 1, −1, 2, −2, …: those that a product keeps together stand together."""


class EdgeFrames:
    """D^l with D^l Y_l(edge) along m = 0, for every edge: ``matrices[l]`` (n_edges, 2l+1, 2l+1).

    Columns are m = −l … l; rows, of the frame, are m = 0, 1, −1, 2, −2, …
    """

    def __init__(self, matrices: list[torch.Tensor]) -> None:
        self.matrices = matrices

    def __getitem__(self, chosen: slice) -> EdgeFrames:
        """The frames of some edges."""
        return EdgeFrames([m[chosen] for m in self.matrices])


def edge_frames(directions: torch.Tensor, max_l: int) -> EdgeFrames:
    """Frames of unit vectors ``directions`` (n_edges, 3) for l = 0 … ``max_l``.

    D = D(R_y(−β)) D(R_z(−α)) for the polar angles of the edge. Near the z axis, where α has no
    derivative, the angles are those of the edge turned by a fixed rotation, so that the
    derivatives with respect to the direction are finite and right everywhere.
    """
    turn = torch.as_tensor(_TURN, dtype=directions.dtype, device=directions.device)
    near_pole = directions[:, 2].abs() > _POLE
    x, y, z = torch.where(near_pole[:, None], directions @ turn.T, directions).unbind(1)
    across = torch.sqrt(x * x + y * y)
    alpha, beta = _multiples(x / across, -y / across, max_l), _multiples(z, -across, max_l)
    result = []
    for l in range(max_l + 1):  # noqa: E741
        to_y, turned = _constants(l, directions.dtype, directions.device)
        # R_y(−β) = Q R_z(−β) Qᵀ, Q taking z to y
        matrix = to_y @ _about_z(beta, l) @ to_y.mT @ _about_z(alpha, l)
        matrix = torch.where(near_pole[:, None, None], matrix @ turned, matrix)
        result.append(matrix[:, _FRAME_ORDER[l]])
    return EdgeFrames(result)


def _multiples(cosine: torch.Tensor, sine: torch.Tensor, max_l: int) -> torch.Tensor:
    """Cos mω and sin mω for m = 0 … ``max_l``, (2, max_l + 1, n)."""
    c, s = [torch.ones_like(cosine)], [torch.zeros_like(sine)]
    for _ in range(max_l):
        c.append(c[-1] * cosine - s[-1] * sine)
        s.append(s[-1] * cosine + c[-2] * sine)
    return torch.stack([torch.stack(c), torch.stack(s)])


def _about_z(multiples: torch.Tensor, l: int) -> torch.Tensor:  # noqa: E741
    """D^l(R_z(ω)), (n, 2l+1, 2l+1), from cos mω and sin mω."""
    c, s = multiples[:, : l + 1]
    order = torch.arange(-l, l + 1, device=multiples.device)
    diagonal = c[order.abs()].T
    across = (-order.sign()[:, None] * s[order.abs()]).T
    return torch.diag_embed(diagonal) + torch.diag_embed(across).flip(2)


@lru_cache(maxsize=64)
def _constants(
    l: int,  # noqa: E741
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """D^l of the rotation that takes z to y, and of the charts' turn."""
    to_y, turned = (torch.as_tensor(rotation_matrix(l, r)) for r in (_Z_TO_Y, _TURN))
    return to_y.to(device, dtype), turned.to(device, dtype)
