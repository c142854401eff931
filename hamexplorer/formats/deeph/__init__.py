"""DeepH's sets of files.

New layout (DeepH-pack 2, "DeepX"): ``POSCAR``, ``info.json``, ``overlap.h5``, ``hamiltonian.h5``.
Old layout (DeepH-pack 1, DeepH-E3, xDeepH): ``lat.dat``, ``site_positions.dat``, ``element.dat``,
``orbital_types.dat``, ``info.json``, ``overlaps.h5``, ``hamiltonians.h5``.

Proven by the DeepH group's own converter (deepx-dock 0.9.11), whose sets of both layouts, made
from OpenMX's files, are read here with OpenMX's eigenvalues: the data sets and their shapes, rows
= orbitals of i in cell 0 and columns = those of j in cell R, eV, spin-major spinors inside a
block, one-based sites and lattice vectors in columns in the old layout, m = −l … l in the new one
and OpenMX's order in the old one, a collinear calculation as spinors of real numbers, the meaning
of ``occupation`` (electrons per cell, both spins).

From memory of DeepH-pack 1 alone: the names ``hamiltonians_pred.h5``, ``rh.h5`` (blocks in local
frames) and ``R_list.dat``, and that predictions need not be Hermitian to the last digits.
"""

from hamexplorer.formats.deeph.fileset import recognises
from hamexplorer.formats.deeph.reader import read
from hamexplorer.formats.deeph.writer import write_new, write_old

__all__ = ["read", "recognises", "write_new", "write_old"]
