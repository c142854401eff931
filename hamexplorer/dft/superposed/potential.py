"""Local potentials at the points of a tile: superposed atoms, sums of radial functions; Ha, bohr.

Sums over atoms of f(|r − R|), of their gradients and second derivatives are matrix products: with
∇f = g **d**, ∂_a∂_b f = g δ_ab + q d_a d_b (d = r − R) the vectors leave the sum over atoms,

    Σ_R q d_a d_b = x_a x_b Σ q − x_a Σ q X_b − x_b Σ q X_a + Σ q X_a X_b,

with x and X the point and the atom seen from the tile's middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.dft.atom_tables import FreeAtom
from hamexplorer.dft.superposed.gradient_correction import pbe_potential
from hamexplorer.dft.superposed.radial import RadialTable, cartesian_derivatives
from hamexplorer.dft.superposed.tiles import Images
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError, UnsupportedElementError

__all__ = ["LocalPotentials", "PointDensity", "RadialPotentials", "SuperposedPotential"]

_CPU = torch.device("cpu")


class LocalPotentials(Protocol):
    """Several local potentials, known point by point."""

    @property
    def count(self) -> int:
        """How many."""

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Values (count, n), Ha, at ``points`` (n, 3), bohr; may be called by several threads."""


@dataclass(frozen=True, eq=False)
class PointDensity:
    """Spin densities at points: ``value`` (n_spin, n), ``gradient`` (n_spin, 3, n), ``hessian``
    (n_spin, 3, 3, n); bohr⁻³ and its derivatives.
    """

    value: torch.Tensor
    gradient: torch.Tensor
    hessian: torch.Tensor


class SuperposedPotential:
    """v(r) = Σ_I V_na,I(|r − R_I|) + v_xc[ρ](r) of superposed free atoms.

    Without moments one spin, ρ = Σ_I ρ_I. With moments µ_I (µB) two, ↑ then ↓:
    ρ_s = ½ (ρ ± m), m = Σ_I µ_I m_I, with the atoms' normalised magnetic densities m_I.
    """

    def __init__(
        self,
        system: CrystalSystem,
        atoms: Mapping[str, FreeAtom],
        moments: ArrayLike | None = None,
        device: torch.device = _CPU,
    ) -> None:
        """Tables of ``atoms`` by element; ``moments`` (n_atoms,), µB.

        Raises:
            UnsupportedElementError: an element of the system has no free atom.
            SettingsError: moments of another shape, not finite, or beyond an atom's electrons.
        """
        missing = sorted(set(system.symbols) - set(atoms))
        if missing:
            raise UnsupportedElementError(
                f"There is no table of a free atom for {', '.join(missing)}; there are "
                f"{', '.join(sorted(atoms))}."
            )
        self._atoms = {symbol: atoms[symbol] for symbol in sorted(set(system.symbols))}
        self._moments = None if moments is None else _checked_moments(system, atoms, moments)
        self._images = Images(system, {s: a.reach for s, a in self._atoms.items()})
        self._tables = {}
        for symbol, atom in self._atoms.items():
            functions = [atom.potential[None], cartesian_derivatives(atom.density, atom.step)]
            if self._moments is not None:
                functions.append(cartesian_derivatives(atom.magnetic, atom.step))
            self._tables[symbol] = RadialTable(np.concatenate(functions), atom.step, device)

    @property
    def count(self) -> int:
        """1, or 2 with moments."""
        return 1 if self._moments is None else 2

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """v at ``points`` (n, 3), (count, n)."""
        neutral, density = self.at(points)
        exchange_correlation = pbe_potential(
            density.value.cpu().numpy(),
            density.gradient.cpu().numpy(),
            density.hessian.cpu().numpy(),
        )
        return neutral + torch.as_tensor(exchange_correlation, device=points.device)

    def at(self, points: torch.Tensor) -> tuple[torch.Tensor, PointDensity]:
        """Σ V_na (n,) and the superposed density at ``points`` (n, 3)."""
        middle = points.mean(dim=0)
        x = (points - middle).T
        n_fields = 1 if self._moments is None else 2
        neutral = x.new_zeros(x.shape[1])
        value = x.new_zeros(n_fields, x.shape[1])
        # Σ g {1, X_a} and Σ q {1, X_a, X_a X_b}
        slopes, curvatures = x.new_zeros(n_fields, 4, x.shape[1]), x.new_zeros(
            n_fields, 10, x.shape[1]
        )
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            if not len(near):
                continue
            centres = torch.as_tensor(self._images.centres[near], device=x.device) - middle
            distance = torch.linalg.vector_norm(x - centres[:, :, None], dim=1)
            table = self._tables[symbol](distance)
            neutral += table[0].sum(dim=0)
            products = torch.cat(
                [torch.ones_like(centres[:, :1]), centres, _products(centres.T).T], dim=1
            ).T.contiguous()
            for field in range(n_fields):
                weights = products
                if field == 1 and self._moments is not None:
                    weights = products * torch.as_tensor(
                        self._moments[self._images.atom[near]], device=x.device
                    )
                f, g, q = table[1 + 3 * field : 4 + 3 * field]
                value[field] += weights[0] @ f
                slopes[field].addmm_(weights[:4], g)
                curvatures[field].addmm_(weights, q)
        density = _assembled(x, value, slopes, curvatures)
        if self._moments is None:
            return neutral, density
        return neutral, PointDensity(
            *(
                torch.stack([field[0] + field[1], field[0] - field[1]]) / 2
                for field in (density.value, density.gradient, density.hessian)
            )
        )


