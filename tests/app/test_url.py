"""The view in the address bar: what is written is read back, and nothing that is read breaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamexplorer.app.state import (
    MAE_METHODS,
    MAE_VIEWS,
    PAGES,
    SHIFT_CHOICES,
    SOURCES,
    AppState,
    Subject,
)
from hamexplorer.app.url import FIELDS, read_query, write_query
from hamexplorer.plots.anisotropy_data import UNITS
from hamexplorer.properties.valley import MAP_FIELDS
from hamexplorer.structures import load_gallery

site = st.integers(0, 500)
cell = st.integers(-12, 12)
finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: float(f"{x:.4g}"))
views = st.fixed_dictionaries(
    {},
    optional={
        "page": st.sampled_from(PAGES),
        "source": st.sampled_from(SOURCES),
        "soc": st.integers(0, 200).map(lambda n: n / 100),
        "theta": st.integers(0, 180).map(float),
        "phi": st.integers(0, 360).map(float),
        "exchange": st.integers(0, 200).map(lambda n: n / 100),
        "colour": st.sampled_from(["none", "spin_z", "spin_n", "element:Mo", "l:Mo d", "site:S2"]),
        "energies": st.tuples(st.integers(-90, 0), st.integers(1, 90)).map(
            lambda w: (w[0] / 4, w[1] / 4)
        ),
        "show_off": st.booleans(),
        "point": st.tuples(site, site),
        "atoms": st.lists(site, min_size=1, max_size=2),
        "pair": st.tuples(site, site, st.tuples(cell, cell, cell)),
        "component": st.sampled_from(["S", "A", "Lz", "B", "Bx", "re", "im", "abs"]),
        "supercell": st.tuples(*[st.integers(1, 20)] * 3),
        "camera": st.fixed_dictionaries(
            {key: st.lists(finite, min_size=3, max_size=3) for key in ("position", "target")}
        ),
        "map_field": st.sampled_from(MAP_FIELDS),
        "field": st.integers(-100, 100).map(float),
        "field_atoms": st.sampled_from(["all", "element:Mo", "site:S2"]),
        "mae_view": st.sampled_from(MAE_VIEWS),
        "mae_unit": st.sampled_from(list(UNITS)),
        "mae_mesh": st.tuples(*[st.integers(1, 99)] * 3),
        "mae_smearing": st.integers(1, 2000).map(lambda n: n / 1000),
        "mae_dipoles": st.booleans(),
        "mae_method": st.sampled_from(MAE_METHODS),
        "shift": st.sampled_from(SHIFT_CHOICES),
        "compared": st.sampled_from(["H", "A", "B", "Bz", "Lx"]),
        "near_gap": st.tuples(st.integers(-20, 0), st.integers(1, 20)).map(
            lambda w: (w[0] / 2, w[1] / 2)
        ),
        "dark": st.booleans(),
    },
)


@given(views)
def test_a_view_survives_the_address(view: dict[str, object]) -> None:
    state = AppState(**view)
    values, crystal, notes = read_query(write_query(state))
    assert notes == []
    assert crystal == {}
    for field in FIELDS.values():
        expected = getattr(state, field.name)
        assert values.get(field.name, state.param[field.name].default) == expected


def test_only_what_differs_is_written() -> None:
    state = AppState()
    assert write_query(state) == ""
    state.subject = Subject(load_gallery("si"), gallery="si", stored="0" * 16)
    state.soc = 0.5
    assert write_query(state) == "?s=si&soc=0.5"
    state.subject = Subject(load_gallery("si"), stored="0123456789abcdef")
    assert read_query(write_query(state))[1] == {"stored": "0123456789abcdef"}
    state.second = Subject(load_gallery("si"), stored="fedcba9876543210")
    assert read_query(write_query(state))[1] == {
        "stored": "0123456789abcdef",
        "second": "fedcba9876543210",
    }


@given(st.text(max_size=200))
def test_any_text_gives_a_view(query: str) -> None:
    values, _, notes = read_query("?" + query)
    AppState(**values)
    assert all(len(note) < 200 for note in notes)


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=40))
def test_any_value_is_read_or_noted(key: str, text: str) -> None:
    from urllib.parse import urlencode

    values, _, notes = read_query("?" + urlencode({key: text}))
    AppState(**values)
    assert len(values) + len(notes) == 1


@pytest.mark.parametrize(
    "query",
    [
        "soc=nan",
        "soc=3",
        "e=4,-4",
        "e=1",
        "pair=0.0",
        "atoms=1.2.3",
        "cells=0x1x1",
        "m=Q",
        "s=../../etc",
        "h=xyz",
        "cam=1,2",
        "p=secret",
        "dark=yes",
        "v=E_VBM",
        "b=nan",
        "b=101",
        "on=site:",
        "on=element:<b>",
        "mesh=8x8",
        "mesh=0x1x1",
        "unit=joule",
        "kt=0",
        "method=quick",
        "view=all",
        "c=xyz",
        "shift=best",
        "d=S",
        "w=2,-2",
        "source=vasp",
        "unknown=1",
    ],
)
def test_damaged_values_are_said_and_dropped(query: str) -> None:
    values, crystal, notes = read_query("?" + query)
    assert (values, crystal) == ({}, {})
    assert len(notes) == 1


def test_an_endless_address_is_not_read() -> None:
    assert read_query("?soc=1" + "&x=1" * 1000)[0] == {}
