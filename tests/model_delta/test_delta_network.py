"""Networks of ΔH: exact symmetries, units, batches, edge cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch
from delta_crystals import (
    CUTOFF,
    SHELLS,
    basis_of,
    compatible,
    crystal,
    layout,
    network,
    pairs_of,
)
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

import hamexplorer.model.delta.network as network_module
from hamexplorer.errors import HamiltonianError, StructureError, UnsupportedElementError
from hamexplorer.hamiltonian import Basis, Pairs, Shell
from hamexplorer.hamiltonian.angular import rotation_matrix
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.graph import CrystalGraph, batch, crystal_graph
from hamexplorer.model.delta.scales import fit_scales, normalised

Blocks = dict[tuple[int, ...], np.ndarray]


def blocks(net: BlockNetwork, structure: Structure, pairs: Pairs | None = None) -> Blocks:
    """Predicted blocks by (i, j, R)."""
    pairs = pairs_of(structure) if pairs is None else pairs
    with torch.no_grad():
        flat = net(crystal_graph(structure, pairs, basis_of(structure), CUTOFF)).elements.numpy()
    key = np.column_stack([pairs.first, pairs.second, pairs.cell]).tolist()
    return {tuple(k): pairs.block(flat, p) for p, k in enumerate(key)}


def graph_of(structure: Structure) -> CrystalGraph:
    return crystal_graph(structure, pairs_of(structure), basis_of(structure), CUTOFF)


@pytest.fixture(scope="module", params=["edge-frame", "compatible"])
def net(request: pytest.FixtureRequest) -> BlockNetwork:
    made: dict[str, Callable[[], BlockNetwork]] = {"edge-frame": network, "compatible": compatible}
    return made[request.param]()


def turned(symbol: str, operation: np.ndarray) -> np.ndarray:
    return scipy.linalg.block_diag(*(rotation_matrix(s.l, operation) for s in SHELLS[symbol]))


@pytest.mark.parametrize("sign", [1, -1])
def test_blocks_turn_with_the_crystal(net: BlockNetwork, sign: int) -> None:
    operation = sign * Rotation.from_rotvec([0.4, -1.1, 0.8]).as_matrix()
    before, after = blocks(net, crystal()), blocks(net, crystal(operation))
    symbols = ["Mo", "S", "S"]
    scale = max(np.abs(b).max() for b in before.values())
    assert scale > 1e-3
    assert before.keys() == after.keys()
    for (i, j, *cell), block in before.items():
        expected = turned(symbols[i], operation) @ block @ turned(symbols[j], operation).T
        np.testing.assert_allclose(after[i, j, *cell], expected, rtol=0, atol=1e-11 * scale)


def test_every_kind_of_irrep_is_predicted() -> None:
    """No part of a block is zero by accident: an equivariant zero would pass all other tests."""
    net, graph = network(), graph_of(crystal())
    with torch.no_grad():
        told = net(graph).elements
        values = normalised(net, graph, told)
    # of edges between equal atoms of one cell, what the average with the transpose takes away
    assert (values.abs() < 1e-9 * values.abs().max()).double().mean() < 0.02


def test_hermitian_exactly_and_zero_beyond_the_cutoff(net: BlockNetwork) -> None:
    structure = crystal()
    found = blocks(net, structure)
    lattice, positions = structure.lattice.matrix, structure.cart_coords
    far = 0
    for (i, j, *cell), block in found.items():
        assert np.array_equal(block, found[j, i, *(-c for c in cell)].T)
        distance = np.linalg.norm(positions[j] + cell @ lattice - positions[i])
        if distance >= CUTOFF:
            far += 1
            assert not block.any()
        else:
            assert block.any()
    assert far > 5


def test_translation_images_and_order_do_not_matter(net: BlockNetwork) -> None:
    structure = crystal()
    before = blocks(net, structure)
    order = [2, 0, 1]
    images = np.array([[0, 0, 0], [1, -1, 0], [0, 2, 1]])
    moved = Structure(
        structure.lattice,
        [structure[k].specie for k in order],
        [structure[k].frac_coords + images[n] + [0.13, 0.21, -0.4] for n, k in enumerate(order)],
        coords_are_cartesian=False,
        to_unit_cell=False,
    )
    after = blocks(net, moved)
    assert len(after) == len(before)
    for (i, j, *cell), block in after.items():
        home = tuple(np.array(cell) + images[j] - images[i])
        np.testing.assert_allclose(block, before[order[i], order[j], *home], rtol=0, atol=1e-12)


def test_another_cell_of_the_same_crystal(net: BlockNetwork) -> None:
    structure = crystal()
    before = blocks(net, structure)
    twice = Structure(
        Lattice(np.diag([2, 1, 1]) @ structure.lattice.matrix),
        [s.specie for s in structure for _ in range(2)],
        [(s.frac_coords + np.array([n, 0, 0])) / [2, 1, 1] for s in structure for n in range(2)],
    )
    for (i, j, *cell), block in blocks(net, twice).items():
        home = (2 * cell[0] + j % 2 - i % 2, *cell[1:])
        np.testing.assert_allclose(block, before[i // 2, j // 2, *home], rtol=0, atol=1e-12)


def test_order_of_pairs_does_not_matter(net: BlockNetwork) -> None:
    structure = crystal()
    pairs = pairs_of(structure)
    order = np.random.default_rng(3).permutation(pairs.n_pairs)
    mixed = Pairs(pairs.first[order], pairs.second[order], pairs.cell[order], pairs.sizes)
    before, after = blocks(net, structure, pairs), blocks(net, structure, mixed)
    for key, block in before.items():
        np.testing.assert_allclose(after[key], block, rtol=0, atol=1e-12)


def test_batch_is_as_one_by_one(net: BlockNetwork) -> None:
    graphs = [graph_of(crystal()), graph_of(chain()), graph_of(crystal(np.diag([1.0, -1, 1])))]
    together = batch(graphs)
    with torch.no_grad():
        found = net(together)
        single = [net(g) for g in graphs]
    np.testing.assert_allclose(found.elements, torch.cat([s.elements for s in single]), atol=1e-12)
    np.testing.assert_allclose(found.features, torch.cat([s.features for s in single]), atol=1e-12)
    assert together.atoms == (0, 3, 5, 8)
    assert together.elements[1] == graphs[0].n_elements
    assert batch(graphs[:1]) is graphs[0]
    with pytest.raises(StructureError, match="at least one"):
        batch([])


def chain() -> Structure:
    """Two atoms above each other on the z axis."""
    return Structure(Lattice.orthorhombic(20, 20, 20), ["Mo", "S"], [[0, 0, 0], [0, 0, 0.12]])


def test_two_atoms_on_the_z_axis(net: BlockNetwork) -> None:
    """The frame's turn about the axis is arbitrary there: blocks are diagonal in m."""
    block = blocks(net, chain())[0, 1, 0, 0, 0]
    m = [np.concatenate([np.arange(-s.l, s.l + 1) for s in SHELLS[e]]) for e in ("Mo", "S")]
    other = m[0][:, None] != m[1]
    assert np.abs(block[~other]).min() > 1e-8
    assert np.abs(block[other]).max() < 1e-12


