"""The valleys' numbers in words and tables."""

from __future__ import annotations

import html
from collections.abc import Callable

from hamexplorer.app.style import facts, heading
from hamexplorer.app.valleys.model import SHIFTED
from hamexplorer.properties.field import spin_splitting_of_tesla
from hamexplorer.properties.valley import ValleyChern, ValleyMap, ValleyPair, ValleyReadout

__all__ = ["chern_html", "elsewhere_html", "metal_sentence", "pair_html", "tesla_sentence"]

_BANDS = (
    ("Top valence band", 1),
    ("Second valence band", 0),
    ("Lowest conduction band", 2),
    ("Second conduction band", 3),
)
_TEMPERATURE = 300.0  # K
_NOTABLE = 1.0  # meV
_CLOSED = 1e-5  # eV
_DEFINITION = (
    "Of few holes in equilibrium at 300 K: (p_K − p_K′)/(p_K + p_K′) = "
    "tanh((E_v(K) − E_v(K′)) / 2kT), both valleys with the same mass."
)
_ETA = (
    "Degree of circular polarisation of the transitions from the two top valence to the two "
    "lowest conduction bands: +1 where light of helicity + alone is absorbed."
)
_SPLIT_V = "Between the two highest valence bands."
_SPLIT_C = "Between the two lowest conduction bands."
_SHIFT = "Distance of the valley from the corner of the zone."
_CHERN = (
    "(1/2π) ∫ Ω d²k of the filled bands over the half of the zone around each valley; "
    "C_v = (C_K − C_K′)/2."
)


def pair_html(pair: ValleyPair) -> str:
    """K and K′ side by side, and their differences."""
    k, other = pair.k, pair.k_prime

    def row(label: str, read: Callable[[ValleyReadout], float], form: str, change: str = "") -> str:
        cells = "".join(f"<td class='n'>{_number(read(r), form)}</td>" for r in (k, other))
        return f"<tr><th>{label}</th>{cells}<td class='n'>{change}</td></tr>"

    def difference(value: float) -> str:
        return _number(value, "+.1f")

    top = max(float(k.energies[1]), float(other.energies[1]))
    rows = [
        _title("", "K", "K′", "K − K′<br>(meV)"),
        row("Direct gap (eV)", lambda r: r.gap, ".4f", difference(pair.gap_difference)),
        row(_hint("Split v (meV)", _SPLIT_V), lambda r: r.valence_splitting, ".1f"),
        row(_hint("Split c (meV)", _SPLIT_C), lambda r: r.conduction_splitting, ".1f"),
        row(_hint("η", _ETA), lambda r: r.polarisation, "+.3f"),
    ]
    if max(k.valley.shift, other.valley.shift) > SHIFTED:
        rows.append(row(_hint("Shift (1/Å)", _SHIFT), lambda r: r.valley.shift, ".4f"))
    for name, b in _BANDS:
        rows += [
            f"<tr><td colspan='4' class='part'>{name}</td></tr>",
            row(
                "E (eV)",
                lambda r, b=b: r.energies[b] - top,  # type: ignore[misc]
                "+.4f",
                difference(1e3 * float(k.energies[b] - other.energies[b])),
            ),
            row(_spin(pair), lambda r, b=b: r.spin[b] @ pair.normal, "+.3f"),  # type: ignore[misc]
            row("Ω (Å²)", lambda r, b=b: r.curvature[b], "+.2f"),  # type: ignore[misc]
            row("m (µB)", lambda r, b=b: r.moment[b], "+.2f"),  # type: ignore[misc]
        ]
    polarisation = _number(pair.polarisation(_TEMPERATURE), "+.3f")
    return (
        f"<table class='facts hx-pair'>{''.join(rows)}</table>"
        + f"<p>{_hint('Valley polarisation', _DEFINITION)} of holes at {_TEMPERATURE:g} K: "
        + f"<b class='mono'>{polarisation}</b></p>"
        + "".join(f"<p class='soft'>{html.escape(text)}</p>" for text in pair.warnings)
        + "<p class='soft'>Energies from the higher valence edge. Position operator: "
        + f"{pair.position}.</p>"
    )


def elsewhere_html(pair: ValleyPair, zone: ValleyMap) -> str:
    """Whether the band edges of the whole zone lie in the valleys."""
    readouts = (pair.k, pair.k_prime)
    above = float(zone.field("valence_energy").max()) - max(float(r.energies[1]) for r in readouts)
    below = min(float(r.energies[2]) for r in readouts) - float(
        zone.field("conduction_energy").min()
    )
    return "".join(
        f"<p class='soft'>{what} lies elsewhere in the zone, {1e3 * by:.0f} meV {side} the "
        "valleys.</p>"
        for what, by, side in (
            ("The valence band's top", above, "above"),
            ("The conduction band's bottom", below, "below"),
        )
        if 1e3 * by > _NOTABLE
    )


def chern_html(found: ValleyChern) -> str:
    """Valley Chern contributions."""
    digits = 3 if found.error < 5e-4 else 2
    form = f"+.{digits}f"
    rows = [
        ("C_K", _number(found.k, form)),
        ("C_K′", _number(found.k_prime, form)),
        ("C_v", _number(found.valley, form)),
        ("Chern number", _number(found.total, form)),
        ("Error", f"{found.error:.0e}, {found.n_kpoints} k-points"),
    ]
    return heading("Valley Chern contributions") + facts(rows) + f"<p class='soft'>{_CHERN}</p>"


def tesla_sentence(field: float, atoms: str) -> str:
    """What the field (meV) is, and its equivalent in tesla."""
    unit = spin_splitting_of_tesla(1.0)
    if field == 0:
        return f"No field. 1 T splits spins by {unit:.3f} meV."
    return (
        f"{_number(field, '+.0f')} meV on {atoms}, along n(θ, φ): spins as in "
        f"{_number(field / unit, '+.0f')} T."
    )


def metal_sentence(result: ValleyMap) -> str:
    """Why a layer without a gap has no valleys to show; empty if it has one."""
    bands = "its highest valence and lowest conduction band"
    if result.overlapping > 0:
        return (
            f"{result.title} is a metal here: {bands} overlap by {1e3 * result.overlapping:.0f} "
            "meV. Valleys need a gap between them."
        )
    if float(result.field("gap").min()) < _CLOSED:
        return f"{result.title} has no gap here: {bands} touch. Valleys need a gap between them."
    return ""


def _title(*cells: str) -> str:
    first, *others = cells
    return f"<tr><th>{first}</th>" + "".join(f"<th class='n'>{c}</th>" for c in others) + "</tr>"


def _hint(text: str, definition: str) -> str:
    return f"<abbr title='{html.escape(definition, quote=True)}'>{text}</abbr>"


def _spin(pair: ValleyPair) -> str:
    return "⟨σz⟩" if abs(pair.normal[2]) > 0.999 else "⟨σ·n⟩"


def _number(value: float, form: str) -> str:
    """Without a minus before zero."""
    rounded = round(float(value), int(form.rstrip("f").rpartition(".")[2]))
    return format(rounded or 0.0, form if rounded else form.removeprefix("+")).replace("-", "−")
