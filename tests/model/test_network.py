"""The network against the published program's numbers and against the plain reference."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from e3nn import o3
from fixtures_hamgnn import CASES, FOLDERS, Published, intermediates, published
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_assembly import (
    antisymmetrised,
    folded,
    in_openmx_order,
    spin_orbit_rows,
    symmetrised,
)
from plain_network import Graph, PlainNetwork, Weights
from random_networks import evaluated, fast_and_plain, load_weights, molecule, periodic_graph

from hamexplorer.model import network
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.spin_channels import Channel, MatrixBlocks

Seen = tuple[Weights, MatrixBlocks]


@lru_cache(maxsize=16)
def fast(folder: str, kind: str, dtype: torch.dtype) -> Seen:
    fixture = published(folder, kind)
    with torch.no_grad():
        seen, onsite, offsite = intermediates(fixture.channel(dtype), fixture.graph(dtype))
    return seen, MatrixBlocks(onsite, offsite)


@lru_cache(maxsize=8)
def plain(folder: str, kind: str) -> Seen:
    fixture = published(folder, kind)
    with torch.no_grad():
        onsite, offsite, seen = fixture.plain(torch.float64)(fixture.graph(torch.float64))
    return seen, MatrixBlocks(onsite, offsite)


def worst(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a.detach().double() - b.detach().double()).abs().max()) if a.numel() else 0.0


class TestPublished:
    @pytest.mark.parametrize(("folder", "kind"), CASES)
    def test_every_intermediate_in_float32(self, folder, kind):
        mids = published(folder, kind).mids()
        seen, _ = fast(folder, kind, torch.float32)
        assert len(mids) == 10
        errors = {name: worst(seen[name], mid) for name, mid in mids.items()}
        assert max(errors.values()) < 1e-6, errors

    @pytest.mark.parametrize(("folder", "kind"), CASES)
    def test_every_intermediate_in_float64(self, folder, kind):
        # What is left is the published program's own rounding: 6.5e-7 in the harmonics of l = 4
        # (of size 3), under 2.9e-7 in all else.
        mids = published(folder, kind).mids()
        seen, _ = fast(folder, kind, torch.float64)
        errors = {name: worst(seen[name], mid) for name, mid in mids.items()}
        assert errors.pop("edge_attrs") < 6.6e-7
        assert max(errors.values()) < 2.9e-7, errors

    @pytest.mark.parametrize(("folder", "kind"), CASES)
    def test_plain_network_is_the_same_to_1e_10_in_float64(self, folder, kind):
        reference, blocks = plain(folder, kind)
        seen, own = fast(folder, kind, torch.float64)
        errors = {name: worst(seen[name], value) for name, value in reference.items()}
        assert max(errors.values()) < 1e-10, errors
        assert worst(own.onsite, blocks.onsite) < 1e-10
        assert worst(own.offsite, blocks.offsite) < 1e-10

    @pytest.mark.parametrize("folder", FOLDERS)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_hamiltonian_without_spin(self, folder, dtype):
        fixture = published(folder, "scalar")
        _, blocks = fast(folder, "scalar", dtype)
        h = scalar_hamiltonian(fixture, symmetrised(blocks, fixture("in_inv_edge_idx", dtype)))
        assert worst(h.flatten(1), fixture("out_hamiltonian", dtype)) < 1e-6

    @pytest.mark.parametrize("folder", FOLDERS)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_hamiltonian_with_spin_orbit_coupling(self, folder, dtype):
        bare, fixture = published(folder, "scalar"), published(folder, "spin_orbit")
        inverse = fixture("in_inv_edge_idx", dtype)
        scalar = scalar_hamiltonian(bare, symmetrised(fast(folder, "scalar", dtype)[1], inverse))
        _, xi = fast(folder, "spin_orbit", dtype)
        blocks = antisymmetrised(with_momentum(fixture, xi), inverse)
        coupling = torch.cat([blocks.onsite, blocks.offsite], dim=1)
        rows = spin_orbit_rows(scalar, coupling, initial(fixture, dtype))
        for part, own in zip(("real", "imag"), rows, strict=True):
            assert worst(own.flatten(1), fixture(f"out_hamiltonian_{part}", dtype)) < 1e-6

    @pytest.mark.parametrize("folder", FOLDERS)
    def test_plain_network_gives_both_hamiltonians(self, folder):
        dtype = torch.float64
        bare, fixture = published(folder, "scalar"), published(folder, "spin_orbit")
        _, blocks = plain(folder, "scalar")
        inverse = fixture("in_inv_edge_idx", dtype)
        rows = folded(blocks.onsite, blocks.offsite, inverse, 1)
        n = len(blocks.onsite)
        scalar = scalar_hamiltonian(bare, MatrixBlocks(rows[:n], rows[n:]))
        assert worst(scalar.flatten(1), bare("out_hamiltonian", dtype)) < 3e-7
        moments = with_momentum(fixture, plain(folder, "spin_orbit")[1])
        coupling = folded(moments.onsite, moments.offsite, inverse, -1)
        rows = spin_orbit_rows(scalar, coupling, initial(fixture, dtype))
        for part, own in zip(("real", "imag"), rows, strict=True):
            assert worst(own.flatten(1), fixture(f"out_hamiltonian_{part}", dtype)) < 3e-7


def scalar_hamiltonian(fixture: Published, blocks: MatrixBlocks) -> torch.Tensor:
    """As the published program stores it: its order of orbitals, H0 added, absent orbitals zero."""
    h = in_openmx_order(torch.cat([blocks.onsite, blocks.offsite]), fixture.shells)
    h0 = torch.cat([fixture("in_Hon0", h.dtype), fixture("in_Hoff0", h.dtype)])
    return (h + h0.view_as(h)) * fixture("out_mask", h.dtype).view_as(h)


def with_momentum(fixture: Published, xi: MatrixBlocks) -> MatrixBlocks:
    """ξ∘L_a, a first. ξ is constant within shells: the order within them does not matter."""

    def product(part: torch.Tensor, momentum: torch.Tensor) -> torch.Tensor:
        return (part[..., None] * momentum.view(*part.shape, 3)).permute(3, 0, 1, 2)

    dtype = xi.onsite.dtype
    return MatrixBlocks(
        product(xi.onsite, fixture("in_Lon", dtype)), product(xi.offsite, fixture("in_Loff", dtype))
    )


def initial(fixture: Published, dtype: torch.dtype) -> torch.Tensor:
    """H0 of both spins, real and imaginary, (2, n, 2w, 2w)."""
    width = 2 * sum(2 * a + 1 for a in fixture.shells)
    parts = [
        torch.cat([fixture(f"in_{i}Hon0", dtype), fixture(f"in_{i}Hoff0", dtype)])
        for i in ("", "i")
    ]
    return torch.stack(parts).view(2, -1, width, width)


def sizes(
    features: str,
    harmonics: str,
    n_layers: int,
    n_radial: int,
    hidden: tuple[int, ...],
    *,
    legacy: bool = False,
) -> Hyperparameters:
    return Hyperparameters(
        o3.Irreps(features),
        o3.Irreps(harmonics),
        n_layers,
        n_radial=n_radial,
        radial_hidden=hidden,
        n_types=9,
        legacy_edge_update=legacy,
    )


SIZES = {
    "unordered": sizes("2x1o+3x0e+1x2e+2x0o+2x1e", "0e+1o+2e", 2, 4, (5,)),
    "unordered harmonics": sizes("3x0e+2x1o+1x2e+1x2o", "2e+0e+1o", 2, 3, (4, 3)),
    "no odd scalars, no even vectors": sizes("4x0e+3x1o+2x2e", "0e+1o+2e+3o", 1, 5, ()),
    "l to 6": sizes(
        "3x0e+1x0o+2x1o+1x1e+1x2e+1x3o+1x3e+1x4e+2x5o+1x6e+1x6o", "0e+1o+2e+3o+4e+5o",
        2, 4, (4, 5, 6), legacy=True,
    ),
    "steps in l": sizes("2x0e+2x3o+1x5o", "0e+1o+2e+3o", 2, 4, (4,)),
    "harmonics beyond the features": sizes(
        "3x0e+2x1o+1x1e", "0e+1o+2e+3o+4e+5o", 3, 4, (4,), legacy=True
    ),
    "harmonics with a gap": sizes("3x0e+2x1o+1x1e+2x2e", "0e+2e+5o", 1, 4, (4,)),
    "scalars only": sizes("3x0e+2x0o", "0e+1o", 2, 4, (4,)),
}  # fmt: skip
MOLECULE = molecule([1, 8, 6, 1], [[0, 0, 0], [0, 0, 2.1], [1.7, 0.3, 2.9], [-1.2, 2.0, 0.4]])


class TestAgainstPlain:
    """Random weights: values to 1e-10, gradients to 1e-9 of their size."""

    @pytest.mark.parametrize("name", SIZES)
    @pytest.mark.parametrize("kind", ["scalar", "spin_orbit"])
    def test_sizes(self, name, kind):
        assert_equal_with_gradients(kind, SIZES[name], (0, 1), MOLECULE)

    @pytest.mark.parametrize("shells", [(0,), (1,), (0, 2, 1), (3, 0, 3), (2, 2, 0, 1)])
    def test_layouts_of_orbitals(self, shells):
        # in any order, and such as couple to momenta that the features lack
        assert_equal_with_gradients("scalar", SIZES["unordered"], shells, MOLECULE)
        assert_equal_with_gradients("spin_orbit", SIZES["unordered"], shells, MOLECULE)

    def test_periodic(self):
        cell = torch.tensor([[4.1, 0, 0], [1.5, 4.4, 0], [0.2, -0.6, 5.0]], dtype=torch.float64)
        positions = torch.tensor([[0.1, 0, 0.2], [1.9, 2.2, 1.7]], dtype=torch.float64)
        graph, _ = periodic_graph([3, 7], positions, cell, 5.2)
        assert len(graph.source) > 20
        assert_equal_with_gradients("scalar", SIZES["unordered"], (0, 1), graph)

    @given(
        counts=st.dictionaries(
            st.tuples(st.integers(0, 6), st.sampled_from([1, -1])),
            st.integers(1, 3),
            max_size=3,
        ),
        scalars=st.integers(1, 3),
        place=st.integers(0, 3),
        max_l=st.integers(2, 4),
        n_layers=st.integers(1, 2),
        hidden=st.lists(st.integers(1, 5), max_size=3),
        legacy=st.booleans(),
        seed=st.integers(0, 1000),
    )
    @settings(max_examples=8)
    def test_any(self, counts, scalars, place, max_l, n_layers, hidden, legacy, seed):
        counts.pop((0, 1), None)
        blocks = [(mul, key) for key, mul in counts.items()]
        blocks.insert(place, (scalars, (0, 1)))
        p = Hyperparameters(
            o3.Irreps(blocks),
            o3.Irreps.spherical_harmonics(max_l),
            n_layers,
            n_radial=3,
            radial_hidden=tuple(hidden),
            n_types=9,
            legacy_edge_update=legacy,
        )
        assert_equal_with_gradients("scalar", p, (0, 1), MOLECULE, seed)

    def test_without_gradients_the_values_are_the_same(self):
        # evaluation may take another route through memory than training
        channel, _ = fast_and_plain("scalar", SIZES["l to 6"], (0, 1, 2))
        trained = evaluated(channel, MOLECULE)
        with torch.no_grad():
            alone = evaluated(channel, MOLECULE)
        assert worst(trained.onsite.detach(), alone.onsite) < 1e-13
        assert worst(trained.offsite.detach(), alone.offsite) < 1e-13

    def test_chunks_of_edges(self, monkeypatch):
        # with gradients each chunk is computed a second time
        monkeypatch.setattr(network, "CHUNK", 5)
        assert_equal_with_gradients("scalar", SIZES["unordered"], (0, 1), MOLECULE)
        assert_equal_with_gradients("spin_orbit", SIZES["unordered"], (0, 1), MOLECULE)

    def test_chunks_on_several_threads(self, monkeypatch):
        channel, _ = fast_and_plain("scalar", SIZES["unordered"], (0, 1))
        monkeypatch.setattr(network, "CHUNK", 3)
        before = torch.get_num_threads()
        found = []
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                with torch.no_grad():
                    found.append(evaluated(channel, MOLECULE))
                assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        for blocks in found[1:]:
            assert torch.equal(blocks.onsite, found[0].onsite)
            assert torch.equal(blocks.offsite, found[0].offsite)
            assert not blocks.offsite.requires_grad

    def test_made_in_float32_then_converted(self):
        # coupling coefficients are constants: they must not keep float32's rounding
        p = SIZES["no odd scalars, no even vectors"]
        assert torch.get_default_dtype() == torch.float32
        channel, plain_network = fast_and_plain("scalar", p, (0, 1, 2))
        assert worst(evaluated(channel, MOLECULE).onsite, plain_network(MOLECULE)[0]) < 1e-10


def assert_equal_with_gradients(
    kind: str, p: Hyperparameters, shells: tuple[int, ...], graph: Graph, seed: int = 0
) -> None:
    channel, reference = fast_and_plain(kind, p, shells, seed=seed)
    own_positions = graph.positions.clone().requires_grad_()
    positions = graph.positions.clone().requires_grad_()
    blocks = evaluated(channel, _with(graph, own_positions))
    for weight in reference.weights.values():
        weight.requires_grad_()
    onsite, offsite, _ = reference(_with(graph, positions))
    size = max(1.0, *(float(part.detach().abs().max()) for part in (onsite, offsite)))
    assert worst(blocks.onsite.detach(), onsite.detach()) < 1e-10 * size
    assert worst(blocks.offsite.detach(), offsite.detach()) < 1e-10 * size

    generator = torch.Generator().manual_seed(seed)
    on = torch.randn(onsite.shape, generator=generator, dtype=torch.float64)
    off = torch.randn(offsite.shape, generator=generator, dtype=torch.float64)
    ((blocks.onsite * on).sum() + (blocks.offsite * off).sum()).backward()
    ((onsite * on).sum() + (offsite * off).sum()).backward()
    assert_same_gradient(own_positions.grad, positions.grad, "positions")
    for (name, parameter), wanted in zip(
        channel.named_parameters(), _gradients(channel, reference).values(), strict=True
    ):
        assert_same_gradient(parameter.grad, wanted, name)


def _with(graph: Graph, positions: torch.Tensor) -> Graph:
    return Graph(graph.numbers, positions, graph.source, graph.target, graph.shift, graph.inverse)


def _gradients(channel: Channel, reference: PlainNetwork) -> Weights:
    """The reference's gradients by our parameters: weights only change places between the two."""
    gradients = {
        name: torch.zeros_like(w) if w.grad is None else w.grad
        for name, w in reference.weights.items()
    }
    twin = Channel(channel.kind, reference.p, reference.shells).double()
    load_weights(twin, gradients)
    return dict(twin.named_parameters())


def assert_same_gradient(own: torch.Tensor | None, wanted: torch.Tensor, name: str) -> None:
    own = torch.zeros_like(wanted) if own is None else own
    assert own.isfinite().all(), name
    size = float(wanted.detach().abs().max()) if wanted.numel() else 0.0
    assert worst(own, wanted.detach()) <= 1e-9 * size + 1e-12, name
