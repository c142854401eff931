"""Two layers put onto each other in a common cell, and what is to be known about the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Element, Lattice, Structure

from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.structures.bilayer_lattices import (
    Reals,
    Wholes,
    area,
    cell_translations,
    common_cell,
    deformation,
    polar_angle,
    reduced,
    reduced_angle,
    rotation,
    stretch,
)
from hamexplorer.structures.bilayer_layer import Layer
from hamexplorer.structures.bilayer_numbers import check_reals

__all__ = [
    "CHALCOGEN_GAP",
    "MAX_GAP",
    "Bilayer",
    "BilayerReport",
    "LayerReport",
    "Pivot",
    "assemble",
    "checked_vacuum",
    "default_gap",
]

CHALCOGEN_GAP = 3.265
"""Å between the facing chalcogen planes of two MX2 layers: the gallery's MoS2/WSe2 bilayer, whose
metal planes are 6.5 Å apart. Bulk 2H crystals measure 3.0 (MoS2), 3.1 (WSe2) and 3.4 (MoTe2)."""
MAX_GAP = 10.0
"""Å; layers farther apart are two crystals."""
_CHALCOGENS = {"S", "Se", "Te"}
_VACUUM = (7.0, 200.0)

Matrix = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class LayerReport:
    """One layer: ``matrix`` M with (cell vectors) = M @ (primitive vectors, strained, turned),
    ``cells`` = det M, and the symmetric ``strain`` in % in the bilayer's x and y: a vector r of
    the free layer, turned, became r + (strain/100) r.
    """

    formula: str
    matrix: Matrix
    cells: int
    atoms: int
    angle: float
    strain: tuple[tuple[float, float], tuple[float, float]]

    @property
    def principal(self) -> tuple[float, float]:
        """Strains along the two principal directions, %, the larger first."""
        low, high = np.linalg.eigvalsh(np.array(self.strain)).tolist()
        return high, low

    @property
    def mean_strain(self) -> float:
        """Mean of the two principal strains' magnitudes, %."""
        return float(np.abs(self.principal).mean())

    @property
    def max_strain(self) -> float:
        """Larger of the two principal strains' magnitudes, %."""
        return float(np.abs(self.principal).max())


