"""Anisotropy energy, easy axis and moments in words and numbers."""

from __future__ import annotations

import html
import itertools

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.app.anisotropy.model import Sweep
from hamexplorer.app.style import facts, heading
from hamexplorer.plots.anisotropy_data import UNITS, Unit
from hamexplorer.properties.anisotropy import AnisotropyEnergy
from hamexplorer.properties.anisotropy.crystal_axes import conventional_vectors
from hamexplorer.properties.anisotropy.directions import unit_vectors
from hamexplorer.properties.moments import SiteMoments

__all__ = [
    "axis_words",
    "constants_html",
    "details_html",
    "energy_html",
    "moments_html",
    "number",
]

_SAME = 2.0
"""Degrees within which an axis is called by a crystal direction."""
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NONE_MEV = 1e-5


def number(value: float) -> str:
    """Four digits, with a true minus sign."""
    text = f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return text.replace("-", "−")


def energy_html(sweep: Sweep, unit: Unit) -> str:
    """MAE in all units and the easy axis."""
    easy = sweep.easy
    phi = sweep.arc.directions.phi[0]
    values = sweep.arc.units(sweep.mae_meV)
    rows = [(UNITS[name], number(values[name])) for name in UNITS if name != unit]
    area = sweep.arc.area
    if area is not None:
        # 1 meV/Å² = 1.602176634e-22 J / 1e-20 m² = 16.02 mJ/m²
        rows.append(("mJ/m² of the layer", number(16.02176634 * sweep.mae_meV / area)))
    rows.append((f"Hardest − easiest, {UNITS[unit]}", number(_spread(sweep, unit))))
    if sweep.dipoles_meV is not None:
        part = sweep.arc.units(sweep.dipoles_meV)[unit]
        rows.append((f"Of it dipoles, {UNITS[unit]}", number(part)))
    words = axis_words(sweep)
    vector = ", ".join(f"{x + 0.0:.3f}" for x in unit_vectors(*easy).round(6))
    return (
        heading("Anisotropy energy")
        + f"<p><span class='big hx-mae'>{number(values[unit])}</span> {UNITS[unit]}</p>"
        + f"<p class='soft'>E(θ = 90°, φ = {phi:g}°) − E(θ = 0°)</p>"
        + facts(rows)
        + heading("Easy axis")
        + f"<p class='hx-easy'>{html.escape(words)}</p>"
        + f"<p class='soft mono'>n = ({vector}), θ = {easy[0]:.1f}°, φ = {easy[1]:.1f}°</p>"
    )


def _spread(sweep: Sweep, unit: Unit) -> float:
    return sweep.arc.units(sweep.spread_meV)[unit]


def axis_words(sweep: Sweep) -> str:
    """The easy axis as a sentence."""
    constants, easy = sweep.constants, sweep.easy
    if sweep.spread_meV < _NONE_MEV or (constants is not None and constants.easy == "isotropic"):
        return "None: the energy does not depend on the direction."
    upright = min(easy[0], 180.0 - easy[0])
    slab = sweep.arc.is_slab
    if constants is not None and constants.easy == "plane":
        where = "the layer's plane" if slab else "the plane across the main axis"
        return f"Easy plane: every direction in {where} is about as good."
    if constants is not None and constants.easy == "cone":
        return f"Easy cone: every direction at {upright:.0f}° from the main axis is about as good."
    name = _crystal_direction(sweep.structure, unit_vectors(*easy))
    if upright < _SAME:
        place = "Perpendicular to the layer" if slab else "Along z"
    elif upright > 90.0 - _SAME:
        place = "In the layer's plane" if slab else "In the xy plane"
    else:
        place = f"Tilted by {upright:.0f}° from z"
    return f"{place}, {name}." if name else f"{place}."


