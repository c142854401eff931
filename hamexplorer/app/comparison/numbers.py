"""A comparison's numbers in words and tables."""

from __future__ import annotations

import html

import numpy as np

from hamexplorer.app.style import heading
from hamexplorer.plots.comparison_data import symbol
from hamexplorer.properties.comparison import Comparison, shown_meV
from hamexplorer.properties.gap import Gap

__all__ = ["COMPARISON_CSS", "numbers_html", "verdict_html", "warnings_html"]

COMPARISON_CSS = """
table.hx-errors th, table.hx-errors td { white-space: nowrap; font-size: 13px;
  padding: 2px 4px 2px 0; }
table.hx-errors td.n, table.hx-errors th.n { padding-left: 8px; }
table.hx-errors tr.key th, table.hx-errors tr.key td { font-weight: 600; opacity: 1; }
abbr { text-decoration: underline dotted; cursor: help; }
.verdict { font-size: 15px; padding: 6px 12px; border-left: 4px solid #7f8792; }
.verdict.hidden { border-left-color: #d9611e; font-weight: 500; }
.where { opacity: .75; white-space: normal; }
"""

_N_WORST = 5
_AMPLIFICATION = (
    "Largest band error near the gap / mean element error. It is large where the overlap is nearly "
    "singular, and where errors of many elements add up."
)
_NEAR = "States of the reference within the window around its gap, or its Fermi level."
_CONSTANT = "c in H + c·S of the second."
_NOTABLE = 0.05  # meV


def verdict_html(result: Comparison) -> str:
    """The verdict, marked where small element errors hide wrong bands."""
    mark = " hidden" if result.hides else ""
    return f"<div class='verdict{mark}'>{html.escape(result.verdict)}</div>"


def warnings_html(result: Comparison) -> str:
    """What has to be known to read the numbers."""
    return "".join(f"<p class='soft'>{html.escape(text)}</p>" for text in result.warnings)


def numbers_html(result: Comparison) -> str:
    """Errors of elements beside those of bands, gaps, splittings and the worst elements."""
    return _errors(result) + _edges(result) + _splittings(result) + _worst(result)


def _errors(result: Comparison) -> str:
    elements, bands = result.elements, result.bands
    rows = ["<tr><th>meV</th><th class='n'>mean</th><th class='n'>largest</th></tr>"]
    if elements is not None:
        rows += [
            _row(f"elements of {symbol(name)}", elements.mean(name), elements.largest(name))
            for name in elements.components
        ]
    rows.append(
        _row(f"<abbr title='{_NEAR}'>bands near the gap</abbr>", bands.mean, bands.largest, "key")
    )
    more = []
    if result.amplification is not None:
        title = html.escape(_AMPLIFICATION, quote=True)
        more.append(
            (f"<abbr title='{title}'>magnified</abbr>", f"{result.amplification:.3g} times")
        )
    smallest = min(result.smallest_overlap)
    more.append(("smallest eigenvalue of S", f"{smallest:.2g}".replace("-", "−")))
    shift = result.shift
    more.append(
        (
            f"<abbr title='{_CONSTANT}'>constant c</abbr>",
            _signed(shift.energy, " meV") if shift.method != "none" else "none",
        )
    )
    if shift.fitted is not None and shift.method != "fit":
        more.append(("c of the fit", _signed(shift.fitted, " meV")))
    facts = "".join(f"<tr><th>{name}</th><td class='n'>{value}</td></tr>" for name, value in more)
    return (
        heading("Errors")
        + f"<table class='facts hx-errors'>{''.join(rows)}</table>"
        + f"<table class='facts hx-errors'>{facts}</table>"
    )


def _row(title: str, mean: float, largest: float, css: str = "") -> str:
    cells = "".join(f"<td class='n'>{_plain(value)}</td>" for value in (mean, largest))
    return f"<tr class='{css}'><th>{title}</th>{cells}</tr>"


def _edges(result: Comparison) -> str:
    a, b = result.bands.first, result.bands.second
    differences = result.bands.edge_differences()
    rows = ["<tr><th>eV</th>" + "".join(f"<th class='n'>{name}</th>" for name in _SIDES) + "</tr>"]

    def row(title: str, first: str, second: str, key: str) -> None:
        change = differences[key]
        shown = "" if change is None else _signed(change)
        cells = "".join(f"<td class='n'>{text}</td>" for text in (first, second, shown))
        rows.append(f"<tr><th>{title}</th>{cells}</tr>")

    row("gap", _gap(a.gap), _gap(b.gap), "gap")
    if a.gap is not None and b.gap is not None:
        kinds = ["direct" if found.is_direct else "indirect" for found in (a.gap, b.gap)]
        rows.append(
            "<tr><th></th>"
            + "".join(f"<td class='n'>{kind}</td>" for kind in kinds)
            + "<td></td></tr>"
        )
        row("E_v", _eV(a.gap.vbm), _eV(b.gap.vbm), "vbm")
        row("E_c", _eV(a.gap.cbm), _eV(b.gap.cbm), "cbm")
    else:
        row("E_F", _eV(a.fermi.energy), _eV(b.fermi.energy), "fermi")
    return heading("Gap") + f"<table class='facts hx-errors'>{''.join(rows)}</table>"


_SIDES = ("first", "second", "Δ (meV)")


def _gap(found: Gap | None) -> str:
    return "metal" if found is None else f"{found.value:.4f}"


def _splittings(result: Comparison) -> str:
    rows = []
    for point in result.bands.splittings:
        for edge in ("valence", "conduction"):
            a, b = (getattr(side, edge) for side in (point.first, point.second))
            if max(a, b) > _NOTABLE:
                rows.append(
                    f"<tr><th>{html.escape(point.label)}, {edge}</th><td class='n'>{a:.1f}</td>"
                    f"<td class='n'>{b:.1f}</td><td class='n'>{_signed(b - a)}</td></tr>"
                )
    if not rows:
        return ""
    head = (
        "<tr><th>meV</th><th class='n'>first</th><th class='n'>second</th><th class='n'>Δ</th></tr>"
    )
    return (
        heading("Spin splitting") + f"<table class='facts hx-errors'>{head}{''.join(rows)}</table>"
    )


def _worst(result: Comparison) -> str:
    if result.elements is None or not result.elements.worst:
        return ""
    rows = []
    for element in result.elements.worst[:_N_WORST]:
        where = "on-site" if element.distance < 1e-6 else f"{element.distance:.2f} Å"
        rows.append(
            f"<tr><th class='where'>{symbol(element.component)}: {html.escape(element.row)} – "
            f"{html.escape(element.column)}, {where}</th>"
            f"<td class='n'>{_signed(element.difference)}</td></tr>"
        )
    return (
        heading("Worst elements (meV)") + f"<table class='facts hx-errors'>{''.join(rows)}</table>"
    )


def _eV(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _plain(value: float) -> str:
    return shown_meV(value).removesuffix(" meV").replace("e-", "e−")


def _signed(value: float, unit: str = "") -> str:
    digits = 1 if abs(value) >= 10 else 2
    rounded = round(value, digits)
    if not np.isfinite(value):
        return "–"
    sign = "" if rounded == 0 else "+" if rounded > 0 else "−"
    return f"{sign}{abs(rounded):.{digits}f}{unit}"
