"""Recipes: which crystals a data set is made of, as typed YAML.

A recipe lists families. A family has parents (gallery names or files beside the recipe), bilayers
or both, and says how each of them is changed, ``count`` times:

    ε_xx, ε_yy from [−strain, strain], ε_xy from [−shear, shear], every coordinate of every site
    moved by a normal number whose deviation, Å, is from [0, rattle]; chalcogens and the like
    exchanged site by site by ``mix`` (element → other element) with a probability from [0, 1].

All draws come from a generator seeded by the recipe's seed and the structure's name, so that a
structure stays the same whatever is added to the recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.structures import load_gallery, load_structure
from hamexplorer.structures.bilayer import heterobilayer, twisted_bilayer

__all__ = ["Bilayers", "Draft", "Family", "Recipe", "drafts", "load_recipe"]

_MAX_BYTES = 1_000_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilayers(_Strict):
    """Two layers upon each other in a primitive common cell.

    Attributes:
        lower, upper: gallery names; the upper one is strained to the lower one's lattice.
        stackings: of AA, AB, BA, 2H; bilayers of two different layers are AA alone.
        gap: Å by which the default distance of the layers is changed, drawn from [−gap, gap].
    """

    lower: str
    upper: str
    stackings: tuple[str, ...] = ("AA",)
    gap: Annotated[float, Field(ge=0, le=1)] = 0.0


class Family(_Strict):
    """Crystals that are made alike.

    Attributes:
        name: of the family; errors are told by it.
        parents: gallery names, or files beside the recipe.
        bilayers: further parents.
        count: crystals made of every parent.
        pristine: whether the first of them is the parent itself.
        supercell: repetitions along the three vectors.
        strain: largest |ε_xx| and |ε_yy|.
        shear: largest |ε_xy|.
        rattle: largest standard deviation of a coordinate's displacement, Å.
        mix: elements that may be exchanged for others, site by site.
        held_out: whether the whole family is left for tests.
    """

    name: str
    parents: tuple[str, ...] = ()
    bilayers: tuple[Bilayers, ...] = ()
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    pristine: bool = False
    supercell: tuple[int, int, int] = (1, 1, 1)
    strain: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    shear: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    rattle: Annotated[float, Field(ge=0, le=1)] = 0.0
    mix: dict[str, str] = {}
    held_out: bool = False


class Recipe(_Strict):
    """A whole data set.

    Attributes:
        name: of the set.
        seed: of all draws.
        dft: settings of the embedded engine that differ from its defaults.
        families: what it is made of.
    """

    name: str
    seed: int = 0
    dft: dict[str, Any] = {}
    families: tuple[Family, ...]


@dataclass(frozen=True)
class Draft:
    """A crystal to be computed.

    ``name`` is unique within the recipe, ``parent`` the undistorted crystal, ``strain`` its largest
    strain, ``n_cells`` the primitive cells of the parent in it.
    """

    name: str
    family: str
    parent: str
    strain: float
    n_cells: int
    held_out: bool
    structure: Structure


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        SettingsError: no such file, no YAML, or a key or value that is not accepted; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such recipe.")
    if path.stat().st_size > _MAX_BYTES:
        raise SettingsError(f"{path.name} is larger than a recipe can be (1 MB).")
    try:
        recipe = Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is no YAML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SettingsError(f"{path.name}: {place}: {first['msg']}.") from error
    names = [family.name for family in recipe.families]
    if len(set(names)) < len(names):
        raise SettingsError(f"{path.name}: two families have the same name.")
    return recipe


def drafts(recipe: Recipe, folder: Path | None = None) -> Iterator[Draft]:
    """All crystals of a recipe, in its order; files of structures are looked for in ``folder``.

    Raises:
        SettingsError: a parent that is not found or cannot be changed so.
    """
    for family in recipe.families:
        for parent, build in _parents(family, folder):
            for number in range(family.count):
                name = f"{family.name}/{parent}/{number:04d}"
                key = hashlib.sha256(f"{recipe.seed} {name}".encode()).digest()
                generator = np.random.default_rng(np.frombuffer(key, dtype=np.uint32))
                try:
                    structure = build(generator)
                    yield _changed(family, name, parent, structure, number, generator)
                except HamexplorerError as error:
                    raise SettingsError(f"{name}: {error}") from error


def _parents(family: Family, folder: Path | None) -> Iterator[tuple[str, Any]]:
    """Names and builders; a builder may draw from the generator that it is given."""
    for parent in family.parents:
        file = (folder or Path()) / parent
        if "." in parent and file.is_file():
            yield Path(parent).stem, lambda _, file=file: load_structure(file)
        else:
            yield parent, lambda _, parent=parent: load_gallery(parent)
    for pair in family.bilayers:
        for stacking in pair.stackings:
            name = f"{pair.lower}+{pair.upper}-{stacking.lower()}"
            yield name, lambda g, pair=pair, stacking=stacking: _bilayer(pair, stacking, g)


def _bilayer(pair: Bilayers, stacking: str, generator: np.random.Generator) -> Structure:
    lower = load_gallery(pair.lower)
    if pair.lower == pair.upper:
        made = twisted_bilayer(lower, 0.0, stacking=stacking)
    else:
        made = heterobilayer(lower, load_gallery(pair.upper), max_atoms=len(lower) * 2)
    structure = made.structure
    middle = structure.cart_coords[:, 2].mean()
    step = generator.uniform(-pair.gap, pair.gap)
    up = structure.cart_coords[:, 2] > middle
    moved = structure.cart_coords + np.outer(up, [0.0, 0.0, step])
    return Structure(structure.lattice, structure.species, moved, coords_are_cartesian=True)


def _changed(
    family: Family,
    name: str,
    parent: str,
    structure: Structure,
    number: int,
    generator: np.random.Generator,
) -> Draft:
    cells = int(np.prod(family.supercell))
    structure = structure * family.supercell
    xx, yy = generator.uniform(-family.strain, family.strain, 2)
    xy = generator.uniform(-family.shear, family.shear)
    width = generator.uniform(0, family.rattle)
    steps = generator.normal(size=(len(structure), 3)) * width
    chance = generator.uniform(0, 1)
    exchanged = generator.uniform(size=len(structure)) < chance
    if family.pristine and number == 0:
        xx = yy = xy = 0.0
        steps, exchanged = np.zeros_like(steps), np.zeros_like(exchanged)
    deformation = np.eye(3) + np.array([[xx, xy, 0], [xy, yy, 0], [0, 0, 0]])
    lattice = Lattice(structure.lattice.matrix @ deformation)
    species = [
        family.mix.get(site.specie.symbol, site.specie.symbol) if swap else site.specie.symbol
        for site, swap in zip(structure, exchanged, strict=True)
    ]
    positions = lattice.get_cartesian_coords(structure.frac_coords) + steps
    changed = Structure(lattice, species, positions, coords_are_cartesian=True)
    strain = float(max(abs(xx), abs(yy), abs(xy)))
    return Draft(name, family.name, parent, strain, cells, family.held_out, changed)
