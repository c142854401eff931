"""The network against plain e3nn at the published default sizes, on MoS2 supercells.

    python benchmarks/bench_model.py [--sizes 1 3 5] [--threads 1 2] [--rounds 3]
    python benchmarks/bench_model.py --sizes 15 --networks fast --modes forward
    python benchmarks/bench_model.py --device cuda [--tf32] [--dtype float64]

n×n cells have 164 n² directed edges (pairs closer than 14 bohr). Every network runs in a process of
its own, which tells its peak memory; the processes take turns, round by round, so that a busy
machine slows all of them. The same random weights go into all: how far their blocks are from the
first network's is printed. The baseline is the faster of two plain ones: ``modules``, with e3nn's
compiled tensor products and linear maps (each kind built once, not once per layer), and
``einsums``. Medians over the rounds; *times* is the baseline's wall time by a network's own,
*peak* the process's memory (on CUDA the device's), *grown* what of it came after the network was
built, *build* the time to the first result. On a machine with more running processes than cores
look at the CPU seconds. A backward pass of the plain ones at 5×5 takes about 30 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "model"))

from plain_network import Graph, PlainNetwork, random_weights
from plain_operations import Einsums, Modules
from random_networks import evaluated, load_weights

from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.spin_channels import Channel, MatrixBlocks
from hamexplorer.structures import load_gallery
from hamexplorer.units import BOHR_ANGSTROM

FEATURES = "64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e"
HARMONICS = "0e+1o+2e+3o+4e+5o"
SHELLS = (0, 0, 0, 1, 1, 2, 2, 3)
NETWORKS = ("fast", "modules", "einsums")
CUTOFF = 14.0
"""Bohr: the sum of two of OpenMX's radii of 7."""


def supercell(n: int, dtype: torch.dtype, device: str) -> Graph:
    """MoS2's monolayer, n × n."""
    structure = load_gallery("mos2-1h") * (n, n, 1)
    source, target, cells, _ = structure.get_neighbor_list(CUTOFF * BOHR_ANGSTROM)
    shift = cells @ structure.lattice.matrix / BOHR_ANGSTROM
    return Graph(
        torch.tensor(structure.atomic_numbers, device=device),
        torch.tensor(structure.cart_coords / BOHR_ANGSTROM, dtype=dtype, device=device),
        torch.as_tensor(source, dtype=torch.long, device=device),
        torch.as_tensor(target, dtype=torch.long, device=device),
        torch.tensor(shift, dtype=dtype, device=device),
        torch.zeros(len(source), dtype=torch.long, device=device),  # blocks are not folded here
    )


def pair(dtype: torch.dtype, device: str) -> Graph:
    """Two atoms, for what happens once."""
    graph = supercell(1, dtype, device)
    return Graph(
        graph.numbers[:2], graph.positions[:2], graph.numbers.new_tensor([0]),
        graph.numbers.new_tensor([1]), graph.shift[:1] * 0, graph.inverse[:1],
    )  # fmt: skip


