"""ABACUS's sparse matrices in text."""

from hamexplorer.formats.abacus.reader import read, recognises

__all__ = ["read", "recognises"]
