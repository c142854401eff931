"""Bands as files: PNG and SVG by matplotlib, HTML that opens without network."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.plots.band_data import axis_label, colour_scale, lines, segments
from hamexplorer.plots.palette import SOC_OFF, SOC_ON, group_colours, theme
from hamexplorer.properties import BandStructure, DensityOfStates
from hamexplorer.properties.bands import Zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "band_figure", "save_bands"]

FORMATS = (".png", ".svg", ".html")
"""Endings that :func:`save_bands` writes."""
_DPI = 160


def save_bands(
    result: BandStructure,
    path: str | Path,
    *,
    soc_off: BandStructure | None = None,
    colour_by: str | None = None,
    dos: DensityOfStates | None = None,
    energy_window: tuple[float, float] | None = None,
    zero: Zero = "fermi",
    dark: bool = False,
    width: int = 900,
    height: int = 620,
) -> Path:
    """Write the band plot to ``path``; its ending chooses PNG, SVG or (interactive) HTML.

    ``width`` and ``height`` are pixels; ``dos`` is drawn beside the bands (not in HTML); the
    others are those of :func:`~hamexplorer.plots.bands.band_plot`. Returns the path.

    Raises:
        SettingsError: another ending, or ``colour_by`` was not computed.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(
            f"{target.name}: bands are written as {', '.join(FORMATS)}; "
            f"not as {target.suffix or 'a file without ending'}."
        )
    options: dict[str, Any] = {
        "soc_off": soc_off,
        "colour_by": colour_by,
        "energy_window": energy_window,
        "zero": zero,
        "dark": dark,
    }
    if target.suffix.lower() == ".html":
        _write_html(result, target, options)
        return target
    figure = band_figure(result, dos=dos, size=(width, height), **options)
    metadata = {"Date": None} if target.suffix.lower() == ".svg" else None
    figure.savefig(target, dpi=_DPI, facecolor=figure.get_facecolor(), metadata=metadata)
    return target


def band_figure(
    result: BandStructure,
    *,
    soc_off: BandStructure | None = None,
    colour_by: str | None = None,
    dos: DensityOfStates | None = None,
    energy_window: tuple[float, float] | None = None,
    zero: Zero = "fermi",
    dark: bool = False,
    size: tuple[int, int] = (900, 620),
) -> Figure:
    """The band plot as a matplotlib figure of ``size`` pixels; see :func:`save_bands`."""
    from matplotlib.figure import Figure

    reference = result.zero_energy(zero)
    middle = result.fermi.energy - reference
    window = energy_window or (middle - 6.0, middle + 6.0)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), layout="constrained")
    figure.set_facecolor(theme(dark).background)
    if dos is None:
        axes, beside = figure.subplots(), None
    else:
        axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    if soc_off is not None:
        _draw_lines(axes, soc_off, reference, SOC_OFF, 0.7)
    if colour_by is None:
        _draw_lines(axes, result, reference, SOC_ON, 1.3)
    else:
        _draw_coloured(figure, axes, result, reference, colour_by, dark)
    _draw_frame(axes, result, dark)
    axes.set_ylabel(axis_label(zero))
    axes.set_ylim(window)
    if beside is not None and dos is not None:
        _draw_dos(beside, dos, reference, window, dark)
    for each in figure.axes[: 1 if beside is None else 2]:
        each.axhline(middle, color=theme(dark).fermi, linestyle="--", linewidth=0.8)
    return figure


def _draw_lines(
    axes: Axes, bands: BandStructure, reference: float, colour: str, width: float
) -> None:
    from matplotlib.collections import LineCollection

    drawn = lines(bands, reference)
    pieces = [np.column_stack(pair) for pair in zip(drawn.xs, drawn.ys, strict=True)]
    axes.add_collection(LineCollection(pieces, colors=colour, linewidths=width))


def _draw_coloured(
    figure: Figure, axes: Axes, bands: BandStructure, reference: float, colour_by: str, dark: bool
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap

    scale = colour_scale(bands, colour_by)
    drawn = segments(bands, reference, colour_by)
    pieces = np.stack([drawn.x0, drawn.y0, drawn.x1, drawn.y1], axis=1).reshape(-1, 2, 2)
    collection = LineCollection(
        list(pieces),
        array=drawn.value,
        cmap=ListedColormap(list(scale.palette)),
        linewidths=1.6,
        capstyle="round",
    )
    collection.set_clim(scale.low, scale.high)
    axes.add_collection(collection)
    bar = figure.colorbar(collection, ax=axes, pad=0.02, aspect=30)
    bar.set_label(scale.label, color=theme(dark).text)
    bar.ax.tick_params(colors=theme(dark).text, labelsize=8)
    bar.outline.set_edgecolor(theme(dark).grid)


def _draw_frame(axes: Axes, bands: BandStructure, dark: bool) -> None:
    _colour_axes(axes, dark)
    ticks = bands.path.axis_ticks
    axes.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    axes.grid(axis="x", color=theme(dark).grid, linewidth=0.8)
    axes.set_xlim(bands.path.distances[0], bands.path.distances[-1])
    axes.set_title(bands.title, color=theme(dark).text, fontsize=10, loc="left")


def _draw_dos(
    axes: Axes, dos: DensityOfStates, reference: float, window: tuple[float, float], dark: bool
) -> None:
    energy = dos.energies - reference
    inside = (energy >= window[0]) & (energy <= window[1])
    axes.fill_betweenx(energy, dos.total, color=theme(dark).fermi, alpha=0.25, linewidth=0)
    if dos.projected is not None:
        for name, values in zip(dos.groups, dos.projected, strict=True):
            axes.plot(
                values, energy, color=group_colours(dos.groups)[name], linewidth=1, label=name
            )
        axes.legend(
            fontsize=8,
            labelcolor=theme(dark).text,
            facecolor=theme(dark).background,
            edgecolor=theme(dark).grid,
        )
    _colour_axes(axes, dark)
    axes.set_xlim(0, 1.05 * float(dos.total[inside].max(initial=0.1)))
    axes.set_xlabel("states / eV / cell", fontsize=8)


def _colour_axes(axes: Axes, dark: bool) -> None:
    colours = theme(dark)
    axes.set_facecolor(colours.background)
    axes.tick_params(colors=colours.text, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(colours.text)
    for spine in axes.spines.values():
        spine.set_edgecolor(colours.grid)


_PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>{title}</title>
    <style>html, body {{ margin: 0; height: 100%; background: {background}; }}</style>
    {libraries}
  </head>
  <body>
    {plot}
    {script}
  </body>
</html>
"""


def _write_html(result: BandStructure, target: Path, options: dict[str, Any]) -> None:
    from bokeh.embed import components
    from bokeh.resources import Resources

    from hamexplorer.plots.live_bands import LiveBandPlot

    plot = LiveBandPlot(result, height=640, **options)
    # Not bokeh's file_html: where Panel was loaded, it would add links to Panel's style sheets.
    script, place = components(plot.figure)
    sources = Resources(mode="inline", components=["bokeh", "bokeh-gl"]).js_raw
    page = _PAGE.format(
        title=html.escape(f"Bands of {result.title}"),
        background=theme(options["dark"]).background,
        libraries="\n".join(f"<script>{source}</script>" for source in sources),
        plot=place,
        script=script,
    )
    target.write_text(page, encoding="utf-8")