def test_isolated_atom(net: BlockNetwork) -> None:
    """No edges: the block is that of a sphere."""
    structure = Structure(Lattice.cubic(20), ["Mo"], [[0.2, 0.1, 0]])
    found = blocks(net, structure)
    assert list(found) == [(0, 0, 0, 0, 0)]
    block = found[0, 0, 0, 0, 0]
    assert np.isfinite(block).all()
    l = np.concatenate([np.full(s.size, s.l) for s in SHELLS["Mo"]])  # noqa: E741
    assert np.abs(block[l[:, None] != l]).max() < 1e-12
    p = block[2:5, 2:5]
    np.testing.assert_allclose(p, p[0, 0] * np.eye(3), atol=1e-12)


def test_messages_fade_out_at_the_cutoff() -> None:
    """An atom that comes within the cutoff changes the block of two others continuously."""
    net = network()

    def others(z: float) -> np.ndarray:
        structure = Structure(
            Lattice.orthorhombic(20, 20, 30),
            ["Mo", "S", "S"],
            [[0, 0, 0], [2.0, 0, 0], [0, 0, z]],
            coords_are_cartesian=True,
        )
        return blocks(net, structure)[0, 1, 0, 0, 0]

    far, edge, near = others(CUTOFF + 0.01), others(CUTOFF - 1e-4), others(CUTOFF - 0.5)
    assert np.abs(near - far).max() > 1e-5
    assert np.abs(edge - far).max() < 1e-5 * np.abs(near - far).max()


