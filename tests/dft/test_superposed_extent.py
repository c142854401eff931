"""Counted elements of blocks against the list of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Structure

from hamexplorer.dft.integrals import pairs_by_overlap
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.extent import count_elements
from hamexplorer.dft.system import crystal_system
from hamexplorer.structures import load_gallery


def moved() -> Structure:
    """Atoms far outside of a skewed cell."""
    structure = load_gallery("gaas").make_supercell([[1, 0, 0], [2, 1, 0], [-1, 3, 1]])
    structure.translate_sites([0], [2.3, -1.4, 0.2], to_unit_cell=False)
    return structure


@pytest.mark.parametrize("name", ["gaas", "mos2-1h", "bi2se3", "moved"])
@pytest.mark.parametrize("tolerance", [1e-9, 1e-5])
def test_as_many_as_the_list_of_pairs_gives(name: str, tolerance: float) -> None:
    structure = moved() if name == "moved" else load_gallery(name)
    system = crystal_system(structure, DftSettings())
    pairs = pairs_by_overlap(system, tolerance)
    sizes = system.basis.sizes
    assert count_elements(system, tolerance) == float(
        np.sum(sizes[pairs.first] * sizes[pairs.second])
    )
