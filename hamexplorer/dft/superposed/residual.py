"""Fitted radial potentials U_E(r) of atoms in compounds, added to those of free atoms.

    U_E(r) = Σ_k u_Ek exp(−α_k r²) (1 − r²/R²)³  for r < R = 6.5 bohr, else 0

What superposed free atoms miss of the self-consistent potential is, for the most part, the same
around every atom of an element. The coefficients come from a linear fit to self-consistent
Hamiltonians (:mod:`.fit`), with their covariance, and lie in ``assets/dft/atomic_residuals.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.assets_path import asset
from hamexplorer.dft.atom_tables import FreeAtom
from hamexplorer.errors import FileFormatError

__all__ = [
    "EXPONENTS",
    "REACH",
    "AtomicResiduals",
    "atoms_digest",
    "load_residuals",
    "radial_functions",
    "save_residuals",
    "shipped_residuals",
    "with_residuals",
]

FORMAT, VERSION = "hamexplorer-atomic-residuals", 1
EXPONENTS: tuple[float, ...] = tuple(round(0.45 * 1.55**k, 6) for k in range(6))
"""α_k, 1/bohr², up to what the grid resolves. Broader ones fit better, but foretell worse: of
graphene, fitted to diamond, they made an error of 0.1 Ha far above the plane.
"""
REACH = 6.5
"""R, bohr."""
_MAX_BYTES = 10_000_000


@dataclass(frozen=True, eq=False)
class AtomicResiduals:
    """Coefficients by element.

    Attributes:
        coefficients: u_Ek, (n_exponents,), Ha.
        covariance: of an element's coefficients, (n_exponents, n_exponents), Ha².
        record: how it was made: structures, settings, errors by structure.
    """

    coefficients: Mapping[str, NDArray[np.float64]]
    covariance: Mapping[str, NDArray[np.float64]]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        n = len(EXPONENTS)
        for element, values in self.coefficients.items():
            covariance = self.covariance.get(element)
            if values.shape != (n,) or covariance is None or covariance.shape != (n, n):
                raise FileFormatError(
                    f"The fitted potential of {element} must have {n} coefficients and their "
                    "covariance."
                )
            if not (np.isfinite(values).all() and np.isfinite(covariance).all()):
                raise FileFormatError(f"The fitted potential of {element} is not finite.")

    @property
    def accuracy(self) -> str:
        """What the record says of levels near the gap, in words."""
        errors = self.record.get("near_gap_meV", {}).get("compound_left_out", {})
        if not errors:
            return "How far levels are off was not measured."
        means = sorted(mean for mean, _ in errors.values())
        return (
            f"Near the gap, levels are off by {means[len(means) // 2]:.0f} meV "
            f"({means[0]:.0f} … {means[-1]:.0f}, means over bands and k) in {len(means)} crystals "
            "that the fit had not seen."
        )

    def potential(self, element: str, radii: NDArray[np.float64]) -> NDArray[np.float64]:
        """U_E at ``radii`` (n,), bohr; Ha."""
        values: NDArray[np.float64] = self.coefficients[element] @ radial_functions(radii)
        return values

    def deviation(self, element: str, radii: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation of U_E at ``radii`` (n,), Ha.

        NaN for an element of one compound of the fit alone, whose covariance is stored as zeros: no
        fit without it tells anything of the element.
        """
        if not self.covariance[element].any():
            return np.full(len(radii), np.nan)
        f = radial_functions(radii)
        variance: NDArray[np.float64] = np.einsum("kr,kl,lr->r", f, self.covariance[element], f)
        return np.sqrt(np.maximum(variance, 0.0))


def radial_functions(radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(−α_k r²) (1 − r²/R²)³ at ``radii`` (n,), bohr: (n_exponents, n)."""
    window = np.maximum(1 - (radii / REACH) ** 2, 0.0) ** 3
    return np.exp(-np.outer(EXPONENTS, radii**2)) * window


def with_residuals(
    atoms: Mapping[str, FreeAtom], residuals: AtomicResiduals
) -> dict[str, FreeAtom]:
    """The atoms, U_E added to V_na where there is one; a table that ends before R is continued."""
    result = dict(atoms)
    for element, atom in atoms.items():
        if element in residuals.coefficients:
            radii = atom.radii
            longer = int(np.ceil(REACH / atom.step)) + 1 - len(radii)
            if longer > 0:
                atom = _extended(atom, longer)
                radii = atom.radii
            added = atom.potential + residuals.potential(element, radii)
            result[element] = replace(atom, potential=added)
    return result


def _extended(atom: FreeAtom, count: int) -> FreeAtom:
    """The atom with ``count`` further radii at which all is zero."""
    zeros = np.zeros(count)
    return replace(
        atom,
        density=np.append(atom.density, zeros),
        potential=np.append(atom.potential, zeros),
        magnetic=np.append(atom.magnetic, zeros),
    )


@lru_cache(maxsize=1)
def shipped_residuals() -> AtomicResiduals:
    """Those of ``assets/dft``.

    Raises:
        FileFormatError: they were fitted to other free atoms than those that are shipped.
    """
    residuals = load_residuals(asset("dft/atomic_residuals.json"))
    if residuals.record.get("atoms") != atoms_digest():
        raise FileFormatError(
            "The fitted potentials belong to other tables of free atoms; make them anew: "
            "hamexplorer atoms fit."
        )
    return residuals


@lru_cache(maxsize=1)
def atoms_digest() -> str:
    """First 16 digits of the SHA-256 of the shipped free atoms."""
    return hashlib.sha256(asset("dft/free_atoms.h5").read_bytes()).hexdigest()[:16]


def load_residuals(path: Path) -> AtomicResiduals:
    """Read a file of :func:`save_residuals`.

    Raises:
        FileFormatError: not such a file, another version or other exponents, damaged.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such file.")
    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"{path.name} is too large for a file of fitted potentials.")
    try:
        data = json.loads(path.read_text())
        if (data["format"], data["version"]) != (FORMAT, VERSION):
            raise FileFormatError(
                f"{path.name} is no file of fitted potentials of version {VERSION}."
            )
        if data["exponents"] != list(EXPONENTS):
            raise FileFormatError(f"{path.name} has other exponents than this version uses.")
        elements = data["elements"]
        return AtomicResiduals(
            {e: np.array(v["coefficients"], dtype=float) for e, v in elements.items()},
            {e: np.array(v["covariance"], dtype=float) for e, v in elements.items()},
            dict(data["record"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path.name} is damaged: it is no file of fitted potentials."
        ) from error


def save_residuals(residuals: AtomicResiduals, path: Path) -> None:
    """Write as JSON."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        "exponents": list(EXPONENTS),
        "elements": {
            element: {
                "coefficients": residuals.coefficients[element].tolist(),
                "covariance": residuals.covariance[element].tolist(),
            }
            for element in sorted(residuals.coefficients)
        },
        "record": dict(residuals.record),
    }
    path.write_text(json.dumps(data, indent=1) + "\n")