@dataclass(frozen=True)
class BilayerReport:
    """What was built. Lengths in Å, angles in degrees.

    ``angle`` is that from the first primitive vector of the lower layer to that of the upper one,
    anticlockwise seen from above, in (−T/2, T/2] where T is the angle after which rotations that
    map the layers onto themselves make it the same bilayer; ``twist`` that by which a stacking
    was turned (None: two layers that have none). ``distance`` is that of the layers' middles
    (metal planes of MX2), ``gap`` that of the facing atoms' planes, ``distance_rule`` how it was
    chosen; ``closest`` the shortest distance between atoms of different layers; ``stacking`` and
    ``center`` are words.
    """

    angle: float
    twist: float | None
    layers: tuple[LayerReport, LayerReport]
    atoms: int
    area: float
    distance: float
    gap: float
    distance_rule: str
    vacuum: float
    closest: float
    stacking: str
    center: str

    @property
    def max_strain(self) -> float:
        """Largest principal strain of either layer, %."""
        return max(layer.max_strain for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Bilayer:
    """A structure with ``site_properties["layer"]`` (0 the lower one, 1 the upper one)."""

    structure: Structure
    report: BilayerReport


@dataclass(frozen=True)
class Pivot:
    """The point of each layer, in fractions of its primitive vectors, that are put upon each
    other, and the upper layer's further shift in fractions of the lower one's vectors.
    """

    lower: tuple[float, float]
    upper: tuple[float, float]
    shift: tuple[float, float]
    stacking: str
    center: str
    twist: float | None = None


def checked_vacuum(vacuum: float) -> float:
    """``vacuum`` in Å.

    Raises:
        SettingsError: below 7 Å (the cell would not pass for a layer), above 200 Å, or no number.
    """
    check_reals(vacuum=vacuum)
    low, high = _VACUUM
    if not low <= vacuum <= high:
        raise SettingsError(f"vacuum = {vacuum:g} Å: between {low:g} and {high:g} Å are accepted.")
    return float(vacuum)


def default_gap(lower: Layer, upper: Layer) -> tuple[float, str]:
    """Distance of the facing planes in Å, and the rule that gave it.

    Two MX2 layers: :data:`CHALCOGEN_GAP`. Others: the sum of the van der Waals radii, each the
    mean over the atoms within 0.3 Å of the layer's outermost one.

    Raises:
        SettingsError: no van der Waals radius of a facing element is known.
    """
    if _is_mx2(lower) and _is_mx2(upper):
        return CHALCOGEN_GAP, "facing chalcogens as in the gallery's MoS2/WSe2 bilayer"
    radii = [_radius(lower.facing(up=True)), _radius(upper.facing(up=False))]
    return float(sum(radii)), "van der Waals radii of the facing atoms"


def _is_mx2(layer: Layer) -> bool:
    """A plane of a transition metal between two of chalcogens."""
    inner = [s for s, h in zip(layer.symbols, layer.heights, strict=True) if abs(h) < 0.5]
    outer = {*layer.facing(up=True), *layer.facing(up=False)}
    return (
        len(layer.symbols) == 3 * len(inner)
        and outer <= _CHALCOGENS
        and all(Element(symbol).is_transition_metal for symbol in inner)
    )


def _radius(symbols: Sequence[str]) -> float:
    # the property of that name warns where there is none
    radii = [Element(symbol).data.get("Van der waals radius") for symbol in symbols]
    unknown = [s for s, radius in zip(symbols, radii, strict=True) if radius is None]
    if unknown:
        raise SettingsError(
            f"No van der Waals radius of {unknown[0]} is known: give the layers' distance in Å."
        )
    return float(np.mean([radius for radius in radii if radius is not None]))


def assemble(
    lower: Layer,
    upper: Layer,
    first: Wholes,
    second: Wholes,
    strained: str,
    pivot: Pivot,
    distance: float | None,
    vacuum: float,
) -> Bilayer:
    """The bilayer whose cell is ``first`` @ (lower's vectors) = ``second`` @ (upper's), strained.

    Args:
        lower: the layer below; it keeps its orientation relative to the cell.
        upper: the layer above.
        first: whole M of the lower layer's cell, (2, 2), det > 0.
        second: of the upper layer's.
        strained: which layer gives way: ``first``, ``second`` or ``shared``.
        pivot: points that are put upon each other.
        distance: of the layers' middles, Å; None: by :func:`default_gap`.
        vacuum: Å, from the uppermost atom to the next image of the lowest one.

    Raises:
        SettingsError: a distance or vacuum outside its range.
        StructureError: atoms of the two layers overlap; the closest pair is named.
    """
    vacuum = checked_vacuum(vacuum)
    gap, rule = _gap(lower, upper, distance)
    cell, first, second = _final_cell(lower, upper, first, second, strained)
    parts, reports = [], []
    for layer, matrix in ((lower, first), (upper, second)):
        parts.append(_fractions(layer, matrix))
        reports.append(_layer_report(layer, matrix, deformation(matrix @ layer.vectors, cell)))
    # fractions of the cell: the pivots meet, then the shift
    meeting = np.array(pivot.lower) + np.array(pivot.shift)
    parts[1] += meeting @ np.linalg.inv(first) - np.array(pivot.upper) @ np.linalg.inv(second)
    height = lower.thickness + gap + upper.thickness + vacuum
    middle = (height - gap - lower.thickness - upper.thickness) / 2 + lower.thickness / 2
    middles = (middle, middle + (lower.thickness + upper.thickness) / 2 + gap)
    structure = _structure((lower, upper), parts, middles, cell, height, reports)
    closest = _closest(structure, gap, middles[1] - middles[0])
    report = BilayerReport(
        angle=reduced_angle(reports[1].angle - reports[0].angle, lower.order, upper.order),
        twist=pivot.twist,
        layers=(reports[0], reports[1]),
        atoms=len(structure),
        area=float(area(cell)),
        distance=middles[1] - middles[0],
        gap=gap,
        distance_rule=rule,
        vacuum=vacuum,
        closest=closest,
        stacking=pivot.stacking,
        center=pivot.center,
    )
    return Bilayer(structure, report)


def _gap(lower: Layer, upper: Layer, distance: float | None) -> tuple[float, str]:
    if distance is None:
        return default_gap(lower, upper)
    check_reals(distance=distance)
    halves = (lower.thickness + upper.thickness) / 2
    if not 0 < distance <= halves + MAX_GAP:
        raise SettingsError(
            f"distance = {distance:g} Å between the layers' middles: more than 0 and at most "
            f"{halves + MAX_GAP:.2f} Å are accepted for {lower.name} and {upper.name} (half "
            f"their thicknesses, {halves:.2f} Å, and a gap of {MAX_GAP:g} Å)."
        )
    return distance - halves, "given"


def _final_cell(
    lower: Layer, upper: Layer, first: Wholes, second: Wholes, strained: str
) -> tuple[Reals, Wholes, Wholes]:
    """The common cell, shortest vectors (hexagonal: 120°), the first along x; and its matrices."""
    raw = common_cell(first @ lower.vectors, second @ upper.vectors, strained)
    cell = reduced(raw)
    u, v = cell
    if np.ptp(np.linalg.norm([u, v, v - u], axis=1)) < 1e-6 * np.linalg.norm(u):
        cell = np.array([u, v - u])
    change = np.rint(cell @ np.linalg.inv(raw)).astype(np.int64)
    turned = (change @ raw) @ rotation(-float(np.degrees(np.arctan2(u[1], u[0]))))
    turned[0, 1] = 0.0
    return turned, change @ first, change @ second


def _fractions(layer: Layer, matrix: Wholes) -> Reals:
    """In-plane fractions of the cell, cell by cell: shape (det M · n, 2)."""
    shifts = cell_translations(matrix)
    places: Reals = (shifts[:, None] + layer.fractions[None]).reshape(-1, 2)
    return places @ np.linalg.inv(matrix)


def _layer_report(layer: Layer, matrix: Wholes, f: Reals) -> LayerReport:
    cells = round(abs(float(np.linalg.det(matrix))))
    strain = 100.0 * stretch(f)
    strain[np.abs(strain) < 1e-10] = 0.0
    (a, b), (c, d) = matrix.tolist()
    (xx, xy), (_, yy) = strain.tolist()
    return LayerReport(
        formula=layer.name,
        matrix=((a, b), (c, d)),
        cells=cells,
        atoms=cells * len(layer),
        angle=round(float(polar_angle(f)), 10) + 0.0,
        strain=((xx, xy), (xy, yy)),
    )


def _structure(
    layers: tuple[Layer, Layer],
    parts: Sequence[Reals],
    middles: Sequence[float],
    cell: Reals,
    height: float,
    reports: Sequence[LayerReport],
) -> Structure:
    symbols: list[str] = []
    heights, owner, moments = [], [], []
    vectors = any(
        layer.moments is not None and any(np.ndim(m) for m in layer.moments) for layer in layers
    )
    for index, (layer, report, middle) in enumerate(zip(layers, reports, middles, strict=True)):
        symbols += list(layer.symbols) * report.cells
        heights.append(np.tile(layer.heights + middle, report.cells))
        owner += [index] * report.atoms
        moments += _moments(layer, report.angle, vectors) * report.cells
    plane = np.vstack(parts)
    plane -= np.floor(plane + 1e-9)
    lattice = np.zeros((3, 3))
    lattice[:2, :2], lattice[2, 2] = cell, height
    properties: dict[str, Any] = {"layer": owner}
    if any(layer.moments is not None for layer in layers):
        properties["magmom"] = moments
    fractions = np.column_stack([plane, np.concatenate(heights) / height])
    return Structure(Lattice(lattice), symbols, fractions, site_properties=properties)


def _moments(layer: Layer, angle: float, vectors: bool) -> list[Any]:
    """Of one primitive cell; vectors turn with the layer, a number among them lies along z."""
    given = layer.moments if layer.moments is not None else (0.0,) * len(layer)
    if not vectors:
        return list(given)
    turn = np.eye(3)
    turn[:2, :2] = rotation(angle)
    whole = [np.asarray(m) if np.ndim(m) else np.array([0.0, 0.0, m]) for m in given]
    return [(vector @ turn).tolist() for vector in whole]


def _closest(structure: Structure, gap: float, distance: float) -> float:
    """Shortest distance between the layers, Å, searched to a covalent bond and to the gap's own.

    Raises:
        StructureError: two atoms are nearer than their covalent radii's sum.
    """
    owner = np.array(structure.site_properties["layer"])
    radii = covalent_radii[[atomic_numbers[site.specie.symbol] for site in structure]]
    reach = max(2 * float(radii.max()), abs(gap) + 2.0)
    while True:
        centers, others, images, lengths = structure.get_neighbor_list(reach)
        # through the gap, not through the vacuum
        between = (owner[centers] != owner[others]) & (images[:, 2] == 0)
        if between.any():
            break
        reach *= 2
    centers, others, lengths = centers[between], others[between], lengths[between]
    ratio = lengths / (radii[centers] + radii[others])
    worst = int(ratio.argmin())
    if ratio[worst] < 1.0 or gap <= 0:
        i, j = sorted((int(centers[worst]), int(others[worst])))
        names = [f"{structure[k].specie.symbol} (atom {k + 1})" for k in (i, j)]
        raise StructureError(
            f"The layers overlap: {names[0]} of the lower and {names[1]} of the upper layer are "
            f"{lengths[worst]:.3f} Å apart, {radii[i] + radii[j]:.2f} Å is a covalent bond. "
            f"The layers' middles are {distance:.3f} Å apart, which leaves a gap of {gap:.3f} Å: "
            "give a larger distance."
        )
    return float(lengths.min())
