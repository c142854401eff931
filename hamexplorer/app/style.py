"""Looks that several panes share."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import panel as pn

__all__ = ["PRIMARY", "TABLE_CSS", "THEME", "Line", "facts", "heading"]

PRIMARY = "#1f6fb8"
_BAR = {"minHeight": "52px !important"}
THEME = {
    "light": {
        "palette": {"primary": {"main": PRIMARY}, "background": {"paper": "#ffffff"}},
        "components": {"MuiToolbar": {"styleOverrides": {"root": _BAR}}},
    },
    "dark": {
        "palette": {
            "primary": {"main": "#6db3f2"},
            "background": {"paper": "#121212", "default": "#121212"},
        },
        "components": {
            "MuiToolbar": {"styleOverrides": {"root": _BAR}},
            "MuiAppBar": {
                "styleOverrides": {
                    "root": {"backgroundColor": "#17324d !important", "color": "#fff !important"}
                }
            },
        },
    },
}
"""Material themes; the dark paper is the background of the plots (``plots.palette.DARK``)."""

TABLE_CSS = """
:host { font: 14px/1.45 Roboto, sans-serif; color: var(--panel-on-surface-color, inherit); }
h4 { margin: 10px 0 4px; font-size: 13px; font-weight: 600; opacity: .75; letter-spacing: .02em; }
h4:first-child { margin-top: 0; }
table.facts { border-collapse: collapse; width: 100%; }
table.facts td, table.facts th { padding: 2px 10px 2px 0; vertical-align: top; text-align: left;
  font-weight: 400; }
table.facts th { opacity: .75; white-space: nowrap; width: 1%; }
table.facts td.n, table.facts th.n { text-align: right; font-variant-numeric: tabular-nums;
  padding-right: 0; padding-left: 10px; }
.big { font-size: 22px; font-weight: 500; font-variant-numeric: tabular-nums; }
.soft { opacity: .75; font-size: 13px; }
.bar { display: inline-block; height: 8px; background: #2f86d1; border-radius: 2px; }
.mono { font-variant-numeric: tabular-nums; }
p { margin: 4px 0; }
"""


def heading(text: str) -> str:
    """A small heading, escaped."""
    return f"<h4>{html.escape(text)}</h4>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A two-column table; both columns are escaped."""
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td class='mono'>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table class='facts'>{body}</table>"


class Line:
    """A line of plain text that changes; ``css`` are declarations of its look."""

    def __init__(self, text: str = "", css: str = "", **options: Any) -> None:
        sheet = f":host {{ font: 14px/1.4 Roboto, sans-serif; {css} }} p {{ margin: 0; }}"
        self.view = pn.pane.HTML("", stylesheets=[sheet], sizing_mode="stretch_width", **options)
        self.say(text)

    def say(self, text: str) -> None:
        """Show ``text``, escaped."""
        self.view.object = f"<p>{html.escape(text)}</p>" if text else ""
