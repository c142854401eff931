"""How the shipped free atoms are made: occupations, confinement, step.

Occupations are those of the ground state that PySCF's table of configurations gives, spread
evenly over each shell. The confinement radius is where the density of the unconfined atom falls to
1e-8 bohr⁻³, rounded up to half a bohr and at most 15 bohr.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
_LARGEST_RADIUS = 15.0
_END_DENSITY = 1e-8
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
    "radius_rule": f"density of the unconfined atom = {_END_DENSITY} / bohr^3, at most "
    f"{_LARGEST_RADIUS} bohr",
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
    """Valence electrons by shell."""
    valence_charge(element)  # says so where there is no pseudopotential
    first = first_valence_n(element)
    shells = []
    for l, electrons in enumerate(CONFIGURATION[charge(element)]):  # noqa: E741
        room = 4 * l + 2
        left = electrons - room * (first[l] - l - 1)
        level = 0
        while left > 0:
            label = f"{first[l] + level}{'spdf'[l]}"
            shells.append(Occupation(label, l, level, float(min(left, room))))
            left -= room
            level += 1
    return tuple(shells)


def confinement_radius(free: AtomState) -> float:
    """Bohr, from an unconfined atom."""
    beyond = np.flatnonzero(free.density > _END_DENSITY)[-1]
    fine = np.linspace(free.mesh.r[beyond], free.mesh.r[beyond + 1], 200)
    radius = fine[free.mesh.at(free.density, fine) > _END_DENSITY][-1]
    return float(min(np.ceil(2 * radius) / 2, _LARGEST_RADIUS))


def magnetic_shell(shells: tuple[Occupation, ...]) -> int:
    """Index of the shell whose electrons carry a moment.

    d in groups 3 to 11, that is unless it is full under a full s; else p of the last period where
    it is occupied, else s.
    """
    last = max(int(o.label[0]) for o in shells)
    outer_s = sum(o.electrons for o in shells if o.l == 0 and int(o.label[0]) == last)
    for index, o in enumerate(shells):
        if o.l == 2 and (o.electrons < 10 or outer_s < 2 or int(o.label[0]) == last):
            return index
    outer = [i for i, o in enumerate(shells) if int(o.label[0]) == last]
    return max(outer, key=lambda i: shells[i].l)


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
