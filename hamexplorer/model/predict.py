"""A model's Hamiltonian of a crystal whose S, H0 and L stand in HamGNN's graph files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError, SettingsError, UnsupportedElementError
from hamexplorer.formats.hamgnn.conversion import crystal_basis, crystal_hamiltonian
from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.formats.hamgnn.graph import Crystal
from hamexplorer.formats.hamgnn.padding import shell_places
from hamexplorer.formats.hamgnn.rows import Rows
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.spinor import SpinParts
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.model.assembly import scalar_rows, spinor_rows
from hamexplorer.model.evaluation import Run, evaluate
from hamexplorer.model.inputs import (
    Geometry,
    GraphPair,
    angular_momentum,
    geometry,
    joined,
    reverse_rows,
    zero,
)
from hamexplorer.model.model import HamiltonianModel, OrbitalLayout
from hamexplorer.model.spin_channels import Kind
from hamexplorer.progress import Monitor
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp

__all__ = ["Run", "check_crystal", "doubts", "predict", "predict_all", "predict_rows"]


def predict(
    model: HamiltonianModel,
    pair: GraphPair,
    *,
    run: Run | None = None,
    options: ReadOptions | None = None,
    files: Mapping[str, str] | None = None,
    monitor: Monitor | None = None,
) -> Hamiltonian:
    """The Hamiltonian that ``model`` predicts for one crystal: :func:`predict_all` of it.

    Raises:
        HamexplorerError: as there.
    """
    return next(predict_all(model, [pair], run=run, options=options, files=files, monitor=monitor))


def predict_all(
    model: HamiltonianModel,
    pairs: Sequence[GraphPair],
    *,
    run: Run | None = None,
    options: ReadOptions | None = None,
    files: Mapping[str, str] | None = None,
    monitor: Monitor | None = None,
) -> Iterator[Hamiltonian]:
    """The Hamiltonians that ``model`` predicts for crystals; Hermitian by construction.

    The network's rows come in the published layout, in which ↓↑ has the wrong sign (see
    :mod:`~hamexplorer.model.assembly`); they go the way of any of HamGNN's matrices,
    :func:`~hamexplorer.formats.hamgnn.conversion.crystal_hamiltonian`, which takes ↑↓ alone and
    builds ↓↑ as its adjoint over the reverse edges.

    Args:
        model: weights; with a spin–orbit channel if a crystal has a graph with spin–orbit.
        pairs: the crystals; small ones are computed together.
        run: device and precision.
        options: electrons, where the standard valence charges are not meant.
        files: SHA-256 of the graph files by name, for the provenance.
        monitor: is told the progress, and can cancel between layers.

    Raises:
        UnsupportedElementError: an element, or a shell of it, that the model has not.
        FileFormatError: a graph lacks H0 or L, or is damaged.
        SettingsError: a graph with spin–orbit for a model without.
        CalculationCancelled: ``monitor`` was cancelled.
    """
    run, options = run or Run(), options or ReadOptions()
    for computed in _computed(model, pairs, run, monitor or Monitor()):
        yield _hamiltonian(model, computed, run, options, files or {})


def predict_rows(
    model: HamiltonianModel,
    pairs: Sequence[GraphPair],
    *,
    run: Run | None = None,
    monitor: Monitor | None = None,
) -> Iterator[Rows]:
    """Matrices in the published layout, its sign of ↓↑ included, of one crystal after the other.

    Small crystals are computed together. What a graph lacks is found before its network is run.

    Raises:
        HamexplorerError: as :func:`predict_all`.
    """
    for computed in _computed(model, pairs, run or Run(), monitor or Monitor()):
        yield computed.rows


@dataclass(frozen=True, eq=False)
class _Computed:
    """A crystal's rows, and the seconds that its batch took, shared by the number of edges."""

    pair: GraphPair
    rows: Rows
    seconds: float


