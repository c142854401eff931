"""Maps of a layer's Brillouin zone as PNG and SVG files, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.plots.palette import theme
from hamexplorer.plots.zone_image import ZoneRaster, field_values, letters, map_scale
from hamexplorer.properties.valley import ValleyMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["map_figure", "save_map"]

_FORMATS = (".png", ".svg")
_DPI = 160
_PIXELS = 700


def save_map(
    result: ValleyMap, path: str | Path, *, field: str = "curvature", dark: bool = False
) -> Path:
    """Write one quantity of a map to ``path``, PNG or SVG by its ending; returns the path.

    Raises:
        SettingsError: another ending, or no such field.
    """
    target = Path(path)
    if target.suffix.lower() not in _FORMATS:
        raise SettingsError(
            f"{target.name}: a map is drawn as {', '.join(_FORMATS)}; "
            f"not as {target.suffix or 'a file without ending'}."
        )
    figure = map_figure(result, field=field, dark=dark)
    metadata = {"Date": None} if target.suffix.lower() == ".svg" else None
    figure.savefig(target, dpi=_DPI, facecolor=figure.get_facecolor(), metadata=metadata)
    return target


def map_figure(result: ValleyMap, *, field: str = "curvature", dark: bool = False) -> Figure:
    """One quantity over the zone, to scale, cut along its edge, with letters and a colour bar.

    Raises:
        SettingsError: no such field.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon

    scale, colours, zone = map_scale(result, field, dark), theme(dark), result.zone
    raster = ZoneRaster.of(zone, _PIXELS)
    left, bottom, right, top = raster.bounds
    figure = Figure(figsize=(6.2, 5.4), layout="constrained", facecolor=colours.background)
    axes = figure.add_subplot()
    edge = Polygon(zone.polygon, fill=False, edgecolor=colours.text, linewidth=1.4)
    image = axes.imshow(
        raster.image(field_values(result, field)),
        origin="lower",
        extent=(left, right, bottom, top),
        cmap=ListedColormap(list(scale.palette)),
        vmin=scale.low,
        vmax=scale.high,
    )
    axes.add_patch(edge)
    image.set_clip_path(edge)
    for name, place in zip(*letters(zone), strict=True):
        axes.text(
            place[0], place[1], name, color=colours.text, ha="center", va="center", fontsize=12
        )
    reach = 1.22 * np.abs(zone.polygon).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_axis_off()
    axes.set_title(f"{result.title}: {scale.label}", color=colours.text, fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.ax.tick_params(colors=colours.text, labelsize=9)
    bar.outline.set_edgecolor(colours.grid)
    return figure
