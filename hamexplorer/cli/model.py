"""``hamexplorer model``: networks that predict Hamiltonians."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamexplorer.cli.model_report import delta_data, delta_table, model_data, model_table
from hamexplorer.cli.options import Json, Quiet
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import hamiltonian_data, hamiltonian_table, show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written

if TYPE_CHECKING:
    from hamexplorer.formats.bundle import Member
    from hamexplorer.model.inputs import GraphPair
    from hamexplorer.model.model import HamiltonianModel
    from hamexplorer.progress import Monitor

__all__ = ["application"]

application = typer.Typer(help="Networks that predict Hamiltonians.", no_args_is_help=True)

Config = Annotated[
    Path | None, typer.Option("--config", metavar="C.yaml", help="HamGNN's configuration.")
]
ConfigSoc = Annotated[
    Path | None,
    typer.Option("--config-soc", metavar="C.yaml", help="That of the network with spin-orbit."),
]
_FORMATS = ("hamexplorer", "hamgnn")


@application.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".ckpt or .pkl of HamGNN.")],
    soc: Annotated[
        Path | None, typer.Option("--soc", metavar="FILE", help=".ckpt with spin-orbit.")
    ] = None,
    config: Config = None,
    config_soc: ConfigSoc = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Default: FILE's name with .safetensors, here."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of the model's card.")] = None,
    training_set: Annotated[
        str | None, typer.Option("--training-set", help="What it was trained on, for its card.")
    ] = None,
    accuracy: Annotated[
        str | None, typer.Option("--accuracy", help="Stated accuracy, for its card.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Of the weights, for its card.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn HamGNN's weights into a checkpoint that holds numbers and text alone."""
    set_threads(None)
    target = checked_output(output or Path(f"{file.stem}.safetensors"), (".safetensors",))
    model = _opened(file, config, soc, config_soc)
    card = model.card
    card = replace(
        card,
        title=title or card.title,
        training_set=training_set or card.training_set,
        accuracy=accuracy or card.accuracy,
        licence=licence or card.licence,
    )
    model = replace(model, card=card)
    from hamexplorer.model.checkpoint import save_model

    with written(target) as temporary:
        save_model(model, temporary)
    if json:
        print_json({"output": target, **model_data(model)})
        return
    print_warnings(model.card.listed("notes"))
    if not quiet:
        show(model_table(model))
        print(f"written to {target}")


@application.command("info")
def info(
    weights: Annotated[
        Path, typer.Argument(metavar="MODEL", help=".safetensors, or HamGNN's .ckpt or .pkl.")
    ],
    soc: Annotated[
        Path | None, typer.Option("--soc", metavar="FILE", help=".ckpt with spin-orbit.")
    ] = None,
    config: Config = None,
    config_soc: ConfigSoc = None,
    json: Json = False,
) -> None:
    """Tell what a model is: its networks, orbitals, elements and card."""
    set_threads(None)
    from hamexplorer.model.delta.checkpoint import is_delta, load_delta

    if is_delta(weights) and (soc or config or config_soc) is None:
        learned = load_delta(weights)
        data, table = delta_data(learned), delta_table(learned)
        card = learned.card
    else:
        model = _opened(weights, config, soc, config_soc)
        data, table = model_data(model), model_table(model)
        card = model.card
    if json:
        print_json(data)
        return
    print_warnings(card.listed("notes"))
    show(table)


