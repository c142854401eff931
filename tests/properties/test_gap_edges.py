"""Bands without a gap because one side of it has no bands, and valleys without a gap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from models import graphene

from hamexplorer.cli.report import bands_data, bands_table
from hamexplorer.errors import SettingsError
from hamexplorer.properties.bands import band_structure
from hamexplorer.properties.gap import gap
from hamexplorer.properties.valley import valley_readouts
from hamexplorer.structures.kpath import standard_path


@pytest.mark.parametrize(
    ("filled", "message"), [(0, "no occupied states"), (1, "[Aa]ll states are occupied")]
)
def test_no_bands_on_one_side(filled: int, message: str) -> None:
    h = graphene(stagger=0.2)
    h = replace(h, n_electrons=float(filled * 2 * h.basis.n_orbitals))
    bands = band_structure(h, standard_path(h.structure, 0.2))
    with pytest.raises(SettingsError, match=message):
        gap(bands)
    data = bands_data(h, bands)
    assert data["gap_on_path"] is None
    cells = list(bands_table(data).columns[1].cells)
    (row,) = [cell for cell in cells if str(cell).startswith("none: ")]
    assert message[4:] in row


def test_touching_bands_at_k_are_told() -> None:
    closed = valley_readouts(graphene(stagger=1e-6)).warnings
    assert len(closed) == 2
    assert all("not defined" in text and "1/gap²" in text for text in closed)
    assert ["K" in text for text in closed] == [True, True]
    assert valley_readouts(graphene(stagger=0.2)).warnings == ()
