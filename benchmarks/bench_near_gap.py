"""Forty bands around the gap of MoS2 supercells at Γ, K and a general k: seconds, memory, errors.

    python benchmarks/bench_near_gap.py [4 8 11] [--bands 40] [--soc 1] [--check edges] [--points 3]

The argument are numbers n of n×n cells of the shipped MoS2 (3n² atoms). Every size runs in a
process of its own, so that the peak of its memory is its own: beside the Hamiltonian's blocks,
which are printed too. The levels must be the primitive cell's at the folded k-points.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from hamexplorer.assets_path import asset
from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import SpinState, load_hamiltonian
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.properties import BandSolver, near_gap_states
from hamexplorer.properties.near_gap import Check
from hamexplorer.properties.pencil import pencils
from hamexplorer.properties.shift_invert import point_memory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from supercells import folded_kpoints, supercell

POINTS = np.array([[0, 0, 0], [1 / 3, 1 / 3, 0], [0.13, 0.21, 0]])
BAR_EV = 1e-8


class Stages:
    """Seconds between reports, by what was reported."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last: tuple[str, float] | None = None

    def __call__(self, event: ProgressEvent) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.seconds[self._last[0]] += now - self._last[1]
        kind = "Lanczos" if "levels around" in event.message else "factors"
        self._last = (kind if "k-point" in event.message else "search", now)


def one(n: int, n_bands: int, soc: float, check: Check, n_points: int) -> None:
    """One size, printed."""
    primitive = load_hamiltonian(asset("examples/mos2.h5"))
    h = supercell(primitive, (n, n, 1))
    state, stages, points = SpinState(soc), Stages(), POINTS[:n_points]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    found = near_gap_states(h, points, n_bands, state, check=check, monitor=Monitor(stages))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = 0.0
    for k, energies in zip(points, found.energies, strict=True):
        levels = BandSolver(primitive, folded_kpoints(k, (n, n, 1))).energies(state)
        bands = slice(found.first_band, found.first_band + n_bands)
        error = max(error, float(np.abs(np.sort(levels.ravel())[bands] - energies).max()))
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.seconds.items())
    print(
        f"{3 * n * n} atoms, {h.basis.n_orbitals} orbitals: {wall:.1f} s ({cpu:.1f} CPU s on "
        f"{usable_cores()} cores; {parts}), {found.n_factorisations} factorisations\n"
        f"  peak {peak / 1e6:.2f} GB, {before / 1e6:.2f} before; by formula "
        f"{point_memory(pencils(h, state), n_bands) / 1e9:.2f}; {found.method}\n"
        f"  largest error {error:.1e} eV {'OK' if error < BAR_EV else 'ABOVE THE BAR'}, "
        f"residual {np.nanmax(found.residuals) if found.checked else float('nan'):.1e} eV",
        flush=True,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cells", type=int, nargs="*", default=[4, 8, 11])
    parser.add_argument("--bands", type=int, default=40)
    parser.add_argument("--soc", type=float, default=1.0)
    parser.add_argument("--check", choices=["edges", "none"], default="edges")
    parser.add_argument("--points", type=int, choices=[1, 2, 3], default=3)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for n in given.cells:
        if given.one:
            one(n, given.bands, given.soc, given.check, given.points)
            continue
        names = ("bands", "soc", "check", "points")
        options = [f"--{name}={getattr(given, name)}" for name in names]
        subprocess.run([sys.executable, __file__, str(n), "--one", *options], check=True)


if __name__ == "__main__":
    main()