def test_chunks_of_edges_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net, graph = network(), graph_of(crystal())
    net.zero_grad()
    whole = net(graph)
    whole.elements.square().sum().backward()
    gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    monkeypatch.setattr(network_module, "CHUNK", 7)
    net.zero_grad()
    parts = net(graph)
    parts.elements.square().sum().backward()
    np.testing.assert_allclose(parts.elements.detach(), whole.elements.detach(), atol=1e-12)
    again = [p.grad for p in net.parameters() if p.grad is not None]
    assert len(again) == len(gradients) > 50
    for a, b in zip(again, gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_irreps_are_the_blocks_in_other_coordinates(net: BlockNetwork) -> None:
    """Components → blocks → components is the identity; the way back, too, if all m are kept."""
    graph = graph_of(crystal())
    rotation = net.geometry(graph).rotation
    generator = torch.Generator().manual_seed(1)
    for group in graph.groups:
        if group.first < group.second:
            continue
        units = net.units_of_pair(group)
        full = [d[group.start : group.stop] for d in rotation.full]
        n = group.stop - group.start
        wide = torch.randn(n, *units.shape, generator=generator, dtype=torch.float64)
        components = units.components(wide, full)
        back = units.components(units.blocks(components, full), full)
        np.testing.assert_allclose(back, components, atol=1e-12)
        if components.shape[1] == units.shape[0] * units.shape[1]:
            np.testing.assert_allclose(units.blocks(components, full), wide, atol=1e-12)
    site = net.units_of_site(42)
    own = torch.randn(2, site.width, site.width, generator=generator, dtype=torch.float64)
    np.testing.assert_allclose(site.blocks(site.components(own)), own, atol=1e-12)


def test_two_centre_blocks_are_even_scalars_of_the_frame() -> None:
    """A block f(r) of two s shells and of z² with s about the edge lies in the even m = 0 part."""
    net, structure = network(), chain()
    graph = graph_of(structure)
    (group,) = [g for g in graph.groups if (g.first, g.second) == (42, 16)]
    block = torch.zeros(1, *net.units_of_pair(group).shape, dtype=torch.float64)
    block[0, 0, 0], block[0, 7, 0] = 1.0, 2.0  # 4s–3s and 4d z²–3s along z
    full = [d[group.start : group.stop] for d in net.geometry(graph).rotation.full]
    units = net.units_of_pair(group)
    components = units.components(block, full)[0]
    even = components[: units.sizes[0]]
    assert components[units.sizes[0] :].abs().max() < 1e-12
    assert sorted(even[even.abs() > 1e-12].tolist()) == pytest.approx([1.0, 2.0])


def test_scales_are_those_of_the_data() -> None:
    """Targets drawn with known exp(a + b r) come out with mean square 1, and b is found."""
    net = network()
    graph = graph_of(crystal())
    generator = torch.Generator().manual_seed(5)
    samples = []
    for _ in range(20):
        values = torch.randn(graph.n_elements, generator=generator, dtype=torch.float64)
        blocks_ = {}
        for group in graph.groups:
            if group.first >= group.second:
                r = graph.vectors.norm(dim=1)[group.start : group.stop]
                shape = net.units_of_pair(group).shape
                noise = torch.randn(len(r), *shape, generator=generator, dtype=torch.float64)
                blocks_[group.first, group.second] = noise * torch.exp(1 - 2 * r)[:, None, None]
        sites = {
            z: torch.randn(len(own), n, n, generator=generator, dtype=torch.float64) + torch.eye(n)
            for z, own in graph.species.items()
            for n in [net.units_of_site(z).width]
        }
        values = net.flat_elements(graph, blocks_, sites)
        samples.append((graph, values))
    fit_scales(net, samples)
    assert net.pair_units["42-16"].decay.mean() == pytest.approx(-2, abs=0.1)
    assert net.site_units["42"].mean[0] == pytest.approx(1, abs=0.5)
    units = torch.stack([normalised(net, g, v) for g, v in samples])
    sites = sum(net.units_of_site(z).scale().numel() * len(o) for z, o in graph.species.items())
    assert units[:, sites:].square().mean() == pytest.approx(1, abs=0.15)


def test_what_it_does_not_know_is_refused() -> None:
    net = network()
    structure = Structure(Lattice.cubic(20), ["W"], [[0, 0, 0]])
    basis = Basis.from_elements(["W"], {"W": (Shell("5s", 0),)})
    pairs = Pairs(np.array([0]), np.array([0]), np.zeros((1, 3), dtype=int), basis.sizes)
    with pytest.raises(UnsupportedElementError, match="knows no W; it knows S, Mo"):
        net(crystal_graph(structure, pairs, basis, CUTOFF))


def test_graphs_of_bad_input_are_refused() -> None:
    structure = crystal()
    pairs, basis = pairs_of(structure), basis_of(structure)
    with pytest.raises(HamiltonianError, match="not the same"):
        crystal_graph(chain(), pairs, basis, CUTOFF)
    without, _ = pairs.subset((pairs.first != 1) | (pairs.second != 1))
    with pytest.raises(HamiltonianError, match="no own block of site 2"):
        crystal_graph(structure, without, basis, CUTOFF)
    double = structure.copy()
    double.translate_sites([1], structure[2].frac_coords - structure[1].frac_coords)
    with pytest.raises(StructureError, match="stand at one place"):
        crystal_graph(double, pairs, basis, CUTOFF)
    assert layout().width == 5 * 1 - 2 + 2 * 3 + 2 * 5 + 7
