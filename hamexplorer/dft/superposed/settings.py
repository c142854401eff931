"""Settings of the engine of superposed atoms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hamexplorer.dft.settings import DftSettings, Electrostatics, Spin
from hamexplorer.errors import SettingsError

__all__ = ["SuperposedSettings"]


@dataclass(frozen=True)
class SuperposedSettings:
    """What the engine of superposed atoms can be told.

    Attributes:
        basis: name in the registry of :mod:`hamexplorer.dft.basis_sets`.
        spacing: of the real-space grid, at most, Å; None: as coarse as an estimated error of 2 meV
            of any matrix element allows.
        residual: add the fitted potentials of :mod:`.residual`, where an element has one.
        spin: ``auto``: collinear if the structure carries moments (``magmom``).
        electrostatics: ``slab``: nothing is periodic along the vacuum; ``auto``: for slabs only.
        spin_orbit: whether Λ is built.
        overlap_tolerance: pairs are left out whose orbitals overlap less than that.
        position_atoms: the largest cell that gets position matrix elements, which Berry
            curvatures and optical elements use.
        memory_limit: bytes; the calculation refuses to start if its estimate exceeds it.
        max_atoms: largest cell.
        threads: None: all cores given to the process.

    Raises:
        SettingsError: a value outside its range, named.
    """

    basis: str = "gth-dzvp-molopt-sr"
    spacing: float | None = None
    residual: bool = True
    spin: Spin = "auto"
    electrostatics: Electrostatics = "auto"
    spin_orbit: bool = True
    overlap_tolerance: float = 1e-9
    position_atoms: int = 60
    memory_limit: float = 1.2e10
    max_atoms: int = 2000
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("spacing", 0.03, 0.5, "Å"),
            ("overlap_tolerance", 1e-15, 1e-4, ""),
            ("memory_limit", 1e8, 1e13, "bytes"),
        ):
            value = getattr(self, name)
            if value is None and name == "spacing":
                continue
            if not isinstance(value, int | float) or not low <= value <= high:
                raise SettingsError(
                    f"{name} must lie in {low:g} … {high:g} {unit}".rstrip() + f", not {value!r}."
                )
        for name, lowest, highest in (("position_atoms", 0, 5000), ("max_atoms", 1, 5000)):
            count = getattr(self, name)
            if type(count) is not int or not lowest <= count <= highest:
                raise SettingsError(
                    f"{name} must be a whole number from {lowest} to {highest}, not {count!r}."
                )
        for name in ("residual", "spin_orbit"):
            if type(getattr(self, name)) is not bool:
                raise SettingsError(f"{name} must be true or false, not {getattr(self, name)!r}.")
        _ = self.crystal  # checks what is the same there

    @property
    def crystal(self) -> DftSettings:
        """What the two engines' view of a crystal shares."""
        return DftSettings(
            basis=self.basis,
            spin=self.spin,
            electrostatics=self.electrostatics,
            spin_orbit=self.spin_orbit,
            threads=self.threads,
        )

    def physical(self) -> dict[str, Any]:
        """The settings that determine the result, for the cache and provenance."""
        data = asdict(self)
        for name in ("memory_limit", "max_atoms", "threads"):
            del data[name]
        return data
