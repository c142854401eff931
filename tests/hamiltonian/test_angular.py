"""Real spherical harmonics, their rotations and angular momentum, against closed forms."""

# ruff: noqa: E741 - l is the quantum number's own name

from __future__ import annotations

import numpy as np
import pytest
import torch
from e3nn import o3
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian.angular import (
    angular_momentum,
    axis_rotations,
    real_harmonics,
    rotation_generators,
    rotation_matrix,
)

MOMENTA = range(6)
angles = st.lists(st.floats(-np.pi, np.pi), min_size=3, max_size=3)


def _harmonics(l: int, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return real_harmonics(l, torch.as_tensor(vectors)).numpy()


def _rotation(euler: list[float]) -> NDArray[np.float64]:
    return Rotation.from_euler("zyz", euler).as_matrix()


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(40, 3))


def test_p_are_y_z_x(vectors: NDArray[np.float64]) -> None:
    expected = np.sqrt(3 / (4 * np.pi)) * vectors[:, [1, 2, 0]]
    np.testing.assert_allclose(_harmonics(1, vectors), expected, atol=1e-13)


def test_d_are_xy_yz_z2_xz_x2_minus_y2(vectors: NDArray[np.float64]) -> None:
    x, y, z = vectors.T
    n = np.sqrt(15 / (4 * np.pi))
    expected = n * np.stack(
        [x * y, y * z, (2 * z**2 - x**2 - y**2) / np.sqrt(12), x * z, (x**2 - y**2) / 2], axis=1
    )
    np.testing.assert_allclose(_harmonics(2, vectors), expected, atol=1e-12)


def test_f_have_the_signs_of_their_names(vectors: NDArray[np.float64]) -> None:
    x, y, z = vectors.T
    r2 = x**2 + y**2 + z**2
    shapes = [
        y * (3 * x**2 - y**2),
        x * y * z,
        y * (5 * z**2 - r2),
        z * (5 * z**2 - 3 * r2),
        x * (5 * z**2 - r2),
        z * (x**2 - y**2),
        x * (x**2 - 3 * y**2),
    ]
    for found, shape in zip(_harmonics(3, vectors).T, shapes, strict=True):
        ratio = found / shape
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
        assert ratio[0] > 0


@pytest.mark.parametrize("l", MOMENTA)
def test_against_scipy_s_complex_harmonics(l: int, vectors: NDArray[np.float64]) -> None:
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    # scipy's have the Condon–Shortley phase (−1)^m, ours have not
    columns = [np.sqrt(2) * (-1) ** m * sph_harm_y(l, m, theta, phi) for m in range(1, l + 1)]
    expected = np.stack(
        [
            *(column.imag for column in reversed(columns)),
            sph_harm_y(l, 0, theta, phi).real,
            *(column.real for column in columns),
        ],
        axis=1,
    )
    np.testing.assert_allclose(
        _harmonics(l, vectors), expected * r[:, None] ** l, rtol=1e-10, atol=1e-11
    )


@pytest.mark.parametrize("l", MOMENTA)
def test_commutators_and_length(l: int) -> None:
    x, y, z = angular_momentum(l)
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        np.testing.assert_allclose(a @ b - b @ a, 1j * c, atol=1e-12)
        np.testing.assert_array_equal(c, c.conj().T)
    np.testing.assert_allclose(x @ x + y @ y + z @ z, l * (l + 1) * np.eye(2 * l + 1), atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(z), np.arange(-l, l + 1), atol=1e-12)


def test_known_elements_of_angular_momentum() -> None:
    y, z, x = range(3)
    lx, ly, lz = angular_momentum(1)
    np.testing.assert_allclose([lz[y, x], lx[z, y], ly[x, z]], 1j, atol=1e-15)  # ⟨y|L_z|x⟩ = i
    xy, yz, z2, xz, x2y2 = range(5)
    dx, dy, dz = angular_momentum(2)
    assert dz[xy, x2y2] == pytest.approx(2j)
    assert dz[yz, xz] == pytest.approx(1j)
    assert dx[z2, yz] == pytest.approx(1j * np.sqrt(3), abs=1e-12)
    assert dy[z2, xz] == pytest.approx(-1j * np.sqrt(3), abs=1e-12)


