"""Wannier functions on the sites of a crystal: which belongs where, in which shells and order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Lattice, Structure

from hamexplorer.formats.labels import UNKNOWN_ORBITAL
from hamexplorer.formats.wannier90.projections import ORDER, Projection
from hamexplorer.hamiltonian import Basis, Shell

__all__ = ["Layout", "lay_out"]

_MERGED = 0.5
"""Å; without atoms, functions nearer than this share a site."""
_AT_HOME = 0.6
"""Å; a function farther from its projection's centre is no longer that orbital."""
_ON_ATOM = 0.05
"""Å between a projection's centre and an atom."""
_LETTERS = "spdf"
_IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the file's functions stand in our basis.

    Attributes:
        structure: sites that bear functions.
        basis: their shells.
        orbital: ours (0 … n − 1) of each of the file's spatial functions, (n,).
        shells_from: ``projections``, ``projections in part``, or "" for functions of no known
            angular momentum.
        left_out: atoms without functions.
        warnings: what the user should know.
    """

    structure: Structure
    basis: Basis
    orbital: NDArray[np.int64]
    shells_from: str
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]


def lay_out(
    lattice: NDArray[np.float64],
    atoms: Structure | None,
    centres: NDArray[np.float64] | None,
    projections: Sequence[Projection] | None,
    n: int,
) -> Layout:
    """Every function to its nearest atom; complete shells of projections as shells.

    Args:
        lattice: rows, Å.
        atoms: the crystal; None: functions make sites X of their own.
        centres: of the spatial functions, Cartesian, Å, (n, 3); None: unknown.
        projections: of the spatial functions, (n,); None: unknown.
        n: number of spatial functions.
    """
    warnings: list[str] = []
    where = centres
    if where is None and projections is not None:
        where = np.array([p.centre for p in projections]) @ lattice
    if where is None:
        atoms, site, warning = _unplaced(lattice, atoms, n)
        warnings += [warning] if warning else []
    elif atoms is None:
        atoms, site = _own_sites(lattice, where)
    else:
        site = _nearest(atoms, where)
    known = _believed(lattice, centres, projections, n, warnings)
    _to_own_atoms(site, atoms, known)
    bearing = np.unique(site)
    left_out = tuple(
        f"{atoms[index].specie.symbol} at {atoms[index].frac_coords.round(4).tolist()}"
        for index in range(len(atoms))
        if index not in set(bearing.tolist())
    )
    if left_out:
        warnings.append(
            f"{len(left_out)} atoms bear no Wannier function and are left out: "
            + "; ".join(left_out[:6])
            + (" …" if len(left_out) > 6 else "")
            + "."
        )
    structure = Structure.from_sites([atoms[int(index)] for index in bearing])
    orbital = np.empty(n, dtype=np.int64)
    shells: list[tuple[Shell, ...]] = []
    start, unknown = 0, 0
    for index in bearing:
        members = np.flatnonzero(site == index)
        of_site, order, loose = _shells(members, known)
        shells.append(of_site)
        orbital[order] = start + np.arange(len(order))
        start += len(order)
        unknown += loose
    if unknown:
        warnings.append(
            f"{unknown} of {n} functions are of no known angular momentum (labels w…): orbital "
            "moments and characters leave them out."
        )
    basis = Basis(tuple(site.specie.symbol for site in structure), tuple(shells))
    told = {0: "projections", n: ""}.get(unknown, "projections in part")
    return Layout(structure, basis, orbital, told, left_out, tuple(warnings))


def _unplaced(
    lattice: NDArray[np.float64], atoms: Structure | None, n: int
) -> tuple[Structure, NDArray[np.int64], str]:
    """All functions on the one atom that there is, or on one site X at the origin."""
    if atoms is not None and len(atoms) == 1:
        return atoms, np.zeros(n, dtype=np.int64), ""
    return (
        Structure(Lattice(lattice), [DummySpecies("X")], [[0, 0, 0]]),
        np.zeros(n, dtype=np.int64),
        "Nothing tells where the Wannier functions lie (SEED_tb.dat, SEED_centres.xyz, SEED.wout "
        "or projections in SEED.win would): all stand on one site X at the origin. Energies are "
        "exact; Berry curvatures and weights by atom are not.",
    )


def _nearest(atoms: Structure, where: NDArray[np.float64]) -> NDArray[np.int64]:
    """The atom nearest to every point, images counted, (n,)."""
    distance = np.stack(
        [
            np.linalg.norm(nearest_image(atoms.lattice.matrix, where - position), axis=1)
            for position in atoms.cart_coords
        ]
    )
    # of atoms at equal distances the first, whatever the last digits say
    return (distance < distance.min(axis=0) + 1e-4).argmax(axis=0).astype(np.int64)


def _to_own_atoms(
    site: NDArray[np.int64], atoms: Structure, known: Sequence[Projection | None]
) -> None:
    """Functions that are an atom's orbitals belong to it, though a bond may draw them away."""
    for k, projection in enumerate(known):
        if projection is None or projection.l < 0:
            continue
        offset = atoms.lattice.get_cartesian_coords(atoms.frac_coords - projection.centre)
        distance = np.linalg.norm(nearest_image(atoms.lattice.matrix, offset), axis=1)
        if distance.min() < _ON_ATOM:
            site[k] = int(distance.argmin())


