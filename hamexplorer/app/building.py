"""The dialog that builds bilayers: two layers, the cells that fit, and what the choice gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from pymatgen.core import Structure

from hamexplorer.app.browser import Downloads
from hamexplorer.app.facts import number
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState
from hamexplorer.app.style import Line
from hamexplorer.errors import HamexplorerError, SettingsError, StructureError
from hamexplorer.structures import entries, load_gallery, load_structure, slab_geometry
from hamexplorer.structures.bilayer import (
    STACKINGS,
    Bilayer,
    CoincidenceCell,
    Twist,
    coincidence_cells,
    heterobilayer,
    layer_of,
    no_match,
    twist_list,
    twisted_bilayer,
)
from hamexplorer.structures.bilayer_coincidence import STRAINED
from hamexplorer.structures.bilayer_text import structure_text
from hamexplorer.structures.bilayer_twist import PERIOD

__all__ = ["BuildDialog", "Wish", "built_of", "cells_for", "summary"]

_OFFERED = 50
_PRESENT, _COPY = "present", "copy"
_FIELD: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width", "margin": (6, 8)}
_STRAINED = dict(
    zip(("both layers alike", "the lower layer", "the upper layer"), STRAINED, strict=True)
)

Cell = Twist | CoincidenceCell


@dataclass(frozen=True, eq=False)
class Wish:
    """What the fields say; without ``upper`` the lower layer's own copy is turned."""

    lower: Structure
    upper: Structure | None
    angle: float | None = None
    max_atoms: int = 400
    max_strain: float = 2.0
    strained: str = "shared"
    stacking: str = "AA"
    distance: float | None = None


def cells_for(wish: Wish) -> dict[str, Cell]:
    """The cells that fit the wish, as a person chooses among them: at most 50, the smallest, or
    the twists nearest to the wanted angle.

    Raises:
        HamexplorerError: a crystal that is no layer, a value outside its range, or none fits.
    """
    if wish.upper is None:
        twists = twist_list(wish.lower, wish.max_atoms)
        layer = layer_of(wish.lower)
        turn = PERIOD[layer.lattice]
        if wish.angle is not None and not 0 <= wish.angle <= turn:
            raise SettingsError(
                f"Angle {wish.angle:g}°: 0 to {turn}° are offered; the stacking 2H is turned by "
                "180° before."
            )
        if wish.angle is not None:
            wanted = wish.angle
            twists = tuple(sorted(twists, key=lambda t: (abs(t.angle - wanted), t.cells)))
        size = 2 * len(layer)
        return {f"{t.angle:.3f}° · {size * t.cells} atoms": t for t in twists[:_OFFERED]}
    layers = layer_of(wish.lower), layer_of(wish.upper)
    cells = coincidence_cells(
        *layers,
        max_strain=wish.max_strain,
        max_atoms=wish.max_atoms,
        angle=wish.angle,
        strained=wish.strained,
    )
    if not cells:
        raise StructureError(no_match(*layers, wish.max_strain, wish.max_atoms, wish.angle))
    return {
        f"{n}: {c.angle:.2f}° · {c.atoms} atoms · strain {c.max_strain:.2f} %": c
        for n, c in enumerate(cells, 1)
    }


def first_choice(wish: Wish, cells: dict[str, Cell]) -> str:
    """The smallest cell of two layers; the twist that is wanted, else the smallest one."""
    labels = list(cells)
    if wish.upper is not None:
        return labels[0]
    twists = [cell for cell in cells.values() if isinstance(cell, Twist)]
    if wish.angle is None:
        return labels[min(1, len(labels) - 1)]
    # of those that an angle with two decimals means, the smallest
    off = [abs(twist.angle - wish.angle) for twist in twists]
    meant = [n for n, miss in enumerate(off) if miss <= 0.01] or [0]
    return labels[min(meant, key=lambda n: twists[n].cells)]


def built_of(wish: Wish, cell: Cell) -> Bilayer:
    """The bilayer in that cell.

    Raises:
        HamexplorerError: atoms overlap, or a value is outside its range.
    """
    if isinstance(cell, Twist):
        return twisted_bilayer(
            wish.lower,
            cell,
            stacking=wish.stacking,
            distance=wish.distance,
            max_atoms=wish.max_atoms,
        )
    assert wish.upper is not None
    return heterobilayer(
        wish.lower, wish.upper, cell=cell, strained=wish.strained, distance=wish.distance
    )


