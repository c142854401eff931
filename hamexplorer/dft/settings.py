"""Settings of the embedded engine; ``None`` is chosen from the structure, and recorded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from hamexplorer.errors import SettingsError

__all__ = ["DftSettings"]

Electrostatics = Literal["auto", "periodic", "slab"]
Precision = Literal["single", "double"]
Spin = Literal["auto", "none", "collinear"]


@dataclass(frozen=True)
class DftSettings:
    """What the embedded engine can be told.

    Attributes:
        basis: name in the registry of :mod:`hamexplorer.dft.basis_sets`.
        kmesh: divisions of the Γ-centred mesh of the SCF; None: by ``kspacing``.
        kspacing: largest distance of mesh points, 1/Å (2π included).
        cutoff: kinetic-energy cutoff of the real-space grid, Ha; None: from the elements.
        smearing: Fermi-Dirac width kT, Ha.
        spin: ``auto``: collinear if the structure carries moments (``magmom``).
        electrostatics: ``slab``: open boundary along the vacuum; ``auto``: for slabs only.
        spin_orbit: whether Λ is built.
        symmetry: use the space group to reduce k-points.
        precision: of the orbitals on the grid.
        energy_tolerance: Ha per cell between iterations.
        density_tolerance: electrons per cell, ∫|ρ_out − ρ_in|, per electron.
        max_iterations: of the SCF.
        range_angstrom: to which distance blocks are guaranteed to be kept free of aliasing.
        memory_limit: bytes; the calculation refuses to start if its estimate exceeds it.
        max_atoms: largest cell.
        threads: BLAS, FFT and integral threads; None: all cores given to the process.

    Raises:
        SettingsError: a value outside its range, named.
    """

    basis: str = "gth-dzvp-molopt-sr"
    kmesh: tuple[int, int, int] | None = None
    kspacing: float = 0.35
    cutoff: float | None = None
    smearing: float = 0.002
    spin: Spin = "auto"
    electrostatics: Electrostatics = "auto"
    spin_orbit: bool = True
    symmetry: bool = True
    precision: Precision = "single"
    energy_tolerance: float = 1e-6
    density_tolerance: float = 2e-5
    max_iterations: int = 80
    range_angstrom: float = 11.5
    memory_limit: float = 8e9
    max_atoms: int = 100
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.kmesh is not None:
            mesh = tuple(self.kmesh) if isinstance(self.kmesh, Iterable) else ()
            if len(mesh) != 3 or any(
                not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 64 for n in mesh
            ):
                raise SettingsError(
                    f"kmesh must be three whole numbers from 1 to 64, not {self.kmesh!r}."
                )
            object.__setattr__(self, "kmesh", mesh)
        for name, low, high, unit in (
            ("kspacing", 0.02, 5.0, "1/Å"),
            ("cutoff", 10.0, 2000.0, "Ha"),
            ("smearing", 1e-6, 0.1, "Ha"),
            ("energy_tolerance", 1e-12, 1e-3, "Ha"),
            ("density_tolerance", 1e-12, 1e-2, "electrons"),
            ("range_angstrom", 4.0, 40.0, "Å"),
            ("memory_limit", 1e8, 1e13, "bytes"),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, int | float) and math.isfinite(value)
            if not number or not low <= value <= high:
                raise SettingsError(f"{name} must lie in {low:g} … {high:g} {unit}, not {value!r}.")
        for name, low_count, high_count in (("max_iterations", 1, 1000), ("max_atoms", 1, 2000)):
            count = getattr(self, name)
            if not isinstance(count, int) or not low_count <= count <= high_count:
                raise SettingsError(
                    f"{name} must be a whole number from {low_count} to {high_count}, "
                    f"not {count!r}."
                )
        if self.threads is not None and (
            not isinstance(self.threads, int) or not 1 <= self.threads <= 1024
        ):
            raise SettingsError(
                f"threads must be a whole number from 1 to 1024, not {self.threads!r}."
            )
        for name, kind in (
            ("spin", Spin),
            ("electrostatics", Electrostatics),
            ("precision", Precision),
        ):
            if getattr(self, name) not in get_args(kind):
                raise SettingsError(
                    f"{name} must be one of {', '.join(get_args(kind))}, not "
                    f"{getattr(self, name)!r}."
                )

    def physical(self) -> dict[str, Any]:
        """The settings that determine the result, for the cache and provenance."""
        data = asdict(self)
        for name in ("memory_limit", "max_atoms", "threads", "max_iterations"):
            del data[name]
        return data
