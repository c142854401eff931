"""The record of origin, and the hash of a structure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Magmom

from hamexplorer.errors import FileFormatError
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp

# Surrogates cannot be written as UTF-8.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
records = st.builds(
    Provenance,
    source=text,
    title=text,
    settings=st.dictionaries(text, plain, max_size=3),
    results=st.dictionaries(text, plain, max_size=3),
    timings=st.dictionaries(text, st.floats(allow_nan=False), max_size=3),
    warnings=st.lists(text, max_size=3).map(tuple),
    citations=st.lists(text, max_size=3).map(tuple),
    versions=st.dictionaries(text, text, max_size=3),
    structure_hash=text,
    created=text,
)


@given(record=records)
def test_json_keeps_every_field(record: Provenance) -> None:
    assert Provenance.from_json(record.to_json()) == record


def test_numpy_and_read_only_mappings_become_plain_data() -> None:
    results = {"moment": np.float64(3.38), "steps": np.int64(12), "forces": np.zeros((1, 3))}
    record = Provenance("dft", "PBE", settings=MappingProxyType({"mesh": (6, 6, 1)}),
                        results=results)  # fmt: skip
    read = Provenance.from_json(record.to_json())
    assert read.results == {"moment": 3.38, "steps": 12, "forces": [[0.0, 0.0, 0.0]]}
    assert read.settings == {"mesh": [6, 6, 1]}
    with pytest.raises(TypeError, match="plain data, not a set"):
        Provenance("dft", "PBE", settings={"x": {1}}).to_json()


def test_keys_of_a_later_version_are_dropped_and_missing_ones_are_empty() -> None:
    record = Provenance.from_json('{"source": "dft", "title": "PBE", "colour": "blue"}')
    assert record == Provenance("dft", "PBE")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("", "not JSON"),
        ('{"source": "dft", ', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "has no 'source'"),
        ('{"source": "dft"}', "has no 'title'"),
        ('{"source": 1, "title": ""}', "'source' of the provenance record must be a string"),
        ('{"source": "", "title": "", "warnings": "no"}', "'warnings' .* must be a list"),
        ('{"source": "", "title": "", "settings": []}', "'settings' .* must be an object"),
    ],
)
def test_what_is_not_a_record_is_said(record: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        Provenance.from_json(record)


def test_versions_name_the_package_itself() -> None:
    found = package_versions("numpy", "no-such-distribution")
    assert found["numpy"] == version("numpy")
    assert found["hamexplorer"] == version("hamexplorer")
    assert found["no-such-distribution"] == "unknown"


def test_timestamps_are_utc_to_the_second() -> None:
    stamp = datetime.fromisoformat(timestamp())
    assert stamp.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 5
    assert stamp.microsecond == 0


# --- the structure's hash ------------------------------------------------------------------


def _crystal(**changes: object) -> Structure:
    parts = {
        "lattice": Lattice.cubic(3.0),
        "species": ["Fe", "Pt"],
        "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        **changes,
    }
    return Structure(**parts)


def test_the_hash_is_that_of_the_crystal() -> None:
    first = structure_hash(_crystal())
    assert len(first) == 64
    assert int(first, 16) >= 0
    assert first == structure_hash(_crystal())
    assert first == structure_hash(Structure.from_dict(json.loads(json.dumps(
        _crystal().as_dict()))))  # fmt: skip
    assert first == structure_hash(_crystal(lattice=Lattice.cubic(3.0 + 1e-10)))


def test_the_hash_does_not_see_the_sign_of_zero() -> None:
    matrix = np.diag([3.0, 3.0, 3.0])
    matrix[0, 1] = -1e-17
    coords = [[-0.0, 0, 0], [0.5, 0.5, 0.5]]
    assert structure_hash(_crystal(lattice=Lattice(matrix), coords=coords)) == structure_hash(
        _crystal()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"lattice": Lattice.cubic(3.0001)},
        {"species": ["Pt", "Fe"]},
        {"species": ["Fe2+", "Pt"]},
        {"coords": [[0, 0, 0], [0.5, 0.5, 0.5001]]},
        {"coords": [[0.5, 0.5, 0.5], [0, 0, 0]]},
        {"site_properties": {"magmom": [3.0, 0.4]}},
        {"site_properties": {"magmom": [[0, 0, 3.0], None]}},
    ],
)
def test_another_crystal_has_another_hash(changes: dict[str, object]) -> None:
    assert structure_hash(_crystal(**changes)) != structure_hash(_crystal())


def test_moments_are_hashed_by_value() -> None:
    plain_ones, arrays, objects = (
        structure_hash(_crystal(site_properties={"magmom": moments}))
        for moments in ([3.0, 0.5], list(np.array([3.0, 0.5])), [Magmom(3.0), Magmom(0.5)])
    )
    assert plain_ones == arrays == objects
