"""OpenMX's ``.scfout`` as a Hamiltonian."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Bundle
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.openmx.input_file import InputFile, parse_input
from hamexplorer.formats.openmx.scfout import Scfout, looks_like_scfout, parse_scfout
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.orders import OPENMX, Reordering, reordering
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.spinor import SpinParts, collinear_parts, hermitian, spinor_parts
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs
from hamexplorer.hamiltonian.arrays import read_only

__all__ = ["BOHR", "HARTREE", "read_scfout", "recognises"]

HARTREE = 27.2113845
"""OpenMX's own Hartree in eV, so that eigenvalues come out as it prints them."""
BOHR = 0.529177249
"""OpenMX's own bohr in Å."""
_POSITION_DEFECT = 1e-3
"""OpenMX integrates its position elements to about 2e-5 Å (WSe2, iron)."""


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files begins as an ``.scfout`` does."""
    return bool(bundle.where(lambda m: looks_like_scfout(m.head)))


def read_scfout(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """H, B, Λ, S and position elements of an ``.scfout`` of OpenMX 3.9.

    Non-collinear files hold ↑↑ = Hks0 + i iHks0, ↓↓ = Hks1 + i iHks1 and
    ↑↓ = Hks2 + i (Hks3 + iHks2). The position elements are OpenMX's OLPpo, whose origin is that of
    the first orbital's site; they are moved to the pair's midpoint.

    Raises:
        FileFormatError: damaged, of another version, or with empty atoms.
    """
    member = bundle.one(lambda m: looks_like_scfout(m.head))
    record = ReadRecord(member)
    raw = parse_scfout(member.data(), member.name)
    given = parse_input(raw.input_lines)
    basis = _basis(raw, given)
    pairs = Pairs(
        np.repeat(np.arange(len(raw.n_orbitals)), raw.n_neighbours),
        raw.neighbours,
        raw.cells[raw.copies].astype(np.int64),
        basis.sizes,
    )
    structure = Structure(
        Lattice(raw.lattice * BOHR),
        [species.symbol for species in given.species],
        raw.positions * BOHR,
        coords_are_cartesian=True,
    )
    order = reordering(pairs, basis, OPENMX)
    overlap = read_only(hermitian(pairs, basis, "S", order(raw.overlap)))
    parts = _parts(raw, pairs, basis, order)
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=parts.scalar,
        exchange=parts.exchange,
        spin_orbit=parts.spin_orbit,
        time_odd=parts.time_odd,
        position=_position(raw, pairs, basis, order, overlap, structure),
        n_electrons=raw.n_electrons,
        provenance=record.provenance(
            source="openmx",
            title=f"OpenMX, {_method(given)}",
            structure=structure,
            settings=_settings(given),
            results={
                "fermi_energy_eV": raw.chemical_potential * HARTREE,
                "electronic_temperature_K": raw.temperature,
                **({"total_moment_muB": 2 * raw.total_spin} if raw.spin == 1 else {}),
            },
            parts=parts,
        ),
    )
    return with_electrons(h, options, told=raw.n_electrons)


def _basis(raw: Scfout, given: InputFile) -> Basis:
    if len(given.species) != len(raw.n_orbitals):
        raise FileFormatError(
            f"The embedded input lists {len(given.species)} atoms, the file holds matrices of "
            f"{len(raw.n_orbitals)}."
        )
    basis = Basis(
        tuple(species.symbol for species in given.species),
        tuple(species.shells for species in given.species),
    )
    wrong = np.flatnonzero(basis.sizes != raw.n_orbitals)
    if wrong.size:
        atom = int(wrong[0])
        raise FileFormatError(
            f"Atom {atom + 1} has {raw.n_orbitals[atom]} orbitals in the matrices, but "
            f"{given.species[atom].basis} stands for {basis.sizes[atom]}."
        )
    return basis


def _parts(raw: Scfout, pairs: Pairs, basis: Basis, order: Reordering) -> SpinParts:
    def block(values: NDArray[np.float64]) -> NDArray[np.float64]:
        taken = order(values)
        taken *= HARTREE
        return taken

    if raw.spin == 0:
        return collinear_parts(pairs, basis, block(raw.hamiltonian[0]))
    if raw.spin == 1:
        return collinear_parts(pairs, basis, block(raw.hamiltonian[0]), block(raw.hamiltonian[1]))
    assert raw.imaginary is not None
    up, down, mixed, mixed_imaginary = (block(values) for values in raw.hamiltonian)
    up_imaginary, down_imaginary, rest = (block(values) for values in raw.imaginary)
    mixed_imaginary += rest
    imaginary = (up_imaginary, down_imaginary, mixed_imaginary)
    return spinor_parts(pairs, basis, (up, down, mixed), imaginary)


def _position(
    raw: Scfout,
    pairs: Pairs,
    basis: Basis,
    order: Reordering,
    overlap: NDArray[np.float64],
    structure: Structure,
) -> NDArray[np.float64]:
    """X of :class:`~hamexplorer.hamiltonian.Hamiltonian`, (3, n_elements), Å."""
    sites = structure.cart_coords
    bond = sites[pairs.second] + pairs.cell @ structure.lattice.matrix - sites[pairs.first]
    x = order(raw.position)
    for a, axis in enumerate("xyz"):
        x[a] *= BOHR
        x[a] -= overlap * np.repeat(bond[:, a] / 2, np.diff(pairs.offsets))
        hermitian(pairs, basis, f"position {axis}", x[a], unit="Å", tolerance=_POSITION_DEFECT)
    return read_only(x)


def _method(given: InputFile) -> str:
    functional = given.keywords.get("scf.XcType", "")
    spin = given.keywords.get("scf.SpinPolarization", "off").lower()
    soc = given.keywords.get("scf.SpinOrbit.Coupling", "off").lower() == "on"
    words = [functional, {"on": "collinear", "nc": "non-collinear"}.get(spin, "without spin")]
    return ", ".join(word for word in [*words, "spin–orbit" if soc else ""] if word)


def _settings(given: InputFile) -> dict[str, Any]:
    wanted = ("scf.", "Band.", "MD.Type", "System.Name")
    keywords = {k: v for k, v in given.keywords.items() if k.startswith(wanted)}
    bases = {s.symbol: f"{s.basis} {s.pseudopotential}" for s in given.species}
    return {"basis": bases, "keywords": keywords}
