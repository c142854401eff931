"""Opening a large OpenMX .scfout against reading its bytes: time and peak memory.

    python benchmarks/bench_scfout.py [--megabytes 500] [--orbitals 0] [--rounds 5] [--keep FILE]

The file is a supercell of the WSe2 calculation of tests/data/openmx, non-collinear with
spin–orbit; with ``--orbitals`` its blocks are enlarged to so many orbitals an atom (26: a large
basis), with small random elements. Each round is a process of its own that either reads the bytes
or opens the file; both in turn, medians and the ratio are printed. The file stays in the page
cache: the bytes are as cheap as they can be.
"""

from __future__ import annotations

import argparse
import lzma
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamexplorer.formats.openmx.scfout import LINE_BYTES, Scfout, parse_scfout

FIXTURE = Path(__file__).parents[1] / "tests/data/openmx/wse2_nc.scfout.xz"
SHELLS = {26: "s3p2d2f1", 19: "s3p2d2", 14: "s3p2d1", 13: "s2p2d1"}

READ = """
import sys, time; from pathlib import Path
start = time.perf_counter(); n = len(Path(sys.argv[1]).read_bytes())
print(time.perf_counter() - start, 0, n)
"""
OPEN = """
import resource, sys, time
from hamexplorer.formats import read_hamiltonian
import e3nn.o3, scipy.linalg, scipy.sparse.linalg, pymatgen.core, torch  # imported before the clock
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter(); h = read_hamiltonian(sys.argv[1])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, (peak - before) * 1024, h.pairs.n_elements)
"""


