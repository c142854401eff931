"""Recipes: which crystals a data set is made of, as typed YAML.

A recipe lists families. A family has parents (gallery names or files beside the recipe), bilayers
or both, and says how each of them is changed, ``count`` times:

    ε_xx, ε_yy from [−strain, strain], ε_xy from [−shear, shear], every coordinate of every site
    moved by a normal number whose deviation, Å, is from [0, rattle]; chalcogens and the like
    exchanged site by site by ``mix`` (element → other element) with a probability from [0, 1].

All draws come from a generator seeded by the recipe's seed and the crystal's name, so that a
crystal stays the same whatever is added to the recipe.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from hamexplorer.datasets.recipe_model import Bilayers, Family, Recipe
from hamexplorer.errors import HamexplorerError, SettingsError, StructureError
from hamexplorer.structures import load_gallery, load_structure
from hamexplorer.structures.bilayer import heterobilayer, twisted_bilayer
from hamexplorer.typed_yaml import read_yaml, validated

__all__ = ["Draft", "drafts", "load_recipe"]

_Generator = np.random.Generator
_Build = Callable[[_Generator, bool], Structure]


@dataclass(frozen=True)
class Draft:
    """A crystal to be computed.

    ``name`` is unique within the recipe, ``parent`` the undistorted crystal, ``strain`` its largest
    strain, ``n_cells`` the primitive cells of the parent in it; ``pristine``: whether it is the
    parent itself.
    """

    name: str
    family: str
    parent: str
    strain: float
    n_cells: int
    held_out: bool
    structure: Structure
    pristine: bool = False


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        SettingsError: no such file, no YAML, or a key or value that is not accepted; names it.
    """
    path = Path(path)
    return validated(Recipe, read_yaml(path, "recipe"), path.name)


def drafts(recipe: Recipe, folder: Path | None = None) -> Iterator[Draft]:
    """All crystals of a recipe, in its order; files of structures are looked for in ``folder``.

    Raises:
        SettingsError: a parent that is not found or cannot be changed so.
    """
    for family in recipe.families:
        seen: set[str] = set()
        for parent, build in _parents(family, folder or Path()):
            if parent in seen:
                raise SettingsError(f"{family.name}: two parents are called {parent!r}.")
            seen.add(parent)
            for number in range(family.count):
                yield _draft(recipe, family, parent, number, build)


def _draft(recipe: Recipe, family: Family, parent: str, number: int, build: _Build) -> Draft:
    name = f"{family.name}/{parent}/{number:04d}"
    key = hashlib.sha256(f"{recipe.seed} {name}".encode()).digest()
    generator = np.random.default_rng(np.frombuffer(key, dtype="<u4"))
    pristine = family.pristine and number == 0
    try:
        structure = build(generator, pristine)
        if not structure.is_ordered:
            raise StructureError("a site is shared by elements; every site must hold one.")
        strain, changed = _changed(family, structure, pristine, generator)
    except HamexplorerError as error:
        raise SettingsError(f"{name}: {error}") from error
    cells = family.n_cells
    return Draft(name, family.name, parent, strain, cells, family.held_out, changed, pristine)


def _parents(family: Family, folder: Path) -> Iterator[tuple[str, _Build]]:
    """Names and builders; a builder may draw from the generator that it is given."""
    for parent in family.parents:
        file = folder / parent
        if "." in parent and file.is_file():
            name = re.sub(r"[^A-Za-z0-9._+-]", "-", file.stem).lstrip(".")
            yield name or "file", partial(_file, file)
        else:
            yield parent, partial(_gallery, parent)
    for pair in family.bilayers:
        for stacking in pair.stackings:
            name = f"{pair.lower}+{pair.upper}-{stacking.lower()}"
            yield name, partial(_bilayer, pair, stacking)


def _file(path: Path, _generator: _Generator, _pristine: bool) -> Structure:
    return load_structure(path)


def _gallery(name: str, _generator: _Generator, _pristine: bool) -> Structure:
    return load_gallery(name)


def _bilayer(pair: Bilayers, stacking: str, generator: _Generator, pristine: bool) -> Structure:
    lower = load_gallery(pair.lower)
    if pair.lower == pair.upper:
        made = twisted_bilayer(lower, 0.0, stacking=stacking)
    else:
        made = heterobilayer(lower, load_gallery(pair.upper), max_atoms=len(lower) * 2)
    structure = made.structure
    middle = structure.cart_coords[:, 2].mean()
    step = generator.uniform(-pair.gap, pair.gap)
    if pristine:
        step = 0.0
    up = structure.cart_coords[:, 2] > middle
    moved = structure.cart_coords + np.outer(up, [0.0, 0.0, step])
    return Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True)


def _changed(
    family: Family, structure: Structure, pristine: bool, generator: _Generator
) -> tuple[float, Structure]:
    """Strain and the changed supercell; every draw is made whether it is used or not."""
    structure = structure * family.supercell
    xx, yy = generator.uniform(-family.strain, family.strain, 2)
    xy = generator.uniform(-family.shear, family.shear)
    width = generator.uniform(0, family.rattle)
    steps = generator.normal(size=(len(structure), 3)) * width
    chance = generator.uniform(0, 1)
    exchanged = generator.uniform(size=len(structure)) < chance
    if pristine:
        xx = yy = xy = 0.0
        steps, exchanged = np.zeros_like(steps), np.zeros_like(exchanged)
    deformation = np.eye(3) + np.array([[xx, xy, 0], [xy, yy, 0], [0, 0, 0]])
    lattice = Lattice(structure.lattice.matrix @ deformation)
    species = [
        family.mix.get(site.specie.symbol, site.specie.symbol) if swap else site.specie.symbol
        for site, swap in zip(structure, exchanged, strict=True)
    ]
    positions = lattice.get_cartesian_coords(structure.frac_coords) + steps
    magmoms = structure.site_properties.get("magmom")
    properties = {} if magmoms is None else {"magmom": magmoms}
    changed = Structure(
        lattice, species, positions, coords_are_cartesian=True, site_properties=properties
    )
    return float(max(abs(xx), abs(yy), abs(xy))), changed
