"""One visitor's page: state, panes and where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.util.parameters import edit_readonly
from panel_material_ui.template.base import Page
from pymatgen.core import Structure

from hamexplorer.app.approximate import ApproximationLine
from hamexplorer.app.band_model import colour_choices
from hamexplorer.app.browser import Downloads
from hamexplorer.app.building import BuildDialog
from hamexplorer.app.choosing import Engines
from hamexplorer.app.comparison.second import SecondOpener
from hamexplorer.app.crystal import CrystalPane
from hamexplorer.app.jobs import page_poster
from hamexplorer.app.opening import Opener
from hamexplorer.app.pages.anisotropy import AnisotropyPage
from hamexplorer.app.pages.bands import BandsPage
from hamexplorer.app.pages.comparison import ComparisonPage
from hamexplorer.app.pages.hamiltonian import HamiltonianPage
from hamexplorer.app.pages.structure import StructurePage
from hamexplorer.app.pages.valleys import ValleysPage
from hamexplorer.app.progress import JobBar, Notices
from hamexplorer.app.rail import Rail
from hamexplorer.app.state import COLOUR_NONE, FIELD_EVERYWHERE, PAGES, AppState
from hamexplorer.app.strip import ProvenanceStrip
from hamexplorer.app.style import THEME
from hamexplorer.app.valleys.model import field_choices
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.sources import HamiltonianCache

__all__ = ["START", "Shell"]

START = "mos2-1h"
"""The example that is shown when nothing else is asked for."""

_TITLES = {
    "structure": "Structure",
    "bands": "Bands",
    "hamiltonian": "Hamiltonian",
    "valleys": "Valleys",
    "anisotropy": "Anisotropy",
    "compare": "Compare",
}
# Grid areas: main is a page's plots, side its numbers, crystal the viewer.
_WIDE = {
    "grid-template-columns": "minmax(0, 1fr) clamp(280px, 24vw, 420px)",
    "grid-template-rows": "minmax(200px, 42%) minmax(0, 1fr)",
    "grid-template-areas": '"main crystal" "main side"',
}
_CRYSTAL = {
    "grid-template-columns": "minmax(0, 1fr) clamp(340px, 28vw, 480px)",
    "grid-template-rows": "minmax(0, 1fr)",
    "grid-template-areas": '"crystal side"',
}
# The bar is dark in both themes.
_TABS = {
    "& .MuiButtonBase-root": {
        "color": "rgba(255,255,255,.85) !important",
        "backgroundColor": "transparent !important",
        "borderColor": "transparent !important",
        "boxShadow": "none !important",
        "textTransform": "none",
        "fontSize": "15px",
    },
    "& .MuiButtonBase-root.Mui-selected, & .MuiButton-contained": {
        "color": "#fff !important",
        "backgroundColor": "rgba(255,255,255,.22) !important",
    },
}
# In the rail of a notebook cell they do not fit into one row.
_WRAPPED = {
    "flexWrap": "wrap",
    "& .MuiToggleButtonGroup-root": {"flexWrap": "wrap"},
    "& .MuiButtonBase-root": {"textTransform": "none", "padding": "4px 8px", "width": "auto"},
}
_LINE = "1px solid rgba(128,128,128,.35)"


class Shell:
    """Everything on one page.

    Args:
        settings: to begin with.
        cache: of Hamiltonians; default: the user's.
        engines: what computes them; tests give cheap ones.
        selections: parameters of the state that mean something only once the first Hamiltonian
            is there (atoms, pair, point, camera, colour, component).
        values: other parameters of the state.
    """

    def __init__(
        self,
        *,
        settings: DftSettings | None = None,
        cache: HamiltonianCache | None = None,
        engines: Engines | None = None,
        selections: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        self.state = AppState(settings=settings or DftSettings(), **values)
        self._selections = selections or {}
        # Ahead of all panes, so that they draw the first Hamiltonian with its selections.
        self._arrival = self.state.param.watch(self._arrived, "subject")
        self.post = post = page_poster()
        self.opener = Opener(self.state, post, cache=cache, engines=engines)
        self.second = SecondOpener(self.state, self.opener, post)
        self.downloads = Downloads(width=0, height=0, margin=0)
        self.crystal = CrystalPane(self.state, post)
        self.structure = StructurePage(self.state, self.downloads)
        self.bands = BandsPage(self.state, post, self.downloads)
        self.hamiltonian = HamiltonianPage(self.state, self.downloads)
        self.valleys = ValleysPage(self.state, post, self.downloads)
        self.anisotropy = AnisotropyPage(self.state, post, self.downloads)
        self.comparison = ComparisonPage(self.state, post, self.downloads, self.second)
        self.builder = BuildDialog(self.state, self.opener, self.downloads, post)
        self.rail = Rail(self.state, self.opener, self.builder.show)
        self.notices = Notices(self.state)
        self.jobs = JobBar(self.state, self.opener)
        self.approximate = ApproximationLine(self.state, self.opener)
        self.strip = ProvenanceStrip(self.state)
        self.tabs = self._tabs(margin=(0, 24), sx=_TABS)
        self.grid = self._grid()
        self.body = pn.Column(
            self.notices.view,
            self.jobs.view,
            self.approximate.view,
            self.grid,
            self.strip.view,
            pn.Column(
                self.downloads,
                self.strip.dialog,
                self.builder.dialog,
                width=0,
                height=0,
                margin=0,
            ),
            sizing_mode="stretch_both",
            margin=0,
        )
        self.state.param.watch(self._turn, "page")
        self._turn()

    def when_ready(self, function: Callable[[], None]) -> None:
        """Call ``function`` once the browser has the page; in a notebook at once.

        Plots that come while the page is still being fetched would not be known to it.
        """
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            function()
        else:
            pn.state.onload(lambda: self.post(function))

    def open(self, crystal: Structure | Hamiltonian | None = None) -> None:
        """Open a crystal; without one, the example."""
        if crystal is None:
            self.opener.gallery(START)
        else:
            self.opener.given(crystal)

    def cancel(self) -> None:
        """Stop what is being opened: nobody looks any more."""
        self.opener.cancel()
        self.second.cancel()

    def _arrived(self, *_: param.parameterized.Event) -> None:
        h = self.state.hamiltonian
        if h is not None:
            self.state.param.unwatch(self._arrival)
            self.state.param.update(**self._existing(h, self._selections))

    def _existing(self, h: Hamiltonian, values: dict[str, Any]) -> dict[str, Any]:
        """Those of a link's selections that exist in this crystal; the others are said."""
        kept = dict(values)
        missing = []
        if any(site >= h.basis.n_sites for site in kept.get("atoms", [])):
            missing.append("atom")
            del kept["atoms"]
        if kept.get("pair") is not None:
            try:
                h.pairs.index(*kept["pair"])
            except HamiltonianError:
                missing.append("pair")
                del kept["pair"]
        known = {v for group in colour_choices(h).values() for v in group.values()}
        if kept.get("colour", COLOUR_NONE) not in known:
            missing.append("colouring")
            del kept["colour"]
        if kept.get("field_atoms", FIELD_EVERYWHERE) not in field_choices(h.basis).values():
            missing.append("choice of atoms")
            del kept["field_atoms"]
        for what in missing:
            self.state.tell("warning", f"The address asks for a {what} that this crystal lacks.")
        return kept

    def page(self) -> Any:
        """The full page of a browser window."""
        page = Page(
            title="hamexplorer",
            header=[self.tabs],
            sidebar=self.rail.sections,
            sidebar_width=300,
            main=[self.body],
            theme_config=THEME,
            dark_theme=self.state.dark,
            busy_indicator=None,
        )
        # Nothing shows whether the server is busy. Left bound, every turn of a dial would tell the
        # browser so twice, at 12 ms of the server's time each.
        with edit_readonly(page):
            page.busy = False
        page.link(self.state, dark_theme="dark", bidirectional=True)
        return page

    def cell(self, height: int) -> pn.viewable.Viewable:
        """The page without its frame, for a notebook cell."""
        rail = pn.Column(
            self._tabs(margin=(6, 14), sx=_WRAPPED),
            *self.rail.sections,
            width=270,
            height=height,
            scroll="y",
            margin=0,
        )
        return pn.Row(
            rail,
            pn.Column(self.body, sizing_mode="stretch_width", height=height, margin=0),
            sizing_mode="stretch_width",
            height=height,
            margin=0,
        )

    # --- placing ---------------------------------------------------------------------------

    def _tabs(self, **looks: Any) -> pmui.RadioButtonGroup:
        tabs = pmui.RadioButtonGroup(
            options={_TITLES[name]: name for name in PAGES},
            value=self.state.page,
            size="small",
            **looks,
        )
        tabs.link(self.state, value="page", bidirectional=True)
        return tabs

    @property
    def _pages(self) -> dict[str, Any]:
        """The pages with plots, by name."""
        return {
            "bands": self.bands,
            "hamiltonian": self.hamiltonian,
            "valleys": self.valleys,
            "anisotropy": self.anisotropy,
            "compare": self.comparison,
        }

    def _grid(self) -> pn.Column:
        def cell(area: str, *content: Any, **styles: str) -> pn.Column:
            return pn.Column(
                *content,
                sizing_mode="stretch_both",
                margin=0,
                styles={"grid-area": area, "min-width": "0", "min-height": "0", **styles},
            )

        self._main = cell("main", *(pane.main for pane in self._pages.values()))
        self._crystal = cell("crystal", self.crystal.viewer, **{"border-left": _LINE})
        self._side = cell(
            "side",
            self.structure.side,
            *(pane.side for pane in self._pages.values()),
            **{"border-left": _LINE, "border-top": _LINE},
        )
        return pn.Column(
            self._main, self._crystal, self._side, sizing_mode="stretch_both", margin=0
        )

    def _turn(self, *_: param.parameterized.Event) -> None:
        page = self.state.page
        self._main.visible = page != "structure"
        for name, pane in self._pages.items():
            pane.main.visible = pane.side.visible = page == name
        self.structure.side.visible = page == "structure"
        places = _CRYSTAL if page == "structure" else _WIDE
        self.grid.styles = {"display": "grid", "min-height": "0", "flex": "1 1 0", **places}
