"""``hamexplorer compare``: two Hamiltonians of one structure, element by element, band by band."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hamexplorer.cli.compare_report import compare_data, compare_table
from hamexplorer.cli.inputs import load_hamiltonian_input
from hamexplorer.cli.options import Json, Quiet, Reading, numbers, with_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.report import show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output

__all__ = ["compare"]

_SUFFIXES = (".csv", ".png", ".svg", ".html")
_HAMILTONIAN = "File, folder or archive of a known format."


@with_groups
def compare(
    first: Annotated[str, typer.Argument(metavar="FIRST", help=f"The reference. {_HAMILTONIAN}")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help=_HAMILTONIAN)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=f"{', '.join(_SUFFIXES)}.")
    ] = None,
    table: Annotated[
        str,
        typer.Option(
            "--table",
            metavar="bands|kpoints|elements|pairs|worst|summary",
            help="Written into a .csv.",
        ),
    ] = "bands",
    component: Annotated[
        str, typer.Option("--component", help="Drawn by distance and shells: H, B, Lx …")
    ] = "H",
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="G-K-M-G", help="Default: the lattice's own; | is a jump."),
    ] = None,
    spacing: Annotated[
        float, typer.Option("--spacing", help="Of the k-points of a path, 1/Å.")
    ] = 0.03,
    soc: Annotated[float, typer.Option("--soc", help="Spin-orbit strength λ, of both.")] = 1.0,
    theta: Annotated[float, typer.Option("--theta", help="Of the magnetisation, degrees.")] = 0.0,
    phi: Annotated[float, typer.Option("--phi", help="Of the magnetisation, degrees.")] = 0.0,
    exchange: Annotated[float, typer.Option("--exchange", help="Factor on the exchange.")] = 1.0,
    shift: Annotated[
        str | None,
        typer.Option(
            "--shift",
            metavar="none|fit|vbm|fermi",
            help="Constant c in H + c·S of SECOND. Default: none; with other bases vbm or fermi.",
        ),
    ] = None,
    window: Annotated[
        str,
        typer.Option(
            "--window",
            metavar="-2 2",
            help="eV below the valence top, above the conduction bottom.",
        ),
    ] = "-2,2",
    json: Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Errors of elements beside those of bands near the gap, for two Hamiltonians of a crystal."""
    target = None if output is None else checked_output(output, _SUFFIXES)
    limits = numbers(window, "--window", 2, float, "-2,2")
    set_threads(None)  # before NumPy is imported
    from hamexplorer.hamiltonian import SpinState
    from hamexplorer.properties.comparison import SHIFTS, TABLES
    from hamexplorer.properties.comparison import compare as compare_hamiltonians
    from hamexplorer.structures.kpath import path_from_text, standard_path
    from hamexplorer.views import ComparisonView

    state = SpinState(soc=soc, theta=theta, phi=phi, exchange=exchange)
    if shift is not None and shift not in SHIFTS:
        raise SettingsError(f"--shift must be one of {', '.join(SHIFTS)}, not {shift!r}.")
    if table not in TABLES:
        raise SettingsError(f"--table must be one of {', '.join(TABLES)}, not {table!r}.")
    options = reading.options()
    one, other = (load_hamiltonian_input(given, options) for given in (first, second))
    k = (
        standard_path(one.structure, spacing)
        if path is None
        else path_from_text(path, one.structure, spacing)
    )
    result = compare_hamiltonians(
        one,
        other,
        k,
        state,
        shift=shift,
        window=limits,
        names=(Path(first).name, Path(second).name),
    )
    if target is not None:
        ComparisonView(result).save(target, table=table, component=component)
    data = compare_data(one, other, result)
    if json:
        print_json({"output": target, **data})
        return
    print_warnings(result.warnings)
    if quiet:
        return
    show(compare_table(data))
    print(result.verdict)
    if target is not None:
        print(f"written to {target}")
