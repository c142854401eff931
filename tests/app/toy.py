"""A source for tests of the app: an s-p model of any crystal, in no time or in a chosen one."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from models import L_P, P, S, build
from pymatgen.core import Structure

from hamexplorer.errors import ConvergenceError, ResourceLimitError, UnsupportedElementError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance
from hamexplorer.sources import Capability, Cost

_REACH = 4.0  # Å


def toy_hamiltonian(structure: Structure, soc: float = 0.4) -> Hamiltonian:
    """s and p orbitals on every site, hopping to neighbours, spin-orbit coupling on site."""
    n = len(structure)
    positions, lattice = structure.cart_coords, structure.lattice.matrix
    scalar: dict[Any, Any] = {}
    cells = list(itertools.product((-1, 0, 1), repeat=3))
    for i, j in itertools.product(range(n), repeat=2):
        for cell in cells:
            away = positions[j] + np.array(cell) @ lattice - positions[i]
            distance = float(np.linalg.norm(away))
            if (i, j, cell) > (j, i, tuple(-c for c in cell)) or not 0.1 < distance < _REACH:
                continue
            block = np.diag([-0.6, 0.3, 0.3, 0.3])
            block[0, 1:] = 0.2 * away[[1, 2, 0]] / distance
            block[1:, 0] = -block[0, 1:]
            scalar[(i, j, cell)] = block * np.exp(1 - distance / 2)
    for i, site in enumerate(structure):
        scalar[(i, i, (0, 0, 0))] = np.diag([-4.0, 1.0, 1.0, 1.0]) + 0.02 * site.specie.Z
    onsite = np.zeros((3, 4, 4))
    onsite[:, 1:, 1:] = soc / 2 * L_P
    return build(
        structure,
        [[S, P]] * n,
        2.0 * n,
        scalar=scalar,
        spin_orbit={(i, i, (0, 0, 0)): onsite for i in range(n)},
    )


def toy_magnet(structure: Structure, field: float = 0.5, electrons: float = 6.0) -> Hamiltonian:
    """The same with an exchange field on every site, and all of the crystal's symmetry."""
    h = toy_hamiltonian(structure)
    scalar, exchange = h.scalar.copy(), np.zeros_like(h.scalar)
    for i, site in enumerate(structure):
        p = h.pairs.index(i, i, (0, 0, 0))
        h.pairs.block(scalar, p)[...] = np.diag([-4.0, 1.0, 1.0, 1.0]) + 0.02 * site.specie.Z * (
            np.eye(4)
        )
        h.pairs.block(exchange, p)[...] = field * np.eye(4)
    return replace(h, scalar=scalar, exchange=exchange, n_electrons=electrons)


@dataclass(frozen=True)
class ToySource:
    """Takes ``seconds``, reporting; ``estimate`` is what it says it will take."""

    settings: Any = None
    seconds: float = 0.0
    estimated: float = 1.0
    fails: bool = False
    name: str = "toy"
    title: str = "toy model"

    def capability(self) -> Capability:
        return Capability(frozenset(), False, True, 100, "none")

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        return json.dumps({"source": self.name, "basis": getattr(self.settings, "basis", "")})

    def check(self, structure: Structure) -> None:
        if self.settings is not None:
            from hamexplorer.dft import engine

            engine.check(structure, self.settings)

    def estimate(self, structure: Structure) -> Cost:
        return Cost(self.estimated, 1e8, f"{len(structure)} atoms: about {self.estimated:g} s")

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        monitor = monitor or Monitor()
        steps = max(1, round(self.seconds / 0.05))
        for step in range(steps):
            monitor.report(
                "Self-consistent field", step / steps, iteration=step, residual=10.0 ** (-step / 9)
            )
            time.sleep(self.seconds / steps)
        if self.fails:
            raise ConvergenceError("The SCF did not converge within 3 iterations.", state=None)
        return toy_hamiltonian(structure)


@dataclass(frozen=True)
class RefusingSource(ToySource):
    """Has no table of any element."""

    name: str = "refusing"

    def check(self, structure: Structure) -> None:
        raise UnsupportedElementError(f"no table of {structure[0].specie.symbol}")


@dataclass(frozen=True)
class SmallSource(ToySource):
    """Takes cells up to ``largest`` atoms, as DFT does."""

    largest: int = 2

    def check(self, structure: Structure) -> None:
        if len(structure) > self.largest:
            raise ResourceLimitError(
                f"{len(structure)} atoms in the cell; at most {self.largest} are taken."
            )


@dataclass(frozen=True)
class ToyAtoms(ToySource):
    """Says that it superposes atoms, as the real engine does."""

    name: str = "superposed"
    title: str = "Superposed atoms, fitted"
    accuracy: str = "near-gap levels within 0.1 eV."
    assessed: frozenset[str] | None = None

    def capability(self) -> Capability:
        return Capability(frozenset(), False, True, 2000, self.accuracy, self.assessed)

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        return json.dumps({"source": self.name, "spacing": getattr(self.settings, "spacing", 0)})

    def check(self, structure: Structure) -> None:
        pass

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        h = super().compute(structure, monitor)
        record = Provenance(
            source=self.name,
            title=self.title,
            settings={"spacing": getattr(self.settings, "spacing", None)},
            warnings=(f"Superposed atoms, not self-consistent. {self.accuracy}",),
        )
        return replace(h, provenance=record)


@dataclass(frozen=True)
class ToyModel(ToyAtoms):
    """Says that it is a learned model, of Ga and As."""

    name: str = "learned"
    title: str = "Learned model Tiny"
    accuracy: str = "near-gap bands within 2 meV."
    knows: frozenset[str] = frozenset({"Ga", "As"})
    doubt: str = ""
    damage: type[Exception] | None = None

    def check(self, structure: Structure) -> None:
        if self.damage is not None:
            raise self.damage("The file of weights is damaged.")
        if unknown := {site.specie.symbol for site in structure} - self.knows:
            raise UnsupportedElementError(f"The model knows no {', '.join(unknown)}.")

    def doubts(self, _: Structure) -> tuple[str, ...]:
        return (self.doubt,) if self.doubt else ()

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        h = super().compute(structure, monitor)
        results = {"accuracy": self.accuracy, "doubts": list(self.doubts(structure))}
        return replace(h, provenance=Provenance(self.name, self.title, results=results))
