"""The crystal viewer: its scenes against crystallography, its picture in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from browser import Browser, page, serve, wait_until  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hamexplorer.app.viewer import (
    CrystalViewer,
    crystal_scene,
    find_bonds,
    is_warm,
    scene_from_toolkit,
    warm_up,
)
from hamexplorer.app.viewer.appearance import element_color, element_radius
from hamexplorer.app.viewer.bonds import _distance_edges, _symmetric
from hamexplorer.app.viewer.placement import MAX_DRAWN_ATOMS, place
from hamexplorer.errors import ResourceLimitError, SettingsError, StructureError


def mos2(center: float = 0.5, c: float = 15.0) -> Structure:
    sulphur = 1.56 / c
    return Structure(
        Lattice.hexagonal(3.18, c),
        ["Mo", "S", "S"],
        [
            [1 / 3, 2 / 3, center],
            [2 / 3, 1 / 3, center + sulphur],
            [2 / 3, 1 / 3, center - sulphur],
        ],
    )


GAAS = Structure.from_spacegroup(
    "F-43m", Lattice.cubic(5.653), ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]]
)
IRON = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def points(scene: dict[str, Any]) -> np.ndarray:
    return np.reshape(scene["atoms"]["position"], (-1, 3))


# --- bonds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "coordination"),
    [(mos2(), [6, 3, 3]), (GAAS, [4] * 8), (IRON, [8, 8])],
    ids=["MoS2", "GaAs", "Fe"],
)
def test_coordination_numbers_by_both_methods(
    structure: Structure, coordination: list[int]
) -> None:
    nearest = find_bonds(structure)
    assert nearest.method == "CrystalNN"
    assert [len(found) for found in nearest.neighbours] == coordination
    by_distance = _symmetric(len(structure), _distance_edges(structure), "distance")
    assert by_distance.neighbours == nearest.neighbours


def test_large_cells_are_bonded_by_distance() -> None:
    bonds = find_bonds(mos2() * (5, 5, 1))
    assert bonds.method == "distance"
    assert sum(1 for _ in bonds.edges()) == 6 * 25


def test_every_bond_has_both_directions() -> None:
    bonds = find_bonds(GAAS)
    for i, found in enumerate(bonds.neighbours):
        for j, (a, b, c) in found:
            assert (i, (-a, -b, -c)) in bonds.neighbours[j]


# --- which images --------------------------------------------------------------------------


def test_atoms_on_corners_and_edges_are_repeated() -> None:
    scene = crystal_scene(IRON, use_toolkit=False)
    assert len(scene["atoms"]["site"]) == 9  # eight corners and the centre
    assert scene["bonds"] == 8


def test_a_layer_across_a_face_stays_in_one_piece() -> None:
    heights = points(crystal_scene(mos2(center=0.0), use_toolkit=False))[:, 2]
    assert np.ptp(heights) == pytest.approx(3.12, abs=1e-3)


def test_vacuum_does_not_shrink_the_crystal() -> None:
    near, far = (crystal_scene(mos2(c=c), use_toolkit=False) for c in (15.0, 60.0))
    assert far["radius"] == pytest.approx(near["radius"], abs=1e-3)
    assert far["extent"] > 25  # the faint cell is still drawn


@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.integers(-3, 3), min_size=3, max_size=3))
def test_images_lead_from_the_site_to_the_drawn_atom(n: int, m: int, shift: list[int]) -> None:
    structure = mos2()
    moved = Structure(structure.lattice, structure.species, structure.frac_coords + np.array(shift))
    scene = crystal_scene(moved, (n, m, 1), use_toolkit=False)
    images = np.reshape(scene["atoms"]["image"], (-1, 3))
    expected = (moved.frac_coords[scene["atoms"]["site"]] + images) @ moved.lattice.matrix
    np.testing.assert_allclose(points(scene), expected, atol=1e-4)
    # However its sites are given, the crystal is drawn at the same place.
    usual = crystal_scene(structure, (n, m, 1), use_toolkit=False)
    assert sorted(map(tuple, points(scene).round(3) + 0.0)) == sorted(
        map(tuple, points(usual).round(3) + 0.0)
    )


@pytest.mark.parametrize("supercell", [(0, 1, 1), (1, 1), (1.5, 1, 1), (-2, 1, 1)])
def test_a_supercell_is_three_positive_integers(supercell: Any) -> None:
    with pytest.raises(SettingsError, match="three positive integers"):
        crystal_scene(mos2(), supercell)


def test_too_many_atoms_are_refused_with_their_number() -> None:
    with pytest.raises(ResourceLimitError, match=f"30000 atoms; at most {MAX_DRAWN_ATOMS}"):
        crystal_scene(mos2(), (100, 100, 1))


def test_partial_occupancy_is_refused() -> None:
    alloy = Structure(Lattice.cubic(3.0), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(StructureError, match="partial occupancies"):
        crystal_scene(alloy)


# --- the scene -----------------------------------------------------------------------------


def test_the_scene_is_plain_json_and_labels_follow_the_basis() -> None:
    magnetic = IRON.copy(site_properties={"magmom": [2.2, np.float64(-2.2)]})
    scene = crystal_scene(magnetic, use_toolkit=False)
    assert json.loads(json.dumps(scene)) == scene
    assert scene["sites"]["label"] == ["Fe1", "Fe2"]
    assert scene["moments"] == [2.2, -2.2]
    assert crystal_scene(mos2(), use_toolkit=False)["sites"]["label"] == ["Mo1", "S1", "S2"]


@pytest.mark.parametrize("number", range(1, 97))
def test_every_element_stands_out_on_white_and_black(number: int) -> None:
    color = element_color(number)
    rgb = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert 0.095 < linear @ [0.2126, 0.7152, 0.0722] < 0.81
    assert 0.2 < element_radius(number) < 1.1


@pytest.mark.parametrize(
    ("structure", "supercell"), [(mos2(), (2, 3, 1)), (GAAS, (1, 1, 1)), (IRON, (2, 1, 1))]
)
def test_crystal_toolkit_draws_the_same_crystal(
    structure: Structure, supercell: tuple[int, int, int]
) -> None:
    direct = crystal_scene(structure, supercell, use_toolkit=False)
    toolkit = crystal_scene(structure, supercell, use_toolkit=True)
    assert (direct["source"], toolkit["source"]) == ("direct", "crystal-toolkit")

    def atoms(scene: dict[str, Any]) -> list[Any]:
        columns = scene["atoms"]
        images = np.reshape(columns["image"], (-1, 3)).tolist()
        colors = [scene["palette"][n] for n in columns["color"]]
        rows = zip(columns["site"], images, colors, columns["radius"], strict=True)
        return sorted(map(list, rows))

    assert atoms(toolkit) == atoms(direct)
    assert toolkit["bonds"] == direct["bonds"] == len(direct["sticks"]["color"]) / 2
    for key in ("key", "center", "radius", "edges", "sites"):
        assert toolkit[key] == direct[key]


def test_a_foreign_scene_without_atoms_is_refused() -> None:
    with pytest.raises(SettingsError, match="no spheres"):
        scene_from_toolkit({"contents": []}, IRON)


def test_warm_up_makes_crystal_toolkit_the_default() -> None:
    warm_up(wait=True)
    assert is_warm()
    assert crystal_scene(IRON)["source"] == "crystal-toolkit"


def test_the_viewer_does_not_import_crystal_toolkit() -> None:
    code = (
        "import sys, hamexplorer.app.viewer as v; from pymatgen.core import Structure, Lattice;"
        "v.CrystalViewer.of(Structure(Lattice.cubic(3), ['Fe'], [[0, 0, 0]]));"
        "assert 'crystal_toolkit' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_placement_counts_match_the_supercell() -> None:
    placed = place(mos2(), find_bonds(mos2()), (3, 2, 1))
    assert placed.vacuum == (False, False, True)
    assert len(placed.atoms) == len(set(placed.atoms)) >= 18


# --- in a browser --------------------------------------------------------------------------


def ready(browser: Browser) -> None:
    browser.page.wait_for_selector(".crystal[data-ready=true]", timeout=30_000)


def data(browser: Browser) -> dict[str, str]:
    found: dict[str, str] = browser.page.eval_on_selector(".crystal", "e => ({...e.dataset})")
    return found


def expect(browser: Browser, **values: str) -> None:
    wait_until(lambda: data(browser).items() >= values.items(), browser.page, timeout=10_000)


@pytest.mark.browser
def test_the_viewer_in_a_browser(page: Browser) -> None:  # noqa: F811
    viewer = CrystalViewer.of(mos2(), width=800, height=600, spin_visible=False)
    serve(page, viewer)
    ready(page)
    expect(page, atoms="9", bonds="10", spin="", selected="", theme="light")
    canvas = page.page.locator(".crystal")
    assert "Crystal structure of MoS2" in (canvas.get_attribute("aria-label") or "")

    # The arrow follows the dial.
    viewer.param.update(spin_visible=True, spin_theta=90.0, spin_phi=45.0)
    expect(page, spin="90,45")

    # A click names its site: from above, the camera's target lies at the window's middle.
    viewer.view = "c"
    wait_until(lambda: viewer.view == "" and viewer.camera is not None, page.page)
    viewer.spin_visible = False
    scene = viewer.scene
    mo = scene["atoms"]["site"].index(0)
    position = points(scene)[mo]
    assert viewer.camera is not None
    distance = viewer.camera["position"][2] - position[2]
    pixels = 300 / np.tan(np.radians(9)) / distance  # half the height at an 18° field of view
    offset = (position - viewer.camera["target"])[:2] * pixels
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + 400 + offset[0], box["y"] + 300 - offset[1]
    page.page.mouse.move(x, y)
    expect_tip = page.page.locator(".crystal .tip b")
    wait_until(lambda: expect_tip.text_content() == "Mo1", page.page)
    page.page.keyboard.down("Shift")
    page.page.mouse.click(x, y)
    page.page.keyboard.up("Shift")
    wait_until(lambda: viewer.clicked is not None, page.page)
    clicked = viewer.clicked
    assert clicked is not None
    assert (clicked["site"], clicked["label"], clicked["element"]) == (0, "Mo1", "Mo")
    assert (clicked["shift"], clicked["ctrl"], clicked["count"]) == (True, False, 1)
    np.testing.assert_allclose(clicked["position"], position, atol=1e-3)
    np.testing.assert_allclose(
        (mos2().frac_coords[0] + clicked["image"]) @ mos2().lattice.matrix, position, atol=1e-3
    )
    page.page.mouse.click(box["x"] + 30, box["y"] + 300)
    wait_until(lambda: viewer.clicked is not None and viewer.clicked["count"] == 2, page.page)
    assert viewer.clicked is not None
    assert viewer.clicked["site"] is None

    viewer.selected = [0, 2]
    expect(page, selected="0,2")

    # The keyboard turns it; the camera then survives the same crystal, moves for another one.
    before = data(page)["camera"]
    canvas.press("ArrowRight")
    wait_until(lambda: data(page)["camera"] != before, page.page)
    turned = data(page)["camera"]
    wait_until(
        lambda: viewer.camera is not None and str(viewer.camera["position"][0]) in turned, page.page
    )
    viewer.scene = crystal_scene(mos2(), use_toolkit=False) | {"description": "again"}
    wait_until(lambda: canvas.get_attribute("aria-label", timeout=500).startswith("again"))  # type: ignore[union-attr]
    assert data(page)["camera"] == turned
    viewer.scene = crystal_scene(GAAS, use_toolkit=False)
    expect(page, key=viewer.scene["key"])
    assert data(page)["camera"] != turned

    viewer.dark = True
    expect(page, theme="dark")
    assert canvas.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(18, 22, 28)"
    assert page.foreign == []
    assert page.errors == []


@pytest.mark.browser
def test_a_larger_supercell_keeps_the_direction(page: Browser) -> None:  # noqa: F811
    viewer = CrystalViewer.of(mos2(), width=500, height=400)
    serve(page, viewer)
    ready(page)

    def direction() -> np.ndarray:
        camera = np.array(data(page)["camera"].split(","), dtype=float)
        out = camera[:3] - camera[3:]
        return out / np.linalg.norm(out)

    first = direction()
    viewer.scene = crystal_scene(mos2(), (4, 4, 1), use_toolkit=False)
    expect(page, atoms=str(len(viewer.scene["atoms"]["site"])))
    np.testing.assert_allclose(direction(), first, atol=1e-3)


@pytest.mark.browser
def test_without_webgl_there_is_a_note(page: Browser) -> None:  # noqa: F811
    page.page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        "  return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    serve(page, CrystalViewer.of(mos2(), width=500, height=400))
    note = page.page.locator(".crystal .note")
    note.wait_for(timeout=30_000)
    assert "no WebGL2" in (note.text_content() or "")
    assert page.errors == []
