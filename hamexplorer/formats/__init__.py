"""Foreign files to and from a :class:`~hamexplorer.hamiltonian.Hamiltonian`."""

from hamexplorer.formats.bundle import Bundle, Member, bundle_of_bytes, bundle_of_path
from hamexplorer.formats.options import SPIN_ORDERS, ReadOptions, SpinOrder
from hamexplorer.formats.registry import (
    FORMATS,
    Format,
    read_bundle,
    read_hamiltonian,
    recognised,
)

__all__ = [
    "FORMATS",
    "SPIN_ORDERS",
    "Bundle",
    "Format",
    "Member",
    "ReadOptions",
    "SpinOrder",
    "bundle_of_bytes",
    "bundle_of_path",
    "read_bundle",
    "read_hamiltonian",
    "recognised",
]
