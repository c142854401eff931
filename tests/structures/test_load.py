"""Every accepted format round-trips; every bad input is refused with its cause named."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

from hamexplorer.errors import (
    FileFormatError,
    HamexplorerError,
    ResourceLimitError,
    StructureError,
)
from hamexplorer.structures import load_structure, safe_filename
from hamexplorer.structures.slab import slab_geometry


def by_ase(fmt: str, **kwargs: Any) -> Callable[[Structure], str]:
    def write(structure: Structure) -> str:
        buffer = StringIO()
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        ase.io.write(buffer, atoms, format=fmt, **kwargs)
        return buffer.getvalue()

    return write


def by_pymatgen(fmt: str) -> Callable[[Structure], str]:
    return lambda structure: structure.to(fmt=fmt)


def cssr(structure: Structure) -> str:
    from pymatgen.io.cssr import Cssr

    return str(Cssr(structure))


def aims(structure: Structure) -> str:
    rows = [("lattice_vector", row, "") for row in structure.lattice.matrix]
    rows += [("atom_frac", site.frac_coords, site.species_string) for site in structure]
    return "\n".join(f"{key} {' '.join(map(str, row))} {end}" for key, row, end in rows) + "\n"


def poscar_vasp4(structure: Structure) -> str:
    lines = structure.to(fmt="poscar").splitlines()
    return "\n".join([lines[5], *lines[1:5], *lines[6:]])


FORMATS: dict[str, Callable[[Structure], str]] = {
    "cif": by_pymatgen("cif"),
    "symmetric cif": lambda s: str(CifWriter(s, symprec=1e-3)),
    "poscar": by_pymatgen("poscar"),
    "vasp 4 poscar with symbols in the comment": poscar_vasp4,
    "json": by_pymatgen("json"),
    "xsf": by_pymatgen("xsf"),
    "res": by_pymatgen("res"),
    "extxyz": by_ase("extxyz"),
    "aims": aims,
    "gen": by_ase("gen"),
    "cfg": by_ase("cfg"),
    "espresso": by_ase("espresso-in", pseudopotentials={"Mo": "Mo.upf", "S": "S.upf"}),
}


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_round_trips_by_content_alone(fmt: str, mos2: Structure) -> None:
    text = FORMATS[fmt](mos2)
    for source in (text, text.encode(), text.replace("\n", "\r\n").encode()):
        loaded = load_structure(source, filename="upload")
        assert loaded.composition == mos2.composition
        assert loaded.lattice.abc == pytest.approx(mos2.lattice.abc, abs=2e-4)
        assert loaded.lattice.angles == pytest.approx(mos2.lattice.angles, abs=1e-2)
        # Distances from the metal to both chalcogens: the internal coordinates survived.
        metal = next(i for i, site in enumerate(loaded) if site.specie.symbol == "Mo")
        others = [i for i in range(3) if i != metal]
        assert [loaded.get_distance(metal, i) for i in others] == pytest.approx(
            [2.4092] * 2, abs=2e-3
        )


def test_cssr_is_told_by_its_name(gaas: Structure) -> None:
    cubic = gaas.to_conventional()
    loaded = load_structure(cssr(cubic), filename="gaas.cssr")
    assert loaded.composition == cubic.composition
    assert loaded.volume == pytest.approx(cubic.volume, rel=1e-3)


def test_pdb_by_ase(gaas: Structure) -> None:
    cubic = gaas.to_conventional()
    loaded = load_structure(by_ase("proteindatabank")(cubic))
    assert loaded.composition == cubic.composition
    assert loaded.lattice.a == pytest.approx(5.653, abs=1e-3)


def test_paths_and_objects(tmp_path: Path, mos2: Structure) -> None:
    path = tmp_path / "MoS2.cif"
    path.write_text(mos2.to(fmt="cif"))
    for source in (path, str(path), mos2, AseAtomsAdaptor.get_atoms(mos2)):
        loaded = load_structure(source)
        assert loaded.composition == mos2.composition
        assert loaded.volume == pytest.approx(mos2.volume, rel=1e-6)


def test_content_wins_over_the_name(mos2: Structure) -> None:
    assert len(load_structure(mos2.to(fmt="poscar"), filename="wrong.cif")) == 3
    assert len(load_structure(mos2.to(fmt="cif"), filename="POSCAR")) == 3


def test_the_source_is_left_as_it_was_and_loses_oxidation_states(gaas: Structure) -> None:
    charged = gaas.copy()
    charged.add_oxidation_state_by_element({"Ga": 3, "As": -3})
    loaded = load_structure(charged)
    assert [site.species_string for site in loaded] == ["Ga", "As"]
    assert charged[0].species_string == "Ga3+"


def test_positions_outside_the_cell_stay(gaas: Structure) -> None:
    moved = Structure(gaas.lattice, gaas.species, gaas.frac_coords + np.array([1, -2, 0]))
    np.testing.assert_allclose(load_structure(moved).frac_coords, moved.frac_coords, atol=1e-12)


def test_utf16_and_latin1_and_bom(mos2: Structure) -> None:
    text = "# Müller\n" + mos2.to(fmt="cif")
    for encoding in ("utf-16", "latin-1", "utf-8-sig"):
        assert len(load_structure(text.encode(encoding))) == 3


def test_primitive_cell_of_supercells(mos2: Structure, gaas: Structure) -> None:
    assert len(load_structure(gaas.to_conventional(), primitive=True)) == 2
    slab = load_structure(mos2 * (3, 2, 1), primitive=True)
    assert slab.lattice.abc == pytest.approx((3.18, 3.18, 15.0), abs=1e-6)
    assert slab.lattice.gamma == pytest.approx(120.0, abs=1e-6)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_primitive_slab_has_its_vacuum_along_c(mos2: Structure, order: tuple[int, ...]) -> None:
    cell = mos2 * (2, 2, 1)
    turned = Structure(
        Lattice(cell.lattice.matrix[list(order)]), cell.species, cell.frac_coords[:, list(order)]
    )
    primitive = load_structure(turned, primitive=True)
    slab = slab_geometry(primitive)
    assert slab is not None
    assert slab.axis == 2
    assert len(primitive) == 3
    assert slab.vacuum_angstrom == pytest.approx(11.88, abs=1e-6)
    assert np.linalg.det(primitive.lattice.matrix) > 0


MCIF = """data_mag
_parent_space_group.IT_number 229
_space_group_magn.transform_BNS_Pp_abc 'a,b,c;0,0,0'
_space_group_magn.number_BNS 1.1
_cell_length_a 2.87
_cell_length_b 2.87
_cell_length_c 2.87
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe1 Fe 0 0 0 1
Fe2 Fe 0.5 0.5 0.5 1
loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Fe1 0 0 2.2
Fe2 {second}
"""


def test_magnetic_cif_collinear_and_not() -> None:
    collinear = load_structure(MCIF.format(second="0 0 -2.2"), filename="a.mcif")
    assert collinear.site_properties["magmom"] == pytest.approx([2.2, -2.2])
    canted = load_structure(MCIF.format(second="2.2 0 0"), filename="a.mcif")
    np.testing.assert_allclose(
        canted.site_properties["magmom"], [[0, 0, 2.2], [2.2, 0, 0]], atol=1e-6
    )


def test_magnetic_operations_of_a_cif_turn_the_moments() -> None:
    # one iron in the list; the centring translation with time reversal (−1) gives the other
    lines = MCIF.format(second="").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("Fe2"))
    operations = """loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x+1/2,y+1/2,z+1/2,-1
