"""The learned model as a source: H0 + ΔH, what it refuses, and what its record tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from small_delta import CARD, small_delta, weights_of

from hamexplorer.dft.superposed import engine
from hamexplorer.dft.superposed.record import ENGINE_VERSION, tables_hash
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import (
    CalculationCancelled,
    FileFormatError,
    SettingsError,
    StructureError,
    UnsupportedElementError,
)
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.model import ModelCard
from hamexplorer.progress import Monitor
from hamexplorer.sources import Source, make_source, shipped
from hamexplorer.sources.learned import LearnedSource
from hamexplorer.sources.learned_accuracy import stated_accuracy
from hamexplorer.structures import load_gallery
from hamexplorer.training.accuracy import accuracy_data, accuracy_text
from hamexplorer.training.evaluation import CrystalErrors, Errors

COARSE = SuperposedSettings(spacing=0.2, threads=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_of(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def mos2() -> Structure:
    return load_gallery("mos2-1h")


def h0(structure: Structure) -> Hamiltonian:
    """H0 without the potential on the grid, whose two seconds add nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        nothing = lambda _, pairs, *__: np.zeros((1, pairs.n_elements))  # noqa: E731
        patch.setattr(engine, "local_blocks", nothing)
        return engine.run(structure, COARSE)


@pytest.fixture(scope="module")
def zero(mos2: Structure) -> Hamiltonian:
    return h0(mos2)


@pytest.fixture
def source(weights: Path) -> LearnedSource:
    return LearnedSource(weights, COARSE)


@pytest.fixture
def quick(zero: Hamiltonian, monkeypatch: pytest.MonkeyPatch) -> None:
    """H0 is at hand."""
    monkeypatch.setattr(engine, "run", lambda *_, **__: zero)


@pytest.mark.usefixtures("quick")
def test_the_result_is_h0_and_what_the_model_says(
    source: LearnedSource, mos2: Structure, zero: Hamiltonian
) -> None:
    seen: list[str] = []
    h = source.compute(mos2, Monitor(lambda event: seen.append(event.stage)))
    delta = small_delta().predict(mos2, zero.pairs, zero.basis).elements
    assert np.abs(delta).max() > 1e-3
    change, s = h.scalar - zero.scalar, zero.overlap
    constant = (s @ delta) / (s @ s)
    assert abs(constant) > 1e-5
    assert np.allclose(change, delta - constant * s, rtol=0, atol=1e-9)
    assert abs(s @ change) < 1e-9  # the zero of energy stays
    assert zero.spin_orbit is not None
    for part in ("overlap", "spin_orbit", "position"):
        assert np.array_equal(getattr(h, part), getattr(zero, part)), part
    assert h.pairs.same_as(zero.pairs)
    assert h.n_electrons == zero.n_electrons
    assert seen == ["Reading the model", "Network", "Checking"]


@pytest.mark.usefixtures("quick")
def test_the_record_tells_model_h0_accuracy_and_times(
    source: LearnedSource, mos2: Structure, zero: Hamiltonian
) -> None:
    record = source.compute(mos2).provenance
    json.loads(record.to_json())
    assert (record.source, record.title) == ("learned", "Learned model Tiny")
    assert record.settings["model_fingerprint"] == source.model.fingerprint
    assert record.settings["spacing"] == zero.provenance.settings["spacing"] == 0.2
    assert record.results["accuracy"] == CARD.accuracy
    assert record.results["doubts"] == []
    assert record.results["zero_of_energy"] == "vacuum, as of superposed atoms"
    assert "domain_distance" not in record.results  # no statistics
    assert record.warnings == (
        "Learned model Tiny: near-gap bands within 2 meV.",
        "A note of the card.",
    )
    assert record.citations == (*zero.provenance.citations, "A paper.")
    assert list(record.timings) == ["model", "H0", "network", "all"]
    parts = record.timings
    assert parts["model"] + parts["H0"] + parts["network"] == pytest.approx(parts["all"], abs=0.01)


