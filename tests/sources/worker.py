"""A process of its own for the cache tests: ``worker.py ROOT LOG SECONDS PADDING``."""

# ruff: noqa: T201 - it reports to the test by printing
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from chain import ChainSource, chain_structure

from hamexplorer.sources import HamiltonianCache


def main() -> None:
    root, log, seconds, padding = sys.argv[1:]
    source = ChainSource(seconds=float(seconds), padding=int(padding), log=Path(log))
    print("ready", flush=True)
    sys.stdin.readline()
    result = HamiltonianCache(root).get_or_compute(chain_structure(), source)
    print(f"done {result.pairs.n_pairs}", flush=True)


if __name__ == "__main__":
    main()
