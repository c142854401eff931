"""Anisotropy energies as HoloViews elements and as files, for notebooks and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import holoviews as hv
from bokeh.models import HoverTool

from hamexplorer.plots.anisotropy_data import (
    AngleCurve,
    DirectionalEnergy,
    Unit,
    angle_curve,
    energy_label,
)
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import SOC_ON, theme
from hamexplorer.properties.anisotropy import AnisotropyEnergy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["anisotropy_curve", "save_anisotropy"]

_DPI = 160


def anisotropy_curve(
    result: AnisotropyEnergy,
    constants: DirectionalEnergy | None = None,
    *,
    unit: Unit = "meV_per_cell",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """Energy against θ or φ: computed points, and the fitted curve (or lines between points).

    Args:
        result: an arc or a ring of directions.
        constants: the fit; see :func:`~hamexplorer.properties.anisotropy.fit_constants`.
        unit: of the energy.
        dark: for a dark page.
        width: pixels; None fills the place.
        height: pixels; None fills the place.

    Raises:
        SettingsError: one direction only, both angles change, or an unknown unit.
    """
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)
    curve = angle_curve(result, constants, unit)
    angle = hv.Dimension("angle", label=_angle_label(curve))
    energy = hv.Dimension("energy", label=energy_label(unit))
    tooltips = [(curve.angle, "@angle{0.0}°"), ("energy", "@energy{0.0000}")]
    line = hv.Curve((curve.fit_x, curve.fit_energy), kdims=[angle], vdims=[energy])
    points = hv.Scatter((curve.x, curve.energy), kdims=[angle], vdims=[energy])
    return hv.Overlay(
        [
            line.opts(color=SOC_ON, line_width=2),
            points.opts(color=SOC_ON, size=7, tools=[HoverTool(tooltips=tooltips)]),
        ]
    ).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            title=_title(result, curve),
            show_legend=False,
            show_grid=True,
            gridstyle={"xgrid_line_color": theme(dark).grid, "ygrid_line_color": theme(dark).grid},
        )
    )


def save_anisotropy(
    result: AnisotropyEnergy,
    path: Path,
    constants: DirectionalEnergy | None = None,
    *,
    unit: Unit = "meV_per_cell",
    dark: bool = False,
) -> None:
    """Write the curve as PNG or SVG, by the ending of ``path``.

    Raises:
        SettingsError: one direction only, or both angles change.
    """
    figure = _figure(result, constants, unit, dark)
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    figure.savefig(path, dpi=_DPI, facecolor=figure.get_facecolor(), metadata=metadata)


def _figure(
    result: AnisotropyEnergy, constants: DirectionalEnergy | None, unit: Unit, dark: bool
) -> Figure:
    from matplotlib.figure import Figure

    curve = angle_curve(result, constants, unit)
    colours = theme(dark)
    figure = Figure(figsize=(800 / _DPI, 560 / _DPI), layout="constrained")
    figure.set_facecolor(colours.background)
    axes: Any = figure.subplots()
    axes.set_facecolor(colours.background)
    axes.plot(curve.fit_x, curve.fit_energy, color=SOC_ON, linewidth=1.4)
    axes.plot(curve.x, curve.energy, "o", color=SOC_ON, markersize=4)
    axes.set_xlabel(_angle_label(curve), color=colours.text)
    axes.set_ylabel(energy_label(unit), color=colours.text)
    axes.set_title(_title(result, curve), color=colours.text, fontsize=9, loc="left")
    axes.grid(color=colours.grid, linewidth=0.6)
    axes.tick_params(colors=colours.text, labelsize=8)
    for spine in axes.spines.values():
        spine.set_edgecolor(colours.grid)
    return figure


def _angle_label(curve: AngleCurve) -> str:
    return "θ (°)" if curve.angle == "theta" else "φ (°)"


def _title(result: AnisotropyEnergy, curve: AngleCurve) -> str:
    other = "φ" if curve.angle == "theta" else "θ"
    mesh = "×".join(str(n) for n in result.mesh)
    return (
        f"{result.title}: {other} = {curve.fixed:g}°, λ = {result.state.soc:g}, {mesh}, "
        f"kT = {1e3 * result.smearing:g} meV"
    )
