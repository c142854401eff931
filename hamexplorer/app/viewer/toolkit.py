"""crystal-toolkit's Scene: made of a structure, and translated for the viewer.

Importing crystal-toolkit takes 4 to 8 s and patches MSONable for the whole process, so it happens
only here, and :func:`warm_up` does it ahead of time in a thread.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.analysis.graphs import StructureGraph
from pymatgen.core import Structure

from hamexplorer.app.viewer.appearance import BOND_RADIUS, element_color, element_radius
from hamexplorer.app.viewer.bonds import Bonds
from hamexplorer.app.viewer.placement import Placement
from hamexplorer.errors import SettingsError

if TYPE_CHECKING:
    from crystal_toolkit.core.scene import Scene

__all__ = ["MAX_ATOMS", "is_warm", "scene_from_toolkit", "toolkit_scene", "warm_up"]

MAX_ATOMS = 600
"""crystal-toolkit is asked for scenes up to this size: it takes about 0.5 ms a drawn atom."""

_imported = threading.Event()


def warm_up(*, wait: bool = False) -> threading.Thread:
    """Import crystal-toolkit in a background thread; call it when the app starts.

    Returns the thread; with ``wait`` only when it has finished. Calling it again is harmless.
    """
    thread = threading.Thread(target=_import, name="crystal-toolkit", daemon=True)
    thread.start()
    if wait:
        thread.join()
    return thread


def is_warm() -> bool:
    """Whether crystal-toolkit is imported, so that a scene does not have to wait for it."""
    return _imported.is_set()


def _import() -> None:
    import crystal_toolkit  # noqa: F401

    _imported.set()


def toolkit_scene(structure: Structure, bonds: Bonds, placement: Placement) -> Scene:
    """crystal-toolkit's Scene of the given atoms and bonds, in our colours and radii.

    Imports crystal-toolkit if that has not happened yet. Polyhedra and moments are left out: the
    viewer draws moments itself, so that they follow the dial.
    """
    _import()
    bare = Structure(
        structure.lattice,
        structure.species,
        structure.frac_coords,
        site_properties={
            "display_color": [element_color(site.specie.Z) for site in structure],
            "display_radius": [element_radius(site.specie.Z) for site in structure],
        },
    )
    graph: Any = StructureGraph.from_empty_graph(bare)
    for i, j, image in bonds.edges():
        graph.add_edge(i, j, from_jimage=(0, 0, 0), to_jimage=image, warn_duplicates=False)
    drawn = set(placement.atoms)
    graph._get_sites_to_draw = lambda **_: drawn
    return graph.get_scene(
        bond_radius=BOND_RADIUS,
        site_get_scene_kwargs={"draw_polyhedra": False, "retain_atom_idx": True},
    )


def scene_from_toolkit(scene: dict[str, Any], structure: Structure) -> dict[str, Any]:
    """Atoms, half bonds and palette of a crystal-toolkit Scene's JSON (``Scene.to_json()``).

    ``structure`` is the crystal shown; it tells each atom's lattice translation. Spheres are read
    (positions, colour, radius, the site's index in ``_meta``) and cylinders; other primitives are
    left to the viewer. Arrays of numpy are accepted where JSON would have lists. Raises
    :class:`SettingsError` if there are no spheres.
    """
    spheres = [one for one in _primitives(scene) if one.get("type") == "spheres"]
    cylinders = [one for one in _primitives(scene) if one.get("type") == "cylinders"]
    if not spheres:
        raise SettingsError("This crystal-toolkit Scene holds no spheres; nothing can be drawn.")
    palette = sorted({one.get("color") or "#8c8c8c" for one in spheres + cylinders})
    index = {color: n for n, color in enumerate(palette)}
    atoms: dict[str, list[Any]] = {"position": [], "radius": [], "color": [], "site": []}
    for one in spheres:
        points = np.asarray(one["positions"], dtype=float)
        atoms["position"] += _rounded(points)
        atoms["radius"] += [round(float(one.get("radius", 1.0)), 3)] * len(points)
        atoms["color"] += [index[one.get("color") or "#8c8c8c"]] * len(points)
        atoms["site"] += [_site(one)] * len(points)
    drawn = np.reshape(atoms["position"], (-1, 3)) @ np.linalg.inv(structure.lattice.matrix)
    images = np.rint(drawn - structure.frac_coords[atoms["site"]]).astype(int)
    atoms["image"] = images.ravel().tolist()
    sticks: list[float] = []
    colors: list[int] = []
    for one in cylinders:
        pairs = np.asarray(one["positionPairs"], dtype=float)
        sticks += _rounded(pairs)
        colors += [index[one.get("color") or "#8c8c8c"]] * len(pairs)
    radius = float(cylinders[0].get("radius", BOND_RADIUS)) if cylinders else BOND_RADIUS
    return {
        "source": "crystal-toolkit",
        "palette": palette,
        "atoms": atoms,
        "sticks": {"position": sticks, "color": colors, "radius": radius},
        "bonds": len(colors) // 2,
    }


def _primitives(scene: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in scene.get("contents", ()):
        found += _primitives(one) if "contents" in one else [one]
    return found


def _site(sphere: dict[str, Any]) -> int:
    meta = sphere.get("_meta") or [{}]
    return int(meta[0]["atom_idx"][0])


def _rounded(points: Any) -> list[float]:
    return [float(x) for x in np.round(points.ravel(), 4) + 0.0]
