"""The linear fit of atoms' potentials U_E(r) to self-consistent Hamiltonians.

With the matrices M_Ek of the radial functions (:func:`.residual.radial_functions`) around all atoms
of an element E, superposed free atoms' H0 and the self-consistent H of a crystal s,

    minimise Σ_s ‖H_s − H0_s − c_s S_s − Σ_Ek u_Ek M_Ek,s‖² / n_s + µ Σ_Ek (u_Ek d_Ek)²

                + κ Σ_layers (c_s − c_0)² ‖S_s‖² / n_s

over u, one constant c_s per crystal, as zeros of energy differ, and c_0; n_s are a crystal's atoms,
d_Ek² the diagonal of the normal matrix. A layer's zero is the vacuum level in both Hamiltonians:
κ keeps the constants of all layers near to each other, so that the levels of different ones, one
upon another, are aligned. µ is the one with the least error on compounds that were left out
(geometric mean over the crystals); the covariance of u is the jackknife's over compounds. Every
crystal enters by its normal equations alone, so that leaving one out costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hamexplorer.dft.assembly import user_cells
from hamexplorer.dft.superposed.engine import (
    free_atoms,
    local_blocks,
    prepared,
    static_blocks,
)
from hamexplorer.dft.superposed.potential import RadialPotentials, SuperposedPotential
from hamexplorer.dft.superposed.residual import (
    EXPONENTS,
    REACH,
    AtomicResiduals,
    atoms_digest,
    radial_functions,
)
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.hamiltonian import Hamiltonian, Pairs
from hamexplorer.progress import Monitor
from hamexplorer.units import HARTREE_EV

__all__ = [
    "CrossValidation",
    "NormalEquations",
    "common_elements",
    "fit",
    "load_normal_equations",
    "normal_equations",
    "save_normal_equations",
]

_STEP = 0.01
PENALTIES: tuple[float, ...] = tuple(10.0**k for k in range(-5, 2))
"""µ that are tried."""
_EXACT = 1e-6
"""Below it an error's ratio is rounding."""
STIFFNESS = 0.1
"""κ: of 0.01, 0.1, 1, 10 the one with the least error on compounds that were left out."""


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """‖t − X u − c S‖² of one crystal as a quadratic form of u and c; Ha².

    Attributes:
        name: of the crystal.
        compound: crystals of one compound are left out together.
        elements: whose coefficients u holds, n_exponents each.
        layer: whether its zero of energy is the vacuum level.
        matrix: (X, S)ᵀ(X, S)/n, (p + 1, p + 1).
        vector: (X, S)ᵀt/n, (p + 1,).
        square: tᵀt/n.
        count: matrix elements per atom.
    """

    name: str
    compound: str
    elements: tuple[str, ...]
    layer: bool
    matrix: NDArray[np.float64]
    vector: NDArray[np.float64]
    square: float
    count: float

    def without_constant(self, stiffness: float = 0.0) -> Reduced:
        """The form of u and c_0 at the best c; ``stiffness`` is κ. In bulk c_0 is not in it."""
        along = self.matrix[:, -1]
        weight = along[-1] * (1 + (stiffness if self.layer else 0.0))
        return Reduced(
            self.matrix - np.outer(along, along) / weight,
            self.vector - along * (self.vector[-1] / weight),
            self.square - float(self.vector[-1] ** 2 / weight),
        )

    def rms(self, coefficients: NDArray[np.float64]) -> float:
        """Root mean square of t − X u − c S over all matrix elements at the best c, Ha; u (p,)."""
        form, u = self.without_constant(), np.append(coefficients, 0.0)
        total = form.square - 2 * float(u @ form.vector) + float(u @ form.matrix @ u)
        return float(np.sqrt(max(total, 0.0) / self.count))

    def constant(self, coefficients: NDArray[np.float64]) -> float:
        """That c, Ha."""
        along = float(self.matrix[-1, :-1] @ coefficients)
        return (float(self.vector[-1]) - along) / float(self.matrix[-1, -1])