@pytest.mark.parametrize("l", MOMENTA)
def test_generators_are_the_derivative_of_the_harmonics(
    l: int, vectors: NDArray[np.float64]
) -> None:
    # d/dω Y(R(ω)⁻¹ r) at ω = 0, from a closed form that knows nothing of generators
    step = 1e-5
    for axis, generator in zip(np.eye(3), rotation_generators(l), strict=True):
        turned = [
            _harmonics(l, vectors @ Rotation.from_rotvec(s * axis).as_matrix())
            for s in (step, -step)
        ]
        derivative = (turned[0] - turned[1]) / (2 * step)
        expected = _harmonics(l, vectors) @ generator
        np.testing.assert_allclose(derivative, expected, atol=1e-8 * max(1, np.abs(expected).max()))


def test_generators_do_not_depend_on_torch_s_default_type() -> None:
    rotation_generators.cache_clear()
    single = [rotation_generators(l).copy() for l in MOMENTA]
    assert torch.get_default_dtype() == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        rotation_generators.cache_clear()
        for l, first in zip(MOMENTA, single, strict=True):
            np.testing.assert_array_equal(first, rotation_generators(l))
    finally:
        torch.set_default_dtype(torch.float32)
    with pytest.raises(ValueError, match="read-only"):
        rotation_generators(1)[0, 0, 0] = 1


@given(first=angles, second=angles, l=st.integers(0, 5))
def test_rotations_form_a_group(first: list[float], second: list[float], l: int) -> None:
    a, b = _rotation(first), _rotation(second)
    product = rotation_matrix(l, a) @ rotation_matrix(l, b)
    np.testing.assert_allclose(product, rotation_matrix(l, a @ b), atol=1e-9)
    np.testing.assert_allclose(product @ product.T, np.eye(2 * l + 1), atol=1e-9)


@given(euler=angles, l=st.integers(0, 5), improper=st.booleans())
def test_rotated_harmonics_are_harmonics_of_rotated_points(
    euler: list[float], l: int, improper: bool
) -> None:
    operation = _rotation(euler) * (-1 if improper else 1)
    points = np.random.default_rng(0).normal(size=(5, 3))
    # Y_m(O⁻¹ r) = Σ_m' D_m'm Y_m'(r), and the points are rows: O⁻¹ r = r O
    left = _harmonics(l, points @ operation)
    right = _harmonics(l, points) @ rotation_matrix(l, operation)
    np.testing.assert_allclose(left, right, atol=1e-8 * max(1, np.abs(right).max()))


@pytest.mark.parametrize("l", MOMENTA)
def test_inversion_is_the_parity(l: int) -> None:
    np.testing.assert_allclose(
        rotation_matrix(l, -np.eye(3)), (-1) ** l * np.eye(2 * l + 1), atol=1e-14
    )


@pytest.mark.parametrize("l", MOMENTA)
def test_a_half_turn_and_a_mirror(l: int) -> None:
    m = np.arange(-l, l + 1)
    half_turn = rotation_matrix(l, np.diag([-1.0, -1.0, 1.0]))
    np.testing.assert_allclose(half_turn, np.diag((-1.0) ** m), atol=1e-12)
    mirror = rotation_matrix(l, np.diag([1.0, -1.0, 1.0]))  # y → −y: sines change sign
    np.testing.assert_allclose(mirror, np.diag(np.where(m < 0, -1.0, 1.0)), atol=1e-12)


@pytest.mark.parametrize("l", MOMENTA)
def test_agrees_with_e3nn_s_wigner_matrices(l: int) -> None:
    rotation = _rotation([0.3, 1.1, -2.0])
    order = [1, 2, 0]
    turned = torch.as_tensor(rotation[np.ix_(order, order)])
    expected = o3.Irrep(l, 1).D_from_matrix(turned).numpy()
    np.testing.assert_allclose(rotation_matrix(l, rotation), expected, atol=1e-6)


@pytest.mark.parametrize(
    "operation",
    [np.diag([1.0, 1.0, 1.1]), np.full((3, 3), np.nan), np.eye(2), np.zeros((3, 3)), np.eye(4)],
)
def test_only_orthogonal_matrices_turn_orbitals(operation: NDArray[np.float64]) -> None:
    with pytest.raises(HamiltonianError, match="orthogonal 3 × 3"):
        rotation_matrix(1, operation)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("l", [0, 1, 2, 3, 6])
def test_rotations_about_an_axis_are_those_of_their_matrices(axis: int, l: int) -> None:
    angles = np.array([-2.0, 0.0, 0.3, 3.0])
    turned = axis_rotations(l, axis, angles)
    for angle, found in zip(angles, turned, strict=True):
        rotation = Rotation.from_rotvec(angle * np.eye(3)[axis]).as_matrix()
        np.testing.assert_allclose(found, rotation_matrix(l, rotation), atol=1e-12)
