"""A network that predicts ΔH, what it was made of, and what it has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import HamexplorerError, HamiltonianError, UnsupportedElementError
from hamexplorer.hamiltonian import Basis, Pairs
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.domain import Domain
from hamexplorer.model.delta.graph import crystal_graph
from hamexplorer.model.model import ModelCard

__all__ = ["DeltaModel", "DeltaPrediction"]


@dataclass(frozen=True, eq=False)
class DeltaPrediction:
    """What a model says of a crystal.

    Attributes:
        elements: ΔH_scalar on the pairs, eV, (n_elements,), float64.
        features: invariants of the atoms, (n_atoms, n_scalars).
        distance: by atom how far its surroundings are from those of the training set
            (:class:`~hamexplorer.model.delta.domain.Domain`), (n_atoms,); None without statistics.
        unseen: pairs of elements at less than the cutoff that the training set has not.
    """

    elements: NDArray[np.float64]
    features: NDArray[np.float64]
    distance: NDArray[np.float64] | None
    unseen: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class DeltaModel:
    """A network with its card.

    Attributes:
        network: on the device and in the precision in which it is to run.
        card: title, training set, accuracy, licence, origin.
        seen: pairs of element symbols (in alphabetical order) that the training set has within the
            cutoff; empty: not recorded, all pairs of the layout are taken as known.
        domain: statistics of the training set's features.
    """

    network: BlockNetwork
    card: ModelCard
    seen: frozenset[tuple[str, str]] = frozenset()
    domain: Domain | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements that it knows."""
        return tuple(sorted(self.network.layout.elements))

    @property
    def pairs_known(self) -> frozenset[tuple[str, str]]:
        """Pairs of symbols that the training set has, in both orders."""
        if not self.seen:
            return frozenset((a, b) for a in self.elements for b in self.elements)
        return self.seen | {(b, a) for a, b in self.seen}

    @property
    def n_parameters(self) -> int:
        """Numbers that were trained."""
        return sum(p.numel() for p in self.network.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of orbitals, sizes, weights and units, 64 hex digits."""
        sizes = getattr(self.network, "hyperparameters", None)
        orbitals: Mapping[str, object] = self.network.layout.elements
        digest = hashlib.sha256(f"{sizes} {sorted(orbitals.items())}".encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def check(self, structure: Structure) -> None:
        """Raise unless the model knows the elements of ``structure``.

        Raises:
            UnsupportedElementError: it does not know one.
        """
        symbols = {element.symbol for site in structure for element in site.species}
        if unknown := sorted(symbols - set(self.elements)):
            raise UnsupportedElementError(
                f"The model knows no {', '.join(unknown)}; it knows {', '.join(self.elements)}."
            )

    def predict(self, structure: Structure, pairs: Pairs, basis: Basis) -> DeltaPrediction:
        """ΔH of a crystal on ``pairs``; those beyond the network's cutoff get zero.

        Raises:
            UnsupportedElementError: an element that the model does not know.
            HamiltonianError: an element's shells are others than the model's, or pairs, basis and
                structure disagree.
            HamexplorerError: the network gave numbers that are not finite.
        """
        self.check(structure)
        for symbol, shells in zip(basis.symbols, basis.shells, strict=True):
            known = self.network.layout.elements[symbol]
            if known != shells:
                raise HamiltonianError(
                    f"The model was trained with the shells {' '.join(s.label for s in known)} of "
                    f"{symbol}, not with {' '.join(s.label for s in shells)}."
                )
        graph = crystal_graph(structure, pairs, basis, self.network.cutoff)
        device = next(self.network.parameters()).device
        with torch.no_grad():
            found = self.network(graph.to(device))
        elements = found.elements.cpu().numpy().astype(float)
        features = found.features.cpu().numpy().astype(float)
        if not (np.isfinite(elements).all() and np.isfinite(features).all()):
            raise HamexplorerError(
                "The network gave numbers that are not finite: its weights are damaged, or the "
                "crystal lies far from all that it was trained on."
            )
        there = {
            (basis.symbols[i], basis.symbols[j])
            for i, j in zip(graph.source.tolist(), graph.target.tolist(), strict=True)
        }
        unseen = sorted(p for p in there - self.pairs_known if p[0] <= p[1])
        distance = None if self.domain is None else self.domain.distance(basis.symbols, features)
        return DeltaPrediction(elements, features, distance, tuple(unseen))
