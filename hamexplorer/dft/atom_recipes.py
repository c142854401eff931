"""How the shipped free atoms are made: occupations, confinement, step.

Occupations are those of the ground state that PySCF's table of configurations gives, spread evenly
over each shell, except in the d block: with N valence electrons in d and the s above it, groups 3
to 10 are d^(N−2) s², group 11 is d^9.5 s^1.5. The free atoms' d^(N−1) s¹ of Cr, Nb, Mo, Ru, Rh, Pt
and d^10 s⁰⁻¹ of Pd, Cu, Ag, Au lie far from what these atoms are in crystals.

The confinement radius is where the density of the unconfined atom falls to 5e-5 bohr⁻³, rounded up
to 0.1 bohr (3.7 to 8.9 bohr): atoms that are squeezed a little are nearer to those of a crystal
than free ones. docs/superposed-atoms.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.optimize
from pymatgen.core import Element
from pyscf.data.elements import CONFIGURATION, charge

from hamexplorer.dft.atom_tables import AtomLibrary, FreeAtom
from hamexplorer.dft.basis_sets import (
    PSEUDOPOTENTIAL,
    first_valence_n,
    supported_elements,
    valence_charge,
)
from hamexplorer.dft.free_atom import AtomState, Confinement, Occupation, solve_atom
from hamexplorer.errors import UnsupportedElementError
from hamexplorer.progress import Monitor
from hamexplorer.provenance import package_versions

__all__ = [
    "GENERATOR",
    "build_atom",
    "build_library",
    "confinement_radius",
    "magnetic_shell",
    "occupations",
    "tables",
]

_STEP = 0.01
_END_DENSITY = 5e-5
_INNER_FRACTION = 0.7
_HEIGHT = 20.0

GENERATOR = {
    "functional": "PBE",
    "pseudopotential": PSEUDOPOTENTIAL,
    "spin": "unpolarised",
    "step_bohr": _STEP,
    "confinement": "V0 exp(-(R - ri)/(r - ri))/(R - r) for ri < r < R",
    "confinement_height_ha_bohr": _HEIGHT,
    "confinement_inner_fraction": _INNER_FRACTION,
    "confinement_radius": f"density of the unconfined atom = {_END_DENSITY} / bohr^3, rounded up "
    "to 0.1 bohr",
    "occupations": "ground state; d^(N-2) s^2 in groups 3 to 10, d^9.5 s^1.5 in group 11",
}
"""What the record of a library says of how it was made."""


def build_atom(element: str) -> FreeAtom:
    """The tables of an element, confined, by this module's rules.

    Raises:
        UnsupportedElementError: the element has no pseudopotential.
        ConvergenceError: the atom did not converge.
    """
    shells = occupations(element)
    radius = confinement_radius(solve_atom(element, shells))
    confinement = Confinement(radius, _INNER_FRACTION * radius, _HEIGHT)
    return tables(element, solve_atom(element, shells, confinement), radius)


def build_library(
    elements: Sequence[str] | None = None, monitor: Monitor | None = None
) -> AtomLibrary:
    """The atoms of ``elements``, by default of all 71, in the order of atomic number.

    Raises:
        UnsupportedElementError: an element is not one of the 71.
        ConvergenceError: an atom did not converge.
        CalculationCancelled: ``monitor`` says so.
    """
    monitor = monitor or Monitor()
    supported = supported_elements()
    unknown = sorted(set(elements or ()) - supported)
    if unknown:
        raise UnsupportedElementError(
            f"There is no free atom {', '.join(unknown)}; accepted are H–Ba and Hf–Rn."
        )
    chosen = sorted(set(elements or supported), key=charge)
    atoms = {}
    for index, element in enumerate(chosen):
        monitor.report("Free atoms", index / len(chosen), element)
        atoms[element] = build_atom(element)
    monitor.report("Done", 1.0)
    return AtomLibrary(atoms, GENERATOR, package_versions("numpy", "scipy", "pyscf"))


def occupations(element: str) -> tuple[Occupation, ...]:
    """Valence electrons by shell, by this module's rules; shells by l, then by n.

    Raises:
        UnsupportedElementError: the element has no pseudopotential.
    """
    valence_charge(element)
    first = first_valence_n(element)
    electrons = [float(count) for count in CONFIGURATION[charge(element)]]
    in_core = [(4 * l + 2) * (first[l] - l - 1) for l in range(4)]  # noqa: E741
    group, row = Element(element).group, Element(element).row
    if 3 <= group <= 11 and electrons[3] in (0, 14):
        outer_s = 1.5 if group == 11 else 2.0
        electrons[0] = 2 * (row - 1) + outer_s
        electrons[2] = 10 * (row - 4) + group - outer_s
    shells = []
    for l, total in enumerate(electrons):  # noqa: E741
        left, room = total - in_core[l], 4.0 * l + 2
        for level in range(4):
            if left <= 0:
                break
            label = f"{first[l] + level}{'spdf'[l]}"
            shells.append(Occupation(label, l, level, min(left, room)))
            left -= room
    return tuple(shells)


def confinement_radius(free: AtomState) -> float:
    """Bohr, from an unconfined atom."""
    last = np.flatnonzero(free.density > _END_DENSITY)[-1]
    radius = scipy.optimize.brentq(
        lambda r: free.mesh.at(free.density, np.array([r]))[0] - _END_DENSITY,
        free.mesh.r[last],
        free.mesh.r[last + 1],
    )
    return float(np.ceil(10 * radius)) / 10


def magnetic_shell(shells: tuple[Occupation, ...]) -> int:
    """Index of the shell whose electrons carry a moment.

    An open d (groups 3 to 11), else p of the last period where it is occupied, else its s.
    """
    last = max(int(o.label[0]) for o in shells)
    candidates = [
        index
        for index, o in enumerate(shells)
        if int(o.label[0]) == last or (o.l == 2 and o.electrons < 10)
    ]
    return max(candidates, key=lambda index: shells[index].l)


def tables(element: str, state: AtomState, confinement: float) -> FreeAtom:
    """An atom's functions at equal steps up to the end of its mesh."""
    end = state.mesh.r[-1]
    radii = _STEP * np.arange(round(end / _STEP) + 1)
    radii[-1] = end
    radial = np.array([state.mesh.at(state.mesh.over_r(u), radii) for u in state.waves])
    shells = state.occupations
    density = np.array([o.electrons for o in shells]) @ radial**2 / (4 * np.pi)
    magnetic = radial[magnetic_shell(shells)] ** 2 / (4 * np.pi)
    potential = state.mesh.at(state.neutral_potential, radii)
    for table in (density, potential, magnetic):
        table[-1] = 0.0
    return FreeAtom(
        element=element,
        step=_STEP,
        density=density,
        potential=potential,
        magnetic=magnetic,
        occupations=tuple((o.label, o.electrons) for o in shells),
        eigenvalues=tuple(float(e) for e in state.eigenvalues),
        confinement=confinement,
    )
