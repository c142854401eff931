"""Recipes: what is refused and how that is told; crystals that never change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from small_crystals import RECIPE

from hamexplorer.assets_path import asset
from hamexplorer.datasets.recipe import drafts, load_recipe
from hamexplorer.errors import SettingsError
from hamexplorer.provenance import structure_hash
from hamexplorer.structures import load_gallery

FAMILY = "families: [{name: a, parents: [graphene]}]"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def family(**keys: object) -> str:
    return yaml.safe_dump({"name": "x", "families": [{"name": "a", "parents": ["hbn"], **keys}]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "no YAML"),
        ("when: 2020-99-99", "no YAML"),
        ("[" * 3000, "no YAML"),
        ("- a", "its keys must be name, seed, dft, families"),
        (FAMILY, "name: this key is needed"),
        (f"{{name: x, seed: -1}}\n#{FAMILY}", "families: this key is needed"),
        (f"name: x\nseed: -1\n{FAMILY}", "seed: Input should be greater than or equal to 0"),
        (f"name: ../x\n{FAMILY}", "'../x' is no name"),
        (f"name: x\nsede: 1\n{FAMILY}", "sede: there is no such key; accepted are name, seed"),
        ("name: x\nfamilies: []", "at least 1 item"),
        ("name: x\nfamilies: [{name: a}]", "a has neither parents nor bilayers"),
        (
            "name: x\nfamilies: [{name: a, parents: [hbn]}, {name: a, parents: [hbn]}]",
            "'a' stands there twice",
        ),
        (family(parents=["hbn", "hbn"]), "'hbn' stands there twice"),
        (family(strian=0.1), "families.0.strian: there is no such key; accepted are name, parents"),
        (family(strain=-0.1), "families.0.strain: Input should be greater than or equal to 0"),
        (family(rattle=float("nan")), "families.0.rattle"),
        (family(supercell=[0, 1, 1]), "families.0.supercell.0"),
        (family(supercell=[50, 50, 1]), "2500 cells; accepted are up to 400"),
        (family(count=0), "families.0.count"),
        (family(mix={"N": "Nn"}), "'Nn' is no element"),
        (family(bilayers=[{"lower": "hbn"}]), "families.0.bilayers.0.upper: this key is needed"),
        (
            family(bilayers=[{"lower": "hbn", "upper": "hbn", "stackings": ["3R"]}]),
            "'3R' is no stacking; accepted are AA, AB, BA, 2H",
        ),
        (
            family(bilayers=[{"lower": "hbn", "upper": "graphene", "stackings": ["AB"]}]),
            "two different layers are AA alone",
        ),
        (
            family(bilayers=[{"lower": "hbn", "uper": "hbn"}]),
            "accepted are lower, upper, stackings",
        ),
    ],
)
def test_what_a_recipe_cannot_say_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_recipe(written(tmp_path, text))
    assert said in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml")


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="no such recipe"):
        load_recipe(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="no YAML"):
        load_recipe(tmp_path / "binary.yaml")
    with pytest.raises(SettingsError, match="larger"):
        load_recipe(written(tmp_path, "#" + " " * 1_000_001))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"parents": ["unobtainium"]}, "a/unobtainium/0000.*unobtainium"),
        ({"parents": ["none.cif"]}, "a/none.cif/0000"),
        ({"parents": ["p.vasp", "other/p.vasp"]}, "two parents are called 'p'"),
    ],
)
def test_parents_that_cannot_be_made(tmp_path: Path, keys: dict[str, object], said: str) -> None:
    (tmp_path / "other").mkdir()
    for path in (tmp_path / "p.vasp", tmp_path / "other" / "p.vasp"):
        load_gallery("hbn").to(filename=str(path), fmt="poscar")
    with pytest.raises(SettingsError, match=said):
        list(drafts(load_recipe(written(tmp_path, family(**keys))), tmp_path))


def test_a_crystal_stays_the_same_whatever_is_added(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, RECIPE))
    before = {draft.name: structure_hash(draft.structure) for draft in drafts(recipe)}
    assert len(before) == recipe.size == 14
    assert len(set(before.values())) == 14
    more = RECIPE.replace("[graphene, hbn]", "[hbn, stanene, graphene]").replace("6", "8")
    after = {
        draft.name: structure_hash(draft.structure)
        for draft in drafts(load_recipe(written(tmp_path, more)))
    }
    assert before.items() <= after.items()
    other = load_recipe(written(tmp_path, RECIPE.replace("seed: 3", "seed: 4")))
    changed = {draft.name: structure_hash(draft.structure) for draft in drafts(other)}
    # the parents themselves are drawn by no seed
    same = {name for name in before if before[name] == changed[name]}
    assert same == {"layers/graphene/0000", "layers/hbn/0000"}


def test_crystals_are_what_the_family_says(tmp_path: Path) -> None:
    text = """
