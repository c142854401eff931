"""``hamexplorer train``: weights from a data set, and how good they are."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hamexplorer.cli.options import Json, Quiet
from hamexplorer.cli.output import print_json
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output

__all__ = ["application"]

_PARTS = ("test", "validation", "train", "all")


class _TrainByDefault(TyperGroup):
    """``train CONFIG`` is ``train run CONFIG``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name where none stands."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


application = typer.Typer(
    cls=_TrainByDefault,
    help="Train networks that predict Hamiltonians: train CONFIG -o W, train evaluate W.",
    no_args_is_help=True,
)

Data = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="Data set; default: CONFIG's.")
]
Threads = Annotated[int | None, typer.Option("--threads", help="Of the processor.")]


@application.command("run")
def run(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="W.safetensors", help="Weights to write.")
    ],
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="YAML file; default: all defaults.")
    ] = None,
    data: Data = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="W", help="Begin with these weights (fine-tuning)."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Time for all; the schedule adapts.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to train.")
    ] = None,
    devices: Annotated[int | None, typer.Option("--devices", help="How many of them.")] = None,
    threads: Threads = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what a stopped training left.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train, or go on with a training that was stopped; logs and state lie in W.training."""
    target = checked_output(output, (".safetensors",))
    from hamexplorer.training.config import TrainingConfig, config_from, load_config

    wanted = TrainingConfig() if config is None else load_config(config)
    given: dict[str, Any] = {
        "data": data,
        "accelerator": device,
        "devices": devices,
        "threads": threads,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        wanted = config_from({**wanted.model_dump(), **changes}, "the command line")
    if minutes is not None:
        wanted = wanted.within(minutes)
    set_threads(wanted.threads)
    _check_fabric()
    from hamexplorer.training.accuracy import accuracy_data, accuracy_text
    from hamexplorer.training.run import train

    # the processes of further devices run this command, too
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    with monitored(show=first and not (json or quiet)) as monitor:
        done = train(wanted, target, start=start, fresh=fresh, monitor=monitor)
    trained = done.trained
    if not first:
        return
    if json:
        validation = None if trained.validation is None else asdict(trained.validation)
        print_json(
            {
                "output": target,
                "steps": trained.steps,
                "seconds": trained.seconds,
                "ended_early": trained.early,
                "validation_meV": validation,
                "test": accuracy_data(done.errors),
                "notes": done.notes,
            }
        )
        return
    if not quiet:
        for note in done.notes:
            print(note)
        print(f"{trained.steps} steps in {trained.seconds / 60:.1f} min")
        print(accuracy_text(done.errors) if done.errors else "No crystal is left for tests.")
        print(f"written to {target}")


@application.command("evaluate")
def evaluate(
    weights: Annotated[Path, typer.Argument(metavar="W", help="Weights, .safetensors.")],
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Data set.")],
    part: Annotated[
        str, typer.Option("--part", metavar="|".join(_PARTS), help="Of the data set.")
    ] = "test",
    spacing: Annotated[
        float, typer.Option("--spacing", help="Of the mesh of k-points, 1/Å.")
    ] = 0.2,
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Errors of elements and bands by family, of the model and of H0 alone."""
    if part not in _PARTS:
        raise SettingsError(f"--part takes {', '.join(_PARTS)}, not {part!r}.")
    if not 0.01 <= spacing <= 10:
        raise SettingsError(f"--spacing takes 0.01 … 10 1/Å, not {spacing}.")
    set_threads(threads)
    _check_fabric()
    from hamexplorer.datasets.store import DataSet
    from hamexplorer.model.delta.checkpoint import load_delta
    from hamexplorer.training.accuracy import accuracy_data, accuracy_text
    from hamexplorer.training.run import part_errors

    model = load_delta(weights)
    with monitored(show=not (json or quiet)) as monitor:
        found = part_errors(model, DataSet.open(data), part, spacing=spacing, monitor=monitor)
    if not found:
        raise SettingsError(f"{data} has no sample in its part {part!r}.")
    if json:
        print_json({"weights": weights, "part": part, **accuracy_data(found)})
    else:
        print(accuracy_text(found))


def _check_fabric() -> None:
    from importlib.util import find_spec

    if find_spec("lightning_fabric") is None:
        raise SettingsError(
            "Training needs the package lightning-fabric: install hamexplorer[train]."
        )
