"""Whether a data set on disk is what it says: every file, number and name looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hamexplorer.datasets.calculation import file_sha256
from hamexplorer.datasets.ledger import Ledger
from hamexplorer.datasets.sample import Sample, load_sample
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.errors import HamexplorerError
from hamexplorer.hamiltonian import Shell
from hamexplorer.progress import Monitor
from hamexplorer.provenance import structure_hash

__all__ = ["Finding", "check"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: with which sample (empty: the whole set), and what."""

    name: str
    message: str


def check(folder: Path, monitor: Monitor | None = None) -> tuple[Finding, ...]:
    """All that is wrong with the data set in ``folder``; empty if nothing is.

    Every sample is read: checksums of the file, hermiticity, S positive definite, the hash of the
    structure and the digest of the content anew, the file's SHA-256 against the ledger. Crystals
    that are stored twice, elements with different orbitals, entries without a file and files
    without an entry are named.

    Raises:
        FileFormatError: the folder is no data set.
        CalculationCancelled: ``monitor`` was cancelled.
    """
    stored = StoredFolder(folder)
    stored.header()
    ledger = Ledger(stored.ledger)
    monitor = monitor or Monitor()
    names = stored.names()
    found: list[Finding] = []
    hashes: dict[str, str] = {}
    shells: dict[str, tuple[str, tuple[Shell, ...]]] = {}
    for number, name in enumerate(names):
        monitor.report("Checking", number / len(names), f"{number} of {len(names)}; {name}")
        try:
            sample = load_sample(stored.sample(name))
        except HamexplorerError as error:
            found.append(Finding(name, f"{error} Remove the file, and make or add it anew."))
            continue
        said = [*_contradictions(sample, name), *_ledger(stored, ledger, name)]
        first = hashes.setdefault(sample.info.structure_hash, name)
        if first != name:
            said.append(f"It is the same crystal as {first}.")
        said += _other_orbitals(sample, name, shells)
        found += [Finding(name, message) for message in said]
    for name, entry in ledger.entries.items():
        if entry.status == "done" and not stored.sample(name).is_file():
            found.append(Finding(name, "The ledger has it as done, but its file is gone."))
    if ledger.damaged:
        lines = "a line" if ledger.damaged == 1 else f"{ledger.damaged} lines"
        found.append(
            Finding("", f"The ledger has {lines} that cannot be read (cut off by a kill).")
        )
    return tuple(found)


def _contradictions(sample: Sample, name: str) -> list[str]:
    said = []
    if sample.info.name != name:
        said.append(f"The file holds the sample {sample.info.name!r}: it was renamed.")
    if structure_hash(sample.reference.structure) != sample.info.structure_hash:
        said.append("Its structure is not the one that its hash tells.")
    if sample.content_digest() != sample.info.digest:
        said.append("Its content is not the one that its digest tells.")
    return said


def _ledger(stored: StoredFolder, ledger: Ledger, name: str) -> list[str]:
    entry = ledger.entries.get(name)
    if entry is None or entry.status != "done":
        return ["The ledger does not have it as done; the same make or add again enters it."]
    if entry.sha256 and entry.sha256 != file_sha256(stored.sample(name)):
        return ["The file was changed after it was written (its SHA-256 is not the ledger's)."]
    return []


def _other_orbitals(
    sample: Sample, name: str, known: dict[str, tuple[str, tuple[Shell, ...]]]
) -> list[str]:
    said = []
    basis = sample.reference.basis
    for symbol, shells in dict(zip(basis.symbols, basis.shells, strict=True)).items():
        first, same = known.setdefault(symbol, (name, shells))
        if same != shells:
            said.append(f"Its {symbol} has other orbitals than that of {first}.")
    return said
