"""Bands in one Bokeh figure whose data are patched in place: what the λ slider moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d, Scatter, TapTool
from bokeh.models.annotations import Span, Title
from bokeh.transform import transform
from numpy.typing import NDArray

from hamexplorer.plots.band_data import axis_label, colour_scale, lines, segments
from hamexplorer.plots.figure import apply_theme, colour_bar, empty_source, new_figure, path_axis
from hamexplorer.plots.palette import SOC_OFF, SOC_ON, theme
from hamexplorer.properties import BandStructure
from hamexplorer.properties.bands import Zero

__all__ = ["LiveBandPlot"]

_MAX_HOVER_GROUPS = 8


class LiveBandPlot:
    """A band plot that keeps its zoom while its data change.

    ``figure`` is the Bokeh figure, ``x_range`` and ``y_range`` its ranges.
    Bands without colours are one line glyph, broken by NaN between bands, so that a step of λ
    sends one array; coloured ones are one segment glyph with a numeric colour column. Both are
    sent in single precision. An unpainted scatter of all (k, band) points carries hover and taps,
    in double precision. Points stand in the order k · n_bands + band.

    Args:
        result: the bands drawn bold.
        soc_off: None or bands drawn thin and grey beneath.
        colour_by: None, ``spin_x``, ``spin_y``, ``spin_z``, ``spin_n`` or a group of ``result``.
        energy_window: (low, high), eV, in the chosen zero; default: 6 eV around the Fermi level.
        zero: ``source``, ``fermi`` or ``vbm`` (bands of a metal fall back on ``fermi``).
        dark: for a dark page.
        width: pixels; without it the figure fills its place.
        height: as ``width``.

    Raises:
        SettingsError: ``colour_by`` was not computed.
    """

    def __init__(
        self,
        result: BandStructure,
        soc_off: BandStructure | None = None,
        *,
        colour_by: str | None = None,
        energy_window: tuple[float, float] | None = None,
        zero: Zero = "fermi",
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self._zero = zero
        self._colour_by = colour_by
        self._result = result
        zero_energy = self._zero_energy(result)
        middle = result.fermi.energy - zero_energy
        low, high = energy_window or (middle - 6.0, middle + 6.0)
        distances = result.path.distances
        self.x_range = Range1d(start=distances[0], end=distances[-1])
        self.y_range = Range1d(start=low, end=high)
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            x_range=self.x_range,
            y_range=self.y_range,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            y_axis_label=axis_label(self._label_zero()),
        )
        self.off_source = empty_source("x", "y")
        self.line_source = empty_source("x", "y")
        self.segment_source = empty_source("x0", "y0", "x1", "y1", "value")
        self.point_source = ColumnDataSource()
        self._mapper = LinearColorMapper(palette=["#000000"], low=0, high=1)
        self._fermi = Span(location=middle, dimension="width", line_dash="dashed", line_width=1)
        self._bar = colour_bar(self._mapper)
        self._caption = Title(text="", align="right", standoff=4)
        self._draw()
        self.set_theme(dark)
        self.update(result, soc_off)

    # --- what the page calls -------------------------------------------------------------

    @property
    def result(self) -> BandStructure:
        """The bands drawn last."""
        return self._result

    def update(self, result: BandStructure, soc_off: BandStructure | None = None) -> None:
        """Draw other bands; zoom, ranges and tools stay. A new path resets the k axis.

        ``soc_off`` None keeps the grey bands if the path is the same.
        """
        zero = self._zero_energy(result)
        scale = None if self._colour_by is None else colour_scale(result, self._colour_by)
        new_path = not self._same_path(result)
        self._result = result
        if new_path:
            self._set_path()
        if soc_off is not None:
            self._assign(self.off_source, _joined(soc_off, zero))
        elif new_path:
            self.off_source.data = {"x": [], "y": []}
        if scale is None:
            self._assign(self.line_source, _joined(result, zero))
        else:
            self._mapper.update(low=scale.low, high=scale.high, palette=list(scale.palette))
            self._caption.text = scale.label
            pieces = segments(result, zero, self._colour_by or "")
            self._assign(
                self.segment_source,
                {n: _single(getattr(pieces, n)) for n in ("x0", "y0", "x1", "y1", "value")},
            )
        self._points(zero)
        self._fermi.location = result.fermi.energy - zero
        self._show(coloured=scale is not None)

    def set_colour(self, colour_by: str | None) -> None:
        """Colour the bands drawn last by another quantity, or by none."""
        if colour_by is not None:
            self._result.column(colour_by)
        self._colour_by = colour_by
        self.update(self._result)

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)
        self._fermi.line_color = theme(dark).fermi
        self._selected.line_color = theme(dark).text

    def show_soc_off(self, visible: bool) -> None:
        """Show or hide the grey bands."""
        self._off.visible = visible

    def picked(self, index: int) -> tuple[int, int]:
        """(k index, band counted among all) of a point of ``point_source`` (a tap's index)."""
        k, column = divmod(int(index), self._result.energies.shape[1])
        return k, column + self._result.first_band

    # --- glyphs --------------------------------------------------------------------------

    def _draw(self) -> None:
        plot = self.figure
        plot.add_layout(self._fermi)
        self._off = plot.line(
            "x", "y", source=self.off_source, line_color=SOC_OFF, line_width=1, line_alpha=0.8
        )
        self._on = plot.line("x", "y", source=self.line_source, line_color=SOC_ON, line_width=2)
        self._coloured = plot.segment(
            "x0",
            "y0",
            "x1",
            "y1",
            source=self.segment_source,
            line_width=2.5,
            line_cap="round",
            line_color=transform("value", self._mapper),
        )
        points = plot.scatter(
            "x",
            "y",
            source=self.point_source,
            size=8,
            fill_color=None,
            line_color=None,
            nonselection_fill_color=None,
            nonselection_line_color=None,
            selection_fill_color=None,
            selection_line_color=theme(False).fermi,
        )
        assert isinstance(points.selection_glyph, Scatter)
        self._selected = points.selection_glyph
        self._hover = HoverTool(
            renderers=[points],
            mode="mouse",
            point_policy="snap_to_data",
            limit=1,
            attachment="horizontal",
        )
        plot.add_tools(self._hover, TapTool(renderers=[points]))
        plot.add_layout(self._bar, "right")
        plot.add_layout(self._caption, "above")
        self._set_path()

    def _show(self, *, coloured: bool) -> None:
        self._on.visible, self._coloured.visible = not coloured, coloured
        self._bar.visible = self._caption.visible = coloured

    def _set_path(self) -> None:
        path = self._result.path
        path_axis(self.figure, path.axis_ticks)
        self.x_range.update(start=path.distances[0], end=path.distances[-1])
        self.x_range.update(reset_start=path.distances[0], reset_end=path.distances[-1])

    def _points(self, zero: float) -> None:
        result = self._result
        nk, nb = result.energies.shape
        data: dict[str, Any] = {
            "x": np.repeat(result.path.distances, nb),
            "y": (result.energies - zero).ravel(),
            "k1": np.repeat(result.kpoints[:, 0], nb),
            "k2": np.repeat(result.kpoints[:, 1], nb),
            "k3": np.repeat(result.kpoints[:, 2], nb),
            "band": np.tile(np.arange(nb, dtype=np.int32) + result.first_band, nk),
        }
        rows = [
            ("k", "(@k1{0.000}, @k2{0.000}, @k3{0.000})"),
            ("band", "@band"),
            ("energy", "@y{0.0000} eV"),
        ]
        if result.spin is not None:
            for a, axis in enumerate("xyz"):
                data[f"spin_{axis}"] = result.spin[..., a].ravel().astype(np.float32)
            rows.append(("⟨σ⟩", "(@spin_x{0.00}, @spin_y{0.00}, @spin_z{0.00})"))
        if result.weights is not None:
            for g, name in enumerate(result.groups[:_MAX_HOVER_GROUPS]):
                data[f"w{g}"] = result.weights[..., g].ravel().astype(np.float32)
                rows.append((name, f"@w{g}{{0.0%}}"))
        if self._hover.tooltips != rows:
            self._hover.tooltips = rows
        self._assign(self.point_source, data)

    @staticmethod
    def _assign(source: ColumnDataSource, data: dict[str, Any]) -> None:
        """Send only the columns that changed, as long as the number of rows stays."""
        old = source.data
        same = set(old) == set(data) and all(len(old[n]) == len(data[n]) for n in data)
        if not same:
            source.data = data
            return
        changed = {name: values for name, values in data.items() if not _equal(old[name], values)}
        if changed:
            # Bokeh sends the columns named here and no others.
            source.data.update(changed)  # type: ignore[arg-type]

    # --- energies and paths ----------------------------------------------------------------

    def _label_zero(self) -> Zero:
        return "fermi" if self._zero == "vbm" and self._result.fermi.is_metal else self._zero

    def _zero_energy(self, result: BandStructure) -> float:
        zero: Zero = "fermi" if self._zero == "vbm" and result.fermi.is_metal else self._zero
        return result.zero_energy(zero)

    def _same_path(self, result: BandStructure) -> bool:
        old, new = self._result.path, result.path
        return old is new or (np.array_equal(old.kpoints, new.kpoints) and old.ticks == new.ticks)


def _joined(result: BandStructure, zero: float) -> dict[str, NDArray[np.float32]]:
    x, y = lines(result, zero).joined()
    return {"x": _single(x), "y": _single(y)}


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _equal(old: Any, new: Any) -> bool:
    return isinstance(old, np.ndarray) and np.array_equal(old, new, equal_nan=True)
