"""Small crystals, pairs and networks for the tests of ΔH networks."""

from __future__ import annotations

import numpy as np
import torch
from e3nn import o3
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Basis, Pairs, Shell
from hamexplorer.model.delta.compatible import CompatibleNetwork
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.network import DeltaNetwork
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.model import OrbitalLayout

SHELLS = {
    "Mo": (Shell("4s", 0), Shell("5s", 0), Shell("4p", 1), Shell("4d", 2), Shell("4f", 3)),
    "S": (Shell("3s", 0), Shell("3p", 1), Shell("3d", 2)),
}
CUTOFF = 4.0


def layout() -> OrbitalLayout:
    shells = sorted({s for own in SHELLS.values() for s in own}, key=lambda s: (s.l, s.label))
    return OrbitalLayout(tuple(shells), SHELLS)


def network(seed: int = 0, **changes: object) -> DeltaNetwork:
    """A small network with weights and units of all kinds."""
    torch.manual_seed(seed)
    sizes = {
        "cutoff": CUTOFF,
        "max_l": 6,
        "max_m": 4,
        "channels": 3,
        "scalars": 5,
        "hidden": (6, 4, 5, 4, 3, 3),
        "site_channels": 3,
        "n_radial": 8,
        "radial_hidden": 8,
        "neighbours": 10.0,
    }
    net = DeltaNetwork(DeltaHyperparameters(**{**sizes, **changes}), layout()).double()
    random_units(net)
    return net


def compatible(seed: int = 0) -> CompatibleNetwork:
    torch.manual_seed(seed)
    sizes = Hyperparameters(
        o3.Irreps("4x0e+2x0o+2x1o+2x1e+2x2e+2x2o+2x3o+2x3e+1x4e+1x4o+1x5e+1x5o+1x6e"),
        o3.Irreps("0e+1o+2e+3o"),
        n_layers=1,
        cutoff=CUTOFF / 0.529177210903,
        n_radial=6,
        radial_hidden=(6,),
    )
    net = CompatibleNetwork(sizes, layout()).double()
    random_units(net)
    return net


def random_units(net: torch.nn.Module) -> None:
    for name, buffer in net.named_buffers():
        if name.rpartition(".")[2] in ("log_scale", "decay"):
            buffer.uniform_(-1, 0)


def crystal(turn: np.ndarray | None = None) -> Structure:
    """A low-symmetry MoS2 cell, turned by ``turn``."""
    lattice = np.array([[3.2, 0, 0], [-1.55, 2.8, 0.2], [0.1, 0.3, 6.0]])
    places = [[0.31, 0.66, 0.5], [0.68, 0.34, 0.74], [0.65, 0.31, 0.22]]
    turn = np.eye(3) if turn is None else turn
    return Structure(Lattice(lattice @ turn.T), ["Mo", "S", "S"], places)


def basis_of(structure: Structure) -> Basis:
    return Basis.from_elements([s.specie.symbol for s in structure], SHELLS)


def pairs_of(structure: Structure, cutoff: float = CUTOFF + 0.8) -> Pairs:
    """All pairs within ``cutoff``, some of them beyond the network's."""
    centres, points, images, _ = structure.get_neighbor_list(cutoff)
    own = np.arange(len(structure))
    return Pairs(
        np.concatenate([own, centres]),
        np.concatenate([own, points]),
        np.concatenate([np.zeros((len(own), 3), dtype=int), images.astype(int)]),
        basis_of(structure).sizes,
    )
