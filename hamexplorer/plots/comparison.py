"""Comparisons of two Hamiltonians as HoloViews elements, for notebooks and reports."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.plots.band_data import Lines
from hamexplorer.plots.comparison_data import (
    BANDS_AXIS,
    DISTANCE_AXIS,
    ELEMENT_AXIS,
    SECOND,
    distance_errors,
    k_errors,
    overlay,
    reference_colour,
    shell_errors,
    short_names,
    symbol,
)
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import CATEGORIES, sequential, theme
from hamexplorer.properties.comparison import Comparison

__all__ = [
    "comparison_bands",
    "comparison_by_distance",
    "comparison_by_k",
    "comparison_by_shell",
    "comparison_elements",
    "comparison_plot",
]

_WIDTH = 640
_FLAT = {"padding": 0, "margin": 0, "spacing": 12}  # of a legend above a plot


def comparison_plot(result: Comparison, *, component: str = "H", dark: bool = False) -> hv.Layout:
    """Bands overlaid with their error at each k, and where the bases are the same the elements'
    errors by distance and by pair of shells.

    Args:
        result: the comparison.
        component: of the elements: ``H``, ``B``, ``Lx`` …
        dark: for a dark page.

    Raises:
        SettingsError: the component was not compared.
    """
    parts = [
        comparison_bands(result, dark=dark, width=_WIDTH, height=420),
        comparison_by_k(result, dark=dark, width=_WIDTH, height=420),
    ]
    if result.elements is not None:
        parts += [
            comparison_by_distance(result, component=component, dark=dark, width=_WIDTH),
            comparison_by_shell(result, component=component, dark=dark, width=_WIDTH),
        ]
    return hv.Layout(parts).cols(2).opts(shared_axes=False)


def comparison_bands(
    result: Comparison,
    *,
    energy_window: tuple[float, float] | None = None,
    dark: bool = False,
    width: int | None = None,
    height: int | None = 480,
) -> hv.Overlay:
    """The reference's bands grey and solid, the second's coloured and dashed over them.

    A ring marks the state with the largest error near the gap.

    Args:
        result: the comparison.
        energy_window: eV from the reference's valence top (metal: Fermi level); default: the
            comparison's own window.
        dark: for a dark page.
        width: pixels; None fills the place.
        height: pixels; None fills the place.
    """
    _backend()
    drawn, names = overlay(result), short_names(result)
    parts: list[Any] = [
        _curve(drawn.first, names[0], drawn.label).opts(
            color=reference_colour(dark), line_width=3, alpha=0.7
        ),
        _curve(drawn.second, names[1], drawn.label).opts(
            color=SECOND, line_width=1.8, line_dash="dashed"
        ),
    ]
    if drawn.worst is not None:
        parts.append(
            hv.Points([drawn.worst], kdims=["k", "energy"]).opts(
                size=13, fill_alpha=0, line_color=theme(dark).text, line_width=2
            )
        )
    parts.append(
        hv.HLine(drawn.fermi).opts(color=theme(dark).fermi, line_dash="dotted", line_width=1)
    )
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **_path_frame(result, dark, width, height),
            ylabel=drawn.label,
            ylim=energy_window or drawn.window,
            title=result.formula,
            legend_position="top",
            legend_opts=_FLAT,
        )
    )


def comparison_by_k(
    result: Comparison,
    *,
    dark: bool = False,
    width: int | None = None,
    height: int | None = 220,
) -> hv.Overlay:
    """Largest and mean |ΔE| near the gap at each k-point, meV; sizes as in
    :func:`comparison_bands`.
    """
    _backend()
    drawn = k_errors(result)
    dimension = hv.Dimension("error", label=BANDS_AXIS)
    parts = [
        hv.Curve((drawn.x, drawn.largest), "k", dimension, label="largest").opts(
            color=SECOND, line_width=2
        ),
        hv.Curve((drawn.x, drawn.mean), "k", dimension, label="mean").opts(
            color=CATEGORIES[0], line_width=2
        ),
    ]
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **_path_frame(result, dark, width, height),
            ylabel=BANDS_AXIS,
            title="band error near the gap",
            legend_position="top",
            legend_opts=_FLAT,
        )
    )


def comparison_by_distance(
    result: Comparison,
    *,
    component: str = "H",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 380,
) -> hv.Overlay:
    """Largest and mean |Δ| of elements against the distance of their sites, logarithmic.

    Raises:
        SettingsError: the bases differ, or the component was not compared.
    """
    _backend()
    drawn = distance_errors(result, component)
    if drawn is None:
        raise SettingsError(_NO_ELEMENTS)
    place = hv.Dimension("distance", label=DISTANCE_AXIS)
    parts = []
    for name, values, colour in (
        ("largest", drawn.largest, SECOND),
        ("mean", drawn.mean, CATEGORIES[0]),
    ):
        dimension = hv.Dimension("error", label=ELEMENT_AXIS)
        parts.append(
            hv.Scatter((drawn.distance, values), place, dimension, label=name).opts(
                color=colour, size=7, tools=["hover"]
            )
        )
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            logy=True,
            xlabel=DISTANCE_AXIS,
            ylabel=ELEMENT_AXIS,
            title=f"{symbol(component)} by distance",
            show_grid=True,
            legend_position="top_right",
        )
    )


def comparison_by_shell(
    result: Comparison,
    *,
    component: str = "H",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 380,
) -> hv.HeatMap:
    """Mean |Δ| of elements by pair of shells, meV.

    Raises:
        SettingsError: the bases differ, or the component was not compared.
    """
    _backend()
    drawn = shell_errors(result, component)
    if drawn is None:
        raise SettingsError(_NO_ELEMENTS)
    cells = [
        (column, row, drawn.values[r, c])
        for r, row in reversed(list(enumerate(drawn.shells)))
        for c, column in enumerate(drawn.shells)
    ]
    return hv.HeatMap(cells, kdims=["column", "row"], vdims=[hv.Dimension("error")]).opts(
        **frame_size(width, height),
        **frame_options(dark),
        title=drawn.caption,
        cmap=sequential(dark),
        clim=(0.0, drawn.largest),
        colorbar=True,
        tools=["hover"],
        xrotation=60,
        xlabel="",
        ylabel="",
    )


def comparison_elements(
    result: Comparison,
    *,
    component: str = "H",
    dark: bool = False,
    width: int | None = 480,
    height: int | None = 480,
) -> hv.Overlay:
    """Evenly chosen elements: the second's value against the reference's, eV.

    Raises:
        SettingsError: the bases differ, or the component was not compared.
    """
    _backend()
    if result.elements is None:
        raise SettingsError(_NO_ELEMENTS)
    result.elements.whole.index(component)
    first, second = result.elements.sample[component]
    names = short_names(result)
    low, high = (float(f(np.concatenate([first, second, [0.0]]))) for f in (np.min, np.max))
    diagonal = hv.Curve([(low, low), (high, high)], "first", "second").opts(
        color=theme(dark).fermi, line_width=1
    )
    points = hv.Points((first, second), kdims=["first", "second"]).opts(
        color=SECOND, size=4, alpha=0.5
    )
    return hv.Overlay([diagonal, points]).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            xlabel=f"{names[0]} (eV)",
            ylabel=f"{names[1]} (eV)",
            title=f"elements of {symbol(component)}",
            show_grid=True,
            show_legend=False,
            padding=0.05,
        )
    )


_NO_ELEMENTS = "The two are given in different bases: their elements are not compared."


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)


def _curve(drawn: Lines, name: str, label: str) -> hv.Curve:
    x, y = drawn.joined() if drawn.xs else (np.empty(0), np.empty(0))
    return hv.Curve((x, y), "k", hv.Dimension("energy", label=label), label=name)


def _path_frame(
    result: Comparison, dark: bool, width: int | None, height: int | None
) -> dict[str, Any]:
    path = result.bands.first.path.path
    grid = theme(dark).grid
    return {
        **frame_size(width, height),
        **frame_options(dark),
        "xlabel": "",
        "xticks": [(float(position), label) for position, label in path.axis_ticks],
        "gridstyle": {"xgrid_line_color": grid, "ygrid_line_color": grid},
        "show_grid": True,
        "xlim": (float(path.distances[0]), float(path.distances[-1])),
    }
