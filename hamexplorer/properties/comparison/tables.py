"""Errors of matrix elements by groups, and how elements are grouped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis, Pairs

__all__ = ["ErrorTable", "Grouping", "Sums", "distance_shells"]

_SAME_SHELL = 0.03  # Å; larger gaps between sorted distances part coordination shells
_WIDEST = 0.25  # Å; of a coordination shell, and the width of bins where there are none
_MOST_SHELLS = 90
_TO_MEV = 1e3
_BETWEEN = " – "


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """Differences of matrix elements by groups, meV.

    Attributes:
        components: what is compared: ``H``, ``A``, ``B``, ``Lx`` …
        names: the groups, such as ``Mo–S``.
        mean, rms, largest: of |Δ|, (n_components, n_groups).
        count: elements in each group, (n_groups,).
        distances: None, or the mean distance of each group's pairs, Å, (n_groups,).
    """

    components: tuple[str, ...]
    names: tuple[str, ...]
    mean: NDArray[np.float64]
    rms: NDArray[np.float64]
    largest: NDArray[np.float64]
    count: NDArray[np.int64]
    distances: NDArray[np.float64] | None = None

    def index(self, component: str) -> int:
        """Row of a component in the arrays.

        Raises:
            SettingsError: it is not among :attr:`components`.
        """
        if component not in self.components:
            raise SettingsError(
                f"Component {component!r} was not compared; there are {', '.join(self.components)}."
            )
        return self.components.index(component)

    def square(self, component: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Of a table by pairs of shells: the shells, and their mean |Δ|, meV, symmetric, (n, n).

        NaN where two shells have no block in common.

        Raises:
            SettingsError: the component was not compared.
        """
        ends = [name.split(_BETWEEN) for name in self.names]
        shells = tuple(dict.fromkeys(shell for pair in ends for shell in pair))
        values = np.full((len(shells), len(shells)), np.nan)
        for (a, b), mean in zip(ends, self.mean[self.index(component)], strict=True):
            i, j = shells.index(a), shells.index(b)
            values[i, j] = values[j, i] = mean
        return shells, values

    def to_dataframe(self) -> pd.DataFrame:
        """One row per group and component; errors in meV, distances in Å."""
        groups, parts = len(self.names), len(self.components)
        columns: dict[str, object] = {"group": np.repeat(self.names, parts)}
        if self.distances is not None:
            columns["distance_A"] = np.repeat(self.distances, parts)
        return pd.DataFrame(
            columns
            | {
                "component": list(self.components) * groups,
                "mean_meV": self.mean.T.ravel(),
                "rms_meV": self.rms.T.ravel(),
                "max_meV": self.largest.T.ravel(),
                "n_elements": np.repeat(self.count, parts),
            }
        )


@dataclass(frozen=True, eq=False)
class Sums:
    """Σ|Δ|, ΣΔ² and max|Δ| of one component by pair of shells and distance, each (n_a, n_d); eV."""

    absolute: NDArray[np.float64]
    squares: NDArray[np.float64]
    largest: NDArray[np.float64]