def supercell(raw: Scfout, n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Neighbours of every atom and their cells."""
    atoms = len(raw.n_orbitals)
    place = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1).reshape(-1, 2)
    shift = raw.cells[raw.copies][:, :2]
    target = place[:, None] + shift
    wrapped, cell = target % n, target // n
    neighbours = (wrapped[..., 0] * n + wrapped[..., 1]) * atoms + raw.neighbours
    return neighbours.ravel(), cell.reshape(-1, 2)


def write(path: Path, raw: Scfout, n: int, orbitals: int) -> None:
    """An scfout of ``n`` × ``n`` cells, with ``orbitals`` an atom (0: the fixture's)."""
    neighbours, cell = supercell(raw, n)
    cells, copies = np.unique(np.vstack([[0, 0], cell]), axis=0, return_inverse=True)
    # the first cell of a file is R = 0
    home = int(copies[0])
    cells[[0, home]] = cells[[home, 0]]
    swap = np.arange(len(cells))
    swap[[0, home]] = swap[[home, 0]]
    copies = swap[copies[1:]]
    sizes = raw.n_orbitals if not orbitals else np.full(3, orbitals, np.int32)
    blocks = _blocks(raw, sizes, bool(orbitals))
    lines = _input(raw, n, orbitals)
    place = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1).reshape(-1, 2)
    positions = (place @ raw.lattice[:2])[:, None] + raw.positions
    with path.open("wb") as file:

        def put(values: object, kind: str) -> None:
            file.write(np.ascontiguousarray(values, kind).tobytes())

        put([len(sizes) * n * n, 15, 0, 0, 0, len(cells) - 1, 1], "<i4")
        put(np.zeros((len(cells), 4)), "<f8")
        put(np.column_stack([0 * cells[:, 0], cells, 0 * cells[:, 0]]), "<i4")
        put(np.tile(sizes, n * n), "<i4")
        put(np.tile(raw.n_neighbours - 1, n * n), "<i4")
        put(neighbours + 1, "<i4")
        put(copies, "<i4")
        lattice = raw.lattice * np.array([n, n, 1])[:, None]
        put(np.column_stack([np.zeros(3), lattice]), "<f8")
        put(np.zeros((3, 4)), "<f8")
        put(np.column_stack([np.zeros(len(sizes) * n * n), positions.reshape(-1, 3)]), "<f8")
        for matrix in blocks:
            one_cell = b"".join(block.tobytes() for block in matrix)
            for _ in range(n * n):
                file.write(one_cell)
        put([3], "<i4")
        put([-0.2, 300, 0, 0, 0, 0, 0, 0, 24 * n * n, 0], "<f8")
        put([len(lines)], "<i4")
        file.write(b"".join(line.encode().ljust(LINE_BYTES, b"\0") for line in lines))


def _blocks(raw: Scfout, sizes: NDArray[np.int32], larger: bool) -> list[list[NDArray[np.float64]]]:
    """Every matrix of one cell as blocks: Hks, iHks, OLP, OLPpo, OLPmo, DM, iDM."""
    zero = np.zeros_like(raw.overlap)
    assert raw.imaginary is not None
    flats = [*raw.hamiltonian, *raw.imaginary, raw.overlap, *raw.position, *([zero] * 9)]
    first = np.repeat(np.arange(3), raw.n_neighbours)
    rows, columns = raw.n_orbitals[first], raw.n_orbitals[raw.neighbours]
    offsets = np.concatenate([[0], np.cumsum(rows * columns)])
    result = []
    for number, flat in enumerate(flats):
        blocks = []
        for p in range(len(first)):
            block = flat[offsets[p] : offsets[p + 1]].reshape(rows[p], columns[p])
            if larger:
                wide = np.zeros((sizes[first[p]], sizes[raw.neighbours[p]]))
                same = first[p] == raw.neighbours[p] and not raw.cells[raw.copies[p]].any()
                if same and number in (0, 1, 7):
                    wide += np.eye(len(wide))
                wide[: rows[p], : columns[p]] = block
                block = wide
            blocks.append(np.ascontiguousarray(block))
        result.append(blocks)
    return result


def _input(raw: Scfout, n: int, orbitals: int) -> list[str]:
    lines, inside = [], False
    for line in raw.input_lines:
        if line.startswith("Atoms.SpeciesAndCoordinates>"):
            inside = False
        if inside:
            continue
        if line.startswith("Atoms.Number"):
            line = f"Atoms.Number {3 * n * n}"
        for old in ("W7.0-s2p1d1", "Se7.0-s1p1") if orbitals else ():
            line = line.replace(old, f"{old.split('-')[0]}-{SHELLS[orbitals]}")
        lines.append(line)
        if line.startswith("<Atoms.SpeciesAndCoordinates"):
            inside = True
            lines += [f"{k + 1} {s} 0 0 0 0 0" for k, s in enumerate(("W", "Se", "Se") * (n * n))]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--orbitals", type=int, default=0, choices=[0, *SHELLS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    raw = parse_scfout(np.frombuffer(lzma.decompress(FIXTURE.read_bytes()), np.uint8), "fixture")
    elements = raw.overlap.size
    if given.orbitals:
        elements = len(raw.neighbours) * given.orbitals**2
    n = max(1, round((given.megabytes * 1e6 / (20 * 8 * elements)) ** 0.5))
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "large.scfout"
        write(path, raw, n, given.orbitals)
        size = path.stat().st_size
        times: dict[str, list[float]] = {"read": [], "open": []}
        peak = 0.0
        for _ in range(given.rounds):
            for name, code in (("read", READ), ("open", OPEN)):
                done = subprocess.run(
                    [sys.executable, "-c", code, str(path)], capture_output=True, text=True
                )
                if done.returncode:
                    raise SystemExit(done.stderr)
                seconds, memory, _ = map(float, done.stdout.split())
                times[name].append(seconds)
                peak = max(peak, memory)
    read, opened = (statistics.median(times[name]) for name in ("read", "open"))
    sizes = given.orbitals or "6 to 9"
    print(f"{size / 1e6:.0f} MB, {3 * n * n} atoms of {sizes} orbitals")
    print(f"reading the bytes {read:.2f} s, opening {opened:.2f} s: ratio {opened / read:.2f}")
    print(f"peak memory beyond the imports {peak / 1e6:.0f} MB: {peak / size:.2f} of the file")


if __name__ == "__main__":
    main()
