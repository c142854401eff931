"""Position elements of Wannier functions, centred on the midpoint of the pair's sites.

X[i, j, R] = ⟨i0|r|jR⟩ − δ (r_i + t A): S = 1 leaves the sites' midpoint on the diagonal alone,
where t is the cell by which the function was moved.

A Hamiltonian's X is real and the same for both spins. What of a file is not (a part of complex or
spin-dependent functions, and half of what Wannier90's finite differences leave non-Hermitian) is
projected out: no real, spin-independent Hermitian operator is nearer to the file's, the diagonal
approximation X = 0 included. Its size is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.wannier90.blocks import Placement, SpinBlock
from hamexplorer.formats.wannier90.companions import Model
from hamexplorer.formats.wannier90.layout import Layout
from hamexplorer.hamiltonian import Pairs

__all__ = ["Centred", "centred_position", "position_of_centres"]

_TOLD = 0.02
"""Å; a larger part that is left out becomes a warning."""


@dataclass(frozen=True, eq=False)
class Centred:
    """X (3, n_elements), Å, or None; numbers for the record; warnings."""

    x: NDArray[np.float64] | None
    results: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def centred_position(
    of_spin: list[Model],
    same: list[SpinBlock],
    crossed: list[SpinBlock],
    places: list[Placement],
    pairs: Pairs,
    layout: Layout,
    lattice: NDArray[np.float64],
) -> Centred:
    """X from the position elements of ``_tb.dat`` files."""
    x = np.empty((3, pairs.n_elements))
    imaginary = spin = turned = broken = 0.0
    own = _diagonal(pairs)
    for axis in range(3):
        flat = []
        for model, block, place in zip(of_spin, same, places, strict=True):
            assert model.raw.position is not None
            values = block.flat(model.raw.position[axis], pairs, layout.basis)
            values[own] -= _homes(place, layout, lattice)[:, axis]
            flat.append(values)
        for block in crossed:
            position = of_spin[0].raw.position
            assert position is not None
            turned = max(turned, float(abs(block.flat(position[axis], pairs, layout.basis)).max()))
        mean = np.mean(flat, axis=0)
        back = mean[pairs.transposition].conj()
        broken = max(broken, float(abs(mean - back).max()) / 2)
        spin = max(spin, float(abs(flat[0] - flat[-1]).max()) / 2)
        mean = (mean + back) / 2
        imaginary = max(imaginary, float(abs(mean.imag).max()))
        x[axis] = mean.real
    results = {
        "position_left_out_A": {
            "imaginary": imaginary,
            "spin_dependent": max(spin, turned),
            "not_hermitian": broken,
        }
    }
    worst = max(imaginary, spin, turned)
    warnings: tuple[str, ...] = ()
    if worst > _TOLD:
        warnings = (
            f"Position elements of up to {worst:.3f} Å are imaginary or depend on spin and are "
            "left out; the real, spin-independent part is kept. Berry curvatures and orbital "
            "moments are approximate by that.",
        )
    return Centred(x, results, warnings)


def position_of_centres(
    of_spin: list[Model],
    places: list[Placement],
    pairs: Pairs,
    layout: Layout,
    lattice: NDArray[np.float64],
) -> Centred:
    """X from the Wannier centres alone: diagonal, the mean over spins; None without centres."""
    offsets = []
    for model, place in zip(of_spin, places, strict=True):
        if model.centres is None:
            return Centred(None)
        offset = np.empty((layout.basis.n_orbitals, 3))
        functions = place.orbital >= 0
        offset[place.orbital[functions]] = model.centres[functions]
        offsets.append(offset - _homes(place, layout, lattice))
    x = np.zeros((3, pairs.n_elements))
    x[:, _diagonal(pairs)] = np.mean(offsets, axis=0).T
    return Centred(x, {"position_from": "Wannier centres: diagonal elements alone"})


def _homes(place: Placement, layout: Layout, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the file has the atom at which each of our orbitals lies, Å, (n_orbitals, 3)."""
    shift = np.empty((layout.basis.n_orbitals, 3))
    functions = place.orbital >= 0
    shift[place.orbital[functions]] = place.shift[functions]
    homes: NDArray[np.float64] = (
        layout.structure.cart_coords[layout.basis.orbital_site] + shift @ lattice
    )
    return homes


def _diagonal(pairs: Pairs) -> NDArray[np.int64]:
    """Places of ⟨i0|…|i0⟩ in flat arrays, orbital by orbital, (n_orbitals,)."""
    places = np.flatnonzero(diagonal(pairs))
    return places[np.argsort(pairs.element_orbitals[0][places])]
