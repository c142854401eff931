"""Crystal and basis of an ABACUS calculation, from ``STRU``, its log, or a ``.csr`` of 3.11 on.

``STRU``: sections ATOMIC_SPECIES, NUMERICAL_ORBITAL (file names such as
``Mo_gga_9au_100Ry_4s2p2d1f.orb`` tell the shells), LATTICE_CONSTANT in bohr, LATTICE_VECTORS in
that unit, and ATOMIC_POSITIONS: their kind, then for each species its label, moment, number of
atoms and positions. ``running_scf.log`` tells all of it, the lattice to six digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.hamiltonian import Shell

__all__ = ["BOHR", "Crystal", "Run", "crystal_of_header", "parse_log", "parse_stru"]

BOHR = 0.529177
"""ABACUS's own bohr in Å."""
_LETTERS = "spdfghi"
_MAX_ATOMS = 10**6
_SECTIONS = (
    "ATOMIC_SPECIES",
    "NUMERICAL_ORBITAL",
    "NUMERICAL_DESCRIPTOR",
    "LATTICE_CONSTANT",
    "LATTICE_VECTORS",
    "LATTICE_PARAMETERS",
    "ATOMIC_POSITIONS",
    "ABFS_ORBITAL",
    "PAW_FILES",
)
_ORBITAL_FILE = re.compile(r"_((?:\d+[spdfghi])+)\.orb$", re.IGNORECASE)
_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_FERMI = re.compile(rf"EFERMI\s*=\s*{_NUMBER}\s*eV")
_FERMI_TABLE = re.compile(rf"^\s*E_Fermi\s+{_NUMBER}\s+{_NUMBER}\s*$", re.MULTILINE)
_ELECTRONS = re.compile(
    rf"^\s*(?:AUTOSET )?number of electrons\s*[:=\s]+{_NUMBER}\s*$", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class Crystal:
    """Lattice (rows) and positions in Å, species label by atom; shells by label, {} if not told."""

    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    labels: tuple[str, ...]
    shells: dict[str, tuple[Shell, ...]]


@dataclass(frozen=True, eq=False)
class Run:
    """What a log tells: the crystal (None if not all of it), electrons, Fermi energy in eV."""

    crystal: Crystal | None
    n_electrons: float | None
    fermi_energy: float | None


def parse_stru(text: str, name: str) -> Crystal:
    """The crystal of a ``STRU``.

    Raises:
        FileFormatError: a section is missing or damaged, or of a kind that is not read.
    """
    sections = _sections(text)
    try:
        constant = float(sections["LATTICE_CONSTANT"][0].split()[0]) * BOHR
        lattice = constant * _rows(sections["LATTICE_VECTORS"][:3])
        labels, places = _atoms(sections["ATOMIC_POSITIONS"])
        positions = _cartesian(sections["ATOMIC_POSITIONS"][0], places, lattice, constant, name)
        kinds = [line.split()[0] for line in sections["ATOMIC_SPECIES"]]
        files = [line.split()[0] for line in sections.get("NUMERICAL_ORBITAL", [])]
    except KeyError as error:
        raise FileFormatError(f"{name} has no section {error.args[0]}.") from error
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{name} is damaged: {error}.") from error
    shells = {}
    for label, file in zip(kinds, files, strict=False):
        match = _ORBITAL_FILE.search(file)
        if match is not None:
            counts = re.findall(r"(\d+)([a-z])", match[1].lower())
            shells[label] = _shells({letter: int(count) for count, letter in counts}, name)
    return _checked(Crystal(lattice, positions, tuple(labels), shells), name)


def parse_log(text: str, name: str) -> Run:
    """What a ``running_*.log`` tells, of several steps the last.

    Raises:
        FileFormatError: damaged.
    """
    fermi = _FERMI.findall(text)
    if not fermi:
        fermi = [in_ev for _, in_ev in _FERMI_TABLE.findall(text)]
    electrons = _ELECTRONS.findall(text)
    try:
        return Run(
            _log_crystal(text, name),
            float(electrons[-1]) if electrons else None,
            float(fermi[-1]) if fermi else None,
        )
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{name} is damaged: {error}.") from error


def crystal_of_header(text: str, name: str) -> Crystal | None:
    """The crystal in the header of a ``.csr`` of 3.11 on; None in older ones.

    Raises:
        FileFormatError: damaged.
    """
    lines = [line.strip() for line in text.splitlines()]
    kinds = [k for k, line in enumerate(lines) if line.lower() in ("direct", "cartesian")]
    if not kinds or kinds[0] < 7:
        return None
    at = kinds[0]
    try:
        scale = float(lines[at - 6])
        lattice = scale * _rows(lines[at - 5 : at - 2])
        symbols, counts = lines[at - 2].split(), [int(w) for w in lines[at - 1].split()]
        if len(symbols) != len(counts) or not 0 < sum(counts) < _MAX_ATOMS or min(counts) < 0:
            raise ValueError(f"{symbols} with {counts} atoms")
        labels = tuple(s for s, n in zip(symbols, counts, strict=True) for _ in range(n))
        places = _rows(lines[at + 1 : at + 1 + len(labels)])
        positions = places @ lattice if lines[at].lower() == "direct" else scale * places
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{name} is damaged: its crystal: {error}.") from error
    return _checked(Crystal(lattice, positions, labels, {}), name)


def _rows(lines: Sequence[str]) -> NDArray[np.float64]:
    """The first three numbers of each line."""
    return np.array([[float(w) for w in line.split()[:3]] for line in lines])


def _sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    inside: list[str] = []
    for line in text.splitlines():
        line = re.split(r"#|//", line)[0].strip()
        if line.split()[:1] and line.split()[0] in _SECTIONS:
            inside = found.setdefault(line.split()[0], [])
        elif line:
            inside.append(line)
    return found


def _atoms(lines: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Label and position of every atom."""
    labels: list[str] = []
    places: list[list[float]] = []
    at = 1
    while at < len(lines):
        label, count = lines[at].split()[0], int(lines[at + 2].split()[0])
        if not 0 <= count <= len(lines) - at - 3:
            raise ValueError(f"species {label} announces {count} atoms")
        rows = lines[at + 3 : at + 3 + count]
        labels += [label] * count
        places += [[float(w) for w in row.split()[:3]] for row in rows]
        at += 3 + count
    return labels, np.array(places, dtype=float)


def _cartesian(
    kind: str,
    places: NDArray[np.float64],
    lattice: NDArray[np.float64],
    constant: float,
    name: str,
) -> NDArray[np.float64]:
    """Positions in Å of a section ATOMIC_POSITIONS that begins with ``kind``."""
    kind = kind.split()[0].lower()
    if kind == "direct":
        return places @ lattice
    factors = {"cartesian": constant, "cartesian_angstrom": 1.0, "cartesian_au": BOHR}
    if kind not in factors:
        raise FileFormatError(
            f"{name} has positions of the kind {kind!r}; read are Direct, "
            f"{', '.join(k.capitalize() for k in factors)}."
        )
    return places * factors[kind]


def _log_crystal(text: str, name: str) -> Crystal | None:
    zetas: dict[str, dict[str, int]] = {}
    label = ""
    lines = text.splitlines()
    constant, lattice, start = None, None, None
    for at, line in enumerate(lines):
        if match := re.match(r"\s*atom label = (\S+)", line):
            label = match[1]
            zetas[label] = {}
        elif match := re.match(r"\s*L=(\d+), number of zeta = (\d+)", line):
            if int(match[1]) < len(_LETTERS) and label:
                zetas[label][_LETTERS[int(match[1])]] = int(match[2])
        elif match := re.match(rf"\s*lattice constant \(Angstrom\) = {_NUMBER}", line):
            constant = float(match[1])
        elif line.strip() in ("DIRECT COORDINATES", "CARTESIAN COORDINATES"):
            start = at
        elif line.strip().startswith("Lattice vectors: (Cartesian"):
            lattice = _rows(lines[at + 1 : at + 4])
    if constant is None or lattice is None or start is None or not zetas:
        return None
    lattice = lattice * constant
    atoms = []
    for line in lines[start + 2 :]:
        match = re.match(rf"\s*tau[cd]_(\S+?)\d*\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}", line)
        if match is None:
            break
        atoms.append(match)
    labels = tuple(_known(match[1], match[0].split()[0][5:], zetas) for match in atoms)
    places = np.array([[float(match[k]) for k in (2, 3, 4)] for match in atoms]).reshape(-1, 3)
    positions = places @ lattice if "DIRECT" in lines[start] else places * constant
    shells = {label: _shells(of, name) for label, of in zetas.items()}
    return _checked(Crystal(lattice, positions, labels, shells), name)


def _known(label: str, numbered: str, labels: dict[str, dict[str, int]]) -> str:
    """The label in ``Fe21`` (atom 1 of label Fe2, or 21 of Fe): the longest that is known."""
    fits = [known for known in labels if numbered.startswith(known)]
    return max(fits, key=len, default=label)


def _shells(zetas: dict[str, int], name: str) -> tuple[Shell, ...]:
    """Shells s1, s2, p1, …: ABACUS's radial functions of each l, in the order of l."""
    if any(count > 30 for count in zetas.values()):
        raise FileFormatError(f"{name} has a species with {zetas} radial functions.")
    return tuple(
        Shell(f"{letter}{k + 1}", momentum)
        for momentum, letter in enumerate(_LETTERS)
        for k in range(zetas.get(letter, 0))
    )


def _checked(crystal: Crystal, name: str) -> Crystal:
    numbers = (crystal.lattice, crystal.positions)
    shapes = ((3, 3), (len(crystal.labels), 3))
    if any(a.shape != s for a, s in zip(numbers, shapes, strict=True)) or not crystal.labels:
        raise FileFormatError(f"{name} is damaged: its lattice or positions are not complete.")
    if not all(np.isfinite(a).all() for a in numbers):
        raise FileFormatError(f"{name} is damaged: a coordinate is not a finite number.")
    # written so that NaN fails, too
    if not 1e-3 < abs(np.linalg.det(crystal.lattice)) < 1e12:
        raise FileFormatError(f"{name} is damaged: its cell has no volume.")
    return replace(crystal, shells={k: v for k, v in crystal.shells.items() if v})
