"""Colours are visible on both backgrounds and apart for colour-blind eyes."""

import itertools

import numpy as np
import pytest

from hamexplorer.plots.palette import (
    CATEGORIES,
    COMPONENT_COLOURS,
    DARK,
    LIGHT,
    SOC_OFF,
    diverging,
    group_colours,
    ramp,
    spin_map,
    weight_map,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb, 1e-4, None) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    "colour",
    [
        *CATEGORIES,
        *COMPONENT_COLOURS.values(),
        SOC_OFF,
        *spin_map()[::16],
        *weight_map(CATEGORIES[1])[::32],
    ],
)
def test_lines_stand_out_from_both_backgrounds(colour):
    assert contrast(colour, LIGHT.background) >= 3
    assert contrast(colour, DARK.background) >= 3


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_the_first_four_categories_differ_for_colour_blind_eyes(kind):
    seen = [lab(np.clip(DEFICIENCIES[kind] @ linear(c), 0, 1)) for c in CATEGORIES[:4]]
    for first, second in itertools.combinations(seen, 2):
        assert np.linalg.norm(first - second) > 12


@pytest.mark.parametrize("spin_orbit", [True, False])
def test_zero_of_a_matrix_is_not_the_background(spin_orbit):
    for dark, around in ((True, DARK), (False, LIGHT)):
        colours = diverging(dark, spin_orbit=spin_orbit)
        assert contrast(colours[len(colours) // 2], around.background) > 1.2
    assert diverging(True, spin_orbit=True)[0] != diverging(True)[0]


def test_ramp_meets_its_ends():
    colours = ramp(["#000000", "#ffffff"], 3)
    assert colours == ["#000000", "#808080", "#ffffff"]


def test_a_group_keeps_its_colour():
    assert group_colours(("Mo", "S"))["Mo"] == group_colours(("Mo", "S", "W"))["Mo"]
    assert len(group_colours([str(i) for i in range(40)])) == 40
