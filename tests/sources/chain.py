"""A small source for tests: one s orbital per site, nearest neighbours along a chain."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import ConvergenceError, StructureError
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance, structure_hash
from hamexplorer.sources import Capability, Cost

HOPPING = -1.0


def chain_structure(a: float = 3.0) -> Structure:
    return Structure(Lattice.orthorhombic(a, 12.0, 12.0), ["H"], [[0.0, 0.0, 0.0]])


def chain_hamiltonian(structure: Structure, onsite: float = 0.5, padding: int = 0) -> Hamiltonian:
    """E(k) = onsite + 2 t cos 2πk; ``padding`` adds far pairs so that the file grows."""
    reach = 1 + padding
    cells = np.array([[r, 0, 0] for r in range(-reach, reach + 1)])
    zero = np.zeros(len(cells), dtype=int)
    pairs = Pairs(zero, zero, cells, np.array([1]))
    distance = np.abs(cells[:, 0])
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=1e-9, size=reach + 1)[distance] * (distance > 1)
    return Hamiltonian(
        structure=structure,
        basis=Basis(("H",), ((Shell("1s", 0),),)),
        pairs=pairs,
        overlap=np.where(distance == 0, 1.0, 0.0),
        scalar=np.where(distance == 0, onsite, np.where(distance == 1, HOPPING, noise)),
        exchange=None,
        spin_orbit=None,
        n_electrons=1.0,
        provenance=Provenance("chain", "s chain", structure_hash=structure_hash(structure)),
    )


@dataclass
class ChainSource:
    """Counts its calls in ``calls`` and, across processes, as lines of ``log``."""

    onsite: float = 0.5
    seconds: float = 0.0
    padding: int = 0
    log: Path | None = None
    fails: bool = False
    calls: int = 0
    name: str = field(default="chain", init=False)
    title: str = field(default="s chain", init=False)

    def capability(self) -> Capability:
        return Capability(frozenset({"H"}), False, False, 1, "exact")

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        return json.dumps({"source": self.name, "onsite": self.onsite, "padding": self.padding})

    def check(self, structure: Structure) -> None:
        if len(structure) != 1:
            raise StructureError("The chain has one site.")

    def estimate(self, structure: Structure) -> Cost:  # noqa: ARG002 - the protocol's
        return Cost(self.seconds, 1e6, "a chain")

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        monitor = monitor or Monitor()
        self.calls += 1
        if self.log is not None:
            with self.log.open("a") as file:
                file.write("computed\n")
        steps = max(1, round(self.seconds / 0.02))
        for step in range(steps):
            monitor.report("scf", step / steps, iteration=step, residual=10.0**-step)
            time.sleep(self.seconds / steps)
        if self.fails:
            raise ConvergenceError("not converged", state=steps)
        return chain_hamiltonian(structure, self.onsite, self.padding)
