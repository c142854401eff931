"""Magnets with closed-form or highly symmetric anisotropies."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import L_P, P, build
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.anisotropy import AnisotropyEnergy, Directions

HERE = (0, 0, (0, 0, 0))
FIELD, XI, LIFT = 1.0, 0.6, 30.0


def p_crystal(
    lengths: tuple[float, float, float] = (3.0, 3.0, 3.0),
    split: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    xi: float = 0.5,
    field: float = 0.8,
    n_electrons: float = 4.0,
) -> Hamiltonian:
    """One p shell per cell, σ and π hopping along the axes, crystal field ``split`` (y, z, x)."""
    structure = Structure(Lattice.orthorhombic(*lengths), ["Fe"], [[0, 0, 0]])
    scalar: dict[Any, Any] = {HERE: np.diag(split)}
    for axis, cell in enumerate(((1, 0, 0), (0, 1, 0), (0, 0, 1))):
        n = np.eye(3)[axis][[1, 2, 0]]
        scalar[(0, 0, cell)] = 0.6 * np.outer(n, n) - 0.15 * (np.eye(3) - np.outer(n, n))
    return build(
        structure,
        [[P]],
        n_electrons,
        scalar=scalar,
        exchange={HERE: field * np.eye(3)},
        spin_orbit={HERE: xi / 2 * L_P},
    )


def tetragonal(**options: float) -> Hamiltonian:
    """A tetragonal one, main axis z."""
    return p_crystal((3.0, 3.0, 3.6), (0.0, 0.3, 0.0), **options)


def orthorhombic(**options: float) -> Hamiltonian:
    """Three different axes."""
    return p_crystal((3.0, 3.3, 3.6), (0.1, 0.3, -0.2), **options)


def doublet() -> Hamiltonian:
    """p_x, p_y with ξ/2 L_z σ_z in a field, p_z out of reach; two electrons.

    In the basis l = ±1 of L_z: H = B n·σ + l a σ_z, a = λξ/2, with the levels
    ±√(B² + a² ± 2aB cos θ).
    """
    structure = Structure(Lattice.cubic(10), ["Fe"], [[0, 0, 0]])
    coupling = np.zeros((3, 3, 3))
    coupling[2] = XI / 2 * L_P[2]
    return build(
        structure,
        [[P]],
        2.0,
        scalar={HERE: np.diag([0.0, LIFT, 0.0])},
        exchange={HERE: FIELD * np.eye(3)},
        spin_orbit={HERE: coupling},
    )


def doublet_energy(theta: NDArray[np.float64], soc: float = 1.0) -> NDArray[np.float64]:
    """F(θ) of :func:`doublet` at kT ≪ B, eV."""
    a, c = soc * XI / 2, np.cos(np.radians(theta))
    result: NDArray[np.float64] = -sum(
        np.sqrt(FIELD**2 + a**2 + sign * 2 * a * FIELD * c) for sign in (1, -1)
    )
    return result


def antiferromagnet() -> Hamiltonian:
    """Two p shells along z with opposite fields in a tetragonal cell."""
    structure = Structure(Lattice.tetragonal(3.0, 6.4), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.5]])
    scalar: dict[Any, Any] = {}
    exchange, coupling = {}, {}
    for site, sign in ((0, 1.0), (1, -1.0)):
        on = (site, site, (0, 0, 0))
        scalar[on] = np.diag([0.0, 0.4, 0.0])
        exchange[on], coupling[on] = sign * 0.9 * np.eye(3), 0.25 * L_P
        for axis, cell in enumerate(((1, 0, 0), (0, 1, 0))):
            n = np.eye(3)[axis][[1, 2, 0]]
            scalar[(site, site, cell)] = 0.5 * np.outer(n, n) - 0.1 * np.eye(3)
    for cell in ((0, 0, 0), (0, 0, -1)):
        scalar[(0, 1, cell)] = np.diag([-0.2, 0.5, -0.2])
    return build(structure, [[P], [P]], 5.0, scalar=scalar, exchange=exchange, spin_orbit=coupling)


def energies_of(
    structure: Structure, directions: Directions, energies: NDArray[np.float64]
) -> AnisotropyEnergy:
    """A result that holds given energies, eV."""
    return AnisotropyEnergy(
        directions=directions,
        energies=np.asarray(energies, dtype=float),
        fermi=np.zeros(len(directions)),
        state=SpinState(),
        mesh=(1, 1, 1),
        smearing=0.1,
        n_electrons=1.0,
        method="exact",
        title=structure.composition.reduced_formula,
        n_sites=len(structure),
        volume=float(structure.volume),
        n_kpoints=1,
        n_operations=1,
        kpoints=np.zeros((1, 3)),
    )
