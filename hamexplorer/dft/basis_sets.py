"""Gaussian bases and pseudopotentials by element: the registry, shells and their labels.

All bases go with the GTH-PBE pseudopotentials (Goedecker, Teter, Hutter, Phys. Rev. B 54, 1703
(1996); Krack, Theor. Chem. Acc. 114, 145 (2005)) as shipped with PySCF.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyscf.pbc.gto
import pyscf.pbc.gto.basis
from numpy.typing import NDArray
from pyscf.data.elements import CONFIGURATION, ELEMENTS, charge
from pyscf.gto.basis import parse_cp2k
from pyscf.pbc.gto import Cell
from pyscf.pbc.gto.pseudo import load as load_pseudo

from hamexplorer.dft.spin_orbit_parameters import has_spin_orbit_parameters
from hamexplorer.errors import SettingsError, UnsupportedElementError
from hamexplorer.hamiltonian import Shell

__all__ = [
    "BASIS_SETS",
    "PSEUDOPOTENTIAL",
    "AtomicShells",
    "atomic_shells",
    "check_elements",
    "first_valence_n",
    "supported_elements",
    "valence_charge",
]

PSEUDOPOTENTIAL = "gth-pbe"


@dataclass(frozen=True)
class BasisSet:
    """A basis of the registry: PySCF's name or a file of its wheel (CP2K format), a citation."""

    source: str
    is_file: bool
    citation: str


_MOLOPT = "J. VandeVondele, J. Hutter, J. Chem. Phys. 127, 114105 (2007)"
BASIS_SETS: dict[str, BasisSet] = {
    "gth-dzvp-molopt-sr": BasisSet("gth-dzvp-molopt-sr", False, _MOLOPT),
    "gth-szv-molopt-sr": BasisSet("gth-szv-molopt-sr", False, _MOLOPT),
    "gth-szv": BasisSet("gth-szv", False, _MOLOPT),
    "gth-dzvp": BasisSet("gth-dzvp", False, _MOLOPT),
    "uzh-dzvp": BasisSet("DZVP", True, "CP2K's BASIS_MOLOPT_UZH"),
    "uzh-tzv2p": BasisSet("TZV2P", True, "CP2K's BASIS_MOLOPT_UZH"),
}
"""The names that :class:`~hamexplorer.dft.settings.DftSettings` accepts."""


@dataclass(frozen=True)
class AtomicShells:
    """Contracted Gaussians of one element, in the basis's order.

    Shell s is χ(r) = Σ_p coefficients[s][p] r^l exp(−exponents[s][p] r²) Y_lm, radially
    normalised; bohr. ``shells`` carries the labels.
    """

    shells: tuple[Shell, ...]
    exponents: tuple[NDArray[np.float64], ...]
    coefficients: tuple[NDArray[np.float64], ...]

    @property
    def smallest_exponent(self) -> float:
        """The most diffuse Gaussian's exponent, 1/bohr²."""
        return float(min(e.min() for e in self.exponents))


def pyscf_basis(element: str, name: str) -> list[object]:
    """PySCF's own data of the element's basis.

    Raises:
        SettingsError: the basis is not in the registry.
        UnsupportedElementError: it has no such element.
    """
    if name not in BASIS_SETS:
        raise SettingsError(f"basis {name!r} is not known; there are {', '.join(BASIS_SETS)}.")
    entry = BASIS_SETS[name]
    try:
        if not entry.is_file:
            with warnings.catch_warnings():
                # PySCF recommends another package before it says that an element is missing
                warnings.simplefilter("ignore")
                return list(pyscf.pbc.gto.basis.load(entry.source, element))
        return _load_uzh(element, entry.source)
    except (KeyError, RuntimeError, FileNotFoundError) as error:
        raise UnsupportedElementError(f"The basis {name} has no {element}.") from error


def _load_uzh(element: str, kind: str) -> list[object]:
    path = Path(pyscf.pbc.gto.basis.__file__).parent / "BASIS_MOLOPT_UZH"
    pattern = re.compile(
        rf"^\s*{element}\s+{kind}-MOLOPT-(?:PBE|GGA|SR-GTH|PBE-GTH)\S*-q{valence_charge(element)}\b"
    )
    lines = path.read_text().splitlines()
    for start, line in enumerate(lines):
        if pattern.match(line):
            end = next(
                (
                    stop
                    for stop in range(start + 1, len(lines))
                    if lines[stop].startswith("#")
                    or re.match(r"^\s*[A-Z][a-z]?\s+\S*-", lines[stop])
                ),
                len(lines),
            )
            return list(parse_cp2k.parse("\n".join(lines[start:end])))
    raise KeyError(element)


