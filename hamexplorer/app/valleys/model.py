"""What the Valleys page asks of a Hamiltonian again and again, prepared once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hamexplorer.app.state import FIELD_EVERYWHERE
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Basis, Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties import BandSolver, BandStructure, FermiLevel, band_structure
from hamexplorer.properties.field import with_field
from hamexplorer.properties.large_cells import check_not_large
from hamexplorer.properties.valley import (
    Valley,
    ValleyChern,
    ValleyMap,
    ValleyPair,
    ValleySplitting,
    edge_bands,
    find_valleys,
    valley_chern,
    valley_map,
    valley_readouts,
    valley_splitting,
)
from hamexplorer.structures.kpath import KPath
from hamexplorer.structures.zone import planar_zone

__all__ = [
    "FIELD_LIMIT",
    "SHIFTED",
    "ValleyModel",
    "ValleyNumbers",
    "ValleyRequest",
    "field_choices",
]

FIELD_LIMIT = 100.0
"""Largest field on the page's slider, meV."""
SHIFTED = 1e-4
"""1/Å; a valley farther from its corner than that is marked, and its shift told."""

_FIELDS = np.linspace(-FIELD_LIMIT, FIELD_LIMIT, 41)
_REACH = 0.18  # how far from a valley bands are drawn, in |K|
_STEPS = 20  # k-points on either side of a valley
_AROUND = 3  # bands above and below the gap in the inset
_MAX_SITES = 40
# Largest number of spinor orbitals, and the meshes while something moves and when it rests. All
# can be divided by 6, so that K, K′ and M are among their points.
_MESHES = ((140, 12, 48), (300, 6, 36), (800, 6, 24))
_COARSEST = (6, 12)

Pair = tuple[Valley, Valley]


@dataclass(frozen=True)
class ValleyRequest:
    """What is shown: the dial, a field of ``field`` meV, and the atoms on which it acts."""

    state: SpinState
    field: float
    atoms: str

    @classmethod
    def of(cls, h: Hamiltonian, state: SpinState, field: float, atoms: str) -> ValleyRequest:
        """The request with everything dropped that changes nothing in ``h``."""
        if field == 0:
            atoms = FIELD_EVERYWHERE
            if not h.is_magnetic:
                state = SpinState(state.soc)
        return cls(state, field, atoms)


@dataclass(frozen=True, eq=False)
class ValleyNumbers:
    """All that is quick once the valleys are known."""

    request: ValleyRequest
    valleys: Pair
    pair: ValleyPair
    splitting: ValleySplitting
    bands: BandStructure


