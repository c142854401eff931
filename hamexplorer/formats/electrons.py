"""The number of electrons of a file that tells only its Fermi energy, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from hamexplorer.errors import HamiltonianError
from hamexplorer.formats.options import ReadOptions
from hamexplorer.hamiltonian import BlochSum, Hamiltonian

__all__ = [
    "ASSUMED",
    "SMEARING",
    "UNWRITTEN",
    "ElectronCount",
    "are_assumed",
    "can_recount",
    "count_electrons",
    "recount",
    "with_electrons",
]

SMEARING = 0.02
"""Width kT (eV) with which states at the Fermi energy are counted."""
_COARSE, _FINE = 0.12, 0.025  # 1/Å, of the meshes, without 2π
_MAX_COST = 2e10  # n³ summed over k-points: some ten seconds
_BATCH = 4_000_000  # matrix elements at once
_GAP = 8.0  # kT from the Fermi energy within which a level makes a metal
_CLEAR = 0.2
_NONE = 1e-3  # electrons beside all or none
_ORIGIN = "n_electrons_from"
_HALF = "half filling"
UNWRITTEN = "The number of electrons was an assumption (half of all states) and is not written."
"""What a writer says of it."""
ASSUMED = "The file does not tell how many electrons there are"
"""How a warning begins that no longer holds when somebody gives the number."""
_COUNTED = "Up to the Fermi energy"


@dataclass(frozen=True)
class ElectronCount:
    """Electrons per cell, both spins, and how far the counted number was from a whole one."""

    n_electrons: float
    deviation: float


def count_electrons(h: Hamiltonian, fermi_energy: float) -> ElectronCount:
    """States below ``fermi_energy`` (eV) on a Γ-centred mesh, rounded to a whole number.

    N = (1/n_k) Σ_nk f((E_nk − E_F)/kT) over spinor states at full spin–orbit strength. A metal,
    with states near E_F, is counted again on a fine mesh.
    """
    counted, nearest = _counted(h, fermi_energy, _COARSE)
    if nearest < _GAP * SMEARING:
        counted, _ = _counted(h, fermi_energy, _FINE)
    return ElectronCount(float(round(counted)), counted - round(counted))


def _counted(h: Hamiltonian, fermi_energy: float, spacing: float) -> tuple[float, float]:
    """N on the mesh of ``spacing`` (1/Å, without 2π), and the distance of the nearest level, eV."""
    lengths = np.linalg.norm(h.structure.lattice.reciprocal_lattice_crystallographic.matrix, axis=1)
    mesh = np.maximum(1, np.ceil(lengths / spacing)).astype(int)
    spinor = h.has_spin_orbit or h.is_magnetic
    n = h.basis.n_orbitals * (2 if spinor else 1)
    while mesh.prod() > 1 and mesh.prod() * float(n) ** 3 > _MAX_COST:
        mesh = np.maximum(1, mesh - 1)
    k = np.stack(np.meshgrid(*(np.arange(m) / m for m in mesh), indexing="ij"), axis=-1)
    k = k.reshape(-1, 3)
    bloch = BlochSum(h, "cpu")
    total, nearest = 0.0, np.inf
    for some in np.array_split(k, max(1, len(k) * n * n // _BATCH)):
        matrices = bloch(some)
        hamiltonian = matrices.spinor() if spinor else matrices.scalar
        overlap = matrices.spinor_overlap() if spinor else matrices.overlap
        lower, failed = torch.linalg.cholesky_ex(overlap)
        if bool(failed.any()):
            at = some[int(failed.argmax())].round(3).tolist()
            raise HamiltonianError(f"The overlap is not positive definite at k = {at}.")
        half = torch.linalg.solve_triangular(lower, hamiltonian, upper=False)
        reduced = torch.linalg.solve_triangular(lower, half.mH, upper=False)
        energies = torch.linalg.eigvalsh(reduced).numpy() - fermi_energy
        total += float(np.sum(0.5 - 0.5 * np.tanh(energies / (2 * SMEARING))))
        nearest = min(nearest, float(np.abs(energies).min()))
    return total * (1 if spinor else 2) / len(k), nearest


def with_electrons(
    h: Hamiltonian,
    options: ReadOptions,
    fermi_energy: float | None = None,
    told: float | None = None,
) -> Hamiltonian:
    """``h`` with the best known number of electrons; the one that it has means nothing.

    In this order: the user's number; counted up to the user's Fermi energy; the file's own number
    ``told``, which needs no record; counted up to the file's
    ``fermi_energy`` (eV); else half of all states, with a warning that this is an assumption.
    """
    if told is not None and options.n_electrons is None and options.fermi_energy is None:
        # a large Hamiltonian is not checked anew for the number that it has
        return h if h.n_electrons == told else replace(h, n_electrons=told)
    fermi = fermi_energy if options.fermi_energy is None else options.fermi_energy
    warnings = list(h.provenance.warnings)
    if options.n_electrons is not None:
        n_electrons, origin, fermi = options.n_electrons, "user", None
    elif fermi is None:
        n_electrons, origin = float(h.basis.n_orbitals), _HALF
        warnings.append(
            f"{ASSUMED}: half of all states are taken to be filled ({n_electrons:g} electrons). "
            "Gap and Fermi level mean nothing until the number of electrons or the Fermi energy is "
            "given (--electrons, --fermi)."
        )
    else:
        count = count_electrons(h, fermi)
        n_electrons, origin = count.n_electrons, "Fermi energy"
        states = 2 * h.basis.n_orbitals
        if n_electrons in (0, states) and abs(count.deviation) < _NONE:
            warnings.append(
                f"{_COUNTED} {fermi:.4f} eV there are "
                + ("no states" if n_electrons == 0 else f"all {states} states")
                + ": it lies outside the spectrum. Give another (--fermi) or --electrons if that "
                "is wrong."
            )
        elif abs(count.deviation) > _CLEAR:
            warnings.append(
                f"{_COUNTED} {fermi:.4f} eV there are "
                f"{n_electrons + count.deviation:.2f} electrons, which is no whole number; "
                f"{n_electrons:g} are taken. Give --electrons if that is wrong."
            )
    provenance = replace(
        h.provenance,
        warnings=tuple(warnings),
        results={
            **h.provenance.results,
            _ORIGIN: origin,
            **({} if fermi is None else {"fermi_energy_eV": fermi}),
        },
    )
    return replace(h, n_electrons=n_electrons, provenance=provenance)


def are_assumed(h: Hamiltonian) -> bool:
    """Whether the number of electrons of ``h`` is half of all states for want of better."""
    return h.provenance.results.get(_ORIGIN) == _HALF


def can_recount(h: Hamiltonian) -> bool:
    """Whether the number of electrons of ``h`` is no file's word, so that its owner may correct it.

    The record of origin tells: ``results["n_electrons_from"]``, as :func:`with_electrons` left it.
    """
    return _ORIGIN in h.provenance.results


def recount(h: Hamiltonian, options: ReadOptions) -> Hamiltonian:
    """``h`` of :func:`with_electrons` with another number of electrons, or another Fermi energy."""
    warnings = tuple(w for w in h.provenance.warnings if not w.startswith((ASSUMED, _COUNTED)))
    return with_electrons(replace(h, provenance=replace(h.provenance, warnings=warnings)), options)
