"""``hamexplorer convert``: a Hamiltonian from one program's files to another's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, cast

import typer

from hamexplorer.cli.format_report import formats_data, formats_table
from hamexplorer.cli.inputs import load_hamiltonian_input
from hamexplorer.cli.options import Json, Quiet, Reading, numbers, with_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.report import hamiltonian_data, hamiltonian_table, show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError

__all__ = ["convert"]

_PANEL = "Written into formats that know no dial"


@with_groups
def convert(
    source: Annotated[
        str | None,
        typer.Argument(metavar="IN", help="Hamiltonian: a file, folder or archive."),
    ] = None,
    target: Annotated[
        str | None, typer.Argument(metavar="OUT", help="File, or folder, to write.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NAME", help="Format; default: what the name of OUT means."),
    ] = None,
    soc: Annotated[
        float, typer.Option("--soc", help="Spin-orbit strength λ.", rich_help_panel=_PANEL)
    ] = 1.0,
    theta: Annotated[
        float,
        typer.Option("--theta", help="Of the magnetisation, degrees.", rich_help_panel=_PANEL),
    ] = 0.0,
    phi: Annotated[
        float, typer.Option("--phi", help="Of the magnetisation, degrees.", rich_help_panel=_PANEL)
    ] = 0.0,
    exchange: Annotated[
        float, typer.Option("--exchange", help="Factor on the exchange.", rich_help_panel=_PANEL)
    ] = 1.0,
    spinor: Annotated[
        bool | None,
        typer.Option(
            "--spinor/--no-spinor",
            help="Default: spinors if there is spin-orbit or exchange.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    lowdin_mesh: Annotated[
        str | None,
        typer.Option(
            "--lowdin-mesh",
            metavar="N N N",
            help="Mesh of k on which an overlap is removed; coarser ones make smaller files.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that hamexplorer did not write.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Show which formats are read and written.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Read a Hamiltonian of any known format, tell what it holds, and write it in another."""
    set_threads(None)
    if list_:
        if json:
            print_json({"formats": formats_data()})
        else:
            show(formats_table())
        return
    if source is None or target is None:
        raise SettingsError("convert takes IN and OUT; --list shows the formats.")
    from hamexplorer.formats.writers import writer_for
    from hamexplorer.formats.writing import WriteOptions
    from hamexplorer.hamiltonian import SpinState

    writer = writer_for(target, to)
    mesh = None if lowdin_mesh is None else numbers(lowdin_mesh, "--lowdin-mesh", 3, int, "9 9 9")
    if mesh is not None and not writer.name.startswith("wannier90"):
        raise SettingsError(f"--lowdin-mesh: {writer.title} keeps the overlap and needs no mesh.")
    state = SpinState(soc=soc, theta=theta, phi=phi, exchange=exchange)
    options = WriteOptions(state, spinor, force, cast("tuple[int, int, int] | None", mesh))
    _refuse_own_input(Path(source), Path(target))
    h = load_hamiltonian_input(source, reading.options())
    report = writer.write(h, Path(target), options)
    if json:
        print_json(
            {
                "input": source,
                "format": writer.name,
                "files": [str(file) for file in report.files],
                "notes": report.notes,
                **hamiltonian_data(h),
            }
        )
        return
    print_warnings(h.provenance.warnings)
    if quiet:
        return
    show(hamiltonian_table(h))
    print(f"written as {writer.title}: {', '.join(str(file) for file in report.files)}")
    for note in report.notes:
        print(f"note: {note}")


def _refuse_own_input(source: Path, target: Path) -> None:
    """Complain of a target that is, holds or stands among the files that are read.

    Raises:
        SettingsError: it is.
    """
    read, made = Path(os.path.realpath(source)), Path(os.path.realpath(target))
    inside = made.is_file() and read.is_dir() and made.is_relative_to(read)
    if made == read or inside or (made.is_dir() and made == read.parent):
        raise SettingsError(
            f"{target} is among the files that are read ({source}): choose another name or folder."
        )
