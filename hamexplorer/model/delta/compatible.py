"""The HamGNN-compatible network behind the interface of those that predict ΔH."""

from __future__ import annotations

import torch
from e3nn import o3

from hamexplorer.errors import SettingsError
from hamexplorer.model.delta.base import BlockNetwork, Prediction, predicted_groups
from hamexplorer.model.delta.graph import CrystalGraph
from hamexplorer.model.heads import BlockHead
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.model import OrbitalLayout
from hamexplorer.model.network import from_frames
from hamexplorer.model.spin_channels import Channel
from hamexplorer.units import BOHR_ANGSTROM

__all__ = ["CompatibleNetwork"]


class CompatibleNetwork(BlockNetwork):
    """A scalar channel whose blocks are taken as irreps in the units of the targets.

    ``hyperparameters.cutoff`` (bohr) is that of the edges, too. The channel has one head for all
    elements, of the full layout's width; of a block the orbitals that both elements have are taken.

    Raises:
        SettingsError: the layout has an element beyond the network's types.
    """

    def __init__(self, hyperparameters: Hyperparameters, layout: OrbitalLayout) -> None:
        top = 2 * max(shell.l for shell in layout.shells)
        super().__init__(layout, hyperparameters.cutoff * BOHR_ANGSTROM, top, top)
        if max(self.numbers) >= hyperparameters.n_types:
            raise SettingsError(
                f"The layout has Z = {max(self.numbers)}, but the network knows elements up to "
                f"Z = {hyperparameters.n_types - 1} only."
            )
        self.hyperparameters = hyperparameters
        self.channel = Channel("scalar", hyperparameters, layout.momenta)

    @property
    def n_features(self) -> int:
        """Invariants of an atom in a prediction."""
        return self.hyperparameters.features[self._even].mul

    def forward(self, graph: CrystalGraph) -> Prediction:
        """ΔH on the pairs of ``graph``; the features are the atoms' even scalars."""
        self.kinds(graph)
        channel, bohr = self.channel, 1 / BOHR_ANGSTROM
        edges = channel.backbone.edges(
            (graph.positions * bohr).to(self.dtype),
            graph.source,
            graph.target,
            (graph.shift * bohr).to(self.dtype),
        )
        features = channel.backbone(graph.numbers, edges)
        site_head, edge_head = channel.onsite, channel.offsite
        assert isinstance(site_head, BlockHead)
        assert isinstance(edge_head, BlockHead)
        on = site_head.blocks(site_head.coupled_channels(features.nodes, -1))
        off = edge_head.coupled_channels(features.edges, 0)
        between = edge_head.blocks(from_frames(off, edges.frames))
        geometry = self.geometry(graph)
        pairs, sites = {}, {}
        for group in predicted_groups(graph):
            chosen = slice(group.start, group.stop)
            pair = self.units_of_pair(group)
            full = [d[chosen] for d in geometry.rotation.full]
            block = self._own(between[chosen], group.first, group.second)
            components = pair.components(block, full) * pair.scale(geometry.length[chosen])
            pairs[group.first, group.second] = pair.blocks(components, full)
        for z, own in graph.species.items():
            site = self.units_of_site(z)
            components = site.components(self._own(on[own], z, z)) * site.scale()
            sites[z] = site.blocks(components + site.middle())
        elements = self.flat_elements(graph, pairs, sites)
        return Prediction(elements, features.nodes[self._even][:, 0])

    @property
    def _even(self) -> int:
        """Place of the even scalars among the features."""
        irreps = [ir for _, ir in self.hyperparameters.features]
        return irreps.index(o3.Irrep("0e"))

    def _own(self, blocks: torch.Tensor, first: int, second: int) -> torch.Tensor:
        """The orbitals of two elements of blocks of the full layout."""
        rows, columns = (self._orbitals(z, blocks.device) for z in (first, second))
        return blocks[:, rows[:, None], columns]

    def _orbitals(self, number: int, device: torch.device) -> torch.Tensor:
        own = self.units_of_site(number).shells
        kept = [s in own for s in self.layout.shells for _ in range(s.size)]
        return torch.tensor(kept, device=device).nonzero()[:, 0]
