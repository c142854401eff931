"""Map of a layer's zone with Berry curvature and circular polarisation: seconds, ms per k.

    python benchmarks/bench_valley.py [--divisions 60] [--rounds 3] [FILE.h5]

Without a file the shipped MoS2. The map is made with the crystal's symmetry and without; the
diagonalisation alone (all bands and states at the same k) is the yardstick, timed in turn so that
a busy machine slows all. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np

from hamexplorer.assets_path import asset
from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import SpinState, load_hamiltonian
from hamexplorer.properties import BandSolver
from hamexplorer.properties.valley import valley_map
from hamexplorer.properties.valley.symmetry import mesh_orbits
from hamexplorer.structures.zone import planar_zone


def timed(function) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=asset("examples/mos2.h5"))
    parser.add_argument("--divisions", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    h, n = load_hamiltonian(options.file), options.divisions
    zone = planar_zone(h.structure)
    mesh = np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"), -1).reshape(-1, 2)
    few = (mesh @ zone.embedding)[:: max(1, len(mesh) // 400)]
    reduced = len(mesh_orbits(h, zone, n, SpinState()).representatives)
    tasks = {
        f"map, {reduced} of {n * n} k by symmetry": (lambda: valley_map(h, n), reduced),
        f"map, all {n * n} k": (lambda: valley_map(h, n, symmetry=False), n * n),
        f"states alone, {len(few)} k": (
            lambda: BandSolver(h, few, max_bytes=0).states(),
            len(few),
        ),
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    BandSolver(h, few[:8]).states()
    for _ in range(options.rounds):
        for name, (function, _) in tasks.items():
            runs[name].append(timed(function))
    load = os.getloadavg()[0]
    print(f"{h!r}\n{usable_cores()} cores, load {load:.1f}, {options.rounds} rounds")
    for name, (_, count) in tasks.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs[name], strict=True))
        print(
            f"{name:36s} {wall:7.2f} s  {1e3 * wall / count:6.2f} ms/k  "
            f"(CPU {cpu:7.2f} s, {1e3 * cpu / count:6.2f} ms/k)"
        )


if __name__ == "__main__":
    main()