class RadialPotentials:
    """One potential per element E and function k: Σ_{I of E} f_k(|r − R_I|).

    Order: elements sorted, then the functions in their order.
    """

    def __init__(
        self,
        system: CrystalSystem,
        functions: Mapping[str, NDArray[np.float64]],
        step: float,
        device: torch.device = _CPU,
    ) -> None:
        """``functions`` (n_functions, n_radii), Ha, at r = 0, step, 2 step … (bohr), by element.

        Each is even in r and 0 with its slope at its last radius.

        Raises:
            SettingsError: a table that is none.
        """
        self._tables = {s: RadialTable(f, step, device) for s, f in sorted(functions.items())}
        self._images = Images(system, {s: t.reach for s, t in self._tables.items()})

    @property
    def count(self) -> int:
        """Number of potentials."""
        return sum(t.n_functions for t in self._tables.values())

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Element and function of each potential."""
        return [(s, k) for s, t in self._tables.items() for k in range(t.n_functions)]

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """The potentials at ``points`` (n, 3), (count, n)."""
        parts = []
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            centres = torch.as_tensor(self._images.centres[near], device=points.device)
            distance = torch.linalg.vector_norm(points.T - centres[:, :, None], dim=1)
            parts.append(self._tables[symbol](distance).sum(dim=1))
        return torch.cat(parts)


def _checked_moments(
    system: CrystalSystem, atoms: Mapping[str, FreeAtom], moments: ArrayLike
) -> NDArray[np.float64]:
    values = np.asarray(moments, dtype=float)
    if values.shape != (system.n_atoms,) or not np.isfinite(values).all():
        raise SettingsError(
            f"There must be one finite moment for each of {system.n_atoms} atoms; got an array "
            f"of shape {values.shape}."
        )
    for atom, (symbol, value) in enumerate(zip(system.symbols, values.tolist(), strict=True)):
        if abs(value) > atoms[symbol].charge:
            raise SettingsError(
                f"Atom {atom} ({symbol}) cannot carry {value:g} µB: it has "
                f"{atoms[symbol].charge:g} valence electrons."
            )
    return values


_PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def _products(x: torch.Tensor) -> torch.Tensor:
    """x_a x_b in the order of ``_PRODUCTS``, (6, n)."""
    return torch.stack([x[a] * x[b] for a, b in _PRODUCTS])


def _assembled(
    x: torch.Tensor, value: torch.Tensor, slopes: torch.Tensor, curvatures: torch.Tensor
) -> PointDensity:
    """Gradient and Hessian from the sums over atoms (module's docstring)."""
    gradient = x * slopes[:, :1] - slopes[:, 1:]
    q, q1, q2 = curvatures[:, 0], curvatures[:, 1:4], curvatures[:, 4:]
    hessian = x.new_empty(len(value), 3, 3, x.shape[1])
    for k, (a, b) in enumerate(_PRODUCTS):
        element = x[a] * x[b] * q - x[a] * q1[:, b] - x[b] * q1[:, a] + q2[:, k]
        if a == b:
            element = element + slopes[:, 0]
        hessian[:, a, b] = hessian[:, b, a] = element
    return PointDensity(value, gradient, hessian)
