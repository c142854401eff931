"""The crystal viewer: a crystal-toolkit Scene drawn by three.js in a Panel component."""

from hamexplorer.app.viewer.bonds import Bonds, find_bonds
from hamexplorer.app.viewer.component import CrystalViewer
from hamexplorer.app.viewer.scene import crystal_scene
from hamexplorer.app.viewer.toolkit import is_warm, scene_from_toolkit, toolkit_scene, warm_up

__all__ = [
    "Bonds",
    "CrystalViewer",
    "crystal_scene",
    "find_bonds",
    "is_warm",
    "scene_from_toolkit",
    "toolkit_scene",
    "warm_up",
]
