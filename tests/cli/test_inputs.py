"""Bad input on the command line: the message names the cause, exit code 2, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from running import refused

from hamexplorer.cli import main


def poscar(symbols: str, counts: str, positions: str, a: float = 5.0) -> str:
    return f"test\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\n{symbols}\n{counts}\ndirect\n{positions}\n"


def cif(rows: str) -> str:
    return (
        "data_test\n_cell_length_a 5.0\n_cell_length_b 5.0\n_cell_length_c 5.0\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "_symmetry_space_group_name_H-M 'P 1'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        f"_atom_site_occupancy\n{rows}"
    )


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """An output of an earlier run that no failing command may touch."""
    path = tmp_path / "out.h5"
    path.write_bytes(b"the result of yesterday")
    return path


MANY = "\n".join(f"{x / 7} {y / 7} {z / 7}" for x in range(7) for y in range(7) for z in range(7))
FILES = {
    "empty.cif": (b"", "empty"),
    "binary.cif": (bytes(range(256)) * 8, "binary"),
    "truncated.cif": (cif("Si1 Si 0.0 0.0").encode()[:-8], "truncated.cif"),
    "partial.cif": (cif("Si1 Si 0 0 0 0.5\nGe1 Ge 0 0 0 0.5\n").encode(), "occupanc"),
    "basis.vasp": (poscar("Eu", "1", "0 0 0").encode(), "Eu"),
    "pseudo.vasp": (poscar("U", "1", "0 0 0").encode(), "U"),
    "twice.vasp": (poscar("Si", "2", "0 0 0\n0 0 0").encode(), "0.00"),
    "large.vasp": (poscar("Si", "343", MANY, 19.0).encode(), "343"),
    "nocell.xyz": (b"2\n\nSi 0 0 0\nSi 0 0 2.3\n", "lattice"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_structure_file(
    name: str, tmp_path: Path, precious: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, cause = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for arguments in (
        ["compute", str(path), "-o", str(precious)],
        ["bands", str(path), "-o", str(tmp_path / "out.csv")],
    ):
        assert cause in refused(arguments, capsys)
    assert precious.read_bytes() == b"the result of yesterday"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, precious.name])


def test_two_hundred_megabytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "huge.cif"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    assert "200.0 MB" in refused(["info", str(path)], capsys)


def test_bad_hdf5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = range(1000)
    assert "another program" in refused(["bands", str(foreign)], capsys)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(foreign.read_bytes()[:700])
    assert "truncated" in refused(["bands", str(cut)], capsys)
    assert "no such file" in refused(["info", str(tmp_path / "none.h5")], capsys)
    disguised = tmp_path / "MoS2.cif"
    disguised.write_bytes(foreign.read_bytes())
    assert "another program" in refused(["info", str(disguised)], capsys)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--smearing", "-0.1"], "smearing must lie in"),
        (["--smearing", "nan"], "smearing must lie in"),
        (["--kmesh", "0,0,0"], "kmesh must be three whole numbers"),
        (["--kmesh", "6,6"], "--kmesh takes 3 whole numbers"),
        (["--kmesh", "6,6,a"], "--kmesh takes 3 whole numbers"),
        (["--cutoff", "1"], "cutoff must lie in"),
        (["--spin", "up"], "spin must be one of auto, none, collinear"),
        (["--electrostatics", "wire"], "electrostatics must be one of"),
        (["--precision", "half"], "precision must be one of"),
        (["--threads", "0"], "--threads must lie in"),
        (["--basis", "sto-3g"], "sto-3g"),
        (["--magmom", "Fe=3"], "there is no 'Fe' in Si; its sites are Si1, Si2"),
        (["--magmom", "Si:3"], "is not NAME=NUMBER"),
        (["--magmom", "Si=1e9"], "accepted are"),
        (["--memory-limit", "-1"], "memory_limit must lie in"),
        (["--memory-limit", "0.1"], "GB"),
    ],
)
def test_bad_setting(
    options: list[str],
    cause: str,
    silicon: Path,
    precious: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["compute", str(silicon), "-o", str(precious), *options]
    assert cause in refused(arguments, capsys)
    assert precious.read_bytes() == b"the result of yesterday"


def test_output_is_refused_before_anything_is_read(
    tmp_path: Path, silicon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The structure does not exist: that the output is named shows that it is looked at first.
    for name, cause in (
        ("no/such/folder/out.h5", "does not exist"),
        ("out.txt", "accepted are .h5, .hdf5"),
        ("out", "(none)"),
    ):
        assert cause in refused(["compute", "none.cif", "-o", str(tmp_path / name)], capsys)
    (tmp_path / "folder.h5").mkdir()
    message = refused(["compute", "none.cif", "-o", str(tmp_path / "folder.h5")], capsys)
    assert "is not a file" in message
    message = refused(["bands", str(silicon), "-o", str(tmp_path / "out.pdf")], capsys)
    assert "accepted are .csv, .png, .svg, .html" in message


@pytest.mark.parametrize("name", ["a.scfout", "a.npy", "a.npz", "a_hr.dat", "a_tb.dat.xz", "a.HSX"])
def test_what_is_named_as_a_hamiltonian_is_refused_as_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(b"nothing that anybody knows\n" * 9)
    message = refused(["info", str(path)], capsys)
    assert f"{name} holds no Hamiltonian of a known format" in message
    assert "OpenMX (NAME.scfout)" in message
    assert "POSCAR" not in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["pipe", "pipe.cif", "pipe.h5", "pipe.scfout"])
def test_a_named_pipe_is_refused_and_not_waited_for(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / name)
    assert "pipe or device" in refused(["info", str(tmp_path / name)], capsys)
    arguments = ["info", "gallery:si", "--structure", str(tmp_path / name)]
    assert "pipe or device" in refused(arguments, capsys)


def test_a_missing_file_is_said_in_few_words(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(["info", "none.cif"], capsys)
    assert "no such file" in message
    assert "POSCAR" not in message


def test_unknown_structure(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in refused(["info", "none.cif"], capsys)
    assert "mos2" in refused(["info", "gallery:mos2"], capsys)
    assert refused(["info", "x" * 5000], capsys)
    assert refused(["info", "nul\0byte"], capsys)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("0 0 0\n0.5 0\n", "line 2: '0.5 0'"),
        ("# comment\n\n0 0 zero\n", "line 3"),
        ("0 0 nan\n", "line 1"),
        ("0 0 1/0\n", "line 1"),
        ("0 0 0 0\n", "line 1"),
        ("# nothing\n", "holds no k-point"),
    ],
)
def test_bad_list_of_kpoints(
    content: str, cause: str, silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "K.txt"
    path.write_text(content)
    assert cause in refused(["bands", str(silicon), "--kpoints", str(path)], capsys)


def test_bad_band_options(
    silicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def message(*options: str) -> str:
        return refused(["bands", str(silicon), *options], capsys)

    binary = tmp_path / "K.bin"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    assert "not a text file" in message("--kpoints", str(binary))
    assert "no such file of k-points" in message("--kpoints", str(tmp_path / "none"))
    assert "exclude each other" in message("--kpoints", str(binary), "--path", "G-X")
    assert "no point 'Q'" in message("--path", "G-Q")
    assert "--zero must be one of source, fermi, vbm" in message("--zero", "cbm")
    assert "--window takes 2 numbers" in message("--window", "5")
    assert "lower limit comes first" in message("--window", "5,-5")
    assert "soc must be a finite number" in message("--soc", "nan")
    assert "spacing" in message("--spacing", "-1")


def test_usage_errors_exit_with_2(silicon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["compute", str(silicon)],
        ["compute", str(silicon), "-o", "x.h5", "--smearing", "warm"],
        ["nonsense"],
        ["bands"],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hamexplorer.cli import main; main(['--help']); "
        "print(*[m for m in ('torch', 'pymatgen', 'numpy', 'pyscf', 'panel', 'holoviews') "
        "if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    for command in ("app", "compute", "bands", "info", "gallery", "cache"):
        assert command in done.stdout


def test_module_runs_and_tells_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hamexplorer", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()[0].isdigit()
