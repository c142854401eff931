"""``hamexplorer compute``, ``info``, ``gallery``, ``cache``: results, scripts, Ctrl-C, kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from silicon import QUICK

from hamexplorer.cli import main
from hamexplorer.hamiltonian import load_hamiltonian
from hamexplorer.sources import HamiltonianCache

SLOW = ["gallery:bi2se3", "--kmesh", "8,8,8", "--no-cache"]
"""Takes far longer than a test waits."""


def test_file_holds_what_json_says(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "Si.h5"
    assert main(["compute", str(silicon), "-o", str(target), "--json", *QUICK]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    h = load_hamiltonian(target)
    assert data["n_orbitals"] == h.basis.n_orbitals == 26
    assert data["n_electrons"] == 8
    assert data["settings"]["kmesh"] == [2, 2, 2]
    assert data["components"] == ["S", "H", "Lx", "Ly", "Lz"]
    assert "Self-consistency" not in captured.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["POSCAR", "Si.h5"]


def test_options_reach_the_engine(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "Si.h5"
    options = ["--no-soc", "--smearing", "0.004", "--magmom", "Si1=1,Si2=-1", "--no-cache"]
    before = {entry.key for entry in HamiltonianCache().entries()}
    assert main(["compute", str(silicon), "-o", str(target), "--json", *QUICK, *options]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["smearing"] == 0.004
    assert settings["initial_moments"] == [1.0, -1.0]
    h = load_hamiltonian(target)
    assert not h.has_spin_orbit
    assert h.is_magnetic
    assert {entry.key for entry in HamiltonianCache().entries()} == before


def test_progress_names_stages_on_stderr_alone(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compute", str(silicon), "-o", str(tmp_path / "Si.h5"), "--no-cache", *QUICK]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "Self-consistency: " in captured.err
    assert "Self-consistency" not in captured.out
    assert "26 (spinors 52)" in captured.out


def test_quiet_says_nothing(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compute", str(silicon), "-o", str(tmp_path / "a.h5"), "-q", *QUICK]) == 0
    assert capsys.readouterr().out == ""


def test_unconverged_is_an_error_and_leaves_the_old_file(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "Si.h5"
    target.write_bytes(b"the result of yesterday")
    arguments = ["compute", str(silicon), "-o", str(target), *QUICK, "--max-iterations", "1"]
    assert main([*arguments, "--no-cache"]) == 2
    assert "converge" in capsys.readouterr().err
    assert target.read_bytes() == b"the result of yesterday"


def start(*arguments: str, ready: str) -> subprocess.Popen[str]:
    """The command line in a process of its own, once ``ready`` stands on its stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hamexplorer", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if ready in line:
            return process
    raise AssertionError(f"ended with {process.wait()} before {ready!r}")


def test_ctrl_c_stops_with_130_and_no_file(tmp_path: Path) -> None:
    target = tmp_path / "Bi2Se3.h5"
    process = start("compute", *SLOW, "-o", str(target), ready="Preparing: ")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "cancelled" in errors
    assert list(tmp_path.iterdir()) == []


