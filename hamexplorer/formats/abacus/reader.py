"""ABACUS's matrices as a Hamiltonian."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Lattice, Species, Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.abacus.crystal import (
    Crystal,
    Run,
    crystal_of_header,
    parse_log,
    parse_stru,
)
from hamexplorer.formats.abacus.csr import CsrMatrix, matrix_kind, parse_csr
from hamexplorer.formats.abacus.files import RunFiles, find_files
from hamexplorer.formats.bundle import Bundle
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.labels import element_of_label, guesses_told
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.order_check import detected_order
from hamexplorer.formats.orders import ABACUS, M_ORDER
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.same_crystal import check_same_crystal
from hamexplorer.formats.shells import OrbitalMap, ordered_orbitals
from hamexplorer.formats.sparse import Pattern, Scattering, scatterings
from hamexplorer.formats.spin_elements import mixed_mean
from hamexplorer.formats.spinor import SpinParts, collinear_parts, hermitian, spinor_parts
from hamexplorer.hamiltonian import Basis, Hamiltonian, Shell

__all__ = ["RYDBERG", "read", "recognises"]

RYDBERG = 13.605698
"""ABACUS's own rydberg in eV, so that eigenvalues come out as it prints them."""
_MAX_TEXT = 200e6
_TWO_SPINS = re.compile(r"^\s*nspin\s*[=:]?\s*2\b", re.IGNORECASE | re.MULTILINE)
_SPINS = ("without spin", "collinear", "spinors")


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files begins as a sparse H(R) or S(R) does."""
    return bool(bundle.where(lambda m: matrix_kind(m.head) is not None))


def read(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """H, B, Λ and S of ``data-HR-sparse_SPIN0.csr`` and the files beside it, of any version.

    M(R) = ⟨φ_i in cell 0| M |φ_j in cell R⟩ in Ry. In an atom the shells stand by l, then radial
    function; in a shell m = 0, 1, −1, 2, −2 … with (−1)^m times our harmonics. Spinor orbitals are
    ↑, ↓ in turn. Energies stay ABACUS's: they are not moved to the Fermi energy.

    Raises:
        FileFormatError: damaged, not Hermitian, or S, the crystal or the basis is missing.
        SettingsError: ``options.index`` does not fit.
    """
    files = find_files(bundle, options.index)
    record = ReadRecord(*files.hamiltonian, files.overlap, *files.companions)
    h = [parse_csr(member.data(), member.name) for member in files.hamiltonian]
    s = parse_csr(files.overlap.data(), files.overlap.name)
    run = Run(None, None, None)
    if files.log is not None:
        run = parse_log(files.log.text(_MAX_TEXT), files.log.name)
    _check_spins(bundle, files)
    crystal = _crystal(h[0], files, run, options)
    guessed: dict[str, str] = {}
    structure, shells = _structure(crystal, options, guessed)
    basis = Basis(tuple(site.specie.symbol for site in structure), shells)
    spinors = np.iscomplexobj(h[0].values)
    _check_sizes(h, s, basis, spinors)
    scatter = _scatter(h, s, ordered_orbitals(basis, ABACUS), spinors)
    overlap = hermitian(scatter.overlap.pairs, basis, "S", scatter.overlap(_real(s, spinors)))
    parts = _parts(h, scatter, basis, spinors)
    pairs = scatter.overlap.pairs
    doubt = detected_order(overlap, pairs, basis, structure, {"ABACUS's": M_ORDER}).doubt(
        "ABACUS's"
    )
    kind = _SPINS[2 if spinors else len(h) - 1]
    result = Hamiltonian(
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
            source="abacus",
            title=f"ABACUS, {kind}",
            structure=structure,
            settings={"rydberg_eV": RYDBERG},
            results={} if run.fermi_energy is None else {"fermi_energy_eV": run.fermi_energy},
            parts=parts,
            warnings=[w for w in (guesses_told(guessed), doubt) if w],
        ),
    )
    return with_electrons(result, options, run.fermi_energy, run.n_electrons)


def _check_spins(bundle: Bundle, files: RunFiles) -> None:
    """Spin up alone of two is not taken for a calculation without spin."""
    if len(files.hamiltonian) > 1:
        return
    for member in (bundle.named("INPUT"), files.log):
        if member is not None and _TWO_SPINS.search(member.text(_MAX_TEXT)):
            raise FileFormatError(
                f"{files.hamiltonian[0].name} is one spin of two, by {member.name}: put the file "
                "of the other spin (SPIN1) beside it."
            )


def _crystal(h: CsrMatrix, files: RunFiles, run: Run, options: ReadOptions) -> Crystal | None:
    """From the matrix's own header, ``STRU``, the log; None: the user's structure alone."""
    own = crystal_of_header(h.header, files.hamiltonian[0].name)
    stru = None
    if files.stru is not None:
        stru = parse_stru(files.stru.text(_MAX_TEXT), files.stru.name)
    shells = {**(run.crystal.shells if run.crystal else {}), **(stru.shells if stru else {})}
    crystal = own or stru or run.crystal
    if crystal is None:
        if options.structure is None:
            raise FileFormatError(
                "The matrices do not tell the crystal: put STRU or running_scf.log beside them, or "
                "give the structure."
            )
        return None
    return replace(crystal, shells=shells)


def _structure(
    crystal: Crystal | None, options: ReadOptions, guessed: dict[str, str]
) -> tuple[Structure, tuple[tuple[Shell, ...], ...]]:
    """The crystal, the user's before the files', and the shells of every site."""
    shells = crystal.shells if crystal else {}
    labels: Sequence[str] = crystal.labels if crystal else ()
    if options.structure is not None:
        structure = options.structure
        if crystal is not None:
            own, given = (crystal.lattice, crystal.positions), structure.lattice.matrix
            check_same_crystal(own, (given, structure.cart_coords), "The structure given")
            # R counts from the file's images of the sites
            structure = Structure(
                Lattice(own[0]), structure.species, own[1], coords_are_cartesian=True
            )
        symbols = [site.specie.symbol for site in structure]
        if len(labels) != len(symbols):
            labels = symbols
    else:
        assert crystal is not None
        species = [_species(label, guessed) for label in labels]
        structure = Structure(
            Lattice(crystal.lattice), species, crystal.positions, coords_are_cartesian=True
        )
    missing = sorted(set(labels) - shells.keys())
    if missing:
        raise FileFormatError(
            f"The orbitals of {', '.join(missing)} are not told: put STRU, whose NUMERICAL_ORBITAL "
            "names files such as Mo_gga_9au_100Ry_4s2p2d1f.orb, or running_scf.log beside the "
            "matrices."
        )
    return structure, tuple(shells[label] for label in labels)


def _species(label: str, guessed: dict[str, str]) -> Element | Species | DummySpecies:
    # ABACUS's empty atoms have orbitals without a nucleus
    if "empty" in label.lower():
        return DummySpecies("X", 0)
    return element_of_label(label, guessed)


def _check_sizes(h: Sequence[CsrMatrix], s: CsrMatrix, basis: Basis, spinors: bool) -> None:
    sizes = {m.size for m in (*h, s)}
    expected = basis.n_orbitals * (2 if spinors else 1)
    if sizes != {expected}:
        raise FileFormatError(
            f"The matrices have {', '.join(map(str, sorted(sizes)))} rows, but the crystal's "
            f"basis has {basis.n_orbitals} orbitals{' of two spins' if spinors else ''}."
        )
    if any(np.iscomplexobj(m.values) != spinors for m in h) or (spinors and len(h) > 1):
        raise FileFormatError("One file of H(R) holds spinors, the other does not.")
    if np.iscomplexobj(s.values) and not spinors:
        raise FileFormatError("S(R) is complex, H(R) is not: they are of different calculations.")


@dataclass(frozen=True, eq=False)
class _Scatter:
    """Places of the elements of S and of every component of H: ↑ and ↓, or ↑↑, ↓↓, ↑↓, ↓↑."""

    overlap: Scattering
    hamiltonian: tuple[Scattering, ...]


def _scatter(h: Sequence[CsrMatrix], s: CsrMatrix, orbitals: OrbitalMap, spinors: bool) -> _Scatter:
    matrices = (s, *h)
    starts = np.cumsum([0, *(len(m.cells) for m in matrices)])
    shifted = [
        Pattern(m.pattern.rows, m.pattern.columns, m.pattern.cell + start)
        for m, start in zip(matrices, starts[:-1], strict=True)
    ]
    patterns = shifted
    if spinors:
        patterns = [_of_spins(shifted[0], 0, 0)]
        patterns += [_of_spins(shifted[1], *spins) for spins in _SPIN_PAIRS]
    overlap, *rest = scatterings(orbitals, np.concatenate([m.cells for m in matrices]), *patterns)
    return _Scatter(overlap, tuple(rest))


_SPIN_PAIRS = ((0, 0), (1, 1), (0, 1), (1, 0))


def _chosen(pattern: Pattern, first: int, second: int) -> NDArray[np.bool_]:
    return (pattern.rows % 2 == first) & (pattern.columns % 2 == second)


def _of_spins(pattern: Pattern, first: int, second: int) -> Pattern:
    """The elements between two spins of a matrix whose orbitals are ↑, ↓ in turn."""
    chosen = _chosen(pattern, first, second)
    return Pattern(pattern.rows[chosen] // 2, pattern.columns[chosen] // 2, pattern.cell[chosen])


def _real(s: CsrMatrix, spinors: bool) -> NDArray[np.float64]:
    """Values of S, of spinors those of ↑↑."""
    values = s.values[_chosen(s.pattern, 0, 0)] if spinors else s.values
    if np.iscomplexobj(values) and np.abs(values.imag).max(initial=0.0) > 1e-8:
        raise FileFormatError("S(R) is not real; accepted are real overlaps.")
    return np.array(values.real)


def _parts(h: Sequence[CsrMatrix], scatter: _Scatter, basis: Basis, spinors: bool) -> SpinParts:
    pairs = scatter.overlap.pairs
    if not spinors:
        flat = [
            place(np.array(m.values.real) * RYDBERG)
            for place, m in zip(scatter.hamiltonian, h, strict=True)
        ]
        return collinear_parts(pairs, basis, *flat)
    values = h[0].values.astype(np.complex128, copy=False)
    up, down, mixed, other = (
        place(values[_chosen(h[0].pattern, *spins)] * RYDBERG)
        for place, spins in zip(scatter.hamiltonian, _SPIN_PAIRS, strict=True)
    )
    real, imaginary, defect = mixed_mean(pairs, mixed, other)
    return spinor_parts(
        pairs,
        basis,
        (np.array(up.real), np.array(down.real), real),
        (np.array(up.imag), np.array(down.imag), imaginary),
        defect=defect,
    )
