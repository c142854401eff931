"""Blocks of the Hamiltonian as images, and their decay with distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import holoviews as hv
import numpy as np
from bokeh.models import BasicTicker, FactorRange, HoverTool, LinearColorMapper
from bokeh.models.annotations import Title
from bokeh.transform import transform
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.plots.figure import apply_theme, colour_bar, empty_source, new_figure
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import COMPONENT_COLOURS, diverging, sequential, theme
from hamexplorer.properties import BlockDecay

__all__ = [
    "BlockImage",
    "LiveBlockPlot",
    "LiveDecayPlot",
    "Part",
    "block_image",
    "block_plot",
    "decay_plot",
]

Part = Literal["real", "imag", "abs"]
_SPINOR = "spinor"
_FLOOR = 1e-12
_DECAY_AXIS = "largest |element| (eV; S: 1)"


@dataclass(frozen=True, eq=False)
class BlockImage:
    """A labelled block: ``values`` (n_rows, n_columns), labels, and how to colour it.

    ``unit`` is ``eV`` or empty (overlap); ``signed``: values lie around 0; ``spin_orbit``: drawn
    on the spin-orbit part's own colours.
    """

    values: NDArray[np.float64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    title: str
    unit: str = "eV"
    signed: bool = True
    spin_orbit: bool = False

    @property
    def caption(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def limits(self) -> tuple[float, float]:
        """Range of the colours, symmetric for signed values."""
        largest = float(np.abs(self.values).max(initial=0.0)) or 1.0
        return (-largest if self.signed else 0.0), largest

    def palette(self, dark: bool) -> list[str]:
        """The colours from the lower to the upper limit."""
        return (diverging if self.signed else sequential)(dark, spin_orbit=self.spin_orbit)


def block_image(
    h: Hamiltonian,
    i: int,
    j: int,
    cell: tuple[int, int, int] = (0, 0, 0),
    *,
    component: str = "H",
    state: SpinState | None = None,
    part: Part = "real",
) -> BlockImage:
    """The block of ``component`` (S, H, A, B, Lx … or ``spinor``) between sites i and (j, R).

    ``state`` and ``part`` apply to the full spinor.

    Raises:
        HamiltonianError: the pair or component is not stored.
        SettingsError: an unknown part.
    """
    rows, columns = h.basis.local_labels(i), h.basis.local_labels(j)
    names = h.basis.site_labels
    pair = f"{names[i]}–{names[j]}, R = {tuple(int(c) for c in cell)}"
    if component != _SPINOR:
        values = h.block(component, i, j, cell)
        return BlockImage(
            values,
            rows,
            columns,
            f"{_symbol(component)} of {pair}",
            unit="" if component == "S" else "eV",
            spin_orbit=component[0] == "L",
        )
    if part not in ("real", "imag", "abs"):
        raise SettingsError(f"The part of a spinor block is real, imag or abs; not {part!r}.")
    spinor = h.spinor_block(i, j, cell, state)
    values = {"real": spinor.real, "imag": spinor.imag, "abs": np.abs(spinor)}[part]
    word = {"real": "Re", "imag": "Im", "abs": "Absolute"}[part]
    both = [tuple(f"{label} {s}" for s in "↑↓" for label in labels) for labels in (rows, columns)]
    return BlockImage(values, both[0], both[1], f"{word} spinor H of {pair}", signed=part != "abs")


def block_plot(
    image: BlockImage, *, dark: bool = False, width: int | None = 560, height: int | None = 480
) -> hv.HeatMap:
    """The block as a HoloViews heat map with orbital labels and values on hover."""
    _backend()
    cells = [
        (column, row, image.values[r, c])
        for r, row in reversed(list(enumerate(image.rows)))
        for c, column in enumerate(image.columns)
    ]
    return hv.HeatMap(cells, kdims=["column", "row"], vdims=["value"]).opts(
        **frame_size(width, height),
        **frame_options(dark),
        title=image.caption,
        cmap=image.palette(dark),
        clim=image.limits,
        colorbar=True,
        tools=["hover"],
        xrotation=60,
        xaxis="top",
        xlabel="",
        ylabel="",
    )


def decay_plot(
    result: BlockDecay, *, dark: bool = False, width: int | None = 640, height: int | None = 420
) -> hv.Overlay:
    """The largest |element| of every block against distance (Å), logarithmic."""
    _backend()
    parts = []
    for name, values in zip(result.components, result.largest, strict=True):
        shown = np.flatnonzero(values > _FLOOR)
        pairs = [result.labels[p] for p in shown]
        points = hv.Points(
            (result.distances[shown], values[shown], pairs),
            kdims=[hv.Dimension("distance", unit="Å"), "largest"],
            vdims=["pair"],
            label=_symbol(name),
        )
        parts.append(points.opts(color=COMPONENT_COLOURS[name], size=6, tools=["hover"]))
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            logy=True,
            xlabel="distance (Å)",
            ylabel=_DECAY_AXIS,
            legend_position="top_right",
            show_grid=True,
        )
    )


class LiveBlockPlot:
    """A block as coloured cells with orbital labels; data are patched in place."""

    def __init__(
        self,
        image: BlockImage,
        *,
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self._dark = dark
        self._image = image
        self._x_range, self._y_range, self._title = FactorRange(), FactorRange(), Title()
        self.source = empty_source("row", "column", "value")
        self._mapper = LinearColorMapper(palette=["#000000"], low=0, high=1)
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            x_range=self._x_range,
            y_range=self._y_range,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            x_axis_location="above",
            title=self._title,
        )
        self._cells = self.figure.rect(
            "column",
            "row",
            1,
            1,
            source=self.source,
            fill_color=transform("value", self._mapper),
            line_width=1,
        )
        self._bar = colour_bar(self._mapper)
        self._bar.ticker = BasicTicker(desired_num_ticks=7)
        self.figure.add_layout(self._bar, "right")
        self._hover = HoverTool(renderers=[self._cells], point_policy="follow_mouse")
        self.figure.add_tools(self._hover)
        self.figure.xaxis.major_label_orientation = np.pi / 3
        self.figure.grid.visible = False
        self.update(image)
        self.set_theme(dark)

    def update(self, image: BlockImage) -> None:
        """Draw another block; same labels keep the zoom."""
        self._image = image
        if list(self._x_range.factors) != list(image.columns):
            self._x_range.factors = list(image.columns)
        if list(self._y_range.factors) != list(image.rows[::-1]):
            self._y_range.factors = list(image.rows[::-1])
        low, high = image.limits
        self._mapper.update(low=low, high=high, palette=image.palette(self._dark))
        self._title.text = image.caption
        unit = f" {image.unit}" if image.unit else ""
        self._hover.tooltips = [
            ("⟨row| |column⟩", "@row, @column"),
            ("value", f"@value{{0.000000}}{unit}"),
        ]
        self.source.data = {
            "row": np.repeat(image.rows, len(image.columns)).tolist(),
            "column": list(image.columns) * len(image.rows),
            "value": image.values.ravel(),
        }

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        self._dark = dark
        self._mapper.palette = self._image.palette(dark)
        self._cells.glyph.line_color = theme(dark).background
        apply_theme(self.figure, dark)


class LiveDecayPlot:
    """|largest element| of every block against distance, logarithmic, one colour a component."""

    def __init__(
        self,
        result: BlockDecay,
        *,
        components: Sequence[str] | None = None,
        dark: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        self.figure = new_figure(
            width=width,
            height=height,
            dark=dark,
            y_axis_type="log",
            tools="pan,wheel_zoom,box_zoom,reset,save,tap",
            x_axis_label="distance (Å)",
            y_axis_label=_DECAY_AXIS,
        )
        chosen = [name for name in result.components if components is None or name in components]
        for name in chosen:
            values = result.largest[result.components.index(name)]
            shown = np.flatnonzero(values > _FLOOR)
            renderer = self.figure.scatter(
                "distance",
                "value",
                size=6,
                alpha=0.75,
                color=COMPONENT_COLOURS[name],
                legend_label=_symbol(name),
                line_color=None,
                source={
                    "distance": result.distances[shown],
                    "value": values[shown],
                    "pair": [result.labels[p] for p in shown],
                },
            )
            self.figure.add_tools(
                HoverTool(
                    renderers=[renderer],
                    tooltips=[
                        (_symbol(name), "@pair"),
                        ("distance", "@distance{0.000} Å"),
                        ("largest |element|", "@value{0.00e+0}"),
                    ],
                )
            )
        self.figure.legend.click_policy = "hide"
        self.figure.legend.location = "top_right"
        self.set_theme(dark)

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        apply_theme(self.figure, dark)


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)


def _symbol(component: str) -> str:
    return "A, time-odd" if component == "A" else component.replace("L", "Λ")
