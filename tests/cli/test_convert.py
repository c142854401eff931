"""``hamexplorer convert`` and foreign files where the other commands take a Hamiltonian."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
from running import refused

import hamexplorer as hx
from hamexplorer.cli import main
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.properties.solver import BandSolver

DATA = Path(__file__).parents[1] / "data" / "openmx"
WSE2 = DATA / "wse2_nc.scfout.xz"


def test_convert_writes_what_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "wse2.h5"
    assert main(["convert", str(WSE2), str(target), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == [str(target)]
    assert data["format"] == "hamexplorer"
    assert data["source"] == "openmx"
    assert data["n_electrons"] == 24
    # the file's own matrices are in Ha; 0.107 Ha is OpenMX's largest spin-orbit element here
    assert data["largest_element"]["Lz"] == pytest.approx(2.91, abs=0.01)
    (digest,) = data["settings"]["files"].values()
    assert len(digest) == 64
    read, stored = hx.open(WSE2), hx.open(target)
    for name in read.components:
        assert np.array_equal(read.component(name), stored.component(name))
    assert stored.position is not None
    assert np.array_equal(read.position, stored.position)


def test_convert_tells_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(DATA / "fe_nc.scfout.xz"), str(tmp_path / "fe.hdf5")]) == 0
    said = capsys.readouterr().out
    for part in ("OpenMX, GGA-PBE, non-collinear", "Fe, 1 atoms", "Fermi energy", "-2.56149"):
        assert part in said
    assert "written as hamexplorer" in said


@pytest.mark.parametrize(
    ("name", "target", "tolerance"),
    [("deeph", "out/", 1e-9), ("deeph-old", "out", 1e-9), ("hamgnn", "graph_data.npz", 5e-5)],
)
def test_other_formats_open_again_with_the_same_bands(
    name: str,
    target: str,
    tolerance: float,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--to", name, "--soc", "0.5", "--json"]
    assert main(["convert", str(WSE2), str(tmp_path / target), *arguments]) == 0
    data = json.loads(capsys.readouterr().out)
    assert all(Path(file).is_file() for file in data["files"])
    assert any("dial" in note or "spin–orbit × 0.5" in note for note in data["notes"])
    k = np.random.default_rng(2).uniform(-1, 1, (4, 3))
    # one state of the dial is written: at λ = 1 the new file has the bands of λ = 1/2
    expected = BandSolver(hx.open(WSE2), k, "cpu").energies(hx.SpinState(soc=0.5))
    again = BandSolver(hx.open(tmp_path / target), k, "cpu").energies(hx.SpinState())
    assert np.abs(again - expected).max() < tolerance


def test_a_folder_needs_the_formats_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(["convert", str(WSE2), f"{tmp_path}/new/"], capsys)
    assert "say which with --to" in message
    assert "deeph" in message
    assert not (tmp_path / "new").exists()


def test_list_names_what_is_read_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--list"]) == 0
    assert "NAME.scfout" in capsys.readouterr().out
    assert main(["convert", "--list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["formats"]}
    assert rows["openmx"]["read"] == "NAME.scfout"
    assert rows["hamexplorer"]["read"]
    assert rows["hamexplorer"]["written"]


def test_convert_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"the result of yesterday")
    assert "IN and OUT" in refused(["convert"], capsys)
    assert "hamexplorer compute" in refused(["convert", "gallery:si", str(out)], capsys)
    assert "no such file" in refused(["convert", str(tmp_path / "none"), str(out)], capsys)
    message = refused(["convert", str(WSE2), str(tmp_path / "out.xlsx")], capsys)
    assert "hamexplorer (FILE.h5" in message
    message = refused(["convert", str(WSE2), str(out), "--to", "excel"], capsys)
    assert "'excel' is no format that is written" in message
    assert "does not exist" in refused(["convert", str(WSE2), str(tmp_path / "no/a.h5")], capsys)
    assert "spin_order" in refused(
        ["convert", str(WSE2), str(out), "--spin-order", "mixed"], capsys
    )
    broken = tmp_path / "broken.scfout"
    broken.write_bytes(lzma.decompress(WSE2.read_bytes())[:500_000])
    assert "broken.scfout" in refused(["convert", str(broken), str(out)], capsys)
    assert out.read_bytes() == b"the result of yesterday"


def test_other_commands_take_foreign_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(WSE2, folder / "wse2.scfout.xz")
    (folder / "notes.txt").write_text("converged")
    assert main(["info", str(folder), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["kind"] == "hamiltonian"
    assert data["results"]["fermi_energy_eV"] == pytest.approx(-5.4063, abs=1e-4)
    assert (
        main(["bands", str(folder), "--path", "K-G", "--json", "-o", str(tmp_path / "b.csv")]) == 0
    )
    data = json.loads(capsys.readouterr().out)
    splitting = next(p for p in data["splittings_meV"] if p["label"] == "K")
    # OpenMX's own bands at K: wse2_nc.Band
    assert splitting["valence"] == pytest.approx(529.480, abs=0.005)
    assert main(["valley", str(WSE2), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["source"] == "openmx"
    arguments = ["mae", str(DATA / "fe_nc.scfout.xz"), "--kmesh", "3 3 3", "--json"]
    assert main(arguments) == 0
    assert "mae_meV" in json.loads(capsys.readouterr().out)


def test_options_go_with_a_file_that_lacks_the_fact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(WSE2), "--electrons", "22", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_electrons"] == 22
    message = refused(["info", "gallery:si", "--electrons", "22"], capsys)
    assert "gallery:si is a structure" in message
    own = tmp_path / "own.h5"
    hx.save(hx.open(WSE2), own)
    assert "needs no options" in refused(["info", str(own), "--fermi", "0"], capsys)
    assert "no such file" in refused(["info", str(WSE2), "--structure", "none.cif"], capsys)


def test_compute_leaves_a_hamiltonian_to_convert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(["compute", str(WSE2), "-o", str(tmp_path / "a.h5")], capsys)
    assert "hamexplorer convert" in message


def test_open_and_write_in_python(tmp_path: Path) -> None:
    h = hx.open(WSE2, electrons=23)
    assert h.n_electrons == 23
    assert h.provenance.results["n_electrons_from"] == "user"
    assert "n_electrons_from" not in hx.open(WSE2).provenance.results
    report = hx.write(h, tmp_path / "a.h5")
    assert report.files == (tmp_path / "a.h5",)
    assert hx.open(tmp_path / "a.h5").n_electrons == 23
    with pytest.raises(SettingsError, match="means no format"):
        hx.write(h, tmp_path / "a.unknown")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/POSCAR").write_text("mine")
    with pytest.raises(HamexplorerError, match="POSCAR"):
        hx.write(h, tmp_path / "set", "deeph")
    assert (tmp_path / "set/POSCAR").read_text() == "mine"
    hx.write(h, tmp_path / "set", "deeph", force=True)
    assert (tmp_path / "set/POSCAR").read_text() != "mine"
    with pytest.raises(SettingsError, match="not a Structure"):
        hx.write(h.structure, tmp_path / "a.h5")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="spin_order"):
        hx.open(WSE2, spin_order="none")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "target", "foreign"),
    [
        ("deeph", "out", "out/POSCAR"),
        ("deeph", "out", "out/info.json"),
        ("deeph-old", "out", "out/hamiltonians.h5"),
        ("hamgnn", "graph.npz", "graph.npz"),
        ("wannier90-hr", "a_hr.dat", "a_hr.dat"),
    ],
)
def test_files_of_others_are_replaced_by_force_alone(
    name: str, target: str, foreign: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / foreign
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("{}\n")
    arguments = ["convert", str(WSE2), str(tmp_path / target), "--to", name, "--no-spinor", "-q"]
    message = refused(arguments, capsys)
    assert foreign in message
    assert "another name or folder" in message
    assert theirs.read_text() == "{}\n"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    assert main([*arguments, "--force"]) == 0
    # what we wrote we replace unasked
    assert main(arguments) == 0


def test_nothing_is_written_onto_what_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "run" / "own.h5"
    own.parent.mkdir()
    hx.save(hx.open(WSE2), own)
    before = own.read_bytes()
    (tmp_path / "link.h5").symlink_to(own)
    for target in (own, tmp_path / "link.h5"):
        assert "files that are read" in refused(
            ["convert", str(own), str(target), "--force"], capsys
        )
    for source in (own, own.parent):
        arguments = ["convert", str(source), str(own.parent), "--to", "deeph"]
        assert "files that are read" in refused(arguments, capsys)
    assert "files that are read" in refused(["convert", str(own.parent), str(own)], capsys)
    assert own.read_bytes() == before
    assert len(list(own.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--index", "1"], "need no index (--index)"),
        (["--structure", "gallery:si"], "need no structure (--structure)"),
        (["--spin-order", "block"], "need no spin_order (--spin-order)"),
        (["--electrons", "24", "--fermi", "-5"], "exclude each other"),
        (["--fermi", "1e7"], "must lie between -1e6 and 1e6 eV"),
    ],
)
def test_options_that_cannot_apply_are_refused(
    options: list[str], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cause in refused(["info", str(WSE2), *options], capsys)


def test_one_set_of_deeph_has_no_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(WSE2), str(tmp_path / "set"), "--to", "deeph", "-q"]) == 0
    chosen = str(tmp_path / "set" / "hamiltonian.h5")
    for given in (str(tmp_path / "set"), chosen):
        assert "counted from 0" in refused(["info", given, "--index", "1"], capsys)


@pytest.mark.parametrize(("fermi", "cause"), [(-900, "no states"), (900, "all 36 states")])
def test_a_fermi_energy_outside_the_spectrum_is_told(fermi: float, cause: str) -> None:
    h = hx.open(WSE2, fermi=fermi)
    assert any(cause in w and "outside the spectrum" in w for w in h.provenance.warnings)


def test_the_mesh_of_orthogonalisation_may_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(WSE2), str(tmp_path / "a_hr.dat"), "--lowdin-mesh", "5 5 1"]
    assert main([*arguments, "--no-spinor", "--json"]) == 0
    assert "5 × 5 × 1 mesh" in json.loads(capsys.readouterr().out)["notes"][0]
    assert "takes 3 whole numbers" in refused([*arguments[:-1], "5 5"], capsys)
    assert "positive integers" in refused([*arguments[:-1], "5 5 0"], capsys)
    arguments[2:3] = [str(tmp_path / "set"), "--to", "deeph"]
    assert "keeps the overlap" in refused(arguments, capsys)


def test_a_folder_of_two_formats_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(WSE2, tmp_path)
    assert main(["convert", str(WSE2), str(tmp_path / "a_hr.dat"), "--no-spinor", "-q"]) == 0
    message = refused(["info", str(tmp_path)], capsys)
    assert "OpenMX (wse2_nc.scfout.xz)" in message
    assert "Wannier90 (a_hr.dat)" in message
    # each by itself is clear
    assert main(["info", str(tmp_path / "a_hr.dat"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "wannier90"
