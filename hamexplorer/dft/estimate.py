"""What a calculation will take, said before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hamexplorer.dft.kpoints import KMesh
from hamexplorer.dft.system import CrystalSystem

__all__ = ["Estimate", "estimate_cost"]

_EXPECTED_ITERATIONS = 16
_FLOPS_PER_CORE = 2.5e10
_FFT_SECONDS_PER_POINT = 1.6e-8
_BASE_MEMORY = 6e8


@dataclass(frozen=True)
class Estimate:
    """Expected wall seconds, peak bytes, and at how many k-points orbitals are kept."""

    seconds: float
    memory_bytes: float
    stored_kpoints: int
    description: str


def estimate_cost(
    system: CrystalSystem,
    mesh: tuple[int, int, int],
    kmesh: KMesh,
    final_kpoints: int,
    operations: int,
    single: bool,
    threads: int,
    memory_limit: float,
) -> Estimate:
    """Time and memory from orbitals n, grid points N, irreducible k-points and spins.

    Memory: orbitals on the grid (n N, complex) of as many k-points as fit under the limit, once
    more for work space, and the mixer's, the functional's and the symmetry's tables.
    """
    n = system.basis.n_orbitals
    points = float(np.prod(mesh)) * 1.0
    n_spin = 1 if system.moments is None else 2
    nk = len(kmesh.kpoints)
    orbital_bytes = n * points * (8 if single else 16)
    tables = points * (16 * 16 * n_spin + 8 * 40 + 4 * operations + 24 * operations / 4)
    if system.vacuum_axis is not None:
        tables += points * 2 * 120
    fixed = _BASE_MEMORY + 2 * orbital_bytes + tables
    stored = int(np.clip((memory_limit - fixed) // orbital_bytes, 0, nk))
    memory = fixed + stored * orbital_bytes
    rate = _FLOPS_PER_CORE * threads * (1.0 if single else 0.5)
    occupied = system.n_electrons / 2 * 1.2
    make = n * points * _FFT_SECONDS_PER_POINT * (1 if single else 2)
    per_k = n_spin * 8 * points * n * (n + occupied) / rate + n_spin * 25e-9 * n**3
    iterations = _EXPECTED_ITERATIONS * (1.5 if n_spin == 2 else 1.0)
    builds = stored + (nk - stored) * 2 * iterations
    seconds = (
        2
        + nk * iterations * per_k
        + builds * make
        + final_kpoints * (per_k + make)
        + iterations * points * n_spin * (2e-6 + 2e-8 * operations)
        + 0.05 * system.n_atoms
    )
    return Estimate(
        seconds,
        memory,
        stored,
        f"{system.n_atoms} atoms, {n} orbitals, {'×'.join(str(m) for m in mesh)} grid points, "
        f"{nk} irreducible k-points of {'×'.join(str(m) for m in kmesh.divisions)}: about "
        f"{_duration(seconds)} and {memory / 1e9:.1f} GB",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
