"""Errors of a model: by hand for two bands, and against eigenvalues found another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from training_crystals import hexagonal, sample

from hamexplorer.datasets.sample import Sample, made_sample
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.provenance import Provenance
from hamexplorer.training.accuracy import accuracy_data, accuracy_text, by_family
from hamexplorer.training.evaluation import CrystalErrors, Errors, crystal_errors, zone_mesh


def two_levels() -> Sample:
    """Levels at −1 and +1 eV that meet nobody, S = 1; H0 has them at −1.3 and +1.1 eV."""
    structure = Structure(Lattice.hexagonal(3.0, 15.0), ["B"], [[0, 0, 0.5]])
    basis = Basis.from_elements(["B"], {"B": (Shell("2s", 0), Shell("3s", 0))})
    pairs = Pairs(np.array([0]), np.array([0]), np.zeros((1, 3), dtype=int), basis.sizes)
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=np.array([1.0, 0.0, 0.0, 1.0]),
        scalar=np.array([-1.0, 0.0, 0.0, 1.0]),
        exchange=None,
        spin_orbit=None,
        n_electrons=2.0,
        provenance=Provenance("two", "two"),
    )
    zero = np.array([-1.3, 0.0, 0.0, 1.1])
    return made_sample(h, zero, name="a/b/0", family="a", parent="b")


def test_two_levels_by_hand() -> None:
    found = crystal_errors(two_levels(), np.array([0.3, 0.05, 0.05, 0.1]), 5.0, "test")
    zero = found.zero
    # H0 − H = diag(−0.3, 0.1); its mean −0.1 is the constant
    assert zero.elements == pytest.approx((200 + 200) / 4)
    assert zero.elements_max == pytest.approx(200)
    assert zero.near_gap == pytest.approx(200)
    assert zero.near_gap_max == pytest.approx(200)
    assert zero.gap == pytest.approx(400)
    assert (zero.valley, zero.splitting) == (None, None)
    # the model: [[−1, 0.05], [0.05, 1.2]]
    levels = np.linalg.eigvalsh([[-1, 0.05], [0.05, 1.2]])
    error = levels - [-1, 1]
    assert found.model.gap == pytest.approx(1e3 * abs(error[1] - error[0]))
    assert found.model.near_gap == pytest.approx(1e3 * abs(error[1] - error[0]) / 2)
    assert found.model.elements == pytest.approx(1e3 * (0.1 + 0.1 + 0.05 + 0.05) / 4)


def test_a_perfect_model_leaves_what_lies_beyond_the_cutoff() -> None:
    one = sample(hexagonal())
    whole = crystal_errors(one, one.reference.scalar - one.zero, 20.0)
    assert max(v for v in vars(whole.model).values() if v is not None) < 1e-8
    near = one.reference.distances[one.reference.pairs.element_pair] < 4.0
    cut = crystal_errors(one, np.where(near, one.reference.scalar - one.zero, 0.0), 4.0)
    assert cut.model.elements < 1e-8
    assert 1e-3 < cut.model.near_gap < cut.zero.near_gap


def _spinor(
    h: Hamiltonian, scalar: NDArray[np.float64], k: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Eigenvalues with spin–orbit coupling from sparse sums and scipy."""
    from hamexplorer.hamiltonian import BlochSum

    matrix, overlap = BlochSum(replace(h, scalar=scalar), "cpu").sparse(k)
    return np.asarray(scipy.linalg.eigh(matrix.toarray(), overlap.toarray(), eigvals_only=True))


@pytest.mark.parametrize(
    ("structure", "k"),
    [
        (hexagonal(), [1 / 3, 1 / 3, 0.0]),
        (
            Structure(
                Lattice.from_parameters(2.5, 2.5, 15, 90, 90, 60),
                ["B", "N"],
                [[1 / 3, 1 / 3, 0.5], [2 / 3, 2 / 3, 0.5]],
            ),
            [2 / 3, 1 / 3, 0.0],
        ),
    ],
)
def test_valleys_and_splittings(structure: Structure, k: list[float]) -> None:
    one = sample(structure)
    h = one.reference
    a = h.structure.lattice.reciprocal_lattice
    assert np.linalg.norm(a.get_cartesian_coords(k)) == pytest.approx(4 * np.pi / (3 * 2.5)), "K"
    errors = crystal_errors(one, np.zeros(h.pairs.n_elements), 4.0).model
    point = np.array(k)
    first, second = _spinor(h, h.scalar, point), _spinor(h, one.zero, point)
    splitting = (second[7] - second[6]) - (first[7] - first[6])
    assert errors.splitting == pytest.approx(1e3 * abs(splitting), rel=1e-6)
    bare = replace(h, spin_orbit=None)
    tops = [
        [_spinor(bare, scalar, at)[7] for at in (np.zeros(3), point)]
        for scalar in (h.scalar, one.zero)
    ]
    offset = (tops[1][0] - tops[1][1]) - (tops[0][0] - tops[0][1])
    assert errors.valley == pytest.approx(1e3 * abs(offset), rel=1e-6)


def test_supercells_and_oblique_cells_have_no_valley() -> None:
    one = sample(hexagonal(), n_cells=2)
    assert crystal_errors(one, np.zeros(one.reference.pairs.n_elements), 4.0).model.valley is None
    square = Structure(Lattice.tetragonal(2.6, 15), ["B", "N"], [[0, 0, 0.5], [0.5, 0.5, 0.5]])
    one = sample(square)
    assert crystal_errors(one, np.zeros(one.reference.pairs.n_elements), 4.0).model.valley is None


def test_the_mesh_is_the_zone() -> None:
    h = sample(hexagonal()).reference
    k, weights = zone_mesh(h, 0.6)
    assert weights.sum() == pytest.approx(1)
    assert {tuple(x) for x in k} == {tuple(x) for x in np.unique(k, axis=0)}
    assert (k[:, 2] == 0).all()
    for point in ([0, 0, 0], [1 / 3, 1 / 3, 0], [0.5, 0, 0]):
        assert any(np.allclose(x, point) for x in k)
    # a function of k and −k is summed as on the whole mesh
    n = round(1 / k[k[:, 1] > 0, 1].min())
    grid = np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"), -1).reshape(-1, 2)

    def f(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(np.cos(2 * np.pi * (x[:, 0] - 2 * x[:, 1])))

    assert weights @ f(k) == pytest.approx(f(grid).mean())


def _errors(near_gap: float, valley: float | None) -> Errors:
    return Errors(0.1, 1.0, near_gap, 3 * near_gap, 2.0, valley, None)


def test_families_by_hand() -> None:
    zero = _errors(30.0, None)
    found = [
        CrystalErrors("a/x/0", "a", "test", 3, _errors(1.0, 4.0), zero),
        CrystalErrors("a/x/1", "a", "test", 3, _errors(3.0, None), zero),
        CrystalErrors("b/y/0", "b", "test", 6, _errors(5.0, None), zero),
    ]
    a, b, everything = by_family(found)
    assert (a.count, a.mean.near_gap, a.largest.near_gap, a.worst) == (2, 2.0, 3.0, "a/x/1")
    assert (a.mean.valley, b.mean.valley, a.zero.near_gap) == (4.0, None, 30.0)
    assert (everything.family, everything.mean.near_gap) == ("all", 3.0)
    text = accuracy_text(found).splitlines()
    assert text[2].split()[:2] == ["a", "2"]
    assert "2.00 (3.00)" in text[2]
    assert "–" in text[3]
    assert accuracy_data(found)["crystals"][2]["model"]["near_gap"] == 5.0