def _computed(
    model: HamiltonianModel, pairs: Sequence[GraphPair], run: Run, monitor: Monitor
) -> Iterator[_Computed]:
    for pair in pairs:
        _check(model, pair)
    model = model.on(run.torch_device, run.torch_dtype)
    batches = list(_batches(pairs, run.max_edges))
    for number, batch in enumerate(batches):

        def report(stage: str, fraction: float, number: int = number) -> None:
            monitor.report(stage, (number + fraction) / len(batches))

        began = time.perf_counter()
        found = list(_batch(model, [_prepared(pair) for pair in batch], run, report))
        seconds = time.perf_counter() - began
        report("Matrix", 1.0)
        edges = sum(len(pair.scalar.shifts) for pair in batch)
        for place, pair in enumerate(batch):
            share = len(pair.scalar.shifts) / edges if edges else 1 / len(batch)
            yield _Computed(pair, found[place], seconds * share)


def _hamiltonian(
    model: HamiltonianModel,
    computed: _Computed,
    run: Run,
    options: ReadOptions,
    files: Mapping[str, str],
) -> Hamiltonian:
    pair, card = computed.pair, model.card
    crystal = pair.scalar

    def provenance(structure: Structure, parts: SpinParts, warnings: list[str]) -> Provenance:
        return Provenance(
            source="model",
            title=f"Prediction, {card.title}",
            settings={
                "files": dict(files),
                "crystal": crystal.where.rpartition(" ")[2],
                "nao_max": crystal.width,
                "weights": model.fingerprint,
                "card": {
                    "title": card.title,
                    "training_set": card.training_set,
                    "accuracy": card.accuracy,
                    "licence": card.licence,
                    "origin": dict(card.origin),
                },
                "device": run.torch_device.type,
                "dtype": run.dtype,
                "spin_orbit": pair.spin_orbit is not None,
            },
            results={
                "hermiticity_defect_eV": parts.defect,
                "dropped_below_eV": parts.dropped,
            },
            timings={"prediction": computed.seconds},
            warnings=(*doubts(model, pair), *warnings),
            citations=card.listed("citations"),
            versions=package_versions("torch", "e3nn", "numpy"),
            structure_hash=structure_hash(structure),
            created=timestamp(),
        )

    name = f"The prediction for {crystal.where}"
    return crystal_hamiltonian(crystal, computed.rows, name, options, provenance)


def check_crystal(model: HamiltonianModel, crystal: Crystal) -> None:
    """Whether the model knows the crystal's elements and orbitals.

    Raises:
        FileFormatError: blocks of another size.
        UnsupportedElementError: an element or shell that the model has not; names them.
    """
    layout = model.layout
    if crystal.width != layout.width or LAYOUTS[crystal.width] != layout.shells:
        raise FileFormatError(
            f"{crystal.where} has blocks of {crystal.width} orbitals ("
            f"{_labels(LAYOUTS[crystal.width])}); the model has {layout.width} "
            f"({_labels(layout.shells)})."
        )
    unknown = sorted(set(crystal.symbols) - layout.elements.keys())
    if unknown:
        raise UnsupportedElementError(
            f"{crystal.where} has {', '.join(unknown)}, which the model does not know; it knows "
            f"{', '.join(layout.elements)}."
        )
    basis = crystal_basis(crystal, [])
    for symbol, shells in dict.fromkeys(zip(basis.symbols, basis.shells, strict=True)):
        extra = [shell for shell in shells if shell not in layout.elements[symbol]]
        if extra:
            raise UnsupportedElementError(
                f"{crystal.where}: {symbol} has {_labels(extra)}, which the model does not know; "
                f"it knows {_labels(layout.elements[symbol])} of {symbol}."
            )


def _check(model: HamiltonianModel, pair: GraphPair) -> None:
    check_crystal(model, pair.scalar)
    if pair.spin_orbit is not None and "spin_orbit" not in model.channels:
        raise SettingsError(
            f"{model.card.title} has no network with spin–orbit; leave the second graph out, or "
            "give the weights of one."
        )


