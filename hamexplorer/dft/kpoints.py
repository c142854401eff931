"""The k mesh of the SCF: its size, its irreducible part, and the symmetrisation of densities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
import torch
from numpy.typing import NDArray

from hamexplorer.dft.grid import PlaneWaveGrid
from hamexplorer.dft.system import CrystalSystem

__all__ = [
    "DensitySymmetry",
    "KMesh",
    "SpaceGroup",
    "compatible_group",
    "image_atoms",
    "irreducible_mesh",
    "mesh_for_spacing",
    "space_group",
]

_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """Operations x → W x + w on fractional coordinates that keep atoms and their moments.

    ``rotations`` (n, 3, 3) integers W, ``translations`` (n, 3) w, of the engine's box.
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]

    @property
    def order(self) -> int:
        """Number of operations."""
        return len(self.rotations)


@dataclass(frozen=True, eq=False)
class KMesh:
    """Irreducible k-points (nk, 3), fractional, with weights that sum to 1."""

    divisions: tuple[int, int, int]
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]


def mesh_for_spacing(system: CrystalSystem, spacing: float) -> tuple[int, int, int]:
    """Divisions with neighbouring points closer than ``spacing`` (1/bohr); 1 along a vacuum."""
    lengths = np.linalg.norm(system.reciprocal, axis=1)
    counts = np.maximum(1, np.ceil(lengths / spacing - 1e-6).astype(int))
    a, b, c = (int(n) if p else 1 for n, p in zip(counts, system.periodic, strict=True))
    return a, b, c


def space_group(system: CrystalSystem, use_symmetry: bool) -> SpaceGroup:
    """The space group of a box; only the identity if symmetry is not to be used.

    Atoms of different moments count as different, so that every operation keeps the spin density.
    """
    identity = SpaceGroup(np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))
    if not use_symmetry:
        return identity
    try:
        with warnings.catch_warnings():
            # spglib announces a coming change of its error handling at every call
            warnings.simplefilter("ignore", DeprecationWarning)
            found = spglib.get_symmetry(_spglib_cell(system), symprec=_TOLERANCE)
    except spglib.SpglibError:
        found = None
    if found is None:
        return identity
    rotations = np.asarray(found["rotations"], dtype=np.int64)
    translations = np.asarray(found["translations"], dtype=float)
    axis = system.vacuum_axis
    if axis is not None:
        # an open box has no translation along its normal other than that of the mirror z → L − z
        keep = np.all(np.delete(rotations[:, axis, :], axis, axis=1) == 0, axis=1)
        rotations, translations = rotations[keep], translations[keep]
    return SpaceGroup(rotations, translations)


def irreducible_mesh(divisions: tuple[int, int, int], group: SpaceGroup) -> KMesh:
    """The Γ-centred mesh reduced by the group and time reversal (H is real in real space).

    ``group`` must map the mesh onto itself (:func:`compatible_group`).
    """
    mesh = np.array(divisions)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in divisions], indexing="ij"), -1)
    grid = grid.reshape(-1, 3)
    strides = np.array([mesh[1] * mesh[2], mesh[2], 1])
    representative = np.arange(len(grid))
    for rotation in np.unique(group.rotations, axis=0):
        for sign in (1, -1):
            # k transforms with W^{-T}; all operations are gone through, so Wᵀ does as well
            image = (sign * np.rint((grid / mesh) @ rotation * mesh).astype(int)) % mesh
            representative = np.minimum(representative, image @ strides)
    # every orbit's smallest index is reached by one operation, as the group is closed
    unique, counts = np.unique(representative, return_counts=True)
    kpoints = grid[unique] / mesh
    kpoints = kpoints - np.rint(kpoints - 1e-9)
    return KMesh(divisions, kpoints, counts / len(grid))


def compatible_group(group: SpaceGroup, divisions: tuple[int, int, int]) -> SpaceGroup:
    """The operations that map the k mesh onto itself: those that may reduce it."""
    mesh = np.array(divisions)
    scaled = group.rotations * mesh[None, None, :] / mesh[None, :, None]
    fits = np.all(np.abs(scaled - np.rint(scaled)) < 1e-9, axis=(1, 2))
    return SpaceGroup(group.rotations[fits], group.translations[fits])


def image_atoms(
    system: CrystalSystem, rotation: NDArray[np.int64], translation: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where an operation takes each atom: the atom (n_atoms,) and its cell (n_atoms, 3)."""
    moved = system.fractional @ rotation.T + translation
    difference = moved[:, None] - system.fractional[None]
    cells = np.rint(difference)
    error = np.abs((difference - cells) @ system.lattice).max(axis=2)
    atom = error.argmin(axis=1)
    return atom, cells[np.arange(system.n_atoms), atom].astype(np.int64)


def _spglib_cell(
    system: CrystalSystem,
) -> tuple[Any, Any, Any]:
    kinds: dict[tuple[str, float], int] = {}
    numbers = []
    for atom, symbol in enumerate(system.symbols):
        moment = 0.0 if system.moments is None else round(float(system.moments[atom]), 3)
        numbers.append(kinds.setdefault((symbol, moment), len(kinds) + 1))
    return system.lattice, system.fractional, numbers


class DensitySymmetry:
    """Averages fields over a space group in reciprocal space, exact for any translation.

    f_sym(G') = n⁻¹ Σ_{W,w} f(G) e^{2πi G·w} with G = W^{−T} G'; plane waves whose star is not
    wholly on the grid are set to zero.
    """

    def __init__(self, grid: PlaneWaveGrid, group: SpaceGroup) -> None:
        self._trivial = group.order == 1
        if self._trivial:
            return
        mesh = torch.tensor(grid.mesh, device=grid.device)
        half = (mesh - 1) // 2
        integers = grid.integers.to(torch.int64)
        valid = torch.all(integers.abs() <= half, dim=1)
        maps = []
        for rotation, translation in zip(group.rotations, group.translations, strict=True):
            inverse = torch.as_tensor(
                np.rint(np.linalg.inv(rotation)).astype(np.int64), device=grid.device
            )
            source = integers @ inverse
            valid &= torch.all(source.abs() <= half, dim=1)
            wrapped = source % mesh
            index = (wrapped[:, 0] * mesh[1] + wrapped[:, 1]) * mesh[2] + wrapped[:, 2]
            maps.append((index.to(torch.int32), translation, source))
        self._valid = valid
        self._maps = []
        for index, translation, source in maps:
            phase = None
            if np.abs(translation - np.rint(translation)).max() > 1e-9:
                angle = (
                    2
                    * torch.pi
                    * (source.to(torch.float64) @ torch.as_tensor(translation, device=grid.device))
                )
                phase = torch.polar(torch.ones_like(angle), angle)
            self._maps.append((index, phase))

    def __call__(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Symmetrised f(G), shape as given (..., *mesh)."""
        if self._trivial:
            return coefficients
        flat = coefficients.reshape(
            -1, coefficients.shape[-1] * coefficients.shape[-2] * coefficients.shape[-3]
        )
        total = torch.zeros_like(flat)
        for index, phase in self._maps:
            part = flat[:, index.long()]
            total += part if phase is None else part * phase
        total *= self._valid / len(self._maps)
        return total.reshape(coefficients.shape)
