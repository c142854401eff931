"""One crystal of a data set: reference and H0 computed, compared and stored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from pymatgen.core import Structure

from hamexplorer.datasets.alignment import Agreement, aligned
from hamexplorer.datasets.ledger import Entry
from hamexplorer.datasets.recipe import Draft
from hamexplorer.datasets.sample import Sample, SampleInfo, made_sample, save_sample
from hamexplorer.datasets.workers import worker_monitor
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import CalculationCancelled, HamexplorerError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.provenance import package_versions, structure_hash
from hamexplorer.sources import DftSource, HamiltonianCache, SuperposedSource, compute

__all__ = [
    "Calculator",
    "EngineCalculator",
    "Task",
    "file_sha256",
    "found_entry",
    "run_task",
    "stored_entry",
]

_PACKAGES = ("pyscf", "numpy", "torch")
_SHARED = ("basis", "spin", "electrostatics", "spin_orbit")
"""Settings that the two engines must have in common, so that S and Λ are the same."""


class Calculator(Protocol):
    """Gives a crystal's reference and H0; pickled, for it works in other processes."""

    def settings(self) -> dict[str, Any]:
        """All that determines the results besides the crystals, as JSON data."""
        ...

    def __call__(self, structure: Structure, monitor: Monitor) -> tuple[Hamiltonian, Hamiltonian]:
        """Reference and H0.

        Raises:
            HamexplorerError: the crystal cannot be computed, or did not converge.
        """
        ...


@dataclass(frozen=True)
class EngineCalculator:
    """The embedded SCF engine and superposed atoms, each on one thread, through the cache.

    Attributes:
        dft: settings of the engine.
        cache_root: of :class:`~hamexplorer.sources.HamiltonianCache`; None: the user's own.
        cache_bytes: that it may hold.
    """

    dft: DftSettings
    cache_root: Path | None = None
    cache_bytes: float = 5e9

    @classmethod
    def from_recipe(
        cls, settings: Mapping[str, Any], cache_root: Path | None = None
    ) -> EngineCalculator:
        """Of a recipe's ``dft``; a cache folder of the caller's own is never evicted from.

        Raises:
            SettingsError: a setting that the engine does not have, or out of its range.
        """
        known = sorted({field.name for field in fields(DftSettings)} - {"threads"})
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise SettingsError(
                f"dft: there is no setting {unknown[0]!r} in a recipe; there are "
                f"{', '.join(known)}."
            )
        from hamexplorer.dft.basis_sets import BASIS_SETS

        basis = settings.get("basis", DftSettings.basis)
        if not isinstance(basis, str) or basis not in BASIS_SETS:
            raise SettingsError(
                f"dft: basis must be one of {', '.join(BASIS_SETS)}, not {basis!r}."
            )
        try:
            dft = DftSettings(**settings, threads=1)
            _ = cls(dft).superposed  # checks what is the same there
        except SettingsError as error:
            raise SettingsError(f"dft: {error}") from error
        return cls(dft) if cache_root is None else cls(dft, cache_root, float("inf"))

    @property
    def superposed(self) -> SuperposedSettings:
        """Settings of H0: the orbitals and treatment of the crystal as in the reference."""
        return SuperposedSettings(**{name: getattr(self.dft, name) for name in _SHARED}, threads=1)

    def settings(self) -> dict[str, Any]:
        """Physical settings and versions of both engines."""
        from hamexplorer.dft import engine
        from hamexplorer.dft.superposed import record

        return {
            "dft": {"engine": engine.ENGINE_VERSION, **self.dft.physical()},
            "superposed": {
                "engine": record.ENGINE_VERSION,
                "tables": record.tables_hash(),
                **self.superposed.physical(),
            },
        }

    def __call__(self, structure: Structure, monitor: Monitor) -> tuple[Hamiltonian, Hamiltonian]:
        """Reference and H0, read from the cache or computed and stored there."""
        cache = HamiltonianCache(self.cache_root, max_bytes=self.cache_bytes)
        reference = compute(structure, DftSource(self.dft), cache=cache, monitor=monitor)
        zero = compute(structure, SuperposedSource(self.superposed), cache=cache, monitor=monitor)
        return reference, zero


@dataclass(frozen=True)
class Task:
    """A crystal to compute, how, and where its sample goes."""

    draft: Draft
    calculator: Calculator
    path: Path


def run_task(task: Task) -> Entry:
    """Compute and store a sample; what the crystal does not allow is told in the entry.

    Raises:
        CalculationCancelled: the run was asked to stop.
        HamexplorerError: the sample cannot be written.
    """
    began = time.perf_counter()
    draft = task.draft
    try:
        reference, zero = task.calculator(draft.structure, worker_monitor())
        elements, exchange, agreement = aligned(reference, zero)
        sample = made_sample(
            reference,
            elements,
            exchange,
            name=draft.name,
            family=draft.family,
            parent=draft.parent,
            strain=draft.strain,
            n_cells=draft.n_cells,
            held_out=draft.held_out,
            pristine=draft.pristine,
        )
    except CalculationCancelled:
        raise
    # whatever goes wrong with one crystal must not end the others; nothing of it is hidden
    except Exception as error:
        return Entry(
            name=draft.name,
            status="failed",
            structure_hash=structure_hash(draft.structure),
            seconds=round(time.perf_counter() - began, 3),
            error=type(error).__name__,
            message=str(error),
            versions=package_versions(*_PACKAGES),
        )
    return stored_entry(sample, task.path, agreement, began)


def stored_entry(
    sample: Sample, path: Path, agreement: Agreement, began: float, origin: str = ""
) -> Entry:
    """Write the sample and give its entry; ``began`` is of :func:`time.perf_counter`.

    Raises:
        HamexplorerError: the sample cannot be written.
    """
    try:
        save_sample(sample, path)
        sha256 = file_sha256(path)
    except OSError as error:
        raise HamexplorerError(f"{path} cannot be written: {error.strerror or error}.") from error
    return Entry(
        name=sample.info.name,
        status="done",
        structure_hash=sample.info.structure_hash,
        seconds=round(time.perf_counter() - began, 3),
        digest=sample.info.digest,
        sha256=sha256,
        numbers=asdict(agreement),
        origin=origin,
        versions=package_versions(*_PACKAGES),
    )


def found_entry(info: SampleInfo, path: Path) -> Entry:
    """The entry of a sample whose own one was lost when the run was killed."""
    return Entry(
        name=info.name,
        status="done",
        structure_hash=info.structure_hash,
        digest=info.digest,
        sha256=file_sha256(path),
        message="found complete after an interruption",
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
