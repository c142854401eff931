"""Paths of the tensor products, sizes of the published network, refused hyper-parameters."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from e3nn import o3
from fixtures_hamgnn import SHELLS
from plain_network import head_irreps, twice, weight_shapes

from hamexplorer.errors import SettingsError
from hamexplorer.model.heads import coupled_irreps
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.paths import FilterPaths, w3j
from hamexplorer.model.spin_channels import Channel

FEATURES = o3.Irreps("64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e")
HARMONICS = o3.Irreps("0e+1o+2e+3o+4e+5o")
UNORDERED = FilterPaths(
    o3.Irreps("2x1o+3x0e+1x2e+2x0o+2x3e"),
    o3.Irreps("0e+2e+1o+3o"),
    o3.Irreps("2x2e+3x1o+1x0e+2x2o"),
)


def default(*, legacy: bool = False) -> Hyperparameters:
    return Hyperparameters(FEATURES, HARMONICS, legacy_edge_update=legacy)


def total(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


class TestPublishedSizes:
    """Numbers of weights in the published checkpoints of the default sizes."""

    def test_node_product(self):
        paths = FilterPaths(twice(FEATURES), HARMONICS, FEATURES)
        assert (paths.n_weights, paths.n_channels) == (118_482, 3589)

    def test_edge_product(self):
        paths = FilterPaths(FEATURES, HARMONICS, FEATURES)
        assert (paths.n_weights, paths.n_channels) == (59_241, 3589)

    def test_pair_embedding(self):
        paths = FilterPaths(o3.Irreps("96x0e"), HARMONICS, FEATURES)
        assert (paths.n_weights, paths.n_channels) == (14_592, 152)

    @pytest.mark.parametrize("kind", ["scalar", "spin_orbit"])
    def test_modules(self, kind):
        channel = channel_of(kind, legacy=False)
        backbone = channel.backbone
        for message in (backbone.convolutions[0].message, backbone.pairs["2"].message):
            for branch in (message.node, message.edge):
                assert sum(mixer.numel() for mixer in branch.mixers) == 100_089
                assert [tuple(w.shape) for w in branch.radial.layers] == [
                    (64, 64),
                    (64, 64),
                    (64, 3589),
                ]
            assert message.node_out.weight.numel() == message.edge_out.weight.numel() == 10_779
        assert sum(mixer.numel() for mixer in backbone.pair_embedding.filter.mixers) == 6166
        assert backbone.species.numel() == 6144
        assert backbone.pair_embedding.source.numel() == 9216
        residual = backbone.convolutions[0].residual
        assert (residual.first.weight.numel(), residual.second.weight.numel()) == (19_419, 10_779)
        heads = {"scalar": 3357, "spin_orbit": 43_264}
        assert channel.onsite.linear.weight.numel() == heads[kind]
        assert channel.offsite.linear.weight.numel() == heads[kind]

    def test_totals(self):
        # The published totals are of the default configuration's checkpoints, where the first pair
        # interaction is there but for its skip map (10,779), used or not.
        scalar = total(weight_shapes("scalar", default(), SHELLS[26]))
        assert scalar - 10_779 == 5_590_937
        # with spin-orbit coupling both pairs of heads are stored
        xi = weight_shapes("spin_orbit", default(), SHELLS[26])
        heads = sum(math.prod(s) for name, s in xi.items() if name.startswith("output_module"))
        assert scalar - 10_779 + heads == 5_737_861

    @pytest.mark.parametrize("kind", ["scalar", "spin_orbit"])
    @pytest.mark.parametrize("legacy", [True, False])
    def test_ours_are_those_without_what_is_never_used(self, kind, legacy):
        shapes = weight_shapes(kind, default(legacy=legacy), SHELLS[26])
        own = sum(p.numel() for p in channel_of(kind, legacy=legacy).parameters())
        assert own == total(shapes)
        wanted = {"scalar": 5_590_937, "spin_orbit": 5_737_861 - 2 * (19_419 + 10_779 + 3357)}[kind]
        every = weight_shapes(kind, default(), SHELLS[26])
        first = total({name: s for name, s in every.items() if "pair_interactions.0." in name})
        # legacy: the first pair interaction does nothing; otherwise it has a skip map, too
        assert own == wanted + 10_779 - (first if legacy else 0)

    def test_heads_couple_as_many_channels_as_published(self):
        for width, (count, dim) in {14: (56, 196), 26: (134, 676)}.items():
            channels = coupled_irreps(SHELLS[width])
            assert len(channels) == count
            assert sum(2 * big + 1 for _, _, big, _ in channels) == dim
            assert [(big, p) for *_, big, p in channels] == [
                (ir.l, ir.p) for _, ir in head_irreps("scalar", SHELLS[width])
            ]
        assert len(coupled_irreps((0, 0, 0, 1, 1, 2, 2))) == 89


def channel_of(kind: str, *, legacy: bool) -> Channel:
    with torch.device("meta"):
        return Channel(kind, default(legacy=legacy), SHELLS[26])


class TestPaths:
    @pytest.mark.parametrize(
        "paths", [UNORDERED, FilterPaths(FEATURES, HARMONICS, FEATURES)], ids=["few", "default"]
    )
    def test_are_those_of_e3nn(self, paths):
        product = o3.FullyConnectedTensorProduct(
            paths.irreps_in, paths.irreps_edge, paths.irreps_out, compile_left_right=False
        )
        assert paths.n_weights == product.weight_numel
        assert len(paths.paths) == len(product.instructions)
        own = {(p.block, p.l_edge, p.out) for p in paths.paths}
        edge = [ir.l for _, ir in paths.irreps_edge]
        assert own == {(i.i_in1, edge[i.i_in2], i.i_out) for i in product.instructions}

    @pytest.mark.parametrize("paths", [UNORDERED, FilterPaths(FEATURES, HARMONICS, FEATURES)])
    def test_channels_change_places_only(self, paths):
        order = paths.channel_order
        assert sorted(order.tolist()) == list(range(paths.n_channels))
        spans = paths.out_channels
        assert spans[0][0] == 0
        assert spans[-1][1] == paths.n_channels
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        # within each output block
        for o, (first, last) in enumerate(spans):
            own = {p.channel + k for p in paths.paths if p.out == o for k in range(p.mul_out)}
            assert set(order[first:last].tolist()) == own

    @pytest.mark.parametrize("paths", [UNORDERED, FilterPaths(FEATURES, HARMONICS, FEATURES)])
    def test_weights_have_one_place_each(self, paths):
        places = np.zeros(paths.n_weights, dtype=int)
        for p in paths.paths:
            places[p.weight : p.weight + p.mul_in * p.mul_out] += 1
        assert (places == 1).all()

    def test_coefficients_are_the_coupling_with_the_edge_on_the_axis(self):
        # Σ_m₂ w3j Y_m₂(z) is diagonal in m, or for odd sums takes m to −m with the sign of m
        for p in FilterPaths(FEATURES, HARMONICS, FEATURES).paths:
            axis = o3.spherical_harmonics(
                p.l_edge, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), True, "component"
            )
            coupling = o3.wigner_3j(p.l_in, p.l_edge, p.l_out, dtype=torch.float64)
            matrix = torch.einsum("iao,a->io", coupling, axis)
            matrix = matrix * math.sqrt((2 * p.l_out + 1) / p.mul_in)
            wanted = torch.zeros_like(matrix)
            for m in range(-min(p.l_in, p.l_out), min(p.l_in, p.l_out) + 1):
                if p.odd:
                    value = math.copysign(1, m) * p.coefficient(abs(m)) if m else 0.0
                    wanted[p.l_in - m, p.l_out + m] = value
                else:
                    wanted[p.l_in + m, p.l_out + m] = p.coefficient(abs(m))
            torch.testing.assert_close(wanted, matrix, rtol=0, atol=1e-13)

    def test_couplings_are_exact_to_float64(self):
        # in torch's default precision, float32, a network in float64 is 1e-9 away from the exact
        # one and from equivariance
        for momenta in ((1, 1, 2), (2, 3, 4), (6, 5, 6)):
            assert np.sum(w3j(*momenta) ** 2) == pytest.approx(1, abs=1e-13)
            exact = o3.wigner_3j(*momenta, dtype=torch.float64).numpy()
            np.testing.assert_allclose(w3j(*momenta), exact, rtol=0, atol=1e-14)

    def test_refuses_an_irrep_that_occurs_twice(self):
        with pytest.raises(SettingsError, match="once"):
            FilterPaths(o3.Irreps("2x0e+1x1o+3x0e"), o3.Irreps("0e"), o3.Irreps("1x0e"))

    @pytest.mark.parametrize("harmonics", ["2x0e+1o", "0e+1e", "0o"])
    def test_refuses_what_is_no_harmonic(self, harmonics):
        with pytest.raises(SettingsError, match="0e\\+1o\\+2e"):
            FilterPaths(o3.Irreps("2x0e"), o3.Irreps(harmonics), o3.Irreps("1x0e"))


class TestHyperparameters:
    def test_take_text(self):
        p = Hyperparameters("4x0e+2x1o", "0e+1o")
        assert (p.features, p.harmonics) == (o3.Irreps("4x0e+2x1o"), o3.Irreps("0e+1o"))
        assert p.radial_widths == (64, 64, 64)

    @pytest.mark.parametrize(
        "bad",
        [
            {"features": "4x0o+2x1o"},
            {"features": ""},
            {"features": "4x0e+what"},
            {"features": "4x0e+2x1o+1x0e"},
            {"features": "4x0e+0x1o"},
            {"features": "4x0e+2x12o"},
            {"features": 3.5},
            {"harmonics": "0e+1e"},
            {"harmonics": "0e+2x1o"},
            {"harmonics": ""},
            {"harmonics": "nonsense"},
            {"cutoff": 0.0},
            {"cutoff": -26.0},
            {"cutoff": math.inf},
            {"cutoff": math.nan},
            {"n_layers": 0},
            {"n_layers": 1001},
            {"n_radial": -1},
            {"n_types": 0},
            {"radial_hidden": (64, 0)},
            {"radial_hidden": (-3,)},
            {"radial_hidden": (10**9,)},
        ],
        ids=str,
    )
    def test_refuse(self, bad):
        good = {"features": "4x0e+2x1o", "harmonics": "0e+1o"}
        Hyperparameters(**good)
        with pytest.raises(SettingsError):
            Hyperparameters(**(good | bad))