def network(
    name: str, dtype: torch.dtype, device: str
) -> tuple[Callable[[Graph], MatrixBlocks], dict[str, float]]:
    """A network; the seconds (wall, CPU) until its first result, drawing its weights left out."""
    p = Hyperparameters(FEATURES, HARMONICS, legacy_edge_update=False)
    weights = random_weights("scalar", p, SHELLS, dtype=dtype)
    start = time.perf_counter(), time.process_time()
    run: Callable[[Graph], MatrixBlocks]
    if name == "fast":
        channel = Channel("scalar", p, SHELLS).to(dtype)
        load_weights(channel, weights)
        channel.to(device)

        def run(graph: Graph) -> MatrixBlocks:
            return evaluated(channel, graph)
    else:
        ops = Modules() if name == "modules" else Einsums()
        placed = {key: w.to(device).requires_grad_() for key, w in weights.items()}
        plain = PlainNetwork("scalar", p, SHELLS, placed, ops)

        def run(graph: Graph) -> MatrixBlocks:
            onsite, offsite, _ = plain(graph)
            return MatrixBlocks(onsite, offsite)

    with torch.no_grad():
        run(pair(dtype, device))
    synchronise(device)
    times = time.perf_counter() - start[0], time.process_time() - start[1]
    return run, dict(zip(("build", "build_cpu"), times, strict=True))


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def memory(device: str) -> float:
    """Largest resident size of this process so far, or what was allocated on the device, MB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(name: str, size: int, mode: str, dtype: torch.dtype, device: str) -> None:
    """Answer each line of standard input, a number of threads, by one run's measurements."""
    torch.set_num_threads(1)
    run, build = network(name, dtype, device)
    graph = supercell(size, dtype, device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    answer(**build, before=memory(device), edges=len(graph.source))
    for line in sys.stdin:
        torch.set_num_threads(int(line))
        synchronise(device)
        wall, cpu = time.perf_counter(), time.process_time()
        if mode == "forward":
            with torch.no_grad():
                blocks = run(graph)
        else:
            blocks = run(graph)
            (blocks.onsite.square().sum() + blocks.offsite.square().sum()).backward()
        synchronise(device)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = memory(device)
        flat = torch.cat([blocks.onsite.flatten(), blocks.offsite.flatten()]).detach().double()
        sample = flat[:: max(1, len(flat) // 1000)].tolist()
        answer(wall=wall, cpu=cpu, peak=peak, sample=sample, largest=float(flat.abs().max()))
        del blocks, flat


def answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


@dataclass
class Contender:
    """A process and what it told."""

    name: str
    process: subprocess.Popen[str]
    first: dict[str, Any]

    @classmethod
    def start(cls, name: str, size: int, mode: str, options: argparse.Namespace) -> Contender:
        command = [
            sys.executable,
            __file__,
            "--worker",
            name,
            "--sizes",
            str(size),
            "--modes",
            mode,
        ]
        command += ["--dtype", options.dtype, "--device", options.device]
        command += ["--tf32"] * options.tf32
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        contender = cls(name, process, {})
        contender.first = contender._read()
        return contender

    def run(self, threads: int) -> dict[str, Any]:
        """One run; nothing once the process has died, of lack of memory most often."""
        if self.process.stdin is None or self.process.poll() is not None:
            return {}
        try:
            self.process.stdin.write(f"{threads}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {}
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {}

    def stop(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


def compare(size: int, mode: str, options: argparse.Namespace) -> None:
    """All networks at one size; prints the rows of the table."""
    contenders = [Contender.start(name, size, mode, options) for name in options.networks]
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number in range(options.rounds + options.warmup):
        for threads in options.threads:
            for contender in contenders:
                result = contender.run(threads)
                if result and number >= options.warmup:
                    runs.setdefault((contender.name, threads), []).append(result)
    for contender in contenders:
        contender.stop()
    for threads in options.threads:
        told = {c.name: runs.get((c.name, threads), []) for c in contenders}
        plain = [median(r, "wall") for name, r in told.items() if r and name != "fast"]
        for contender in contenders:
            print_row(contender, mode, size, threads, told, min(plain, default=0.0))


def print_row(
    contender: Contender,
    mode: str,
    size: int,
    threads: int,
    told: dict[str, list[dict[str, Any]]],
    baseline: float,
) -> None:
    own = told[contender.name]
    head = f"{size}×{size} {threads:2d} {mode:8s} {contender.name:8s}"
    if not own:
        print(f"{head}   died (out of memory?)", flush=True)
        return
    wall = median(own, "wall")
    reference = next(r[0] for r in told.values() if r)
    away = max(abs(a - b) for a, b in zip(own[0]["sample"], reference["sample"], strict=True))
    print(
        f"{head} {contender.first['edges']:6d} {wall:9.3f} {median(own, 'cpu'):9.3f} "
        f"{contender.first['edges'] / wall:9.0f} {own[-1]['peak']:8.0f} "
        f"{own[-1]['peak'] - contender.first['before']:9.0f} "
        f"{contender.first['build']:9.2f} {contender.first['build_cpu']:6.2f} "
        f"{baseline / wall:7.2f} {away / reference['largest']:9.1e}",
        flush=True,
    )


def median(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(r[key] for r in runs)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 3], help="n of n×n cells")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--modes", nargs="+", default=["forward", "backward"],
                        choices=["forward", "backward"], help="backward: forward, too")  # fmt: skip
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--worker", choices=NETWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    dtype = getattr(torch, options.dtype)
    if options.worker:
        worker(options.worker, options.sizes[0], options.modes[0], dtype, options.device)
        return
    where = options.device if options.device == "cpu" else torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {where}, {options.dtype}, tf32 {options.tf32}")
    print(
        "size thr mode    network   edges    wall/s     CPU/s   edges/s  peak/MB  grown/MB   "
        "build/s (CPU)   times deviation"
    )
    for mode in options.modes:
        for size in options.sizes:
            compare(size, mode, options)


if __name__ == "__main__":
    main()
