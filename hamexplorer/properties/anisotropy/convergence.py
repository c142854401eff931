"""Does the anisotropy energy stand still when mesh and smearing change?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.assembly import (
    ClassEnergies,
    class_free_energies,
    largest_mesh,
)
from hamexplorer.properties.anisotropy.checks import checked, checked_smearing
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.exact import exact_classes
from hamexplorer.properties.anisotropy.parts import part_of
from hamexplorer.properties.anisotropy.result import Method
from hamexplorer.properties.anisotropy.second_variation import DEFAULT_WINDOW, SecondVariation
from hamexplorer.properties.anisotropy.symmetry import MagneticSymmetry, magnetic_symmetry

__all__ = ["AnisotropyConvergence", "convergence"]


@dataclass(frozen=True, eq=False)
class AnisotropyConvergence:
    """F(n₂) − F(n₁) for every mesh and smearing.

    ``meshes`` and ``smearings`` (eV) name rows and columns of ``mae_meV`` (n_meshes,
    n_smearings), meV per cell; ``n_kpoints`` (n_meshes,) are those computed for the direction
    that needs more.
    """

    directions: Directions
    meshes: tuple[tuple[int, int, int], ...]
    smearings: tuple[float, ...]
    mae_meV: NDArray[np.float64]
    n_kpoints: tuple[int, ...]
    state: SpinState
    method: Method

    def to_dataframe(self) -> pd.DataFrame:
        """One row per mesh and smearing."""
        return pd.DataFrame(
            [
                {
                    "mesh": "×".join(str(n) for n in mesh),
                    "n_mesh_points": int(np.prod(mesh)),
                    "n_computed": count,
                    "smearing_eV": smearing,
                    "mae_meV": self.mae_meV[row, column],
                }
                for row, (mesh, count) in enumerate(zip(self.meshes, self.n_kpoints, strict=True))
                for column, smearing in enumerate(self.smearings)
            ]
        )


def convergence(
    h: Hamiltonian,
    n1: tuple[float, float],
    n2: tuple[float, float],
    meshes: Sequence[tuple[int, int, int]],
    smearings: Sequence[float],
    soc: float = 1.0,
    exchange: float = 1.0,
    method: Method = "second variation",
    monitor: Monitor | None = None,
    window: tuple[float, float] = DEFAULT_WINDOW,
) -> AnisotropyConvergence:
    """F(n₂) − F(n₁) on every one of ``meshes`` at every one of ``smearings`` (kT, eV).

    ``n1`` and ``n2`` are (θ, φ) in degrees; the bands of a mesh are computed once for all
    smearings. Other arguments as :func:`magnetic_anisotropy`'s.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, no mesh or smearing, or one out of range.
        CalculationCancelled: stopped by ``monitor``.
    """
    if not len(meshes) or not len(smearings):
        raise SettingsError("A convergence study needs at least one mesh and one smearing.")
    widths = tuple(checked_smearing(width) for width in smearings)
    shapes = tuple(checked(h, mesh, widths[0], exchange)[0] for mesh in meshes)
    directions = Directions.pair(n1, n2)
    state = SpinState(soc=soc, exchange=exchange)
    monitor = monitor or Monitor()
    sizes = np.array([np.prod(shape) for shape in shapes], dtype=float)
    edges = np.concatenate([[0.0], np.cumsum(sizes) / sizes.sum()])
    values = np.empty((len(shapes), len(widths)))
    counts = []
    for row, shape in enumerate(shapes):
        name = "×".join(str(n) for n in shape)
        part = part_of(monitor, float(edges[row]), float(edges[row + 1]), name)
        group, classes = _classes(h, directions, shape, state, method, widths[0], window, part)
        member = group.classes(directions.vectors)[1]
        for column, width in enumerate(widths):
            energies = class_free_energies(h, classes, width)[member, 0]
            values[row, column] = 1e3 * (energies[1] - energies[0])
        counts.append(largest_mesh(classes))
    return AnisotropyConvergence(directions, shapes, widths, values, tuple(counts), state, method)


def _classes(
    h: Hamiltonian,
    directions: Directions,
    mesh: tuple[int, int, int],
    state: SpinState,
    method: Method,
    smearing: float,
    window: tuple[float, float],
    monitor: Monitor,
) -> tuple[MagneticSymmetry, list[ClassEnergies]]:
    if method == "exact":
        group = magnetic_symmetry(h, mesh)
        return group, exact_classes(h, directions, state, group, monitor)
    if method != "second variation":
        raise SettingsError(f"The method is 'exact' or 'second variation', not {method!r}.")
    prepared = SecondVariation(
        h, mesh, smearing, window, state.exchange, part_of(monitor, 0.0, 0.7)
    )
    return prepared.symmetry, prepared.classes(directions, state.soc, part_of(monitor, 0.7, 1.0))
