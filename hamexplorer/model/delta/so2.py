"""Features of edges in their own frames, and the linear maps that commute with what leaves an edge
as it is: turns about it and mirrors that hold it.

A feature of momentum l is natural if its parity is (−1)^l, else unnatural. About the edge (z) its
components ±m (m > 0) are a two-dimensional irrep of that group, for all features the same one, if

    E = natural₊ₘ or unnatural₋ₘ        (even under the mirror y → −y)
    O = natural₋ₘ or −unnatural₊ₘ       (odd)

so that one matrix acts on E and O alike. At m = 0 natural ones are even and unnatural ones odd:
two matrices (Passaro and Zitnick, Reducing SO(3) convolutions to SO(2), 2023, extended by mirrors).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hamexplorer.model.frame import edge_frames

__all__ = [
    "Parts",
    "Rotations",
    "SO2Linear",
    "from_frames",
    "part_sizes",
    "rotations",
    "to_frames",
]

Parts = list[torch.Tensor]
"""Features of edges in their frames: even m = 0 (E, c), odd m = 0 (E, c), then (E, 2, c) for
m = 1, 2, …, E before O."""


@dataclass(frozen=True, eq=False)
class Rotations:
    """Rotations of edges into their frames by l, (E, rows, 2l + 1) each.

    ``natural`` has the rows m = 0, 1, −1, …; ``unnatural`` 0, −1, −(1), −2, −(2), …, both up to
    the largest |m| that is kept; ``full`` all rows m = 0, 1, −1, …
    """

    natural: list[torch.Tensor]
    unnatural: list[torch.Tensor]
    full: list[torch.Tensor]

    def __getitem__(self, chosen: slice) -> Rotations:
        """Those of some edges."""
        return Rotations(
            [d[chosen] for d in self.natural],
            [d[chosen] for d in self.unnatural],
            [d[chosen] for d in self.full],
        )


def rotations(directions: torch.Tensor, max_l: int, max_m: int, full_l: int) -> Rotations:
    """Rotations for features of l ≤ ``max_l``, and full ones for l ≤ ``full_l``.

    ``directions`` (E, 3) are unit vectors.
    """
    full = edge_frames(directions, max(max_l, full_l)).matrices
    natural, unnatural = [], []
    for l in range(max_l + 1):  # noqa: E741
        top = min(l, max_m)
        natural.append(full[l][:, : 2 * top + 1].contiguous())
        rows = [0, *(row for m in range(1, top + 1) for row in (2 * m, 2 * m - 1))]
        sign = full[l].new_tensor([1.0] + [1.0, -1.0] * top)
        unnatural.append(full[l][:, rows] * sign[:, None])
    return Rotations(natural, unnatural, full[: full_l + 1])


def to_frames(x: torch.Tensor, rotation: Rotations) -> Parts:
    """Features (E, (max_l + 1)², 2, c), natural and unnatural, in the edges' frames."""
    sizes = [2 * l + 1 for l in range(len(rotation.natural))]  # noqa: E741
    turned: list[list[tuple[torch.Tensor, ...]]] = []  # by kind, l, m
    for kind, matrices in zip(x.unbind(2), (rotation.natural, rotation.unnatural), strict=True):
        by_l = []
        for d, block in zip(matrices, kind.split(sizes, 1), strict=True):
            rows = [1] + [2] * (d.shape[1] // 2)
            by_l.append((d @ block).split(rows, 1))
        turned.append(by_l)
    parts = [torch.cat([block[0] for block in by_l], 2)[:, 0] for by_l in turned]
    max_m = max(len(block) for block in turned[0]) - 1
    return parts + [
        torch.cat([b[m] for by_l in turned for b in by_l if len(b) > m], 2)
        for m in range(1, max_m + 1)
    ]


def from_frames(parts: Parts, rotation: Rotations) -> torch.Tensor:
    """The inverse of :func:`to_frames` (its transpose: |m| beyond the largest are zero)."""
    count = len(rotation.natural)
    c = parts[0].shape[1] // count
    rows: list[list[torch.Tensor]] = [[] for _ in range(2 * count)]
    for kind in range(2):
        for l, block in enumerate(parts[kind].split(c, 1)):  # noqa: E741
            rows[kind * count + l].append(block[:, None])
    for m, part in enumerate(parts[2:], 1):
        blocks = part.split(c, 2)
        momenta = [kind * count + l for kind in range(2) for l in range(m, count)]  # noqa: E741
        for place, block in zip(momenta, blocks, strict=True):
            rows[place].append(block)
    matrices = [*rotation.natural, *rotation.unnatural]
    turned = [d.mT @ torch.cat(r, 1) for d, r in zip(matrices, rows, strict=True)]
    return torch.stack([torch.cat(turned[:count], 1), torch.cat(turned[count:], 1)], 2)


class SO2Linear(nn.Module):
    """One matrix for each part, without bias."""

    def __init__(self, sizes_in: Sequence[int], sizes_out: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(a, b) / math.sqrt(max(a, 1)))
            for a, b in zip(sizes_in, sizes_out, strict=True)
        )

    def forward(self, parts: Parts) -> Parts:
        """Parts of the sizes out."""
        return [part @ w for part, w in zip(parts, self.weights, strict=True)]


def part_sizes(max_l: int, max_m: int, channels: int) -> list[int]:
    """Sizes of the parts of features with ``channels`` of every (l, parity)."""
    return [
        (max_l + 1) * channels,
        (max_l + 1) * channels,
        *(2 * (max_l + 1 - m) * channels for m in range(1, max_m + 1)),
    ]