@lru_cache(maxsize=256)
def atomic_cell(element: str, name: str) -> Cell:
    """The atom alone, built by PySCF with its basis and pseudopotential."""
    cell = Cell()
    cell.unit = "B"
    cell.a = np.eye(3) * 40.0
    cell.atom = [(element, (0.0, 0.0, 0.0))]
    cell.basis = {element: pyscf_basis(element, name)}
    cell.pseudo = PSEUDOPOTENTIAL
    cell.spin = valence_charge(element) % 2
    cell.verbose = 0
    cell.precision = 1e-8
    cell.mesh = [1, 1, 1]
    cell.build(dump_input=False, parse_arg=False)
    return cell


@lru_cache(maxsize=256)
def valence_charge(element: str) -> int:
    """Electrons that the GTH-PBE pseudopotential leaves.

    Raises:
        UnsupportedElementError: there is no pseudopotential.
    """
    try:
        return int(sum(load_pseudo(PSEUDOPOTENTIAL, element)[0]))
    except (KeyError, RuntimeError) as error:
        raise UnsupportedElementError(
            f"There is no {PSEUDOPOTENTIAL} pseudopotential for {element}."
        ) from error


@lru_cache(maxsize=256)
def atomic_shells(element: str, name: str) -> AtomicShells:
    """Radial functions and labelled shells of an element's basis.

    The first radial function of each l takes the lowest principal quantum number of the
    pseudopotential's valence shells, the following ones count up: Mo 4s 5s 6s 4p 5p 4d 5d 4f.
    """
    cell = atomic_cell(element, name)
    next_n = first_valence_n(element)
    shells: list[Shell] = []
    exponents, coefficients = [], []
    for b in range(cell.nbas):
        l = int(cell.bas_angular(b))  # noqa: E741
        contraction = cell._libcint_ctr_coeff(b)
        for c in range(cell.bas_nctr(b)):
            n = next_n.get(l, l + 1)
            next_n[l] = n + 1
            shells.append(Shell(f"{n}{'spdfgh'[l]}", l))
            exponents.append(np.array(cell.bas_exp(b)))
            coefficients.append(np.array(contraction[:, c]))
    return AtomicShells(tuple(shells), tuple(exponents), tuple(coefficients))


def first_valence_n(element: str) -> dict[int, int]:
    """By l = 0 … 3, the lowest principal quantum number outside the pseudopotential's core."""
    pseudo = load_pseudo(PSEUDOPOTENTIAL, element)[0]
    configuration = CONFIGURATION[charge(element)]
    result = {}
    for l in range(4):  # noqa: E741
        full = -(-configuration[l] // (4 * l + 2))
        valence = -(-(pseudo[l] if l < len(pseudo) else 0) // (4 * l + 2))
        result[l] = l + 1 + full - valence
    return result


def check_elements(elements: set[str], name: str, spin_orbit: bool) -> None:
    """Raise an error that names every element the engine cannot compute, and why."""
    reasons = []
    for element in sorted(elements, key=charge):
        try:
            valence_charge(element)
            pyscf_basis(element, name)
        except UnsupportedElementError as error:
            reasons.append(str(error))
            continue
        if spin_orbit and not has_spin_orbit_parameters(element, valence_charge(element)):
            reasons.append(f"There are no spin-orbit parameters for {element}.")
    if reasons:
        raise UnsupportedElementError(
            " ".join(reasons) + " The embedded engine computes H–Ba and Hf–Rn."
        )


@lru_cache(maxsize=8)
def supported_elements(name: str = "gth-dzvp-molopt-sr") -> frozenset[str]:
    """Elements with basis, pseudopotential and spin-orbit parameters."""
    found = []
    for element in ELEMENTS[1:]:
        try:
            check_elements({element}, name, True)
        except UnsupportedElementError:
            continue
        found.append(element)
    return frozenset(found)
