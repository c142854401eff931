"""A crystal as the network sees it: atoms, directed edges, and where each edge's block stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from hamexplorer.errors import HamiltonianError, StructureError
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["CrystalGraph", "EdgeGroup", "batch", "crystal_graph"]

_SAME_PLACE = 1e-6
"""Å; closer atoms stand at one place."""


@dataclass(frozen=True)
class EdgeGroup:
    """Consecutive edges ``start`` … ``stop`` from atoms of number ``first`` to ``second``."""

    first: int
    second: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class CrystalGraph:
    """Atoms and directed edges r = x_target + shift − x_source of one crystal or several.

    Edges stand in the order of their two atomic numbers, so that those of one kind are a slice.

    Attributes:
        numbers: atomic numbers, (n,).
        positions: Å, (n, 3), float64.
        source, target: atoms of the edges, (E,).
        shift: lattice vectors of the target's cell, Å, (E, 3), float64.
        reverse: the edge back, (E,).
        start: where the edge's block begins in the flat array of the pairs, (E,).
        site_start: where the atom's own block begins, (n,).
        atoms, elements: first atom and first flat element of every crystal, and the end,
            (n_crystals + 1) each.
    """

    numbers: torch.Tensor
    positions: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    shift: torch.Tensor
    reverse: torch.Tensor
    start: torch.Tensor
    site_start: torch.Tensor
    atoms: tuple[int, ...]
    elements: tuple[int, ...]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return len(self.source)

    @property
    def n_elements(self) -> int:
        """Length of the flat array of the pairs' blocks."""
        return self.elements[-1]

    @cached_property
    def vectors(self) -> torch.Tensor:
        """From source to target, Å, (E, 3), float64."""
        return self.positions[self.target] + self.shift - self.positions[self.source]

    @cached_property
    def groups(self) -> tuple[EdgeGroup, ...]:
        """The slices of edges of one kind."""
        if not self.n_edges:
            return ()
        kinds = torch.stack([self.numbers[self.source], self.numbers[self.target]])
        new = (kinds[:, 1:] != kinds[:, :-1]).any(0).nonzero()[:, 0] + 1
        bounds = [0, *new.tolist(), self.n_edges]
        firsts = kinds[:, bounds[:-1]].T.tolist()
        return tuple(
            EdgeGroup(z1, z2, a, b)
            for (z1, z2), (a, b) in zip(firsts, pairwise(bounds), strict=True)
        )

    @cached_property
    def species(self) -> dict[int, torch.Tensor]:
        """Atoms by atomic number."""
        return {int(z): (self.numbers == z).nonzero()[:, 0] for z in self.numbers.unique().tolist()}

    def to(self, device: torch.device | str) -> CrystalGraph:
        """The graph on another device."""
        moved: dict[str, Any] = {
            f.name: getattr(self, f.name).to(device)
            for f in fields(self)
            if f.name not in ("atoms", "elements")
        }
        return replace(self, **moved)


def crystal_graph(structure: Structure, pairs: Pairs, basis: Basis, cutoff: float) -> CrystalGraph:
    """The graph of ``structure`` whose edges are the ``pairs`` with 0 < |r| < ``cutoff`` (Å).

    Raises:
        HamiltonianError: pairs, basis and structure disagree on the sites, or an atom's own block
            is not stored.
        StructureError: two atoms at one place.
    """
    if len(structure) != basis.n_sites or not np.array_equal(pairs.sizes, basis.sizes):
        raise HamiltonianError(
            f"The structure's {len(structure)} sites, the basis's {basis.n_sites} and those of the "
            f"pairs ({len(pairs.sizes)}) are not the same."
        )
    positions = np.array(structure.cart_coords, dtype=float)
    shift = pairs.cell @ np.asarray(structure.lattice.matrix)
    vector = positions[pairs.second] + shift - positions[pairs.first]
    length = np.linalg.norm(vector, axis=1)
    own = (pairs.first == pairs.second) & ~pairs.cell.any(axis=1)
    _check(pairs, own, length)
    sites = np.empty(basis.n_sites, dtype=np.int64)
    sites[pairs.first[own]] = pairs.offsets[:-1][own]
    numbers = np.array([Element(symbol).Z for symbol in basis.symbols], dtype=np.int64)
    # rounding must not keep one direction alone
    edges = np.flatnonzero(~own & (np.maximum(length, length[pairs.reverse]) < cutoff))
    edges = edges[
        np.lexsort([numbers[pairs.second[edges]], numbers[pairs.first[edges]]])  # last key first
    ]
    place = np.full(pairs.n_pairs, -1, dtype=np.int64)
    place[edges] = np.arange(len(edges))
    tensors = {
        "numbers": numbers,
        "positions": positions,
        "source": pairs.first[edges],
        "target": pairs.second[edges],
        "shift": shift[edges],
        "reverse": place[pairs.reverse[edges]],
        "start": pairs.offsets[:-1][edges],
        "site_start": sites,
    }
    return CrystalGraph(
        **{name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in tensors.items()},
        atoms=(0, basis.n_sites),
        elements=(0, pairs.n_elements),
    )


def _check(pairs: Pairs, own: NDArray[np.bool_], length: NDArray[np.float64]) -> None:
    stored = np.zeros(len(pairs.sizes), dtype=bool)
    stored[pairs.first[own]] = True
    if not stored.all():
        raise HamiltonianError(f"The pairs hold no own block of site {int(np.argmin(stored)) + 1}.")
    if (close := ~own & ~(length > _SAME_PLACE)).any():  # NaN is close, too
        worst = int(np.argmax(close))
        raise StructureError(
            f"Sites {pairs.first[worst] + 1} and {pairs.second[worst] + 1} stand at one place."
        )


def batch(graphs: Sequence[CrystalGraph]) -> CrystalGraph:
    """One graph of several crystals: atoms, edges and flat elements one after the other.

    Raises:
        StructureError: there is none.
    """
    if not graphs:
        raise StructureError("A batch needs at least one crystal.")
    if len(graphs) == 1:
        return graphs[0]
    atoms, elements, n_edges = [0], [0], 0
    moved: dict[str, list[torch.Tensor]] = {}
    for graph in graphs:
        parts = {
            "numbers": graph.numbers,
            "positions": graph.positions,
            "source": graph.source + atoms[-1],
            "target": graph.target + atoms[-1],
            "shift": graph.shift,
            "reverse": graph.reverse + n_edges,
            "start": graph.start + elements[-1],
            "site_start": graph.site_start + elements[-1],
        }
        for name, part in parts.items():
            moved.setdefault(name, []).append(part)
        n_edges += graph.n_edges
        atoms += [atoms[-1] + a for a in graph.atoms[1:]]
        elements += [elements[-1] + e for e in graph.elements[1:]]
    joined = {name: torch.cat(parts) for name, parts in moved.items()}
    numbers = joined["numbers"]
    kinds = numbers[joined["source"]] * 256 + numbers[joined["target"]]
    order = torch.argsort(kinds, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    for name in ("source", "target", "shift", "start"):
        joined[name] = joined[name][order]
    joined["reverse"] = place[joined["reverse"][order]]
    return CrystalGraph(**joined, atoms=tuple(atoms), elements=tuple(elements))
