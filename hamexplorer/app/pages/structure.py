"""The Structure page: cell, symmetry and sites beside a large picture of the crystal."""

from __future__ import annotations

import html

import panel as pn
import panel_material_ui as pmui
import param
from pymatgen.core import Structure

from hamexplorer.app.browser import Downloads
from hamexplorer.app.state import AppState
from hamexplorer.app.style import TABLE_CSS, facts, heading
from hamexplorer.errors import HamexplorerError
from hamexplorer.structures import entry, slab_geometry, symmetry_info

__all__ = ["StructurePage"]

_MAX_ROWS = 200


class StructurePage:
    """``side`` holds the data; the viewer is the shell's."""

    def __init__(self, state: AppState, downloads: Downloads) -> None:
        self._state = state
        self._downloads = downloads
        self.cells = pmui.Select(
            label="Cells drawn",
            options={"1 × 1 × 1": (1, 1, 1)},
            value=(1, 1, 1),
            size="small",
            sizing_mode="stretch_width",
            margin=(8, 6),
        )
        self.cells.param.watch(self._chosen, "value")
        save = pmui.Button(
            label="Save as CIF", variant="outlined", size="small", icon="download", margin=(12, 6)
        )
        save.on_click(lambda _: self._save())
        self.data = pn.pane.HTML(
            "",
            stylesheets=[TABLE_CSS],
            sizing_mode="stretch_width",
            margin=(6, 12),
            css_classes=["hx-structure"],
        )
        self.side = pn.Column(
            pn.Row(self.cells, save, sizing_mode="stretch_width"),
            self.data,
            sizing_mode="stretch_both",
            scroll="y",
        )
        state.param.watch(self._follow, "subject")
        state.param.watch(self._follow_cells, "supercell")
        self._follow()

    def _chosen(self, event: param.parameterized.Event) -> None:
        self._state.supercell = event.new

    def _follow_cells(self, *_: param.parameterized.Event) -> None:
        subject = self._state.subject
        slab = slab_geometry(subject.structure) if subject is not None else None
        choices = []
        for n in (1, 2, 3, 4, 6):
            cells = [n, n, n]
            if slab is not None:
                cells[slab.axis] = 1
            choices.append(tuple(cells))
        if self._state.supercell not in choices:
            choices.append(self._state.supercell)
        self.cells.param.update(
            options={" × ".join(map(str, cells)): cells for cells in choices},
            value=self._state.supercell,
        )

    def _follow(self, *_: param.parameterized.Event) -> None:
        subject = self._state.subject
        self._follow_cells()
        if subject is None:
            return
        parts = [f"<p class='big'>{html.escape(subject.title)}</p>"]
        if subject.gallery:
            item = entry(subject.gallery)
            parts.append(f"<p>{html.escape(item.look_at)}</p>")
        parts += [_cell(subject.structure), _sites(subject.structure)]
        if subject.gallery:
            parts.append(heading("Where the numbers come from"))
            parts.append(
                f"<p class='soft'>{html.escape(item.provenance)}</p>"
                f"<p class='soft'>{html.escape(item.reference)}</p>"
            )
        self.data.object = "".join(parts)

    def _save(self) -> None:
        subject = self._state.subject
        if subject is not None:
            name = subject.gallery or subject.structure.composition.reduced_formula
            self._downloads.text(f"{name}.cif", subject.structure.to(fmt="cif"))


def _cell(structure: Structure) -> str:
    try:
        info = symmetry_info(structure)
    except HamexplorerError as error:
        return f"<p class='soft'>{html.escape(str(error))}</p>"
    rows = [
        ("Formula", structure.composition.formula),
        ("a, b, c", f"{info.a:.4f}, {info.b:.4f}, {info.c:.4f} Å"),
        ("α, β, γ", f"{info.alpha:.2f}, {info.beta:.2f}, {info.gamma:.2f}°"),
        ("Volume", f"{info.volume:.3f} Å³"),
    ]
    if info.slab is not None:
        rows += [
            ("Layer group", f"{info.layer_group} ({info.layer_group_number})"),
            ("Plane lattice", f"{info.plane_lattice}"),
            ("Thickness", f"{info.slab.thickness_angstrom:.3f} Å"),
            ("Vacuum", f"{info.slab.vacuum_angstrom:.3f} Å along {'abc'[info.slab.axis]}"),
        ]
    rows += [
        ("Space group", f"{info.spacegroup_symbol} ({info.spacegroup_number})"),
        ("Point group", info.point_group),
        ("Crystal system", info.crystal_system),
        ("Inversion", "yes" if info.centrosymmetric else "no"),
    ]
    return heading("Cell and symmetry") + facts(rows)


def _sites(structure: Structure) -> str:
    moments = structure.site_properties.get("magmom")
    head = "".join(f"<th class='n'>{x}</th>" for x in ("x/a", "y/b", "z/c"))
    if moments is not None:
        head += "<th class='n'>µB</th>"
    rows = []
    for index, site in enumerate(structure[:_MAX_ROWS]):
        numbers = [f"{x:.4f}" for x in site.frac_coords]
        if moments is not None:
            moment = moments[index]
            numbers.append("–" if moment is None else str(moment))
        cells = "".join(f"<td class='n'>{x}</td>" for x in numbers)
        rows.append(f"<tr><td>{index + 1} {html.escape(site.specie.symbol)}</td>{cells}</tr>")
    more = len(structure) - len(rows)
    tail = f"<p class='soft'>… and {more} more</p>" if more else ""
    return (
        heading(f"Sites ({len(structure)})")
        + f"<table class='facts'><tr><th></th>{head}</tr>{''.join(rows)}</table>"
        + tail
    )
