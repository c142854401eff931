"""A periodic mesh over a layer's Brillouin zone as a smooth picture with its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from hamexplorer.errors import SettingsError
from hamexplorer.plots.band_data import ColourScale
from hamexplorer.plots.palette import diverging, energy_map, spin_map
from hamexplorer.properties.valley import MAP_FIELDS, MapField, ValleyMap
from hamexplorer.structures.zone import PlanarZone

__all__ = ["FIELD_TITLES", "FIELD_UNITS", "ZoneRaster", "field_values", "letters", "map_scale"]

FIELD_TITLES: dict[MapField, str] = {
    "valence_energy": "E_v, valence edge",
    "conduction_energy": "E_c, conduction edge",
    "gap": "Direct gap E_c − E_v",
    "spin": "Spin, valence band",
    "curvature": "Ω, top valence band",
    "occupied_curvature": "Ω, all filled bands",
    "moment": "Orbital moment",
    "polarisation": "Circular polarisation η",
}
"""What a map shows, as menus name it."""

_CAPTIONS: dict[MapField, str] = {
    "valence_energy": "E_v from the valence band top",
    "conduction_energy": "E_c from the valence band top",
    "gap": "Direct gap E_c − E_v",
    "spin": "Spin of the top valence band",
    "curvature": "Berry curvature of the top valence band",
    "occupied_curvature": "Berry curvature of all filled bands",
    "moment": "Orbital moment of the top valence band",
    "polarisation": "Circular polarisation η of the gap",
}
FIELD_UNITS: dict[MapField, str] = {
    "valence_energy": "eV",
    "conduction_energy": "eV",
    "gap": "eV",
    "spin": "",
    "curvature": "Å²",
    "occupied_curvature": "Å²",
    "moment": "µB",
    "polarisation": "",
}
"""Units of what a map shows; empty for pure numbers."""
_ENERGIES = ("valence_energy", "conduction_energy", "gap")
_WHOLE = ("spin", "polarisation")  # always −1 … 1
_FLOOR = 1e-2  # Å² or µB: less is noise, not to be painted in full colours
_PEAK = 3.0  # times the 99th percentile: where colours end, if peaks reach much beyond
_OUTSIDE = 1.09  # where letters stand, from Γ to the corner


@dataclass(frozen=True, eq=False)
class ZoneRaster:
    """Square pixels over the bounding box of a zone.

    Attributes:
        zone: what is drawn.
        x, y: centres of the columns and rows, 1/Å, (nx,) and (ny,).
        fractional: places of the pixels in the zone's reciprocal vectors, (ny, nx, 2).
        inside: pixels that touch the zone, (ny, nx).
    """

    zone: PlanarZone
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    fractional: NDArray[np.float64]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, zone: PlanarZone, columns: int = 300) -> ZoneRaster:
        """A raster of about ``columns`` pixels across the zone, and one beyond its edge."""
        low, high = zone.polygon.min(axis=0), zone.polygon.max(axis=0)
        step = float((high - low).max()) / columns
        x, y = (np.arange(a - step / 2, b + step, step) for a, b in zip(low, high, strict=True))
        points = np.stack(np.meshgrid(x, y), axis=-1)
        return cls(zone, x, y, zone.fractional(points), _inside(zone.polygon, points, step))

    @property
    def step(self) -> float:
        """Side of a pixel, 1/Å."""
        return float(self.x[1] - self.x[0])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of the outermost pixels, 1/Å."""
        half = self.step / 2
        return (
            float(self.x[0]) - half,
            float(self.y[0]) - half,
            float(self.x[-1]) + half,
            float(self.y[-1]) + half,
        )

    def kpoints(self) -> NDArray[np.float32]:
        """K of the pixels in the cell's reciprocal vectors, (3, ny, nx)."""
        return np.moveaxis(self.fractional @ self.zone.embedding, -1, 0).astype(np.float32)

    def image(self, mesh: NDArray[np.float64]) -> NDArray[np.float32]:
        """``mesh`` (n, n) by periodic cubic splines, (ny, nx); NaN outside the zone.

        Splines that swing beyond the mesh's own range are cut there.
        """
        places = np.moveaxis(self.fractional, -1, 0) * len(mesh)
        smooth = map_coordinates(mesh, places, order=3, mode="grid-wrap")
        smooth = smooth.clip(mesh.min(), mesh.max())
        return np.where(self.inside, smooth, np.nan).astype(np.float32)


def _inside(
    polygon: NDArray[np.float64], points: NDArray[np.float64], margin: float
) -> NDArray[np.bool_]:
    """Points (..., 2) in a convex anticlockwise polygon, or within ``margin`` of it."""
    result = np.ones(points.shape[:-1], dtype=bool)
    for start, stop in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        along = (stop - start) / np.linalg.norm(stop - start)
        away = points - start
        result &= along[0] * away[..., 1] - along[1] * away[..., 0] >= -margin
    return result


def field_values(result: ValleyMap, field: str) -> NDArray[np.float64]:
    """The mesh that is drawn, (n, n): energies from the valence band's top, others as they are.

    Raises:
        SettingsError: no such field.
    """
    values = result.field(field)
    if field in ("valence_energy", "conduction_energy"):
        return values - result.field("valence_energy").max()
    return values


def map_scale(result: ValleyMap, field: str, dark: bool) -> ColourScale:
    """Caption, range and colours of a field; signed ones lie around 0.

    Raises:
        SettingsError: no such field.
    """
    if field not in MAP_FIELDS:
        raise SettingsError(f"A map shows {', '.join(MAP_FIELDS)}; not {field!r}.")
    values = field_values(result, field)
    title, unit = _CAPTIONS[field], FIELD_UNITS[field]
    if field == "spin":
        across = "⟨σz⟩" if abs(result.zone.normal[2]) > 0.999 else "⟨σ·n⟩"
        return ColourScale(f"{title}, {across}", -1.0, 1.0, tuple(spin_map()))
    if field in _WHOLE:
        return ColourScale(title, -1.0, 1.0, tuple(diverging(dark, spin_orbit=True)))
    if field in _ENERGIES:
        low, high = float(values.min()), float(values.max())
        top = max(high, low + 1e-3)
        return ColourScale(f"{title} ({unit})", low, top, tuple(energy_map()))
    size = np.abs(values)
    largest = float(size.max())
    end = max(min(largest, _PEAK * float(np.percentile(size, 99))), _FLOOR)
    caption = f"{title} ({unit})"
    if end < 0.99 * largest:
        caption += f", peaks to {largest:.3g}"
    return ColourScale(caption, -end, end, tuple(diverging(dark)))


def letters(zone: PlanarZone) -> tuple[list[str], NDArray[np.float64]]:
    """The letters of a zone's picture and their places, (n, 2): corners a little outside."""
    names = [name for name, _ in zone.named]
    places = np.array([place for _, place in zone.named]) * _OUTSIDE
    return names, places
