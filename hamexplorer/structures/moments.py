"""Magnetic moments of a structure: one form for all that carries them, and their common axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.electronic_structure.core import Magmom

from hamexplorer.errors import StructureError

__all__ = ["along_main_axis", "plain_moments"]

_COLLINEAR = 1e-3
"""Moments are collinear if their components along the axis miss their lengths by less than this
part of the largest one (2.5° off the axis)."""


def plain_moments(structure: Structure, name: str = "structure") -> list[Any] | None:
    """The moments of all sites in µB, or None if the structure carries none.

    Taken from ``site_properties["magmom"]`` (numbers, vectors, pymatgen's ``Magmom`` with its
    axis, None for 0) or else from the species' spins. Numbers stay as they are; vectors that lie
    along one line become numbers along it, the line's largest component counted positive; others
    become Cartesian vectors, a number among them lying along z.

    Raises:
        StructureError: a moment is neither a number nor three, or not finite.
    """
    given = structure.site_properties.get("magmom")
    if given is None:
        given = [getattr(site.specie, "spin", None) for site in structure]
    if all(moment is None for moment in given):
        return None
    try:
        values = [_moment(moment) for moment in given]
    except (TypeError, ValueError) as error:
        raise StructureError(
            f"{name}: a magnetic moment is neither a number nor three (µB)."
        ) from error
    if not all(np.isfinite(value).all() for value in values):
        raise StructureError(f"{name}: a magnetic moment is NaN or infinite.")
    if all(value.ndim == 0 for value in values):
        return [float(value) for value in values]
    vectors = np.array([value if value.ndim else [0.0, 0.0, float(value)] for value in values])
    along, _, off = along_main_axis(vectors)
    if off == 0.0:
        return [float(value) for value in along]
    return [vector.tolist() for vector in vectors]


def along_main_axis(
    vectors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Lengths of moments (n, 3) with the sign of their component along their main axis.

    The main axis is the eigenvector of Σ m mᵀ with the largest eigenvalue; where two are equal
    (moments at 90° or 120°) the direction of the first of the longest moments. Its largest
    component is positive.

    Returns:
        the signed lengths (n,), the unit axis (3,), and the largest angle in degrees between a
        moment and the axis's line: 0 if they are collinear within the accuracy of files.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    largest = float(lengths.max(initial=0.0))
    if largest == 0.0:
        return np.zeros(len(vectors)), np.array([0.0, 0.0, 1.0]), 0.0
    powers, axes = np.linalg.eigh(vectors.T @ vectors)
    axis = axes[:, 2]
    if powers[2] - powers[1] < 1e-6 * powers[2]:
        leader = int(np.flatnonzero(lengths > (1 - 1e-6) * largest)[0])
        axis = vectors[leader] / lengths[leader]
    # the first of equal components decides, whatever the rounding
    dominant = int(np.flatnonzero(np.abs(axis) > np.abs(axis).max() - 1e-6)[0])
    axis = axis * np.sign(axis[dominant])
    along = vectors @ axis
    signed = np.where(along < 0, -lengths, lengths)
    if np.all(lengths - np.abs(along) <= _COLLINEAR * largest):
        return signed, axis, 0.0
    counted = lengths > _COLLINEAR * largest
    cosine = np.abs(along[counted]) / lengths[counted]
    return signed, axis, float(np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0))).max())


def _moment(moment: Any) -> NDArray[np.float64]:
    """A number or a Cartesian vector; ``Magmom`` keeps its vector along an axis of its own."""
    if moment is None:
        return np.array(0.0)
    value = np.asarray(
        moment.global_moment if isinstance(moment, Magmom) else moment, dtype=np.float64
    )
    if value.shape not in {(), (3,)}:
        raise ValueError("shape")
    return value
