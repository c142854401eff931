"""Filters without gradients, in memory and views of it that all chunks of edges use again.

Fresh memory of this size is given back to the system and cleared by it every time, which takes as
long as a good part of the products, and longer the more threads ask for it; and making the views
of it anew takes as long as the products of small blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from hamexplorer.model.filters import Blocks, Prepared

if TYPE_CHECKING:
    from hamexplorer.model.network import Edges

__all__ = ["Memory", "Scratch", "filter_in_place", "to_frames_in_place"]

_ROUNDED = 64
"""Memory is taken for a multiple of so many edges: chunks differ by one."""


@dataclass(frozen=True, eq=False)
class _Source:
    """What goes into one product with W: ``rows`` of an input block, copied to ``flat``."""

    block: int
    rows: slice
    odd: bool
    copy: torch.Tensor
    flat: torch.Tensor
    mixed: torch.Tensor


@dataclass(frozen=True, eq=False)
class _Output:
    """What W gave for an output block: pieces, their scales, and where in ``z`` they go."""

    pieces: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...]
    z: torch.Tensor


@dataclass(frozen=True, eq=False)
class _Room:
    """Memory of one filter: its scales (channels, n_edges), and sources and outputs by m."""

    scales: torch.Tensor
    sources: tuple[tuple[_Source, ...], ...]
    outputs: tuple[dict[int, _Output], ...]


class Scratch:
    """Named memory that one thread at a time works in."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], torch.Tensor] = {}
        self._rooms: dict[tuple[str, int, int], _Room] = {}

    def take(
        self, name: str, shape: tuple[int, ...], like: torch.Tensor, at: int = 0
    ) -> torch.Tensor:
        """Numbers without meaning, of ``like``'s type, ``shape`` (…, n_edges).

        They overwrite what the same ``name`` and ``at`` gave.
        """
        *others, n_edges = shape
        size = math.prod(others) * (-(-n_edges // _ROUNDED) * _ROUNDED)
        held = self._held.get((name, at))
        if held is None or len(held) < size or held.dtype != like.dtype:
            held = self._held[name, at] = like.new_empty(size)
        return held[: math.prod(shape)].view(shape)

    def room(self, f: Prepared, n_edges: int, at: int) -> _Room:
        """The memory of a filter that is the ``at``-th of those that are summed."""
        paths = f.paths
        key = (f"{paths.irreps_in} {paths.irreps_edge} {paths.irreps_out}", n_edges, at)
        if key not in self._rooms:
            self._rooms[key] = self._new_room(f, n_edges, at)
        return self._rooms[key]

    def _new_room(self, f: Prepared, n_edges: int, at: int) -> _Room:
        paths, like = f.paths, f.last
        scales = self.take("scales", (len(f.last), n_edges), like, at)
        by_m, outputs = [], []
        for m, there in enumerate(paths.rows):
            width = 1 if m == 0 else 2
            count = sum(len(w) for w in f.mixing[m])
            room = self.take("products", (count, width, n_edges), like, at)
            found: dict[int, list[torch.Tensor]] = {}
            sources, begin = [], 0
            for source, w in zip(there.sources, f.mixing[m], strict=True):
                copy = self.take("rows", (w.shape[1], width, n_edges), like)
                mixed = room[begin : begin + len(w)]
                rows = slice(0, 1) if m == 0 else slice(2 * m - 1, 2 * m + 1)
                flat = copy.view(len(copy), -1)
                sources.append(
                    _Source(source.block, rows, source.odd, copy, flat, mixed.view(len(w), -1))
                )
                for o, channels in source.shares:
                    found.setdefault(o, []).append(room[begin : begin + channels])
                    begin += channels
            by_m.append(tuple(sources))
            outputs.append(
                {
                    o: self._output(pieces, scales[slice(*there.spans[o])])
                    for o, pieces in found.items()
                }
            )
        return _Room(scales, tuple(by_m), tuple(outputs))

    def _output(self, pieces: list[torch.Tensor], scales: torch.Tensor) -> _Output:
        z = self.take("scaled", (len(scales), *pieces[0].shape[1:]), scales)
        ends = [0]
        for piece in pieces:
            ends.append(ends[-1] + len(piece))
        parts = tuple(
            (piece, scales[a:b, None], z[a:b])
            for piece, (a, b) in zip(pieces, pairwise(ends), strict=True)
        )
        return _Output(parts, z.view(len(z), -1))


class Memory:
    """The scratch memories of one evaluation, as many as work at once."""

    def __init__(self) -> None:
        self._free: list[Scratch] = []

    @contextmanager
    def lent(self) -> Iterator[Scratch]:
        """One that nobody else uses meanwhile."""
        try:
            scratch = self._free.pop()
        except IndexError:
            scratch = Scratch()
        yield scratch
        self._free.append(scratch)


def to_frames_in_place(
    source: list[torch.Tensor], target: list[torch.Tensor], edges: Edges, scratch: Scratch
) -> Blocks:
    """Features of both atoms of every edge, channels side by side, in the edge's frame.

    The result is ``scratch``'s.
    """
    n_edges, result = len(edges.source), []
    for k, (a, b) in enumerate(zip(source, target, strict=True)):
        dim, mul = a.shape[1:]
        turned = scratch.take("frame", (2 * mul, dim, n_edges), a, k)
        rotation = edges.frames.matrices[(dim - 1) // 2]
        for features, index, half in (
            (a, edges.source, turned[:mul]),
            (b, edges.target, turned[mul:]),
        ):
            gathered = scratch.take("gathered", (mul * dim, n_edges), a).view(n_edges, dim, mul)
            torch.index_select(features, 0, index, out=gathered)
            product = scratch.take("rotated", (mul * dim, n_edges), a).view(n_edges, dim, mul)
            half.copy_(torch.bmm(rotation, gathered, out=product).permute(2, 1, 0))
        result.append(turned)
    return result


def filter_in_place(
    parts: Sequence[tuple[Prepared, Blocks]], radial: torch.Tensor, scratch: Scratch
) -> Blocks:
    """:func:`~hamexplorer.model.filters.filter_edges`; only its result is new memory."""
    irreps_out, n_edges = parts[0][0].paths.irreps_out, len(radial)
    rooms = [scratch.room(f, n_edges, at) for at, (f, _) in enumerate(parts)]
    for room, (f, _) in zip(rooms, parts, strict=True):
        torch.mm(f.last, f.radial.hidden(radial).mT, out=room.scales)
    result = [radial.new_zeros(mul, ir.dim, n_edges) for mul, ir in irreps_out]
    for m in range(max(ir.l for _, ir in irreps_out) + 1):
        width = 1 if m == 0 else 2
        for room, (f, x) in zip(rooms, parts, strict=True):
            _mix(room.sources[m], x, f.mixing[m])
        for o, (mul, ir) in enumerate(irreps_out):
            if ir.l < m:
                continue
            total = scratch.take("total", (mul, width * n_edges), radial)
            begun = 0.0
            for room, (f, _) in zip(rooms, parts, strict=True):
                output = room.outputs[m].get(o)
                if output is None:
                    continue
                for piece, scales, place in output.pieces:
                    torch.mul(piece, scales, out=place)
                torch.addmm(total, f.columns[m][o], output.z, beta=begun, out=total)
                begun = 1.0
            if begun:
                rows = slice(0, 1) if m == 0 else slice(2 * m - 1, 2 * m + 1)
                result[o][:, rows] = total.view(mul, width, n_edges)
    return result


def _mix(sources: Sequence[_Source], x: Blocks, mixing: Sequence[torch.Tensor]) -> None:
    """W x of every source to its place."""
    for source, w in zip(sources, mixing, strict=True):
        rows = x[source.block][:, source.rows]
        if source.odd:
            source.copy[:, 0] = rows[:, 1]
            torch.neg(rows[:, 0], out=source.copy[:, 1])
        else:
            source.copy.copy_(rows)
        torch.mm(w, source.flat, out=source.mixed)
