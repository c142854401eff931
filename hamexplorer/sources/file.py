"""A Hamiltonian that was computed before, in a file of any known format, as a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from hamexplorer.errors import ResourceLimitError, StructureError
from hamexplorer.formats import ReadOptions, read_hamiltonian
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources.protocol import Capability, Cost

__all__ = ["MAX_FILE_BYTES", "FileSource", "same_crystal"]

MAX_FILE_BYTES = 4e9
"""Largest file that is opened."""
_POSITION_TOLERANCE = 1e-3  # Å


@dataclass(frozen=True, eq=False)
class FileSource:
    """Answers for the one structure that stands in the file, folder or archive at ``path``.

    It is read once, at first use; ``options`` are facts that it does not tell.

    Raises:
        FileFormatError: it is missing, damaged, or of an unknown format (at first use).
        ResourceLimitError: it is larger than :data:`MAX_FILE_BYTES` (at first use).
        SettingsError: an option does not fit it (at first use).
    """

    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)
    name: str = field(default="file", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def title(self) -> str:
        """``File MoS2.h5``."""
        return f"File {self.path.name}"

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        """What the file holds."""
        if self.path.is_file() and self.path.stat().st_size > MAX_FILE_BYTES:
            raise ResourceLimitError(
                f"{self.path.name} has {self.path.stat().st_size / 1e9:.1f} GB; files up to "
                f"{MAX_FILE_BYTES / 1e9:.0f} GB are read."
            )
        return read_hamiltonian(self.path, self.options)

    def capability(self) -> Capability:
        """That of the stored Hamiltonian."""
        h = self.hamiltonian
        return Capability(
            elements=frozenset(h.basis.symbols),
            magnetism=h.is_magnetic,
            spin_orbit=h.has_spin_orbit,
            max_atoms=h.basis.n_sites,
            accuracy=h.provenance.title,
        )

    def settings_key(self, structure: Structure) -> None:
        """None: a file is not copied into the cache."""

    def check(self, structure: Structure) -> None:
        """Raise :class:`~hamexplorer.errors.StructureError` unless the file holds ``structure``."""
        stored = self.hamiltonian.structure
        if not same_crystal(stored, structure):
            raise StructureError(
                f"{self.path.name} holds the Hamiltonian of {stored.composition.formula} "
                f"({len(stored)} sites) in another cell or at other positions than the structure "
                f"asked for, {structure.composition.formula} ({len(structure)} sites)."
            )

    def estimate(self, structure: Structure) -> Cost:  # noqa: ARG002 - the protocol's
        """The time of reading; memory is about three times the file (ours is compressed)."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        return Cost(size / 100e6, 3.0 * size, f"reads {size / 1e6:.1f} MB")

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """The stored Hamiltonian, if it is that of ``structure``."""
        (monitor or Monitor()).report("Reading", 0.0, self.path.name)
        self.check(structure)
        return self.hamiltonian


def same_crystal(first: Structure, second: Structure) -> bool:
    """Whether cell, species and positions are the same within 1e-3 Å, in the same order."""
    if [s.species_string for s in first] != [s.species_string for s in second]:
        return False
    if np.abs(first.lattice.matrix - second.lattice.matrix).max() > _POSITION_TOLERANCE:
        return False
    return bool(np.abs(first.cart_coords - second.cart_coords).max() <= _POSITION_TOLERANCE)
