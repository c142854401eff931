"""Our Hamiltonian as one of sisl."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from hamexplorer.formats.sisl_bridge.package import sisl_package
from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.spin_elements import spin_elements
from hamexplorer.hamiltonian import Hamiltonian, Shell, SpinState

if TYPE_CHECKING:
    import sisl

__all__ = ["to_sisl"]


def to_sisl(h: Hamiltonian, state: SpinState | None = None) -> sisl.Hamiltonian:
    """A ``sisl.Hamiltonian`` of ``h`` in one spin state (default: λ = 1, n = z).

    It is spin-orbit where ↑↑ or ↓↓ is complex or ↑↓ has an antisymmetric part (Λ or A), else
    non-collinear where ↑↓ is not zero, else polarised where there is exchange, else unpolarised.
    Orbitals become ``AtomicOrbital``: sisl's harmonics carry the Condon–Shortley sign (−1)^m, so
    elements change sign with them. n is the number in the shell's label, else l + 1. S is left
    out where it is the identity.

    sisl keeps neither the number of electrons, the position elements nor the decomposition.

    Raises:
        SettingsError: sisl is not installed.
    """
    library = sisl_package()
    pairs, basis = h.pairs, h.basis
    reach = np.abs(pairs.cell).max(axis=0)
    geometry = library.Geometry(
        h.structure.cart_coords,
        [_atom(library, *site) for site in zip(basis.symbols, basis.shells, strict=True)],
        lattice=library.Lattice(h.structure.lattice.matrix, nsc=2 * reach + 1),
    )
    rows, columns = pairs.element_orbitals
    image = geometry.lattice.sc_index(pairs.cell)[pairs.element_pair]
    m = basis.orbital_m
    signs = 1.0 - 2.0 * ((m[rows] + m[columns]) % 2)
    spin, components = _components(h, state or SpinState())
    values = [component * signs for component in components]
    unity = diagonal(pairs)
    orthogonal = np.array_equal(h.overlap, unity)
    if not orthogonal:
        values.append(h.overlap * signs)
    kept = np.any(values, axis=0)
    kept |= unity
    index = (rows[kept], columns[kept] + basis.n_orbitals * image[kept])
    shape = (basis.n_orbitals, basis.n_orbitals * geometry.n_s)
    matrices = [scipy.sparse.csr_matrix((v[kept], index), shape=shape) for v in values]
    overlap = None if orthogonal else matrices.pop()
    return library.Hamiltonian.fromsp(geometry, matrices, overlap, spin=spin)


def _components(h: Hamiltonian, state: SpinState) -> tuple[str, list[NDArray[np.float64]]]:
    """The kind of spin by sisl's name, and its real components."""
    e = spin_elements(h, state)
    up, down, mixed, other = e.upup, e.downdown, e.updown, e.downup
    if up.imag.any() or down.imag.any() or not np.array_equal(other, mixed.conj()):
        real = [up.real, down.real, mixed.real, mixed.imag]
        return "spin-orbit", [*real, up.imag, down.imag, other.real, other.imag]
    if mixed.any():
        return "non-colinear", [up.real, down.real, mixed.real, mixed.imag]
    if not np.array_equal(up, down):
        return "polarized", [up.real, down.real]
    return "unpolarized", [up.real]


def _atom(library: Any, symbol: str, shells: tuple[Shell, ...]) -> Any:
    orbitals = []
    alike: Counter[tuple[int, int, bool]] = Counter()
    for shell in shells:
        number = re.match(r"\d{1,2}", shell.label)
        n = max(int(number[0]) if number else 0, shell.l + 1)
        kind = (n, shell.l, shell.label.endswith("P"))
        alike[kind] += 1
        orbitals += [
            library.AtomicOrbital(n=n, l=shell.l, m=m, zeta=alike[kind], P=kind[2], R=-1.0)
            for m in range(-shell.l, shell.l + 1)
        ]
    if symbol == "X":
        return library.AtomGhost(1, orbitals)
    return library.Atom(symbol, orbitals)
