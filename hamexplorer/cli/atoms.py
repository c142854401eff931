"""``hamexplorer atoms``: the free atoms that an H0 of superposed atoms stands on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hamexplorer.cli.options import Json, Quiet
from hamexplorer.cli.output import print_json
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import show
from hamexplorer.cli.threads import set_threads
from hamexplorer.files import checked_output, written

if TYPE_CHECKING:
    from hamexplorer.dft.atom_tables import FreeAtom

__all__ = ["application"]

application = typer.Typer(
    help="Free atoms, whose densities and potentials are superposed for an H0.",
    no_args_is_help=True,
)


@application.command("build")
def build(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.h5).")],
    element: Annotated[
        list[str] | None,
        typer.Option("--element", metavar="El", help="Only these; may be given more than once."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Solve the atoms of all 71 elements, or of some, and write their tables."""
    set_threads(None)
    target = checked_output(output, (".h5",))
    from hamexplorer.dft.atom_recipes import build_library
    from hamexplorer.dft.atom_tables import save_atoms

    with monitored(show=not quiet) as monitor:
        library = build_library(element, monitor)
    with written(target) as temporary:
        save_atoms(library, temporary)
    if not quiet:
        print(f"{len(library.atoms)} atoms in {target}, {target.stat().st_size / 1e6:.2f} MB")


@application.command("info")
def info(
    elements: Annotated[
        list[str] | None, typer.Argument(metavar="[El]...", help="Symbols; default: all.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Of `atoms build`; default: the shipped one.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell each atom's shells, their occupations and eigenvalues (eV), and its reach."""
    set_threads(None)
    from hamexplorer.assets_path import asset
    from hamexplorer.dft.atom_tables import load_atoms

    library = load_atoms(file or asset("dft/free_atoms.h5"), elements or None)
    if json:
        print_json(
            {
                "generator": library.generator,
                "versions": library.versions,
                "atoms": {name: _data(atom) for name, atom in library.atoms.items()},
            }
        )
        return
    table = Table("atom", "electrons", "reach (Å)", "shells: occupation (eigenvalue, eV)")
    for name, atom in library.atoms.items():
        data = _data(atom)
        shells = ", ".join(
            f"{s['shell']} {s['electrons']:g} ({s['eigenvalue_ev']:.2f})" for s in data["shells"]
        )
        table.add_row(name, f"{data['electrons']:g}", f"{data['reach_angstrom']:.2f}", shells)
    show(table)


def _data(atom: FreeAtom) -> dict[str, Any]:
    from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

    return {
        "electrons": atom.charge,
        "reach_angstrom": atom.reach * BOHR_ANGSTROM,
        "confinement_angstrom": atom.confinement * BOHR_ANGSTROM,
        "step_angstrom": atom.step * BOHR_ANGSTROM,
        "shells": [
            {"shell": shell, "electrons": electrons, "eigenvalue_ev": energy * HARTREE_EV}
            for (shell, electrons), energy in zip(atom.occupations, atom.eigenvalues, strict=True)
        ],
    }
