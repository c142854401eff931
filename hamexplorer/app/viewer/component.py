"""The crystal as a Panel component; the drawing is ``viewer-js/``, bundled with three.js."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import param
from bokeh.embed.bundle import extension_dirs
from panel.custom import AnyWidgetComponent
from pymatgen.core import Structure

from hamexplorer.app.viewer.bonds import Bonds, Image
from hamexplorer.app.viewer.scene import crystal_scene
from hamexplorer.assets_path import asset

__all__ = ["CrystalViewer"]

_BUNDLE = asset("viewer/viewer.js")
# A server hands the bundle out as one cached file, /static/extensions/hamexplorer/viewer.js;
# notebooks and saved pages get its text inside. Neither asks another host.
extension_dirs["hamexplorer"] = _BUNDLE.parent


class CrystalViewer(AnyWidgetComponent):
    """An interactive picture of a crystal: atoms, bonds, cell, and the magnetisation's arrow.

    Mouse or touch turn, shift and zoom it, and so do the arrow keys, ``+``, ``-``, ``a``, ``b``,
    ``c`` and ``0``. Fills what contains it unless a size is given. Everything is a parameter; the
    camera stays when they change, and moves only for a scene with another ``key``.
    """

    scene = param.Dict(
        default={}, doc="What is drawn, from :func:`~hamexplorer.app.viewer.crystal_scene`."
    )
    spin_theta = param.Number(default=0.0, doc="Polar angle of the magnetisation, degrees.")
    spin_phi = param.Number(default=0.0, doc="Azimuth of the magnetisation from x, degrees.")
    spin_visible = param.Boolean(default=True, doc="Whether arrows of magnetisation are drawn.")
    spin_label = param.String(default="M", doc="What the central arrow is called.")
    spin_length = param.Number(
        default=0.0, bounds=(0, None), doc="Length of the arrow in Å; 0 chooses one."
    )
    moments = param.List(
        default=[],
        doc="""Magnetic moment of each site in µB: a number (along θ, φ), a Cartesian vector, or
        None. Non-zero moments are drawn as arrows on the sites in place of the central arrow.
        Empty: the scene's own.""",
    )
    axis = param.List(
        default=[], doc="Unit vector of the easy axis, drawn as a double arrow; empty: none."
    )
    selected = param.List(default=[], item_type=int, doc="Sites drawn with outline and label.")
    clicked = param.Dict(
        default=None,
        allow_None=True,
        doc="""The latest click: ``count`` (grows by one a click), ``site`` (None beside all
        atoms), ``shift``, ``ctrl``, ``alt``, and for an atom ``label``, ``element``, ``image``
        (lattice translation), ``position`` (Å).""",
    )
    view: param.Selector = param.Selector(
        default="",
        objects=["", "a", "b", "c", "reset"],
        doc="Set to look along a lattice vector or to reset; empties itself when done.",
    )
    camera = param.Dict(
        default=None,
        allow_None=True,
        doc="Where the camera is, ``position`` and ``target`` in Å; follows the user, can be set.",
    )
    labels = param.Boolean(default=False, doc="Whether every atom carries its label.")
    toolbar = param.Boolean(default=True, doc="Whether the buttons in the corner are shown.")
    dark = param.Boolean(default=False, doc="Colours for a dark page.")

    _bundle: ClassVar[Any] = _BUNDLE

    def __init__(self, **params: Any) -> None:
        if not {"width", "height", "sizing_mode"} & params.keys():
            params["sizing_mode"] = "stretch_both"
            params.setdefault("min_height", 320)
        super().__init__(**params)

    @classmethod
    def _process_importmap(cls) -> dict[str, Any]:
        # The inherited one names React on a CDN.
        return {}

    @classmethod
    def of(
        cls,
        structure: Structure,
        supercell: Image = (1, 1, 1),
        *,
        bonds: Bonds | None = None,
        **params: Any,
    ) -> Self:
        """A viewer of a structure; arguments as :func:`crystal_scene`, then parameters."""
        return cls(scene=crystal_scene(structure, supercell, bonds=bonds), **params)
