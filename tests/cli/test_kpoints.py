"""Lists of k-points from text."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from hamexplorer.cli.kpoints import kpoint_list, read_kpoints
from hamexplorer.errors import HamexplorerError

coordinate = st.floats(-10, 10, allow_nan=False)


def written(content: bytes) -> Path:
    with tempfile.NamedTemporaryFile(suffix=".txt", delete=False) as file:
        file.write(content)
    return Path(file.name)


@given(st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=20))
def test_what_is_written_is_read(points: list[tuple[float, float, float]]) -> None:
    lines = [f" {x!r}\t{y!r},{z!r}  # a comment" for x, y, z in points]
    path = written("\n\n".join(["# head", *lines]).encode())
    try:
        assert np.array_equal(read_kpoints(path), np.array(points))
    finally:
        path.unlink()


@given(st.binary(max_size=200) | st.text("0123456789./-+eEnaif# ,\n", max_size=60).map(str.encode))
def test_any_content_is_read_or_refused(content: bytes) -> None:
    path = written(content)
    message = ""
    try:
        points = read_kpoints(path)
    except HamexplorerError as error:
        points, message = np.zeros((0, 3)), str(error)
    finally:
        path.unlink()
    assert (path.name in message) == (len(points) == 0)  # a refusal says where
    assert points.shape[1] == 3
    assert np.isfinite(points).all()


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "K.txt"
    path.write_text("0 0 0\n" * 10)
    monkeypatch.setattr("hamexplorer.cli.kpoints._MAX_POINTS", 9)
    with pytest.raises(HamexplorerError, match="more than 9 k-points"):
        read_kpoints(path)
    monkeypatch.setattr("hamexplorer.cli.kpoints._MAX_BYTES", 10)
    with pytest.raises(HamexplorerError, match="MB"):
        read_kpoints(path)


def test_distances_are_lengths_in_reciprocal_space() -> None:
    structure = Structure(Lattice.orthorhombic(2.0, 4.0, 5.0), ["H"], [[0, 0, 0]])
    path = kpoint_list(structure, np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]]))
    assert np.allclose(path.distances, [0, np.pi / 2, np.pi / 2 + np.pi / 4])
    assert path.ticks == ()
