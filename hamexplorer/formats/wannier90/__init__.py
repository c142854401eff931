"""Wannier90's ``_hr.dat`` and ``_tb.dat``."""

from hamexplorer.formats.wannier90.reader import read_wannier90, recognises
from hamexplorer.formats.wannier90.writer import write_hr, write_tb

__all__ = ["read_wannier90", "recognises", "write_hr", "write_tb"]
