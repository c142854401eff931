"""A Hamiltonian of sisl as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Lattice, Species, Structure

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.coupling_check import with_coupling_doubt
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.shells import NamedOrbital, OrbitalMap, map_orbitals
from hamexplorer.formats.sisl_bridge.package import sisl_package
from hamexplorer.formats.sparse import Pattern, Scattering, diagonal, scatterings
from hamexplorer.formats.spin_elements import mixed_mean
from hamexplorer.formats.spinor import SpinParts, collinear_parts, hermitian, spinor_parts
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp

if TYPE_CHECKING:
    import sisl

__all__ = ["from_sisl"]

_COMPONENTS = {
    "unpolarized": (1, 1),
    "polarized": (2, 2),
    "non-colinear": (4, 3),
    "spin-orbit": (8, 4),
}
"""Stored for each element in a real and in a complex matrix, S aside."""


def from_sisl(
    matrix: sisl.Hamiltonian,
    *,
    n_electrons: float | None = None,
    fermi_energy: float | None = None,
) -> Hamiltonian:
    """Our Hamiltonian of a ``sisl.Hamiltonian``.

    sisl's spin-orbit matrices hold Re ↑↑, Re ↓↓, Re ↑↓, Im ↑↓, Im ↑↑, Im ↓↓, Re ↓↑, Im ↓↑ of each
    element, non-collinear ones Re ↑↑, Re ↓↓, Re ↑↓, Im ↑↓ with ↓↑ = (↑↓)* element by element.
    Its real harmonics carry the Condon–Shortley sign (−1)^m, which ours do not. Orbitals that are
    no ``AtomicOrbital`` become shells of l = 0. Ghost and unknown atoms become sites X.

    Energies stay as they are; where sisl read them from Siesta's files, 0 is the Fermi energy.

    Args:
        matrix: unpolarised, polarised, non-collinear or spin-orbit, real or complex, in an
            orthogonal basis or not.
        n_electrons: per cell, both spins. Without it: the occupations of the atoms' orbitals if
            every atom has some, else the states below ``fermi_energy``, else half of all states
            with a warning.
        fermi_energy: eV.

    Raises:
        SettingsError: sisl is not installed, or ``matrix`` is not of a known kind.
        FileFormatError: it is not Hermitian, or holds values that are not finite.
        HamiltonianError: its overlap is not positive definite.
    """
    library = sisl_package()
    if not isinstance(matrix, library.Hamiltonian):
        raise SettingsError(f"from_sisl takes a sisl.Hamiltonian, not a {type(matrix).__name__}.")
    spin = _spin(matrix)
    options = ReadOptions(n_electrons=n_electrons, fermi_energy=fermi_energy)
    structure, warnings = _structure(matrix.geometry)
    orbitals = map_orbitals(
        [site.specie.symbol for site in structure],
        [[_named(library, o) for o in atom.orbitals] for atom in matrix.geometry.atoms],
        condon_shortley=True,
    )
    scatter, values, overlap = _elements(matrix, spin, orbitals)
    pairs, basis = scatter.pairs, orbitals.basis
    parts = _parts(spin, [scatter(v) for v in values], scatter, orbitals)
    if overlap is None:
        flat = diagonal(pairs).astype(float)
    else:
        flat = hermitian(pairs, basis, "S", scatter(overlap))
    occupations = np.array([float(np.sum(atom.q0)) for atom in matrix.geometry.atoms])
    counted = round(float(occupations.sum()), 9) if (occupations > 0).all() else None
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=flat,
        scalar=parts.scalar,
        exchange=parts.exchange,
        spin_orbit=parts.spin_orbit,
        time_odd=parts.time_odd,
        n_electrons=counted or 0.0,
        provenance=Provenance(
            source="sisl",
            title=f"sisl, {spin}",
            settings={"orthogonal": overlap is None},
            results={
                "hermiticity_defect_eV": parts.defect,
                "dropped_below_eV": parts.dropped,
                **({"n_electrons_from": "orbitals' occupations"} if counted else {}),
            },
            warnings=(*warnings, *orbitals.warnings),
            versions=package_versions("numpy", "sisl"),
            structure_hash=structure_hash(structure),
            created=timestamp(),
        ),
    )
    h = with_coupling_doubt(h)
    if counted and n_electrons is None and fermi_energy is None:
        return h
    return with_electrons(h, options)


def _spin(matrix: sisl.Hamiltonian) -> str:
    spin = matrix.spin
    for name, holds in (
        ("unpolarized", spin.is_unpolarized),
        ("polarized", spin.is_polarized),
        ("non-colinear", spin.is_noncolinear),
        ("spin-orbit", spin.is_spinorbit),
    ):
        if holds:
            return name
    raise SettingsError(
        f"sisl's spin {spin} is not known here; accepted are {', '.join(_COMPONENTS)}."
    )


def _structure(geometry: sisl.Geometry) -> tuple[Structure, tuple[str, ...]]:
    species: list[Element | Species | DummySpecies] = []
    for atom in geometry.atoms:
        real = type(atom).__name__ == "Atom" and 0 < atom.Z <= 118
        species.append(Element.from_Z(int(atom.Z)) if real else DummySpecies("X", 0))
    structure = Structure(
        Lattice(np.array(geometry.cell)), species, np.array(geometry.xyz), coords_are_cartesian=True
    )
    dummies = sum(isinstance(s, DummySpecies) for s in species)
    if not dummies:
        return structure, ()
    return structure, (f"{dummies} ghost or unknown atoms stand as sites X.",)


def _named(library: Any, orbital: Any) -> NamedOrbital:
    if not isinstance(orbital, library.AtomicOrbital):
        return NamedOrbital()
    return NamedOrbital(
        l=int(orbital.l),
        m=int(orbital.m),
        n=int(orbital.n),
        zeta=int(orbital.zeta),
        polarised=bool(orbital.P),
    )


def _elements(
    matrix: sisl.Hamiltonian, spin: str, orbitals: OrbitalMap
) -> tuple[Scattering, list[NDArray[Any]], NDArray[np.float64] | None]:
    """Where the stored elements go; components of H; S, or None if the basis is orthogonal."""
    count = _COMPONENTS[spin][matrix.dkind == "c"]
    components = [matrix.tocsr(k) for k in range(count + (not matrix.orthogonal))]
    first = components[0].tocoo()
    n = orbitals.basis.n_orbitals
    (scatter,) = scatterings(
        orbitals,
        np.asarray(matrix.geometry.sc_off),
        Pattern(first.row, first.col % n, first.col // n),
    )
    values = [np.asarray(c.data) for c in components]
    if any(v.shape != values[0].shape for v in values):
        raise FileFormatError("The components of sisl's matrix have different sparsity.")
    if matrix.orthogonal:
        return scatter, values, None
    overlap = values.pop()
    if np.iscomplexobj(overlap) and np.abs(overlap.imag).max(initial=0.0) > 1e-8:
        raise FileFormatError("sisl's overlap matrix is complex; accepted are real ones.")
    return scatter, values, np.array(overlap.real, dtype=np.float64)


def _parts(
    spin: str, flat: list[NDArray[Any]], scatter: Scattering, orbitals: OrbitalMap
) -> SpinParts:
    """The decomposition of sisl's components, real or complex, in flat blocks."""
    pairs, basis = scatter.pairs, orbitals.basis
    if spin in ("unpolarized", "polarized"):
        return collinear_parts(pairs, basis, *flat)
    if not np.iscomplexobj(flat[0]):
        up, down, mixed, mixed_i, *more = flat
        flat = [up, down, mixed + 1j * mixed_i]
        if more:
            up_i, down_i, other, other_i = more
            flat = [up + 1j * up_i, down + 1j * down_i, flat[2], other + 1j * other_i]
    up, down, mixed, *more = flat
    # ↑↓ of a spin-orbit matrix is stored twice: the adjoint of ↓↑ tells it, too
    real, imaginary, defect = (
        mixed_mean(pairs, mixed, more[0]) if more else (mixed.real, mixed.imag, 0.0)
    )
    return spinor_parts(
        pairs,
        basis,
        (np.array(up.real), np.array(down.real), np.array(real)),
        (np.array(up.imag), np.array(down.imag), np.array(imaginary)),
        defect=defect,
    )
