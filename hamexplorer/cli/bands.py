"""``hamexplorer bands``: band energies along a path or at listed k-points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hamexplorer.cli.calculate import prepare
from hamexplorer.cli.kpoints import kpoint_list, read_kpoints
from hamexplorer.cli.options import Calculation, Given, Json, Quiet, Reading, numbers, with_groups
from hamexplorer.cli.output import print_json, print_warnings
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import bands_data, bands_table, show
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.structures.kpath import KPath

__all__ = ["bands"]

Zero = Literal["source", "fermi", "vbm"]

_SUFFIXES = (".csv", ".png", ".svg", ".html")
_SPACING = 0.03
_NEAR_GAP = 40
_ZEROS: tuple[Zero, ...] = ("source", "fermi", "vbm")


@with_groups
def bands(
    given: Given,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"{', '.join(_SUFFIXES)}; default: CSV on stdout."),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="G-K-M-G", help="Default: the lattice's own; | is a jump."),
    ] = None,
    kpoints: Annotated[
        Path | None,
        typer.Option("--kpoints", help="File: one fractional k a line, # begins a comment."),
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(
            "--spacing",
            help="Of a path's k-points, 1/Å; default 0.03, with --near-gap the named points alone.",
        ),
    ] = None,
    near_gap: Annotated[
        int | None,
        typer.Option(
            "--near-gap",
            metavar="N",
            help="N bands around the gap. Cells too large for all bands: 40, unless given; 0: all.",
        ),
    ] = None,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked", help="With --near-gap: bands are not counted again at both ends."
        ),
    ] = False,
    soc: Annotated[float, typer.Option("--soc", help="Spin-orbit strength λ.")] = 1.0,
    theta: Annotated[float, typer.Option("--theta", help="Of the magnetisation, degrees.")] = 0.0,
    phi: Annotated[float, typer.Option("--phi", help="Of the magnetisation, degrees.")] = 0.0,
    exchange: Annotated[float, typer.Option("--exchange", help="Factor on the exchange.")] = 1.0,
    zero: Annotated[
        str, typer.Option("--zero", metavar="source|fermi|vbm", help="Zero of energy.")
    ] = "source",
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="-5,5", help="Bands that enter it, eV from the zero."),
    ] = None,
    spin_expectation: Annotated[
        bool, typer.Option("--spin-expectation", help="Add ⟨σ⟩ of every state to the CSV.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    calculation: Calculation,
    reading: Reading,
) -> None:
    """Band energies as CSV, picture or page.

    A structure is computed first, or read from the cache.
    """
    target = None if output is None else checked_output(output, _SUFFIXES)
    origin = _zero(zero)
    if path is not None and kpoints is not None:
        raise SettingsError("--path and --kpoints exclude each other.")
    limits = None if window is None else _window(window)
    request = prepare(given, calculation, reading)  # sets the threads: before NumPy is imported
    points = None if kpoints is None else read_kpoints(kpoints)
    from hamexplorer.hamiltonian import SpinState

    state = SpinState(soc=soc, theta=theta, phi=phi, exchange=exchange)

    def sampled(default: float) -> KPath:
        if points is not None:
            return kpoint_list(request.structure, points)
        return _path(request.structure, path, default if spacing is None else spacing)

    k = sampled(_SPACING)  # before the long work: it may be wrong
    progress = not (json or quiet)
    h = request.hamiltonian(show_progress=progress)
    from hamexplorer.views import BandsView, within

    if near_gap is None:
        near_gap = _automatic(h, len(k))
    if near_gap == 0:
        from hamexplorer.properties.bands import band_structure

        result = band_structure(h, k, state, spin=spin_expectation)
    else:
        from hamexplorer.properties.large_cells import WHOLE_PIECES, near_gap_bands

        with monitored(show=progress) as monitor:
            result = near_gap_bands(
                h,
                sampled(WHOLE_PIECES),
                near_gap,
                state,
                spin=spin_expectation,
                check="none" if unchecked else "edges",
                monitor=monitor,
            )
    data = bands_data(h, result)
    shown = result if limits is None else within(result, limits, origin)
    if target is not None:
        BandsView(shown).save(target, zero=origin, window=limits)
    if json:
        if target is None:
            energies = shown.energies - shown.zero_energy(origin)
            data |= {"kpoints": shown.kpoints, "energies_eV": energies}
        print_json({"output": target, "warnings": h.provenance.warnings, **data})
        return
    print_warnings(h.provenance.warnings)
    if target is None:
        print(shown.to_dataframe(origin).to_csv(index=False), end="")
    elif not quiet:
        show(bands_table(data))
        print(f"written to {target}")


def _automatic(h: Hamiltonian, n_kpoints: int) -> int:
    """How many bands around the gap are computed unless the user says; 0: all bands."""
    from hamexplorer.properties.large_cells import LONG_SECONDS, full_seconds

    seconds = full_seconds(h, n_kpoints)
    if seconds <= LONG_SECONDS:
        return 0
    chosen = min(_NEAR_GAP, 2 * h.basis.n_orbitals)
    print_warnings(
        [
            f"All bands at {n_kpoints} k-points would take about {seconds / 60:.0f} minutes; "
            f"{chosen} around the gap are computed (--near-gap 0: all)."
        ]
    )
    return chosen


def _zero(text: str) -> Zero:
    for known in _ZEROS:
        if text == known:
            return known
    raise SettingsError(f"--zero must be one of {', '.join(_ZEROS)}, not {text!r}.")


def _window(text: str) -> tuple[float, float]:
    low, high = numbers(text, "--window", 2, float, "-5,5")
    if not low < high:
        raise SettingsError(f"--window: {text!r} is empty; the lower limit comes first.")
    return low, high


def _path(structure: Structure, text: str | None, spacing: float) -> KPath:
    from hamexplorer.structures.kpath import path_from_text, standard_path

    if text is None:
        return standard_path(structure, spacing)
    return path_from_text(text, structure, spacing)
