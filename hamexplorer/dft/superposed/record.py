"""The record of a calculation with superposed atoms, and what is known of its error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from pymatgen.core import Structure

from hamexplorer.assets_path import asset
from hamexplorer.dft.basis_sets import BASIS_SETS, PSEUDOPOTENTIAL
from hamexplorer.dft.superposed.residual import AtomicResiduals, atoms_digest, shipped_residuals
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp
from hamexplorer.units import BOHR_ANGSTROM

__all__ = [
    "ENGINE_VERSION",
    "accuracy",
    "has_unlike_layers",
    "layers",
    "provenance",
    "tables_hash",
]

ENGINE_VERSION = "1"
"""Raised whenever the same settings would give another result; part of the cache's key."""

_LAYER_GAP = 2.0
"""Å; the planes of a layer are nearer to each other."""
_CITATIONS = (
    "O. F. Sankey, D. J. Niklewski, Phys. Rev. B 40, 3979 (1989)",
    "J. M. Soler et al., J. Phys.: Condens. Matter 14, 2745 (2002)",
    "S. Goedecker, M. Teter, J. Hutter, Phys. Rev. B 54, 1703 (1996)",
    "M. Krack, Theor. Chem. Acc. 114, 145 (2005)",
    "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996)",
    "Q. Sun et al., J. Chem. Phys. 153, 024109 (2020)",
)


def accuracy(residuals: AtomicResiduals | None, symbols: Iterable[str] = ()) -> str:
    """What is known of the error with ``residuals`` (None: bare atoms), in words.

    For a crystal of the elements ``symbols``.
    """
    if residuals is None:
        return "Free atoms, unfitted: levels may be wrong by an electronvolt."
    missing = sorted(set(symbols) - residuals.coefficients.keys())
    if missing:
        return (
            f"There is no fitted potential for {', '.join(missing)}: levels may be wrong by an "
            "electronvolt."
        )
    return residuals.accuracy


@lru_cache(maxsize=1)
def tables_hash() -> str:
    """SHA-256 over the shipped atoms and fitted potentials, 16 digits: for caches."""
    digest = hashlib.sha256()
    for name in ("free_atoms.h5", "atomic_residuals.json"):
        digest.update(asset(f"dft/{name}").read_bytes())
    return digest.hexdigest()[:16]


def layers(system: CrystalSystem) -> tuple[frozenset[str], ...]:
    """Elements of a slab's layers, those more than 2 Å apart in height, from below; of a bulk
    crystal none.
    """
    axis = system.vacuum_axis
    if axis is None:
        return ()
    height = system.positions @ system.lattice[axis] / np.linalg.norm(system.lattice[axis])
    order = np.argsort(height)
    starts = np.flatnonzero(np.diff(height[order]) * BOHR_ANGSTROM > _LAYER_GAP) + 1
    return tuple(
        frozenset(system.symbols[atom] for atom in layer) for layer in np.split(order, starts)
    )


def has_unlike_layers(system: CrystalSystem) -> bool:
    """Whether a slab consists of layers of different elements."""
    return len(set(layers(system))) > 1


def provenance(
    structure: Structure,
    system: CrystalSystem,
    settings: SuperposedSettings,
    spacing: float,
    residuals: AtomicResiduals | None,
    timings: dict[str, float],
) -> Provenance:
    """The record; ``spacing`` of the grid in bohr, the fitted potentials used, seconds by stage."""
    fitted: dict[str, Any] = {}
    tables = atoms_digest()
    if residuals is not None:
        fitted = {"fitted_elements": sorted(set(system.symbols) & residuals.coefficients.keys())}
        tables = tables_hash() if residuals is shipped_residuals() else f"{tables}, another fit"
    told = accuracy(residuals, system.symbols)
    if has_unlike_layers(system):
        told += (
            " The levels of layers of different elements may stand wrong to each other by some "
            "0.2 eV more, as the charge that moves between them is not known."
        )
    return Provenance(
        source="superposed",
        title=f"Superposed atoms{', fitted' if settings.residual else ''}: {settings.basis}",
        settings={
            **settings.physical(),
            **fitted,
            "pseudopotential": PSEUDOPOTENTIAL,
            "cell_transform": system.transform.tolist(),
            "slab_axis": system.vacuum_axis,
            "initial_moments": None if system.moments is None else system.moments.tolist(),
            "spacing": spacing * BOHR_ANGSTROM,
            "engine": ENGINE_VERSION,
            "tables": tables,
        },
        results={"zero_of_energy": "vacuum" if system.vacuum_axis is not None else "atoms"},
        timings={key: round(value, 3) for key, value in timings.items()},
        warnings=(*system.warnings, f"Superposed atoms, not self-consistent. {told}"),
        citations=(*_CITATIONS, BASIS_SETS[settings.basis].citation),
        versions=package_versions("pyscf", "torch", "numpy"),
        structure_hash=structure_hash(structure),
        created=timestamp(),
    )
