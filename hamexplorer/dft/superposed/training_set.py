"""Crystals whose self-consistent Hamiltonians the fitted potentials of atoms come from.

Every non-magnetic element of the gallery occurs in several compounds. Lattice constants of
crystals that are not in the gallery are experimental ones, rounded (zincblende and rocksalt:
Madelung, Semiconductors: Data Handbook, 3rd ed. (2004)). Crystals that are never fitted are those
by which it is judged: a rattled one, a strained one and a bilayer of fitted compounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure

from hamexplorer.structures import load_gallery

__all__ = ["TRAINING_SET", "Sample"]


@dataclass(frozen=True)
class Sample:
    """A crystal.

    Attributes:
        name: unique.
        compound: which samples belong together when a compound is left out.
        fitted: False: only tested.
        build: makes it.
    """

    name: str
    compound: str
    fitted: bool
    build: Callable[[], Structure]


def _gallery(name: str, compound: str = "", *, fitted: bool = True) -> Sample:
    return Sample(name, compound or name, fitted, lambda: load_gallery(name))


def _cubic(kind: str, first: str, second: str, a: float) -> Sample:
    """Zincblende or rocksalt, ``a`` in Å."""

    def build() -> Structure:
        group, place = {"zb": ("F-43m", 0.25), "rs": ("Fm-3m", 0.5)}[kind]
        cubic = Structure.from_spacegroup(
            group, Lattice.cubic(a), [first, second], [[0, 0, 0], [place] * 3]
        )
        return cubic.get_primitive_structure()

    name = f"{first}{second}".lower()
    return Sample(f"{name}-{kind}", name, True, build)


def _elemental(symbol: str, a: float) -> Sample:
    def build() -> Structure:
        cubic = Structure.from_spacegroup("Fd-3m", Lattice.cubic(a), [symbol], [[0, 0, 0]])
        return cubic.get_primitive_structure()

    return Sample(f"{symbol.lower()}-diamond", f"{symbol.lower()}-diamond", True, build)


def _changed(
    parent: str, suffix: str, *, fitted: bool, strain: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rattle: float = 0.0, seed: int = 0,
) -> Sample:  # fmt: skip
    """A gallery crystal under ``strain`` (ε_xx, ε_yy, ε_xy), sites moved by normally distributed
    numbers of ``rattle`` (Å).
    """

    def build() -> Structure:
        structure = load_gallery(parent)
        xx, yy, xy = strain
        deformation = np.eye(3) + np.array([[xx, xy, 0], [xy, yy, 0], [0, 0, 0]])
        moved = Structure(
            Lattice(structure.lattice.matrix @ deformation),
            structure.species,
            structure.frac_coords,
        )
        steps = np.random.default_rng(seed).normal(scale=rattle, size=(len(moved), 3))
        return Structure(
            moved.lattice, moved.species, moved.cart_coords + steps, coords_are_cartesian=True
        )

    return Sample(f"{parent}-{suffix}", parent, fitted, build)


TRAINING_SET: tuple[Sample, ...] = (
    *(_gallery(f"{m}{x}2-1h") for m in ("mo", "w") for x in ("s", "se", "te")),
    _gallery("mosse-janus"),
    _gallery("wsse-janus"),
    _changed("mos2-1h", "rattled-1", fitted=True, rattle=0.05, seed=1),
    _changed("wse2-1h", "strained-1", fitted=True, strain=(0.02, -0.01, 0.01), rattle=0.03, seed=2),
    _gallery("gaas"),
    _changed("gaas", "rattled-1", fitted=True, rattle=0.05, seed=3),
    _cubic("zb", "Ga", "Sb", 6.096),
    _cubic("zb", "In", "As", 6.058),
    _gallery("insb"),
    _gallery("si"),
    _cubic("zb", "Si", "C", 4.360),
    _elemental("C", 3.567),
    _gallery("graphene"),
    _gallery("hbn"),
    _cubic("zb", "B", "N", 3.616),
    _cubic("zb", "Ga", "N", 4.50),
    _cubic("zb", "B", "As", 4.777),
    _gallery("stanene"),
    _elemental("Sn", 6.489),
    _cubic("rs", "Sn", "Te", 6.313),
    _gallery("bi"),
    _gallery("bismuthene"),
    _gallery("bi2se3"),
    _changed("mos2-1h", "rattled-2", fitted=False, rattle=0.06, seed=12),
    _changed("mos2-1h", "strained-2", fitted=False, strain=(0.03, 0.03, 0.0)),
    _changed("wse2-1h", "rattled-2", fitted=False, rattle=0.06, seed=13),
    _changed("gaas", "rattled-2", fitted=False, rattle=0.06, seed=14),
    _gallery("mos2-wse2-bilayer", fitted=False),
)
"""All of them."""
