"""How coarse the uniform grid may be: an estimate of its error from the free atoms alone.

A sum over a uniform grid takes every wave K of the grid's own reciprocal lattice for a constant,
so that an integrand f about an atom at R is in error by Σ_{K≠0} f(K) e^{iK·R} (Poisson). With the
spherical averages of an orbital's square n(r), with the window w of the quadrature and the atom's
own potential,

    f(r) = [1 − w(r)] [(V_na + ∂f_xc/∂ρ) n + (∂f_xc/∂∇ρ)_r n′]
    f(K) = 4π ∫ f(r) sin(Kr)/(Kr) r² dr

bound it by Σ_K |f(K)|. The estimate is twice the largest bound of the element's orbitals, as
products of two orbitals and their anisotropy are not looked at. Measured in MoS2, hBN, graphene,
Si, InSb and Bi2Se3, the largest error of all matrix elements is 0.15 to 0.95 times the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hamexplorer.dft.atom_tables import FreeAtom
from hamexplorer.dft.superposed.quadrature import window_radius
from hamexplorer.dft.superposed.radial import slope_over_radius
from hamexplorer.dft.superposed.semilocal import pbe_derivatives
from hamexplorer.dft.superposed.tiles import uniform_grid
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError
from hamexplorer.units import BOHR_ANGSTROM, HARTREE_EV

__all__ = ["check_spacing", "coarsest_spacing", "grid_errors"]

_SPACINGS = np.round(np.arange(0.5, 0.049, -0.01), 2)


def grid_errors(
    system: CrystalSystem, atoms: Mapping[str, FreeAtom], spacing: float
) -> dict[str, float]:
    """Estimated largest error of a matrix element by element of the system, meV.

    ``spacing`` in bohr.
    """
    return _errors(system, atoms, _integrands(system, atoms), spacing)


def coarsest_spacing(
    system: CrystalSystem, atoms: Mapping[str, FreeAtom], tolerance: float
) -> float:
    """The largest spacing from 0.05 to 0.5 bohr with an estimate up to ``tolerance`` (meV).

    Raises:
        SettingsError: none has.
    """
    integrands = _integrands(system, atoms)
    for spacing in _SPACINGS.tolist():
        if max(_errors(system, atoms, integrands, spacing).values()) <= tolerance:
            return float(spacing)
    raise SettingsError(
        f"No grid of {0.05 * BOHR_ANGSTROM:.3f} Å or coarser has an error up to {tolerance:g} meV "
        "for these elements."
    )


def check_spacing(
    system: CrystalSystem, atoms: Mapping[str, FreeAtom], spacing: float, tolerance: float
) -> None:
    """Refuse a grid whose estimated error exceeds ``tolerance`` (meV).

    Raises:
        SettingsError: with the element, the estimate and the spacing that would do.
    """
    errors = grid_errors(system, atoms, spacing)
    worst = max(errors, key=lambda symbol: errors[symbol])
    if errors[worst] > tolerance:
        # rounded down, so that what is told is accepted
        enough = np.floor(1e3 * BOHR_ANGSTROM * coarsest_spacing(system, atoms, tolerance)) / 1e3
        raise SettingsError(
            f"A grid of {spacing * BOHR_ANGSTROM:.3g} Å is too coarse: matrix elements of {worst} "
            f"would be in error by up to about {errors[worst]:.0f} meV (accepted: {tolerance:g} "
            f"meV). {enough:g} Å would do."
        )


def _errors(
    system: CrystalSystem,
    atoms: Mapping[str, FreeAtom],
    integrands: Mapping[str, NDArray[np.float64]],
    spacing: float,
) -> dict[str, float]:
    aliases = np.round(uniform_grid(system, spacing).aliases, 6)
    waves, copies = np.unique(aliases, return_counts=True)
    errors = {}
    for symbol, functions in integrands.items():
        radii, step = atoms[symbol].radii, atoms[symbol].step
        kernel = 4 * np.pi * step * np.sinc(np.outer(waves, radii) / np.pi) * radii**2
        bounds = np.abs(functions @ kernel.T) @ copies
        errors[symbol] = 2e3 * HARTREE_EV * float(bounds.max())
    return errors


def _integrands(
    system: CrystalSystem, atoms: Mapping[str, FreeAtom]
) -> dict[str, NDArray[np.float64]]:
    """f(r) of each shell by element, (n_shells, n_radii)."""
    window = window_radius(system)
    result = {}
    for symbol, shells in system.shells.items():
        atom, radii = atoms[symbol], atoms[symbol].radii
        gradient = np.zeros((1, 3, len(radii)))
        gradient[0, 2] = slope_over_radius(atom.density, atom.step) * radii
        local, flux = pbe_derivatives(atom.density[None], gradient)
        functions = []
        for shell, exponents, coefficients in zip(
            shells.shells, shells.exponents, shells.coefficients, strict=True
        ):
            orbital = radii**shell.l * (coefficients @ np.exp(-np.outer(exponents, radii**2)))
            square = orbital**2 / (4 * np.pi)
            slope = np.gradient(square, atom.step)
            functions.append((atom.potential + local[0]) * square + flux[0, 2] * slope)
        result[symbol] = np.array(functions) * (1 - np.exp(-((radii / window) ** 4)))
    return result