def nearest_image(
    lattice: NDArray[np.float64], vectors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``vectors`` (n, 3), Cartesian, up to lattice vectors as short as can be."""
    fractional = np.linalg.solve(lattice.T, vectors.T).T
    near = (fractional - np.round(fractional))[:, None] + _IMAGES
    cartesian = near @ lattice
    best = np.linalg.norm(cartesian, axis=2).argmin(axis=1)
    found: NDArray[np.float64] = cartesian[np.arange(len(vectors)), best]
    return found


def _own_sites(
    lattice: NDArray[np.float64], where: NDArray[np.float64]
) -> tuple[Structure, NDArray[np.int64]]:
    """Sites X at the functions, those of near functions merged."""
    site = np.full(len(where), -1)
    positions: list[NDArray[np.float64]] = []
    for first in range(len(where)):
        if site[first] >= 0:
            continue
        offset = nearest_image(lattice, where - where[first])
        members = (np.linalg.norm(offset, axis=1) < _MERGED) & (site < 0)
        site[members] = len(positions)
        positions.append(where[first] + offset[members].mean(axis=0))
    structure = Structure(
        Lattice(lattice),
        [DummySpecies("X")] * len(positions),
        positions,
        coords_are_cartesian=True,
    )
    return structure, site.astype(np.int64)


def _believed(
    lattice: NDArray[np.float64],
    centres: NDArray[np.float64] | None,
    projections: Sequence[Projection] | None,
    n: int,
    warnings: list[str],
) -> list[Projection | None]:
    """The projection of every function, None where it is unknown or its centre has moved away."""
    if projections is None:
        return [None] * n
    if centres is None:
        return list(projections)
    home = np.array([p.centre for p in projections]) @ lattice
    moved = np.linalg.norm(nearest_image(lattice, centres - home), axis=1)
    # shells that we wrote ourselves are what they are called, however diffuse
    away = (moved > _AT_HOME) & np.array([p.l >= 0 and not p.note for p in projections])
    if away.any():
        warnings.append(
            f"{np.count_nonzero(away)} Wannier functions lie up to {moved[away].max():.2f} Å from "
            "the projections they began as: they are not taken for those orbitals."
        )
    return [None if away[k] else p for k, p in enumerate(projections)]


def _shells(
    members: NDArray[np.int64], known: list[Projection | None]
) -> tuple[tuple[Shell, ...], list[int], int]:
    """A site's shells, its functions in our order, and how many are of no known l."""
    shells: list[Shell] = []
    order: list[int] = []
    labels: set[str] = set()
    loose = 0
    at = 0
    while at < len(members):
        first = known[members[at]]
        run = [known[k] for k in members[at : at + 2 * first.l + 1]] if first is not None else []
        if first is not None and first.l == 0 and UNKNOWN_ORBITAL.fullmatch(first.note):
            # s is what the writer had to call it
            order.append(int(members[at]))
            shells.append(Shell(_label(first.note, labels), 0))
            loose += 1
            at += 1
        elif first is not None and _is_shell(first, run):
            m_of_file = ORDER[first.l]
            places = [m_of_file.index(m) for m in range(-first.l, first.l + 1)]
            order += [int(members[at + place]) for place in places]
            shells.append(Shell(_label(first.note or _LETTERS[first.l], labels), first.l))
            at += len(places)
        else:
            k = int(members[at])
            order.append(k)
            name = f"w{k + 1}" if first is None else f"w{k + 1}({first.name})"
            shells.append(Shell(_label(name, labels), 0))
            loose += 1
            at += 1
    return tuple(shells), order, loose


def _is_shell(first: Projection, run: list[Projection | None]) -> bool:
    return (
        first.l >= 0
        and first.plain
        and len(run) == 2 * first.l + 1
        and all(
            p is not None and (p.l, p.group, p.mr) == (first.l, first.group, place + 1)
            for place, p in enumerate(run)
        )
    )


def _label(wanted: str, taken: set[str]) -> str:
    """``wanted``, or with a number behind it where that is taken."""
    label, number = wanted, 1
    while label in taken:
        number += 1
        label = f"{wanted}{number}"
    taken.add(label)
    return label
