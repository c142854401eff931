"""What a person or a script is told about two Hamiltonians that were compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable

from hamexplorer.cli.report import origin

if TYPE_CHECKING:
    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.properties.comparison import Comparison, Table

__all__ = ["compare_data", "compare_table"]

_NO_SPLITTING = 5e-3  # meV


def compare_data(first: Hamiltonian, second: Hamiltonian, result: Comparison) -> dict[str, Any]:
    """All numbers, the elements' errors by species and distance, and where both came from."""
    elements = result.elements
    unmatched = None
    if elements is not None:
        unmatched = {
            which: {"pairs": only.count, "largest_meV": only.largest}
            for which, only in (
                ("only_first", elements.only_first),
                ("only_second", elements.only_second),
            )
        }
    mean, largest = result.bands.by_k()
    path = result.bands.first.path.path
    return {
        **result.summary(),
        "spin_state": asdict(result.state),
        "unmatched_pairs": unmatched,
        "splittings_meV": [
            {
                "label": point.label,
                "valence": [point.first.valence, point.second.valence],
                "conduction": [point.first.conduction, point.second.conduction],
            }
            for point in result.bands.splittings
        ],
        "element_errors": None if elements is None else _rows(result, "elements"),
        "worst_elements": None if elements is None else _rows(result, "worst"),
        "path": [[index, label] for index, label in path.ticks],
        "kpoints": path.kpoints,
        "band_mean_by_k_meV": mean,
        "band_max_by_k_meV": largest,
        "provenance": {"first": origin(first), "second": origin(second)},
        "warnings": list(result.warnings),
    }


def _rows(result: Comparison, table: Table) -> list[dict[str, Any]]:
    records = result.to_dataframe(table).to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in records]


def compare_table(data: Mapping[str, Any]) -> RichTable:
    """The main numbers: the errors, and both ones' gaps side by side."""
    table = RichTable(box=None, padding=(0, 2, 0, 0))
    table.add_column(data["formula"], style="dim", no_wrap=True)
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right", overflow="fold")

    def row(title: str, *values: str) -> None:
        table.add_row(title, *values)

    sides = (data["first"], data["second"])
    row("", *(side["name"] for side in sides), "")
    row("gap, eV", *(_gap(side) for side in sides), _meV(data["gap_difference_meV"]))
    for key, title in (("vbm", "valence top, eV"), ("cbm", "conduction bottom, eV")):
        row(title, *(_eV(side[f"{key}_eV"]) for side in sides), _meV(data[f"{key}_difference_meV"]))
    row("Fermi level, eV", *(_eV(s["fermi_eV"]) for s in sides), _meV(data["fermi_difference_meV"]))
    row("smallest eigenvalue of S", *(f"{side['smallest_overlap']:.2e}" for side in sides), "")
    for name, errors in data["elements"].items():
        row(
            f"elements of {name.replace('L', 'Λ')}, meV",
            f"mean {errors['mean_meV']:.4g}",
            f"RMS {errors['rms_meV']:.4g}",
            f"max {errors['max_meV']:.4g}",
        )
    low, high = data["window_eV"]
    row(
        f"bands from {low:g} to {high:g} eV, meV",
        f"mean {_number(data['band_mean_meV'])}",
        f"RMS {_number(data['band_rms_meV'])}",
        f"max {_number(data['band_max_meV'])}",
    )
    if data["amplification"] is not None:
        row("largest band / mean element error", f"{data['amplification']:.3g}", "", "")
    row(f"c added to the second ({data['shift']}), meV", f"{data['shift_meV']:.4g}", "", "")
    if data["fitted_shift_meV"] is not None and data["shift"] != "fit":
        row("c of the fit, meV", f"{data['fitted_shift_meV']:.4g}", "", "")
    for point in data["splittings_meV"]:
        for band in ("valence", "conduction"):
            a, b = point[band]
            if max(a, b) < _NO_SPLITTING:
                continue
            row(
                f"{band} splitting at {point['label']}, meV",
                f"{a:.2f}",
                f"{b:.2f}",
                f"{b - a:+.2f}",
            )
    return table


def _gap(side: Mapping[str, Any]) -> str:
    if side["is_metal"]:
        return "metal"
    return f"{side['gap_eV']:.4f} {'direct' if side['gap_is_direct'] else 'indirect'}"


def _eV(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _meV(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f} meV"


def _number(value: float) -> str:
    return f"{value:.4g}" if value == value else "–"
