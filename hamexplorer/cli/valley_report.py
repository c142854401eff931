"""What a person or a script is told about a layer's valleys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from hamexplorer.cli.report import origin

if TYPE_CHECKING:
    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.properties.valley import ValleyPair, ValleyReadout

__all__ = ["valley_data", "valley_table"]


def valley_data(
    h: Hamiltonian, pair: ValleyPair, field: float, sites: Sequence[int] | None
) -> dict[str, Any]:
    """Both valleys, their differences, and how they were found."""
    return {
        "formula": h.structure.composition.reduced_formula,
        "provenance": origin(h),
        "spin_state": asdict(pair.state),
        "field_meV": field,
        "field_sites": None if sites is None else [h.basis.site_labels[s] for s in sites],
        "position_operator": pair.position,
        "bands": ["valence -1", "valence", "conduction", "conduction +1"],
        "K": _valley(pair.k),
        "K_prime": _valley(pair.k_prime),
        "valence_difference_meV": pair.valence_difference,
        "conduction_difference_meV": pair.conduction_difference,
        "gap_difference_meV": pair.gap_difference,
        "valley_polarisation_300K": pair.polarisation(),
        "bright_transition_g": pair.bright_g,
        "warnings": list(pair.warnings),
    }


def _valley(readout: ValleyReadout) -> dict[str, Any]:
    return {
        "k": readout.valley.kpoint,
        "shift_from_corner_per_A": readout.valley.shift,
        "energies_eV": readout.energies,
        "gap_eV": readout.gap,
        "valence_splitting_meV": readout.valence_splitting,
        "conduction_splitting_meV": readout.conduction_splitting,
        "spin": readout.spin,
        "berry_curvature_A2": readout.curvature,
        "orbital_moment_muB": readout.moment,
        "circular_polarisation": readout.polarisation,
    }


def valley_table(data: Mapping[str, Any]) -> Table:
    """K and K′ side by side."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(data["formula"], style="dim", no_wrap=True)
    for name in ("K", "K′"):
        table.add_column(name, justify="right")
    sides = (data["K"], data["K_prime"])

    def row(title: str, *values: str) -> None:
        table.add_row(title, *values)

    def numbers(title: str, key: str, digits: int) -> None:
        row(title, *(f"{side[key]:.{digits}f}" for side in sides))

    row("k", *("(" + ", ".join(f"{x:.4f}" for x in side["k"]) + ")" for side in sides))
    if any(side["shift_from_corner_per_A"] > 1e-4 for side in sides):
        numbers("away from the corner, 1/Å", "shift_from_corner_per_A", 4)
    numbers("direct gap, eV", "gap_eV", 4)
    numbers("valence splitting, meV", "valence_splitting_meV", 2)
    numbers("conduction splitting, meV", "conduction_splitting_meV", 2)
    for band, title in ((1, "valence"), (2, "conduction")):
        row(f"{title}: ⟨σz⟩", *(f"{side['spin'][band][2]:+.4f}" for side in sides))
        row(f"{title}: Ω, Å²", *(f"{side['berry_curvature_A2'][band]:+.3f}" for side in sides))
        row(f"{title}: m, µB", *(f"{side['orbital_moment_muB'][band]:+.3f}" for side in sides))
    row("circular polarisation η", *(f"{side['circular_polarisation']:+.4f}" for side in sides))
    row("E_v(K) − E_v(K′), meV", f"{data['valence_difference_meV']:+.3f}", "")
    row("E_c(K) − E_c(K′), meV", f"{data['conduction_difference_meV']:+.3f}", "")
    row("g of the bright transition", f"{data['bright_transition_g']:+.2f}", "")
    if "chern" in data:
        row("(1/2π) ∫ Ω", *(f"{data['chern'][k]:+.4f}" for k in ("K", "K_prime")))
    return table
