"""Crystal structures: loading, checks, the gallery, symmetry, slabs and k-paths."""

from hamexplorer.structures.checks import check_size, check_structure
from hamexplorer.structures.gallery import GalleryEntry, entries, entry, load_gallery
from hamexplorer.structures.kpath import (
    KPath,
    named_points,
    path_from_points,
    path_from_text,
    standard_path,
)
from hamexplorer.structures.load import load_structure, safe_filename
from hamexplorer.structures.slab import SlabGeometry, slab_geometry
from hamexplorer.structures.symmetry import SymmetryInfo, standard_primitive, symmetry_info

__all__ = [
    "GalleryEntry",
    "KPath",
    "SlabGeometry",
    "SymmetryInfo",
    "check_size",
    "check_structure",
    "entries",
    "entry",
    "load_gallery",
    "load_structure",
    "named_points",
    "path_from_points",
    "path_from_text",
    "safe_filename",
    "slab_geometry",
    "standard_path",
    "standard_primitive",
    "symmetry_info",
]
