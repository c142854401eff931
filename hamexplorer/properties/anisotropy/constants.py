"""Anisotropy constants: the forms that the crystal's symmetry allows, fitted to energies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Structure
from scipy.optimize import minimize

from hamexplorer.errors import SettingsError
from hamexplorer.properties.anisotropy.crystal_axes import CrystalAxes, Form, crystal_axes
from hamexplorer.properties.anisotropy.directions import Directions, angles, unit_vectors
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, anisotropy_units

__all__ = ["AnisotropyConstants", "Easy", "fit_constants"]

Easy = Literal["axis", "plane", "cone", "isotropic"]
_Real = NDArray[np.float64]
_Term = tuple[str, str, Callable[[_Real], _Real]]

_DETERMINED = 1e-4
"""A term is fitted if at least this part of it is no sum of the terms before it."""
_ABSENT = 1e-6
"""A term that is nowhere larger than this on the sampled directions is not there."""
_DEGENERATE = 1e-3
"""Part of the whole anisotropy below which a variation with φ counts for none."""


@dataclass(frozen=True, eq=False)
class AnisotropyConstants:
    """E(n) = K₀ + Σ_i K_i f_i(n), meV per cell, fitted by least squares.

    Attributes:
        form: crystal system whose form was fitted.
        names: ``K1``, ``K2``, … of the fitted terms.
        terms: their functions in words, angles relative to ``frame``.
        values: K_i, meV per cell.
        errors: standard errors, meV; NaN where there are as many constants as directions.
        constant: K₀, meV, from the smallest of the fitted energies.
        residual_meV: root mean square deviation of the fit.
        undetermined: terms that the sampled directions cannot tell from those before them.
        frame: crystal axes as rows (3, 3), Cartesian.
        easy: whether the fitted surface is lowest along an axis, in a plane perpendicular to the
            main axis, on a cone around it, or nowhere in particular.
        easy_axis: a unit vector of the minimum, Cartesian, (3,).
        easy_energy: the minimum, meV, on the scale of ``energy``.
        hard_energy: the maximum, meV.
        n_sites: atoms per cell.
        volume: of the cell, Å³.
    """

    form: Form
    names: tuple[str, ...]
    terms: tuple[str, ...]
    values: _Real
    errors: _Real
    constant: float
    residual_meV: float
    undetermined: tuple[str, ...]
    frame: _Real
    easy: Easy
    easy_axis: _Real
    easy_energy: float
    hard_energy: float
    n_sites: int
    volume: float
    functions: tuple[Callable[[_Real], _Real], ...]

    def energy(self, theta: ArrayLike, phi: ArrayLike) -> _Real:
        """The fitted surface, meV per cell, at Cartesian θ and φ in degrees (broadcast)."""
        n = unit_vectors(theta, phi) @ self.frame.T
        return _surface(n, self.constant, self.values, self.functions)

    @property
    def easy_angles(self) -> tuple[float, float]:
        """θ and φ of the easy axis, degrees, Cartesian."""
        theta, phi = angles(self.easy_axis)
        return float(theta), float(phi)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per constant, in the units in use."""
        scale = anisotropy_units(1.0, self.n_sites, self.volume)
        return pd.DataFrame(
            {
                "name": self.names,
                "term": self.terms,
                "meV_per_cell": self.values,
                "error_meV": self.errors,
                "ueV_per_atom": self.values * scale["ueV_per_atom"],
                "MJ_per_m3": self.values * scale["MJ_per_m3"],
            }
        )


