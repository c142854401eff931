"""Compute every gallery structure from the default start and print a Markdown table.

    python scripts/gallery_table.py [NAME ...] [--output DIR]

Columns: iterations, CPU and wall seconds, peak memory of the process, total energy, moment,
gap at the SCF's mesh, potential step across the vacuum. One process a structure, so that memory
is each calculation's own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def compute_one(name: str, output: Path | None) -> dict[str, object]:
    """The row of one structure."""
    from hamexplorer.dft.engine import run
    from hamexplorer.hamiltonian import save_hamiltonian
    from hamexplorer.structures import load_gallery

    wall, cpu = time.perf_counter(), time.process_time()
    hamiltonian = run(load_gallery(name))
    row: dict[str, object] = {
        "name": name,
        "iterations": hamiltonian.provenance.results["iterations"],
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "peak_GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "energy_eV": round(hamiltonian.provenance.results["energy_eV"], 4),
        "moment_muB": hamiltonian.provenance.results.get("moment_muB"),
        "vacuum_step_eV": hamiltonian.provenance.results.get("vacuum_step_eV"),
    }
    if output is not None:
        save_hamiltonian(hamiltonian, output / f"{name}.h5")
    return row


def main() -> None:
    """Run all names given, or the whole gallery, each in a process of its own."""
    from hamexplorer.structures import entries

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--output", type=Path, help="folder for the .h5 files")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(compute_one(arguments.names[0], arguments.output)))
        return
    print("| structure | iterations | CPU s | wall s | GB | energy (eV) | µB | step (eV) |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.names or [entry.name for entry in entries()]:
        command = [sys.executable, "-W", "ignore", __file__, "--one", name]
        if arguments.output is not None:
            command += ["--output", str(arguments.output)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            print(f"| {name} | FAILED: {result.stderr.strip().splitlines()[-1]} |", flush=True)
            continue
        row = json.loads(result.stdout.splitlines()[-1])
        moment, step = row["moment_muB"], row["vacuum_step_eV"]
        print(
            f"| {name} | {row['iterations']} | {row['cpu_s']} | {row['wall_s']} | "
            f"{row['peak_GB']} | {row['energy_eV']} | "
            f"{'' if moment is None else f'{moment:.2f}'} | "
            f"{'' if step is None else f'{step:.2f}'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
