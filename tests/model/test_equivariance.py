"""Symmetries of the network's blocks: H → D H Dᵀ under rotations, and what must not matter."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from fixtures_hamgnn import SHELLS, published
from numpy.typing import NDArray
from plain_assembly import antisymmetrised, symmetrised
from plain_network import Graph
from random_networks import evaluated, periodic_graph
from scipy.spatial.transform import Rotation

from hamexplorer.hamiltonian.angular import angular_momentum, rotation_matrix
from hamexplorer.model.spin_channels import Channel, Kind, MatrixBlocks

LAYOUT = SHELLS[26]
WIDTH = sum(2 * a + 1 for a in LAYOUT)
NUMBERS = [74, 34, 52]
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]
"""Tolerated error, by the largest element."""


def crystal(dtype: torch.dtype = torch.float64) -> tuple[Graph, torch.Tensor, torch.Tensor]:
    """Three different atoms in a triclinic cell without any symmetry; edges' cells; the cell."""
    cell = torch.tensor([[6.1, 0.3, 0.0], [-2.2, 6.6, 0.4], [0.5, 0.9, 7.3]], dtype=torch.float64)
    positions = torch.tensor(
        [[0.2, 0.1, 0.4], [2.9, 2.4, 1.8], [0.6, 4.1, 4.6]], dtype=torch.float64
    )
    graph, cells = periodic_graph(NUMBERS, positions, cell, 7.0)
    return in_precision(graph, dtype), cells, cell


def in_precision(graph: Graph, dtype: torch.dtype) -> Graph:
    return replace(graph, positions=graph.positions.to(dtype), shift=graph.shift.to(dtype))


@lru_cache(maxsize=4)
def channel(kind: Kind, dtype: torch.dtype) -> Channel:
    """The published program's weights for WSe2 (l to 6, both parities)."""
    return published("micro26_wse2", kind).channel(dtype)


def blocks(graph: Graph, kind: Kind = "scalar") -> MatrixBlocks:
    with torch.no_grad():
        return evaluated(channel(kind, graph.positions.dtype), graph)


def assert_same(own: torch.Tensor, wanted: torch.Tensor, bar: float) -> None:
    assert own.shape == wanted.shape
    size = float(wanted.abs().max())
    assert size > 1e-2
    assert float((own - wanted).abs().max()) < bar * size


def operations() -> dict[str, NDArray[np.float64]]:
    rotation = Rotation.from_euler("zyz", [0.7, 1.9, -2.4]).as_matrix()
    return {
        "rotation": rotation,
        "about z by a right angle": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        "z to x": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
        "inversion": -np.eye(3),
        "mirror": np.diag([1.0, 1.0, -1.0]),
        "improper": -rotation,
    }


@pytest.mark.parametrize(("dtype", "bar"), PRECISIONS, ids=["float64", "float32"])
@pytest.mark.parametrize("name", operations())
def test_rotations(name, dtype, bar):
    operation = operations()[name]
    turn = torch.from_numpy(operation)
    graph, _, _ = crystal()
    turned = replace(graph, positions=graph.positions @ turn.T, shift=graph.shift @ turn.T)
    d = torch.block_diag(*(torch.from_numpy(rotation_matrix(a, operation)) for a in LAYOUT))
    d = d.to(dtype)
    before, after = (blocks(in_precision(g, dtype)) for g in (graph, turned))
    assert_same(after.onsite, d @ before.onsite @ d.T, bar)
    assert_same(after.offsite, d @ before.offsite @ d.T, bar)
    # ξ are scalars
    before, after = (blocks(in_precision(g, dtype), "spin_orbit") for g in (graph, turned))
    assert_same(after.onsite, before.onsite, bar)
    assert_same(after.offsite, before.offsite, bar)


