"""The engine's view of a crystal: lattice, atoms and basis in atomic units.

A slab is put into a box of the engine's own: its third vector stands along the normal and is as
long as the slab needs, whatever vacuum the user's cell has, and no pair crosses the vacuum. So
the vacuum of the input costs nothing and changes nothing. A bulk crystal is computed in the
Minkowski-reduced cell: a grid over long slanting vectors (24° in Bi2Se3) is six times as large.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.dft.basis_sets import AtomicShells, atomic_shells, valence_charge
from hamexplorer.dft.initial_moments import initial_moments
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis
from hamexplorer.structures.slab import slab_geometry
from hamexplorer.units import BOHR_ANGSTROM

__all__ = ["SLAB_MARGIN", "CrystalSystem", "crystal_system"]

SLAB_MARGIN = 9.5
"""Vacuum on either side of a slab's outermost atoms in the engine's box, bohr."""


@dataclass(frozen=True, eq=False)
class CrystalSystem:
    """A crystal as the engine computes it, in bohr.

    Attributes:
        lattice: rows are the vectors of the engine's box, (3, 3).
        positions: (n_atoms, 3), Cartesian.
        symbols: element of every atom.
        moments: initial magnetic moment of every atom, µB, or None for a spinless calculation.
        transform: integers M; rows of the engine's lattice are M times the user's, (3, 3).
        image_shift: how many times the user's vacuum vector was added to each atom to bring the
            layer together, (n_atoms,); zero without vacuum.
        vacuum_axis: index of the non-periodic vector, or None.
        basis_name: registry name of the basis.
        warnings: what was chosen for the user and must be said.
    """

    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    symbols: tuple[str, ...]
    moments: NDArray[np.float64] | None
    transform: NDArray[np.int64]
    image_shift: NDArray[np.int64]
    vacuum_axis: int | None
    basis_name: str
    warnings: tuple[str, ...] = ()

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.symbols)

    @property
    def periodic(self) -> NDArray[np.bool_]:
        """Which of the three vectors are periodic, (3,)."""
        return np.array([axis != self.vacuum_axis for axis in range(3)])

    @cached_property
    def volume(self) -> float:
        """Of the box, bohr³."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def reciprocal(self) -> NDArray[np.float64]:
        """Rows are the reciprocal vectors, 2π included, 1/bohr, (3, 3)."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.lattice).T, dtype=np.float64)

    @cached_property
    def fractional(self) -> NDArray[np.float64]:
        """Fractional positions, (n_atoms, 3)."""
        return np.linalg.solve(self.lattice.T, self.positions.T).T.astype(np.float64)

    @cached_property
    def shells(self) -> dict[str, AtomicShells]:
        """Radial functions by element."""
        return {s: atomic_shells(s, self.basis_name) for s in sorted(set(self.symbols))}

    @cached_property
    def basis(self) -> Basis:
        """Orbital labels and order."""
        return Basis.from_elements(
            self.symbols, {element: a.shells for element, a in self.shells.items()}
        )

    @cached_property
    def charges(self) -> NDArray[np.float64]:
        """Valence charge of every atom, (n_atoms,)."""
        return np.array([valence_charge(s) for s in self.symbols], dtype=float)

    @property
    def n_electrons(self) -> float:
        """Valence electrons per cell."""
        return float(self.charges.sum())


def crystal_system(structure: Structure, settings: DftSettings) -> CrystalSystem:
    """The system of a structure; positions keep the sites' images, so R means the same in both."""
    lattice = np.array(structure.lattice.matrix) / BOHR_ANGSTROM
    positions = np.array(structure.cart_coords) / BOHR_ANGSTROM
    vacuum_axis = None
    if settings.electrostatics != "periodic":
        slab = slab_geometry(structure)
        if slab is not None:
            vacuum_axis = slab.axis
        elif settings.electrostatics == "slab":
            raise SettingsError(
                "electrostatics 'slab' needs one direction with at least 7 Å of vacuum; "
                "this structure has none."
            )
    image_shift = np.zeros(len(structure), dtype=np.int64)
    if vacuum_axis is not None:
        lattice, positions, image_shift = _boxed(lattice, positions, vacuum_axis)
    transform = np.eye(3, dtype=np.int64)
    if vacuum_axis is None and settings.kmesh is None:
        # a k mesh that the user gave belongs to the user's cell
        transform = np.rint(minkowski_reduce(lattice)[1]).astype(np.int64)
        lattice = transform @ lattice
    moments, warnings = initial_moments(structure, settings)
    return CrystalSystem(
        lattice=lattice,
        positions=positions,
        symbols=tuple(site.specie.symbol for site in structure),
        moments=moments,
        transform=transform,
        image_shift=image_shift,
        vacuum_axis=vacuum_axis,
        basis_name=settings.basis,
        warnings=warnings,
    )


def _boxed(
    lattice: NDArray[np.float64], positions: NDArray[np.float64], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Box along the normal; atoms of one layer brought together and centred in it."""
    others = [a for a in range(3) if a != axis]
    normal = np.cross(lattice[others[0]], lattice[others[1]])
    normal /= np.linalg.norm(normal)
    if normal @ lattice[axis] < 0:
        normal = -normal
    period = normal @ lattice[axis]
    height = positions @ normal
    # cut the period in the widest gap
    order = np.sort(height % period)
    gaps = np.diff(np.append(order, order[0] + period))
    start = order[(gaps.argmax() + 1) % len(order)]
    wrapped = start + (height - start + 1e-9) % period - 1e-9
    shift = np.rint((wrapped - height) / period).astype(np.int64)
    shift -= shift[0]
    positions = positions + np.outer(shift, lattice[axis])
    height = positions @ normal
    length = height.max() - height.min() + 2 * SLAB_MARGIN
    box = lattice.copy()
    box[axis] = length * normal
    centre = (height.max() + height.min()) / 2
    return box, positions + (length / 2 - centre) * normal, shift
