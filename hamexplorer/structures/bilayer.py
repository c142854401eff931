"""Bilayers: a layer upon its own rotated copy, or two different layers in a common cell.

``docs/bilayers.md`` has the conventions, formulas and checks.
"""

from __future__ import annotations

import math

import numpy as np
from pymatgen.core import Structure

from hamexplorer.errors import ResourceLimitError, SettingsError, StructureError
from hamexplorer.structures.bilayer_assembly import (
    Bilayer,
    BilayerReport,
    LayerReport,
    Pivot,
    assemble,
    checked_vacuum,
)
from hamexplorer.structures.bilayer_coincidence import (
    STRAINED,
    CoincidenceCell,
    coincidence_cells,
)
from hamexplorer.structures.bilayer_lattices import (
    Reals,
    Wholes,
    deformation,
    principal_strains,
    rotation,
)
from hamexplorer.structures.bilayer_layer import Layer, layer_of, named_layer
from hamexplorer.structures.bilayer_numbers import check_reals, check_wholes
from hamexplorer.structures.bilayer_twist import (
    PERIOD,
    Twist,
    commensurate_twists,
    nearest_twist,
)

__all__ = [
    "MAX_ATOMS",
    "STACKINGS",
    "VACUUM",
    "Bilayer",
    "BilayerReport",
    "CoincidenceCell",
    "Layer",
    "LayerReport",
    "Point",
    "Twist",
    "coincidence_cells",
    "commensurate_twists",
    "heterobilayer",
    "layer_of",
    "named_layer",
    "no_match",
    "twist_list",
    "twisted_bilayer",
]

MAX_ATOMS = 20_000
"""Largest bilayer that is built."""
VACUUM = 12.0
"""Å, unless another is asked for."""
STACKINGS = ("AA", "AB", "BA", "2H")
"""What is twisted: see :func:`twisted_bilayer`."""

Point = str | tuple[float, float]
"""``hollow`` (or ``hexagon``), ``atom``, an element, or fractions of the primitive vectors."""


def twist_list(structure: Structure, max_atoms: int) -> tuple[Twist, ...]:
    """Commensurate twists of the layer ``structure`` with at most ``max_atoms`` atoms.

    Raises:
        StructureError: it is not a layer, or its lattice is neither hexagonal nor square.
        SettingsError: ``max_atoms`` is outside its range.
    """
    layer = layer_of(structure)
    return commensurate_twists(_max_cells(layer, max_atoms), _twistable(layer))


def twisted_bilayer(
    structure: Structure,
    angle: float | Twist,
    *,
    stacking: str = "AA",
    center: Point | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
    distance: float | None = None,
    vacuum: float = VACUUM,
    max_atoms: int = 400,
    tolerance: float = 0.5,
) -> Bilayer:
    """The layer ``structure`` with its own copy above, turned anticlockwise by ``angle`` degrees.

    The angle becomes the commensurate one that :func:`nearest_twist` chooses; the report has it.
    The rotation begins at a stacking: ``AA``, the copy straight above; ``AB`` (hexagonal: shifted
    by (a + 2b)/3, Bernal graphene, 3R MX2; square: by (a + b)/2) or ``BA`` (by the opposite);
    ``2H`` (turned by 180° about the hollow, so that metals and chalcogens of MX2 face each
    other), whose angle counts from there. It turns about ``center``; then comes ``shift``, in
    fractions of the lower layer's primitive vectors.

    Args:
        structure: a layer with a hexagonal or square lattice; reduced to its primitive cell.
        angle: degrees, 0 for the untwisted stacking; or one of :func:`twist_list`.
        stacking: one of :data:`STACKINGS`.
        center: ``hollow``, the axis of highest order with no atom on it; ``atom``, the first
            atom; an element's first atom; or a point. None: the hollow if there is one, else the
            first atom.
        shift: of the upper layer.
        distance: of the layers' middles, Å (of the metal planes, for MX2); None: by
            :func:`~hamexplorer.structures.bilayer_assembly.default_gap`.
        vacuum: Å.
        max_atoms: in the cell.
        tolerance: degrees by which the angle may be missed.

    Raises:
        StructureError: not a layer, no such lattice or center, or overlapping atoms.
        SettingsError: a parameter outside its range, or no common cell near the angle.
        ResourceLimitError: ``max_atoms`` above :data:`MAX_ATOMS`.
    """
    check_reals(tolerance=tolerance)
    layer = layer_of(structure)
    lattice = _twistable(layer)
    if stacking not in STACKINGS:
        raise SettingsError(f"stacking = {stacking!r}: one of {', '.join(STACKINGS)}.")
    if not tolerance > 0:
        raise SettingsError(f"tolerance = {tolerance}°: a positive angle is needed.")
    checked_vacuum(vacuum)
    twist = _twist(angle, _max_cells(layer, max_atoms), lattice, tolerance)
    lower, where = _center(layer, center)
    start, turned = _start(layer, stacking, lower)
    first, second = _matrices(twist, lattice, turned)
    pivot = Pivot(
        lower=(float(lower[0]), float(lower[1])),
        upper=(float(start[0]), float(start[1])),
        shift=_shift(shift),
        stacking=stacking,
        center=where,
        twist=twist.angle,
    )
    return assemble(layer, layer, first, second, "second", pivot, distance, vacuum)


