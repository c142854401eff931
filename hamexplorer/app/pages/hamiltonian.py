"""The Hamiltonian page: a block with its labels, all pairs, and their decay with distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.browser import Downloads
from hamexplorer.app.export import Exported, export_menu
from hamexplorer.app.state import AppState, Pair
from hamexplorer.app.style import TABLE_CSS, Line, facts, heading
from hamexplorer.errors import HamexplorerError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.plots import BlockImage, LiveBlockPlot, LiveDecayPlot, block_image
from hamexplorer.plots.blocks import Part
from hamexplorer.properties import BlockDecay, block_decay

__all__ = ["HamiltonianPage"]

_TITLES = {
    "H": "H scalar",
    "A": "A, time-odd",
    "S": "overlap S",
    "B": "exchange B",
    "Bx": "exchange B_x",
    "By": "exchange B_y",
    "Bz": "exchange B_z",
    "Lx": "spin–orbit Λ_x",
    "Ly": "spin–orbit Λ_y",
    "Lz": "spin–orbit Λ_z",
    "re": "spinor H, real",
    "im": "spinor H, imaginary",
    "abs": "spinor H, absolute",
}
_TABLE = """
.tabulator { font-size: 12.5px !important; }
.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px 6px !important; }
.tabulator-row { min-height: 24px !important; cursor: pointer; }
.tabulator-row .tabulator-cell { padding: 3px 6px !important; height: 24px !important; }
"""
_SMALL_LABELS = 18  # rows from which the labels of a block need a smaller font
_PARTS: dict[str, Part] = {"re": "real", "im": "imag", "abs": "abs"}


class HamiltonianPage:
    """Bound to the state's pair and component; the pairs are listed by distance."""

    def __init__(self, state: AppState, downloads: Downloads) -> None:
        self._state = state
        self._block: LiveBlockPlot | None = None
        self._image: BlockImage | None = None
        self._decay_plot: LiveDecayPlot | None = None
        self._decay: BlockDecay | None = None
        self._drawn: Hamiltonian | None = None
        self._order: list[int] = []
        self._choosing = False

        self.component = pmui.Select(
            label="Component",
            options={_TITLES["H"]: "H"},
            value="H",
            size="small",
            width=210,
            margin=(8, 6),
        )
        self.component.param.watch(self._component_chosen, "value")
        self.title = Line(css="font-size: 16px; font-weight: 500;", margin=(12, 6))
        self.toolbar = pn.Row(
            self.component,
            self.title.view,
            export_menu(
                downloads,
                Exported(
                    "Block",
                    self._stem,
                    self._block_table,
                    lambda: self._block.figure if self._block else None,
                ),
                Exported(
                    "Decay",
                    lambda: self._stem() + "-decay",
                    lambda: self._decay.to_dataframe() if self._decay else None,
                    lambda: self._decay_plot.figure if self._decay_plot else None,
                ),
            ),
            sizing_mode="stretch_width",
            styles={"align-items": "center", "flex": "0 0 auto"},
        )
        self.table = pn.widgets.Tabulator(
            pd.DataFrame({"pair": [], "R": [], "d (Å)": []}),
            show_index=False,
            disabled=True,
            selectable=1,
            row_height=24,
            pagination=None,
            sizing_mode="stretch_both",
            layout="fit_columns",
            theme="simple",
            stylesheets=[_TABLE],
            configuration={"columnDefaults": {"headerSort": False, "resizable": False}},
            margin=(0, 8, 4, 8),
            min_height=120,
        )
        self.table.on_click(self._row_clicked)
        # The table comes with the first look at the page: one that was never visible keeps the
        # browser busy for good, waiting in a tight loop to be laid out (Panel 1.9).
        self._table_place = pn.Column(sizing_mode="stretch_both", styles={"flex": "1.2 1 0"})
        self.block = pn.pane.Bokeh(sizing_mode="stretch_both", min_height=200)
        self.decay = pn.pane.Bokeh(sizing_mode="stretch_both", min_height=120)
        self.empty = Line(css="font-size: 18px; opacity: .75;", margin=40, visible=False)
        self.content = pn.Column(
            self.toolbar,
            pn.Column(self.block, sizing_mode="stretch_both", styles={"flex": "5 1 0"}),
            pn.Row(
                self._table_place,
                pn.Column(self.decay, sizing_mode="stretch_both", styles={"flex": "1 1 0"}),
                sizing_mode="stretch_both",
                styles={"flex": "3 1 0"},
            ),
            sizing_mode="stretch_both",
        )
        self.main = pn.Column(self.content, self.empty.view, sizing_mode="stretch_both")
        self.facts = pn.pane.HTML(
            "",
            stylesheets=[TABLE_CSS],
            sizing_mode="stretch_width",
            margin=(6, 12),
            css_classes=["hx-block"],
        )
        self.side = pn.Column(self.facts, sizing_mode="stretch_both", scroll="y")
        self._visible = False
        state.param.watch(self._subject_changed, "subject")
        state.param.watch(
            self._redraw, ["pair", "component", "soc", "theta", "phi", "exchange", "page"]
        )
        state.param.watch(self._theme, "dark")
        self._subject_changed()

    # --- choices ---------------------------------------------------------------------------

    def _component_chosen(self, event: param.parameterized.Event) -> None:
        if not self._choosing and event.new:
            self._state.component = event.new

    def _row_clicked(self, event: Any) -> None:
        h = self._state.hamiltonian
        if h is None or not 0 <= event.row < len(self._order):
            return
        p = self._order[event.row]
        i, j = int(h.pairs.first[p]), int(h.pairs.second[p])
        cell = h.pairs.cell[p].tolist()
        self._state.param.update(
            pair=(i, j, (cell[0], cell[1], cell[2])), atoms=[i] if i == j else [i, j]
        )

    def _subject_changed(self, *_: param.parameterized.Event) -> None:
        subject, h = self._state.subject, self._state.hamiltonian
        self.empty.view.visible = h is None
        self.content.visible = h is not None
        if h is None:
            title = subject.title if subject is not None else "the crystal"
            self.empty.say(f"The Hamiltonian of {title} appears here once it is computed.")
            self.facts.object = ""
            return
        stored = [*h.components[1:], h.components[0], "re", "im", "abs"]
        self._choosing = True
        try:
            if self._state.component not in stored:
                self._state.component = "H"
            self.component.param.update(
                options={_TITLES[name]: name for name in stored}, value=self._state.component
            )
        finally:
            self._choosing = False
        self._redraw()

    # --- drawing ---------------------------------------------------------------------------

    def _redraw(self, *_: param.parameterized.Event) -> None:
        """Nothing is drawn before the page is looked at."""
        h, state = self._state.hamiltonian, self._state
        if h is None or state.page != "hamiltonian":
            return
        if self._drawn is not h:
            self._drawn = h
            self._list_pairs(h)
        if not len(self._table_place):
            self._table_place.append(self.table)
        pair: Pair = state.pair or (0, 0, (0, 0, 0))
        self._choosing = True
        try:
            self.component.value = state.component
        finally:
            self._choosing = False
        part = _PARTS.get(state.component)
        try:
            if part is None:
                image = block_image(h, *pair, component=state.component)
            else:
                image = block_image(h, *pair, component="spinor", part=part, state=state.spin_state)
        except (HamexplorerError, IndexError) as error:
            state.tell("error", str(error))
            state.pair = None
            return
        self._image = image
        if self._block is None:
            self._block = LiveBlockPlot(image, dark=state.dark)
            self._block.figure.toolbar.autohide = True
            self.block.object = self._block.figure
        else:
            self._block.update(image)
        self._size_labels()
        self._tell(h, pair)

    def _size_labels(self) -> None:
        if self._block is not None and self._image is not None:
            most = max(self._image.values.shape)
            size = "13px" if most < _SMALL_LABELS else "10px" if most < 2 * _SMALL_LABELS else "7px"
            for axis in self._block.figure.axis:
                axis.major_label_text_font_size = size

    def _list_pairs(self, h: Hamiltonian) -> None:
        order = np.argsort(h.distances, kind="stable")
        self._order = order.tolist()
        self._decay = decay = block_decay(h)
        names = h.basis.site_labels
        spin_orbit = [n for n, c in enumerate(decay.components) if c[0] == "L"]
        scalar = decay.components.index("H")
        frame = pd.DataFrame(
            {
                "pair": [f"{names[h.pairs.first[p]]}–{names[h.pairs.second[p]]}" for p in order],
                "R": [" ".join(map(str, cell)) for cell in h.pairs.cell[order].tolist()],
                "d (Å)": h.distances[order].round(3),
                "|H| (eV)": [f"{x:.2g}" for x in decay.largest[scalar]],
            }
        )
        if "A" in decay.components:
            time_odd = decay.largest[decay.components.index("A")]
            frame["|A| (eV)"] = [f"{x:.2g}" for x in time_odd]
        if spin_orbit:
            frame["|Λ| (eV)"] = [f"{x:.2g}" for x in decay.largest[spin_orbit].max(axis=0)]
        self.table.value = frame
        self._decay_plot = LiveDecayPlot(decay, dark=self._state.dark)
        plot = self._decay_plot.figure
        plot.toolbar.autohide = True
        legend = plot.legend[0]
        plot.center.remove(legend)
        plot.add_layout(legend, "right")
        self.decay.object = plot

    def _tell(self, h: Hamiltonian, pair: Pair) -> None:
        i, j, cell = pair
        names = h.basis.site_labels
        p = h.pairs.index(i, j, cell)
        self.title.say(f"{names[i]} – {names[j]}")
        rows = [
            ("Distance", f"{h.distances[p]:.4f} Å"),
            ("R", f"({cell[0]}, {cell[1]}, {cell[2]})"),
            ("Block", f"{h.basis.sizes[i]} × {h.basis.sizes[j]} orbitals"),
        ]
        largest = []
        for name in h.components:
            size = float(np.abs(h.block(name, i, j, cell)).max())
            unit = "" if name == "S" else " eV" if size >= 0.1 else " meV"
            shown = size if name == "S" or size >= 0.1 else 1e3 * size
            largest.append((_TITLES[name], f"{shown:.4g}{unit}"))
        totals = [
            ("Orbitals", f"{h.basis.n_orbitals}"),
            ("Pairs stored", f"{h.pairs.n_pairs}, to {h.distances.max():.1f} Å"),
            ("Electrons", f"{h.n_electrons:g}"),
        ]
        self.facts.object = (
            heading(f"{names[i]} – {names[j]}")
            + facts(rows)
            + heading("Largest |element|")
            + facts(largest)
            + heading("All of it")
            + facts(totals)
            + "<p class='soft'>Click two atoms, or a row of the table.</p>"
        )

    def _theme(self, *_: param.parameterized.Event) -> None:
        for plot in (self._block, self._decay_plot):
            if plot is not None:
                plot.set_theme(self._state.dark)
        self._size_labels()

    # --- export ----------------------------------------------------------------------------

    def _stem(self) -> str:
        h = self._state.hamiltonian
        if h is None:
            return "block"
        i, j, cell = self._state.pair or (0, 0, (0, 0, 0))
        names = h.basis.site_labels
        formula = h.structure.composition.reduced_formula
        return f"{formula}-{self._state.component}-{names[i]}-{names[j]}-{'.'.join(map(str, cell))}"

    def _block_table(self) -> pd.DataFrame | None:
        image = self._image
        if image is None:
            return None
        frame = pd.DataFrame(image.values, columns=list(image.columns))
        frame.insert(0, f"row ({image.unit or '1'})", list(image.rows))
        return frame
