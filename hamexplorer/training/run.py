"""From a configuration and a data set to a file of weights with its card."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from numpy.typing import NDArray
from pymatgen.core import Composition, Element

from hamexplorer.datasets.store import DataSet, Sample
from hamexplorer.errors import SettingsError
from hamexplorer.files import written
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.checkpoint import load_delta, save_delta
from hamexplorer.model.delta.domain import Domain
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.model import ModelCard
from hamexplorer.progress import Monitor
from hamexplorer.provenance import package_versions, timestamp
from hamexplorer.training.accuracy import accuracy_data, accuracy_text
from hamexplorer.training.config import TrainingConfig
from hamexplorer.training.crystals import Crystal, crystals, memory_told
from hamexplorer.training.evaluation import CrystalErrors, evaluate
from hamexplorer.training.learner import (
    begun_from,
    cutoff_of,
    element_pairs,
    fitted,
    layout_of,
    new_network,
)
from hamexplorer.training.loop import STATE_FILE, Trained, Trainer
from hamexplorer.training.state import Identity, weights_digest

__all__ = ["Finished", "part_errors", "run_folder", "train"]

_FOREIGN = 2.5
"""Chosen on layers of MX2 so that a strain of 10 % is foreign (docs/learned-model.md)."""


@dataclass(frozen=True, eq=False)
class Finished:
    """``model`` as it was written, the course of its training, errors on the test part, sentences
    for the user.
    """

    model: DeltaModel
    trained: Trained
    errors: list[CrystalErrors]
    notes: tuple[str, ...]


def run_folder(output: Path) -> Path:
    """Where the state and the logs of a training lie: beside its weights, ``<stem>.training``."""
    return output.with_name(f"{output.stem}.training")


def train(
    config: TrainingConfig,
    output: Path,
    *,
    start: Path | None = None,
    fresh: bool = False,
    monitor: Monitor | None = None,
) -> Finished:
    """Train, or go on with a training that was stopped, and write the weights to ``output``.

    Args:
        config: with the folder of the data set.
        output: file of weights, .safetensors.
        start: weights to begin with, instead of random ones.
        fresh: forget what an earlier training left.
        monitor: hears the progress, and may stop it.

    Raises:
        SettingsError: no data set, none of its samples to train on, or another training's state.
        FileFormatError: data, weights or state are damaged.
        CalculationCancelled: it was stopped; its state is saved.
        ConvergenceError: the loss is not finite.
    """
    monitor = monitor or Monitor()
    if config.data is None:
        raise SettingsError("data: the folder of a data set is needed (--data FOLDER).")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # kept beside the weights, where a relative path would mean another folder
    folder_of_data = config.data.absolute()
    config = config.model_copy(update={"data": folder_of_data})
    fabric = _fabric(config)
    data = DataSet.open(folder_of_data)
    begun = None if start is None else load_delta(start)
    network, training, validation = _prepared(config, data, begun, monitor)
    folder = run_folder(output)
    if fabric.is_global_zero:
        _begin(folder, fresh)
    fabric.barrier()
    identity = Identity(
        config.digest,
        data.digest,
        fabric.world_size,
        "" if start is None else weights_digest(start),
    )
    trainer = Trainer(fabric, config, network, training, validation, folder, identity, monitor)
    if fabric.is_global_zero:
        with written(folder / "config.yaml") as temporary:
            temporary.write_text(
                yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
                encoding="utf-8",
            )
    notes = [*trainer.notes, f"In memory for training: {memory_told(training)}."]
    if not validation:
        notes.append("No crystal is left for validation: the last averaged weights are kept.")
    foreign = _foreign_tests(data, network)
    if foreign:
        notes.append(
            "Left out of the tests, for the model does not know all of their elements: "
            f"{', '.join(foreign)}."
        )
    if trainer.position.total_steps:
        notes.append(f"Went on from step {trainer.position.total_steps}.")
    trained = trainer.run()
    network = network.float().cpu()
    seen, domain = _seen(network, training)
    limit = _domain_limit(network, domain, validation)
    model = DeltaModel(network, ModelCard(config.title), seen, domain)
    errors = part_errors(model, data, monitor=monitor, leave_out=foreign)
    card = _card(config, data, trained, errors, identity.start, limit)
    model = replace(model, card=card)
    if fabric.is_global_zero:
        save_delta(model, output)
    return Finished(model, trained, errors, tuple(notes))


def part_errors(
    model: DeltaModel,
    data: DataSet,
    part: str = "test",
    *,
    spacing: float = 0.2,
    monitor: Monitor | None = None,
    leave_out: Collection[str] = (),
) -> list[CrystalErrors]:
    """Errors of the samples of one part of ``data`` (``all``: of every sample), but for those
    named in ``leave_out``.

    Raises:
        UnsupportedElementError: a sample has an element that the model does not know.
    """
    monitor = monitor or Monitor()
    names = [n for n, of in data.split.items() if part in ("all", of) and n not in leave_out]
    done = iter(range(len(names)))

    def shown(name: str) -> None:
        monitor.report("evaluation", next(done) / len(names), name)

    def predict(sample: Sample) -> NDArray[np.float64]:
        h = sample.reference
        return model.predict(h.structure, h.pairs, h.basis).elements

    samples = ((data.load(name), data.split[name]) for name in names)
    return evaluate(samples, predict, model.network.cutoff, spacing=spacing, shown=shown)


def _begin(folder: Path, fresh: bool) -> None:
    """Make the folder; ``fresh``: without what an earlier training left in it."""
    try:
        folder.mkdir(exist_ok=True)
        if fresh:
            for name in (STATE_FILE, "log.csv"):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made or emptied: {error.strerror}.") from error


def _fabric(config: TrainingConfig) -> Fabric:
    # heads of pairs that a step's crystals have not get no gradient
    several = DDPStrategy(find_unused_parameters=True) if config.devices > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy=several,
            precision=config.precision,
        )
        fabric.launch()
    except (RuntimeError, ValueError, TypeError) as error:
        raise SettingsError(
            f"accelerator {config.accelerator!r} with {config.devices} devices and precision "
            f"{config.precision!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from error
    return fabric


def _prepared(
    config: TrainingConfig, data: DataSet, begun: DeltaModel | None, monitor: Monitor
) -> tuple[BlockNetwork, list[Crystal], list[Crystal]]:
    """The network with its units, and the crystals of two parts as tensors."""
    names = {
        part: [n for n, of in data.split.items() if of == part] for part in ("train", "validation")
    }
    if not names["train"]:
        raise SettingsError(
            f"{data.folder} has no sample to train on: its {len(data.infos)} samples are all for "
            "validation and tests."
        )
    cutoff = cutoff_of(config) if begun is None else begun.network.cutoff
    dtype = torch.float64 if config.precision == "64-true" else torch.float32
    parts = []
    for part, own in names.items():
        validation = part == "validation"
        parts.append(
            crystals(
                (data.load(name) for name in own),
                len(own),
                cutoff,
                dtype,
                config.sampling,
                config.seed,
                bands=validation or any(stage.bands for stage in config.stages.values()),
                validation=validation,
                shown=partial(_show, monitor, f"states, {part}"),
            )
        )
    training, validating = parts
    layout = layout_of(c.basis for c in (*training, *validating))
    network = (
        begun_from(begun, layout, config) if begun is not None else new_network(config, layout)
    )
    return fitted(network, training, begun), training, validating


def _foreign_tests(data: DataSet, network: BlockNetwork) -> list[str]:
    """Names of test samples with an element that the network has no heads for."""
    known = set(network.layout.elements)
    return [
        info.name
        for info in data.infos
        if data.split[info.name] == "test"
        and not {e.symbol for e in Composition(info.formula).elements} <= known
    ]


def _show(monitor: Monitor, stage: str, done: float, name: str) -> None:
    monitor.report(stage, 0.0, f"{name} ({done:.0%})")


@torch.no_grad()
def _seen(
    network: BlockNetwork, training: Sequence[Crystal]
) -> tuple[frozenset[tuple[str, str]], Domain]:
    """Pairs of elements of the training set, and the features of its atoms."""
    pairs: set[tuple[str, str]] = set()
    symbols: list[str] = []
    features = []
    for crystal in training:
        pairs |= element_pairs(crystal.graph.to("cpu"))
        own, found = _features(network, crystal)
        symbols += own
        features.append(found)
    return frozenset(pairs), Domain.fitted(symbols, np.concatenate(features))


@torch.no_grad()
def _domain_limit(
    network: BlockNetwork, domain: Domain, validation: Sequence[Crystal]
) -> float | None:
    """Distance beyond which an atom is foreign: 2.5 times that of a usual crystal of the validation
    part, the median of the largest distance in each (its worst crystals may be foreign themselves).
    """
    distances = [domain.distance(*_features(network, crystal)).max() for crystal in validation]
    finite = [d for d in distances if np.isfinite(d)]
    return round(_FOREIGN * float(np.median(finite)), 3) if finite else None


def _features(network: BlockNetwork, crystal: Crystal) -> tuple[list[str], NDArray[np.float64]]:
    graph = crystal.graph.to("cpu")
    symbols = [Element.from_Z(z).symbol for z in graph.numbers.tolist()]
    return symbols, network(graph).features.double().numpy()


def _card(
    config: TrainingConfig,
    data: DataSet,
    trained: Trained,
    errors: Sequence[CrystalErrors],
    start: str,
    limit: float | None,
) -> ModelCard:
    counts: dict[str, int] = {}
    for info in data.infos:
        if data.split[info.name] == "train":
            counts[info.family] = counts.get(info.family, 0) + 1
    families = ", ".join(f"{count} {family}" for family, count in counts.items())
    origin: dict[str, Any] = {
        "configuration": config.model_dump(mode="json", exclude={"data"}),
        "data": {"digest": data.digest, "split": dict(data.split)},
        "steps": trained.steps,
        "seconds": round(trained.seconds, 1),
        "ended_early": trained.early,
        "validation_meV": None if trained.validation is None else asdict(trained.validation),
        "test": accuracy_data(errors) if errors else None,
        "versions": package_versions("torch", "lightning-fabric", "numpy", "scipy", "e3nn"),
        "created": timestamp(),
    }
    if start:
        origin["begun_from_sha256"] = start
    if limit is not None:
        origin["domain_limit"] = limit
    if data.zero:
        origin["zero"] = data.zero
    return ModelCard(
        title=config.title,
        training_set=f"{sum(counts.values())} crystals: {families}",
        accuracy=accuracy_text(errors) if errors else "",
        origin=origin,
    )