@pytest.mark.usefixtures("quick")
def test_doubts_are_told_before_and_after(tmp_path: Path, mos2: Structure) -> None:
    far = weights_of(tmp_path / "far.safetensors", distance=5.0)
    source = LearnedSource(far, COARSE)
    (doubt,) = source.doubts(mos2)
    assert doubt.startswith("The surroundings of 3 of 3 atoms are unlike those")
    assert "is 5.0 away, where 3 is the limit." in doubt
    record = source.compute(mos2).provenance
    assert record.warnings[0] == doubt
    assert record.results["doubts"] == [doubt]
    assert record.results["domain_distance"] == pytest.approx([5, 5, 5], abs=0.01)

    # the card's own limit
    wide = replace(CARD, origin={"domain_limit": 6})
    assert LearnedSource(weights_of(far, distance=5.0, card=wide), COARSE).doubts(mos2) == ()
    near = weights_of(far, distance=1.0, seen=frozenset({("Mo", "S"), ("S", "S")}))
    assert LearnedSource(near, COARSE).doubts(mos2) == (
        "Mo and Mo stand within 7.5 Å of each other, as nowhere in what the model was trained on.",
    )


def test_doubts_see_the_pairs_that_h0_has(
    source: LearnedSource, mos2: Structure, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Pairs] = []

    def predict(self: DeltaModel, structure: Structure, pairs: Pairs, basis: Any) -> Any:
        given.append(pairs)
        return predicted(self, structure, pairs, basis)

    predicted = DeltaModel.predict
    monkeypatch.setattr(DeltaModel, "predict", predict)
    # layers 7.2 Å apart: within the cutoff, but no pair of H0 crosses the vacuum
    thickness = np.ptp(mos2.cart_coords[:, 2])
    thin = Structure(
        Lattice([*mos2.lattice.matrix[:2], [0, 0, thickness + 7.2]]),
        mos2.species,
        mos2.cart_coords,
        coords_are_cartesian=True,
    )
    thin.translate_sites([2], [1, 0, -1], to_unit_cell=False)
    assert source.doubts(thin) == ()
    pairs = h0(thin).pairs
    away = thin.cart_coords[pairs.second] + pairs.cell @ thin.lattice.matrix
    length = np.linalg.norm(away - thin.cart_coords[pairs.first], axis=1)
    kept, _ = pairs.subset(length < 7.5)
    assert _listed(given[0]) == _listed(kept)


def _listed(pairs: Pairs) -> list[list[int]]:
    return sorted(np.column_stack([pairs.first, pairs.second, pairs.cell]).tolist())


def test_what_the_model_does_not_know_is_refused(source: LearnedSource, mos2: Structure) -> None:
    with pytest.raises(UnsupportedElementError, match=r"knows no As, Ga; it knows Mo, S\."):
        source.check(load_gallery("gaas"))
    magnet = mos2.copy(site_properties={"magmom": [1.0, 0.0, 0.0]})
    with pytest.raises(StructureError, match=r"Tiny knows no magnetism.*--spin none"):
        source.check(magnet)
    LearnedSource(source.weights, replace(COARSE, spin="none")).check(magnet)
    collinear = LearnedSource(source.weights, replace(COARSE, spin="collinear"))
    with pytest.raises(StructureError, match="no magnetism"):
        collinear.check(mos2)
    disordered = Structure(mos2.lattice, [{"Mo": 0.5, "W": 0.5}, "S", "S"], mos2.frac_coords)
    with pytest.raises(StructureError, match=r"occup|disorder"):
        source.check(disordered)


def test_another_basis_is_refused(source: LearnedSource, mos2: Structure, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"another basis than gth-szv-molopt-sr: its shells of"):
        LearnedSource(source.weights, replace(COARSE, basis="gth-szv-molopt-sr")).check(mos2)
    with pytest.raises(SettingsError, match="residual must be true"):
        LearnedSource(source.weights, replace(COARSE, residual=False))
    trained = {"zero": {"engine": ENGINE_VERSION, "tables": tables_hash()}}
    path = weights_of(tmp_path / "a.safetensors", card=replace(CARD, origin=trained))
    LearnedSource(path, COARSE).check(mos2)
    other = {"zero": {"engine": ENGINE_VERSION, "tables": "0123"}}
    path = weights_of(tmp_path / "b.safetensors", card=replace(CARD, origin=other))
    with pytest.raises(FileFormatError, match=r"another release .*tables 0123.*trained anew"):
        LearnedSource(path, COARSE).check(mos2)


