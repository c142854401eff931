"""Which points of a layer's zone have the same energies, and opposite or equal curvatures.

An operation g of the crystal takes k to gk and an axial vector's part along the layer's normal to
s times itself, s the determinant of g within the plane; time reversal takes k to −k with s = −1.
Energies are the same at both; spin, Ω, m and η along the normal are s times each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.berry import band_geometry
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.structures.spglib_cell import SYMPREC, call_spglib, spglib_cell
from hamexplorer.structures.zone import PlanarZone

__all__ = ["MeshOrbits", "mesh_orbits", "single_points"]

_ENERGY = 1e-4
"""eV; the engine's blocks have the crystal's symmetry to about 1e-5 eV."""
_SPIN = 1e-2
_CURVATURE = 1e-2
"""Å², or this part of the curvature, whichever is more."""
_GENERIC = np.array([[0.137, 0.291], [0.223, -0.318]])
_Operations = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class MeshOrbits:
    """The points of an n × n mesh in orbits.

    ``representatives`` (nk,) are flat indices into the mesh; ``expansion`` (n²,) the orbit of
    every point, and ``sign`` (n²,) that of its axial components against the representative's.
    """

    representatives: NDArray[np.int64]
    expansion: NDArray[np.int64]
    sign: NDArray[np.float64]


def single_points(n: int) -> MeshOrbits:
    """Every point by itself."""
    flat = np.arange(n * n)
    return MeshOrbits(flat, flat, np.ones(n * n))


def mesh_orbits(h: Hamiltonian, zone: PlanarZone, n: int, state: SpinState) -> MeshOrbits:
    """The mesh's points in orbits of the symmetry that ``h`` has in ``state``.

    The candidates are the point operations of the crystal, for a magnet those under which n or,
    with time reversal, −n stays. The Hamiltonian need not have them all (a field on some atoms, a
    model on a more symmetric lattice): kept are those under which energies, spins and curvatures
    at generic k behave as they should. With a time-odd part or a three-component exchange field,
    whose own symmetry the crystal's operations and n do not give, every point is by itself.
    """
    turns, signs = _verified(h, zone, state, _candidates(h, zone, state))
    points = np.stack(np.unravel_index(np.arange(n * n), (n, n)), axis=1)
    moved = np.einsum("pa,gab->gpb", points, turns) % n
    images = moved[..., 0] * n + moved[..., 1]
    best = images.argmin(axis=0)
    lowest = images[best, np.arange(n * n)]
    representatives, expansion = np.unique(lowest, return_inverse=True)
    return MeshOrbits(representatives, expansion, signs[best].astype(float))


def _candidates(h: Hamiltonian, zone: PlanarZone, state: SpinState) -> _Operations:
    """Integer matrices P (ng, 2, 2), f → f P for k fractional in the plane, and their signs."""
    identity = np.eye(2, dtype=np.int64)
    magnetic = h.exchange is not None and state.exchange != 0
    if h.time_odd is not None or (h.exchange is not None and h.exchange.ndim == 2):
        return identity[None], np.array([1])
    found = call_spglib(
        h.structure,
        spglib.get_symmetry,
        spglib_cell(h.structure, magnetic=False),
        symprec=SYMPREC,
    )
    cell = h.structure.lattice.matrix.T
    turns, signs = [identity], [1]
    for w in np.unique(np.asarray(found["rotations"], dtype=np.int64), axis=0):
        cartesian = cell @ w @ np.linalg.inv(cell)
        in_plane = zone.axes @ cartesian @ zone.axes.T
        if abs(abs(np.linalg.det(in_plane)) - 1) > 1e-3:
            continue  # turns the normal into the plane
        exact = zone.embedding @ np.linalg.inv(w) @ np.linalg.pinv(zone.embedding)
        turn = np.rint(exact).astype(np.int64)
        if np.abs(turn - exact).max() > 1e-6:
            continue
        sign = int(np.sign(np.linalg.det(in_plane)))
        axial = np.linalg.det(cartesian) * cartesian @ state.direction
        for time in (1, -1):
            if not magnetic or np.allclose(time * axial, state.direction, atol=1e-6):
                turns.append(time * turn)
                signs.append(time * sign)
    return np.array(turns), np.array(signs)


def _verified(
    h: Hamiltonian, zone: PlanarZone, state: SpinState, operations: _Operations
) -> _Operations:
    """Those operations that the Hamiltonian has."""
    turns, signs = operations
    if len(turns) == 1:
        return operations
    bands = edge_bands(h)
    good = np.ones(len(turns), dtype=bool)
    for point in _GENERIC:
        k = np.einsum("a,gab->gb", point, turns) @ zone.embedding
        found = band_geometry(h, k, state, bands=bands, occupied=bands[2], normal=zone.normal)
        curvature, spin = found.occupied_curvature, found.spin @ zone.normal
        assert curvature is not None
        good &= np.abs(found.energies - found.energies[0]).max(axis=1) < _ENERGY
        good &= np.abs(spin - signs[:, None] * spin[0]).max(axis=1) < _SPIN
        good &= np.abs(curvature - signs * curvature[0]) < _CURVATURE * (1 + abs(curvature[0]))
    return turns[good], signs[good]
