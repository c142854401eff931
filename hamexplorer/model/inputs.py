"""What the network needs of HamGNN's graph files: Ha and bohr, as they have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from hamexplorer.errors import FileFormatError, HamiltonianError
from hamexplorer.formats.bundle import Member, bundle_of_path
from hamexplorer.formats.hamgnn.conversion import crystal_pairs, unit_of_length
from hamexplorer.formats.hamgnn.graph import Crystal, looks_like_graph, read_graph
from hamexplorer.formats.hamgnn.rows import Rows, rows_kind
from hamexplorer.formats.openmx.reader import BOHR

__all__ = [
    "Geometry",
    "GraphPair",
    "angular_momentum",
    "geometry",
    "graph_hashes",
    "graph_member",
    "joined",
    "read_pairs",
    "reverse_rows",
    "zero",
]

_SHORTEST = 1e-3
"""No two atoms are closer (bohr)."""


@dataclass(frozen=True, eq=False)
class GraphPair:
    """One crystal in two graphs: without spin–orbit and, where it is wanted, with it; of the second
    its H0 and angular momenta are used.
    """

    scalar: Crystal
    spin_orbit: Crystal | None = None


@dataclass(frozen=True, eq=False)
class Geometry:
    """Atoms and edges of one crystal, or of several that are computed together.

    Attributes:
        numbers: atomic numbers, (n_sites,).
        positions: bohr, (n_sites, 3).
        source: site i of every edge, (n_edges,).
        target: site j, in cell R.
        shift: R · lattice, bohr, (n_edges, 3).
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    shift: NDArray[np.float64]

    @property
    def n_sites(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return len(self.source)


def graph_member(path: str | Path) -> Member:
    """The graph file at ``path``.

    Raises:
        FileFormatError: there is none, or it is none of HamGNN's.
    """
    member = bundle_of_path(path).chosen
    if member is None or not looks_like_graph(member.head):
        raise FileFormatError(f"{Path(path).name} is no graph_data.npz of HamGNN.")
    return member


def graph_hashes(members: Sequence[Member]) -> dict[str, str]:
    """SHA-256 of one or two graph files by name, which may be the same in two folders."""
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        names = [names[0], f"{names[0]}, with spin–orbit"]
    return {name: member.digest for name, member in zip(names, members, strict=True)}


def read_pairs(graph: Member, graph_soc: Member | None = None) -> tuple[GraphPair, ...]:
    """The crystals of one graph file, or of two that hold the same crystals.

    Raises:
        FileFormatError: no such file, damaged, or the two differ in an atom or edge.
        ResourceLimitError: unpacks to absurdly much.
    """
    crystals = read_graph(graph)
    if graph_soc is None:
        return tuple(GraphPair(crystal) for crystal in crystals)
    with_spin = read_graph(graph_soc)
    if len(crystals) != len(with_spin):
        raise FileFormatError(
            f"{graph.name} holds {len(crystals)} crystals and {graph_soc.name} {len(with_spin)}."
        )
    for first, second in zip(crystals, with_spin, strict=True):
        if not first.same_as(second):
            raise FileFormatError(
                f"{first.where} and {second.where} differ in cell, atoms, edges or the edges' "
                "order: both must come from the same structure."
            )
    return tuple(map(GraphPair, crystals, with_spin))


def geometry(crystal: Crystal) -> Geometry:
    """Atoms and edges.

    Raises:
        FileFormatError: two atoms at one place, or a cell in Å, with which no H0 comes.
    """
    if unit_of_length(crystal) != BOHR:
        raise FileFormatError(
            f"{crystal.where} was packed by HamGNN's magnetism tools, whose H0 is a copy of the "
            "target: nothing can be predicted from it."
        )
    source, target = (part.astype(np.int64) for part in crystal.edges)
    vectors = crystal.positions[target] + crystal.cartesian_shifts - crystal.positions[source]
    lengths = np.linalg.norm(vectors, axis=1)
    if len(lengths) and lengths.min() < _SHORTEST:
        i, j = (int(part[lengths.argmin()]) for part in (source, target))
        raise FileFormatError(f"{crystal.where}: atoms {i} and {j} lie at the same place.")
    numbers = np.array([Element(symbol).Z for symbol in crystal.symbols], dtype=np.int64)
    return Geometry(numbers, crystal.positions, source, target, crystal.cartesian_shifts)


def joined(parts: Sequence[Geometry]) -> Geometry:
    """Several crystals as one graph without edges between them."""
    first = np.cumsum([0, *(part.n_sites for part in parts[:-1])])
    return Geometry(
        np.concatenate([p.numbers for p in parts]),
        np.concatenate([p.positions for p in parts]),
        np.concatenate([p.source + site for p, site in zip(parts, first, strict=True)]),
        np.concatenate([p.target + site for p, site in zip(parts, first, strict=True)]),
        np.concatenate([p.shift for p in parts]),
    )


def reverse_rows(crystal: Crystal) -> NDArray[np.int64]:
    """Row of (j, i, −R) for every row of a matrix, the sites' and then the edges', (n_pairs,).

    Found here, and compared with the file's ``inv_edge_idx``.

    Raises:
        FileFormatError: an edge twice or without its reverse, or another ``inv_edge_idx``.
    """
    n = len(crystal.symbols)
    try:
        reverse = crystal_pairs(crystal, np.ones(n, dtype=np.int64)).reverse
    except HamiltonianError as error:
        raise FileFormatError(f"{crystal.where}: {error}") from error
    if crystal.fields.has("inv_edge_idx"):
        told = crystal.fields.array("inv_edge_idx", "iu", len(reverse) - n)
        if not np.array_equal(told, reverse[n:] - n):
            raise FileFormatError(
                f"{crystal.where}: 'inv_edge_idx' does not name the reverse edges: the file is "
                "damaged."
            )
    return reverse


def zero(crystal: Crystal, *, spinor: bool) -> Rows:
    """H0, the part of H that needs no self-consistency, Ha.

    Raises:
        FileFormatError: the graph has none, of the other kind, or it is zero throughout.
    """
    rows = crystal.fields.matrix(len(crystal.symbols), len(crystal.shifts), crystal.width, "0")
    kind = rows_kind(rows.real.shape, crystal.width, crystal.where)
    if kind != ("spinor" if spinor else "scalar"):
        wanted = "with spin–orbit" if spinor else "without spin–orbit"
        raise FileFormatError(
            f"{crystal.where}: its H0 is {kind}; the graph of a calculation {wanted} is needed "
            "here. Were the two graphs exchanged?"
        )
    for part in (rows.real, rows.imaginary):
        if part is not None and not np.isfinite(part).all():
            raise FileFormatError(f"{crystal.where}: its H0 holds values that are not finite.")
    if not rows.real.any():
        raise FileFormatError(
            f"{crystal.where}: its H0 (Hon0, Hoff0) is zero: it does not come from OpenMX's "
            "postprocessing, and the network gives only what is to be added to H0."
        )
    return rows


def angular_momentum(crystal: Crystal) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """L of sites (n_sites, n², 3) and edges (n_edges, n², 3): the real
    matrices that OpenMX gives.

    Raises:
        FileFormatError: the graph has none, or values that are not finite.
    """
    square = crystal.width**2
    on = crystal.fields.array("Lon", "f", len(crystal.symbols), square, 3)
    off = crystal.fields.array("Loff", "f", len(crystal.shifts), square, 3)
    if not (np.isfinite(on).all() and np.isfinite(off).all()):
        raise FileFormatError(f"{crystal.where}: Lon or Loff holds values that are not finite.")
    return on, off
