"""``hamexplorer build``: twisted bilayers, and bilayers of two different layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hamexplorer.cli.inputs import load_structure_input
from hamexplorer.cli.options import Json, Quiet, numbers
from hamexplorer.cli.output import print_json
from hamexplorer.cli.report import show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError, StructureError
from hamexplorer.files import checked_output, written

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hamexplorer.structures.bilayer import Bilayer, CoincidenceCell, Point, Twist

__all__ = ["application"]

application = typer.Typer(
    help="Build twisted bilayers, and bilayers of two layers.", no_args_is_help=True
)

_LAYER = "Layer: a file, a gallery name, or the formula of one of its layers."
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Structure to write: .cif .vasp .json.")
]
ListOnly = Annotated[bool, typer.Option("--list", help="Show the cells that there are.")]
Shift = Annotated[
    str,
    typer.Option(
        "--shift", metavar="U,V", help="Of the upper layer, in the lower one's primitive vectors."
    ),
]
Center = Annotated[
    str | None,
    typer.Option("--center", metavar="hollow|atom|Mo|U,V", help="Points that lie upon each other."),
]
Distance = Annotated[
    float | None,
    typer.Option("--distance", help="Of the layers' middles (MX2: metal planes), Å."),
]
Vacuum = Annotated[float, typer.Option("--vacuum", help="Å.")]


@application.command("twist")
def twist(
    layer: Annotated[str, typer.Argument(metavar="LAYER", help=_LAYER)],
    angle: Annotated[
        float | None, typer.Option("--angle", help="Degrees, anticlockwise; 0: a stacking.")
    ] = None,
    max_atoms: Annotated[int, typer.Option("--max-atoms", help="In the cell.")] = 400,
    stacking: Annotated[
        str, typer.Option("--stacking", metavar="AA|AB|BA|2H", help="What is turned.")
    ] = "AA",
    center: Center = None,
    shift: Shift = "0,0",
    distance: Distance = None,
    vacuum: Vacuum = 12.0,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Degrees by which the angle may be missed.")
    ] = 0.5,
    output: Output = None,
    list_: ListOnly = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put a layer upon its own copy, turned by the commensurate angle nearest to --angle."""
    set_threads(None)
    target = _target(output, list_)
    from hamexplorer.structures.bilayer import layer_of, twist_list, twisted_bilayer

    structure = _layer(layer)
    if list_:
        _show_twists(twist_list(structure, max_atoms), len(layer_of(structure)), json)
        return
    if angle is None:
        raise SettingsError("--angle is needed; --list shows the commensurate angles.")
    built = twisted_bilayer(
        structure,
        angle,
        stacking=stacking,
        center=_point(center),
        shift=_pair(shift, "--shift"),
        distance=distance,
        vacuum=vacuum,
        max_atoms=max_atoms,
        tolerance=tolerance,
    )
    _finish(built, target, json, quiet, wanted=angle)


