"""Comparisons of two Hamiltonians as files: PNG and SVG by matplotlib, HTML without network."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.plots.band_data import Lines
from hamexplorer.plots.comparison_data import (
    BANDS_AXIS,
    DISTANCE_AXIS,
    SECOND,
    distance_errors,
    k_errors,
    overlay,
    reference_colour,
    shell_errors,
    short_names,
    symbol,
)
from hamexplorer.plots.palette import CATEGORIES, sequential, theme
from hamexplorer.properties.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "comparison_figure", "save_comparison"]

FORMATS = (".png", ".svg", ".html")
"""Endings that :func:`save_comparison` writes."""
_DPI = 160
_MEAN = CATEGORIES[0]
_MANY_SHELLS = 14


def save_comparison(
    result: Comparison, path: str | Path, *, component: str = "H", dark: bool = False
) -> Path:
    """Draw bands, their error at each k, and the elements' errors by distance and shells.

    The ending chooses PNG, SVG or (interactive) HTML; returns the path.

    Raises:
        SettingsError: another ending, or ``component`` was not compared.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(
            f"{target.name}: a comparison is drawn as {', '.join(FORMATS)}; "
            f"not as {target.suffix or 'a file without ending'}."
        )
    if target.suffix.lower() == ".html":
        from hamexplorer.plots.comparison_html import comparison_page

        page = comparison_page(result, component=component, dark=dark)
        target.write_text(page, encoding="utf-8")
        return target
    figure = comparison_figure(result, component=component, dark=dark)
    metadata = {"Date": None} if target.suffix.lower() == ".svg" else None
    figure.savefig(target, dpi=_DPI, facecolor=figure.get_facecolor(), metadata=metadata)
    return target


def comparison_figure(result: Comparison, *, component: str = "H", dark: bool = False) -> Figure:
    """The same as a matplotlib figure; see :func:`save_comparison`."""
    from matplotlib.figure import Figure

    elements = result.elements is not None
    figure = Figure(
        figsize=(11.0 if elements else 7.0, 7.0),
        layout="constrained",
        facecolor=theme(dark).background,
    )
    axes = figure.subplots(
        2,
        2 if elements else 1,
        squeeze=False,
        width_ratios=(1.35, 1) if elements else (1,),
        height_ratios=(2.4, 1) if not elements else (1.7, 1),
    )
    _draw_bands(axes[0, 0], result, dark)
    _draw_k_errors(axes[1, 0], result, dark)
    if elements:
        _draw_shells(figure, axes[0, 1], result, component, dark)
        _draw_distance(axes[1, 1], result, component, dark)
    text = "\n".join(textwrap.wrap(f"{result.formula}: {result.verdict}", 130 if elements else 80))
    figure.suptitle(text, fontsize=10, color=theme(dark).text, x=0.01, ha="left")
    return figure


def _draw_bands(axes: Axes, result: Comparison, dark: bool) -> None:
    from matplotlib.collections import LineCollection

    drawn, names = overlay(result), short_names(result)
    looks: tuple[tuple[Lines, str, dict[str, Any]], ...] = (
        (drawn.first, names[0], {"colors": reference_colour(dark), "linewidths": 2, "alpha": 0.7}),
        (drawn.second, names[1], {"colors": SECOND, "linewidths": 1.1, "linestyles": (0, (4, 2))}),
    )
    for lines, name, look in looks:
        pieces = [np.column_stack(pair) for pair in zip(lines.xs, lines.ys, strict=True)]
        axes.add_collection(LineCollection(pieces, label=name, **look))
    if drawn.worst is not None:
        axes.plot(*drawn.worst, "o", ms=9, mfc="none", mec=theme(dark).text, mew=1.3)
    axes.axhline(drawn.fermi, color=theme(dark).fermi, linestyle=":", linewidth=0.8)
    _frame(axes, dark)
    _path(axes, result, dark)
    axes.set_ylim(drawn.window)
    axes.set_ylabel(drawn.label)
    _legend(axes, dark, loc="upper right")


def _draw_k_errors(axes: Axes, result: Comparison, dark: bool) -> None:
    drawn = k_errors(result)
    axes.plot(drawn.x, drawn.largest, color=SECOND, linewidth=1.4, label="largest")
    axes.plot(drawn.x, drawn.mean, color=_MEAN, linewidth=1.4, label="mean")
    _frame(axes, dark)
    _path(axes, result, dark)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(BANDS_AXIS)
    _legend(axes, dark, ncols=2)


def _draw_distance(axes: Axes, result: Comparison, component: str, dark: bool) -> None:
    drawn = distance_errors(result, component)
    assert drawn is not None
    for name, values, colour in (
        ("largest", drawn.largest, SECOND),
        ("mean", drawn.mean, _MEAN),
    ):
        axes.plot(drawn.distance, values, "o", color=colour, markersize=3.5, label=name)
    if len(drawn.distance):
        axes.set_yscale("log")
    _frame(axes, dark)
    axes.set_xlabel(DISTANCE_AXIS)
    axes.set_ylabel(f"|Δ{symbol(component)}| (meV)")
    axes.grid(color=theme(dark).grid, linewidth=0.5)
    _legend(axes, dark)


def _draw_shells(
    figure: Figure, axes: Axes, result: Comparison, component: str, dark: bool
) -> None:
    from matplotlib.colors import ListedColormap

    drawn = shell_errors(result, component)
    assert drawn is not None
    image = axes.imshow(
        drawn.values, cmap=ListedColormap(sequential(dark)), vmin=0, vmax=drawn.largest
    )
    _frame(axes, dark)
    places = range(len(drawn.shells))
    size = 8 if len(drawn.shells) <= _MANY_SHELLS else 6
    axes.set_xticks(places, drawn.shells, rotation=90, fontsize=size)
    axes.set_yticks(places, drawn.shells, fontsize=size)
    axes.set_title(drawn.caption, color=theme(dark).text, fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.ax.tick_params(colors=theme(dark).text, labelsize=8)
    bar.outline.set_edgecolor(theme(dark).grid)


def _path(axes: Axes, result: Comparison, dark: bool) -> None:
    path = result.bands.first.path.path
    ticks = path.axis_ticks
    axes.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    axes.grid(axis="x", color=theme(dark).grid, linewidth=0.8)
    axes.set_xlim(path.distances[0], path.distances[-1])


def _frame(axes: Axes, dark: bool) -> None:
    colours = theme(dark)
    axes.set_facecolor(colours.background)
    axes.tick_params(colors=colours.text, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(colours.text)
    for spine in axes.spines.values():
        spine.set_edgecolor(colours.grid)


def _legend(axes: Axes, dark: bool, **options: Any) -> None:
    axes.legend(
        fontsize=8,
        labelcolor=theme(dark).text,
        facecolor=theme(dark).background,
        edgecolor=theme(dark).grid,
        **options,
    )
