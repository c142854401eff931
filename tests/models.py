"""Tight-binding Hamiltonians with closed-form answers, for the tests of properties and plots."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.provenance import Provenance
from hamexplorer.structures.kpath import KPath

Key = tuple[int, int, tuple[int, int, int]]
Blocks = Mapping[Key, ArrayLike]

S = Shell("s", 0)
P = Shell("p", 1)

# L_a = i · L_P[a] in the order y, z, x of real p orbitals: L_z|x⟩ = i|y⟩ and cyclic.
L_P = np.zeros((3, 3, 3))
_Y, _Z, _X = range(3)
for _axis, _from, _to in ((2, _X, _Y), (0, _Y, _Z), (1, _Z, _X)):
    L_P[_axis, _to, _from] = 1.0
    L_P[_axis, _from, _to] = -1.0


def build(
    structure: Structure,
    shells: Sequence[Sequence[Shell]],
    n_electrons: float,
    *,
    scalar: Blocks,
    overlap: Blocks | None = None,
    exchange: Blocks | None = None,
    spin_orbit: Blocks | None = None,
    time_odd: Blocks | None = None,
) -> Hamiltonian:
    """A Hamiltonian from blocks given in one direction each; the reverse is added.

    ``spin_orbit`` blocks are (3, n_i, n_j). The overlap is 1 on site unless given.
    """
    basis = Basis(tuple(site.specie.symbol for site in structure), tuple(tuple(s) for s in shells))
    sizes = basis.sizes
    given = [scalar, overlap or {}, exchange or {}, spin_orbit or {}, time_odd or {}]
    keys: dict[Key, None] = {(i, i, (0, 0, 0)): None for i in range(len(sizes))}
    for i, j, cell in itertools.chain(*given):
        keys[(i, j, cell)] = None
        keys[(j, i, tuple(-c for c in cell))] = None
    listed = list(keys)
    pairs = Pairs(*(np.array([k[a] for k in listed]) for a in range(3)), sizes)

    def flat(blocks: Blocks, sign: float, lead: tuple[int, ...] = ()) -> NDArray[np.float64]:
        out = np.zeros((*lead, pairs.n_elements))
        for (i, j, cell), value in blocks.items():
            block = np.broadcast_to(np.asarray(value, float), (*lead, sizes[i], sizes[j]))
            back = tuple(-c for c in cell)
            pairs.block(out, pairs.index(i, j, cell))[...] = block
            pairs.block(out, pairs.index(j, i, back))[...] = sign * block.swapaxes(-1, -2)
        return out

    on_site = {(i, i, (0, 0, 0)): np.eye(n) for i, n in enumerate(sizes)}
    return Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=flat({**on_site, **(overlap or {})}, 1.0),
        scalar=flat(scalar, 1.0),
        exchange=None if exchange is None else flat(exchange, 1.0),
        spin_orbit=None if spin_orbit is None else flat(spin_orbit, -1.0, (3,)),
        n_electrons=n_electrons,
        provenance=Provenance(source="test", title="closed-form model"),
        time_odd=None if time_odd is None else flat(time_odd, -1.0),
    )


def chain(
    t: float = -1.0, s: float = 0.0, *, n_electrons: float = 1.0, field: float = 0.0, a: float = 3.0
) -> Hamiltonian:
    """s chain along a_1: E = 2t cos(2πk) / (1 + 2s cos(2πk)) ± ``field``."""
    structure = Structure(Lattice.orthorhombic(a, 15, 15), ["H"], [[0, 0, 0]])
    here, next_ = (0, 0, (0, 0, 0)), (0, 0, (1, 0, 0))
    return build(
        structure,
        [[S]],
        n_electrons,
        scalar={here: 0.0, next_: t},
        overlap={next_: s} if s else None,
        exchange={here: field} if field else None,
    )


def square(
    t: float = -1.0, *, rashba: float = 0.0, zeeman: float = 0.0, n_electrons: float = 1.0
) -> Hamiltonian:
    """s square lattice (a = 3 Å) with Rashba coupling and a Zeeman field.

    H = 2t (cos k_x + cos k_y) + 2α (sin k_y σ_x − sin k_x σ_y) + b σ_n, k in radians.
    """
    structure = Structure(Lattice.orthorhombic(3, 3, 20), ["H"], [[0, 0, 0.5]])
    here, x, y = ((0, 0, cell) for cell in ((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    # i Λ sums to −2 Λ[R] sin k for an antisymmetric pair of blocks.
    coupling = {
        y: np.array([-rashba, 0, 0]).reshape(3, 1, 1),
        x: np.array([0, rashba, 0]).reshape(3, 1, 1),
    }
    return build(
        structure,
        [[S]],
        n_electrons,
        scalar={here: 0.0, x: t, y: t},
        exchange={here: zeeman} if zeeman else None,
        spin_orbit=coupling if rashba else None,
    )


def graphene(t: float = -2.7, kane_mele: float = 0.0, stagger: float = 0.0) -> Hamiltonian:
    """Graphene's p_z bands; Kane–Mele coupling opens 6√3 λ at K, staggering adds ±Δ."""
    structure = Structure(
        Lattice.from_parameters(2.46, 2.46, 20, 90, 90, 120),
        ["C", "C"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]],
    )
    nearest = [(0, 1, cell) for cell in ((0, 0, 0), (-1, 0, 0), (0, 1, 0))]
    scalar: dict[Key, ArrayLike] = dict.fromkeys(nearest, t)
    scalar |= {(0, 0, (0, 0, 0)): stagger, (1, 1, (0, 0, 0)): -stagger}
    second = {}
    for cell in ((1, 0, 0), (0, 1, 0), (-1, -1, 0)):
        for site, sign in ((0, 1.0), (1, -1.0)):
            second[(site, site, cell)] = np.array([0, 0, sign * kane_mele]).reshape(3, 1, 1)
    return build(
        structure, [[S], [S]], 2.0, scalar=scalar, spin_orbit=second if kane_mele else None
    )


