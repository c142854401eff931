"""A structure as spglib and seekpath take it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import StructureError

__all__ = ["SYMPREC", "call_spglib", "site_kinds", "spglib_cell"]

SYMPREC = 5e-3
"""Å. Files with four decimals in a 20 Å cell are off by up to 1e-3 Å; distortions that matter
are larger than 1e-2 Å."""

Kind = tuple[str, Any]


def site_kinds(structure: Structure) -> tuple[NDArray[np.intp], dict[int, Kind]]:
    """A number per site, equal where element and moment (to 1e-3 µB) are, and what it stands for.

    Returns the numbers, shape (n_sites,), from 1 up, and a table number → (symbol, moment or
    None).
    """
    moments = structure.site_properties.get("magmom", [None] * len(structure))
    table: dict[tuple[str, tuple[float, ...]], int] = {}
    kinds: dict[int, Kind] = {}
    numbers = []
    for site, moment in zip(structure, moments, strict=True):
        rounded = () if moment is None else tuple(np.round(np.ravel(moment), 3) + 0.0)
        symbol = site.specie.symbol
        number = table.setdefault((symbol, rounded), len(table) + 1)
        kinds.setdefault(number, (symbol, moment))
        numbers.append(number)
    return np.array(numbers), kinds


def spglib_cell(structure: Structure, *, magnetic: bool = True) -> tuple[Any, Any, Any]:
    """``(lattice, fractional positions, kinds)``; with ``magnetic`` unlike moments are unlike
    atoms, else only elements count.
    """
    numbers = site_kinds(structure)[0] if magnetic else np.array(structure.atomic_numbers)
    return structure.lattice.matrix, structure.frac_coords, numbers


def call_spglib(structure: Structure, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run ``function`` of spglib quietly.

    It reports failure as None or as its own exception, by version and setting; both become
    :class:`StructureError`, in the name of ``structure``.
    """
    cause = None
    try:
        with warnings.catch_warnings():
            # spglib announces a coming change of its error handling at every call.
            warnings.simplefilter("ignore", DeprecationWarning)
            result = function(*args, **kwargs)
    except spglib.SpglibError as error:
        result, cause = None, error
    if result is None:
        raise StructureError(
            f"{structure.composition.reduced_formula}: spglib finds no symmetry, not even the "
            "identity; check the cell for overlapping atoms and wrong units."
        ) from cause
    return result