def test_kill_leaves_the_next_run_clean(silicon: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HAMEXPLORER_CACHE_DIR": str(tmp_path / "cache")}
    target = tmp_path / "Si.h5"
    command = [sys.executable, "-m", "hamexplorer", "compute", str(silicon), "-o", str(target)]
    killed = subprocess.Popen([*command, *QUICK], env=environment, stderr=subprocess.DEVNULL)
    locks = tmp_path / "cache" / "locks"
    while killed.poll() is None and not (locks.is_dir() and list(locks.iterdir())):
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert not target.exists()
    done = subprocess.run(
        [*command, *QUICK, "--json"], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["warnings"] == []
    assert load_hamiltonian(target).basis.n_orbitals == 26
    names = [path.name for path in (tmp_path / "cache" / "hamiltonians").iterdir()]
    assert len(names) == 1
    assert not names[0].startswith(".")


def test_unusable_cache_is_said_and_costs_nothing_else(
    silicon: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HAMEXPLORER_CACHE_DIR", str(silicon))
    target = tmp_path / "Si.h5"
    assert main(["compute", str(silicon), "-o", str(target), *QUICK]) == 0
    assert "was not cached" in capsys.readouterr().err
    assert any("not cached" in text for text in load_hamiltonian(target).provenance.warnings)


def test_info_of_structure_gallery_and_file(
    silicon: Path, silicon_h5: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(silicon), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["kind"], data["formula"], data["n_sites"]) == ("structure", "Si", 2)
    assert data["symmetry"]["spacegroup_number"] == 227
    assert data["symmetry"]["slab"] is None
    assert data["dft"]["memory_bytes"] > 1e8
    for given in ("gallery:mos2-1h", "mos2-1h"):
        assert main(["info", given]) == 0
        output = capsys.readouterr().out
        assert "P-6m2 (187)" in output
        assert "in the plane" in output
    assert main(["info", str(silicon_h5), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["kind"], data["n_orbitals"]) == ("hamiltonian", 26)


def test_info_says_why_the_engine_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "POSCAR"
    path.write_text("Eu\n1.0\n5 0 0\n0 5 0\n0 0 5\nEu\n1\ndirect\n0 0 0\n")
    assert main(["info", str(path)]) == 0
    assert "refuses it" in capsys.readouterr().out


def test_primitive_reduces_the_cell(
    silicon_h5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, a = tmp_path / "POSCAR", 5.431
    sites = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    sites += [(x + 0.25, y + 0.25, z + 0.25) for x, y, z in sites]
    rows = "\n".join(f"{x} {y} {z}" for x, y, z in sites)
    path.write_text(f"Si\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\nSi\n8\ndirect\n{rows}\n")
    target = tmp_path / "Si.h5"
    arguments = ["compute", str(path), "-o", str(target), "--primitive", "--json", *QUICK]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["n_sites"] == 2
    assert main(["bands", str(silicon_h5), "--primitive"]) == 2
    assert "whose cell is fixed" in capsys.readouterr().err


def test_gallery_lists_what_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "--json"]) == 0
    names = {entry["name"] for entry in json.loads(capsys.readouterr().out)["entries"]}
    assert "mos2-1h" in names
    assert main(["gallery"]) == 0
    output = capsys.readouterr().out
    assert all(f"gallery:{name}" in output for name in names)


def test_cache_commands(
    silicon: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "cache"
    monkeypatch.setenv("HAMEXPLORER_CACHE_DIR", str(root))
    assert main(["cache", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(root)
    target = str(tmp_path / "Si.h5")
    assert main(["compute", str(silicon), "-o", target, "--quiet", *QUICK]) == 0
    assert main(["cache", "info", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["path"] == str(root)
    assert len(data["entries"]) == 1
    assert data["bytes"] == data["entries"][0]["bytes"] > 1e6
    assert main(["cache"]) == 0
    assert data["entries"][0]["key"][:12] in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert "1 entries removed" in capsys.readouterr().out
    assert HamiltonianCache().entries() == []


def test_app_hands_what_was_named_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    serve = pytest.importorskip("hamexplorer.app.serve")
    calls = []
    monkeypatch.setattr(serve, "serve", lambda *args, **kwargs: calls.append((args, kwargs)))
    assert main(["app", "mos2-1h", "--port", "0", "--no-browser"]) == 0
    ((structure,), options) = calls[0]
    assert structure.composition.reduced_formula == "MoS2"
    assert options == {"port": 0, "address": "localhost", "show": False}


def test_app_refuses_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--port", "70000"]) == 2
    assert "--port must lie in 0 … 65535" in capsys.readouterr().err
    assert main(["app", "none.cif"]) == 2
    assert "no such file" in capsys.readouterr().err
