"""Paths of k-points through the Brillouin zone, with labels and distances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Structure

from hamexplorer.errors import SettingsError
from hamexplorer.structures.special_points import canonical_label, special_points

__all__ = ["KPath", "named_points", "path_from_points", "path_from_text", "standard_path"]

MAX_POINTS = 20_000
"""A path of more k-points is taken for a mistake in ``spacing``."""


@dataclass(frozen=True, eq=False)
class KPath:
    """Sampled k-points along straight lines between labelled points.

    ``kpoints`` (nk, 3) fractional in the cell's reciprocal vectors (k = Σ f_i b_i, a_i·b_j = 2π
    δ_ij); ``distances`` (nk,) cumulative Cartesian length in 1/Å, standing still over a jump;
    ``ticks`` (index into kpoints, label); ``breaks`` the indices, never 0, at which a new piece
    begins that does not join the one before.
    """

    kpoints: NDArray[np.float64]
    distances: NDArray[np.float64]
    ticks: tuple[tuple[int, str], ...]
    breaks: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.kpoints)

    @property
    def segments(self) -> tuple[slice, ...]:
        """Slices of the continuous pieces: draw each with its own line."""
        edges = (0, *self.breaks, len(self.kpoints))
        return tuple(slice(start, stop) for start, stop in pairwise(edges))

    @property
    def axis_ticks(self) -> tuple[tuple[float, str], ...]:
        """(distance, label) for a plot's axis; the two ends of a jump become one, ``U|K``."""
        merged: list[tuple[float, str]] = []
        for index, label in self.ticks:
            if index in self.breaks:
                merged[-1] = (merged[-1][0], f"{merged[-1][1]}|{label}")
            else:
                merged.append((float(self.distances[index]), label))
        return tuple(merged)

    def index_of(self, label: str) -> int:
        """Index of the first k-point that carries ``label``; :class:`SettingsError` if none."""
        wanted = canonical_label(label)
        for index, found in self.ticks:
            if found == wanted:
                return index
        known = ", ".join(dict.fromkeys(found for _, found in self.ticks))
        raise SettingsError(f"no k-point {label!r} on this path; its labels are {known}.")


def named_points(structure: Structure) -> dict[str, NDArray[np.float64]]:
    """Label → fractional coordinates (3,) of the high-symmetry points, in the given cell's
    reciprocal vectors; see :func:`~hamexplorer.structures.special_points.special_points`.
    """
    return {label: point.copy() for label, point in special_points(structure).points.items()}


def standard_path(structure: Structure, spacing: float = 0.03) -> KPath:
    """The default path of the crystal's lattice (slabs: in the plane), ``spacing`` in 1/Å."""
    special = special_points(structure)
    pieces = [[(label, special.points[label]) for label in piece] for piece in special.path]
    return _sampled(structure, pieces, spacing)


def path_from_points(
    structure: Structure,
    points: Sequence[tuple[str, ArrayLike] | None],
    spacing: float = 0.03,
) -> KPath:
    """A path through ``(label, fractional k)``; None between two points is a jump.

    Neighbouring k-points are at most ``spacing`` (1/Å) apart. Raises :class:`SettingsError` for
    fewer than two points in a piece, coordinates that are not three finite numbers, two equal
    points in a row, a spacing that is not positive, or more than ``MAX_POINTS`` k-points.
    """
    pieces: list[list[tuple[str, NDArray[np.float64]]]] = [[]]
    for entry in points:
        if entry is None:
            pieces.append([])
            continue
        try:
            label, values = entry
            point = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"path point {entry!r}: a label and three numbers are needed."
            ) from error
        if point.shape != (3,) or not np.isfinite(point).all():
            raise SettingsError(
                f"path point {label!r}: three finite fractional coordinates are needed, not "
                f"{str(values)[:60]}."
            )
        pieces[-1].append((canonical_label(str(label)), point))
    return _sampled(structure, pieces, spacing)


def path_from_text(text: str, structure: Structure, spacing: float = 0.03) -> KPath:
    """A path through named points: ``"G-M-K-G-K'"``, ``"Γ X | K Γ"``, or ``"GMKG"``.

    Points are parted by ``-``, ``→`` or blanks (or nothing), jumps marked by ``|`` or ``,``.
    Raises :class:`SettingsError` for a name this lattice does not have.
    """
    known = special_points(structure).points
    points: list[tuple[str, ArrayLike] | None] = []
    for number, piece in enumerate(re.split(r"[|,]", text)):
        if number:
            points.append(None)
        for token in re.split(r"[\s\-–—→>]+", piece):  # dashes that people paste
            points.extend((label, known[label]) for label in _labels(token, known, text))
    return path_from_points(structure, points, spacing)


def _labels(token: str, known: Mapping[str, object], text: str) -> list[str]:
    if not token:
        return []
    whole = canonical_label(token)
    if whole in known:
        return [whole]
    parts = re.findall(r"[^\W\d_a-z]_?[0-9₀-₉]*['’′]?", token)
    labels = [canonical_label(part) for part in parts]
    if "".join(parts) == token and all(label in known for label in labels):
        return labels
    raise SettingsError(
        f"k-path {text[:80]!r}: no point {token[:20]!r} in this lattice; its points are "
        f"{', '.join(known)}."
    )


def _sampled(
    structure: Structure,
    pieces: Sequence[Sequence[tuple[str, NDArray[np.float64]]]],
    spacing: float,
) -> KPath:
    if not (np.isfinite(spacing) and spacing > 0):
        raise SettingsError(f"k-path spacing {spacing}: a positive number in 1/Å is needed.")
    reciprocal = structure.lattice.reciprocal_lattice.matrix
    kpoints: list[NDArray[np.float64]] = []
    distances: list[NDArray[np.float64]] = []
    ticks: list[tuple[int, str]] = []
    breaks: list[int] = []
    count, travelled = 0, 0.0
    for piece in pieces:
        if len(piece) < 2:
            raise SettingsError("a k-path needs at least two points in each of its pieces.")
        if count:
            breaks.append(count)
        ticks.append((count, piece[0][0]))
        kpoints.append(piece[0][1][None])
        distances.append(np.array([travelled]))
        count += 1
        for (first, start), (last, stop) in pairwise(piece):
            length = float(np.linalg.norm((stop - start) @ reciprocal))
            if length < 1e-9:
                raise SettingsError(f"k-path: {first} and {last} follow each other but are equal.")
            if count + length / spacing > MAX_POINTS:
                raise SettingsError(
                    f"k-path with spacing {spacing:g} 1/Å has more than {MAX_POINTS} points; "
                    "take a larger spacing."
                )
            # The tolerance keeps the count when rounding puts a length just above a multiple.
            steps = max(1, int(np.ceil(length / spacing - 1e-9)))
            fraction = np.arange(1, steps + 1) / steps
            kpoints.append(start + fraction[:, None] * (stop - start))
            distances.append(travelled + fraction * length)
            travelled += length
            count += steps
            ticks.append((count - 1, last))
    return KPath(np.concatenate(kpoints), np.concatenate(distances), tuple(ticks), tuple(breaks))
