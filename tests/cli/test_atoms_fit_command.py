"""``hamexplorer atoms fit``: takes up what its folder holds, and writes the potentials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure
from typer.testing import CliRunner

from hamexplorer.cli.commands import application
from hamexplorer.dft.superposed.fit import NormalEquations, fit, save_normal_equations
from hamexplorer.dft.superposed.residual import EXPONENTS, atoms_digest, load_residuals
from hamexplorer.dft.superposed.training_set import TRAINING_SET, Sample

N = len(EXPONENTS)


def equations(name: str, u: np.ndarray, seed: int, constant: float = 0.5) -> NormalEquations:
    """Those of a crystal whose ΔH is X u + c S exactly."""
    x = np.random.default_rng(seed).normal(size=(200, N + 1))
    t = x @ np.append(u, constant)
    return NormalEquations(name, name, ("Si",), False, x.T @ x, x.T @ t, float(t @ t), 200.0)


def never() -> Structure:
    raise AssertionError("computed anew")


def test_fit_of_what_the_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    u = np.linspace(-0.01, 0.02, N)
    samples = [Sample(name, name, True, never) for name in ("a", "b", "c")]
    untouched = Sample("tested", "tested", False, never)
    monkeypatch.setattr(
        "hamexplorer.dft.superposed.training_set.TRAINING_SET", (*samples, untouched)
    )
    monkeypatch.setattr("hamexplorer.dft.superposed.fit.PENALTIES", (1e-10, 1.0))
    for seed, sample in enumerate(samples):
        save_normal_equations(equations(sample.name, u, seed), tmp_path / f"{sample.name}.npz")
    target = tmp_path / "out.json"
    result = CliRunner().invoke(
        application, ["atoms", "fit", "--work", str(tmp_path), "-o", str(target)]
    )
    assert result.exit_code == 0, result.output
    found = load_residuals(target)
    assert found.coefficients["Si"] == pytest.approx(u, rel=1e-6)
    assert found.record["penalty"] == 1e-10
    assert found.record["atoms"] == atoms_digest()
    assert set(found.record["crystals"]) == {"a", "b", "c"}
    assert max(found.record["rms_meV"]["compound_left_out"].values()) < 1e-3
    assert min(found.record["rms_meV"]["free_atoms"].values()) > 100
    assert "compound left out" in result.output
    json.loads(target.read_text())


def test_constants_of_layers_are_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    u = np.linspace(-0.01, 0.02, N)
    bulk = [equations("a", u, 1, constant=0.5), equations("b", u, 2, constant=-0.5)]
    layers = [replace(crystal, layer=True) for crystal in bulk]
    monkeypatch.setattr("hamexplorer.dft.superposed.fit.PENALTIES", (1e-10,))
    apart = []
    for crystals, stiffness in ((bulk, 1e3), (layers, 0.0), (layers, 0.1), (layers, 1e3)):
        monkeypatch.setattr("hamexplorer.dft.superposed.fit.STIFFNESS", stiffness)
        found = fit(crystals)[0].coefficients["Si"]
        constants = [crystal.constant(found) for crystal in crystals]
        apart.append(constants[0] - constants[1])
    assert apart[:2] == pytest.approx([1.0, 1.0])
    assert apart[1] > apart[2] > apart[3]
    assert layers[0].rms(u) < 1e-7


def test_damaged_results_and_wrong_files_are_said(tmp_path: Path) -> None:
    first = TRAINING_SET[0]
    (tmp_path / f"{first.name}.npz").write_bytes(b"damaged")
    call = ["atoms", "fit", "--work", str(tmp_path), "-q", "-o"]
    result = CliRunner().invoke(application, [*call, str(tmp_path / "out.json")])
    assert result.exit_code != 0
    assert "normal equations" in str(result.output) + str(result.exception)
    result = CliRunner().invoke(application, [*call, str(tmp_path / "out.xyz")])
    assert result.exit_code != 0
    assert ".json" in str(result.output) + str(result.exception)
    (tmp_path / "file").touch()
    call = ["atoms", "fit", "--work", str(tmp_path / "file"), "-o", str(tmp_path / "out.json")]
    result = CliRunner().invoke(application, call)
    assert "is no folder" in str(result.exception)


def test_names_of_the_training_set_are_unique_and_elements_recur() -> None:
    """A compound is left out in turn: its elements must occur in another one."""
    assert len({sample.name for sample in TRAINING_SET}) == len(TRAINING_SET)
    fitted = [sample for sample in TRAINING_SET if sample.fitted]
    where: dict[str, set[str]] = {}
    for sample in fitted:
        for symbol in {site.specie.symbol for site in sample.build()}:
            where.setdefault(symbol, set()).add(sample.compound)
    assert all(len(compounds) > 1 for compounds in where.values()), where
    for sample in TRAINING_SET:
        assert {site.specie.symbol for site in sample.build()} <= where.keys()