"""
    structure = load_structure(f"{text}\n{operations}", filename="a.mcif")
    assert len(structure) == 2
    assert structure.site_properties["magmom"] == pytest.approx([2.2, -2.2])


def test_the_sign_of_collinear_vectors_is_that_of_their_largest_component() -> None:
    down = load_structure(MCIF.format(second="0 0 1.1").replace("0 0 2.2", "0 0 -2.2"))
    assert down.site_properties["magmom"] == pytest.approx([-2.2, 1.1])


EXTXYZ = """2
Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:{column} pbc="T T T"
Fe 0.0 0.0 0.0 {first}
Fe 1.5 1.5 1.5 {second}
"""


@pytest.mark.parametrize(
    ("column", "first", "second", "expected"),
    [
        ("initial_magmoms:R:1", "2.2", "-2.2", [2.2, -2.2]),
        # what ASE writes of a calculation
        ("magmoms:R:1", "2.2", "-2.2", [2.2, -2.2]),
        ("initial_magmoms:R:3", "0 0 2.2", "0 0 -1.1", [2.2, -1.1]),
        ("magmoms:R:3", "0 0 2.2", "2.2 0 0", [[0, 0, 2.2], [2.2, 0, 0]]),
    ],
)
def test_moments_of_extended_xyz(
    column: str, first: str, second: str, expected: list[object]
) -> None:
    text = EXTXYZ.format(column=column, first=first, second=second)
    read = load_structure(text, filename="a.extxyz").site_properties["magmom"]
    np.testing.assert_allclose(read, expected, atol=1e-12)


def test_antiferromagnet_keeps_its_cell() -> None:
    antiferro = load_structure(MCIF.format(second="0 0 -2.2"), primitive=True)
    ferro = load_structure(MCIF.format(second="0 0 2.2"), primitive=True)
    assert (len(antiferro), len(ferro)) == (2, 1)
    assert sorted(antiferro.site_properties["magmom"]) == pytest.approx([-2.2, 2.2])


def test_moments_of_ase_atoms_and_species_spin(gaas: Structure) -> None:
    atoms = AseAtomsAdaptor.get_atoms(gaas)
    atoms.set_initial_magnetic_moments([1.0, -1.0])
    assert load_structure(atoms).site_properties["magmom"] == [1.0, -1.0]
    spinful = gaas.copy()
    spinful.add_spin_by_site([2.0, 0.0])
    assert load_structure(spinful).site_properties["magmom"] == [2.0, 0.0]


# --- bad input ----------------------------------------------------------------------------------

CIF = """data_x
_cell_length_a {a}
_cell_length_b 3
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{rows}
"""
MOLECULE = "3\nwater\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"
POSCAR = "x\n1.0\n3 0 0\n0 3 0\n{third}\n{species}\n{count}\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def cif(rows: str, a: str = "3") -> str:
    return CIF.format(rows=rows, a=a)


def poscar(third: str = "0 0 3", species: str = "Si C", count: str = "1 1") -> str:
    return POSCAR.format(third=third, species=species, count=count)


TWO_ATOMS = "Na1 Na 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"

BAD: dict[str, tuple[str | bytes, type[HamexplorerError], str]] = {
    "empty": (b"", FileFormatError, "empty"),
    "empty text": ("", FileFormatError, "empty"),
    "blanks": (" \n\n", FileFormatError, "empty"),
    "binary": (bytes(range(256)) * 4, FileFormatError, "binary"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), FileFormatError, "HDF5"),
    "gzip": (b"\x1f\x8b\x08" + bytes(64), FileFormatError, "gzip"),
    "prose": ("Dear reader,\nthis is no crystal.\n", FileFormatError, "not recognised"),
    "cif cut in the cell": (cif(TWO_ATOMS)[:40], FileFormatError, "truncated"),
    "cif cut before the atoms": (cif(TWO_ATOMS)[:150], FileFormatError, "truncated"),
    "cif cut in a row": (cif("Na1 Na 0 0 0 1\nCl1 Cl 0.5 0."), FileFormatError, "truncated"),
    "cif cut between rows": (
        cif("Na1 Na 0 0 0 1").replace("data_x", "data_x\n_chemical_formula_sum 'Na Cl'"),
        FileFormatError,
        "formula",
    ),
    "cif length that is no number": (cif(TWO_ATOMS, "abc"), FileFormatError, "_cell_length_a"),
    "cif of two": (
        cif(TWO_ATOMS) + cif(TWO_ATOMS).replace("data_x", "data_y"),
        StructureError,
        "2 structures",
    ),
    "partial occupancy": (
        cif("Na1 Na 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1"),
        StructureError,
        "partial occupancy, atom Na1 has occupancy 0.5",
    ),
    "two atoms at one place": (
        cif("Na1 Na 0 0 0 1\nCl1 Cl 0 0 0 1"),
        StructureError,
        "Na1 and Cl1 are 0.000 Å apart",
    ),
    "two equal atoms at one place": (
        cif("Na1 Na 0 0 0 1\nNa2 Na 0 0 1 1"),
        StructureError,
        "Na1 and Na2 are 0.000 Å apart",
    ),
    "two atoms 0.3 Å apart": (
        cif("Na1 Na 0.95 0 0 1\nCl1 Cl 0.05 0 0 1"),
        StructureError,
        "0.300 Å apart",
    ),
    "duplicates in a poscar": (
        poscar().replace("0.5 0.5 0.5", "0.999 0 0"),
        StructureError,
        r"atom 1 \(Si.*atom 2 \(C.* 0.003 Å apart",
    ),
    "deuterium": (cif("D1 D 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"), StructureError, "write deuterium"),
    "unknown species in a cif": (cif("Foo1 Foo 0 0 0 1"), StructureError, "Foo"),
    "unknown species in a poscar": (poscar(species="Si Qq"), HamexplorerError, "Qq"),
    "molecule": (MOLECULE, StructureError, "without a lattice"),
    "xyz cut": ('5\nLattice="3 0 0 0 3 0 0 0 3"\nSi 0 0 0\n', FileFormatError, "announces 5"),
    "trajectory": (
        '1\nLattice="3 0 0 0 3 0 0 0 3"\nSi 0 0 0\n' * 2,
        StructureError,
        "more than one structure",
    ),
    "huge count in an xyz": ("999999999\nx\nSi 0 0 0\n", FileFormatError, "announces"),
    "huge count in a poscar": (poscar(count="1 999999999"), FileFormatError, "announces"),
    "poscar without symbols": (poscar().replace("Si C\n", ""), StructureError, "VASP 4"),
    "poscar cut": ("\n".join(poscar().splitlines()[:9]) + "\n", FileFormatError, "truncated"),
    "flat cell": (poscar(third="3 3 0"), StructureError, "no volume"),
    "zero vector": (poscar(third="0 0 0"), StructureError, "no volume"),
    "nan position": (poscar().replace("0.5 0.5 0.5", "nan 0 0"), StructureError, "NaN"),
    "other json": ('{"a": 1}', FileFormatError, "pymatgen Structure"),
    "json list": ("[1, 2]\n", FileFormatError, "pymatgen Structure"),
    "json cut": ('{"lattice": {"matr', FileFormatError, "truncated"),
    "deep json": ("[" * 100_000 + "\n", FileFormatError, "damaged"),
    "xsf of a molecule": ("MOLECULE\nATOMS\n6 0 0 0\n", StructureError, "PRIMVEC"),
    "aims molecule": ("atom 0.0 0.0 0.0 H\natom 0.0 0.0 0.7 H\n", StructureError, "lattice_vector"),
    "gen cluster": ("1 C\nSi\n1 1 0.0 0.0 0.0\n", StructureError, "cluster"),
    "castep": ("%BLOCK LATTICE_CART\n3 0 0\n", FileFormatError, "CASTEP"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_cause(case: str) -> None:
    source, error, message = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message) as caught:
            load_structure(source, filename="upload.dat")
    assert "upload.dat" in str(caught.value)


def test_symmetry_images_that_coincide_are_duplicates() -> None:
    text = cif("Na1 Na 0.01 0 0 1").replace("data_x", "data_x\n_space_group_IT_number 2")
    text = text.replace("loop_", "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\nloop_", 1)
    with pytest.raises(StructureError, match=r"0.060 Å apart"):
        load_structure(text)


def test_disordered_and_dummy_structures_are_refused(gaas: Structure) -> None:
    mixed = gaas.copy()
    mixed[0] = {"Ga": 0.5, "In": 0.5}
    with pytest.raises(StructureError, match="partial occupancy at atom 1"):
        load_structure(mixed)
    dummy = Structure(gaas.lattice, ["X", "As"], gaas.frac_coords)
    with pytest.raises(StructureError, match="unknown species"):
        load_structure(dummy)
    with pytest.raises(StructureError, match="heavy hydrogen"):
        load_structure(Structure(gaas.lattice, ["D", "As"], gaas.frac_coords))
    with pytest.raises(StructureError, match="no atoms"):
        load_structure(Structure(gaas.lattice, [], []))
    with pytest.raises(StructureError, match="no lattice"):
        load_structure(ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
    with pytest.raises(StructureError, match="int is no structure"):
        load_structure(42)  # type: ignore[arg-type]


def test_json_never_names_a_class_to_be_loaded(gaas: Structure) -> None:
    data = gaas.as_dict()
    data["@module"], data["@class"] = "os", "system"
    data["sites"][0]["properties"] = {"x": {"@module": "subprocess", "@class": "Popen", "args": 1}}
    assert len(load_structure(json.dumps(data))) == 2


def test_size_limits(tmp_path: Path, mos2: Structure) -> None:
    with pytest.raises(ResourceLimitError, match=r"200.0 MB.*up to 20 MB"):
        load_structure(b" " * 200_000_000, filename="big.cif")
    path = tmp_path / "big.cif"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(ResourceLimitError, match=r"big\.cif"):
        load_structure(path)
    with pytest.raises(ResourceLimitError, match=r"0\.0001 MB are read"):
        load_structure(mos2.to(fmt="cif"), max_bytes=100)
    rows = "\n".join(f"H{i} H 0 0 {i / 4000} 1" for i in range(4000))
    with pytest.raises(ResourceLimitError, match="4000 atoms"):
        load_structure(cif(rows))
    big = "20001\n" + 'Lattice="3 0 0 0 3 0 0 0 40000"\n'
    with pytest.raises(ResourceLimitError, match="20001 atoms; at most 20000"):
        load_structure(big + "\n".join(f"H 0 0 {i}" for i in range(20001)))


def test_missing_file_folder_and_long_names(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match="no such file"):
        load_structure(tmp_path / "none.cif")
    with pytest.raises(StructureError, match="a folder"):
        load_structure(tmp_path)
    with pytest.raises(StructureError):
        load_structure("x" * 100_000)
    with pytest.raises(StructureError):
        load_structure("nul\0byte")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x.cif", "..", ".", "", "a\0.cif",
     "a\n.cif", "x" * 300, "a/../b.cif"],
)  # fmt: skip
def test_hostile_file_names_are_refused(name: str, mos2: Structure) -> None:
    with pytest.raises(StructureError, match="is refused"):
        load_structure(mos2.to(fmt="cif"), filename=name)


def test_folders_are_cut_off_an_upload_name() -> None:
    assert safe_filename("folder/MoS2.cif") == "MoS2.cif"
    assert safe_filename("MoS₂ (2H)..cif") == "MoS₂ (2H)..cif"


XSF = "CRYSTAL\nPRIMVEC\n3 0 0\n0 3 0\n0 0 3\nPRIMCOORD\n1 1\n6 0 0 0\n"
GEN = "2 F\nSi C\n1 1 0 0 0\n2 2 .5 .5 .5\n0 0 0\n3 0 0\n0 3 0\n0 0 3\n"
ESPRESSO = (
    "&system\n ibrav=0 nat=1 ntyp=1\n/\nATOMIC_SPECIES\nSi 28 x\nATOMIC_POSITIONS crystal\n"
    "Si 0 0 0\nCELL_PARAMETERS angstrom\n3 0 0\n0 3 0\n0 0 3\n"
)
AIMS = "lattice_vector 3 0 0\nlattice_vector 0 3 0\nlattice_vector 0 0 3\natom 0.0 0 0 Si\n"
XYZ = '1\nLattice="3 0 0 0 3 0 0 0 3"\nSi 0 0 0\n'
VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints>
  <varray name="kpointlist"><v>0 0 0</v></varray>
  <varray name="weights"><v>1</v></varray>
 </kpoints>
 <atominfo>
  <atoms>       1 </atoms>
  <types>       1 </types>
  <array name="atoms">
   <set><rc><c>Si</c><c>   1</c></rc></set>
  </array>
  <array name="atomtypes">
   <set><rc><c>   1</c><c>Si</c><c>28.0</c><c>4.0</c><c>PAW_PBE Si</c></rc></set>
  </array>
 </atominfo>
 <structure name="initialpos">
  <crystal>
   <varray name="basis"><v>3 0 0</v><v>0 3 0</v><v>0 0 3</v></varray>
  </crystal>
  <varray name="positions"><v>0.1 0 0</v></varray>
 </structure>
 <calculation>
  <scstep>
   <energy><i name="e_fr_energy"> -1.0 </i><i name="e_0_energy"> -1.0 </i></energy>
  </scstep>
  <structure>
   <crystal>
    <varray name="basis"><v>3 0 0</v><v>0 3 0</v><v>0 0 4</v></varray>
   </crystal>
   <varray name="positions"><v>0.2 0 0</v></varray>
  </structure>
  <energy><i name="e_fr_energy"> -1.0 </i><i name="e_0_energy"> -1.0 </i></energy>
 </calculation>
</modeling>
"""
SEEDS = st.sampled_from(
    [cif(TWO_ATOMS), poscar(), MOLECULE, XYZ, MCIF, XSF, GEN, ESPRESSO, AIMS, VASPRUN]
)


def test_vasprun_gives_its_last_step() -> None:
    loaded = load_structure(VASPRUN)
    assert loaded.lattice.abc == pytest.approx((3, 3, 4))
    assert loaded.frac_coords[0] == pytest.approx([0.2, 0, 0])
    with pytest.raises(FileFormatError, match="DOCTYPE"):
        load_structure(VASPRUN.replace("<modeling>", "<modeling><!DOCTYPE x>", 1))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(SEEDS)
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        filling = draw(st.sampled_from(["", "0", "-1", "nan", "1e400", "?", "Xx", "\n", "_", "'"]))
        text = text[:at] + filling + text[at + length :]
    return text


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(damaged(), st.text(max_size=200), st.binary(max_size=200)))
@example("data_\nloop_\n_atom_site_fract_x\n")
@example("1\n\n")
def test_no_input_leaks_a_foreign_exception_or_warning(source: str | bytes) -> None:
    source = source.encode("utf-8", "replace") if isinstance(source, str) else source
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            structure = load_structure(source, filename="fuzz.dat")
        except HamexplorerError:
            return
    assert np.isfinite(structure.cart_coords).all()
    assert structure.is_ordered
