"""A network for ΔH with random weights, small enough for tests, as a file of weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hamexplorer.dft.basis_sets import atomic_shells
from hamexplorer.hamiltonian import Shell
from hamexplorer.model.delta.checkpoint import save_delta
from hamexplorer.model.delta.domain import Domain
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.delta.network import DeltaNetwork
from hamexplorer.model.model import ModelCard, OrbitalLayout

__all__ = ["CARD", "small_delta", "weights_of"]

BASIS = "gth-dzvp-molopt-sr"
CARD = ModelCard(
    "Tiny",
    training_set="none",
    accuracy="near-gap bands within 2 meV.",
    origin={"notes": ["A note of the card."], "citations": ["A paper."]},
)


def small_delta(
    symbols: Iterable[str] = ("Mo", "S"), *, basis: str = BASIS, card: ModelCard = CARD
) -> DeltaModel:
    """Random weights, small enough that H0 + ΔH is still near H0; the domain is not set."""
    sizes = DeltaHyperparameters(
        max_l=2,
        max_m=1,
        channels=2,
        scalars=4,
        hidden=(4, 2, 4),
        site_channels=2,
        n_radial=4,
        radial_hidden=4,
    )
    shells = {symbol: atomic_shells(symbol, basis).shells for symbol in symbols}
    union: list[Shell] = []
    for own in shells.values():
        union += [shell for shell in own if shell not in union]
    union.sort(key=lambda shell: (shell.l, shell.label))
    torch.manual_seed(1)
    network = DeltaNetwork(sizes, OrbitalLayout(tuple(union), shells))
    return DeltaModel(network, card)


def weights_of(path: Path, model: DeltaModel | None = None, **changes: Any) -> Path:
    """The file ``path`` with ``model`` (default: :func:`small_delta`) in it.

    ``distance`` among the ``changes`` gives a domain in which every atom is about so far away.
    """
    model = model or small_delta()
    distance = changes.pop("distance", None)
    if distance is not None:
        n = model.network.hyperparameters.scalars  # type: ignore[attr-defined]
        symbols = model.elements
        near = {symbol: np.eye(n) * 1e-6 for symbol in symbols}
        far = {symbol: np.full((1, n), distance / np.sqrt(n)) for symbol in symbols}
        changes["domain"] = Domain(near, far)
    save_delta(replace(model, **changes), path)
    return path
