"""Siesta's matrices as a Hamiltonian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Lattice, Species, Structure

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.labels import element_of_label, guesses_told
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.order_check import detected_order
from hamexplorer.formats.orders import M_ORDER
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.same_crystal import check_same_crystal
from hamexplorer.formats.shells import NamedOrbital, map_orbitals
from hamexplorer.formats.siesta.companions import (
    Crystal,
    OrbitalIndex,
    find_crystal,
    find_orbitals,
    find_species,
)
from hamexplorer.formats.siesta.hsx import looks_like_hsx, looks_like_old_hsx, parse_hsx
from hamexplorer.formats.siesta.matrix import SPINS, SiestaMatrix
from hamexplorer.formats.siesta.netcdf import looks_like_nc, parse_nc
from hamexplorer.formats.siesta.tshs import looks_like_tshs, parse_tshs
from hamexplorer.formats.sparse import Pattern, Scattering, scatterings
from hamexplorer.formats.spin_elements import mixed_mean
from hamexplorer.formats.spinor import SpinParts, collinear_parts, hermitian, spinor_parts
from hamexplorer.hamiltonian import Basis, Hamiltonian

__all__ = ["read", "recognises"]

_OFF_LATTICE = 0.1
"""Å by which r_column − r_row may differ from the crystal's: 1e-6 if it is the same, else bonds."""


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files is an ``.HSX``, a ``.TSHS`` or a ``.nc`` with H."""
    return bool(bundle.where(_is_matrix))


def _is_matrix(member: Member) -> bool:
    head = member.head
    return (
        looks_like_hsx(head)
        or looks_like_tshs(head)
        or looks_like_old_hsx(head)
        or looks_like_nc(member)
    )


def read(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """H, B, Λ and S of a matrix file of Siesta.

    Siesta stores ⟨j σ| H |i σ'⟩ in row i and column j: ↑↑ = H1 + i H5, ↓↓ = H2 + i H6,
    ↑↓ = H3 − i H4, ↓↑ = H7 + i H8; non-collinear ones lack H5 … H8, and ↓↑ = (↑↓)*. Its real
    harmonics are (−1)^m times ours. Energies stay Siesta's: they are not moved to the Fermi energy.

    What the file lacks is taken from ``.XV``, ``.STRUCT_OUT``, ``.ORB_INDX`` and ``.fdf`` beside
    it, or from ``options.structure``.

    Raises:
        FileFormatError: damaged, not Hermitian, or the crystal or the atoms' elements are missing.
        SettingsError: ``options.index`` or ``options.structure`` does not fit.
    """
    found = bundle.where(_is_matrix)
    if options.index >= len(found):
        raise SettingsError(
            f"There are {len(found)} matrix files, counted from 0; {options.index} is none."
        )
    member = found[options.index]
    record = ReadRecord(member)
    raw = _parse(member)
    crystal = find_crystal(bundle, member, raw.constants)
    index = None
    if raw.species is None or not all(s.orbitals for s in raw.species):
        index = find_orbitals(bundle, member, raw.n_orbitals)
    record.add(*(c.member for c in (crystal, index) if c is not None))
    atoms = _atoms(raw, crystal, index, options, find_species(bundle, member))
    structure = _structure(raw, crystal, atoms.elements, options)
    orbitals = map_orbitals(
        [site.specie.symbol for site in structure], _orbitals(raw, index), condon_shortley=True
    )
    cell, cells = _cells(raw, structure)
    # row i holds kets: the bra of column j in cell R sees it in cell −R
    (scatter,) = scatterings(orbitals, -cells, Pattern(raw.columns, raw.rows, cell))
    pairs, basis = scatter.pairs, orbitals.basis
    overlap = hermitian(pairs, basis, "S", scatter(raw.overlap))
    parts = _parts(raw, scatter, basis)
    told = None
    if raw.n_electrons is not None:
        told = round(raw.n_electrons, 9)  # Siesta sums occupations: 7.999999999999999
    fermi = None if raw.fermi_energy is None else raw.fermi_energy * raw.constants.rydberg
    doubt = detected_order(overlap, pairs, basis, structure, {"Siesta's": M_ORDER}).doubt(
        "Siesta's"
    )
    warnings = [*atoms.warnings, *orbitals.warnings, *([doubt] if doubt else [])]
    asked = options.n_electrons is not None or options.fermi_energy is not None
    if told is None and not asked and fermi == 0:
        warnings.append(
            "The file tells no electrons, and the Fermi energy 0, as files do that sisl wrote: "
            "states below 0 are taken to be filled. Give --electrons or --fermi if that is wrong."
        )
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=parts.scalar,
        exchange=parts.exchange,
        spin_orbit=parts.spin_orbit,
        time_odd=parts.time_odd,
        n_electrons=0.0,
        provenance=record.provenance(
            source="siesta",
            title=f"Siesta, {SPINS[len(raw.hamiltonian)]}",
            structure=structure,
            settings={
                "kind": raw.kind,
                "rydberg_eV": raw.constants.rydberg,
                "bohr_A": raw.constants.bohr,
            },
            results={} if fermi is None else {"fermi_energy_eV": fermi},
            parts=parts,
            warnings=warnings,
        ),
    )
    return with_electrons(h, options, fermi, told)


def _parse(member: Member) -> SiestaMatrix:
    if looks_like_tshs(member.head):
        return parse_tshs(member.data(), member.name)
    if looks_like_hsx(member.head) or looks_like_old_hsx(member.head):
        return parse_hsx(member.data(), member.name)
    return parse_nc(member)


@dataclass(frozen=True)
class _Atoms:
    elements: tuple[Element | Species | DummySpecies, ...]
    warnings: tuple[str, ...]


def _atoms(
    raw: SiestaMatrix,
    crystal: Crystal | None,
    index: OrbitalIndex | None,
    options: ReadOptions,
    by_label: dict[str, int],
) -> _Atoms:
    """Elements from the user's crystal, the crystal beside the matrix, the file, or its labels."""
    if options.structure is not None:
        _check_count(raw, len(options.structure), "the structure given")
        return _Atoms(tuple(site.specie for site in options.structure), ())
    if crystal is not None:
        _check_count(raw, len(crystal.atomic_numbers), crystal.member.name)
        return _from_numbers(crystal.atomic_numbers, {})
    if raw.species is not None and raw.atom_species is not None:
        labels = tuple(raw.species[k].label for k in raw.atom_species.tolist())
        if raw.atomic_numbers is not None:
            return _from_numbers([raw.atomic_numbers[k] for k in raw.atom_species.tolist()], {})
    elif index is not None:
        _check_count(raw, len(index.labels), index.member.name)
        labels = index.labels
    else:
        raise FileFormatError(
            f"A {raw.kind} file does not tell the elements of its {raw.n_atoms} atoms: put the "
            "calculation's .XV, .STRUCT_OUT or .ORB_INDX file beside it, or give the structure."
        )
    guessed: dict[str, str] = {}
    try:
        numbers = [by_label.get(x) or int(element_of_label(x, guessed).Z) for x in labels]
    except FileFormatError as error:
        raise FileFormatError(
            f"{error} Put the calculation's .XV or .fdf file beside the matrix, or give the "
            "structure."
        ) from error
    return _from_numbers(numbers, guessed)


