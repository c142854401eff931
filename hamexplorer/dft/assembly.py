"""From the engine's blocks in atomic units to a :class:`Hamiltonian` in the user's cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.dft.integrals import position_blocks
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.provenance import Provenance
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

__all__ = ["EngineBlocks", "assembled", "user_cells"]

_DROP_OVERLAP = 1e-11
_DROP_ENERGY = 1e-8
_POSITION_STEP = 2.0**-40
"""Å: position matrix elements are rounded to it, as finer digits are noise that fills files."""


@dataclass(frozen=True, eq=False)
class EngineBlocks:
    """Flat blocks on pairs of the engine's cell; Ha.

    Attributes:
        pairs: which (n_elements).
        overlap: S, (n_elements,).
        local: H of each spin, or of both, (n_spin, n_elements).
        spin_orbit: Λ, (3, n_elements), or None.
    """

    pairs: Pairs
    overlap: NDArray[np.float64]
    local: NDArray[np.float64]
    spin_orbit: NDArray[np.float64] | None


def assembled(
    structure: Structure,
    system: CrystalSystem,
    blocks: EngineBlocks,
    provenance: Provenance,
    *,
    position: bool = True,
    drop_overlap: float = _DROP_OVERLAP,
    drop_energy: float = _DROP_ENERGY,
) -> Hamiltonian:
    """Blocks in eV on the pairs that matter, with the user's images of the atoms.

    A pair is kept where the norm of its overlap exceeds ``drop_overlap`` or that of H
    ``drop_energy`` (eV). ``position``: with the position matrix elements.
    """
    pairs = blocks.pairs
    scalar = blocks.local.mean(axis=0) * HARTREE_EV
    exchange = None
    if len(blocks.local) == 2:
        exchange = (blocks.local[0] - blocks.local[1]) / 2 * HARTREE_EV
    # norms do not depend on the crystal's orientation, so neither does the choice of pairs
    keep = _norms(pairs, blocks.overlap) > drop_overlap
    keep |= _norms(pairs, scalar) > drop_energy
    keep |= keep[pairs.reverse]
    kept, mask = pairs.subset(keep)
    overlap = blocks.overlap[mask]
    elements = None
    if position:
        elements = position_blocks(system, kept, overlap) * BOHR_ANGSTROM
        elements = np.rint(elements / _POSITION_STEP) * _POSITION_STEP
    return Hamiltonian(
        structure=structure.copy(),
        basis=system.basis,
        pairs=Pairs(kept.first, kept.second, user_cells(system, kept), kept.sizes),
        overlap=overlap,
        scalar=scalar[mask],
        exchange=None if exchange is None else exchange[mask],
        spin_orbit=None if blocks.spin_orbit is None else blocks.spin_orbit[:, mask] * HARTREE_EV,
        n_electrons=system.n_electrons,
        provenance=provenance,
        position=elements,
    )


def user_cells(system: CrystalSystem, pairs: Pairs) -> NDArray[np.int64]:
    """The pairs' R in the user's cell and with the user's images of the atoms, (n_pairs, 3)."""
    cell: NDArray[np.int64] = pairs.cell @ system.transform
    if system.vacuum_axis is not None:
        cell[:, system.vacuum_axis] += (
            system.image_shift[pairs.second] - system.image_shift[pairs.first]
        )
    return cell


def _norms(pairs: Pairs, flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frobenius norm of every block, (n_pairs,)."""
    return np.sqrt(np.bincount(pairs.element_pair, flat**2, pairs.n_pairs))
