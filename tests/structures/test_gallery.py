"""The shipped crystals are what their titles say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pymatgen.core import Element

from hamexplorer.assets_path import asset
from hamexplorer.errors import StructureError
from hamexplorer.structures import (
    entries,
    load_gallery,
    slab_geometry,
    standard_primitive,
    symmetry_info,
)

# name: (layer group or space group, shortest bond in Å)
EXPECTED = {
    "mos2-1h": ("p-6m2", 2.41),
    "ws2-1h": ("p-6m2", 2.42),
    "mose2-1h": ("p-6m2", 2.54),
    "wse2-1h": ("p-6m2", 2.55),
    "mote2-1h": ("p-6m2", 2.74),
    "wte2-1h": ("p-6m2", 2.74),
    "mosse-janus": ("p3m1", 2.41),
    "wsse-janus": ("p3m1", 2.42),
    "graphene": ("p6/mmm", 1.42),
    "hbn": ("p-6m2", 1.446),
    "bismuthene": ("p-3m1", 3.05),
    "stanene": ("p-3m1", 2.83),
    "mos2-wse2-bilayer": ("p3m1", 2.44),
    "gaas": ("F-43m", 2.448),
    "insb": ("F-43m", 2.805),
    "si": ("Fd-3m", 2.352),
    "bi2se3": ("R-3m", 2.85),
    "bi": ("R-3m", 3.07),
    "fept-l10": ("P4/mmm", 2.67),
    "fe-bcc": ("Im-3m", 2.482),
    "cri3-monolayer": ("p-31m", 2.73),
}


def test_all_are_listed_once() -> None:
    assert [item.name for item in entries()] == list(EXPECTED)
    files = {path.name for path in asset("gallery").iterdir()}
    assert files == {item.file for item in entries()} | {"index.json"}


@pytest.mark.parametrize("item", entries(), ids=lambda item: item.name)
def test_entry(item) -> None:  # type: ignore[no-untyped-def]
    structure = load_gallery(item.name)
    group, bond = EXPECTED[item.name]
    info = symmetry_info(structure)
    assert (info.layer_group or info.spacegroup_symbol) == group
    distances = [n.nn_distance for site in structure for n in structure.get_neighbors(site, 3.3)]
    assert min(distances) == pytest.approx(bond, abs=0.01)
    assert structure.composition.reduced_formula == item.formula
    assert len(standard_primitive(structure)) == len(structure)
    for text in (item.title, item.family, item.provenance, item.reference, item.look_at):
        assert text.strip()
    if item.family == "magnet":
        assert structure.site_properties["magmom"] == list(item.moments)
    else:
        assert "magmom" not in structure.site_properties
        assert item.moments == ()


@pytest.mark.parametrize(
    "name", [name for name, (group, _) in EXPECTED.items() if group.startswith("p")]
)
def test_layers_are_centred_in_ample_vacuum(name: str) -> None:
    structure = load_gallery(name)
    slab = slab_geometry(structure)
    assert slab is not None
    assert slab.axis == 2
    assert slab.center == pytest.approx(0.5, abs=1e-6)
    assert slab.vacuum_angstrom > 11
    assert structure.lattice.angles == pytest.approx((90, 90, 120))


def test_sites_of_the_tmd_monolayers() -> None:
    for name, a, height in (("mos2-1h", 3.18, 1.56), ("wse2-1h", 3.32, 1.675)):
        structure = load_gallery(name)
        assert structure.lattice.a == a
        metal, *chalcogens = structure
        np.testing.assert_allclose(metal.frac_coords[:2], [1 / 3, 2 / 3], atol=1e-12)
        for site in chalcogens:
            np.testing.assert_allclose(site.frac_coords[:2], [2 / 3, 1 / 3], atol=1e-12)
        heights = sorted(site.coords[2] - metal.coords[2] for site in chalcogens)
        assert heights == pytest.approx([-height, height], abs=1e-6)


def test_bilayer_is_the_reference_cell() -> None:
    structure = load_gallery("mos2-wse2-bilayer")
    assert structure.lattice.abc == pytest.approx((3.25, 3.25, 21.0))
    z = {site.specie.symbol: site.coords[2] for site in structure}
    assert z["W"] - z["Mo"] == pytest.approx(6.5, abs=1e-6)


def test_moments_sit_on_the_right_atoms() -> None:
    for name, per_element in (
        ("fept-l10", {"Fe": 3.0, "Pt": 0.4}),
        ("fe-bcc", {"Fe": 2.2}),
        ("cri3-monolayer", {"Cr": 3.0, "I": 0.0}),
    ):
        for site in load_gallery(name):
            assert site.properties["magmom"] == per_element[site.specie.symbol]


def test_unknown_names_get_near_ones() -> None:
    with pytest.raises(StructureError, match="did you mean mos2-1h"):
        load_gallery("MoS2")
    with pytest.raises(StructureError, match="there are: mos2-1h, ws2-1h"):
        load_gallery("../../etc/passwd")


def test_callers_cannot_spoil_the_gallery() -> None:
    load_gallery("si").replace(0, "Ge")
    assert load_gallery("si")[0].specie == Element("Si")


def test_assets_stay_inside() -> None:
    for hostile in ("../pyproject.toml", "/etc/passwd"):
        with pytest.raises(ValueError, match="inside assets"):
            asset(hostile)
    with pytest.raises(FileNotFoundError, match="missing from this installation"):
        asset("gallery/none.cif")
    assert json.loads(asset("gallery/index.json").read_text(encoding="utf-8"))["version"] == 1
