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


@dataclass(frozen=True, eq=False)
class Domain:
    """By element symbol the mean (d,) of the training set's features and whitening W (d, d).

    An atom's distance is |W (x − mean)| / √d: about 1 within the training set.
    """

    mean: Mapping[str, NDArray[np.float64]]
    whitening: Mapping[str, NDArray[np.float64]]

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
        means, whitenings = {}, {}
        named = np.array(symbols)
        for symbol in sorted(set(symbols)):
            own = features[named == symbol]
            mean = own.mean(axis=0)
            values, vectors = np.linalg.eigh((own - mean).T @ (own - mean) / len(own))
            soft = values.clip(min=0) + max(_SOFT * float(values[-1]), 1e-12)
            means[symbol] = mean
            whitenings[symbol] = (vectors / np.sqrt(soft)).T
        return cls(means, whitenings)

    def distance(
        self, symbols: Sequence[str], features: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distances of atoms, (n,); infinite for an element that the training set has not."""
        result = np.full(len(symbols), np.inf)
        for place, symbol in enumerate(symbols):
            if symbol in self.mean:
                moved = self.whitening[symbol] @ (features[place] - self.mean[symbol])
                result[place] = np.linalg.norm(moved) / np.sqrt(len(moved))
        return result
