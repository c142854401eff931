"""Wannier90's ``_hr.dat`` and ``_tb.dat``."""

from hamexplorer.formats.wannier90.reader import read_wannier90, recognises

__all__ = ["read_wannier90", "recognises"]
