"""Superposed free atoms as a source: no self-consistency, any size."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pymatgen.core import Structure

from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources.protocol import Capability, Cost

__all__ = ["SuperposedSource"]


@dataclass(frozen=True)
class SuperposedSource:
    """H0 of superposed atoms with fitted potentials, in the orbitals of the embedded engine.

    The engine is imported at first use.
    """

    settings: SuperposedSettings = field(default_factory=SuperposedSettings)
    name: str = field(default="superposed", init=False)

    @property
    def title(self) -> str:
        """``Superposed atoms, fitted``."""
        return "Superposed atoms" + (", fitted" if self.settings.residual else "")

    def capability(self) -> Capability:
        """Elements with a table of their free atom."""
        from hamexplorer.dft.engine import ELEMENTS
        from hamexplorer.dft.superposed.record import accuracy
        from hamexplorer.dft.superposed.residual import shipped_residuals

        residuals = shipped_residuals() if self.settings.residual else None
        return Capability(
            elements=ELEMENTS,
            magnetism=self.settings.spin != "none",
            spin_orbit=self.settings.spin_orbit,
            max_atoms=self.settings.max_atoms,
            accuracy=accuracy(residuals),
            assessed=None if residuals is None else frozenset(residuals.coefficients),
        )

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        """Physical settings, tables' hashes and the engine's version, as JSON."""
        from hamexplorer.dft.superposed.record import ENGINE_VERSION, tables_hash

        key = {
            "source": self.name,
            "engine": ENGINE_VERSION,
            "tables": tables_hash(),
            "settings": self.settings.physical(),
        }
        return json.dumps(key, sort_keys=True)

    def check(self, structure: Structure) -> None:
        """Raise what the engine refuses: elements, size, disorder, memory."""
        from hamexplorer.dft.superposed import engine

        engine.prepared(structure, self.settings)

    def estimate(self, structure: Structure) -> Cost:
        """The engine's estimate of time and memory."""
        from hamexplorer.dft.superposed import engine

        system = engine.prepared(structure, self.settings)
        seconds, memory = engine.estimate(system, self.settings)
        return Cost(
            seconds,
            memory,
            f"{system.n_atoms} atoms, {system.basis.n_orbitals} orbitals: about "
            f"{seconds:.0f} s and {memory / 1e9:.1f} GB",
        )

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """Integrals, and the potential on the grid."""
        from hamexplorer.dft.superposed import engine

        return engine.run(structure, self.settings, monitor or Monitor())
