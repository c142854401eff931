"""From the engine's blocks in atomic units to a :class:`Hamiltonian` in the user's cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.dft.integrals import position_blocks
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.hamiltonian.arrays import read_only
from hamexplorer.provenance import Provenance
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

__all__ = ["EngineBlocks", "assembled", "user_cells"]

_DROP_OVERLAP = 1e-11
_DROP_ENERGY = 1e-8
_PAIRS_AT_ONCE = 1024
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

    ``blocks`` are used up: turned to eV where they are, and handed over if all pairs are kept.

    A pair is kept where the norm of its overlap exceeds ``drop_overlap`` or that of H
    ``drop_energy`` (eV). ``position``: with the position matrix elements.
    """
    pairs = blocks.pairs
    scalar, exchange = blocks.local[0], None
    if len(blocks.local) == 2:
        exchange = scalar - blocks.local[1]
        exchange /= 2
        exchange *= HARTREE_EV
        scalar += blocks.local[1]
        scalar /= 2
    scalar *= HARTREE_EV
    if blocks.spin_orbit is not None:
        np.multiply(blocks.spin_orbit, HARTREE_EV, out=blocks.spin_orbit)
    # norms do not depend on the crystal's orientation, so neither does the choice of pairs
    keep = _norms(pairs, blocks.overlap) > drop_overlap
    keep |= _norms(pairs, scalar) > drop_energy
    keep |= keep[pairs.reverse]
    kept, mask = (pairs, None) if keep.all() else pairs.subset(keep)
    overlap = _chosen(blocks.overlap, mask)
    elements = None
    if position:
        elements = position_blocks(system, kept, overlap) * BOHR_ANGSTROM
        elements = read_only(np.rint(elements / _POSITION_STEP) * _POSITION_STEP)
    return Hamiltonian(
        structure=structure.copy(),
        basis=system.basis,
        pairs=Pairs(kept.first, kept.second, user_cells(system, kept), kept.sizes),
        overlap=overlap,
        scalar=_chosen(scalar, mask),
        exchange=None if exchange is None else _chosen(exchange, mask),
        spin_orbit=None if blocks.spin_orbit is None else _chosen(blocks.spin_orbit, mask),
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


def _chosen(flat: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """The elements that ``mask`` chooses, or all, so that a Hamiltonian need not copy them."""
    return read_only(flat if mask is None else np.compress(mask, flat, axis=-1))


def _norms(pairs: Pairs, flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frobenius norm of every block, (n_pairs,)."""
    squares = np.empty(pairs.n_pairs)
    for start in range(0, pairs.n_pairs, _PAIRS_AT_ONCE):
        offsets = pairs.offsets[start : start + _PAIRS_AT_ONCE + 1]
        part = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        summed = np.bincount(part, flat[offsets[0] : offsets[-1]] ** 2, len(offsets) - 1)
        squares[start : start + len(summed)] = summed
    return np.sqrt(squares)