def heterobilayer(
    first: Structure,
    second: Structure,
    *,
    cell: CoincidenceCell | None = None,
    max_strain: float = 2.0,
    max_atoms: int = 200,
    angle: float | None = None,
    angle_tolerance: float = 0.5,
    strained: str = "shared",
    center: Point | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
    distance: float | None = None,
    vacuum: float = VACUUM,
) -> Bilayer:
    """The layer ``second`` upon the layer ``first`` in a common cell.

    The cell is ``cell``, one of those that :func:`coincidence_cells` finds for the two, or else
    the smallest under the limits; of equally large ones that of least strain. The layers' points
    ``center`` (as in :func:`twisted_bilayer`, for each layer) are put upon each other, then the
    upper layer is shifted by ``shift``, in fractions of the lower layer's primitive vectors.

    Raises:
        StructureError: one is not a layer, there is no cell under the limits, no such center, or
            atoms overlap.
        SettingsError: a parameter outside its range, or ``cell`` is one of other layers.
        ResourceLimitError: ``max_atoms`` is too large for the search.
    """
    lower, upper = layer_of(first), layer_of(second)
    checked_vacuum(vacuum)
    if cell is None:
        cells = coincidence_cells(
            lower,
            upper,
            max_strain=max_strain,
            max_atoms=max_atoms,
            angle=angle,
            angle_tolerance=angle_tolerance,
            strained=strained,
            limit=1,
        )
        if not cells:
            raise StructureError(no_match(lower, upper, max_strain, max_atoms, angle))
        cell = cells[0]
    elif strained not in STRAINED:
        raise SettingsError(f"strained = {strained!r}: one of {', '.join(STRAINED)}.")
    elif not isinstance(cell, CoincidenceCell) or not _fits(cell, lower, upper):
        raise SettingsError(
            f"cell is not one of {upper.name} upon {lower.name}: take it from bilayer_cells or "
            "coincidence_cells of these two, in this order."
        )
    (below, where), (above, there) = _center(lower, center), _center(upper, center)
    pivot = Pivot(
        lower=(float(below[0]), float(below[1])),
        upper=(float(above[0]), float(above[1])),
        shift=_shift(shift),
        stacking="heterobilayer",
        center=where if where == there else f"{where} below {there}",
    )
    return assemble(lower, upper, cell.first, cell.second, strained, pivot, distance, vacuum)


def no_match(
    first: Layer, second: Layer, max_strain: float, max_atoms: int, angle: float | None
) -> str:
    """What to say where :func:`coincidence_cells` finds nothing."""
    kinds = (first.lattice, second.lattice)
    lattices = f" ({kinds[0]} and {kinds[1]} lattices)" if kinds[0] != kinds[1] else ""
    at = "" if angle is None else f" at {angle:g}°"
    return (
        f"{first.name} and {second.name}{lattices} have no common cell{at} of at most {max_atoms} "
        f"atoms with a strain of at most {max_strain:g} %: allow more atoms, more strain, or "
        "another angle."
    )


def _fits(cell: CoincidenceCell, lower: Layer, upper: Layer) -> bool:
    """Whether the two layers take the misfit in ``cell`` that the cell says."""
    misfit = principal_strains(deformation(cell.second @ upper.vectors, cell.first @ lower.vectors))
    below, above = 1 + cell.strains / 100
    return bool(np.allclose(1 + misfit, above / below, rtol=0, atol=1e-6))


def _max_cells(layer: Layer, max_atoms: int) -> int:
    check_wholes(max_atoms=max_atoms)
    if max_atoms > MAX_ATOMS:
        raise ResourceLimitError(f"max_atoms = {max_atoms}: at most {MAX_ATOMS} are built.")
    if max_atoms < 2 * len(layer):
        raise SettingsError(
            f"max_atoms = {max_atoms}: two layers of {layer.name} have at least {2 * len(layer)}."
        )
    return max_atoms // (2 * len(layer))


