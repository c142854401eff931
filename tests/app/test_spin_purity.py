"""What the page says of orbitals whose up and down are no partners."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import toy_hamiltonian, toy_magnet

import hamexplorer as hx
from hamexplorer.app.band_numbers import numbers_html
from hamexplorer.app.crystal import CrystalPane
from hamexplorer.app.facts import is_spin_pure
from hamexplorer.app.opening import Opener
from hamexplorer.app.rail import Rail
from hamexplorer.app.state import AppState, Subject
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.properties import band_structure
from hamexplorer.structures import load_gallery, standard_path

WANNIER = Path(__file__).parents[1] / "data" / "wannier90"


@pytest.mark.parametrize(("name", "pure"), [("gaas_mlwf", False), ("gaas_proj", True)])
def test_the_reader_tells(name: str, pure: bool) -> None:
    h = hx.open(WANNIER / name)
    assert is_spin_pure(h) == pure
    assert any("no partners" in warning for warning in h.provenance.warnings) != pure


def test_the_rail_and_the_numbers_tell() -> None:
    def said(h: Hamiltonian) -> str:
        state.show(Subject(h.structure, h, title="x"))
        return str(rail.reason.view.object)

    state = AppState()
    rail = Rail(state, Opener(state, lambda f: f()))
    mixed = hx.open(WANNIER / "gaas_mlwf")
    magnet = toy_magnet(load_gallery("gaas"))
    assert "not spin-pure" in said(mixed)
    assert "magnetisation" not in said(mixed)
    assert "turn the magnetisation" in said(magnet)
    pane = CrystalPane(state, lambda f: f())
    assert pane.viewer.spin_label == "M"
    for h in (mixed, toy_hamiltonian(load_gallery("gaas"))):
        said(h)
        assert pane.viewer.spin_label == "n"

    for h, words in ((mixed, "not spin-pure"), (magnet, "exchange field splits")):
        if h.is_magnetic:
            bands = band_structure(h, standard_path(h.structure, 0.5))
            assert words in numbers_html(bands, h)
