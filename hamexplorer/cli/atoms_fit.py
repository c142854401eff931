"""``hamexplorer atoms fit``: the fitted potentials of atoms in compounds, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hamexplorer.cli.options import Quiet
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.report import show
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written

if TYPE_CHECKING:
    from hamexplorer.dft.superposed.fit import CrossValidation, NormalEquations
    from hamexplorer.dft.superposed.training_set import Sample
    from hamexplorer.progress import Monitor

__all__ = ["fit"]


def fit(
    work: Annotated[
        Path,
        typer.Option(
            "--work",
            metavar="FOLDER",
            help="Where each crystal's results are kept; what is there is not computed again.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.json).")],
    threads: Annotated[int | None, typer.Option("--threads", help="Of the processor.")] = None,
    quiet: Quiet = False,
) -> None:
    """Compute the training set self-consistently and fit the atoms' potentials to it."""
    set_threads(threads)
    target = checked_output(output, (".json",))
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{work} is no folder and none can be made there.") from error
    from dataclasses import replace

    from hamexplorer.dft.superposed.fit import fit as fitted
    from hamexplorer.dft.superposed.residual import save_residuals
    from hamexplorer.dft.superposed.training_set import TRAINING_SET

    with monitored(show=not quiet) as monitor:
        crystals = [
            _equations(sample, work, threads, monitor) for sample in TRAINING_SET if sample.fitted
        ]
    residuals, validation = fitted(crystals)
    record = _record(crystals, validation)
    with written(target) as temporary:
        save_residuals(replace(residuals, record=record), temporary)
    if not quiet:
        show(_table(validation))
        print(f"{len(residuals.coefficients)} elements written to {target}")


def _equations(
    sample: Sample, work: Path, threads: int | None, monitor: Monitor
) -> NormalEquations:
    """The sample's normal equations; kept, with its self-consistent Hamiltonian, in ``work``."""
    from hamexplorer.dft import engine
    from hamexplorer.dft.settings import DftSettings
    from hamexplorer.dft.superposed.fit import (
        load_normal_equations,
        normal_equations,
        save_normal_equations,
    )
    from hamexplorer.dft.superposed.settings import SuperposedSettings
    from hamexplorer.hamiltonian import load_hamiltonian, save_hamiltonian

    kept, reference = work / f"{sample.name}.npz", work / f"{sample.name}.h5"
    if kept.exists():
        return load_normal_equations(kept)
    if not reference.exists():
        h = engine.run(sample.build(), DftSettings(threads=threads), monitor)
        with written(reference) as temporary:
            save_hamiltonian(h, temporary)
    found = normal_equations(
        sample.name,
        sample.compound,
        load_hamiltonian(reference),
        SuperposedSettings(residual=False, threads=threads),
        monitor,
    )
    with written(kept) as temporary:
        save_normal_equations(found, temporary)
    return found


def _record(crystals: list[NormalEquations], validation: CrossValidation) -> dict[str, Any]:
    from hamexplorer.dft.superposed.record import ENGINE_VERSION
    from hamexplorer.dft.superposed.residual import atoms_digest
    from hamexplorer.provenance import package_versions, timestamp
    from hamexplorer.units import HARTREE_EV

    def milli(errors: dict[str, float]) -> dict[str, float]:
        return {name: round(1000 * HARTREE_EV * value, 3) for name, value in errors.items()}

    return {
        "atoms": atoms_digest(),
        "crystals": {c.name: {"compound": c.compound, "elements": c.elements} for c in crystals},
        "penalty": validation.penalty,
        "rms_meV": {
            "free_atoms": milli(validation.before),
            "fitted": milli(validation.inside),
            "compound_left_out": milli(validation.outside),
        },
        "engine": ENGINE_VERSION,
        "versions": package_versions("pyscf", "numpy", "torch"),
        "created": timestamp(),
    }


def _table(validation: CrossValidation) -> Table:
    from hamexplorer.units import HARTREE_EV

    table = Table("crystal", "free atoms", "fitted", "compound left out", title="rms ΔH, meV")
    for name, before in validation.before.items():
        errors = (before, validation.inside[name], validation.outside[name])
        table.add_row(name, *(f"{1000 * HARTREE_EV * value:.2f}" for value in errors))
    return table