name: x
families:
  - {name: s, parents: [mos2-1h], count: 20, strain: 0.02, shear: 0.01, rattle: 0.03,
     supercell: [2, 1, 1], mix: {S: Se}, pristine: true}
"""
    parent = load_gallery("mos2-1h")
    made = list(drafts(load_recipe(written(tmp_path, text))))
    assert made[0].pristine
    assert structure_hash(made[0].structure) == structure_hash(parent * (2, 1, 1))
    cell = (parent * (2, 1, 1)).lattice.matrix
    exchanged = 0
    for draft in made[1:]:
        assert (draft.pristine, draft.n_cells, len(draft.structure)) == (False, 2, 6)
        deformation = np.linalg.solve(cell, draft.structure.lattice.matrix) - np.eye(3)
        assert np.abs(deformation[:2, :2].diagonal()).max() <= 0.02
        assert abs(deformation[0, 1]) <= 0.01
        assert deformation[0, 1] == pytest.approx(deformation[1, 0])
        assert np.abs(deformation[:2, :2]).max() == pytest.approx(draft.strain)
        assert np.abs(deformation[2]).max() < 1e-12
        symbols = [site.specie.symbol for site in draft.structure]
        assert symbols.count("Mo") == 2
        exchanged += symbols.count("Se")
    assert 15 < exchanged < 61  # of 76, each with a probability drawn from [0, 1]


def test_bilayers_and_their_gap(tmp_path: Path) -> None:
    text = """
name: x
families:
  - name: b
    bilayers:
      - {lower: mos2-1h, upper: mos2-1h, stackings: [2H, AA], gap: 0.2}
    count: 3
    pristine: true
"""
    made = list(drafts(load_recipe(written(tmp_path, text))))
    assert [draft.name for draft in made[:4:3]] == [
        "b/mos2-1h+mos2-1h-2h/0000",
        "b/mos2-1h+mos2-1h-aa/0000",
    ]

    def gap(number: int) -> float:
        heights = np.sort(made[number].structure.cart_coords[:, 2])
        return float(heights[3] - heights[2])

    changes = np.array([gap(1) - gap(0), gap(2) - gap(0), gap(4) - gap(3), gap(5) - gap(3)])
    assert np.abs(changes).max() <= 0.2 + 1e-9
    assert len(set(changes.round(6))) == 4


def test_a_magnet_keeps_its_moments(tmp_path: Path) -> None:
    text = "{name: x, families: [{name: m, parents: [fept-l10], count: 2, rattle: 0.02}]}"
    moments = load_gallery("fept-l10").site_properties["magmom"]
    for draft in drafts(load_recipe(written(tmp_path, text))):
        assert list(draft.structure.site_properties["magmom"]) == list(moments)


def test_the_shipped_recipe_is_the_one_that_was_computed() -> None:
    """Hashes of some of the crystals that the shipped model was trained on."""
    recipe = load_recipe(asset("recipes/mx2.yaml"))
    wanted = HASHES
    made = {d.name: d for d in drafts(recipe) if d.name in wanted}
    assert {name: structure_hash(d.structure)[:16] for name, d in made.items()} == wanted
    assert recipe.size == 117


HASHES = {
    "monolayers/mos2-1h/0000": "c9ee1e463acb4eaf",
    "monolayers/wte2-1h/0009": "2c256521b3df2661",
    "janus/mosse-janus/0007": "90d78cd49adebd05",
    "mixed/mote2-1h/0004": "58a3f1acd81ed07a",
    "alloys/ws2-1h/0003": "4c68f5184d49c22e",
    "supercells/wse2-1h/0002": "3d2df2aebd50d991",
    "bilayers/mos2-1h+mos2-1h-2h/0001": "df6cca218c3ea481",
    "bilayers/mose2-1h+wse2-1h-aa/0001": "c87ae5e232d04fc6",
    "held-out-compound/wsse-janus/0003": "af3672c98a0b0aca",
}
