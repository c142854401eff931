"""FePt's anisotropy: second variation against exact diagonalisation, and a move of λ.

    python benchmarks/bench_anisotropy.py [FILE.h5] [--mesh 12 12 8] [--angles 19] [--rounds 3]

Without a file FePt is computed first (6×6×4, 180 Ha, σ = 4 mHa; about a minute on two idle cores).
Both routes use the same symmetry, smearing and worker threads and run in turn, so that a busy
machine slows both; medians over the rounds, and every round's ratio, are printed. On a machine
with more running processes than cores look at the CPU seconds, or run with OMP_NUM_THREADS=1.
The fast route's total counts its preparation (symmetry, states without spin-orbit coupling,
projections) and all angles.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian
from hamexplorer.properties.anisotropy import Directions, SecondVariation, magnetic_anisotropy
from hamexplorer.units import HARTREE_EV

Result = TypeVar("Result")

SMEARING = 0.004 * HARTREE_EV
BAR_RATIO, BAR_ERROR_MEV, BAR_MOVE_S = 10.0, 0.02, 2.0


def fept() -> Hamiltonian:
    """The reference Hamiltonian, computed."""
    from hamexplorer.dft.engine import run
    from hamexplorer.dft.settings import DftSettings
    from hamexplorer.structures import load_gallery

    settings = DftSettings(kmesh=(6, 6, 4), cutoff=180.0, smearing=0.004)
    return run(load_gallery("fept-l10"), settings)


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What ``work`` returns, its seconds, and its CPU seconds in all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--mesh", type=int, nargs=3, default=[12, 12, 8])
    parser.add_argument("--angles", type=int, default=19)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    h = load_hamiltonian(arguments.file) if arguments.file else fept()
    mesh = tuple(arguments.mesh)
    arc = Directions.arc(np.linspace(0.0, 90.0, arguments.angles))
    for method in ("exact", "second variation"):  # libraries and thread pools are loaded once
        magnetic_anisotropy(h, Directions.arc([0, 90]), (2, 2, 2), SMEARING, method=method)
    print(
        f"{h.structure.composition.reduced_formula}, {2 * h.basis.n_orbitals} bands, mesh {mesh}, "
        f"{len(arc)} angles, kT = {SMEARING:.4f} eV, {usable_cores()} worker(s) on "
        f"{os.cpu_count()} cores"
    )
    exact_times, prepare_times, angle_times = [], [], []
    for number in range(arguments.rounds):
        exact, exact_s, exact_cpu = timed(lambda: magnetic_anisotropy(h, arc, mesh, SMEARING))
        prepared, prepare_s, prepare_cpu = timed(lambda: SecondVariation(h, mesh, SMEARING))
        fast, angles_s, angles_cpu = timed(lambda sv=prepared: sv.energies(arc))
        exact_times.append(exact_s)
        prepare_times.append(prepare_s)
        angle_times.append(angles_s)
        print(
            f"round {number + 1}: exact {exact_s:.2f} s, fast {prepare_s:.2f} + {angles_s:.2f} s, "
            f"ratio {exact_s / (prepare_s + angles_s):.1f} ({exact_s / angles_s:.1f} without "
            f"preparation); CPU {exact_cpu:.2f}, {prepare_cpu:.2f} + {angles_cpu:.2f} s, ratio "
            f"{exact_cpu / (prepare_cpu + angles_cpu):.1f}; load {os.getloadavg()[0]:.1f}"
        )
    apart = (fast.energies - fast.energies[0]) - (exact.energies - exact.energies[0])
    error = 1e3 * float(np.abs(apart).max())
    ratio = statistics.median(exact_times) / statistics.median(
        a + b for a, b in zip(prepare_times, angle_times, strict=True)
    )
    start = time.perf_counter()
    estimate = prepared.window_check(arc)
    checked = time.perf_counter() - start
    small = SecondVariation(h, (8, 8, 6), SMEARING)
    moves = []
    for strength in (0.9, 1.1, 1.2):
        start = time.perf_counter()
        small.energies(arc, strength)
        moves.append(time.perf_counter() - start)
    move = statistics.median(moves)
    print(
        f"MAE exact {exact.mae_meV:.4f} meV, fast {fast.mae_meV:.4f} meV; {exact.n_kpoints} "
        f"k-points, {exact.n_operations} operations, {prepared.n_active} states in the window"
    )
    print(f"ratio of medians {ratio:.1f} (bar {BAR_RATIO:g})")
    print(f"largest difference {error:.4f} meV (bar {BAR_ERROR_MEV:g})")
    print(f"window check: {estimate:.3f} meV in {checked:.2f} s")
    print(f"λ moved at 8×8×6, {len(arc)} angles: {move:.3f} s (bar {BAR_MOVE_S:g})")


if __name__ == "__main__":
    main()
