"""The strip at the bottom: where the Hamiltonian came from, and every warning."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.state import AppState
from hamexplorer.app.style import TABLE_CSS, Line, facts, heading
from hamexplorer.app.wording import on_page
from hamexplorer.provenance import Provenance

__all__ = ["ProvenanceStrip"]

_LONG = 9  # lists with more entries (the SCF's history) are not for reading


class ProvenanceStrip:
    """One line; a button opens ``dialog`` with all of it."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self.line = Line(
            css="font-size: 12.5px; white-space: nowrap; overflow: hidden;",
            margin=(4, 12),
            css_classes=["hx-provenance"],
            styles={"align-self": "center"},
        )
        self.warnings = pmui.Button(
            label="", color="warning", variant="text", size="small", margin=(2, 4), visible=False
        )
        self.more = pmui.Button(label="Details", variant="text", size="small", margin=(2, 8))
        self.text = pn.pane.HTML("", stylesheets=[TABLE_CSS], sizing_mode="stretch_width")
        self.dialog = pmui.Dialog(
            self.text,
            title="Where this Hamiltonian comes from",
            open=False,
            show_close_button=True,
            close_on_click=True,
            width_option="md",
        )
        for button in (self.more, self.warnings):
            button.on_click(lambda _: setattr(self.dialog, "open", True))
        self.view = pn.Row(
            self.line.view,
            self.warnings,
            self.more,
            sizing_mode="stretch_width",
            styles={
                "align-items": "center",
                "flex": "0 0 auto",
                "border-top": "1px solid rgba(128,128,128,.35)",
            },
        )
        state.param.watch(self._follow, "subject")
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        h = self._state.hamiltonian
        self.more.visible = h is not None
        if h is None:
            self.line.say("No Hamiltonian yet.")
            self.warnings.visible = False
            return
        record = h.provenance
        self.line.say(summary(record))
        count = len(record.warnings)
        self.warnings.visible = count > 0
        self.warnings.label = f"{count} warning{'s' if count > 1 else ''}"
        self.text.object = details(record)


def summary(record: Provenance) -> str:
    """Source, main settings and time in one line."""
    settings = record.settings
    parts = [record.title]
    if settings.get("kmesh"):
        parts.append(f"k {'×'.join(str(n) for n in settings['kmesh'])}")
    if settings.get("cutoff"):
        parts.append(f"{settings['cutoff']:g} Ha")
    if settings.get("spacing"):
        parts.append(f"{settings['spacing']:.2g} Å grid")
    if record.results.get("iterations"):
        parts.append(f"{record.results['iterations']} iterations")
    if record.timings:
        # of superposed atoms "all" is there too
        parts.append(f"{record.timings.get('all', sum(record.timings.values())):.1f} s")
    if record.created:
        parts.append(record.created[:16].replace("T", " ") + " UTC")
    return " · ".join(parts)


def details(record: Provenance) -> str:
    """All of the record as HTML, escaped."""
    parts = []
    if record.warnings:
        items = "".join(f"<li>{html.escape(on_page(text))}</li>" for text in record.warnings)
        parts.append(heading("Warnings") + f"<ul>{items}</ul>")
    for title, mapping in (
        ("Settings", record.settings),
        ("Results", record.results),
        ("Seconds", record.timings),
        ("Versions", record.versions),
    ):
        rows = [
            (name, str(value)[:160])
            for name, value in _flat(mapping)
            if value is not None and not (isinstance(value, list) and len(value) > _LONG)
        ]
        if rows:
            parts.append(heading(title) + facts(rows))
    if record.citations:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in record.citations)
        parts.append(heading("To cite") + f"<ul>{items}</ul>")
    return "".join(parts)


def _flat(mapping: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Items; those of a mapping inside under both names (``files: wse2.scfout``)."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}: {inner}", part) for inner, part in value.items())
        else:
            yield name, value
