"""Small crystals that several test files need."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture
def mos2() -> Structure:
    """MoS2 monolayer, 120° setting, vacuum along c."""
    return Structure(
        Lattice.hexagonal(3.18, 15.0),
        ["Mo", "S", "S"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.604], [2 / 3, 1 / 3, 0.396]],
    )


@pytest.fixture
def gaas() -> Structure:
    """GaAs, fcc primitive cell."""
    half = 5.653 / 2
    vectors = half * (np.ones((3, 3)) - np.eye(3))
    return Structure(Lattice(vectors), ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]])
