"""The Hamiltonian: basis, pairs, blocks, Bloch sums, HDF5 in and out."""

from hamexplorer.hamiltonian.basis import ORBITAL_NAMES, Basis, Shell
from hamexplorer.hamiltonian.bloch import (
    BlochMatrices,
    BlochSum,
    PairSum,
    checked_kpoints,
    default_device,
    spinor_matrix,
)
from hamexplorer.hamiltonian.components import COMPONENTS, transposition_sign
from hamexplorer.hamiltonian.core import Hamiltonian
from hamexplorer.hamiltonian.hdf5 import load_hamiltonian, save_hamiltonian
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.hamiltonian.spin import SpinState

__all__ = [
    "COMPONENTS",
    "ORBITAL_NAMES",
    "Basis",
    "BlochMatrices",
    "BlochSum",
    "Hamiltonian",
    "PairSum",
    "Pairs",
    "Shell",
    "SpinState",
    "checked_kpoints",
    "default_device",
    "load_hamiltonian",
    "save_hamiltonian",
    "spinor_matrix",
    "transposition_sign",
]