def haldane(
    t1: float = -2.7,
    t2: float = 0.1,
    phi: float = np.pi / 2,
    stagger: float = 0.0,
    n_electrons: float = 2.0,
) -> Hamiltonian:
    """Haldane's model for both spins: t₂ exp(±iφ) between second neighbours of graphene.

    F. D. M. Haldane, Phys. Rev. Lett. 61, 2015 (1988). Its bands are :func:`haldane_bands`.
    """
    plain = graphene(t1, stagger=stagger)
    nearest = [(0, 1, cell) for cell in ((0, 0, 0), (-1, 0, 0), (0, 1, 0))]
    scalar: dict[Key, ArrayLike] = dict.fromkeys(nearest, t1)
    scalar |= {(0, 0, (0, 0, 0)): stagger, (1, 1, (0, 0, 0)): -stagger}
    flux: dict[Key, ArrayLike] = {}
    for cell in ((1, 0, 0), (0, 1, 0), (-1, -1, 0)):
        for site, sign in ((0, 1.0), (1, -1.0)):
            scalar[(site, site, cell)] = t2 * np.cos(phi)
            flux[(site, site, cell)] = sign * t2 * np.sin(phi)
    return build(plain.structure, [[S], [S]], n_electrons, scalar=scalar, time_odd=flux)


def haldane_bands(
    k: NDArray[np.float64], t1: float, t2: float, phi: float, stagger: float
) -> NDArray[np.float64]:
    """Both bands at ``k`` (nk, 3), fractional, eV, (nk, 2)."""
    near = np.exp(2j * np.pi * k[:, :2] @ np.array([[0, 0], [-1, 0], [0, 1]]).T).sum(axis=1)
    angle = 2 * np.pi * k[:, :2] @ np.array([[1, 0], [0, 1], [-1, -1]]).T
    centre = 2 * t2 * np.cos(phi) * np.cos(angle).sum(axis=1)
    mass = stagger - 2 * t2 * np.sin(phi) * np.sin(angle).sum(axis=1)
    half = np.hypot(mass, t1 * np.abs(near))
    return np.stack([centre - half, centre + half], axis=1)


def with_time_odd(h: Hamiltonian, size: float = 0.5, seed: int = 0) -> Hamiltonian:
    """``h`` with a random A of about ``size`` times H_scalar's elements."""
    a = np.random.default_rng(seed).normal(size=h.pairs.n_elements)
    return replace(h, time_odd=size * np.abs(h.scalar) * (a - a[h.pairs.transposition]) / 2)


def p_atom(xi: float = 0.6, field: float = 0.0) -> Hamiltonian:
    """One p shell with ξ L·S: levels −ξ (twofold) and +ξ/2 (fourfold)."""
    structure = Structure(Lattice.cubic(10), ["Bi"], [[0, 0, 0]])
    here = (0, 0, (0, 0, 0))
    return build(
        structure,
        [[P]],
        3.0,
        scalar={here: np.zeros((3, 3))},
        exchange={here: field * np.eye(3)} if field else None,
        # ξ L·S = (ξ/2) L·σ with L_a = i L_P[a], so that Λ_a = (ξ/2) L_P[a].
        spin_orbit={here: xi / 2 * L_P},
    )