def fit_constants(result: AnisotropyEnergy, structure: Structure) -> AnisotropyConstants:
    """The anisotropy constants of ``structure``'s crystal system from ``result``.

    θ is counted from the crystal's main axis, φ from its in-plane axis, α_i are the direction
    cosines to its axes (:class:`~hamexplorer.properties.anisotropy.crystal_axes.CrystalAxes`):

    - tetragonal: K1 sin²θ + K2 sin⁴θ + K3 sin⁴θ cos 4φ
    - hexagonal: K1 sin²θ + K2 sin⁴θ + K3 sin⁶θ + K4 sin⁶θ cos 6φ
    - trigonal: as hexagonal, and Kt sin³θ cos θ cos 3φ
    - cubic: K1 (α₁²α₂² + α₂²α₃² + α₃²α₁²) + K2 α₁²α₂²α₃²
    - orthorhombic: Ka α_a² + Kb α_b²; lower: n·A·n with A_zz = 0.

    (R. R. Birss, Symmetry and Magnetism, 1964; crystals without a twofold axis across the main
    one have the sine of each cosine, too.) A term that the sampled directions cannot tell from
    those before it is left out: on an arc K3 sin⁴θ cos 4φ is part of K2.

    Raises:
        SettingsError: fewer than two directions that the symmetry does not connect.
    """
    axes = crystal_axes(structure)
    terms = _terms(axes)
    n = result.directions.vectors @ axes.frame.T
    target = result.relative_meV
    columns, kept, undetermined = [np.ones(len(n))], [], []
    for term in terms:
        column = term[2](n)
        basis = np.linalg.qr(np.array(columns).T)[0]
        rest = column - basis @ (basis.T @ column)
        scale = np.abs(column).max()
        if scale > _ABSENT and np.abs(rest).max() > _DETERMINED * scale and len(columns) < len(n):
            columns.append(column)
            kept.append(term)
        else:
            undetermined.append(term[0])
    if not kept:
        raise SettingsError(_too_few(axes, len(n)))
    design = np.array(columns).T
    solution = np.asarray(np.linalg.lstsq(design, target, rcond=None)[0], dtype=np.float64)
    deviation = target - design @ solution
    freedom = len(n) - len(solution)
    errors = np.full(len(solution), np.nan)
    if freedom > 0:
        variance = float(deviation @ deviation) / freedom
        errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    functions = tuple(term[2] for term in kept)
    constant, values = float(solution[0]), solution[1:]

    def surface(points: _Real) -> _Real:
        return _surface(points, constant, values, functions)

    easy, axis, lowest, highest = _easy(surface, axes)
    return AnisotropyConstants(
        form=axes.form,
        names=tuple(term[0] for term in kept),
        terms=tuple(term[1] for term in kept),
        values=values,
        errors=errors[1:],
        constant=constant,
        residual_meV=float(np.sqrt(np.mean(deviation**2))),
        undetermined=tuple(undetermined),
        frame=axes.frame,
        easy=easy,
        easy_axis=axis @ axes.frame,
        easy_energy=lowest,
        hard_energy=highest,
        n_sites=result.n_sites,
        volume=result.volume,
        functions=functions,
    )


def _too_few(axes: CrystalAxes, count: int) -> str:
    """What directions would determine constants of this form."""
    theta, phi = _distinct_directions(axes)
    listed = [", ".join(f"{x:.4g}" for x in some) for some in (theta, phi)]
    given = "given is one" if count == 1 else f"by it the {count} that are given count as one"
    return (
        "Anisotropy constants need the energies of at least two directions that the crystal's "
        f"{axes.form} symmetry does not connect, such as theta {listed[0]} with phi {listed[1]}; "
        f"{given}."
    )


def _distinct_directions(axes: CrystalAxes) -> tuple[list[float], list[float]]:
    """θ and φ, degrees, of directions of which no two are equivalent: of every one's equivalents
    the one with the least θ and φ.
    """
    if axes.form == "cubic":
        chosen = [(0, 0, 1), (1, 0, 1), (1, 1, 1)]
        orders = list(itertools.permutations(range(3)))
    else:
        chosen, orders = [(0, 0, 1), (1, 0, 0)], [(0, 1, 2)]
        if axes.form in ("orthorhombic", "general"):
            chosen.append((0, 1, 0))
    signs = np.array(list(itertools.product((1, -1), repeat=3)))
    found = []
    for one in chosen:
        images = np.concatenate([np.array(one)[list(order)] * signs for order in orders])
        theta, phi = angles(images @ axes.frame)
        # + 0.0: no minus zero; the outer remainder brings a rounded 360 to 0
        pairs = zip(theta.round(2) + 0.0, (phi % 360.0).round(2) % 360.0 + 0.0, strict=True)
        found.append(min(pairs))
    return [float(t) for t, _ in found], [float(p) for _, p in found]


def _surface(
    n: _Real, constant: float, values: _Real, functions: tuple[Callable[[_Real], _Real], ...]
) -> _Real:
    total: _Real = constant + sum(
        (k * f(n) for k, f in zip(values, functions, strict=True)), np.zeros(n.shape[:-1])
    )
    return total


# --- the forms; n (..., 3) are components along the crystal's axes ------------------------------


def _sine_power(n: _Real, power: int) -> _Real:
    """sin^2pθ for p = ``power``."""
    result: _Real = (n[..., 0] ** 2 + n[..., 1] ** 2) ** power
    return result


def _harmonic(n: _Real, order: int, part: Literal["cos", "sin"], polar: int = 0) -> _Real:
    """sin^mθ cos mφ (or sin mφ) cos^pθ, m = ``order``, p = ``polar``: Re, Im (n_x + i n_y)^m."""
    power = (n[..., 0] + 1j * n[..., 1]) ** order
    result: _Real = (power.real if part == "cos" else power.imag) * n[..., 2] ** polar
    return result


