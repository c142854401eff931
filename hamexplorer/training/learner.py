"""Networks before and after training: made from a configuration, or begun from trained weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from pymatgen.core import Element

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis, Shell
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.compatible import CompatibleNetwork
from hamexplorer.model.delta.graph import CrystalGraph
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.delta.network import DeltaNetwork
from hamexplorer.model.delta.scales import fit_scales
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.model import OrbitalLayout
from hamexplorer.training.config import TrainingConfig
from hamexplorer.training.crystals import Crystal
from hamexplorer.units import BOHR_ANGSTROM

__all__ = ["begun_from", "cutoff_of", "element_pairs", "fitted", "layout_of", "new_network"]

_ENOUGH = 40
"""Crystals that tell the units of the targets, if all pairs of elements are among them."""
_COMPATIBLE: Mapping[str, Any] = {
    "features": "32x0e+16x1o+16x2e+8x3o+8x4e",
    "harmonics": "0e+1o+2e+3o+4e",
    "cutoff": 7.5 / BOHR_ANGSTROM,
}
"""Of the architecture ``compatible``, where the configuration does not say otherwise."""


def layout_of(bases: Iterable[Basis]) -> OrbitalLayout:
    """Elements and shells of all crystals.

    Raises:
        SettingsError: an element has different shells in two of them.
    """
    elements: dict[str, tuple[Shell, ...]] = {}
    for basis in bases:
        for symbol, shells in zip(basis.symbols, basis.shells, strict=True):
            if elements.setdefault(symbol, shells) != shells:
                raise SettingsError(
                    f"The data set has {symbol} with the shells "
                    f"{' '.join(s.label for s in elements[symbol])} and with "
                    f"{' '.join(s.label for s in shells)}; one model has one basis."
                )
    return _layout(elements)


def _layout(elements: Mapping[str, tuple[Shell, ...]]) -> OrbitalLayout:
    shells: list[Shell] = []
    for own in elements.values():
        shells += [shell for shell in own if shell not in shells]
    return OrbitalLayout(tuple(sorted(shells, key=lambda s: (s.l, s.label))), dict(elements))


def cutoff_of(config: TrainingConfig) -> float:
    """Longest edge of the network that the configuration asks for, Å.

    Raises:
        SettingsError: a size that is not accepted.
    """
    if config.architecture == "delta":
        return DeltaHyperparameters.from_json(config.network).cutoff
    return _compatible(config).cutoff * BOHR_ANGSTROM


def new_network(config: TrainingConfig, layout: OrbitalLayout) -> BlockNetwork:
    """A network with random weights that the configuration's seed decides.

    Raises:
        SettingsError: a size that is not accepted.
    """
    torch.manual_seed(config.seed)
    if config.architecture == "delta":
        return DeltaNetwork(DeltaHyperparameters.from_json(config.network), layout)
    return CompatibleNetwork(_compatible(config), layout)


def _compatible(config: TrainingConfig) -> Hyperparameters:
    given = {**_COMPATIBLE, **config.network}
    if beyond := sorted(set(given) - set(Hyperparameters.__dataclass_fields__)):
        raise SettingsError(
            f"network: there is no setting {beyond[0]!r}; known are "
            f"{', '.join(Hyperparameters.__dataclass_fields__)}."
        )
    if "radial_hidden" in given:
        given["radial_hidden"] = tuple(given["radial_hidden"])
    try:
        return Hyperparameters(**given)
    except TypeError as error:  # a text where a number is meant
        raise SettingsError(f"network: a size is of the wrong kind ({error}).") from error


def begun_from(model: DeltaModel, layout: OrbitalLayout, config: TrainingConfig) -> BlockNetwork:
    """The network of ``model``, or one of its sizes with heads for elements that it does not know.

    The latter's weights are random until :func:`fitted` takes over those of ``model``.

    Raises:
        SettingsError: an element's shells are others than the model's, the configuration asks for
            other sizes, or the architecture cannot take new elements.
    """
    old = model.network
    for symbol, shells in layout.elements.items():
        known = old.layout.elements.get(symbol, shells)
        if known != shells:
            raise SettingsError(
                f"The weights know {symbol} with the shells {' '.join(s.label for s in known)}, "
                f"the data set has {' '.join(s.label for s in shells)}."
            )
    new = sorted(set(layout.elements) - set(old.layout.elements))
    if not isinstance(old, DeltaNetwork):
        if new:
            raise SettingsError(
                f"The weights know no {', '.join(new)}, and the compatible architecture "
                f"takes no new elements; it knows {', '.join(model.elements)}."
            )
        return old
    sizes = old.hyperparameters
    asked = DeltaHyperparameters.from_json({**sizes.to_json(), **config.network})
    if config.architecture != "delta" or asked != sizes:
        raise SettingsError(
            "The configuration asks for another network than that of the weights to start from; "
            "leave out 'network' and 'architecture'."
        )
    if not new:
        return old
    torch.manual_seed(config.seed)
    return DeltaNetwork(sizes, _layout({**old.layout.elements, **layout.elements}))


def fitted(
    network: BlockNetwork,
    crystals: Sequence[Crystal],
    start: DeltaModel | None = None,
) -> BlockNetwork:
    """``network`` with units of the targets, and the weights of ``start`` where it has them."""
    if start is not None and start.network is network:
        return network
    chosen: list[Crystal] = []
    pairs: set[tuple[str, str]] = set()
    for crystal in crystals:
        own = element_pairs(crystal.graph)
        if len(chosen) < _ENOUGH or not own <= pairs:
            chosen.append(crystal)
            pairs |= own
    dtype = network.dtype
    fit_scales(network, [(c.graph, c.target.to(dtype)) for c in chosen])
    if start is not None:
        _take_over(network, start.network)
    return network


def _take_over(network: BlockNetwork, old: BlockNetwork) -> None:
    """Copy what ``old`` has: tensors of the same name, and the embeddings of its elements."""
    state, known = network.state_dict(), old.state_dict()
    rows = [network.numbers.index(z) for z in old.numbers]
    for name, values in known.items():
        if name == "embedding.weight":
            state[name][rows] = values
        else:
            state[name] = values
    network.load_state_dict(state)


def element_pairs(graph: CrystalGraph) -> set[tuple[str, str]]:
    """Pairs of symbols, each in alphabetical order, that have an edge."""
    found = set()
    for group in graph.groups:
        a, b = sorted(Element.from_Z(z).symbol for z in (group.first, group.second))
        found.add((a, b))
    return found
