"""Shape anisotropy: the energy of point dipoles on the sites."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Structure
from scipy.special import erfc, erfcx

from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.structures.slab import slab_geometry

__all__ = ["dipolar_anisotropy", "dipole_tensor"]

DIPOLE_EV = 5.3681511206e-05
"""(μ₀/4π) µB²/Å³ in eV (CODATA 2018)."""
_REACH = 6.0
"""Terms are summed until exp(−36)."""


def dipolar_anisotropy(
    structure: Structure, moments: ArrayLike, directions: Directions
) -> NDArray[np.float64]:
    """Magnetostatic energy of collinear point dipoles along every direction, eV per cell, (nd,).

        E(n) = (μ₀/4π) ½ Σ_ij m_i m_j Σ'_R [1 − 3 (n·r̂)²] / r³,     r = r_j + R − r_i

    ``moments`` (n_sites,) are in µB, with a sign in antiferromagnets. A bulk crystal is summed by
    Ewald's method with a conducting boundary: the macroscopic demagnetising field, which depends
    on the sample's outer shape, is left out (a cubic lattice has no anisotropy then). A slab
    (:func:`~hamexplorer.structures.slab.slab_geometry`) is summed in its plane only, so that the
    layer's own shape anisotropy is included.

    Raises:
        SettingsError: not one finite moment per site.
    """
    try:
        m = np.asarray(moments, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"Moments must be numbers in µB, not {moments!r}.") from error
    if m.shape != (len(structure),) or not np.isfinite(m).all():
        raise SettingsError(
            f"Dipolar anisotropy needs one finite moment (µB) for each of the {len(structure)} "
            f"sites; given is an array of shape {m.shape}."
        )
    tensor = np.einsum("i,j,ijab->ab", m, m, dipole_tensor(structure))
    n = directions.vectors
    energies: NDArray[np.float64] = -0.5 * DIPOLE_EV * np.einsum("na,ab,nb->n", n, tensor, n)
    return energies


def dipole_tensor(structure: Structure) -> NDArray[np.float64]:
    """Σ'_R ∂_a ∂_b 1/r at r = r_j + R − r_i, 1/Å³, (n_sites, n_sites, 3, 3)."""
    positions = structure.cart_coords
    apart = positions[None, :] - positions[:, None]
    slab = slab_geometry(structure)
    lattice = np.asarray(structure.lattice.matrix)
    if slab is None:
        return _bulk(lattice, apart)
    first, second = slab.in_plane
    return _layer(lattice[[first, second]], apart)


def _bulk(lattice: NDArray[np.float64], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ewald's sum in three dimensions without its G = 0 term, made traceless.

    The trace 4π/V of a conducting boundary is the same for all pairs and directions.
    """
    volume = float(abs(np.linalg.det(lattice)))
    alpha = np.sqrt(np.pi) / volume ** (1 / 3)
    total = _short_ranged(lattice, apart, alpha)
    reciprocal = np.asarray(2 * np.pi * np.linalg.inv(lattice).T, dtype=np.float64)
    for g in _points(reciprocal, 2 * alpha * _REACH):
        square = g @ g
        if square < 1e-12:
            continue
        weight = 4 * np.pi / volume * np.exp(-square / (4 * alpha**2)) / square
        total -= weight * np.cos(apart @ g)[..., None, None] * np.outer(g, g)
    return total - 4 * np.pi / (3 * volume) * np.eye(3)


def _layer(plane: NDArray[np.float64], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over a plane lattice (D. E. Parry, Surf. Sci. 49, 433 (1975), differentiated).

    In the plane's own axes, z along its normal, with f± = e^{±Gz} erfc(G/2α ± αz):
    Σ_R erf(αr)/r = π/A Σ_G≠0 cos(G·ρ) (f₊ + f₋)/G − 2π/A [z erf(αz) + e^{−α²z²}/(α√π)].
    """
    normal = np.cross(plane[0], plane[1])
    area = float(np.linalg.norm(normal))
    x = plane[0] / np.linalg.norm(plane[0])
    axes = np.array([x, np.cross(normal / area, x), normal / area])
    flat, r = plane @ axes.T, apart @ axes.T
    alpha = np.sqrt(np.pi / area)
    total = _short_ranged(flat, r, alpha)
    z = r[..., 2]
    total[..., 2, 2] -= 2 * np.pi / area * 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * z) ** 2))
    reciprocal = np.zeros((2, 3))
    reciprocal[:, :2] = 2 * np.pi * np.linalg.inv(flat[:, :2]).T
    for g in _points(reciprocal, 2 * alpha * _REACH):
        length = float(np.linalg.norm(g))
        if length < 1e-9:
            continue
        plus = _scaled_erfc(length * z, length / (2 * alpha) + alpha * z)
        minus = _scaled_erfc(-length * z, length / (2 * alpha) - alpha * z)
        gauss = np.exp(-((length / (2 * alpha)) ** 2) - (alpha * z) ** 2)
        phase = r @ g
        value = np.cos(phase) * (plus + minus)
        slope = -np.sin(phase) * length * (plus - minus)
        bend = np.cos(phase) * (
            length**2 * (plus + minus) - 4 * alpha * length / np.sqrt(np.pi) * gauss
        )
        weight = np.pi / (area * length)
        total -= weight * value[..., None, None] * np.outer(g, g)
        for a in (0, 1):
            total[..., a, 2] += weight * g[a] * slope
            total[..., 2, a] += weight * g[a] * slope
        total[..., 2, 2] += weight * bend
    return axes.T @ total @ axes


def _scaled_erfc(exponent: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """e^exponent erfc(x) without overflow where x is large."""
    positive = np.maximum(x, 0.0)
    scaled = np.exp(np.minimum(exponent - positive**2, 700.0)) * erfcx(positive)
    plain = np.exp(np.minimum(exponent, 700.0)) * erfc(np.minimum(x, 0.0))
    return np.where(x > 0, scaled, plain)


def _short_ranged(
    lattice: NDArray[np.float64], apart: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Σ'_R ∂∂ erfc(αr)/r, and for i = j the term that takes R = 0 out of the rest."""
    total = np.zeros((*apart.shape[:2], 3, 3))
    reach = _REACH / alpha + float(np.linalg.norm(apart, axis=2).max())
    identity = np.eye(3)
    for vector in _points(lattice, reach):
        r = apart + vector
        distance = np.linalg.norm(r, axis=2)
        near = distance > 1e-9
        d = np.where(near, distance, 1.0)
        gauss = 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * d) ** 2))
        isotropic = -(erfc(alpha * d) / d + gauss) / d**2
        along = (3 * erfc(alpha * d) / d + gauss * (3 + 2 * (alpha * d) ** 2)) / d**4
        term = (
            isotropic[..., None, None] * identity
            + along[..., None, None] * r[..., :, None] * r[..., None, :]
        )
        total += np.where(near[..., None, None], term, 0.0)
    own = np.arange(len(total))
    total[own, own] += 4 * alpha**3 / (3 * np.sqrt(np.pi)) * identity
    return total


def _points(lattice: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Lattice vectors (rows of ``lattice`` span it) no longer than ``reach``, (n, 3)."""
    heights = np.linalg.norm(np.linalg.pinv(lattice), axis=0)
    ranges = [np.arange(-int(np.ceil(reach * h)), int(np.ceil(reach * h)) + 1) for h in heights]
    integers = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(lattice))
    vectors: NDArray[np.float64] = integers @ lattice
    return vectors[np.linalg.norm(vectors, axis=1) <= reach]