def constants_html(sweep: Sweep) -> str:
    """K₁, K₂ … with their errors, and how well they fit."""
    constants = sweep.constants
    if constants is None:
        return ""
    rows = "".join(
        f"<tr><th>{html.escape(name.translate(_LOWERED))} "
        f"<span class='soft'>{html.escape(term)}</span></th>"
        f"<td class='n'>{number(value)} ± {_two(error)}</td></tr>"
        for name, term, value, error in zip(
            constants.names,
            constants.terms,
            constants.values.tolist(),
            constants.errors.tolist(),
            strict=True,
        )
    )
    left_out = (
        f"<p class='soft'>Not told apart by these directions: "
        f"{html.escape(', '.join(constants.undetermined))}.</p>"
        if constants.undetermined
        else ""
    )
    return (
        heading(f"Constants, {constants.form} form (meV/cell)")
        + f"<table class='facts hx-constants'>{rows}</table>"
        + f"<p class='soft'>The fit misses the points by {_two(constants.residual_meV)} meV "
        + f"(rms).</p>{left_out}"
    )


def _two(value: float) -> str:
    """Two digits; a dash for NaN."""
    if value != value:
        return "–"
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def _crystal_direction(structure: Structure, axis: NDArray[np.float64]) -> str:
    """``[001] (c)`` if the axis is close to a lattice direction with small indices.

    A primitive cell of a centred lattice has indices that nobody knows a direction by: there
    they are those of the conventional cell.
    """
    conventional = conventional_vectors(structure)
    vectors = structure.lattice.matrix if conventional is None else conventional
    best: tuple[int, ...] | None = None
    for indices in sorted(itertools.product(range(-2, 3), repeat=3), key=_complexity):
        vector = np.array(indices) @ vectors
        length = np.linalg.norm(vector)
        if length > 0 and float(vector @ axis) / length > np.cos(np.radians(_SAME)):
            best = indices
            break
    if best is None:
        return ""
    digits = "".join(f"{abs(i)}\u0304" if i < 0 else str(i) for i in best)
    if conventional is not None:
        return f"along [{digits}] of the conventional cell"
    letter = f" ({'abc'[best.index(1)]})" if _complexity(best) == (1, 0) else ""
    return f"along [{digits}]{letter}"


def _complexity(indices: tuple[int, ...]) -> tuple[int, int]:
    return sum(abs(i) for i in indices), sum(i < 0 for i in indices)


def moments_html(moments: SiteMoments | None) -> str:
    """Spin and orbital moments by site, along the magnetisation."""
    title = heading("Moments along n (µB)")
    if moments is None:
        return title + "<p class='soft'>They follow when the dial rests.</p>"
    along = moments.state.direction
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td class='n'>{number(round(spin, 3))}</td>"
        f"<td class='n'>{number(round(orbital, 4))}</td></tr>"
        for label, spin, orbital in zip(
            moments.labels,
            (moments.spin @ along).tolist(),
            (moments.orbital @ along).tolist(),
            strict=True,
        )
    )
    return (
        title
        + "<table class='facts hx-moments'><tr><th>atom</th><th class='n'>spin</th>"
        + f"<th class='n'>orbital</th></tr>{rows}</table>"
    )


def details_html(sweep: Sweep) -> str:
    """How it was computed, and what the reader must know."""
    result = sweep.arc
    rows = [
        ("Method", "exact diagonalisation" if result.method == "exact" else result.method),
        ("k mesh", "×".join(map(str, result.mesh))),
        ("Smearing", f"{1e3 * result.smearing:g} meV (kT)"),
        ("λ, exchange", f"{result.state.soc:.0%}, {result.state.exchange:.0%}"),
        ("k-points, symmetry", f"{result.n_kpoints}, {result.n_operations} operations"),
    ]
    if result.window is not None:
        rows.append(("Window", f"−{result.window[0]:g} … +{result.window[1]:g} eV"))
        error = sweep.window_error
        rows.append(("Window error", "…" if error is None else f"about {_two(error)} meV"))
    rows.append(("Time", _seconds(result)))
    text = heading("How") + facts(rows)
    warnings = dict.fromkeys((*sweep.arc.warnings, *sweep.ring.warnings))
    if warnings:
        items = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
        text = heading("Note") + f"<ul class='hx-warnings'>{items}</ul>" + text
    return text


def _seconds(result: AnisotropyEnergy) -> str:
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result.timings.items())
