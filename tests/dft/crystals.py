"""Small crystals that the engine's tests share."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure


def silicon() -> Structure:
    """Diamond Si, a = 5.43 Å, two atoms."""
    lattice = Lattice(2.715 * (np.ones((3, 3)) - np.eye(3)))
    return Structure(lattice, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def lithium_hydride() -> Structure:
    """One LiH molecule off centre in a cube of 3.2 Å: low symmetry, hard hydrogen Gaussians."""
    return Structure(Lattice.cubic(3.2), ["Li", "H"], [[0.1, 0.1, 0.1], [0.1, 0.1, 0.6]])


def lithium_atom() -> Structure:
    """A lithium atom in a cube of 3.2 Å with one unpaired electron over its closed core."""
    return Structure(Lattice.cubic(3.2), ["Li"], [[0, 0, 0]], site_properties={"magmom": [1.0]})


def mos2(vacuum: float = 15.0, height: float = 0.5) -> Structure:
    """The MoS2 monolayer of the reference: a = 3.18 Å, S at ±1.56 Å."""
    lattice = Lattice.hexagonal(3.18, vacuum)
    z = 1.56 / vacuum
    return Structure(
        lattice,
        ["Mo", "S", "S"],
        [[1 / 3, 2 / 3, height], [2 / 3, 1 / 3, height + z], [2 / 3, 1 / 3, height - z]],
    )


def wse2() -> Structure:
    """The WSe2 monolayer of the reference: a = 3.32 Å, Se at ±1.675 Å."""
    z = 1.675 / 15
    return Structure(
        Lattice.hexagonal(3.32, 15.0),
        ["W", "Se", "Se"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5 + z], [2 / 3, 1 / 3, 0.5 - z]],
    )


def janus_wsse() -> Structure:
    """A WSSe layer with the parents' heights: polar."""
    return Structure(
        Lattice.hexagonal(3.25, 18.0),
        ["W", "S", "Se"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5 + 1.56 / 18], [2 / 3, 1 / 3, 0.5 - 1.67 / 18]],
    )


def gallium_arsenide() -> Structure:
    """Zincblende GaAs, a = 5.6533 Å."""
    lattice = Lattice(5.6533 / 2 * (np.ones((3, 3)) - np.eye(3)))
    return Structure(lattice, ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def iron_platinum() -> Structure:
    """L1₀ FePt, a = 2.72, c = 3.71 Å."""
    return Structure(
        Lattice.tetragonal(2.72, 3.71),
        ["Fe", "Pt"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        site_properties={"magmom": [3.0, 0.4]},
    )


def eigenvalues(h, kpoint, soc=1.0, **angles):  # type: ignore[no-untyped-def]
    """Plain generalised eigenvalues of a Hamiltonian at one k-point, eV."""
    import scipy.linalg

    from hamexplorer.hamiltonian import BlochSum, SpinState

    matrices = BlochSum(h, "cpu")(np.atleast_2d(kpoint))
    return scipy.linalg.eigh(
        matrices.spinor(SpinState(soc, **angles))[0].numpy(),
        matrices.spinor_overlap()[0].numpy(),
        eigvals_only=True,
    )


def spin_levels(h, kpoint):  # type: ignore[no-untyped-def]
    """Levels of spin up and spin down at one k-point without spin-orbit coupling, eV."""
    import scipy.linalg

    from hamexplorer.hamiltonian import BlochSum

    matrices = BlochSum(h, "cpu")(np.atleast_2d(kpoint))
    overlap = matrices.overlap[0].numpy()
    scalar, exchange = matrices.scalar[0].numpy(), matrices.exchange[0, 0].numpy()
    return [
        scipy.linalg.eigh(scalar + sign * exchange, overlap, eigvals_only=True) for sign in (1, -1)
    ]


def interpolation_error(h, state, point, fermi):  # type: ignore[no-untyped-def]
    """Largest difference within 5 eV of the gap at one k-point, eV."""
    import scipy.linalg

    from hamexplorer.hamiltonian import BlochSum
    from hamexplorer.units import HARTREE_EV

    overlap, direct = state.matrices_at(point)
    matrices = BlochSum(h, "cpu")(point)
    stored = matrices.scalar[0].numpy()
    exchange = 0 if matrices.exchange is None else matrices.exchange[0, 0].numpy()
    worst = 0.0
    for sign, matrix in zip((1, -1), direct, strict=False):
        exact = scipy.linalg.eigh(matrix, overlap, eigvals_only=True) * HARTREE_EV
        ours = scipy.linalg.eigh(
            stored + sign * exchange, matrices.overlap[0].numpy(), eigvals_only=True
        )
        near = np.abs(exact - fermi) < 6.0
        worst = max(worst, np.abs(exact - ours)[near].max())
    return worst