@application.command("hetero")
def hetero(
    first: Annotated[str, typer.Argument(metavar="LOWER", help=_LAYER)],
    second: Annotated[str, typer.Argument(metavar="UPPER", help=_LAYER)],
    max_strain: Annotated[
        float, typer.Option("--max-strain", help="Of either layer in any direction, %.")
    ] = 2.0,
    max_atoms: Annotated[int, typer.Option("--max-atoms", help="In the cell.")] = 200,
    angle: Annotated[
        float | None, typer.Option("--angle", help="Between the layers, degrees; default any.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Degrees by which the angle may be missed.")
    ] = 0.5,
    strained: Annotated[
        str, typer.Option("--strained", metavar="shared|first|second", help="Which gives way.")
    ] = "shared",
    cell: Annotated[
        int, typer.Option("--cell", metavar="N", help="Number in the list; 1 is the smallest.")
    ] = 1,
    center: Center = None,
    shift: Shift = "0,0",
    distance: Distance = None,
    vacuum: Vacuum = 12.0,
    output: Output = None,
    list_: ListOnly = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put one layer upon another in a common cell; the strain it takes is told."""
    set_threads(None)
    target = _target(output, list_)
    from hamexplorer.structures.bilayer import (
        coincidence_cells,
        heterobilayer,
        layer_of,
        no_match,
    )

    lower, upper = _layer(first), _layer(second)
    layers = layer_of(lower), layer_of(upper)
    cells = coincidence_cells(
        *layers,
        max_strain=max_strain,
        max_atoms=max_atoms,
        angle=angle,
        angle_tolerance=tolerance,
        strained=strained,
    )
    if not cells:
        raise StructureError(no_match(*layers, max_strain, max_atoms, angle))
    if list_:
        _show_cells(cells, json)
        return
    if not 1 <= cell <= len(cells):
        raise SettingsError(f"--cell {cell}: the list has the numbers 1 to {len(cells)}.")
    built = heterobilayer(
        lower,
        upper,
        cell=cells[cell - 1],
        strained=strained,
        center=_point(center),
        shift=_pair(shift, "--shift"),
        distance=distance,
        vacuum=vacuum,
    )
    _finish(built, target, json, quiet)


def _target(output: Path | None, list_: bool) -> Path | None:
    """Checked before anything is computed.

    Raises:
        SettingsError: no file can be written there, or a list was asked for.
    """
    if output is None:
        return None
    if list_:
        raise SettingsError("--list builds nothing: leave --output away.")
    from hamexplorer.structures.bilayer_text import SUFFIXES

    return checked_output(output, SUFFIXES)


def _layer(given: str) -> Structure:
    """A file, a gallery name, or the formula of one layer of the gallery."""
    from hamexplorer.structures.bilayer import named_layer

    found = named_layer(given)
    return load_structure_input(given) if found is None else found


def _pair(text: str, option: str) -> tuple[float, float]:
    first, second = numbers(text, option, 2, float, "0.5,0")
    return first, second


def _point(text: str | None) -> Point | None:
    return _pair(text, "--center") if text is not None and "," in text else text


def _finish(
    built: Bilayer, target: Path | None, json: bool, quiet: bool, wanted: float | None = None
) -> None:
    from hamexplorer.structures.bilayer_text import structure_text

    if target is not None:
        with written(target) as temporary:
            temporary.write_text(structure_text(built.structure, target.suffix), encoding="utf-8")
    if json:
        print_json({"output": target, "wanted_degrees": wanted, **_data(built)})
        return
    if not quiet:
        show(_table(built, wanted))
        print(f"written to {target}" if target is not None else "not written: give -o FILE.cif")


def _data(built: Bilayer) -> dict[str, Any]:
    structure, report = built.structure, built.report
    a, b, c, alpha, beta, gamma = structure.lattice.parameters
    return {
        "formula": structure.composition.reduced_formula,
        "n_sites": report.atoms,
        "cell_angstrom": [a, b, c],
        "cell_degrees": [alpha, beta, gamma],
        "area_angstrom2": report.area,
        "angle_degrees": report.angle,
        "twist_degrees": report.twist,
        "stacking": report.stacking,
        "center": report.center,
        "distance_angstrom": report.distance,
        "gap_angstrom": report.gap,
        "distance_rule": report.distance_rule,
        "vacuum_angstrom": report.vacuum,
        "closest_angstrom": report.closest,
        "max_strain_percent": report.max_strain,
        "layers": [
            {
                "formula": layer.formula,
                "n_sites": layer.atoms,
                "cells": layer.cells,
                "matrix": layer.matrix,
                "angle_degrees": layer.angle,
                "strain_percent": layer.strain,
                "principal_strain_percent": layer.principal,
                "mean_strain_percent": layer.mean_strain,
                "max_strain_percent": layer.max_strain,
            }
            for layer in report.layers
        ],
    }


def _table(built: Bilayer, wanted: float | None) -> Table:
    report = built.report
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    a, b, c, *_, gamma = built.structure.lattice.parameters
    rows = [
        ("formula", f"{built.structure.composition.reduced_formula}, {report.atoms} atoms"),
        ("cell", f"{a:.4f}, {b:.4f}, {c:.4f} Å, γ = {gamma:.2f}°; {report.area:.2f} Å²"),
        ("angle", f"{report.angle:.4f}°"),
    ]
    if report.twist is not None:
        rows[-1] = ("twist", f"{report.stacking} by {report.twist:.4f}° (asked for {wanted:g}°)")
        rows.append(("angle of the lattices", f"{report.angle:.4f}°"))
    for name, layer in zip(("lower", "upper"), report.layers, strict=True):
        high, low = layer.principal
        (p, q), (r, s) = layer.matrix
        rows.append(
            (
                f"{name} layer",
                f"{layer.formula}, {layer.cells} cells [{p} {q}; {r} {s}], "
                f"strain {high:+.3f} and {low:+.3f} %",
            )
        )
    rows += [
        ("distance", f"{report.distance:.3f} Å, gap {report.gap:.3f} Å: {report.distance_rule}"),
        ("closest atoms", f"{report.closest:.3f} Å"),
        ("put upon each other", report.center),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _show_twists(twists: tuple[Twist, ...], atoms: int, json: bool) -> None:
    if json:
        rows = [
            {
                "m": twist.m,
                "n": twist.n,
                "angle_degrees": twist.angle,
                "cells": twist.cells,
                "n_sites": 2 * atoms * twist.cells,
            }
            for twist in twists
        ]
        print_json({"twists": rows})
        return
    table = Table("m, n", "angle (°)", "cells per layer", "atoms")
    for twist in twists:
        numbers_ = (str(twist.cells), str(2 * atoms * twist.cells))
        table.add_row(f"{twist.m}, {twist.n}", f"{twist.angle:.4f}", *numbers_)
    show(table)


def _show_cells(cells: tuple[CoincidenceCell, ...], json: bool) -> None:
    if json:
        rows = [
            {
                "n_sites": cell.atoms,
                "cells": cell.cells,
                "angle_degrees": cell.angle,
                "matrices": [cell.first, cell.second],
                "principal_strain_percent": cell.strains,
                "mean_strain_percent": cell.mean_strain,
                "max_strain_percent": cell.max_strain,
                "area_angstrom2": cell.area,
            }
            for cell in cells
        ]
        print_json({"cells": rows})
        return
    table = Table("N", "atoms", "cells", "angle (°)", "strain lower (%)", "strain upper (%)", "Å²")
    for number, cell in enumerate(cells, 1):
        strains = [f"{along:+.3f}, {across:+.3f}" for along, across in cell.strains]
        lower, upper = cell.cells
        size = (str(number), str(cell.atoms), f"{lower} + {upper}")
        table.add_row(*size, f"{cell.angle:.3f}", *strains, f"{cell.area:.1f}")
    show(table)
