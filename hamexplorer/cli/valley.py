"""``hamexplorer valley``: the valleys of a layer, their splitting, and maps of the zone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamexplorer.cli.calculate import prepare
from hamexplorer.cli.options import Calculation, Given, Json, Quiet, Reading, with_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import show
from hamexplorer.cli.valley_report import valley_data, valley_table
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written

if TYPE_CHECKING:
    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.properties.valley import ValleyMap

__all__ = ["valley"]

_TABLE = (".csv",)
_MAP = (".csv", ".png", ".svg")


@with_groups
def valley(
    given: Given,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The table, or with --map the map: .csv .png .svg."),
    ] = None,
    soc: Annotated[float, typer.Option("--soc", help="Spin-orbit strength λ.")] = 1.0,
    theta: Annotated[float, typer.Option("--theta", help="Of n, degrees from z.")] = 0.0,
    phi: Annotated[float, typer.Option("--phi", help="Of n, degrees from x.")] = 0.0,
    exchange: Annotated[float, typer.Option("--exchange", help="Factor on the exchange.")] = 1.0,
    field: Annotated[
        float,
        typer.Option("--field", help="Field along n that splits the spins by so many meV."),
    ] = 0.0,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="Mo,S1", help="Atoms that feel the field; default all."),
    ] = None,
    extremum: Annotated[
        str,
        typer.Option("--extremum", metavar="gap|valence|conduction", help="What a valley is."),
    ] = "gap",
    chern: Annotated[
        bool, typer.Option("--chern", help="Also integrate Ω around K and K′ (takes longer).")
    ] = False,
    map_: Annotated[
        int | None, typer.Option("--map", metavar="N", help="Also map the zone on N × N points.")
    ] = None,
    quantity: Annotated[
        str, typer.Option("--quantity", help="Drawn in the picture of the map.")
    ] = "curvature",
    json: Json = False,
    quiet: Quiet = False,
    *,
    calculation: Calculation,
    reading: Reading,
) -> None:
    """Energies, spins, Berry curvatures and circular polarisation at K and K′ of a layer.

    A structure is computed first, or read from the cache.
    """
    target = None if output is None else checked_output(output, _TABLE if map_ is None else _MAP)
    request = prepare(given, calculation, reading)  # sets the threads: before NumPy is imported
    from hamexplorer.hamiltonian import SpinState
    from hamexplorer.properties.field import with_field
    from hamexplorer.properties.valley import (
        MAP_FIELDS,
        valley_chern,
        valley_map,
        valley_readouts,
    )
    from hamexplorer.structures.zone import planar_zone

    state = SpinState(soc=soc, theta=theta, phi=phi, exchange=exchange)
    if quantity not in MAP_FIELDS:
        raise SettingsError(f"--quantity: one of {', '.join(MAP_FIELDS)}; not {quantity!r}.")
    planar_zone(request.structure)  # a bulk crystal is refused before anything is computed
    shown = not (json or quiet)
    h = request.hamiltonian(show_progress=shown)
    sites = None if on is None else _sites(h, on)
    if field:
        h = with_field(h, field, sites)
    pair = valley_readouts(h, state, extremum=extremum)  # type: ignore[arg-type]
    data: dict[str, Any] = valley_data(h, pair, field, sites)
    mapped = None
    with monitored(show=shown) as monitor:
        if chern:
            numbers = valley_chern(h, state, monitor=monitor)
            data["chern"] = {
                "K": numbers.k,
                "K_prime": numbers.k_prime,
                "total": numbers.total,
                "valley": numbers.valley,
                "error": numbers.error,
            }
        if map_ is not None:
            mapped = valley_map(h, map_, state, monitor=monitor)
    if target is not None:
        if mapped is None:
            with written(target) as temporary:
                pair.to_dataframe().to_csv(temporary, index=False)
        else:
            _save_map(mapped, target, quantity)
    warnings = [*h.provenance.warnings, *data["warnings"]]
    if json:
        print_json({"output": target, **data, "warnings": warnings})
        return
    print_warnings(warnings)
    if not quiet:
        show(valley_table(data))
    if target is not None:
        if not quiet:
            print(f"written to {target}")
    elif mapped is not None:
        print(mapped.to_dataframe().to_csv(index=False), end="")
    else:
        print(pair.to_dataframe().to_csv(index=False), end="")


def _sites(h: Hamiltonian, text: str) -> list[int]:
    """Indices of the atoms that ``Mo,S1`` names: elements, or elements with a running number."""
    chosen: list[int] = []
    for name in (part.strip() for part in text.split(",")):
        found = [
            site
            for site in range(h.basis.n_sites)
            if name in (h.basis.symbols[site], h.basis.site_labels[site])
        ]
        if not found:
            raise SettingsError(
                f"--on: there is no {name!r}; the atoms are {', '.join(h.basis.site_labels[:20])}"
                f"{' …' if h.basis.n_sites > 20 else ''}."
            )
        chosen += found
    return sorted(set(chosen))


def _save_map(mapped: ValleyMap, target: Path, quantity: str) -> None:
    with written(target) as temporary:
        if target.suffix.lower() == ".csv":
            mapped.to_dataframe().to_csv(temporary, index=False)
        else:
            from hamexplorer.plots.static_valley import save_map

            save_map(mapped, temporary, field=quantity)
