"""Bloch sum + diagonalisation against scipy.linalg.eigh on prebuilt matrices.

    python benchmarks/bench_bands.py [--orbitals 52] [--kpoints 200] [--rounds 5] [FILE.h5]

Without a file the Hamiltonian is a random one of three sites whose pairs reach as far as those of
MoS2 in a double-zeta basis. Both sides run in turn, so that a busy machine slows both; medians
over the rounds and their ratio are printed. The reference, one eigh after another on prebuilt
H(k) and S(k) of 2n × 2n, does not pay for Bloch sums.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.linalg
from pymatgen.core import Lattice, Structure

from hamexplorer.cores import usable_cores
from hamexplorer.hamiltonian import (
    Basis,
    BlochSum,
    Hamiltonian,
    Pairs,
    Shell,
    SpinState,
    load_hamiltonian,
)
from hamexplorer.properties.parallel import single_threaded_blas
from hamexplorer.properties.solver import BandSolver
from hamexplorer.provenance import Provenance


def synthetic(orbitals: int, reach: int = 5, seed: int = 0) -> Hamiltonian:
    """Three sites in a hexagonal layer, random blocks to ±``reach`` cells."""
    rng = np.random.default_rng(seed)
    counts = [orbitals - 2 * (orbitals // 4), orbitals // 4, orbitals // 4]
    basis = Basis(("Mo", "S", "S"), tuple((Shell("s", 0),) * c for c in counts))
    lattice = Lattice.from_parameters(3.18, 3.18, 20, 90, 90, 120)
    structure = Structure(
        lattice, ["Mo", "S", "S"], [[0, 0, 0.5], [1 / 3, 2 / 3, 0.58], [1 / 3, 2 / 3, 0.42]]
    )
    cells = [(a, b, 0) for a in range(-reach, reach + 1) for b in range(-reach, reach + 1)]
    listed = [(i, j, cell) for i, j in itertools.product(range(3), repeat=2) for cell in cells]
    pairs = Pairs(*(np.array([row[a] for row in listed]) for a in range(3)), basis.sizes)
    transposed = pairs.transposition
    decay = np.exp(-np.linalg.norm(pairs.cell, axis=1))[pairs.element_pair]

    def random(sign: float) -> np.ndarray:
        flat = rng.normal(size=pairs.n_elements) * decay
        return flat + sign * flat[transposed]

    rows, columns = pairs.element_orbitals
    home = (rows == columns) & ~pairs.cell.any(axis=1)[pairs.element_pair]
    return Hamiltonian(
        structure,
        basis,
        pairs,
        random(1) * 0.002 + home,
        random(1),
        None,
        np.stack([random(-1) for _ in range(3)]) * 0.1,
        26.0,
        Provenance(source="benchmark", title="random blocks"),
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--orbitals", type=int, default=52)
    parser.add_argument("--kpoints", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    h = load_hamiltonian(arguments.file) if arguments.file else synthetic(arguments.orbitals)
    k = np.linspace([0, 0, 0], [0.5, 0.3, 0], arguments.kpoints)
    matrices = BlochSum(h, "cpu")(k)
    hk, sk = matrices.spinor().numpy(), matrices.spinor_overlap().numpy()
    kept = BandSolver(h, k)
    turns = itertools.cycle([SpinState(soc=x) for x in (0.3, 0.7, 1.1)])
    cases: dict[str, Callable[[], object]] = {
        "scipy eigh(H, S), prebuilt, vectors": lambda: [
            scipy.linalg.eigh(a, b) for a, b in zip(hk, sk, strict=True)
        ],
        "scipy eigh(H, S), prebuilt, values only": lambda: [
            scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(hk, sk, strict=True)
        ],
        "Bloch sum": lambda: BlochSum(h)(k),
        "Bloch sum + reduction": lambda: BandSolver(h, k),
        "Bloch sum + reduction + energies": lambda: BandSolver(h, k).energies(),
        "Bloch sum + reduction + states": lambda: BandSolver(h, k).states(),
        "λ moved: energies": lambda: kept.energies(next(turns)),
        "λ moved: states": lambda: kept.states(next(turns)),
    }
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, run in cases.items():
            with single_threaded_blas():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * 1e3 / len(k))
    median = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"{len(k)} k-points, matrices {2 * h.basis.n_orbitals} × {2 * h.basis.n_orbitals}, "
        f"{h.pairs.n_pairs} pairs, {usable_cores()} worker(s)"
    )
    for name, value in median.items():
        print(f"{name:42s} {value:8.3f} ms per k")
    vectors, values = list(median.values())[:2]
    print(
        f"ratio, states  / eigh with vectors: "
        f"{median['Bloch sum + reduction + states'] / vectors:.2f}"
    )
    print(
        f"ratio, energies / eigh values only: "
        f"{median['Bloch sum + reduction + energies'] / values:.2f}"
    )


if __name__ == "__main__":
    main()
