"""Densities of states, turned by 90° beside the bands they share the energy axis with."""

from __future__ import annotations

from typing import Any, cast

import holoviews as hv
import numpy as np
from bokeh.models import Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from hamexplorer.plots.band_data import axis_label
from hamexplorer.plots.figure import apply_theme, empty_source, new_figure
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import group_colours, theme
from hamexplorer.properties import DensityOfStates
from hamexplorer.properties.bands import Zero

__all__ = ["LiveDosPlot", "dos_plot"]

_TOTAL = "total"
_AXIS = "states per eV and cell"
_MAX_GROUPS = 8


def dos_plot(
    result: DensityOfStates,
    *,
    zero: Zero = "fermi",
    energy_window: tuple[float, float] | None = None,
    dark: bool = False,
    width: int | None = 260,
    height: int | None = 480,
) -> hv.Overlay:
    """Total (grey area) and projected densities of states (lines), energy upwards.

    The energy dimension is that of :func:`~hamexplorer.plots.bands.band_plot`, so that
    ``band_plot(...) + dos_plot(...)`` shares its axis. Parameters as there.

    Raises:
        SettingsError: ``vbm`` asked of a metal.
    """
    reference = _zero_energy(result, zero)
    middle = result.fermi.energy - reference
    low, high = energy_window or (middle - 6.0, middle + 6.0)
    energy = result.energies - reference
    inside = (energy >= low) & (energy <= high)
    dimension = hv.Dimension("energy", label=axis_label(zero))
    grey = theme(dark).fermi
    parts: list[Any] = []
    for name, values in _curves(result).items():
        colour = grey if name == _TOTAL else group_colours(result.groups)[name]
        curve = hv.Curve((values, energy), kdims=["dos"], vdims=[dimension], label=name)
        parts.append(curve.opts(color=colour, line_width=1 if name == _TOTAL else 2))
    parts.append(hv.HLine(middle).opts(color=grey, line_dash="dashed", line_width=1))
    top = float(result.total[inside].max()) if inside.any() else 1.0
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            xlabel=_AXIS,
            ylabel=axis_label(zero),
            xlim=(0, 1.05 * top),
            ylim=(low, high),
            show_grid=True,
            legend_position="top_right",
            show_legend=result.projected is not None,
        )
    )


class LiveDosPlot:
    """A density of states in a Bokeh figure that is patched in place.

    ``y_range`` is that of the band figure, so that both zoom together. Up to eight groups.
    """

    def __init__(
        self,
        result: DensityOfStates,
        *,
        y_range: Range1d,
        zero: Zero = "fermi",
        dark: bool = False,
        width: int | None = 240,
        height: int | None = None,
    ) -> None:
        self._zero = zero
        self._x_range, self._y_range = Range1d(start=0, end=1), y_range
        self.figure: figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            y_range=y_range,
            x_range=self._x_range,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            x_axis_label=_AXIS,
        )
        self.total_source = empty_source("dos", "energy")
        self.group_source = empty_source("xs", "ys", "name", "colour")
        self._fermi = Span(location=0, dimension="width", line_dash="dashed", line_width=1)
        self.figure.add_layout(self._fermi)
        self._area = self.figure.harea(
            y="energy", x1=0, x2="dos", source=self.total_source, fill_alpha=0.25
        )
        self.figure.multi_line(
            "xs",
            "ys",
            source=self.group_source,
            line_color="colour",
            line_width=2,
            legend_field="name",
        )
        self.figure.yaxis.major_label_text_font_size = "0px"
        self.update(result)
        self.set_theme(dark)

    def update(self, result: DensityOfStates) -> None:
        """Draw another density of states; the energy range stays."""
        reference = _zero_energy(result, self._zero)
        energy = result.energies - reference
        curves = _curves(result)
        total = curves.pop(_TOTAL)
        self.total_source.data = {"dos": total, "energy": energy}
        colours = group_colours(result.groups)
        self.group_source.data = {
            "xs": list(curves.values()),
            "ys": [energy] * len(curves),
            "name": list(curves),
            "colour": [colours[name] for name in curves],
        }
        self.figure.legend.visible = bool(curves)
        self._fermi.location = result.fermi.energy - reference
        low, high = cast("float", self._y_range.start), cast("float", self._y_range.end)
        inside = (energy >= low) & (energy <= high)
        self._x_range.end = 1.05 * float(total[inside].max(initial=0.1))

    def clear(self) -> None:
        """Draw nothing, without a legend, until the next :meth:`update`."""
        self.total_source.data = {"dos": [], "energy": []}
        self.group_source.data = {"xs": [], "ys": [], "name": [], "colour": []}
        self.figure.legend.visible = False

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)
        self.figure.yaxis.major_label_text_font_size = "0px"
        self._fermi.line_color = self._area.glyph.fill_color = theme(dark).fermi


def _curves(result: DensityOfStates) -> dict[str, NDArray[np.float64]]:
    curves = {_TOTAL: result.total}
    if result.projected is not None:
        curves |= dict(zip(result.groups[:_MAX_GROUPS], result.projected, strict=False))
    return curves


def _zero_energy(result: DensityOfStates, zero: Zero) -> float:
    if zero == "source":
        return 0.0
    if zero == "vbm" and result.fermi.vbm is not None:
        return result.fermi.vbm
    return result.fermi.energy
