"""What a recipe may say: its keys, their types and ranges."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pymatgen.core import Element

from hamexplorer.structures.bilayer import STACKINGS

__all__ = ["Bilayers", "Family", "Recipe"]

_MAX_CELLS = 400


def _symbol(value: str) -> str:
    if not Element.is_valid_symbol(value):
        raise ValueError(f"{value!r} is no element; accepted are symbols such as Mo")
    return value


def _stacking(value: str) -> str:
    if value not in STACKINGS:
        raise ValueError(f"{value!r} is no stacking; accepted are {', '.join(STACKINGS)}")
    return value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return values


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,80}$")]
"""Of files, too: no separators and no leading dot."""
_Repetitions = Annotated[int, Field(ge=1, le=50)]
_Symbol = Annotated[str, AfterValidator(_symbol)]
_Stacking = Annotated[str, AfterValidator(_stacking)]


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
    stackings: Annotated[tuple[_Stacking, ...], Field(min_length=1), AfterValidator(_distinct)] = (
        "AA",
    )
    gap: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _unlike_layers_lie_as_they_are(self) -> Bilayers:
        if self.lower != self.upper and self.stackings != ("AA",):
            raise ValueError(
                f"{self.lower} on {self.upper}: bilayers of two different layers are AA alone, "
                f"not {', '.join(self.stackings)}"
            )
        return self


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

    name: _Name
    parents: Annotated[tuple[str, ...], AfterValidator(_distinct)] = ()
    bilayers: tuple[Bilayers, ...] = ()
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    pristine: bool = False
    supercell: tuple[_Repetitions, _Repetitions, _Repetitions] = (1, 1, 1)
    strain: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    shear: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    rattle: Annotated[float, Field(ge=0, le=1)] = 0.0
    mix: dict[_Symbol, _Symbol] = {}
    held_out: bool = False

    @model_validator(mode="after")
    def _can_be_made(self) -> Family:
        if not self.parents and not self.bilayers:
            raise ValueError(f"{self.name} has neither parents nor bilayers")
        if self.n_cells > _MAX_CELLS:
            raise ValueError(
                f"a supercell of {self.n_cells} cells; accepted are up to {_MAX_CELLS}"
            )
        return self

    @property
    def n_cells(self) -> int:
        """Cells of the parent in the supercell."""
        a, b, c = self.supercell
        return a * b * c

    @property
    def size(self) -> int:
        """How many crystals are made."""
        stackings = sum(len(pair.stackings) for pair in self.bilayers)
        return self.count * (len(self.parents) + stackings)


class Recipe(_Strict):
    """A whole data set.

    Attributes:
        name: of the set.
        seed: of all draws.
        dft: settings of the embedded engine that differ from its defaults.
        families: what it is made of.
    """

    name: _Name
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    dft: dict[str, Any] = {}
    families: Annotated[tuple[Family, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Recipe:
        _distinct(tuple(family.name for family in self.families))
        return self

    @property
    def size(self) -> int:
        """How many crystals are made."""
        return sum(family.size for family in self.families)
