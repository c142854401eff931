"""What ``hamexplorer dataset`` tells people and scripts."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from hamexplorer.datasets import DataSet
    from hamexplorer.datasets.generation import Outcome
    from hamexplorer.datasets.ledger import Ledger

__all__ = ["info_data", "info_table", "outcome_data", "report_outcome", "split_table"]


def outcome_data(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """What a run did, for scripts."""
    return {
        "folder": folder,
        "made": [entry.name for entry in outcome.made],
        "present": outcome.present,
        "failed": [asdict(entry) for entry in outcome.failed],
        "seconds": sum(entry.seconds for entry in outcome.made),
    }


def report_outcome(outcome: Outcome, folder: Path) -> None:
    """The same for people; failures on stderr, each with its reason."""
    for entry in outcome.failed:
        print(f"failed: {entry.name}: {entry.error}: {entry.message}", file=sys.stderr)
    seconds = sum(entry.seconds for entry in outcome.made)
    print(
        f"{folder}: {len(outcome.made)} made in {seconds:.0f} s of computing, "
        f"{len(outcome.present)} were there, {len(outcome.failed)} failed"
    )


def info_data(data_set: DataSet, ledger: Ledger) -> dict[str, Any]:
    """Families, samples and failures, for scripts."""
    failed = [asdict(e) for e in ledger.entries.values() if e.status != "done"]
    samples = [{**asdict(info), "part": data_set.split[info.name]} for info in data_set.infos]
    return {"digest": data_set.digest, "samples": samples, "not_done": failed}


def info_table(data_set: DataSet, ledger: Ledger) -> Table:
    """Families with their samples, atoms, elements and largest values of H0's agreement."""
    title = f"{len(data_set)} samples, digest {data_set.digest[:12]}"
    table = Table(
        "family", "samples", "atoms", "strain up to", "formulas", "H0 misses (meV)", title=title
    )
    for family in _families(data_set):
        infos = [info for info in data_set.infos if info.family == family]
        atoms = sorted({info.n_atoms for info in infos})
        formulas = sorted({info.formula for info in infos})
        entries = [ledger.entries.get(info.name) for info in infos]
        missing = [e.numbers.get("missing") for e in entries if e is not None]
        known = [1000 * value for value in missing if value is not None]
        table.add_row(
            family,
            str(len(infos)),
            "–".join(map(str, dict.fromkeys([atoms[0], atoms[-1]]))),
            f"{max(info.strain for info in infos):.3f}",
            ", ".join(formulas[:6]) + (" …" if len(formulas) > 6 else ""),
            f"{max(known):.2g}" if known else "",
        )
    return table


def split_table(data_set: DataSet) -> Table:
    """Samples of every family in each part."""
    from hamexplorer.datasets.split import PARTS

    table = Table("family", *PARTS, "all")
    counts = Counter((info.family, data_set.split[info.name]) for info in data_set.infos)
    for family in _families(data_set):
        numbers = [counts[family, part] for part in PARTS]
        table.add_row(family, *map(str, numbers), str(sum(numbers)))
    table.add_section()
    totals = [sum(counts[family, part] for family in _families(data_set)) for part in PARTS]
    table.add_row("all", *map(str, totals), str(len(data_set)))
    return table


def _families(data_set: DataSet) -> list[str]:
    return sorted({info.family for info in data_set.infos})
