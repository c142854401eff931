"""A learned ΔH on top of superposed atoms as a source: nearly DFT's Hamiltonian, at their cost."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from hamexplorer.dft.assembly import user_cells
from hamexplorer.dft.integrals import pairs_by_overlap
from hamexplorer.dft.superposed import engine
from hamexplorer.dft.superposed.record import ENGINE_VERSION, layers, tables_hash
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import FileFormatError, SettingsError, StructureError
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.hamiltonian.arrays import read_only
from hamexplorer.model.delta.checkpoint import load_delta
from hamexplorer.model.delta.model import DeltaModel, DeltaPrediction
from hamexplorer.model.evaluation import Run
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance
from hamexplorer.sources.learned_accuracy import stated_accuracy
from hamexplorer.sources.protocol import Capability, Cost
from hamexplorer.sources.shipped import SHIPPED, shipped_weights
from hamexplorer.structures.checks import check_structure
from hamexplorer.units import BOHR_ANGSTROM

__all__ = ["LearnedSource"]

_FARTHEST = 3.0
"""Distance (:class:`~hamexplorer.model.delta.domain.Domain`) above which an atom is called foreign
by a model whose card says nothing (``domain_limit`` in its origin)."""
_SECONDS_PER_ATOM = 0.03
"""Graph and network, one core."""
_ZERO_ACCURACY = "Superposed atoms, not self-consistent."
"""How the sentence begins in which H0 tells its own accuracy, which is not the sum's."""


@dataclass(frozen=True)
class LearnedSource:
    """S, H0 and Λ of superposed atoms; the model adds ΔH to H0, whose zero of energy stays.

    The weights are read at first use, once for all sources of the same file.

    Attributes:
        weights: a file of :func:`~hamexplorer.model.delta.checkpoint.save_delta`; None: the
            shipped one.
        settings: of the superposed atoms.
        device: of the network, as in :class:`~hamexplorer.model.evaluation.Run`.

    Raises:
        SettingsError: settings of another H0 than the one that models correct, no shipped weights
            where none are given, or a device that is not there.
        FileFormatError: there is no such file; later: it is no such model.
    """

    weights: Path | None = None
    settings: SuperposedSettings = field(default_factory=SuperposedSettings)
    device: str = "cpu"
    name: str = field(default="learned", init=False)

    def __post_init__(self) -> None:
        if not self.settings.residual:
            raise SettingsError(
                "Learned models correct superposed atoms with their fitted potentials: residual "
                "must be true."
            )
        found = self.weights or shipped_weights()
        if found is None:
            raise SettingsError(
                f"This installation holds no learned model (assets/{SHIPPED}): give the weights of "
                "one (on the command line --weights FILE.safetensors), or take another source."
            )
        if not found.is_file():
            raise FileFormatError(f"{found}: there is no such file of weights.")
        object.__setattr__(self, "weights", found)
        _ = Run(self.device)  # says what is wrong with the device

    @property
    def model(self) -> DeltaModel:
        """The model, on the device.

        Raises:
            FileFormatError: the file is damaged, or no learned ΔH.
        """
        return self._opened()[0]

    @property
    def title(self) -> str:
        """``Learned model NAME``."""
        return f"Learned model {self.model.card.title}"

    def capability(self) -> Capability:
        """The model's elements and what its card says of its accuracy."""
        return Capability(
            elements=frozenset(self.model.elements),
            magnetism=False,
            spin_orbit=self.settings.spin_orbit,
            max_atoms=self.settings.max_atoms,
            accuracy=stated_accuracy(self.model.card),
        )

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        """The weights' file, of which card and statistics are quoted, and what H0 depends on."""
        model, digest = self._opened()
        key = {
            "source": self.name,
            "model": model.fingerprint,
            "file": digest,
            "engine": ENGINE_VERSION,
            "tables": tables_hash(),
            "settings": self.settings.physical(),
        }
        return json.dumps(key, sort_keys=True)

    def check(self, structure: Structure) -> None:
        """Raise what the model does not know: elements, basis, magnetism; and as the engine does.

        Raises:
            HamexplorerError: why it cannot be computed.
        """
        self._prepared(structure)

    def estimate(self, structure: Structure) -> Cost:
        """That of the superposed atoms, and the network's time."""
        system = self._prepared(structure)
        seconds, memory = engine.estimate(system, self.settings)
        seconds += _SECONDS_PER_ATOM * system.n_atoms
        return Cost(
            seconds,
            memory,
            f"{system.n_atoms} atoms, {system.basis.n_orbitals} orbitals: about "
            f"{seconds:.0f} s and {memory / 1e9:.1f} GB",
        )

    def doubts(self, structure: Structure) -> tuple[str, ...]:
        """Why the model may be wrong by more than its card says; empty: nothing is known against
        it. It takes the network's time, not that of H0.

        Raises:
            HamexplorerError: as :meth:`check`.
        """
        model, system = self.model, self._prepared(structure)
        pairs = _near_pairs(system, self.settings.overlap_tolerance, model.network.cutoff)
        return _doubts(model, model.predict(structure, pairs, system.basis), system)

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """H0 + ΔH − c·S with ⟨S, ΔH − c·S⟩ = 0.

        The record tells the card's accuracy, every doubt, and in ``results`` how far each atom lies
        from the training set (``domain_distance``).
        """
        monitor = monitor or Monitor()
        began = time.perf_counter()
        monitor.report("Reading the model", 0.0)
        model, system = self.model, self._prepared(structure)
        read = time.perf_counter()
        atoms = Monitor(lambda e: monitor.report(e.stage, 0.9 * e.fraction, e.message))
        zero = engine.run(structure, self.settings, atoms)
        added = time.perf_counter()
        monitor.report("Network", 0.9, f"{len(structure)} atoms")
        found = model.predict(structure, zero.pairs, zero.basis)
        done = time.perf_counter()
        times = {
            "model": read - began,
            "H0": added - read,
            "network": done - added,
            "all": done - began,
        }
        monitor.report("Checking", 0.98)
        doubts = _doubts(model, found, system)
        record = self._record(zero.provenance, found, doubts, len(layers(system)), times)
        # H and H + c·S have the same states, and c is nothing that the training has fixed
        constant = (zero.overlap @ found.elements) / (zero.overlap @ zero.overlap)
        scalar = zero.scalar + found.elements
        scalar -= constant * zero.overlap
        return replace(zero, scalar=read_only(scalar), provenance=record)

    def _opened(self) -> tuple[DeltaModel, str]:
        assert self.weights is not None
        state = self.weights.stat()
        return _read(self.weights, state.st_mtime_ns, state.st_size, self.device)

    def _prepared(self, structure: Structure) -> CrystalSystem:
        model = self.model
        check_structure(structure)
        model.check(structure)
        _check_zero(model)
        system = engine.prepared(structure, self.settings)
        if system.moments is not None:
            raise StructureError(
                f"{self.title} knows no magnetism, and this crystal has moments (or they are asked "
                "for): take DFT, or spin='none' (--spin none) to leave them out."
            )
        for symbol, own in system.shells.items():
            known = model.network.layout.elements[symbol]
            if known != own.shells:
                raise SettingsError(
                    f"{self.title} was trained in another basis than {self.settings.basis}: its "
                    f"shells of {symbol} are {' '.join(s.label for s in known)}, those of the "
                    f"basis {' '.join(s.label for s in own.shells)}."
                )
        return system

    def _record(
        self,
        zero: Provenance,
        found: DeltaPrediction,
        doubts: tuple[str, ...],
        n_layers: int,
        times: Mapping[str, float],
    ) -> Provenance:
        model = self.model
        accuracy = stated_accuracy(model.card, n_layers)
        told = tuple(text for text in zero.warnings if not text.startswith(_ZERO_ACCURACY))
        results = {
            **zero.results,
            "zero_of_energy": f"{zero.results['zero_of_energy']}, as of superposed atoms",
            "accuracy": accuracy,
            "doubts": list(doubts),
        }
        if found.distance is not None:
            far = [round(d, 3) if np.isfinite(d) else None for d in found.distance.tolist()]
            results["domain_distance"] = far
        return replace(
            zero,
            source=self.name,
            title=self.title,
            settings={
                **zero.settings,
                "model": model.card.title,
                "model_fingerprint": model.fingerprint,
                "device": self.device,
                "precision": str(model.network.dtype).removeprefix("torch."),
            },
            results=results,
            timings={key: round(value, 3) for key, value in times.items()},
            warnings=(*told, *doubts, f"{self.title}: {accuracy}", *model.card.listed("notes")),
            citations=(*zero.citations, *model.card.listed("citations")),
        )


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int, device: str) -> tuple[DeltaModel, str]:  # noqa: ARG001 - a changed file is read anew
    """The model of a file, on ``device``, and the SHA-256 of the file."""
    model = load_delta(path)
    where = Run(device).torch_device
    if where.type != "cpu":
        model = replace(model, network=copy.deepcopy(model.network).to(where))
    model.network.eval()
    return model, hashlib.sha256(path.read_bytes()).hexdigest()