@pytest.mark.parametrize(("dtype", "bar"), PRECISIONS, ids=["float64", "float32"])
@pytest.mark.parametrize("kind", ["scalar", "spin_orbit"])
class TestChoices:
    """What is a choice of the description changes no block."""

    def test_order_of_atoms(self, kind, dtype, bar):
        graph, _, _ = crystal(dtype)
        order = torch.tensor([2, 0, 1])
        place = order.argsort()
        other = replace(
            graph,
            numbers=graph.numbers[order],
            positions=graph.positions[order],
            source=place[graph.source],
            target=place[graph.target],
        )
        assert_same(blocks(other, kind).onsite, blocks(graph, kind).onsite[order], bar)
        assert_same(blocks(other, kind).offsite, blocks(graph, kind).offsite, bar)

    def test_order_of_edges(self, kind, dtype, bar):
        graph, _, _ = crystal(dtype)
        order = torch.randperm(len(graph.source), generator=torch.Generator().manual_seed(1))
        other = replace(
            graph,
            source=graph.source[order],
            target=graph.target[order],
            shift=graph.shift[order],
            inverse=order.argsort()[graph.inverse[order]],
        )
        assert_same(blocks(other, kind).onsite, blocks(graph, kind).onsite, bar)
        assert_same(blocks(other, kind).offsite, blocks(graph, kind).offsite[order], bar)
        folded = symmetrised(blocks(other, kind), other.inverse).offsite
        wanted = symmetrised(blocks(graph, kind), graph.inverse).offsite[order]
        assert_same(folded, wanted, bar)

    def test_origin(self, kind, dtype, bar):
        graph, _, _ = crystal(dtype)
        moved = graph.positions + graph.positions.new_tensor([1.3, -0.7, 2.9])
        own, wanted = blocks(replace(graph, positions=moved), kind), blocks(graph, kind)
        assert_same(own.onsite, wanted.onsite, bar)
        assert_same(own.offsite, wanted.offsite, bar)

    def test_images_of_atoms(self, kind, dtype, bar):
        # each atom moved by a lattice vector, the shifts of its edges accordingly
        graph, _, cell = crystal(dtype)
        jumps = torch.tensor([[1.0, 0, -1], [0, 2, 0], [-1, 1, 1]], dtype=cell.dtype) @ cell
        jumps = jumps.to(dtype)
        other = replace(
            graph,
            positions=graph.positions + jumps,
            shift=graph.shift + jumps[graph.source] - jumps[graph.target],
        )
        own, wanted = blocks(other, kind), blocks(graph, kind)
        assert_same(own.onsite, wanted.onsite, bar)
        assert_same(own.offsite, wanted.offsite, bar)

    def test_another_cell(self, kind, dtype, bar):
        # the cell doubled along a skew lattice vector: every edge twice
        graph, _, cell = crystal()
        positions = torch.cat([graph.positions, graph.positions + cell[0]])
        skew = torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=cell.dtype)
        double, _ = periodic_graph(NUMBERS * 2, positions, skew @ cell, 7.0)
        assert len(double.source) == 2 * len(graph.source)
        same = matching(double, graph)
        graph, double = in_precision(graph, dtype), in_precision(double, dtype)
        own, wanted = blocks(double, kind), blocks(graph, kind)
        assert_same(own.onsite, wanted.onsite.repeat(2, 1, 1), bar)
        assert_same(own.offsite, wanted.offsite[same], bar)


def matching(large: Graph, small: Graph) -> torch.Tensor:
    """Of every edge of a supercell the same one in the small cell."""

    def key(graph: Graph, e: int) -> tuple[float, ...]:
        i, j = int(graph.source[e]), int(graph.target[e])
        vector = graph.positions[j] + graph.shift[e] - graph.positions[i]
        return (i % 3, j % 3, *(round(float(v), 6) + 0.0 for v in vector))

    place = {key(small, e): e for e in range(len(small.source))}
    return torch.tensor([place[key(large, e)] for e in range(len(large.source))])


