"""``hamexplorer dataset``: sets of Hamiltonians that networks learn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hamexplorer.cli.dataset_report import (
    info_data,
    info_table,
    outcome_data,
    report_outcome,
    split_table,
)
from hamexplorer.cli.options import Json, Quiet, Reading, with_groups
from hamexplorer.cli.output import print_json
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import HamexplorerError

if TYPE_CHECKING:
    from hamexplorer.datasets.generation import Outcome
    from hamexplorer.sources import HamiltonianCache

__all__ = ["application"]

application = typer.Typer(
    help="Sets of self-consistent Hamiltonians and H0, for training.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the data set.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Cache of Hamiltonians to use and fill, of any size; default: the usual one.",
    ),
]


@application.command("make")
def make(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="To fill.")],
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes of one thread; default: all cores.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="The recipe's first N alone.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed before.")] = False,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute what the folder does not hold yet of a recipe; may be broken off at any moment."""
    set_threads(1)
    from hamexplorer.cores import available_cores
    from hamexplorer.datasets.calculation import EngineCalculator
    from hamexplorer.datasets.generation import make as made
    from hamexplorer.datasets.recipe import load_recipe
    from hamexplorer.datasets.workers import WorkerPool

    found = load_recipe(recipe)
    calculator = EngineCalculator.from_recipe(found.dft, cache)
    count = available_cores() if workers is None else workers
    with (
        WorkerPool(count) as pool,
        monitored(show=not (json or quiet)) as monitor,
    ):
        outcome = made(
            found,
            output,
            calculator,
            pool,
            in_flight=2 * count,
            beside=recipe.parent,
            limit=limit,
            retry=retry,
            monitor=monitor,
        )
    _finish(outcome, output, json, quiet)


@application.command("add")
@with_groups
def add(
    folder: Folder,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Hamiltonians of any known format.")
    ],
    family: Annotated[
        str, typer.Option("--family", help="Name that they are told by in tables.")
    ] = "added",
    held_out: Annotated[bool, typer.Option("--held-out", help="For tests alone.")] = False,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Add calculations of your own: files of `compute`, or HamGNN graphs that hold their H0."""
    set_threads(1)
    from hamexplorer.datasets.addition import add as added

    with monitored(show=not (json or quiet)) as monitor:
        outcome = added(
            folder,
            files,
            family=family,
            held_out=held_out,
            options=reading.options(),
            cache=_cache(cache),
            monitor=monitor,
        )
    _finish(outcome, folder, json, quiet)


@application.command("info")
def info(folder: Folder, json: Json = False) -> None:
    """Tell families, parts, sizes, and what failed."""
    set_threads(1)
    from hamexplorer.datasets import DataSet
    from hamexplorer.datasets.ledger import Ledger
    from hamexplorer.datasets.store import StoredFolder

    data_set = DataSet.open(folder)
    ledger = Ledger(StoredFolder(folder).ledger)
    if json:
        print_json(info_data(data_set, ledger))
        return
    show(info_table(data_set, ledger))
    for entry in ledger.entries.values():
        if entry.status != "done":
            print(f"{entry.status}: {entry.name}: {entry.error} {entry.message}".rstrip(": "))


@application.command("check")
def check(folder: Folder, json: Json = False, quiet: Quiet = False) -> None:
    """Read every sample and name all that is wrong."""
    set_threads(1)
    from hamexplorer.datasets.checking import check as checked

    with monitored(show=not (json or quiet)) as monitor:
        findings = checked(folder, monitor)
    if json:
        print_json({"findings": [{"name": f.name, "message": f.message} for f in findings]})
    elif not quiet:
        for finding in findings:
            print(f"{finding.name}: {finding.message}" if finding.name else finding.message)
    if findings:
        raise HamexplorerError(
            f"{folder}: {len(findings)} {'finding' if len(findings) == 1 else 'findings'}."
        )
    if not (json or quiet):
        print(f"{folder}: nothing is wrong.")


@application.command("split")
def split(folder: Folder, json: Json = False) -> None:
    """Tell which samples train, validate and test, by family; the rule never changes."""
    set_threads(1)
    from hamexplorer.datasets import DataSet

    data_set = DataSet.open(folder)
    if json:
        print_json({"digest": data_set.digest, "split": data_set.split})
        return
    show(split_table(data_set))


def _cache(root: Path | None) -> HamiltonianCache | None:
    from hamexplorer.sources import HamiltonianCache

    return None if root is None else HamiltonianCache(root, max_bytes=float("inf"))


def _finish(outcome: Outcome, folder: Path, json: bool, quiet: bool) -> None:
    """Tell what was done; failures are the command's."""
    if json:
        print_json(outcome_data(outcome, folder))
    elif not quiet:
        report_outcome(outcome, folder)
    if outcome.failed:
        raise HamexplorerError(
            f"{len(outcome.failed)} of {outcome.count} are not in {folder}; the reasons are in its "
            "ledger.jsonl."
        )
