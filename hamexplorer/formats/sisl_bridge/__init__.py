"""Hamiltonians of sisl in memory, both ways."""

from hamexplorer.formats.sisl_bridge.incoming import from_sisl
from hamexplorer.formats.sisl_bridge.outgoing import to_sisl

__all__ = ["from_sisl", "to_sisl"]
