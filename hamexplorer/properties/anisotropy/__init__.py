"""Magnetocrystalline anisotropy by the magnetic force theorem."""

from hamexplorer.properties.anisotropy.constants import AnisotropyConstants, fit_constants
from hamexplorer.properties.anisotropy.convergence import AnisotropyConvergence, convergence
from hamexplorer.properties.anisotropy.dipolar import dipolar_anisotropy
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.force_theorem import magnetic_anisotropy
from hamexplorer.properties.anisotropy.noncollinear import collinear_field
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, anisotropy_units
from hamexplorer.properties.anisotropy.second_variation import SecondVariation
from hamexplorer.properties.anisotropy.sites import SiteAnisotropy, site_resolution
from hamexplorer.properties.anisotropy.torque import Torque, torque

__all__ = [
    "AnisotropyConstants",
    "AnisotropyConvergence",
    "AnisotropyEnergy",
    "Directions",
    "SecondVariation",
    "SiteAnisotropy",
    "Torque",
    "anisotropy_units",
    "collinear_field",
    "convergence",
    "dipolar_anisotropy",
    "fit_constants",
    "magnetic_anisotropy",
    "site_resolution",
    "torque",
]
