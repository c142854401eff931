"""Seconds and peak memory of H0, MoS2 supercells, each in a process of its own.

    python benchmarks/bench_superposed.py [atoms ...] [--workers 1 2] [--spacing 0.3] [--whole]

The grid part alone, or with ``--whole`` from the structure to the Hamiltonian with spin–orbit
coupling, at the spacing that the engine chooses.

Atoms: 3, 12, 48, 192, 768. Run it on an idle machine; two heavy processes at once make both useless
as measurements.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

SAMPLE = 24
"""Patches on which the parts are timed."""


def measure(atoms: int, workers: int, spacing: float) -> dict[str, float]:
    """Run one case here and now."""
    from hamexplorer.dft.atom_tables import free_atom
    from hamexplorer.dft.integrals import pairs_by_overlap
    from hamexplorer.dft.settings import DftSettings
    from hamexplorer.dft.superposed.grid_blocks import GridSettings, grid_blocks
    from hamexplorer.dft.superposed.potential import SuperposedPotential
    from hamexplorer.dft.system import crystal_system
    from hamexplorer.hamiltonian import Pairs
    from hamexplorer.structures import load_gallery

    structure = load_gallery("mos2-1h")
    times = round((atoms / 3) ** 0.5)
    structure.make_supercell([times, times, 1])
    settings = GridSettings(spacing=spacing)
    start = time.perf_counter()
    system = crystal_system(structure, DftSettings(kmesh=(1, 1, 1), max_atoms=2000))
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    potential = SuperposedPotential(system, {e: free_atom(e) for e in system.shells})
    found = {"pairs_s": time.perf_counter() - start, "elements": pairs.n_elements}
    wall, cpu = time.perf_counter(), time.process_time()
    grid_blocks(system, pairs, potential, settings, workers=workers)
    found |= {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    if workers == 1:
        found |= parts(system, pairs, potential, settings)
    return found


def measure_whole(atoms: int, workers: int) -> dict[str, float]:
    """Structure to Hamiltonian, here and now."""
    from hamexplorer.dft.superposed.engine import run
    from hamexplorer.dft.superposed.settings import SuperposedSettings
    from hamexplorer.structures import load_gallery

    structure = load_gallery("mos2-1h")
    times = round((atoms / 3) ** 0.5)
    structure.make_supercell([times, times, 1])
    wall, cpu = time.perf_counter(), time.process_time()
    hamiltonian = run(structure, SuperposedSettings(threads=workers))
    return {
        "elements": hamiltonian.pairs.n_elements,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        **{f"stage_{name}_s": value for name, value in hamiltonian.provenance.timings.items()},
    }


def parts(system, pairs, potential, settings) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Shares of the work on a patch, from a sample of them."""
    from hamexplorer.dft.superposed.grid_blocks import _Sweep
    from hamexplorer.dft.superposed.orbitals import Orbitals
    from hamexplorer.dft.superposed.quadrature import Quadrature
    from hamexplorer.dft.superposed.tiles import uniform_grid

    device = torch.device("cpu")
    grid = uniform_grid(system, settings.spacing)
    quadrature = Quadrature(system, grid, settings.tile_points, device)
    orbitals = Orbitals(system, settings.orbital_cutoff, settings.dtype, device)
    sweep = _Sweep(system, pairs, potential, settings, quadrature)
    chosen = np.random.default_rng(0).permutation(len(quadrature.patches))[:SAMPLE]
    total = np.zeros(4)
    for index in chosen.tolist():
        patch = quadrature.patches[index]
        clock = [time.perf_counter()]
        points, _ = quadrature.points(patch)
        clock.append(time.perf_counter())
        fields = potential(points)
        clock.append(time.perf_counter())
        orbitals.on(points, fields.flux)
        clock.append(time.perf_counter())
        sweep.products(patch)
        clock.append(time.perf_counter())
        total += np.diff(clock)
    names = ("points", "potential", "orbitals")
    shares = {f"{name}_%": 100 * t / total[3] for name, t in zip(names, total, strict=False)}
    return shares | {"products_%": 100 - sum(shares.values())}


def main() -> None:
    """Print one line a case, and the exponent of the seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("atoms", type=int, nargs="*", default=[3, 12, 48, 192, 768])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--spacing", type=float, default=0.3)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--one", action="store_true")
    given = parser.parse_args()
    for atoms in given.atoms:
        if 3 * round((atoms / 3) ** 0.5) ** 2 != atoms:
            parser.error(f"{atoms} atoms are no n × n cells of three")
    if given.one:
        atoms, workers = given.atoms[0], given.workers[0]
        if given.whole:
            print(json.dumps(measure_whole(atoms, workers)))
        else:
            print(json.dumps(measure(atoms, workers, given.spacing)))
        return
    for workers in given.workers:
        before = None
        for atoms in given.atoms:
            command = [sys.executable, "-W", "ignore", __file__, str(atoms), "--one"]
            command += ["--workers", str(workers), "--spacing", str(given.spacing)]
            command += ["--whole"] * given.whole
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            row = json.loads(output.splitlines()[-1])
            line = f"{atoms} atoms, {workers} workers: "
            line += ", ".join(f"{name} {value:.3g}" for name, value in row.items())
            line += f"; {row['cpu_s'] / atoms:.2f} CPU s per atom"
            if before is not None:
                exponent = np.log(row["cpu_s"] / before[1]) / np.log(atoms / before[0])
                line += f", exponent {exponent:.2f}"
            before = atoms, row["cpu_s"]
            print(line, flush=True)


if __name__ == "__main__":
    main()