class ValleyModel:
    """One layer's valleys; the methods may be called from several threads.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: its zone has no valleys, or it has no valence and conduction bands.
        ResourceLimitError: it is too large.
    """

    def __init__(self, h: Hamiltonian) -> None:
        self.hamiltonian = h
        self.zone = planar_zone(h.structure)
        check_not_large(h, "A map of the zone")
        if not self.zone.has_valleys:
            find_valleys(h)  # says why not
        self.edges = edge_bands(h)
        size = 2 * h.basis.n_orbitals
        fitting = (meshes[1:] for meshes in _MESHES if size <= meshes[0])
        self.coarse, self.fine = next(fitting, _COARSEST)
        self._path_solver = BandSolver(h, self._path(self.corners()).kpoints)
        self._numbers: ValleyNumbers | None = None
        self._curve: tuple[tuple[SpinState, str], Pair, ValleySplitting] | None = None

    def corners(self) -> Pair:
        """The zone's corners, where a search for the valleys begins."""
        first, second = (
            Valley(name, self.zone.kpoints(place), place, 0.0, True)
            for name, place in self.zone.corners.items()
        )
        return first, second

    def search(self, request: ValleyRequest) -> Pair:
        """Where the valleys are."""
        return find_valleys(*self._in_field(request))

    def numbers(self, request: ValleyRequest, valleys: Pair) -> ValleyNumbers:
        """Readouts, splitting against the field, and bands around both valleys."""
        last = self._numbers
        if last is not None and last.request == request and _same(last.valleys, valleys):
            return last
        h, state = self._in_field(request)
        pair = valley_readouts(h, state, valleys=valleys)
        splitting = self._splitting(request, valleys)
        found = ValleyNumbers(request, valleys, pair, splitting, self._bands(h, state, pair))
        self._numbers = found
        return found

    def _splitting(self, request: ValleyRequest, valleys: Pair) -> ValleySplitting:
        """The curve, which does not depend on the field that is chosen."""
        key = (request.state, request.atoms)
        last = self._curve
        if last is not None and last[0] == key and _same(last[1], valleys):
            return last[2]
        sites = _sites(self.hamiltonian.basis, request.atoms)
        found = valley_splitting(
            self.hamiltonian, _FIELDS, request.state, sites=sites, valleys=valleys
        )
        self._curve = (key, valleys, found)
        return found

    def map(self, request: ValleyRequest, n: int, monitor: Monitor | None = None) -> ValleyMap:
        """All fields on an n × n mesh."""
        h, state = self._in_field(request)
        return valley_map(h, n, state, monitor=monitor)

    def chern(self, request: ValleyRequest, monitor: Monitor) -> ValleyChern:
        """Valley Chern contributions."""
        h, state = self._in_field(request)
        return valley_chern(h, state, monitor=monitor)

    def _in_field(self, request: ValleyRequest) -> tuple[Hamiltonian, SpinState]:
        """The crystal in the field; the dial scales its own exchange, not the field."""
        h, state = self.hamiltonian, request.state
        if request.field == 0:
            return h, state
        if h.exchange is not None and state.exchange != 1:
            h = replace(h, exchange=h.exchange * state.exchange)
        inside = with_field(h, request.field, _sites(h.basis, request.atoms))
        return inside, replace(state, exchange=1.0)

    def _bands(self, h: Hamiltonian, state: SpinState, pair: ValleyPair) -> BandStructure:
        filled, total = self.edges[2], 2 * h.basis.n_orbitals
        window = max(filled - _AROUND, 0), min(filled + _AROUND, total) - 1
        tops = [float(readout.energies[1]) for readout in (pair.k, pair.k_prime)]
        bottoms = [float(readout.energies[2]) for readout in (pair.k, pair.k_prime)]
        level = FermiLevel(
            (max(tops) + min(bottoms)) / 2,
            (1, 1, 1),
            0.01,
            h.n_electrons,
            False,
            max(tops),
            min(bottoms),
        )
        path = self._path((pair.k.valley, pair.k_prime.valley))
        return band_structure(
            h, path, state, fermi=level, spin=True, window=window, solver=self._solver(h, path)
        )

    def _solver(self, h: Hamiltonian, path: KPath) -> BandSolver:
        """Kept for the crystal without a field, so that a step of λ need not sum it again."""
        last = self._path_solver
        if h is last.hamiltonian and np.array_equal(last.kpoints, path.kpoints):
            return last
        solver = BandSolver(h, path.kpoints)
        if h is self.hamiltonian:
            self._path_solver = solver
        return solver

    def _path(self, valleys: Pair) -> KPath:
        """From Γ's side through K to M's side, and from M's side through K′ to Γ's."""
        zone = self.zone
        corner = zone.corners["K"]
        reach = _REACH * float(np.linalg.norm(corner))
        middle = min(
            ((a + b) / 2 for a, b in zip(zone.polygon, np.roll(zone.polygon, -1, 0), strict=True)),
            key=lambda point: float(np.linalg.norm(point - corner)),
        )
        steps = np.linspace(-1, 1, 2 * _STEPS + 1)
        pieces = []
        for sign, valley in zip((1, -1), valleys, strict=True):
            inward = -valley.place / np.linalg.norm(valley.place)
            edge = sign * middle - valley.place
            edge = edge / np.linalg.norm(edge)
            away = np.where(steps[:, None] < 0, -steps[:, None] * inward, steps[:, None] * edge)
            pieces.append(valley.place + reach * away)
        points = np.concatenate([pieces[0], pieces[1][::-1]])
        along = reach * (steps + 1)
        n = len(steps)
        ticks = (
            (0, "← Γ"),
            (_STEPS, "K"),
            (n - 1, "→ M ←"),
            (n + _STEPS, "K′"),
            (2 * n - 1, "Γ →"),
        )
        return KPath(zone.kpoints(points), np.r_[along, along[-1] + along], ticks, (n,))


def _same(first: Pair, second: Pair) -> bool:
    return all(np.array_equal(a.kpoint, b.kpoint) for a, b in zip(first, second, strict=True))


def field_choices(basis: Basis) -> dict[str, str]:
    """Atoms on which a field may act: title → value (``all``, ``element:Mo``, ``site:S2``)."""
    choices = {"all atoms": FIELD_EVERYWHERE}
    elements = list(dict.fromkeys(basis.symbols))
    if len(elements) > 1:
        choices |= {f"all {name}": f"element:{name}" for name in elements}
    if 1 < basis.n_sites <= _MAX_SITES:
        choices |= {name: f"site:{name}" for name in basis.site_labels}
    return choices


def _sites(basis: Basis, atoms: str) -> list[int] | None:
    if atoms == FIELD_EVERYWHERE:
        return None
    kind, _, wanted = atoms.partition(":")
    names = basis.symbols if kind == "element" else basis.site_labels
    found = [site for site, name in enumerate(names) if name == wanted]
    if not found:
        raise SettingsError(f"There are no atoms {wanted!r} for the field to act on.")
    return found
