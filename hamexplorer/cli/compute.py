"""``hamexplorer compute``: a structure's Hamiltonian into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hamexplorer.cli.calculate import prepare
from hamexplorer.cli.options import Calculation, Json, Quiet, with_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.report import hamiltonian_data, hamiltonian_table, show
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written

__all__ = ["compute"]


@with_groups
def compute(
    structure: Annotated[str, typer.Argument(help="Structure file, or gallery:NAME.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.h5 to write.")],
    json: Json = False,
    quiet: Quiet = False,
    *,
    calculation: Calculation,
) -> None:
    """Compute the Hamiltonian of a structure and save it as HDF5."""
    target = checked_output(output, (".h5", ".hdf5"))
    request = prepare(structure, calculation)
    if request.stored is not None:
        raise SettingsError(
            f"{structure} holds a Hamiltonian already; for another file of it: hamexplorer convert "
            f"{structure} {output}"
        )
    began = time.perf_counter()
    h = request.hamiltonian(show_progress=not (json or quiet))
    seconds = time.perf_counter() - began
    from hamexplorer.hamiltonian import save_hamiltonian

    with written(target) as temporary:
        save_hamiltonian(h, temporary)
    if json:
        print_json({"output": target, "seconds": seconds, **hamiltonian_data(h)})
        return
    print_warnings(h.provenance.warnings)
    if not quiet:
        show(hamiltonian_table(h))
        print(f"written to {target} after {seconds:.1f} s")