def _quadratic(n: _Real, a: int, b: int) -> _Real:
    """n_a n_b, counted twice if a ≠ b."""
    result: _Real = n[..., a] * n[..., b] * (1 if a == b else 2)
    return result


def _cubic(n: _Real, order: int) -> _Real:
    """α₁²α₂² + α₂²α₃² + α₃²α₁² (first order), α₁²α₂²α₃² (second)."""
    x, y, z = np.moveaxis(n**2, -1, 0)
    result: _Real = x * y + y * z + z * x if order == 1 else x * y * z
    return result


def _terms(axes: CrystalAxes) -> list[_Term]:
    if axes.form == "cubic":
        return [
            ("K1", "α₁²α₂² + α₂²α₃² + α₃²α₁²", partial(_cubic, order=1)),
            ("K2", "α₁²α₂²α₃²", partial(_cubic, order=2)),
        ]
    if axes.form == "orthorhombic":
        return [
            ("Ka", "α_a²", partial(_quadratic, a=0, b=0)),
            ("Kb", "α_b²", partial(_quadratic, a=1, b=1)),
        ]
    if axes.form == "general":
        return [
            ("Axx", "n_x²", partial(_quadratic, a=0, b=0)),
            ("Ayy", "n_y²", partial(_quadratic, a=1, b=1)),
            ("Axy", "2 n_x n_y", partial(_quadratic, a=0, b=1)),
            ("Ayz", "2 n_y n_z", partial(_quadratic, a=1, b=2)),
            ("Axz", "2 n_x n_z", partial(_quadratic, a=0, b=2)),
        ]
    terms: list[_Term] = [
        ("K1", "sin²θ", partial(_sine_power, power=1)),
        ("K2", "sin⁴θ", partial(_sine_power, power=2)),
    ]
    if axes.form == "tetragonal":
        return terms + _around("K3", "sin⁴θ", 4, axes)
    if axes.form == "trigonal":
        terms += _around("Kt", "sin³θ cos θ", 3, axes, polar=1)
    terms.append(("K3", "sin⁶θ", partial(_sine_power, power=3)))
    return terms + _around("K4", "sin⁶θ", 6, axes)


def _around(
    name: str, polar_part: str, order: int, axes: CrystalAxes, polar: int = 0
) -> list[_Term]:
    """The term with cos mφ and, without a twofold axis across, the one with sin mφ."""
    parts: tuple[Literal["cos", "sin"], ...] = ("cos",) if axes.has_twofold else ("cos", "sin")
    return [
        (
            name + ("'" if part == "sin" else ""),
            f"{polar_part} {part} {order}φ",
            partial(_harmonic, order=order, part=part, polar=polar),
        )
        for part in parts
    ]


# --- the minimum --------------------------------------------------------------------------------


def _easy(surface: Callable[[_Real], _Real], axes: CrystalAxes) -> tuple[Easy, _Real, float, float]:
    """Kind, direction (in the crystal's axes) and energy of the minimum, and the maximum."""
    grid = np.concatenate([Directions.sphere(4000).vectors, np.eye(3)])
    values = surface(grid)
    lowest, axis = _polished(surface, grid[np.argmin(values)])
    highest = -_polished(lambda n: -surface(n), grid[np.argmax(values)])[0]
    if highest - lowest < 1e-9:
        return "isotropic", np.array([0.0, 0.0, 1.0]), lowest, highest
    kind: Easy = "axis"
    if axes.form in ("tetragonal", "hexagonal", "trigonal"):
        across = float(np.hypot(axis[0], axis[1]))
        theta = np.degrees(np.arctan2(across, axis[2]))
        around = surface(unit_vectors(theta, np.arange(0.0, 360.0, 5.0)))
        if across > 0.02 and np.ptp(around) < _DEGENERATE * (highest - lowest):
            kind = "plane" if abs(axis[2]) < 0.02 else "cone"
    rounded = axis.round(6)
    return kind, axis * np.sign(rounded[np.flatnonzero(rounded)[-1]]), lowest, highest


def _polished(surface: Callable[[_Real], _Real], start: _Real) -> tuple[float, _Real]:
    """The minimum next to ``start`` on the sphere; ``start`` itself where nothing is lower."""

    def value(x: _Real) -> float:
        return float(surface(x / np.linalg.norm(x)))

    found = minimize(value, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    best = found.x / np.linalg.norm(found.x)
    nearest = np.eye(3)[np.argmax(np.abs(best))]
    # a symmetry axis within the search's accuracy is that axis
    if value(nearest) <= value(best) + 1e-12 or value(start) <= value(best):
        best = nearest if value(nearest) <= value(start) else start
    return value(best), best
