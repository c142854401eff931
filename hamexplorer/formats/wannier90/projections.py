"""The projections block of ``seed.win``: which orbital each Wannier function began as.

Wannier90 lists, for every line and every site it names: l from −5 (sp3d2) to 3, within l the index
mr, and for spinors up and down in turn (tried against wannier90.x -pp of version 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NAMES", "ORDER", "Projection", "parse_projections"]

NAMES: dict[int, tuple[str, ...]] = {
    0: ("s",),
    1: ("pz", "px", "py"),
    2: ("dz2", "dxz", "dyz", "dx2-y2", "dxy"),
    3: ("fz3", "fxz2", "fyz2", "fz(x2-y2)", "fxyz", "fx(x2-3y2)", "fy(3x2-y2)"),
    -1: ("sp-1", "sp-2"),
    -2: ("sp2-1", "sp2-2", "sp2-3"),
    -3: ("sp3-1", "sp3-2", "sp3-3", "sp3-4"),
    -4: ("sp3d-1", "sp3d-2", "sp3d-3", "sp3d-4", "sp3d-5"),
    -5: ("sp3d2-1", "sp3d2-2", "sp3d2-3", "sp3d2-4", "sp3d2-5", "sp3d2-6"),
}
"""Wannier90's orbitals by l, in the sequence of mr; negative l are hybrids."""
ORDER: dict[int, tuple[int, ...]] = {
    0: (0,),
    1: (0, 1, -1),
    2: (0, 1, -1, 2, -2),
    3: (0, 1, -1, 2, -2, 3, -3),
}
"""m of the real harmonics by l, in the sequence of mr; no Condon–Shortley phase."""

_SHELLS = {
    **{"s": 0, "p": 1, "d": 2, "f": 3},
    **{"sp": -1, "sp2": -2, "sp3": -3, "sp3d": -4, "sp3d2": -5},
}
_SPIN = re.compile(r"\(\s*([ud])\s*(?:,\s*([ud])\s*)?\)\s*(\[[^\]]*\])?\s*$")
_SHELL_NOTE = re.compile(r"\bshell (\S+)\s*$")
_MAX_PROJECTIONS = 100_000


@dataclass(frozen=True)
class Projection:
    """One trial orbital.

    Attributes:
        centre: fractional.
        l: 0 … 3, negative for hybrids.
        mr: Wannier90's index in l, from 1.
        spin: +1, −1; 0 without spinors.
        plain: its axes are those of the cell's Cartesian frame, and so is its spin's.
        group: number of the line and site it comes from.
        note: label of its shell that we wrote beside it, or "".
    """

    centre: tuple[float, float, float]
    l: int  # noqa: E741
    mr: int
    spin: int
    plain: bool
    group: int
    note: str = ""

    @property
    def name(self) -> str:
        """Wannier90's name of the orbital."""
        return NAMES[self.l][self.mr - 1]


def parse_projections(
    lines: Sequence[str],
    sites: Mapping[str, Sequence[Sequence[float]]],
    lattice: NDArray[np.float64],
    bohr: float,
    *,
    spinors: bool,
) -> tuple[Projection, ...] | None:
    """The trial orbitals in Wannier90's order; None where a line is not understood or random.

    Args:
        lines: of the block, comments included.
        sites: fractional positions by lower-case label of ``seed.win``.
        lattice: rows, Å.
        bohr: Å.
        spinors: list up and down.
    """
    found: list[Projection] = []
    scale, group = 1.0, 0
    for line in lines:
        text, _, remark = line.replace("#", "!").partition("!")
        text = text.strip()
        if not text:
            continue
        if text.lower() in ("ang", "angstrom", "bohr"):
            scale = bohr if text.lower() == "bohr" else 1.0
            continue
        try:
            centres, orbitals, spins, plain = _line(text, sites, lattice, scale)
        except (ValueError, KeyError, IndexError, np.linalg.LinAlgError):
            return None
        note = _SHELL_NOTE.search(remark)
        for centre in centres:
            group += 1
            found += [
                Projection(centre, momentum, mr, spin, plain, group, note[1] if note else "")
                for momentum, mr in orbitals
                for spin in (spins if spinors else (0,))
            ]
        if len(found) > _MAX_PROJECTIONS:
            return None
    return tuple(found)


def _line(
    text: str,
    sites: Mapping[str, Sequence[Sequence[float]]],
    lattice: NDArray[np.float64],
    scale: float,
) -> tuple[list[tuple[float, float, float]], list[tuple[int, int]], tuple[int, ...], bool]:
    """Centres, (l, mr), spins, whether axes are plain; ValueError or KeyError if unclear."""
    spins: tuple[int, ...] = (1, -1)
    plain = True
    if spin := _SPIN.search(text):
        letters = {spin[1], spin[2]} - {None}
        spins = tuple(s for s, letter in ((1, "u"), (-1, "d")) if letter in letters)
        plain = spin[3] is None or _vector(spin[3].strip("[]")) == (0, 0, 1)
        text = text[: spin.start()]
    site, _, rest = text.partition(":")
    angular, *options = (part.strip().lower() for part in rest.split(":"))
    for option in options:
        key, _, value = option.partition("=")
        if key.strip() == "z":
            plain &= _vector(value) == (0, 0, 1)
        elif key.strip() == "x":
            plain &= _vector(value) == (1, 0, 0)
    return _centres(site, sites, lattice, scale), _orbitals(angular), spins, plain


def _centres(
    site: str,
    sites: Mapping[str, Sequence[Sequence[float]]],
    lattice: NDArray[np.float64],
    scale: float,
) -> list[tuple[float, float, float]]:
    key, _, value = site.strip().lower().partition("=")
    if not value:
        return [(float(x), float(y), float(z)) for x, y, z in sites[key.strip()]]
    vector = np.array(_vector(value))
    if key.strip() == "c":
        vector = np.linalg.solve(lattice.T, scale * vector)
    elif key.strip() != "f":
        raise KeyError(key)
    return [(float(vector[0]), float(vector[1]), float(vector[2]))]


def _orbitals(text: str) -> list[tuple[int, int]]:
    """(l, mr), each once, in Wannier90's order."""
    found = set()
    for part in text.replace(" ", "").split(";"):
        if part.startswith("l="):
            l_text, *mr = part[2:].split(",mr=")
            l = int(l_text)  # noqa: E741
            chosen = [int(word) for word in mr[0].split(",")] if mr else _all(l)
            found |= {(l, index) for index in chosen}
            continue
        hybrid = None
        for word in part.split(","):
            # sp3-1,2 and sp3-1,sp3-2 are both written
            name = f"{hybrid}-{word}" if hybrid and word.isdigit() else word
            if name in _SHELLS:
                found |= {(_SHELLS[name], index) for index in _all(_SHELLS[name])}
                continue
            found.add(_orbital(name))
            hybrid = name.split("-")[0] if "-" in name and name.startswith("sp") else None
    for l, index in found:  # noqa: E741
        if not 1 <= index <= len(NAMES[l]):
            raise ValueError(f"l = {l} has no mr = {index}")
    return sorted(found)


def _orbital(name: str) -> tuple[int, int]:
    """(l, mr) of a single orbital's name."""
    for momentum, names in NAMES.items():
        if name in names:
            return momentum, names.index(name) + 1
    raise KeyError(name)


def _all(l: int) -> range:  # noqa: E741
    return range(1, len(NAMES[l]) + 1)


def _vector(text: str) -> tuple[float, float, float]:
    x, y, z = (float(word) for word in text.replace(",", " ").split())
    return x, y, z