def _twistable(layer: Layer) -> str:
    if layer.lattice not in PERIOD:
        raise StructureError(
            f"{layer.name}: its lattice is neither hexagonal nor square, so that a rotated copy "
            "has no common cell with it; stack it on itself as a heterobilayer, which allows for "
            "a small strain."
        )
    return layer.lattice


def _twist(angle: float | Twist, max_cells: int, lattice: str, tolerance: float) -> Twist:
    if not isinstance(angle, Twist):
        _finite("angle", angle, 360.0)
        return nearest_twist(angle, max_cells, lattice, tolerance)
    if angle not in commensurate_twists(max_cells, lattice):
        raise SettingsError(
            f"{angle} is not among the {lattice} lattice's twists of at most {max_cells} primitive "
            "cells in each layer."
        )
    return angle


def _matrices(twist: Twist, lattice: str, turned: float) -> tuple[Wholes, Wholes]:
    """Whole cells of both layers for a copy turned by the twist and ``turned`` degrees.

    In the ring of a + b ω, ω = exp(2πi/3) or i: the lower layer's vector is w = n + m ζ, over
    1 + ζ where m − n is divisible by its norm, with rows w and ω w.
    """
    m, n = twist.m, twist.n
    if lattice == "hexagonal":
        a, b = n + m, m  # ζ = 1 + ω
        if (m - n) % 3 == 0:  # times 1 − ω, over 3
            a, b = (a + b) // 3, (2 * b - a) // 3
        first = np.array([[a, b], [-b, a - b]], dtype=np.int64)
    else:
        a, b = n, m
        if (m - n) % 2 == 0:  # times 1 − i, over 2
            a, b = (a + b) // 2, (b - a) // 2
        first = np.array([[a, b], [-b, a]], dtype=np.int64)
    # the lattice as it ideally is: what the file rounds is strain
    open_ = math.radians(120 if lattice == "hexagonal" else 90)
    ideal = np.array([[1.0, 0.0], [math.cos(open_), math.sin(open_)]])
    copy = ideal @ rotation(twist.angle + turned)
    second = np.rint(first @ ideal @ np.linalg.inv(copy)).astype(np.int64)
    return first, second


def _center(layer: Layer, center: Point | None) -> tuple[Reals, str]:
    """The point and its name."""
    hollow = _hollow(layer)
    if center is None:
        center = "atom" if hollow is None else "hollow"
    if not isinstance(center, str):
        u, v = _shift(center, "center")
        return np.array([u, v]), f"({u:g}, {v:g})"
    if center.lower() in {"hollow", "hexagon"}:
        if hollow is None:
            raise StructureError(
                f"{layer.name} has no rotation axis of highest order without an atom on it; give "
                "an atom or a point as the center."
            )
        return hollow, "hollow"
    symbol = layer.symbols[0] if center.lower() == "atom" else center
    if symbol not in layer.symbols:
        raise SettingsError(
            f"center = {center!r}: hollow, atom, an element of {layer.name} "
            f"({', '.join(dict.fromkeys(layer.symbols))}), or two fractions are accepted."
        )
    return layer.fractions[layer.symbols.index(symbol)], symbol


def _hollow(layer: Layer) -> Reals | None:
    for axis in layer.axes:
        if axis.order == layer.order and not axis.occupied:
            return np.array(axis.point)
    return None


def _start(layer: Layer, stacking: str, center: Reals) -> tuple[Reals, float]:
    """The copy's point, in its own fractions, that comes to ``center``; its turn before all."""
    if stacking == "AA":
        return center, 0.0
    if stacking == "2H":
        hollow = _hollow(layer)
        if hollow is None:
            raise StructureError(f"{layer.name} has no hollow about which 2H could be turned.")
        return 2 * hollow - center, 180.0
    step = np.array([1 / 3, 2 / 3]) if layer.lattice == "hexagonal" else np.array([0.5, 0.5])
    return center - (step if stacking == "AB" else -step), 0.0


def _shift(shift: tuple[float, float], name: str = "shift") -> tuple[float, float]:
    try:
        first, second = (float(value) for value in shift)
    except (TypeError, ValueError):
        raise SettingsError(
            f"{name} takes two fractions of the primitive vectors, not {shift!r}."
        ) from None
    for value in (first, second):
        _finite(name, value, 10.0)
    return first, second


def _finite(name: str, value: float, limit: float) -> None:
    check_reals(**{name: value})
    if not abs(value) <= limit:  # NaN too
        raise SettingsError(f"{name} = {value}: a number from −{limit:g} to {limit:g} is needed.")
