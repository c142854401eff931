"""The Hamiltonian: real-space blocks of S, H_scalar, A, B and Λ on pairs of sites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import HamiltonianError
from hamexplorer.hamiltonian.arrays import owned, read_only
from hamexplorer.hamiltonian.basis import Basis
from hamexplorer.hamiltonian.components import COMPONENTS
from hamexplorer.hamiltonian.pairs import Pairs
from hamexplorer.hamiltonian.spin import SpinState
from hamexplorer.hamiltonian.validation import check_blocks, check_overlap
from hamexplorer.provenance import Provenance

__all__ = ["COMPONENTS", "Hamiltonian"]


@dataclass(frozen=True, eq=False)
class Hamiltonian:
    """A tight-binding Hamiltonian with its spin decomposition (CONVENTIONS.md, "Spin").

        H = (H_scalar + iA) ⊗ 1 + Σ_a σ_a ⊗ (n_a B + i λ Λ_a)

    Any Hermitian spinor Hamiltonian is of this form at n = z (with B_x,y,z), λ = 1, in one way:
    it is M_0 ⊗ 1 + Σ_a σ_a ⊗ M_a with H_scalar = Re M_0, A = Im M_0, B_a = Re M_a, Λ_a = Im M_a.

    Attributes:
        structure: the crystal; sites in the basis's order.
        basis: shells and labels.
        pairs: the index (i, j, R) of the blocks.
        overlap: S, (n_elements,), flat blocks.
        scalar: H_scalar, (n_elements,), eV.
        exchange: B: None, (n_elements,) for a collinear one, or (3, n_elements) for B_x,y,z; eV.
        spin_orbit: Λ_x,y,z: None or (3, n_elements), eV.
        n_electrons: electrons per cell, both spins.
        provenance: where it came from.
        uncertainty: None or one standard deviation of ``scalar``, (n_elements,), eV.
        position: None or X_x,y,z, (3, n_elements), Å: the position operator centred on the
            midpoint of the pair's two sites,

                X_a[i, j, R] = ⟨φ_i in cell 0 | r_a − (r_i + r_j + R)_a / 2 | φ_j in cell R⟩,

            so that ⟨φ_i 0|r_a|φ_j R⟩ = X_a + S (r_i + r_j + R)_a / 2. It does not depend on the
            origin or on the sites' images, and X = 0 is the diagonal approximation
            ⟨i|r|j⟩ ≈ S (r_i + r_j)/2. Cartesian axes of ``structure``. No term of H: it is
            neither among ``components`` nor carried by Bloch sums.
        time_odd: A: None or (n_elements,), eV, the spin-independent part that time reversal turns
            over: H gains iA ⊗ 1. It holds orbital currents (Haldane's fluxes, the orbital
            magnetism of a calculation) and what the phases of complex Wannier functions leave.
            Neither λ nor n acts on it. None where the source has none, as the embedded engine.

    Raises:
        HamiltonianError: shapes disagree, a value is not real or not finite, X[R] ≠ X[−R]ᵀ for
            S, H, B or the position, X[R] ≠ −X[−R]ᵀ for Λ or A, an uncertainty is negative, or S
            is not positive definite on a sample of k-points.
    """

    structure: Structure
    basis: Basis
    pairs: Pairs
    overlap: NDArray[np.float64]
    scalar: NDArray[np.float64]
    exchange: NDArray[np.float64] | None
    spin_orbit: NDArray[np.float64] | None
    n_electrons: float
    provenance: Provenance
    uncertainty: NDArray[np.float64] | None = None
    position: NDArray[np.float64] | None = None
    time_odd: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if len(self.structure) != self.basis.n_sites:
            raise HamiltonianError(
                f"The structure has {len(self.structure)} sites but the basis {self.basis.n_sites}."
            )
        for index, site in enumerate(self.structure):
            symbols = {element.symbol for element in site.species}
            if self.basis.symbols[index] not in symbols:
                raise HamiltonianError(
                    f"Site {index + 1} is {site.species_string} in the structure but "
                    f"{self.basis.symbols[index]} in the basis."
                )
        if not np.array_equal(self.pairs.sizes, self.basis.sizes):
            raise HamiltonianError("The pair index and the basis disagree on orbitals per site.")
        if not 0 <= self.n_electrons <= 2 * self.basis.n_orbitals:
            raise HamiltonianError(
                f"{self.n_electrons} electrons do not fit into {self.basis.n_orbitals} orbitals; "
                f"accepted are 0 … {2 * self.basis.n_orbitals}."
            )
        # A structure of pymatgen can be changed in place; the one held here is nobody else's.
        object.__setattr__(self, "structure", self.structure.copy())
        object.__setattr__(self, "n_electrons", float(self.n_electrons))
        n = self.pairs.n_elements
        shapes: dict[str, tuple[tuple[int, ...], ...]] = {
            "overlap": ((n,),),
            "scalar": ((n,),),
            "exchange": ((n,), (3, n)),
            "spin_orbit": ((3, n),),
            "uncertainty": ((n,),),
            "position": ((3, n),),
            "time_odd": ((n,),),
        }
        for name, accepted in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = owned(_real(name, value))
            if array.shape not in accepted:
                raise HamiltonianError(
                    f"{name} has shape {array.shape}; accepted: "
                    + " or ".join(str(s) for s in accepted)
                    + "."
                )
            object.__setattr__(self, name, array)
        check_blocks(self)
        check_overlap(self)

    # --- what is in it -------------------------------------------------------------------

    @property
    def has_spin_orbit(self) -> bool:
        """Whether Λ is stored."""
        return self.spin_orbit is not None

    @property
    def is_magnetic(self) -> bool:
        """Whether an exchange field is stored."""
        return self.exchange is not None

    @property
    def has_position(self) -> bool:
        """Whether the position matrix elements X are stored."""
        return self.position is not None

    def is_time_reversal_symmetric(self, state: SpinState | None = None) -> bool:
        """Whether time reversal leaves H in ``state`` as it is.

        True where no exchange field acts (none is stored, or it is switched off) and no A is
        stored. Then E(−k) = E(k), and spins, Berry curvatures and moments at −k are minus those
        at k. Whether there is a field to turn is another question: :attr:`is_magnetic`.
        """
        exchanged = self.exchange is not None and (state or SpinState()).exchange != 0
        return not exchanged and self.time_odd is None

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the stored components, a subset of :data:`COMPONENTS` in its order."""
        names = ["S", "H"]
        if self.time_odd is not None:
            names.append("A")
        if self.exchange is not None:
            names += ["B"] if self.exchange.ndim == 1 else ["Bx", "By", "Bz"]
        if self.spin_orbit is not None:
            names += ["Lx", "Ly", "Lz"]
        return tuple(names)

    def component(self, name: str) -> NDArray[np.float64]:
        """Flat blocks of a component, (n_elements,); eV but for S.

        Raises:
            HamiltonianError: the component is not stored.
        """
        if name not in self.components:
            raise HamiltonianError(
                f"Component {name!r} is not stored; there are {', '.join(self.components)}."
            )
        if name == "S":
            return self.overlap
        if name == "H":
            return self.scalar
        if name == "A":
            assert self.time_odd is not None
            return self.time_odd
        if name[0] == "L":
            assert self.spin_orbit is not None
            return self.spin_orbit["xyz".index(name[1])]
        assert self.exchange is not None
        return self.exchange if name == "B" else self.exchange["xyz".index(name[1])]

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Distance of every pair, Å, (n_pairs,)."""
        return read_only(np.linalg.norm(self.vectors, axis=1))

    @cached_property
    def vectors(self) -> NDArray[np.float64]:
        """r_j + R − r_i of every pair, Å, (n_pairs, 3)."""
        positions = self.structure.cart_coords
        return read_only(
            positions[self.pairs.second]
            + self.pairs.cell @ self.structure.lattice.matrix
            - positions[self.pairs.first]
        )

    # --- blocks --------------------------------------------------------------------------

    def block(
        self,
        component: str,
        i: int,
        j: int,
        cell: tuple[int, int, int] = (0, 0, 0),
        *,
        rows: str | Sequence[int] | None = None,
        columns: str | Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """The block of one component between site i in cell 0 and site j in cell R.

        ``rows`` and ``columns`` choose orbitals within the sites: a label (``4d`` or ``4d z²``)
        or indices. Returns (n_i, n_j) in eV (S: dimensionless).

        Raises:
            HamiltonianError: pair, component or orbital not stored.
        """
        block = self.pairs.block(self.component(component), self.pairs.index(i, j, cell))
        return block[np.ix_(self._orbitals(i, rows), self._orbitals(j, columns))]

    def spinor_block(
        self, i: int, j: int, cell: tuple[int, int, int] = (0, 0, 0), state: SpinState | None = None
    ) -> NDArray[np.complex128]:
        """The spinor block [[↑↑, ↑↓], [↓↑, ↓↓]] of a pair, eV, (2 n_i, 2 n_j)."""
        pair = self.pairs.index(i, j, cell)
        state = state or SpinState()
        scalar = self.pairs.block(self.scalar, pair).astype(complex)
        if self.time_odd is not None:
            scalar += 1j * self.pairs.block(self.time_odd, pair)
        vector = np.zeros((3, *scalar.shape), dtype=complex)
        if self.exchange is not None:
            exchange = self.pairs.block(self.exchange, pair)
            if exchange.ndim == 2:
                vector += state.exchange * state.direction[:, None, None] * exchange
            else:
                vector += state.exchange * np.einsum("ab,bij->aij", state.rotation, exchange)
        if self.spin_orbit is not None:
            vector += 1j * state.soc * self.pairs.block(self.spin_orbit, pair)
        x, y, z = vector
        return np.block([[scalar + z, x - 1j * y], [x + 1j * y, scalar - z]])

    def _orbitals(self, site: int, choice: str | Sequence[int] | None) -> NDArray[np.int64]:
        labels = self.basis.local_labels(site)
        if choice is None:
            return np.arange(len(labels))
        if isinstance(choice, str):
            found = [
                k for k, label in enumerate(labels) if label == choice or label.split()[0] == choice
            ]
            if not found:
                raise HamiltonianError(
                    f"{self.basis.site_labels[site]} has no orbital {choice!r}; there are "
                    + ", ".join(labels)
                    + "."
                )
            return np.array(found)
        chosen = np.asarray(choice)
        integers = chosen.ndim == 1 and (chosen.dtype.kind in "iu" or not chosen.size)
        if not integers or (chosen < 0).any() or (chosen >= len(labels)).any():
            raise HamiltonianError(
                f"{self.basis.site_labels[site]} has orbitals 0 … {len(labels) - 1}, "
                f"not {chosen.tolist()}."
            )
        return chosen.astype(np.int64)

    def select(
        self,
        *,
        sites: Iterable[int] | None = None,
        cells: Iterable[tuple[int, int, int]] | None = None,
        max_distance: float | None = None,
    ) -> NDArray[np.int64]:
        """Indices of chosen pairs, sorted by distance.

        Pairs between the given ``sites``, with R or −R among ``cells``, not farther than
        ``max_distance`` (Å).

        Raises:
            HamiltonianError: a site that is not.
        """
        keep = np.ones(self.pairs.n_pairs, dtype=bool)
        if sites is not None:
            wanted = np.array(sorted(set(sites)), dtype=np.int64)
            if wanted.size and not 0 <= wanted[0] <= wanted[-1] < self.basis.n_sites:
                raise HamiltonianError(
                    f"Sites are 0 … {self.basis.n_sites - 1}, not {wanted.tolist()}."
                )
            keep &= np.isin(self.pairs.first, wanted) & np.isin(self.pairs.second, wanted)
        if cells is not None:
            both = {tuple(c) for c in cells} | {tuple(-x for x in c) for c in cells}
            keep &= np.array([tuple(c) in both for c in self.pairs.cell.tolist()])
        if max_distance is not None:
            keep &= self.distances <= max_distance
        chosen = np.flatnonzero(keep)
        return chosen[np.argsort(self.distances[chosen], kind="stable")]

    # --- arithmetic ----------------------------------------------------------------------

    def shifted(self, energy: float) -> Hamiltonian:
        """H + energy · S: all eigenvalues moved by ``energy`` (eV)."""
        return replace(self, scalar=self.scalar + energy * self.overlap)

    def __sub__(self, other: Hamiltonian) -> Hamiltonian:
        """Element by element difference on the same pairs; S and X stay those of the first.

        Raises:
            HamiltonianError: pairs, orbitals or stored components differ.
        """
        if not isinstance(other, Hamiltonian):
            return NotImplemented
        if not self.pairs.same_as(other.pairs):
            raise HamiltonianError("Only Hamiltonians on the same pairs can be subtracted.")
        if self.components != other.components:
            raise HamiltonianError(
                f"One Hamiltonian stores {', '.join(self.components)}, the other "
                f"{', '.join(other.components)}."
            )
        if np.abs(self.overlap - other.overlap).max() > 1e-6:
            raise HamiltonianError(
                "The overlaps differ by up to "
                f"{np.abs(self.overlap - other.overlap).max():.2e}: the two are given in "
                "different orbitals."
            )
        return replace(
            self,
            scalar=self.scalar - other.scalar,
            exchange=_difference(self.exchange, other.exchange),
            spin_orbit=_difference(self.spin_orbit, other.spin_orbit),
            time_odd=_difference(self.time_odd, other.time_odd),
            uncertainty=None,
            provenance=replace(
                self.provenance,
                title=f"{self.provenance.title} − {other.provenance.title}",
            ),
        )

    def __repr__(self) -> str:
        spin = "collinear exchange" if self.exchange is not None else "no exchange"
        if self.exchange is not None and self.exchange.ndim == 2:
            spin = "non-collinear exchange"
        return (
            f"Hamiltonian({self.structure.composition.reduced_formula}: "
            f"{self.basis.n_sites} sites, {self.basis.n_orbitals} orbitals, "
            f"{self.pairs.n_pairs} pairs to {self.distances.max():.1f} Å, "
            f"{self.n_electrons:g} electrons, {spin}, "
            f"{'spin–orbit' if self.has_spin_orbit else 'no spin–orbit'}"
            f"{', time-odd part' if self.time_odd is not None else ''}"
            f"{', position' if self.has_position else ''}; "
            f"{self.provenance.title})"
        )


def _real(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise HamiltonianError(
            f"{name} holds {array.dtype}; accepted are real numbers (the blocks of all components "
            "are real, see CONVENTIONS.md)."
        )
    return array.astype(np.float64, copy=False)


def _difference(
    first: NDArray[np.float64] | None, second: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    return None if first is None or second is None else first - second
