"""The embedded DFT engine as a source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pymatgen.core import Structure

from hamexplorer.dft.settings import DftSettings
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources.protocol import Capability, Cost

__all__ = ["DftSource"]

_ACCURACY = (
    "GTH-PBE with a Gaussian basis, spin-orbit in one shot: splittings within a few % of "
    "all-electron PBE; gaps are PBE's."
)


@dataclass(frozen=True)
class DftSource:
    """Computes the Hamiltonian by a DFT calculation with the given settings.

    The engine and the integrals behind it are imported at first use.
    """

    settings: DftSettings = field(default_factory=DftSettings)
    name: str = field(default="dft", init=False)

    @property
    def title(self) -> str:
        """``DFT: PBE, gth-dzvp-molopt-sr``."""
        return f"DFT: PBE, {self.settings.basis}"

    def capability(self) -> Capability:
        """All that the engine's data tables cover."""
        from hamexplorer.dft import engine

        return Capability(
            elements=engine.ELEMENTS,
            magnetism=self.settings.spin != "none",
            spin_orbit=self.settings.spin_orbit,
            max_atoms=self.settings.max_atoms,
            accuracy=_ACCURACY,
        )

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        """Physical settings and the engine's version, as JSON."""
        from hamexplorer.dft import engine

        key = {
            "source": self.name,
            "engine": engine.ENGINE_VERSION,
            "settings": self.settings.physical(),
        }
        return json.dumps(key, sort_keys=True)

    def check(self, structure: Structure) -> None:
        """Raise what the engine refuses: elements, size, disorder, memory."""
        from hamexplorer.dft import engine

        engine.check(structure, self.settings)

    def estimate(self, structure: Structure) -> Cost:
        """The engine's estimate of time and memory."""
        from hamexplorer.dft import engine

        estimate = engine.estimate(structure, self.settings)
        return Cost(estimate.seconds, estimate.memory_bytes, estimate.description)

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """Run the SCF and build the real-space blocks."""
        from hamexplorer.dft import engine

        return engine.run(structure, self.settings, monitor or Monitor())
