"""The shipped example crystals, each with where its numbers come from."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import lru_cache

from pymatgen.core import Structure

from hamexplorer.assets_path import asset
from hamexplorer.errors import StructureError
from hamexplorer.structures.load import load_structure

__all__ = ["GalleryEntry", "entries", "entry", "load_gallery"]


@dataclass(frozen=True)
class GalleryEntry:
    """One example: ``name`` is its id (``mos2-1h``), ``title`` and ``look_at`` are for people.

    ``moments`` are initial spin moments in µB in the order of the file's atoms (empty: not
    magnetic); ``provenance`` says where each length comes from, ``reference`` the publication.
    """

    name: str
    title: str
    formula: str
    family: str
    file: str
    provenance: str
    reference: str
    look_at: str
    moments: tuple[float, ...] = ()


@lru_cache(maxsize=1)
def entries() -> tuple[GalleryEntry, ...]:
    """All examples, in the order in which they are to be shown."""
    index = json.loads(asset("gallery/index.json").read_text(encoding="utf-8"))
    return tuple(
        GalleryEntry(**{**item, "moments": tuple(item.get("moments", ()))})
        for item in index["entries"]
    )


def entry(name: str) -> GalleryEntry:
    """The example called ``name``.

    Raises :class:`StructureError`, with names that are near, if there is none.
    """
    table = {item.name: item for item in entries()}
    key = name.strip().lower()
    if key in table:
        return table[key]
    starts = [other for other in table if key and other.startswith(key)]
    near = list(dict.fromkeys([*starts, *difflib.get_close_matches(key, table, n=3, cutoff=0.5)]))
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(table)}."
    raise StructureError(f"no gallery structure {name[:40]!r}; {hint}")


def load_gallery(name: str) -> Structure:
    """The structure of the example ``name``, with ``site_properties["magmom"]`` for magnets.

    Raises :class:`StructureError` for an unknown name.
    """
    item = entry(name)
    structure = load_structure(asset(f"gallery/{item.file}"))
    if item.moments:
        structure.add_site_property("magmom", list(item.moments))
    return structure
