"""CPU seconds and peak memory of the embedded engine, each case in a process of its own.

    python benchmarks/bench_engine.py [MoS2] [GaAs] [FePt]

Run it on an idle machine; two heavy processes at once make both useless as measurements.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

CASES = {
    "MoS2": ("mos2-1h", {"kmesh": (6, 6, 1), "cutoff": 100.0}),
    "GaAs": ("gaas", {"kmesh": (4, 4, 4)}),
    "FePt": ("fept-l10", {"kmesh": (6, 6, 4), "smearing": 0.004, "cutoff": 180.0}),
}


def measure(case: str) -> dict[str, float]:
    """Run one case here and now."""
    from hamexplorer.dft.engine import run
    from hamexplorer.dft.settings import DftSettings
    from hamexplorer.structures import load_gallery

    name, settings = CASES[case]
    structure = load_gallery(name)
    wall, cpu = time.perf_counter(), time.process_time()
    hamiltonian = run(structure, DftSettings(**settings))
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "iterations": hamiltonian.provenance.results["iterations"],
    }


def main() -> None:
    """Print one line a case."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2])))
        return
    for case in sys.argv[1:] or CASES:
        command = [sys.executable, "-W", "ignore", __file__, "--one", case]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        row = json.loads(output.splitlines()[-1])
        print(
            f"{case}: {row['cpu_s']:.1f} CPU s, {row['wall_s']:.1f} s, {row['peak_GB']:.2f} GB, "
            f"{row['iterations']} iterations"
        )


if __name__ == "__main__":
    main()
