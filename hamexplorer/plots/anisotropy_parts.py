"""The anisotropy energy by atom, and against mesh and smearing."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import CATEGORIES, group_colours, theme
from hamexplorer.properties.anisotropy import AnisotropyConvergence, SiteAnisotropy

__all__ = ["anisotropy_convergence", "site_anisotropy_bars"]

_MARKERS = ("circle", "square", "triangle", "diamond", "star", "hex")
_ELEMENT = "0123456789"


def site_anisotropy_bars(
    result: SiteAnisotropy,
    *,
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """A bar per atom, meV per cell: its part of E(n₂) − E(n₁); one colour per element.

    ``width`` and ``height`` are pixels; None fills the place.
    """
    _backend()
    elements = [label.rstrip(_ELEMENT) for label in result.labels]
    colours = group_colours(list(dict.fromkeys(elements)))
    bars = hv.Bars(
        (list(result.labels), result.values, [colours[element] for element in elements]),
        kdims=["atom"],
        vdims=[hv.Dimension("energy", label="part of the MAE (meV/cell)"), "colour"],
    ).opts(color="colour", line_color=None, bar_width=0.6, tools=["hover"])
    # On top of a positive bar, below a negative one.
    room = 0.04 * max(float(np.ptp([0.0, *result.values])), 1e-9)
    texts = [
        hv.Text(label, value + (room if value >= 0 else -2.2 * room), f"{value:.3f}").opts(
            color=theme(dark).text, text_baseline="bottom", text_font_size="10pt"
        )
        for label, value in zip(result.labels, result.values.tolist(), strict=True)
        if len(result.labels) <= 16
    ]
    low, high = min(0.0, float(result.values.min())), max(0.0, float(result.values.max()))
    span = max(high - low, 1e-9)
    mesh = "×".join(map(str, result.mesh))
    return hv.Overlay([bars, hv.HLine(0).opts(color=theme(dark).fermi, line_width=1), *texts]).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            title=f"By atom: {result.total:.3f} meV in all, λ = {result.state.soc:.0%}, {mesh}",
            xlabel="",
            ylim=(low - 0.14 * span * (low < 0), high + 0.14 * span),
            show_legend=False,
            show_grid=True,
        )
    )


def anisotropy_convergence(
    result: AnisotropyConvergence,
    *,
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """E(n₂) − E(n₁), meV per cell, against the number of mesh points, a line per smearing.

    ``width`` and ``height`` are pixels; None fills the place.
    """
    _backend()
    names = ["×".join(map(str, mesh)) for mesh in result.meshes]
    places = np.arange(len(names))
    energy = hv.Dimension("energy", label="E(n₂) − E(n₁) (meV/cell)")
    lines: list[hv.Element] = []
    for column, smearing in enumerate(result.smearings):
        colour = CATEGORIES[column % len(CATEGORIES)]
        name = f"kT = {1e3 * smearing:g} meV"
        values = result.mae_meV[:, column]
        lines.append(hv.Curve((places, values), "mesh", energy, label=name).opts(color=colour))
        dots = hv.Scatter((places, values), "mesh", energy, label=name)
        lines.append(
            dots.opts(
                color=colour, size=9, marker=_MARKERS[column % len(_MARKERS)], tools=["hover"]
            )
        )
    return hv.Overlay(lines).opts(
        hv.opts.Overlay(
            **frame_size(width, height),
            **frame_options(dark),
            title=f"MAE against mesh and smearing, λ = {result.state.soc:.0%}",
            xlabel="k mesh",
            xticks=list(zip(places.tolist(), names, strict=True)),
            xlim=(-0.3, len(names) - 0.7),
            legend_position="right",
            show_grid=True,
        )
    )


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)