def test_the_key_holds_the_file_and_what_h0_depends_on(tmp_path: Path, mos2: Structure) -> None:
    path = weights_of(tmp_path / "w.safetensors")
    source = LearnedSource(path, COARSE)
    key = source.settings_key(mos2)
    assert source.model.fingerprint in key
    assert LearnedSource(path, replace(COARSE, threads=2)).settings_key(mos2) == key
    finer = LearnedSource(path, replace(COARSE, spacing=0.18))
    assert finer.settings_key(mos2) != key
    # a file that changed under the same name, if only in its card
    weights_of(path, card=replace(CARD, accuracy="within an electronvolt."))
    assert source.settings_key(mos2) != key
    assert source.capability().accuracy == "within an electronvolt."


def test_capability_and_estimate(source: LearnedSource, mos2: Structure) -> None:
    assert isinstance(source, Source)
    told = source.capability()
    assert told.elements == {"Mo", "S"}
    assert (told.magnetism, told.spin_orbit) == (False, True)
    bare = make_source("superposed", spacing=0.2, threads=1)
    assert source.estimate(mos2).seconds > bare.estimate(mos2).seconds
    silent = weights_of(
        source.weights.with_name("silent.safetensors"), card=replace(CARD, accuracy="")
    )
    assert "does not tell" in LearnedSource(silent, COARSE).capability().accuracy


def test_a_cancelled_calculation_stops(source: LearnedSource, mos2: Structure) -> None:
    monitor = Monitor()
    monitor.cancel()
    with pytest.raises(CalculationCancelled):
        source.compute(mos2, monitor)


def test_the_registry_names_what_is_wrong(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_source("learned", weights=str(weights), spacing=0.2)
    assert isinstance(made, LearnedSource)
    assert made.settings.spacing == 0.2
    with pytest.raises(
        SettingsError, match=r"no setting 'kmesh'; there are weights, device, basis"
    ):
        make_source("learned", weights=weights, kmesh=(1, 1, 1))
    with pytest.raises(SettingsError, match="weights must be a path, not 3"):
        make_source("learned", weights=3)
    with pytest.raises(SettingsError, match="There is no device 'abacus'"):
        make_source("learned", weights=weights, device="abacus")
    with pytest.raises(FileFormatError, match="no such file of weights"):
        make_source("learned", weights=tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(FileFormatError, match="no checkpoint"):
        make_source("learned", weights=tmp_path / "text.safetensors").check(load_gallery("si"))
    monkeypatch.setattr(shipped, "SHIPPED", "models/none.safetensors")
    with pytest.raises(SettingsError, match=r"holds no learned model .*--weights FILE"):
        make_source("learned")


def test_shipped_weights_are_taken_where_none_are_named(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "asset", lambda _: weights)
    assert LearnedSource().weights == weights


def test_the_table_of_a_card_becomes_a_sentence() -> None:
    """As training writes it: the families, and all of them last."""

    def crystal(name: str, family: str, near: float, splitting: float | None) -> CrystalErrors:
        errors = Errors(0.2, 9.0, near, 6 * near, 2 * near, 2.0, splitting)
        return CrystalErrors(name, family, "test", 3, errors, errors)

    found = [crystal("a", "rattled", 1.0, 0.5), crystal("b", "bilayers", 3.0, None)]
    found.append(crystal("c", "rattled", 2.0, 0.9))
    card = ModelCard(
        "M",
        accuracy=accuracy_text(found),
        origin={"test": json.loads(json.dumps(accuracy_data(found)))},
    )
    assert stated_accuracy(card) == (
        "On 3 crystals that it was not trained on, errors against DFT were, on average (at most), "
        "2.0 (18) meV in bands near the gap, 4.0 (6.0) meV in gaps, 0.7 (0.9) meV in splittings at "
        "K."
    )
    assert "\n" not in stated_accuracy(replace(card, origin={}))
    of_layers = replace(card, origin={**card.origin, "layers": "Bilayers are worse."})
    assert stated_accuracy(of_layers, 1) == stated_accuracy(card)
    assert stated_accuracy(of_layers, 2) == f"{stated_accuracy(card)} Bilayers are worse."
    for damaged in (3, {"families": []}, {"families": [{"mean": 1}]}):
        assert stated_accuracy(replace(CARD, origin={"test": damaged})) == CARD.accuracy
