"""OpenMX's ``.scfout``."""

from hamexplorer.formats.openmx.reader import read_scfout, recognises

__all__ = ["read_scfout", "recognises"]