class Grouping:
    """Which pair of shells and which distance every element belongs to.

    (Mo 4d, S 3p) and (S 3p, Mo 4d) are one pair: their blocks are transposes of each other.

    Args:
        basis: shells and labels.
        pairs: of the elements.
        distances: of the pairs, Å, (n_pairs,).
    """

    def __init__(self, basis: Basis, pairs: Pairs, distances: NDArray[np.float64]) -> None:
        names: dict[tuple[str, str], int] = {}
        shell = np.array(
            [
                names.setdefault((basis.symbols[site], label), len(names))
                for site, label in zip(
                    basis.orbital_site.tolist(), basis.orbital_shell, strict=True
                )
            ]
        )
        species = list(dict.fromkeys(basis.symbols))
        kind = np.array([species.index(symbol) for symbol, _ in names])
        self.shells = tuple(" ".join(name) for name in names)
        rows, columns = pairs.element_orbitals
        a, b = shell[rows], shell[columns]
        code = np.minimum(a, b) * len(names) + np.maximum(a, b)
        present = np.unique(code)
        self.low, self.high = np.divmod(present, len(names))
        self._pair_names = tuple(
            f"{self.shells[a]}{_BETWEEN}{self.shells[b]}"
            for a, b in zip(self.low.tolist(), self.high.tolist(), strict=True)
        )
        compact = np.zeros(len(names) ** 2, dtype=np.int64)
        compact[present] = np.arange(len(present))
        ends = np.sort(np.column_stack([kind[self.low], kind[self.high]]), axis=1)
        codes, self._species = np.unique(ends @ [len(species), 1], return_inverse=True)
        self._species_names = tuple(
            f"{species[code // len(species)]}–{species[code % len(species)]}"
            for code in codes.tolist()
        )
        at, self.distances = distance_shells(distances)
        self._shape = (len(present), len(self.distances))
        self._group = compact[code] * len(self.distances) + at[pairs.element_pair]
        self._count = np.bincount(self._group, minlength=self._size).reshape(self._shape)

    @property
    def _size(self) -> int:
        return self._shape[0] * self._shape[1]

    def sums(self, difference: NDArray[np.float64]) -> Sums:
        """Of one component's ``difference`` (n_elements,), eV."""
        size = np.abs(difference)
        largest = np.zeros(self._size)
        np.maximum.at(largest, self._group, size)
        return Sums(
            _added(self._group, size, self._size).reshape(self._shape),
            _added(self._group, size**2, self._size).reshape(self._shape),
            largest.reshape(self._shape),
        )

    def whole(self, sums: dict[str, Sums]) -> ErrorTable:
        """All elements in one group."""
        return self._table(sums, ("all",), np.zeros(self._shape[0], dtype=np.int64), None)

    def by_species(self, sums: dict[str, Sums]) -> ErrorTable:
        """By pair of species."""
        return self._table(sums, self._species_names, self._species, None)

    def by_shells(self, sums: dict[str, Sums]) -> ErrorTable:
        """By pair of shells."""
        return self._table(sums, self._pair_names, np.arange(self._shape[0]), None)

    def by_distance(self, sums: dict[str, Sums]) -> ErrorTable:
        """By distance; the first group, where its distance is 0, is the sites' own blocks."""
        names = tuple("on-site" if d == 0 else f"{d:.3f} Å" for d in self.distances.tolist())
        return self._table(sums, names, None, np.arange(self._shape[1]))

    def _table(
        self,
        sums: dict[str, Sums],
        names: tuple[str, ...],
        rows: NDArray[np.int64] | None,
        columns: NDArray[np.int64] | None,
    ) -> ErrorTable:
        """Marginal sums: over distances by ``rows``, or over pairs of shells by ``columns``."""
        group = rows if rows is not None else columns
        assert group is not None
        axis = 1 if rows is not None else 0

        def added(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return _added(group, values.sum(axis=axis), len(names))

        def highest(values: NDArray[np.float64]) -> NDArray[np.float64]:
            result = np.zeros(len(names))
            np.maximum.at(result, group, values.max(axis=axis))
            return result

        count = added(self._count.astype(float))
        mean = np.stack([added(part.absolute) / count for part in sums.values()])
        square = np.stack([added(part.squares) / count for part in sums.values()])
        largest = np.stack([highest(part.largest) for part in sums.values()])
        return ErrorTable(
            tuple(sums),
            names,
            _TO_MEV * mean,
            _TO_MEV * np.sqrt(square),
            _TO_MEV * largest,
            count.astype(np.int64),
            self.distances if columns is not None else None,
        )


def _added(group: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums of ``values`` by group, (size,)."""
    return np.bincount(group, values, size).astype(np.float64, copy=False)


def distance_shells(
    distances: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Coordination shells of pairs: index of each pair's, and the shells' mean distances, Å.

    Distances that follow each other closer than 0.03 Å share a shell. Where that gives shells
    wider than 0.25 Å or more than 90 of them (a disordered crystal), bins of 0.25 Å take their
    place. Sites' own blocks (distance 0) are always a group of their own.
    """
    order = np.argsort(distances, kind="stable")
    ordered = distances[order]
    near = ordered < 1e-6
    new = np.diff(ordered) > _SAME_SHELL
    # the sites' own blocks stay apart, however near another site may be
    new |= near[:-1] & ~near[1:]
    group = np.concatenate([[0], np.cumsum(new)])
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(ordered)) - 1
    if len(first) > _MOST_SHELLS or (ordered[last] - ordered[first]).max() > _WIDEST:
        bins = np.where(near, -1, (ordered / _WIDEST).astype(np.int64))
        group = np.unique(bins, return_inverse=True)[1]
    index = np.empty(len(distances), dtype=np.int64)
    index[order] = group
    mean = np.bincount(group, ordered) / np.bincount(group)
    mean[mean < 1e-6] = 0.0
    return index, mean
