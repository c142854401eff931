"""Maps over a layer's Brillouin zone: band edges, spin, Berry curvature, circular dichroism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.berry import BandGeometry, band_geometry
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.properties.valley.symmetry import mesh_orbits, single_points
from hamexplorer.structures.zone import PlanarZone, planar_zone

__all__ = ["MAP_FIELDS", "MapField", "ValleyMap", "valley_map"]

MapField = Literal[
    "valence_energy",
    "conduction_energy",
    "gap",
    "spin",
    "curvature",
    "occupied_curvature",
    "moment",
    "polarisation",
]
MAP_FIELDS: tuple[MapField, ...] = get_args(MapField)
"""Names of what a map shows; see :meth:`ValleyMap.field`."""

_AXIAL = ("spin", "curvature", "occupied_curvature", "moment", "polarisation")
_MAX_DIVISIONS = 400


@dataclass(frozen=True, eq=False)
class ValleyMap:
    """Quantities on an n × n mesh of a layer's Brillouin zone.

    Attributes:
        zone: the zone's geometry.
        n: divisions along each primitive reciprocal vector; point (i, j) is
            (i b₁ + j b₂)/n.
        bands: indices of the second and first valence and first and second conduction band.
        fields: name → (n, n) array; energies in eV (absolute), spin ⟨σ·normal⟩, Ω in Å², m in µB.
        state: λ and the magnetisation.
        position: ``exact`` or ``diagonal``: the position operator behind Ω, m and η.
        overlapping: eV by which valence and conduction bands overlap on the mesh, 0 if a gap is
            left.
        title: chemical formula.
    """

    zone: PlanarZone
    n: int
    bands: tuple[int, int, int, int]
    fields: dict[str, NDArray[np.float64]]
    state: SpinState
    position: str
    overlapping: float
    title: str = ""

    def field(self, name: str) -> NDArray[np.float64]:
        """One quantity, (n, n).

        ``valence_energy``, ``conduction_energy`` and ``gap`` (their difference at the same k);
        ``spin``, ``curvature``, ``moment`` of the highest valence band; ``occupied_curvature``,
        the sum over all filled bands; ``polarisation``: η of the transitions from the two
        highest valence to the two lowest conduction bands.

        Raises:
            SettingsError: another name.
        """
        if name not in self.fields:
            raise SettingsError(f"A map shows {', '.join(MAP_FIELDS)}; not {name!r}.")
        return self.fields[name]

    @property
    def points(self) -> NDArray[np.float64]:
        """In-plane vectors of the mesh inside the first zone, 1/Å, (n, n, 2)."""
        return self.zone.folded(_mesh(self.n) @ self.zone.reciprocal).reshape(self.n, self.n, 2)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k: place in the zone (1/Å), k of the cell, all fields."""
        place = self.points.reshape(-1, 2)
        k = _mesh(self.n) @ self.zone.embedding
        frame = pd.DataFrame({"kx_per_A": place[:, 0], "ky_per_A": place[:, 1]})
        for a in range(3):
            frame[f"k{a + 1}"] = k[:, a]
        units = {"moment": "_muB", "gap": "_eV"}
        for name, values in self.fields.items():
            unit = "_eV" if "energy" in name else "_A2" if "curvature" in name else ""
            frame[name + units.get(name, unit)] = values.ravel()
        return frame


def valley_map(
    h: Hamiltonian,
    n: int = 60,
    state: SpinState | None = None,
    *,
    symmetry: bool = True,
    monitor: Monitor | None = None,
) -> ValleyMap:
    """Band edges, spin, Berry curvature, orbital moment and η over the whole zone.

    Args:
        h: a layer's Hamiltonian.
        n: divisions of the mesh along each reciprocal vector.
        state: λ and the magnetisation.
        symmetry: compute one point of each orbit only, see
            :mod:`~hamexplorer.properties.valley.symmetry`.
        monitor: told the progress; can cancel.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: n is out of range, or there are no valence and conduction bands.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= _MAX_DIVISIONS:
        raise SettingsError(f"A map has 2 … {_MAX_DIVISIONS} divisions, not {n!r}.")
    state = state or SpinState()
    zone = planar_zone(h.structure)
    bands = edge_bands(h)
    orbits = mesh_orbits(h, zone, n, state) if symmetry else single_points(n)
    geometry = band_geometry(
        h,
        (_mesh(n) @ zone.embedding)[orbits.representatives],
        state,
        bands=bands,
        occupied=bands[2],
        transitions=(bands[:2], bands[2:]),
        normal=zone.normal,
        monitor=monitor,
    )
    fields = {
        name: (values[orbits.expansion] * (orbits.sign if name in _AXIAL else 1.0)).reshape(n, n)
        for name, values in _fields(geometry, zone.normal).items()
    }
    overlap = float(fields["valence_energy"].max() - fields["conduction_energy"].min())
    return ValleyMap(
        zone,
        n,
        bands,
        fields,
        state,
        geometry.position,
        max(overlap, 0.0),
        h.structure.composition.reduced_formula,
    )


def _fields(geometry: BandGeometry, normal: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    assert geometry.occupied_curvature is not None
    assert geometry.polarisation is not None
    energies = geometry.energies
    return {
        "valence_energy": energies[:, 1],
        "conduction_energy": energies[:, 2],
        "gap": energies[:, 2] - energies[:, 1],
        "spin": geometry.spin[:, 1] @ normal,
        "curvature": geometry.curvature[:, 1],
        "occupied_curvature": geometry.occupied_curvature,
        "moment": geometry.moment[:, 1],
        "polarisation": geometry.polarisation,
    }


def _mesh(n: int) -> NDArray[np.float64]:
    """(i/n, j/n), the second index fastest, (n², 2)."""
    return np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"), -1).reshape(-1, 2)
