"""Small data sets of random Hamiltonians, and a network that is trained in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.datasets.sample import Sample, made_sample, save_sample
from hamexplorer.datasets.store import StoredFolder
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.provenance import Provenance
from hamexplorer.training.config import TrainingConfig, config_from

SHELLS = {
    "B": (Shell("2s", 0), Shell("2p", 1)),
    "N": (Shell("2s", 0), Shell("2p", 1)),
    "C": (Shell("2s", 0), Shell("3s", 0), Shell("2p", 1)),
}
TINY: dict[str, Any] = {
    "cutoff": 4.0,
    "max_l": 2,
    "max_m": 1,
    "channels": 2,
    "scalars": 4,
    "hidden": [4, 2, 4],
    "site_channels": 2,
    "n_radial": 6,
    "radial_hidden": 8,
}


def hexagonal(
    symbols: tuple[str, str] = ("B", "N"), a: float = 2.5, shift: float = 0.0
) -> Structure:
    lattice = Lattice.hexagonal(a, 15.0)
    places = [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5 + shift]]
    return Structure(lattice, list(symbols), places)


def sample(
    structure: Structure,
    name: str = "layers/bn/0000",
    *,
    seed: int = 0,
    reach: float = 6.0,
    change: float = 0.02,
    **facts: Any,
) -> Sample:
    """Random blocks that decay with distance; H0 differs between s orbitals, by up to ``change`` eV
    and in a way that a network can learn, and by 0.2 eV · S.
    """
    generator = np.random.default_rng(seed)
    symbols = [site.specie.symbol for site in structure]
    basis = Basis.from_elements(symbols, SHELLS)
    pairs, distance = _pairs(structure, basis, reach)
    overlap = _symmetric(pairs, generator) * 0.06 * np.exp(-distance)
    rows, columns = pairs.element_orbitals
    overlap[(rows == columns) & (distance == 0)] = 1.0
    scalar = _symmetric(pairs, generator) * 3 * np.exp(-distance / 2)
    between_s = (basis.orbital_l[rows] == 0) & (basis.orbital_l[columns] == 0)
    zero = scalar + change * between_s * np.exp(-distance / 2) + 0.2 * overlap
    turned = _symmetric(pairs, generator, -1.0) * 0.1 * np.exp(-distance)
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=scalar,
        exchange=None,
        spin_orbit=np.stack([turned, 0.5 * turned, -turned]),
        n_electrons=8.0,
        provenance=Provenance("random", "random"),
    )
    family, parent, _ = name.split("/")
    return made_sample(h, zero, name=name, family=family, parent=parent, **facts)


def _pairs(structure: Structure, basis: Basis, reach: float) -> tuple[Pairs, NDArray[np.float64]]:
    """Pairs up to ``reach`` in the plane, and the distance of every element."""
    n, steps = len(structure), np.arange(-3, 4)
    cell = np.stack(np.meshgrid(steps, steps, [0], indexing="ij"), -1).reshape(-1, 3)
    i, j, where = (x.ravel() for x in np.meshgrid(np.arange(n), np.arange(n), np.arange(len(cell))))
    x = structure.cart_coords
    length = np.linalg.norm(x[j] + cell[where] @ structure.lattice.matrix - x[i], axis=1)
    near = length < reach
    pairs = Pairs(i[near], j[near], cell[where][near], basis.sizes)
    return pairs, length[near][pairs.element_pair]


def _symmetric(
    pairs: Pairs, generator: np.random.Generator, sign: float = 1.0
) -> NDArray[np.float64]:
    flat = generator.normal(size=pairs.n_elements)
    return np.asarray((flat + sign * flat[pairs.transposition]) / 2)


def data_folder(path: Path, count: int = 8) -> Path:
    """A data set of BN layers, some for validation and for tests."""
    folder = StoredFolder(path)
    folder.begin({"random": True})
    for number in range(count):
        name = f"layers/bn/{number:04d}"
        made = sample(
            hexagonal(a=2.4 + 0.02 * number, shift=0.004 * number),
            name,
            seed=number,
            strain=0.001 * number,
            held_out=number == count - 1,
        )
        save_sample(made, folder.sample(name))
    return path


def config(data: Path, **changes: Any) -> TrainingConfig:
    plain = {
        "data": data,
        "network": TINY,
        "elements": {"steps": 6, "warmup": 2},
        "bands": {"steps": 6, "rate": 1e-3, "warmup": 2, "elements": 0.3, "bands": 1.0},
        "sampling": {"pool": 4, "per_step": 2, "validation": 3},
        "batch": 2,
        "validate_every": 4,
        "log_every": 2,
        "threads": 1,
        "accelerator": "cpu",
    }
    return config_from({**plain, **changes}, "test")
