"""Differences of matrix elements of two Hamiltonians in the same orbitals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.hamiltonian import COMPONENTS, Hamiltonian, Pairs
from hamexplorer.properties.comparison.matching import Matched
from hamexplorer.properties.comparison.tables import ErrorTable, Grouping, Sums

__all__ = ["ElementComparer", "ElementErrors", "UnmatchedPairs", "WorstElement"]

_N_WORST = 20
_N_SAMPLE = 3000
_TO_MEV = 1e3


@dataclass(frozen=True)
class WorstElement:
    """One matrix element: orbitals with labels, R, both values (eV) and second − first (meV)."""

    component: str
    row: str
    column: str
    cell: tuple[int, int, int]
    distance: float
    first: float
    second: float
    difference: float


@dataclass(frozen=True)
class UnmatchedPairs:
    """Pairs that only one of the two stores, both directions counted, and their largest
    |element| of all components but S, in meV.
    """

    count: int
    largest: float


@dataclass(frozen=True, eq=False)
class ElementErrors:
    """Δ = M₂ + c S₂ − M₁ of all stored elements (c for H alone), in meV where not said otherwise.

    Elements of pairs that only one stores, and of components that only one has, are zero in the
    other. Both directions of a pair are counted.

    Attributes:
        whole, species, shells, distance: mean, RMS and largest |Δ|: of all elements, by pair of
            species, by pair of shells, by distance (the sites' own blocks first).
        labels: of all pairs, such as ``Mo1–S2 (0, 1, 0)``, (n_pairs,).
        distances: of all pairs, Å, (n_pairs,).
        pair_mean, pair_largest: mean and largest |Δ| of each pair's block,
            (n_components, n_pairs).
        worst: the largest single |Δ|, one of each element and its transpose.
        sample: component → values of evenly chosen elements, first and second, eV, (2, n).
        only_first, only_second: pairs that the other one lacks.
    """

    whole: ErrorTable
    species: ErrorTable
    shells: ErrorTable
    distance: ErrorTable
    labels: tuple[str, ...]
    distances: NDArray[np.float64]
    pair_mean: NDArray[np.float64]
    pair_largest: NDArray[np.float64]
    worst: tuple[WorstElement, ...]
    sample: dict[str, NDArray[np.float64]]
    only_first: UnmatchedPairs
    only_second: UnmatchedPairs

    @property
    def components(self) -> tuple[str, ...]:
        """What is compared."""
        return self.whole.components

    def mean(self, component: str = "H") -> float:
        """Mean |Δ| of a component, meV; SettingsError if it was not compared."""
        return float(self.whole.mean[self.whole.index(component), 0])

    def largest(self, component: str = "H") -> float:
        """Largest |Δ| of a component, meV; SettingsError if it was not compared."""
        return float(self.whole.largest[self.whole.index(component), 0])

    def to_dataframe(self) -> pd.DataFrame:
        """All groups: ``by`` (all, species, shells, distance), group, component, errors in meV."""
        frames = []
        for by, table in (
            ("all", self.whole),
            ("species", self.species),
            ("shells", self.shells),
            ("distance", self.distance),
        ):
            frame = table.to_dataframe()
            frame.insert(0, "by", by)
            if "distance_A" not in frame:
                frame.insert(2, "distance_A", np.nan)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def pairs_dataframe(self) -> pd.DataFrame:
        """One row per pair of sites: distance in Å, mean and largest |Δ| per component in meV."""
        columns: dict[str, object] = {"pair": self.labels, "distance_A": self.distances}
        for name, mean, largest in zip(
            self.components, self.pair_mean, self.pair_largest, strict=True
        ):
            columns |= {f"{name}_mean_meV": mean, f"{name}_max_meV": largest}
        return pd.DataFrame(columns)

    def worst_dataframe(self) -> pd.DataFrame:
        """The worst single elements; values in eV, differences in meV, distances in Å."""
        rows = [
            {
                "component": e.component,
                "row": e.row,
                "column": e.column,
                "R1": e.cell[0],
                "R2": e.cell[1],
                "R3": e.cell[2],
                "distance_A": e.distance,
                "first_eV": e.first,
                "second_eV": e.second,
                "difference_meV": e.difference,
            }
            for e in self.worst
        ]
        return pd.DataFrame(rows)


class ElementComparer:
    """Elements of two Hamiltonians in the same shells; :meth:`errors` for any constant c.

    Args:
        first: the reference.
        second: what is compared with it.
        matched: which elements correspond.
    """

    def __init__(self, first: Hamiltonian, second: Hamiltonian, matched: Matched) -> None:
        self._first, self._matched = first, matched
        pairs = matched.pairs
        positions = first.structure.cart_coords
        vectors = (
            positions[pairs.second]
            + pairs.cell @ first.structure.lattice.matrix
            - positions[pairs.first]
        )
        self._distances = np.linalg.norm(vectors, axis=1)
        self._grouping = Grouping(first.basis, pairs, self._distances)
        self._values = _components(first, second, matched)
        self._metric = matched.spread(second.overlap, matched.second)
        own = matched.spread(first.overlap, matched.first)
        self.overlap_difference = float(np.abs(self._metric - own).max())
        """Largest |S₂ − S₁|."""
        self.only_first = self._unmatched(matched.only_first)
        self.only_second = self._unmatched(matched.only_second)
        self._labels = _pair_labels(first, pairs)
        self._fit()
        self._sums = {
            name: self._grouping.sums(values[1] - values[0])
            for name, values in self._values.items()
            if name != "H"
        }
        self._last: tuple[float, ElementErrors] | None = None

    def _fit(self) -> None:
        a, b = self._values["H"]
        difference = b - a
        product, square = float(self._metric @ difference), float(self._metric @ self._metric)
        self.fitted = -product / square
        """c that makes Σ (H₂ + c S₂ − H₁)² smallest: −Σ S₂ (H₂ − H₁) / Σ S₂², eV."""
        total = float(difference @ difference)
        self.explained = product**2 / square / total if total > 0 else 0.0
        """Part of Σ (H₂ − H₁)² that this constant takes away, 0 … 1."""

    def errors(self, shift: float = 0.0) -> ElementErrors:
        """Differences with ``shift`` · S (eV) added to the second's H."""
        if self._last is not None and self._last[0] == shift:
            return self._last[1]
        values = dict(self._values)
        values["H"] = (values["H"][0], values["H"][1] + shift * self._metric)
        difference = values["H"][1] - values["H"][0]
        sums: dict[str, Sums] = {"H": self._grouping.sums(difference), **self._sums}
        sums = {name: sums[name] for name in values}
        mean, largest = self._by_pair(values)
        result = ElementErrors(
            self._grouping.whole(sums),
            self._grouping.by_species(sums),
            self._grouping.by_shells(sums),
            self._grouping.by_distance(sums),
            self._labels,
            self._distances,
            mean,
            largest,
            self._worst(values),
            {name: _sampled(*pair) for name, pair in values.items()},
            self.only_first,
            self.only_second,
        )
        self._last = (shift, result)
        return result

    def _by_pair(
        self, values: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        starts = self._matched.pairs.offsets[:-1]
        sizes = np.diff(self._matched.pairs.offsets)
        absolute = [np.abs(b - a) for a, b in values.values()]
        mean = np.stack([np.add.reduceat(x, starts) / sizes for x in absolute])
        return _TO_MEV * mean, _TO_MEV * np.stack(
            [np.maximum.reduceat(x, starts) for x in absolute]
        )

    def _unmatched(self, only: NDArray[np.bool_]) -> UnmatchedPairs:
        inside = only[self._matched.pairs.element_pair]
        largest = max(
            float(np.abs(part[inside]).max(initial=0.0))
            for values in self._values.values()
            for part in values
        )
        return UnmatchedPairs(int(only.sum()), _TO_MEV * largest)

    def _worst(
        self, values: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    ) -> tuple[WorstElement, ...]:
        pairs, labels = self._matched.pairs, self._first.basis.labels
        rows, columns = pairs.element_orbitals
        once = np.flatnonzero(pairs.transposition >= np.arange(pairs.n_elements))
        found: list[tuple[float, str, int]] = []
        for name, (a, b) in values.items():
            size = np.abs(b - a)[once]
            n = min(_N_WORST, len(size))
            top = np.argpartition(size, len(size) - n)[len(size) - n :]
            found += [(float(size[t]), name, int(once[t])) for t in top if size[t] > 0]
        found.sort(key=lambda entry: (-entry[0], COMPONENTS.index(entry[1]), entry[2]))
        result = []
        for _, name, e in found[:_N_WORST]:
            a, b = values[name]
            pair = pairs.element_pair[e]
            x, y, z = pairs.cell[pair].tolist()
            result.append(
                WorstElement(
                    name,
                    labels[rows[e]],
                    labels[columns[e]],
                    (x, y, z),
                    float(self._distances[pair]),
                    float(a[e]),
                    float(b[e]),
                    _TO_MEV * float(b[e] - a[e]),
                )
            )
        return tuple(result)


def _pair_labels(h: Hamiltonian, pairs: Pairs) -> tuple[str, ...]:
    names = h.basis.site_labels
    return tuple(
        f"{names[i]}–{names[j]} {tuple(cell)}"
        for i, j, cell in zip(
            pairs.first.tolist(), pairs.second.tolist(), pairs.cell.tolist(), strict=True
        )
    )


def _components(
    first: Hamiltonian, second: Hamiltonian, matched: Matched
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Values of all components but S over the union; a collinear B beside B_x,y,z is a B_z."""
    stored = [_named(h) for h in (first, second)]
    if any("Bx" in parts for parts in stored):
        stored = [
            {"Bz" if name == "B" else name: flat for name, flat in parts.items()}
            for parts in stored
        ]
    return {
        name: (
            matched.spread(stored[0].get(name), matched.first),
            matched.spread(stored[1].get(name), matched.second),
        )
        for name in COMPONENTS
        if any(name in parts for parts in stored)
    }


def _named(h: Hamiltonian) -> dict[str, NDArray[np.float64]]:
    return {name: h.component(name) for name in h.components if name != "S"}


def _sampled(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evenly chosen elements that are not zero in both, (2, n)."""
    there = np.flatnonzero((first != 0) | (second != 0))
    chosen = there[:: max(1, len(there) // _N_SAMPLE)]
    return np.stack([first[chosen], second[chosen]])
