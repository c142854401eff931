"""Where the valleys are: searched around the zone's corners, not assumed to be there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.solver import BandSolver
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.structures.zone import PlanarZone, planar_zone

__all__ = ["Extremum", "Valley", "find_valleys"]

Extremum = Literal["gap", "valence", "conduction"]

_REACH = 0.3
"""How far from a corner a valley is looked for, in units of |K|."""
_PRECISION = 1e-5
"""In units of |K|; energies are stationary there, so that they are exact to 1e-9 eV."""
_FLAT = 1e-9
"""eV; a point must be better by more than this for the search to leave the corner."""


@dataclass(frozen=True, eq=False)
class Valley:
    """A valley of the bands.

    Attributes:
        label: ``K`` or ``K′``.
        kpoint: (3,), fractional, in the cell's reciprocal vectors.
        place: in-plane vector, 1/Å, (2,).
        shift: distance from the zone's corner, 1/Å.
        found: whether the extremum lies inside the region searched; if not, the valley is the
            corner itself.
    """

    label: str
    kpoint: NDArray[np.float64]
    place: NDArray[np.float64]
    shift: float
    found: bool


def find_valleys(
    h: Hamiltonian, state: SpinState | None = None, *, extremum: Extremum = "gap"
) -> tuple[Valley, Valley]:
    """The valleys near K and K′.

    ``extremum``: the place of the smallest direct gap (``gap``), of the valence band's maximum
    (``valence``) or the conduction band's minimum (``conduction``), within 0.3 |K| of the corner,
    found by successively finer grids to 1e-5 |K|.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: the zone has no corners K and K′ (square and rectangular lattices), no
            valence and conduction bands, or an unknown extremum.
    """
    if extremum not in get_args(Extremum):
        raise SettingsError(
            f"A valley is an extremum of {', '.join(get_args(Extremum))}; not {extremum!r}."
        )
    state = state or SpinState()
    zone = planar_zone(h.structure)
    if not zone.has_valleys:
        raise SettingsError(
            f"The Brillouin zone of a {zone.lattice} lattice has four corners, all of them the "
            "same point: there are no two valleys K and K′."
        )
    _, valence, conduction, _ = edge_bands(h)

    def value(points: NDArray[np.float64]) -> NDArray[np.float64]:
        edges = BandSolver(h, zone.kpoints(points), max_bytes=0).energies(
            state, window=(valence, conduction)
        )
        top, bottom = edges[:, 0], edges[:, -1]
        return bottom - top if extremum == "gap" else bottom if extremum == "conduction" else -top

    first = _search(zone, "K", value)
    if h.is_time_reversal_symmetric(state):  # E(−k) = E(k)
        return first, Valley("K′", -first.kpoint, -first.place, first.shift, first.found)
    return first, _search(zone, "K′", value)


def _search(
    zone: PlanarZone, label: str, value: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Valley:
    corner = zone.corners[label]
    reach = radius = _REACH * float(np.linalg.norm(corner))
    steps = np.stack(np.meshgrid(*[np.linspace(-1, 1, 7)] * 2, indexing="ij"), -1).reshape(-1, 2)
    steps = steps[np.linalg.norm(steps, axis=1) <= 1 + 1e-9]
    steps = steps[np.argsort(np.linalg.norm(steps, axis=1), kind="stable")]  # the centre first
    best = corner
    while radius > _PRECISION * np.linalg.norm(corner):
        points = best + radius * steps
        values = value(points)
        lowest = int(values.argmin())
        if values[lowest] < values[0] - _FLAT:
            best = points[lowest]
            radius *= 0.45
        else:  # within the innermost ring, at a third of the radius
            radius *= 0.3
    shift = float(np.linalg.norm(best - corner))
    found = shift < 0.95 * reach
    if not found:
        best, shift = corner, 0.0
    return Valley(label, zone.kpoints(best), best, shift, found)
