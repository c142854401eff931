"""Siesta's ``.HSX``, ``.TSHS`` and ``.nc``."""

from hamexplorer.formats.siesta.reader import read, recognises

__all__ = ["read", "recognises"]
