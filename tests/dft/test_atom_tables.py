"""The shipped free atoms: neutral, ending, complete; their file and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.special
from pyscf.pbc.gto.pseudo import load as load_pseudo
from scipy.interpolate import CubicSpline

from hamexplorer.assets_path import asset
from hamexplorer.dft.atom_recipes import (
    build_atom,
    build_library,
    confinement_radius,
    magnetic_shell,
    occupations,
)
from hamexplorer.dft.atom_tables import (
    AtomLibrary,
    FreeAtom,
    free_atom,
    load_atoms,
    save_atoms,
)
from hamexplorer.dft.basis_sets import supported_elements, valence_charge
from hamexplorer.dft.free_atom import solve_atom
from hamexplorer.errors import FileFormatError, HamexplorerError, UnsupportedElementError
from hamexplorer.progress import Monitor

ELEMENTS = sorted(supported_elements())


@pytest.fixture(scope="module")
def library() -> AtomLibrary:
    return load_atoms(asset("dft/free_atoms.h5"))


def test_every_supported_element_is_shipped(library: AtomLibrary) -> None:
    assert len(ELEMENTS) == 71
    assert sorted(library.atoms) == ELEMENTS
    assert asset("dft/free_atoms.h5").stat().st_size < 3e6
    assert set(library.versions) >= {"hamexplorer", "numpy", "scipy", "pyscf"}
    assert library.generator["functional"] == "PBE"


@pytest.mark.parametrize("element", ELEMENTS)
def test_shipped_atom_is_neutral_and_ends(element: str) -> None:
    atom = free_atom(element)
    r, rho = atom.radii, atom.density
    assert atom.charge == valence_charge(element)
    # Gauss: integrals by Simpson's rule, which the tables were not checked with
    volume = 4 * np.pi * r**2
    assert simpson(volume * rho, atom.step) == pytest.approx(atom.charge, abs=1e-8)
    assert simpson(volume * atom.magnetic, atom.step) == pytest.approx(1, abs=1e-8)
    assert rho.min() == 0 and atom.magnetic.min() == 0  # noqa: PT018
    # the potential is that of a neutral sphere: r V → 0, with its slope
    assert np.abs(r * atom.potential)[r > atom.reach - 0.3].max() < 1e-6
    for table in (rho, atom.magnetic, atom.potential):
        assert table[-1] == 0
        assert np.abs(np.diff(table[-6:])).max() / atom.step < 1e-7
    assert 3.5 <= atom.reach <= 10
    assert atom.reach == pytest.approx(atom.confinement)


def simpson(values: np.ndarray, step: float) -> float:
    """Of an even number of intervals; a last odd one is added by the trapezium."""
    even = len(values) - 1 - (len(values) - 1) % 2
    inner = values[: even + 1]
    total = step / 3 * (inner[0] + inner[-1] + 4 * inner[1:-1:2].sum() + 2 * inner[2:-1:2].sum())
    return float(total + step / 2 * (values[even:-1] + values[even + 1 :]).sum())


@pytest.mark.parametrize("element", ["H", "Mg", "S", "Fe", "Mo", "Cs", "Pb"])
def test_potential_solves_poissons_equation(element: str) -> None:
    """V_na − V_loc has the field of the charge inside: dV_H/dr = −q(r)/r²."""
    atom = free_atom(element)
    r = atom.radii
    radius, _, coefficients = load_pseudo("gth-pbe", element)[1:4]
    x = r[1:] / radius
    local = -atom.charge / r[1:] * scipy.special.erf(x / np.sqrt(2))
    local += np.exp(-(x**2) / 2) * sum(c * x ** (2 * i) for i, c in enumerate(coefficients))
    hartree = CubicSpline(r[1:], atom.potential[1:] - local)
    inside = CubicSpline(r, 4 * np.pi * r**2 * atom.density).antiderivative()
    where = (r > 0.1) & (r < atom.reach - 0.05)
    field = -hartree(r[where], 1)
    np.testing.assert_allclose(field, inside(r[where]) / r[where] ** 2, atol=2e-5)


@pytest.mark.parametrize("element", ["Mg", "S", "Mo", "Bi"])
def test_step_serves_cubic_interpolation(element: str) -> None:
    """Of every second value, the left-out ones come back: at the full step 16 times better."""
    atom = free_atom(element)
    r, scale = atom.radii, atom.density.max()
    slopes = ((1, 0.0), (1, 0.0))
    even = len(r) - (len(r) + 1) % 2
    coarse = CubicSpline(r[:even:2], atom.density[:even:2], bc_type=slopes)
    error = np.abs(coarse(r[1:even:2]) - atom.density[1:even:2])
    assert error.max() / 16 < 2e-6 * scale
    matters = atom.density[1:even:2] > 1e-4
    outside = r[1:even:2] > 0.5
    relative = error[matters & outside] / atom.density[1:even:2][matters & outside]
    assert relative.max() / 16 < 1e-7


@pytest.mark.parametrize(
    ("element", "shell", "expected"),
    [
        ("H", "1s", 1),
        ("Na", "3s", 1),
        ("Mg", "3s", 2),
        ("O", "2p", 4),
        ("Ne", "2p", 6),
        ("Fe", "3d", 6),
        ("Cu", "3d", 9.5),
        ("Pd", "4d", 8),
        ("Zn", "4s", 2),
        ("Ga", "4p", 1),
        ("Bi", "6p", 3),
    ],
)
def test_magnetic_shell(element: str, shell: str, expected: float) -> None:
    shells = occupations(element)
    found = shells[magnetic_shell(shells)]
    assert (found.label, found.electrons) == (shell, expected)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("Li", "1s2 2s1"),
        ("As", "4s2 4p3"),
        ("Cr", "3s2 4s2 3p6 3d4"),
        ("Mo", "4s2 5s2 4p6 4d4"),
        ("W", "5s2 6s2 5p6 5d4"),
        ("Pt", "5s2 6s2 5p6 5d8"),
        ("Ag", "5s1.5 4d9.5"),
        ("In", "5s2 5p1 4d10"),
    ],
)
def test_occupations(element: str, expected: str) -> None:
    assert " ".join(f"{o.label}{o.electrons:g}" for o in occupations(element)) == expected


@pytest.mark.parametrize("element", ELEMENTS)
def test_occupations_hold_the_valence_electrons(element: str) -> None:
    shells = occupations(element)
    assert sum(o.electrons for o in shells) == valence_charge(element)
    assert len({(o.l, o.level) for o in shells}) == len(shells)


def test_confinement_follows_the_density_of_the_free_atom() -> None:
    free = solve_atom("S", occupations("S"))
    radius = confinement_radius(free)
    around = free.mesh.at(free.density, np.array([radius - 0.1, radius]))
    assert around[0] > 5e-5 > around[1]
    assert free_atom("S").confinement == radius


def test_the_generator_makes_what_is_shipped() -> None:
    built, shipped = build_atom("S"), free_atom("S")
    assert built.occupations == shipped.occupations
    assert built.confinement == shipped.confinement
    np.testing.assert_allclose(built.eigenvalues, shipped.eigenvalues, atol=1e-8)
    for name in ("density", "potential", "magnetic"):
        np.testing.assert_allclose(getattr(built, name), getattr(shipped, name), atol=1e-8)


def test_a_file_keeps_everything_and_its_bytes(tmp_path: Path) -> None:
    library = load_atoms(asset("dft/free_atoms.h5"), ["Mo", "S"])
    assert list(library.atoms) == ["S", "Mo"]
    open_box = replace(library.atoms["S"], confinement=np.inf)
    library = replace(library, atoms={**library.atoms, "S": open_box})
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    save_atoms(library, first)
    save_atoms(library, second)
    assert first.read_bytes() == second.read_bytes()
    read = load_atoms(first)
    assert read.generator == library.generator
    assert read.versions == library.versions
    for name, atom in library.atoms.items():
        for field in FreeAtom.__dataclass_fields__:
            np.testing.assert_array_equal(
                getattr(read.atoms[name], field), getattr(atom, field), strict=True
            )


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        free_atom("S").density[0] = 1


def test_build_library_reports_and_orders() -> None:
    seen = []
    library = build_library(["Be", "He"], Monitor(lambda event: seen.append(event.message)))
    assert list(library.atoms) == ["He", "Be"]
    assert seen[:2] == ["He", "Be"]
    with pytest.raises(UnsupportedElementError, match="no free atom Gd, Xx; accepted are H–Ba"):
        build_library(["S", "Xx", "Gd"])


@pytest.mark.parametrize("element", ["Gd", "Xx", "", "record"])
def test_an_element_without_table_is_named(element: str) -> None:
    with pytest.raises(UnsupportedElementError, match=f"no free atom {element}"):
        free_atom(element)


CHANGES = {
    "step must be": {"step": 0.0},
    "confinement must be": {"confinement": -1.0},
    "2 shells and 1 eigenvalues": {"eigenvalues": (-0.1,)},
    "eigenvalue is not finite": {"eigenvalues": (-0.1, np.nan)},
    "7.0 electrons in '3p'": {"occupations": (("3s", 2.0), ("3p", 7.0))},
    "electrons in 'p3'": {"occupations": (("3s", 2.0), ("p3", 4.0))},
    "holds 6.0.* instead of 5": {"occupations": (("3s", 2.0), ("3p", 3.0))},
    "differ in length": {"potential": np.zeros(10)},
    "at least four": {"density": np.zeros(3)},
    "not a finite number": {"potential": np.full(11, np.inf)},
    "must end at 0": {"potential": np.ones(11)},
}


@pytest.mark.parametrize("message", CHANGES)
def test_wrong_tables_are_refused(message: str) -> None:
    atom = free_atom("S")
    change = dict(CHANGES[message])
    for name, value in change.items():
        if isinstance(value, np.ndarray) and len(value) == 11:  # as long as the others
            change[name] = np.resize(value, len(atom.density))
    with pytest.raises(HamexplorerError, match=f"free atom S is refused: .*{message}"):
        replace(atom, **change)


def test_negative_density_is_refused() -> None:
    atom = free_atom("S")
    density = atom.density.copy()
    density[7] = -1e-3
    with pytest.raises(HamexplorerError, match=r"'density' is negative at 0\.07"):
        replace(atom, density=density)


@pytest.fixture
def sulphur_file(tmp_path: Path) -> Path:
    path = tmp_path / "S.h5"
    save_atoms(AtomLibrary({"S": free_atom("S")}), path)
    return path


def test_foreign_files_are_refused(sulphur_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nothing\.h5: there is no such file"):
        load_atoms(tmp_path / "nothing.h5")
    text = tmp_path / "text.h5"
    text.write_text("S")
    with pytest.raises(FileFormatError, match=r"text\.h5 is no file of free atoms"):
        load_atoms(text)
    with h5py.File(sulphur_file, "r+") as file:
        file.attrs["version"] = 9
    with pytest.raises(FileFormatError, match=r"S\.h5: it has layout version 9; .* reads 1"):
        load_atoms(sulphur_file)
    with h5py.File(sulphur_file, "r+") as file:
        file.attrs["format"] = "another"
    with pytest.raises(FileFormatError, match="'format' is 'another'"):
        load_atoms(sulphur_file)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[]", "must be an object with generator"),
        ("{", "no file of free atoms, or damaged"),
        ('{"generator": {}, "versions": {}, "elements": {"S": {}}}', "must tell step"),
        ('{"generator": {}, "versions": {}, "elements": {"S": 3}}', "must tell step"),
        ('{"generator": {}, "versions": {}, "elements": {"Mo": {}}}', "'Mo' is missing"),
        ('{"generator": {}, "versions": {}, "elements": {"../S": {}}}', "is missing"),
    ],
)
def test_a_damaged_record_is_refused(sulphur_file: Path, record: str, message: str) -> None:
    with h5py.File(sulphur_file, "r+") as file:
        del file["record"]
        file["record"] = np.array([record.encode()])
    with pytest.raises(FileFormatError, match=message):
        load_atoms(sulphur_file)


def test_damaged_tables_are_refused(sulphur_file: Path) -> None:
    with h5py.File(sulphur_file, "r+") as file:
        tables = file["S"][()]
        del file["S"]
        file["S"] = tables[:2]
    with pytest.raises(FileFormatError, match="'S' must hold 3 rows, not 2"):
        load_atoms(sulphur_file)
    tables[0] *= 1.1
    with h5py.File(sulphur_file, "r+") as file:
        del file["S"]
        file["S"] = tables
    with pytest.raises(FileFormatError, match=r"holds 6\.6\d* electrons instead of 6"):
        load_atoms(sulphur_file)
    with h5py.File(sulphur_file, "r+") as file:
        del file["S"]
        file.create_dataset("S", (3, 10**9), np.float64, chunks=(1, 1024), compression="gzip")
    with pytest.raises(HamexplorerError, match="declares"):
        load_atoms(sulphur_file)


def test_the_record_is_plain_json(sulphur_file: Path) -> None:
    with h5py.File(sulphur_file) as file:
        record = json.loads(file["record"][0])
    assert record["elements"]["S"]["occupations"] == [["3s", 2.0], ["3p", 4.0]]
