"""Crystals: loaded, from the gallery, and built of layers."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, overload

from ase import Atoms
from pymatgen.core import Structure

from hamexplorer.structures import bilayer as bilayers
from hamexplorer.structures.bilayer import Bilayer
from hamexplorer.structures.gallery import entries, load_gallery
from hamexplorer.structures.load import load_structure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Crystal", "bilayer_cells", "gallery", "heterobilayer", "load", "twisted_bilayer"]

Crystal = Structure | Atoms | str | os.PathLike[str] | bytes


def load(source: Crystal, *, filename: str | None = None, primitive: bool = False) -> Structure:
    """A crystal from a file, its text or bytes, a pymatgen ``Structure`` or an ASE ``Atoms``.

    ``filename`` names texts and bytes in messages; ``primitive`` reduces to the standard
    primitive cell.

    Raises:
        StructureError: it is no computable crystal.
        FileFormatError: it cannot be read.
        ResourceLimitError: it is too large.
    """
    return load_structure(source, filename=filename, primitive=primitive)


@overload
def gallery(name: str) -> Structure: ...


@overload
def gallery(name: None = None) -> pd.DataFrame: ...


def gallery(name: str | None = None) -> Structure | pd.DataFrame:
    """A shipped structure by name (``mos2-1h``), or the table of them all.

    Raises:
        StructureError: there is none of that name; near ones are named.
    """
    if name is not None:
        return load_gallery(name)
    import pandas as pd

    columns = ["name", "title", "formula", "family", "look_at", "reference"]
    return pd.DataFrame([asdict(entry) for entry in entries()])[columns].set_index("name")


def twisted_bilayer(layer: Crystal, angle: float, **options: Any) -> Bilayer:
    """A layer upon its own copy, turned by the commensurate angle nearest to ``angle`` degrees.

    ``layer`` is what :func:`load` takes, a gallery name, or the formula of one layer there;
    ``options`` are those of :func:`hamexplorer.structures.bilayer.twisted_bilayer`: ``stacking``,
    ``center``, ``shift``, ``distance``, ``vacuum``, ``max_atoms``, ``tolerance``. The result has
    ``.structure`` and ``.report``.

    Raises:
        StructureError: not a layer that can be twisted, or overlapping atoms.
        SettingsError: a parameter outside its range, or no common cell near the angle.
    """
    return bilayers.twisted_bilayer(_layer(layer), angle, **options)


def heterobilayer(lower: Crystal, upper: Crystal, **options: Any) -> Bilayer:
    """A layer upon another in their smallest common cell; the strain is in ``.report``.

    Layers as in :func:`twisted_bilayer`; ``options`` are those of
    :func:`hamexplorer.structures.bilayer.heterobilayer`: ``max_strain``, ``max_atoms``, ``angle``,
    ``angle_tolerance``, ``strained``, ``cell``, ``center``, ``shift``, ``distance``, ``vacuum``.

    Raises:
        StructureError: not layers, no common cell under the limits, or overlapping atoms.
        SettingsError: a parameter outside its range.
    """
    return bilayers.heterobilayer(_layer(lower), _layer(upper), **options)


def bilayer_cells(lower: Crystal, upper: Crystal | None = None, **options: Any) -> pd.DataFrame:
    """The cells that :func:`twisted_bilayer` (one layer) or :func:`heterobilayer` (two) choose
    from, smallest first.

    ``options``: ``max_atoms``; with two layers also ``max_strain``, ``angle``,
    ``angle_tolerance``, ``strained`` and ``limit``, and the column ``cell`` is what
    :func:`heterobilayer` takes. Angles are in degrees, strains in %, areas in Å².

    Raises:
        StructureError: not layers, or not one that can be twisted.
        SettingsError: a parameter outside its range.
    """
    import pandas as pd

    given = _layer(lower)
    below = bilayers.layer_of(given)
    if upper is None:
        twists = bilayers.twist_list(given, **{"max_atoms": 400, **options})
        rows = [{**asdict(t), "atoms": 2 * t.cells * len(below)} for t in twists]
        return pd.DataFrame(rows, columns=["m", "n", "angle", "cells", "atoms"])
    cells = bilayers.coincidence_cells(below, bilayers.layer_of(_layer(upper)), **options)
    columns = ["atoms", "cells", "angle", "mean_strain", "max_strain", "area"]
    data = {name: [getattr(cell, name) for cell in cells] for name in columns}
    return pd.DataFrame({**data, "cell": list(cells)})


def _layer(given: Crystal) -> Structure:
    """What :func:`load` takes, or a gallery name or formula where no file of that name is."""
    found = bilayers.named_layer(given) if isinstance(given, str) else None
    return load_structure(given) if found is None else found
