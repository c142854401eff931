"""How far an atom's surroundings are from those that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError

__all__ = ["Domain"]

_SOFT = 1e-2
"""Share of the largest variance that is added to every direction: one in which the training set did
not vary is no reason to call a rounding error far."""
_MOST = 4000
"""Atoms of an element that are kept, evenly spaced among more."""


@dataclass(frozen=True, eq=False)
class Domain:
    """Features of the training set's atoms, by element symbol.

    An atom's distance is that to the nearest training atom of its element, min_t |W (x − x_t)|.
    Families of crystals are islands in this space: the distance from their common middle tells
    less.

    Attributes:
        whitening: W (d, d), after which the set has the variance 1 in every direction.
        atoms: W x_t, (n, d).
    """

    whitening: Mapping[str, NDArray[np.float64]]
    atoms: Mapping[str, NDArray[np.float64]]

    @classmethod
    def fitted(cls, symbols: Sequence[str], features: NDArray[np.float64]) -> Domain:
        """From the atoms of the training set, ``features`` (n, d).

        Raises:
            SettingsError: symbols and features disagree in number.
        """
        if features.ndim != 2 or len(symbols) != len(features):
            raise SettingsError(
                f"Features of {len(symbols)} atoms must be ({len(symbols)}, d), not "
                f"{features.shape}."
            )
        whitenings, atoms = {}, {}
        named = np.array(symbols)
        for symbol in sorted(set(symbols)):
            own = features[named == symbol]
            away = own - own.mean(axis=0)
            values, vectors = np.linalg.eigh(away.T @ away / len(own))
            soft = values.clip(min=0) + max(_SOFT * float(values[-1]), 1e-12)
            whitenings[symbol] = (vectors / np.sqrt(soft)).T
            kept = np.linspace(0, len(own) - 1, min(len(own), _MOST)).round().astype(int)
            atoms[symbol] = own[kept] @ whitenings[symbol].T
        return cls(whitenings, atoms)

    def distance(
        self, symbols: Sequence[str], features: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distances of atoms, (n,); infinite for an element that the training set has not."""
        result = np.full(len(symbols), np.inf)
        for place, symbol in enumerate(symbols):
            if symbol in self.atoms:
                away = self.atoms[symbol] - self.whitening[symbol] @ features[place]
                result[place] = np.sqrt(np.einsum("ij,ij->i", away, away).min())
        return result
