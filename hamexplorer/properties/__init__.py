"""Properties: a Hamiltonian and parameters in, a small frozen result out."""

from hamexplorer.properties.bands import BandStructure, MeshBands, band_structure, bands_on_mesh
from hamexplorer.properties.decay import BlockDecay, block_decay
from hamexplorer.properties.derivative import BlochDerivative, BlochGradient
from hamexplorer.properties.dos import DensityOfStates, density_of_states
from hamexplorer.properties.fermi import FermiLevel, FermiSolver, fermi_level
from hamexplorer.properties.gap import Gap, Splitting, Splittings, gap, splittings
from hamexplorer.properties.large_cells import is_large, labelled_points, near_gap_bands
from hamexplorer.properties.masses import EffectiveMass, effective_masses, masses_dataframe
from hamexplorer.properties.mesh import KMesh, automatic_mesh
from hamexplorer.properties.near_gap import NearGap, near_gap_states
from hamexplorer.properties.solver import BandSolver, BandStates
from hamexplorer.properties.velocity import GroupVelocity, group_velocity
from hamexplorer.properties.weights import (
    GROUPINGS,
    OrbitalGroups,
    band_weights,
    orbital_groups,
    spin_expectation,
)

__all__ = [
    "GROUPINGS",
    "BandSolver",
    "BandStates",
    "BandStructure",
    "BlochDerivative",
    "BlochGradient",
    "BlockDecay",
    "DensityOfStates",
    "EffectiveMass",
    "FermiLevel",
    "FermiSolver",
    "Gap",
    "GroupVelocity",
    "KMesh",
    "MeshBands",
    "NearGap",
    "OrbitalGroups",
    "Splitting",
    "Splittings",
    "automatic_mesh",
    "band_structure",
    "band_weights",
    "bands_on_mesh",
    "block_decay",
    "density_of_states",
    "effective_masses",
    "fermi_level",
    "gap",
    "group_velocity",
    "is_large",
    "labelled_points",
    "masses_dataframe",
    "near_gap_bands",
    "near_gap_states",
    "orbital_groups",
    "spin_expectation",
    "splittings",
]