def silicon(xi: float = 0.0) -> Hamiltonian:
    """Slater–Koster sp3 silicon (nearest neighbours), with ξ L·S on the p shells."""
    a = 5.431
    structure = Structure(
        Lattice([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]),
        ["Si", "Si"],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
    )
    # Chadi and Cohen, Phys. Status Solidi B 68, 405 (1975), per bond.
    e_s, e_p, ss, sp, pps, ppp = 0.0, 7.2, -2.0325, 2.546, 4.5475, -1.085
    scalar: dict[Key, ArrayLike] = {
        (i, i, (0, 0, 0)): np.diag([e_s, e_p, e_p, e_p]) for i in (0, 1)
    }
    for cell in ((0, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        d = structure.lattice.get_cartesian_coords(np.array(cell) + 0.25)
        n = (d / np.linalg.norm(d))[[1, 2, 0]]
        block = np.zeros((4, 4))
        block[0, 0] = ss
        block[0, 1:], block[1:, 0] = sp * n, -sp * n
        block[1:, 1:] = pps * np.outer(n, n) + ppp * (np.eye(3) - np.outer(n, n))
        scalar[(0, 1, cell)] = block
    coupling = np.zeros((3, 4, 4))
    coupling[:, 1:, 1:] = xi / 2 * L_P
    return build(
        structure,
        [[S, P], [S, P]],
        8.0,
        scalar=scalar,
        spin_orbit={(i, i, (0, 0, 0)): coupling for i in (0, 1)} if xi else None,
    )


def random_crystal(
    n_sites: int,
    shells: Sequence[Shell],
    *,
    seed: int = 0,
    reach: int = 1,
    magnetic: bool = False,
    planar: bool = False,
) -> Hamiltonian:
    """Random blocks that decay with distance, with an overlap that is positive definite."""
    rng = np.random.default_rng(seed)
    lattice = Lattice.from_parameters(4.0, 4.4, 20.0 if planar else 4.2, 90, 90, 100)
    structure = Structure(lattice, ["Si"] * n_sites, rng.random((n_sites, 3)))
    size = sum(shell.size for shell in shells)
    reach_z = 0 if planar else reach
    steps = [range(-r, r + 1) for r in (reach, reach, reach_z)]
    scalar: dict[Key, ArrayLike] = {}
    overlap: dict[Key, ArrayLike] = {}
    exchange: dict[Key, ArrayLike] = {}
    coupling: dict[Key, ArrayLike] = {}
    for cell in itertools.product(*steps):
        for i, j in itertools.product(range(n_sites), repeat=2):
            if (j, i, tuple(-c for c in cell)) in scalar:
                continue
            decay = np.exp(-1.5 * np.linalg.norm(cell)) * (1.0 if i == j else 0.5)
            block, metric, field = (decay * rng.normal(size=(size, size)) for _ in range(3))
            vector = decay * rng.normal(size=(3, size, size))
            if i == j and not any(cell):
                block, field = block + block.T + np.diag(np.arange(size)), field + field.T
                metric, vector = np.eye(size) * 20, vector - vector.swapaxes(1, 2)
            key = (i, j, cell)
            scalar[key], overlap[key] = block, metric / 20
            exchange[key], coupling[key] = 0.3 * field, 0.2 * vector
    return build(
        structure,
        [list(shells)] * n_sites,
        float(2 * (n_sites * size // 3)),
        scalar=scalar,
        overlap=overlap,
        exchange=exchange if magnetic else None,
        spin_orbit=coupling,
    )


def line_path(h: Hamiltonian, points: Sequence[tuple[str, Sequence[float]]], n: int = 20) -> KPath:
    """A path along straight lines, ``n`` steps per piece."""
    corners = np.array([p for _, p in points], dtype=float)
    k = [corners[0]]
    for start, stop in itertools.pairwise(corners):
        k += [start + (stop - start) * (i + 1) / n for i in range(n)]
    kpoints = np.array(k)
    steps = np.diff(kpoints, axis=0) @ h.structure.lattice.reciprocal_lattice.matrix
    distances = np.r_[0, np.cumsum(np.linalg.norm(steps, axis=1))]
    ticks = tuple((i * n, label) for i, (label, _) in enumerate(points))
    return KPath(kpoints, distances, ticks, ())


GRAPHENE_PATH = (("Γ", (0, 0, 0)), ("M", (0.5, 0, 0)), ("K", (1 / 3, 1 / 3, 0)), ("Γ", (0, 0, 0)))