class TestHamiltonian:
    """Of the matrices that are made of the blocks."""

    def test_symmetrised_is_hermitian(self):
        graph, cells, _ = crystal()
        raw = blocks(graph)
        assert (raw.onsite - raw.onsite.mT).abs().max() > 1e-3
        folded = symmetrised(raw, graph.inverse)
        assert torch.equal(folded.onsite, folded.onsite.mT)
        assert torch.equal(folded.offsite, folded.offsite[graph.inverse].mT)
        h = bloch_sum(folded, graph, cells, [0.13, -0.31, 0.22])
        assert np.abs(h - h.conj().T).max() < 1e-14 * np.abs(h).max()

    def test_symmetrised_keeps_what_is_hermitian(self):
        graph, _, _ = crystal()
        once = symmetrised(blocks(graph), graph.inverse)
        twice = symmetrised(once, graph.inverse)
        assert torch.equal(once.onsite, twice.onsite)
        assert torch.equal(once.offsite, twice.offsite)
        nothing = antisymmetrised(once, graph.inverse)
        assert nothing.onsite.abs().max() == 0
        assert nothing.offsite.abs().max() == 0

    def test_time_reversal(self):
        graph, cells, _ = crystal()
        k = np.array([0.13, -0.31, 0.22])
        h, reversed_h = (spinor(graph, cells, s * k) for s in (1, -1))
        assert np.abs(h - h.conj().T).max() < 1e-13
        # T H(k) T⁻¹ = H(−k), T = iσ_y K
        n = len(h) // 2
        turn = np.kron([[0, 1], [-1, 0]], np.eye(n))
        assert np.abs(turn @ h.conj() @ turn.T - reversed_h).max() < 1e-13
        split = np.diff(np.linalg.eigvalsh(h))[::2]
        assert split.max() > 1e-2

    @pytest.mark.parametrize("k", [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0.5]])
    def test_kramers_pairs_where_k_is_its_own_reverse(self, k):
        graph, cells, _ = crystal()
        h = spinor(graph, cells, np.array(k, dtype=float))
        energies = np.linalg.eigvalsh(h)
        assert np.diff(energies)[::2].max() < 1e-10
        assert np.diff(energies)[1::2].max() > 1e-2

    def test_on_site_coupling_alone_is_that_of_an_atom(self):
        # ξ L·σ in a d shell: ξ l for j = l + ½, −ξ (l + 1) for j = l − ½
        graph, _, _ = crystal()
        xi = blocks(graph, "spin_orbit")
        momentum = on_site_momentum()
        d = slice(WIDTH - 12, WIDTH - 7)
        nothing = xi.offsite.new_zeros(3, *xi.offsite.shape)
        shell = MatrixBlocks(xi.onsite * momentum[:, None], nothing)
        part = antisymmetrised(shell, graph.inverse).onsite[:, 0, d, d].numpy()
        strength = float(xi.onsite[0, d, d].mean())
        assert abs(strength) > 1e-3
        sigma = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
        h = sum(np.kron(s, 1j * p) for s, p in zip(sigma, part, strict=True))
        wanted = np.sort([2 * strength] * 6 + [-3 * strength] * 4)
        np.testing.assert_allclose(np.linalg.eigvalsh(h), wanted, rtol=0, atol=1e-12)


def on_site_momentum() -> torch.Tensor:
    """L_a/i of the layout, real, (3, width, width)."""
    return torch.stack(
        [
            torch.block_diag(*(torch.from_numpy(angular_momentum(a)[axis].imag) for a in LAYOUT))
            for axis in range(3)
        ]
    )


def bloch_sum(
    h: MatrixBlocks, graph: Graph, cells: torch.Tensor, k: NDArray[np.float64] | list[float]
) -> NDArray[np.complex128]:
    """Σ_R exp(2πi k·R) M[R]."""
    n = len(graph.numbers)
    result = np.zeros((n, n, WIDTH, WIDTH), dtype=complex)
    for i in range(n):
        result[i, i] = h.onsite[i].numpy()
    phases = np.exp(2j * np.pi * (cells.numpy() @ np.asarray(k)))
    for e, (i, j) in enumerate(zip(graph.source, graph.target, strict=True)):
        result[i, j] += phases[e] * h.offsite[e].numpy()
    return result.transpose(0, 2, 1, 3).reshape(n * WIDTH, n * WIDTH)


def spinor(graph: Graph, cells: torch.Tensor, k: NDArray[np.float64]) -> NDArray[np.complex128]:
    """H_scalar ⊗ 1 + Σ σ_a ⊗ iΛ_a, Λ the antisymmetric part of ξ∘L: L of atoms, and any between."""
    scalar = symmetrised(blocks(graph), graph.inverse)
    xi = blocks(graph, "spin_orbit")
    generator = torch.Generator().manual_seed(3)
    between = torch.randn(3, *xi.offsite.shape, generator=generator, dtype=torch.float64)
    part = antisymmetrised(
        MatrixBlocks(xi.onsite * on_site_momentum()[:, None], xi.offsite * between), graph.inverse
    )
    assert torch.equal(part.offsite, -part.offsite[:, graph.inverse].mT)
    h = bloch_sum(scalar, graph, cells, k)
    x, y, z = (
        1j * bloch_sum(MatrixBlocks(on, off), graph, cells, k)
        for on, off in zip(part.onsite, part.offsite, strict=True)
    )
    return np.block([[h + z, x - 1j * y], [x + 1j * y, h - z]])