def _check_count(raw: SiestaMatrix, count: int, where: str) -> None:
    if count != raw.n_atoms:
        raise FileFormatError(f"{where} has {count} atoms, the matrix {raw.n_atoms}.")


def _from_numbers(numbers: Sequence[int], guessed: dict[str, str]) -> _Atoms:
    # Siesta counts synthetic atoms from 200
    elements: tuple[Element | Species | DummySpecies, ...] = tuple(
        Element.from_Z(z) if 0 < z <= 118 else DummySpecies("X", 0) for z in numbers
    )
    dummies = sum(isinstance(e, DummySpecies) for e in elements)
    warnings = []
    if dummies:
        warnings.append(f"{dummies} ghost or synthetic atoms stand as sites X.")
    told = guesses_told(guessed)
    if told:
        warnings.append(f"{told}. An .XV or .fdf file beside the matrix tells them.")
    return _Atoms(elements, tuple(warnings))


def _structure(
    raw: SiestaMatrix,
    crystal: Crystal | None,
    elements: Sequence[Element | Species | DummySpecies],
    options: ReadOptions,
) -> Structure:
    bohr = raw.constants.bohr
    if raw.lattice is not None and raw.positions is not None:
        lattice, positions = raw.lattice * bohr, raw.positions * bohr
        given = options.structure
        if given is not None:
            other = given.lattice.matrix, given.cart_coords
            check_same_crystal((lattice, positions), other, "The structure given")
        elif crystal is not None:
            other = crystal.lattice, crystal.positions
            check_same_crystal((lattice, positions), other, crystal.member.name)
    elif options.structure is not None:
        lattice, positions = options.structure.lattice.matrix, options.structure.cart_coords
    elif crystal is not None:
        lattice, positions = crystal.lattice, crystal.positions
    else:
        raise FileFormatError(
            "An HSX file of Siesta up to 4 has no crystal: put the calculation's .XV or "
            ".STRUCT_OUT file beside it, or give the structure."
        )
    if not (np.isfinite(lattice).all() and np.isfinite(positions).all()):
        raise FileFormatError("The lattice or the positions in the file are not finite numbers.")
    # written so that NaN fails, too
    if not 1e-3 < abs(np.linalg.det(lattice)) < 1e12:
        raise FileFormatError(
            f"The lattice in the file has a volume of {np.linalg.det(lattice):.3g} Å³."
        )
    return Structure(Lattice(lattice), list(elements), positions, coords_are_cartesian=True)


