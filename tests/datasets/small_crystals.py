"""Crystals with a Hamiltonian that takes no time: hydrogen-like s orbitals that decay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import ConvergenceError
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance

RECIPE = """
name: small
seed: 3
families:
  - name: layers
    parents: [graphene, hbn]
    count: 6
    pristine: true
    strain: 0.03
    rattle: 0.05
  - name: others
    parents: [graphene]
    count: 2
    supercell: [2, 1, 1]
    strain: 0.01
    held_out: true
"""


def crystal(symbols: str = "SiC", a: float = 3.0) -> Structure:
    half = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    return Structure(Lattice.cubic(a), [symbols[:2].strip(), symbols[2:]], half)


def hamiltonian(
    structure: Structure, *, cells: int = 1, scale: float = 1.0, spin: bool = False
) -> Hamiltonian:
    """One s orbital on each site, S = exp(−d²), H = −scale (10 S) on pairs up to ``cells`` away."""
    n = len(structure)
    steps = np.arange(-cells, cells + 1)
    cell = np.stack(np.meshgrid(steps, steps, [0], indexing="ij"), axis=-1).reshape(-1, 3)
    first, second, where = np.meshgrid(np.arange(n), np.arange(n), np.arange(len(cell)))
    first, second, cell = first.ravel(), second.ravel(), cell[where.ravel()]
    basis = Basis.from_elements(
        [site.specie.symbol for site in structure],
        {site.specie.symbol: (Shell("1s", 0),) for site in structure},
    )
    pairs = Pairs(first, second, cell, basis.sizes)
    positions = structure.cart_coords
    vectors = positions[second] + cell @ structure.lattice.matrix - positions[first]
    overlap = np.exp(-np.sum(vectors**2, axis=1))
    return Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=-10 * scale * overlap,
        exchange=0.3 * scale * overlap if spin else None,
        spin_orbit=np.stack([np.sin(vectors[:, 0]) * overlap] * 3) if spin else None,
        n_electrons=float(n),
        provenance=Provenance("small", "small"),
    )


@dataclass(frozen=True)
class SmallCalculator:
    """Reference and H0 at once, or after ``seconds``; those with ``refused`` in them fail."""

    seconds: float = 0.0
    refused: str = ""
    setting: str = "a"

    def settings(self) -> dict[str, Any]:
        return {"small": {"setting": self.setting, "mesh": (1, 2)}}

    def __call__(self, structure: Structure, monitor: Monitor) -> tuple[Hamiltonian, Hamiltonian]:
        for _ in range(round(self.seconds / 0.02)):
            monitor.report("small", 0.5)
            time.sleep(0.02)
        if self.refused and self.refused in structure.symbol_set:
            raise ConvergenceError(f"{self.refused} did not converge.", {"state": 1})
        far = hamiltonian(structure, cells=3, scale=1.1, spin=True)
        return far, hamiltonian(structure, cells=2, spin=True)
