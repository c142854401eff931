"""One state under the loupe: what it is made of, its spin and its velocity."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.app.style import facts, heading
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties import (
    BandSolver,
    BandStates,
    band_weights,
    group_velocity,
    orbital_groups,
    spin_expectation,
)

__all__ = ["InspectedState", "inspect_state", "state_among", "state_html"]

_SHOWN = 8
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class InspectedState:
    """A state at ``k`` (fractional): band, energy (eV, source's scale), weights, spin, velocity
    (NaN: not computed).
    """

    k: NDArray[np.float64]
    band: int
    energy: float
    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    spin: NDArray[np.float64]
    slope: NDArray[np.float64]
    speed: NDArray[np.float64]
    degenerate: tuple[int, ...]


def inspect_state(
    h: Hamiltonian, k: NDArray[np.float64], band: int, state: SpinState
) -> InspectedState:
    """All that the inspector shows; degenerate states share their mean weights and spin."""
    states = BandSolver(h, k).states(state)
    velocity = group_velocity(h, k, state)
    found = state_among(h, states, 0, band)
    return replace(found, slope=velocity.slopes[0, band], speed=velocity.metres_per_second[0, band])


def state_among(h: Hamiltonian, states: BandStates, index: int, band: int) -> InspectedState:
    """Band number ``band`` at k-point ``index`` of states that are known; without velocity."""
    groups = orbital_groups(h.basis, "orbital")
    only = slice(index, index + 1)
    here = BandStates(
        states.kpoints[only],
        states.energies[only],
        states.coefficients[only],
        states.duals[only],
        states.first_band,
    )
    level, place = here.energies[0], band - states.first_band
    same = np.flatnonzero(np.abs(level - level[place]) < _SAME) + states.first_band
    return InspectedState(
        k=here.kpoints[0],
        band=band,
        energy=float(level[place]),
        labels=groups.names,
        weights=band_weights(here, groups)[0, place],
        spin=spin_expectation(here)[0, place],
        slope=np.full(3, np.nan),
        speed=np.full(3, np.nan),
        degenerate=tuple(int(b) for b in same if b != band),
    )


def state_html(found: InspectedState, label: str, fermi: float) -> str:
    """The inspector's text; ``label`` names the k-point if it has a name."""
    k = ", ".join(f"{x:.4f}" for x in found.k)
    rows = [
        ("k", f"{label} ({k})" if label else f"({k})"),
        ("Energy", f"{found.energy - fermi:+.4f} eV from E_F"),
        ("Spin ⟨σ⟩", _vector(found.spin, "+.3f")),
    ]
    if np.isfinite(found.slope).all():
        rows += [
            ("ħv", f"{_vector(found.slope, '+.2f')} eV Å"),
            ("Speed", f"{np.linalg.norm(found.speed) / 1e5:.2f} × 10⁵ m/s"),
        ]
    if found.degenerate:
        others = ", ".join(str(b + 1) for b in found.degenerate)
        rows.append(("Degenerate", f"with band {others}: weights and spin are means"))
    order = np.argsort(found.weights)[::-1][:_SHOWN]
    largest = max(float(found.weights[order[0]]), 1e-9)
    lines = []
    for index in order:
        weight = float(found.weights[index])
        if weight < 0.005:
            break
        lines.append(
            f"<tr><th>{html.escape(found.labels[index])}</th>"
            f"<td><span class='bar' style='width:{90 * weight / largest:.0f}px'></span></td>"
            f"<td class='n'>{100 * weight:.1f} %</td></tr>"
        )
    return (
        heading(f"State: band {found.band + 1}")
        + facts(rows)
        + heading("Orbitals (Mulliken)")
        + f"<table class='facts'>{''.join(lines)}</table>"
    )


def _vector(values: NDArray[np.float64], form: str) -> str:
    return "(" + ", ".join(format(round(float(x), 3) + 0.0, form) for x in values) + ")"