def _check_zero(model: DeltaModel) -> None:
    """Raise if the card tells (``zero`` in its origin) of another H0 than the present one."""
    trained = model.card.origin.get("zero")
    present = {"engine": ENGINE_VERSION, "tables": tables_hash()}
    if isinstance(trained, Mapping) and {**present, **trained} != present:
        raise FileFormatError(
            f"The learned model {model.card.title} was trained on superposed atoms of another "
            f"release (engine {trained.get('engine')}, tables {trained.get('tables')}; here "
            f"{ENGINE_VERSION}, {tables_hash()}): it must be trained anew."
        )


def _near_pairs(system: CrystalSystem, tolerance: float, cutoff: float) -> Pairs:
    """The pairs that H0 will have, up to ``cutoff`` (Å), in the user's cell."""
    near = pairs_by_overlap(system, tolerance)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    away = system.positions[pairs.second] + pairs.cell @ system.lattice
    length = np.linalg.norm(away - system.positions[pairs.first], axis=1) * BOHR_ANGSTROM
    kept, _ = pairs.subset((length < cutoff) | (length[pairs.reverse] < cutoff))
    return Pairs(kept.first, kept.second, user_cells(system, kept), kept.sizes)


def _doubts(model: DeltaModel, found: DeltaPrediction, system: CrystalSystem) -> tuple[str, ...]:
    told = [
        f"{first} and {second} stand within {model.network.cutoff:g} Å of each other, as nowhere "
        "in what the model was trained on."
        for first, second in found.unseen
    ]
    given = model.card.origin.get("domain_limit")
    limit = float(given) if isinstance(given, int | float) and given > 0 else _FARTHEST
    if found.distance is not None and (count := int((found.distance > limit).sum())):
        worst = int(np.argmax(found.distance))
        label = system.basis.site_labels[worst]
        told.append(
            f"The surroundings of {count} of {system.n_atoms} atoms are unlike those that the "
            f"model was trained on: {label} is {found.distance[worst]:.1f} away, where {limit:.2g} "
            "is the limit."
        )
    return tuple(told)
