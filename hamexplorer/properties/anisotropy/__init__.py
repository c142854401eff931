"""Magnetocrystalline anisotropy by the magnetic force theorem."""

from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.force_theorem import magnetic_anisotropy
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, anisotropy_units
from hamexplorer.properties.anisotropy.second_variation import SecondVariation

__all__ = [
    "AnisotropyEnergy",
    "Directions",
    "SecondVariation",
    "anisotropy_units",
    "magnetic_anisotropy",
]
