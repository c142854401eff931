"""What a source of Hamiltonians is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pymatgen.core import Structure

from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor

__all__ = ["Capability", "Cost", "Source"]


@dataclass(frozen=True)
class Capability:
    """What a source can answer.

    Attributes:
        elements: of the crystals that it takes.
        magnetism: whether it gives an exchange field.
        spin_orbit: whether it gives a spin-orbit part.
        max_atoms: in the cell.
        accuracy: what is known of it, in words.
        assessed: elements for which ``accuracy`` holds; None: all.
    """

    elements: frozenset[str]
    magnetism: bool
    spin_orbit: bool
    max_atoms: int
    accuracy: str
    assessed: frozenset[str] | None = None


@dataclass(frozen=True)
class Cost:
    """What a calculation is expected to take: seconds on this machine, bytes at its peak."""

    seconds: float
    memory_bytes: float
    description: str


@runtime_checkable
class Source(Protocol):
    """Answers "the Hamiltonian of this structure"."""

    @property
    def name(self) -> str:
        """Machine name, such as ``dft``."""
        ...

    @property
    def title(self) -> str:
        """What a person reads."""
        ...

    def capability(self) -> Capability:
        """Elements, magnetism, spin-orbit, size limit and stated accuracy."""
        ...

    def settings_key(self, structure: Structure) -> str | None:
        """JSON of all that determines the result besides the structure: for the cache.

        None: the result is not to be cached (reading it anew is as cheap).
        """
        ...

    def check(self, structure: Structure) -> None:
        """Raise a :class:`~hamexplorer.errors.HamexplorerError` if it cannot be computed."""
        ...

    def estimate(self, structure: Structure) -> Cost:
        """Time and memory that :meth:`compute` will take."""
        ...

    def compute(self, structure: Structure, monitor: Monitor | None = None) -> Hamiltonian:
        """The Hamiltonian, with provenance; reports to ``monitor`` and stops when it says so."""
        ...