def _orbitals(raw: SiestaMatrix, index: OrbitalIndex | None) -> list[tuple[NamedOrbital, ...]]:
    """Orbitals of every atom; without names where neither the file nor the index has them."""
    found = []
    for atom, count in enumerate(raw.atom_orbitals.tolist()):
        named: tuple[NamedOrbital, ...] = ()
        if raw.species is not None and raw.atom_species is not None:
            named = raw.species[raw.atom_species[atom]].orbitals
        if not named and index is not None:
            named = index.orbitals[atom]
        if named and len(named) != count:
            raise FileFormatError(
                f"Atom {atom + 1} has {count} orbitals in the matrix, {len(named)} in its species."
            )
        found.append(named or (NamedOrbital(),) * count)
    return found


def _cells(raw: SiestaMatrix, structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """R of every element as an index, and the R; in old files from r_column − r_row."""
    if raw.cell is not None and raw.cells is not None:
        return raw.cell, raw.cells
    if raw.vectors is None:
        raise FileFormatError("The file has neither cells nor vectors between its orbitals.")
    atom = np.repeat(np.arange(raw.n_atoms), raw.atom_orbitals)
    sites = structure.cart_coords
    shift = raw.vectors * raw.constants.bohr
    shift -= sites[atom[raw.columns]] - sites[atom[raw.rows]]
    cells = np.rint(shift @ np.linalg.inv(structure.lattice.matrix))
    off = np.linalg.norm(shift - cells @ structure.lattice.matrix, axis=1)
    # written so that NaN fails, too
    if not off.max() < _OFF_LATTICE:
        raise FileFormatError(
            f"The crystal is not that of the matrix: positions differ by {off.max():.2f} Å from "
            "the vectors between its orbitals (is it of another step of a relaxation?)."
        )
    unique, index = np.unique(cells.astype(np.int64), axis=0, return_inverse=True)
    return index.reshape(-1), unique


def _parts(raw: SiestaMatrix, scatter: Scattering, basis: Basis) -> SpinParts:
    pairs = scatter.pairs

    def block(component: int, sign: float = 1.0) -> NDArray[np.float64]:
        return scatter(raw.hamiltonian[component] * (sign * raw.constants.rydberg))

    components, zero = len(raw.hamiltonian), raw.rounding
    if components <= 2:
        blocks = [block(k) for k in range(components)]
        return collinear_parts(pairs, basis, *blocks, negligible=zero)
    up, down, mixed, mixed_i = block(0), block(1), block(2), block(3, -1.0)
    up_i = down_i = np.zeros_like(up)
    defect = 0.0
    if components == 8:
        other = block(6) + 1j * block(7)
        mixed, mixed_i, defect = mixed_mean(pairs, mixed + 1j * mixed_i, other)
        up_i, down_i = block(4), block(5)
    real, imaginary = (up, down, mixed), (up_i, down_i, mixed_i)
    return spinor_parts(pairs, basis, real, imaginary, negligible=zero, defect=defect)
