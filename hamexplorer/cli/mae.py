"""``hamexplorer mae``: the energy against the direction of the magnetisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamexplorer.cli.argument_lists import number_list
from hamexplorer.cli.calculate import prepare
from hamexplorer.cli.options import Calculation, Given, Json, Quiet, Reading, numbers, option_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import mae_data, mae_table, show
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output

if TYPE_CHECKING:
    from hamexplorer.properties.anisotropy import AnisotropyConstants, Directions
    from hamexplorer.views import AnisotropyView

__all__ = ["mae"]

_SUFFIXES = (".csv", ".png", ".svg")
_METHODS = {"exact": "exact", "fast": "second variation"}


@option_groups(apart=("kmesh", "smearing"))
def mae(
    given: Given,
    kmesh: Annotated[
        str | None,
        typer.Option("--kmesh", metavar="N N N", help="Of the anisotropy; default: 0.25 1/Å."),
    ] = None,
    theta: Annotated[
        str, typer.Option("--theta", metavar="DEG ...", help="From z: 0 90, or 0,15,30.")
    ] = "0,90",
    phi: Annotated[
        str, typer.Option("--phi", metavar="DEG ...", help="From x: one, or as many as theta.")
    ] = "0",
    smearing: Annotated[float, typer.Option("--smearing", help="Fermi-Dirac width kT, eV.")] = 0.1,
    soc: Annotated[float, typer.Option("--soc", help="Spin-orbit strength λ.")] = 1.0,
    exchange: Annotated[float, typer.Option("--exchange", help="Factor on the exchange.")] = 1.0,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="exact|fast",
            help="Every direction diagonalised, or second variation.",
        ),
    ] = "exact",
    collinear: Annotated[
        bool,
        typer.Option("--collinear", help="Keep only the main component of an exchange of three."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=f"{', '.join(_SUFFIXES)}.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    calculation: Calculation,
    reading: Reading,
) -> None:
    """Magnetocrystalline anisotropy by the force theorem: E(last angle) − E(first angle).

    A structure is computed first, or read from the cache.
    """
    target = None if output is None else checked_output(output, _SUFFIXES)
    if method not in _METHODS:
        raise SettingsError(f"--method must be one of {', '.join(_METHODS)}, not {method!r}.")
    if calculation.source == "learned":
        raise SettingsError(
            "The anisotropy energy is a magnet's, and learned models know no magnetism: take "
            "--source dft or superposed."
        )
    mesh = None if kmesh is None else numbers(kmesh, "--kmesh", 3, int, "9 9 7")
    thetas, phis = number_list(theta, "--theta"), number_list(phi, "--phi")
    request = prepare(given, calculation, reading)  # sets the threads: before NumPy is imported
    directions = _directions(thetas, phis)
    if mesh is not None:
        from hamexplorer.properties.mesh import checked_mesh

        mesh = checked_mesh(mesh)
    shown = not (json or quiet)
    h = request.hamiltonian(show_progress=shown)
    from hamexplorer.properties.anisotropy import magnetic_anisotropy
    from hamexplorer.views import AnisotropyView

    with monitored(show=shown) as monitor:
        result = magnetic_anisotropy(
            h,
            directions,
            mesh,
            smearing,
            soc,
            exchange,
            _METHODS[method],  # type: ignore[arg-type]
            monitor,
            collinear=collinear,
        )
    view = AnisotropyView(result, h.structure)
    constants, notes = _constants(view)
    warnings = [*h.provenance.warnings, *result.warnings, *notes]
    if target is not None:
        view.save(target)
    if json:
        data: dict[str, Any] = mae_data(h, result, constants)
        print_json({"output": target, "warnings": warnings, **data})
        return
    print_warnings(warnings)
    if not quiet:
        show(mae_table(h, result, constants))
    if target is None:
        print(view.to_dataframe().to_csv(index=False), end="")
    elif not quiet:
        print(f"written to {target}")


def _directions(theta: list[float], phi: list[float]) -> Directions:
    """As many as the longer list has; a single angle belongs to all of the other's."""
    from hamexplorer.properties.anisotropy import Directions

    count = max(len(theta), len(phi))
    if len(theta) not in (1, count) or len(phi) not in (1, count):
        raise SettingsError(
            f"--theta names {len(theta)} angles and --phi {len(phi)}: give the same number, or "
            "one of either."
        )
    import numpy as np

    return Directions(np.resize(theta, count), np.resize(phi, count))


def _constants(view: AnisotropyView) -> tuple[AnisotropyConstants | None, list[str]]:
    """The fit, or why there is none."""
    try:
        return view.constants(), []
    except SettingsError as error:
        return None, [str(error)]
