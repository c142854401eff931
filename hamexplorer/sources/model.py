"""A trained network as a source, for the crystal whose S and H0 stand in HamGNN's graph files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.openmx.reader import BOHR
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.model.evaluation import Run
from hamexplorer.model.importing import WeightFiles, open_model
from hamexplorer.model.inputs import GraphPair, graph_hashes, graph_member, read_pairs
from hamexplorer.model.model import HamiltonianModel
from hamexplorer.model.predict import check_crystal, predict
from hamexplorer.progress import Monitor
from hamexplorer.sources.file import same_crystal
from hamexplorer.sources.protocol import Capability, Cost

__all__ = ["ModelSource"]

_SECONDS = 2e-10
"""Per directed edge and parameter, one thread of a present processor; a rough guide."""


@dataclass(frozen=True, eq=False)
class ModelSource:
    """Answers for the one crystal of the graph files: weights in OpenMX's orbitals need OpenMX's
    overlap and H0, which only those files have.

    Files are read once, at first use.

    Attributes:
        files: the weights.
        graph: HamGNN's graph of the calculation without spin–orbit.
        graph_soc: that of the one with spin–orbit; None: the prediction is without.
        index: which crystal of the files.
        run: device and precision.

    Raises:
        HamexplorerError: files that are missing, damaged or do not go together (at first use).
    """

    files: WeightFiles
    graph: Path
    graph_soc: Path | None = None
    index: int = 0
    run: Run = field(default_factory=Run)
    name: str = field(default="model", init=False)

    @property
    def title(self) -> str:
        """``Model NAME``."""
        return f"Model {self.files.weights.name}"

    @cached_property
    def model(self) -> HamiltonianModel:
        """The weights."""
        return open_model(self.files)

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        return tuple(graph_member(p) for p in (self.graph, self.graph_soc) if p is not None)

    @cached_property
    def pair(self) -> GraphPair:
        """The crystal."""
        pairs = read_pairs(*self._members)
        if not 0 <= self.index < len(pairs):
            raise SettingsError(
                f"{self.graph.name} has no crystal {self.index}; it has 0 … {len(pairs) - 1}."
            )
        return pairs[self.index]

    @property
    def structure(self) -> Structure:
        """The crystal that it answers for."""
        crystal = self.pair.scalar
        return Structure(
            Lattice(crystal.lattice * BOHR),
            crystal.symbols,
            crystal.positions * BOHR,
            coords_are_cartesian=True,
        )

    def capability(self) -> Capability:
        """Elements of the model; size of the graph's crystal."""
        return Capability(
            elements=frozenset(self.model.layout.elements),
            magnetism=False,
            spin_orbit=self.graph_soc is not None and "spin_orbit" in self.model.channels,
            max_atoms=len(self.pair.scalar.symbols),
            accuracy=self.model.card.accuracy or "not told by the model's card",
        )

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        """Weights, their card, which the record quotes, graphs and precision."""
        hashes = [member.digest for member in self._members]
        model = [self.model.fingerprint, asdict(self.model.card)]
        return json.dumps(["model", model, hashes, self.index, self.run.dtype], sort_keys=True)

    def check(self, structure: Structure) -> None:
        """Raise unless ``structure`` is the graph's and the model knows its elements."""
        own = self.structure
        if not same_crystal(own, structure):
            raise StructureError(
                f"{self.graph.name} is the graph of {own.composition.formula} ({len(own)} sites) "
                "in another cell or at other positions than the structure asked for, "
                f"{structure.composition.formula} ({len(structure)} sites): S and H0 of that "
                "structure are needed."
            )
        check_crystal(self.model, self.pair.scalar)

    def estimate(self, structure: Structure) -> Cost:  # noqa: ARG002 - the protocol's
        """By the number of edges and parameters, and the size of the matrices."""
        crystal = self.pair.scalar
        edges, spins = len(crystal.shifts), 1 if self.graph_soc is None else 4
        rows = crystal.n_pairs * crystal.width**2 * 8.0
        return Cost(
            _SECONDS * edges * self.model.n_parameters,
            (4 + 4 * spins) * rows + 5e8,
            f"{edges} edges, {self.model.n_parameters / 1e6:.1f} million parameters",
        )

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """The prediction, if it is for ``structure``."""
        monitor = monitor or Monitor()
        monitor.report("Reading", 0.0, self.graph.name)
        self.check(structure)
        hashes = graph_hashes(self._members)
        return predict(self.model, self.pair, run=self.run, files=hashes, monitor=monitor)
