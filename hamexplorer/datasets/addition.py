"""The user's own calculations as samples.

H0 of a file comes from superposed atoms where its orbitals are the embedded engine's (a file of
ours), or from the file itself where that is a HamGNN graph. In any other orbitals there is nothing
to learn the difference from, which is said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hamexplorer.datasets.alignment import aligned
from hamexplorer.datasets.calculation import found_entry, stored_entry
from hamexplorer.datasets.generation import Outcome
from hamexplorer.datasets.ledger import Entry, Ledger
from hamexplorer.datasets.sample import load_sample, made_sample
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import (
    CalculationCancelled,
    HamexplorerError,
    HamiltonianError,
    SettingsError,
    UnsupportedElementError,
)
from hamexplorer.formats import ReadOptions, bundle_of_path, read_hamiltonian, recognised
from hamexplorer.formats.hamgnn.conversion import crystal_hamiltonian
from hamexplorer.formats.hamgnn.selection import Choice, choose
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance, structure_hash
from hamexplorer.sources import HamiltonianCache, SuperposedSource, compute

__all__ = ["FAMILY", "add"]

FAMILY = "added"
"""Family of what is added, unless another is named."""
_FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}")


@dataclass(frozen=True, eq=False)
class _Case:
    """A reference and its H0; None: to be computed."""

    reference: Hamiltonian
    zero: Hamiltonian | None = None


def add(
    folder: Path,
    files: Sequence[Path],
    *,
    family: str = FAMILY,
    held_out: bool = False,
    options: ReadOptions | None = None,
    cache: HamiltonianCache | None = None,
    monitor: Monitor | None = None,
) -> Outcome:
    """Add calculations of any format that is read; each under ``family/formula/file-hash``.

    Args:
        folder: of the data set; begun where it is not there.
        files: what is read by :func:`~hamexplorer.formats.read_hamiltonian`; of a HamGNN graph
            every crystal.
        family: that they are told by in tables of errors.
        held_out: leave them all for tests.
        options: facts that the files do not tell.
        cache: of H0; None: the user's own.
        monitor: is told the progress, and can break off: what is finished is kept.

    Returns:
        What was added, was there already, and could not be added, with reasons.

    Raises:
        SettingsError: the folder holds something else or is being written by another process, or
            ``family`` is no name.
        CalculationCancelled: ``monitor`` was cancelled.
    """
    if not _FAMILY.fullmatch(family):
        raise SettingsError(
            f"{family!r} is no name of a family; accepted are up to 81 letters, digits and . _ + - "
            "that begin with a letter or digit."
        )
    monitor = monitor or Monitor()
    store = cache or HamiltonianCache()
    stored = StoredFolder(folder)
    stored.begin(None)
    outcome = Outcome()
    with stored.locked():
        ledger = Ledger(stored.ledger)
        for number, path in enumerate(files):
            monitor.report("Adding", number / len(files), path.name)
            try:
                for case in _cases(path, options or ReadOptions()):
                    began = time.perf_counter()
                    name = _name(family, path, case.reference)
                    target = stored.sample(name)
                    if target.is_file():
                        known = ledger.entries.get(name)
                        if known is None or known.status != "done":
                            ledger.append(found_entry(load_sample(target).info, target))
                        outcome.present.append(name)
                        continue
                    zero = case.zero or _superposed(case.reference, store, monitor)
                    elements, exchange, agreement = aligned(case.reference, zero)
                    sample = made_sample(
                        case.reference,
                        elements,
                        exchange,
                        name=name,
                        family=family,
                        parent=name.split("/")[1],
                        held_out=held_out,
                    )
                    entry = stored_entry(sample, target, agreement, began, origin=path.name)
                    ledger.append(entry)
                    outcome.made.append(entry)
            except CalculationCancelled:
                raise
            except HamexplorerError as error:
                refused = Entry(
                    name=f"{family}/{path.name}",
                    status="failed",
                    error=type(error).__name__,
                    message=str(error),
                    origin=path.name,
                )
                ledger.append(refused)
                outcome.failed.append(refused)
    return outcome


def _name(family: str, path: Path, h: Hamiltonian) -> str:
    stem = re.sub(r"[^A-Za-z0-9._+-]", "-", path.name.split(".")[0])[:60].lstrip(".") or "file"
    formula = re.sub(r"[^A-Za-z0-9._+-]", "-", h.structure.composition.reduced_formula)
    return f"{family}/{formula}/{stem}-{structure_hash(h.structure)[:8]}"


def _cases(path: Path, options: ReadOptions) -> Iterator[_Case]:
    found = recognised(bundle_of_path(path))
    if found is None or found.name != "hamgnn":
        yield _Case(read_hamiltonian(path, options))
        return
    bundle = bundle_of_path(path)
    first = choose(bundle, options.index)
    alone = options.index != 0 or first.n_crystals == 1
    for index in [options.index] if alone else range(first.n_crystals):
        choice = first if index == options.index else choose(bundle, index)
        yield _graph_case(choice, path, replace(options, index=index))


def _graph_case(choice: Choice, path: Path, options: ReadOptions) -> _Case:
    """Target and H0 of a HamGNN graph, which are in the same orbitals, whatever those are."""
    crystal = choice.crystal
    if choice.matrix is not None:
        raise SettingsError(
            f"{choice.matrix.name} is a matrix beside a graph, as a network predicts it; give the "
            "graph_data.npz alone, whose own target was calculated."
        )
    if crystal.copied:
        raise SettingsError(
            f"{crystal.where}: the target equals its H0, so that there is no difference to learn; "
            "the graph was made without a self-consistent calculation."
        )
    if not crystal.fields.has("Hon0"):
        raise SettingsError(f"{crystal.where} has no H0 (Hon0, Hoff0), which is needed here.")
    rows = crystal.fields.matrix(len(crystal.symbols), len(crystal.shifts), crystal.width, "0")
    if not rows.real.any():
        raise SettingsError(
            f"{crystal.where}: its H0 is zero: it was not known where the graph was made."
        )
    reference = read_hamiltonian(path, options)
    record = Provenance(source="hamgnn", title="HamGNN graph, its H0")
    name = choice.graph.name
    zero = crystal_hamiltonian(crystal, rows, name, options, lambda *_: record)
    return _Case(reference, zero)


def _superposed(h: Hamiltonian, cache: HamiltonianCache, monitor: Monitor) -> Hamiltonian:
    """H0 of superposed atoms in the orbitals of ``h``.

    Raises:
        HamiltonianError: those are not the embedded engine's.
        UnsupportedElementError: an element that it does not have.
    """
    from hamexplorer.dft.basis_sets import BASIS_SETS
    from hamexplorer.dft.superposed import engine

    named = h.provenance.settings.get("basis")
    basis = named if isinstance(named, str) and named in BASIS_SETS else DftSettings().basis
    settings = SuperposedSettings(basis=basis, spin_orbit=h.has_spin_orbit, threads=1)
    try:
        system = engine.prepared(h.structure, settings)
    except UnsupportedElementError as error:
        raise UnsupportedElementError(f"There is no H0 for this crystal: {error}") from error
    foreign = (
        f"There is no H0 in this file's orbitals: superposed atoms give it in {basis} alone. "
        "Accepted are files of hamexplorer compute, and HamGNN graphs that hold their H0."
    )
    if system.basis != h.basis:
        raise HamiltonianError(foreign)
    zero = compute(h.structure, SuperposedSource(settings), cache=cache, monitor=monitor)
    try:
        aligned(h, zero)
    except HamiltonianError as error:
        raise HamiltonianError(f"{foreign} ({error})") from error
    return zero
