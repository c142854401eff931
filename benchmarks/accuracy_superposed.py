"""Superposed atoms against self-consistent Hamiltonians: the table of docs/superposed-atoms.md.

    python benchmarks/accuracy_superposed.py FOLDER [NAME …]
    python benchmarks/accuracy_superposed.py FOLDER [--store RESIDUALS.json]

FOLDER is that of ``hamexplorer atoms fit --work FOLDER``; crystals that are only tested are
computed into it. ``--store`` writes the errors near the gap into the record of the fitted
potentials, from which the app tells them.

Of every crystal three Hamiltonians: free atoms (B), fitted potentials from all compounds but its
own (B* out), and those that are shipped (B*). Errors, meV: mean |ΔH| on sites and on pairs up to
7.4 Å, one constant c·S removed; bands without spin–orbit along the standard path, one constant
removed: the four below and four above the gap, and all occupied with eight empty ones; relative
error of the spin–orbit splitting of the two highest occupied bands at K, %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamexplorer.dft import engine
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.engine import run
from hamexplorer.dft.superposed.fit import common_elements, fit, load_normal_equations
from hamexplorer.dft.superposed.residual import (
    AtomicResiduals,
    load_residuals,
    save_residuals,
)
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.dft.superposed.training_set import TRAINING_SET, Sample
from hamexplorer.files import written
from hamexplorer.hamiltonian import Hamiltonian, SpinState, load_hamiltonian, save_hamiltonian
from hamexplorer.properties.solver import BandSolver
from hamexplorer.structures.kpath import standard_path
from hamexplorer.structures.slab import slab_geometry

_NEAR = 7.4
_BANDS = 4


@dataclass(frozen=True)
class Errors:
    """In meV, the splitting's in %."""

    onsite: float
    offsite: float
    near_gap: float
    near_gap_largest: float
    occupied: float
    splitting: float | None


def reference(sample: Sample, folder: Path) -> Hamiltonian:
    """The self-consistent Hamiltonian, computed if it is not there."""
    file = folder / f"{sample.name}.h5"
    if not file.exists():
        computed = engine.run(sample.build(), DftSettings())
        with written(file) as temporary:
            save_hamiltonian(computed, temporary)
    return load_hamiltonian(file)


def matrix_errors(first: Hamiltonian, second: Hamiltonian) -> tuple[float, float]:
    """Mean |ΔH| on sites and on pairs up to 7.4 Å, one c·S removed; meV."""
    ours, theirs = common_elements(first.pairs, second.pairs)
    difference = second.scalar[theirs] - first.scalar[ours]
    overlap = first.overlap[ours]
    difference -= overlap * (overlap @ difference) / (overlap @ overlap)
    distance = first.distances[first.pairs.element_pair[ours]]
    size = 1000 * np.abs(difference)
    near = (distance > 0) & (distance < _NEAR)
    return float(size[distance == 0].mean()), float(size[near].mean())


def band_errors(
    first: NDArray[np.float64], second: NDArray[np.float64], occupied: int
) -> tuple[float, float, float]:
    """Mean and largest |ΔE| near the gap, mean of all occupied and eight more; meV."""
    last = min(occupied + 2 * _BANDS, first.shape[1], second.shape[1])
    near = slice(max(occupied - _BANDS, 0), min(occupied + _BANDS, last))
    difference = 1000 * (second - first[:, : second.shape[1]])[:, :last]
    around = np.abs(difference[:, near] - difference[:, near].mean())
    everything = np.abs(difference - difference.mean())
    return float(around.mean()), float(around.max()), float(everything.mean())


def energies(h: Hamiltonian, kpoints: NDArray[np.float64], soc: float) -> NDArray[np.float64]:
    """All levels, (n_k, n), eV; without spin–orbit one per pair."""
    levels = BandSolver(h, kpoints).energies(SpinState(soc=soc))
    return levels if soc else levels[:, ::2]


def compared(h: Hamiltonian, scf: Hamiltonian) -> Errors:
    """``h`` against ``scf``."""
    path = standard_path(scf.structure, spacing=0.12)
    occupied = round(scf.n_electrons / 2)
    bands = [energies(x, path.kpoints, 0.0) for x in (h, scf)]
    splitting = None
    if slab_geometry(scf.structure) is not None and "K" in dict(path.ticks).values():
        k = np.array([[1 / 3, 1 / 3, 0.0]])
        ours, theirs = (energies(x, k, 1.0)[0] for x in (h, scf))
        size = theirs[2 * occupied - 1] - theirs[2 * occupied - 2]
        if size > 1e-3:
            own = ours[2 * occupied - 1] - ours[2 * occupied - 2]
            splitting = 100 * float(own / size - 1)
    return Errors(*matrix_errors(h, scf), *band_errors(*bands, occupied), splitting)


def variants(sample: Sample, scf: Hamiltonian, folder: Path) -> Iterator[tuple[str, Hamiltonian]]:
    """B, B* without the compound, B* as shipped."""
    yield "B", run(scf.structure, SuperposedSettings(residual=False))
    yield "B* out", run(scf.structure, residuals=without(sample.compound, folder))
    yield "B*", run(scf.structure)


def without(compound: str, folder: Path) -> AtomicResiduals:
    """Fitted to all crystals of other compounds."""
    crystals = [
        load_normal_equations(folder / f"{s.name}.npz")
        for s in TRAINING_SET
        if s.fitted and s.compound != compound
    ]
    return fit(crystals)[0]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - {sample.name for sample in TRAINING_SET})
    if unknown:
        parser.error(f"there are no crystals {', '.join(unknown)}")
    if options.store and options.names:
        parser.error("--store is for all crystals: the record tells of all")
    found: dict[str, dict[str, list[float]]] = {"compound_left_out": {}, "shipped": {}}
    print(
        "| crystal | H0 | on-site | off-site | 4v + 4c: mean | largest | occupied + 8 | "
        "splitting at K |\n|---|---|---|---|---|---|---|---|"
    )
    for sample in TRAINING_SET:
        if options.names and sample.name not in options.names:
            continue
        scf = reference(sample, options.folder)
        for label, h in variants(sample, scf, options.folder):
            e = compared(h, scf)
            if label != "B":
                kind = "compound_left_out" if label == "B* out" else "shipped"
                found[kind][sample.name] = [round(e.near_gap, 2), round(e.near_gap_largest, 2)]
            split = "" if e.splitting is None else f"{e.splitting:+.1f} %"
            print(
                f"| {sample.name} | {label} | {e.onsite:.1f} | {e.offsite:.2f} | "
                f"{e.near_gap:.1f} | {e.near_gap_largest:.0f} | {e.occupied:.1f} | {split} |",
                flush=True,
            )
    if options.store:
        residuals = load_residuals(options.store)
        record = {**residuals.record, "near_gap_meV": found}
        save_residuals(replace(residuals, record=record), options.store)


if __name__ == "__main__":
    main()