class Reduced(NamedTuple):
    """xᵀ ``matrix`` x − 2 xᵀ ``vector`` + ``square`` of x = (u, c_0)."""

    matrix: NDArray[np.float64]
    vector: NDArray[np.float64]
    square: float


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Error on compounds that were left out, Ha (root mean square over matrix elements).

    Attributes:
        penalty: the µ that was taken.
        before: by crystal, without fitted potentials.
        inside: by crystal, all fitted.
        outside: by crystal, its compound left out.
        by_penalty: geometric mean of ``outside`` / ``before`` for every µ that was tried.
    """

    penalty: float
    before: dict[str, float]
    inside: dict[str, float]
    outside: dict[str, float]
    by_penalty: dict[float, float]


def normal_equations(
    name: str,
    compound: str,
    reference: Hamiltonian,
    settings: SuperposedSettings | None = None,
    monitor: Monitor | None = None,
) -> NormalEquations:
    """Those of one crystal, ``reference`` being its self-consistent Hamiltonian.

    Raises:
        SettingsError: another basis than that of ``settings``.
    """
    settings = settings or SuperposedSettings(residual=False)
    system = prepared(reference.structure, settings)
    if system.basis.labels != reference.basis.labels:
        raise SettingsError(f"{name}: its Hamiltonian is not in the basis {settings.basis}.")
    static = static_blocks(system, settings.overlap_tolerance)
    elements = tuple(sorted(set(system.symbols)))
    radii = np.linspace(0.0, REACH, round(REACH / _STEP) + 1)
    functions = dict.fromkeys(elements, radial_functions(radii))
    monitor = monitor or Monitor()
    superposed, fitted = (
        local_blocks(system, static.pairs, potentials, settings, monitor)
        for potentials in (
            SuperposedPotential(system, free_atoms(system, settings)),
            RadialPotentials(system, functions, _STEP),
        )
    )
    own = Pairs(
        static.pairs.first,
        static.pairs.second,
        user_cells(system, static.pairs),
        static.pairs.sizes,
    )
    ours, theirs = common_elements(own, reference.pairs)
    target = reference.scalar[theirs] / HARTREE_EV - (static.core + superposed[0])[ours]
    design = np.vstack([fitted[:, ours], static.overlap[ours]])
    n = system.n_atoms
    return NormalEquations(
        name,
        compound,
        elements,
        system.vacuum_axis is not None,
        design @ design.T / n,
        design @ target / n,
        float(target @ target) / n,
        len(target) / n,
    )


def save_normal_equations(equations: NormalEquations, path: Path) -> None:
    """As arrays of a ``.npz`` file, with what they depend on: exponents and free atoms."""
    with path.open("wb") as file:
        np.savez(file, exponents=np.array(EXPONENTS), atoms=atoms_digest(), **vars(equations))


def load_normal_equations(path: Path) -> NormalEquations:
    """What :func:`save_normal_equations` wrote.

    Raises:
        FileFormatError: another file, or one of other exponents or free atoms.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such file.")
    try:
        with np.load(path, allow_pickle=False) as data:
            if not np.array_equal(data["exponents"], EXPONENTS):
                raise FileFormatError(f"{path.name} has other exponents than this version uses.")
            if str(data["atoms"]) != atoms_digest():
                raise FileFormatError(
                    f"{path.name} was computed with other free atoms than the shipped ones; "
                    "delete it to compute it anew."
                )
            return NormalEquations(
                str(data["name"]),
                str(data["compound"]),
                tuple(str(e) for e in data["elements"]),
                bool(data["layer"]),
                data["matrix"],
                data["vector"],
                float(data["square"]),
                float(data["count"]),
            )
    except (KeyError, ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
        raise FileFormatError(f"{path.name} holds no normal equations.") from error


def fit(crystals: Sequence[NormalEquations]) -> tuple[AtomicResiduals, CrossValidation]:
    """The coefficients of all elements, and how good they are.

    Raises:
        SettingsError: fewer than two compounds.
    """
    compounds = sorted({c.compound for c in crystals})
    if len(compounds) < 2:
        raise SettingsError("Crystals of at least two compounds are needed for the fit.")
    elements = sorted({e for c in crystals for e in c.elements})
    errors = {mu: _outside(crystals, elements, mu) for mu in PENALTIES}
    before = {c.name: c.rms(np.zeros(len(c.vector) - 1)) for c in crystals}
    scores = {
        mu: float(np.exp(np.mean([np.log(max(outside[n] / before[n], _EXACT)) for n in outside])))
        for mu, outside in errors.items()
    }
    penalty = min(scores, key=scores.__getitem__)
    u = _solved(crystals, elements, penalty)
    covariance = _jackknife(crystals, compounds, elements, penalty)
    n = len(EXPONENTS)
    parts = {e: slice(k * n, (k + 1) * n) for k, e in enumerate(elements)}
    residuals = AtomicResiduals(
        {e: u[part] for e, part in parts.items()},
        {e: covariance[part, part] for e, part in parts.items()},
        {},
    )
    inside = {c.name: c.rms(u[_places(c, elements)]) for c in crystals}
    return residuals, CrossValidation(penalty, before, inside, errors[penalty], scores)


def _outside(
    crystals: Sequence[NormalEquations], elements: Sequence[str], penalty: float
) -> dict[str, float]:
    """Errors of crystals from fits without their compounds."""
    result = {}
    for compound in sorted({c.compound for c in crystals}):
        others = [c for c in crystals if c.compound != compound]
        u = _solved(others, elements, penalty)
        for c in crystals:
            if c.compound == compound:
                result[c.name] = c.rms(u[_places(c, elements)])
    return result


def _solved(
    crystals: Iterable[NormalEquations], elements: Sequence[str], penalty: float
) -> NDArray[np.float64]:
    """The u of all elements, (n_elements · n_exponents,); zero for one that does not occur."""
    size = len(elements) * len(EXPONENTS) + 1  # c_0 last
    matrix, vector = np.zeros((size, size)), np.zeros(size)
    for c in crystals:
        places = np.append(_places(c, elements), size - 1)
        form = c.without_constant(STIFFNESS)
        matrix[np.ix_(places, places)] += form.matrix
        vector[places] += form.vector
    scale = np.sqrt(np.diag(matrix).clip(min=0.0))
    used = np.flatnonzero(scale > 1e-9 * scale.max())
    scaled = matrix[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    penalties = np.where(used < size - 1, penalty, 0.0)
    result = np.zeros(size)
    result[used] = (
        np.linalg.solve(scaled + np.diag(penalties), vector[used] / scale[used]) / scale[used]
    )
    return result[:-1]


def _jackknife(
    crystals: Sequence[NormalEquations],
    compounds: Sequence[str],
    elements: Sequence[str],
    penalty: float,
) -> NDArray[np.float64]:
    """Covariance (g − 1)/g Σ (u_g − ū)(u_g − ū)ᵀ of the fits without one compound each.

    An element of one compound alone gets zeros, which stand for "not known": no other fit tells
    anything of it.
    """
    n = len(EXPONENTS)
    whole = _solved(crystals, elements, penalty)
    result = np.zeros((len(whole), len(whole)))
    for place, element in enumerate(elements):
        own = slice(place * n, (place + 1) * n)
        within = {c.compound for c in crystals if element in c.elements}
        if len(within) < 2:
            continue
        found = np.array(
            [
                _solved([c for c in crystals if c.compound != compound], elements, penalty)[own]
                for compound in compounds
            ]
        )
        away = found - found.mean(axis=0)
        result[own, own] = (len(found) - 1) / len(found) * away.T @ away
    return result


def _places(crystal: NormalEquations, elements: Sequence[str]) -> NDArray[np.int64]:
    """Where the crystal's coefficients stand among all."""
    n = len(EXPONENTS)
    return np.concatenate([elements.index(e) * n + np.arange(n) for e in crystal.elements])


def common_elements(first: Pairs, second: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the matrix elements of the pairs that both list, in either's flat array."""
    keys = {
        tuple(key): pair
        for pair, key in enumerate(
            np.column_stack([second.first, second.second, second.cell]).tolist()
        )
    }
    ours, theirs = [], []
    for pair, key in enumerate(np.column_stack([first.first, first.second, first.cell]).tolist()):
        other = keys.get(tuple(key))
        if other is not None:
            ours.append(np.arange(first.offsets[pair], first.offsets[pair + 1]))
            theirs.append(np.arange(second.offsets[other], second.offsets[other + 1]))
    return np.concatenate(ours), np.concatenate(theirs)
