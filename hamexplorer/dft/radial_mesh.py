"""Radial functions by spectral elements: integrals, derivatives, levels and Poisson's equation.

[0, R] is cut into elements with Gauss–Lobatto points of order p (Patera, J. Comput. Phys. 54, 468
(1984)); a function is its values at the points, and the same points integrate. What is smooth
inside every element converges exponentially with p. Atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.polynomial import Legendre
from numpy.polynomial.legendre import legder, legval, legvander
from numpy.typing import ArrayLike, NDArray

__all__ = ["RadialMesh", "radial_levels"]


@dataclass(frozen=True, eq=False)
class RadialMesh:
    """Lobatto points of all elements on [0, R].

    Attributes:
        boundaries: (n_elements + 1,) from 0 to R, bohr.
        order: p, degree of the polynomials.
        r: (n,) points in rising order, elements sharing theirs at boundaries; n = n_elements p + 1.
        weights: (n,) of the quadrature ∫ f dr = Σ w f.
        stiffness: (n, n) ∫ φ_i' φ_j' dr of the Lagrange polynomials.
    """

    boundaries: NDArray[np.float64]
    order: int
    r: NDArray[np.float64]
    weights: NDArray[np.float64]
    stiffness: NDArray[np.float64]

    @classmethod
    def create(cls, boundaries: ArrayLike, order: int = 14) -> RadialMesh:
        """A mesh with the given element boundaries, which rise from 0."""
        bounds = np.array(boundaries, dtype=np.float64)
        points, weights = _lobatto(order)
        half = np.diff(bounds) / 2
        local_r = bounds[:-1, None] + half[:, None] * (points + 1)
        index = _local_index(len(half), order)
        n = index[-1, -1] + 1
        r, total = np.zeros(n), np.zeros(n)
        r[index] = local_r
        r[index[:, 0]], r[-1] = bounds[:-1], bounds[-1]
        np.add.at(total, index, half[:, None] * weights)
        derivative = _derivative_matrix(order)
        reference = derivative.T @ (weights[:, None] * derivative)
        stiffness = np.zeros((n, n))
        for element, h in zip(index, half, strict=True):
            stiffness[np.ix_(element, element)] += reference / h
        return cls(bounds, order, r, total, stiffness)

    def integral(self, values: NDArray[np.float64]) -> float:
        """∫_0^R f dr."""
        return float(self.weights @ values)

    def local(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values by element, (n_elements, p + 1)."""
        return values[_local_index(len(self.boundaries) - 1, self.order)]

    def local_weights(self) -> NDArray[np.float64]:
        """Quadrature weights by element, (n_elements, p + 1)."""
        return np.diff(self.boundaries)[:, None] / 2 * _lobatto(self.order)[1]

    def gather(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over the elements that share a point: the transpose of :meth:`local`, (n,)."""
        total = np.zeros(len(self.r))
        np.add.at(total, _local_index(*_shape(local)), local)
        return total

    def derivative(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """d/dr by element, (n_elements, p + 1)."""
        return local @ _derivative_matrix(self.order).T * (2 / np.diff(self.boundaries)[:, None])

    def derivative_transposed(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transpose of :meth:`derivative` as a linear map."""
        return local * (2 / np.diff(self.boundaries)[:, None]) @ _derivative_matrix(self.order)

    def at(self, values: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
        """The elements' polynomials at ``radii`` in [0, R]."""
        last = len(self.boundaries) - 2
        element = np.clip(np.searchsorted(self.boundaries, radii, side="right") - 1, 0, last)
        width = np.diff(self.boundaries)[element]
        x = 2 * (radii - self.boundaries[element]) / width - 1
        series = np.linalg.solve(
            legvander(_lobatto(self.order)[0], self.order), self.local(values).T
        )
        return np.einsum("qc,cq->q", legvander(x, self.order), series[:, element])

    def hartree(self, density: NDArray[np.float64]) -> NDArray[np.float64]:
        """V_H (n,) of a spherical density ρ(r) that ends inside R, Ha.

        U = r V_H solves −U'' = 4πrρ with U(0) = 0 and U(R) = the charge; V_H(0) = U'(0).
        """
        source = 4 * np.pi * self.weights * self.r * density
        potential = np.zeros(len(self.r))
        potential[-1] = source @ self.r
        inner = slice(1, -1)
        right = source[inner] - self.stiffness[inner, -1] * potential[-1]
        potential[inner] = scipy.linalg.solve(self.stiffness[inner, inner], right, assume_a="pos")
        return self.over_r(potential)

    def over_r(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """f/r of a function with f(0) = 0; its slope at r = 0."""
        quotient = np.empty_like(values)
        quotient[1:] = values[1:] / self.r[1:]
        quotient[0] = self.derivative(self.local(values))[0, 0]
        return quotient


def radial_levels(
    mesh: RadialMesh,
    potential: NDArray[np.float64],
    l: int,  # noqa: E741
    count: int,
    projectors: NDArray[np.float64] | None = None,
    coupling: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest levels of −½u'' + [l(l+1)/2r² + V]u + Σ_ij p_i h_ij ⟨p_j|u⟩ = εu.

    Args:
        mesh: [0, R]; u vanishes at both ends.
        potential: V (n,), Ha; not used at r = 0 and R, where it may be infinite.
        l: angular momentum.
        count: number of levels.
        projectors: r p_i(r), (n_projectors, n), with ⟨p|u⟩ = ∫ r p u dr.
        coupling: h_ij, (n_projectors, n_projectors), Ha.

    Returns:
        ε (count,), Ha, rising, and u (count, n) with ∫u² dr = 1, positive near r = 0.
    """
    inner = slice(1, -1)
    root = np.sqrt(mesh.weights[inner])
    matrix = mesh.stiffness[inner, inner] / (2 * root * root[:, None])
    diagonal = potential[inner] + l * (l + 1) / (2 * mesh.r[inner] ** 2)
    matrix[np.diag_indices_from(matrix)] += diagonal
    if projectors is not None and coupling is not None:
        weighted = projectors[:, inner] * root
        matrix += weighted.T @ coupling @ weighted
    energies, vectors = scipy.linalg.eigh(matrix, subset_by_index=(0, count - 1))
    waves = np.zeros((count, len(mesh.r)))
    waves[:, inner] = (vectors / root[:, None]).T
    waves *= np.sign(waves[:, 1] + waves[:, 2])[:, None]
    return energies, waves


def _shape(local: NDArray[np.float64]) -> tuple[int, int]:
    return local.shape[0], local.shape[1] - 1


def _local_index(n_elements: int, order: int) -> NDArray[np.int64]:
    return np.arange(n_elements)[:, None] * order + np.arange(order + 1)


def _lobatto(order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights on [−1, 1]: the ends and the roots of P_p', 2/(p(p+1)P_p²)."""
    polynomial = Legendre.basis(order)
    points = np.concatenate([[-1.0], np.sort(polynomial.deriv().roots().real), [1.0]])
    points = (points - points[::-1]) / 2
    return points, 2 / (order * (order + 1) * polynomial(points) ** 2)


def _derivative_matrix(order: int) -> NDArray[np.float64]:
    """D_qk = φ_k'(x_q) of the Lagrange polynomials on the Lobatto points."""
    points = _lobatto(order)[0]
    slopes = legval(points, legder(np.eye(order + 1))).T
    matrix = np.linalg.solve(legvander(points, order).T, slopes.T).T
    return np.asarray(matrix, dtype=np.float64)
