"""Random Hamiltonians with sites of different sizes, for the tests beside this file."""

# ruff: noqa: E741 - l is the quantum number's own name

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.provenance import Provenance

SHELLS = (Shell("1s", 0), Shell("2p", 1), Shell("3d", 2))
EXCHANGE = (None, "collinear", "vector")


def random_hamiltonian(
    seed: int,
    momenta: tuple[tuple[int, ...], ...] = ((0, 1), (1,), (0, 2)),
    *,
    exchange: str | None = None,
    spin_orbit: bool = True,
    uncertainty: bool = False,
    position: bool = False,
    time_odd: bool = False,
) -> Hamiltonian:
    """Dense random blocks on an incomplete set of pairs that stand in a shuffled order."""
    rng = np.random.default_rng(seed)
    n_sites = len(momenta)
    basis = Basis(("Si",) * n_sites, tuple(tuple(SHELLS[l] for l in site) for site in momenta))
    keys = {(i, i, (0, 0, 0)) for i in range(n_sites)}
    cells = list(itertools.product((-1, 0, 2), (-1, 0, 1), (0, 1)))
    for i, j in itertools.product(range(n_sites), repeat=2):
        for index in rng.integers(len(cells), size=3):
            cell = cells[index]
            keys |= {(i, j, cell), (j, i, tuple(-c for c in cell))}
    listed = sorted(keys)
    rng.shuffle(listed)
    pairs = Pairs(*(np.array([key[a] for key in listed]) for a in range(3)), basis.sizes)

    def flat(sign: float, count: int | None = None) -> NDArray[np.float64]:
        values = rng.normal(size=(count or 1, pairs.n_elements))
        values = (values + sign * values[:, pairs.transposition]) / 2
        return values if count else values[0]

    overlap = 0.002 * flat(1.0)
    for site in range(n_sites):
        pairs.block(overlap, pairs.index(site, site))[...] += np.eye(basis.sizes[site])
    return Hamiltonian(
        structure=Structure(
            Lattice.from_parameters(4.1, 4.6, 5.3, 83, 95, 104),
            ["Si"] * n_sites,
            rng.random((n_sites, 3)),
        ),
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=flat(1.0),
        exchange={None: None, "collinear": flat(1.0), "vector": flat(1.0, 3)}[exchange],
        spin_orbit=flat(-1.0, 3) if spin_orbit else None,
        n_electrons=1.0,
        provenance=Provenance("test", "random"),
        uncertainty=np.abs(flat(1.0)) if uncertainty else None,
        position=flat(1.0, 3) if position else None,
        time_odd=flat(-1.0) if time_odd else None,
    )


momenta = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=2).map(tuple), min_size=1, max_size=3
).map(tuple)
seeds = st.integers(0, 2**32 - 1)
kpoints = st.lists(st.floats(-2, 2), min_size=3, max_size=3)


@st.composite
def hamiltonians(draw: st.DrawFn, **fixed: object) -> Hamiltonian:
    """Any number of sites, shells, and optional parts; ``fixed`` ones are as given."""
    options: dict[str, object] = {
        "exchange": draw(st.sampled_from(EXCHANGE)),
        "spin_orbit": draw(st.booleans()),
        "uncertainty": draw(st.booleans()),
        "position": draw(st.booleans()),
        "time_odd": draw(st.booleans()),
    }
    return random_hamiltonian(draw(seeds), draw(momenta), **{**options, **fixed})
