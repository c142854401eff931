"""The edge-frame network of ΔH: time and memory on MoS2 supercells.

    python benchmarks/bench_delta.py [--sizes 1 2 4 12] [--threads 1] [--rounds 5] [--device cuda]

n×n cells have 164 n² directed edges (7.5 Å). Every size runs in a process of its own, which tells
its peak memory. *forward* is without gradients, *step* forward and backward of the sum of squares,
left out beyond 5000 edges; medians over the rounds, wall and CPU seconds. Weights are random.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from hamexplorer.hamiltonian import Basis, Pairs, Shell
from hamexplorer.model.delta.graph import CrystalGraph, crystal_graph
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.network import DeltaNetwork
from hamexplorer.model.model import OrbitalLayout
from hamexplorer.structures import load_gallery

NAMES = {"Mo": "s1 s2 s3 p1 p2 d1 d2 f1", "S": "s1 s2 p1 p2 d1"}
SHELLS = {
    symbol: tuple(Shell(name, "spdf".index(name[0])) for name in names.split())
    for symbol, names in NAMES.items()
}
CUTOFF = 7.5


def supercell(n: int) -> CrystalGraph:
    """MoS2's monolayer, n × n, rattled by 0.05 Å."""
    structure = load_gallery("mos2-1h") * (n, n, 1)
    structure.perturb(0.05)
    first, second, cells, _ = structure.get_neighbor_list(CUTOFF)
    basis = Basis.from_elements([site.specie.symbol for site in structure], SHELLS)
    own = np.arange(len(structure))
    pairs = Pairs(
        np.concatenate([own, first]),
        np.concatenate([own, second]),
        np.concatenate([np.zeros((len(own), 3), dtype=int), cells.astype(int)]),
        basis.sizes,
    )
    return crystal_graph(structure, pairs, basis, CUTOFF)


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median wall and CPU seconds; the first run is not counted."""
    work()
    wall, cpu = [], []
    for _ in range(rounds):
        start = time.perf_counter(), time.process_time()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return statistics.median(wall), statistics.median(cpu)


def measure(n: int, threads: int, rounds: int, device: str) -> None:
    """Print one line of the table."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = OrbitalLayout(SHELLS["Mo"], SHELLS)
    network = DeltaNetwork(DeltaHyperparameters(), layout).to(device)
    graph = supercell(n).to(device)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def forward() -> None:
        with torch.no_grad():
            network(graph)

    def step() -> None:
        network.zero_grad()
        network(graph).elements.square().sum().backward()

    wall, cpu = timed(forward, rounds)
    line = f"{graph.n_atoms:6d} {graph.n_edges:7d}  {wall:8.3f} {cpu:8.3f}"
    if graph.n_edges < 5000:
        wall, cpu = timed(step, rounds)
        line += f"  {wall:8.3f} {cpu:8.3f}"
    else:
        line += " " * 19
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{line}  {peak / 1e6:6.2f} {(peak - before) / 1e6:6.2f}", flush=True)


def main() -> None:
    """Run every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 12])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.one, given.threads, given.rounds, given.device)
        return
    print(" atoms   edges   forward/s    CPU/s     step/s    CPU/s  peak/GB  grown")
    for n in given.sizes:
        settings = ["--threads", str(given.threads), "--rounds", str(given.rounds)]
        subprocess.run(
            [sys.executable, __file__, "--one", str(n), *settings, "--device", given.device],
            env={**os.environ, "OMP_NUM_THREADS": str(given.threads)},
            check=True,
        )


if __name__ == "__main__":
    main()
