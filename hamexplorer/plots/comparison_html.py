"""A comparison of two Hamiltonians as one HTML page that opens without network."""

from __future__ import annotations

import html

from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources

from hamexplorer.plots.comparison_data import distance_errors, shell_errors, symbol
from hamexplorer.plots.live_comparison import (
    LiveBandComparison,
    LiveDistanceErrors,
    LiveShellErrors,
)
from hamexplorer.plots.palette import theme
from hamexplorer.properties.comparison import Comparison, shown_meV

__all__ = ["comparison_page"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>{title}</title>
    <style>
      body {{ margin: 16px; background: {background}; color: {text};
        font: 14px/1.45 Roboto, sans-serif; }}
      .plots {{ display: flex; flex-wrap: wrap; gap: 12px 24px; }}
      td, th {{ padding: 2px 14px 2px 0; text-align: left; font-weight: 400; }}
      th {{ opacity: .75; }}
    </style>
    {libraries}
  </head>
  <body>
    <h3>{title}</h3>
    <p><b>{verdict}</b></p>
    {notes}
    <div class="plots"><div>{left}</div><div>{right}</div></div>
    <table>{rows}</table>
    {script}
  </body>
</html>
"""


def comparison_page(result: Comparison, *, component: str = "H", dark: bool = False) -> str:
    """The page's HTML, with Bokeh's own script inside: it asks the network for nothing.

    Raises:
        SettingsError: ``component`` was not compared.
    """
    live = LiveBandComparison(result, dark=dark, width=640, heights=(460, 240))
    figures: dict[str, Model] = {"bands": live.bands, "errors": live.errors}
    distance, shells = distance_errors(result, component), shell_errors(result, component)
    if shells is not None:
        figures["shells"] = LiveShellErrors(shells, dark=dark, width=520, height=420).figure
    if distance is not None:
        figures["distance"] = LiveDistanceErrors(distance, dark=dark, width=520, height=280).figure
    # Not bokeh's file_html: where Panel was loaded, it would add links to Panel's style sheets.
    script, places = components(figures)
    sources = Resources(mode="inline", components=["bokeh", "bokeh-gl"]).js_raw
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in _facts(result)
    )
    return _PAGE.format(
        title=html.escape(f"{result.formula}: comparison of two Hamiltonians"),
        background=theme(dark).background,
        text=theme(dark).text,
        libraries="\n".join(f"<script>{source}</script>" for source in sources),
        verdict=html.escape(result.verdict),
        notes="".join(f"<p>{html.escape(text)}</p>" for text in result.warnings),
        left=places["bands"] + places["errors"],
        right="".join(places[name] for name in ("shells", "distance") if name in places),
        rows=rows,
        script=script,
    )


def _facts(result: Comparison) -> list[tuple[str, str]]:
    bands, elements = result.bands, result.elements
    rows = [("first (reference)", result.names[0]), ("second", result.names[1])]
    if elements is not None:
        rows += [
            (
                f"elements of {symbol(name)}",
                _both(elements.mean(name), elements.largest(name)),
            )
            for name in elements.components
        ]
    low, high = bands.window
    rows += [
        (
            f"bands, {low:+g} … {high:+g} eV around the gap".replace("-", "−"),
            _both(bands.mean, bands.largest),
        ),
        (
            "constant added to the second",
            f"{shown_meV(result.shift.energy)} ({result.shift.method})",
        ),
        ("λ", f"{result.state.soc:g}"),
    ]
    return rows


def _both(mean: float, largest: float) -> str:
    return f"mean {shown_meV(mean)}, largest {shown_meV(largest)}"