@application.command("predict")
def predict(
    weights: Annotated[
        Path,
        typer.Option("--weights", metavar="W", help=".safetensors, or HamGNN's .ckpt or .pkl."),
    ],
    graph: Annotated[
        Path, typer.Option("--graph", metavar="graph_data.npz", help="HamGNN's graph: S and H0.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    config: Config = None,
    weights_soc: Annotated[
        Path | None,
        typer.Option("--weights-soc", metavar="W", help=".ckpt of the network with spin-orbit."),
    ] = None,
    config_soc: ConfigSoc = None,
    graph_soc: Annotated[
        Path | None,
        typer.Option(
            "--graph-soc",
            metavar="graph_data.npz",
            help="Graph of the calculation with spin-orbit: H0 and L.",
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="hamexplorer|hamgnn",
            help="Our .h5, or HamGNN's hamiltonian.npy with its sign of ↓↑.",
        ),
    ] = "hamexplorer",
    index: Annotated[
        str,
        typer.Option("--index", metavar="N|all", help="Which crystal of several, from 0."),
    ] = "",
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", help="Where to compute.")
    ] = "auto",
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="float32|float64", help="Precision.")
    ] = "float32",
    max_edges: Annotated[
        int,
        typer.Option(
            "--max-edges",
            metavar="N",
            help="Crystals are computed together up to N pairs of atoms (1 GB for 20000).",
        ),
    ] = 20_000,
    threads: Annotated[int | None, typer.Option("--threads", help="Of the processor.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the Hamiltonians of crystals whose S and H0 stand in HamGNN's graph files."""
    set_threads(threads)
    if format_ not in _FORMATS:
        raise SettingsError(f"--format takes {' or '.join(_FORMATS)}, not {format_!r}.")
    suffixes = (".npy",) if format_ == "hamgnn" else (".h5", ".hdf5")
    target = checked_output(output, suffixes)
    from hamexplorer.model.evaluation import Run
    from hamexplorer.model.inputs import graph_member, read_pairs

    run = Run(device, dtype, max_edges)
    model = _opened(weights, config, weights_soc, config_soc)
    members = [graph_member(path) for path in (graph, graph_soc) if path is not None]
    pairs = read_pairs(*members)
    chosen = _chosen(index, len(pairs), graph.name, default_all=format_ == "hamgnn")
    with monitored(show=not (json or quiet)) as monitor:
        work = _Work(model, run, [pairs[k] for k in chosen], members, monitor)
        if format_ == "hamgnn":
            told: list[dict[str, Any]] = [work.write_rows(target)]
        else:
            told = work.write_hamiltonians(target, chosen)
    if json:
        print_json({"format": format_, "weights": model.fingerprint, "written": told})
        return
    print_warnings(list(dict.fromkeys(w for entry in told for w in entry.pop("warnings"))))
    if not quiet:
        for table in work.tables:
            show(table)
        print(f"written to {', '.join(str(entry['output']) for entry in told)}")


class _Work:
    """Crystals to be predicted, and what is told of them."""

    def __init__(
        self,
        model: HamiltonianModel,
        run: Any,
        pairs: list[GraphPair],
        members: list[Member],
        monitor: Monitor,
    ) -> None:
        self._model, self._run, self._monitor = model, run, monitor
        self._pairs, self._members = pairs, members
        self.tables: list[Any] = []

    def write_rows(self, target: Path) -> dict[str, Any]:
        """HamGNN's layout, all crystals in one file."""
        from hamexplorer.formats.hamgnn.matrix_file import write_rows
        from hamexplorer.model.predict import doubts, predict_rows

        n = sum(pair.scalar.n_pairs for pair in self._pairs)
        square = self._pairs[0].scalar.width ** 2
        spinor = self._pairs[0].spin_orbit is not None
        shape = (2 * n, 4 * square) if spinor else (n, square)
        rows = predict_rows(self._model, self._pairs, run=self._run, monitor=self._monitor)
        write_rows(target, shape, rows)
        warnings = list(doubts(self._model, self._pairs[0]))
        return {"output": target, "shape": shape, "warnings": warnings}

    def write_hamiltonians(self, target: Path, numbers: list[int]) -> list[dict[str, Any]]:
        """Our files; of several crystals one each, with their numbers in the names."""
        from hamexplorer.hamiltonian import save_hamiltonian
        from hamexplorer.model.inputs import graph_hashes
        from hamexplorer.model.predict import predict_all

        found = predict_all(
            self._model,
            self._pairs,
            run=self._run,
            files=graph_hashes(self._members),
            monitor=self._monitor,
        )
        told = []
        for number, h in zip(numbers, found, strict=True):
            named = f"{target.stem}-{number}{target.suffix}"
            path = target if len(numbers) == 1 else target.with_name(named)
            with written(path) as temporary:
                save_hamiltonian(h, temporary)
            self.tables.append(hamiltonian_table(h))
            told.append({"output": path, **hamiltonian_data(h)})
        return told


def _opened(
    weights: Path, config: Path | None, weights_soc: Path | None, config_soc: Path | None
) -> HamiltonianModel:
    from hamexplorer.model.importing import WeightFiles, open_model

    return open_model(WeightFiles(weights, config, weights_soc, config_soc))


def _chosen(index: str, count: int, name: str, *, default_all: bool) -> list[int]:
    """Numbers of the crystals that are meant."""
    if index == "all" or (not index and (count == 1 or default_all)):
        return list(range(count))
    if index.isdecimal() and int(index) < count:
        return [int(index)]
    held = f"{name} holds {count} crystal{'s' if count > 1 else ''}"
    if not index:
        raise SettingsError(f"{held}: say which with --index 0 … {count - 1}, or --index all.")
    raise SettingsError(f"--index {index}: {held}; accepted are 0 … {count - 1} and all.")
