"""Random models in orthogonal orbitals, and the same physics in other orbitals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from models import P, S, random_crystal
from numpy.typing import NDArray

from hamexplorer.hamiltonian import Hamiltonian, Pairs


def orthogonal(
    seed: int = 0, *, magnetic: bool = False, position: float = 0.0, planar: bool = True
) -> Hamiltonian:
    """A random crystal with S = 1 and, if asked for, random position elements of that size, Å."""
    h = random_crystal(2, [S, P], seed=seed, magnetic=magnetic, planar=planar)
    unit = np.zeros_like(h.overlap)
    for site in range(h.basis.n_sites):
        pair = h.pairs.index(site, site)
        h.pairs.block(unit, pair)[...] = np.eye(int(h.basis.sizes[site]))
    x = None
    if position:
        x = np.random.default_rng(seed + 100).normal(scale=position, size=(3, h.pairs.n_elements))
        x = (x + x[:, h.pairs.transposition]) / 2
        for site in range(h.basis.n_sites):  # orbitals are centred on their sites
            block = h.pairs.block(x, h.pairs.index(site, site))
            block[:, np.arange(block.shape[1]), np.arange(block.shape[1])] = 0
    return replace(h, overlap=unit, position=x)


def spinor_matrices(h: Hamiltonian) -> tuple[dict[tuple[int, ...], NDArray], ...]:
    """H(R), (2n, 2n), and the position X(R), (2n, 2n, 3), by R, spin-major.

    In orthogonal orbitals ⟨0i|r|Rj⟩ is X but for the orbitals' own places.
    """
    n = h.basis.n_orbitals
    hamiltonian: dict[tuple[int, ...], NDArray] = {}
    position: dict[tuple[int, ...], NDArray] = {}
    for pair in range(h.pairs.n_pairs):
        i, j = int(h.pairs.first[pair]), int(h.pairs.second[pair])
        cell = tuple(int(c) for c in h.pairs.cell[pair])
        rows, columns = h.basis.site_orbitals(i), h.basis.site_orbitals(j)
        spin_rows = np.r_[np.arange(n)[rows], n + np.arange(n)[rows]]
        spin_columns = np.r_[np.arange(n)[columns], n + np.arange(n)[columns]]
        into = hamiltonian.setdefault(cell, np.zeros((2 * n, 2 * n), complex))
        into[np.ix_(spin_rows, spin_columns)] += h.spinor_block(i, j, cell)
        if h.position is not None:
            block = h.pairs.block(h.position, pair)
            into = position.setdefault(cell, np.zeros((2 * n, 2 * n, 3), complex))
            for spin in (0, n):
                index = np.ix_(spin + np.arange(n)[rows], spin + np.arange(n)[columns])
                into[index] += block.transpose(1, 2, 0)
    return hamiltonian, position


def mixed(h: Hamiltonian, seed: int = 0, strength: float = 0.15) -> Hamiltonian:
    """``h``, in orthogonal orbitals without X, in other, non-orthogonal orbitals of the same space.

    χ_i = Σ_jR T_ij[R] φ_j(R) with real T on the stored pairs: S = T Tᵀ, M → T M Tᵀ, and
    ⟨χ_i|r|χ_jR⟩ from the places of φ, exactly. States, energies and Berry curvatures stay.
    """
    rng = np.random.default_rng(seed)
    n, basis, pairs = h.basis.n_orbitals, h.basis, h.pairs
    rows, columns = pairs.element_orbitals
    place = h.structure.cart_coords[basis.orbital_site]
    lattice = h.structure.lattice.matrix
    near = {tuple(c) for c in pairs.cell.tolist()}

    def by_cell(flat: NDArray) -> dict[tuple[int, ...], NDArray]:
        out = {cell: np.zeros((n, n)) for cell in near}
        for e in range(pairs.n_elements):
            cell = tuple(pairs.cell[pairs.element_pair[e]].tolist())
            out[cell][rows[e], columns[e]] = flat[e]
        return out

    t = {cell: strength * rng.normal(size=(n, n)) * (max(map(abs, cell)) <= 1) for cell in near}
    t[(0, 0, 0)] = t[(0, 0, 0)] + np.eye(n)

    def product(
        left: dict[tuple[int, ...], NDArray], right: dict[tuple[int, ...], NDArray]
    ) -> dict[tuple[int, ...], NDArray]:
        out: dict[tuple[int, ...], NDArray] = {}
        for a, x in left.items():
            for b, y in right.items():
                cell = tuple(p + q for p, q in zip(a, b, strict=True))
                out[cell] = out.get(cell, np.zeros((n, n))) + x @ y
        return out

    def transposed(m: dict[tuple[int, ...], NDArray]) -> dict[tuple[int, ...], NDArray]:
        return {tuple(-c for c in cell): block.T for cell, block in m.items()}

    turned = transposed(t)
    parts = {"overlap": product(t, turned)}
    names = {"scalar": h.scalar}
    if h.exchange is not None:
        names["exchange"] = h.exchange
    if h.time_odd is not None:
        names["time_odd"] = h.time_odd
    for a in range(3):
        if h.spin_orbit is not None:
            names[f"L{a}"] = h.spin_orbit[a]
    for name, flat in names.items():
        parts[name] = product(product(t, by_cell(flat)), turned)
    # ⟨χ_i|r|χ_jR⟩ = Σ T_ia[A] (A + r_a) T_ja[A − R], then centred on the midpoint
    for x in range(3):
        moved = {cell: (np.array(cell) @ lattice + place)[:, x] for cell in near}
        first = {cell: block * moved[cell] for cell, block in t.items()}
        parts[f"X{x}"] = product(first, turned)
    cells = sorted(parts["scalar"])
    listed = [(i, j, c) for c in cells for i in range(basis.n_sites) for j in range(basis.n_sites)]
    wide = Pairs(
        np.array([p[0] for p in listed]),
        np.array([p[1] for p in listed]),
        np.array([p[2] for p in listed]),
        basis.sizes,
    )
    r, c = wide.element_orbitals
    where = wide.cell[wide.element_pair]

    def flat_of(m: dict[tuple[int, ...], NDArray]) -> NDArray:
        zero = np.zeros((n, n))
        return np.array(
            [m.get(tuple(w), zero)[i, j] for w, i, j in zip(where.tolist(), r, c, strict=True)]
        )

    overlap = flat_of(parts["overlap"])
    middle = (place[r] + place[c] + where @ lattice) / 2
    position = np.stack([flat_of(parts[f"X{x}"]) - overlap * middle[:, x] for x in range(3)])
    return replace(
        h,
        pairs=wide,
        overlap=overlap,
        scalar=flat_of(parts["scalar"]),
        exchange=flat_of(parts["exchange"]) if "exchange" in parts else None,
        spin_orbit=np.stack([flat_of(parts[f"L{a}"]) for a in range(3)]),
        position=position,
        time_odd=flat_of(parts["time_odd"]) if "time_odd" in parts else None,
    )