def summary(built: Bilayer) -> str:
    """Size, strains and distances in a few words."""
    report = built.report
    strains = ", ".join(f"{layer.max_strain:.2f} %" for layer in report.layers)
    return (
        f"{report.atoms} atoms; largest strain of the layers {strains}; middles "
        f"{report.distance:.2f} Å apart ({report.distance_rule}), nearest atoms of the two "
        f"{report.closest:.2f} Å."
    )


class BuildDialog:
    """``dialog`` stands somewhere on the page; :meth:`show` opens it."""

    def __init__(self, state: AppState, opener: Opener, downloads: Downloads, post: Post) -> None:
        self._state = state
        self._opener = opener
        self._downloads = downloads
        self._latest = Latest(post, self._failed)
        self._cells: dict[str, Cell] = {}
        self._quiet = False
        self._turn = 0  # what comes for an older one is of fields that have changed since
        self.built: Bilayer | None = None
        self._widgets()
        self.dialog = pmui.Dialog(
            self._content(),
            title="Build a bilayer",
            open=False,
            show_close_button=True,
            width_option="sm",
        )

    def show(self) -> None:
        """Open the dialog, with the crystal on the page as the lower layer if it is one."""
        subject = self._state.subject
        present = subject is not None and slab_geometry(subject.structure) is not None
        groups = _layers()
        if present and subject is not None:
            groups = {"On this page": {subject.title: _PRESENT}, **groups}
        self._quiet = True
        self.upper.groups = {"Twisted": {"its own copy, turned": _COPY}, **groups}
        self.lower.groups = groups
        known = {name for group in groups.values() for name in group.values()}
        if self.lower.value not in known or present:
            self.lower.value = _PRESENT if present else next(iter(known))
        if self.upper.value not in {_COPY, *known}:
            self.upper.value = _COPY
        self._quiet = False
        self.dialog.open = True
        self._search()

    # --- layout ----------------------------------------------------------------------------

    def _widgets(self) -> None:
        self.lower = pmui.Select(label="Lower layer", groups=_layers(), searchable=True, **_FIELD)
        self.upper = pmui.Select(
            label="Upper layer",
            groups={"Twisted": {"its own copy, turned": _COPY}, **_layers()},
            value=_COPY,
            searchable=True,
            **_FIELD,
        )
        self.angle = pmui.TextInput(label="Angle (°)", placeholder="any", **_FIELD)
        self.atoms = pmui.TextInput(label="Largest cell (atoms)", value="400", **_FIELD)
        self.strain = pmui.TextInput(label="Largest strain (%)", value="2", **_FIELD)
        self.strained = pmui.Select(label="Strain on", options=_STRAINED, value="shared", **_FIELD)
        self.stacking = pmui.Select(
            label="Turned from the stacking", options=list(STACKINGS), value="AA", **_FIELD
        )
        self.distance = pmui.TextInput(
            label="Distance of the middles (Å)", placeholder="automatic", **_FIELD
        )
        self.cell = pmui.Select(label="Cell", options=[], **_FIELD)
        self.message = Line(margin=(4, 8), css_classes=["hx-build"])
        self.build = pmui.Button(
            label="Build", variant="contained", size="small", disabled=True, margin=(8, 8)
        )
        self.save = pmui.Button(
            label="Save as CIF", variant="outlined", size="small", disabled=True, margin=(8, 8)
        )
        for widget in (
            self.lower, self.upper, self.angle, self.atoms, self.strain, self.strained
        ):  # fmt: skip
            widget.param.watch(self._search, "value")
        for widget in (self.stacking, self.distance, self.cell):
            widget.param.watch(self._preview, "value")
        self.build.on_click(self._build)
        self.save.on_click(self._save)

    def _content(self) -> pn.Column:
        def row(*widgets: Any) -> pn.Row:
            return pn.Row(*widgets, sizing_mode="stretch_width", margin=0)

        return pn.Column(
            row(self.lower, self.upper),
            row(self.angle, self.atoms),
            row(self.strain, self.strained),
            row(self.stacking, self.distance),
            self.cell,
            self.message.view,
            row(self.build, self.save),
            sizing_mode="stretch_width",
        )

    # --- from fields to a structure ----------------------------------------------------------

    def _wish(self) -> Wish:
        twisted = self.upper.value == _COPY
        atoms = number(self.atoms.value, "The largest number of atoms")
        strain = number(self.strain.value, "The largest strain")
        if atoms is None or not atoms.is_integer():
            raise SettingsError("The largest number of atoms must be a whole number such as 400.")
        if strain is None:
            raise SettingsError("The largest strain must be a number of % such as 2.")
        return Wish(
            lower=self._crystal(self.lower.value),
            upper=None if twisted else self._crystal(self.upper.value),
            angle=number(self.angle.value, "The angle"),
            max_atoms=int(atoms),
            max_strain=strain,
            strained=self.strained.value,
            stacking=self.stacking.value,
            distance=number(self.distance.value, "The distance"),
        )

    def _crystal(self, name: str) -> Structure:
        if name != _PRESENT:
            return load_gallery(name)
        if self._state.subject is None:
            raise StructureError("There is no crystal on the page.")
        return self._state.subject.structure

    def _search(self, *_: param.parameterized.Event) -> None:
        """Look for the cells anew; the first choice among them is shown."""
        if self._quiet or not self.dialog.open:
            return
        twisted = self.upper.value == _COPY
        self.strain.disabled = self.strained.disabled = twisted
        self.stacking.disabled = not twisted
        wish = self._asked()
        if wish is None:
            return

        turn = self._turn

        def done(cells: dict[str, Cell]) -> None:
            if turn != self._turn:
                return
            self._cells = cells
            self._quiet = True
            self.cell.param.update(options=list(cells), value=first_choice(wish, cells))
            self._quiet = False
            self._preview()

        self._latest.request(lambda: cells_for(wish), done)

    def _preview(self, *_: param.parameterized.Event) -> None:
        """Build what is chosen, so that its distances and strains are known."""
        if self._quiet or not self.dialog.open or self.cell.value not in self._cells:
            return
        wish, cell = self._asked(), self._cells[self.cell.value]
        if wish is None:
            return
        turn = self._turn

        def done(built: Bilayer) -> None:
            if turn == self._turn:
                self._offer(built)
                self.message.say(summary(built))

        self._latest.request(lambda: built_of(wish, cell), done)

    def _asked(self) -> Wish | None:
        """The wish, or None after its fault has been told; what was offered before is withdrawn."""
        self._turn += 1
        self._offer(None)
        self.message.say("Looking …")
        try:
            return self._wish()
        except HamexplorerError as error:
            self.message.say(str(error))
            return None

    def _offer(self, built: Bilayer | None) -> None:
        self.built = built
        self.build.disabled = self.save.disabled = built is None

    def _failed(self, error: Exception) -> None:
        self._offer(None)
        self.message.say(str(error))

    def _title(self, built: Bilayer) -> str:
        lower, upper = (layer.formula for layer in built.report.layers)
        twist = built.report.twist
        if twist is not None:
            turned = f" turned by {twist:.2f}°" if twist else ""
            return f"{lower} bilayer, {built.report.stacking}{turned}"
        return f"{upper} on {lower}, {built.report.angle:.2f}°"

    def _build(self, _: Any) -> None:
        if self.built is not None:
            self.dialog.open = False
            self._state.forget_errors()
            self._opener.given(load_structure(self.built.structure), self._title(self.built))

    def _save(self, _: Any) -> None:
        if self.built is not None:
            name = self.built.structure.composition.reduced_formula
            angle = self.built.report.angle
            self._downloads.text(
                f"{name}-{angle:.2f}.cif", structure_text(self.built.structure, ".cif")
            )


@lru_cache(maxsize=1)
def _layers() -> dict[str, dict[str, str]]:
    """The gallery's layers: title → name, by family; read once, as each visitor has a dialog."""
    groups: dict[str, dict[str, str]] = {}
    for item in entries():
        if slab_geometry(load_gallery(item.name)) is not None:
            groups.setdefault(item.family, {})[item.title] = item.name
    return groups
