"""Who answers "the Hamiltonian of this structure", and the disk cache before them."""

from hamexplorer.sources.cache import CacheEntry, HamiltonianCache, default_cache_root
from hamexplorer.sources.compute import compute
from hamexplorer.sources.dft import DftSource
from hamexplorer.sources.file import FileSource
from hamexplorer.sources.protocol import Capability, Cost, Source
from hamexplorer.sources.registry import make_source, source_names
from hamexplorer.sources.superposed import SuperposedSource

__all__ = [
    "CacheEntry",
    "Capability",
    "Cost",
    "DftSource",
    "FileSource",
    "HamiltonianCache",
    "Source",
    "SuperposedSource",
    "compute",
    "default_cache_root",
    "make_source",
    "source_names",
]
