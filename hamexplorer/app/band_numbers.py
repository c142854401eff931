"""Gap and splittings of the bands on the page, in words and meV."""

from __future__ import annotations

import html

from hamexplorer.app.facts import is_spin_pure
from hamexplorer.app.style import facts, heading
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.properties import BandStructure, Gap, gap, splittings

__all__ = ["numbers_html"]


def numbers_html(bands: BandStructure, h: Hamiltonian) -> str:
    """The numbers beside the plot."""
    how = f"<p class='soft'>{html.escape(bands.method)}.</p>" if bands.method else ""
    return _gap(bands) + _splittings(bands, h) + how


def _gap(bands: BandStructure) -> str:
    try:
        found = gap(bands)
    except SettingsError as error:
        return heading("Gap") + f"<p class='soft'>{html.escape(str(error))}</p>"
    fermi = bands.fermi
    if found.is_metal or fermi.is_metal:
        rows = [("Fermi level", f"{fermi.energy:.3f} eV")]
        if not found.is_metal:
            rows.append(("On the path", f"bands {1e3 * found.value:.1f} meV apart"))
        return heading("Gap") + "<p class='big'>metal</p>" + facts(rows)
    kind = "direct" if found.is_direct else "indirect"
    rows = [
        ("Valence top", _place(found.vbm_label, found.vbm_k)),
        ("Conduction bottom", _place(found.cbm_label, found.cbm_k)),
    ]
    if not found.is_direct:
        rows.append(("Direct", f"{_electronvolts(found.direct)} at {_direct_place(found)}"))
    if fermi.vbm is not None and fermi.cbm is not None:
        on_mesh = fermi.cbm - fermi.vbm
        if on_mesh < found.value - 1e-3:
            rows.append(("On the k mesh", f"smaller: {_electronvolts(on_mesh)}"))
    return (
        heading("Gap along the path")
        + f"<p><span class='big'>{_electronvolts(found.value)}</span> {kind}</p>"
        + facts(rows)
    )


def _splittings(bands: BandStructure, h: Hamiltonian) -> str:
    title = heading("Spin splitting (meV)")
    if bands.method:
        title = heading("Two levels nearest the gap: distance (meV)") + (
            "<p class='soft'>In a supercell or bilayer they may be folded, or of different layers: "
            "not always a pair of spins.</p>"
        )
    if h.is_magnetic:
        why = (
            "The exchange field splits all bands"
            if is_spin_pure(h)
            else "These orbitals are not spin-pure (see the warnings)"
        )
        return heading("Spin splitting") + f"<p class='soft'>{why}; pairs are not compared.</p>"
    try:
        points = splittings(bands).points
    except SettingsError as error:
        return heading("Spin splitting") + f"<p class='soft'>{html.escape(str(error))}</p>"
    rows = "".join(
        f"<tr><td>{html.escape(point.label)}</td><td class='n'>{point.valence:.1f}</td>"
        f"<td class='n'>{point.conduction:.1f}</td></tr>"
        for point in points
    )
    return (
        title
        + "<table class='facts hx-splittings'><tr><th>at</th><th class='n'>valence</th>"
        + f"<th class='n'>conduction</th></tr>{rows}</table>"
    )


def _electronvolts(value: float) -> str:
    return f"{value:.3f} eV" if value >= 0.1 else f"{1e3 * value:.1f} meV"


def _place(label: str, k: tuple[float, float, float]) -> str:
    return label or "(" + ", ".join(f"{x:.3f}" for x in k) + ")"


def _direct_place(found: Gap) -> str:
    return _place(found.direct_label, found.direct_k)
