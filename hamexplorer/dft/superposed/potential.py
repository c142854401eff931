"""Local potentials at the points of a tile: superposed atoms, sums of radial functions; Ha, bohr.

Σ_R f(|r − R|) over atoms and its gradient Σ_R g d (d = r − R, g = f′/d) are matrix products: with
x and X the point and the atom seen from the tile's middle, Σ g d = x Σ g − Σ g X.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hamexplorer.dft.atom_tables import FreeAtom
from hamexplorer.dft.superposed.radial import RadialTable, slope_over_radius
from hamexplorer.dft.superposed.semilocal import pbe_derivatives
from hamexplorer.dft.superposed.tiles import Images
from hamexplorer.dft.system import CrystalSystem
from hamexplorer.errors import SettingsError, UnsupportedElementError

__all__ = ["LocalPotentials", "PointPotentials", "RadialPotentials", "SuperposedPotential"]

_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class PointPotentials:
    """What potentials are at points: ⟨χ|V|χ'⟩ = ∫ [ value χχ' + flux · ∇(χχ') ].

    ``value`` (count, n), Ha; ``flux`` (count, 3, n), Ha·bohr, or None where the potentials are
    multiplications.
    """

    value: torch.Tensor
    flux: torch.Tensor | None = None


class LocalPotentials(Protocol):
    """Several potentials that are known point by point."""

    @property
    def count(self) -> int:
        """How many."""

    def __call__(self, points: torch.Tensor) -> PointPotentials:
        """The potentials at ``points`` (n, 3), bohr; several threads may ask at once."""


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
        own = {symbol: atoms[symbol] for symbol in sorted(set(system.symbols))}
        self._moments = None if moments is None else _checked_moments(system, own, moments)
        self._images = Images(system, {s: a.reach for s, a in own.items()})
        self._tables = {}
        for symbol, atom in own.items():
            functions = [atom.potential, atom.density, slope_over_radius(atom.density, atom.step)]
            if self._moments is not None:
                functions += [atom.magnetic, slope_over_radius(atom.magnetic, atom.step)]
            self._tables[symbol] = RadialTable(np.stack(functions), atom.step, device)

    @property
    def count(self) -> int:
        """1, or 2 with moments."""
        return 1 if self._moments is None else 2

    def __call__(self, points: torch.Tensor) -> PointPotentials:
        """The potential at ``points`` (n, 3), v_xc with its flux."""
        neutral, density, gradient = self.at(points)
        value, flux = pbe_derivatives(density.cpu().numpy(), gradient.cpu().numpy())
        device = points.device
        return PointPotentials(
            neutral + torch.as_tensor(value, device=device), torch.as_tensor(flux, device=device)
        )

    def at(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Σ V_na (n,), ρ_s (n_spin, n) and ∇ρ_s (n_spin, 3, n) at ``points`` (n, 3)."""
        middle = points.mean(dim=0)
        x = (points - middle).T
        neutral = x.new_zeros(x.shape[1])
        value = x.new_zeros(self.count, x.shape[1])
        slopes = x.new_zeros(self.count, 4, x.shape[1])
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            centres = torch.as_tensor(self._images.centres[near], device=x.device) - middle
            table = self._tables[symbol](torch.linalg.vector_norm(x - centres[:, :, None], dim=1))
            neutral += table[0].sum(dim=0)
            weights = torch.cat([torch.ones_like(centres[:, :1]), centres], dim=1).T
            for field in range(self.count):
                if field == 1 and self._moments is not None:
                    moments = self._moments[self._images.atom[near]]
                    weights = weights * torch.as_tensor(moments, device=x.device)
                value[field] += weights[0] @ table[1 + 2 * field]
                slopes[field] += weights @ table[2 + 2 * field]
        gradient = x * slopes[:, :1] - slopes[:, 1:]
        return neutral, _by_spin(value), _by_spin(gradient)


class RadialPotentials:
    """One potential per element E and function k: Σ_{I of E} f_k(|r − R_I|).

    In the order of :attr:`labels`: elements sorted, then the functions in their order.
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

    def __call__(self, points: torch.Tensor) -> PointPotentials:
        """The potentials at ``points`` (n, 3)."""
        parts = []
        for symbol, near in zip(self._images.elements, self._images.near(points), strict=True):
            centres = torch.as_tensor(self._images.centres[near], device=points.device)
            distance = torch.linalg.vector_norm(points.T - centres[:, :, None], dim=1)
            parts.append(self._tables[symbol](distance).sum(dim=1))
        return PointPotentials(torch.cat(parts))


def _by_spin(fields: torch.Tensor) -> torch.Tensor:
    """ρ alone, or ρ and m to ½ (ρ + m) and ½ (ρ − m), along the first axis."""
    if len(fields) == 1:
        return fields
    return torch.stack([fields[0] + fields[1], fields[0] - fields[1]]) / 2


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
