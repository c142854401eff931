"""Silicon as a structure file and as a computed one."""

from __future__ import annotations

from pathlib import Path

import pytest
from silicon import QUICK, SILICON

from hamexplorer.cli import main


@pytest.fixture
def silicon(tmp_path: Path) -> Path:
    path = tmp_path / "POSCAR"
    path.write_text(SILICON)
    return path


@pytest.fixture(scope="session")
def silicon_h5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("silicon")
    structure, path = folder / "POSCAR", folder / "Si.h5"
    structure.write_text(SILICON)
    assert main(["compute", str(structure), "-o", str(path), "--quiet", *QUICK]) == 0
    return path