def doubts(model: HamiltonianModel, pair: GraphPair) -> tuple[str, ...]:
    """What the user of a prediction must be told, besides what its matrix tells."""
    told = list(model.card.listed("notes"))
    if not model.card.training_set:
        told.append(
            "The weights do not tell what they were trained on: nothing says whether they fit this "
            "crystal."
        )
    if pair.spin_orbit is None and "spin_orbit" in model.channels:
        told.append(
            "The model knows spin–orbit coupling, which needs a graph with spin–orbit beside this "
            "one: the prediction is without."
        )
    return tuple(told)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is needed of a crystal's graphs."""

    symbols: tuple[str, ...]
    geometry: Geometry
    reverse: NDArray[np.int64]
    zero: Rows
    zero_soc: Rows | None
    momentum: tuple[NDArray[np.floating], NDArray[np.floating]] | None


def _prepared(pair: GraphPair) -> _Prepared:
    soc = pair.spin_orbit
    return _Prepared(
        pair.scalar.symbols,
        geometry(pair.scalar),
        reverse_rows(pair.scalar),
        zero(pair.scalar, spinor=False),
        None if soc is None else zero(soc, spinor=True),
        None if soc is None else angular_momentum(soc),
    )


def _batches(pairs: Sequence[GraphPair], max_edges: int) -> Iterator[list[GraphPair]]:
    """Crystals that are computed together: one, or more up to ``max_edges``."""
    batch: list[GraphPair] = []
    edges = 0
    for pair in pairs:
        own = len(pair.scalar.shifts)
        same = not batch or (pair.spin_orbit is None) == (batch[0].spin_orbit is None)
        if batch and (edges + own > max_edges or not same):
            yield batch
            batch, edges = [], 0
        batch.append(pair)
        edges += own
    if batch:
        yield batch


def _batch(
    model: HamiltonianModel,
    batch: Sequence[_Prepared],
    run: Run,
    report: Callable[[str, float], None],
) -> Iterator[Rows]:
    """Rows of the crystals of one batch."""
    parts = [prepared.geometry for prepared in batch]
    whole = joined(parts)
    stages: dict[Kind, str] = {"scalar": "Network of H"}
    if batch[0].momentum is not None:
        stages["spin_orbit"] = "Network of spin–orbit"
    found = {}
    for place, (kind, stage) in enumerate(stages.items()):

        def told(fraction: float, stage: str = stage, place: int = place) -> None:
            report(stage, 0.9 * (place + fraction) / len(stages))

        found[kind] = _split(evaluate(model.channels[kind], whole, run, told), parts)
    order, mask = _orders(model.layout)
    for number, prepared in enumerate(batch):
        report("Matrix", 0.9 + 0.1 * number / len(batch))
        symbols = prepared.symbols
        kinds = sorted(set(symbols))
        kind_of = np.array([kinds.index(symbol) for symbol in symbols])
        sites = np.arange(len(symbols))
        ends = prepared.geometry.source, prepared.geometry.target
        first, second = (kind_of[np.concatenate([sites, end])] for end in ends)
        h = scalar_rows(
            found["scalar"][number],
            prepared.reverse,
            order,
            prepared.zero.real,
            np.stack([mask[symbol] for symbol in kinds]),
            (first, second),
        )
        if prepared.momentum is None or prepared.zero_soc is None:
            yield Rows(h)
            continue
        yield spinor_rows(
            found["spin_orbit"][number],
            prepared.reverse,
            prepared.momentum,
            h,
            prepared.zero_soc,
        )


def _split(
    blocks: tuple[NDArray[Any], NDArray[Any]], parts: Sequence[Geometry]
) -> list[NDArray[Any]]:
    """Rows of every crystal, sites before edges."""
    on = np.split(blocks[0], np.cumsum([p.n_sites for p in parts])[:-1])
    off = np.split(blocks[1], np.cumsum([p.n_edges for p in parts])[:-1])
    return [np.concatenate(both) for both in zip(on, off, strict=True)]


def _orders(layout: OrbitalLayout) -> tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Which of our orbitals stands at each place of HamGNN's block, and which places an element
    has.
    """
    places = {shell: shell_places(layout.width, shell) for shell in layout.shells}
    order = np.concatenate(list(places.values())).argsort()
    mask = {}
    for symbol, own in layout.elements.items():
        mask[symbol] = np.zeros(layout.width, dtype=np.bool_)
        for shell in own:
            mask[symbol][places[shell]] = True
    return order, mask


def _labels(shells: Sequence[Any]) -> str:
    return ", ".join(shell.label for shell in shells)
