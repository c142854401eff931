"""Band structures as HoloViews elements, for notebooks and reports."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from hamexplorer.plots.band_data import Lines, axis_label, colour_scale, lines, segments
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import SOC_OFF, SOC_ON, theme
from hamexplorer.properties import BandStructure
from hamexplorer.properties.bands import Zero

__all__ = ["band_plot"]


def band_plot(
    result: BandStructure,
    *,
    soc_off: BandStructure | None = None,
    colour_by: str | None = None,
    energy_window: tuple[float, float] | None = None,
    zero: Zero = "fermi",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 480,
) -> hv.Overlay:
    """Bands along a path: spin-orbit off thin and grey, on bold.

    Args:
        result: the bands.
        soc_off: bands of the same path without spin-orbit coupling.
        colour_by: None, ``spin_x`` … ``spin_z``, ``spin_n`` or the name of a group of ``result``.
        energy_window: (low, high), eV, in the chosen zero; default: 6 eV around the Fermi level.
        zero: ``source``, ``fermi`` or ``vbm``.
        dark: for a dark page.
        width: pixels; None fills the place.
        height: pixels; None fills the place.

    Raises:
        SettingsError: ``colour_by`` was not computed, or ``vbm`` asked of a metal.
    """
    _backend()
    reference = result.zero_energy(zero)
    middle = result.fermi.energy - reference
    window = energy_window or (middle - 6.0, middle + 6.0)
    parts: list[Any] = []
    if soc_off is not None:
        grey = _path(lines(soc_off, reference), zero)
        parts.append(grey.opts(color=SOC_OFF, line_width=1, alpha=0.8))
    if colour_by is None:
        parts.append(_path(lines(result, reference), zero).opts(color=SOC_ON, line_width=2))
    else:
        parts.append(_coloured(result, reference, colour_by, zero))
    parts.append(_points(result, reference))
    parts.append(hv.HLine(middle).opts(color=theme(dark).fermi, line_dash="dashed", line_width=1))
    ticks = result.path.axis_ticks
    title = result.title
    if colour_by is not None:
        title += f": {colour_scale(result, colour_by).label}"
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            title=title,
            show_legend=False,
            xlabel="",
            ylabel=axis_label(zero),
            xticks=[(float(position), label) for position, label in ticks],
            gridstyle={"xgrid_line_color": theme(dark).grid, "ygrid_line_color": theme(dark).grid},
            show_grid=True,
            xlim=(float(result.path.distances[0]), float(result.path.distances[-1])),
            ylim=window,
        )
    )


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)


def _path(drawn: Lines, zero: Zero) -> hv.Path:
    pieces = [np.column_stack(pair) for pair in zip(drawn.xs, drawn.ys, strict=True)]
    return hv.Path(pieces, kdims=["k", hv.Dimension("energy", label=axis_label(zero))])


def _coloured(result: BandStructure, reference: float, colour_by: str, zero: Zero) -> hv.Segments:
    scale = colour_scale(result, colour_by)
    drawn = segments(result, reference, colour_by)
    return hv.Segments(
        (drawn.x0, drawn.y0, drawn.x1, drawn.y1, drawn.value),
        kdims=["k", hv.Dimension("energy", label=axis_label(zero)), "k_end", "energy_end"],
        vdims=[hv.Dimension("value", label=scale.label)],
    ).opts(
        color="value",
        cmap=list(scale.palette),
        clim=(scale.low, scale.high),
        line_width=2.5,
        colorbar=True,
        colorbar_opts={"width": 12},
    )


def _points(result: BandStructure, reference: float) -> hv.Points:
    """Unpainted points that carry the hover."""
    nk, nb = result.energies.shape
    k = [f"({a:.3f}, {b:.3f}, {c:.3f})" for a, b, c in result.kpoints]
    columns: dict[str, Any] = {
        "k": np.repeat(result.path.distances, nb),
        "energy": (result.energies - reference).ravel(),
        "k_point": np.repeat(np.array(k), nb),
        "band": np.tile(np.arange(nb) + result.first_band, nk),
    }
    shown = [("k", "@k_point"), ("band", "@band"), ("energy", "@energy{0.0000} eV")]
    if result.spin is not None:
        for a, axis in enumerate("xyz"):
            columns[f"spin_{axis}"] = result.spin[..., a].ravel()
            shown.append((f"⟨σ{axis}⟩", f"@spin_{axis}{{0.00}}"))
    if result.weights is not None:
        for g, name in enumerate(result.groups[:8]):
            columns[f"w{g}"] = result.weights[..., g].ravel()
            shown.append((name, f"@w{g}{{0.0%}}"))
    return hv.Points(columns, kdims=["k", "energy"], vdims=list(columns)[2:]).opts(
        alpha=0, size=8, tools=[HoverTool(tooltips=shown, limit=1)]
    )
